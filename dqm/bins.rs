//! The cells of a histogram of any dimension: contents, variances, entries.
//!
//! In come cell numbers and weights; out come sums that are the same bits in whatever order entries
//! and histograms are added. Entries of weight 1 are whole numbers in floating point, which add
//! exactly up to 2^53; the first other weight brings exact sums for every cell. What a cell
//! means is not known here.

use crate::exact::{ExactSum, MAX_ENTRIES};

/// Contents with what their errors need.
#[derive(Clone, Debug)]
pub(crate) struct Bins {
    /// Sums of weights, rounded.
    contents: Vec<f64>,
    entries: u64,
    weighted: Option<Box<Weighted>>,
}

/// What cells hold once a weight is not 1.
#[derive(Clone, Debug)]
struct Weighted {
    contents: Vec<ExactSum>,
    squares: Vec<ExactSum>,
    /// Sums of squared weights, rounded.
    variances: Vec<f64>,
}

/// Exact sums of a file: contents and squared weights, cell by cell.
pub(crate) type CellSums = (Vec<ExactSum>, Vec<ExactSum>);

impl Bins {
    pub(crate) fn new(cells: usize) -> Self {
        Self {
            contents: vec![0.0; cells],
            entries: 0,
            weighted: None,
        }
    }

    /// Cells made elsewhere. Whole contents without variances are counts.
    pub(crate) fn made_of(
        contents: Vec<f64>,
        variances: Option<Vec<f64>>,
        entries: Option<u64>,
        cells: usize,
    ) -> Result<Self, String> {
        /// Contents larger than this cannot be summed.
        const LARGEST: f64 = 1e200;
        for values in [Some(&contents), variances.as_ref()].into_iter().flatten() {
            if values.len() != cells {
                return Err(format!("{} values for {cells} bins", values.len()));
            }
            let bad = values
                .iter()
                .position(|v| !v.is_finite() || v.abs() > LARGEST);
            if let Some(bin) = bad {
                return Err(format!("bin {bin} is {}", values[bin]));
            }
        }
        let squares = variances.as_ref().unwrap_or(&contents);
        if let Some(bin) = squares.iter().position(|v| *v < 0.0) {
            return Err(format!("bin {bin} has a negative variance"));
        }
        let entries = entries.unwrap_or_else(|| contents.iter().sum::<f64>().round() as u64);
        if entries > MAX_ENTRIES {
            return Err(format!(
                "{entries} entries, at most {MAX_ENTRIES} are counted"
            ));
        }
        let whole = |value: &f64| value.fract() == 0.0 && *value <= MAX_ENTRIES as f64;
        if variances.is_none() && contents.iter().all(whole) {
            return Ok(Self {
                contents,
                entries,
                weighted: None,
            });
        }
        let squares = squares.iter().map(|v| ExactSum::of(&[*v])).collect();
        let sums = contents.iter().map(|v| ExactSum::of(&[*v])).collect();
        Ok(Self::from_sums((sums, squares), entries))
    }

    pub(crate) fn from_sums((contents, squares): CellSums, entries: u64) -> Self {
        let values = contents.iter().map(ExactSum::value).collect();
        let variances = squares.iter().map(ExactSum::value).collect();
        let weighted = Weighted {
            contents,
            squares,
            variances,
        };
        Self {
            contents: values,
            entries,
            weighted: Some(Box::new(weighted)),
        }
    }

    /// An entry of weight 1.
    #[inline]
    pub(crate) fn add_one(&mut self, cell: usize) {
        self.entries += 1;
        if self.weighted.is_none() {
            self.contents[cell] += 1.0;
        } else {
            self.add_weight(cell, 1.0);
        }
    }

    /// An entry of any other finite weight.
    pub(crate) fn add(&mut self, cell: usize, weight: f64) {
        self.entries += 1;
        self.weigh();
        self.add_weight(cell, weight);
    }

    #[cold]
    #[inline(never)]
    fn add_weight(&mut self, cell: usize, weight: f64) {
        if let Some(weighted) = &mut self.weighted {
            weighted.contents[cell].add(weight);
            weighted.squares[cell].add(weight * weight);
            self.contents[cell] = weighted.contents[cell].value();
            weighted.variances[cell] = weighted.squares[cell].value();
        }
    }

    /// From now on with exact sums.
    fn weigh(&mut self) {
        if self.weighted.is_none() {
            let counts: Vec<ExactSum> = self
                .contents
                .iter()
                .map(|count| ExactSum::of(&[*count]))
                .collect();
            self.weighted = Some(Box::new(Weighted {
                squares: counts.clone(),
                contents: counts,
                variances: self.contents.clone(),
            }));
        }
    }

    /// Whether both together still count exactly.
    pub(crate) fn fits(&self, other: &Self) -> Result<(), String> {
        let entries = self.entries + other.entries;
        if entries > MAX_ENTRIES {
            return Err(format!(
                "{entries} entries, at most {MAX_ENTRIES} are counted"
            ));
        }
        Ok(())
    }

    /// Adds the cells of another one with as many of them.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.entries += other.entries;
        match (&self.weighted, &other.weighted) {
            (None, None) => {
                let pairs = self.contents.iter_mut().zip(&other.contents);
                pairs.for_each(|(ours, theirs)| *ours += theirs);
            }
            (None, Some(_)) => {
                self.weigh();
                self.merge_weighted(other);
            }
            (Some(_), _) => self.merge_weighted(other),
        }
    }

    fn merge_weighted(&mut self, other: &Self) {
        let Some(ours) = &mut self.weighted else {
            return;
        };
        for cell in 0..self.contents.len() {
            match &other.weighted {
                Some(theirs) => {
                    ours.contents[cell].merge(&theirs.contents[cell]);
                    ours.squares[cell].merge(&theirs.squares[cell]);
                }
                None => {
                    ours.contents[cell].add(other.contents[cell]);
                    ours.squares[cell].add(other.contents[cell]);
                }
            }
            self.contents[cell] = ours.contents[cell].value();
            ours.variances[cell] = ours.squares[cell].value();
        }
    }

    pub(crate) fn contents(&self) -> &[f64] {
        &self.contents
    }

    pub(crate) fn variances(&self) -> &[f64] {
        self.weighted
            .as_ref()
            .map_or(&self.contents, |weighted| &weighted.variances)
    }

    pub(crate) fn entries(&self) -> u64 {
        self.entries
    }

    pub(crate) fn is_weighted(&self) -> bool {
        self.weighted.is_some()
    }

    /// The exact sums, where they are needed.
    pub(crate) fn sums(&self) -> Option<(&[ExactSum], &[ExactSum])> {
        let weighted = self.weighted.as_ref()?;
        Some((&weighted.contents, &weighted.squares))
    }
}

impl PartialEq for Bins {
    fn eq(&self, other: &Self) -> bool {
        self.entries == other.entries
            && self.contents == other.contents
            && self.sums() == other.sums()
    }
}

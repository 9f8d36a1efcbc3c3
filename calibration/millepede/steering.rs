//! What a Millepede fit is told: the steering file and the text files that it names.
//!
//! In come the texts; out come names of data files, constraints, start values, the method and its
//! limits, as `pede` understands them (MillepedeII: pede.f90, `filetx` and `intext`). A line's part
//! after `!`, and a line that starts with `*` or `!`, is comment. A keyword may be written in any
//! case. Keywords that only change printing, memory or threads of `pede` are accepted and change
//! nothing; one that this fit does not know is an error with its line, never passed over. No file
//! is opened here: whoever calls reads the text files named and gives their content to
//! [`Steering::add_text`].

use super::MillepedeError;
use super::records::Form;
use std::collections::BTreeMap;

/// Entries that a parameter needs to be fitted, where nothing else is said (pede's default).
pub const ENTRIES_MIN: u64 = 10;
/// Entries in records that were used below which a fitted parameter is doubtful (pede's default of
/// the second number of `entries`).
pub const ENTRIES_USED_MIN: u64 = 10;
/// Cut on the chi-square in units of the 3-sigma limit beyond which a record is never used (pede's
/// default of `hugecut`).
pub const HUGE_CUT: f64 = 50.0;
/// Tolerance of MINRES, relative to the right hand side (pede's default of `mrestol`).
pub const MINRES_TOLERANCE: f64 = 1e-6;

/// A file of records.
#[derive(Clone, Debug, PartialEq)]
pub struct DataFile {
    /// Its name as it stands in the steering file.
    pub name: String,
    /// How its records stand in it.
    pub form: Form,
    /// Weight of its records, usually 1.
    pub weight: f64,
}

/// A linear condition on parameters: sum of factor times value equals `value`, exactly for a
/// constraint, within `sigma` for a measurement of the steering file.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// The right hand side.
    pub value: f64,
    /// Standard deviation; zero where the condition is exact.
    pub sigma: f64,
    /// Labels and factors.
    pub terms: Vec<(i32, f64)>,
    /// Whether factors are to be multiplied by the parameters' entries.
    pub by_entries: bool,
}

/// Where a parameter starts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Start {
    /// Its first value.
    pub value: f64,
    /// Negative: it is fixed. Positive: it is held by a weight 1 / presigma^2.
    pub presigma: f64,
}

/// How the normal equations are solved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Inversion, with errors.
    Inversion,
    /// By eigenvalues, with errors.
    Diagonalization,
    /// By Cholesky factors, with errors.
    Cholesky,
    /// Minimal residuals (Paige and Saunders 1975), without errors. The normal equations are always
    /// compatible, so MINRES-QLP would find the same.
    Minres,
}

impl Method {
    /// Its name, as in errors.
    pub fn name(self) -> &'static str {
        match self {
            Self::Inversion => "inversion",
            Self::Diagonalization => "diagonalization",
            Self::Cholesky => "cholesky",
            Self::Minres => "minres",
        }
    }
}

/// What is counted as an entry of a parameter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Entry {
    /// A measurement that depends on it (pede's default).
    #[default]
    Measurement,
    /// A record that holds it, in however many measurements.
    Record,
}

/// What the factors of a constraint are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Factors {
    /// As the text gives them.
    Given,
    /// Times the entries of their parameters.
    TimesEntries,
}

/// How constraints enter the equations. Both give the same values and errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Constraining {
    /// The constrained directions are rotated out (pede's default).
    Elimination,
    /// A Lagrange multiplier for each constraint. Cholesky factors and eigenvalues want a positive
    /// definite matrix, so with those methods elimination is used whatever is said.
    Multipliers,
}

/// Cuts on the chi-square of a record, in units of the limit that corresponds to 3 sigma.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChiSquareCut {
    /// In the first iteration; below 1 there is no cut in it.
    pub first: f64,
    /// In the second; from then on the square root of the one before, down to 1.
    pub second: f64,
}

/// All that a fit is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Steering {
    /// Files of records.
    pub data: Vec<DataFile>,
    /// Further text files, to be given to [`Steering::add_text`].
    pub texts: Vec<String>,
    /// Exact conditions.
    pub constraints: Vec<Condition>,
    /// Conditions with an error.
    pub measurements: Vec<Condition>,
    /// Start values and presigmas by label.
    pub starts: BTreeMap<i32, Start>,
    /// How to solve.
    pub method: Method,
    /// Iterations after which a fit that has converged may end at the latest.
    pub iterations: u32,
    /// The fit has converged when one more iteration would change the objective by no more.
    pub delta: f64,
    /// How to treat constraints.
    pub constraining: Constraining,
    /// Entries that a parameter needs to be fitted.
    pub entries_min: u64,
    /// Entries in records that were used below which a fitted parameter is doubtful.
    pub entries_used_min: u64,
    /// What is an entry of a parameter.
    pub entry: Entry,
    /// What the factors of constraints are that are read from now on.
    pub factors: Factors,
    /// Cuts on records, if any.
    pub chi_square_cut: Option<ChiSquareCut>,
    /// Cut beyond which a record is never used.
    pub huge_cut: f64,
    /// Passes of each local fit with down-weighting of outliers; 0 for none.
    pub downweighting: u32,
    /// Largest share of a record's weight that down-weighting may take; 0 for no cut.
    pub downweight_fraction_max: f64,
    /// Factor of the weights of presigmas.
    pub regularisation: f64,
    /// Whether presigmas pull towards zero as well (keyword `regularisation`); otherwise they only
    /// shorten the steps.
    pub regularised: bool,
    /// Presigma of parameters without one; 0 for none.
    pub default_presigma: f64,
    /// Tolerance of MINRES.
    pub minres_tolerance: f64,
    /// Factors of the errors of measurements with and without global derivatives.
    pub error_scales: (f64, f64),
    /// Constraints in which nothing can move are left out.
    pub skip_empty_constraints: bool,
    /// The most records to be used of all files together; [`super::fit()`] keeps it.
    pub records_max: Option<usize>,
    /// Stop after the first step, converged or not (keyword `subito`).
    pub subito: bool,
}

impl Default for Steering {
    fn default() -> Self {
        Self {
            data: Vec::new(),
            texts: Vec::new(),
            constraints: Vec::new(),
            measurements: Vec::new(),
            starts: BTreeMap::new(),
            method: Method::Inversion,
            iterations: 1,
            delta: 1e-4,
            constraining: Constraining::Elimination,
            entries_min: ENTRIES_MIN,
            entries_used_min: ENTRIES_USED_MIN,
            entry: Entry::Measurement,
            factors: Factors::Given,
            chi_square_cut: None,
            huge_cut: HUGE_CUT,
            downweighting: 0,
            downweight_fraction_max: 0.0,
            regularisation: 1.0,
            regularised: false,
            default_presigma: 0.0,
            minres_tolerance: MINRES_TOLERANCE,
            error_scales: (1.0, 1.0),
            skip_empty_constraints: false,
            records_max: None,
            subito: false,
        }
    }
}

/// Keywords of `pede` that change nothing here: printing, memory, threads, preconditioning, the
/// line search (`linesearch`, `wolfe`), which a solution in few large steps does not need, errors
/// of single parameters with MINRES (`errlabels`), which change no value, and `force`, which
/// iterates even when constraints depend on each other: that is an error here.
const WITHOUT_EFFECT: [&str; 29] = [
    "bandwidth",
    "cache",
    "checkinput",
    "checkparametergroups",
    "closeandreopen",
    "compress",
    "debug",
    "errlabels",
    "force",
    "globalcorr",
    "histprint",
    "lapackwitherrors",
    "linesearch",
    "localfit",
    "matiter",
    "matmoni",
    "memorydebug",
    "monitorprogress",
    "monitorpulls",
    "monitorresiduals",
    "mresmode",
    "mrestranscond",
    "nofeasiblestart",
    "pairentries",
    "print",
    "printcounts",
    "printrecord",
    "pullrange",
    "wolfe",
];

/// Why an iterated cut on entries is refused.
const NO_ITERATED_CUT: &str = "an iterated cut on entries is not built; leave it out";

/// What lines of numbers belong to.
#[derive(Clone, Copy, PartialEq)]
enum Section {
    None,
    Parameter,
    Constraint,
    Measurement,
}

/// Reads one text line by line.
struct Reader<'a> {
    steering: &'a mut Steering,
    section: Section,
    form: Form,
    /// Whether names of files may stand in this text.
    names_files: bool,
}

/// Why a line is refused.
type Refusal = String;

impl Steering {
    /// Reads a steering file; `file` goes into errors only.
    pub fn parse(file: &str, text: &str) -> Result<Self, MillepedeError> {
        let mut steering = Self::default();
        steering.read(file, text, true)?;
        Ok(steering)
    }

    /// Reads a further text file: constraints, start values, anything but names of files.
    pub fn add_text(&mut self, file: &str, text: &str) -> Result<(), MillepedeError> {
        self.read(file, text, false)
    }

    fn read(&mut self, file: &str, text: &str, names_files: bool) -> Result<(), MillepedeError> {
        let mut reader = Reader {
            steering: self,
            section: Section::None,
            form: Form::C,
            names_files,
        };
        for (place, line) in text.lines().enumerate() {
            let said = match line.split_once('!') {
                Some((before, _)) => before.trim(),
                None => line.trim(),
            };
            if said.is_empty() || said.starts_with('*') {
                continue;
            }
            if said
                .split_whitespace()
                .next()
                .is_some_and(|word| word.eq_ignore_ascii_case("end"))
            {
                break;
            }
            reader.line(said).map_err(|why| MillepedeError::Steering {
                file: file.to_owned(),
                line: place + 1,
                text: said.to_owned(),
                why,
            })?;
        }
        Ok(())
    }
}

/// The numbers of a line, if it holds nothing else. Fortran's exponents are understood.
fn numbers<'a>(words: impl Iterator<Item = &'a str>) -> Option<Vec<f64>> {
    let number = |word: &str| {
        let digits = word.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
        let number: f64 = digits.then(|| word.replace(['d', 'D'], "e").parse().ok())??;
        number.is_finite().then_some(number)
    };
    words.map(number).collect()
}

fn label(number: f64) -> Result<i32, Refusal> {
    let label = number.round();
    if label >= 1.0 && label <= f64::from(i32::MAX) {
        return Ok(label as i32);
    }
    Err(format!(
        "{number} is no label; labels are whole numbers from 1"
    ))
}

impl Reader<'_> {
    fn line(&mut self, line: &str) -> Result<(), Refusal> {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let Some(numbers) = numbers(words.iter().copied()) {
            return self.numbers(&numbers);
        }
        let keyword = words[0].to_ascii_lowercase();
        if keyword == "method" {
            return self.method(&words[1..]);
        }
        if let Some(arguments) = numbers(words[1..].iter().copied())
            && self.keyword(&keyword, &arguments)?
        {
            return Ok(());
        }
        if !self.names_files {
            return Err("no keyword of a text file; see the list of keywords".to_owned());
        }
        self.file(&words)
    }

    /// A line of numbers: what follows the keyword before it.
    fn numbers(&mut self, numbers: &[f64]) -> Result<(), Refusal> {
        match self.section {
            Section::Parameter => self.parameter(numbers),
            Section::Constraint => terms(&mut self.steering.constraints, numbers),
            Section::Measurement => terms(&mut self.steering.measurements, numbers),
            Section::None => {
                Err("numbers that follow no parameter, constraint or measurement".to_owned())
            }
        }
    }

    fn parameter(&mut self, numbers: &[f64]) -> Result<(), Refusal> {
        let [number, value, presigma, ..] = *numbers else {
            return Err("a label, a value and a presigma are needed".to_owned());
        };
        let start = Start { value, presigma };
        self.steering.starts.insert(label(number)?, start);
        Ok(())
    }

    /// Whether the word is a keyword that takes numbers; it is then obeyed.
    fn keyword(&mut self, keyword: &str, arguments: &[f64]) -> Result<bool, Refusal> {
        self.section = match keyword {
            "parameter" => {
                if !arguments.is_empty() {
                    self.parameter(arguments)?;
                }
                Section::Parameter
            }
            "constraint" => {
                let (Some(value), true) = (arguments.first(), arguments.len() <= 2) else {
                    return Err("a right hand side is needed".to_owned());
                };
                let by_entries = self.steering.factors == Factors::TimesEntries;
                let constraint = Condition {
                    value: *value,
                    sigma: 0.0,
                    terms: Vec::new(),
                    by_entries,
                };
                self.steering.constraints.push(constraint);
                Section::Constraint
            }
            "measurement" => {
                let [value, sigma] = *arguments else {
                    return Err("a value and its error are needed".to_owned());
                };
                if sigma <= 0.0 {
                    return Err("the error is not positive".to_owned());
                }
                let measurement = Condition {
                    value,
                    sigma,
                    terms: Vec::new(),
                    by_entries: false,
                };
                self.steering.measurements.push(measurement);
                Section::Measurement
            }
            _ => {
                let known = self.setting(keyword, arguments)?;
                return Ok(known || self.cut(keyword, arguments)? || ignored(keyword));
            }
        };
        Ok(true)
    }

    /// Keywords about the equations.
    fn setting(&mut self, keyword: &str, arguments: &[f64]) -> Result<bool, Refusal> {
        let steering = &mut *self.steering;
        match keyword {
            "cfiles" => self.form = Form::C,
            "fortranfiles" => self.form = Form::Fortran,
            "regularisation" | "regularization" => {
                steering.regularised = true;
                steering.regularisation = first(arguments)?;
                if let Some(presigma) = arguments.get(1) {
                    steering.default_presigma = *presigma;
                }
            }
            "presigma" => steering.default_presigma = first(arguments)?,
            "withelimination" | "withlapackelimination" => {
                steering.constraining = Constraining::Elimination;
            }
            "withmultipliers" => steering.constraining = Constraining::Multipliers,
            "skipemptycons" => steering.skip_empty_constraints = true,
            "weightedcons" => {
                let weighted = arguments.first().is_none_or(|on| *on > 0.0);
                steering.factors = if weighted {
                    Factors::TimesEntries
                } else {
                    Factors::Given
                };
            }
            "mrestol" => {
                let tolerance = first(arguments)?;
                if !(1e-10..=1e-4).contains(&tolerance) {
                    return Err("the tolerance is outside 1e-10 to 1e-4".to_owned());
                }
                steering.minres_tolerance = tolerance;
            }
            "scaleerrors" => {
                let with = first(arguments)?;
                steering.error_scales = (with, arguments.get(1).copied().unwrap_or(with));
                if with <= 0.0 || steering.error_scales.1 <= 0.0 {
                    return Err("a factor of errors is not positive".to_owned());
                }
            }
            "subito" => steering.subito = true,
            "threads" => {}
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Keywords about what is left out.
    fn cut(&mut self, keyword: &str, arguments: &[f64]) -> Result<bool, Refusal> {
        let steering = &mut *self.steering;
        match keyword {
            "entries" => {
                if arguments.get(2).is_some_and(|factor| *factor > 0.5) {
                    return Err(NO_ITERATED_CUT.to_owned());
                }
                // pede keeps its default where a number says none.
                let said = |number: f64| Ok::<_, Refusal>(Some(count(number)?).filter(|n| *n > 0));
                if let Some(entries) = said(first(arguments)?)? {
                    steering.entries_min = entries;
                }
                if let Some(entries) = arguments.get(1).map_or(Ok(None), |number| said(*number))? {
                    steering.entries_used_min = entries;
                }
            }
            "countrecords" => steering.entry = Entry::Record,
            "iterateentries" => {
                // Up to the cut itself there is nothing to iterate, whatever the order of lines.
                if arguments.first().is_none_or(|most| *most > 0.5) {
                    return Err(NO_ITERATED_CUT.to_owned());
                }
            }
            "maxrecord" => {
                steering.records_max = Some(count(first(arguments)?)? as usize);
            }
            "chisqcut" => {
                let first = arguments.first().copied().unwrap_or(1.0);
                let second = arguments.get(1).copied().unwrap_or(1.0).max(1.0);
                let second = if first >= 1.0 {
                    second.min(first)
                } else {
                    second
                };
                steering.chi_square_cut = Some(ChiSquareCut { first, second });
            }
            "hugecut" => steering.huge_cut = first(arguments)?.max(1.0),
            "outlierdownweighting" => {
                let passes = count(first(arguments)?)? as u32;
                // The first pass is without weights, so one pass would do nothing.
                steering.downweighting = if passes == 0 { 0 } else { passes.max(2) };
            }
            "dwfractioncut" => steering.downweight_fraction_max = first(arguments)?.min(0.5),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn method(&mut self, words: &[&str]) -> Result<(), Refusal> {
        let name = words
            .first()
            .map(|word| word.to_ascii_lowercase())
            .unwrap_or_default();
        self.steering.method = match name.as_str() {
            "inversion" => Method::Inversion,
            "diagonalization" | "diagonalisation" => Method::Diagonalization,
            "cholesky" | "decomposition" | "fulllapack" | "unpackedlapack" => Method::Cholesky,
            "minres" | "fullminres" | "sparseminres" => Method::Minres,
            "minres-qlp" | "fullminres-qlp" | "sparseminres-qlp" => Method::Minres,
            _ => {
                return Err(
                    "methods are inversion, diagonalization, cholesky and minres".to_owned(),
                );
            }
        };
        let Some(arguments) = numbers(words[1..].iter().copied()) else {
            return Err("a number of iterations and a limit of change are needed".to_owned());
        };
        if let Some(iterations) = arguments.first() {
            self.steering.iterations = (count(*iterations)? as u32).max(1);
        }
        if let Some(delta) = arguments.get(1) {
            self.steering.delta = *delta;
        }
        self.section = Section::None;
        Ok(())
    }

    /// A name of a file, for data files perhaps with ` -- ` and a weight.
    fn file(&mut self, words: &[&str]) -> Result<(), Refusal> {
        let (name, weight) = match *words {
            [name] => (name, 1.0),
            [name, "--", weight] => match numbers([weight].into_iter()).as_deref() {
                Some([weight]) if *weight > 0.0 => (name, *weight),
                _ => return Err("the weight after -- is no positive number".to_owned()),
            },
            _ => return Err("neither a keyword with numbers nor the name of a file".to_owned()),
        };
        // pede tells texts from data by the letters at the end of the name.
        let ending = name.get(name.len().saturating_sub(4)..).unwrap_or(name);
        if ending.contains("xt") || ending.contains("tx") {
            self.steering.texts.push(name.to_owned());
        } else if looks_like_a_name(name) {
            let (name, form) = (name.to_owned(), self.form);
            self.steering.data.push(DataFile { name, form, weight });
        } else {
            return Err("no keyword that this fit knows; see the list of keywords".to_owned());
        }
        Ok(())
    }
}

/// A word without a dot or slash is a keyword with a typing error rather than a file.
fn looks_like_a_name(word: &str) -> bool {
    word.contains(['.', '/'])
}

fn ignored(keyword: &str) -> bool {
    WITHOUT_EFFECT.contains(&keyword)
}

fn first(arguments: &[f64]) -> Result<f64, Refusal> {
    arguments
        .first()
        .copied()
        .ok_or_else(|| "a number is needed after the keyword".to_owned())
}

fn count(number: f64) -> Result<u64, Refusal> {
    if (0.0..=1e15).contains(&number) {
        return Ok(number.round() as u64);
    }
    Err(format!("{number} is no count"))
}

/// Adds pairs of label and factor to the last condition.
fn terms(conditions: &mut [Condition], numbers: &[f64]) -> Result<(), Refusal> {
    let (Some(condition), true) = (conditions.last_mut(), numbers.len().is_multiple_of(2)) else {
        return Err("pairs of a label and a factor are needed".to_owned());
    };
    for pair in numbers.chunks_exact(2) {
        condition.terms.push((label(pair[0])?, pair[1]));
    }
    Ok(())
}

#[cfg(test)]
#[path = "steering_tests.rs"]
mod tests;

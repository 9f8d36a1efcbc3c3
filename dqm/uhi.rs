//! Monitor elements as UHI JSON, which boost-histogram, hist and other tools read and write.
//!
//! In come elements or text, out come text or elements; schema 1 of the Unified Histogram Interface
//! (scikit-hep `uhi`, `resources/histogram.schema.json`). A file is an object of histograms by
//! name. One or two regular axes with flow bins and storage `int`, `double` or `weighted` are a
//! histogram, one with `mean` or `weighted_mean` a profile, none a counter, and string categories a
//! text with how often it was said. Name, title, units, entries and moments travel as metadata, and
//! what rounding would lose of a sum as the text `exact`, so that records merge like the elements
//! they were made of. Other axes are refused, never guessed.

use crate::bins::Bins;
use crate::element::{Element, Elements};
use crate::histogram::{Axis, Histogram, HistogramError, Moments};
use crate::histogram2d::{Histogram2d, Moments2d};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

mod exactly;
mod profiles;

use exactly::Exact;

/// Text that is not a histogram of this kind.
#[derive(Debug, thiserror::Error)]
pub enum UhiError {
    /// Not JSON, or not of the schema.
    #[error(
        "reading UHI JSON: {source}; the file must be a JSON object of histograms by name, \
         uhi_schema 1"
    )]
    Text {
        /// What the parser says.
        source: serde_json::Error,
    },
    /// A schema or axis that is not supported.
    #[error(
        "reading UHI JSON, histogram {name}: {why}; write it with one or two regular axes with \
         under- and overflow"
    )]
    Kind {
        /// Name of the histogram.
        name: String,
        /// What is not supported.
        why: String,
    },
    /// Well-formed, but not a possible histogram.
    #[error(transparent)]
    Histogram(#[from] HistogramError),
}

#[derive(Serialize, Deserialize)]
struct Uhi {
    uhi_schema: u32,
    #[serde(default)]
    metadata: Metadata,
    axes: Vec<UhiAxis>,
    storage: Storage,
}

/// The schema allows words, numbers and booleans here, no lists.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Metadata {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ordinate_unit: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entries: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sum_w: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sum_wx: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sum_wx2: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sum_wy: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sum_wy2: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sum_wxy: Option<f64>,
    /// Ordinates that a profile takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    ordinate_low: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ordinate_high: Option<f64>,
    /// The error option of a profile.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exact: Option<String>,
}

impl Metadata {
    fn of(name: &str, title: &str, unit: &str, entries: u64) -> Self {
        Self {
            name: Some(name.to_owned()),
            title: Some(title.to_owned()),
            unit: Some(unit.to_owned()),
            entries: Some(entries),
            ..Self::default()
        }
    }

    fn title(&self) -> &str {
        self.title.as_deref().unwrap_or_default()
    }

    fn unit(&self) -> &str {
        self.unit.as_deref().unwrap_or_default()
    }

    fn ordinate_unit(&self) -> &str {
        self.ordinate_unit.as_deref().unwrap_or_default()
    }
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum UhiAxis {
    Regular {
        lower: f64,
        upper: f64,
        bins: usize,
        underflow: bool,
        overflow: bool,
        circular: bool,
    },
    CategoryStr {
        categories: Vec<String>,
        flow: bool,
    },
    #[serde(other)]
    Other,
}

impl UhiAxis {
    fn of(axis: Axis) -> Self {
        Self::Regular {
            lower: axis.low,
            upper: axis.high,
            bins: axis.bins,
            underflow: true,
            overflow: true,
            circular: false,
        }
    }

    fn regular(&self) -> Result<Axis, String> {
        match *self {
            Self::Regular {
                lower,
                upper,
                bins,
                underflow: true,
                overflow: true,
                circular: false,
            } => Ok(Axis {
                bins,
                low: lower,
                high: upper,
            }),
            _ => Err("an axis that is not regular with both flow bins".to_owned()),
        }
    }
}

/// Numbers of none, one or two axes; the last axis runs fastest.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Array<T> {
    One(T),
    Line(Vec<T>),
    Table(Vec<Vec<T>>),
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Storage {
    Int {
        values: Array<i64>,
    },
    Double {
        values: Array<f64>,
    },
    Weighted {
        values: Array<f64>,
        variances: Array<f64>,
    },
    Mean {
        counts: Vec<f64>,
        values: Vec<f64>,
        variances: Vec<f64>,
    },
    WeightedMean {
        sum_of_weights: Vec<f64>,
        sum_of_weights_squared: Vec<f64>,
        values: Vec<f64>,
        variances: Vec<f64>,
    },
}

/// The text of a file of histograms. Of two with one name the later is kept.
pub fn write(histograms: &[Histogram]) -> String {
    to_text(
        histograms
            .iter()
            .map(|h| (h.name(), of_histogram(h)))
            .collect(),
    )
}

/// The text of a file of elements, by path.
pub fn write_elements(elements: &Elements) -> String {
    to_text(
        elements
            .iter()
            .map(|(path, it)| (path.as_str(), to_uhi(it)))
            .collect(),
    )
}

fn to_text(named: BTreeMap<&str, Uhi>) -> String {
    serde_json::to_string(&named).expect("numbers of a histogram are finite, names are text")
}

/// The histograms of a file, by name. Other elements are refused.
pub fn read(text: &str) -> Result<Vec<Histogram>, UhiError> {
    let one = |(path, element)| match element {
        Element::Histogram(histogram) => Ok(histogram),
        _ => Err(UhiError::Kind {
            name: path,
            why: "it is not a histogram of one coordinate".to_owned(),
        }),
    };
    read_elements(text)?.into_iter().map(one).collect()
}

/// The elements of a file, by path.
pub fn read_elements(text: &str) -> Result<Elements, UhiError> {
    let named: BTreeMap<String, Uhi> =
        serde_json::from_str(text).map_err(|source| UhiError::Text { source })?;
    let one = |(path, uhi): (String, Uhi)| from_uhi(&path, uhi).map(|element| (path, element));
    named.into_iter().map(one).collect()
}

fn to_uhi(element: &Element) -> Uhi {
    let bare = |axes, storage| Uhi {
        uhi_schema: 1,
        metadata: Metadata::default(),
        axes,
        storage,
    };
    match element {
        Element::Histogram(it) => of_histogram(it),
        Element::Histogram2d(it) => of_histogram2d(it),
        Element::Profile(it) => profiles::to_uhi(it),
        Element::Counter(count) => bare(
            Vec::new(),
            Storage::Int {
                values: Array::One(*count),
            },
        ),
        Element::Text(said) => {
            let categories = said.keys().cloned().collect();
            let times = said
                .values()
                .map(|times| i64::try_from(*times).unwrap_or(i64::MAX));
            let values = Array::Line(times.collect());
            let axis = UhiAxis::CategoryStr {
                categories,
                flow: false,
            };
            bare(vec![axis], Storage::Int { values })
        }
    }
}

/// Contents as they are stored; `shape` makes a list an array of as many axes.
fn storage_of(bins: &Bins, shape: impl Fn(&[f64]) -> Array<f64>) -> Storage {
    let values = shape(bins.contents());
    if bins.is_weighted() {
        let variances = shape(bins.variances());
        return Storage::Weighted { values, variances };
    }
    // Not weighted means counted: whole numbers below 2^53.
    let whole = |values: Vec<f64>| values.into_iter().map(|value| value as i64).collect();
    let values = match values {
        Array::One(value) => Array::One(value as i64),
        Array::Line(line) => Array::Line(whole(line)),
        Array::Table(table) => Array::Table(table.into_iter().map(whole).collect()),
    };
    Storage::Int { values }
}

fn of_histogram(histogram: &Histogram) -> Uhi {
    let moments = histogram.moments();
    let mut exact = Exact::default();
    exact.cells(histogram.bins());
    exact.sums(["sum_w", "sum_wx", "sum_wx2"], histogram.sums());
    let (name, title, unit) = (histogram.name(), histogram.title(), histogram.unit());
    Uhi {
        uhi_schema: 1,
        metadata: Metadata {
            sum_w: Some(moments.weight),
            sum_wx: Some(moments.x),
            sum_wx2: Some(moments.x2),
            exact: exact.text(),
            ..Metadata::of(name, title, unit, histogram.entries())
        },
        axes: vec![UhiAxis::of(histogram.axis())],
        storage: storage_of(histogram.bins(), |values| Array::Line(values.to_vec())),
    }
}

const SUMS_2D: [&str; 6] = ["sum_w", "sum_wx", "sum_wx2", "sum_wy", "sum_wy2", "sum_wxy"];

fn of_histogram2d(histogram: &Histogram2d) -> Uhi {
    let moments = histogram.moments();
    let mut exact = Exact::default();
    exact.cells(histogram.bins());
    exact.sums(SUMS_2D, histogram.sums());
    let [unit, ordinate_unit] = histogram.units();
    let [x, y] = histogram.axes();
    let table = |values: &[f64]| {
        let column = |x| {
            (0..y.bins + 2)
                .map(|y| values[histogram.cell(x, y)])
                .collect()
        };
        Array::Table((0..x.bins + 2).map(column).collect())
    };
    Uhi {
        uhi_schema: 1,
        metadata: Metadata {
            ordinate_unit: Some(ordinate_unit.to_owned()),
            sum_w: Some(moments.weight),
            sum_wx: Some(moments.x),
            sum_wx2: Some(moments.x2),
            sum_wy: Some(moments.y),
            sum_wy2: Some(moments.y2),
            sum_wxy: Some(moments.xy),
            exact: exact.text(),
            ..Metadata::of(
                histogram.name(),
                histogram.title(),
                unit,
                histogram.entries(),
            )
        },
        axes: vec![UhiAxis::of(x), UhiAxis::of(y)],
        storage: storage_of(histogram.bins(), table),
    }
}

fn from_uhi(path: &str, uhi: Uhi) -> Result<Element, UhiError> {
    let refuse = |why: String| {
        let name = path.to_owned();
        UhiError::Kind { name, why }
    };
    let Uhi {
        uhi_schema,
        metadata,
        axes,
        storage,
    } = uhi;
    if uhi_schema != 1 {
        return Err(refuse(format!("uhi_schema {uhi_schema} is not known")));
    }
    let name = metadata.name.clone();
    let name = name.unwrap_or_else(|| path.rsplit('/').next().unwrap_or(path).to_owned());
    match (axes.as_slice(), storage) {
        (
            [],
            Storage::Int {
                values: Array::One(count),
            },
        ) => Ok(Element::Counter(count)),
        (
            [
                UhiAxis::CategoryStr {
                    categories,
                    flow: false,
                },
            ],
            Storage::Int {
                values: Array::Line(times),
            },
        ) if categories.len() == times.len() => {
            let pairs = categories.iter().zip(times);
            let said = pairs.map(|(text, times)| Some((text.clone(), u64::try_from(times).ok()?)));
            let said: Option<BTreeMap<String, u64>> = said.collect();
            let said = said.ok_or_else(|| refuse("a text said less than never".to_owned()))?;
            Ok(Element::Text(said))
        }
        ([axis], storage @ (Storage::Mean { .. } | Storage::WeightedMean { .. })) => {
            let axis = axis.regular().map_err(refuse)?;
            profiles::from_uhi(&name, axis, metadata, storage).map(Element::Profile)
        }
        ([axis], storage) => {
            let axis = axis.regular().map_err(refuse)?;
            to_histogram(&name, axis, metadata, storage).map(Element::Histogram)
        }
        ([x, y], storage) => {
            let axes = [x.regular().map_err(&refuse)?, y.regular().map_err(refuse)?];
            to_histogram2d(&name, axes, metadata, storage).map(Element::Histogram2d)
        }
        (axes, _) => Err(refuse(format!("{} axes with such a storage", axes.len()))),
    }
}

/// Contents and variances of a storage; `flat` puts an array into the order of the cells.
fn cells_of(
    storage: Storage,
    flat: impl Fn(Array<f64>) -> Option<Vec<f64>>,
) -> Option<(Vec<f64>, Option<Vec<f64>>)> {
    let real = |values: Vec<i64>| values.into_iter().map(|value| value as f64).collect();
    match storage {
        Storage::Int { values } => {
            let values = match values {
                Array::One(value) => Array::One(value as f64),
                Array::Line(line) => Array::Line(real(line)),
                Array::Table(table) => Array::Table(table.into_iter().map(real).collect()),
            };
            Some((flat(values)?, None))
        }
        Storage::Double { values } => Some((flat(values)?, None)),
        Storage::Weighted { values, variances } => Some((flat(values)?, Some(flat(variances)?))),
        Storage::Mean { .. } | Storage::WeightedMean { .. } => None,
    }
}

fn to_histogram(
    name: &str,
    axis: Axis,
    metadata: Metadata,
    storage: Storage,
) -> Result<Histogram, UhiError> {
    let shape = |why: &str| UhiError::Kind {
        name: name.to_owned(),
        why: why.to_owned(),
    };
    let empty = Histogram::new(name, metadata.title(), metadata.unit(), axis)?;
    let line = |array| match array {
        Array::Line(line) => Some(line),
        Array::One(_) | Array::Table(_) => None,
    };
    let (contents, variances) =
        cells_of(storage, line).ok_or_else(|| shape("values that are no list of numbers"))?;
    let moments = match (metadata.sum_w, metadata.sum_wx, metadata.sum_wx2) {
        (Some(weight), Some(x), Some(x2)) => Some(Moments { weight, x, x2 }),
        _ => None,
    };
    let rounded = empty
        .clone()
        .with_contents(contents, variances, metadata.entries, moments)?;
    let Some(exact) = metadata.exact else {
        return Ok(rounded);
    };
    let exact = Exact::read(&exact).ok_or_else(|| shape("exact sums that cannot be read"))?;
    let Moments { weight, x, x2 } = rounded.moments();
    let sums = exact.given([("sum_w", weight), ("sum_wx", x), ("sum_wx2", x2)]);
    Ok(empty.with_sums(exact.bins(rounded.bins()), &sums))
}

fn to_histogram2d(
    name: &str,
    axes: [Axis; 2],
    metadata: Metadata,
    storage: Storage,
) -> Result<Histogram2d, UhiError> {
    let shape = |why: &str| UhiError::Kind {
        name: name.to_owned(),
        why: why.to_owned(),
    };
    let units = [metadata.unit(), metadata.ordinate_unit()];
    let empty = Histogram2d::new(name, metadata.title(), units, axes)?;
    let [columns, rows] = axes.map(|axis| axis.bins + 2);
    let table = |array| match array {
        Array::Table(table)
            if table.len() == columns && table.iter().all(|column| column.len() == rows) =>
        {
            let row = |row: usize| table.iter().map(move |column| column[row]);
            Some((0..rows).flat_map(row).collect())
        }
        Array::One(_) | Array::Line(_) | Array::Table(_) => None,
    };
    let (contents, variances) = cells_of(storage, table)
        .ok_or_else(|| shape("values that are no table of numbers with the axes' bins"))?;
    let found = [
        metadata.sum_w,
        metadata.sum_wx,
        metadata.sum_wx2,
        metadata.sum_wy,
        metadata.sum_wy2,
        metadata.sum_wxy,
    ];
    let moments = match found {
        [Some(weight), Some(x), Some(x2), Some(y), Some(y2), Some(xy)] => Some(Moments2d {
            weight,
            x,
            x2,
            y,
            y2,
            xy,
        }),
        _ => None,
    };
    let rounded = empty
        .clone()
        .with_contents(contents, variances, metadata.entries, moments)?;
    let Some(exact) = metadata.exact else {
        return Ok(rounded);
    };
    let exact = Exact::read(&exact).ok_or_else(|| shape("exact sums that cannot be read"))?;
    let values = rounded.sums().values();
    let sums = exact.given(std::array::from_fn(|n| (SUMS_2D[n], values[n])));
    Ok(empty.with_sums(exact.bins(rounded.bins()), &sums))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(name: &str, weight: f64) -> Histogram {
        let axis = Axis {
            bins: 4,
            low: 0.0,
            high: 2.0,
        };
        let mut histogram = Histogram::new(name, "mass", "GeV", axis).unwrap();
        for value in [0.125, 0.625, 0.625, 3.0] {
            histogram.fill_weighted(value, weight).unwrap();
        }
        histogram
    }

    /// This text was read by boost-histogram 1.8.1 and validated by uhi 1.2.1.
    const GOLDEN: &str = concat!(
        r#"{"a":{"uhi_schema":1,"metadata":{"name":"a","title":"mass","unit":"GeV","entries":4,"#,
        r#""sum_w":3.0,"sum_wx":1.375,"sum_wx2":0.796875},"axes":[{"type":"regular","#,
        r#""lower":0.0,"upper":2.0,"bins":4,"underflow":true,"overflow":true,"#,
        r#""circular":false}],"storage":{"type":"int","values":[0,1,2,0,0,1]}},"#,
        r#""b":{"uhi_schema":1,"metadata":{"name":"b","title":"mass","unit":"GeV","entries":4,"#,
        r#""sum_w":1.5,"sum_wx":0.6875,"sum_wx2":0.3984375},"axes":[{"type":"regular","#,
        r#""lower":0.0,"upper":2.0,"bins":4,"underflow":true,"overflow":true,"#,
        r#""circular":false}],"storage":{"type":"weighted","values":[0.0,0.5,1.0,0.0,0.0,0.5],"#,
        r#""variances":[0.0,0.25,0.5,0.0,0.0,0.25]}}}"#,
    );

    #[test]
    fn the_text_is_the_one_that_outside_tools_read() {
        assert_eq!(write(&[filled("b", 0.5), filled("a", 1.0)]), GOLDEN);
        assert_eq!(read(GOLDEN).unwrap(), [filled("a", 1.0), filled("b", 0.5)]);
    }

    #[test]
    fn a_histogram_of_another_tool_is_read() {
        // As boost-histogram 1.8.1 writes it: no metadata, but who wrote it.
        let text = concat!(
            r#"{"mass":{"uhi_schema":1,"writer_info":{"boost-histogram":{"version":"1.8.1"}},"#,
            r#""axes":[{"type":"regular","lower":0.0,"upper":2.0,"bins":4,"underflow":true,"#,
            r#""overflow":true,"circular":false}],"#,
            r#""storage":{"type":"double","values":[0.0,1.0,2.0,0.0,0.0,1.0]}}}"#,
        );
        let read = read(text).unwrap();
        assert_eq!((read[0].name(), read[0].entries()), ("mass", 4));
        assert!((read[0].mean().unwrap() - 1.75 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn rounded_sums_survive_writing_and_reading() {
        let mut histogram = filled("c", 1.0);
        for i in 0..1000 {
            histogram
                .fill_weighted(f64::from(i) / 700.0, 1.0 / 3.0)
                .unwrap();
        }
        let again = read(&write(std::slice::from_ref(&histogram))).unwrap();
        assert_eq!(again, [histogram]);
    }

    #[test]
    fn what_is_not_such_a_histogram_is_refused() {
        for (from, to) in [
            (r#""uhi_schema":1"#, r#""uhi_schema":2"#),
            (r#""underflow":true"#, r#""underflow":false"#),
            (r#""type":"regular""#, r#""type":"variable""#),
            (r#""type":"int""#, r#""type":"mean""#),
            ("[0,1,2,0,0,1]", "[0,1,2,0,0]"),
            ("[0,1,2,0,0,1]", "[0,1,2.5,0,0,1]"),
            (r#""bins":4"#, r#""bins":1000000000000"#),
            (r#""upper":2.0"#, r#""upper":0.0"#),
            (r#"{"a""#, r#"["a""#),
        ] {
            let text = GOLDEN.replacen(from, to, 1);
            assert_ne!(text, GOLDEN);
            assert!(read(&text).is_err(), "{to}");
        }
    }

    #[test]
    fn other_elements_are_read_as_they_were_written() {
        let axis = |bins| Axis {
            bins,
            low: 0.0,
            high: 2.0,
        };
        let mut map = Histogram2d::new("map", "", ["cm", ""], [axis(2), axis(1)]).unwrap();
        map.fill(0.5, 0.5).unwrap();
        map.fill(1.5, 9.0).unwrap();
        let elements = Elements::from([
            ("T/map".to_owned(), Element::Histogram2d(map)),
            ("T/n".to_owned(), Element::Counter(-3)),
            ("T/release".to_owned(), Element::text("R1")),
        ]);
        let text = write_elements(&elements);
        // Validated by uhi 1.2.1; boost-histogram 1.8.1 gives the same table for the same entries.
        for part in [
            r#""storage":{"type":"int","values":[[0,0,0],[0,1,0],[0,0,1],[0,0,0]]}"#,
            r#""T/n":{"uhi_schema":1,"metadata":{},"axes":[],"storage":{"type":"int","values":-3}}"#,
            r#""axes":[{"type":"category_str","categories":["R1"],"flow":false}]"#,
        ] {
            assert!(text.contains(part), "{text}");
        }
        assert_eq!(read_elements(&text).unwrap(), elements);
        assert!(read(&text).is_err());
        for (from, to) in [
            ("[0,0,0],[0,1,0]", "[0,0],[0,1,0]"),
            (r#""values":-3"#, r#""values":[-3]"#),
            (r#""values":[1]"#, r#""values":[1,1]"#),
            (r#""values":[1]"#, r#""values":[-1]"#),
            (r#""flow":false"#, r#""flow":true"#),
        ] {
            assert!(read_elements(&text.replacen(from, to, 1)).is_err(), "{to}");
        }
    }
}

//! Histograms as UHI JSON, which boost-histogram, hist and other tools read and write.
//!
//! In come histograms or text, out come text or histograms; schema 1 of the Unified Histogram
//! Interface (scikit-hep `uhi`, `resources/histogram.schema.json`): one regular axis with flow bins
//! and storage `int`, `double` or `weighted`. A file is an object of histograms by name. Name,
//! title, unit, entries and moments travel as metadata. Other axes are refused, never guessed.

use crate::histogram::{Axis, Histogram, HistogramError, Moments};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

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
        "reading UHI JSON, histogram {name}: {why}; write it with one regular axis with \
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

#[derive(Default, Serialize, Deserialize)]
struct Metadata {
    name: Option<String>,
    #[serde(default)]
    title: String,
    #[serde(default)]
    unit: String,
    entries: Option<u64>,
    sum_w: Option<f64>,
    sum_wx: Option<f64>,
    sum_wx2: Option<f64>,
}

#[derive(Serialize, Deserialize)]
struct UhiAxis {
    r#type: String,
    lower: f64,
    upper: f64,
    bins: usize,
    underflow: bool,
    overflow: bool,
    circular: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Storage {
    Int {
        values: Vec<i64>,
    },
    Double {
        values: Vec<f64>,
    },
    Weighted {
        values: Vec<f64>,
        variances: Vec<f64>,
    },
}

/// The text of a file of histograms. Of two with one name the later is kept.
pub fn write(histograms: &[Histogram]) -> String {
    let named: BTreeMap<&str, Uhi> = histograms.iter().map(|h| (h.name(), to_uhi(h))).collect();
    serde_json::to_string(&named).expect("numbers of a histogram are finite, names are text")
}

/// The histograms of a file, by name.
pub fn read(text: &str) -> Result<Vec<Histogram>, UhiError> {
    let named: BTreeMap<String, Uhi> =
        serde_json::from_str(text).map_err(|source| UhiError::Text { source })?;
    named
        .into_iter()
        .map(|(name, uhi)| from_uhi(&name, uhi))
        .collect()
}

fn to_uhi(histogram: &Histogram) -> Uhi {
    let axis = histogram.axis();
    let moments = histogram.moments();
    let values = histogram.contents().to_vec();
    let storage = if histogram.is_weighted() {
        Storage::Weighted {
            values,
            variances: histogram.variances().to_vec(),
        }
    } else if values.iter().all(|value| value.fract() == 0.0) {
        Storage::Int {
            values: values.iter().map(|value| *value as i64).collect(),
        }
    } else {
        Storage::Double { values }
    };
    Uhi {
        uhi_schema: 1,
        metadata: Metadata {
            name: Some(histogram.name().to_owned()),
            title: histogram.title().to_owned(),
            unit: histogram.unit().to_owned(),
            entries: Some(histogram.entries()),
            sum_w: Some(moments.weight),
            sum_wx: Some(moments.x),
            sum_wx2: Some(moments.x2),
        },
        axes: vec![UhiAxis {
            r#type: "regular".to_owned(),
            lower: axis.low,
            upper: axis.high,
            bins: axis.bins,
            underflow: true,
            overflow: true,
            circular: false,
        }],
        storage,
    }
}

fn from_uhi(key: &str, uhi: Uhi) -> Result<Histogram, UhiError> {
    let refuse = |why: String| UhiError::Kind {
        name: key.to_owned(),
        why,
    };
    if uhi.uhi_schema != 1 {
        return Err(refuse(format!(
            "uhi_schema {} is not known",
            uhi.uhi_schema
        )));
    }
    let [axis] = uhi.axes.as_slice() else {
        return Err(refuse(format!("{} axes, not one", uhi.axes.len())));
    };
    if axis.r#type != "regular" || !axis.underflow || !axis.overflow || axis.circular {
        return Err(refuse(format!(
            "axis of type {} without both flow bins",
            axis.r#type
        )));
    }
    let Metadata {
        name,
        title,
        unit,
        entries,
        sum_w,
        sum_wx,
        sum_wx2,
    } = uhi.metadata;
    let name = name.unwrap_or_else(|| key.to_owned());
    let booked = Axis {
        bins: axis.bins,
        low: axis.lower,
        high: axis.upper,
    };
    let empty = Histogram::new(&name, &title, &unit, booked)?;
    let moments = match (sum_w, sum_wx, sum_wx2) {
        (Some(weight), Some(x), Some(x2)) => Some(Moments { weight, x, x2 }),
        _ => None,
    };
    let (contents, variances) = match uhi.storage {
        Storage::Int { values } => (values.iter().map(|value| *value as f64).collect(), None),
        Storage::Double { values } => (values, None),
        Storage::Weighted { values, variances } => (values, Some(variances)),
    };
    Ok(empty.with_contents(contents, variances, entries, moments)?)
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
}

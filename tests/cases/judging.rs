//! What a judged item is, how numbers are compared, and where data files come from. In come got
//! and expected values; out come items with an outcome. It never decides what a case means.

use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// How one item of a case ended.
pub(crate) enum Outcome {
    /// As expected.
    Ok,
    /// As expected but for upstream's quirk of this name, to the last consequence.
    Quirk(String),
    /// Expected against got.
    Differs(String),
    /// A data file is not here; its name under `TIER0_DATA`.
    NeedsData(String),
    /// Nothing in this project answers this kind yet.
    NotBuilt,
}

/// One line of the report.
pub(crate) struct Item {
    /// Name within the case file.
    pub(crate) id: String,
    /// How it ended.
    pub(crate) outcome: Outcome,
}

/// Comparisons of one item.
#[derive(Default)]
pub(crate) struct Comparison {
    differences: Vec<String>,
}

impl Comparison {
    /// `got` within `tolerance` of `expect`; what is not a number never is.
    pub(crate) fn near(&mut self, what: &str, got: f64, expect: f64, tolerance: f64) {
        let off = (got - expect).abs();
        if off.is_nan() || off > tolerance {
            self.differences.push(format!(
                "{what}: expected {expect} +- {tolerance}, got {got}"
            ));
        }
    }

    /// `got` within a relative tolerance of `expect`.
    pub(crate) fn near_relative(&mut self, what: &str, got: f64, expect: f64, relative: f64) {
        self.near(what, got, expect, relative * expect.abs());
    }

    /// Equality.
    pub(crate) fn equal<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, got: T, expect: T) {
        if got != expect {
            self.differences
                .push(format!("{what}: expected {expect:?}, got {got:?}"));
        }
    }

    /// The item with these comparisons.
    pub(crate) fn item(self, id: impl Into<String>) -> Item {
        let outcome = if self.differences.is_empty() {
            Outcome::Ok
        } else {
            Outcome::Differs(self.differences.join("; "))
        };
        Item {
            id: id.into(),
            outcome,
        }
    }
}

/// An item that cannot be judged without `file`.
pub(crate) fn needs_data(id: impl Into<String>, file: &str) -> Item {
    Item {
        id: id.into(),
        outcome: Outcome::NeedsData(file.to_owned()),
    }
}

/// An item whose function raised an error.
pub(crate) fn raised(id: impl Into<String>, error: impl std::fmt::Display) -> Item {
    Item {
        id: id.into(),
        outcome: Outcome::Differs(format!("expected a result, got: {error}")),
    }
}

/// Where the files are that a case names.
pub(crate) struct Data {
    /// The folder of the data files, if there is one.
    pub(crate) folder: Option<PathBuf>,
    /// The folder of the case at hand, for what is kept with it.
    pub(crate) of_case: PathBuf,
}

impl Data {
    /// The path of a data file, or nothing when it is not here.
    pub(crate) fn path(&self, file: &str) -> Option<PathBuf> {
        let path = self.folder.as_ref()?.join(file);
        path.is_file().then_some(path)
    }

    /// The bytes of a file, or nothing when it is not here.
    pub(crate) fn bytes(&self, file: &str) -> Option<Vec<u8>> {
        std::fs::read(self.path(file)?).ok()
    }

    /// The bytes of a file that is kept with the case, or nothing when it is not there.
    pub(crate) fn beside(&self, file: &str) -> Option<Vec<u8>> {
        std::fs::read(self.of_case.join(file)).ok()
    }

    /// The text of a file, or nothing when it is not here.
    pub(crate) fn text(&self, file: &str) -> Option<String> {
        String::from_utf8(self.bytes(file)?).ok()
    }

    /// The rows of a file of comma-separated numbers and words, or nothing when it is not here.
    pub(crate) fn table(&self, file: &str) -> Option<Table> {
        let text = self.text(file)?;
        let mut lines = text.lines();
        let names = lines.next()?.split(',').enumerate();
        let columns = names
            .map(|(place, name)| (name.to_owned(), place))
            .collect();
        let rows = lines
            .map(|line| line.split(',').map(str::to_owned).collect())
            .collect();
        Some(Table { columns, rows })
    }
}

/// A table with named columns.
pub(crate) struct Table {
    columns: BTreeMap<String, usize>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A column of numbers.
    pub(crate) fn numbers(&self, column: &str) -> Vec<f64> {
        let place = self.columns[column];
        self.rows
            .iter()
            .map(|row| row[place].parse().expect("the column holds numbers"))
            .collect()
    }

    /// The runs of the rows.
    pub(crate) fn runs(&self) -> Vec<u32> {
        self.numbers("Run")
            .into_iter()
            .map(|run| run as u32)
            .collect()
    }
}

/// A number of a case.
pub(crate) fn number(value: &Value) -> f64 {
    value
        .as_f64()
        .unwrap_or_else(|| panic!("the case should hold a number, not {value}"))
}

/// A number of a case, or the number that a text of it begins with ("1e-6 relative").
pub(crate) fn leading_number(value: &Value) -> f64 {
    let word = value
        .as_str()
        .and_then(|text| text.split_whitespace().next());
    word.map_or_else(
        || number(value),
        |word| {
            word.parse()
                .unwrap_or_else(|_| panic!("the case should begin {value} with a number"))
        },
    )
}

/// A count of a case.
pub(crate) fn count(value: &Value) -> u64 {
    value
        .as_u64()
        .unwrap_or_else(|| panic!("the case should hold a count, not {value}"))
}

/// A text of a case.
pub(crate) fn text(value: &Value) -> &str {
    value
        .as_str()
        .unwrap_or_else(|| panic!("the case should hold a text, not {value}"))
}

/// A list of a case.
pub(crate) fn list(value: &Value) -> &[Value] {
    value
        .as_array()
        .unwrap_or_else(|| panic!("the case should hold a list, not {value}"))
}

/// The members of an object of a case.
pub(crate) fn members(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let object = value.as_object();
    object
        .unwrap_or_else(|| panic!("the case should hold an object, not {value}"))
        .iter()
        .map(|(name, member)| (name.as_str(), member))
}

//! What a judged item is, how numbers are compared, and where data files come from. In come got
//! and expected values; out come items with an outcome. It never decides what a case means.

use serde_json::Value;
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
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
    made: usize,
    differences: Vec<String>,
}

impl Comparison {
    /// `got` within `tolerance` of `expect`; what is not a number never is.
    pub(crate) fn near(&mut self, what: &str, got: f64, expect: f64, tolerance: f64) {
        self.made += 1;
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
        self.made += 1;
        if got != expect {
            self.differences
                .push(format!("{what}: expected {expect:?}, got {got:?}"));
        }
    }

    /// `got` within `tolerance` of a number that the case may ask for.
    pub(crate) fn near_asked(&mut self, what: &str, got: f64, expect: &Value, tolerance: f64) {
        if !expect.is_null() {
            self.near(what, got, number(expect), tolerance);
        }
    }

    /// `got` within a relative tolerance of a number that the case may ask for.
    pub(crate) fn near_asked_relative(
        &mut self,
        what: &str,
        got: f64,
        expect: &Value,
        relative: f64,
    ) {
        if !expect.is_null() {
            self.near_relative(what, got, number(expect), relative);
        }
    }

    /// One of the values that are right.
    pub(crate) fn one_of<T: PartialEq + std::fmt::Debug>(
        &mut self,
        what: &str,
        got: T,
        legal: &[T],
    ) {
        self.made += 1;
        if !legal.contains(&got) {
            self.differences
                .push(format!("{what}: expected one of {legal:?}, got {got:?}"));
        }
    }

    /// The count that the case may ask for.
    pub(crate) fn count_asked(&mut self, what: &str, got: u64, expect: &Value) {
        if !expect.is_null() {
            self.equal(what, got, count(expect));
        }
    }

    /// The item with these comparisons. Without any it differs: whatever the case asks was not
    /// understood.
    pub(crate) fn item(self, id: impl Into<String>) -> Item {
        if self.made == 0 {
            return raised(id, "nothing to compare that is understood");
        }
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

/// What a judge gives, or an item that differs with the words of its panic: a case that is not
/// understood differs, and whatever else there is gets judged.
pub(crate) fn caught<T>(
    id: &str,
    judge: impl FnOnce() -> T,
    differing: impl FnOnce(Item) -> T,
) -> T {
    std::panic::catch_unwind(AssertUnwindSafe(judge)).unwrap_or_else(|panic| {
        let words = panic.downcast_ref::<String>().map(String::as_str);
        let words = words.or_else(|| panic.downcast_ref::<&str>().copied());
        differing(raised(id, words.unwrap_or("a panic without words")))
    })
}

/// The `id` of an item of a case, where it has one.
pub(crate) fn id_of(item: &Value) -> &str {
    item["id"].as_str().unwrap_or("without an id")
}

/// One item of a list, caught.
pub(crate) fn each(list: &Value, name: &str, judge: impl Fn(&Value) -> Item) -> Vec<Item> {
    let judged = |(place, one): (usize, &Value)| {
        let id = one["id"].as_str().map(str::to_owned);
        let id = id.unwrap_or_else(|| format!("{name} {}", place + 1));
        caught(&id, || judge(one), |item| item)
    };
    list_asked(list).iter().enumerate().map(judged).collect()
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
    /// The text of the case at hand, for what depends on the order of members.
    pub(crate) case_text: String,
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
            .map(|(place, name)| (name.trim().to_owned(), place))
            .collect();
        let rows = lines
            .filter(|line| !line.trim().is_empty())
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
        let place = self.columns.get(column);
        let place = *place.unwrap_or_else(|| panic!("the data have no column {column}"));
        let cell = |row: &Vec<String>| row[place].trim().parse();
        let numbers = self.rows.iter().map(cell);
        numbers
            .collect::<Result<_, _>>()
            .unwrap_or_else(|_| panic!("column {column} of the data should hold numbers"))
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

/// A list that a case may have.
pub(crate) fn list_asked(value: &Value) -> &[Value] {
    if value.is_null() { &[] } else { list(value) }
}

/// The members of an object that a case may have.
pub(crate) fn members_asked(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let asked = (!value.is_null()).then(|| members(value));
    asked.into_iter().flatten()
}

/// The number that stands right before a mark in the words of a case.
pub(crate) fn number_before(words: &Value, mark: &str) -> Option<f64> {
    let (before, _) = words.as_str()?.split_once(mark)?;
    let digits = before
        .trim_end()
        .rsplit(|c: char| !"0123456789.".contains(c));
    digits.map(str::parse).next()?.ok()
}

/// The number that stands right after a mark in the words of a case.
pub(crate) fn number_after(words: &Value, mark: &str) -> Option<f64> {
    let (_, after) = words.as_str()?.split_once(mark)?;
    let mut digits = after
        .trim_start()
        .split(|c: char| !"0123456789.-+e".contains(c));
    digits.next()?.parse().ok()
}

/// The members of an object of a case.
pub(crate) fn members(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let object = value.as_object();
    object
        .unwrap_or_else(|| panic!("the case should hold an object, not {value}"))
        .iter()
        .map(|(name, member)| (name.as_str(), member))
}

//! `tier0 program skim`: the events of a window, from published event tables.
//!
//! In: event tables (`AOD` or `RECO`, Parquet) and a window: the job's parameters `column`, `low`
//! (included) and `high` (not included); without `column` the mass, corrected where the tables have
//! it. Out: `SKIM`, a table with the same columns and the rows in the window, in order of run, lumi
//! and event; the window stands in its metadata under `tier0.skim`. Every event that was read is
//! either in it or counted as left out: `metrics` has both, and of the lumis those with none left
//! too. A row without a value in the column is left out, and counted on its own. It never changes a
//! value.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::json;

use crate::format::Label;
use crate::input::{check_label, mixed, refuse_twice};
use crate::job::{JobError, JobFile, JobInput, Made};
use crate::outputs::{Outputs, ranges};
use crate::table::{Table, Values};

/// File metadata that holds the window in words.
const SKIM_KEY: &str = "tier0.skim";
/// What is looked at when nobody says: the first of these that the tables have.
const MASSES: [&str; 2] = ["mass_corrected_gev", "mass_gev"];

/// Which rows stay.
struct Window {
    column: Option<String>,
    low: f64,
    high: f64,
}

/// Runs one job.
pub(crate) fn run(job: &JobFile, folder: &Path) -> Result<Made, JobError> {
    let mut outputs = Outputs::new(job, folder, &["SKIM"])?;
    let window = Window::of(job)?;
    let mut all: Option<Table> = None;
    let mut label = None;
    for input in &job.inputs {
        read(job, input, &mut label, &mut all)?;
    }
    let (Some(all), Some(label)) = (all, label) else {
        let what = "the job has no inputs, skim reads event tables".into();
        return Err(JobError::Definition { what });
    };
    let refuse = |reason: String| job.inputs[0].refuse(reason);
    let runs = all.u32s("run").map_err(refuse)?;
    let (lumis, events) = (
        all.u32s("lumi").map_err(refuse)?,
        all.u64s("event").map_err(refuse)?,
    );
    let key = |row: &usize| (runs[*row], lumis[*row], events[*row]);
    refuse_twice(job, (0..all.rows()).map(|row| (runs[row], events[row])))?;
    let (column, values) = window.values(&all).map_err(refuse)?;
    let inside = |row: &usize| values[*row].is_some_and(|value| window.holds(value));
    let mut kept: Vec<usize> = (0..all.rows()).filter(inside).collect();
    kept.sort_by_key(key);
    let without_value = values.iter().filter(|value| value.is_none()).count();
    let mut skim = all.rows_of(&kept);
    let words = format!("{column} from {} to {}", window.low, window.high);
    skim.note(SKIM_KEY, words.as_str());
    let covered = ranges(lumis.iter().copied());
    let left: BTreeSet<(u32, u32)> = kept.iter().map(|row| (runs[*row], lumis[*row])).collect();
    let read: BTreeSet<(u32, u32)> = runs.iter().copied().zip(lumis.iter().copied()).collect();
    let (events_read, events_written) = (all.rows() as u64, kept.len() as u64);
    outputs.write("SKIM", events_written, &covered, || skim.to_parquet())?;
    Ok(Made {
        outputs: outputs.done(),
        events_read,
        events_written,
        metrics: json!({
            "label": label.as_str(),
            "window": words,
            "events_left_out": events_read - events_written,
            "events_without_value": without_value,
            "lumis_without_events": read.difference(&left).collect::<Vec<_>>(),
        }),
    })
}

impl Window {
    fn of(job: &JobFile) -> Result<Self, JobError> {
        let define = |what: String| JobError::Definition { what };
        let edge = |name: &str| {
            let missing = || {
                define(format!(
                    "the parameter {name} is missing, a window has low and high"
                ))
            };
            job.number(name)?.ok_or_else(missing)
        };
        let (low, high) = (edge("low")?, edge("high")?);
        if low >= high {
            return Err(define(format!(
                "the window from {low} to {high} holds nothing"
            )));
        }
        let column = match job.parameter("column") {
            None => None,
            Some(value) => match value.as_str() {
                Some(name) => Some(name.to_owned()),
                None => {
                    return Err(define(format!(
                        "parameter column is {value}, it must be a name"
                    )));
                }
            },
        };
        Ok(Self { column, low, high })
    }

    fn holds(&self, value: f64) -> bool {
        (self.low..self.high).contains(&value)
    }

    /// The column that is looked at, and its values by row.
    fn values(&self, table: &Table) -> Result<(String, Vec<Option<f64>>), String> {
        let usual = || {
            MASSES
                .into_iter()
                .find(|name| table.numbers(name).is_ok())
                .unwrap_or(MASSES[1])
        };
        let name = self.column.as_deref().unwrap_or_else(usual);
        Ok((name.to_owned(), table.numbers(name)?))
    }
}

/// Adds the rows of one input to those of the others.
fn read(
    job: &JobFile,
    input: &JobInput,
    label: &mut Option<Label>,
    all: &mut Option<Table>,
) -> Result<(), JobError> {
    // The bytes are read once for their checksum and again by the reader.
    input.read()?;
    let table = Table::read(&input.path).map_err(|reason| input.refuse(reason))?;
    let word = table.noted("tier0.label").unwrap_or_default();
    let found = Label::from_word(word);
    let found =
        found.ok_or_else(|| input.refuse(format!("its label is {word:?}, no event table's")))?;
    check_label(input, found, label.or(job.label()?))?;
    *label = Some(found);
    input.check_events(table.rows() as u64)?;
    if let (Some(run), Ok(runs)) = (job.run, table.u32s("run"))
        && let Some(other) = runs.iter().find(|other| **other != run)
    {
        return Err(mixed(input, &format!("run {other}"), &format!("run {run}")));
    }
    match all {
        None => *all = Some(table),
        Some(all) => all.append(&table).map_err(|reason| input.refuse(reason))?,
    }
    Ok(())
}

/// Values of a column as they can be compared: whole numbers too.
impl Table {
    fn numbers(&self, name: &str) -> Result<Vec<Option<f64>>, String> {
        Ok(match self.column(name)? {
            Values::U32(values) => values.iter().map(|value| Some(f64::from(*value))).collect(),
            Values::I32(values) => values.iter().map(|value| Some(f64::from(*value))).collect(),
            Values::F64(values) => values.iter().copied().map(Some).collect(),
            Values::OptionF64(values) => values.clone(),
            Values::U64(_) => {
                return Err(format!(
                    "column {name} holds numbers of events, no quantity"
                ));
            }
        })
    }
}

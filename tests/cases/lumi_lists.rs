//! Certification files and lists of processed lumis, against sets.

use crate::judging::{
    Comparison, Data, Item, caught, count, list, list_asked, members_asked, needs_data, number,
    raised, text,
};
use dqm::lumis::{LumiList, LumiListError};
use serde_json::Value;

/// Parts of a case that need its files.
const PARTS: [&str; 5] = [
    "counts",
    "uproot_zmumu_runs",
    "processed_from_lumi_csv",
    "certified_and_processed",
    "processed_not_certified",
];
/// One that stands within another.
const RECORDED: &str = "recorded luminosity";

pub(crate) fn judge(case: &Value, data: &Data) -> Vec<Item> {
    let mut items = Vec::new();
    let unsorted = &case["compact_unsorted_input"];
    if !unsorted.is_null() {
        let id = "compact_unsorted_input";
        items.push(caught(id, || compact(id, unsorted), |item| item));
    }
    let files: Vec<&str> = list_asked(&case["files"]).iter().map(text).collect();
    let recorded = &case["certified_and_processed"]["recorded_inverse_pb"];
    let parts = PARTS.into_iter().map(|part| (part, &case[part]));
    let parts = parts.chain([(RECORDED, recorded)]);
    for (part, expect) in parts.filter(|(_, expect)| !expect.is_null()) {
        // A file that is not here is missing to each part that may need it.
        let absent = files.iter().find(|file| data.text(file).is_none());
        if let Some(file) = absent {
            items.push(needs_data(part, file));
            continue;
        }
        let judged = || {
            let inputs = Inputs::read(&files, data)?;
            with_data(part, expect, &inputs)
        };
        let item = || judged().unwrap_or_else(|error: LumiListError| raised(part, error));
        items.push(caught(part, item, |item| item));
    }
    items
}

fn compact(id: &str, unsorted: &Value) -> Item {
    let run = count(&unsorted["run"]) as u32;
    let lumis = list(&unsorted["ls"]).iter();
    let lumis = lumis.map(|lumi| (run, count(lumi) as u32));
    let mut comparison = Comparison::default();
    let got = LumiList::from_lumis(lumis);
    same(&mut comparison, &got, &unsorted["expect"]);
    comparison.item(id)
}

/// What the files of a case hold.
struct Inputs {
    /// The certification files, in their order.
    certified: Vec<LumiList>,
    /// Run, lumi and recorded luminosity per picobarn of each row of the tables.
    rows: Vec<(u32, u32, f64)>,
}

impl Inputs {
    fn read(files: &[&str], data: &Data) -> Result<Self, LumiListError> {
        let (mut certified, mut rows) = (Vec::new(), Vec::new());
        for file in files {
            let content = data.text(file).unwrap_or_default();
            let ending = std::path::Path::new(file).extension();
            if ending.is_some_and(|ending| ending == "csv") {
                rows.extend(luminosities(&content));
            } else {
                certified.push(LumiList::parse(&content)?);
            }
        }
        Ok(Self { certified, rows })
    }

    fn certified(&self, place: usize) -> &LumiList {
        let found = self.certified.get(place);
        found.expect("the case should name the certification files that it asks about")
    }

    fn processed(&self) -> LumiList {
        LumiList::from_lumis(self.rows.iter().map(|(run, lumi, _)| (*run, *lumi)))
    }
}

/// The rows of a luminosity table: run, lumi, recorded luminosity per picobarn.
fn luminosities(table: &str) -> Vec<(u32, u32, f64)> {
    // "#run:fill,ls,...,recorded(/pb),...": where it stands, and in what unit.
    let header = table.lines().find(|line| line.starts_with("#run"));
    let names: Vec<&str> = header.unwrap_or_default().split(',').collect();
    let recorded = names.iter().position(|name| name.starts_with("recorded"));
    let unit = recorded.map_or("recorded(/pb)", |place| names[place]);
    let per_inverse_pb = match unit.trim() {
        "recorded(/fb)" => 1e3,
        "recorded(/pb)" => 1.0,
        "recorded(/nb)" => 1e-3,
        "recorded(/ub)" => 1e-6,
        other => panic!("the luminosity is in a unit that this runner does not know: {other}"),
    };
    let rows = table.lines().map(str::trim);
    rows.filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            let before = |cell: &str| -> u32 {
                let first = cell.split(':').next().unwrap_or_default();
                first.trim().parse().expect("runs and lumis are numbers")
            };
            let cell = cells[recorded.unwrap_or(6)].trim();
            let recorded: f64 = cell.parse().expect("luminosity is a number");
            (
                before(cells[0]),
                before(cells[1]),
                recorded * per_inverse_pb,
            )
        })
        .collect()
}

fn with_data(part: &str, expect: &Value, inputs: &Inputs) -> Result<Item, LumiListError> {
    let a = || inputs.certified(0);
    let mut comparison = Comparison::default();
    match part {
        "counts" => counts(&mut comparison, expect, inputs),
        "uproot_zmumu_runs" => {
            let b = inputs.certified(1);
            let runs = LumiList::parse(&expect.to_string())?;
            let everything = runs
                .runs()
                .map(|(run, _)| format!("\"{run}\": [[1, {}]]", u32::MAX));
            let everything = format!("{{{}}}", everything.collect::<Vec<_>>().join(", "));
            let both = b.intersection(&LumiList::parse(&everything)?);
            same(&mut comparison, &both, expect);
        }
        RECORDED => {
            let rows = inputs.rows.iter();
            let certified = rows.filter(|(run, lumi, _)| a().contains(*run, *lumi));
            let recorded: f64 = certified.map(|(_, _, recorded)| recorded).sum();
            comparison.near("recorded_inverse_pb", recorded, number(expect), 1e-6);
        }
        _ => {
            let processed = inputs.processed();
            let got = match part {
                "processed_from_lumi_csv" => processed,
                "certified_and_processed" => a().intersection(&processed),
                _ => processed.difference(a()),
            };
            comparison.count_asked("n_ls", got.count(), &expect["n_ls"]);
            if !expect["compact"].is_null() {
                same(&mut comparison, &got, &expect["compact"]);
            }
        }
    }
    Ok(comparison.item(part))
}

/// Sizes of the first certification file (a), the second (b), and of both together.
fn counts(comparison: &mut Comparison, expect: &Value, inputs: &Inputs) {
    for (what, expect) in members_asked(expect) {
        let (a, b) = (inputs.certified(0), || inputs.certified(1));
        let got = match what {
            "a_runs" => a.runs().count() as u64,
            "a_ls" => a.count(),
            "b_runs" => b().runs().count() as u64,
            "b_ls" => b().count(),
            "union_ls" => a.union(b()).count(),
            "inter_ls" => a.intersection(b()).count(),
            "a_minus_b_ls" => a.difference(b()).count(),
            "b_minus_a_ls" => b().difference(a).count(),
            other => {
                comparison.equal(other, "a count that this runner does not know", "known");
                continue;
            }
        };
        comparison.equal(what, got, count(expect));
    }
}

/// The list read and printed again must be the object of the case, text for text. A list with a
/// lumi 0, which a table may have and no certification, is refused when it is read.
fn same(comparison: &mut Comparison, got: &LumiList, expect: &Value) {
    let printed: Value = serde_json::from_str(&got.to_string()).expect("a printed list is JSON");
    comparison.equal("ranges", &printed, expect);
    match LumiList::parse(&expect.to_string()) {
        Ok(again) => comparison.equal("read again", &again, got),
        Err(LumiListError::Range { first: 0, .. }) => {}
        Err(error) => comparison.equal("read again", error.to_string().as_str(), "a list"),
    }
}

//! Certification files and lists of processed lumis, against sets.

use crate::judging::{Comparison, Data, Item, count, list, needs_data, number, raised, text};
use dqm::lumis::{LumiList, LumiListError};
use serde_json::Value;

pub(crate) fn judge(case: &Value, data: &Data) -> Vec<Item> {
    let unsorted = &case["compact_unsorted_input"];
    let run = count(&unsorted["run"]) as u32;
    let lumis = list(&unsorted["ls"])
        .iter()
        .map(|lumi| (run, count(lumi) as u32));
    let mut comparison = Comparison::default();
    same(
        &mut comparison,
        &LumiList::from_lumis(lumis),
        &unsorted["expect"],
    );
    let mut items = vec![comparison.item("compact_unsorted_input")];
    let files: Vec<&str> = list(&case["files"]).iter().map(text).collect();
    let texts: Vec<Option<String>> = files.iter().map(|file| data.text(file)).collect();
    if let Some(absent) = texts.iter().position(Option::is_none) {
        items.push(needs_data("certified and processed lumis", files[absent]));
        return items;
    }
    let texts: Vec<String> = texts.into_iter().flatten().collect();
    match with_data(case, &texts) {
        Ok(judged) => items.extend(judged),
        Err(error) => items.push(raised("certified and processed lumis", error)),
    }
    items
}

/// A lumi of the luminosity table: run, lumi, recorded luminosity per picobarn.
fn luminosities(table: &str) -> Vec<(u32, u32, f64)> {
    let rows = table.lines().filter(|line| !line.starts_with('#'));
    rows.map(|line| {
        let cells: Vec<&str> = line.split(',').collect();
        let before = |cell: &str| -> u32 {
            let first = cell
                .split(':')
                .next()
                .expect("a split gives one piece at least");
            first.parse().expect("runs and lumis are numbers")
        };
        (
            before(cells[0]),
            before(cells[1]),
            cells[6].parse().expect("luminosity is a number"),
        )
    })
    .collect()
}

fn with_data(case: &Value, texts: &[String]) -> Result<Vec<Item>, LumiListError> {
    let (a, b) = (LumiList::parse(&texts[0])?, LumiList::parse(&texts[1])?);
    let rows = luminosities(&texts[2]);
    let processed = LumiList::from_lumis(rows.iter().map(|(run, lumi, _)| (*run, *lumi)));
    let mut counts = Comparison::default();
    for (what, got) in [
        ("a_runs", a.runs().count() as u64),
        ("a_ls", a.count()),
        ("b_runs", b.runs().count() as u64),
        ("b_ls", b.count()),
        ("union_ls", a.union(&b).count()),
        ("inter_ls", a.intersection(&b).count()),
    ] {
        counts.equal(what, got, count(&case["counts"][what]));
    }
    let mut items = vec![counts.item("counts")];
    let both = a.intersection(&processed);
    for (id, got) in [
        ("processed_from_lumi_csv", &processed),
        ("certified_and_processed", &both),
        ("processed_not_certified", &processed.difference(&a)),
    ] {
        let mut comparison = Comparison::default();
        comparison.equal("n_ls", got.count(), count(&case[id]["n_ls"]));
        same(&mut comparison, got, &case[id]["compact"]);
        items.push(comparison.item(id));
    }
    let certified = rows
        .iter()
        .filter(|(run, lumi, _)| both.contains(*run, *lumi));
    let recorded: f64 = certified.map(|(_, _, recorded)| recorded).sum();
    let mut comparison = Comparison::default();
    let expect = number(&case["certified_and_processed"]["recorded_inverse_pb"]);
    comparison.near("recorded_inverse_pb", recorded, expect, 1e-6);
    items.push(comparison.item("recorded luminosity"));
    let expect = &case["uproot_zmumu_runs"];
    let runs = LumiList::parse(&expect.to_string())?;
    let everything = runs
        .runs()
        .map(|(run, _)| format!("\"{run}\": [[1, {}]]", u32::MAX));
    let everything = format!("{{{}}}", everything.collect::<Vec<_>>().join(", "));
    let mut comparison = Comparison::default();
    same(
        &mut comparison,
        &b.intersection(&LumiList::parse(&everything)?),
        expect,
    );
    items.push(comparison.item("uproot_zmumu_runs"));
    Ok(items)
}

/// The list read and printed again must be the object of the case, text for text.
fn same(comparison: &mut Comparison, got: &LumiList, expect: &Value) {
    let printed: Value = serde_json::from_str(&got.to_string()).expect("a printed list is JSON");
    comparison.equal("ranges", &printed, expect);
    let again = LumiList::parse(&expect.to_string()).unwrap_or_default();
    comparison.equal("read again", &again, got);
}

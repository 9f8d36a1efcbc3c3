//! Events of a window, and raw events as a table: each is there as often as an independent count of
//! the source says, as a process would do it and as a warm worker. In: a simulated data set.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::PROGRAMS;
use crate::chain_tests::{Chain, pairs, simulated};
use crate::event::Layout;
use crate::source;
use crate::table::Table;

/// Events of the source in a window of the mass in GeV, by run: (run, event).
fn counted(path: &std::path::Path, low: f64, high: f64) -> Vec<(u32, u64)> {
    let data = source::read(path).unwrap();
    let layout = Layout::of(&data.columns).unwrap();
    let mut found = Vec::new();
    for (run, events) in &data.runs {
        for event in events {
            let mass_gev = layout.dimuon(&event.rows[0]).unwrap().mass_gev;
            if mass_gev >= low && mass_gev < high {
                found.push((*run, event.event));
            }
        }
    }
    found.sort_unstable();
    found
}

fn window(low: f64, high: f64) -> Value {
    json!({"parameters": {"low": low, "high": high}})
}

/// RECO tables of each run of a simulated data set.
fn tables(chain: &mut Chain) -> Vec<(u32, Vec<PathBuf>)> {
    let mut all = Vec::new();
    for (run, files) in chain.files() {
        let tables = files.iter().map(|file| {
            let made = chain.products("express", run, std::slice::from_ref(file), json!({}));
            made["RECO"].path.clone()
        });
        all.push((run, tables.collect()));
    }
    all
}

#[test]
fn a_skim_holds_what_an_independent_count_finds_and_accounts_for_the_rest() {
    let (_folder, path, _) = simulated(13);
    let mut chain = Chain::new(&path, |_| ());
    let reco = tables(&mut chain);
    for (low, high) in [(80.0, 100.0), (60.0, 120.0), (119.0, 119.5), (10.0, 20.0)] {
        let (mut kept, mut read) = (Vec::new(), 0);
        for (run, tables) in &reco {
            let made = chain.products("skim", *run, tables, window(low, high));
            let report = &made["SKIM"].report;
            let (events_in, out) = (
                report["events_read"].as_u64(),
                report["events_written"].as_u64(),
            );
            let left_out = report["metrics"]["events_left_out"].as_u64();
            assert_eq!(
                events_in,
                Some(out.unwrap() + left_out.unwrap()),
                "{report}"
            );
            assert_eq!(report["outputs"][0]["events"].as_u64(), out, "{report}");
            assert_eq!(
                report["outputs"][0]["lumis"],
                json!([[1, 3]]),
                "all that was looked at"
            );
            read += events_in.unwrap();
            kept.push(made["SKIM"].path.clone());
        }
        let expect = counted(&path, low, high);
        let found = pairs(&kept);
        let (n, wanted) = (found.len(), expect.len());
        assert!(
            found == expect,
            "{low} to {high}: {n} events, {wanted} counted"
        );
        println!("{low} to {high} GeV: {} of {read} events", expect.len());
        assert_eq!(read, 4 * 500);
    }
}

#[test]
fn rows_are_those_of_the_table_in_order_and_a_skim_of_a_skim_is_the_smaller_one() {
    let (_folder, path, _) = simulated(13);
    let mut chain = Chain::new(&path, |_| ());
    let (run, tables) = tables(&mut chain).remove(0);
    let mut turned = tables.clone();
    turned.reverse();
    let made = chain.products("skim", run, &turned, window(80.0, 100.0));
    let skim = Table::read(&made["SKIM"].path).unwrap();
    assert_eq!(skim.noted("tier0.skim"), Some("mass_gev from 80 to 100"));
    assert_eq!(skim.noted("tier0.label"), Some("simulated"));
    let keys: Vec<(u32, u64)> =
        std::iter::zip(skim.u32s("lumi").unwrap(), skim.u64s("event").unwrap())
            .map(|(lumi, event)| (*lumi, *event))
            .collect();
    assert!(keys.is_sorted());
    for table in &tables {
        let table = Table::read(table).unwrap();
        let events = table.u64s("event").unwrap();
        let rows: Vec<usize> = (0..table.rows())
            .filter(|row| keys.iter().any(|(_, event)| *event == events[*row]))
            .collect();
        let kept = skim.u64s("event").unwrap().iter();
        let places: Vec<usize> = kept
            .enumerate()
            .filter(|(_, event)| events.contains(event))
            .map(|(at, _)| at)
            .collect();
        for name in ["pt1", "phi2", "mass_gev"] {
            assert_eq!(
                table.rows_of(&rows).f64s(name),
                skim.rows_of(&places).f64s(name),
                "{name}"
            );
        }
    }
    let first = made["SKIM"].path.clone();
    let again = chain.products(
        "skim",
        run,
        std::slice::from_ref(&first),
        window(90.0, 92.0),
    );
    let at_once = chain.products("skim", run, &tables, window(90.0, 92.0));
    assert_eq!(
        pairs(&[again["SKIM"].path.clone()]),
        pairs(&[at_once["SKIM"].path.clone()])
    );
    // Of corrected tables the corrected mass is looked at.
    let scale = chain.folder.path().join("scale.json");
    std::fs::write(&scale, json!({"k": 1.1}).to_string()).unwrap();
    let tags = json!({"scale": {"since": 1, "hash": "k", "path": scale}});
    let files = chain.files()[&run].clone();
    let aod = chain.products("prompt", run, &files, json!({"conditions": {"tags": tags}}));
    let aod = aod["AOD"].path.clone();
    let corrected = chain.products("skim", run, &[aod], window(99.0, 110.0));
    let corrected = Table::read(&corrected["SKIM"].path).unwrap();
    let masses = corrected.f64s("mass_gev").unwrap();
    assert!(masses.len() > 100 && masses.iter().all(|mass| (90.0..=100.0).contains(mass)));
    // Any column will do; impact parameters are optional ones.
    let more = json!({"parameters": {"column": "dxy1", "low": -0.05, "high": 0.0}});
    let made = chain.products("skim", run, &tables, more);
    let report = &made["SKIM"].report;
    assert!(
        (1..500).contains(&report["events_written"].as_u64().unwrap()),
        "{report}"
    );
    assert_eq!(report["metrics"]["events_without_value"], 0);
}

#[test]
fn what_cannot_be_skimmed_is_refused_in_words() {
    let (_folder, path, _) = simulated(13);
    let mut chain = Chain::new(&path, |_| ());
    let all = tables(&mut chain);
    let (run, tables) = all[0].clone();
    let twice = [tables[0].clone(), tables[0].clone()];
    let foreign = [tables[0].clone(), all[1].1[0].clone()];
    let raw = chain.files()[&run][..1].to_vec();
    let with = |parameters: Value| json!({ "parameters": parameters });
    for (inputs, more, expect) in [
        (&tables[..], json!({}), "the parameter low is missing"),
        (
            &tables,
            with(json!({"low": 5})),
            "the parameter high is missing",
        ),
        (
            &tables,
            window(5.0, 5.0),
            "the window from 5 to 5 holds nothing",
        ),
        (
            &tables,
            with(json!({"low": 1, "high": 2, "column": "charm"})),
            "column charm is missing",
        ),
        (
            &tables,
            with(json!({"low": 1, "high": 2, "column": "event"})),
            "no quantity",
        ),
        (&twice, window(1.0, 2.0), "comes twice among the inputs"),
        (&foreign, window(1.0, 2.0), "never mix them"),
        (&raw, window(1.0, 2.0), "not a readable Parquet file"),
        (&[], window(1.0, 2.0), "the job has no inputs"),
    ] {
        let (report, folder) = chain.report("skim", run, inputs, more);
        let message = report["exit"]["message"].as_str().unwrap();
        assert!(message.contains(expect), "{message:?} lacks {expect:?}");
        assert_eq!(
            std::fs::read_dir(folder).unwrap().count(),
            0,
            "a failed job left files"
        );
    }
}

#[test]
fn repack_writes_every_event_once_and_both_work_warm() {
    let (_folder, path, _) = simulated(13);
    let mut chain = Chain::new(&path, |_| ());
    let (run, files) = chain.files().into_iter().next().unwrap();
    let made = chain.products("repack", run, &files, json!({}));
    let raw = made["RAW"].path.clone();
    let of_run = |pair: &(u32, u64)| pair.0 == run;
    let expect: Vec<_> = counted(&path, 0.0, 1e9)
        .into_iter()
        .filter(of_run)
        .collect();
    assert_eq!(pairs(std::slice::from_ref(&raw)), expect);
    let process = chain.products("skim", run, std::slice::from_ref(&raw), window(80.0, 100.0));
    for (name, input, label, parameters, alike) in [
        ("repack", &files[0], "RAW", json!({}), None),
        (
            "skim",
            &raw,
            "SKIM",
            json!({"low": 80.0, "high": 100.0}),
            Some(&process["SKIM"].path),
        ),
    ] {
        let program = PROGRAMS
            .iter()
            .find(|program| program.name == name)
            .unwrap();
        let job = |id: u32| {
            json!({"job": {"job": id, "attempt": 1, "run": run, "cwd": chain.folder.path(),
                "inputs": [{"path": input}], "parameters": parameters,
                "outputs": [{"label": label, "path": format!("{name}{id}")}]}})
        };
        let lines = [
            job(1).to_string(),
            job(2).to_string(),
            json!({"quit": {}}).to_string(),
        ];
        let mut said = Vec::new();
        assert_eq!(program.worker(lines.join("\n").as_bytes(), &mut said), 0);
        let said = String::from_utf8(said).unwrap();
        assert_eq!(said.matches("\"class\":\"ok\"").count(), 2, "{said}");
        let made =
            |id: u32| std::fs::read(chain.folder.path().join(format!("{name}{id}"))).unwrap();
        assert_eq!(made(1), made(2));
        if let Some(alike) = alike {
            assert_eq!(
                made(1),
                std::fs::read(alike).unwrap(),
                "warm and cold alike"
            );
        }
    }
}

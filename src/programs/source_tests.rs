//! Data sets that are not text: NanoAOD and event tables become the same events. In: recorded
//! NanoAOD where `TIER0_DATA` has it, and simulated data that went through the programs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use serde_json::json;

use crate::chain_tests::{Chain, pairs, recorded, simulated};
use crate::event::Layout;
use crate::foreign_table;
use crate::inject::{self, InjectOptions};
use crate::source;

#[test]
fn an_event_table_is_played_again_as_what_it_was_made_of() {
    let (_folder, path, _) = simulated(5);
    let mut chain = Chain::new(&path, |_| ());
    let wanted = source::read(&path).unwrap();
    let layout = Layout::of(&wanted.columns).unwrap();
    let (run, files) = chain.files().into_iter().next().unwrap();
    for (program, label) in [("repack", "RAW"), ("express", "RECO"), ("prompt", "AOD")] {
        let made = chain.products(program, run, &files, json!({}));
        let table = chain.folder.path().join(format!("{program}.parquet"));
        std::fs::copy(&made[label].path, &table).unwrap();
        let found = source::read(&table).unwrap();
        let again = Layout::of(&found.columns).unwrap();
        assert!(again.has_dxy());
        assert_eq!(found.runs.keys().collect::<Vec<_>>(), [&run]);
        let (theirs, ours) = (&wanted.runs[&run], &found.runs[&run]);
        assert_eq!(ours.len(), theirs.len(), "{program}");
        for (ours, theirs) in ours.iter().zip(theirs) {
            assert_eq!(ours.event, theirs.event);
            let dimuons = (again.dimuon(&ours.rows[0]), layout.dimuon(&theirs.rows[0]));
            assert_eq!(
                dimuons.0.unwrap().muons,
                dimuons.1.unwrap().muons,
                "{program}"
            );
        }
        let mut replay = Chain::new(&table, |_| ());
        let files = replay.files()[&run].clone();
        let made = replay.products("repack", run, &files, json!({}));
        assert_eq!(pairs(&[made["RAW"].path.clone()]).len(), 500);
    }
    let text = chain.folder.path().join("text.parquet");
    std::fs::write(&text, "no table").unwrap();
    let said = source::read(&text).unwrap_err().to_string();
    assert!(said.contains("not a readable Parquet file"), "{said}");
}

/// A Parquet file of whoever has his own writer: one row group, in this library's low-level form.
fn foreign(folder: &Path, schema: &str, runs: &[i32], charges: &[&str]) -> PathBuf {
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let path = folder.join("theirs.parquet");
    let file = std::fs::File::create(&path).unwrap();
    let mut writer = SerializedFileWriter::new(file, schema, Arc::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    while let Some(mut column) = group.next_column().unwrap() {
        match column.untyped() {
            ColumnWriter::Int32ColumnWriter(column) => {
                column.write_batch(runs, None, None).unwrap();
            }
            ColumnWriter::ByteArrayColumnWriter(column) => {
                let texts: Vec<ByteArray> = charges.iter().map(|text| (*text).into()).collect();
                column.write_batch(&texts, None, None).unwrap();
            }
            ColumnWriter::FloatColumnWriter(column) => {
                let values: Vec<f32> = runs.iter().map(|run| *run as f32 / 10.0).collect();
                column.write_batch(&values, None, None).unwrap();
            }
            _ => unreachable!("the schemas below have no other kinds"),
        }
        column.close().unwrap();
    }
    group.close().unwrap();
    writer.close().unwrap();
    path
}

#[test]
fn a_table_of_others_is_text_of_the_same_values() {
    let folder = tempfile::tempdir().unwrap();
    let schema = "message m { required int32 Run; required float pt1; \
                  required binary kind (UTF8); }";
    let path = foreign(folder.path(), schema, &[7, 12], &["G", "T"]);
    let (columns, rows) = foreign_table::read(&path).unwrap().unwrap();
    assert_eq!(columns, ["Run", "pt1", "kind"]);
    assert_eq!(rows, ["7,0.7,G", "12,1.2,T"]);
    let path = foreign(folder.path(), schema, &[7, 12], &["G", "a,b"]);
    let said = foreign_table::read(&path).unwrap_err();
    assert!(
        said.contains("column kind has a text with a comma"),
        "{said}"
    );
    // One without the column is a table of these programs, or nobody's.
    let path = foreign(
        folder.path(),
        "message m { required int32 run; }",
        &[7],
        &[],
    );
    assert_eq!(foreign_table::read(&path), Ok(None));
}

#[test]
fn nanoaod_gives_its_first_pair_of_opposite_charge_and_counts_the_rest() {
    let Some(path) = recorded("cms-nanoaod/nano_dimuon.root") else {
        return;
    };
    let data = source::read(&path).unwrap();
    // uproot: 40 events, 24 with muons of both charges.
    assert_eq!(
        (
            data.runs.len(),
            data.runs[&315_267].len(),
            data.without_pair
        ),
        (1, 24, 16)
    );
    let layout = Layout::of(&data.columns).unwrap();
    assert!(!layout.has_dxy(), "it is of another origin there");
    let event = |number: u64| {
        let event = data.runs[&315_267]
            .iter()
            .find(|event| event.event == number)
            .unwrap();
        layout.dimuon(&event.rows[0]).unwrap()
    };
    // As uproot has them: charges -1, 1, 1, -1 of 11.547441, 6.117893, 5.2537966 GeV and one more.
    let four = event(197_663_765)
        .muons
        .map(|muon| (muon.pt_gev, muon.charge));
    assert_eq!(four, [(11.547441, -1), (6.117893, 1)]);
    let two = event(197_818_706)
        .muons
        .map(|muon| (muon.pt_gev, muon.charge));
    assert_eq!(two, [(44.426468, 1), (41.76271, -1)]);
    let spool = tempfile::tempdir().unwrap();
    let mut said = Vec::new();
    let options = InjectOptions::new(spool.path().join("spool"), path);
    let played = inject::play(&options, &mut |line| said.push(line.to_owned())).unwrap();
    assert_eq!(played.runs[0].events, 24);
    assert!(said[0].contains("16 events without a pair"), "{said:?}");
}

//! The `.jsn` records of the data acquisition: sidecars, end of lumi, begin and end of run.
//!
//! In: counts, size and checksum. Out: the name and the text of each record, in the shape of the
//! CMS filter farm: a list of strings whose meaning is fixed by position (legends of
//! cms-sw/cmssw:EventFilter/Utilities, `GlobalEvFOutputModule.cc` and
//! `RawEventFileWriterForBU.cc`). It touches no file.

use serde::Serialize;

/// File name of a run's folder in the spool.
pub(crate) fn run_folder(run: u32) -> String {
    format!("run{run:06}")
}

/// Stem shared by a stream file and its sidecar.
pub(crate) fn stream_stem(run: u32, lumi: u32, stream: &str, pid: u32) -> String {
    format!("run{run:06}_ls{lumi:04}_stream{stream}_pid{pid:05}")
}

/// Name of a record about a lumi or, with lumi 0, about the run.
pub(crate) fn record_name(run: u32, lumi: u32, kind: &str) -> String {
    format!("run{run:06}_ls{lumi:04}_{kind}.jsn")
}

#[derive(Serialize)]
struct Record<'a> {
    data: Vec<String>,
    definition: String,
    source: &'a str,
}

fn text(run: u32, legend: &str, pid: u32, data: Vec<String>) -> String {
    let definition = format!("./{}/{legend}_{pid}.jsd", run_folder(run));
    let record = Record {
        data,
        definition,
        source: "tier0-inject",
    };
    serde_json::to_string_pretty(&record).expect("a record holds only strings") + "\n"
}

/// The commit mark of a stream file. All events are processed and accepted, none is in error.
pub(crate) fn stream(
    run: u32,
    pid: u32,
    events: u64,
    file: &str,
    bytes: u64,
    adler32: u32,
) -> String {
    let data = vec![
        events.to_string(),  // 0 Processed
        events.to_string(),  // 1 Accepted
        "0".into(),          // 2 ErrorEvents
        "0".into(),          // 3 ReturnCodeMask
        file.into(),         // 4 Filelist
        bytes.to_string(),   // 5 Filesize
        String::new(),       // 6 InputFiles
        adler32.to_string(), // 7 FileAdler32, decimal
        String::new(),       // 8 TransferDestination
        "DAT".into(),        // 9 MergeType
        "0".into(),          // 10 HLTErrorEvents
    ];
    text(run, "output", pid, data)
}

/// End of lumi: NEvents, NFiles, TotalEvents, NLostEvents.
pub(crate) fn end_of_lumi(run: u32, pid: u32, events: u64, files: u32) -> String {
    let data = [events, u64::from(files), events, 0]
        .map(|count| count.to_string())
        .to_vec();
    text(run, "EoLS", pid, data)
}

/// Begin of run: run type and label.
pub(crate) fn begin_of_run(run: u32, pid: u32, run_type: &str, label: &str) -> String {
    text(run, "BoR", pid, vec![run_type.into(), label.into()])
}

/// End of run: NEvents, NFiles, NLumis, LastLumi.
pub(crate) fn end_of_run(
    run: u32,
    pid: u32,
    events: u64,
    files: u32,
    lumis: u32,
    last: u32,
) -> String {
    let data = vec![
        events.to_string(),
        files.to_string(),
        lumis.to_string(),
        last.to_string(),
    ];
    text(run, "EoR", pid, data)
}

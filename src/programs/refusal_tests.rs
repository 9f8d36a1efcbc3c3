//! What jobs refuse, with which class and in which words. In: jobs that ask for the impossible.
//! Out: reports whose message names the cause, and a folder in which nothing was left.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::chain_tests::{Chain, simulated};

/// A replay to take inputs from.
struct Bench {
    _data: tempfile::TempDir,
    chain: Chain,
    run: u32,
    /// An event container of the run.
    file: PathBuf,
}

impl Bench {
    fn new() -> Self {
        let (data, path, _) = simulated(3);
        let chain = Chain::new(&path, |_| ());
        let (run, files) = chain.files().into_iter().next().unwrap();
        Self {
            _data: data,
            chain,
            run,
            file: files[0].clone(),
        }
    }

    /// Runs a job that must fail as expected: `class: words of the message`.
    fn check(&mut self, program: &str, inputs: &[&PathBuf], more: Value, expect: &str) {
        let inputs: Vec<PathBuf> = inputs.iter().map(|path| (*path).clone()).collect();
        let (report, folder) = self.chain.report(program, self.run, &inputs, more);
        let (class, words) = expect.split_once(": ").unwrap();
        assert_eq!(report["exit"]["class"], class, "{report}");
        assert_ne!(report["exit"]["code"], 0);
        let message = report["exit"]["message"].as_str().unwrap();
        assert!(message.contains(words), "{message:?} lacks {words:?}");
        assert_eq!(report["outputs"], json!([]));
        let left = std::fs::read_dir(folder).unwrap().count();
        assert_eq!(left, 0, "a failed job left files");
    }

    /// Writes a file beside the replay.
    fn written(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.chain.folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

#[test]
fn inputs_that_are_not_what_they_should_be() {
    let mut bench = Bench::new();
    let file = bench.file.clone();
    let other = bench.chain.files()[&(bench.run + 1)][0].clone();
    let mut bytes = std::fs::read(&file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    let broken = bench.written("broken.dat", &bytes);
    let absent = PathBuf::from("absent.dat");
    for (inputs, expect) in [
        (vec![&broken], "input: adler32 of a frame payload at offset"),
        (vec![&absent], "input: does not exist"),
        (vec![&file, &other], "input: never mix them"),
        (vec![&file, &file], "input: comes twice among the inputs"),
        (vec![], "program: the job has no inputs"),
    ] {
        bench.check("express", &inputs, json!({}), expect);
    }
    for (told, expect) in [
        (json!({"path": file, "bytes": 5}), "input: the job says 5"),
        (
            json!({"path": file, "adler32": "00000001"}),
            "input: the job says 00000001",
        ),
        (
            json!({"path": file, "events": 7}),
            "input: of events 200, the job says 7",
        ),
    ] {
        bench.check("express", &[], json!({"inputs": [told]}), expect);
    }
    let made = bench
        .chain
        .products("express", bench.run, std::slice::from_ref(&file), json!({}));
    let reco = &made["RECO"].path;
    bench.check(
        "harvest",
        &[&file],
        json!({}),
        "input: not a readable Parquet file",
    );
    bench.check(
        "harvest",
        &[reco],
        json!({"run": 5}),
        "input: holds events of run 5",
    );
    bench.check("dqm", &[reco], json!({}), "input: not a DQM document");
    let run = json!({"run": 5});
    bench.check(
        "dqm",
        &[&made["DQM"].path],
        run,
        "input: this job works on run 5",
    );
}

/// Lumis of a document are a claim: a wide one costs nothing, a backward one is refused.
#[test]
fn lumis_of_a_document_are_joined_as_ranges() {
    let mut bench = Bench::new();
    let file = bench.file.clone();
    let made = bench
        .chain
        .products("express", bench.run, std::slice::from_ref(&file), json!({}));
    let bytes = std::fs::read(&made["DQM"].path).unwrap();
    let mut document: Value = serde_json::from_slice(&bytes).unwrap();
    document["lumis"] = json!([[9, 4_294_967_295_u32], [1, 8]]);
    let wide = bench.written("wide.json", document.to_string().as_bytes());
    let merged = bench.chain.products("dqm", bench.run, &[wide], json!({}));
    let lumis = &merged["DQM_RUN"].report["outputs"][0]["lumis"];
    assert_eq!(*lumis, json!([[1, 4_294_967_295_u32]]));
    document["lumis"] = json!([[1, 2], [5, 4]]);
    let backward = bench.written("backward.json", document.to_string().as_bytes());
    let expect = "input: its lumis 5 to 4 end before they begin";
    bench.check("dqm", &[&backward], json!({}), expect);
}

#[test]
fn jobs_that_ask_for_the_impossible() {
    let mut bench = Bench::new();
    let file = bench.file.clone();
    let empty = bench.written("payload.json", b"{}");
    let payload = |path: &PathBuf| json!({"since": 1, "hash": "h", "path": path});
    let tag = payload(&empty);
    let far = payload(&bench.written("far.json", b"{\"x0_cm\": 0.1, \"y0_cm\": -1e304}"));
    let large = payload(&bench.written("large.json", b"{\"k\": 1e300}"));
    for (program, more, expect) in [
        (
            "express",
            json!({"parameters": {"label": "real"}}),
            "input: is simulated, this job works on real",
        ),
        (
            "express",
            json!({"parameters": {"label": "fake"}}),
            "program: it must be \"real\" or \"simulated\"",
        ),
        (
            "express",
            json!({"outputs": [{"label": "RAW", "path": "raw"}]}),
            "program: this program makes RECO, ALCA, DQM",
        ),
        (
            "prompt",
            json!({"conditions": {"tags": {"beamspot": tag}}}),
            "program: it has no number x0_cm",
        ),
        (
            "prompt",
            json!({"conditions": {"tags": {"beamspot": far}}}),
            "program: (0.1, -1e304) cm is further than",
        ),
        (
            "prompt",
            json!({"conditions": {"tags": {"scale": large}}}),
            "program: it must be above 0 and at most 1000",
        ),
        (
            "prompt",
            json!({"inputs": 5}),
            "program: the job cannot be read",
        ),
        (
            "harvest",
            json!({"run": null}),
            "program: the job names no run",
        ),
        ("dqm", json!({"run": null}), "program: the job names no run"),
    ] {
        bench.check(program, &[&file], more, expect);
    }
}

//! Plugins in a whole instance: named in the configuration, asked by the jobs of a simulated run.
//!
//! In: the two examples of docs/plugins, and one that never answers. Out: a constant in force that
//! the example measured, a verdict with the example's test in it, a test that was not judged and
//! says why; the run is finished all the same.

mod support;

use std::path::Path;
use support::{House, PATIENCE, items, text, tier0};

const RUN: &str = "900001";

#[test]
fn a_run_is_judged_with_plugins_and_in_spite_of_one() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/plugins");
    let docs = docs.display();
    let config = format!(
        "[executor.local]\ncores = 2\n\n\
         [programs]\nwidth = \"{docs}/peak_width.py\"\ncentre = \"{docs}/beam_centre.py\"\n\
         sleeper = \"sleeper.sh\"\n\n\
         [[stream]]\nname = \"daq\"\nfolder = \"spool\"\nprofile = \"cms\"\nlabel = \"simulated\"\n\n\
         [[pipelines.dqm.task.harvest.plugin]]\nname = \"width\"\n\
         program = [\"{{program:width}}\"]\ntests = [\"dimuon_mass_gev\", \"muon_pt_gev\"]\n\
         parameters = {{ rms_max = 8.5 }}\n\n\
         [[pipelines.dqm.task.harvest.plugin]]\nname = \"sleeper\"\n\
         program = [\"{{program:sleeper}}\"]\ntests = [\"muon_eta\"]\nwithin = \"1s\"\n\n\
         [[pipelines.calibration.task.harvest.plugin]]\nname = \"centre\"\n\
         program = [\"{{program:centre}}\"]\nmeasures = \"beamspot\"\n"
    );
    let mut house = House::new("plugins", &config);
    house.program("sleeper.sh", "#!/bin/sh\necho waiting >&2\nsleep 62\n");
    house.start();
    let data = house.path("sim.csv").display().to_string();
    let truth = house.path("truth.json").display().to_string();
    let made = tier0(&[
        "program", "mc", "--out", &data, "--truth", &truth, "--runs", "3",
    ]);
    assert_eq!(made.code, 0, "{made:?}");
    let spool = house.path("spool").display().to_string();
    let played = tier0(&["inject", "--data", &data, "--spool", &spool]);
    assert_eq!(played.code, 0, "{played:?}");
    house.until_finished(1, PATIENCE);

    let verdicts = house.list(&["dqm", "show", RUN]);
    let tests = items(verdicts[0]["tests"].clone());
    let said = |name: &str| -> Vec<String> {
        let of = tests.iter().filter(|test| text(test, "name") == name);
        of.map(|test| format!("{} {}", test["status"], text(test, "message")))
            .collect()
    };
    assert_eq!(tests.len(), 7, "{tests:?}");
    assert_eq!(
        text(&verdicts[0], "verdict"),
        "bad",
        "the plugin's error counts"
    );
    let width = said("width");
    assert!(
        width[0].starts_with("100 mean ") && width[1].starts_with("300 mean "),
        "{width:?}"
    );
    let sleeper = &said("sleeper")[0];
    assert!(
        sleeper.starts_with("90 not judged: test of muon_eta: plugin sleeper"),
        "{sleeper}"
    );
    assert!(
        sleeper.contains("did not answer within 1 s and was ended"),
        "{sleeper}"
    );

    let iovs = house.list(&["calib", "iovs", "beamspot"]);
    let payload = house.tier0(&["calib", "get", text(&iovs[0], "hash")]);
    assert!(payload.out.contains("\"plugin\":\"centre\""), "{payload:?}");
    let left = house.processes();
    let lives = |what: &str| left.iter().any(|(_, line)| line.contains(what));
    assert!(!lives("sleep 62") && !lives("beam_centre"), "{left:?}");
    house.stop();
}

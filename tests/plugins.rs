//! Plugins in a whole instance: named in the configuration, asked by the jobs of a simulated run.
//!
//! In: the examples of docs/plugins, and one that never answers. Out: a constant in force that an
//! example measured, a verdict with an example's test in it, jobs as an example split them, a test
//! that was not judged and says why; the run is finished all the same. Then a splitter that lies
//! until somebody mends it.

mod support;

use std::fs;
use std::path::Path;
use support::{House, PATIENCE, files_below, text, tier0};

const RUN: &str = "900001";
const RUNS: usize = 3;

/// A house with the data acquisition's files of simulated runs in its spool.
fn played(name: &str, config: &str) -> House {
    let stream = "[executor.local]\ncores = 2\n\n[[stream]]\nname = \"daq\"\nfolder = \"spool\"\n\
                  profile = \"cms\"\nlabel = \"simulated\"\n";
    let house = House::new(name, &format!("{config}\n{stream}"));
    let data = house.path("sim.csv").display().to_string();
    let truth = house.path("truth.json").display().to_string();
    let runs = RUNS.to_string();
    let made = tier0(&[
        "program", "mc", "--out", &data, "--truth", &truth, "--runs", &runs,
    ]);
    assert_eq!(made.code, 0, "{made:?}");
    let spool = house.path("spool").display().to_string();
    let played = tier0(&["inject", "--data", &data, "--spool", &spool]);
    assert_eq!(played.code, 0, "{played:?}");
    house
}

fn example(name: &str) -> String {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/plugins");
    docs.join(name).display().to_string()
}

#[test]
fn a_run_is_judged_with_plugins_and_in_spite_of_one() {
    let (width, centre) = (example("peak_width.py"), example("beam_centre.py"));
    let config = format!(
        "[programs]\nwidth = \"{width}\"\ncentre = \"{centre}\"\nsleeper = \"sleeper.sh\"\n\n\
         [[pipelines.dqm.task.harvest.plugin]]\nname = \"width\"\n\
         program = [\"{{program:width}}\"]\ntests = [\"dimuon_mass_gev\", \"muon_pt_gev\"]\n\
         parameters = {{ rms_max = 8.5 }}\n\n\
         [[pipelines.dqm.task.harvest.plugin]]\nname = \"sleeper\"\n\
         program = [\"{{program:sleeper}}\"]\ntests = [\"muon_eta\"]\nwithin = \"1s\"\n\n\
         [[pipelines.dqm.task.harvest.on_verdict]]\nwhen = \"bad\"\ndo = \"page\"\n\
         at_most = \"1h\"\n\n\
         [[pipelines.calibration.task.harvest.plugin]]\nname = \"centre\"\n\
         program = [\"{{program:centre}}\"]\nmeasures = \"beamspot\"\n"
    );
    let mut house = played("plugins", &config);
    house.program("sleeper.sh", "#!/bin/sh\necho waiting >&2\nsleep 62\n");
    house.start();
    house.until_finished(RUNS, PATIENCE);

    let verdicts = house.list(&["dqm", "show", RUN]);
    let tests = verdicts[0]["tests"]
        .as_array()
        .expect("tests are listed")
        .clone();
    let said = |name: &str| -> Vec<String> {
        let of = tests.iter().filter(|test| text(test, "name") == name);
        of.map(|test| format!("{} {}", test["status"], text(test, "message")))
            .collect()
    };
    // Seven of the program's own, and three answers of plugins.
    assert_eq!(tests.len(), 10, "{tests:?}");
    assert_eq!(
        text(&verdicts[0], "verdict"),
        "bad",
        "the plugin's error counts"
    );
    let width = said("width");
    let expect = ["100 mean ", "300 mean "];
    assert!(
        width
            .iter()
            .zip(expect)
            .all(|(said, begin)| said.starts_with(begin)),
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

    let iovs = house.list(&["calib", "iovs", "beamspot/SIM"]);
    let payload = house.tier0(&["calib", "get", text(&iovs[0], "hash")]);
    assert!(payload.out.contains("\"plugin\":\"centre\""), "{payload:?}");
    let left = house.processes();
    let lives = |what: &str| left.iter().any(|(_, line)| line.contains(what));
    assert!(!lives("sleep 62") && !lives("beam_centre"), "{left:?}");

    // The verdict pages until somebody has looked.
    let page = format!("verdict-page/{RUN}");
    let alarms = house.tier0(&["alarm", "ls"]);
    assert!(alarms.out.contains(&page), "{alarms:?}");
    let why = house.tier0(&["why", &format!("run/{RUN}")]);
    assert!(why.out.contains("width of muon_pt_gev"), "{why:?}");
    let look = [
        "calib",
        "accept",
        "dqm.harvest",
        "--run",
        RUN,
        "--reason",
        "looked",
    ];
    house.tier0(&look).says(0, &[]);
    let alarms = house.tier0(&["alarm", "ls"]);
    assert!(!alarms.out.contains(&page), "{alarms:?}");
    house.stop();
}

#[test]
fn a_splitter_lies_until_it_is_mended() {
    let config = "[programs]\npacker = \"packer.py\"\n\n[pipelines.prompt.task.reco]\n\
                  split = { by = \"plugin\", name = \"packer\", program = [\"{program:packer}\"], \
                  parameters = { max_bytes = 1 } }\n";
    let mut house = played("splitter", config);
    let good = fs::read_to_string(example("pack_by_size.py")).expect("it is text");
    let liar = good.replace(
        "return [places for _, places in packs]",
        "return [[0], [0]]",
    );
    house.program("packer.py", &liar);
    house.start();
    let key = format!("splitter-fails/{RUN}/prompt.reco");
    let said = house.until("an alarm says that the splitter lies", || {
        let alarms = house.tier0(&["alarm", "ls"]);
        alarms.out.contains(&key).then_some(alarms.out)
    });
    assert!(said.contains("Plugin packer"), "{said}");
    assert!(said.contains("took input 0 twice"), "{said}");
    let why = house.tier0(&["why", &format!("task/{RUN}/prompt.reco")]);
    assert!(
        why.out.contains("plugin packer took input 0 twice"),
        "{why:?}"
    );
    house.program("packer.py", &good);
    house.until_finished(RUNS, PATIENCE);
    let alarms = house.tier0(&["alarm", "ls"]);
    assert!(!alarms.out.contains(&key), "{alarms:?}");
    let jobs = house.list(&["job", "ls"]);
    let of_prompt = jobs
        .iter()
        .filter(|job| text(job, "pipeline") == "prompt")
        .count();
    let spool = files_below(&house.path("spool"));
    let data = spool
        .iter()
        .filter(|name| Path::new(name).extension().is_some_and(|e| e == "dat"));
    assert_eq!(of_prompt, data.count(), "each lumi is a pack of its own");
    house.stop();
}

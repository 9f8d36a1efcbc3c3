//! A small play through the real program on each server that can hold the store: the instance is
//! killed in the middle, the server is killed in the middle, and what is published in the end is
//! what SQLite publishes undisturbed.
//!
//! In: simulated data; the scripts of tests/services, which start a server in a folder of the
//! test's own. Out: the digest of what is published. Whether servers can be had here says the
//! environment (`TIER0_MARIADB_URL`, `TIER0_POSTGRESQL_URL`, set by `tests/run`); without that a
//! test says so and has shown nothing, with TIER0_REQUIRE_SERVICES=1 that is a failure.

mod support;

use rustix::process::{Signal, kill_process};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use support::{House, PATIENCE, command, say, tier0, until};

const RUNS: usize = 3;
const EVENTS_PER_RUN: usize = 600;
const DEADLINE: Duration = Duration::from_secs(90);
const DAQ: &str = "[executor.local]\ncores = 2\n\n[[stream]]\nname = \"daq\"\n\
                   folder = \"spool\"\nprofile = \"cms\"\nlabel = \"simulated\"\n";
/// What the servers of tests/services take.
const PASSWORD: &str = "tier0";

/// A server with everything it has in a folder of its own.
struct Server {
    script: PathBuf,
    folder: tempfile::TempDir,
}

impl Server {
    /// A server, unless none is to be had here.
    fn new(service: &str, variable: &str) -> Option<Self> {
        if std::env::var_os(variable).is_none() {
            let text = format!("not run: {variable} names no {service} server");
            let required = std::env::var("TIER0_REQUIRE_SERVICES");
            assert!(required.as_deref() != Ok("1"), "{text}");
            say(&text);
            return None;
        }
        let services = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/services");
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        // The server may run as a user of its own, who has to get in.
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(folder.path(), open).expect("it is ours");
        Some(Self {
            script: services.join(service),
            folder,
        })
    }

    fn run(&self, verb: &str) -> String {
        let output = Command::new(&self.script)
            .arg(verb)
            .arg(self.folder.path())
            .output()
            .expect("the script starts");
        let talk = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{verb}: {talk}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Starts it; its address without the password.
    fn start(&self) -> String {
        let said = self.run("start");
        let (_, address) = said.trim().split_once('=').expect("NAME=address");
        address.replacen(&format!(":{PASSWORD}@"), "@", 1)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.run("crash");
    }
}

/// Starts the data acquisition.
fn inject(house: &House, data: &Path) -> Child {
    let mut inject = command();
    inject.arg("inject").arg("--data").arg(data);
    inject.arg("--spool").arg(house.path("spool"));
    inject.args(["--slice-events", "100", "--pause-ms", "100"]);
    let quiet = inject.stdout(Stdio::null()).stderr(Stdio::null());
    quiet.spawn().expect("tier0 starts")
}

/// Waits until everything is played and finished; what is published then.
fn finish(house: &House, mut inject: Child) -> Value {
    let status = until("the data are played", PATIENCE, || {
        inject.try_wait().expect("it is our child")
    });
    assert!(status.success(), "{status}");
    house.until_finished(RUNS, DEADLINE);
    house.ask(&["dataset", "digest"])
}

fn jobs_done(house: &House) -> usize {
    let jobs = house.try_ask(&["job", "ls", "--state", "done"]);
    jobs.map_or(0, |jobs| support::items(jobs).len())
}

fn plays_on(service: &str, variable: &str) {
    let Some(server) = Server::new(service, variable) else {
        return;
    };
    let mut small = House::new("undisturbed", DAQ);
    let data = small.path("sim.csv");
    let (file, truth) = (
        data.display().to_string(),
        format!("{}.truth", data.display()),
    );
    let (runs, events) = (RUNS.to_string(), EVENTS_PER_RUN.to_string());
    let mut mc = vec!["program", "mc", "--out", &file, "--truth", &truth];
    mc.extend(["--seed", "7", "--runs", &runs, "--events-per-run", &events]);
    let made = tier0(&mc);
    assert_eq!(made.code, 0, "{made:?}");
    small.start();
    let daq = inject(&small, &data);
    let expect = finish(&small, daq);
    small.stop();

    let address = server.start();
    let store = format!("[store]\nurl = \"{address}\"\npassword_file = \"password\"\n\n{DAQ}");
    let mut house = House::new(service, &store);
    let secret = house.write("password", format!("{PASSWORD}\n"));
    let mine = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(secret, mine).expect("the file is ours");
    house.start();
    assert!(
        !house.path("state/tier0.db").exists(),
        "nothing is kept in SQLite"
    );
    let daq = inject(&house, &data);
    let until_done = |house: &House, jobs| {
        house.until("jobs are done", || (jobs_done(house) >= jobs).then_some(()));
    };
    until_done(&house, 3);
    kill_process(house.pid(), Signal::KILL).expect("it is our child");
    house.wait();
    house.start();
    let before = jobs_done(&house);
    until_done(&house, before + 2);
    server.run("crash");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(server.start(), address);
    assert_eq!(
        finish(&house, daq),
        expect,
        "the published content differs from what SQLite publishes"
    );
    house.stop();
    let condition = house.ask(&["db", "check"]);
    assert_eq!(condition["problems"], json!([]), "{condition}");
}

#[test]
fn the_tables_are_brought_up_to_date_without_an_instance() {
    let mut house = House::new("tables", DAQ);
    house.tier0(&["db", "check"]).says(1, &["no store is here"]);
    std::fs::create_dir(house.path("state")).expect("the folder is ours");
    let migrated = house.ask(&["db", "migrate"]);
    let done = migrated["migrations"].as_array().expect("a list");
    assert!(!done.is_empty() && done.iter().all(|one| one["done"] == true));
    assert_eq!(house.ask(&["db", "check"]), migrated);
    let nothing = house.ask(&["db", "migrate", "--dry-run"]);
    assert_eq!(nothing, json!({ "would_run": [] }));
    house.start();
    let refused = house.tier0(&["db", "migrate"]);
    refused.says(4, &["only one may"]);
    house.stop();
}

#[test]
fn mariadb_publishes_what_sqlite_does_through_kills() {
    plays_on("mariadb", "TIER0_MARIADB_URL");
}

#[test]
fn postgresql_publishes_what_sqlite_does_through_kills() {
    plays_on("postgresql", "TIER0_POSTGRESQL_URL");
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let url = "postgresql://tier0@127.0.0.1:9/t0";
    let mut house = House::new("alone", &format!("[store]\nurl = \"{url}\"\n\n{DAQ}"));
    house.launch();
    assert_eq!(house.wait().code(), Some(3), "{}", house.log());
    let log = house.log();
    assert!(log.contains("postgresql tier0@127.0.0.1:9/t0"), "{log}");
    assert!(log.contains("refused"), "{log}");
}

#[test]
fn a_password_that_cannot_be_read_is_told() {
    let store = "[store]\nurl = \"mariadb://a@127.0.0.1:9/t0\"\npassword_file = \"gone\"\n\n";
    let mut house = House::new("forgetful", &format!("{store}{DAQ}"));
    house.launch();
    assert_eq!(house.wait().code(), Some(2), "{}", house.log());
    let log = house.log();
    assert!(log.contains("gone") && log.contains("C012"), "{log}");
}

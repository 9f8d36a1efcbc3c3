//! Limits of the kernel and of other people: more files at once than its queue of events holds,
//! descriptors, watches, clients that do not read, bursts, and a spawner that is killed.

use crate::rig::{
    as_undisturbed, copying, count, put_lumi, put_lumis, sidecar, until_alarm, until_done,
    until_over,
};
use crate::support::{House, command_line, files_below, say, text, tier0};
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, prlimit};
use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::process::Command;
use std::time::Instant;

/// Files that are there at once; twice what the kernel's queue of events holds.
const AT_ONCE: usize = 40_000;

/// One program for each file of the stream `worked`, none for others.
fn burst_house(name: &str) -> House {
    let config = "[pipelines]\nfolder = \"pipelines\"\n\n[[stream]]\nname = \"drop\"\n\
                  folder = \"spool\"\nlabel = \"simulated\"\nrun = 900\n\
                  pattern = \"{stream}-{part}.dat\"\nscan_interval = \"1s\"\n";
    let house = House::new(name, config);
    let text = "[pipeline]\nname = \"work\"\ntrigger = { stream = \"worked\" }\n\n\
                [[task]]\nname = \"look\"\nprogram = [\"/bin/true\"]\n";
    house.write("pipelines/work.toml", text);
    house
}

/// Renames so many files into the spool, back to back.
fn burst(house: &House, stream: &str, files: usize) {
    let beside = house.path("beside");
    fs::create_dir_all(&beside).expect("the folder is ours");
    for n in 0..files {
        fs::write(beside.join(n.to_string()), "x").expect("a file is written");
    }
    for n in 0..files {
        let target = house.path("spool").join(format!("{stream}-{n}.dat"));
        fs::rename(beside.join(n.to_string()), target).expect("a file is renamed");
    }
}

fn rss_bytes(pid: Pid, what: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero()));
    let status = status.expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix(what));
    let kib = line.and_then(|rest| {
        rest.trim()
            .trim_end_matches(" kB")
            .trim()
            .parse::<u64>()
            .ok()
    });
    kib.expect("the kernel says it") * 1_024
}

fn accepted(house: &House) -> usize {
    count(house, "SELECT COUNT(*) FROM file")
}

#[test]
fn f12_forty_thousand_files_into_a_stopped_reader_are_each_accepted_once() {
    let mut house = burst_house("at-once");
    house.start();
    kill_process(house.pid(), Signal::STOP).expect("it is our child");
    burst(&house, "idle", AT_ONCE);
    let began = Instant::now();
    kill_process(house.pid(), Signal::CONT).expect("it is our child");
    house.until("all are accepted", || {
        (accepted(&house) == AT_ONCE).then_some(())
    });
    let took = began.elapsed();
    let peak = rss_bytes(house.pid(), "VmHWM:");
    say(&format!(
        "F12: {AT_ONCE} files into a stopped reader: all accepted in {:.1} s, peak RSS {:.0} MB \
         (goals: 10 s, 200 MB)",
        took.as_secs_f64(),
        peak as f64 / 1e6
    ));
    // Twice the goal: a machine that is busy with other things is no fault of this program.
    assert!(peak < 400_000_000, "{peak}");
    kill_process(house.pid(), Signal::KILL).expect("it is our child");
    house.wait();
    assert_eq!(accepted(&house), AT_ONCE, "and they stay so");
    house.start();
    assert_eq!(accepted(&house), AT_ONCE, "a restart adds none");
    house.stop();
}

#[test]
fn f48_a_burst_stays_within_its_memory_and_is_worked_off() {
    const BURST: usize = 300;
    let mut house = burst_house("burst");
    house.start();
    let before = rss_bytes(house.pid(), "VmRSS:");
    burst(&house, "worked", BURST);
    house.until("all are worked on", || {
        let done = house.list(&["job", "ls", "--state", "done", "--limit", "100000"]);
        (done.len() == BURST).then_some(())
    });
    let peak = rss_bytes(house.pid(), "VmHWM:");
    say(&format!(
        "F48: {BURST} files at once, a program each: RSS {:.0} MB before, peak {:.0} MB \
         (goal: 512 MB)",
        before as f64 / 1e6,
        peak as f64 / 1e6
    ));
    assert!(peak < 512_000_000, "{peak}");
    house.stop();
}

#[test]
fn f13_folders_that_the_kernel_tells_nothing_of_are_scanned_and_told() {
    let mut house = copying("watches", "");
    // In a namespace of its own the limit is ours to set.
    let script = "echo 3 > /proc/sys/user/max_inotify_watches && exec \"$0\" \"$@\"";
    let words = ["unshare", "--user", "--map-root-user", "sh", "-c", script];
    let possible = Command::new("unshare")
        .args(["--user", "--map-root-user", "true"])
        .status();
    if !possible.is_ok_and(|status| status.success()) {
        return say("not run: needs namespaces of users");
    }
    house.starter = words.map(str::to_owned).to_vec();
    house.start();
    for lumi in 1..=6 {
        let folder = format!("run{lumi:06}");
        fs::create_dir(house.path("spool").join(folder)).expect("the folder is ours");
    }
    let parts = [
        "The kernel tells nothing of",
        "found by the scan",
        "max_user_watches",
    ];
    until_alarm(&house, "spool/daq/unwatched", &parts);
    for lumi in 1..=6 {
        let (data, stem) = ("some events", format!("run000007_ls{lumi:04}_streamA_p1"));
        house.put(&format!("run{lumi:06}/{stem}.dat"), data);
        let mark = sidecar(&format!("{stem}.dat"), data.len());
        house.put(&format!("run{lumi:06}/{stem}.jsn"), mark);
    }
    until_done(&house, 6);
    for lumi in 1..=6 {
        let folder = house.path("spool").join(format!("run{lumi:06}"));
        fs::remove_dir_all(folder).expect("the folder is ours");
    }
    until_over(&house, "spool/daq/unwatched");
    house.stop();
}

/// Lets the instance open nothing more, or as much as we may.
fn may_open(house: &House, anything: bool) {
    let ours = getrlimit(Resource::Nofile);
    // The first three are taken for good, and a new one must be below the limit.
    let current = if anything { ours.current } else { Some(3) };
    let maximum = ours.maximum;
    let limit = Rlimit { current, maximum };
    prlimit(Some(house.pid()), Resource::Nofile, limit).expect("it is our child");
}

#[test]
fn f18_without_descriptors_the_instance_says_so_and_goes_on_when_it_has_some() {
    let mut house = copying("descriptors", "");
    house.start();
    put_lumi(&house, 7, 1);
    until_done(&house, 1);
    may_open(&house, false);
    put_lumis(&house, 7, 2..=6);
    // It cannot answer either; what is on record can be read by others.
    let told = "SELECT COUNT(*) FROM alarm WHERE body LIKE '%spool/daq/.%'";
    house.until("it has said so", || {
        (count(&house, told) == 1).then_some(())
    });
    may_open(&house, true);
    until_done(&house, 6);
    let all = house.list(&["alarm", "ls", "--cleared"]);
    let texts: Vec<&str> = all.iter().map(|alarm| text(alarm, "text")).collect();
    let told = texts.iter().any(|text| {
        text.contains("Too many open files") && text.contains("Raise the limit of open files")
    });
    assert!(told, "{texts:?}");
    until_over(&house, "spool/daq/.");
    as_undisturbed(&house, 6);
    house.stop();
}

#[test]
fn f18_more_clients_than_descriptors_stop_nothing_but_each_other() {
    let mut house = copying("clients", "");
    house.starter = ["prlimit", "--nofile=160:160"].map(str::to_owned).to_vec();
    house.start();
    put_lumi(&house, 7, 1);
    until_done(&house, 1);
    let address = fs::read_to_string(house.path("state/api.addr")).expect("it listens");
    let clients: Vec<TcpStream> = (0..200)
        .filter_map(|_| TcpStream::connect(address.trim()).ok())
        .collect();
    put_lumis(&house, 7, 2..=6);
    let stored = || files_below(&house.path("state/storage"));
    house.until("work goes on", || (stored().len() == 6).then_some(()));
    drop(clients);
    house.until("it answers again", || house.try_ask(&["run", "ls"]).ok());
    as_undisturbed(&house, 6);
    house.stop();
}

#[test]
fn f47_half_open_and_slow_clients_hold_up_nobody() {
    let mut house = copying("slow", "");
    house.start();
    let address = fs::read_to_string(house.path("state/api.addr")).expect("it listens");
    let threads = || {
        let path = format!("/proc/{}/task", house.pid().as_raw_nonzero());
        fs::read_dir(path).expect("it runs").count()
    };
    put_lumi(&house, 7, 1);
    until_done(&house, 1);
    let before = threads();
    let connect = || TcpStream::connect(address.trim()).expect("it listens");
    // Some say nothing, some begin a request and never end it, some never read the answer.
    let mut clients: Vec<TcpStream> = (0..150).map(|_| connect()).collect();
    for (n, client) in clients.iter_mut().enumerate() {
        let said: &[u8] = match n % 3 {
            0 => b"",
            1 => b"GET /api/v1/runs HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ",
            _ => b"GET /api/v1/runs HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        };
        client
            .write_all(said)
            .expect("it takes what little is said");
    }
    put_lumis(&house, 7, 2..=6);
    until_done(&house, 6);
    let more = threads().saturating_sub(before);
    assert!(more <= 10, "{more} threads for 150 clients");
    as_undisturbed(&house, 6);
    drop(clients);
    house.stop();
}

/// The spawner of an instance.
fn spawner(house: &House) -> Option<Pid> {
    let own = house.pid();
    let is_spawner = |pid: &Pid| command_line(*pid).contains(" spawner ");
    let mut below = crate::support::descendants(own).into_iter();
    below.find(is_spawner)
}

#[test]
fn f39_a_killed_spawner_takes_what_it_started_with_it_and_another_does_the_work() {
    let mut house = copying("spawner", "");
    house.program("copy.sh", &slow_copy(&house));
    house.start();
    put_lumis(&house, 7, 1..=4);
    house.until("two programs run", || (asleep(&house) >= 1).then_some(()));
    let spawner = house.until("there is a spawner", || spawner(&house));
    kill_process(spawner, Signal::KILL).expect("it is there");
    house.write("go", "");
    until_done(&house, 4);
    as_undisturbed(&house, 4);
    assert_eq!(asleep(&house), 0, "nothing of the first one is left");
    house.stop();
}

/// A copy that waits until the file `go` is there.
fn slow_copy(house: &House) -> String {
    let go = house.path("go");
    format!(
        "#!/bin/sh\n\
         path=$(grep -o '\"path\":\"[^\"]*\"' \"$TIER0_JOB\" | head -1 | cut -d'\"' -f4)\n\
         while [ ! -e '{}' ]; do sleep 0.0543; done\n\
         cat \"$path\" > OUT.txt\n",
        go.display()
    )
}

fn asleep(house: &House) -> usize {
    let all = house.processes();
    all.iter()
        .filter(|(_, line)| line.contains("sleep 0.0543"))
        .count()
}

#[test]
fn f59_a_configuration_that_is_broken_or_gone_changes_nothing_that_runs() {
    let mut house = copying("config", "");
    house.start();
    put_lumi(&house, 7, 1);
    until_done(&house, 1);
    let path = house.path("tier0.toml");
    let good = fs::read_to_string(&path).expect("it was written");
    let cases: [(&str, Option<&str>); 3] = [
        ("nmae", Some("[instance]\nnmae = \"x\"\n")),
        ("tier0.toml", Some("[instance\n")),
        ("tier0.toml", None),
    ];
    for (part, text) in cases {
        match text {
            Some(text) => fs::write(&path, text).expect("the folder is ours"),
            None => fs::remove_file(&path).expect("it was there"),
        }
        let before = house.log().len();
        kill_process(house.pid(), Signal::HUP).expect("it is our child");
        let said = house.until("it says what came of it", || {
            let log = house.log();
            let said = log.get(before..).unwrap_or_default().to_owned();
            said.contains("the one before stays in force")
                .then_some(said)
        });
        assert!(said.contains(part), "{part:?}: {said}");
    }
    fs::write(&path, good).expect("the folder is ours");
    put_lumi(&house, 7, 2);
    as_undisturbed(&house, 2);
    house.stop();
    secrets(&house);
}

/// A password that others can read is refused before anything starts.
fn secrets(house: &House) {
    use std::os::unix::fs::PermissionsExt;
    let secret = house.write("password", "open sesame");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o644)).expect("it is ours");
    let text = format!(
        "[store]\nurl = \"mariadb://a@127.0.0.1:1/t0\"\npassword_file = \"{}\"\n",
        secret.display()
    );
    let path = house.write("open.toml", text);
    let said = tier0(&["--config", &path.display().to_string(), "check"]);
    said.says(2, &["chmod 600"]);
    assert!(!said.err.contains("sesame"), "{said:?}");
}

//! The windows over real sockets, with a catalogue in memory: what is answered, what is refused,
//! how pages follow each other, and that a stopped server leaves nothing behind.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on must fail where it stands"
)]

mod memory;
#[path = "http/conditions.rs"]
mod conditions;
#[path = "http/problems.rs"]
mod problems;

use memory::{Door, Folder, Memory, Status};
use model::command::{Command, Declared, Intent, JobVerb, JobsAsked};
use model::ids::{JobId, LumiNumber, RunNumber};
use model::names::DataLabel;
use model::run::RunType;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use tier0_api::{ApiParts, Listen, Reach, ServeError, ServerHandle};

struct World {
    server: ServerHandle,
    door: Arc<Door>,
}

fn listen_on_loopback() -> Listen {
    Listen {
        tcp: Some("127.0.0.1:0".parse().unwrap()),
        reach: Reach::ThisHost,
        unix: None,
        address_file: None,
    }
}

fn world(listen: &Listen, ready: bool, broken: bool) -> World {
    let door = Arc::new(Door::default());
    let parts = ApiParts {
        catalogue: Arc::new(Memory { broken }),
        commands: door.clone(),
        status: Arc::new(Status { ready }),
        files: Arc::new(Folder),
        documents: Arc::new(Folder),
    };
    World {
        server: tier0_api::serve(listen, parts).unwrap(),
        door,
    }
}

/// Speaks HTTP/1.1 by hand: status, headers, body.
fn talk(mut socket: impl Read + Write, request: &str) -> (u16, String, String) {
    socket.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_ascii_lowercase(), body.to_owned())
}

impl World {
    fn ask(&self, method: &str, path: &str, body: Option<&str>) -> (u16, String, String) {
        let address = self.server.address.unwrap();
        let extra = body.map_or(String::new(), |body| {
            format!(
                "content-type: application/json\r\ncontent-length: {}\r\n",
                body.len()
            )
        });
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{extra}\r\n{}",
            body.unwrap_or("")
        );
        talk(std::net::TcpStream::connect(address).unwrap(), &request)
    }

    fn json(&self, path: &str) -> serde_json::Value {
        let (status, head, body) = self.ask("GET", path, None);
        assert_eq!(status, 200, "{path}: {body}");
        assert!(
            head.contains("content-type: application/json"),
            "{path}: {head}"
        );
        serde_json::from_str(&body).unwrap()
    }
}

#[test]
fn every_list_and_object_is_served() {
    let world = world(&listen_on_loopback(), true, false);
    let check = |path: &str, pointer: &str, expect: serde_json::Value| {
        let answer = world.json(path);
        assert_eq!(answer["schema"], 1, "{path}");
        assert_eq!(answer["as_of"], "1970-01-01T00:02:00.000000Z", "{path}");
        assert_eq!(
            answer.pointer(pointer),
            Some(&expect),
            "{path} {pointer}: {answer:#}"
        );
    };
    check("/api/v1/runs", "/items/2/label", "simulated".into());
    check("/api/v1/runs", "/items/0/counts/events_in", 400.into());
    check("/api/v1/runs/1", "/state", "closed".into());
    check("/api/v1/runs/1", "/datasets/0/events", 200.into());
    check("/api/v1/runs/1", "/latency/0/p50_s", 40.0.into());
    check("/api/v1/runs/1", "/latency/0/budget_s", 60.0.into());
    check("/api/v1/runs/1", "/latency/0/missed", 1.into());
    check("/api/v1/files?run=2", "/items", serde_json::json!([]));
    check(
        "/api/v1/jobs?state=failed",
        "/items/0/last_error",
        "no such program".into(),
    );
    check(
        "/api/v1/jobs/5",
        "/failed_attempts/0/exit_class",
        "program".into(),
    );
    check(
        "/api/v1/latency?run=1",
        "/items/0/pipeline",
        "express".into(),
    );
    check("/api/v1/latency", "/items", serde_json::json!([]));
    check("/api/v1/tags", "/items/0/synchronisation", "offline".into());
    check("/api/v1/tags", "/items/1/iovs", 2.into());
    check("/api/v1/tags", "/items/0/protected", false.into());
    let record = "/items/0/tags/0/tag";
    check("/api/v1/global-tags", record, "alignment".into());
    let export = world.json("/api/v1/tags:export");
    let expect = [
        ("/tags/0/name", "alignment"),
        ("/tags/1/synchronization", "pcl"),
        ("/global_tag_map/0/global_tag_name", "2026_prompt_v1"),
    ];
    for (place, expect) in expect {
        let found = export.pointer(place).and_then(serde_json::Value::as_str);
        assert_eq!(found, Some(expect), "{place} of {export}");
    }
    for (as_of, expect) in [(2, Some(2)), (3, Some(3)), (0, None)] {
        let path = format!("/api/v1/iovs?tag=beamspot&run=7&as_of=1970-01-01T00:00:0{as_of}Z");
        let answer = world.json(&path);
        let found = answer.pointer("/items/0/sequence");
        assert_eq!(
            found,
            expect.map(serde_json::Value::from).as_ref(),
            "{path}"
        );
    }
    check(
        "/api/v1/iovs?tag=beamspot&run=7",
        "/items/0/sequence",
        3.into(),
    );
    check(
        "/api/v1/payloads/0000000000000000000000000000000000000000000000000000000000000001",
        "/text",
        "x0_cm = 0.07".into(),
    );
    check(
        "/api/v1/calibrations?tag=scale",
        "/items",
        serde_json::json!([]),
    );
    check("/api/v1/dqm?run=2", "/items/0/critical_path_s", 20.0.into());
    check("/api/v1/datasets", "/items/0/blocks", 2.into());
    check("/api/v1/blocks", "/items/1/id", 8.into());
    check(
        "/api/v1/outputs?dataset=/a/b/C",
        "/items",
        serde_json::json!([]),
    );
    check("/api/v1/set-aside", "/items", serde_json::json!([]));
    check(
        "/api/v1/alarms?cleared=true",
        "/items",
        serde_json::json!([]),
    );
    check("/api/v1/system", "/epoch", 3.into());
    // The good-run list is the CMS format and nothing else, one label at a time.
    assert_eq!(
        world.json("/api/v1/good-runs").to_string(),
        r#"{"1":[[1,4]],"2":[[1,4]]}"#
    );
    assert_eq!(
        world.json("/api/v1/good-runs?label=simulated").to_string(),
        r#"{"3":[[1,4]]}"#
    );
    let (_, head, body) = world.ask("GET", "/metrics", None);
    assert!(head.contains("application/openmetrics-text") && body.ends_with("# EOF\n"));
    assert_eq!(world.ask("GET", "/healthz", None).0, 200);
    assert_eq!(world.ask("GET", "/readyz", None).0, 200);
    assert!(world.json("/api/v1")["served"].as_array().unwrap().len() > 20);
}

#[test]
fn pages_follow_each_other_without_gap_or_overlap() {
    let world = world(&listen_on_loopback(), true, false);
    let mut seen = Vec::new();
    let mut path = "/api/v1/jobs?limit=2".to_owned();
    loop {
        let answer = world.json(&path);
        seen.extend(
            answer["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|j| j["id"].as_i64().unwrap()),
        );
        match answer["next_after"].as_i64() {
            Some(after) => path = format!("/api/v1/jobs?limit=2&after={after}"),
            None => break,
        }
    }
    assert_eq!(seen, [1, 2, 3, 4, 5]);
}

#[test]
fn commands_reach_the_engine_and_its_answer_comes_back() {
    let world = world(&listen_on_loopback(), true, false);
    let check = |path: &str, body: Option<&str>, status: u16, part: &str| {
        let (got, _, answer) = world.ask("POST", path, body);
        assert_eq!(got, status, "{path}: {answer}");
        assert!(answer.contains(part), "{path}: {answer}");
    };
    check("/api/v1/runs", Some(r#"{"run":7}"#), 200, "noted");
    check(
        "/api/v1/runs",
        Some(r#"{"run":8,"run_type":"test","label":"simulated"}"#),
        200,
        "noted",
    );
    check(
        "/api/v1/runs/7:stop",
        Some(r#"{"last_lumi":20}"#),
        200,
        "noted",
    );
    check("/api/v1/jobs/5:retry", None, 200, "noted");
    check(
        "/api/v1/runs/9:stop",
        Some(r#"{"last_lumi":20}"#),
        409,
        "run 9 is not open",
    );
    check("/api/v1/jobs/9:retry", None, 503, "asking twice is safe");
    let (run, last_lumi) = (RunNumber(7), 20);
    let test = Command::RunStart {
        run: RunNumber(8),
        run_type: RunType::Test,
        label: DataLabel::Simulated,
    };
    let asked = world.door.0.lock().unwrap();
    let asked: Vec<Command> = asked.iter().map(|order| order.command.clone()).collect();
    assert_eq!(
        asked[1..4],
        [
            test,
            Command::RunStop { run, last_lumi },
            Command::Jobs(JobsAsked::one(JobVerb::Retry, JobId(5))),
        ]
    );
}

#[test]
fn an_order_has_an_author_and_can_be_previewed() {
    let world = world(&listen_on_loopback(), true, false);
    let stop = |query: &str| {
        let path = format!("/api/v1/runs/7:stop{query}");
        world.ask("POST", &path, Some(r#"{"last_lumi":20}"#))
    };
    let (status, _, answer) = stop("?dry_run=true&by=shifter&reason=beam%20dump");
    assert_eq!(status, 200, "{answer}");
    for part in [r#""would":"run stop""#, r#""count":2"#, "lumi/7/Muons/1-2"] {
        assert!(answer.contains(part), "{part}: {answer}");
    }
    let (status, _, answer) = world.ask("POST", "/api/v1/runs/3:close?dry_run=true", Some("{}"));
    assert_eq!(status, 200, "{answer}");
    for part in [
        r#""would":"nothing: run 3 was already closed""#,
        r#""count":0"#,
    ] {
        assert!(
            answer.contains(part),
            "what is so already has a preview too: {answer}"
        );
    }
    world.door.0.lock().unwrap().pop();
    assert_eq!(stop("?expect_count=2").0, 200);
    assert_eq!(stop("?by=a%0Ab").0, 400, "a name is one line");
    assert_eq!(
        stop("?dryrun=true").0,
        400,
        "a misspelt preview must not act"
    );
    let asked = world.door.0.lock().unwrap();
    let told: Vec<_> = asked
        .iter()
        .map(|o| (o.intent, o.by.as_str(), o.reason.as_str(), o.expect_count))
        .collect();
    assert_eq!(
        told,
        [
            (Intent::Preview, "shifter", "beam dump", None),
            (Intent::Do, "nameless", "", Some(2)),
        ]
    );
}

#[test]
fn what_is_declared_reaches_the_engine_as_it_was_said() {
    let world = world(&listen_on_loopback(), true, false);
    let post = |path: &str, body: &str| world.ask("POST", path, Some(body)).0;
    let who = "?by=shifter&reason=disk";
    assert_eq!(post(&format!("/api/v1/runs/7:close{who}"), ""), 200);
    let part = r#"{"stream":"Muons","first_lumi":5,"as":"here"}"#;
    assert_eq!(post(&format!("/api/v1/runs/7:close{who}"), part), 200);
    assert_eq!(post(&format!("/api/v1/runs/7:reopen{who}"), ""), 200);
    let lost = r#"{"run":7,"stream":"Muons","first_lumi":5,"names":["a.dat"],"events":9}"#;
    assert_eq!(post(&format!("/api/v1/files:declare-lost{who}"), lost), 200);
    assert_eq!(post("/api/v1/runs/7:close", r#"{"as":"gone"}"#), 400);
    assert_eq!(post("/api/v1/runs/7:close", r#"{"last_lumi":3}"#), 400);
    assert_eq!(post("/api/v1/files:declare-lost", r#"{"run":7}"#), 400);
    let asked = world.door.0.lock().unwrap();
    let asked: Vec<Command> = asked.iter().map(|order| order.command.clone()).collect();
    let (run, muons, lumi) = (RunNumber(7), Some("Muons".into()), LumiNumber(5));
    assert_eq!(
        asked,
        [
            Command::RunClose {
                run,
                stream: None,
                lumis: None,
                declared: Declared::Lost,
            },
            Command::RunClose {
                run,
                stream: muons.clone(),
                lumis: Some((lumi, lumi)),
                declared: Declared::Here,
            },
            Command::RunReopen { run },
            Command::FileDeclareLost {
                run,
                stream: muons,
                lumis: (lumi, lumi),
                names: vec!["a.dat".into()],
                events: 9,
            },
        ]
    );
}

#[test]
fn a_run_shows_its_witnesses_and_what_it_waits_for() {
    let world = world(&listen_on_loopback(), true, false);
    let run = world.json("/api/v1/runs/1");
    let said = &run["lumis"][0];
    assert_eq!((&said["lumi"], &said["last_lumi"]), (&2.into(), &4.into()));
    for (field, expect) in [
        ("stream", "Muons"),
        ("expected", "lost"),
        ("source", "operator"),
        ("by", "a shifter"),
        ("reason", "a disk was lost"),
    ] {
        assert_eq!(said[field], expect);
    }
    assert_eq!(run["waits"][0]["remedy"], "tier0 run stop 1 --last-lumi N");
}

#[test]
fn why_is_asked_of_the_engine_and_the_audit_of_the_store() {
    let world = world(&listen_on_loopback(), true, false);
    let why = world.json("/api/v1/why/run/1");
    assert_eq!(why["waits"][0]["kind"], "end-of-run");
    assert_eq!(why["waits"][0]["until"], serde_json::Value::Null);
    for (path, status) in [
        ("/api/v1/why/run/2", 404),
        ("/api/v1/why/lumi/1/Muons/3", 404),
        ("/api/v1/why/site/x", 400),
        ("/api/v1/why/run/x", 400),
    ] {
        assert_eq!(world.ask("GET", path, None).0, status, "{path}");
    }
    let acts = world.json("/api/v1/audit?limit=1");
    assert_eq!(acts["items"][0]["by"], "a shifter");
    assert_eq!(acts["next_after"], 1);
}

#[test]
fn datasets_say_what_they_hold_and_what_is_missing() {
    let world = world(&listen_on_loopback(), true, false);
    let check = |path: &str, pointer: &str, expect: serde_json::Value| {
        let answer = world.json(&format!("/api/v1/{path}"));
        assert_eq!(answer.pointer(pointer), Some(&expect), "{path}: {answer:#}");
    };
    let reco = "datasets/%2FMuons%2Fexpress-reco%2FRECO";
    // A closed block of run 1 and an open one of run 2.
    for (pointer, expect) in [
        ("/runs", 2),
        ("/lumis", 2),
        ("/blocks", 2),
        ("/blocks_open", 1),
        ("/files", 2),
        ("/events", 400),
        ("/duplicate_lumis", 0),
    ] {
        check(reco, pointer, expect.into());
    }
    check(reco, "/tier", "RECO".into());
    check(
        "datasets?limit=1",
        "/items/0/dataset",
        "/Muons/express-reco/RECO".into(),
    );
    check(
        "datasets?limit=1",
        "/next_after",
        "/Muons/express-reco/RECO".into(),
    );
    let rest = "datasets?limit=1&after=/Muons/express-reco/RECO";
    check(rest, "/items/0/tier", "SKIM".into());
    check("datasets?run=2", "/items/0/events", 200.into());
    check("blocks?state=open", "/items/0/files", 1.into());
    check("blocks?state=closed", "/items/0/closing", "complete".into());
    let lumis = format!("{reco}/lumis");
    check(&lumis, "/items/0/lumis", serde_json::json!([[1, 1]]));
    check(&lumis, "/items/0/expected", serde_json::json!([[1, 3]]));
    check(&lumis, "/items/0/missing/0/reason", "failed".into());
    check(&lumis, "/items/0/missing/0/job", 5.into());
    check(&lumis, "/items/0/missing/1/reason", "not-made".into());
    check(
        &lumis,
        "/items/0/missing/1/lumis",
        serde_json::json!([[3, 3]]),
    );
    check(&lumis, "/items/1/missing", serde_json::json!([]));
    let pages = format!("{lumis}?limit=1");
    check(&pages, "/next_after", 1.into());
    check(&format!("{lumis}?after=1"), "/items/0/run", 2.into());
    check(
        &format!("{lumis}?per=block&run=2"),
        "/items/0/block",
        8.into(),
    );
    check(
        &format!("{lumis}?per=file&run=1"),
        "/items/0/file",
        201.into(),
    );
    let lineage = format!("{reco}/lineage?run=1");
    check(&lineage, "/parents/0/kind", "stream".into());
    check(
        &lineage,
        "/children/0/name",
        "/Muons/express-reco/SKIM".into(),
    );
    check(
        &lineage,
        "/made_with/0/program",
        "tier0 program express".into(),
    );
}

#[test]
fn files_say_where_they_come_from_and_whether_they_are_intact() {
    let world = world(&listen_on_loopback(), true, false);
    let check = |path: &str, pointer: &str, expect: serde_json::Value| {
        let answer = world.json(&format!("/api/v1/{path}"));
        assert_eq!(answer.pointer(pointer), Some(&expect), "{path}: {answer:#}");
    };
    check(
        "files?stream=Muons&state=accepted",
        "/items/0/id",
        100.into(),
    );
    check("files?state=late", "/items", serde_json::json!([]));
    check("files/100", "/kind", "file".into());
    check("files/100", "/source/state", "verified-twice".into());
    check("files/100", "/source/steps/1/copy", 1.into());
    let how = "read back from its storage";
    check("files/100", "/source/steps/3/how", how.into());
    check("files/201", "/kind", "output".into());
    check("outputs?state=published&block=7", "/items/0/id", 201.into());
    check("files/201/lineage", "/made_by/job", 1.into());
    check("files/201/lineage", "/parents/0/id", 100.into());
    check("files/201/lineage", "/truncated", false.into());
    check("files/100/lineage", "/children/0/id", 201.into());
    check("files/100/lineage", "/made_by", serde_json::Value::Null);
    check("files/100/trace", "/hops/0/hop", "written".into());
    check("files/100/trace", "/hops/1/hop", "made".into());
    check("files/100/verification", "/result", "intact".into());
    check("files/201/verification", "/result", "unreadable".into());
    for (path, status, part) in [
        ("files/999", 404, "file 999"),
        ("files/999/lineage", 404, "file 999"),
        ("datasets/%2FNo%2Fsuch%2FTIER", 404, "tier0 dataset ls"),
        ("datasets/%2FNo%2Fsuch%2FTIER/lumis", 404, "/No/such/TIER"),
        ("blocks?state=ajar", 400, "open or closed"),
        ("files?state=lost-and-found", 400, "accepted or late"),
    ] {
        let (got, _, body) = world.ask("GET", &format!("/api/v1/{path}"), None);
        assert_eq!(got, status, "{path}: {body}");
        assert!(body.contains(part), "{path}: {body}");
    }
}

#[test]
fn a_page_of_a_strange_site_is_not_served() {
    let world = world(&listen_on_loopback(), true, false);
    let address = world.server.address.unwrap();
    let check = |headers: &str, status: u16| {
        let request = format!("GET /api/v1/runs HTTP/1.1\r\n{headers}connection: close\r\n\r\n");
        let (got, ..) = talk(std::net::TcpStream::connect(address).unwrap(), &request);
        assert_eq!(got, status, "{headers}");
    };
    check("host: localhost\r\n", 200);
    check("host: strange.example\r\n", 403);
    check("host: localhost\r\norigin: http://strange.example\r\n", 403);
}

#[test]
fn it_listens_where_it_was_told_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let (socket, file) = (
        folder.path().join("api.sock"),
        folder.path().join("api.addr"),
    );
    let listen = Listen {
        unix: Some(socket.clone()),
        address_file: Some(file.clone()),
        ..listen_on_loopback()
    };
    // A socket left over by a killed server is replaced.
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let world = world(&listen, true, false);
    let address = world.server.address.unwrap();
    assert_eq!(
        std::fs::read_to_string(&file).unwrap(),
        format!("{address}\n")
    );
    let request = "GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    assert_eq!(talk(UnixStream::connect(&socket).unwrap(), request).0, 200);
    let parts = ApiParts {
        catalogue: Arc::new(Memory::default()),
        commands: Arc::new(Door::default()),
        status: Arc::new(Status { ready: true }),
        files: Arc::new(Folder),
        documents: Arc::new(Folder),
    };
    let second = tier0_api::serve(
        &Listen {
            tcp: None,
            ..listen.clone()
        },
        parts.clone(),
    );
    assert!(
        matches!(second, Err(ServeError::InUse { .. })),
        "{second:?}"
    );
    let second = tier0_api::serve(
        &Listen {
            tcp: Some(address),
            ..listen_on_loopback()
        },
        parts.clone(),
    );
    assert!(
        matches!(second, Err(ServeError::InUse { .. })),
        "{second:?}"
    );
    let everywhere = Listen {
        tcp: Some("0.0.0.0:0".parse().unwrap()),
        ..listen_on_loopback()
    };
    let refused = tier0_api::serve(&everywhere, parts.clone()).unwrap_err();
    assert!(
        matches!(refused, ServeError::NotLoopback { .. }),
        "{refused}"
    );
    tier0_api::serve(
        &Listen {
            reach: Reach::Beyond,
            ..everywhere
        },
        parts,
    )
    .unwrap()
    .stop();
    world.server.stop();
    assert!(!socket.exists() && !file.exists());
    assert!(std::net::TcpStream::connect(address).is_err());
}

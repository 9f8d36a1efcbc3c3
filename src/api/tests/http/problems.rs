//! Every error is a problem document with a code and a hint: what is asked wrongly, of what is not
//! there, or while the instance cannot answer.
//!
//! In: requests of every wrong kind. Out: the documents that people and programs then get.

use super::{listen_on_loopback, world};

#[test]
fn every_error_is_a_problem_with_a_hint() {
    let world = world(&listen_on_loopback(), false, true);
    let check =
        |method: &str, path: &str, body: Option<&str>, status: u16, code: &str, part: &str| {
            let (got, head, answer) = world.ask(method, path, body);
            assert_eq!(got, status, "{path}: {answer}");
            assert!(
                head.contains("content-type: application/problem+json"),
                "{path}: {head}"
            );
            let problem: view::Problem = serde_json::from_str(&answer).unwrap();
            assert_eq!(
                (problem.code.as_str(), problem.status),
                (code, status),
                "{path}"
            );
            assert!(problem.detail.contains(part), "{path}: {}", problem.detail);
            assert!(!problem.hint.is_empty(), "{path}");
        };
    check("GET", "/nowhere", None, 404, "unknown-path", "/nowhere");
    check(
        "GET",
        "/api/v1/nowhere",
        None,
        404,
        "unknown-path",
        "/api/v1/nowhere",
    );
    check(
        "DELETE",
        "/api/v1/runs",
        None,
        405,
        "method-not-allowed",
        "DELETE",
    );
    check("GET", "/api/v1/runs/2", None, 404, "not-found", "run 2");
    check(
        "GET",
        "/api/v1/runs/12345678901234567890",
        None,
        400,
        "bad-request",
        "12345678901234567890",
    );
    check("GET", "/api/v1/runs/-1", None, 400, "bad-request", "-1");
    check("GET", "/api/v1/jobs/77", None, 404, "not-found", "job 77");
    check("GET", "/api/v1/files/77", None, 404, "not-found", "file 77");
    let objects = "/api/v1/dqm/objects";
    let of = |run: u32| format!("{objects}?run={run}&name=mass");
    check("GET", &of(2), None, 404, "not-found", "run 2 is not known");
    let none = "run 1 has no published histogram mass; its published documents have none";
    check("GET", &of(1), None, 404, "not-found", none);
    check("GET", objects, None, 400, "bad-request", "run");
    check(
        "GET",
        "/api/v1/jobs?stat=failed",
        None,
        400,
        "bad-request",
        "stat",
    );
    check(
        "GET",
        "/api/v1/jobs?state=lost",
        None,
        400,
        "bad-request",
        "lost",
    );
    check(
        "GET",
        "/api/v1/jobs?limit=0",
        None,
        400,
        "bad-request",
        "limit=0",
    );
    check(
        "GET",
        "/api/v1/jobs?run=minus",
        None,
        400,
        "bad-request",
        "run",
    );
    check(
        "GET",
        "/api/v1/iovs?after=3",
        None,
        400,
        "bad-request",
        "after",
    );
    check(
        "GET",
        "/api/v1/iovs?as_of=yesterday",
        None,
        400,
        "bad-request",
        "no moment",
    );
    check(
        "GET",
        "/api/v1/payloads/..%2f..",
        None,
        400,
        "bad-request",
        "sha256",
    );
    check(
        "GET",
        "/api/v1/good-runs?label=both",
        None,
        400,
        "bad-request",
        "both",
    );
    check(
        "GET",
        "/api/v1/runs",
        None,
        503,
        "store-busy",
        "reading runs",
    );
    check("GET", "/readyz", None, 503, "not-ready", "starting");
    check(
        "POST",
        "/api/v1/runs",
        None,
        415,
        "bad-body",
        "Content-Type",
    );
    check("POST", "/api/v1/runs", Some("{"), 400, "bad-body", "JSON");
    check(
        "POST",
        "/api/v1/runs",
        Some(r#"{"run":-1}"#),
        422,
        "bad-body",
        "-1",
    );
    check(
        "POST",
        "/api/v1/runs",
        Some(r#"{"run":0}"#),
        400,
        "bad-request",
        "run 0",
    );
    check(
        "POST",
        "/api/v1/runs",
        Some(r#"{"run":1,"run_type":"fun"}"#),
        400,
        "bad-request",
        "fun",
    );
    check(
        "POST",
        "/api/v1/runs",
        Some(r#"{"run":1,"lable":"real"}"#),
        422,
        "bad-body",
        "lable",
    );
    check(
        "POST",
        "/api/v1/runs/1:explode",
        None,
        400,
        "bad-request",
        "1:explode",
    );
    check("POST", "/api/v1/runs/1:stop", None, 400, "bad-body", "EOF");
    check(
        "POST",
        "/api/v1/jobs/5",
        None,
        400,
        "bad-request",
        "no verb",
    );
    let large = format!(r#"{{"run":1,"label":"{}"}}"#, "x".repeat(70_000));
    check(
        "POST",
        "/api/v1/runs",
        Some(&large),
        413,
        "bad-body",
        "limit",
    );
    assert!(
        world.door.0.lock().unwrap().is_empty(),
        "nothing of this may reach the engine"
    );
}

#[test]
fn a_hint_names_what_is_legal_and_where_to_look() {
    let world = world(&listen_on_loopback(), true, false);
    let check = |path: &str, body: &str, part: &str| {
        let (_, _, answer) = world.ask("POST", path, Some(body));
        let problem: view::Problem = serde_json::from_str(&answer).unwrap();
        assert!(problem.hint.contains(part), "{path}: {}", problem.hint);
        assert!(!problem.hint.contains("send {"), "{path}: {}", problem.hint);
    };
    check("/api/v1/jobs:retry", r#"{"class":"foo"}"#, "transient");
    check("/api/v1/jobs:retry", r#"{"state":"foo"}"#, "failed");
    check(
        "/api/v1/jobs:split",
        r#"{"into":"foo"}"#,
        "halves or singles",
    );
    check(
        "/api/v1/runs/7:close",
        r#"{"as":"foo"}"#,
        "lost, empty or here",
    );
    check("/api/v1/gates/prompt:open", "{}", ":hold or :accept");
    check(
        "/api/v1/runs/9:stop",
        r#"{"last_lumi":1}"#,
        "tier0 why run/9",
    );
}

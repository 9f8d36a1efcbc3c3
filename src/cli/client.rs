//! The client side of the HTTP interface.
//!
//! In: where the instance is, a path, parameters. Out: its answer as JSON, or a failure with the
//! right exit code. Must never talk to anything but the instance asked for: no proxy, no redirect.

use super::Common;
use super::outcome::Failure;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;
use view::Problem;

/// The file in the state folder that holds the address of the running instance.
pub(crate) const ADDRESS_FILE: &str = "api.addr";

/// The state folder when nothing is said, as the configuration has it.
const STATE_FOLDER: &str = "state";

/// How long an instance may take to accept a connection.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// How long an answer may take; a command waits for a durable record.
const ANSWER_MAX: Duration = Duration::from_mins(1);

/// Rows asked for at once when a list is read to its end.
const PAGE_ROWS: u64 = 1_000;

/// An answer holds at most a page of rows.
const ANSWER_BYTES_MAX: u64 = 256 << 20;

/// A running instance.
pub(crate) struct Client {
    agent: ureq::Agent,
    base: String,
}

/// Parameters of a request; those without a value are left out.
pub(crate) type Parameters<'a> = &'a [(&'a str, Option<String>)];

impl Client {
    /// The instance named, or the one whose address is in the state folder.
    pub(crate) fn find(common: &Common) -> Result<Self, Failure> {
        let base = match &common.server {
            Some(server) => base_of(server)?,
            None => address_in(&state_folder(common))?,
        };
        let agent = ureq::Agent::config_builder()
            .timeout_connect(Some(CONNECT_MAX))
            .timeout_global(Some(ANSWER_MAX))
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .build()
            .into();
        Ok(Self { agent, base })
    }

    /// Scheme, host and port.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// Reads one object or list.
    pub(crate) fn get(&self, path: &str, parameters: Parameters) -> Result<Value, Failure> {
        let mut request = self.agent.get(format!("{}/api/v1/{path}", self.base));
        for (name, value) in parameters {
            if let Some(value) = value {
                request = request.query(name, value);
            }
        }
        self.read(path, request.call())
    }

    /// Asks for something to be done.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.post_with(path, &[], body)
    }

    /// Asks for something to be done, with parameters that say how.
    pub(crate) fn post_with(
        &self,
        path: &str,
        parameters: Parameters,
        body: &Value,
    ) -> Result<Value, Failure> {
        let mut request = self.agent.post(format!("{}/api/v1/{path}", self.base));
        for (name, value) in parameters {
            if let Some(value) = value {
                request = request.query(name, value);
            }
        }
        let request = request.header("content-type", "application/json");
        self.read(path, request.send(body.to_string()))
    }

    /// Gives an order, with how it is meant.
    pub(crate) fn order(
        &self,
        path: &str,
        manner: Parameters,
        body: &Value,
    ) -> Result<Value, Failure> {
        let mut request = self.agent.post(format!("{}/api/v1/{path}", self.base));
        for (name, value) in manner {
            if let Some(value) = value {
                request = request.query(*name, value);
            }
        }
        let request = request.header("content-type", "application/json");
        self.read(path, request.send(body.to_string()))
    }

    /// Reads a list page by page, at most `limit` rows: one document as if it had been one page.
    pub(crate) fn list(
        &self,
        path: &str,
        parameters: Parameters,
        limit: u64,
    ) -> Result<Value, Failure> {
        let mut rows: Vec<Value> = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let wanted = (limit - rows.len() as u64).min(PAGE_ROWS);
            let mut all = parameters.to_vec();
            all.push(("limit", Some(wanted.to_string())));
            all.push(("after", after));
            let mut answer = self.get(path, &all)?;
            match answer.get_mut("items").map(Value::take) {
                Some(Value::Array(page)) => rows.extend(page),
                _ => return Err(Failure::Answer(format!("{path}: the answer has no items"))),
            }
            after = answer.get("next_after").and_then(|next| match next {
                Value::String(name) => Some(name.clone()),
                Value::Number(number) => Some(number.to_string()),
                _ => None,
            });
            if after.is_none() || rows.len() as u64 >= limit {
                answer["items"] = Value::Array(rows);
                return Ok(answer);
            }
        }
    }

    fn read(
        &self,
        path: &str,
        answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<Value, Failure> {
        let unreachable = |why: String| {
            Failure::Unreachable(format!(
                "{} does not answer ({why}); is the instance running? name it with --server",
                self.base
            ))
        };
        let mut answer = answer.map_err(|error| unreachable(error.to_string()))?;
        let text = answer
            .body_mut()
            .with_config()
            .limit(ANSWER_BYTES_MAX)
            .read_to_string()
            .map_err(|error| unreachable(error.to_string()))?;
        if answer.status().is_success() {
            serde_json::from_str(&text)
                .map_err(|error| Failure::Answer(format!("{path}: no JSON document ({error})")))
        } else if let Ok(problem) = serde_json::from_str::<Problem>(&text) {
            Err(Failure::Problem(Box::new(problem)))
        } else {
            Err(Failure::Answer(format!(
                "{path}: status {}",
                answer.status()
            )))
        }
    }
}

/// A name as one part of a path.
pub(crate) fn part(name: &str) -> String {
    let mut part = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.') {
            part.push(char::from(byte));
        } else {
            part.push_str(&format!("%{byte:02X}"));
        }
    }
    part
}

/// The state folder of the instance meant.
pub(crate) fn state_folder(common: &Common) -> PathBuf {
    let beside = common
        .config
        .as_deref()
        .and_then(Path::parent)
        .unwrap_or(Path::new(""));
    common
        .state_dir
        .clone()
        .unwrap_or_else(|| beside.join(STATE_FOLDER))
}

/// Accepts `http://host:port`, `http://host:port/` and `host:port`.
fn base_of(server: &str) -> Result<String, Failure> {
    let (scheme, rest) = server.split_once("://").unwrap_or(("http", server));
    match rest.strip_suffix('/').unwrap_or(rest) {
        host if scheme == "http" && !host.is_empty() && !host.contains('/') => {
            Ok(format!("http://{host}"))
        }
        _ => Err(Failure::Usage(format!(
            "\"{server}\" is no server; write http://host:port (TLS is not spoken yet)"
        ))),
    }
}

fn address_in(state: &Path) -> Result<String, Failure> {
    let file = state.join(ADDRESS_FILE);
    let text = std::fs::read_to_string(&file).map_err(|error| {
        Failure::Unreachable(format!(
            "no running instance known: {} cannot be read ({error}); start one with `tier0 serve`, \
             or name it with --server or --state-dir",
            file.display()
        ))
    })?;
    base_of(text.trim())
}

/// The rows of a list as shapes.
pub(crate) fn rows<T: DeserializeOwned>(mut answer: Value) -> Result<Vec<T>, Failure> {
    shape(
        answer
            .get_mut("items")
            .map_or_else(|| json!([]), Value::take),
    )
}

/// An answer as a shape.
pub(crate) fn shape<T: DeserializeOwned>(answer: Value) -> Result<T, Failure> {
    serde_json::from_value(answer)
        .map_err(|error| Failure::Answer(format!("the answer is not understood ({error})")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpListener;

    #[test]
    fn a_name_is_one_part_of_a_path() {
        let check = |name: &str, expect: &str| assert_eq!(part(name), expect);
        check("/Muons/Express-v1/RECO", "%2FMuons%2FExpress-v1%2FRECO");
        check("a b?c#d%", "a%20b%3Fc%23d%25");
        check("..", "..");
    }

    #[test]
    fn servers_can_be_named_in_three_ways() {
        let check = |server: &str, expect: Option<&str>| {
            assert_eq!(base_of(server).ok().as_deref(), expect, "{server}");
        };
        check("http://127.0.0.1:80", Some("http://127.0.0.1:80"));
        check("http://127.0.0.1:80/", Some("http://127.0.0.1:80"));
        check("localhost:80", Some("http://localhost:80"));
        check("https://localhost:80", None);
        check("", None);
        check("http://", None);
        check("http://host/below", None);
    }

    /// A server of five rows in pages of two; everything else is refused.
    fn pages() -> String {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", socket.local_addr().unwrap());
        std::thread::spawn(move || {
            for stream in socket.incoming() {
                let mut stream = stream.unwrap();
                let mut request = [0; 4096];
                let n = stream.read(&mut request).unwrap();
                let line = String::from_utf8_lossy(&request[..n]).into_owned();
                let asked = |name: &str| {
                    let (_, rest) = line.split_once(&format!("{name}="))?;
                    rest.split(['&', ' ']).next()?.parse::<i64>().ok()
                };
                let (after, limit) = (asked("after").unwrap_or(0), asked("limit").unwrap_or(2));
                let rows: Vec<i64> = (after + 1..=5).take(limit.min(2) as usize).collect();
                let (status, body) = if line.contains("/api/v1/rows") {
                    let next = rows.last().filter(|last| **last < 5);
                    (
                        200,
                        json!({ "schema": 1, "items": rows, "next_after": next }),
                    )
                } else {
                    let problem = Problem::new(409, "refused", "Refused", "no".into(), "later");
                    (409, serde_json::to_value(problem).unwrap())
                };
                let body = body.to_string();
                let length = body.len();
                let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\n");
                write!(stream, "{head}connection: close\r\n\r\n{body}").unwrap();
            }
        });
        base
    }

    #[test]
    fn a_list_is_read_to_its_end_or_its_limit_and_a_no_is_a_no() {
        let common = Common {
            config: None,
            server: Some(pages()),
            state_dir: None,
            json: false,
            quiet: false,
            verbose: false,
        };
        let client = Client::find(&common).unwrap();
        let check = |limit: u64, expect: &[i64]| {
            let answer = client.list("rows", &[("run", None)], limit).unwrap();
            assert_eq!(answer["items"], json!(expect), "limit {limit}");
            assert_eq!(answer["schema"], 1);
        };
        check(1, &[1]);
        check(3, &[1, 2, 3]);
        check(5, &[1, 2, 3, 4, 5]);
        check(100, &[1, 2, 3, 4, 5]);
        match client.post("elsewhere", &json!({})) {
            Err(failure @ Failure::Problem(_)) => {
                assert_eq!(failure.to_string(), "no\nhint: later");
            }
            other => panic!("{other:?}"),
        }
    }
}

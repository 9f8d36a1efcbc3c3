//! `report.json`: what a program says of its attempt (contracts, section 6).
//!
//! In: bytes that a program wrote, believed in nothing. Out: typed outputs, counts, candidates,
//! tests and units, or a sentence that says what is wrong with them. Bounded: [`REPORT_BYTES_MAX`].

use model::account::UnitAccount;
use model::conditions::{CandidateConstant, MeasuredQuantity};
use model::ids::{LumiNumber, Token};
use model::job::ExitClass;
use model::names::OutputLabel;
use model::quality::TestAnswer;
use model::units::{Bytes, Events};
use model::work::ReportedOutput;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// A report is longer only by mistake; the largest real ones carry a few payloads of conditions.
pub(crate) const REPORT_BYTES_MAX: u64 = 16 << 20;
/// A message is for people.
const MESSAGE_CHARS_MAX: usize = 2_000;

/// What a program says.
pub(crate) struct Report {
    pub(crate) class: ExitClass,
    /// The exit code that it reports for a failure.
    pub(crate) code: Option<i32>,
    pub(crate) message: String,
    pub(crate) outputs: Vec<ReportedOutput>,
    pub(crate) events_read: Events,
    pub(crate) events_written: Events,
    pub(crate) candidates: Vec<CandidateConstant>,
    pub(crate) tests: Vec<TestAnswer>,
    pub(crate) units: Vec<UnitAccount>,
}

/// A report as it is written.
#[derive(Deserialize)]
pub(crate) struct ReportFile {
    #[serde(default)]
    pub(crate) job: Option<i64>,
    #[serde(default)]
    pub(crate) attempt: Option<u32>,
    #[serde(default)]
    outputs: Vec<OutputEntry>,
    #[serde(default)]
    events_read: u64,
    #[serde(default)]
    events_written: u64,
    #[serde(default)]
    metrics: Value,
    #[serde(default)]
    exit: Option<ExitEntry>,
}

#[derive(Deserialize)]
struct OutputEntry {
    label: String,
    path: String,
    #[serde(default)]
    bytes: Option<u64>,
    #[serde(default)]
    adler32: Option<Sum>,
    #[serde(default)]
    events: u64,
    #[serde(default)]
    lumis: Vec<(LumiNumber, LumiNumber)>,
}

/// Eight hex digits; a plain number is taken as well.
#[derive(Deserialize)]
#[serde(untagged)]
enum Sum {
    Number(u32),
    Hex(String),
}

#[derive(Deserialize)]
struct ExitEntry {
    class: String,
    #[serde(default)]
    code: Option<i32>,
    #[serde(default)]
    message: String,
}

#[derive(Deserialize)]
struct CandidateEntry {
    tag: String,
    applicable: bool,
    #[serde(default)]
    n: u64,
    #[serde(default)]
    quantities: Vec<MeasuredQuantity>,
    #[serde(default)]
    payload: String,
    #[serde(default)]
    reason: String,
}

#[derive(Deserialize)]
struct TestEntry {
    name: String,
    histogram: String,
    status: u32,
    value_ppm: u32,
    #[serde(default)]
    message: String,
}

impl Report {
    /// Reads a report; the error is a sentence.
    pub(crate) fn parse(bytes: &[u8], token: Token) -> Result<Self, String> {
        let file: ReportFile = serde_json::from_slice(bytes)
            .map_err(|error| format!("its report is not what the contract says: {error}"))?;
        Self::check(file, token)
    }

    /// The same, already read from a worker's line.
    pub(crate) fn check(file: ReportFile, token: Token) -> Result<Self, String> {
        let other_job = file.job.is_some_and(|job| job != token.job.0);
        if other_job
            || file
                .attempt
                .is_some_and(|attempt| attempt != token.attempt.0)
        {
            return Err(format!(
                "its report speaks of job {:?} attempt {:?}, the attempt is {} {}",
                file.job, file.attempt, token.job, token.attempt
            ));
        }
        let code = file.exit.as_ref().and_then(|exit| exit.code);
        let (class, message) = match file.exit {
            None => (ExitClass::Ok, String::new()),
            Some(exit) => match ExitClass::parse(&exit.class) {
                Some(class) if class != ExitClass::Lost => (class, bounded(&exit.message)),
                _ => {
                    return Err(format!(
                        "its report has the class {:?}",
                        bounded(&exit.class)
                    ));
                }
            },
        };
        let outputs = file
            .outputs
            .into_iter()
            .map(output)
            .collect::<Result<_, _>>()?;
        let metrics = metrics(file.metrics)?;
        let (events_read, events_written) = (Events(file.events_read), Events(file.events_written));
        Ok(Self {
            class,
            code: code.filter(|code| *code != 0),
            message,
            outputs,
            events_read,
            events_written,
            candidates: metrics.candidates,
            tests: metrics.tests,
            units: metrics.units,
        })
    }
}

/// At most so much of a text as people read.
pub(crate) fn bounded(text: &str) -> String {
    match text.char_indices().nth(MESSAGE_CHARS_MAX) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

fn output(entry: OutputEntry) -> Result<ReportedOutput, String> {
    let adler32 = match entry.adler32 {
        None => None,
        Some(Sum::Number(sum)) => Some(sum),
        Some(Sum::Hex(text)) => Some(u32::from_str_radix(&text, 16).map_err(|_| {
            format!(
                "its report gives output {} the adler32 {text:?}, not hex",
                entry.label
            )
        })?),
    };
    Ok(ReportedOutput {
        label: OutputLabel::new(&entry.label),
        path: entry.path,
        bytes: entry.bytes.map(Bytes),
        adler32,
        events: Events(entry.events),
        lumis: entry.lumis,
    })
}

/// What of the figures the system itself works with.
#[derive(Default)]
struct Metrics {
    candidates: Vec<CandidateConstant>,
    tests: Vec<TestAnswer>,
    units: Vec<UnitAccount>,
}

/// Candidates, tests and units among the figures; every other figure is the program's own affair.
fn metrics(metrics: Value) -> Result<Metrics, String> {
    let Value::Object(mut metrics) = metrics else {
        return Ok(Metrics::default());
    };
    let candidates: Vec<CandidateEntry> = entries(&mut metrics, "candidates")?;
    let tests: Vec<TestEntry> = entries(&mut metrics, "quality_tests")?;
    let tests = tests.into_iter().map(|entry| TestAnswer {
        name: entry.name,
        histogram: entry.histogram,
        status: entry.status,
        value_ppm: entry.value_ppm,
        message: bounded(&entry.message),
    });
    let mut units: Vec<UnitAccount> = entries(&mut metrics, "units")?;
    if units.len() > UnitAccount::KINDS_MAX {
        let (n, most) = (units.len(), UnitAccount::KINDS_MAX);
        return Err(format!(
            "metrics.units of its report has {n} entries, at most {most}"
        ));
    }
    for account in &mut units {
        let refused = |why| format!("metrics.units of its report: {why}");
        account.check().map_err(refused)?;
        account.note = bounded(&account.note);
    }
    Ok(Metrics {
        candidates: candidates.into_iter().map(candidate).collect(),
        tests: tests.collect(),
        units,
    })
}

/// A list among the figures; empty if there is none.
fn entries<T: DeserializeOwned>(
    metrics: &mut Map<String, Value>,
    name: &str,
) -> Result<Vec<T>, String> {
    match metrics.remove(name) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(value) => serde_json::from_value(value)
            .map_err(|error| format!("metrics.{name} of its report cannot be read: {error}")),
    }
}

fn candidate(entry: CandidateEntry) -> CandidateConstant {
    let hash = Sha256::digest(entry.payload.as_bytes());
    let reason = if entry.reason.is_empty() {
        "not applicable".into()
    } else {
        entry.reason
    };
    CandidateConstant {
        tag: entry.tag.as_str().into(),
        n: entry.n,
        quantities: entry.quantities,
        not_applicable: (!entry.applicable).then(|| bounded(&reason)),
        payload: entry.payload,
        hash: format!("{hash:x}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::ids::{AttemptNumber, Epoch, JobId};

    const TOKEN: Token = Token {
        epoch: Epoch(3),
        job: JobId(7),
        attempt: AttemptNumber(2),
    };

    #[test]
    fn reports_are_read_or_refused_with_a_sentence() {
        let check = |text: &str, expect: Result<ExitClass, &str>| match (
            Report::parse(text.as_bytes(), TOKEN),
            expect,
        ) {
            (Ok(report), Ok(class)) => assert_eq!(report.class, class, "{text}"),
            (Err(message), Err(part)) => assert!(message.contains(part), "{text}: {message}"),
            (got, _) => panic!("{text}: {:?}", got.map(|report| report.class)),
        };
        check("{}", Ok(ExitClass::Ok));
        check(
            r#"{"job":7,"attempt":2,"metrics":[1],"new":1}"#,
            Ok(ExitClass::Ok),
        );
        check(
            r#"{"exit":{"code":65,"class":"input","message":"bad"}}"#,
            Ok(ExitClass::Input),
        );
        check(r#"{"exit":{"class":"lost"}}"#, Err("the class \"lost\""));
        check(
            r#"{"exit":{"class":"splendid"}}"#,
            Err("the class \"splendid\""),
        );
        check(r#"{"job":8}"#, Err("speaks of job Some(8)"));
        check(
            r#"{"outputs":[{"label":"A","path":"a","adler32":"xyz"}]}"#,
            Err("not hex"),
        );
        check(
            r#"{"outputs":[{"label":"A"}]}"#,
            Err("missing field `path`"),
        );
        check(
            r#"{"metrics":{"candidates":[{"n":1}]}}"#,
            Err("metrics.candidates"),
        );
        check(
            r#"{"metrics":{"units":[{"units":"spills","expected":3,"present":1,"absent":1}]}}"#,
            Err("metrics.units of its report: 1 present and 1 absent spills are not the 3"),
        );
        check(
            r#"{"metrics":{"units":[{"units":"spills","expected":1,"present":1,"absents":0}]}}"#,
            Err("unknown field `absents`"),
        );
        check(r#"{"outputs":"#, Err("EOF"));
        check("", Err("EOF"));
    }

    #[test]
    fn candidates_and_tests_come_out_typed() {
        let text = r#"{"metrics":{"candidates":[
            {"tag":"beamspot","applicable":true,"n":790,"payload":"abc",
             "quantities":[{"name":"x0_cm","value_nano":5,"error_nano":1}]},
            {"tag":"scale","applicable":false,"reason":"no pairs"}],
            "quality_tests":[{"name":"t","histogram":"h","status":100,"value_ppm":1000000}],
            "units":[{"units":"spills","expected":5,"present":3,"absent":2,
                      "absent_ranges":[[7,8]],"note":"a cut"}]},
            "outputs":[{"label":"A","path":"a","bytes":4,"adler32":"0400019a","lumis":[[1,2]]}]}"#;
        let report = Report::parse(text.as_bytes(), TOKEN).unwrap();
        let [spot, scale] = &report.candidates[..] else {
            panic!("two candidates")
        };
        // sha256 of "abc": FIPS 180-2, appendix B.1.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(
            (spot.hash.as_str(), spot.n, spot.quantities[0].value_nano),
            (abc, 790, 5)
        );
        assert_eq!(spot.not_applicable, None);
        assert_eq!(scale.not_applicable.as_deref(), Some("no pairs"));
        assert_eq!(report.tests[0].status, 100);
        let said = report.units[0].sentence();
        assert_eq!(said, "3 of 5 spills: 2 absent (7-8)");
        assert_eq!(report.outputs[0].adler32, Some(0x0400_019a));
    }
}

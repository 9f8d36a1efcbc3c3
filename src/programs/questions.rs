//! What plugins are asked by a job, and what their answers are worth.
//!
//! In: the plugins of a job's parameters; monitor elements, or what a run has collected. Out:
//! results of quality tests and candidates for constants. An answer counts only if it is possible:
//! of the right shape, finite, in range, and in agreement with itself and with the question. A
//! plugin that hangs, crashes or says anything else is set aside for the rest of its job with a
//! reason; its tests are then not judged and its constants not measured. Nothing else of the job
//! suffers, and no constant ever comes from a plugin that was set aside.

use std::process::Command;
use std::time::Duration;

use dqm::histogram::Histogram;
use dqm::verdict::{Status, TestResult};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::job::{JobError, JobFile};
use crate::monitor::to_value;
use crate::plugin::Plugin;

/// No job lasts longer; a longer time-out is a slip.
const WITHIN_S_MAX: f64 = 86_400.0;
/// Numbers up to this many units fit into whole numbers of 1e-9 of them.
const UNITS_MAX: f64 = 9e9;
/// Quantities of one constant at most.
const QUANTITIES_MAX: usize = 64;
/// Characters of a message that people read.
const MESSAGE_CHARS_MAX: usize = 1_000;

/// Whether a program asks plugins for tests, for constants, or not at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asks {
    Nothing,
    Tests,
    Constants,
}

/// A plugin as the job names it.
#[derive(Debug, Deserialize)]
pub(crate) struct Named {
    name: String,
    program: Vec<String>,
    #[serde(default)]
    tests: Vec<String>,
    #[serde(default)]
    measures: Vec<String>,
    within_s: f64,
    #[serde(default)]
    parameters: Map<String, Value>,
}

/// The plugins of a job, for a program that asks only such.
pub(crate) fn plugins(job: &JobFile, asks: Asks) -> Result<Vec<Named>, JobError> {
    let Some(value) = job.parameter("plugins") else {
        return Ok(Vec::new());
    };
    let refuse = |what: String| Err(JobError::Definition { what });
    let named: Vec<Named> = match Vec::deserialize(value) {
        Ok(named) => named,
        Err(error) => return refuse(format!("parameter plugins cannot be read: {error}")),
    };
    for plugin in &named {
        let name = &plugin.name;
        let wrong = match asks {
            Asks::Tests => !plugin.measures.is_empty(),
            Asks::Constants => !plugin.tests.is_empty(),
            Asks::Nothing => true,
        };
        if wrong {
            let what = match asks {
                Asks::Tests => "this program asks plugins for quality tests only",
                Asks::Constants => "this program asks plugins for constants only",
                Asks::Nothing => "this program asks no plugins",
            };
            return refuse(format!("{what}, plugin {name} is none for it"));
        }
        if !(plugin.within_s > 0.0 && plugin.within_s <= WITHIN_S_MAX) {
            let given = plugin.within_s;
            return refuse(format!(
                "plugin {name} has {given} s, it must have some time"
            ));
        }
    }
    Ok(named)
}

/// One plugin during one job.
struct Asking<'n> {
    named: &'n Named,
    running: Option<Plugin>,
    /// Why it is not asked any more.
    set_aside: Option<String>,
}

impl<'n> Asking<'n> {
    fn new(named: &'n Named) -> Self {
        Self {
            named,
            running: None,
            set_aside: None,
        }
    }

    /// Asks one question; the error is the whole reason. What does not stand the judge is a lie.
    fn ask<T>(
        &mut self,
        what: &str,
        question: Value,
        judge: impl FnOnce(Value) -> Result<T, String>,
    ) -> Result<T, String> {
        let name = &self.named.name;
        if let Some(reason) = &self.set_aside {
            return Err(format!(
                "{what}: plugin {name} is not asked again: {reason}"
            ));
        }
        let answered = self.answer(question).map_err(|fault| fault.to_string());
        let judged = answered.and_then(|answer| {
            judge(answer).map_err(|why| format!("answered what cannot be: {why}"))
        });
        judged.map_err(|did| {
            self.running = None;
            self.set_aside = Some(did.clone());
            let first = self.named.program.first().map_or("", String::as_str);
            format!(
                "{what}: plugin {name} {did}; it is set aside for this job: correct {first} or \
                 take the plugin out of the task, then retry the job"
            )
        })
    }

    fn answer(&mut self, question: Value) -> Result<Value, crate::plugin::Fault> {
        let running = match self.running.take() {
            Some(running) => running,
            None => {
                let within = Duration::from_secs_f64(self.named.within_s);
                let mut argv = self.named.program.iter();
                // Without a name nothing is started, and the system says so.
                let mut command = Command::new(argv.next().map_or("", String::as_str));
                command.args(argv);
                Plugin::start(command, within)?
            }
        };
        self.running.insert(running).ask(question)
    }

    fn done(self) {
        if let Some(running) = self.running {
            running.quit();
        }
    }
}

/// The answer to a test.
#[derive(Deserialize)]
struct Tested {
    status: String,
    value: f64,
    message: String,
}

/// The tests that a plugin makes of a run's elements. `find` gives an element by name.
pub(crate) fn test<'h>(
    named: &Named,
    run: u32,
    find: impl Fn(&str) -> Option<&'h Histogram>,
    absent: impl Fn(&str, &str) -> TestResult,
) -> Vec<TestResult> {
    let mut asking = Asking::new(named);
    let result = |element: &String| {
        let Some(histogram) = find(element) else {
            return absent(&named.name, element);
        };
        let mut elements = to_value(std::slice::from_ref(histogram));
        let question = json!({
            "test": named.name,
            "run": run,
            "element": element,
            "uhi": elements[element.as_str()].take(),
            "parameters": named.parameters,
        });
        let what = format!("test of {element}");
        let (status, value_ppm, message) = asking
            .ask(&what, question, judge_test)
            .unwrap_or_else(|reason| (Status::DidNotRun, 0, format!("not judged: {reason}")));
        TestResult {
            name: named.name.clone(),
            histogram: element.clone(),
            status,
            value_ppm,
            message,
        }
    };
    let results = named.tests.iter().map(result).collect();
    asking.done();
    results
}

fn judge_test(answer: Value) -> Result<(Status, u32, String), String> {
    /// What a plugin may say; that something is switched off is not for it to say.
    const KNOWN: [(&str, Status); 6] = [
        ("ok", Status::Ok),
        ("warning", Status::Warning),
        ("error", Status::Error),
        ("insufficient_statistics", Status::InsufficientStatistics),
        ("did_not_run", Status::DidNotRun),
        ("invalid", Status::Invalid),
    ];
    let said: Tested = serde_json::from_value(answer).map_err(|error| error.to_string())?;
    let Some((_, status)) = KNOWN.iter().find(|(word, _)| *word == said.status) else {
        let known: Vec<&str> = KNOWN.iter().map(|(word, _)| *word).collect();
        let status = &said.status;
        return Err(format!("status {status:?}, none of {}", known.join(", ")));
    };
    if !(0.0..=1.0).contains(&said.value) {
        return Err(format!("value {}, not from 0 to 1", said.value));
    }
    let value_ppm = (said.value * 1e6).round() as u32;
    Ok((*status, value_ppm, short(&said.message)?))
}

fn short(message: &str) -> Result<String, String> {
    let count = message.chars().count();
    if count > MESSAGE_CHARS_MAX {
        return Err(format!("a message of {count} characters"));
    }
    Ok(message.to_owned())
}

/// The answer to a measurement: what was measured, or why nothing was.
#[derive(Deserialize)]
struct Measured {
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    n: u64,
    #[serde(default)]
    quantities: Vec<Quantity>,
    #[serde(default)]
    payload: Map<String, Value>,
}

#[derive(Deserialize)]
struct Quantity {
    name: String,
    value: f64,
    error: f64,
}

/// A constant that a plugin is asked to measure.
pub(crate) struct Wanted<'w> {
    /// Measurements there are.
    pub(crate) given: u64,
    /// Names its quantities must have, where the program knows the tag.
    pub(crate) quantities: Option<&'w [&'w str]>,
}

/// The candidates that a plugin measures, one for each of its tags. `question` is what it is told
/// of the run, `wanted` what is known of a tag.
pub(crate) fn measure<'w>(
    named: &Named,
    question: &Value,
    wanted: impl Fn(&str) -> Wanted<'w>,
) -> Vec<Value> {
    let mut asking = Asking::new(named);
    let candidate = |tag: &String| {
        let wanted = wanted(tag);
        let mut question = question.clone();
        question["measure"] = json!(tag);
        question["quantities"] = json!(wanted.quantities);
        question["parameters"] = json!(named.parameters);
        let judge = |answer| judge_constant(answer, tag, &named.name, &wanted);
        asking
            .ask(&format!("constant {tag}"), question, judge)
            .unwrap_or_else(|reason| json!({"tag": tag, "applicable": false, "reason": reason}))
    };
    let candidates = named.measures.iter().map(candidate).collect();
    asking.done();
    candidates
}

fn judge_constant(
    answer: Value,
    tag: &str,
    plugin: &str,
    wanted: &Wanted<'_>,
) -> Result<Value, String> {
    let said: Measured = serde_json::from_value(answer).map_err(|error| error.to_string())?;
    if said.n > wanted.given {
        return Err(format!("{} measurements out of {}", said.n, wanted.given));
    }
    if let Some(reason) = said.reason {
        if !said.quantities.is_empty() {
            return Err("quantities, and a reason why there are none".to_owned());
        }
        let reason = format!("plugin {plugin}: {}", short(&reason)?);
        let (n, none) = (said.n, json!([]));
        return Ok(
            json!({"tag": tag, "applicable": true, "n": n, "quantities": none,
            "reason": reason}),
        );
    }
    if said.quantities.is_empty() || said.quantities.len() > QUANTITIES_MAX {
        let count = said.quantities.len();
        return Err(format!("{count} quantities, not 1 to {QUANTITIES_MAX}"));
    }
    let names: Vec<&str> = said.quantities.iter().map(|q| q.name.as_str()).collect();
    if let Some(known) = wanted.quantities.filter(|known| names != *known) {
        return Err(format!("quantities {names:?}, {tag} has {known:?}"));
    }
    let mut quantities = Vec::new();
    for quantity in &said.quantities {
        quantities.push(nano(quantity, &names, &said.payload)?);
    }
    let mut payload = said.payload;
    payload.insert("schema".to_owned(), json!(1));
    payload.insert("kind".to_owned(), json!(tag));
    payload.insert("plugin".to_owned(), json!(plugin));
    Ok(json!({
        "tag": tag,
        "applicable": true,
        "n": said.n,
        "quantities": quantities,
        "payload": Value::Object(payload).to_string(),
    }))
}

/// A quantity in whole numbers of 1e-9 of its unit. What is judged and what is used must be the
/// same number: the payload holds it too.
fn nano(
    quantity: &Quantity,
    names: &[&str],
    payload: &Map<String, Value>,
) -> Result<Value, String> {
    let Quantity { name, value, error } = quantity;
    if name.is_empty() || names.iter().filter(|other| *other == name).count() > 1 {
        return Err(format!("quantity {name:?} twice or without a name"));
    }
    if !(value.abs() < UNITS_MAX && *error < UNITS_MAX) {
        return Err(format!("{name} = {value} +- {error}, out of all range"));
    }
    let (value_nano, error_nano) = ((value * 1e9).round() as i64, (error * 1e9).round() as i64);
    if error_nano < 1 {
        return Err(format!(
            "{name} = {value} +- {error}, an error that is none"
        ));
    }
    if payload.get(name).and_then(Value::as_f64) != Some(*value) {
        let found = payload.get(name).unwrap_or(&Value::Null);
        return Err(format!("{name} = {value}, and {found} in its payload"));
    }
    Ok(json!({"name": name, "value_nano": value_nano, "error_nano": error_nano}))
}

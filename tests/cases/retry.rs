//! Retry policies, against the field's own plugins.
//!
//! The plugins answer at a look: is a job that failed so long ago ready, or is it moved to its
//! paused state? Ours decides when the attempt fails and sets a timer, so a look is put together
//! here from the functions that the engine uses: a job is ready once [`ready_at`] has passed, and
//! what [`parks`] says is parked is moved. The field parks only after the pause
//! (its order is kept here, because that is what the case asks); our engine parks at once. The
//! three paused states of the field (creating, submitting, running) are one of ours: a job that
//! cannot be made or sent has no state of its own here, so an item names the state it began in.

use crate::judging::{Comparison, Data, Item, count, each, list, list_asked, members_asked, text};
use model::job::ExitClass;
use model::time::{Moment, Span};
use pipelines::retry::{
    Cause, DEFAULT_RETRY, Failure, Growth, OnceMore, cool_off, parks, ready_at,
};
use serde_json::Value;

pub(crate) fn judge(case: &Value, _: &Data) -> Vec<Item> {
    let mut items = boundaries(case);
    items.extend(pauses(&case["pause"]));
    items.extend(one_more_tries(&case["processing"]));
    items
}

fn whole_seconds(value: &Value) -> Span {
    Span::from_secs(count(value) as i64)
}

fn number_u32(value: &Value) -> u32 {
    u32::try_from(count(value)).expect("a count of 32 bits")
}

/// The first whole second of age at which a job is ready.
fn boundaries(case: &Value) -> Vec<Item> {
    let judge_row = |row: &Value| {
        let policy = text(&row["policy"]);
        let n = number_u32(&row["retry_count"]);
        let mut comparison = Comparison::default();
        let growth = match policy {
            "DefaultRetryAlgo" => Some(Growth::Constant),
            "LinearAlgo" => Some(Growth::Linear),
            "SquaredAlgo" | "PauseAlgo" => Some(Growth::Squared),
            "ExponentialAlgo" => Some(Growth::Exponential),
            _ => None,
        };
        match growth {
            Some(growth) => {
                let pause = cool_off(growth, whole_seconds(&row["base_s"]), n);
                let ready = ready_at(Moment(0), pause).since(Moment(0));
                let second = Span::from_secs(1).0;
                let got = (ready.0 + second - 1) / second;
                let expect = count(&row["first_whole_second_of_age_at_which_ready"]) as i64;
                comparison.equal("ready after whole seconds", got, expect);
            }
            None => comparison.equal("a known policy", policy, ""),
        }
        comparison.item(format!("{policy} base {} n {n}", count(&row["base_s"])))
    };
    each(&case["cooloff_boundaries"], "boundary", judge_row)
}

fn pauses(case: &Value) -> Vec<Item> {
    let params = &case["params"];
    let judge_row = |row: &Value| {
        let (n, age) = (
            number_u32(&row["retry_count"]),
            whole_seconds(&row["age_s"]),
        );
        let code = row["exit_code"].to_string();
        let own = members_asked(&params["retryErrorCodes"]).find(|(known, _)| *known == code);
        let every = own.map_or(&params["pauseCount"], |(_, every)| every);
        let pause = cool_off(Growth::Squared, whole_seconds(&params["base_s"]), n);
        let over = Moment(0) + age >= ready_at(Moment(0), pause);
        let parked = over && parks(n, number_u32(every));
        let kind = text(&row["cooloff_type"]);
        let expect: Vec<Vec<&str>> = list(&row["moved"])
            .iter()
            .map(|step| list(step).iter().map(text).collect())
            .collect();
        let (from, to) = (format!("{kind}cooloff"), format!("{kind}paused"));
        let got = parked.then(|| vec![from.as_str(), to.as_str()]);
        let mut comparison = Comparison::default();
        comparison.equal("ready", over && !parked, row["ready"] == Value::Bool(true));
        comparison.equal("moved", got.into_iter().collect(), expect);
        let age = count(&row["age_s"]);
        comparison.item(format!("pause: {kind} n {n} age {age} code {code}"))
    };
    each(&case["cases"], "pause", judge_row)
}

fn one_more_tries(case: &Value) -> Vec<Item> {
    let params = &case["params"];
    let retries_max = case["params"].get("maxRetries").map_or(3, number_u32);
    let judge_row = |row: &Value| {
        let before = number_u32(&row["retry_count_before"]);
        let code = i32::try_from(count(&row["exit_code"])).expect("an exit code");
        let codes = list_asked(&params["OneMoreErrorCodes"]).iter();
        let causes = codes.map(|code| Cause::Code(count(code) as i32)).collect();
        let mut policy = DEFAULT_RETRY;
        policy.rule.attempts = retries_max;
        policy.once_more = OnceMore {
            longer_than: Some(whole_seconds(&params["MaxRunTime"])),
            causes,
        };
        let needs = model::resource::Needs::default();
        let after = policy.counted(&Failure {
            class: ExitClass::Transient,
            code: Some(code),
            ran: whole_seconds(&row["run_seconds"]),
            failures: before,
            same: 1,
            had: needs,
            asked: needs,
        });
        let mut comparison = Comparison::default();
        // This plugin has no pause: whoever is asked is ready.
        comparison.equal("ready", true, row["ready"] == Value::Bool(true));
        let expect = number_u32(&row["retry_count_after"]);
        comparison.equal("retry count", after, expect);
        let ran = count(&row["run_seconds"]);
        comparison.item(format!("one more: ran {ran} s code {code} n {before}"))
    };
    each(&case["cases"], "one more", judge_row)
}

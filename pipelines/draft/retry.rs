//! `retry = { .. }` of a task as people typed it.
//!
//! In comes its table, out comes the policy with every limit checked. What follows from it is
//! decided in `crate::retry`.

use crate::document::{Node, Value};
use crate::reader::{Keys, Reader};
use crate::retry::{
    Cause, DEFAULT_RETRY, Growth, NeedsGrowth, OnceMore, Reaction, RetryPolicy, RetryRule,
};
use model::job::ExitClass;
use model::resource::Needs;
use model::time::Span;
use std::collections::{BTreeMap, BTreeSet};

/// More attempts than this hide a fault instead of healing it.
const ATTEMPTS_MAX: u32 = 100;
/// A factor above this runs into the limit at once.
const FACTOR_MAX: i64 = 100;

const RETRY_KEYS: &[&str] = &[
    "attempts",
    "policy",
    "base",
    "max_pause",
    "pause_every",
    "on",
    "never",
    "once_more",
    "on_memory",
    "on_time",
    "on_same_failure",
    "factor",
    "memory_max",
    "wall_max",
];
const RULE_KEYS: &[&str] = &["attempts", "policy", "base", "pause_every"];

const GROWTHS: [(&str, Growth); 4] = [
    ("constant", Growth::Constant),
    ("linear", Growth::Linear),
    ("squared", Growth::Squared),
    ("exponential", Growth::Exponential),
];

/// What can follow where memory or time ran out.
const EXHAUSTED: [(&str, Reaction); 5] = [
    ("grow", Reaction::Grow),
    ("retry", Reaction::Retry),
    ("fail", Reaction::Fail),
    ("park", Reaction::Park),
    ("split", Reaction::Split),
];

/// What can follow where the same failure came again.
const SAME: [(&str, Reaction); 4] = [
    ("retry", Reaction::Retry),
    ("fail", Reaction::Fail),
    ("park", Reaction::Park),
    ("split", Reaction::Split),
];

pub(super) fn read_retry<'d>(reader: &Reader<'d>, node: &'d Node) -> Option<RetryPolicy> {
    let keys = reader.table(node, "retry", RETRY_KEYS)?;
    let defaults = DEFAULT_RETRY;
    let rule = read_rule(reader, &keys, &defaults.rule);
    let reaction = |key: &str, words: &[(&str, Reaction)], default| {
        keys.get(key)
            .and_then(|node| reader.word(node, "consequence", words))
            .unwrap_or(default)
    };
    Some(RetryPolicy {
        rule,
        own_rules: keys
            .get("on")
            .map(|node| read_own_rules(reader, node, &rule))
            .unwrap_or_default(),
        max_pause: keys
            .get("max_pause")
            .and_then(|node| reader.span(node))
            .unwrap_or(defaults.max_pause),
        never: keys
            .get("never")
            .map(|node| read_causes(reader, node))
            .unwrap_or_default(),
        once_more: keys
            .get("once_more")
            .and_then(|node| read_once_more(reader, node))
            .unwrap_or_default(),
        on_memory: reaction("on_memory", &EXHAUSTED, defaults.on_memory),
        on_time: reaction("on_time", &EXHAUSTED, defaults.on_time),
        on_same_failure: reaction("on_same_failure", &SAME, defaults.on_same_failure),
        growth: NeedsGrowth {
            factor_hundredths: keys
                .get("factor")
                .and_then(|node| read_factor(reader, node))
                .unwrap_or(defaults.growth.factor_hundredths),
            memory_max: keys.get("memory_max").and_then(|node| reader.bytes(node)),
            wall_max: keys.get("wall_max").and_then(|node| reader.span(node)),
        },
    })
}

/// A limit below what the first attempt has leaves nothing to grow.
pub(super) fn check_growth(reader: &Reader<'_>, node: &Node, policy: &RetryPolicy, needs: &Needs) {
    let memory = policy.growth.memory_max.filter(|most| *most < needs.memory);
    let wall = policy.growth.wall_max.filter(|most| *most < needs.wall);
    let limits = [
        (
            "memory_max",
            "memory",
            memory.map(|most| most.to_string()),
            needs.memory.to_string(),
        ),
        (
            "wall_max",
            "time",
            wall.map(|most| most.to_string()),
            needs.wall.to_string(),
        ),
    ];
    for (key, what, most, first) in limits {
        if let (Some(most), Some(at)) = (most, node.get(key)) {
            let message =
                format!("{what} grows to {most} at most, and begins with {first} (needs)");
            let hint = format!("write a larger {key}, or leave it out: {what} then grows fourfold");
            reader.mistake(at, "T008", message, hint);
        }
    }
}

/// The keys that a whole policy and a rule of its own share.
fn read_rule<'d>(reader: &Reader<'d>, keys: &Keys<'d>, otherwise: &RetryRule) -> RetryRule {
    let pause_every = keys
        .get("pause_every")
        .and_then(|node| reader.count_u32(node, 0..=ATTEMPTS_MAX));
    let rule = RetryRule {
        attempts: keys
            .get("attempts")
            .and_then(|node| reader.count_u32(node, 1..=ATTEMPTS_MAX))
            .unwrap_or(otherwise.attempts),
        growth: keys
            .get("policy")
            .and_then(|node| reader.word(node, "policy", &GROWTHS))
            .unwrap_or(otherwise.growth),
        base: keys
            .get("base")
            .and_then(|node| reader.span(node))
            .unwrap_or(otherwise.base),
        pause_every: pause_every.or(otherwise.pause_every),
    };
    if rule.growth == Growth::Exponential
        && rule.base <= Span::from_secs(1)
        && let Some(node) = keys.get("base").or(keys.get("policy"))
    {
        let message = format!(
            "an exponential pause is base^n seconds: with {} it never grows",
            rule.base
        );
        let hint = "write a base of more than \"1s\", or another policy";
        reader.mistake(node, "T008", message, hint);
    }
    rule
}

fn read_own_rules<'d>(
    reader: &Reader<'d>,
    node: &'d Node,
    otherwise: &RetryRule,
) -> BTreeMap<Cause, RetryRule> {
    let mut rules = BTreeMap::new();
    for (key, node) in reader.entries(node, "rules of their own") {
        let Some(cause) = cause_of(&key.text) else {
            reader.mistake_at(key, "T009", no_cause(&key.text), CAUSES);
            continue;
        };
        if let Some(keys) = reader.table(node, &format!("on.{}", key.text), RULE_KEYS) {
            rules.insert(cause, read_rule(reader, &keys, otherwise));
        }
    }
    rules
}

fn read_once_more<'d>(reader: &Reader<'d>, node: &'d Node) -> Option<OnceMore> {
    let keys = reader.table(node, "once_more", &["longer_than", "on"])?;
    Some(OnceMore {
        longer_than: keys.get("longer_than").and_then(|node| reader.span(node)),
        causes: keys
            .get("on")
            .map(|node| read_causes(reader, node))
            .unwrap_or_default(),
    })
}

/// Exit codes as whole numbers, classes as words.
fn read_causes<'d>(reader: &Reader<'d>, node: &'d Node) -> BTreeSet<Cause> {
    let mut causes = BTreeSet::new();
    for node in reader.list(node, "exit codes and classes") {
        let (Value::Integer(text) | Value::Text(text) | Value::Decimal(text)) = &node.value else {
            let message = format!(
                "a cause of a failure is wanted here, this is {}",
                node.value.kind()
            );
            reader.mistake(node, "T004", message, CAUSES);
            continue;
        };
        match cause_of(text) {
            Some(cause) => {
                causes.insert(cause);
            }
            None => reader.mistake(node, "T009", no_cause(text), CAUSES),
        }
    }
    causes
}

const CAUSES: &str = "write an exit code as in 8001, or a class: transient, input, memory, time, \
                      program, site";

fn no_cause(text: &str) -> String {
    format!("\"{text}\" is no cause of a failure")
}

/// An exit code or a class; success and what our own restart ended are no causes.
fn cause_of(text: &str) -> Option<Cause> {
    if let Ok(code) = text.parse::<i32>() {
        return (code != 0).then_some(Cause::Code(code));
    }
    let class = ExitClass::parse(text)?;
    let is_failure = !matches!(class, ExitClass::Ok | ExitClass::Lost);
    is_failure.then_some(Cause::Class(class))
}

fn read_factor(reader: &Reader<'_>, node: &Node) -> Option<u32> {
    let hundredths = reader.decimal(node, 2)?;
    if hundredths <= 100 || hundredths > FACTOR_MAX * 100 {
        let message = "with this factor nothing would grow, or all of it at once";
        let hint = format!("write a number above 1 and up to {FACTOR_MAX}, as in 1.5");
        reader.mistake(node, "T008", message, hint);
        return None;
    }
    u32::try_from(hundredths).ok()
}

//! What one configuration means beside another: which values of which pipelines change, and from
//! which run on.
//!
//! In come two that were checked, out come lines for people. A value that is typed differently and
//! means the same is no change.

use super::Checked;
use crate::config::Config;
use model::ids::RunNumber;
use pipelines::choice::Stretch;
use pipelines::definition::Definition;
use std::collections::{BTreeMap, BTreeSet};

/// What changes between two configurations, one line a value; sections that need a restart first.
pub fn changes(old: &Checked, new: &Checked) -> Vec<String> {
    let sections = needing_a_restart(&old.config, &new.config);
    let mut lines: Vec<String> = sections
        .iter()
        .map(|section| format!("{section} changes: only a restart takes that"))
        .collect();
    lines.extend(program_changes(&old.config, &new.config));
    let firsts: BTreeSet<RunNumber> = old
        .pipelines
        .firsts()
        .chain(new.pipelines.firsts())
        .collect();
    let firsts: Vec<RunNumber> = firsts.into_iter().collect();
    // Each line with the stretches in which it is true.
    let mut found: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (at, first) in firsts.iter().enumerate() {
        for line in changes_at(old, new, *first) {
            found.entry(line).or_default().push(at);
        }
    }
    for (line, of) in found {
        for (first, last) in joined(&of) {
            let stretch = Stretch {
                first: firsts[first],
                last: firsts.get(last + 1).map(|next| RunNumber(next.0 - 1)),
            };
            lines.push(format!("{line} ({stretch})"));
        }
    }
    lines
}

/// Sections that differ and only hold from the start.
pub fn needing_a_restart(old: &Config, new: &Config) -> Vec<&'static str> {
    let sections = [
        ("[instance]", old.instance == new.instance),
        ("[store]", old.store == new.store),
        ("[api]", old.api == new.api),
        ("[executor.local]", old.local == new.local),
        ("[[stream]]", old.streams == new.streams),
    ];
    let differ = sections.into_iter().filter(|(_, same)| !same);
    differ.map(|(section, _)| section).collect()
}

fn program_changes(old: &Config, new: &Config) -> Vec<String> {
    let names: BTreeSet<&String> = old.programs.keys().chain(new.programs.keys()).collect();
    let path = |config: &Config, name: &String| {
        let path = config.programs.get(name);
        path.map_or("none".to_owned(), |path| path.display().to_string())
    };
    let differs = |name: &&&String| old.programs.get(**name) != new.programs.get(**name);
    let line = |name: &String| {
        let (old, new) = (path(old, name), path(new, name));
        format!("program {name}: {old} -> {new}")
    };
    names
        .iter()
        .filter(differs)
        .map(|name| line(name))
        .collect()
}

/// What changes for a run.
fn changes_at(old: &Checked, new: &Checked, run: RunNumber) -> Vec<String> {
    let of = |checked: &Checked| -> BTreeMap<String, Definition> {
        let definitions = checked.pipelines.definitions.resolve(run).iter();
        definitions
            .map(|d| (d.name.to_string(), d.clone()))
            .collect()
    };
    let (before, after) = (of(old), of(new));
    let (typed_before, typed_after) = (old.pipelines.typed(run), new.pipelines.typed(run));
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let mut lines = Vec::new();
    for name in names {
        match (before.get(name), after.get(name)) {
            (Some(before), Some(after)) if before == after => {}
            (Some(_), Some(_)) => {
                let nothing = BTreeMap::new();
                let before = typed_before.get(name).unwrap_or(&nothing);
                let after = typed_after.get(name).unwrap_or(&nothing);
                let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
                for key in keys
                    .into_iter()
                    .filter(|key| before.get(*key) != after.get(*key))
                {
                    let value = |typed: Option<&String>| typed.cloned().unwrap_or("default".into());
                    let (before, after) = (value(before.get(key)), value(after.get(key)));
                    lines.push(format!("{name}: {key}: {before} -> {after}"));
                }
            }
            (None, _) => lines.push(format!("{name}: new pipeline")),
            (_, None) => lines.push(format!("{name}: pipeline no longer used")),
        }
    }
    lines
}

/// Numbers that follow each other, joined to first and last.
fn joined(numbers: &[usize]) -> Vec<(usize, usize)> {
    let mut joined: Vec<(usize, usize)> = Vec::new();
    for number in numbers {
        match joined.last_mut() {
            Some((_, last)) if *last + 1 == *number => *last = *number,
            _ => joined.push((*number, *number)),
        }
    }
    joined
}

//! What one configuration means beside another: which values of which pipelines change, and from
//! which run on.
//!
//! In come two that were checked, out come lines for people. A value that is typed differently and
//! means the same is no change; a splitter of another kind is one change, not one of each
//! parameter.

use super::Checked;
use crate::config::Config;
use model::ids::RunNumber;
use pipelines::assembly::{Typed, typed_in};
use pipelines::choice::Stretch;
use pipelines::definition::Definition;
use std::collections::{BTreeMap, BTreeSet};

/// What changes between two configurations, one line a value; sections that need a restart first.
pub fn changes(old: &Checked, new: &Checked) -> Vec<String> {
    let sections = needing_a_restart(&old.config, &new.config);
    let mut lines: Vec<String> = sections
        .iter()
        .flat_map(|section| section_changes(section, old, new))
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
        ("[release]", old.release == new.release),
    ];
    let differ = sections.into_iter().filter(|(_, same)| !same);
    differ.map(|(section, _)| section).collect()
}

/// What is typed differently in a section that only holds from the start.
fn section_changes(section: &str, old: &Checked, new: &Checked) -> Vec<String> {
    const RESTART: &str = "only a restart takes that";
    let path: Vec<&str> = section.trim_matches(['[', ']']).split('.').collect();
    let typed = |checked: &Checked| -> Typed {
        let layers = checked.typed.clone().layers();
        let layers = layers.expect("what was checked can be read again");
        let section = path
            .iter()
            .try_fold(&layers.document.root, |node, key| node.get(key));
        section.map(typed_in).unwrap_or_default()
    };
    let line = |(key, before, after): (&str, String, String)| {
        format!("{section} {key}: {before} -> {after}: {RESTART}")
    };
    let lines: Vec<String> = differences(&typed(old), &typed(new)).map(line).collect();
    if lines.is_empty() {
        return vec![format!(
            "{section} changes with the folder of its file: {RESTART}"
        )];
    }
    lines
}

/// Keys that are typed differently, with what is typed before and after.
fn differences<'t>(
    before: &'t Typed,
    after: &'t Typed,
) -> impl Iterator<Item = (&'t str, String, String)> {
    let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let differ = keys
        .into_iter()
        .filter(|key| before.get(*key) != after.get(*key));
    let value = |typed: Option<&String>| typed.cloned().unwrap_or("default".into());
    differ.map(move |key| (key.as_str(), value(before.get(key)), value(after.get(key))))
}

/// With a splitter of another kind its parameters are others too: both are shown whole.
fn with_whole_splitters(mut before: Typed, mut after: Typed) -> (Typed, Typed) {
    let kinds = before.keys().chain(after.keys());
    let kinds =
        kinds.filter(|key| key.ends_with("split.by") && before.get(*key) != after.get(*key));
    let kinds: BTreeSet<String> = kinds.cloned().collect();
    for kind in &kinds {
        let way = kind.trim_end_matches("by");
        for typed in [&mut before, &mut after] {
            let parameters: Typed = typed
                .extract_if(.., |key, _| key.starts_with(way))
                .collect();
            let parameters = parameters.iter();
            let parameters =
                parameters.map(|(key, value)| format!("{} = {value}", &key[way.len()..]));
            let parameters: Vec<String> = parameters.collect();
            if !parameters.is_empty() {
                let whole = format!("{{ {} }}", parameters.join(", "));
                typed.insert(way.trim_end_matches('.').to_owned(), whole);
            }
        }
    }
    (before, after)
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
                let of =
                    |typed: &BTreeMap<String, Typed>| typed.get(name).cloned().unwrap_or_default();
                let (before, after) = with_whole_splitters(of(&typed_before), of(&typed_after));
                let line = |(key, before, after)| format!("{name}: {key}: {before} -> {after}");
                lines.extend(differences(&before, &after).map(line));
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

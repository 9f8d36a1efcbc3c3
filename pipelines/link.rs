//! All pipelines together: what each one takes from the others must be there, and nobody may wait
//! for himself.
//!
//! In come the drafts, out come the definitions or every mistake at once. It changes nothing in a
//! draft.

use crate::assembly::assemble;
use crate::choice::Eras;
use crate::definition::{Act, Definition, Task, TaskInput, Trigger, When};
use crate::diagnosis::{Diagnosis, Place, nearest};
use crate::document::Document;
use crate::draft::Draft;
use model::ids::RunNumber;
use model::names::{OutputLabel, PipelineName, TagName, TaskPath};
use model::run::RunType;
use std::collections::{BTreeMap, BTreeSet};

/// Reads and links definitions, given as (file name, text), for runs of no era: every mistake of
/// all files at once.
pub fn load(files: &[(&str, &str)]) -> Result<Vec<Definition>, Vec<Diagnosis>> {
    let (mut documents, mut found) = (Vec::new(), Vec::new());
    for (file, text) in files {
        match Document::parse(file, text) {
            Ok(document) => documents.push(document),
            Err(mistakes) => found.extend(mistakes),
        }
    }
    if !found.is_empty() {
        return Err(found);
    }
    let nobody_looks = &mut |_: &[Draft]| Vec::new();
    let all = assemble(documents, None, &Eras::default(), None, nobody_looks)?;
    Ok(all.definitions.resolve(RunNumber(0)).to_vec())
}

/// Links drafts: pipelines in the order given. Those that are not in use are only named to whoever
/// misses them.
pub fn link(drafts: Vec<Draft>, not_in_use: &[Draft]) -> Result<Vec<Definition>, Vec<Diagnosis>> {
    let mut found = Vec::new();
    check_pipeline_names(&drafts, &mut found);
    check_triggers(&drafts, not_in_use, &mut found);
    check_tags(&drafts, not_in_use, &mut found);
    check_held(&drafts, not_in_use, &mut found);
    check_datasets(&drafts, &mut found);
    check_circles(&drafts, &mut found);
    if found.is_empty() {
        return Ok(drafts.into_iter().map(|draft| draft.definition).collect());
    }
    found.sort();
    Err(found)
}

fn path(draft: &Draft, task: &Task) -> TaskPath {
    TaskPath {
        pipeline: draft.definition.name.clone(),
        task: task.name.clone(),
    }
}

fn tasks(drafts: &[Draft]) -> impl Iterator<Item = (&Draft, &Task)> {
    drafts.iter().flat_map(|draft| {
        draft
            .definition
            .tasks
            .iter()
            .map(move |task| (draft, &**task))
    })
}

fn check_pipeline_names(drafts: &[Draft], found: &mut Vec<Diagnosis>) {
    for (position, draft) in drafts.iter().enumerate() {
        let name = &draft.definition.name;
        if let Some(first) = drafts[..position]
            .iter()
            .find(|other| other.definition.name == *name)
        {
            let message = format!("pipeline \"{name}\" is defined in {} too", first.file());
            let at = &draft.places.name;
            found.push(draft.diagnose(at, "P002", message, "rename or remove one of them"));
        }
    }
}

/// `pipeline.task.LABEL` of everything that is made.
fn outputs(drafts: &[Draft]) -> Vec<String> {
    let outputs = tasks(drafts).flat_map(|(draft, task)| {
        let path = path(draft, task);
        let labels = task.outputs.keys();
        labels.map(move |label| format!("{path}.{label}"))
    });
    outputs.collect()
}

/// What to do where somebody who is not in use would do it.
fn use_it(pipeline: &PipelineName) -> String {
    format!("pipeline \"{pipeline}\" does, and is not in use: add it to pipelines.use")
}

fn check_triggers(drafts: &[Draft], not_in_use: &[Draft], found: &mut Vec<Diagnosis>) {
    let outputs = outputs(drafts);
    let idle = self::outputs(not_in_use);
    for draft in drafts {
        let Trigger::Output(path, label) = &draft.definition.trigger else {
            continue;
        };
        let typed = format!("{path}.{label}");
        if outputs.contains(&typed) {
            check_fed_runs(drafts, draft, path, found);
            continue;
        }
        let hint = match nearest(&typed, outputs.iter().map(String::as_str)) {
            _ if idle.contains(&typed) => use_it(&path.pipeline),
            Some(near) => format!("did you mean \"{near}\"?"),
            None if outputs.is_empty() => "no pipeline here has an output".to_owned(),
            None => format!("outputs are {}", outputs.join(", ")),
        };
        let message = format!("no pipeline has the output \"{typed}\"");
        found.push(draft.diagnose(&draft.places.trigger, "P003", message, hint));
    }
}

/// A pipeline that reads another's output can only work on runs that the other works on.
fn check_fed_runs(drafts: &[Draft], draft: &Draft, feeder: &TaskPath, found: &mut Vec<Diagnosis>) {
    let feeds = |other: &&Draft| other.definition.name == feeder.pipeline;
    let Some(fed_by) = drafts.iter().find(feeds) else {
        return;
    };
    let own = &draft.definition.run_types;
    let serves = |kind: &&RunType| fed_by.definition.run_types.contains(*kind);
    let unserved: Vec<&str> = own
        .iter()
        .filter(|k| !serves(k))
        .map(|k| k.as_str())
        .collect();
    if !unserved.is_empty() {
        let message = format!(
            "it reads from {feeder}, which does not work on {} runs",
            unserved.join(", ")
        );
        let hint = "give both pipelines the same run_types";
        let at = &draft.places.trigger;
        found.push(draft.diagnose(at, "P003", message, hint));
    }
}

/// Who decides on which tag.
fn calibrators(drafts: &[Draft]) -> BTreeMap<&TagName, Vec<(&Draft, &Task)>> {
    let mut calibrators: BTreeMap<&TagName, Vec<(&Draft, &Task)>> = BTreeMap::new();
    for (draft, task) in tasks(drafts) {
        for gate in &task.calibrates {
            calibrators
                .entry(&gate.tag)
                .or_default()
                .push((draft, task));
        }
    }
    calibrators
}

fn check_tags(drafts: &[Draft], not_in_use: &[Draft], found: &mut Vec<Diagnosis>) {
    let (calibrators, idle) = (calibrators(drafts), calibrators(not_in_use));
    for (tag, by) in &calibrators {
        for (draft, task) in &by[1..] {
            let first = path(by[0].0, by[0].1);
            let message = format!("tag \"{tag}\" is calibrated by {first} already");
            let at = &draft.places.tasks[&task.name].gates;
            found.push(draft.diagnose(at, "P006", message, "let one task decide on a tag"));
        }
    }
    for (draft, task) in tasks(drafts) {
        let When::Conditions(of) = &task.release.when else {
            continue;
        };
        let at = &draft.places.tasks[&task.name].release;
        for tag in of {
            let Some(by) = calibrators.get(tag) else {
                let known = calibrators.keys().map(|tag| tag.as_str());
                let idle = idle.get(tag).and_then(|by| by.first());
                let hint = match (idle, nearest(tag.as_str(), known)) {
                    (Some((draft, _)), _) => use_it(&draft.definition.name),
                    (None, Some(near)) => format!("did you mean \"{near}\"?"),
                    (None, None) => {
                        "add a gate for it to a harvest, or do not wait for it".to_owned()
                    }
                };
                let message = format!("it waits for tag \"{tag}\", which no task calibrates");
                found.push(draft.diagnose(at, "P006", message, hint));
                continue;
            };
            let serves = |kind: &&RunType| by[0].0.definition.run_types.contains(*kind);
            let unserved: Vec<&str> = draft
                .definition
                .run_types
                .iter()
                .filter(|k| !serves(k))
                .map(|k| k.as_str())
                .collect();
            if !unserved.is_empty() {
                let by = path(by[0].0, by[0].1);
                let message = format!(
                    "it waits for tag \"{tag}\", but {by} does not work on {} runs",
                    unserved.join(", ")
                );
                let hint = "give both pipelines the same run_types";
                found.push(draft.diagnose(at, "P006", message, hint));
            }
        }
    }
}

/// What a verdict holds must be there, and be another task than the one that gives it.
fn check_held(drafts: &[Draft], not_in_use: &[Draft], found: &mut Vec<Diagnosis>) {
    let paths = |drafts| -> Vec<String> {
        let all = tasks(drafts).map(|(draft, task)| path(draft, task).to_string());
        all.collect()
    };
    let (known, idle) = (paths(drafts), paths(not_in_use));
    for (draft, task) in tasks(drafts) {
        let at = &draft.places.tasks[&task.name].on_verdict;
        let own = path(draft, task).to_string();
        let held = task.on_verdict.iter().flat_map(|action| match &action.act {
            Act::Hold(of) => of.as_slice(),
            Act::Calibrate | Act::Page => &[],
        });
        for of in held {
            let typed = of.to_string();
            let (message, hint) = if typed == own {
                let hint = "name those that work on the run after it".to_owned();
                (format!("the verdict of {own} would hold itself"), hint)
            } else if known.contains(&typed) {
                continue;
            } else {
                let hint = match nearest(&typed, known.iter().map(String::as_str)) {
                    _ if idle.contains(&typed) => use_it(&of.pipeline),
                    Some(near) => format!("did you mean \"{near}\"?"),
                    None => format!("tasks are {}", known.join(", ")),
                };
                (
                    format!("a verdict holds \"{typed}\", which no pipeline has"),
                    hint,
                )
            };
            found.push(draft.diagnose(at, "P012", message, hint));
        }
    }
}

fn check_datasets(drafts: &[Draft], found: &mut Vec<Diagnosis>) {
    let mut owners: BTreeMap<(&str, &OutputLabel), &Draft> = BTreeMap::new();
    for (draft, task) in tasks(drafts) {
        for label in task.outputs.keys() {
            let owner = owners
                .entry((&draft.definition.processing, label))
                .or_insert(draft);
            if owner.definition.name != draft.definition.name {
                let message = format!(
                    "pipeline \"{}\" writes datasets ../{}/{label} too",
                    owner.definition.name, draft.definition.processing
                );
                let at = &draft.places.tasks[&task.name].outputs;
                let hint = "give one of the pipelines another `processing`";
                found.push(draft.diagnose(at, "P009", message, hint));
            }
        }
    }
}

/// A task that must come first, and where it says so.
type Wait<'a> = (TaskPath, &'a Place);

/// Whom each task waits for: the one it reads from, and those that calibrate what releases it.
fn waits(drafts: &[Draft]) -> BTreeMap<TaskPath, (&Draft, Vec<Wait<'_>>)> {
    let calibrators = calibrators(drafts);
    let mut waits = BTreeMap::new();
    for (draft, task) in tasks(drafts) {
        let places = &draft.places.tasks[&task.name];
        let mut before = Vec::new();
        if let TaskInput::Output(from, _) = &task.input {
            let own = from.pipeline == draft.definition.name
                && draft.definition.task(&from.task).is_some();
            let at = if own {
                &places.input
            } else {
                &draft.places.trigger
            };
            before.push((from.clone(), at));
        }
        if let When::Conditions(of) = &task.release.when {
            let by = of.iter().filter_map(|tag| calibrators.get(tag)).flatten();
            before.extend(by.map(|(draft, task)| (path(draft, task), &places.release)));
        }
        waits.insert(path(draft, task), (draft, before));
    }
    waits
}

/// Depth-first search; each circle is told once, where it was closed.
fn check_circles(drafts: &[Draft], found: &mut Vec<Diagnosis>) {
    let waits = waits(drafts);
    let mut finished: BTreeSet<&TaskPath> = BTreeSet::new();
    for start in waits.keys() {
        // The way from the start, each waiting for the one behind it, and how many of its waits
        // were followed.
        let mut way: Vec<(&TaskPath, usize)> = vec![(start, 0)];
        while let Some((task, followed)) = way.pop() {
            let (draft, before) = &waits[task];
            let Some((next, at)) = before.get(followed).filter(|_| !finished.contains(task)) else {
                finished.insert(task);
                continue;
            };
            way.push((task, followed + 1));
            // One that does not exist was noted already.
            let Some((next, _)) = waits.get_key_value(next) else {
                continue;
            };
            if let Some(position) = way.iter().position(|(on_way, _)| *on_way == next) {
                let circle = way[position..].iter().rev().chain(way.last());
                let circle: Vec<String> = circle.map(|(task, _)| task.to_string()).collect();
                let message = format!("tasks wait for each other: {}", circle.join(" -> "));
                let hint = "let one of them begin with a stream, or not wait for the tag";
                found.push(draft.diagnose(at, "P004", message, hint));
            } else {
                way.push((next, 0));
            }
        }
    }
}

//! What the engine is told of a configuration: the one in force, and those that runs of the store
//! were opened with.
//!
//! In come checked configurations and rows, out come the engine's. A run that is still at work and
//! whose configuration cannot be read any more is a reason not to start: its jobs would be lost.

use super::StartError;
use crate::check::{Checked, recall};
use crate::config::Typed;
use engine::Configuration;
use model::configuration::ConfigurationText;
use pipelines::splitting::Splitter;
use ports::store::Rows;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The configuration as the engine uses it. `myself` is the path of this binary.
pub(crate) fn configuration(checked: &Checked, myself: &Path) -> Configuration {
    let mut definitions = checked.pipelines.definitions.clone();
    definitions.for_each_mut(|definition| {
        for task in definition.tasks.iter_mut().map(Arc::make_mut) {
            let plugins = task.plugins.iter_mut().map(|plugin| &mut plugin.program);
            let splitter = match &mut task.splitter {
                Splitter::Plugin(by) => Some(&mut by.program),
                _ => None,
            };
            let argvs = plugins.chain(splitter).chain([&mut task.program]);
            for argument in argvs.flatten() {
                *argument = fill(argument, myself, &checked.config.programs);
            }
        }
    });
    Configuration {
        hash: checked.hash(),
        text: checked.typed.to_text(),
        definitions,
    }
}

/// What runs of the store were opened with, other than the one in force.
pub(super) fn earlier(
    rows: &Rows,
    current: &str,
    myself: &Path,
) -> Result<Vec<Configuration>, StartError> {
    let at_work = rows.runs.iter();
    let at_work = at_work.filter(|run| !run.state.is_finished());
    let needed: BTreeMap<&str, _> = at_work
        .map(|run| (run.config_hash.as_str(), run.number))
        .collect();
    let used: BTreeSet<&str> = rows.runs.iter().map(|r| r.config_hash.as_str()).collect();
    let mut earlier = Vec::new();
    for row in &rows.configurations {
        let hash = row.hash.as_str();
        if hash == current || !used.contains(hash) {
            continue;
        }
        match (again(row, myself), needed.get(hash)) {
            (Ok(configuration), _) => earlier.push(configuration),
            // Only people ask for more work on a finished run, and then that is refused.
            (Err(_), None) => {}
            (Err(why), Some(run)) => {
                let (hash, run) = (row.hash.clone(), *run);
                return Err(StartError::Configuration { hash, run, why });
            }
        }
    }
    Ok(earlier)
}

/// Reads a configuration again from what was typed then; runs know it by the hash it had then.
pub(super) fn again(row: &ConfigurationText, myself: &Path) -> Result<Configuration, String> {
    let typed = Typed::from_text(&row.text)?;
    let checked = recall(typed).map_err(|found| {
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        found.join("\n")
    })?;
    Ok(Configuration {
        hash: row.hash.clone(),
        text: row.text.clone(),
        ..configuration(&checked, myself)
    })
}

/// `{tier0}` is this program, `{program:NAME}` what the configuration says: by its whole path,
/// because a bare name would be looked for in PATH.
fn fill(argument: &str, myself: &Path, programs: &BTreeMap<String, PathBuf>) -> String {
    let named = argument
        .strip_prefix("{program:")
        .and_then(|rest| rest.strip_suffix('}'));
    match named {
        Some(name) => programs.get(name).map_or(argument.to_owned(), |path| {
            let whole = std::path::absolute(path);
            whole.as_ref().unwrap_or(path).display().to_string()
        }),
        None if argument == "{tier0}" => myself.display().to_string(),
        None => argument.to_owned(),
    }
}

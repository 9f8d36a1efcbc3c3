//! `tier0 check` and `tier0 explain`: whether a configuration could be an instance, what it changes
//! beside another one, and what a code of a mistake means.
//!
//! In: arguments and the environment's settings. Out: "fine" and what is probably not meant, or every
//! mistake with its place. Must never start anything.

use super::Desk;
use super::outcome::{Exit, Failure};
use crate::check::{Checked, changes, check, older};
use crate::config::Layers;
use crate::explain::explanations;
use clap::Args;
use pipelines::diagnosis::{Diagnosis, nearest};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

const CHECK_EXAMPLES: &str = "\
Examples:
  tier0 --config site.toml check
  tier0 check                            the defaults and the embedded pipelines
  tier0 --config new.toml check --diff old.toml";

/// Checks configuration and pipelines without starting anything.
#[derive(Debug, Args)]
#[command(after_help = CHECK_EXAMPLES)]
pub struct CheckArgs {
    /// Say what changes beside this older configuration, and for which runs
    #[arg(long, value_name = "OLD")]
    diff: Option<PathBuf>,
    /// A setting over file and environment, e.g. pipelines.folder=my-pipelines
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = setting)]
    settings: Vec<(String, String)>,
}

const EXPLAIN_EXAMPLES: &str = "\
Examples:
  tier0 explain C006
  tier0 explain                          all codes";

/// Says what the code of a mistake means and what to do.
#[derive(Debug, Args)]
#[command(after_help = EXPLAIN_EXAMPLES)]
pub struct ExplainArgs {
    /// The code, as in error[C006]
    code: Option<String>,
}

/// `KEY=VALUE` of a flag.
pub(super) fn setting(text: &str) -> Result<(String, String), String> {
    let (key, value) = text
        .split_once('=')
        .ok_or_else(|| "write KEY=VALUE, as in api.listen=..".to_owned())?;
    Ok((key.to_owned(), value.to_owned()))
}

/// Where a configuration is read from, so that it can be read again.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    file: Option<PathBuf>,
    flags: Vec<(String, String)>,
}

impl Origin {
    pub(super) fn of(settings: &[(String, String)], desk: &Desk) -> Self {
        let mut flags = settings.to_vec();
        if let Some(state) = &desk.common.state_dir {
            flags.push(("instance.state".to_owned(), state.display().to_string()));
        }
        Self {
            file: desk.common.config.clone(),
            flags,
        }
    }

    /// Reads and checks all of it, as it is now.
    pub(super) fn checked(&self) -> Result<Checked, Vec<Diagnosis>> {
        let search = std::env::var_os("PATH").unwrap_or_default();
        let search: Vec<PathBuf> = std::env::split_paths(&search).collect();
        check(&self.layers(self.file.as_deref())?, &search)
    }

    /// Reads an older file under the same settings, as something to compare with.
    fn older(&self, file: &Path) -> Result<Checked, Vec<Diagnosis>> {
        older(&self.layers(Some(file))?)
    }

    fn layers(&self, file: Option<&Path>) -> Result<Layers, Vec<Diagnosis>> {
        let environment: Vec<(String, String)> = std::env::vars().collect();
        Layers::from_file(file, &environment, &self.flags)
    }
}

/// All mistakes as the exit code of wrong configuration.
pub(super) fn mistaken(found: &[Diagnosis]) -> Failure {
    let texts: Vec<String> = found.iter().map(ToString::to_string).collect();
    Failure::Configuration(texts.join("\n"))
}

/// Mistakes as this verb tells them: on the error output, or as a document.
fn refused(found: &[Diagnosis], what: &str, desk: &mut Desk) -> Result<Exit, Failure> {
    if desk.common.json {
        let mistakes: Vec<Value> = found.iter().map(document_of).collect();
        desk.document(&json!({ "ok": false, "why": what, "mistakes": mistakes }))?;
        return Ok(Exit::Usage);
    }
    let texts: Vec<String> = found.iter().map(ToString::to_string).collect();
    Err(Failure::Usage(format!("{what}\n{}", texts.join("\n"))))
}

/// `tier0 check`.
pub(super) fn check_all(arguments: &CheckArgs, desk: &mut Desk) -> Result<Exit, Failure> {
    let origin = Origin::of(&arguments.settings, desk);
    let checked = match origin.checked() {
        Ok(checked) => checked,
        Err(found) => return refused(&found, "the configuration cannot be used", desk),
    };
    let old = arguments.diff.as_deref();
    let old = match old.map(|path| origin.older(path)).transpose() {
        Ok(old) => old,
        Err(found) => {
            let what = "the older configuration cannot be read, so nothing is compared";
            return refused(&found, what, desk);
        }
    };
    let changed = old.map(|old| changes(&old, &checked));
    let last = checked.pipelines.definitions.variants().last();
    let last = last.map(|(_, definitions)| definitions).unwrap_or_default();
    let names: Vec<String> = last.iter().map(|d| d.name.to_string()).collect();
    let streams = checked.config.streams.iter();
    let streams: Vec<String> = streams.map(|stream| stream.name.to_string()).collect();
    if desk.common.json {
        let warnings: Vec<Value> = checked.warnings.iter().map(document_of).collect();
        let mut document = json!({
            "ok": true, "hash": checked.hash(), "pipelines": names, "streams": streams,
            "warnings": warnings,
        });
        if let Some(changed) = changed {
            document["changes"] = json!(changed);
        }
        return desk.document(&document);
    }
    for warning in &checked.warnings {
        let text = warning.to_string();
        writeln!(desk.out, "{}", text.replacen("error", "warning", 1))?;
    }
    writeln!(
        desk.out,
        "fine: {} pipelines ({}), {} streams, configuration {}",
        names.len(),
        names.join(", "),
        streams.len(),
        checked.hash()
    )?;
    if let Some(changed) = changed {
        say_changes(&changed, desk)?;
    }
    Ok(Exit::Fine)
}

fn say_changes(changed: &[String], desk: &mut Desk) -> Result<(), Failure> {
    if changed.is_empty() {
        writeln!(desk.out, "nothing changes")?;
        return Ok(());
    }
    writeln!(desk.out, "changes:")?;
    for line in changed {
        writeln!(desk.out, "  {line}")?;
    }
    writeln!(
        desk.out,
        "Runs that open after it is taken get this; runs that are open, and their jobs and budgets, \
         keep what they were opened with."
    )?;
    Ok(())
}

fn document_of(found: &Diagnosis) -> Value {
    json!({
        "code": found.code, "file": found.file, "line": found.line, "column": found.column,
        "message": found.message, "hint": found.hint,
    })
}

/// `tier0 explain`.
pub(super) fn explain(arguments: &ExplainArgs, desk: &mut Desk) -> Result<Exit, Failure> {
    let all = explanations();
    let Some(code) = &arguments.code else {
        if desk.common.json {
            let all: Vec<Value> = all
                .iter()
                .map(|(code, cause, fix)| json!({ "code": code, "cause": cause, "fix": fix }))
                .collect();
            return desk.document(&json!({ "codes": all }));
        }
        for (code, cause, fix) in &all {
            writeln!(desk.out, "{code}  {cause}\n      {fix}")?;
        }
        return Ok(Exit::Fine);
    };
    let code = code.to_ascii_uppercase();
    let Some((code, cause, fix)) = all.iter().find(|(known, ..)| *known == code) else {
        let near = nearest(&code, all.iter().map(|(known, ..)| *known));
        let near = near.map_or(String::new(), |near| format!("did you mean {near}? "));
        return Err(Failure::Usage(format!(
            "no mistake has the code {code:?}; {near}`tier0 explain` lists all"
        )));
    };
    if desk.common.json {
        return desk.document(&json!({ "code": code, "cause": cause, "fix": fix }));
    }
    writeln!(desk.out, "{code}: {cause}\n{fix}")?;
    Ok(Exit::Fine)
}

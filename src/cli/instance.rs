//! `tier0 serve` and `tier0 check`: an instance, and whether its configuration could be one.
//!
//! In: arguments and the environment's settings. Out: a running instance until a signal ends it, or
//! every mistake with its place. Must never start anything before everything was found valid.

use super::Desk;
use super::outcome::{Exit, Failure};
use crate::check::{Checked, check};
use crate::config::Layers;
use crate::serve::Instance;
use clap::Args;
use serde_json::json;
use std::path::PathBuf;

const SERVE_EXAMPLES: &str = "\
Examples:
  tier0 --config site.toml serve
  tier0 --config site.toml serve --set executor.local.cores=8
  TIER0_CFG__api__listen=127.0.0.1:8080 tier0 --config site.toml serve";

/// Runs an instance until SIGTERM or SIGINT.
#[derive(Debug, Args)]
#[command(after_help = SERVE_EXAMPLES)]
pub struct ServeArgs {
    /// A setting over file and environment, e.g. api.listen=127.0.0.1:8080
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = setting)]
    settings: Vec<(String, String)>,
}

const CHECK_EXAMPLES: &str = "\
Examples:
  tier0 --config site.toml check
  tier0 check                            the defaults and the embedded pipelines";

/// Checks configuration and pipelines without starting anything.
#[derive(Debug, Args)]
#[command(after_help = CHECK_EXAMPLES)]
pub struct CheckArgs {
    /// A setting over file and environment, e.g. pipelines.folder=my-pipelines
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = setting)]
    settings: Vec<(String, String)>,
}

pub(super) fn setting(text: &str) -> Result<(String, String), String> {
    let (key, value) = text
        .split_once('=')
        .ok_or_else(|| "write KEY=VALUE, as in api.listen=..".to_owned())?;
    Ok((key.to_owned(), value.to_owned()))
}

/// Everything checked, or the mistakes said and the exit code of wrong configuration.
pub(super) fn checked(settings: &[(String, String)], desk: &mut Desk) -> Result<Checked, Failure> {
    let environment: Vec<(String, String)> = std::env::vars().collect();
    let mut flags = settings.to_vec();
    if let Some(state) = &desk.common.state_dir {
        flags.push(("instance.state".to_owned(), state.display().to_string()));
    }
    let search = std::env::var_os("PATH").unwrap_or_default();
    let search: Vec<PathBuf> = std::env::split_paths(&search).collect();
    Layers::from_file(desk.common.config.as_deref(), &environment, &flags)
        .and_then(|layers| check(&layers, &search))
        .map_err(|found| {
            let texts: Vec<String> = found.iter().map(ToString::to_string).collect();
            Failure::Configuration(texts.join("\n"))
        })
}

/// `tier0 check`.
pub(super) fn check_all(arguments: &CheckArgs, desk: &mut Desk) -> Result<Exit, Failure> {
    let checked = checked(&arguments.settings, desk)?;
    let last = checked.definitions.variants().last();
    let last = last.map(|(_, definitions)| definitions).unwrap_or_default();
    let names: Vec<String> = last.iter().map(|d| d.name.to_string()).collect();
    let streams: Vec<String> = checked
        .config
        .streams
        .iter()
        .map(|stream| stream.name.to_string())
        .collect();
    if desk.common.json {
        return desk.document(&json!({ "ok": true, "pipelines": names, "streams": streams }));
    }
    writeln!(
        desk.out,
        "fine: {} pipelines ({}), {} streams",
        names.len(),
        names.join(", "),
        streams.len()
    )?;
    Ok(Exit::Fine)
}

/// `tier0 serve`.
pub(super) fn serve(arguments: &ServeArgs, desk: &mut Desk) -> Result<Exit, Failure> {
    let checked = checked(&arguments.settings, desk)?;
    let name = checked.config.instance.name.clone();
    let program = std::env::current_exe()
        .map_err(|error| Failure::Start(format!("finding the path of this program: {error}")))?;
    let instance = Instance::start(checked, &program).map_err(|e| start_failure(&e))?;
    instance.wait_until_scanned();
    let address = instance
        .address()
        .map_or_else(String::new, |address| address.to_string());
    desk.say(&format!(
        "READY {name}: http://{address}, state in {}",
        instance.state().display()
    ));
    wait_for_end(&instance);
    desk.say("stopping");
    instance.stop().map_err(|error| match &error {
        agents::runtime::AgentError::Store(store) => store_failure(store, error.to_string()),
        _ => Failure::Bug(error.to_string()),
    })?;
    Ok(Exit::Fine)
}

pub(super) fn start_failure(error: &crate::serve::StartError) -> Failure {
    match error {
        crate::serve::StartError::Store(store) => store_failure(store, error.to_string()),
        crate::serve::StartError::Secret { .. } => Failure::Usage(error.to_string()),
        _ => Failure::Start(error.to_string()),
    }
}

pub(super) fn store_failure(store: &ports::store::StoreError, text: String) -> Failure {
    match store {
        ports::store::StoreError::Suspect { .. } => Failure::Storage(text),
        ports::store::StoreError::Away { .. } => Failure::Unreachable(text),
        _ => Failure::Start(text),
    }
}

/// Until a signal asks for the end, or the engine has ended by itself.
pub(super) fn wait_for_end(instance: &Instance) {
    use tokio::signal::unix::{SignalKind, signal};
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let Ok(runtime) = runtime else { return };
    let ended = instance.ended();
    runtime.block_on(async {
        let (Ok(mut term), Ok(mut int)) = (
            signal(SignalKind::terminate()),
            signal(SignalKind::interrupt()),
        ) else {
            return;
        };
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
            () = ended.notified() => {}
        }
    });
}

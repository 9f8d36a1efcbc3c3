//! `tier0 serve`: an instance until a signal ends it.
//!
//! In: arguments and the environment's settings. Out: a running instance, or every mistake of its
//! configuration with its place. Must never start anything before everything was found valid.

use super::Desk;
use super::check::{Origin, mistaken, setting};
use super::outcome::{Exit, Failure};
use crate::serve::{Instance, Reread};
use clap::Args;
use ports::failpoint::{self, Point, pass};

const SERVE_EXAMPLES: &str = "\
Examples:
  tier0 --config site.toml serve
  tier0 --config site.toml serve --set executor.local.cores=8
  TIER0_CFG__api__listen=127.0.0.1:8080 tier0 --config site.toml serve";

/// Runs an instance until SIGTERM or SIGINT; at SIGHUP it reads its configuration again.
#[derive(Debug, Args)]
#[command(after_help = SERVE_EXAMPLES)]
pub struct ServeArgs {
    /// A setting over file and environment, e.g. api.listen=127.0.0.1:8080
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = setting)]
    settings: Vec<(String, String)>,
}

/// `tier0 serve`.
pub(super) fn serve(arguments: &ServeArgs, desk: &mut Desk) -> Result<Exit, Failure> {
    match failpoint::arm_from_environment() {
        Ok(armed) => armed.iter().for_each(|told| desk.say(told)),
        Err(refused) => return Err(Failure::Usage(refused)),
    }
    let origin = Origin::of(&arguments.settings, desk);
    let checked = origin.checked().map_err(|found| mistaken(&found))?;
    let name = checked.config.instance.name.clone();
    let program = std::env::current_exe()
        .map_err(|error| Failure::Start(format!("finding the path of this program: {error}")))?;
    let signals = Signals::listen()?;
    let reread: Reread = Box::new(move || origin.checked());
    let instance =
        Instance::start(checked, &program, Some(reread)).map_err(|e| start_failure(&e))?;
    instance.wait_until_scanned();
    pass(Point::Scanned);
    let address = instance
        .address()
        .map_or_else(String::new, |address| address.to_string());
    desk.say(&format!(
        "READY {name}: http://{address}, state in {}",
        instance.state().display()
    ));
    signals.wait_for_end(&instance, desk);
    desk.say("stopping");
    instance.stop().map_err(|error| match &error {
        agents::runtime::AgentError::Store(ports::store::StoreError::Unwritten { .. }) => {
            Failure::Storage(error.to_string())
        }
        agents::runtime::AgentError::Store(store) => store_failure(store, error.to_string()),
        _ => Failure::Bug(error.to_string()),
    })?;
    failpoint::tell();
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
        ports::store::StoreError::Held { .. } => Failure::Refused(text),
        _ => Failure::Start(text),
    }
}

/// The signals that an instance obeys, heard from before it starts: one that comes early must not
/// end the process by itself.
pub(super) struct Signals {
    runtime: tokio::runtime::Runtime,
    end: [tokio::signal::unix::Signal; 2],
    reload: tokio::signal::unix::Signal,
}

impl Signals {
    /// Begins to listen.
    pub(super) fn listen() -> Result<Self, Failure> {
        use tokio::signal::unix::{SignalKind, signal};
        let failed =
            |error: std::io::Error| Failure::Start(format!("listening to signals: {error}"));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(failed)?;
        let inside = runtime.enter();
        let listen = |kind| signal(kind).map_err(failed);
        let end = [
            listen(SignalKind::terminate())?,
            listen(SignalKind::interrupt())?,
        ];
        let reload = listen(SignalKind::hangup())?;
        drop(inside);
        Ok(Self {
            runtime,
            end,
            reload,
        })
    }

    /// Until a signal asks for the end, or the engine has ended by itself. At SIGHUP the
    /// configuration is read again, and what came of it is said.
    pub(super) fn wait_for_end(mut self, instance: &Instance, desk: &mut Desk) {
        let ended = instance.ended();
        let [term, int] = &mut self.end;
        self.runtime.block_on(async {
            loop {
                tokio::select! {
                    _ = term.recv() => return,
                    _ = int.recv() => return,
                    () = ended.notified() => return,
                    _ = self.reload.recv() => desk.say(&instance.reload("SIGHUP")),
                }
            }
        });
    }
}

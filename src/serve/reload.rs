//! Reading the configuration again while the instance runs: taken as a whole, or refused as a whole
//! with every mistake.
//!
//! In comes whoever asks, out comes the engine's answer. Pipelines, datasets, eras and programs are
//! taken; anything that only holds from the start must be the same, or it is said that a restart is
//! needed. Nothing is ever taken in part.

use super::{make_absolute, settings};
use crate::check::{Checked, changes, needing_a_restart};
use agents::commands::{Commands, DoorError};
use model::command::{Intent, Order, Preview, Reply};
use parking_lot::Mutex;
use pipelines::diagnosis::Diagnosis;
use std::path::{Path, PathBuf};

/// Reads and checks the configuration again.
pub type Reread = Box<dyn Fn() -> Result<Checked, Vec<Diagnosis>> + Send + Sync>;

/// Whoever is asked to read the configuration again.
pub(super) struct Reloader {
    /// What is in force; held while another is read, so that two askers follow each other.
    in_force: Mutex<Checked>,
    myself: PathBuf,
    reread: Option<Reread>,
    pub(super) commands: Commands,
}

impl Reloader {
    pub(super) fn new(
        in_force: Checked,
        myself: &Path,
        reread: Option<Reread>,
        commands: Commands,
    ) -> Self {
        Self {
            in_force: Mutex::new(in_force),
            myself: myself.to_owned(),
            reread,
            commands,
        }
    }

    /// The configuration that new runs get.
    pub(super) fn hash(&self) -> String {
        self.in_force.lock().hash()
    }

    /// Reads it again; blocks until the answer is durable.
    pub(super) fn reload(&self, order: Order) -> Result<Reply, DoorError> {
        let mut in_force = self.in_force.lock();
        let read = match &self.reread {
            Some(reread) => told(reread()).and_then(|new| takeable(&in_force, new)),
            None => Err("this instance has no configuration that could be read again".to_owned()),
        };
        if order.intent == Intent::Preview {
            return Ok(match read {
                Ok(new) => preview(&in_force, &new),
                Err(mistakes) => Reply::Refused(mistakes),
            });
        }
        let new = match read {
            Ok(new) => new,
            Err(mistakes) => return self.commands.reconfigure(order, Err(mistakes)),
        };
        let configuration = Box::new(settings::configuration(&new, &self.myself));
        let reply = self.commands.reconfigure(order, Ok(configuration))?;
        if matches!(reply, Reply::Done(_)) {
            *in_force = new;
        }
        Ok(reply)
    }
}

/// What was read, if a running instance can take it.
fn takeable(in_force: &Checked, mut new: Checked) -> Result<Checked, String> {
    make_absolute(&mut new.config).map_err(|error| error.to_string())?;
    let fixed = needing_a_restart(&in_force.config, &new.config);
    if fixed.is_empty() {
        return Ok(new);
    }
    Err(format!(
        "{} changed, and a running instance does not take that; nothing was taken. Change it \
         back, or restart the instance: it finishes the runs that are open.",
        fixed.join(", ")
    ))
}

fn preview(in_force: &Checked, new: &Checked) -> Reply {
    let objects = changes(in_force, new);
    let would = match objects.len() {
        0 => "nothing would change".to_owned(),
        _ => "runs that open from now on would get this; open runs keep theirs".to_owned(),
    };
    Reply::Would(Preview {
        would,
        count: objects.len() as u64,
        objects,
    })
}

fn told(read: Result<Checked, Vec<Diagnosis>>) -> Result<Checked, String> {
    read.map_err(|found| {
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        found.join("\n")
    })
}

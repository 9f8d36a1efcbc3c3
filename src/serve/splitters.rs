//! Plugins that split, started by the instance itself.
//!
//! In: questions. Out: the plugin's groups, or what it did instead. It runs with a few settings of
//! the machine and none of ours: no secret of the instance is in its environment. What names the
//! instance and its epoch is, so that the next start ends one that a killed instance left behind.

use model::ids::Epoch;
use model::plugin::SplitQuestion;
use ports::splitter::AskSplitter;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

/// What a program of the machine needs to find its parts.
const KEPT: [&str; 7] = [
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TZ",
    "LD_LIBRARY_PATH",
    "PYTHONPATH",
];

/// Starts them.
struct Splitters {
    /// The work folder, by which processes of this instance are known.
    work: PathBuf,
    /// The instance's epoch.
    epoch: Epoch,
}

/// Those of an instance.
pub(super) fn of(work: &Path, epoch: Epoch) -> Arc<dyn AskSplitter> {
    let work = std::path::absolute(work).unwrap_or_else(|_| work.to_owned());
    Arc::new(Splitters { work, epoch })
}

impl AskSplitter for Splitters {
    fn ask(&self, question: &SplitQuestion) -> Result<Vec<Vec<u32>>, String> {
        let Some((program, arguments)) = question.program.split_first() else {
            return Err("has no program".to_owned());
        };
        let kept = KEPT.iter();
        let kept = kept.filter_map(|name| Some((name, std::env::var_os(name)?)));
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir("/")
            .env_clear()
            .envs(kept)
            .env("TIER0_INSTANCE", &self.work)
            .env("TIER0_EPOCH", self.epoch.0.to_string());
        programs::splitter::ask(command, question)
    }
}

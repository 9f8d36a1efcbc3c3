//! What must be true of sources on their way to removal (I2), as far as the engine knows: the world
//! itself is looked at by the simulator and by the tests of the real program.

use super::Broken;
use crate::Engine;
use model::file::Content;
use model::source::{Source, SourceState};

impl Engine {
    /// I2: rows are of files that are known, and whoever may be gone was fit to go.
    pub(super) fn check_sources(&self, broken: &mut Vec<Broken>) {
        for source in self.sources.rows.values() {
            if let Some(what) = self.broken_source(source) {
                broken.push(Broken {
                    invariant: "I2",
                    what,
                });
            }
        }
    }

    /// What is wrong with a source, if anything.
    pub(super) fn broken_source(&self, source: &Source) -> Option<String> {
        let id = source.file;
        let Some(file) = self.files.get(&id).filter(|file| !file.arrival.empty) else {
            return Some(format!("source {id} is of no file"));
        };
        let name = &file.arrival.name;
        if source.run != file.arrival.run {
            return Some(format!("the source {name} is of another run"));
        }
        if !source.state.is_released() {
            return None;
        }
        let (bytes, adler32) = (source.bytes, source.adler32);
        if !file.is_as_claimed(bytes, adler32) || matches!(file.content, Content::Differs { .. }) {
            return Some(format!("{name} was released and is not what was claimed"));
        }
        // Two copies, each read twice and each with its row, and the decision.
        if source.steps < 7 {
            return Some(format!("{name} was released after {} steps", source.steps));
        }
        let late = !self.is_at_work(file);
        late.then(|| format!("{name} was released and no job was made for it"))
    }

    /// Sources that are released, and that are gone.
    pub(super) fn sources_released(&self) -> (u64, u64) {
        let rows = self.sources.rows.values();
        rows.fold((0, 0), |(released, gone), row| {
            let unlinked = matches!(row.state, SourceState::Unlinked { .. });
            let is_released = u64::from(row.state.is_released());
            (released + is_released, gone + u64::from(unlinked))
        })
    }
}

//! What the configuration says of the release of sources, for the engine, for whoever copies and
//! removes, and for whoever reads.
//!
//! In comes a checked configuration, out come a policy, folders, and the keeper of sources. With no
//! folders of copies the keeper has none, and nobody asks it for anything.

use super::{StartError, profiles};
use crate::config::Config;
use engine::ReleasePolicy;
use model::names::{FileName, ProfileName};
use model::source::{CopyOrder, CopyPlace, Found, SourceFailure, SourceTrouble, UnlinkOrder};
use ports::storage::SourceKeeper;
use std::path::PathBuf;
use std::sync::Arc;
use storage::{PosixSources, Spool};

/// When sources may be removed; none for never.
pub(super) fn policy(config: &Config) -> Option<ReleasePolicy> {
    let release = &config.release;
    let soak = release.soak;
    (release.enabled && release.copies.is_some()).then_some(ReleasePolicy { soak })
}

/// The folders of copies, in order: they are read also where nothing is released any more.
pub(super) fn folders(config: &Config) -> Vec<PathBuf> {
    config.release.copies.iter().flatten().cloned().collect()
}

/// Who copies sources and removes them.
pub(super) fn keeper(config: &Config) -> Result<Arc<dyn SourceKeeper>, StartError> {
    let Some(copies) = config.release.copies.clone() else {
        return Ok(Arc::new(Nobody));
    };
    let mut spools = std::collections::BTreeMap::new();
    for stream in &config.streams {
        let failed = |detail: String| StartError::Stream {
            name: stream.name.to_string(),
            detail,
        };
        let profile = profiles::profile_of(stream).map_err(failed)?;
        let sidecars = watch::Sidecars::of(&profile).map_err(|error| failed(error.to_string()))?;
        let spool = Spool {
            folder: stream.folder.clone(),
            sidecar_of: Box::new(move |file| sidecars.of_file(file)),
        };
        spools.insert(stream.name.clone(), spool);
    }
    Ok(Arc::new(PosixSources::new(spools, copies)))
}

/// The keeper where no copies are kept.
struct Nobody;

impl Nobody {
    fn refuses(name: &FileName) -> SourceFailure {
        SourceFailure {
            trouble: SourceTrouble::Place,
            message: format!(
                "{name} has no folder of copies; name two in [release] and restart the instance"
            ),
        }
    }
}

impl SourceKeeper for Nobody {
    fn copy(&self, order: &CopyOrder, _: &dyn Fn() -> bool) -> Option<Found> {
        Some(Err(Self::refuses(&order.name)))
    }

    fn read_copy(
        &self,
        _: CopyPlace,
        _: &ProfileName,
        name: &FileName,
        _: &dyn Fn() -> bool,
    ) -> Option<Found> {
        Some(Err(Self::refuses(name)))
    }

    fn unlink(&self, order: &UnlinkOrder) -> Result<(), SourceFailure> {
        Err(Self::refuses(&order.name))
    }
}

//! The journal of an instance (D5): where it lies, which program writes it, and what is needed to
//! do it again.
//!
//! In come checked configurations and files, out come what an agent needs to write one, and what
//! came of a replay. A replay starts nothing and touches no store.

use super::settings;
use crate::config::InstanceConfig;
use agents::journal::{self, Build, JournalPlace, Refused, Replayed};
use model::configuration::ConfigurationText;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io;
use std::path::Path;

/// This very program, even if another has taken the place of its file meanwhile.
const MYSELF: &str = "/proc/self/exe";
/// The folder of the journals, in the state folder.
const FOLDER: &str = "journal";

/// Where the journal of an instance is written, if it shall have one.
pub(super) fn place(places: &InstanceConfig, program: &Path) -> Option<JournalPlace> {
    let program = program.display().to_string();
    places.journal.map(|room| JournalPlace {
        folder: places.state.join(FOLDER),
        bytes_max: room.0,
        build: Box::new(move || build(program)),
    })
}

/// Which program this is, by its content. Takes about as long as reading its file.
fn build(program: String) -> io::Result<Build> {
    let mut hash = Sha256::new();
    io::copy(&mut File::open(MYSELF)?, &mut hash)?;
    Ok(Build {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        hash: crate::data::hex(&hash.finalize()[..8]),
        program,
    })
}

/// Does the journal again that begins in this file.
pub fn replay(path: &Path) -> Result<Replayed, Refused> {
    let build = build(String::new()).map_err(|source| Refused::Unreadable {
        path: MYSELF.into(),
        source,
    })?;
    // Definitions name the program that wrote the journal, wherever this one lies.
    let again = |program: &Path, text: &ConfigurationText| settings::again(text, program);
    journal::replay(path, &build, &again)
}

//! What `[release]` names outside itself: the folders of copies must be there, must be ours to
//! write, must lie outside everything else, and must not be lost together with the sources.
//!
//! In come the configuration and the file system, which is only looked at; out come mistakes. Two
//! folders on one disk are one failure domain: that is refused, unless it is said to be accepted.

use crate::config::{Config, Layers};
use pipelines::document::Node;
use pipelines::reader::Reader;
use rustix::fs::{Access, access};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Folders of copies, as far as they can be looked at.
pub(super) fn check_release(reader: &Reader<'_>, layers: &Layers, config: &Config) {
    let release = &config.release;
    let Some(copies) = release.copies.as_ref().filter(|_| release.enabled) else {
        return;
    };
    let root = &layers.document.root;
    let section = root.get("release");
    let at = section.and_then(|section| section.get("copies"));
    let at: &Node = at.or(section).unwrap_or(root);
    let mistake = |code: &'static str, message: String, hint: &str| {
        reader.mistake(at, code, message, hint);
    };
    let mut devices = Vec::new();
    for folder in copies {
        match device(folder) {
            Ok(device) => devices.push((format!("the copies in {}", folder.display()), device)),
            Err(why) => {
                let message = format!("the folder of copies {} {why}", folder.display());
                let hint = "make it, or mount its disk, and let whoever runs the instance write it";
                mistake("C012", message, hint);
            }
        }
    }
    if let Some((one, other)) = nested(copies, config) {
        let message = format!(
            "{} and {} lie in each other: copies would be taken for something else",
            one.display(),
            other.display()
        );
        mistake("C005", message, "give copies two folders of their own");
        return;
    }
    if release.one_failure_domain || devices.len() < copies.len() {
        return;
    }
    for stream in &config.streams {
        if let Ok(found) = std::fs::metadata(&stream.folder) {
            let shown = format!("the sources of \"{}\"", stream.name);
            devices.push((shown, found.dev()));
        }
    }
    for (position, (one, device)) in devices.iter().enumerate() {
        let mut others = devices[position + 1..].iter();
        if let Some((other, _)) = others.find(|(_, other)| other == device) {
            let message =
                format!("{one} and {other} are on one disk: what breaks it takes both with it");
            let hint = "name folders on disks of their own, or accept it with one_failure_domain \
                        = true";
            mistake("C015", message, hint);
            return;
        }
    }
}

/// The disk of a folder that we can write to, or why it is none.
fn device(folder: &Path) -> Result<u64, String> {
    let found = std::fs::metadata(folder).map_err(|error| format!("cannot be found: {error}"))?;
    if !found.is_dir() {
        return Err("is no folder".to_owned());
    }
    access(folder, Access::WRITE_OK | Access::EXEC_OK)
        .map_err(|error| format!("cannot be written: {error}"))?;
    Ok(found.dev())
}

/// A folder of copies that lies in another folder of the instance, or the other way round.
fn nested<'c>(copies: &'c [PathBuf; 2], config: &'c Config) -> Option<(&'c Path, &'c Path)> {
    let whole = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let instance = &config.instance;
    let streams = config.streams.iter().map(|stream| &stream.folder);
    let others: Vec<&PathBuf> = [&instance.state, &instance.work, &instance.storage]
        .into_iter()
        .chain(streams)
        .collect();
    let meet = |one: &Path, other: &Path| {
        let (one, other) = (whole(one), whole(other));
        one.starts_with(&other) || other.starts_with(&one)
    };
    if meet(&copies[0], &copies[1]) {
        return Some((&copies[0], &copies[1]));
    }
    copies.iter().find_map(|copy| {
        let other = others.iter().find(|other| meet(copy, other))?;
        Some((copy.as_path(), other.as_path()))
    })
}

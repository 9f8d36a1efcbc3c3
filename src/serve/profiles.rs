//! A stream of the configuration becomes a profile of the watcher.

use crate::config::{Completion, Lumis, StreamConfig, StreamKind, WatchHow};
use model::arrival;
use watch::{FileCompletion, How, NamePattern, Profile};

/// The watcher's profile for a configured stream, or what does not fit together.
pub(super) fn profile_of(stream: &StreamConfig) -> Result<Profile, String> {
    let name = stream.name.as_str();
    let mut profile = match stream.kind {
        StreamKind::Cms => Profile::cms(name, &stream.folder, stream.label),
        StreamKind::Generic => Profile::generic(name, &stream.folder, stream.label),
    };
    profile.how = match stream.how {
        WatchHow::Inotify => How::Inotify,
        WatchHow::Poll => How::Poll,
        WatchHow::Auto => How::Auto,
    };
    profile.recursive = stream.recursive;
    profile.scan_interval_min = stream.scan_interval;
    profile.poll_interval = stream.poll_interval;
    if let Some(pattern) = &stream.pattern {
        profile.pattern = NamePattern::parse(pattern).map_err(|error| error.to_string())?;
    }
    if stream.run.is_some() {
        profile.run = stream.run;
    }
    if let Lumis::One(lumi) = stream.lumis {
        profile.lumi = lumi;
    }
    if stream.stream.is_some() {
        profile.stream.clone_from(&stream.stream);
    }
    profile.completion = match &stream.completion {
        Completion::Sidecar { suffix } => FileCompletion::Sidecar {
            suffix: suffix.clone(),
        },
        Completion::Rename => FileCompletion::Rename,
        Completion::CloseWrite => FileCompletion::CloseWrite,
        Completion::SizeStable { quiet } => FileCompletion::SizeStable { quiet: *quiet },
    };
    profile.check()?;
    Ok(profile)
}

/// What the engine is told of a configured stream's lumis and runs.
pub(super) fn completion_of(stream: &StreamConfig) -> arrival::Completion {
    arrival::Completion {
        lumi_timeout: stream.lumi_timeout,
        run_timeout: stream.run_timeout,
        absent_lumi: stream.absent_lumi,
        lumi_slice: match stream.lumis {
            Lumis::Slices(slice) => Some(slice),
            Lumis::One(_) => None,
        },
        run_type: Some(stream.run_type),
    }
}

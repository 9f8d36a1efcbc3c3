//! The source of the one file of the detector: its copies soak, and how they came to be is written
//! down.

use super::at;
use model::ids::{AgentNumber, Epoch, FileId, RunNumber};
use model::source::{CopyPlace, Evidence, How, Source, SourceState};
use model::units::Bytes;

const FILE: FileId = FileId(100);

pub(super) fn source(file: FileId) -> Option<Source> {
    (file == FILE).then(|| Source {
        file,
        run: RunNumber(1),
        state: SourceState::VerifiedTwice {
            since: at(30),
            again: None,
        },
        bytes: Bytes(9),
        adler32: 0x11e6_0398,
        steps: 4,
    })
}

pub(super) fn evidence(file: FileId) -> Vec<Evidence> {
    let step = |step: u32, from: &str, to: &str, copy, how| Evidence {
        file,
        run: RunNumber(1),
        step,
        from: from.to_owned(),
        to: to.to_owned(),
        at: at(20 + i64::from(step)),
        agent: AgentNumber(0),
        epoch: Epoch(3),
        by: None,
        copy: Some(copy),
        bytes: Some(Bytes(9)),
        adler32: Some(0x11e6_0398),
        how,
        detail: String::new(),
    };
    let (first, second) = (CopyPlace::First, CopyPlace::Second);
    let all = vec![
        step(1, "landed", "copied", first, How::ReadWhileCopying),
        step(2, "copied", "verified", first, How::ReadFromStorage),
        step(3, "verified", "copied-twice", second, How::ReadWhileCopying),
        step(
            4,
            "copied-twice",
            "verified-twice",
            second,
            How::ReadFromStorage,
        ),
    ];
    if file == FILE { all } else { Vec::new() }
}

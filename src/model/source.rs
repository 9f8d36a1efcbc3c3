//! The way of a source file from where the detector wrote it to its removal (P2): copied twice,
//! each copy verified by reading it back, left to soak, read once more, released, removed.
//!
//! In come events, out comes the next state; every step leaves a row of evidence that says what was
//! found, by whom, when, and how it was read. Nothing here removes anything: a file may go only in
//! the state `released`, and only once that is durable.

use crate::ids::{AgentNumber, Epoch, FileId, RunNumber};
use crate::names::{FileName, ProfileName};
use crate::step::IllegalStep;
use crate::time::Moment;
use crate::units::Bytes;
use crate::work::Location;
use serde::{Deserialize, Serialize};
use std::fmt;

/// One of the two folders that copies go to, each a failure domain of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum CopyPlace {
    /// The first that the configuration names.
    First,
    /// The second.
    Second,
}

impl CopyPlace {
    /// Both, in order.
    pub const ALL: [Self; 2] = [Self::First, Self::Second];

    /// The one that this is not.
    pub fn other(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }

    /// Its number for people and rows: 1 or 2.
    pub fn number(self) -> u32 {
        match self {
            Self::First => 1,
            Self::Second => 2,
        }
    }
}

impl fmt::Display for CopyPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.number().fmt(f)
    }
}

/// How far a source file is on its way. A file without a row has landed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SourceState {
    /// Accepted, and no copy of it is known to be good.
    Landed,
    /// One copy is written and synced; nobody has read it back.
    Copied {
        /// Where.
        copy: CopyPlace,
    },
    /// One copy was read back and is what the source was.
    Verified {
        /// Where.
        copy: CopyPlace,
    },
    /// The other copy is written too, and nobody has read it back.
    CopiedTwice {
        /// Where the one is that was read back.
        verified: CopyPlace,
    },
    /// Both copies were read back; they soak, because storage has lost files after it had shown
    /// them.
    VerifiedTwice {
        /// Since when.
        since: Moment,
        /// The one that was read again after the soak, if one was.
        again: Option<CopyPlace>,
    },
    /// Both were read again after the soak, and are what the source was.
    Soaked {
        /// When.
        at: Moment,
    },
    /// The source may go. Once this is durable nobody reads it any more.
    Released {
        /// When.
        at: Moment,
    },
    /// The source is gone, and its sidecar with it.
    Unlinked {
        /// When.
        at: Moment,
    },
    /// The source was gone before there was a good copy of it.
    Lost {
        /// Since when that is known.
        since: Moment,
    },
    /// A person has said that it will not come back.
    GivenUp {
        /// When.
        at: Moment,
    },
}

/// What can happen on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceEvent {
    /// A copy was written and synced.
    Copied(CopyPlace),
    /// A copy was read back and is what the source was.
    Good(CopyPlace, Moment),
    /// A copy was not there when it was to be read, or is something else.
    Bad(CopyPlace),
    /// All premises of a release hold, and the soak was not too long ago.
    Released(Moment),
    /// All premises of a release hold, and the last look at the copies is as old as a soak.
    Aged(Moment),
    /// The source and its sidecar are gone, by our hand.
    Unlinked(Moment),
    /// The source is gone, and not by our hand.
    Gone(Moment),
    /// A person has said that it will not come back.
    GivenUp(Moment),
}

impl SourceState {
    /// The words of all states, in the order of the numbers that rows know them by.
    pub const WORDS: [&'static str; 10] = [
        "landed",
        "copied",
        "verified",
        "copied-twice",
        "verified-twice",
        "soaked",
        "released",
        "unlinked",
        "lost",
        "given-up",
    ];

    /// Its word.
    pub fn word(&self) -> &'static str {
        Self::WORDS[self.position()]
    }

    fn position(&self) -> usize {
        match self {
            Self::Landed => 0,
            Self::Copied { .. } => 1,
            Self::Verified { .. } => 2,
            Self::CopiedTwice { .. } => 3,
            Self::VerifiedTwice { .. } => 4,
            Self::Soaked { .. } => 5,
            Self::Released { .. } => 6,
            Self::Unlinked { .. } => 7,
            Self::Lost { .. } => 8,
            Self::GivenUp { .. } => 9,
        }
    }

    /// The number that rows know it by; it never changes its meaning.
    pub fn number(&self) -> i64 {
        self.position() as i64 + 1
    }

    /// Whether the source may be gone, or is: whoever wants the file reads a copy.
    pub fn is_released(&self) -> bool {
        matches!(self, Self::Released { .. } | Self::Unlinked { .. })
    }

    /// Whether nothing more will happen to it.
    pub fn is_over(&self) -> bool {
        matches!(self, Self::Unlinked { .. } | Self::GivenUp { .. })
    }

    /// A copy that was read back and that nobody has since found to be bad.
    pub fn good_copy(&self) -> Option<CopyPlace> {
        match self {
            Self::Verified { copy } | Self::CopiedTwice { verified: copy } => Some(*copy),
            Self::VerifiedTwice { .. }
            | Self::Soaked { .. }
            | Self::Released { .. }
            | Self::Unlinked { .. } => Some(CopyPlace::First),
            Self::Landed | Self::Copied { .. } | Self::Lost { .. } | Self::GivenUp { .. } => None,
        }
    }

    /// The only place where a source changes state.
    pub fn next(&self, event: SourceEvent) -> Result<Self, IllegalStep> {
        use {SourceEvent as E, SourceState as S};
        match (*self, event) {
            (S::Landed | S::Lost { .. }, E::Copied(copy)) => Ok(S::Copied { copy }),
            (S::Landed, E::Gone(since)) => Ok(S::Lost { since }),
            (S::Copied { copy }, E::Good(read, _)) if read == copy => Ok(S::Verified { copy }),
            (S::Copied { copy }, E::Bad(read)) if read == copy => Ok(S::Landed),
            (S::Verified { copy }, E::Copied(new)) if new != copy => {
                Ok(S::CopiedTwice { verified: copy })
            }
            (S::Verified { copy }, E::Bad(read)) if read == copy => Ok(S::Landed),
            (S::CopiedTwice { verified }, E::Good(read, since)) if read != verified => {
                Ok(S::VerifiedTwice { since, again: None })
            }
            (S::CopiedTwice { verified }, E::Bad(read)) if read != verified => {
                Ok(S::Verified { copy: verified })
            }
            (S::VerifiedTwice { since, again: None }, E::Good(read, _)) => Ok(S::VerifiedTwice {
                since,
                again: Some(read),
            }),
            (
                S::VerifiedTwice {
                    again: Some(before),
                    ..
                },
                E::Good(read, at),
            ) if read != before => Ok(S::Soaked { at }),
            (S::VerifiedTwice { .. }, E::Bad(read)) => Ok(S::Verified { copy: read.other() }),
            (S::Soaked { .. }, E::Released(at)) => Ok(S::Released { at }),
            (S::Soaked { .. }, E::Aged(since)) => Ok(S::VerifiedTwice { since, again: None }),
            (S::Released { .. }, E::Unlinked(at)) => Ok(S::Unlinked { at }),
            (S::Lost { .. }, E::GivenUp(at)) => Ok(S::GivenUp { at }),
            (
                S::Landed
                | S::Copied { .. }
                | S::Verified { .. }
                | S::CopiedTwice { .. }
                | S::VerifiedTwice { .. }
                | S::Soaked { .. }
                | S::Released { .. }
                | S::Unlinked { .. }
                | S::Lost { .. }
                | S::GivenUp { .. },
                _,
            ) => Err(IllegalStep::new("source", self, &event)),
        }
    }
}

/// A source file on its way: the row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The file.
    pub file: FileId,
    /// Its run.
    pub run: RunNumber,
    /// How far it is.
    pub state: SourceState,
    /// Its size as it was read for the first copy: what every copy must be.
    pub bytes: Bytes,
    /// Its adler32 as it was read for the first copy.
    pub adler32: u32,
    /// Steps so far, each with its row of evidence.
    pub steps: u32,
}

/// How what a step rests on was learnt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum How {
    /// Size and checksum of the source, read while it was copied.
    ReadWhileCopying,
    /// Size and checksum of a copy, read from its storage after it was synced, and not from what
    /// was written.
    ReadFromStorage,
    /// The name was looked for.
    LookedFor,
    /// The engine decided, with all premises.
    Decided,
    /// The source and its sidecar were removed.
    Removed,
    /// A person said so.
    Said,
}

impl How {
    /// In words, for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ReadWhileCopying => "read while it was copied",
            Self::ReadFromStorage => "read back from its storage",
            Self::LookedFor => "looked for",
            Self::Decided => "decided",
            Self::Removed => "removed",
            Self::Said => "said by a person",
        }
    }
}

/// What one step of a source rests on: a row that is written once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// The file.
    pub file: FileId,
    /// Its run.
    pub run: RunNumber,
    /// Which of its steps, counted from 1.
    pub step: u32,
    /// The state before, in its word.
    pub from: String,
    /// The state after.
    pub to: String,
    /// When.
    pub at: Moment,
    /// Which agent found or decided it.
    pub agent: AgentNumber,
    /// In which epoch of it.
    pub epoch: Epoch,
    /// The person who said so, where one did.
    pub by: Option<String>,
    /// The copy that it is about.
    pub copy: Option<CopyPlace>,
    /// The size that was found.
    pub bytes: Option<Bytes>,
    /// The adler32 that was found.
    pub adler32: Option<u32>,
    /// How.
    pub how: How,
    /// What else was found, in words; empty where nothing.
    pub detail: String,
}

/// A copy to make: written under another name, synced, and given its name without replacing
/// anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyOrder {
    /// The file.
    pub file: FileId,
    /// Whose folder it came by.
    pub profile: ProfileName,
    /// Its name in it.
    pub name: FileName,
    /// What is read: the source, or the other copy where the source is gone.
    pub from: Location,
    /// Where it goes.
    pub to: CopyPlace,
}

/// A source to remove, with its sidecar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnlinkOrder {
    /// The file.
    pub file: FileId,
    /// Whose folder it lies in.
    pub profile: ProfileName,
    /// Its name in it.
    pub name: FileName,
    /// What it must be, or it stays: somebody has written another file under its name.
    pub bytes: Bytes,
    /// When it was last written, as it was accepted.
    pub mtime: Moment,
    /// Its adler32 as it was copied.
    pub adler32: u32,
}

/// Why something was not done to a source or a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SourceTrouble {
    /// What was to be read is not there, and its folder is.
    Missing,
    /// It is there, and it is not what it must be.
    Differs,
    /// It cannot be read or removed now.
    Unreachable,
    /// The folder of copies takes or gives nothing now: full, read-only, not mounted.
    Place,
}

/// What was tried, on what, why it failed; and what that means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceFailure {
    /// What it means.
    pub trouble: SourceTrouble,
    /// The sentence for people.
    pub message: String,
}

/// Size and adler32, or why they are not known.
pub type Found = Result<(Bytes, u32), SourceFailure>;

/// What came of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SourceNews {
    /// Of a copy to make: what was read of the original on the way.
    Copied(CopyPlace, Found),
    /// Of a copy to read back: what is there.
    Read(CopyPlace, Found),
    /// Of a source to remove.
    Unlinked(Result<(), SourceFailure>),
}

#[cfg(test)]
mod tests {
    use super::*;
    use CopyPlace::{First, Second};

    const T: Moment = Moment(7);

    fn states() -> Vec<SourceState> {
        use SourceState as S;
        let soaks = |again| S::VerifiedTwice {
            since: Moment(3),
            again,
        };
        vec![
            S::Landed,
            S::Copied { copy: First },
            S::Copied { copy: Second },
            S::Verified { copy: First },
            S::Verified { copy: Second },
            S::CopiedTwice { verified: First },
            S::CopiedTwice { verified: Second },
            soaks(None),
            soaks(Some(First)),
            soaks(Some(Second)),
            S::Soaked { at: Moment(5) },
            S::Released { at: Moment(5) },
            S::Unlinked { at: Moment(5) },
            S::Lost { since: Moment(5) },
            S::GivenUp { at: Moment(5) },
        ]
    }

    fn events() -> Vec<SourceEvent> {
        use SourceEvent as E;
        let places = [First, Second].into_iter();
        let of = |place| [E::Copied(place), E::Good(place, T), E::Bad(place)];
        let rest = [
            E::Released(T),
            E::Aged(T),
            E::Unlinked(T),
            E::Gone(T),
            E::GivenUp(T),
        ];
        places.flat_map(of).chain(rest).collect()
    }

    /// A state in few words: its word, and where its copies are.
    fn short(state: &SourceState) -> String {
        use SourceState as S;
        let data = match state {
            S::Copied { copy } | S::Verified { copy } => copy.to_string(),
            S::CopiedTwice { verified } => verified.to_string(),
            S::VerifiedTwice { again, .. } => again.map_or("-".to_owned(), |a| a.to_string()),
            _ => String::new(),
        };
        format!("{}{data}", state.word())
    }

    #[test]
    fn the_full_product_of_states_and_events() {
        let name = |event: &SourceEvent| match event {
            SourceEvent::Copied(place) => format!("copied({place})"),
            SourceEvent::Good(place, _) => format!("good({place})"),
            SourceEvent::Bad(place) => format!("bad({place})"),
            other => format!("{other:?}")
                .split('(')
                .next()
                .unwrap()
                .to_lowercase(),
        };
        let mut table = Vec::new();
        for state in states() {
            for event in events() {
                match state.next(event) {
                    Ok(next) => {
                        let (from, to) = (short(&state), short(&next));
                        table.push(format!("{from} + {} = {to}", name(&event)));
                    }
                    Err(illegal) => {
                        assert_eq!(illegal.machine, "source");
                        assert!(illegal.from.contains(&format!("{state:?}")));
                    }
                }
            }
        }
        let expect = "\
landed + copied(1) = copied1
landed + copied(2) = copied2
landed + gone = lost
copied1 + good(1) = verified1
copied1 + bad(1) = landed
copied2 + good(2) = verified2
copied2 + bad(2) = landed
verified1 + bad(1) = landed
verified1 + copied(2) = copied-twice1
verified2 + copied(1) = copied-twice2
verified2 + bad(2) = landed
copied-twice1 + good(2) = verified-twice-
copied-twice1 + bad(2) = verified1
copied-twice2 + good(1) = verified-twice-
copied-twice2 + bad(1) = verified2
verified-twice- + good(1) = verified-twice1
verified-twice- + bad(1) = verified2
verified-twice- + good(2) = verified-twice2
verified-twice- + bad(2) = verified1
verified-twice1 + bad(1) = verified2
verified-twice1 + good(2) = soaked
verified-twice1 + bad(2) = verified1
verified-twice2 + good(1) = soaked
verified-twice2 + bad(1) = verified2
verified-twice2 + bad(2) = verified1
soaked + released = released
soaked + aged = verified-twice-
released + unlinked = unlinked
lost + copied(1) = copied1
lost + copied(2) = copied2
lost + givenup = given-up";
        assert_eq!(table.join("\n"), expect);
    }

    #[test]
    fn times_are_kept_and_a_repair_soaks_from_the_beginning() {
        use {SourceEvent as E, SourceState as S};
        let way = |events: &[E]| {
            let step = |state: S, event: &E| state.next(*event).expect("a legal step");
            events.iter().fold(S::Landed, step)
        };
        let at = Moment;
        let twice = [
            E::Copied(First),
            E::Good(First, at(1)),
            E::Copied(Second),
            E::Good(Second, at(2)),
        ];
        let soaking = |since, again| S::VerifiedTwice { since, again };
        assert_eq!(way(&twice), soaking(at(2), None));
        let repaired = [
            E::Good(First, at(9)),
            E::Bad(Second),
            E::Copied(Second),
            E::Good(Second, at(12)),
        ];
        assert_eq!(
            way(&[&twice[..], &repaired].concat()),
            soaking(at(12), None)
        );
        let soaked = [E::Good(Second, at(9)), E::Good(First, at(10))];
        assert_eq!(
            way(&[&twice[..], &soaked].concat()),
            S::Soaked { at: at(10) }
        );
    }

    #[test]
    fn words_and_numbers_belong_together() {
        for state in states() {
            let at = state.number() as usize - 1;
            assert_eq!(SourceState::WORDS[at], state.word());
        }
    }
}

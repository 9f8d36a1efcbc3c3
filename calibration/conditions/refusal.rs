//! Why something does not become a condition, or why there is none: what was asked, what stands
//! against it, and what to do instead.

use model::conditions::{Synchronisation, TimeType};
use model::names::TagName;
use thiserror::Error;

/// A no with its reason.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The number is no since of this tag.
    #[error("{since} is no since of {tag}: {why}; give it as the tag counts")]
    NoSince {
        /// The tag.
        tag: TagName,
        /// What was given.
        since: u64,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Nothing new may go into the tag.
    #[error("{tag} is protected: it takes nothing new; put it into a tag of its own")]
    Protected {
        /// The tag.
        tag: TagName,
    },
    /// The tag is filled once.
    #[error(
        "{tag} is {} and has an interval since {last}: it is filled once; make a new tag",
        .synchronisation.as_str()
    )]
    NotEmpty {
        /// The tag.
        tag: TagName,
        /// What it is for.
        synchronisation: Synchronisation,
        /// Its last since.
        last: String,
    },
    /// The tag only grows at its end.
    #[error("{tag} only grows at its end: begin after {last}, not with {since}, or make a new tag")]
    NotBehind {
        /// The tag.
        tag: TagName,
        /// What was asked for.
        since: String,
        /// Its last since.
        last: String,
    },
    /// What was released is not rewritten.
    #[error(
        "{since} is before the first condition safe run, {limit}: earlier runs have taken their \
         conditions of {tag}; begin with {limit} or later, or put it into a tag of its own for a \
         reprocessing"
    )]
    Released {
        /// The tag.
        tag: TagName,
        /// What was asked for.
        since: String,
        /// The first since that is allowed.
        limit: String,
    },
    /// The tag has ended.
    #[error("{tag} is valid up to {end}, and {since} is behind it; make a new tag for later runs")]
    BehindTheEnd {
        /// The tag.
        tag: TagName,
        /// What would be kept.
        since: String,
        /// Where the tag ends.
        end: String,
    },
    /// Nobody made the tag.
    #[error(
        "no tag is called {tag}; `tier0 calib tags` lists them, and a first put that says its \
         synchronisation makes it"
    )]
    NoTag {
        /// The tag.
        tag: TagName,
    },
    /// The tag is there and is something else.
    #[error("{tag} is known with another {what}: what a tag is does not change; make a new tag")]
    OtherTag {
        /// The tag.
        tag: TagName,
        /// What differs.
        what: &'static str,
    },
    /// The tag counts by something else than what was given.
    #[error(
        "{tag} counts by {}, and a since of it is {}: what a tag counts by does not change; give \
         one of those, or make a new tag",
        .by.as_str(),
        match .by {
            TimeType::Run => "the number of a run",
            TimeType::Lumi => "a lumi of a run, (run << 32) | lumi or RUN:LUMI",
            TimeType::Time => "a moment, microseconds since 1970 or as 2026-11-27T19:48:13Z",
        }
    )]
    CountsBy {
        /// The tag.
        tag: TagName,
        /// What it counts by.
        by: TimeType,
    },
    /// Nobody made the global tag.
    #[error("no global tag is called {name}")]
    NoGlobalTag {
        /// Its name.
        name: String,
    },
    /// The global tag is there and is something else.
    #[error(
        "the global tag {name} is known with other contents: it does not change; make a new one"
    )]
    OtherGlobalTag {
        /// Its name.
        name: String,
    },
    /// A global tag has one tag for each record and label.
    #[error("the global tag {name} names two tags for {record}: give each record and label one")]
    RecordTwice {
        /// Its name.
        name: String,
        /// The record.
        record: String,
    },
    /// Nothing is in force where a job would read it.
    #[error(
        "{tag} has nothing in force at {point}: it is {}; put an interval that begins there or \
         before",
        if *.is_empty { "empty" } else { "filled only later, or was at that moment" }
    )]
    NothingInForce {
        /// The tag.
        tag: TagName,
        /// Where it was looked for.
        point: String,
        /// Whether it has no interval at all.
        is_empty: bool,
    },
    /// Two tags that count differently cannot be compared interval by interval.
    #[error(
        "{left} counts by {left_by:?} and {right} by {right_by:?}: compare tags that count alike"
    )]
    OtherCount {
        /// One tag.
        left: TagName,
        /// What it counts by.
        left_by: TimeType,
        /// The other.
        right: TagName,
        /// What that counts by.
        right_by: TimeType,
    },
    /// An interval names a payload that is not here.
    #[error("{tag} since {since} names the payload {hash}, which is not here; bring it along")]
    NoPayload {
        /// The tag.
        tag: TagName,
        /// The since.
        since: String,
        /// The payload.
        hash: String,
    },
    /// One insertion cannot have two payloads.
    #[error(
        "{tag} since {since} was inserted at {inserted_us} us with another payload: an insertion \
         does not change; insert it again at a later time"
    )]
    OtherInsertion {
        /// The tag.
        tag: TagName,
        /// The since.
        since: String,
        /// When, microseconds UTC since 1970.
        inserted_us: i64,
    },
}

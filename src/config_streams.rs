//! The `[[stream]]` sections of a configuration: spool folders and how to read them.
//!
//! In come their tables, out come plain values, with what does not fit together noted at its place.
//! The folders themselves are not looked at: a spool may appear after the instance.

use super::{Layers, keys_of};
use model::arrival::AbsentLumi;
use model::ids::{LumiNumber, RunNumber};
use model::names::{DataLabel, ProfileName, StreamName};
use model::run::RunType;
use model::time::Span;
use pipelines::document::{Node, Value};
use pipelines::reader::{Keys, Reader};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// Whose conventions a folder follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamKind {
    /// CMS data acquisition: names and `.jsn` sidecars.
    Cms,
    /// Files named by a pattern.
    Generic,
}

/// How a folder is watched; a periodic scan always backs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchHow {
    /// Kernel events.
    Inotify,
    /// Looking again and again.
    Poll,
    /// Kernel events on local file systems, looking elsewhere.
    Auto,
}

/// What says that a file is complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Completion {
    /// A second file beside it, of this suffix.
    Sidecar {
        /// With its dot: `.jsn`.
        suffix: String,
    },
    /// It is renamed into the folder.
    Rename,
    /// Its writer closes it.
    CloseWrite,
    /// Its size has not changed for so long.
    SizeStable {
        /// How long.
        quiet: Span,
    },
}

/// Where files belong whose names say no lumi.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lumis {
    /// All into this one.
    One(LumiNumber),
    /// Into slices of the run's time, by when they were last written.
    Slices(Span),
}

/// One spool folder and how to read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamConfig {
    /// The profile's name: with a file's name it is the file's identity.
    pub name: ProfileName,
    /// The folder.
    pub folder: PathBuf,
    /// Whose conventions it follows.
    pub kind: StreamKind,
    /// How files are named; none where the conventions say.
    pub pattern: Option<String>,
    /// How it is watched.
    pub how: WatchHow,
    /// Whether folders below it are watched too.
    pub recursive: bool,
    /// Real or simulated.
    pub label: DataLabel,
    /// The run of files whose names have none.
    pub run: Option<RunNumber>,
    /// The stream of files whose names have none.
    pub stream: Option<StreamName>,
    /// What a run is for where nobody says.
    pub run_type: RunType,
    /// Lumis of files whose names have none.
    pub lumis: Lumis,
    /// When a lumi is complete although nobody has said so.
    pub lumi_timeout: Option<Span>,
    /// When a run has ended although nobody has said so.
    pub run_timeout: Option<Span>,
    /// What a lumi is of which nothing came, once a time-out has ended its run.
    pub absent_lumi: AbsentLumi,
    /// What says that a file is complete.
    pub completion: Completion,
    /// Shortest time between two scans.
    pub scan_interval: Span,
    /// Time between two looks where the folder is polled.
    pub poll_interval: Span,
}

/// A profile that comes with the program: defaults for a stream whose files are named by a pattern.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Shipped {
    pattern: String,
    stream: String,
    completion: String,
}

/// The words a stream's `profile` may be, with what each means.
fn profiles() -> [(&'static str, (StreamKind, Option<Shipped>)); 3] {
    let km3net = toml::from_str(include_str!("../config/profiles/km3net.toml"));
    let km3net = km3net.expect("a test reads the profiles that come with the program");
    [
        ("cms", (StreamKind::Cms, None)),
        ("generic", (StreamKind::Generic, None)),
        ("km3net", (StreamKind::Generic, Some(km3net))),
    ]
}

/// A scan walks every directory that changed (D13); more often it would be the load.
pub(super) const SCAN_INTERVAL: Span = Span::from_secs(30);
const POLL_INTERVAL: Span = Span::from_secs(1);
/// Longer than any write that is still alive, shorter than anybody's patience.
const QUIET: Span = Span::from_secs(10);

impl Layers {
    pub(super) fn read_streams<'d>(
        &self,
        reader: &Reader<'d>,
        node: &'d Node,
    ) -> Vec<StreamConfig> {
        let mut streams: Vec<StreamConfig> = Vec::new();
        for node in reader.list(node, "streams (written as [[stream]])") {
            let Some(stream) = self.read_stream(reader, node) else {
                continue;
            };
            let inside = |a: &Path, b: &Path| a.starts_with(b) || b.starts_with(a);
            if let Some(other) = streams.iter().find(|other| other.name == stream.name) {
                let message = format!("a second stream is called \"{}\"", other.name);
                let at = node.get("name").unwrap_or(node);
                reader.mistake(at, "C005", message, "give each stream profile its own name");
            } else if let Some(other) = streams
                .iter()
                .find(|other| inside(&other.folder, &stream.folder))
            {
                let message = format!(
                    "its folder and that of \"{}\" lie in each other",
                    other.name
                );
                let at = node.get("folder").unwrap_or(node);
                reader.mistake(
                    at,
                    "C005",
                    message,
                    "give each stream profile its own folder",
                );
            }
            streams.push(stream);
        }
        streams
    }

    fn read_stream<'d>(&self, reader: &Reader<'d>, node: &'d Node) -> Option<StreamConfig> {
        let keys = reader.table(node, "[[stream]]", keys_of("stream"))?;
        let name = keys
            .required(reader, "name", "name = \"muons\"")
            .and_then(|n| reader.name(n, ""));
        let folder = keys
            .required(reader, "folder", "folder = \"spool\"")
            .and_then(|node| self.path(reader, node));
        let labels = [DataLabel::Real, DataLabel::Simulated].map(|label| (label.as_str(), label));
        let label = keys
            .required(
                reader,
                "label",
                "label = \"real\" or \"simulated\"; nobody guesses it",
            )
            .and_then(|node| reader.word(node, "label", &labels));
        let word = |key: &str| keys.get(key);
        let profile = word("profile").map_or(Some((StreamKind::Generic, None)), |n| {
            reader.word(n, "profile", &profiles())
        });
        let hows = [
            ("inotify", WatchHow::Inotify),
            ("poll", WatchHow::Poll),
            ("auto", WatchHow::Auto),
        ];
        let how = word("how").and_then(|n| reader.word(n, "way to watch", &hows));
        let types = RunType::ALL.map(|kind| (kind.as_str(), kind));
        let run_type = word("run_type").and_then(|n| reader.word(n, "type of run", &types));
        let span = |key: &str, default| match keys.get(key) {
            Some(node) => reader.span(node),
            None => Some(default),
        };
        let (scan_interval, poll_interval) = (
            span("scan_interval", SCAN_INTERVAL),
            span("poll_interval", POLL_INTERVAL),
        );
        let time_out = |key: &str| match keys.get(key) {
            Some(node) => reader.span(node).map(Some),
            None => Some(None),
        };
        let absent = [
            ("missing", AbsentLumi::Missing),
            ("empty", AbsentLumi::Empty),
        ];
        let absent_lumi = keys
            .get("absent_lumi")
            .and_then(|node| reader.word(node, "meaning of an absent lumi", &absent));
        let (kind, shipped) = profile?;
        let recursive = keys.get("recursive").and_then(|n| reader.flag(n));
        let stream = StreamConfig {
            name: ProfileName::new(name?),
            folder: folder?,
            kind,
            pattern: keys
                .get("pattern")
                .and_then(|n| reader.text(n))
                .map(str::to_owned)
                .or_else(|| shipped.as_ref().map(|shipped| shipped.pattern.clone())),
            how: how.unwrap_or(WatchHow::Auto),
            recursive: recursive.unwrap_or(kind == StreamKind::Cms),
            label: label?,
            run: keys
                .get("run")
                .and_then(|n| reader.count_u32(n, 1..=u32::MAX))
                .map(RunNumber),
            stream: keys
                .get("stream")
                .and_then(|n| reader.name(n, ""))
                .map(str::to_owned)
                .or_else(|| shipped.as_ref().map(|shipped| shipped.stream.clone()))
                .map(|name| StreamName::new(&name)),
            run_type: run_type.unwrap_or(RunType::Physics),
            lumis: read_lumis(reader, &keys)?,
            lumi_timeout: time_out("lumi_timeout")?,
            run_timeout: time_out("run_timeout")?,
            absent_lumi: absent_lumi.unwrap_or_default(),
            completion: read_completion(reader, &keys, kind, shipped.as_ref())?,
            scan_interval: scan_interval?,
            poll_interval: poll_interval?,
        };
        check_stream(reader, &keys, &stream);
        Some(stream)
    }
}

/// `3`, or slices of the run's time: `"time:23s"`.
fn read_lumis<'d>(reader: &Reader<'d>, keys: &Keys<'d>) -> Option<Lumis> {
    let Some(node) = keys.get("lumi") else {
        return Some(Lumis::One(LumiNumber(1)));
    };
    let text = match &node.value {
        Value::Text(text) | Value::Untyped(text) => text.strip_prefix("time:"),
        _ => None,
    };
    let Some(text) = text else {
        let lumi = reader.count_u32(node, 1..=u32::MAX)?;
        return Some(Lumis::One(LumiNumber(lumi)));
    };
    match Span::parse(text) {
        Ok(slice) if slice > Span::ZERO => Some(Lumis::Slices(slice)),
        Ok(_) => {
            reader.mistake(
                node,
                "T008",
                "slices of nothing",
                "write lumi = \"time:23s\"",
            );
            None
        }
        Err(why) => {
            let message = format!("these are no slices of time: {why}");
            reader.mistake(node, "T006", message, "write lumi = \"time:23s\"");
            None
        }
    }
}

fn read_completion<'d>(
    reader: &Reader<'d>,
    keys: &Keys<'d>,
    kind: StreamKind,
    shipped: Option<&Shipped>,
) -> Option<Completion> {
    let quiet = match keys.get("quiet") {
        Some(node) => reader.span(node)?,
        None => QUIET,
    };
    let suffix = match keys.get("sidecar_suffix") {
        Some(node) => reader.text(node)?,
        None => ".jsn",
    };
    let sidecar = Completion::Sidecar {
        suffix: suffix.to_owned(),
    };
    let words = [
        ("sidecar", sidecar),
        ("rename", Completion::Rename),
        ("close_write", Completion::CloseWrite),
        ("size_stable", Completion::SizeStable { quiet }),
    ];
    let Some(node) = keys.get("completion") else {
        let default = match (kind, shipped) {
            (StreamKind::Cms, _) => "sidecar",
            (StreamKind::Generic, Some(shipped)) => &shipped.completion,
            (StreamKind::Generic, None) => "rename",
        };
        let found = words.into_iter().find(|(word, _)| *word == default);
        return found.map(|(_, completion)| completion);
    };
    reader.word(node, "completion", &words)
}

/// What of one stream does not fit together.
fn check_stream(reader: &Reader<'_>, keys: &Keys<'_>, stream: &StreamConfig) {
    let captured = |word: &str| {
        let pattern = stream.pattern.as_ref();
        pattern.is_some_and(|pattern| pattern.contains(&format!("{{{word}")))
    };
    if let Some(node) = keys.get("lumi").filter(|_| captured("lumi")) {
        let hint = "remove it, or {lumi} from the pattern";
        reader.mistake(node, "C004", "names say the lumi already", hint);
    }
    if let Some(node) = keys
        .get("absent_lumi")
        .filter(|_| stream.run_timeout.is_none())
    {
        let message = "it counts only once a time-out has ended the run, and there is none";
        reader.mistake(node, "C004", message, "add run_timeout, or remove it");
    }
    let sidecar = matches!(stream.completion, Completion::Sidecar { .. });
    let mistake = |key: &str, message: &str, hint: &str| {
        reader.mistake(keys.get(key).unwrap_or(keys.node), "C004", message, hint);
    };
    match stream.kind {
        StreamKind::Cms if !sidecar => {
            let hint = "remove it: the .jsn sidecar is the commit mark of a CMS file";
            mistake(
                "completion",
                "CMS files are complete when their sidecar is there",
                hint,
            );
        }
        StreamKind::Cms => {
            for key in ["pattern", "run", "stream", "lumi"]
                .into_iter()
                .filter(|key| keys.get(key).is_some())
            {
                let hint = "remove it, or write profile = \"generic\"";
                mistake(
                    key,
                    "CMS names say run, lumi and stream by themselves",
                    hint,
                );
            }
        }
        StreamKind::Generic => {
            for (word, given) in [
                ("run", stream.run.is_some()),
                ("stream", stream.stream.is_some()),
            ] {
                if !captured(word) && !given {
                    let message = format!("nothing says which {word} its files belong to");
                    let hint = format!("put {{{word}}} into the pattern, or set {word} = ..");
                    mistake("pattern", &message, &hint);
                }
            }
        }
    }
}

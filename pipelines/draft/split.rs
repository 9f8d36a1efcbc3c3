//! How a task's input becomes jobs, as people typed it.
//!
//! In comes the table `split`, out comes a splitter with every parameter set: defaults are those of
//! the tools whose jobs the field knows (WMCore's splitting algorithms and the Tier-0's own), named
//! at each. Parameters that contradict each other are refused, and so are, in [`check_trigger`],
//! splitters for input that a pipeline's trigger never brings.

use super::{DraftTask, plugin};
use crate::document::{Node, Value};
use crate::reader::{Keys, Reader};
use crate::splitting::{
    AlcaHarvest, Boundaries, DqmHarvest, Event, EventAwareFile, EventAwareLumi, EventRange,
    ExpressMerge, File, FixedDelay, HarvestUnit, Lumi, MergeBySize, MinFile, ParentlessMerge,
    Repack, RepackMerge, Run, Selection, Sibling, Size, Splitter, Tail,
};
use model::ids::{LumiNumber, RunNumber};
use model::time::Span;
use model::units::Bytes;
use std::collections::{BTreeMap, BTreeSet};

/// Splitters of the design that are not built yet (contracts: pipeline definition).
const TO_COME: &[&str] = &["sibling"];

/// Keys that all splitters by lumis take.
const BOUNDARY_KEYS: [&str; 5] = [
    "halt_job_on_file_boundaries",
    "split_on_run",
    "apply_lumi_correction",
    "run_whitelist",
    "lumi_mask",
];

/// Each splitter's word and its own keys.
const KINDS: &[(&str, &[&str])] = &[
    (
        "file",
        &[
            "files_per_job",
            "wait",
            "respect_run_boundaries",
            "total_files",
            "run_whitelist",
            "lumi_mask",
        ],
    ),
    ("express", &["max_events", "max_input_rate"]),
    (
        "express_merge",
        &["max_size", "max_files", "max_latency", "tail"],
    ),
    (
        "repack",
        &[
            "max_size_single_lumi",
            "max_size_multi_lumi",
            "max_events",
            "max_files",
            "max_latency",
            "tail",
        ],
    ),
    (
        "repack_merge",
        &[
            "min_size",
            "max_size",
            "max_events",
            "max_files",
            "max_edm_size",
            "max_over_size",
            "max_latency",
            "tail",
            "direct_over",
        ],
    ),
    ("run", &["files_per_job"]),
    ("event", &["events_per_job"]),
    ("alca_harvest", &["timeout"]),
    (
        "dqm_harvest",
        &[
            "unit",
            "interval",
            "run_whitelist",
            "run_blacklist",
            "lumi_mask",
        ],
    ),
    ("event_range", &["events_per_job", "events_per_lumi"]),
    (
        "event_aware_lumi",
        &[
            "events_per_job",
            "job_time_limit",
            "allow_creation_failure",
            "total_events",
            BOUNDARY_KEYS[0],
            BOUNDARY_KEYS[1],
            BOUNDARY_KEYS[2],
            BOUNDARY_KEYS[3],
            BOUNDARY_KEYS[4],
        ],
    ),
    ("event_aware_file", &["max_events"]),
    ("plugin", &["name", "program", "within", "parameters"]),
    (
        "lumi",
        &[
            "lumis_per_job",
            "total_lumis",
            BOUNDARY_KEYS[0],
            BOUNDARY_KEYS[1],
            BOUNDARY_KEYS[2],
            BOUNDARY_KEYS[3],
            BOUNDARY_KEYS[4],
        ],
    ),
    ("min_file", &["files_per_job"]),
    ("size", &["size_per_job"]),
    ("fixed_delay", &["delay"]),
    ("sibling", &["files_per_job"]),
    ("merge_by_size", &["merge_size", "all_files"]),
    (
        "parentless_merge",
        &[
            "min_size",
            "max_size",
            "max_events",
            "max_wait",
            "merge_across_runs",
        ],
    ),
    ("block", &[]),
    ("dataset", &[]),
];

/// Without a `split`, each file is a job.
pub(super) fn default() -> Splitter {
    Splitter::File(File {
        files_per_job: 1,
        ..File::default()
    })
}

/// Reads a splitter; nothing when it could not be read, which is noted.
pub(super) fn read<'d>(reader: &Reader<'d>, node: &'d Node) -> Option<Splitter> {
    let Some(by) = node.get("by") else {
        let mut legal: BTreeSet<&str> = KINDS.iter().flat_map(|(_, keys)| *keys).copied().collect();
        legal.insert("by");
        let legal: Vec<&str> = legal.into_iter().collect();
        reader
            .table(node, "a split", &legal)?
            .required(reader, "by", "by = \"file\"");
        return None;
    };
    let to_come = |word: &String| TO_COME.contains(&word.as_str());
    if let Value::Text(word) = &by.value
        && to_come(word)
    {
        let built = KINDS.iter().map(|(word, _)| *word);
        let built: Vec<&str> = built.filter(|word| !TO_COME.contains(word)).collect();
        let message = format!("splitter {word:?} is not built yet");
        let hint = format!("built are {}", built.join(", "));
        reader.mistake(by, "P007", message, hint);
        return None;
    }
    let built = KINDS.iter().filter(|kind| !TO_COME.contains(&kind.0));
    let words: Vec<_> = built.map(|kind| (kind.0, *kind)).collect();
    let (word, own) = reader.word(by, "splitter", &words)?;
    let legal: Vec<&str> = std::iter::once("by").chain(own.iter().copied()).collect();
    let keys = reader.table(node, &format!("splitter \"{word}\""), &legal)?;
    Split {
        reader,
        keys: &keys,
        node,
    }
    .read(word)
}

/// A splitter whose word is known.
struct Split<'r, 'd> {
    reader: &'r Reader<'d>,
    keys: &'r Keys<'d>,
    node: &'d Node,
}

impl<'d> Split<'_, 'd> {
    fn read(&self, word: &str) -> Option<Splitter> {
        Some(match word {
            "file" => Splitter::File(self.file()?),
            "express" => {
                // The rate of the Tier-0's production configuration.
                let rate = self.number("max_input_rate", 23_000);
                let max_events = self.required_number("max_events", "max_events = 200");
                Splitter::Express {
                    max_events: max_events?,
                    max_input_rate: rate?,
                }
            }
            "express_merge" => Splitter::ExpressMerge(self.express_merge()?),
            "repack" => Splitter::Repack(self.repack()?),
            "repack_merge" => Splitter::RepackMerge(self.repack_merge()?),
            // WMCore RunBased.
            "run" => Splitter::Run(Run {
                files_per_job: self.number_u32("files_per_job", 300)?,
            }),
            // WMCore EventBased.
            "event" => Splitter::Event(Event {
                events_per_job: self.number("events_per_job", 100)?,
            }),
            "event_range" => {
                let events_per_job = self.number("events_per_job", 100)?;
                Splitter::EventRange(EventRange {
                    events_per_job,
                    events_per_lumi: self.number("events_per_lumi", events_per_job)?,
                })
            }
            "event_aware_lumi" => Splitter::EventAwareLumi(self.event_aware_lumi()?),
            "event_aware_file" => Splitter::EventAwareFile(EventAwareFile {
                max_events: self.required_number("max_events", "max_events = 2000")?,
            }),
            "plugin" => Splitter::Plugin(plugin::read_splitter(self.reader, self.keys)?),
            // WMCore LumiBased.
            "lumi" => Splitter::Lumi(Lumi {
                lumis_per_job: self.number("lumis_per_job", 1)?,
                total_lumis: self.number_or_none("total_lumis")?,
                boundaries: self.boundaries()?,
            }),
            // WMCore MinFileBased.
            "min_file" => Splitter::MinFile(MinFile {
                files_per_job: self.number_u32("files_per_job", 10)?,
            }),
            // Upstream's default of 1000 bytes is no size of a job: say one.
            "size" => Splitter::Size(Size {
                size_per_job: self.required_bytes("size_per_job", "size_per_job = \"4GiB\"")?,
            }),
            "fixed_delay" => Splitter::FixedDelay(FixedDelay {
                delay: self.required_span("delay", "delay = \"1h\"")?,
            }),
            // WMCore SiblingProcessingBased.
            "sibling" => Splitter::Sibling(Sibling {
                files_per_job: self.number_u32("files_per_job", 10)?,
            }),
            "merge_by_size" => Splitter::MergeBySize(MergeBySize {
                merge_size: self.required_bytes("merge_size", "merge_size = \"2GiB\"")?,
                // Upstream leaves the rest unmerged; here nothing is left over unless it is said.
                all_files: self.flag("all_files", true),
            }),
            "parentless_merge" => Splitter::ParentlessMerge(self.parentless_merge()?),
            "alca_harvest" => Splitter::AlcaHarvest(AlcaHarvest {
                timeout: self.span("timeout")?,
            }),
            "dqm_harvest" => Splitter::DqmHarvest(self.dqm_harvest()?),
            "block" => Splitter::Block,
            _ => Splitter::Dataset,
        })
    }

    fn repack(&self) -> Option<Repack> {
        let defaults = Repack::default();
        let repack = Repack {
            max_size_single_lumi: self
                .bytes("max_size_single_lumi", defaults.max_size_single_lumi)?,
            max_size_multi_lumi: self.bytes("max_size_multi_lumi", defaults.max_size_multi_lumi)?,
            max_events: self.number("max_events", defaults.max_events)?,
            max_files: self.number_u32("max_files", defaults.max_files)?,
            max_latency: self.span("max_latency")?.unwrap_or(defaults.max_latency),
            tail: self.tail(&[("closed", Tail::Closed), ("either", Tail::Either)])?,
        };
        let (single, multi) = (repack.max_size_single_lumi, repack.max_size_multi_lumi);
        if multi > single {
            let message = format!(
                "several lumis may have {multi} together (max_size_multi_lumi), and one alone is \
                 split above {single} (max_size_single_lumi)"
            );
            let hint = "make max_size_single_lumi the larger one";
            self.contradiction("max_size_multi_lumi", &message, hint);
        }
        Some(repack)
    }

    fn repack_merge(&self) -> Option<RepackMerge> {
        let defaults = RepackMerge::default();
        let merge = RepackMerge {
            min_size: self.bytes("min_size", defaults.min_size)?,
            max_size: self.bytes("max_size", defaults.max_size)?,
            max_events: self.number("max_events", defaults.max_events)?,
            max_files: self.number_u32("max_files", defaults.max_files)?,
            max_edm_size: self.bytes("max_edm_size", defaults.max_edm_size)?,
            max_over_size: self.bytes("max_over_size", defaults.max_over_size)?,
            max_latency: self.span("max_latency")?.unwrap_or(defaults.max_latency),
            tail: self.tail(&[("closed", Tail::Closed), ("either", Tail::Either)])?,
            direct_over: match self.keys.get("direct_over") {
                Some(node) => Some(self.reader.bytes(node)?),
                None => None,
            },
        };
        let largest = merge.max_edm_size;
        if merge.min_size > merge.max_size {
            let message = format!(
                "a merge is large enough at {} (min_size) and too large at {} (max_size)",
                merge.min_size, merge.max_size
            );
            let hint = "make max_size larger than min_size, best twice as large";
            self.contradiction("min_size", &message, hint);
        }
        if merge.max_size > largest {
            let message = format!(
                "a merge may have {} (max_size), and no file more than {largest} (max_edm_size)",
                merge.max_size
            );
            let hint = "max_edm_size is what one file can hold: keep max_size below it";
            self.contradiction("max_size", &message, hint);
        }
        if merge.direct_over.is_some_and(|direct| direct > largest) {
            let message = format!(
                "no input above direct_over goes on as it is, because no file has more than \
                 {largest} (max_edm_size)"
            );
            self.contradiction(
                "direct_over",
                &message,
                "min_size is a good value for direct_over",
            );
        }
        Some(RepackMerge {
            max_over_size: merge.max_over_size.min(largest),
            ..merge
        })
    }

    fn express_merge(&self) -> Option<ExpressMerge> {
        let defaults = ExpressMerge::default();
        Some(ExpressMerge {
            max_size: self.bytes("max_size", defaults.max_size)?,
            max_files: self.number_u32("max_files", defaults.max_files)?,
            // None at all merges lumi by lumi.
            max_latency: match self.keys.get("max_latency") {
                Some(node) => self.reader.span_or_none(node)?,
                None => defaults.max_latency,
            },
            tail: self.tail(&[("age", Tail::Age), ("either", Tail::Either)])?,
        })
    }

    /// What releases the last lumis.
    fn tail(&self, words: &[(&str, Tail)]) -> Option<Tail> {
        match self.keys.get("tail") {
            Some(node) => self.reader.word(node, "way to release the tail", words),
            None => Some(Tail::Either),
        }
    }

    /// WMCore FileBased.
    fn file(&self) -> Option<File> {
        let defaults = File::default();
        let file = File {
            files_per_job: self.number_u32("files_per_job", defaults.files_per_job)?,
            wait: self.flag("wait", defaults.wait),
            respect_run_boundaries: self.flag("respect_run_boundaries", false),
            total_files: self.number_or_none("total_files")?,
            selection: self.selection()?,
        };
        if file.total_files > 0 && !file.wait {
            let message = "which files are the first total_files shows when all are there, and with \
                           wait = false none is waited for";
            self.contradiction("wait", message, "leave wait or total_files out");
        }
        Some(file)
    }

    /// WMCore EventAwareLumiBased.
    fn event_aware_lumi(&self) -> Option<EventAwareLumi> {
        Some(EventAwareLumi {
            events_per_job: self.number("events_per_job", 5_000)?,
            job_time_limit: self
                .span("job_time_limit")?
                .unwrap_or(Span::from_secs(48 * 3_600)),
            allow_creation_failure: self.flag("allow_creation_failure", true),
            total_events: self.number_or_none("total_events")?,
            boundaries: self.boundaries()?,
        })
    }

    /// WMCore ParentlessMergeBySize.
    fn parentless_merge(&self) -> Option<ParentlessMerge> {
        let merge = ParentlessMerge {
            min_size: self.bytes("min_size", Bytes(1 << 20))?,
            max_size: self.bytes("max_size", Bytes(1_000_000_000))?,
            max_events: self.number("max_events", 100_000_000)?,
            max_wait: self
                .span("max_wait")?
                .unwrap_or(Span::from_secs(12 * 3_600)),
            merge_across_runs: self.flag("merge_across_runs", true),
        };
        if merge.min_size >= merge.max_size {
            let message = format!(
                "a merge of more than {} (min_size) is over {} (max_size): every file would wait \
                 for max_wait",
                merge.min_size, merge.max_size
            );
            let hint = "make max_size larger than min_size, best twice as large";
            self.contradiction("min_size", &message, hint);
        }
        Some(merge)
    }

    /// WMCore Harvest.
    fn dqm_harvest(&self) -> Option<DqmHarvest> {
        let units = [
            ("run", HarvestUnit::Run),
            ("multi_run", HarvestUnit::MultiRun),
        ];
        let unit = match self.keys.get("unit") {
            Some(node) => self.reader.word(node, "unit of harvests", &units)?,
            None => HarvestUnit::Run,
        };
        let selection = self.selection()?;
        if let Some(run) = selection.runs.intersection(&selection.not_runs).next() {
            let message = format!("run {run} is in both lists of runs");
            self.contradiction("run_blacklist", &message, "name it in one of them");
        }
        Some(DqmHarvest {
            unit,
            interval: self.span("interval")?,
            selection,
        })
    }

    fn boundaries(&self) -> Option<Boundaries> {
        let defaults = Boundaries::default();
        let [file, run, correction, ..] = BOUNDARY_KEYS;
        Some(Boundaries {
            halt_job_on_file_boundaries: self.flag(file, defaults.halt_job_on_file_boundaries),
            split_on_run: self.flag(run, defaults.split_on_run),
            apply_lumi_correction: self.flag(correction, defaults.apply_lumi_correction),
            selection: self.selection()?,
        })
    }

    /// The runs and lumis that are wanted.
    fn selection(&self) -> Option<Selection> {
        Some(Selection {
            runs: self.runs("run_whitelist")?,
            not_runs: self.runs("run_blacklist")?,
            lumis: match self.keys.get("lumi_mask") {
                Some(node) => self.mask(node)?,
                None => BTreeMap::new(),
            },
        })
    }

    fn runs(&self, key: &str) -> Option<BTreeSet<RunNumber>> {
        let Some(node) = self.keys.get(key) else {
            return Some(BTreeSet::new());
        };
        let read = |node| self.reader.count_u32(node, 1..=u32::MAX).map(RunNumber);
        let runs = self.reader.list(node, "run numbers").iter().map(read);
        runs.collect()
    }

    /// `{ "402144" = [[1, 20], [25, 30]] }`, as good-run lists are written.
    fn mask(&self, node: &'d Node) -> Option<BTreeMap<RunNumber, Vec<(LumiNumber, LumiNumber)>>> {
        let mut mask = BTreeMap::new();
        for (key, ranges) in self.reader.entries(node, "lumis by run") {
            let Some(run) = key.text.parse().ok().filter(|run| *run > 0).map(RunNumber) else {
                let message = format!("{:?} is no run number", key.text);
                let hint = "write lumi_mask = { \"402144\" = [[1, 20], [25, 30]] }";
                self.reader.mistake_at(key, "T008", message, hint);
                return None;
            };
            let ranges = self.reader.list(ranges, "ranges of lumis").iter();
            let mut ranges: Vec<_> = ranges.map(|r| self.range(r)).collect::<Option<_>>()?;
            ranges.sort_unstable();
            mask.insert(run, ranges);
        }
        Some(mask)
    }

    fn range(&self, node: &'d Node) -> Option<(LumiNumber, LumiNumber)> {
        let bounds = self.reader.list(node, "two lumis");
        let lumi = |node| self.reader.count_u32(node, 1..=u32::MAX).map(LumiNumber);
        let bounds: Vec<LumiNumber> = bounds.iter().map(lumi).collect::<Option<_>>()?;
        match bounds[..] {
            [first, last] if first <= last => Some((first, last)),
            _ => {
                let message = "a range of lumis is its first and its last one";
                self.reader.mistake(node, "T008", message, "write [1, 20]");
                None
            }
        }
    }

    fn number(&self, key: &str, default: u64) -> Option<u64> {
        match self.keys.get(key) {
            Some(node) => self.reader.count(node, 1..=u64::MAX),
            None => Some(default),
        }
    }

    /// A limit; 0, which is none, where there is no such key.
    fn number_or_none(&self, key: &str) -> Option<u64> {
        self.keys
            .get(key)
            .map_or(Some(0), |node| self.reader.count(node, 1..=u64::MAX))
    }

    fn number_u32(&self, key: &str, default: u32) -> Option<u32> {
        match self.keys.get(key) {
            Some(node) => self.reader.count_u32(node, 1..=u32::MAX),
            None => Some(default),
        }
    }

    fn required_number(&self, key: &str, example: &str) -> Option<u64> {
        let node = self.keys.required(self.reader, key, example)?;
        self.reader.count(node, 1..=u64::MAX)
    }

    fn bytes(&self, key: &str, default: Bytes) -> Option<Bytes> {
        match self.keys.get(key) {
            Some(node) => self.reader.bytes(node),
            None => Some(default),
        }
    }

    fn required_bytes(&self, key: &str, example: &str) -> Option<Bytes> {
        let node = self.keys.required(self.reader, key, example)?;
        self.reader.bytes(node)
    }

    /// A duration or none; nothing when it could not be read.
    #[expect(clippy::option_option, reason = "unread is not the same as not there")]
    fn span(&self, key: &str) -> Option<Option<Span>> {
        match self.keys.get(key) {
            Some(node) => self.reader.span(node).map(Some),
            None => Some(None),
        }
    }

    fn required_span(&self, key: &str, example: &str) -> Option<Span> {
        let node = self.keys.required(self.reader, key, example)?;
        self.reader.span(node)
    }

    fn flag(&self, key: &str, default: bool) -> bool {
        let node = self.keys.get(key);
        node.and_then(|node| self.reader.flag(node))
            .unwrap_or(default)
    }

    fn contradiction(&self, key: &str, message: &str, hint: &str) {
        let at = self.keys.get(key).unwrap_or(self.node);
        self.reader.mistake(at, "P010", message, hint);
    }
}

/// Splitters that work on what requests bring have nothing to do in a pipeline that a detector or
/// another pipeline feeds.
pub(super) fn check_trigger(reader: &Reader<'_>, draft: &DraftTask<'_>) {
    let (what, trigger) = match &draft.task.splitter {
        Splitter::EventRange(_) => (
            "splitter \"event_range\" divides events that are still to be made",
            "{ events = \"montecarlo\" }",
        ),
        Splitter::Block => (
            "splitter \"block\" makes a unit of work of each block of a dataset",
            "{ request = \"reprocess\" }",
        ),
        Splitter::Dataset => (
            "splitter \"dataset\" makes one unit of work of a dataset",
            "{ request = \"reprocess\" }",
        ),
        Splitter::DqmHarvest(harvest) if harvest.unit == HarvestUnit::MultiRun => (
            "a harvest of several runs (unit = \"multi_run\") reads a dataset",
            "{ dataset = \"..\" }",
        ),
        _ => return,
    };
    let at = draft.node.get("split").unwrap_or(draft.node);
    let message = format!("{what}, and this pipeline is fed with the files of one run at a time");
    let hint = format!("it needs trigger = {trigger}");
    reader.mistake(at, "P011", message, hint);
}

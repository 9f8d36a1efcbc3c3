//! The configuration of one instance: what people typed, laid over each other, checked as a whole.
//!
//! In come a TOML file, `TIER0_CFG__section__key` settings of the environment and flags (each layer
//! over the one before), out comes a [`Config`] of plain values or every mistake at once, each with
//! its place. Every key is described in `config/tier0.toml`. Nothing is started or made here, and
//! of the file system only the configuration file itself is read; `check.rs` looks at what it
//! names.

use model::ids::AgentNumber;
use model::names::PipelineName;
use model::units::Bytes;
use pipelines::assembly::Over;
use pipelines::choice::Eras;
use pipelines::diagnosis::{Diagnosis, Source};
use pipelines::document::{Document, Node, Value};
use pipelines::reader::{Keys, Reader};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

#[path = "config_release.rs"]
mod release_section;
#[path = "config_store.rs"]
mod store_section;
#[path = "config_streams.rs"]
mod streams;
#[path = "config_typed.rs"]
mod typed;

pub use release_section::ReleaseConfig;
pub use store_section::StoreConfig;
pub use streams::{Completion, Lumis, StreamConfig, StreamKind, WatchHow};
pub use typed::{Typed, TypedSetting, TypedText};

/// Beginning of the names of settings in the environment; other `TIER0_*` names mean other things
/// (D23).
pub const ENVIRONMENT_PREFIX: &str = "TIER0_CFG__";

/// What each code of this room means, for `tier0 explain`.
pub const EXPLANATIONS: &[(&str, &str)] = &[
    (
        "C001",
        "A file or folder of the configuration cannot be read.",
    ),
    (
        "C002",
        "An address that cannot be listened on. Write host:port, as in \"127.0.0.1:8080\".",
    ),
    (
        "C003",
        "An address that others can reach, without api.allow_remote = true.",
    ),
    (
        "C004",
        "Settings of a stream that do not fit together, or a pattern of names that is none.",
    ),
    (
        "C005",
        "Two streams of one name, or with folders inside each other: files would be seen twice. Or \
         a folder of the instance's own inside one of them.",
    ),
    (
        "C006",
        "A program that a task or [programs] names and that cannot be started.",
    ),
    ("C007", "A pipeline that is named but not defined."),
    (
        "C008",
        "An address that is no database's. Write mariadb://user@host:port/database or \
         postgresql://user@host:port/database.",
    ),
    (
        "C009",
        "A password in the configuration. Keep it in a file (store.password_file) or in the \
         environment (store.password_env).",
    ),
    (
        "C010",
        "Options of a dataset or pipeline that is not there, or that belong somewhere else.",
    ),
    (
        "C011",
        "A pipeline that is set going by a stream which no stream profile brings.",
    ),
    (
        "C012",
        "A folder or file that the instance needs and that cannot be read.",
    ),
    (
        "C013",
        "A section of the design that is not built yet; it is refused so that nobody relies on it.",
    ),
    (
        "C014",
        "Sources shall be released, and not two folders are named for their copies.",
    ),
    (
        "C015",
        "Copies on one disk with each other or with their sources: what breaks it takes all of \
         them. Name folders on other disks, or say that this is accepted \
         (release.one_failure_domain).",
    ),
];

/// The configuration of one instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Who it is and where it keeps things.
    pub instance: InstanceConfig,
    /// Which database holds its ledger and register.
    pub store: StoreConfig,
    /// Where it answers.
    pub api: ApiConfig,
    /// What of this machine it uses.
    pub local: LocalConfig,
    /// Programs by the name that `{program:NAME}` means.
    pub programs: BTreeMap<String, PathBuf>,
    /// Spool folders.
    pub streams: Vec<StreamConfig>,
    /// When sources may be removed.
    pub release: ReleaseConfig,
    /// Which pipelines it runs.
    pub pipelines: PipelinesConfig,
    /// Stretches of runs that values may depend on.
    pub eras: Eras,
}

/// Who an instance is and where it keeps things.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceConfig {
    /// Shown on every screen.
    pub name: String,
    /// Which of the agents that share a register.
    pub agent: AgentNumber,
    /// Database, journal, socket.
    pub state: PathBuf,
    /// Folders of attempts.
    pub work: PathBuf,
    /// Published files.
    pub storage: PathBuf,
    /// Room for the journal (D5); none where there is none.
    pub journal: Option<Bytes>,
}

/// Where an instance answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiConfig {
    /// Address and port; port 0 is any free one.
    pub listen: SocketAddr,
    /// Whether the address may be one that other machines reach.
    pub allow_remote: bool,
    /// The unix socket of this machine's commands; none where switched off.
    pub socket: Option<PathBuf>,
}

/// What of this machine an instance uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalConfig {
    /// Processor cores for jobs; none for all there are.
    pub cores: Option<u32>,
    /// Attempt folders made ahead of need.
    pub pool: u32,
}

/// Which pipelines an instance runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PipelinesConfig {
    /// Definitions used instead of the embedded ones.
    pub folder: Option<PathBuf>,
    /// Pipelines used; none for all there are.
    pub chosen: Option<Vec<PipelineName>>,
}

/// Every section with its keys, as in `config/tier0.toml`.
const SECTIONS: &[(&str, &[&str])] = &[
    (
        "instance",
        &["name", "agent", "state", "work", "storage", "journal"],
    ),
    (
        "store",
        &["url", "password_file", "password_env", "archive_after"],
    ),
    ("api", &["listen", "allow_remote", "socket"]),
    ("executor", &["local"]),
    ("executor.local", &["cores", "pool"]),
    ("programs", &[]),
    (
        "stream",
        &[
            "name",
            "folder",
            "profile",
            "pattern",
            "how",
            "recursive",
            "label",
            "run",
            "lumi",
            "stream",
            "run_type",
            "lumi_timeout",
            "run_timeout",
            "absent_lumi",
            "completion",
            "sidecar_suffix",
            "quiet",
            "scan_interval",
            "poll_interval",
        ],
    ),
    (
        "release",
        &["enabled", "copies", "soak", "one_failure_domain"],
    ),
    ("pipelines", &["folder", "use"]),
    ("dataset", &[]),
    ("era", &["name", "from_run"]),
];

/// Places to run programs at that are not built yet.
const BATCH: &[&str] = &["slurm", "htcondor", "arc"];

/// What stands at the top of a configuration: one key, and sections.
const TOP: &[&str] = &[
    "site",
    "instance",
    "store",
    "api",
    "executor",
    "programs",
    "stream",
    "release",
    "pipelines",
    "dataset",
    "era",
    "bus",
];

/// Cores of the largest machine we have heard of, with room.
const CORES_MAX: u32 = 4_096;
/// Attempt folders ahead: more only cost inodes.
const POOL_MAX: u32 = 4_096;
/// Room for a journal, at least: one that ends before anything has happened is of no use.
const JOURNAL_BYTES_MIN: Bytes = Bytes(64 << 10);
/// The layers of a configuration, laid over each other but not yet read.
#[derive(Clone, Debug)]
pub struct Layers {
    pub(crate) document: Document,
    /// What all of it was read from; its base is what paths of the file are relative to.
    pub(crate) typed: Typed,
    /// Which source of the document is the site's file.
    site_source: Option<usize>,
    /// Settings that lead nowhere.
    astray: Vec<Diagnosis>,
}

/// Reads a configuration: the file if there is one, then the environment's settings, then flags.
///
/// `environment` may be the whole environment; `flags` are (path, value) like `("api.listen",
/// "[::1]:0")`.
pub fn load(
    file: Option<&Path>,
    environment: &[(String, String)],
    flags: &[(String, String)],
) -> Result<Config, Vec<Diagnosis>> {
    Layers::from_file(file, environment, flags)?.config()
}

impl Layers {
    /// Layers over a file, or over the defaults alone.
    pub fn from_file(
        file: Option<&Path>,
        environment: &[(String, String)],
        flags: &[(String, String)],
    ) -> Result<Self, Vec<Diagnosis>> {
        let Some(path) = file else {
            let here = std::path::absolute(".").unwrap_or_default();
            return Self::laid(None, &here, environment, flags);
        };
        let shown = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| {
            let message = format!("the configuration could not be read: {error}");
            let hint = match error.kind() {
                std::io::ErrorKind::InvalidData => "save it as UTF-8",
                _ => "name a text file that exists with --config, or leave it out",
            };
            vec![Diagnosis::without_place(
                &shown,
                "C001",
                message,
                hint.to_owned(),
            )]
        })?;
        // Read again later it must mean the same, wherever the program then is.
        let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let base = whole.parent().unwrap_or(Path::new(""));
        let file = TypedText { file: shown, text };
        Self::laid(Some(file), base, environment, flags)
    }

    /// Layers over a text; its paths are relative to `base`.
    pub fn from_text(
        file: &str,
        text: &str,
        base: &Path,
        environment: &[(String, String)],
        flags: &[(String, String)],
    ) -> Result<Self, Vec<Diagnosis>> {
        let file = TypedText {
            file: file.to_owned(),
            text: text.to_owned(),
        };
        Self::laid(Some(file), base, environment, flags)
    }

    fn laid(
        file: Option<TypedText>,
        base: &Path,
        environment: &[(String, String)],
        flags: &[(String, String)],
    ) -> Result<Self, Vec<Diagnosis>> {
        let setting = |origin: &str, name: &str, path: Vec<&str>, value: &str| TypedSetting {
            origin: origin.to_owned(),
            shown: format!("{name}={value}"),
            path: path.into_iter().map(str::to_owned).collect(),
            value: value.to_owned(),
        };
        let misspelt: Vec<Diagnosis> = environment
            .iter()
            .filter_map(|(name, _)| misspelt(name))
            .collect();
        let environment = environment.iter().filter_map(|(name, value)| {
            let path = name.strip_prefix(ENVIRONMENT_PREFIX)?;
            Some(setting(
                "environment",
                name,
                path.split("__").collect(),
                value,
            ))
        });
        let flags = flags
            .iter()
            .map(|(name, value)| setting("flags", name, name.split('.').collect(), value));
        let mut typed = Typed::new(file, base, environment.chain(flags).collect());
        typed.read_site()?;
        let mut layers = Self::of(typed)?;
        layers.astray.extend(misspelt);
        Ok(layers)
    }

    /// Layers over what was typed.
    fn of(typed: Typed) -> Result<Self, Vec<Diagnosis>> {
        let mut document = match &typed.file {
            Some(file) => Document::parse(&file.file, &file.text)?,
            None => Document::empty(),
        };
        let mut site_source = None;
        if let Some(site) = &typed.site {
            let below = Document::parse(&site.file, &site.text)?;
            site_source = Some(document.lay_upon(&below));
        }
        let mut astray = Vec::new();
        for setting in &typed.settings {
            let path: Vec<&str> = setting.path.iter().map(String::as_str).collect();
            let laid = document.lay_over(&setting.origin, &setting.shown, &path, &setting.value);
            astray.extend(laid.err().map(|boxed| *boxed));
        }
        Ok(Self {
            document,
            typed,
            site_source,
            astray,
        })
    }

    /// The configuration, or every mistake in it.
    pub fn config(&self) -> Result<Config, Vec<Diagnosis>> {
        let reader = Reader::new(&self.document);
        let config = self.read(&reader);
        reader.finish(config)
    }

    /// Reads everything; nothing only where a mistake was noted.
    pub(crate) fn read<'d>(&'d self, reader: &Reader<'d>) -> Option<Config> {
        let root = reader.table(&self.document.root, "the configuration", TOP)?;
        reader.note_all(self.astray.clone());
        refuse_unbuilt(reader, &root);
        let instance = self.read_instance(reader, section(reader, &root, "instance"));
        let store = self.read_store(reader, root.get("store"));
        let api = self.read_api(reader, section(reader, &root, "api"), &instance.state);
        let executor = root.get("executor");
        let executor = executor.and_then(|node| {
            let legal = [keys_of("executor"), BATCH].concat();
            reader.table(node, "[executor]", &legal)
        });
        let local = read_local(reader, executor);
        let programs = root
            .get("programs")
            .map(|node| self.read_programs(reader, node));
        let streams = root
            .get("stream")
            .map(|node| self.read_streams(reader, node));
        let release = self.read_release(reader, root.get("release"));
        let pipelines = self.read_pipelines(reader);
        let eras = root.get("era").map(|node| Eras::read(reader, node));
        Some(Config {
            instance,
            store,
            api: api?,
            local,
            programs: programs.unwrap_or_default(),
            streams: streams.unwrap_or_default(),
            release,
            pipelines,
            eras: eras.unwrap_or_default(),
        })
    }

    /// What it says over the definitions of pipelines.
    pub(crate) fn over(&self) -> Over<'_> {
        Over {
            document: &self.document,
            pipelines: self.document.root.get("pipelines"),
            datasets: self.document.root.get("dataset"),
        }
    }

    /// A path: as it is, or relative to the file that it was typed in.
    fn path(&self, reader: &Reader<'_>, node: &Node) -> Option<PathBuf> {
        let (Value::Text(text) | Value::Untyped(text)) = &node.value else {
            let message = format!("a path is wanted here, this is {}", node.value.kind());
            reader.mistake(node, "T004", message, "write it in quotes");
            return None;
        };
        if text.is_empty() || text.contains('\0') {
            reader.mistake(
                node,
                "T005",
                "this is no path",
                "write at least one character",
            );
            return None;
        }
        Some(match node.source {
            0 => self.typed.base.join(text),
            site if self.site_source == Some(site) => self.typed.site_base.join(text),
            _ => PathBuf::from(text),
        })
    }

    fn read_instance<'d>(&self, reader: &Reader<'d>, keys: Option<Keys<'d>>) -> InstanceConfig {
        let get = |key: &str| keys.as_ref().and_then(|keys| keys.get(key));
        let path = |key: &str| get(key).and_then(|node| self.path(reader, node));
        let state = path("state").unwrap_or_else(|| self.typed.base.join("state"));
        let name = get("name").and_then(|node| reader.name(node, "."));
        let agents = 0..=u32::from(AgentNumber::MAX);
        let agent = get("agent")
            .and_then(|node| reader.count_u32(node, agents))
            .unwrap_or(0);
        InstanceConfig {
            name: name.unwrap_or("tier0").to_owned(),
            agent: AgentNumber(u16::try_from(agent).expect("an agent number has ten bits")),
            work: path("work").unwrap_or_else(|| state.join("work")),
            storage: path("storage").unwrap_or_else(|| state.join("storage")),
            journal: get("journal").and_then(|node| read_journal(reader, node)),
            state,
        }
    }

    fn read_api<'d>(
        &self,
        reader: &Reader<'d>,
        keys: Option<Keys<'d>>,
        state: &Path,
    ) -> Option<ApiConfig> {
        let get = |key: &str| keys.as_ref().and_then(|keys| keys.get(key));
        let allow_remote = get("allow_remote")
            .and_then(|node| reader.flag(node))
            .unwrap_or(false);
        let socket = match get("socket") {
            Some(node) => self.path(reader, node).filter(|_| !is_off(node)),
            None => Some(state.join("tier0.sock")),
        };
        let listen = match get("listen") {
            Some(node) => read_address(reader, node, allow_remote)?,
            None => SocketAddr::from(([127, 0, 0, 1], 0)),
        };
        Some(ApiConfig {
            listen,
            allow_remote,
            socket,
        })
    }

    fn read_programs<'d>(&self, reader: &Reader<'d>, node: &'d Node) -> BTreeMap<String, PathBuf> {
        let entries = reader.entries(node, "programs").iter();
        let read =
            entries.filter_map(|(key, node)| Some((key.text.clone(), self.path(reader, node)?)));
        read.collect()
    }

    /// The section of pipelines; every other key that holds a table is a pipeline's name.
    pub(crate) fn read_pipelines<'d>(&'d self, reader: &Reader<'d>) -> PipelinesConfig {
        let mut config = PipelinesConfig::default();
        let Some(node) = self.document.root.get("pipelines") else {
            return config;
        };
        for (key, node) in reader.entries(node, "[pipelines]") {
            match (key.text.as_str(), &node.value) {
                ("folder", _) => config.folder = self.path(reader, node),
                ("use", Value::Untyped(names)) => {
                    config.chosen = Some(names.split(',').map(PipelineName::new).collect());
                }
                ("use", _) => {
                    let names = reader.one_or_more(node).iter();
                    let names = names
                        .filter_map(|n| reader.name(n, ""))
                        .map(PipelineName::new);
                    config.chosen = Some(names.collect());
                }
                // Laid over the definition of that name, and read there.
                (_, Value::Table(_)) => {}
                _ => reader.unknown_key(key, "[pipelines]", keys_of("pipelines")),
            }
        }
        config
    }
}

/// A name in the environment that was meant to be a setting and would be passed over.
fn misspelt(name: &str) -> Option<Diagnosis> {
    let meant = name
        .to_ascii_uppercase()
        .starts_with(ENVIRONMENT_PREFIX.trim_end_matches('_'));
    if !meant || name.starts_with(ENVIRONMENT_PREFIX) {
        return None;
    }
    // Nobody knows what its value is: it is not shown.
    let source = Source::new("environment", &format!("{name}=***"));
    let message = format!("{name} is no setting");
    let hint = format!("a setting begins with {ENVIRONMENT_PREFIX}, as in TIER0_CFG__api__listen");
    Some(source.diagnose(&(0..name.len()), "T002", message, hint))
}

/// The legal keys of a section.
fn keys_of(section: &str) -> &'static [&'static str] {
    let found = SECTIONS.iter().find(|(name, _)| *name == section);
    found
        .map(|(_, keys)| *keys)
        .expect("every section that is read stands in the table")
}

/// A section, if it is there.
fn section<'d>(reader: &Reader<'d>, root: &Keys<'d>, name: &str) -> Option<Keys<'d>> {
    reader.table(root.get(name)?, &format!("[{name}]"), keys_of(name))
}

/// Parts of the design that nobody may believe to be there.
fn refuse_unbuilt<'d>(reader: &Reader<'d>, root: &Keys<'d>) {
    let refuse = |node: Option<&Node>, what: &str, hint: &str| {
        if let Some(node) = node {
            let message = format!("{what} is not built yet");
            reader.mistake(node, "C013", message, hint);
        }
    };
    let executor = root.get("executor");
    for batch in BATCH {
        let hint = "remove it; programs are run on this machine ([executor.local])";
        let what = format!("[executor.{batch}]");
        refuse(executor.and_then(|node| node.get(batch)), &what, hint);
    }
    let hint = "remove it; messages wait in the store's outbox";
    refuse(root.get("bus"), "[bus]", hint);
}

/// Whether a setting is the word that switches it off.
fn is_off(node: &Node) -> bool {
    matches!(&node.value, Value::Text(text) | Value::Untyped(text) if text == "off")
}

/// Room for the journal, if it is not switched off.
fn read_journal<'d>(reader: &Reader<'d>, node: &'d Node) -> Option<Bytes> {
    if is_off(node) {
        return None;
    }
    let room = reader.bytes(node)?;
    if room < JOURNAL_BYTES_MIN {
        let message = format!("{room} are too little for a journal");
        let hint = format!("give it {JOURNAL_BYTES_MIN} or more, or switch it \"off\"");
        reader.mistake(node, "T008", message, &hint);
    }
    Some(room)
}

fn read_address(reader: &Reader<'_>, node: &Node, allow_remote: bool) -> Option<SocketAddr> {
    let (Value::Text(text) | Value::Untyped(text)) = &node.value else {
        let message = format!("an address is wanted here, this is {}", node.value.kind());
        reader.mistake(node, "T004", message, "write \"127.0.0.1:8080\"");
        return None;
    };
    let Ok(address) = text.parse::<SocketAddr>() else {
        let hint = "write an IP address and a port, as in \"127.0.0.1:8080\" or \"[::1]:8080\"";
        reader.mistake(node, "C002", format!("{text:?} is no address"), hint);
        return None;
    };
    if !address.ip().is_loopback() && !allow_remote {
        let message = format!("{address} can be reached by other machines");
        let hint = "listen on 127.0.0.1, or set allow_remote = true if that is meant";
        reader.mistake(node, "C003", message, hint);
    }
    Some(address)
}

fn read_local<'d>(reader: &Reader<'d>, executor: Option<Keys<'d>>) -> LocalConfig {
    let node = executor.and_then(|keys| keys.get("local"));
    let keys = node.and_then(|n| reader.table(n, "[executor.local]", keys_of("executor.local")));
    let get = |key: &str| keys.as_ref().and_then(|keys| keys.get(key));
    let cores = get("cores").and_then(|node| reader.count_u32(node, 1..=CORES_MAX));
    let pool = get("pool").and_then(|node| reader.count_u32(node, 0..=POOL_MAX));
    LocalConfig {
        cores,
        pool: pool.unwrap_or(16),
    }
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;

//! The `[release]` section of a configuration: when sources may be removed, and where their copies
//! go.
//!
//! In comes its table, out come plain values. The folders are only named here; `check_release.rs`
//! looks at them.

use super::{Layers, keys_of};
use model::time::Span;
use pipelines::document::{Node, Value};
use pipelines::reader::Reader;
use std::path::PathBuf;

/// How long copies soak where nobody says otherwise.
pub(crate) const SOAK: Span = Span::from_secs(86_400);

/// When sources may be removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleaseConfig {
    /// Whether they ever are.
    pub enabled: bool,
    /// The two folders of copies, in order.
    pub copies: Option<[PathBuf; 2]>,
    /// How long both copies must have been there before they are read once more.
    pub soak: Span,
    /// Whether it is accepted that one broken disk takes the source and its copies.
    pub one_failure_domain: bool,
}

impl Layers {
    pub(super) fn read_release<'d>(
        &self,
        reader: &Reader<'d>,
        node: Option<&'d Node>,
    ) -> ReleaseConfig {
        let keys = node.and_then(|node| reader.table(node, "[release]", keys_of("release")));
        let get = |key: &str| keys.as_ref().and_then(|keys| keys.get(key));
        let flag = |key: &str| get(key).and_then(|node| reader.flag(node));
        let copies = get("copies").and_then(|node| self.read_copies(reader, node));
        let enabled = flag("enabled").unwrap_or(false);
        if let (true, None, Some(at)) = (enabled, get("copies"), get("enabled")) {
            let message = "nothing says where the copies go without which no source is released";
            let hint = "name two folders on two disks: copies = [\"/disk-a/copies\", \
                        \"/disk-b/copies\"]";
            reader.mistake(at, "C014", message, hint);
        }
        ReleaseConfig {
            enabled,
            copies,
            soak: get("soak")
                .and_then(|node| reader.span(node))
                .unwrap_or(SOAK),
            one_failure_domain: flag("one_failure_domain").unwrap_or(false),
        }
    }

    fn read_copies<'d>(&self, reader: &Reader<'d>, node: &'d Node) -> Option<[PathBuf; 2]> {
        let folders: Vec<PathBuf> = match &node.value {
            Value::Untyped(text) => text.split(',').map(PathBuf::from).collect(),
            _ => {
                let nodes = reader.list(node, "folders").iter();
                nodes.filter_map(|node| self.path(reader, node)).collect()
            }
        };
        let count = folders.len();
        let folders: Result<[PathBuf; 2], _> = folders.try_into();
        if folders.is_err() {
            let message = format!("two folders are wanted here, these are {count}");
            let hint = "each copy has a folder of its own: copies = [\"/disk-a/copies\", \
                        \"/disk-b/copies\"]";
            reader.mistake(node, "C014", message, hint);
        }
        folders.ok()
    }
}

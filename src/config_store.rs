//! The `[store]` section of a configuration: which database holds the ledger and the register.
//!
//! In comes its table, out come plain values. An address is only read here, nothing is connected; a
//! password never stands in a configuration, only where it is to be found.

use super::{Layers, keys_of};
use model::time::Span;
use pipelines::document::Node;
use pipelines::reader::Reader;
use std::path::PathBuf;
use store::Database;

/// Which database holds the ledger and the register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreConfig {
    /// Address of a server's database; none for SQLite in the state folder.
    pub url: Option<String>,
    /// File that holds the password.
    pub password_file: Option<PathBuf>,
    /// Name of the environment variable that holds the password; a file comes first.
    pub password_env: Option<String>,
    /// How long a run must have been finished before its rows become history.
    pub archive_after: Span,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            url: None,
            password_file: None,
            password_env: None,
            archive_after: Span::from_secs(86_400),
        }
    }
}

impl Layers {
    pub(super) fn read_store<'d>(
        &self,
        reader: &Reader<'d>,
        node: Option<&'d Node>,
    ) -> StoreConfig {
        // Whoever writes a password here is told where it belongs, and it is not printed.
        let legal = [keys_of("store"), &["password"]].concat();
        let keys = node.and_then(|node| reader.table(node, "[store]", &legal));
        let get = |key: &str| keys.as_ref().and_then(|keys| keys.get(key));
        let text = |key: &str| get(key).and_then(|node| reader.text(node));
        let mut config = StoreConfig {
            url: None,
            password_file: get("password_file").and_then(|node| self.path(reader, node)),
            password_env: text("password_env").map(str::to_owned),
            ..StoreConfig::default()
        };
        if let Some(after) = get("archive_after").and_then(|node| reader.span(node)) {
            config.archive_after = after;
        }
        let refuse = |node: &Node, message: &str| {
            let hint = "write it into a file of its own and name that: password_file = \"...\"";
            let found = self.document.diagnose(node, "C009", message, hint);
            reader.note(found.hiding_the_value());
        };
        if let Some(node) = get("password") {
            refuse(node, "a password stands in the configuration");
        }
        let (Some(node), Some(url)) = (get("url"), text("url")) else {
            return config;
        };
        let authority = url.split_once("://").map_or("", |(_, rest)| rest);
        let authority = authority.split('/').next().unwrap_or_default();
        let user = authority.rsplit_once('@').map_or("", |(user, _)| user);
        if user.contains(':') || url.contains("password=") {
            refuse(node, "a password stands in the address of the store");
        } else if let Err(error) = Database::at(url, None) {
            let why = error.to_string();
            let why = why.split_once(": ").map_or(why.as_str(), |(_, why)| why);
            let why = why.rsplit_once("; ").map_or(why, |(why, _)| why);
            let message = format!("the store's address cannot be used: {why}");
            let hint = "write mariadb://user@host:port/database or \
                        postgresql://user@host:port/database, or leave it out for SQLite";
            reader.mistake(node, "C008", message, hint);
        } else {
            config.url = Some(url.to_owned());
        }
        config
    }
}

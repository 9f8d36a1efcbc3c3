//! Reading what lies in a spool beside data: sidecars, ends of lumis, begins and ends of runs.
//!
//! In: a name whose attributes are known. Out: a claim, a sighting, or the trouble with it. Nothing
//! is read beyond the profile's bound; half a record is looked at again for two seconds before it
//! is called wrong.

use crate::cms::{self, RecordError};
use crate::disk::{self, Stamp};
use crate::known::{Known, Said};
use crate::naming::Record;
use crate::pattern::Captured;
use crate::profile::Kind;
use crate::sight::{Place, Spool};
use crate::trouble::Trouble;
use model::arrival::{Checksum, Counts, LumiEnd, Refusal, RunBegin, RunEnd, Seen};
use model::lumi::Expected;
use model::time::{Moment, Span};
use model::units::Bytes;
use model::witness::{Instance, Source};

/// Half a record may still be written for so long; then it is wrong.
const TORN_SPAN_MAX: Span = Span::from_secs(2);
/// So often is half a record looked at again.
const TORN_RETRY: Span = Span::from_millis(200);

/// What a pair of names and a sidecar add up to.
pub(crate) struct Claim {
    pub(crate) captured: Captured,
    /// None for the report of an empty lumi.
    pub(crate) file: Option<String>,
    pub(crate) bytes: Option<u64>,
    pub(crate) counts: Option<Counts>,
    pub(crate) checksum: Option<Checksum>,
}

impl Spool {
    /// Reads a sidecar's name and content. `Err(None)`: it may be half written and is looked at
    /// again.
    pub(crate) fn claim(
        &mut self,
        place: &Place,
        mark: Stamp,
        since: Moment,
    ) -> Result<Claim, Option<Trouble>> {
        let captured = self.naming.read_sidecar(&place.relative).map_err(Some)?;
        if self.profile.kind == Kind::Generic {
            let file = Some(self.naming.file_of(place.name));
            return Ok(Claim {
                captured,
                file,
                bytes: None,
                counts: None,
                checksum: None,
            });
        }
        let read = self.read_record(place, mark, since, cms::sidecar)?;
        if let Some(file) = &read.file {
            self.check_named_file(place, file, &captured)
                .map_err(Some)?;
        }
        let (counts, checksum) = (Some(read.counts), read.checksum);
        Ok(Claim {
            captured,
            file: read.file,
            bytes: Some(read.bytes),
            counts,
            checksum,
        })
    }

    /// A sidecar speaks for the file of its own stem, or for one whose name says the same.
    fn check_named_file(&self, place: &Place, file: &str, own: &Captured) -> Result<(), Trouble> {
        if self.naming.sidecar_of(file).as_deref() == Some(place.name) {
            return Ok(());
        }
        let folder = self
            .tree
            .get(place.folder)
            .expect("its sidecar was found in it");
        match self.naming.read_data(&folder.relative(file)) {
            Ok(captured) if captured == *own => Ok(()),
            _ => Err(Trouble::Record {
                name: place.relative.clone(),
                why: format!(
                    "Filelist is \"{file}\", whose name does not say the run, lumi and stream of \
                    its sidecar"
                ),
                refusal: Refusal::RecordUnreadable,
            }),
        }
    }

    pub(crate) fn look_at_record(&mut self, place: &Place, record: Record) {
        let Some(mark) = self.plain(place) else {
            return;
        };
        let known = self.known(place).filter(|known| known.mark == mark);
        let since = match known {
            Some(Known {
                said: Said::Taken, ..
            }) => return,
            Some(Known {
                said: Said::Aside(refusal),
                ..
            }) if *refusal != Refusal::Unreachable => return,
            Some(known) => known.since,
            None => place.now,
        };
        self.read_noted(place, mark, |spool| {
            match spool.record(place, record, mark, since) {
                Ok(seen) => {
                    spool.tell(seen);
                    spool.note(place, mark, Stamp::default(), None, Said::Taken, since);
                }
                Err(Some(trouble)) => spool.refuse(place, mark, trouble),
                Err(None) => {}
            }
        });
    }

    fn record(
        &mut self,
        place: &Place,
        record: Record,
        mark: Stamp,
        since: Moment,
    ) -> Result<Seen, Option<Trouble>> {
        let captured = self
            .naming
            .read_record(record, &place.relative)
            .map_err(Some)?;
        let run = captured.run.expect("every record's pattern has a run");
        Ok(match record {
            Record::RunBegin => {
                let (run_type, label) = self.read_record(place, mark, since, cms::run_begin)?;
                Seen::RunBegin(RunBegin {
                    run,
                    run_type,
                    label: label.unwrap_or(self.profile.label),
                })
            }
            Record::LumiEnd => {
                let (events, files) = self.read_record(place, mark, since, cms::lumi_end)?;
                let lumi = captured
                    .lumi
                    .expect("the pattern of this record has a lumi");
                Seen::LumiEnd(LumiEnd {
                    stream: None,
                    source: Source::Record,
                    instance: Instance::ONLY,
                    run,
                    lumi,
                    // Files without sidecars say nothing of events: only their number can match.
                    expected: match self.profile.kind {
                        Kind::Cms => Expected::Events(events),
                        Kind::Generic => Expected::Files(files),
                    },
                    label: self.profile.label,
                })
            }
            Record::RunEnd => {
                let (events, last_lumi) = self.read_record(place, mark, since, cms::run_end)?;
                Seen::RunEnd(RunEnd {
                    source: Source::Record,
                    instance: Instance::ONLY,
                    run,
                    last_lumi,
                    events: Some(events),
                    label: self.profile.label,
                })
            }
        })
    }

    /// Reads a record of bounded size. `Err(None)`: it may be half written, and a look is due.
    fn read_record<T>(
        &mut self,
        place: &Place,
        mark: Stamp,
        since: Moment,
        parse: fn(&[u8]) -> Result<T, RecordError>,
    ) -> Result<T, Option<Trouble>> {
        let (name, most) = (place.relative.clone(), self.profile.sidecar_bytes_max);
        if mark.bytes > most.0 {
            return Err(Some(Trouble::RecordTooLarge {
                name,
                bytes: Bytes(mark.bytes),
                most,
            }));
        }
        let path = self.path_of(place.folder, place.name.as_bytes());
        let content = disk::read_small(path, mark.bytes, most)
            .map_err(|errno| Some(Trouble::unreachable("open", &name, errno)))?;
        let RecordError { refusal, why, torn } = match parse(&content) {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        if torn && place.now.since(since.min(mark.mtime)) < TORN_SPAN_MAX {
            self.due.insert((
                place.now + TORN_RETRY,
                place.folder,
                place.name.as_bytes().into(),
            ));
            self.note(place, mark, Stamp::default(), None, Said::Settling, since);
            return Err(None);
        }
        Err(Some(Trouble::Record { name, why, refusal }))
    }
}

//! What was said of one run: kept as it was said, merged when somebody asks (D18). The merging
//! itself is the model's; here is only what finds the right statements fast.

use model::file::File;
use model::ids::LumiNumber;
use model::lumi::Expected;
use model::names::{FileName, StreamName};
use model::time::Moment;
use model::witness::{End, Ended, Merged, Says, Source, Witness, ended, merge, merge_end};
use std::collections::{BTreeMap, BTreeSet};

/// Statements about one run. Late ones are kept and not merged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Heard {
    /// About single lumis.
    lumis: BTreeMap<LumiNumber, Vec<Witness>>,
    /// About ranges of lumis: declarations.
    ranges: Vec<Witness>,
    /// About the end of the run.
    ends: Vec<Witness>,
    /// Files declared lost, with what counts in their stead until they come after all.
    lost_files: BTreeMap<(StreamName, FileName), (LumiNumber, u64)>,
    /// What came after the run was closed.
    late: Vec<Witness>,
}

impl Heard {
    /// Whether somebody has said just this already.
    pub(crate) fn knows(&self, witness: &Witness) -> bool {
        let known = match &witness.says {
            Says::Lumis { first, last, .. } if first == last => {
                self.lumis.get(first).map_or(&[][..], Vec::as_slice)
            }
            Says::Lumis { .. } => &self.ranges,
            Says::LostFile { stream, name, .. } => {
                return self
                    .lost_files
                    .contains_key(&(stream.clone(), name.clone()));
            }
            Says::End { .. } => &self.ends,
        };
        let mut known = known.iter().chain(&self.late);
        known.any(|other| other.repeats(witness))
    }

    /// Takes a statement in.
    pub(crate) fn take(&mut self, witness: Witness) {
        if witness.late {
            self.late.push(witness);
            return;
        }
        match &witness.says {
            Says::Lumis { first, last, .. } if first == last => {
                self.lumis.entry(*first).or_default().push(witness);
            }
            Says::Lumis { .. } => self.ranges.push(witness),
            Says::LostFile {
                lumi,
                stream,
                name,
                events,
            } => {
                let key = (stream.clone(), name.clone());
                self.lost_files.insert(key, (*lumi, *events));
            }
            Says::End { .. } => self.ends.push(witness),
        }
    }

    /// A file that was declared lost has come after all: what counted in its stead.
    pub(crate) fn found(&mut self, file: &File) -> Option<(LumiNumber, u64)> {
        let arrival = &file.arrival;
        let key = (arrival.stream.clone(), arrival.name.clone());
        self.lost_files.remove(&key)
    }

    /// Where a file that was declared lost was to be.
    pub(crate) fn lost_lumi(&self, file: &File) -> Option<LumiNumber> {
        let key = (file.arrival.stream.clone(), file.arrival.name.clone());
        self.lost_files.get(&key).map(|(lumi, _)| *lumi)
    }

    /// Streams that somebody named: each of them is one of the run's, whether a file of it has come
    /// or not.
    pub(crate) fn named_streams(&self) -> BTreeSet<StreamName> {
        let all = self.lumis.values().flatten().chain(&self.ranges);
        let lost = self.lost_files.keys().map(|(stream, _)| stream.clone());
        all.filter_map(named_by).chain(lost).collect()
    }

    /// Lumis that somebody spoke of: one by one for any stream, in ranges for this one.
    pub(crate) fn lumis_of(&self, stream: &StreamName) -> BTreeSet<LumiNumber> {
        let mut lumis: BTreeSet<LumiNumber> = self.lumis.keys().copied().collect();
        for witness in &self.ranges {
            if let Says::Lumis {
                first,
                last,
                stream: named,
                ..
            } = &witness.says
                && named.as_ref().is_none_or(|named| named == stream)
            {
                lumis.extend((first.0..=last.0).map(LumiNumber));
            }
        }
        lumis
    }

    /// The last lumi that somebody spoke of one by one.
    pub(crate) fn last_spoken_of(&self) -> Option<LumiNumber> {
        self.lumis.keys().next_back().copied()
    }

    /// Whether somebody spoke of a lumi, for whichever stream.
    pub(crate) fn is_spoken_of(&self, lumi: LumiNumber) -> bool {
        !self.about(lumi, |_| true).is_empty()
    }

    /// What the witnesses of a lumi of a stream add up to.
    pub(crate) fn merged(&self, stream: &StreamName, lumi: LumiNumber) -> Merged {
        let own = self.about(lumi, |named| named.is_none_or(|named| named == stream));
        merge(&own, lumi, &self.ended())
    }

    /// Whether a lumi was declared for every stream, of which none has come.
    pub(crate) fn is_declared_for_all(&self, lumi: LumiNumber) -> bool {
        let own = self.about(lumi, |named| named.is_none());
        own.iter().any(|witness| match &witness.says {
            Says::Lumis { expected, .. } => matches!(
                expected,
                Expected::Declared | Expected::Lost | Expected::Empty
            ),
            Says::LostFile { .. } | Says::End { .. } => false,
        })
    }

    /// When the run ends.
    pub(crate) fn end(&self) -> End {
        let said: Vec<&Witness> = self.ends.iter().collect();
        merge_end(&said)
    }

    /// The largest lumi that anybody called the last.
    pub(crate) fn last_lumi_said(&self) -> Option<u32> {
        let said = self.ends.iter().filter_map(|witness| match witness.says {
            Says::End { last_lumi, .. } => Some(last_lumi),
            Says::Lumis { .. } | Says::LostFile { .. } => None,
        });
        said.max()
    }

    /// Whether somebody has spoken of a lumi of this stream without a time-out.
    pub(crate) fn has_record(&self, stream: &StreamName, lumi: LumiNumber) -> bool {
        let own = self.about(lumi, |named| named.is_none_or(|named| named == stream));
        own.iter().any(|witness| witness.source != Source::Timeout)
    }

    /// Whether a time-out has spoken of a lumi of this stream.
    pub(crate) fn has_time_out(&self, stream: &StreamName, lumi: LumiNumber) -> bool {
        let own = self.about(lumi, |named| named.is_some_and(|named| named == stream));
        own.iter().any(|witness| witness.source == Source::Timeout)
    }

    /// Since when anything was said of a lumi; none when nobody did.
    pub(crate) fn spoken_at(&self, lumi: LumiNumber) -> Option<Moment> {
        let said = self.lumis.get(&lumi)?.iter();
        said.map(|witness| witness.at).min()
    }

    /// What came after the run was closed.
    pub(crate) fn late(&self) -> &[Witness] {
        &self.late
    }

    /// Data acquisition instances that have ended.
    fn ended(&self) -> Ended {
        let said: Vec<&Witness> = self.ends.iter().collect();
        ended(&said)
    }

    fn about(
        &self,
        lumi: LumiNumber,
        speaks_for: impl Fn(Option<&StreamName>) -> bool,
    ) -> Vec<&Witness> {
        let single = self.lumis.get(&lumi).into_iter().flatten();
        let own = single
            .chain(&self.ranges)
            .filter(|witness| match &witness.says {
                Says::Lumis {
                    first,
                    last,
                    stream,
                    ..
                } => *first <= lumi && lumi <= *last && speaks_for(stream.as_ref()),
                Says::LostFile { .. } | Says::End { .. } => false,
            });
        own.collect()
    }

    /// Everything that counts, in the order of its identity: what a restart must bring back.
    pub(crate) fn in_order(&self) -> Vec<&Witness> {
        let all = self.lumis.values().flatten();
        let mut all: Vec<&Witness> = all
            .chain(&self.ranges)
            .chain(&self.ends)
            .chain(&self.late)
            .collect();
        all.sort_by_key(|witness| witness.id);
        all
    }

    /// Whether a file was declared lost and has not come.
    pub(crate) fn is_lost(&self, stream: &StreamName, name: &FileName) -> bool {
        let key = (stream.clone(), name.clone());
        self.lost_files.contains_key(&key)
    }

    /// Files declared lost that have not come.
    pub(crate) fn lost_files(&self) -> &BTreeMap<(StreamName, FileName), (LumiNumber, u64)> {
        &self.lost_files
    }
}

/// The stream that a statement names.
pub(crate) fn named_by(witness: &Witness) -> Option<StreamName> {
    match &witness.says {
        Says::Lumis { stream, .. } => stream.clone(),
        Says::LostFile { stream, .. } => Some(stream.clone()),
        Says::End { .. } => None,
    }
}

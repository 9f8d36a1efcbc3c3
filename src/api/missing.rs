//! What a dataset lacks of a run: lumis that should be in it and are not, or only in part, each
//! with the reason.
//!
//! In: what its blocks hold, what files have come, what was said of the run's lumis, and the jobs
//! and outputs of every task between the detector and the dataset. Out: the shapes of `view`. Must
//! never call a lumi missing that went another way on purpose, nor whole what a job still owes.

use crate::datasets::pairs;
use crate::query::LIMIT_MAX;
use model::dataset::{Dataset, Output, Parent, Route};
use model::ids::{JobId, LumiNumber, RunNumber};
use model::job::{Job, JobState};
use model::lumi::{self, Expected};
use model::names::{DatasetName, StreamName, TaskPath};
use model::witness::{Ended, Merged, Says, Source, Witness, ended, merge};
use ports::catalogue::{Catalogue, LumiOfFiles, Page, WhichOutputs};
use ports::store::StoreError;
use std::collections::{BTreeMap, BTreeSet};
use view::dataset::MissingLumisView;

/// Closed ranges of lumis.
type Ranges = Vec<(LumiNumber, LumiNumber)>;

/// One page: nobody reads more reasons than it holds.
const FIRST_PAGE: Page = Page {
    after: None,
    limit: LIMIT_MAX,
};

/// A dataset's part of a run beside what the run has for it.
pub(crate) struct Beside {
    /// What should be in the dataset.
    pub(crate) expected: Ranges,
    /// What is not.
    pub(crate) missing: Vec<MissingLumisView>,
    /// What is, but not all of it.
    pub(crate) partial: Vec<MissingLumisView>,
}

/// Compares what a dataset holds of a run with what it should.
pub(crate) fn compare(
    catalogue: &dyn Catalogue,
    dataset: &Dataset,
    run: RunNumber,
    here: &Ranges,
) -> Result<Beside, StoreError> {
    let stream = Some(dataset.stream.as_str()).filter(|stream| *stream != "*");
    let files = catalogue.lumis_of_files(run, stream)?;
    let witnesses = catalogue.witnesses(run)?;
    let said = Said::of(&witnesses, stream);
    let with_files = files.iter().filter(|row| row.files > 0);
    let with_files = with_files.map(|row| (row.lumi, row.lumi));
    let announced = said.announced_without(&files);
    let mut naming = Naming {
        missing: Vec::new(),
        partial: Vec::new(),
        expected: lumi::union(with_files.chain(announced)),
        left: Vec::new(),
        here,
    };
    naming.left = lumi::difference(&naming.expected, here);
    for (ranges, detail) in said.lost() {
        naming.name(&ranges, "lost", None, detail);
    }
    let (tasks, apart) = makers(catalogue, dataset, run)?;
    let mut jobs: BTreeMap<JobId, Job> = BTreeMap::new();
    for task in &tasks {
        let undone = catalogue.jobs_not_done(run, task)?.into_iter();
        jobs.extend(undone.map(|job| (job.id, job)));
    }
    for job in jobs.values() {
        if let Some((reason, detail)) = why_not_done(job) {
            naming.name(&job.lumis, reason, Some(job.id), detail);
        }
    }
    for output in outputs(catalogue, run, &dataset.name, Some(false))? {
        let detail = format!("{} is kept and not published", output.name);
        naming.name_missing(&output.lumis, "withheld", Some(output.job), detail);
    }
    for name in &apart {
        for output in outputs(catalogue, run, name, None)? {
            let job = output.job;
            let detail = format!("more than one file may hold: job {job} put them into {name}");
            naming.name(&output.lumis, "error-dataset", Some(job), detail);
        }
    }
    if !naming.left.is_empty() {
        naming.pass_by(&gone_past(catalogue, dataset, run)?);
    }
    let detail = format!(
        "no job of {} has them: what it reads has not come, or was not made",
        dataset.task
    );
    naming.name_missing(&naming.left.clone(), "not-made", None, detail);
    Ok(Beside {
        expected: naming.expected,
        missing: naming.missing,
        partial: naming.partial,
    })
}

/// Lumis find their reasons, the first that fits.
struct Naming<'a> {
    expected: Ranges,
    here: &'a Ranges,
    /// Missing, and without a reason so far.
    left: Ranges,
    missing: Vec<MissingLumisView>,
    partial: Vec<MissingLumisView>,
}

impl Naming<'_> {
    /// A reason why lumis are missing, and why others are there only in part.
    fn name(&mut self, of: &Ranges, reason: &str, job: Option<JobId>, detail: String) {
        let partial = common(of, self.here);
        if !partial.is_empty() {
            let told = told(&partial, reason, job, detail.clone());
            self.partial.push(told);
        }
        self.name_missing(of, reason, job, detail);
    }

    fn name_missing(&mut self, of: &Ranges, reason: &str, job: Option<JobId>, detail: String) {
        let lumis = common(&self.left, of);
        self.left = lumi::difference(&self.left, of);
        if !lumis.is_empty() {
            self.missing.push(told(&lumis, reason, job, detail));
        }
    }

    /// Lumis that are in another dataset on purpose are not expected in this one.
    fn pass_by(&mut self, elsewhere: &Ranges) {
        let past = common(&self.left, elsewhere);
        self.left = lumi::difference(&self.left, &past);
        self.expected = lumi::difference(&self.expected, &past);
    }
}

fn told(lumis: &Ranges, reason: &str, job: Option<JobId>, detail: String) -> MissingLumisView {
    MissingLumisView {
        lumis: pairs(lumis),
        reason: reason.to_owned(),
        job: job.map(|job| job.0),
        detail,
    }
}

/// Lumis that are in both.
fn common(one: &Ranges, other: &Ranges) -> Ranges {
    lumi::difference(one, &lumi::difference(one, other))
}

/// The tasks between the detector and a dataset, as far as anything of theirs is on record, and the
/// datasets in which they set apart what is too large.
fn makers(
    catalogue: &dyn Catalogue,
    dataset: &Dataset,
    run: RunNumber,
) -> Result<(BTreeSet<TaskPath>, Vec<DatasetName>), StoreError> {
    let (mut tasks, mut apart) = (BTreeSet::new(), Vec::new());
    let mut seen = BTreeSet::from([dataset.name.clone()]);
    let mut open = vec![dataset.clone()];
    while let Some(dataset) = open.pop() {
        // What passed a merge by was made by the task in front of it.
        let published = outputs(catalogue, run, &dataset.name, Some(true))?;
        tasks.extend(published.into_iter().map(|output| output.task));
        let primary = format!("{}-Error", dataset.primary);
        let (processed, tier) = (&dataset.processed, &dataset.tier);
        apart.push(DatasetName::of(&primary, processed, tier, dataset.label));
        for parent in &dataset.parents {
            if let Parent::Dataset(name) = parent
                && seen.insert(name.clone())
            {
                open.extend(catalogue.dataset(name.as_str())?);
            }
        }
        tasks.insert(dataset.task);
    }
    Ok((tasks, apart))
}

fn outputs(
    catalogue: &dyn Catalogue,
    run: RunNumber,
    dataset: &DatasetName,
    published: Option<bool>,
) -> Result<Vec<Output>, StoreError> {
    let which = WhichOutputs {
        run: Some(run),
        dataset: Some(dataset.to_string()),
        published,
        ..WhichOutputs::default()
    };
    catalogue.which_outputs(&which, FIRST_PAGE)
}

/// Lumis that the dataset's task has put into a merge's dataset, large enough as they were.
fn gone_past(
    catalogue: &dyn Catalogue,
    dataset: &Dataset,
    run: RunNumber,
) -> Result<Ranges, StoreError> {
    let mut past = Vec::new();
    let which = WhichOutputs {
        run: Some(run),
        ..WhichOutputs::default()
    };
    crate::reads::each_row(
        |output: &Output| output.id.0,
        |page| catalogue.which_outputs(&which, page),
        |output| {
            let merged = matches!(output.route, Route::Merged(..));
            if merged && output.task == dataset.task && output.dataset != dataset.name {
                past.extend(output.lumis.iter().copied());
            }
        },
    )?;
    Ok(lumi::union(past))
}

/// Why a job has not made its outputs; none where others have its inputs, or it has none.
fn why_not_done(job: &Job) -> Option<(&'static str, String)> {
    if job.consumed == 0 {
        return None;
    }
    let (id, task) = (job.id, &job.task);
    match job.state {
        JobState::Superseded { .. } | JobState::Done { .. } => None,
        JobState::Failed { class, .. } => {
            let said = job.last_error.clone().unwrap_or_default();
            let class = class.as_str();
            let detail = format!("job {id} ({task}) failed for good ({class}): {said}");
            Some(("failed", detail))
        }
        JobState::Cancelled { .. } => {
            Some(("cancelled", format!("job {id} ({task}) was cancelled")))
        }
        JobState::Ready { .. }
        | JobState::Sent { .. }
        | JobState::Running { .. }
        | JobState::Committing { .. }
        | JobState::Parked { .. } => {
            let word = job.state.word();
            Some(("at-work", format!("job {id} ({task}) is {word}")))
        }
    }
}

/// What was said of a run's lumis while it was open, where it concerns a stream.
struct Said<'a> {
    /// Whose statements count: one stream's, or each that somebody named.
    streams: Vec<Option<StreamName>>,
    single: BTreeMap<LumiNumber, Vec<&'a Witness>>,
    ranges: Vec<&'a Witness>,
    /// Which data acquisition instances have ended.
    ended: Ended,
}

impl<'a> Said<'a> {
    fn of(witnesses: &'a [Witness], stream: Option<&str>) -> Self {
        let all: Vec<&Witness> = witnesses.iter().filter(|witness| !witness.late).collect();
        let (mut single, mut ranges): (BTreeMap<_, Vec<_>>, Vec<_>) = Default::default();
        let mut named = BTreeSet::from([stream.map(StreamName::new)]);
        for witness in &all {
            let Says::Lumis {
                first,
                last,
                stream: of,
                ..
            } = &witness.says
            else {
                continue;
            };
            if stream.is_none() {
                named.insert(of.clone());
            }
            if first == last {
                single.entry(*first).or_default().push(*witness);
            } else {
                ranges.push(*witness);
            }
        }
        Self {
            streams: named.into_iter().collect(),
            single,
            ranges,
            ended: ended(&all),
        }
    }

    /// Statements about a lumi that count for a stream.
    fn about(&self, lumi: LumiNumber, stream: Option<&StreamName>) -> Vec<&'a Witness> {
        let single = self.single.get(&lumi).into_iter().flatten();
        let concerns = |witness: &&&Witness| match &witness.says {
            Says::Lumis {
                first,
                last,
                stream: of,
                ..
            } => {
                let its = of.is_none() || of.as_ref() == stream;
                its && *first <= lumi && lumi <= *last
            }
            Says::LostFile { .. } | Says::End { .. } => false,
        };
        let all = single.chain(&self.ranges);
        all.filter(concerns).copied().collect()
    }

    /// Lumis that somebody announced one by one to hold something.
    fn counted(&self) -> impl Iterator<Item = LumiNumber> {
        let says_some = |witness: &&Witness| {
            let Says::Lumis { expected, .. } = &witness.says else {
                return false;
            };
            matches!(expected, Expected::Events(count) | Expected::Files(count) if *count > 0)
        };
        let single = self.single.iter();
        let single = single.filter(move |(_, said)| said.iter().any(says_some));
        single.map(|(lumi, _)| *lumi)
    }

    /// What the statements about a lumi add up to, for each stream that counts.
    fn merged(&self, lumi: LumiNumber) -> Vec<(Merged, Vec<&'a Witness>)> {
        let of_stream = |stream: &Option<StreamName>| {
            let said = self.about(lumi, stream.as_ref());
            (merge(&said, lumi, &self.ended), said)
        };
        self.streams.iter().map(of_stream).collect()
    }

    /// Lumis that were announced to hold something, of which nothing has come, and of which nobody
    /// has said since that there is nothing.
    fn announced_without(&self, files: &[LumiOfFiles]) -> Ranges {
        let met: BTreeSet<LumiNumber> = files.iter().map(|row| row.lumi).collect();
        let counted = self.counted().filter(|lumi| !met.contains(lumi));
        let owed = counted.filter(|lumi| self.merged(*lumi).iter().any(|(m, _)| is_owed(m)));
        lumi::union(owed.map(|lumi| (lumi, lumi)))
    }

    /// Lumis of which something that was announced is declared lost, by who says so.
    fn lost(&self) -> Vec<(Ranges, String)> {
        let mut by: BTreeMap<String, Vec<(LumiNumber, LumiNumber)>> = BTreeMap::new();
        for lumi in self.counted() {
            for (merged, said) in self.merged(lumi) {
                let lost = matches!(&merged, Merged::Lost(_)) && is_owed(&merged);
                let person = said.iter().filter(|said| said.source == Source::Operator);
                let Some(last) = person.max_by_key(|said| said.id).filter(|_| lost) else {
                    continue;
                };
                let detail = format!("declared lost by {}: {}", last.by, last.reason);
                by.entry(detail).or_default().push((lumi, lumi));
            }
        }
        let merged = by.into_iter();
        merged
            .map(|(detail, lumis)| (lumi::union(lumis), detail))
            .collect()
    }
}

/// Whether there should be something.
fn is_owed(merged: &Merged) -> bool {
    match merged {
        Merged::Counted(counted) | Merged::Lost(counted) => {
            counted.files.is_some_and(|files| files > 0)
                || counted.events.is_some_and(|events| events > 0)
        }
        Merged::Accepted { files, .. } => *files > 0,
        Merged::Partly(_) | Merged::Contradiction(_) => true,
        Merged::Unknown | Merged::Here(_) | Merged::Empty => false,
    }
}

#[cfg(test)]
#[path = "missing_tests.rs"]
mod tests;

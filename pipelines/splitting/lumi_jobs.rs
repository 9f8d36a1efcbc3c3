//! Jobs of lumis: the walk that splitting by lumis and by events a lumi share.
//!
//! In come the window and the rules, out come jobs that take lumis in order, across files or one
//! file at a time. A job that does not take all lumis of its inputs says which ones it takes. What
//! differs between the splitters is only how many lumis a job may have, which a [`Filling`] says at
//! each file.
//!
//! A file belongs wholly to one cut. So while more may come, only those jobs are cut behind which a
//! new job begins with a new file; with files of one lumi, as detectors write them, that is every
//! full job. Where jobs must end with their files, each file is cut as soon as it is there. A limit
//! on the total, and lumis that stand in several files, are about the whole input: nothing is cut
//! before it is complete.

use super::selection::{Lumis, Selection, count, events_a_lumi, lumis_of, merged, overlap};
use super::{Cut, CutJob, Groups, Window, estimate, groups};
use model::ids::{LumiNumber, RunNumber};
use model::job::Slice;
use std::collections::BTreeMap;

/// What jobs of lumis must respect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Boundaries {
    /// A job ends where its file ends.
    pub halt_job_on_file_boundaries: bool,
    /// A job ends where its run ends.
    pub split_on_run: bool,
    /// A lumi that stands in several files is worked on once, by a job that gets all these files.
    pub apply_lumi_correction: bool,
    /// The runs and lumis that are wanted.
    pub selection: Selection,
}

impl Default for Boundaries {
    /// Upstream's: jobs end with their runs, not with their files.
    fn default() -> Self {
        Self {
            halt_job_on_file_boundaries: false,
            split_on_run: true,
            apply_lumi_correction: false,
            selection: Selection::default(),
        }
    }
}

/// Where to stop, counted over all jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Total {
    /// With the input.
    Everything,
    /// With the lumi that reaches so many events.
    Events(u64),
    /// After so many lumis.
    Lumis(u64),
}

/// A file in the walk.
pub(super) struct WalkedFile {
    /// Lumis in it.
    pub(super) lumis: u64,
    /// Events a lumi of it.
    pub(super) events_a_lumi: u64,
}

/// The job that is being filled when a file is reached.
#[derive(Clone, Copy, Default)]
pub(super) struct Filled {
    /// Lumis in it.
    pub(super) lumis: u64,
    /// Events in it.
    pub(super) events: u64,
}

/// What a splitter says about a file.
pub(super) enum Filling {
    /// The file cannot be worked on.
    Refused(String),
    /// The file begins a new job, and its jobs have so many lumis.
    Alone(u64),
    /// The job in hand may have so many lumis in all, and those that begin in this file so many.
    Joins { in_hand: u64, fresh: u64 },
}

struct JobInHand {
    items: Vec<usize>,
    lumis: Lumis,
    filled: Filled,
    /// Whether its first file began in an earlier job.
    begun_before: bool,
}

struct Walk<'a> {
    window: &'a Window<'a>,
    boundaries: &'a Boundaries,
    total: Total,
    jobs: Vec<JobInHand>,
    /// Where each lumi is worked on; kept only for the correction.
    owners: BTreeMap<(RunNumber, LumiNumber), usize>,
    last_run: Option<RunNumber>,
    must_begin: bool,
    /// Lumis that the job in hand may have in all, and a job that begins in this file.
    in_hand: u64,
    fresh: u64,
    taken: Filled,
    over: bool,
}

/// Cuts the window; `filling` says at each file how many lumis a job may have.
pub(super) fn split(
    boundaries: &Boundaries,
    total: Total,
    window: &Window<'_>,
    closed: bool,
    filling: &dyn Fn(&WalkedFile, Filled) -> Filling,
) -> Cut {
    let whole_input = total != Total::Everything || boundaries.apply_lumi_correction;
    let end = match (closed, whole_input) {
        (true, _) => window.items.len(),
        (false, true) => return Cut::default(),
        (false, false) if boundaries.halt_job_on_file_boundaries => window.items.len(),
        (false, false) => window.settled_end(closed),
    };
    let Groups { together, nowhere } = groups(window, 0..end);
    let mut cut = Cut {
        quarantined: nowhere,
        ..Cut::default()
    };
    let mut walk = Walk {
        window,
        boundaries,
        total,
        jobs: Vec::new(),
        owners: BTreeMap::new(),
        last_run: None,
        must_begin: true,
        in_hand: 0,
        fresh: 0,
        taken: Filled::default(),
        over: false,
    };
    for group in together {
        walk.must_begin = true;
        for at in group {
            walk.file(at, filling, &mut cut);
        }
        let complete = closed || boundaries.halt_job_on_file_boundaries;
        let mut jobs = std::mem::take(&mut walk.jobs);
        if !complete {
            jobs.truncate(complete_jobs(&jobs, walk.must_begin));
        }
        if boundaries.apply_lumi_correction {
            // Later groups may add their files to jobs of earlier ones.
            walk.jobs = jobs;
        } else {
            cut.jobs.extend(jobs.into_iter().map(|job| walk.cut(job)));
        }
    }
    let jobs = std::mem::take(&mut walk.jobs);
    cut.jobs.extend(jobs.into_iter().map(|job| walk.cut(job)));
    cut
}

/// How many of the jobs are complete while more may come: not the last, unless whatever comes next
/// must begin a new one, and none that shares a file with one that is not.
fn complete_jobs(jobs: &[JobInHand], must_begin: bool) -> usize {
    if must_begin {
        return jobs.len();
    }
    let mut complete = jobs.len().saturating_sub(1);
    while complete > 0 && jobs[complete - 1].items.last() >= jobs[complete].items.first() {
        complete -= 1;
    }
    complete
}

impl Walk<'_> {
    fn file(&mut self, at: usize, filling: &dyn Fn(&WalkedFile, Filled) -> Filling, cut: &mut Cut) {
        let item = &self.window.items[at];
        let all = lumis_of(item, self.window);
        let lumis = count(&all);
        let file = WalkedFile {
            lumis,
            events_a_lumi: events_a_lumi(item.events.0, lumis),
        };
        let wanted = self.boundaries.selection.of(&all);
        if self.over || wanted.is_empty() {
            let reason = if self.over {
                "the total that was asked for is reached before it"
            } else {
                "none of its lumis is among the runs and lumis that are wanted"
            };
            cut.declined.push((at, reason.to_owned()));
            return;
        }
        match filling(&file, self.in_hand_now()) {
            Filling::Refused(reason) => {
                cut.quarantined.push((at, reason));
                self.must_begin = true;
                self.count(count(&wanted), file.events_a_lumi);
                return;
            }
            Filling::Alone(lumis) => {
                self.must_begin = true;
                (self.in_hand, self.fresh) = (lumis, lumis);
            }
            Filling::Joins { in_hand, fresh } => (self.in_hand, self.fresh) = (in_hand, fresh),
        }
        if self.boundaries.halt_job_on_file_boundaries
            || self.would_double(&all, count(&wanted), file.events_a_lumi)
        {
            self.must_begin = true;
        }
        for (run, first, last) in wanted {
            if self.boundaries.split_on_run && self.last_run != Some(run) {
                self.must_begin = true;
            }
            if self.boundaries.apply_lumi_correction {
                for lumi in (first.0..=last.0).map(LumiNumber) {
                    self.once(at, run, lumi, &file);
                }
            } else {
                self.range(at, run, first.0, last.0, &file);
            }
        }
    }

    /// Whether lumis of this file would be worked on twice if it joined the job in hand.
    ///
    /// The lumis that a job takes are taken from all of its files. So files that share lumis share
    /// a job only where both are in it as a whole; the correction sees to this in its own way.
    fn would_double(&self, lumis: &Lumis, wanted: u64, events_a_lumi: u64) -> bool {
        let Some(job) = self
            .jobs
            .last()
            .filter(|_| !self.boundaries.apply_lumi_correction)
        else {
            return false;
        };
        let room = self.in_hand.saturating_sub(job.filled.lumis);
        if !job.begun_before && wanted <= room.min(self.left(events_a_lumi)) {
            return false;
        }
        let mut others = job.items.iter();
        others.any(|at| overlap(&lumis_of(&self.window.items[*at], self.window), lumis))
    }

    fn in_hand_now(&self) -> Filled {
        self.jobs.last().map(|job| job.filled).unwrap_or_default()
    }

    /// Takes a lumi that may stand in several files.
    fn once(&mut self, at: usize, run: RunNumber, lumi: LumiNumber, file: &WalkedFile) {
        if let Some(owner) = self.owners.get(&(run, lumi)) {
            let items = &mut self.jobs[*owner].items;
            if let Err(place) = items.binary_search(&at) {
                items.insert(place, at);
            }
            return;
        }
        if !self.over {
            self.range(at, run, lumi.0, lumi.0, file);
            self.owners.insert((run, lumi), self.jobs.len() - 1);
        }
    }

    /// Takes lumis of one file that follow each other, over as many jobs as they need.
    fn range(&mut self, at: usize, run: RunNumber, first: u32, last: u32, file: &WalkedFile) {
        let mut next = u64::from(first);
        let end = u64::from(last) + 1;
        while next < end && !self.over {
            let lumis = self.in_hand_now().lumis;
            if self.must_begin || lumis >= self.in_hand {
                let before = self.jobs.last().and_then(|job| job.items.last());
                let begun_before = before == Some(&at);
                self.jobs.push(JobInHand {
                    items: Vec::new(),
                    lumis: Lumis::new(),
                    filled: Filled::default(),
                    begun_before,
                });
                self.must_begin = false;
                self.in_hand = self.fresh;
            }
            let room = self.in_hand.saturating_sub(self.in_hand_now().lumis).max(1);
            let taken = room.min(end - next).min(self.left(file.events_a_lumi));
            if let Some(job) = self.jobs.last_mut() {
                if job.items.last() != Some(&at) {
                    job.items.push(at);
                }
                // Both fit, as they lie between two lumi numbers.
                let (from, to) = (next as u32, (next + taken - 1) as u32);
                job.lumis.push((run, LumiNumber(from), LumiNumber(to)));
                job.filled.lumis += taken;
                job.filled.events += taken.saturating_mul(file.events_a_lumi);
            }
            self.last_run = Some(run);
            self.count(taken, file.events_a_lumi);
            next += taken;
        }
    }

    /// How many more lumis of so many events the total allows; the one that reaches it included.
    fn left(&self, events_a_lumi: u64) -> u64 {
        match self.total {
            Total::Everything => u64::MAX,
            Total::Lumis(total) => total - self.taken.lumis,
            Total::Events(_) if events_a_lumi == 0 => u64::MAX,
            Total::Events(total) => (total - self.taken.events).div_ceil(events_a_lumi),
        }
    }

    fn count(&mut self, lumis: u64, events_a_lumi: u64) {
        self.taken.lumis += lumis;
        self.taken.events += lumis.saturating_mul(events_a_lumi);
        self.over = match self.total {
            Total::Everything => false,
            Total::Lumis(total) => self.taken.lumis >= total,
            Total::Events(total) => self.taken.events >= total,
        };
    }

    fn cut(&self, job: JobInHand) -> CutJob {
        let lumis = merged(job.lumis);
        let of_items = job.items.iter();
        let all = of_items.flat_map(|at| lumis_of(&self.window.items[*at], self.window));
        let whole = lumis == merged(all.collect());
        CutJob {
            items: job.items,
            slice: (!whole).then_some(Slice::Lumis(lumis)),
            estimate: Some(estimate(&self.window.cost, job.filled.events)),
            ..CutJob::default()
        }
    }
}

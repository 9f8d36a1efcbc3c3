//! Quality: tests become a verdict, a verdict certifies the run's lumis or refuses them with a
//! reason, and the good-run list follows. The list is whole each time, so writing it twice does no
//! harm.

use crate::{Effect, Engine};
use dqm::certify;
use dqm::lumis::LumiList;
use dqm::verdict::{Status, TestResult, Verdict};
use model::fact::Fact;
use model::file::FIRST_PART;
use model::ids::{JobId, OutputId, RunNumber};
use model::job::InputId;
use model::names::DataLabel;
use model::quality::{RunQuality, RunVerdict, TestAnswer};
use model::time::{Moment, Span};
use model::work::AttemptReport;
use std::collections::BTreeMap;

impl Engine {
    /// Takes the tests of a certifying task's job.
    pub(crate) fn judge_quality(
        &mut self,
        now: Moment,
        id: JobId,
        index: usize,
        report: &AttemptReport,
        effects: &mut Vec<Effect>,
    ) {
        if self.plans[index].task.certifies && !self.only_reads(id) {
            let number = self.jobs[&id].run;
            self.certify(now, number, Some(id), report.tests.clone(), effects);
        }
    }

    /// A certifying task has ended and nobody tested anything: that is a verdict too.
    pub(crate) fn conclude_untested(
        &mut self,
        now: Moment,
        number: RunNumber,
        index: usize,
        effects: &mut Vec<Effect>,
    ) {
        if self.plans[index].task.certifies && !self.quality.contains_key(&number) {
            self.certify(now, number, None, Vec::new(), effects);
        }
    }

    fn certify(
        &mut self,
        now: Moment,
        number: RunNumber,
        tested_by: Option<JobId>,
        tests: Vec<TestAnswer>,
        effects: &mut Vec<Effect>,
    ) {
        // A new part of the run is judged together with what was tested before.
        let before = self.quality.get(&number);
        // A harvest that was tried again and tested nothing leaves the verdict as it is; one of
        // output that was made again does not, because what was tested stands no more.
        let is_second = tested_by.is_some_and(|job| self.jobs[&job].lineage.redoes.is_some());
        let is_first_part = self.runs[&number].run.part == FIRST_PART;
        if before.is_some() && tests.is_empty() && is_first_part && !is_second {
            return;
        }
        let (tests, tested_by) = self.tests_with(before, tested_by, tests);
        let verdict = verdict(&tests);
        let run = &self.runs[&number].run;
        let asked = certify::RunQuality {
            run: number.0,
            label: match run.label {
                DataLabel::Real => certify::Label::Real,
                DataLabel::Simulated => certify::Label::Simulated,
            },
            purpose: if run.run_type.publishes() {
                certify::Purpose::Physics
            } else {
                certify::Purpose::Test
            },
            closed: self.closed_lumis(number),
            verdict,
            lumi_verdicts: BTreeMap::new(),
        };
        let (certified, refused) = match (&run.quarantined, certify::certify(&asked)) {
            (Some(reason), _) => (
                Vec::new(),
                Some(format!("the run is quarantined: {reason}")),
            ),
            (None, Ok(certified)) => (ranges_of(&certified.good, number), None),
            (None, Err(refusal)) => (Vec::new(), Some(refusal.to_string())),
        };
        let quality = RunQuality {
            run: number,
            verdict: match verdict {
                Verdict::Good => RunVerdict::Good,
                Verdict::Warning => RunVerdict::Warning,
                Verdict::Bad => RunVerdict::Bad,
                Verdict::NotRun => RunVerdict::NotRun,
            },
            tests,
            tested_by,
            certified,
            refused,
            last_file_seen_at: run.last_file_seen_at,
            at: now,
            chain: self.program_time_on_longest_chain(number),
        };
        effects.push(Effect::Record(Fact::QualityIs(quality.clone())));
        self.quality.insert(number, quality);
        effects.push(Effect::GoodRuns(self.good_run_list()));
        self.heed_verdict(now, number, effects);
    }

    /// What was tested before together with what a job has tested now; where that job does the work
    /// of another again, its answers take the place of the other's.
    fn tests_with(
        &self,
        before: Option<&RunQuality>,
        job: Option<JobId>,
        tests: Vec<TestAnswer>,
    ) -> (Vec<TestAnswer>, Vec<(JobId, u32)>) {
        let (mut all, mut by) = before.map_or_else(Default::default, |known| {
            (known.tests.clone(), known.tested_by.clone())
        });
        let Some(job) = job else {
            all.extend(tests);
            return (all, by);
        };
        let count = tests.len() as u32;
        let Some(first) = self.jobs[&job].lineage.redoes else {
            all.extend(tests);
            by.push((job, count));
            return (all, by);
        };
        // Older rows do not say who tested: those answers stand first.
        let said: usize = by.iter().map(|(_, count)| *count as usize).sum();
        let unsaid = all.len().saturating_sub(said);
        match by.iter().position(|(other, _)| *other == first) {
            Some(place) => {
                let before: usize = by[..place].iter().map(|(_, count)| *count as usize).sum();
                let from = unsaid + before;
                all.splice(from..from + by[place].1 as usize, tests);
                by[place] = (job, count);
            }
            None => {
                all.splice(..unsaid, tests);
                by.insert(0, (job, count));
            }
        }
        (all, by)
    }

    /// Lumis that are accounted for in every stream.
    fn closed_lumis(&self, number: RunNumber) -> LumiList {
        let Some(work) = self.runs.get(&number) else {
            return LumiList::default();
        };
        let last = work.run.last_lumi.unwrap_or(0);
        let closed = |lumi: &u32| {
            let lumi = model::ids::LumiNumber(*lumi);
            work.streams
                .values()
                .all(|stream| stream.frontier.is_closed(lumi))
        };
        LumiList::from_lumis((1..=last).filter(closed).map(|lumi| (number.0, lumi)))
    }

    /// The good-run list in the form every CMS analysis reads: `{"run": [[first, last], ...]}`.
    pub(crate) fn good_run_list(&self) -> String {
        let runs = self
            .quality
            .values()
            .filter(|quality| !quality.certified.is_empty());
        let lines: Vec<String> = runs
            .map(|quality| {
                let ranges: Vec<String> = quality
                    .certified
                    .iter()
                    .map(|(a, b)| format!("[{a}, {b}]"))
                    .collect();
                format!("\"{}\": [{}]", quality.run, ranges.join(", "))
            })
            .collect();
        format!("{{{}}}\n", lines.join(",\n "))
    }

    /// The programs' own time on the longest chain of jobs that led to the run's verdict, counted
    /// from when its last file was seen: what no scheduler could have saved.
    fn program_time_on_longest_chain(&self, number: RunNumber) -> Span {
        let from = self.runs[&number].run.last_file_seen_at;
        let made_by: BTreeMap<OutputId, JobId> = self
            .outputs
            .values()
            .filter(|o| o.run == number)
            .map(|o| (o.id, o.job))
            .collect();
        let mut known: BTreeMap<JobId, Span> = BTreeMap::new();
        // Ids grow in the order in which jobs are made, and a job is made after those it reads from
        // or waits for.
        let mut decided = Span::ZERO;
        let mut longest = Span::ZERO;
        for job in self.jobs_of(number) {
            let (Some(started), Some(ended)) = (job.stamps.started, job.stamps.reported) else {
                continue;
            };
            let own = ended.since(started.max(from)).max(Span::ZERO);
            let fed_by = job.inputs.iter().filter_map(|input| match input {
                InputId::Output(id) => made_by.get(id).and_then(|job| known.get(job)).copied(),
                InputId::File(_) => None,
            });
            let plan = self.plan_of(job).map(|index| &self.plans[index].task);
            let waits =
                plan.is_some_and(|task| task.release.when != pipelines::definition::When::Always);
            let before = fed_by.max().unwrap_or(Span::ZERO);
            let chain = own + if waits { before.max(decided) } else { before };
            if plan.is_some_and(|task| !task.calibrates.is_empty()) {
                decided = decided.max(chain);
            }
            longest = longest.max(chain);
            known.insert(job.id, chain);
        }
        longest
    }
}

/// What the tests add up to, by the wing's rule. A test that does not apply to the data says
/// nothing.
fn verdict(tests: &[TestAnswer]) -> Verdict {
    let applicable = tests
        .iter()
        .filter(|test| test.status != Status::Disabled.code());
    let results: Vec<TestResult> = applicable
        .map(|test| TestResult {
            name: test.name.clone(),
            histogram: test.histogram.clone(),
            status: status(test.status),
            value_ppm: test.value_ppm,
            message: test.message.clone(),
        })
        .collect();
    dqm::verdict::verdict(&results)
}

fn status(code: u32) -> Status {
    let known = [
        Status::Disabled,
        Status::Invalid,
        Status::InsufficientStatistics,
        Status::DidNotRun,
        Status::Ok,
        Status::Warning,
        Status::Error,
    ];
    known
        .into_iter()
        .find(|status| status.code() == code)
        .unwrap_or(Status::Other)
}

fn ranges_of(list: &LumiList, number: RunNumber) -> Vec<(u32, u32)> {
    let of_run = list.runs().find(|(run, _)| *run == number.0);
    of_run.map_or_else(Vec::new, |(_, ranges)| ranges.to_vec())
}

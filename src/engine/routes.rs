//! Routes: which way an output goes. Usually to its dataset and to the tasks that read it; past a
//! merge that would only copy it; or, from a job of the error dataset, out of the way of everybody.
//!
//! The route is fixed when the output is recorded and stands in its row, so that a restart hands it
//! to the same tasks.

use crate::{Effect, Engine};
use model::alarm::Severity;
use model::dataset::{Output, Route};
use model::ids::{JobId, LumiNumber, RunNumber};
use model::job::Job;
use model::names::{DatasetName, OutputLabel};
use model::time::Moment;
use model::units::Bytes;
use pipelines::splitting::Splitter;
use std::collections::BTreeSet;

/// Closed ranges of lumis.
type Lumis = Vec<(LumiNumber, LumiNumber)>;

impl Engine {
    /// The route of an output of a job.
    pub(crate) fn route_of(
        &self,
        job: &Job,
        index: usize,
        label: &OutputLabel,
        bytes: Option<Bytes>,
    ) -> Route {
        if job.to_error_dataset {
            return Route::Error;
        }
        // What stands in another's place goes its way.
        let first = job.lineage.redoes.into_iter();
        let mut first = first.flat_map(|first| self.left_by(first));
        if let Some(first) = first.find(|first| first.label == *label) {
            return first.route.clone();
        }
        let tasks = self.runs.get(&job.run).map(|work| &work.tasks);
        let direct = self.plans[index].consumers.iter().find_map(|(read, next)| {
            let plan = &self.plans[*next];
            let Splitter::RepackMerge(rule) = &plan.task.splitter else {
                return None;
            };
            let at_work = tasks.is_some_and(|tasks| tasks.contains_key(next));
            let is_direct = read == label && at_work && rule.is_direct(bytes?);
            // Which of several outputs it would be nobody can say.
            let only = plan.attempt.outputs.len() == 1;
            let as_label = plan.attempt.outputs.first()?.label.clone();
            (is_direct && only).then(|| Route::Merged(plan.path.clone(), as_label))
        });
        direct.unwrap_or_default()
    }

    /// The dataset of an output: `/primary/pipeline's processing/label`, so that express and prompt
    /// of the same stream are different datasets. The error dataset is one of its own.
    pub(crate) fn dataset_of(
        &self,
        number: RunNumber,
        index: usize,
        label: &OutputLabel,
        route: &Route,
    ) -> DatasetName {
        let plan = &self.plans[index];
        let data_label = self.runs[&number].run.label;
        match route {
            Route::Onward => {
                DatasetName::of(&plan.primary, &plan.processing, label.as_str(), data_label)
            }
            Route::Merged(merge, label) => {
                let mut behind = plan.consumers.iter().map(|(_, next)| &self.plans[*next]);
                let merge = behind.find(|plan| plan.path == *merge).unwrap_or(plan);
                DatasetName::of(
                    &merge.primary,
                    &merge.processing,
                    label.as_str(),
                    data_label,
                )
            }
            Route::Error => {
                let primary = format!("{}-Error", plan.primary);
                DatasetName::of(&primary, &plan.processing, label.as_str(), data_label)
            }
        }
    }

    /// Tasks that read an output, by position in the list; `index` is the one that made it.
    pub(crate) fn readers_of(&self, output: &Output, index: usize) -> Vec<usize> {
        let own = self.plans[index].consumers.iter();
        let own = own.filter(|(label, _)| *label == output.label);
        match &output.route {
            Route::Error => Vec::new(),
            Route::Onward => own.map(|(_, next)| *next).collect(),
            Route::Merged(merge, as_label) => own
                .flat_map(|(_, next)| {
                    if self.plans[*next].path != *merge {
                        return vec![*next];
                    }
                    let behind = self.plans[*next].consumers.iter();
                    let behind = behind.filter(|(label, _)| label == as_label);
                    behind.map(|(_, next)| *next).collect()
                })
                .collect(),
        }
    }

    /// The merge that an output passes by.
    pub(crate) fn merge_passed_by(&self, output: &Output, index: usize) -> Option<usize> {
        let Route::Merged(merge, _) = &output.route else {
            return None;
        };
        let mut behind = self.plans[index].consumers.iter().map(|(_, next)| *next);
        behind.find(|next| self.plans[*next].path == *merge)
    }

    /// Tells people of a job that is not as it should be: one for the error dataset, or a merge of
    /// lumis of which something failed for good.
    pub(crate) fn tell_of_job(
        &mut self,
        now: Moment,
        id: JobId,
        index: usize,
        effects: &mut Vec<Effect>,
    ) {
        let job = &self.jobs[&id];
        let (number, path) = (job.run, &job.task);
        if job.to_error_dataset {
            let text = format!(
                "Lumis {} of run {number} are more than one file can hold: job {id} ({path}) puts \
                 them into the error dataset, which nobody reads. Raise max_edm_size if the \
                 experiment's files may be larger.",
                in_words(&job.lumis)
            );
            let key = format!("error-dataset/{id}");
            self.alarm(now, key, Severity::Medium, text, effects);
        }
        for (failed, lumis, error) in self.missing_pieces(id, index) {
            let text = format!(
                "Job {id} merges lumis {} of run {number} without what job {failed} would have \
                 made of them: it failed for good ({error}). `tier0 job retry {failed}` tries \
                 it again; its output is then merged by itself.",
                in_words(&lumis)
            );
            let key = merged_without(failed);
            self.alarm(now, key, Severity::High, text, effects);
        }
    }

    /// Jobs in front of a merge that failed for good and had lumis of one of its jobs.
    fn missing_pieces(&self, id: JobId, index: usize) -> Vec<(JobId, Lumis, String)> {
        let job = &self.jobs[&id];
        let plan = &self.plans[index];
        let Some((upstream, _)) = plan.upstream.as_ref().filter(|_| plan.tracks_lumis) else {
            return Vec::new();
        };
        let work = self.runs.get(&job.run);
        let task = work.and_then(|work| work.tasks.get(upstream));
        let lumi_work = task.and_then(|task| task.lumi_work.as_ref());
        let failed: BTreeSet<JobId> = lumi_work.map_or_else(BTreeSet::new, |w| w.failed().clone());
        let missing = failed.iter().filter_map(|id| {
            let piece = self.jobs.get(id)?;
            let lumis = crate::execution::common(&piece.lumis, &job.lumis);
            let error = piece.last_error.clone().unwrap_or_default();
            (!lumis.is_empty()).then_some((*id, lumis, error))
        });
        missing.collect()
    }
}

/// The alarm that stands while a piece is missing.
pub(crate) fn merged_without(piece: JobId) -> String {
    format!("merged-without/{piece}")
}

fn in_words(lumis: &[(LumiNumber, LumiNumber)]) -> String {
    let ranges = lumis.iter().map(|(first, last)| {
        if first == last {
            first.to_string()
        } else {
            format!("{first} to {last}")
        }
    });
    ranges.collect::<Vec<_>>().join(", ")
}

//! Splitting by plugin: somebody's program says which inputs go together, once all are here.
//!
//! In comes its answer, as groups of positions in the window; out come the jobs, or what is wrong
//! with it. The wing asks nobody: whoever keeps the windows does. An answer counts only as a whole:
//! every input in exactly one group, so that nothing is lost and nothing is done twice.

use super::{Cut, CutJob};
use model::time::Span;
use std::collections::BTreeMap;

/// The plugin and its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plugin {
    /// Its name in reasons and messages.
    pub name: String,
    /// Program and arguments; `{program:NAME}` and `{tier0}` fill whole arguments.
    pub program: Vec<String>,
    /// How long it may take for an answer; then it is ended.
    pub within: Span,
    /// Free parameters handed on with each question.
    pub parameters: BTreeMap<String, String>,
}

/// All input as one job: what is done when a person says that the task goes on with what is here.
pub fn all_in_one(inputs: usize) -> Cut {
    let items: Vec<usize> = (0..inputs).collect();
    Cut {
        jobs: vec![CutJob {
            items,
            ..CutJob::default()
        }],
        ..Cut::default()
    }
}

/// The jobs of an answer about so many inputs; the error reads on from the plugin's name.
pub fn judge(groups: &[Vec<u32>], inputs: usize) -> Result<Cut, String> {
    let mut taken = vec![false; inputs];
    let mut jobs = Vec::new();
    for group in groups {
        if group.is_empty() {
            return Err("made a group of nothing".to_owned());
        }
        let mut items = Vec::with_capacity(group.len());
        for input in group {
            let at = *input as usize;
            match taken.get_mut(at) {
                None => return Err(format!("took input {at}, of {inputs} that there are")),
                Some(true) => return Err(format!("took input {at} twice")),
                Some(free) => *free = true,
            }
            items.push(at);
        }
        items.sort_unstable();
        jobs.push(CutJob {
            items,
            ..CutJob::default()
        });
    }
    match taken.iter().filter(|taken| !**taken).count() {
        0 => Ok(Cut {
            jobs,
            ..Cut::default()
        }),
        left => Err(format!("left {left} of {inputs} inputs")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_counts_only_as_a_whole() {
        let check = |groups: &[&[u32]], inputs, expect: Result<&[&[usize]], &str>| {
            let groups: Vec<Vec<u32>> = groups.iter().map(|group| group.to_vec()).collect();
            let cut = judge(&groups, inputs);
            let got = cut.map(|cut| cut.jobs.into_iter().map(|job| job.items).collect());
            let expect: Result<Vec<Vec<usize>>, String> = expect
                .map(|jobs| jobs.iter().map(|job| job.to_vec()).collect())
                .map_err(str::to_owned);
            assert_eq!(got, expect, "{groups:?} of {inputs}");
        };
        check(&[&[2, 0], &[1]], 3, Ok(&[&[0, 2], &[1]]));
        check(&[], 0, Ok(&[]));
        check(&[&[0], &[]], 1, Err("made a group of nothing"));
        check(&[&[0, 3]], 3, Err("took input 3, of 3 that there are"));
        check(&[&[0], &[1, 0]], 2, Err("took input 0 twice"));
        check(&[&[1]], 3, Err("left 2 of 3 inputs"));
        check(&[], 1, Err("left 1 of 1 inputs"));
        assert_eq!(all_in_one(2).jobs[0].items, [0, 1]);
    }
}

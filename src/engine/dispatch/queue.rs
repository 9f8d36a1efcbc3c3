//! The queue of ready jobs: classes, groups, jobs, and the late lane of each class.

use model::ids::{JobId, RunNumber};
use model::job::Class;
use model::time::Moment;
use std::collections::{BTreeMap, BTreeSet};

/// One in so many picks is taken from the late lane while feasible jobs wait: a kept share of 20%.
const LATE_SHARE_ONE_IN: u32 = 5;

/// Jobs moved to the late lane in one pick at most: no step is long because a moment has passed for
/// a hundred thousand jobs at once.
const LATE_MOVED_MAX: u32 = 1_000;

/// A group of jobs that share a priority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GroupKey {
    /// The class it is served in.
    pub class: Class,
    /// The run whose jobs it holds.
    pub run: RunNumber,
}

/// What a group is ordered by: higher priority first, then the earliest latest start of its jobs.
type GroupOrder = (std::cmp::Reverse<i32>, Moment, JobId, RunNumber);

#[derive(Clone, Debug, Default)]
struct Group {
    priority: i32,
    jobs: BTreeSet<(Moment, JobId)>,
}

impl Group {
    fn order(&self, run: RunNumber) -> Option<GroupOrder> {
        let (latest_start, job) = self.jobs.first()?;
        Some((std::cmp::Reverse(self.priority), *latest_start, *job, run))
    }
}

#[derive(Clone, Debug, Default)]
struct ClassQueue {
    groups: BTreeMap<RunNumber, Group>,
    order: BTreeSet<GroupOrder>,
    /// Jobs that can no longer be in time, oldest first: ids grow with age.
    late: BTreeSet<JobId>,
    picks: u32,
}

/// All ready jobs.
#[derive(Clone, Debug, Default)]
pub struct Queue {
    classes: BTreeMap<Class, ClassQueue>,
    waiting: usize,
}

impl Queue {
    /// Adds a job.
    pub fn push(&mut self, key: GroupKey, latest_start: Moment, job: JobId) {
        let class = self.classes.entry(key.class).or_default();
        class.change(key.run, |group| {
            group.jobs.insert((latest_start, job));
        });
        self.waiting += 1;
    }

    /// Takes a job out that shall not be served; says whether it waited here.
    pub fn remove(&mut self, key: GroupKey, latest_start: Moment, job: JobId) -> bool {
        let class = self.classes.entry(key.class).or_default();
        let mut waited = class.late.remove(&job);
        class.change(key.run, |group| {
            waited |= group.jobs.remove(&(latest_start, job));
        });
        self.waiting -= usize::from(waited);
        waited
    }

    /// Whether a job waits here.
    pub fn has(&self, key: GroupKey, latest_start: Moment, job: JobId) -> bool {
        let class = self.classes.get(&key.class);
        class.is_some_and(|class| {
            let group = class.groups.get(&key.run);
            class.late.contains(&job)
                || group.is_some_and(|group| group.jobs.contains(&(latest_start, job)))
        })
    }

    /// Takes the job to serve next: live before offline, priority before slack, and the late lane
    /// in its share.
    pub fn pop(&mut self, now: Moment) -> Option<JobId> {
        let job = self.classes.values_mut().find_map(|class| class.pop(now))?;
        self.waiting -= 1;
        Some(job)
    }

    /// Changes a group's priority: higher is served first, 0 by default.
    pub fn prioritise(&mut self, key: GroupKey, priority: i32) {
        let class = self.classes.entry(key.class).or_default();
        class.change(key.run, |group| group.priority = priority);
    }

    /// How many jobs wait.
    pub fn len(&self) -> usize {
        self.waiting
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    /// Every waiting job, in id order: for checks.
    pub fn jobs(&self) -> BTreeSet<JobId> {
        let feasible = self.classes.values().flat_map(|class| {
            class
                .groups
                .values()
                .flat_map(|group| group.jobs.iter().map(|(_, job)| *job))
        });
        let late = self
            .classes
            .values()
            .flat_map(|class| class.late.iter().copied());
        feasible.chain(late).collect()
    }
}

impl ClassQueue {
    /// Changes a group and puts it where it now belongs.
    fn change(&mut self, run: RunNumber, change: impl FnOnce(&mut Group)) {
        let group = self.groups.entry(run).or_default();
        let before = group.order(run);
        change(group);
        let after = group.order(run);
        if before != after {
            if let Some(before) = before {
                self.order.remove(&before);
            }
            match after {
                Some(after) => {
                    self.order.insert(after);
                }
                None if group.priority == 0 => {
                    self.groups.remove(&run);
                }
                None => {}
            }
        }
    }

    fn pop(&mut self, now: Moment) -> Option<JobId> {
        let feasible = self.retire_late(now);
        if !self.late.is_empty()
            && (!feasible || self.picks % LATE_SHARE_ONE_IN == LATE_SHARE_ONE_IN - 1)
        {
            self.picks = self.picks.wrapping_add(1);
            return self.late.pop_first();
        }
        let (_, latest_start, job, run) = *self.order.first()?;
        self.picks = self.picks.wrapping_add(1);
        self.change(run, |group| {
            group.jobs.remove(&(latest_start, job));
        });
        Some(job)
    }

    /// Moves jobs at the head whose latest start has passed to the late lane; each moves once in
    /// its life, and so many at most in one pick. Says whether the head can still be in time.
    fn retire_late(&mut self, now: Moment) -> bool {
        for _ in 0..LATE_MOVED_MAX {
            let Some((_, latest_start, job, run)) = self.order.first().copied() else {
                return false;
            };
            if latest_start >= now {
                return true;
            }
            self.change(run, |group| {
                group.jobs.remove(&(latest_start, job));
            });
            self.late.insert(job);
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIVE: Class = Class::Live;
    const OFFLINE: Class = Class::Offline;

    fn push(queue: &mut Queue, class: Class, run: u32, latest_start: i64, job: i64) {
        let key = GroupKey {
            class,
            run: RunNumber(run),
        };
        queue.push(key, Moment(latest_start), JobId(job));
    }

    fn drain(queue: &mut Queue, now: i64) -> Vec<i64> {
        std::iter::from_fn(|| queue.pop(Moment(now)))
            .map(|job| job.0)
            .collect()
    }

    #[test]
    fn least_slack_first_over_all_groups_and_live_before_offline() {
        let mut queue = Queue::default();
        push(&mut queue, OFFLINE, 1, 1, 1);
        push(&mut queue, LIVE, 1, 30, 2);
        push(&mut queue, LIVE, 2, 20, 3);
        push(&mut queue, LIVE, 1, 10, 4);
        push(&mut queue, LIVE, 2, 40, 5);
        assert_eq!(queue.len(), 5);
        assert_eq!(drain(&mut queue, 0), [4, 3, 2, 5, 1]);
        assert!(queue.is_empty());
    }

    #[test]
    fn what_is_taken_out_is_not_served_on_time_or_late() {
        let mut queue = Queue::default();
        for job in 0..4 {
            push(&mut queue, LIVE, 1, 10 * job, job);
        }
        let key = GroupKey {
            class: LIVE,
            run: RunNumber(1),
        };
        assert_eq!(queue.pop(Moment(15)), Some(JobId(2)), "0 and 1 are late");
        assert!(queue.has(key, Moment(0), JobId(0)), "in the late lane");
        assert!(queue.has(key, Moment(30), JobId(3)), "in its group");
        assert!(!queue.has(key, Moment(30), JobId(2)), "it was served");
        assert!(queue.remove(key, Moment(0), JobId(0)));
        assert!(queue.remove(key, Moment(30), JobId(3)));
        assert!(!queue.remove(key, Moment(30), JobId(3)));
        assert_eq!((queue.len(), drain(&mut queue, 15)), (1, vec![1]));
    }

    #[test]
    fn priority_stands_above_slack_and_moves_a_whole_group() {
        let mut queue = Queue::default();
        for job in 0..100 {
            push(&mut queue, LIVE, 1, 10 + job, job);
            push(&mut queue, LIVE, 2, 1_000 + job, 1_000 + job);
        }
        queue.prioritise(
            GroupKey {
                class: LIVE,
                run: RunNumber(2),
            },
            5,
        );
        assert_eq!(drain(&mut queue, 0)[..3], [1_000, 1_001, 1_002]);
    }

    #[test]
    fn jobs_that_cannot_be_saved_get_a_fifth_and_the_rest_goes_first() {
        let mut queue = Queue::default();
        for job in 0..10 {
            push(&mut queue, LIVE, 1, 5, job); // late at now = 100
            push(&mut queue, LIVE, 1, 500 + job, 100 + job);
        }
        let order = drain(&mut queue, 100);
        assert_eq!(order[..10], [100, 101, 102, 103, 0, 104, 105, 106, 107, 1]);
        assert_eq!(order.len(), 20);
        assert_eq!(order[12..], [2, 3, 4, 5, 6, 7, 8, 9]);
    }

    #[test]
    fn more_late_jobs_than_one_pick_moves_are_all_served_once() {
        let mut queue = Queue::default();
        let jobs = 2 * i64::from(LATE_MOVED_MAX) + 500;
        for job in 0..jobs {
            push(&mut queue, LIVE, 1, 5, job);
        }
        push(&mut queue, LIVE, 1, 500, jobs);
        let mut order = drain(&mut queue, 100);
        assert_eq!(order.len() as i64, jobs + 1);
        order.sort_unstable();
        assert_eq!(order, (0..=jobs).collect::<Vec<_>>());
    }
}

//! Policies of retries, and what people ask of jobs: parked, released, split, given up.

use crate::check_with;
use crate::play::Play;

/// Packs of four files; the policy of each test stands in `retry`.
fn packs(retry: &str) -> Play {
    let text = format!(
        "[pipeline]\nname = \"packs\"\ntrigger = {{ stream = \"Muons\" }}\n\
         [[task]]\nname = \"pack\"\nsplit = {{ by = \"file\", files_per_job = 4 }}\n\
         needs = {{ memory = \"4GiB\", wall = \"10m\" }}\n\
         program = [\"x\"]\noutputs = {{ PACK = \"json\" }}\nretry = {retry}\n"
    );
    Play::of(&[("packs.toml", &text)], 8)
}

/// Four files of one lumi: one job under way.
const SENT: [(&str, &str); 6] = [
    ("file 1 1 a 10", "file a; run 1 physics open"),
    ("file 1 1 b 10", "file b"),
    ("file 1 1 c 10", "file c"),
    ("file 1 1 d 10", "file d"),
    ("lumi 1 1 40", "start packs#1 attempt 1 on 4"),
    ("end 1 1", "run 1 physics closed"),
];

fn check_after_sent(retry: &str, rows: &[(&str, &str)]) {
    check_with(packs(retry), &[&SENT, rows].concat());
}

#[test]
fn a_policy_parks_a_job_and_its_run_waits() {
    check_after_sent(
        "{ attempts = 30, policy = \"constant\", base = \"1s\", pause_every = 2 }",
        &[
            ("fail packs#1 transient", "packs#1 pauses 1.00 s"),
            ("wait 2", "start packs#1 attempt 2 on 4"),
            (
                "fail packs#1 site",
                "alarm job-parked/packs#1; packs#1 parked: policy",
            ),
            ("wait 100", ""),
            (
                "park packs#1",
                "cleared job-parked/packs#1; alarm job-parked/packs#1; done: job 7 is parked; \
                 packs#1 parked: person",
            ),
            (
                "release packs#1",
                "cleared job-parked/packs#1; done: job 7 is released; start packs#1 attempt 3 \
                 on 4",
            ),
            ("fail packs#1 transient", "packs#1 pauses 1.00 s"),
            (
                "release packs#1",
                "done: job 7 is released; start packs#1 attempt 4 on 4",
            ),
            (
                "ok packs#1",
                "+PACK; PACK closed with 40; packs#1 done; run 1 physics finished",
            ),
        ],
    );
}

#[test]
fn memory_and_time_grow_until_a_person_must_look() {
    check_after_sent(
        "{ attempts = 9, policy = \"constant\", base = \"1s\", factor = 1.5, \
         memory_max = \"8GiB\" }",
        &[
            ("fail packs#1 memory", "packs#1 pauses 1.00 s"),
            (
                "wait 2",
                "start packs#1 attempt 2 on 4, 6.0 GiB and 10.0 min",
            ),
            ("fail packs#1 time", "packs#1 pauses 1.00 s"),
            (
                "wait 2",
                "start packs#1 attempt 3 on 4, 6.0 GiB and 15.0 min",
            ),
            ("fail packs#1 memory", "packs#1 pauses 1.00 s"),
            (
                "wait 2",
                "start packs#1 attempt 4 on 4, 8.0 GiB and 15.0 min",
            ),
            (
                "fail packs#1 memory",
                "alarm job-parked/packs#1; packs#1 parked: memory-limit",
            ),
            (
                "retry packs#1",
                "cleared job-parked/packs#1; done: job 7 is ready again; start packs#1 \
                 attempt 5 on 4",
            ),
            (
                "ok packs#1",
                "+PACK; PACK closed with 40; packs#1 done; run 1 physics finished",
            ),
        ],
    );
}

#[test]
fn the_same_failure_twice_makes_smaller_jobs() {
    check_after_sent(
        "{ policy = \"constant\", base = \"1s\", on_same_failure = \"split\" }",
        &[
            ("fail packs#1 transient", "packs#1 pauses 1.00 s"),
            ("wait 2", "start packs#1 attempt 2 on 4"),
            (
                "fail packs#1 transient",
                "start packs#2 attempt 1 on 2; start packs#3 attempt 1 on 2; packs#1 split",
            ),
            ("ok packs#2", "+PACK; packs#2 done"),
            (
                "single packs#3",
                "refused: job 11 is sent and cannot be split; end its attempt first with \
                 `tier0 job park 11`",
            ),
            ("fail packs#3 transient", "packs#3 pauses 1.00 s"),
            (
                "single packs#3",
                "done: job 11 is split into 15, 16; start packs#4 attempt 1 on 1; start \
                 packs#5 attempt 1 on 1; packs#3 split",
            ),
            ("ok packs#4", "+PACK; packs#4 done"),
            (
                "ok packs#5",
                "+PACK; PACK closed with 40; packs#5 done; run 1 physics finished",
            ),
        ],
    );
}

#[test]
fn the_same_failure_twice_may_be_enough() {
    check_after_sent(
        "{ policy = \"constant\", base = \"1s\", on_same_failure = \"fail\" }",
        &[
            ("fail packs#1 transient", "packs#1 pauses 1.00 s"),
            ("wait 2", "start packs#1 attempt 2 on 4"),
            (
                "fail packs#1 transient",
                "alarm job-failed/packs#1; packs#1 failed: transient; run 1 physics finished",
            ),
        ],
    );
}

#[test]
fn a_person_looks_when_the_same_failure_came_twice() {
    check_after_sent(
        "{ attempts = 9, on_same_failure = \"park\", never = [\"site\"] }",
        &[
            ("fail packs#1 transient", "packs#1 pauses 10.00 s"),
            ("wait 11", "start packs#1 attempt 2 on 4"),
            ("fail packs#1 time", "packs#1 pauses 40.00 s"),
            (
                "wait 41",
                "start packs#1 attempt 3 on 4, 4.0 GiB and 20.0 min",
            ),
            ("fail packs#1 transient", "packs#1 pauses 1.5 min"),
            ("wait 91", "start packs#1 attempt 4 on 4"),
            (
                "fail packs#1 transient",
                "alarm job-parked/packs#1; packs#1 parked: same-failure",
            ),
            (
                "release packs#1",
                "cleared job-parked/packs#1; done: job 7 is released; start packs#1 attempt 5 \
                 on 4",
            ),
            (
                "fail packs#1 site",
                "alarm job-failed/packs#1; packs#1 failed: site; run 1 physics finished",
            ),
        ],
    );
}

#[test]
fn people_park_split_and_give_up_jobs() {
    check_after_sent(
        "{}",
        &[
            (
                "release packs#1",
                "refused: job 7 is sent; only a parked job, or one that pauses, can be \
                 released",
            ),
            (
                "halve packs#1",
                "refused: job 7 is sent and cannot be split; end its attempt first with \
                 `tier0 job park 7`",
            ),
            (
                "park packs#1",
                "end packs#1; alarm job-parked/packs#1; done: job 7 is parked; packs#1 \
                 parked: person",
            ),
            ("ok packs#1", ""),
            (
                "halve packs#1",
                "cleared job-parked/packs#1; done: job 7 is split into 11, 12; start packs#2 \
                 attempt 1 on 2; start packs#3 attempt 1 on 2; packs#1 split",
            ),
            (
                "halve packs#1",
                "refused: job 7 is superseded and cannot be split; other jobs have its inputs",
            ),
            (
                "retry packs#1",
                "refused: job 7 is superseded; only a failed, cancelled or parked job can be \
                 retried",
            ),
            (
                "cancel packs#2",
                "end packs#2; shifter did job cancel to job/11; done: job 11 is cancelled; \
                 packs#2 cancelled",
            ),
            ("ok packs#2", ""),
            (
                "retry packs#2",
                "done: job 11 is ready again; start packs#2 attempt 2 on 2",
            ),
            ("ok packs#2", "+PACK; packs#2 done"),
            (
                "park packs#2",
                "refused: job 11 is done; only a job that is ready, sent or running can be \
                 parked",
            ),
            (
                "cancel packs#3",
                "end packs#3; shifter did job cancel to job/12; done: job 12 is cancelled; \
                 PACK closed with 20; packs#3 cancelled; run 1 physics finished",
            ),
        ],
    );
}

#[test]
fn many_jobs_are_changed_by_whoever_says_how_many() {
    let retry = "{ attempts = 1 }";
    check_with(
        packs(retry),
        &[
            ("file 1 1 a 10", "file a; run 1 physics open"),
            ("lumi 1 1 10", ""),
            ("file 1 2 b 10", "file b"),
            ("file 1 2 c 10", "file c"),
            ("file 1 2 d 10", "file d"),
            ("file 1 2 e 10", "file e"),
            ("lumi 1 2 40", "start packs#1 attempt 1 on 4"),
            ("file 1 3 f 10", "file f"),
            ("end 1 3", "run 1 physics ending"),
            (
                "fail packs#1 memory",
                "alarm job-failed/packs#1; packs#1 failed: memory",
            ),
            (
                "jobs retry",
                "refused: which jobs shall be meant? name one by its id, or several by run, \
                 task, state, exit class or fingerprint; `tier0 job ls --state failed` lists \
                 some",
            ),
            (
                "jobs retry run=1 dry",
                "would retry job 9: job/9 of packs.pack, run 1: failed",
            ),
            (
                "jobs retry run=1 expect=2",
                "refused: jobs expected: 2, meant: 1; nothing was changed. Look again with \
                 --dry-run and ask with the count that it shows",
            ),
            (
                "jobs split task=packs",
                "cleared job-failed/packs#1; done: job 9 is split into 13, 14; start packs#2 \
                 attempt 1 on 2; start packs#3 attempt 1 on 2; packs#1 split",
            ),
            ("jobs retry class=site", "done: 0 jobs are ready again"),
            (
                "jobs retry run=1 class=memory expect=1",
                "refused: jobs expected: 1, meant: 0; nothing was changed. Look again with \
                 --dry-run and ask with the count that it shows",
            ),
            (
                "jobs cancel run=1 unasked",
                "refused: a job that is cancelled is data given up: that is kept with its \
                 author and reason; say both (--by NAME --reason TEXT, by= and reason= of the \
                 request)",
            ),
            (
                "jobs cancel run=1 dry",
                "would cancel 2 jobs: job/13 of packs.pack, run 1: sent, job/14 of \
                 packs.pack, run 1: sent",
            ),
            (
                "jobs cancel run=1 state=parked",
                "done: 0 jobs are cancelled",
            ),
            (
                "jobs cancel task=packs.pack",
                "end packs#2; end packs#3; shifter did job cancel to jobs/task=packs.pack; \
                 done: 2 jobs are cancelled; packs#2 cancelled; packs#3 cancelled",
            ),
            (
                "jobs retry run=1 state=cancelled",
                "done: 2 jobs are ready again; start packs#2 attempt 2 on 2; start packs#3 \
                 attempt 2 on 2",
            ),
        ],
    );
}

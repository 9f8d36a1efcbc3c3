//! Constants that come after prompt ran: exactly what they concern is made again or asked about,
//! what is new takes the old one's place at once, and all that was made from it follows.

use crate::play::Play;
use crate::{check, check_with};
use pipelines::definition::Redo;
use pipelines::link::load;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A run whose prompt did not wait for its constants, as far as the verdict on it.
const PROVISIONAL: [(&str, &str); 7] = [
    ("file 1 1 a 100", "file a; run 1 physics open"),
    ("lumi 1 1 100", "start express#1 attempt 1 on 1"),
    ("end 1 1", "run 1 physics closed"),
    ("wait 172800", "start prompt#1 attempt 1 on 1"),
    (
        "ok prompt#1",
        "+AOD; +DQM; AOD closed with 100; DQM closed with 100; start dqm#1 attempt 1 on 1; \
         prompt#1 done provisionally",
    ),
    (
        "ok dqm#1 tests=300",
        "+DQM_RUN; run 1 bad, not certified; DQM_RUN closed with 100; dqm#1 done",
    ),
    (
        "ok express#1",
        "+ALCA; +DQM; +RECO; ALCA closed with 100; DQM closed with 100; RECO closed with \
                 100; start calibration#1 attempt 1 on 1; express#1 done",
    ),
];

/// A task that reads a tag which only people put constants into, and one behind it.
fn by_hand(redo: &str) -> Play {
    let text = "[pipeline]\nname = \"p\"\ntrigger = { stream = \"Muons\" }\n\
                [[task]]\nname = \"a\"\nprogram = [\"x\"]\noutputs = { A = \"json\" }\n\
                split = { by = \"file\", files_per_job = 1 }\n\
                release = { when = \"run_closed\" }\n\
                [[task]]\nname = \"b\"\ninput = \"a.A\"\nprogram = [\"x\"]\n\
                outputs = { B = \"json\" }\nsplit = { by = \"run\" }\n";
    let mut definitions = load(&[("p.toml", text)]).expect("the definition is right");
    let task = Arc::make_mut(&mut definitions[0].tasks[0]);
    task.conditions.push("survey".into());
    task.release.redo = match redo {
        "ask" => Redo::Ask,
        "auto" => Redo::Auto,
        _ => Redo::Never,
    };
    Play::with_definitions(definitions, 8, BTreeMap::new())
}

fn after_provisional(rows: &[(&str, &str)]) {
    let rows: Vec<(&str, &str)> = PROVISIONAL.iter().chain(rows).copied().collect();
    check(&rows);
}

#[test]
fn provisional_work_is_made_again_when_its_constants_come() {
    after_provisional(&[
        (
            "ok calibration#1 beamspot=5/100 scale=7/500",
            "+HARVEST; beamspot since 1; beamspot of run 1: update; scale since 1; scale of \
                 run 1: update; HARVEST closed with 100; start prompt#2 attempt 1 on 1 with \
                 beamspot since 1 and scale since 1; calibration#1 done",
        ),
        (
            "concerned 1",
            "AOD of prompt#1, DQM of prompt#1; behind: DQM_RUN of dqm#1",
        ),
        ("restart", ""),
        (
            "ok prompt#2",
            "+AOD; -AOD; AOD closed with 0; +DQM; -DQM; DQM closed with 0; AOD closed with \
                 100; DQM closed with 100; start dqm#2 attempt 1 on 1; prompt#1 made again; \
                 prompt#2 done",
        ),
        ("concerned 1", "; behind: "),
        ("restart", ""),
        (
            "ok dqm#2 tests=100",
            "+DQM_RUN; -DQM_RUN; DQM_RUN closed with 0; run 1 good: [(1, 1)]; DQM_RUN closed \
                 with 100; dqm#1 made again; dqm#2 done; run 1 physics finished",
        ),
        ("concerned 1", "; behind: "),
        ("restart", ""),
        (
            "messages",
            "run.started; run.closed; output.published; output.published; block.closed; \
                 block.closed; output.published; block.closed; output.published; \
                 output.published; output.published; budget.missed; block.closed; block.closed; \
                 block.closed; output.published; conditions.published; conditions.published; \
                 block.closed; output.published; output.published; block.closed; block.closed; \
                 output.published; block.closed; run.finished",
        ),
    ]);
}

#[test]
fn what_cannot_be_made_again_stays_published() {
    after_provisional(&[
        (
            "ok calibration#1 beamspot=5/100 scale=7/500",
            "+HARVEST; beamspot since 1; beamspot of run 1: update; scale since 1; scale of \
                 run 1: update; HARVEST closed with 100; start prompt#2 attempt 1 on 1 with \
                 beamspot since 1 and scale since 1; calibration#1 done",
        ),
        (
            "fail prompt#2 program",
            "alarm job-failed/prompt#2; prompt#2 failed: program; run 1 physics finished",
        ),
        (
            "halve prompt#2",
            "refused: job 42 does the work of job 7 again and takes its place as a whole: it \
                 cannot be split; retry it, or cancel it",
        ),
        (
            "concerned 1",
            "AOD of prompt#1, DQM of prompt#1; behind: DQM_RUN of dqm#1",
        ),
        ("restart", ""),
        (
            "retry prompt#2",
            "cleared job-failed/prompt#2; done: job 42 is ready again; start prompt#2 attempt \
                 2 on 1 with beamspot since 1 and scale since 1; run 1 physics closed",
        ),
        ("hold dqm.harvest", "done: dqm.harvest of every run is held"),
        (
            "ok prompt#2",
            "+AOD; -AOD; AOD closed with 0; +DQM; -DQM; DQM closed with 0; AOD closed with \
                 100; DQM closed with 100; prompt#1 made again; prompt#2 done; run 1 physics \
                 finished",
        ),
        ("why run/1", "task/1/dqm.harvest waits for held"),
        ("restart", ""),
        (
            "lift dqm.harvest",
            "done: dqm.harvest of every run is left to its rule; start dqm#2 attempt 1 on 1; \
                 run 1 physics closed",
        ),
        (
            "ok dqm#2 tests=100",
            "+DQM_RUN; -DQM_RUN; DQM_RUN closed with 0; run 1 good: [(1, 1)]; DQM_RUN closed \
                 with 100; dqm#1 made again; dqm#2 done; run 1 physics finished",
        ),
    ]);
}

#[test]
fn for_better_constants_a_person_is_asked() {
    check_with(
        by_hand("ask"),
        &[
            (
                "put survey 1 {\"x\":1} sync=any",
                "tag survey any; survey since 1; put: survey: {\"x\":1} holds since run 1 (any \
                 begins anywhere)",
            ),
            ("file 1 1 a 100", "file a; run 1 physics open"),
            ("file 1 2 b 100", "file b"),
            ("lumi 1 1 100", ""),
            ("lumi 1 2 100", ""),
            (
                "end 1 2",
                "start p#1 attempt 1 on 1 with survey since 1; start p#2 attempt 1 on 1 with \
                 survey since 1; run 1 physics closed",
            ),
            ("ok p#1", "+A; p#1 done"),
            (
                "ok p#2",
                "+A; A closed with 200; start p#3 attempt 1 on 2; p#2 done",
            ),
            (
                "ok p#3",
                "+B; B closed with 200; p#3 done; run 1 physics finished",
            ),
            (
                "put survey 1 {\"x\":2}",
                "survey since 1; put: survey: {\"x\":2} holds since run 1 (any begins anywhere); \
                 alarm redo-asked/survey",
            ),
            (
                "alarm redo-asked/survey",
                "Constants of survey are in force with which 2 published outputs were not made; 1 \
                 more were made from those (run 1: 2 and 1). Nothing is made again by itself: \
                 `tier0 calib accept survey` has all of it made again, --run N that of one run \
                 (where the tag is held it puts what was proposed: ask once more); `tier0 calib \
                 show --json` lists the outputs. Runs that are archived are not made again.",
            ),
            ("restart", ""),
            (
                "put survey 1 {\"x\":1}",
                "survey since 1; put: survey: {\"x\":1} holds since run 1 (any begins anywhere); \
                 cleared redo-asked/survey",
            ),
            (
                "put survey 1 {\"x\":3}",
                "survey since 1; put: survey: {\"x\":3} holds since run 1 (any begins anywhere); \
                 alarm redo-asked/survey",
            ),
            (
                "accept survey 1 dry",
                "would make again 2 jobs that were given other constants of survey, and all that \
                 was made from their outputs: job/11, job/12",
            ),
            (
                "accept survey 2",
                "refused: run 2 is not known; `tier0 run ls` lists those that are",
            ),
            (
                "accept nothing",
                "refused: nothing is in force of a tag nothing; `tier0 calib tags` lists the tags",
            ),
            (
                "accept survey",
                "done: made again: 2 jobs that were given other constants of survey; then all \
                 that was made from their outputs; start p#4 attempt 1 on 1 with survey since 1; \
                 start p#5 attempt 1 on 1 with survey since 1; run 1 physics closed; cleared \
                 redo-asked/survey",
            ),
            (
                "accept survey",
                "done: nothing is asked about survey: work was done with the constants in force, \
                 is on its way to be done again, or its rule says that it stays",
            ),
            ("restart", ""),
            (
                "ok p#4",
                "+A; -A; A closed with 100; p#1 made again; p#4 done",
            ),
            (
                "put survey 1 {\"x\":4}",
                "survey since 1; put: survey: {\"x\":4} holds since run 1 (any begins anywhere); \
                 alarm redo-asked/survey",
            ),
            (
                "ok p#5",
                "+A; -A; A closed with 0; A closed with 200; start p#6 attempt 1 on 2; p#2 made \
                 again; p#5 done; alarm redo-asked/survey",
            ),
            (
                "ok p#6",
                "+B; -B; B closed with 0; B closed with 200; p#3 made again; p#6 done; run 1 \
                 physics finished; alarm redo-asked/survey",
            ),
            ("restart", ""),
            (
                "alarm redo-asked/survey",
                "Constants of survey are in force with which 2 published outputs were not made; 1 \
                 more were made from those (run 1: 2 and 1). Nothing is made again by itself: \
                 `tier0 calib accept survey` has all of it made again, --run N that of one run \
                 (where the tag is held it puts what was proposed: ask once more); `tier0 calib \
                 show --json` lists the outputs. Runs that are archived are not made again.",
            ),
            (
                "accept survey 1",
                "done: made again: 2 jobs that were given other constants of survey; then all \
                 that was made from their outputs; start p#7 attempt 1 on 1 with survey since 1; \
                 start p#8 attempt 1 on 1 with survey since 1; run 1 physics closed; cleared \
                 redo-asked/survey",
            ),
        ],
    );
}

#[test]
fn where_a_rule_says_so_nobody_is_asked() {
    check_with(
        by_hand("auto"),
        &[
            ("file 1 1 a 100", "file a; run 1 physics open"),
            ("lumi 1 1 100", ""),
            ("end 1 1", "start p#1 attempt 1 on 1; run 1 physics closed"),
            (
                "put survey 1 {\"x\":1} sync=any",
                "tag survey any; survey since 1; put: survey: {\"x\":1} holds since run 1 (any \
                 begins anywhere)",
            ),
            (
                "ok p#1",
                "+A; start p#2 attempt 1 on 1 with survey since 1; p#1 done",
            ),
            (
                "ok p#2",
                "+A; -A; A closed with 100; start p#3 attempt 1 on 1; p#1 made again; p#2 done",
            ),
            ("restart", ""),
            // It reads what stands: nothing is left to be made again.
            (
                "ok p#3",
                "+B; B closed with 100; p#3 done; run 1 physics finished",
            ),
        ],
    );
    check_with(
        by_hand("never"),
        &[
            ("file 1 1 a 100", "file a; run 1 physics open"),
            ("lumi 1 1 100", ""),
            ("end 1 1", "start p#1 attempt 1 on 1; run 1 physics closed"),
            (
                "put survey 1 {\"x\":1} sync=any",
                "tag survey any; survey since 1; put: survey: {\"x\":1} holds since run 1 (any \
                 begins anywhere)",
            ),
            (
                "ok p#1",
                "+A; A closed with 100; start p#2 attempt 1 on 1; p#1 done",
            ),
            (
                "ok p#2",
                "+B; B closed with 100; p#2 done; run 1 physics finished",
            ),
            (
                "accept survey",
                "done: nothing is asked about survey: work was done with the constants in force, \
                 is on its way to be done again, or its rule says that it stays",
            ),
        ],
    );
}

/// A task that is made again by itself for another payload of a tag, and a harvest behind it.
fn harvest_behind() -> Play {
    let text = "[pipeline]\nname = \"p\"\ntrigger = { stream = \"Muons\" }\n\
                [[task]]\nname = \"a\"\nprogram = [\"x\"]\noutputs = { A = \"json\" }\n\
                split = { by = \"file\", files_per_job = 1 }\n\
                release = { when = \"run_closed\" }\n\
                [[task]]\nname = \"h\"\ninput = \"a.A\"\nprogram = [\"x\"]\n\
                outputs = { H = \"json\" }\nsplit = { by = \"alca_harvest\" }\n\
                gate = [{ tag = \"spot\", n_min = 50, max_sigma = 3 }]\n";
    let mut definitions = load(&[("p.toml", text)]).expect("the definition is right");
    let task = Arc::make_mut(&mut definitions[0].tasks[0]);
    task.conditions.push("survey".into());
    task.release.redo = Redo::Auto;
    Play::with_definitions(definitions, 8, BTreeMap::new())
}

/// A run whose harvest is under way, over what stands after a first redo.
const HARVESTED: [(&str, &str); 6] = [
    ("file 1 1 a 100", "file a; run 1 physics open"),
    ("lumi 1 1 100", ""),
    ("end 1 1", "start p#1 attempt 1 on 1; run 1 physics closed"),
    (
        "put survey 1 {\"x\":1} sync=any",
        "tag survey any; survey since 1; put: survey: {\"x\":1} holds since run 1 (any \
         begins anywhere)",
    ),
    (
        "ok p#1",
        "+A; start p#2 attempt 1 on 1 with survey since 1; p#1 done",
    ),
    (
        "ok p#2",
        "+A; -A; A closed with 100; start p#3 attempt 1 on 1; p#1 made again; p#2 done",
    ),
];

fn after_harvest_began(rows: &[(&str, &str)]) {
    let rows: Vec<(&str, &str)> = HARVESTED.iter().chain(rows).copied().collect();
    check_with(harvest_behind(), &rows);
}

#[test]
fn a_harvest_does_not_measure_from_what_is_made_again_while_it_does() {
    after_harvest_began(&[
        (
            "put survey 1 {\"x\":2}",
            "survey since 1; put: survey: {\"x\":2} holds since run 1 (any begins anywhere); \
             start p#4 attempt 1 on 1 with survey since 1",
        ),
        (
            "ok p#4",
            "+A; -A; A closed with 0; A closed with 100; p#2 made again; p#4 done",
        ),
        ("ok p#3 spot=5/100", "start p#3 attempt 2 on 1"),
        ("restart", ""),
        (
            "ok p#3 spot=5/100",
            "+H; spot since 1; spot of run 1: update; H closed with 100; p#3 done; run 1 \
             physics finished",
        ),
    ]);
}

#[test]
fn somebody_is_told_of_constants_that_were_measured_from_what_was_made_again() {
    after_harvest_began(&[
        (
            "ok p#3 spot=5/100",
            "+H; spot since 1; spot of run 1: update; H closed with 100; p#3 done; run 1 \
             physics finished",
        ),
        (
            "put survey 1 {\"x\":2}",
            "survey since 1; put: survey: {\"x\":2} holds since run 1 (any begins anywhere); \
             start p#4 attempt 1 on 1 with survey since 1; run 1 physics closed",
        ),
        (
            "ok p#4",
            "+A; -A; A closed with 0; alarm measured-before/p#3; A closed with 100; p#2 made \
             again; p#4 done; run 1 physics finished",
        ),
        (
            "alarm measured-before/17",
            "Job 17 measured constants of run 1 (spot) from outputs that were made again since. \
             Nothing is measured twice: what was decided stays. `tier0 calib show` shows it; if it \
             must change, `tier0 calib put` puts another constant, or process the run again under \
             a new processing.",
        ),
        ("restart", ""),
    ]);
}

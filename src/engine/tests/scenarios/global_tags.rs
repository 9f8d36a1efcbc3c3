//! Tasks that read their constants by a global tag: they wait until it and what it leads to is
//! here, say what is lacking, go on by themselves, and get what was in force at its moment,
//! whatever comes later.

use crate::check_with;
use crate::play::Play;

/// A task that reads two records by the global tag `g`, once its run is closed.
fn by_global_tag(redo: &str) -> Play {
    let text = format!(
        "[pipeline]\nname = \"p\"\ntrigger = {{ stream = \"Muons\" }}\n\
         [[task]]\nname = \"a\"\nprogram = [\"x\"]\noutputs = {{ A = \"json\" }}\n\
         split = {{ by = \"file\", files_per_job = 1 }}\n\
         needs = {{ global_tag = \"g\", conditions = [\"Survey\", \"Menu:fast\"] }}\n\
         release = {{ when = \"run_closed\", redo = \"{redo}\" }}\n"
    );
    Play::of(&[("p.toml", &text)], 8)
}

#[test]
fn whoever_reads_by_a_global_tag_waits_for_it_and_goes_on_by_itself() {
    check_with(
        by_global_tag("auto"),
        &[
            (
                "file 3 1 a 100",
                "file a; alarm global-tag/3/p.a; run 3 physics open",
            ),
            (
                "because task/3/p.a",
                "task/3/p.a: the global tag g is not known here (tier0 calib import FILE brings \
                 it from where it was made, tier0 calib global g makes it; tier0 calib accept \
                 p.a --run 3 lets it go now)",
            ),
            ("lumi 3 1 100", ""),
            ("end 3 1", "run 3 physics closed"),
            (
                "because task/3/p.a",
                "task/3/p.a: the global tag g is not known here (tier0 calib import FILE brings \
                 it from where it was made, tier0 calib global g makes it; tier0 calib accept \
                 p.a --run 3 lets it go now)",
            ),
            (
                "bring survey 1 one",
                "tag survey any; survey since 1; done: new here: 1 tags, 1 intervals, 1 \
                 payloads, 0 global tags",
            ),
            (
                "global g Survey=survey Menu:fast=menu",
                "refused: no tag is called menu; `tier0 calib tags` lists them, and a first put \
                 that says its synchronisation makes it",
            ),
            (
                "bring menu 9 nine",
                "tag menu any; menu since 9; done: new here: 1 tags, 1 intervals, 1 payloads, 0 \
                 global tags",
            ),
            (
                "global g Survey=survey Menu:fast=menu",
                "done: new here: 0 tags, 0 intervals, 0 payloads, 1 global tags; alarm \
                 global-tag/3/p.a",
            ),
            ("restart", ""),
            (
                "because task/3/p.a",
                "task/3/p.a: the global tag g reads Menu:fast from menu, of which nothing was in \
                 force for run 3 at 2027-01-01T00:00:00.000000Z (g does not change: make another \
                 one with tier0 calib global and name it in the task, for runs that begin after \
                 that; tier0 calib accept p.a --run 3 lets it go now)",
            ),
            ("file 9 1 b 100", "file b; run 9 physics open"),
            ("lumi 9 1 100", ""),
            (
                "end 9 1",
                "start p#1 attempt 1 on 1 with survey since 1 and menu since 9; run 9 physics \
                 closed",
            ),
            (
                "accept p.a 3",
                "done: p.a of run 3 is accepted; cleared global-tag/3/p.a; start p#2 attempt 1 \
                 on 1 with survey since 1",
            ),
            (
                "ok p#1",
                "+A; A closed with 100; p#1 done; run 9 physics finished",
            ),
            (
                "ok p#2",
                "+A; A closed with 100; p#2 done provisionally; run 3 physics finished",
            ),
            ("restart", ""),
        ],
    );
}

#[test]
fn work_that_went_on_without_its_global_tag_is_made_again_once_it_is_here() {
    check_with(
        by_global_tag("ask"),
        &[
            (
                "bring survey 1 one",
                "tag survey any; survey since 1; done: new here: 1 tags, 1 intervals, 1 \
                 payloads, 0 global tags",
            ),
            (
                "file 3 1 a 100",
                "file a; alarm global-tag/3/p.a; run 3 physics open",
            ),
            ("lumi 3 1 100", ""),
            ("end 3 1", "run 3 physics closed"),
            (
                "accept p.a 3",
                "done: p.a of run 3 is accepted; cleared global-tag/3/p.a; start p#1 attempt 1 \
                 on 1",
            ),
            (
                "ok p#1",
                "+A; A closed with 100; p#1 done provisionally; run 3 physics finished",
            ),
            (
                "bring menu 9 nine 2 two",
                "tag menu any; menu since 9; menu since 2; done: new here: 1 tags, 2 intervals, \
                 2 payloads, 0 global tags",
            ),
            ("restart", ""),
            (
                "global g Survey=survey Menu:fast=menu",
                "done: new here: 0 tags, 0 intervals, 0 payloads, 1 global tags; start p#2 \
                 attempt 1 on 1 with survey since 1 and menu since 2; run 3 physics closed",
            ),
            (
                "ok p#2",
                "+A; -A; A closed with 0; A closed with 100; p#1 made again; p#2 done; run 3 \
                 physics finished",
            ),
        ],
    );
}

#[test]
fn what_is_inserted_after_its_moment_does_not_count() {
    check_with(
        by_global_tag("auto"),
        &[
            (
                "bring survey 1 one",
                "tag survey any; survey since 1; done: new here: 1 tags, 1 intervals, 1 \
                 payloads, 0 global tags",
            ),
            (
                "bring menu 1 one",
                "tag menu any; menu since 1; done: new here: 1 tags, 1 intervals, 0 payloads, 0 \
                 global tags",
            ),
            (
                "global g Survey=survey Menu:fast=menu",
                "done: new here: 0 tags, 0 intervals, 0 payloads, 1 global tags",
            ),
            ("wait 1", ""),
            (
                "put survey 2 two",
                "survey since 2; put: survey: two holds since run 2 (any begins anywhere)",
            ),
            ("file 3 1 a 100", "file a; run 3 physics open"),
            ("lumi 3 1 100", ""),
            (
                "end 3 1",
                "start p#1 attempt 1 on 1 with survey since 1 and menu since 1; run 3 physics \
                 closed",
            ),
            (
                "ok p#1",
                "+A; A closed with 100; p#1 done; run 3 physics finished",
            ),
            (
                "put survey 3 three",
                "survey since 3; put: survey: three holds since run 3 (any begins anywhere)",
            ),
            ("concerned 3", "; behind: "),
            ("restart", ""),
            (
                "global g Survey=survey",
                "refused: the global tag g is known with other contents: it does not change; \
                 make a new one",
            ),
        ],
    );
}

#[test]
fn until_its_moment_has_come_better_constants_count() {
    check_with(
        by_global_tag("auto"),
        &[
            (
                "bring survey 1 one",
                "tag survey any; survey since 1; done: new here: 1 tags, 1 intervals, 1 \
                 payloads, 0 global tags",
            ),
            (
                "bring menu 1 one",
                "tag menu any; menu since 1; done: new here: 1 tags, 1 intervals, 0 payloads, 0 \
                 global tags",
            ),
            (
                "global g Survey=survey Menu:fast=menu after=60",
                "done: new here: 0 tags, 0 intervals, 0 payloads, 1 global tags",
            ),
            ("file 3 1 a 100", "file a; run 3 physics open"),
            ("lumi 3 1 100", ""),
            (
                "end 3 1",
                "start p#1 attempt 1 on 1 with survey since 1 and menu since 1; run 3 physics \
                 closed",
            ),
            (
                "ok p#1",
                "+A; A closed with 100; p#1 done; run 3 physics finished",
            ),
            (
                "put survey 2 two",
                "survey since 2; put: survey: two holds since run 2 (any begins anywhere); start \
                 p#2 attempt 1 on 1 with survey since 2 and menu since 1; run 3 physics closed",
            ),
            ("restart", ""),
            (
                "ok p#2",
                "+A; -A; A closed with 0; A closed with 100; p#1 made again; p#2 done; run 3 \
                 physics finished",
            ),
            ("wait 61", ""),
            (
                "put survey 3 three",
                "survey since 3; put: survey: three holds since run 3 (any begins anywhere)",
            ),
        ],
    );
}

#[test]
fn an_interval_that_comes_first_need_not_begin_first() {
    check_with(
        by_global_tag("auto"),
        &[
            (
                "bring survey 1 one",
                "tag survey any; survey since 1; done: new here: 1 tags, 1 intervals, 1 \
                 payloads, 0 global tags",
            ),
            (
                "bring menu",
                "tag menu any; done: new here: 1 tags, 0 intervals, 0 payloads, 0 global tags",
            ),
            (
                "global g Survey=survey Menu:fast=menu",
                "done: new here: 0 tags, 0 intervals, 0 payloads, 1 global tags",
            ),
            (
                "file 3 1 a 100",
                "file a; alarm global-tag/3/p.a; run 3 physics open",
            ),
            ("lumi 3 1 100", ""),
            ("end 3 1", "run 3 physics closed"),
            (
                "because task/3/p.a",
                "task/3/p.a: the global tag g reads Menu:fast from menu, of which nothing was in \
                 force for run 3 at 2027-01-01T00:00:00.000000Z (tier0 calib import FILE brings \
                 intervals of menu from where it was filled; tier0 calib accept p.a --run 3 lets \
                 it go now)",
            ),
            (
                "bring menu 9 nine 2 two",
                "menu since 9; menu since 2; done: new here: 0 tags, 2 intervals, 2 payloads, 0 \
                 global tags; cleared global-tag/3/p.a; start p#1 attempt 1 on 1 with survey \
                 since 1 and menu since 2",
            ),
        ],
    );
}

#[test]
fn simulated_runs_read_simulated_tags_and_real_runs_never_do() {
    check_with(
        by_global_tag("auto"),
        &[
            (
                "bring survey 1 one",
                "tag survey any; survey since 1; done: new here: 1 tags, 1 intervals, 1 \
                 payloads, 0 global tags",
            ),
            (
                "bring survey/SIM 1 sim",
                "tag survey/SIM any; survey/SIM since 1; done: new here: 1 tags, 1 intervals, 1 \
                 payloads, 0 global tags",
            ),
            (
                "bring menu/SIM 1 sim",
                "tag menu/SIM any; menu/SIM since 1; done: new here: 1 tags, 1 intervals, 0 \
                 payloads, 0 global tags",
            ),
            (
                "global g Survey=survey Menu:fast=menu/SIM",
                "done: new here: 0 tags, 0 intervals, 0 payloads, 1 global tags",
            ),
            ("file 3 1 a 100 sim", "file a; run 3 physics open"),
            ("lumi 3 1 100 sim", ""),
            (
                "end 3 1 sim",
                "start p#1 attempt 1 on 1 with survey since 1 and menu since 1; run 3 physics \
                 closed",
            ),
            (
                "file 4 1 b 100",
                "file b; alarm global-tag/4/p.a; run 4 physics open",
            ),
            ("lumi 4 1 100", ""),
            ("end 4 1", "run 4 physics closed"),
            (
                "because task/4/p.a",
                "task/4/p.a: the global tag g reads Menu:fast from menu/SIM, which is for \
                 simulated runs, and run 4 is real (g does not change: make another one with \
                 tier0 calib global and name it in the task, for runs that begin after that; \
                 tier0 calib accept p.a --run 4 lets it go now)",
            ),
        ],
    );
}

#[test]
fn a_record_that_the_global_tag_lacks_is_told() {
    check_with(
        by_global_tag("auto"),
        &[
            (
                "bring survey 5 one",
                "tag survey any; survey since 5; done: new here: 1 tags, 1 intervals, 1 \
                 payloads, 0 global tags",
            ),
            (
                "global g Survey=survey",
                "done: new here: 0 tags, 0 intervals, 0 payloads, 1 global tags",
            ),
            (
                "file 3 1 a 100",
                "file a; alarm global-tag/3/p.a; run 3 physics open",
            ),
            ("lumi 3 1 100", ""),
            ("end 3 1", "run 3 physics closed"),
            (
                "because task/3/p.a",
                "task/3/p.a: the global tag g reads Survey from survey, of which nothing was in \
                 force for run 3 at 2027-01-01T00:00:00.000000Z; the global tag g has no tag for \
                 the record Menu:fast (g does not change: make another one with tier0 calib \
                 global and name it in the task, for runs that begin after that; tier0 calib \
                 accept p.a --run 3 lets it go now)",
            ),
        ],
    );
}

#[test]
fn what_comes_into_an_empty_tag_is_found_by_whoever_went_on_without_it() {
    check_with(
        by_global_tag("ask"),
        &[
            (
                "bring survey 1 one",
                "tag survey any; survey since 1; done: new here: 1 tags, 1 intervals, 1 \
 payloads, 0 global tags",
            ),
            (
                "bring menu",
                "tag menu any; done: new here: 1 tags, 0 intervals, 0 payloads, 0 global tags",
            ),
            (
                "global g Survey=survey Menu:fast=menu",
                "done: new here: 0 tags, 0 intervals, 0 payloads, 1 global tags",
            ),
            (
                "file 3 1 a 100",
                "file a; alarm global-tag/3/p.a; run 3 physics open",
            ),
            ("lumi 3 1 100", ""),
            ("end 3 1", "run 3 physics closed"),
            (
                "accept p.a 3",
                "done: p.a of run 3 is accepted; cleared global-tag/3/p.a; start p#1 attempt 1 \
 on 1 with survey since 1",
            ),
            (
                "ok p#1",
                "+A; A closed with 100; p#1 done provisionally; run 3 physics finished",
            ),
            (
                "bring menu 2 two",
                "menu since 2; done: new here: 0 tags, 1 intervals, 1 payloads, 0 global tags; \
 start p#2 attempt 1 on 1 with survey since 1 and menu since 2; run 3 physics closed",
            ),
            ("restart", ""),
        ],
    );
}

#[test]
fn what_would_help_is_said_as_it_is_now_in_front_of_what_came_too() {
    check_with(
        by_global_tag("ask"),
        &[
            (
                "bring survey 1 one",
                "tag survey any; survey since 1; done: new here: 1 tags, 1 intervals, 1 \
 payloads, 0 global tags",
            ),
            (
                "bring menu",
                "tag menu any; done: new here: 1 tags, 0 intervals, 0 payloads, 0 global tags",
            ),
            (
                "global g Survey=survey Menu:fast=menu",
                "done: new here: 0 tags, 0 intervals, 0 payloads, 1 global tags",
            ),
            (
                "file 3 1 a 100",
                "file a; alarm global-tag/3/p.a; run 3 physics open",
            ),
            (
                "alarm global-tag/3/p.a",
                "p.a of run 3 waits, and no bound ends that: the global tag g reads Menu:fast from \
 menu, of which nothing was in force for run 3 at 2027-01-01T00:00:00.000000Z. What \
 helps: tier0 calib import FILE brings intervals of menu from where it was filled; or \
 tier0 calib accept p.a --run 3 lets it go without.",
            ),
            (
                "bring menu 9 nine",
                "menu since 9; done: new here: 0 tags, 1 intervals, 1 payloads, 0 global tags; \
 alarm global-tag/3/p.a",
            ),
            (
                "alarm global-tag/3/p.a",
                "p.a of run 3 waits, and no bound ends that: the global tag g reads Menu:fast from \
 menu, of which nothing was in force for run 3 at 2027-01-01T00:00:00.000000Z. What \
 helps: g does not change: make another one with tier0 calib global and name it in \
 the task, for runs that begin after that; or tier0 calib accept p.a --run 3 lets it \
 go without.",
            ),
            ("restart", ""),
        ],
    );
}

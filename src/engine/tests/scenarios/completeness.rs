//! Completeness: who says how much there is, what is missing, what a person declares, and how a
//! closed run goes on.

use crate::play::Play;
use crate::{check, check_with};
use model::arrival::AbsentLumi;

#[test]
fn counts_of_several_instances_are_summed_once_all_have_spoken() {
    check(&[
        ("file 1 1 a 100", "file a; run 1 physics open"),
        ("lumi 1 1 60 by=0/2", ""),
        (
            "why run/1",
            "run/1 waits for end-of-run; lumi/1/Muons/1 waits for daq-instance; task/1/prompt.reco waits for conditions",
        ),
        ("lumi 1 1 40 by=1/2", "start express#1 attempt 1 on 1"),
        ("end 1 2 by=0/2", ""),
        (
            "why run/1",
            "run/1 waits for daq-instance; task/1/prompt.reco waits for conditions",
        ),
        // The second instance ended with lumi 1: of lumi 2 the first one's word is enough.
        ("end 1 1 by=1/2", "run 1 physics ending"),
        ("lumi 1 2 10 by=0/2", ""),
        (
            "file 1 2 b 10",
            "file b; start express#2 attempt 1 on 1; run 1 physics closed",
        ),
    ]);
}

#[test]
fn witnesses_that_contradict_each_other_are_a_dispute_that_a_person_settles() {
    check(&[
        ("file 1 1 a 100", "file a; run 1 physics open"),
        ("lumi 1 1 100", "start express#1 attempt 1 on 1"),
        ("lumi 1 1 90 message", "alarm lumi-disputed/1/Muons/1"),
        ("end 1 1", "run 1 physics ending"),
        (
            "why run/1",
            "lumi/1/Muons/1 waits for lumi-disputed; task/1/prompt.reco waits for conditions",
        ),
        (
            "close 1 ls=1 as=here dry",
            "would run 1: 1 lumi of a stream is declared here: lumi/1/Muons/1",
        ),
        (
            "close 1 ls=1 as=here count=2",
            "refused: 1 are concerned now, not 2; nothing was done: look again with --dry-run",
        ),
        (
            "close 1 ls=1 as=here",
            "cleared lumi-disputed/1/Muons/1; shifter did run close to run/1; done: run \
                 1: 1 lumi of a stream is declared here: lumi/1/Muons/1; run 1 physics closed",
        ),
        ("close 1 ls=1 as=here", "done: run 1 was already closed"),
    ]);
}

#[test]
fn a_disputed_end_is_settled_with_a_stop() {
    check(&[
        ("file 1 1 a 100", "file a; run 1 physics open"),
        ("lumi 1 1 100", "start express#1 attempt 1 on 1"),
        ("file 1 3 c 10", "file c"),
        ("end 1 1", "alarm end-disputed/1; run 1 physics ending"),
        (
            "why run/1",
            "run/1 waits for end-disputed; task/1/prompt.reco waits for conditions",
        ),
        (
            "end 1 2 message",
            "alarm end-disputed/1; run 1 physics ending",
        ),
        (
            "stop 1 2",
            "refused: run 1 has files or records of lumi 3; stop it with --last-lumi 3 or more",
        ),
        (
            "stop 1 3",
            "done: run 1 ends with lumi 3; cleared end-disputed/1; run 1 physics ending",
        ),
        (
            "close 1 as=here",
            "shifter did run close to run/1; done: run 1: 2 lumis of streams are declared here: \
             lumi/1/Muons/2-3; start express#2 attempt 1 on 1; run 1 physics closed",
        ),
    ]);
}

#[test]
fn a_stream_that_a_witness_names_is_waited_for() {
    check(&[
        ("file 1 1 a 100", "file a; run 1 physics open"),
        ("files 1 1 1 of=Muons", "start express#1 attempt 1 on 1"),
        ("files 1 1 2 of=Tracks", ""),
        ("end 1 1", "run 1 physics ending"),
        (
            "why stream/1/Tracks",
            "lumi/1/Tracks/1 waits for lumi-files",
        ),
        ("file 1 1 t 5 of=Tracks", "file t"),
        (
            "lost 1 1 u events=4",
            "alarm lumi-disputed/1/Muons/1; shifter did file declare-lost to run/1; done: \
                 run 1: 1 file is declared lost: u of lumi 1 of Muons",
        ),
        (
            "why run/1",
            "lumi/1/Muons/1 waits for lumi-disputed; lumi/1/Tracks/1 waits for lumi-files; task/1/prompt.reco waits for conditions",
        ),
        (
            "close 1 of=Tracks",
            "shifter did run close to run/1; done: run 1: 1 lumi of a stream is declared \
                 lost: lumi/1/Tracks/1",
        ),
        (
            "why run/1",
            "lumi/1/Muons/1 waits for lumi-disputed; task/1/prompt.reco waits for conditions",
        ),
    ]);
}

#[test]
fn what_is_lost_is_declared_with_author_and_later_runs_go_on() {
    check(&[
        ("file 1 1 a 100", "file a; run 1 physics open"),
        ("file 1 3 c 30", "file c"),
        ("lumi 1 1 100", "start express#1 attempt 1 on 1"),
        ("lumi 1 2 50", ""),
        ("lumi 1 3 30", "start express#2 attempt 1 on 1"),
        ("end 1 3", "run 1 physics ending"),
        ("ok express#1", "+ALCA; +DQM; +RECO; express#1 done"),
        ("ok express#2", "+ALCA; +DQM; +RECO; express#2 done"),
        ("file 2 1 d 100", "file d; run 2 physics open"),
        ("lumi 2 1 100", "start express#3 attempt 1 on 1"),
        ("end 2 1", "run 2 physics closed"),
        (
            "ok express#3",
            "+ALCA; +DQM; +RECO; ALCA closed with 100; DQM closed with 100; RECO closed with 100; express#3 done",
        ),
        (
            "why task/2/calibration.harvest",
            "task/2/calibration.harvest waits for earlier-run",
        ),
        (
            "why run/1",
            "lumi/1/Muons/2 waits for lumi-files; task/1/prompt.reco waits for conditions",
        ),
        (
            "close 1 dry",
            "would run 1: 1 lumi of a stream is declared lost: lumi/1/Muons/2",
        ),
        (
            "close 1",
            "shifter did run close to run/1; done: run 1: 1 lumi of a stream is declared \
                 lost: lumi/1/Muons/2; ALCA closed with 130; DQM closed with 130; RECO closed \
                 with 130; start calibration#1 attempt 1 on 2; run 1 physics closed",
        ),
        (
            "ok calibration#1 beamspot=5/100 scale=7/500",
            "+HARVEST; beamspot since 1; beamspot of run 1: update; scale since 1; scale of run 1: update; HARVEST closed with 130; start prompt#1 attempt 1 on 2 with beamspot since 1 and scale since 1; start calibration#2 attempt 1 on 1 with beamspot since 1 and scale since 1; calibration#1 done",
        ),
        (
            "ok calibration#2 beamspot=5/100 scale=7/500",
            "+HARVEST; beamspot of run 2: no-change; scale of run 2: no-change; HARVEST closed with 100; start prompt#2 attempt 1 on 1 with beamspot since 1 and scale since 1; calibration#2 done",
        ),
    ]);
}

#[test]
fn a_named_file_is_lost_until_it_comes() {
    check(&[
        ("file 1 1 a 100", "file a; run 1 physics open"),
        ("files 1 1 3", ""),
        ("end 1 1", "run 1 physics ending"),
        (
            "lost 1 1 a",
            "refused: a is here; `tier0 file ls --run 1` shows it",
        ),
        (
            "lost 1 1 b events=20",
            "shifter did file declare-lost to run/1; done: run 1: 1 file is declared lost: b of \
             lumi 1 of Muons",
        ),
        (
            "lost 1 1 b events=20",
            "done: all of them were declared lost before",
        ),
        ("why lumi/1/Muons/1", "lumi/1/Muons/1 waits for lumi-files"),
        (
            "holds",
            "task/1/prompt.reco conditions: no decision yet on beamspot, scale",
        ),
        ("file 1 1 b 20", "file b"),
        (
            "holds",
            "task/1/prompt.reco conditions: no decision yet on beamspot, scale",
        ),
        ("why lumi/1/Muons/1", "lumi/1/Muons/1 waits for lumi-files"),
        (
            "lost 1 1 c",
            "shifter did file declare-lost to run/1; done: run 1: 1 file is declared lost: c of \
             lumi 1 of Muons; start express#1 attempt 1 on 2; run 1 physics closed",
        ),
    ]);
}

#[test]
fn a_late_file_becomes_a_part_when_the_run_is_reopened() {
    check(&[
        (
            "reopen 1",
            "refused: run 1 is not known; `tier0 run ls` lists those that are",
        ),
        ("file 1 1 a 100", "file a; run 1 physics open"),
        ("lumi 1 1 100", "start express#1 attempt 1 on 1"),
        (
            "reopen 1",
            "refused: run 1 is open: its files are worked on as they come",
        ),
        ("end 1 1", "run 1 physics closed"),
        (
            "ok express#1",
            "+ALCA; +DQM; +RECO; ALCA closed with 100; DQM closed with 100; RECO closed with 100; start calibration#1 attempt 1 on 1; express#1 done",
        ),
        (
            "ok calibration#1 beamspot=5/100 scale=7/500",
            "+HARVEST; beamspot since 1; beamspot of run 1: update; scale since 1; scale of run 1: update; HARVEST closed with 100; start prompt#1 attempt 1 on 1 with beamspot since 1 and scale since 1; calibration#1 done",
        ),
        (
            "ok prompt#1",
            "+AOD; +DQM; AOD closed with 100; DQM closed with 100; start dqm#1 attempt 1 on 1; prompt#1 done",
        ),
        (
            "ok dqm#1 tests=100",
            "+DQM_RUN; run 1 good: [(1, 1)]; DQM_RUN closed with 100; dqm#1 done; run 1 physics finished",
        ),
        (
            "reopen 1",
            "refused: no late file of run 1 waits; files that come now are kept until it is reopened",
        ),
        ("file 1 1 b 7", "late b; alarm late-file/1/b"),
        ("file 1 2 c 9", "late c; alarm late-file/1/c"),
        ("why run/1", "run/1 waits for late-files"),
        (
            "reopen 1 dry",
            "would run 1: 2 late files become part 2: b, c",
        ),
        (
            "reopen 1",
            "cleared late-file/1/b; cleared late-file/1/c; shifter did run reopen to run/1; done: run 1: 2 late files become part 2: b, c; start express#2 attempt 1 on 1; start express#3 attempt 1 on 1; start prompt#2 attempt 1 on 2 with beamspot since 1 and scale since 1; run 1 physics closed part 2",
        ),
        ("ok express#2", "+ALCA; +DQM; +RECO; express#2 done"),
        (
            "ok express#3",
            "+ALCA; +DQM; +RECO; ALCA closed with 16; DQM closed with 16; RECO closed with 16; start calibration#2 attempt 1 on 2 with beamspot since 1 and scale since 1; express#3 done",
        ),
        // What was released stands: the harvest of the part proposes in vain.
        (
            "ok calibration#2 beamspot=50/100 scale=70/500",
            "+HARVEST; HARVEST closed with 16; calibration#2 done",
        ),
        (
            "ok prompt#2",
            "+AOD; +DQM; AOD closed with 16; DQM closed with 16; start dqm#2 attempt 1 on 1; prompt#2 done",
        ),
        (
            "ok dqm#2 tests=100",
            "+DQM_RUN; run 1 good: [(1, 2)]; DQM_RUN closed with 16; dqm#2 done; run 1 physics finished part 2",
        ),
        ("why run/1", ""),
    ]);
}

#[test]
fn a_record_that_comes_after_the_close_changes_nothing() {
    check(&[
        ("file 1 1 a 100", "file a; run 1 physics open"),
        ("lumi 1 1 100", "start express#1 attempt 1 on 1"),
        ("end 1 1", "run 1 physics closed"),
        ("lumi 1 1 100 message", ""),
        ("lumi 1 1 90 message", "alarm late-record/1"),
        ("end 1 1", ""),
        ("end 1 4", ""),
    ]);
}

#[test]
fn what_is_missing_is_told_once_and_clears_itself() {
    check(&[
        ("file 1 1 a 100", "file a; run 1 physics open"),
        ("file 1 2 b 100", "file b"),
        ("file 1 3 c 100", "file c"),
        ("lumi 1 3 100", "start express#1 attempt 1 on 1"),
        ("lumi 1 2 150", ""),
        ("wait 119", ""),
        ("wait 1", "alarm lumis-missing/1/Muons"),
        ("wait 300", ""),
        ("lumi 1 1 100", "start express#2 attempt 1 on 1"),
        (
            "file 1 2 d 50",
            "file d; cleared lumis-missing/1/Muons; start express#3 attempt 1 on 2",
        ),
    ]);
}

#[test]
fn time_outs_speak_only_where_the_profile_names_them() {
    check_with(
        Play::with_time_outs(AbsentLumi::Empty),
        &[
            ("file 1 1 a 100", "file a; run 1 physics open"),
            ("wait 9", ""),
            ("wait 1", "start express#1 attempt 1 on 1"),
            ("file 1 3 c 100", "file c"),
            (
                "why run/1",
                "run/1 waits for end-of-run; lumi/1/Muons/2 waits for lumi-record; lumi/1/Muons/3 waits for lumi-record; task/1/prompt.reco waits for conditions",
            ),
            ("wait 10", "start express#2 attempt 1 on 1"),
            ("wait 50", "run 1 physics closed"),
        ],
    );
    check_with(
        Play::with_time_outs(AbsentLumi::Missing),
        &[
            ("file 1 1 a 100", "file a; run 1 physics open"),
            ("file 1 3 c 100", "file c"),
            (
                "wait 60",
                "start express#1 attempt 1 on 1; start express#2 attempt 1 on 1; run 1 physics ending",
            ),
            (
                "why run/1",
                "lumi/1/Muons/2 waits for lumi-record; task/1/prompt.reco waits for conditions",
            ),
            (
                "close 1 as=empty",
                "shifter did run close to run/1; done: run 1: 1 lumi of a stream is declared \
                 empty: lumi/1/Muons/2; run 1 physics closed",
            ),
        ],
    );
}

#[test]
fn one_bad_run_never_touches_another() {
    check(&[
        // Run 1 is disputed in every way.
        ("file 1 1 a 100", "file a; run 1 physics open"),
        ("lumi 1 1 90", "alarm lumi-disputed/1/Muons/1"),
        ("end 1 1", "run 1 physics ending"),
        ("end 1 2", "alarm end-disputed/1; run 1 physics ending"),
        // Run 2, of simulated data, and so with constants of its own, goes through.
        ("file 2 1 b 100 sim", "file b; run 2 physics open"),
        ("lumi 2 1 100 sim", "start express#1 attempt 1 on 1"),
        ("end 2 1 sim", "run 2 physics closed"),
        (
            "ok express#1",
            "+ALCA/SIM; +DQM/SIM; +RECO/SIM; ALCA/SIM closed with 100; DQM/SIM closed with 100; RECO/SIM closed with 100; start calibration#1 attempt 1 on 1; express#1 done",
        ),
        (
            "ok calibration#1 beamspot=5/100 scale=7/500",
            "+HARVEST/SIM; beamspot/SIM since 2; beamspot/SIM of run 2: update; scale/SIM since 2; scale/SIM of run 2: update; HARVEST/SIM closed with 100; start prompt#1 attempt 1 on 1 with beamspot since 2 and scale since 2; calibration#1 done",
        ),
        ("why run/2", ""),
    ]);
}

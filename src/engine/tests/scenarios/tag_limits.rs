//! Where an interval of a tag by lumi or by time may begin, and what cannot be counted so: refused
//! with the reason, whoever puts or imports it.

use crate::check_with;
use crate::play::Play;
use pipelines::link::load;
use std::collections::BTreeMap;
use std::sync::Arc;

#[test]
fn what_a_tag_does_not_count_by_is_refused_with_the_reason() {
    check_with(
        Play::new(),
        &[
            (
                "put spot 1:1 {\"v\":1} by=run",
                "refused: no tag is called spot; `tier0 calib tags` lists them, and a first put \
                 that says its synchronisation makes it",
            ),
            (
                "put spot 1:1 {\"v\":1} sync=any by=run",
                "refused: 4294967297 is no since of spot: a run has 32 bits; this looks like (run \
                 << 32) | lumi; give it as the tag counts",
            ),
            (
                "put spot 7 {\"v\":1} sync=any by=lumi",
                "refused: 7 is no since of spot: it is (run << 32) | lumi, and runs are numbered \
                 from 1; give it as the tag counts",
            ),
            (
                "put spot 2147483648:1 {\"v\":1} sync=any",
                "refused: 9223372036854775809 is no since of spot: (run << 32) | lumi has 63 \
                 bits, so runs are numbered up to 2147483647; give it as the tag counts",
            ),
            (
                "put spot 9223372036854775808 {\"v\":1} sync=any by=time",
                "refused: 9223372036854775808 is no since of spot: it is microseconds since 1970; \
                 give it as the tag counts",
            ),
            (
                "bring spot 2147483648:1 one",
                "refused: 9223372036854775809 is no since of spot: (run << 32) | lumi has 63 \
                 bits, so runs are numbered up to 2147483647; give it as the tag counts",
            ),
            (
                "put spot 1:1 {\"v\":1} sync=pcl",
                "tag spot pcl by lumi; spot since run 1 lumi 1; put: spot: {\"v\":1} holds since \
                 run 1 lumi 1 (not before the first condition safe run, run 1 lumi 1)",
            ),
            (
                "put spot 1 {\"v\":2} by=run",
                "refused: spot counts by lumi, and a since of it is a lumi of a run, (run << 32) \
                 | lumi or RUN:LUMI: what a tag counts by does not change; give one of those, or \
                 make a new tag",
            ),
            (
                "put spot 2027-01-01T00:00:00Z {\"v\":2}",
                "refused: spot counts by lumi, and a since of it is a lumi of a run, (run << 32) \
                 | lumi or RUN:LUMI: what a tag counts by does not change; give one of those, or \
                 make a new tag",
            ),
            (
                "put spot 1:2 {\"v\":2} sync=pcl by=time",
                "refused: spot counts by lumi, and a since of it is a lumi of a run, (run << 32) \
                 | lumi or RUN:LUMI: what a tag counts by does not change; give one of those, or \
                 make a new tag",
            ),
            (
                "put spot 4294967298 {\"v\":2}",
                "spot since run 1 lumi 2; put: spot: {\"v\":2} holds since run 1 lumi 2 (not \
                 before the first condition safe run, run 1 lumi 1)",
            ),
            // What gates decide holds from a run on.
            (
                "put beamspot 1:1 {\"v\":1} sync=pcl",
                "refused: beamspot is measured by tasks, and gates decide run by run: it counts \
                 by run, not by lumi; make a tag of another name",
            ),
            (
                "put beamspot/SIM 2027-01-01T00:00:00Z {\"v\":1}",
                "refused: beamspot/SIM is measured by tasks, and gates decide run by run: it \
                 counts by run, not by time; make a tag of another name",
            ),
            (
                "bring scale 1:1 one",
                "refused: scale is measured by tasks, and gates decide run by run: it counts by \
                 run, not by lumi; make a tag of another name",
            ),
            (
                "bring scale/SIM 2027-01-01T00:00:00Z one",
                "refused: scale/SIM is measured by tasks, and gates decide run by run: it counts \
                 by run, not by time; make a tag of another name",
            ),
            (
                "put beamspot 1 {\"v\":1}",
                "beamspot since 1; put: beamspot: {\"v\":1} holds since run 1 (not before the \
                 first condition safe run, run 1)",
            ),
            (
                "put beamspot 1:1 {\"v\":1}",
                "refused: beamspot is measured by tasks, and gates decide run by run: it counts \
                 by run, not by lumi; make a tag of another name",
            ),
            (
                "bring beamspot 1:1 one",
                "refused: beamspot is known with another time type: what a tag is does not \
                 change; make a new tag",
            ),
            ("restart", ""),
        ],
    );
}

#[test]
fn limits_are_those_of_the_synchronisation_in_the_count_of_the_tag() {
    check_with(
        Play::new(),
        &[
            ("file 1 1 a 100", "file a; run 1 physics open"),
            ("wait 10", ""),
            (
                "put lumis 1:7 {\"v\":1} sync=express",
                "tag lumis express by lumi; lumis since run 2 lumi 1; put: lumis: {\"v\":1} holds \
                 since run 2 lumi 1 (moved from run 1 lumi 7 to the first run that has not \
                 started, run 2 lumi 1)",
            ),
            (
                "put lumis 2:7 {\"v\":2}",
                "lumis since run 2 lumi 7; put: lumis: {\"v\":2} holds since run 2 lumi 7 (not \
                 before the first run that has not started, run 2 lumi 1)",
            ),
            (
                "put lumis 2:3 {\"v\":3}",
                "lumis since run 2 lumi 3; put: lumis: {\"v\":3} holds since run 2 lumi 3 up to \
                 run 2 lumi 7 (not before the first run that has not started, run 2 lumi 1)",
            ),
            // Run 1 began at 00:00:00.
            (
                "put times 2026-12-31T00:00:00Z {\"v\":1} sync=express",
                "tag times express by time; times since 2027-01-01T00:00:10.000000Z; put: times: \
                 {\"v\":1} holds since 2027-01-01T00:00:10.000000Z (moved from \
                 2026-12-31T00:00:00.000000Z to the first run that has not started, \
                 2027-01-01T00:00:10.000000Z)",
            ),
            (
                "put times 2027-01-01T00:00:20Z {\"v\":2}",
                "times since 2027-01-01T00:00:20.000000Z; put: times: {\"v\":2} holds since \
                 2027-01-01T00:00:20.000000Z (not before the first run that has not started, \
                 2027-01-01T00:00:10.000000Z)",
            ),
            (
                "put late 2027-01-01T00:00:00Z {\"v\":1} sync=hlt",
                "tag late hlt by time; late since 2027-01-01T00:00:10.000000Z; put: late: \
                 {\"v\":1} holds since 2027-01-01T00:00:10.000000Z (moved from \
                 2027-01-01T00:00:00.000000Z to the first run that has not started, \
                 2027-01-01T00:00:10.000000Z)",
            ),
            (
                "put grown 1:7 {\"v\":1} sync=offline",
                "tag grown offline by lumi; grown since run 1 lumi 7; put: grown: {\"v\":1} holds \
                 since run 1 lumi 7 (it comes behind the last one)",
            ),
            (
                "put grown 1:7 {\"v\":2}",
                "refused: grown only grows at its end: begin after run 1 lumi 7, not with run 1 \
                 lumi 7, or make a new tag",
            ),
            (
                "put grown 1:8 {\"v\":2}",
                "grown since run 1 lumi 8; put: grown: {\"v\":2} holds since run 1 lumi 8 (it \
                 comes behind the last one)",
            ),
            (
                "put once 1:7 {\"v\":1} sync=mc",
                "tag once mc by lumi; once since run 1 lumi 7; put: once: {\"v\":1} holds since \
                 run 1 lumi 7 (mc was empty)",
            ),
            (
                "put once 2:7 {\"v\":2}",
                "refused: once is mc and has an interval since run 1 lumi 7: it is filled once; \
                 make a new tag",
            ),
            ("restart", ""),
            (
                "put times 2027-01-01T00:00:20Z {\"v\":2}",
                "put: times: {\"v\":2} was already in force since 2027-01-01T00:00:20.000000Z; \
                 nothing was changed",
            ),
            (
                "put lumis 2:7 {\"v\":2}",
                "put: lumis: {\"v\":2} was already in force since run 2 lumi 7; nothing was \
                 changed",
            ),
        ],
    );
}

/// The shipped pipelines, whose prompt also reads the tag `map`.
fn prompt_reading_map() -> Play {
    let mut definitions = load(pipelines::EMBEDDED).expect("the definitions are right");
    let mut prompt = definitions
        .iter_mut()
        .filter(|it| it.name.as_str() == "prompt");
    let tasks = &mut prompt.next().expect("it is shipped").tasks;
    Arc::make_mut(&mut tasks[0]).conditions.push("map".into());
    Play::with_definitions(definitions, 8, BTreeMap::new())
}

#[test]
fn a_moment_never_reaches_a_run_that_has_taken_its_conditions() {
    check_with(
        prompt_reading_map(),
        &[
            ("file 1 1 a 100", "file a; run 1 physics open"),
            ("wait 10", ""),
            ("file 2 1 b 100", "file b; run 2 physics open"),
            ("wait 10", ""),
            // Nobody has taken anything yet.
            (
                "put map 2026-12-31T00:00:00Z {\"v\":1} sync=pcl",
                "tag map pcl by time; map since 2026-12-31T00:00:00.000000Z; put: map: {\"v\":1} \
                 holds since 2026-12-31T00:00:00.000000Z (not before the first condition safe \
                 run, 1970-01-01T00:00:00.000000Z)",
            ),
            ("lumi 1 1 100", "start express#1 attempt 1 on 1"),
            ("end 1 1", "run 1 physics closed"),
            (
                "accept prompt.reco 1",
                "done: prompt.reco of run 1 is accepted; start prompt#1 attempt 1 on 1 with map \
                 since 2026-12-31T00:00:00.000000Z",
            ),
            (
                "put map 2027-01-01T00:00:00Z {\"v\":2}",
                "refused: 2027-01-01T00:00:00.000000Z is before the first condition safe run, \
                 2027-01-01T00:00:10.000000Z: earlier runs have taken their conditions of map; \
                 begin with 2027-01-01T00:00:10.000000Z or later, or put it into a tag of its own \
                 for a reprocessing",
            ),
            (
                "put map 2027-01-01T00:00:09.999999Z {\"v\":2}",
                "refused: 2027-01-01T00:00:09.999999Z is before the first condition safe run, \
                 2027-01-01T00:00:10.000000Z: earlier runs have taken their conditions of map; \
                 begin with 2027-01-01T00:00:10.000000Z or later, or put it into a tag of its own \
                 for a reprocessing",
            ),
            (
                "put map 2027-01-01T00:00:10Z {\"v\":2}",
                "map since 2027-01-01T00:00:10.000000Z; put: map: {\"v\":2} holds since \
                 2027-01-01T00:00:10.000000Z (not before the first condition safe run, \
                 2027-01-01T00:00:10.000000Z)",
            ),
            ("restart", ""),
            (
                "put map 2027-01-01T00:00:09Z {\"v\":3}",
                "refused: 2027-01-01T00:00:09.000000Z is before the first condition safe run, \
                 2027-01-01T00:00:10.000000Z: earlier runs have taken their conditions of map; \
                 begin with 2027-01-01T00:00:10.000000Z or later, or put it into a tag of its own \
                 for a reprocessing",
            ),
        ],
    );
    // Run 3 began before run 2, which has taken its own.
    check_with(
        prompt_reading_map(),
        &[
            ("file 3 1 a 100", "file a; run 3 physics open"),
            ("wait 10", ""),
            ("file 2 1 b 100", "file b; run 2 physics open"),
            ("lumi 2 1 100", "start express#1 attempt 1 on 1"),
            ("end 2 1", "run 2 physics closed"),
            (
                "accept prompt.reco 2",
                "done: prompt.reco of run 2 is accepted; start prompt#1 attempt 1 on 1",
            ),
            (
                "put map 2027-01-01T00:00:10Z {\"v\":2} sync=pcl",
                "refused: 2027-01-01T00:00:10.000000Z is before the first condition safe run, \
                 2027-01-01T00:00:10.000001Z: earlier runs have taken their conditions of map; \
                 begin with 2027-01-01T00:00:10.000001Z or later, or put it into a tag of its own \
                 for a reprocessing",
            ),
            (
                "put map 2027-01-01T00:00:10.000001Z {\"v\":2} sync=pcl",
                "tag map pcl by time; map since 2027-01-01T00:00:10.000001Z; put: map: {\"v\":2} \
                 holds since 2027-01-01T00:00:10.000001Z (not before the first condition safe \
                 run, 2027-01-01T00:00:10.000001Z)",
            ),
            (
                "put menu 2027-01-01T00:00:00Z {\"v\":2} sync=prompt",
                "tag menu prompt by time; menu since 2027-01-01T00:00:10.000001Z; put: menu: \
                 {\"v\":2} holds since 2027-01-01T00:00:10.000001Z (moved from \
                 2027-01-01T00:00:00.000000Z to the first condition safe run, \
                 2027-01-01T00:00:10.000001Z)",
            ),
        ],
    );
}

#[test]
fn a_gate_that_comes_later_puts_nothing_into_a_tag_by_lumi() {
    let mut express = load(pipelines::EMBEDDED).expect("the definitions are right");
    express.retain(|it| it.name.as_str() == "express");
    check_with(
        Play::with_definitions(express, 8, BTreeMap::new()),
        &[
            (
                "put beamspot 1:1 {\"v\":1} sync=any",
                "tag beamspot any by lumi; beamspot since run 1 lumi 1; put: beamspot: {\"v\":1} \
                 holds since run 1 lumi 1 (any begins anywhere)",
            ),
            // Now with its gate.
            (
                "take full",
                "configuration full; done: runs that open from now on get configuration full; no \
                 run is at work with another one",
            ),
            ("file 5 1 a 100", "file a; run 5 physics open"),
            ("lumi 5 1 100", "start express#1 attempt 1 on 1"),
            ("end 5 1", "run 5 physics closed"),
            (
                "ok express#1",
                "+ALCA; +DQM; +RECO; ALCA closed with 100; DQM closed with 100; RECO closed with \
                 100; start calibration#1 attempt 1 on 1 with beamspot since run 1 lumi 1; \
                 express#1 done",
            ),
            (
                "ok calibration#1 beamspot=5/100 scale=7/500",
                "+HARVEST; beamspot of run 5: veto; scale since 5; scale of run 5: update; \
                 HARVEST closed with 100; start prompt#1 attempt 1 on 1 with beamspot since run 1 \
                 lumi 1 and scale since 5; calibration#1 done",
            ),
            (
                "put beamspot 1:2 {\"v\":2}",
                "beamspot since run 1 lumi 2; put: beamspot: {\"v\":2} holds since run 1 lumi 2 \
                 (any begins anywhere)",
            ),
            (
                "put beamspot 8589934593 {\"v\":2}",
                "beamspot since run 2 lumi 1; put: beamspot: {\"v\":2} holds since run 2 lumi 1 \
                 (any begins anywhere)",
            ),
        ],
    );
}

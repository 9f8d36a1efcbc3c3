//! Tags that count by lumi or by time: each job gets the intervals that its lumis, or the beginning
//! of its run, are in, and a better interval has exactly the work made again whose lumis it is for.

use crate::check_with;
use crate::play::Play;

/// A task whose jobs have two lumis each and read the tag `spot`, and one behind it that reads
/// nothing.
fn reading_spot(redo: &str) -> Play {
    let text = format!(
        "[pipeline]\nname = \"p\"\ntrigger = {{ stream = \"Muons\" }}\n\
         [[task]]\nname = \"a\"\nprogram = [\"x\"]\noutputs = {{ A = \"json\" }}\n\
         split = {{ by = \"lumi\", lumis_per_job = 2 }}\n\
         needs = {{ conditions = [\"spot\"] }}\n\
         release = {{ when = \"run_closed\", redo = \"{redo}\" }}\n\
         [[task]]\nname = \"b\"\ninput = \"a.A\"\nprogram = [\"x\"]\n\
         outputs = {{ B = \"json\" }}\nsplit = {{ by = \"file\", files_per_job = 1 }}\n"
    );
    Play::with_pipeline(&text)
}

#[test]
fn each_job_gets_the_intervals_of_its_lumis_and_a_better_one_is_for_its_lumis_alone() {
    check_with(
        reading_spot("auto"),
        &[
            (
                "put spot 1:1 {\"v\":1} sync=any",
                "tag spot any by lumi; spot since run 1 lumi 1; put: spot: {\"v\":1} holds since \
                 run 1 lumi 1 (any begins anywhere)",
            ),
            (
                "put spot 1:4 {\"v\":4}",
                "spot since run 1 lumi 4; put: spot: {\"v\":4} holds since run 1 lumi 4 (any \
                 begins anywhere)",
            ),
            (
                "put spot 1:5 {\"v\":5}",
                "spot since run 1 lumi 5; put: spot: {\"v\":5} holds since run 1 lumi 5 (any \
                 begins anywhere)",
            ),
            ("file 1 1 a 10", "file a; run 1 physics open"),
            ("file 1 2 b 10", "file b"),
            ("file 1 3 c 10", "file c"),
            ("file 1 4 d 10", "file d"),
            ("file 1 5 e 10", "file e"),
            ("file 1 6 f 10", "file f"),
            ("lumi 1 1 10", ""),
            ("lumi 1 2 10", ""),
            ("lumi 1 3 10", ""),
            ("lumi 1 4 10", ""),
            ("lumi 1 5 10", ""),
            ("lumi 1 6 10", ""),
            (
                "end 1 6",
                "start p#1 attempt 1 on 2 lumis 1-1 2-2 with spot since run 1 lumi 1; start p#2 \
                 attempt 1 on 2 lumis 3-3 4-4 with spot since run 1 lumi 1 and spot since run 1 \
                 lumi 4; start p#3 attempt 1 on 2 lumis 5-5 6-6 with spot since run 1 lumi 5; run \
                 1 physics closed",
            ),
            ("restart", ""),
            ("ok p#1", "+A; start p#4 attempt 1 on 1 lumis 1-2; p#1 done"),
            ("ok p#2", "+A; start p#5 attempt 1 on 1 lumis 3-4; p#2 done"),
            (
                "ok p#3",
                "+A; A closed with 60; start p#6 attempt 1 on 1 lumis 5-6; p#3 done",
            ),
            ("ok p#4", "+B; p#4 done"),
            ("ok p#5", "+B; p#5 done"),
            (
                "ok p#6",
                "+B; B closed with 60; p#6 done; run 1 physics finished",
            ),
            ("concerned 1", "; behind: "),
            // Only the second lumi of the third job.
            (
                "put spot 1:6 {\"v\":6}",
                "spot since run 1 lumi 6; put: spot: {\"v\":6} holds since run 1 lumi 6 (any \
                 begins anywhere); start p#7 attempt 1 on 2 lumis 5-5 6-6 with spot since run 1 \
                 lumi 5 and spot since run 1 lumi 6; run 1 physics closed",
            ),
            ("concerned 1", "A of p#3; behind: B of p#6"),
            ("restart", ""),
            (
                "ok p#7",
                "+A; -A; A closed with 40; A closed with 20; start p#8 attempt 1 on 1 lumis 5-6; \
                 p#3 made again; p#7 done",
            ),
            (
                "ok p#8",
                "+B; -B; B closed with 40; B closed with 20; p#6 made again; p#8 done; run 1 \
                 physics finished",
            ),
            ("concerned 1", "; behind: "),
            // What is in force there already makes no difference, however it is cut.
            (
                "put spot 1:2 {\"v\":1}",
                "spot since run 1 lumi 2; put: spot: {\"v\":1} holds since run 1 lumi 2 up to run \
                 1 lumi 4 (any begins anywhere)",
            ),
            ("concerned 1", "; behind: "),
            // From the third lumi on, up to the fourth: inside the second job.
            (
                "put spot 1:3 {\"v\":3}",
                "spot since run 1 lumi 3; put: spot: {\"v\":3} holds since run 1 lumi 3 up to run \
                 1 lumi 4 (any begins anywhere); start p#9 attempt 1 on 2 lumis 3-3 4-4 with spot \
                 since run 1 lumi 3 and spot since run 1 lumi 4; run 1 physics closed",
            ),
            ("concerned 1", "A of p#2; behind: B of p#5"),
            ("restart", ""),
            (
                "ok p#9",
                "+A; -A; A closed with 20; A closed with 20; start p#10 attempt 1 on 1 lumis 3-4; \
                 p#2 made again; p#9 done",
            ),
            (
                "ok p#10",
                "+B; -B; B closed with 20; B closed with 20; p#5 made again; p#10 done; run 1 \
                 physics finished",
            ),
            ("concerned 1", "; behind: "),
            // Later runs only.
            (
                "put spot 2:1 {\"v\":7}",
                "spot since run 2 lumi 1; put: spot: {\"v\":7} holds since run 2 lumi 1 (any \
                 begins anywhere)",
            ),
            ("concerned 1", "; behind: "),
        ],
    );
}

#[test]
fn lumis_without_an_interval_go_without_and_are_made_again_with_one() {
    check_with(
        reading_spot("ask"),
        &[
            (
                "put spot 1:2 {\"v\":2} sync=any",
                "tag spot any by lumi; spot since run 1 lumi 2; put: spot: {\"v\":2} holds since \
                 run 1 lumi 2 (any begins anywhere)",
            ),
            ("file 1 1 a 10", "file a; run 1 physics open"),
            ("file 1 2 b 10", "file b"),
            ("file 1 3 c 10", "file c"),
            ("lumi 1 1 10", ""),
            ("lumi 1 2 10", ""),
            ("lumi 1 3 10", ""),
            (
                "end 1 3",
                "start p#1 attempt 1 on 2 lumis 1-1 2-2 with spot since run 1 lumi 2; start p#2 \
                 attempt 1 on 1 lumis 3-3 with spot since run 1 lumi 2; run 1 physics closed",
            ),
            ("ok p#1", "+A; start p#3 attempt 1 on 1 lumis 1-2; p#1 done"),
            (
                "ok p#2",
                "+A; A closed with 30; start p#4 attempt 1 on 1 lumis 3-3; p#2 done",
            ),
            ("ok p#3", "+B; p#3 done"),
            (
                "ok p#4",
                "+B; B closed with 30; p#4 done; run 1 physics finished",
            ),
            ("concerned 1", "; behind: "),
            // The first lumi had none, so the first job is concerned and the second is not.
            (
                "put spot 1:1 {\"v\":1}",
                "spot since run 1 lumi 1; put: spot: {\"v\":1} holds since run 1 lumi 1 up to run \
                 1 lumi 2 (any begins anywhere); alarm redo-asked/spot",
            ),
            ("concerned 1", "A of p#1; behind: B of p#3"),
            ("restart", ""),
            (
                "accept spot 1 dry",
                "would make again 1 jobs that were given other constants of spot, and all that \
                 was made from their outputs: job/13",
            ),
            (
                "accept spot 1",
                "done: made again: 1 jobs that were given other constants of spot; then all that \
                 was made from their outputs; start p#5 attempt 1 on 2 lumis 1-1 2-2 with spot \
                 since run 1 lumi 1 and spot since run 1 lumi 2; run 1 physics closed; cleared \
                 redo-asked/spot",
            ),
            ("restart", ""),
            (
                "ok p#5",
                "+A; -A; A closed with 10; A closed with 20; start p#6 attempt 1 on 1 lumis 1-2; \
                 p#1 made again; p#5 done",
            ),
            ("concerned 1", "; behind: "),
            (
                "ok p#6",
                "+B; -B; B closed with 10; B closed with 20; p#3 made again; p#6 done; run 1 \
                 physics finished",
            ),
            ("concerned 1", "; behind: "),
        ],
    );
}

#[test]
fn a_tag_by_time_is_read_as_it_was_when_the_run_began() {
    check_with(
        reading_spot("auto"),
        &[
            (
                "put spot 2026-12-31T00:00:00Z {\"v\":8} sync=any",
                "tag spot any by time; spot since 2026-12-31T00:00:00.000000Z; put: spot: \
                 {\"v\":8} holds since 2026-12-31T00:00:00.000000Z (any begins anywhere)",
            ),
            (
                "put spot 2027-01-01T00:00:05Z {\"v\":9}",
                "spot since 2027-01-01T00:00:05.000000Z; put: spot: {\"v\":9} holds since \
                 2027-01-01T00:00:05.000000Z (any begins anywhere)",
            ),
            ("file 1 1 a 10", "file a; run 1 physics open"),
            ("wait 10", ""),
            ("file 2 1 b 10", "file b; run 2 physics open"),
            ("lumi 1 1 10", ""),
            ("lumi 2 1 10", ""),
            (
                "end 1 1",
                "start p#1 attempt 1 on 1 lumis 1-1 with spot since 2026-12-31T00:00:00.000000Z; \
                 run 1 physics closed",
            ),
            (
                "end 2 1",
                "start p#2 attempt 1 on 1 lumis 1-1 with spot since 2027-01-01T00:00:05.000000Z; \
                 run 2 physics closed",
            ),
            ("restart", ""),
            (
                "ok p#1",
                "+A; A closed with 10; start p#3 attempt 1 on 1 lumis 1-1; p#1 done",
            ),
            (
                "ok p#2",
                "+A; A closed with 10; start p#4 attempt 1 on 1 lumis 1-1; p#2 done",
            ),
            (
                "ok p#3",
                "+B; B closed with 10; p#3 done; run 1 physics finished",
            ),
            (
                "ok p#4",
                "+B; B closed with 10; p#4 done; run 2 physics finished",
            ),
            ("concerned 1", "; behind: "),
            ("concerned 2", "; behind: "),
            // Run 1 was under way: what begins then is for runs that begin later.
            (
                "put spot 2027-01-01T00:00:01Z {\"v\":10}",
                "spot since 2027-01-01T00:00:01.000000Z; put: spot: {\"v\":10} holds since \
                 2027-01-01T00:00:01.000000Z up to 2027-01-01T00:00:05.000000Z (any begins \
                 anywhere)",
            ),
            ("concerned 1", "; behind: "),
            ("concerned 2", "; behind: "),
            (
                "put spot 2027-01-01T00:00:08Z {\"v\":11}",
                "spot since 2027-01-01T00:00:08.000000Z; put: spot: {\"v\":11} holds since \
                 2027-01-01T00:00:08.000000Z (any begins anywhere); start p#5 attempt 1 on 1 \
                 lumis 1-1 with spot since 2027-01-01T00:00:08.000000Z; run 2 physics closed",
            ),
            ("concerned 1", "; behind: "),
            ("concerned 2", "A of p#2; behind: B of p#4"),
            ("restart", ""),
            (
                "ok p#5",
                "+A; -A; A closed with 0; A closed with 10; start p#6 attempt 1 on 1 lumis 1-1; \
                 p#2 made again; p#5 done",
            ),
            (
                "ok p#6",
                "+B; -B; B closed with 0; B closed with 10; p#4 made again; p#6 done; run 2 \
                 physics finished",
            ),
            ("concerned 2", "; behind: "),
            (
                "put spot 2027-01-01T00:00:00Z {\"v\":12}",
                "spot since 2027-01-01T00:00:00.000000Z; put: spot: {\"v\":12} holds since \
                 2027-01-01T00:00:00.000000Z up to 2027-01-01T00:00:01.000000Z (any begins \
                 anywhere); start p#7 attempt 1 on 1 lumis 1-1 with spot since \
                 2027-01-01T00:00:00.000000Z; run 1 physics closed",
            ),
            ("restart", ""),
            (
                "ok p#7",
                "+A; -A; A closed with 0; A closed with 10; start p#8 attempt 1 on 1 lumis 1-1; \
                 p#1 made again; p#7 done",
            ),
            ("concerned 1", "; behind: "),
        ],
    );
}

#[test]
fn imports_bring_tags_of_every_count() {
    check_with(
        reading_spot("auto"),
        &[
            (
                "bring spot 1:1 one 1:2 two",
                "tag spot any by lumi; spot since run 1 lumi 1; spot since run 1 lumi 2; done: \
                 new here: 1 tags, 2 intervals, 2 payloads, 0 global tags",
            ),
            (
                "bring maps 2026-12-31T00:00:00Z one 2027-01-01T00:00:05Z two",
                "tag maps any by time; maps since 2026-12-31T00:00:00.000000Z; maps since \
                 2027-01-01T00:00:05.000000Z; done: new here: 1 tags, 2 intervals, 0 payloads, 0 \
                 global tags",
            ),
            (
                "bring spot 1:1 one 1:2 two",
                "done: new here: 0 tags, 0 intervals, 0 payloads, 0 global tags; nothing was \
                 changed",
            ),
            (
                "bring spot 1:3 three",
                "refused: spot has intervals of its own here, which stay as they are: import it \
                 under another name, or put single constants with `tier0 calib put`",
            ),
            (
                "bring spot 1 three",
                "refused: spot is known with another time type: what a tag is does not change; \
                 make a new tag",
            ),
            ("restart", ""),
            ("file 1 1 a 10", "file a; run 1 physics open"),
            ("file 1 2 b 10", "file b"),
            ("lumi 1 1 10", ""),
            ("lumi 1 2 10", ""),
            (
                "end 1 2",
                "start p#1 attempt 1 on 2 lumis 1-1 2-2 with spot since run 1 lumi 1 and spot \
                 since run 1 lumi 2; run 1 physics closed",
            ),
        ],
    );
}

/// A task that reads the records `Spot` and `Map` by the global tag `g`.
fn by_global_tag() -> Play {
    let text = "[pipeline]\nname = \"p\"\ntrigger = { stream = \"Muons\" }\n\
                [[task]]\nname = \"a\"\nprogram = [\"x\"]\noutputs = { A = \"json\" }\n\
                split = { by = \"lumi\", lumis_per_job = 2 }\n\
                needs = { global_tag = \"g\", conditions = [\"Spot\", \"Map\"] }\n\
                release = { when = \"run_closed\", redo = \"auto\" }\n";
    Play::with_pipeline(text)
}

#[test]
fn a_global_tag_leads_to_tags_of_every_count_as_of_its_moment() {
    check_with(
        by_global_tag(),
        &[
            (
                "put spot 2:1 {\"v\":1} sync=any",
                "tag spot any by lumi; spot since run 2 lumi 1; put: spot: {\"v\":1} holds since \
                 run 2 lumi 1 (any begins anywhere)",
            ),
            (
                "put spot 2:3 {\"v\":3}",
                "spot since run 2 lumi 3; put: spot: {\"v\":3} holds since run 2 lumi 3 (any \
                 begins anywhere)",
            ),
            (
                "put map 2026-12-31T00:00:00Z {\"v\":8} sync=any",
                "tag map any by time; map since 2026-12-31T00:00:00.000000Z; put: map: {\"v\":8} \
                 holds since 2026-12-31T00:00:00.000000Z (any begins anywhere)",
            ),
            (
                "global g Spot=spot Map=map",
                "done: new here: 0 tags, 0 intervals, 0 payloads, 1 global tags",
            ),
            ("wait 10", ""),
            // Inserted after its moment: they do not count.
            (
                "put spot 2:2 {\"v\":13}",
                "spot since run 2 lumi 2; put: spot: {\"v\":13} holds since run 2 lumi 2 up to \
                 run 2 lumi 3 (any begins anywhere)",
            ),
            (
                "put map 2027-01-01T00:00:00Z {\"v\":13}",
                "map since 2027-01-01T00:00:00.000000Z; put: map: {\"v\":13} holds since \
                 2027-01-01T00:00:00.000000Z (any begins anywhere)",
            ),
            // Nothing is in force at the first lumi of run 1.
            (
                "file 1 1 a 10",
                "file a; alarm global-tag/1/p.a; run 1 physics open",
            ),
            (
                "because task/1/p.a",
                "task/1/p.a: the global tag g reads Spot from spot, of which nothing was in force \
                 for run 1 lumi 1 at 2027-01-01T00:00:00.000000Z (g does not change: make another \
                 one with tier0 calib global and name it in the task, for runs that begin after \
                 that; tier0 calib accept p.a --run 1 lets it go now)",
            ),
            ("file 2 1 b 10", "file b; run 2 physics open"),
            ("file 2 2 c 10", "file c"),
            ("file 2 3 d 10", "file d"),
            ("file 2 4 e 10", "file e"),
            ("lumi 2 1 10", ""),
            ("lumi 2 2 10", ""),
            ("lumi 2 3 10", ""),
            ("lumi 2 4 10", ""),
            (
                "end 2 4",
                "start p#1 attempt 1 on 2 lumis 1-1 2-2 with spot since run 2 lumi 1 and map \
                 since 2026-12-31T00:00:00.000000Z; start p#2 attempt 1 on 2 lumis 3-3 4-4 with \
                 spot since run 2 lumi 3 and map since 2026-12-31T00:00:00.000000Z; run 2 physics \
                 closed",
            ),
            ("restart", ""),
            ("ok p#1", "+A; p#1 done"),
            (
                "ok p#2",
                "+A; A closed with 40; p#2 done; run 2 physics finished",
            ),
        ],
    );
}

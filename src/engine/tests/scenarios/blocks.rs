//! Blocks and what is never published twice.

use crate::check_with;
use crate::play::Play;
use pipelines::definition::Definition;
use std::collections::BTreeMap;

/// One task, a job a file; `rest` stands in the pipeline's section.
fn one(name: &str, rest: &str) -> Vec<Definition> {
    let text = format!(
        "[pipeline]
name = \"{name}\"
trigger = {{ stream = \"Muons\" }}
{rest}
[[task]]
name = \"look\"
input = \"trigger\"
split = {{ by = \"file\", files_per_job = 1 }}
program = [\"look\"]
outputs = {{ LOOK = \"json\" }}
"
    );
    pipelines::link::load(&[("one.toml", &text)]).expect("a right definition")
}

fn play(rest: &str) -> Play {
    Play::with_definitions(one("one", rest), 8, BTreeMap::new())
}

#[test]
fn a_block_closes_when_it_has_enough_files() {
    let play = play("blocks = { max_files = 2 }");
    check_with(
        play,
        &[
            ("begin 1 physics", "run 1 physics open"),
            ("file 1 1 a 10", "file a; start one#1 attempt 1 on 1"),
            ("file 1 1 b 20", "file b; start one#2 attempt 1 on 1"),
            ("file 1 2 c 30", "file c; start one#3 attempt 1 on 1"),
            ("ok one#1", "+LOOK; one#1 done"),
            ("ok one#3", "LOOK closed full with 40; +LOOK; one#3 done"),
            ("lumi 1 1 30", ""),
            ("lumi 1 2 30", ""),
            ("end 1 2", "run 1 physics closed"),
            (
                "ok one#2",
                "+LOOK; LOOK closed with 20; one#2 done; run 1 physics finished",
            ),
        ],
    );
}

#[test]
fn a_block_never_holds_more_events_or_bytes_than_it_may() {
    let rows: &[(&str, &str)] = &[
        ("begin 1 physics", "run 1 physics open"),
        ("file 1 1 a 10", "file a; start one#1 attempt 1 on 1"),
        ("file 1 1 b 20", "file b; start one#2 attempt 1 on 1"),
        ("file 1 2 c 30", "file c; start one#3 attempt 1 on 1"),
        ("ok one#1", "+LOOK; one#1 done"),
        ("ok one#2", "LOOK closed full with 10; +LOOK; one#2 done"),
        // One output alone may be larger than a block: it closes its own.
        (
            "ok one#3",
            "LOOK closed full with 20; LOOK closed full with 30; +LOOK; one#3 done",
        ),
    ];
    check_with(play("blocks = { max_events = 25 }"), rows);
    // Every output of these tables has ten bytes.
    check_with(
        play("blocks = { max_bytes = \"19B\" }"),
        &[
            ("begin 1 physics", "run 1 physics open"),
            ("file 1 1 a 10", "file a; start one#1 attempt 1 on 1"),
            ("file 1 1 b 20", "file b; start one#2 attempt 1 on 1"),
            ("ok one#1", "+LOOK; one#1 done"),
            ("ok one#2", "LOOK closed full with 10; +LOOK; one#2 done"),
        ],
    );
}

#[test]
fn a_block_closes_by_age_and_what_comes_later_opens_another() {
    check_with(
        play("blocks = { close_after = \"60s\" }"),
        &[
            ("begin 1 physics", "run 1 physics open"),
            ("file 1 1 a 10", "file a; start one#1 attempt 1 on 1"),
            ("file 1 1 b 20", "file b; start one#2 attempt 1 on 1"),
            ("ok one#1", "+LOOK; one#1 done"),
            ("wait 59", ""),
            ("wait 1", "LOOK closed aged with 10"),
            ("wait 600", ""),
            ("ok one#2", "+LOOK; one#2 done"),
            ("wait 60", "LOOK closed aged with 20"),
        ],
    );
}

#[test]
fn the_same_data_are_never_twice_in_a_dataset() {
    // Two pipelines that fill one dataset are refused when they are read together; nothing refuses
    // them here, and only physics runs are worked on by both.
    let same = "processing = \"Same-v1\"\n";
    let mut definitions = one("a", same);
    definitions.extend(one("b", &format!("{same}run_types = [\"physics\"]\n")));
    check_with(
        Play::with_definitions(definitions, 8, BTreeMap::new()),
        &[
            ("begin 1 physics", "run 1 physics open"),
            ("begin 2 cosmics", "run 2 cosmics open"),
            (
                "file 1 4 a 10",
                "file a; start a#1 attempt 1 on 1; start b#1 attempt 1 on 1",
            ),
            ("ok a#1", "+LOOK; a#1 done"),
            (
                "ok b#1",
                "alarm duplicate-lumi/1//Muons/Same-v1/LOOK; unpublished LOOK; b#1 done; run 1 \
                 open quarantined",
            ),
            // Nothing is started for it, and it says why.
            ("file 1 5 b 10", "file b"),
            // The other run is not concerned.
            ("file 2 1 c 10", "file c; start a#2 attempt 1 on 1"),
            ("ok a#2", "+LOOK; a#2 done"),
        ],
    );
}

//! Splitting by plugin: what is asked, which answers count, what follows from the others.

use crate::check_with;
use crate::play::Play;

const PACKED: &str = r#"
[pipeline]
name = "p"
trigger = { stream = "Muons" }

[[task]]
name = "pack"
split = { by = "plugin", name = "packer", program = ["x"], within = "10s" }
program = ["x"]
outputs = { PACK = "x" }
"#;

fn check(rows: &[(&str, &str)]) {
    check_with(Play::of(&[("p.toml", PACKED)], 8), rows);
}

#[test]
fn a_complete_input_is_split_as_the_plugin_says() {
    check(&[
        ("file 1 1 a 100", "file a; run 1 physics open"),
        ("file 1 1 b 100", "file b"),
        ("file 1 2 c 100", "file c"),
        ("lumi 1 1 200", ""),
        (
            "because task/1/p.pack",
            "task/1/p.pack: its plugin splits the input when it is complete (tier0 why run/1 says what the run waits for)",
        ),
        ("lumi 1 2 100", ""),
        ("end 1 2", "ask packer: a, b, c; run 1 physics closed"),
        (
            "because task/1/p.pack",
            "task/1/p.pack: plugin packer is asked which inputs go together (tier0 calib accept p.pack --run 1 makes one job of what is here now)",
        ),
        ("restart", "ask packer: a, b, c"),
        (
            "split 2,0/1",
            "start p#1 attempt 1 on 2; start p#2 attempt 1 on 1",
        ),
        ("split 0,1,2", ""),
        ("restart", ""),
        ("ok p#1", "+PACK; p#1 done"),
        (
            "ok p#2",
            "+PACK; PACK closed with 300; p#2 done; run 1 physics finished",
        ),
    ]);
}

#[test]
fn an_answer_that_cannot_be_is_no_answer() {
    check(&[
        ("file 1 1 a 100", "file a; run 1 physics open"),
        ("file 1 1 b 100", "file b"),
        ("lumi 1 1 200", ""),
        ("end 1 1", "ask packer: a, b; run 1 physics closed"),
        ("split 0/0,1", "alarm splitter-fails/1/p.pack"),
        (
            "alarm splitter-fails/1/p.pack",
            "Plugin packer, which splits the input of p.pack, took input 0 twice, 1 times so far. The 2 inputs of run 1 wait; it is asked again at 2027-01-01T00:00:10.000000Z. Correct it in its place, or `tier0 calib accept p.pack --run 1` makes one job of them.",
        ),
        (
            "because task/1/p.pack",
            "task/1/p.pack: plugin packer took input 0 twice; it is asked again (tier0 calib accept p.pack --run 1 makes one job of what is here now)",
        ),
        ("split 0/1", ""),
        ("wait 10", "ask packer: a, b"),
        ("split did crashed", "alarm splitter-fails/1/p.pack"),
        ("restart", "ask packer: a, b"),
        ("split 1", "alarm splitter-fails/1/p.pack"),
        ("wait 10", "ask packer: a, b"),
        ("wait 609", ""),
        ("wait 1", "alarm splitter-fails/1/p.pack"),
        (
            "alarm splitter-fails/1/p.pack",
            "Plugin packer, which splits the input of p.pack, gave no answer, 2 times so far. The 2 inputs of run 1 wait; it is asked again at 2027-01-01T00:11:10.000000Z. Correct it in its place, or `tier0 calib accept p.pack --run 1` makes one job of them.",
        ),
        ("wait 40", "ask packer: a, b"),
        (
            "split 0/1",
            "cleared splitter-fails/1/p.pack; start p#1 attempt 1 on 1; start p#2 attempt 1 on 1",
        ),
    ]);
}

#[test]
fn a_person_lets_it_go_with_one_job() {
    check(&[
        ("file 1 1 a 100", "file a; run 1 physics open"),
        ("file 1 1 b 100", "file b"),
        ("lumi 1 1 200", ""),
        ("end 1 1", "ask packer: a, b; run 1 physics closed"),
        ("split did crashed", "alarm splitter-fails/1/p.pack"),
        (
            "accept p.pack 1",
            "done: p.pack of run 1 is accepted; cleared splitter-fails/1/p.pack; start p#1 attempt 1 on 2",
        ),
        ("split 0/1", ""),
        (
            "ok p#1",
            "+PACK; PACK closed with 200; p#1 done; run 1 physics finished",
        ),
        ("file 2 1 d 100", "file d; run 2 physics open"),
        ("lumi 2 1 100", ""),
        ("end 2 1", "ask packer: d; run 2 physics closed"),
        ("hold p.pack 2", "done: p.pack of run 2 is held"),
        ("split 0", ""),
        (
            "lift p.pack 2",
            "done: p.pack of run 2 is left to its rule; ask packer: d",
        ),
        ("split 0", "start p#2 attempt 1 on 1"),
    ]);
}

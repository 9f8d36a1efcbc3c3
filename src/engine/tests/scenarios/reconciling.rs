//! What the executor has is compared with what is out: an attempt of which nothing is heard is
//! found, and nobody is asked while there is none (P6, F31, F32, F33).

use crate::check;

/// One job of express under way, and three lists that lack it.
const SENT: [(&str, &str); 2] = [
    ("file 1 1 a 100", "file a; run 1 physics open"),
    ("lumi 1 1 100", "start express#1 attempt 1 on 1"),
];

fn check_after_sent(rows: &[(&str, &str)]) {
    check(&[&SENT, rows].concat());
}

#[test]
fn f32_an_attempt_that_is_absent_from_three_lists_is_made_again_and_what_the_old_one_says_ignored()
{
    check_after_sent(&[
        ("wait 29", ""),
        ("asked", "false"),
        ("wait 1", ""),
        ("lists -", ""),
        ("wait 30", ""),
        ("lists -", ""),
        ("wait 30", ""),
        (
            "lists -",
            "end express#1; alarm attempts-lost/express.reco; express#1 pauses 1.00 s",
        ),
        ("wait 1", "start express#1 attempt 2 on 1"),
        // What the lost attempt still says is ignored; the next one wins.
        ("old express#1", ""),
        (
            "ok express#1",
            "+ALCA; +DQM; +RECO; cleared attempts-lost/express.reco; express#1 done",
        ),
        // Nothing is out: nobody is asked.
        ("wait 60", ""),
        ("asked", "false"),
    ]);
}

#[test]
fn only_good_lists_in_a_row_count() {
    check_after_sent(&[
        ("wait 30", ""),
        ("lists -", ""),
        ("wait 30", ""),
        ("lists -", ""),
        ("wait 30", ""),
        // It is there again.
        ("lists express#1", ""),
        ("wait 30", ""),
        ("lists -", ""),
        ("wait 30", ""),
        // Nobody knows: that counts for nothing.
        ("lists ?", ""),
        ("wait 30", ""),
        ("lists -", ""),
        ("wait 30", ""),
        (
            "lists -",
            "end express#1; alarm attempts-lost/express.reco; express#1 pauses 1.00 s",
        ),
    ]);
}

#[test]
fn a_list_says_nothing_of_what_was_sent_after_it_was_asked_for() {
    check_after_sent(&[
        ("wait 30", ""),
        // A second attempt goes out in the moment of the question, a third one later.
        ("file 1 2 b 100", "file b"),
        ("lumi 1 2 100", "start express#2 attempt 1 on 1"),
        ("wait 1", ""),
        ("file 1 3 c 100", "file c"),
        ("lumi 1 3 100", "start express#3 attempt 1 on 1"),
        ("lists express#1", ""),
        ("wait 30", ""),
        ("lists express#1", ""),
        ("wait 30", ""),
        ("lists express#1", ""),
        ("wait 30", ""),
        (
            "lists express#1",
            "end express#2; alarm attempts-lost/express.reco; end express#3; express#2 pauses \
             1.00 s; express#3 pauses 1.00 s",
        ),
    ]);
}

#[test]
fn one_question_is_asked_at_a_time_however_late_its_answer_is() {
    check_after_sent(&[
        ("wait 30", ""),
        ("wait 30", ""),
        ("wait 30", ""),
        ("wait 30", ""),
        ("lists -", ""),
        ("asked", "false"),
        ("wait 30", ""),
        ("lists -", ""),
        ("wait 30", ""),
        (
            "lists -",
            "end express#1; alarm attempts-lost/express.reco; express#1 pauses 1.00 s",
        ),
    ]);
}

#[test]
fn what_is_being_put_in_place_is_not_with_the_executor() {
    check_after_sent(&[
        ("reported express#1", ""),
        ("wait 100", ""),
        ("asked", "false"),
    ]);
}

#[test]
fn a_restart_begins_anew() {
    check_after_sent(&[
        ("wait 30", ""),
        ("lists -", ""),
        ("wait 30", ""),
        ("lists -", ""),
        ("restart", ""),
        ("wait 30", ""),
        ("lists -", ""),
        ("wait 30", ""),
        ("lists -", ""),
        ("wait 30", ""),
        (
            "lists -",
            "end express#1; alarm attempts-lost/express.reco; express#1 pauses 1.00 s",
        ),
    ]);
}

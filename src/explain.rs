//! What every code of a mistake means and what to do about it, for `tier0 explain`.
//!
//! In come the rooms' own lists of codes and causes, out comes one list with what to do. A code
//! without an entry here fails a test.

use crate::config;
use pipelines::diagnosis;

/// What to do, by code.
const FIXES: &[(&str, &str)] = &[
    (
        "T001",
        "Go to the line that is shown: texts stand in quotes, every bracket has its partner, \
         and a key is written once in a table.",
    ),
    (
        "T002",
        "Take the nearest key that the message offers, or look into config/tier0.toml, which \
         lists all of them.",
    ),
    (
        "T003",
        "Add the key with a value like the one that the message shows.",
    ),
    (
        "T004",
        "Write the value as the message says: texts in quotes, numbers and true or false \
         without, lists in [ ].",
    ),
    (
        "T005",
        "Use letters, digits, \"_\" and \"-\", at least one and at most 64 of them.",
    ),
    (
        "T006",
        "Write a number and its unit in quotes: us, ms, s, m, h or d, as in \"250ms\" or \
         \"48h\".",
    ),
    (
        "T007",
        "Write a number and its unit in quotes: B, KiB, MiB, GiB or TiB, as in \"4GiB\".",
    ),
    (
        "T008",
        "Write a number within the limits that the message tells.",
    ),
    ("T009", "Write one of the words that the message lists."),
    (
        "T010",
        "Write digits, a point, and at most nine digits behind it.",
    ),
    (
        "T011",
        "Give every run a value: a default, or a from_run that begins early enough; declare \
         each era with [[era]] in the configuration; write runs as whole numbers from 1. Names \
         never depend on the run.",
    ),
    (
        "P001",
        "Write program = [\"{program:NAME}\", \"argument\"]; a placeholder is {tier0} or \
         {program:NAME} and fills a whole argument.",
    ),
    ("P002", "Rename or remove one of the two."),
    (
        "P003",
        "Write \"trigger\" or the output of a task as task.LABEL; as a trigger, \
         pipeline.task.LABEL.",
    ),
    (
        "P004",
        "Let one task of the circle read \"trigger\", begin with a stream, or not wait for the \
         tag.",
    ),
    (
        "P005",
        "Give seen_to_published a duration and target a share between 0 and 1, as in 0.99.",
    ),
    (
        "P006",
        "Let exactly one task have a gate for the tag, in a pipeline that works on the same \
         types of runs; or neither wait for it nor read it.",
    ),
    ("P007", "Remove it; the message says what is built instead."),
    (
        "P008",
        "Split with { by = \"alca_harvest\" } or { by = \"dqm_harvest\" }: one job a run.",
    ),
    ("P009", "Give one of the pipelines another `processing`."),
    (
        "P010",
        "Change one of the parameters that the message names until they fit.",
    ),
    (
        "P011",
        "Take a splitter for files of a stream, or another trigger.",
    ),
    (
        "P012",
        "Name tasks that exist as pipeline.task, and not the one that gives the verdict.",
    ),
    (
        "P020",
        "Name a pipeline whose definition stands in the same folder, and let no pipeline come \
         back to itself.",
    ),
    (
        "C001",
        "Name a file or folder that exists and that whoever runs tier0 can read.",
    ),
    (
        "C002",
        "Write an IP address and a port: \"127.0.0.1:8080\" or \"[::1]:8080\".",
    ),
    (
        "C003",
        "Listen on 127.0.0.1 and let a proxy with TLS stand before it; or set api.allow_remote \
         = true if others are meant to reach it.",
    ),
    (
        "C004",
        "Change or remove the setting that the message points at: a profile says some things by \
         itself, and a pattern is written as run{run:6}_ls{lumi:4}_{stream}.dat.",
    ),
    (
        "C005",
        "Give each [[stream]] a name and a folder of its own, none inside another; let state, work \
         and storage lie beside them.",
    ),
    (
        "C006",
        "Name an executable file by its whole path, here or in [programs], or install it where \
         PATH finds it.",
    ),
    (
        "C007",
        "Take the name that the message offers, or add the definition.",
    ),
    (
        "C008",
        "Write mariadb://user@host:port/database or postgresql://user@host:port/database, or \
         leave it out for SQLite.",
    ),
    (
        "C009",
        "Move the password into a file that only whoever runs tier0 can read \
         (store.password_file), or into the environment (store.password_env).",
    ),
    (
        "C010",
        "Use the name of a dataset or pipeline that exists, and only keys that belong there.",
    ),
    (
        "C011",
        "Give a stream profile that stream, correct the pipeline's trigger, or leave the \
         pipeline out with pipelines.use.",
    ),
    (
        "C012",
        "Make the folder or file, and let whoever runs tier0 read it; a secret must be readable \
         by nobody else (chmod 600).",
    ),
    (
        "C013",
        "Remove the section; CHANGELOG.md says when it is built.",
    ),
    (
        "C014",
        "Name two folders in `copies`, best on two disks, or leave `enabled` out: no source is \
         removed then.",
    ),
    (
        "C015",
        "Name folders on other disks, or write `one_failure_domain = true` to accept that one \
         disk may take all of them.",
    ),
];

/// Every code with its cause and what to do, in order.
pub fn explanations() -> Vec<(&'static str, &'static str, &'static str)> {
    let causes = diagnosis::EXPLANATIONS.iter().chain(config::EXPLANATIONS);
    let with_fix = |(code, cause): &(&'static str, &'static str)| {
        let fix = FIXES.iter().find(|(known, _)| known == code);
        (*code, *cause, fix.map_or("", |(_, fix)| *fix))
    };
    causes.map(with_fix).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_cause_and_says_what_to_do() {
        let all = explanations();
        for (code, cause, fix) in &all {
            assert!(cause.ends_with('.'), "{code}: {cause}");
            assert!(fix.ends_with('.'), "{code} says nothing of what to do");
        }
        for (code, _) in FIXES {
            let times = all.iter().filter(|(known, ..)| known == code).count();
            assert_eq!(times, 1, "{code} is a code of one room");
        }
        assert_eq!(all.len(), FIXES.len());
    }
}

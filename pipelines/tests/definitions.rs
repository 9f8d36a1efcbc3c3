//! Definitions as people meet them: the embedded ones say what they are meant to, broken ones get
//! the messages of `broken.txt`, word for word.
//!
//! A row of `broken.txt` is a title, one or more files (`@ name` begins each), and everything that
//! is said about them. When messages change on purpose, the failing test prints the whole table as
//! it would be now.

use model::job::ExitClass;
use model::time::Span;
use model::units::Bytes;
use std::fmt::Write as _;
use tier0_pipelines::EMBEDDED;
use tier0_pipelines::definition::{
    CoordinateRule, DecisionTable, Definition, DepartureRule, GateBy, GateRule, Release, TaskInput,
    Trigger, When,
};
use tier0_pipelines::diagnosis::EXPLANATIONS;
use tier0_pipelines::link::load;
use tier0_pipelines::retry::{
    Cause, Growth, NeedsGrowth, OnceMore, Reaction, RetryPolicy, RetryRule,
};
use tier0_pipelines::splitting::{DqmHarvest, File, Splitter};

/// One row: title, files, and what is said.
struct Row<'t> {
    title: &'t str,
    files: Vec<(&'t str, &'t str)>,
    typed: &'t str,
    said: &'t str,
}

fn rows(table: &str) -> Vec<Row<'_>> {
    let read = |row| {
        let (title, rest): (&str, &str) = str::split_once(row, '\n').expect("a title line");
        let (typed, said) = rest
            .split_once("\n--- says\n")
            .expect("a line \"--- says\"");
        let file = |part| str::split_once(part, '\n').expect("a file's name");
        let files = typed.split("@ ").skip(1).map(file).collect();
        Row {
            title,
            files,
            typed,
            said: said.trim_end(),
        }
    };
    table.split("=== ").skip(1).map(read).collect()
}

fn said(files: &[(&str, &str)]) -> String {
    match load(files) {
        Ok(_) => "nothing".to_owned(),
        Err(found) => found
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n"),
    }
}

#[test]
fn broken_definitions_are_told_what_is_wrong() {
    let rows = rows(include_str!("broken.txt"));
    let (mut now, mut differ) = (String::new(), Vec::new());
    for row in &rows {
        let said = said(&row.files);
        if said != row.said {
            differ.push(row.title);
        }
        write!(
            now,
            "=== {}\n{}\n--- says\n{said}\n\n",
            row.title, row.typed
        )
        .expect("a text grows");
    }
    assert!(rows.len() > 25, "the table is read whole");
    assert!(
        differ.is_empty(),
        "{} rows differ: {differ:?}; now:\n{now}",
        differ.len()
    );
}

#[test]
fn every_code_is_explained_and_met() {
    let table = include_str!("broken.txt");
    for (code, explanation) in EXPLANATIONS {
        assert!(
            table.contains(&format!("error[{code}]")),
            "no broken definition meets {code}"
        );
        assert!(explanation.ends_with('.'), "{code}: {explanation}");
    }
    for said in table.split("error[").skip(1) {
        let code = &said[..4];
        assert!(
            EXPLANATIONS.iter().any(|(known, _)| *known == code),
            "{code} is not explained"
        );
    }
}

/// A line for each task: what it reads, how it is cut, what it makes.
fn show(definition: &Definition) -> Vec<String> {
    let line = |task: &tier0_pipelines::definition::Task| {
        let input = match &task.input {
            TaskInput::Stream(stream) => stream.to_string(),
            TaskInput::Output(path, label) => format!("{path}.{label}"),
        };
        let outputs: Vec<&str> = task.outputs.keys().map(|label| label.as_str()).collect();
        let splitter = match &task.splitter {
            // All its parameters have their defaults: they say nothing here.
            Splitter::DqmHarvest(by) if *by == DqmHarvest::default() => "DqmHarvest".to_owned(),
            other => format!("{other:?}"),
        };
        format!(
            "{}.{} {input} {splitter} {outputs:?}",
            definition.name, task.name
        )
    };
    definition.tasks.iter().map(|task| line(task)).collect()
}

#[test]
fn embedded_pipelines_are_those_of_the_flow() {
    let definitions = load(EMBEDDED).expect("the embedded definitions are right");
    let shown: Vec<String> = definitions.iter().flat_map(show).collect();
    assert_eq!(
        shown,
        [
            "express.reco Muons Express { max_events: 400, max_input_rate: 23000 } \
             [\"ALCA\", \"DQM\", \"RECO\"]",
            r#"calibration.harvest express.reco.ALCA AlcaHarvest(AlcaHarvest { timeout: None }) ["HARVEST"]"#,
            r#"prompt.reco Muons EventAwareFile(EventAwareFile { max_events: 2000 }) ["AOD", "DQM"]"#,
            r#"dqm.harvest prompt.reco.DQM DqmHarvest ["DQM_RUN"]"#,
        ]
    );
    let budget = definitions[0].budget.expect("express has a budget");
    assert_eq!(
        (budget.seen_to_published.as_secs_f64(), budget.target_ppm),
        (60.0, 990_000)
    );
    let gate = |tag: &str, n_min, max_error_nano, accumulate| GateRule {
        tag: tag.into(),
        by: GateBy::Departure(DepartureRule {
            n_min,
            max_sigma: 3,
            max_move_nano: None,
            max_error_nano,
            accumulate,
        }),
    };
    assert_eq!(
        definitions[1].tasks[0].calibrates,
        [
            gate("beamspot", 50, Some(10_000_000), false),
            gate("scale", 400, None, true)
        ]
    );
    let release = &definitions[2].tasks[0].release;
    assert!(
        matches!(release, Release { when: When::Conditions(of), .. } if of.len() == 2),
        "{release:?}"
    );
    assert!(definitions[3].tasks[0].certifies);
}

#[test]
fn the_chamber_is_aligned_by_definitions_that_stand_beside_the_embedded_ones() {
    let chamber = [
        (
            "express.toml",
            include_str!("../examples/chamber/express.toml"),
        ),
        (
            "calibration.toml",
            include_str!("../examples/chamber/calibration.toml"),
        ),
        (
            "prompt.toml",
            include_str!("../examples/chamber/prompt.toml"),
        ),
        (
            "chamber_dqm.toml",
            include_str!("../examples/chamber/dqm.toml"),
        ),
    ];
    let all: Vec<(&str, &str)> = EMBEDDED.iter().copied().chain(chamber).collect();
    let definitions = load(&all).unwrap_or_else(|found| panic!("{found:?}"));
    let shown: Vec<String> = definitions[EMBEDDED.len()..]
        .iter()
        .flat_map(show)
        .collect();
    assert_eq!(
        shown,
        [
            "chamber_express.reco Chamber Express { max_events: 400, max_input_rate: 23000 } \
             [\"DQM\", \"MILLE\", \"RECO\"]",
            r#"chamber_calibration.harvest chamber_express.reco.MILLE AlcaHarvest(AlcaHarvest { timeout: None }) ["HARVEST"]"#,
            r#"chamber_prompt.reco Chamber EventAwareFile(EventAwareFile { max_events: 2000 }) ["AOD", "DQM"]"#,
            r#"chamber_dqm.harvest chamber_prompt.reco.DQM DqmHarvest ["DQM_RUN"]"#,
        ]
    );
    let tasks = definitions[EMBEDDED.len()..]
        .iter()
        .map(|one| &one.tasks[0]);
    for task in tasks {
        assert_eq!(task.parameters["detector"], "chamber");
    }
    let coordinate =
        |name, max_move_nano| coordinate(name, 3_000_000, max_move_nano, 20_000_000, 50);
    let gate = GateRule {
        tag: "alignment".into(),
        by: GateBy::Table(DecisionTable {
            n_min: 1_000,
            coordinates: vec![
                coordinate("offset_cm", 1_000_000_000),
                coordinate("drift", 200_000_000),
            ],
        }),
    };
    assert_eq!(definitions[EMBEDDED.len() + 1].tasks[0].calibrates, [gate]);
}

fn coordinate(
    name: &str,
    cut_nano: i64,
    max_move_nano: i64,
    max_error_nano: i64,
    min_share_permille: u32,
) -> CoordinateRule {
    CoordinateRule {
        name: name.to_owned(),
        cut_nano,
        max_move_nano,
        max_error_nano,
        min_sigma_milli: 2500,
        min_share_permille,
    }
}

/// What a definition with one gate judges by.
fn judged_by(table: &str) -> GateBy {
    let text = format!(
        "[pipeline]\nname = \"p\"\ntrigger = {{ stream = \"A\" }}\n[[task]]\nname = \"t\"\n\
         program = [\"x\"]\nsplit = {{ by = \"alca_harvest\" }}\n[[task.gate]]\ntag = \"pixels\"\n{table}\n"
    );
    let definitions = load(&[("p.toml", &text)]).unwrap_or_else(|found| panic!("{found:?}"));
    definitions[0].tasks[0].calibrates[0].by.clone()
}

/// The values are those of CMS, `CondFormats/PCLConfig/python/Thresholds_cff.py`.
#[test]
fn the_tables_of_si_pixel_ali_are_shipped_and_can_be_typed_out_with_other_numbers() {
    const UNIT_NANO: i64 = 1_000_000_000;
    let cuts = [("x_um", 5), ("y_um", 10), ("z_um", 15)];
    let turns = ["theta_x_urad", "theta_y_urad", "theta_z_urad"].map(|name| (name, 30));
    let expected = |max_move: i64, max_error: i64, share| {
        let rows = cuts.into_iter().chain(turns);
        let rows = rows.map(|(name, cut)| {
            let [cut, most, error] = [cut, max_move, max_error].map(|number| number * UNIT_NANO);
            coordinate(name, cut, most, error, share)
        });
        GateBy::Table(DecisionTable {
            n_min: 25_000,
            coordinates: rows.collect(),
        })
    };
    assert_eq!(judged_by("table = \"si_pixel_ali\""), expected(200, 10, 0));
    let high = judged_by("table = \"si_pixel_ali_hg\"");
    assert_eq!(high, expected(150, 10_000, 250));
    // The shipped file, typed out where it is used, with one number changed.
    let shipped = include_str!("../tables/si_pixel_ali.toml");
    let typed = shipped
        .replace("[[coordinate]]", "[[task.gate.table.coordinate]]")
        .replace("n_min = 25000", "[task.gate.table]\nn_min = 20000");
    let GateBy::Table(other) = judged_by(&typed) else {
        panic!("it is a table");
    };
    assert_eq!(other.n_min, 20_000);
    let coordinates = other.coordinates;
    assert_eq!(
        GateBy::Table(DecisionTable {
            n_min: 25_000,
            coordinates
        }),
        expected(200, 10, 0)
    );
}

#[test]
fn a_skim_reads_what_prompt_publishes() {
    let skim = ("zpeak.toml", include_str!("../examples/skim/zpeak.toml"));
    let all: Vec<(&str, &str)> = EMBEDDED.iter().copied().chain([skim]).collect();
    let definitions = load(&all).unwrap_or_else(|found| panic!("{found:?}"));
    let task = &definitions[EMBEDDED.len()].tasks[0];
    let shown = show(&definitions[EMBEDDED.len()]);
    assert!(
        shown[0].starts_with("zpeak.skim prompt.reco.AOD File("),
        "{shown:?}"
    );
    let window = ["column", "low", "high"].map(|name| task.parameters[name].as_str());
    assert_eq!(window, ["mass_corrected_gev", "80", "100"]);
}

#[test]
fn with_a_global_tag_the_conditions_are_its_records() {
    let again = include_str!("../examples/global_tag/again.toml");
    let labelled = again.replace("\"scale\"", "\"scale:fine.v2\"");
    for (text, second) in [(again, "scale"), (&labelled, "scale:fine.v2")] {
        let definitions = load(&[("again.toml", text)]).unwrap_or_else(|found| panic!("{found:?}"));
        let task = &definitions[0].tasks[0];
        let by = task.global_tag.as_ref().expect("it names one");
        let records: Vec<String> = by.records.iter().map(ToString::to_string).collect();
        assert_eq!(
            (by.name.as_str(), records),
            ("SUMMER", vec!["beamspot".to_owned(), second.to_owned()])
        );
        assert_eq!(task.conditions, [], "none of them is a tag");
    }
}

#[test]
fn one_line_of_each_section_is_enough() {
    let text = "[pipeline]\nname = \"spool\"\ntrigger = { stream = \"*\" }\n\
                [[task]]\nname = \"run\"\nprogram = [\"/bin/true\"]\n";
    let definitions = load(&[("spool.toml", text)]).expect("the least that can be written");
    assert_eq!(definitions[0].processing, "Spool-v1");
    assert!(matches!(&definitions[0].trigger, Trigger::Stream(stream) if stream.as_str() == "*"));
    let task = &definitions[0].tasks[0];
    assert_eq!(
        task.splitter,
        Splitter::File(File {
            files_per_job: 1,
            ..File::default()
        })
    );
    assert!(task.early && task.outputs.is_empty() && task.retry.rule.attempts == 3);
}

#[test]
fn tasks_stand_behind_those_they_read_from() {
    let text = "[pipeline]\nname = \"p\"\ntrigger = { stream = \"S\" }\n\
        [[task]]\nname = \"c\"\ninput = \"b.B\"\nprogram = [\"x\"]\n\
        [[task]]\nname = \"b\"\ninput = \"a.A\"\nprogram = [\"x\"]\noutputs = { B = \"json\" }\n\
        [[task]]\nname = \"a\"\nprogram = [\"x\"]\noutputs = { A = \"json\" }\n";
    let definitions = load(&[("p.toml", text)]).expect("a chain of three");
    let names: Vec<&str> = definitions[0]
        .tasks
        .iter()
        .map(|task| task.name.as_str())
        .collect();
    assert_eq!(names, ["a", "b", "c"]);
}

#[test]
fn a_retry_says_what_follows_from_which_failure() {
    let text = "[pipeline]\nname = \"p\"\ntrigger = { stream = \"S\" }\n\
        [[task]]\nname = \"a\"\nprogram = [\"x\"]\n\
        retry = { attempts = 30, policy = \"squared\", base = \"10s\", max_pause = \"1h\", \
        pause_every = 3, on = { 70 = { pause_every = 0 }, input = { attempts = 2 } }, \
        never = [50660, \"site\"], once_more = { longer_than = \"24h\", on = [8001] }, \
        on_memory = \"grow\", on_time = \"fail\", on_same_failure = \"split\", \
        factor = 1.5, memory_max = \"4GiB\", wall_max = \"2h\" }\n";
    let definitions = load(&[("p.toml", text)]).expect("all that can be said of a retry");
    let retry = &definitions[0].tasks[0].retry;
    let usual = RetryRule {
        attempts: 30,
        growth: Growth::Squared,
        base: Span::from_secs(10),
        pause_every: Some(3),
    };
    let (at_once, twice) = (Some(0), 2);
    let own_rules = [
        (
            Cause::Code(70),
            RetryRule {
                pause_every: at_once,
                ..usual
            },
        ),
        (
            Cause::Class(ExitClass::Input),
            RetryRule {
                attempts: twice,
                ..usual
            },
        ),
    ];
    let expect = RetryPolicy {
        rule: usual,
        own_rules: own_rules.into(),
        max_pause: Span::from_secs(3_600),
        never: [Cause::Code(50_660), Cause::Class(ExitClass::Site)].into(),
        once_more: OnceMore {
            longer_than: Some(Span::from_secs(86_400)),
            causes: [Cause::Code(8_001)].into(),
        },
        on_memory: Reaction::Grow,
        on_time: Reaction::Fail,
        on_same_failure: Reaction::Split,
        growth: NeedsGrowth {
            factor_hundredths: 150,
            memory_max: Some(Bytes(4 << 30)),
            wall_max: Some(Span::from_secs(7_200)),
        },
    };
    assert_eq!(*retry, expect);
}

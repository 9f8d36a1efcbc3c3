//! Pipelines laid together: what inherits what, what a configuration says over definitions, what
//! holds for which run.
//!
//! In come texts, out come the values in force for a run; every row is one value.

use model::ids::RunNumber;
use tier0_pipelines::assembly::{Assembled, Over, assemble};
use tier0_pipelines::choice::Eras;
use tier0_pipelines::definition::{Definition, Task};
use tier0_pipelines::document::Document;
use tier0_pipelines::draft::Draft;
use tier0_pipelines::reader::Reader;

const PARENT: &str = r#"
[pipeline]
name = "prompt"
trigger = { stream = "Muons" }
budget = { seen_to_published = "48h", target = 0.9 }
processing = "Prompt-v1"
[task_default]
needs = { cores = 2, memory = "2GiB" }
[[task]]
name = "reco"
program = ["x", "muons"]
split = { by = "event", events_per_job = { default = 750, from_run = { 100 = 500 } } }
needs = { cores = 8 }
outputs = { RECO = "parquet" }
[[task]]
name = "sum"
input = "reco.RECO"
split = { by = "alca_harvest" }
program = ["x"]
certifies = true
"#;

const CHILD: &str = r#"
[pipeline]
name = "cosmics"
inherits = "prompt"
trigger = { stream = "Cosmics" }
[task_default]
needs = { cores = 1 }
[[task]]
name = "reco"
program = ["x", "cosmics"]
split = { events_per_job = 10 }
[[task]]
name = "sum"
enabled = { default = true, era = { "B" = false } }
"#;

const CONFIGURATION: &str = r#"
era = [{ name = "A", from_run = 50 }, { name = "B", from_run = 200 }]
[pipelines]
folder = "elsewhere"
[pipelines.prompt]
budget = { seen_to_published = { default = "36h", era = { "A" = "24h" } } }
[pipelines.cosmics.task.reco]
needs = { memory = "3GiB" }
[dataset.default.task.reco]
retry = { attempts = 7 }
[dataset.Cosmics]
processing = "Cosmics-v2"
task = { reco = { retry = { attempts = 9 } } }
"#;

fn assembled() -> Assembled {
    let document = |file, text| Document::parse(file, text).expect("the text is TOML");
    let configuration = document("tier0.toml", CONFIGURATION);
    let reader = Reader::new(&configuration);
    let eras = Eras::read(&reader, configuration.root.get("era").expect("eras"));
    let over = Over {
        document: &configuration,
        pipelines: configuration.root.get("pipelines"),
        datasets: configuration.root.get("dataset"),
    };
    // The child comes first: the order of files does not matter.
    let files = vec![
        document("child.toml", CHILD),
        document("parent.toml", PARENT),
    ];
    let nobody_looks = &mut |_: &[Draft]| Vec::new();
    assemble(files, Some(over), &eras, None, nobody_looks)
        .unwrap_or_else(|found| panic!("all together is right: {found:#?}"))
}

fn pipeline(assembled: &Assembled, run: u32, name: &str) -> Definition {
    let mut all = assembled.definitions.resolve(RunNumber(run)).iter();
    let found = all.find(|definition| definition.name.as_str() == name);
    found.expect("it is there for every run").clone()
}

fn task(assembled: &Assembled, run: u32, name: &str, task: &str) -> Option<Task> {
    pipeline(assembled, run, name).task(&task.into()).cloned()
}

#[test]
fn later_layers_go_over_earlier_ones_value_by_value() {
    let all = assembled();
    let reco = |name: &str| task(&all, 1, name, "reco").expect("a task");
    let (own, inherited) = (reco("prompt"), reco("cosmics"));
    assert_eq!(own.program, ["x", "muons"]);
    assert_eq!(
        inherited.program,
        ["x", "cosmics"],
        "its own file goes over what it inherits"
    );
    assert_eq!(own.needs.cores, 8);
    assert_eq!(
        inherited.needs.cores, 8,
        "a default never goes over a value"
    );
    let sum = |name: &str| task(&all, 1, name, "sum").expect("a task");
    assert_eq!(sum("prompt").needs.cores, 2);
    assert_eq!(
        sum("cosmics").needs.cores,
        1,
        "its default goes over the inherited default"
    );
    assert_eq!(own.needs.memory.0, 2 << 30);
    assert_eq!(
        inherited.needs.memory.0,
        3 << 30,
        "the configuration goes over both"
    );
    assert_eq!(own.retry.rule.attempts, 7, "of every dataset");
    assert_eq!(inherited.retry.rule.attempts, 9, "of this dataset");
}

#[test]
fn who_it_is_and_what_only_one_decides_is_not_inherited() {
    let all = assembled();
    let (parent, child) = (pipeline(&all, 1, "prompt"), pipeline(&all, 1, "cosmics"));
    assert_eq!(parent.processing, "Prompt-v1");
    assert_eq!(child.processing, "Cosmics-v2", "from its dataset's options");
    assert_ne!(parent.trigger, child.trigger);
    assert_eq!(
        child.budget, parent.budget,
        "with what the configuration says of the parent"
    );
    assert!(task(&all, 1, "prompt", "sum").expect("a task").certifies);
    assert!(!task(&all, 1, "cosmics", "sum").expect("a task").certifies);
}

#[test]
fn the_era_goes_first_then_the_run_then_the_default() {
    let all = assembled();
    let hours = |run: u32| {
        let budget = pipeline(&all, run, "prompt").budget.expect("a budget");
        (budget.seen_to_published.as_secs_f64() / 3_600.0) as u32
    };
    let events = |run: u32| {
        format!(
            "{:?}",
            task(&all, run, "prompt", "reco").expect("a task").splitter
        )
    };
    let has_sum = |run: u32| task(&all, run, "cosmics", "sum").is_some();
    for (run, budget, cut, sum) in [
        (1, 36, "750", true),
        (49, 36, "750", true),
        (50, 24, "750", true),
        (99, 24, "750", true),
        (100, 24, "500", true),
        (199, 24, "500", true),
        (200, 36, "500", false),
        (u32::MAX, 36, "500", false),
    ] {
        assert_eq!(hours(run), budget, "run {run}");
        assert!(events(run).contains(cut), "run {run}: {}", events(run));
        assert_eq!(has_sum(run), sum, "run {run}");
    }
    let firsts: Vec<u32> = all.firsts().map(|run| run.0).collect();
    assert_eq!(firsts, [0, 50, 100, 200]);
    let typed = &all.typed(RunNumber(60))["prompt"];
    assert_eq!(typed["budget.seen_to_published"], "\"24h\"");
    assert_eq!(typed["task reco: split.events_per_job"], "750");
}

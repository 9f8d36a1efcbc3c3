//! `tier0 file`: list, show, trace, lineage, verify, what was set aside, what will never come.
//!
//! In: the verb's arguments. Out: tables or documents. Files of the detector and outputs have ids
//! that never meet, so one number names either. Must never open a file: the instance does.

use super::Desk;
use super::client::{rows, shape};
use super::manner::{Lumis, Manner};
use super::outcome::{Exit, Failure};
use super::table::{Table, facts, lumis, or_dash, seconds, to_second};
use clap::Subcommand;
use serde_json::{Value, json};
use view::dataset::OutputView;
use view::file::{FileView, SetAsideView, SourceView};
use view::lineage::{FileLineageView, RelativeView, TraceView, VerificationView};

/// What can be done with files.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum FileVerb {
    /// List accepted files of the detector, outputs, or what was set aside
    #[command(after_help = LS_EXAMPLES)]
    Ls {
        /// Only of this run
        #[arg(long)]
        run: Option<u32>,
        /// Only of this stream of the detector
        #[arg(long, conflicts_with = "dataset")]
        stream: Option<String>,
        /// Outputs of this dataset
        #[arg(long)]
        dataset: Option<String>,
        /// Files of the detector that are accepted or late, outputs that are published or
        /// unpublished, or what was set aside
        #[arg(long, value_parser = STATES)]
        state: Option<String>,
        /// At most so many rows
        #[arg(long, default_value_t = 1_000)]
        limit: u64,
    },
    /// Show one file of the detector or output
    #[command(after_help = "Examples:\n  tier0 file show 17")]
    Show {
        /// Its identity, as lists show it
        id: i64,
    },
    /// Say that lumis, or named files, will never come
    #[command(after_help = "Examples:\n  \
                            tier0 file declare-lost --run 148031 --stream Muons --lumis 5-9 \
                            --dry-run\n  \
                            tier0 file declare-lost --run 148031 --stream Muons --lumis 5 \
                            --file run148031_ls0005_Muons_2.raw --events 120 --reason \"disk lost\"")]
    DeclareLost {
        /// Their run
        #[arg(long)]
        run: u32,
        /// Only of this stream
        #[arg(long)]
        stream: Option<String>,
        /// The lumi, or the range of them
        #[arg(long)]
        lumis: Lumis,
        /// A file of the one lumi and stream; may be given more than once
        #[arg(long = "file", value_name = "NAME")]
        files: Vec<String>,
        /// Events that each of the files held
        #[arg(long, default_value_t = 0)]
        events: u64,
        #[command(flatten)]
        manner: Manner,
    },
    /// When a file, the jobs that worked on it, and what they made passed each hop
    #[command(after_help = "Examples:\n  tier0 file trace 17\n  tier0 file trace 17 --json")]
    Trace {
        /// Its identity, as lists show it
        id: i64,
    },
    /// What a file was made from, with what, and what was made from it
    #[command(after_help = "Examples:\n  tier0 file lineage 4711\n  tier0 file lineage 17 --json")]
    Lineage {
        /// Its identity, as lists show it
        id: i64,
    },
    /// Read a file back and compare it with what is recorded; exits with 1 when it differs
    #[command(after_help = "Examples:\n  tier0 file verify 4711")]
    Verify {
        /// Its identity, as lists show it
        id: i64,
    },
    /// List what could not be taken, and why
    #[command(after_help = "Examples:\n  tier0 file set-aside --json")]
    SetAside,
}

const STATES: [&str; 5] = ["accepted", "late", "published", "unpublished", "set-aside"];

const EXAMPLES: &str = "\
Examples:
  tier0 file ls --run 148031
  tier0 file trace 17
  tier0 file lineage 4711
  tier0 file verify 4711
  tier0 file set-aside";

const LS_EXAMPLES: &str = "\
Examples:
  tier0 file ls --run 148031 --json
  tier0 file ls --stream Muons --state late
  tier0 file ls --dataset /Muons/Express-v1/RECO --run 148031
  tier0 file ls --state unpublished";

pub(super) fn run(verb: &FileVerb, desk: &mut Desk) -> Result<Exit, Failure> {
    let client = desk.client()?;
    let read = |path: String| client.get(&path, &[]);
    match verb {
        FileVerb::Ls { .. } => ls(verb, desk),
        FileVerb::Show { id } => {
            let answer = read(format!("files/{id}"))?;
            if desk.common.json {
                return desk.document(&answer);
            }
            match answer["kind"].as_str() {
                Some("output") => show_output(&shape(answer)?, desk),
                _ => show(&shape(answer)?, desk),
            }
        }
        FileVerb::Trace { id } => trace(read(format!("files/{id}/trace"))?, desk),
        FileVerb::Lineage { id } => lineage(read(format!("files/{id}/lineage"))?, desk),
        FileVerb::Verify { id } => verify(read(format!("files/{id}/verification"))?, desk),
        FileVerb::SetAside => set_aside(read("set-aside".to_owned())?, desk),
        FileVerb::DeclareLost { .. } => declare_lost(verb, desk),
    }
}

fn declare_lost(verb: &FileVerb, desk: &mut Desk) -> Result<Exit, Failure> {
    let FileVerb::DeclareLost {
        run,
        stream,
        lumis,
        files,
        events,
        manner,
    } = verb
    else {
        return Ok(Exit::Fine);
    };
    let body = json!({
        "run": run,
        "stream": stream,
        "first_lumi": lumis.first,
        "last_lumi": lumis.last,
        "names": files,
        "events": events,
    });
    let parameters = manner.parameters();
    let answer = desk
        .client()?
        .post_with("files:declare-lost", &parameters, &body)?;
    manner.answered(&answer, desk)
}

fn ls(verb: &FileVerb, desk: &mut Desk) -> Result<Exit, Failure> {
    let FileVerb::Ls {
        run,
        stream,
        dataset,
        state,
        limit,
    } = verb
    else {
        return Ok(Exit::Fine);
    };
    let client = desk.client()?;
    let run = || ("run", run.map(|run| run.to_string()));
    let asked = || ("state", state.clone());
    match state.as_deref() {
        Some("set-aside") if run().1.is_some() || stream.is_some() || dataset.is_some() => {
            let why = "what was set aside belongs to no run, stream or dataset yet: ask for \
                       `tier0 file ls --state set-aside` alone";
            Err(Failure::Usage(why.to_owned()))
        }
        Some("set-aside") => set_aside(client.get("set-aside", &[])?, desk),
        Some(state @ ("accepted" | "late")) if dataset.is_some() => {
            let why = format!("no output is {state}: use --state published or unpublished");
            Err(Failure::Usage(why))
        }
        Some(state @ ("published" | "unpublished")) if stream.is_some() => {
            let why = format!("no file of a stream is {state}: use --state accepted or late");
            Err(Failure::Usage(why))
        }
        Some("published" | "unpublished") => {
            let of = [run(), ("dataset", dataset.clone()), asked()];
            outputs(client.list("outputs", &of, *limit)?, desk)
        }
        _ if dataset.is_some() => {
            let of = [run(), ("dataset", dataset.clone())];
            outputs(client.list("outputs", &of, *limit)?, desk)
        }
        _ => {
            let of = [run(), ("stream", stream.clone()), asked()];
            let answer = client.list("files", &of, *limit)?;
            if desk.common.json {
                return desk.document(&answer);
            }
            list(&rows(answer)?, desk)
        }
    }
}

fn list(files: &[FileView], desk: &mut Desk) -> Result<Exit, Failure> {
    let mut table = Table::new(&[
        "ID", "RUN", ">LUMI", "STREAM", ">EVENTS", ">BYTES", "SEEN", "NAME",
    ]);
    for file in files {
        table.row(vec![
            file.id.to_string(),
            file.run.to_string(),
            file.lumi.to_string(),
            file.stream.clone(),
            or_dash(file.events),
            file.bytes.to_string(),
            to_second(&file.seen_at),
            file.name.clone(),
        ]);
    }
    table.write(desk.out, "no files")?;
    Ok(Exit::Fine)
}

fn outputs(answer: Value, desk: &mut Desk) -> Result<Exit, Failure> {
    if desk.common.json {
        return desk.document(&answer);
    }
    let mut table = Table::new(&[
        "ID", "RUN", "LUMIS", "BLOCK", ">EVENTS", ">BYTES", "DATASET", "NAME",
    ]);
    for output in rows::<OutputView>(answer)? {
        table.row(vec![
            output.id.to_string(),
            output.run.to_string(),
            lumis(&output.lumis),
            or_dash(output.block),
            output.events.to_string(),
            output.bytes.to_string(),
            output.dataset,
            output.name,
        ]);
    }
    table.write(desk.out, "no outputs")?;
    Ok(Exit::Fine)
}

fn show(file: &FileView, desk: &mut Desk) -> Result<Exit, Failure> {
    let yes = |flag: bool| if flag { "yes" } else { "no" }.to_owned();
    facts(
        desk.out,
        &[
            ("file", file.id.to_string()),
            ("name", format!("{} in {}", file.name, file.profile)),
            (
                "run, lumi, stream",
                format!("{}, {}, {}", file.run, file.lumi, file.stream),
            ),
            ("label", file.label.clone()),
            ("bytes", file.bytes.to_string()),
            ("events", or_dash(file.events)),
            ("events processed", or_dash(file.events_processed)),
            ("events lost", or_dash(file.events_lost)),
            ("checksum", or_dash(file.checksum.as_ref())),
            ("only a report", yes(file.empty)),
            ("late", yes(file.late)),
            ("part of its run", file.part.to_string()),
            ("modified", file.modified_at.clone()),
            ("seen", file.seen_at.clone()),
            (
                "source",
                file.source
                    .as_ref()
                    .map_or("landed".to_owned(), |source| source.state.clone()),
            ),
        ],
    )?;
    if let Some(source) = &file.source {
        show_steps(source, desk)?;
    }
    Ok(Exit::Fine)
}

/// What the release of a source rests on.
fn show_steps(source: &SourceView, desk: &mut Desk) -> Result<(), Failure> {
    writeln!(desk.out)?;
    let mut table = Table::new(&["AT", "SOURCE", "COPY", ">BYTES", "ADLER32", "HOW", "BY"]);
    for step in &source.steps {
        let by = match &step.by {
            Some(person) => person.clone(),
            None => format!("agent {}, epoch {}", step.agent, step.epoch),
        };
        let how = if step.detail.is_empty() {
            step.how.clone()
        } else {
            format!("{}: {}", step.how, step.detail)
        };
        table.row(vec![
            step.at.clone(),
            format!("{} -> {}", step.from, step.to),
            or_dash(step.copy),
            or_dash(step.bytes),
            or_dash(step.adler32.as_ref()),
            how,
            by,
        ]);
    }
    table.write(desk.out, "no step is known")?;
    Ok(())
}

fn show_output(output: &OutputView, desk: &mut Desk) -> Result<Exit, Failure> {
    let block = output.block.map(|block| format!("in block {block}"));
    facts(
        desk.out,
        &[
            ("output", output.id.to_string()),
            ("name", output.name.clone()),
            ("dataset", output.dataset.clone()),
            ("published", block.unwrap_or_else(|| "no".to_owned())),
            ("run", output.run.to_string()),
            ("lumis", lumis(&output.lumis)),
            ("bytes", output.bytes.to_string()),
            ("events", output.events.to_string()),
            ("checksum", format!("adler32:{}", output.adler32)),
            (
                "made by",
                format!(
                    "job {} ({}.{}), attempt {}",
                    output.job, output.pipeline, output.task, output.attempt
                ),
            ),
            ("seen", output.seen_at.clone()),
            ("recorded", output.committed_at.clone()),
        ],
    )?;
    Ok(Exit::Fine)
}

/// A file in one line.
fn in_a_line(file: &RelativeView) -> String {
    format!(
        "{} {} in {}, run {} lumis {}, {} events: {}",
        file.kind,
        file.id,
        file.of,
        file.run,
        lumis(&file.lumis),
        or_dash(file.events),
        file.name
    )
}

fn trace(answer: Value, desk: &mut Desk) -> Result<Exit, Failure> {
    if desk.common.json {
        return desk.document(&answer);
    }
    let trace: TraceView = shape(answer)?;
    writeln!(desk.out, "{}", in_a_line(&trace.file))?;
    let mut table = Table::new(&["AT", ">AFTER", "HOP", "TASK", "JOB"]);
    for hop in trace.hops {
        table.row(vec![
            hop.at,
            seconds(hop.after_s),
            hop.hop,
            or_dash(hop.task),
            or_dash(hop.job),
        ]);
    }
    table.write(desk.out, "no hop is known")?;
    if trace.truncated {
        desk.say("there are more jobs than are shown");
    }
    Ok(Exit::Fine)
}

fn lineage(answer: Value, desk: &mut Desk) -> Result<Exit, Failure> {
    if desk.common.json {
        return desk.document(&answer);
    }
    let lineage: FileLineageView = shape(answer)?;
    writeln!(desk.out, "{}", in_a_line(&lineage.file))?;
    if let Some(maker) = &lineage.made_by {
        writeln!(
            desk.out,
            "made by job {} ({}.{}), attempt {}",
            maker.job, maker.pipeline, maker.task, maker.attempt
        )?;
        if let Some(recipe) = &maker.recipe {
            let (program, hash) = (&recipe.program, &recipe.config_hash);
            writeln!(desk.out, "with `{program}`, configuration {hash}")?;
            if let Some(global) = &recipe.global_tag {
                writeln!(desk.out, "with constants of the global tag {global}")?;
            }
            for constant in &recipe.constants {
                let (tag, hash) = (&constant.tag, &constant.hash);
                let since = view::conditions::shown(constant.since, &constant.time_type);
                writeln!(desk.out, "with {tag} since {since}, {hash}")?;
            }
        }
    }
    for (relation, relatives) in [("from", &lineage.parents), ("to", &lineage.children)] {
        for relative in relatives {
            let indent = "  ".repeat(relative.depth as usize);
            writeln!(desk.out, "{indent}{relation} {}", in_a_line(relative))?;
        }
    }
    if lineage.truncated {
        desk.say("there is more than is shown");
    }
    Ok(Exit::Fine)
}

fn verify(answer: Value, desk: &mut Desk) -> Result<Exit, Failure> {
    let seen: VerificationView = shape(answer.clone())?;
    let exit = match seen.result.as_str() {
        "intact" | "only-size" => Exit::Fine,
        _ => Exit::Problems,
    };
    if desk.common.json {
        desk.document(&answer)?;
        return Ok(exit);
    }
    writeln!(desk.out, "{}: {}: {}", seen.name, seen.result, seen.detail)?;
    Ok(exit)
}

fn set_aside(answer: Value, desk: &mut Desk) -> Result<Exit, Failure> {
    if desk.common.json {
        return desk.document(&answer);
    }
    let things: Vec<SetAsideView> = rows(answer)?;
    let mut table = Table::new(&["PROFILE", "REASON", "SINCE", "NAME", "DETAIL"]);
    for thing in &things {
        table.row(vec![
            thing.profile.clone(),
            thing.refusal.clone(),
            to_second(&thing.at),
            thing.name.clone(),
            thing.detail.clone(),
        ]);
    }
    table.write(desk.out, "nothing was set aside")?;
    Ok(if things.is_empty() {
        Exit::Fine
    } else {
        Exit::Problems
    })
}

//! `tier0 calib export|import|protect|global|diff`: tags as a whole.
//!
//! In: the verb's arguments, and documents of conditions. Out: documents, tables, or what was done.
//! Must never change a document on its way.

use super::Desk;
use super::client::{rows, shape};
use super::manner::Manner;
use super::outcome::{Exit, Failure};
use super::table::{Table, or_dash, to_second};
use calibration::conditions::Register;
use calibration::conditions::difference::{Difference, RecordDifference};
use calibration::conditions::register::Point;
use clap::Args;
use model::conditions::Since;
use model::conditions_document::{ConditionsDocument, GlobalTagRow, MapRow, SCHEMA};
use model::ids::{LumiNumber, RunNumber};
use model::time::Moment;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use view::conditions::GlobalTagView;

/// Stands for stdin and stdout.
const STREAM: &str = "-";

/// Where to write.
#[derive(Debug, Args)]
pub struct Export {
    /// The file; - is stdout
    #[arg(default_value = STREAM)]
    file: PathBuf,
}

/// What to bring in.
#[derive(Debug, Args)]
pub struct Import {
    /// The document, as `calib export` writes it
    file: PathBuf,
    #[command(flatten)]
    manner: Manner,
}

/// Which tag takes nothing new.
#[derive(Debug, Args)]
pub struct Protect {
    /// The tag
    tag: String,
    /// Let it take new intervals again
    #[arg(long)]
    open: bool,
    #[command(flatten)]
    manner: Manner,
}

/// What a global tag is made of.
#[derive(Debug, Args)]
pub struct Global {
    /// Its name
    name: String,
    /// The tag of each record, as RECORD=TAG or RECORD:LABEL=TAG
    #[arg(required = true, value_name = "RECORD=TAG")]
    records: Vec<String>,
    /// Nothing inserted after this moment counts, UTC, e.g. 2026-11-27T19:48:13Z; now if not given
    #[arg(long, value_name = "TIME")]
    as_of: Option<String>,
    /// In words
    #[arg(long, default_value = "")]
    description: String,
    /// The release of the software it is for
    #[arg(long, default_value = "")]
    release: String,
    #[command(flatten)]
    manner: Manner,
}

/// What to compare.
#[derive(Debug, Args)]
pub struct Diff {
    /// A tag, or with --global a global tag
    left: String,
    /// Another
    right: String,
    /// They are global tags, each as of its own moment
    #[arg(long)]
    global: bool,
    /// From this run; tags that count by time are compared whole
    #[arg(long, default_value_t = 1)]
    from: u32,
    /// Up to and with this run
    #[arg(long, default_value_t = u32::MAX)]
    to: u32,
}

pub(super) fn export(asked: &Export, desk: &mut Desk) -> Result<Exit, Failure> {
    let document = desk.client()?.get("tags:export", &[])?;
    let text = format!("{document:#}\n");
    if asked.file.as_os_str() == STREAM {
        desk.out.write_all(text.as_bytes())?;
        return Ok(Exit::Fine);
    }
    std::fs::write(&asked.file, text).map_err(|error| {
        let file = asked.file.display();
        Failure::Usage(format!(
            "writing {file}: {error}; name a file in a folder that is there, or - for stdout"
        ))
    })?;
    desk.say(&format!("wrote {}", asked.file.display()));
    Ok(Exit::Fine)
}

pub(super) fn import(asked: &Import, desk: &mut Desk) -> Result<Exit, Failure> {
    let document = read(&asked.file)?;
    let parameters = asked.manner.parameters();
    let answer = desk
        .client()?
        .post_with("tags:import", &parameters, &document)?;
    asked.manner.answered(&answer, desk)
}

fn read(file: &Path) -> Result<Value, Failure> {
    let wrong = |why: String| {
        let file = file.display();
        Failure::Usage(format!(
            "{file} cannot be read as conditions ({why}); give what `tier0 calib export` wrote"
        ))
    };
    let text = std::fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?;
    serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))
}

pub(super) fn protect(asked: &Protect, desk: &mut Desk) -> Result<Exit, Failure> {
    let body = json!({ "tag": asked.tag, "protected": !asked.open });
    let parameters = asked.manner.parameters();
    let answer = desk
        .client()?
        .post_with("tags:protect", &parameters, &body)?;
    asked.manner.answered(&answer, desk)
}

pub(super) fn global(asked: &Global, desk: &mut Desk) -> Result<Exit, Failure> {
    let now = Moment::from_micros(
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| since.as_micros() as i64),
    );
    let snapshot_at = match &asked.as_of {
        None => now,
        Some(text) => Moment::parse(text).ok_or_else(|| {
            Failure::Usage(format!(
                "\"{text}\" is no moment; write it in UTC, as 2026-11-27T19:48:13Z"
            ))
        })?,
    };
    let records = asked.records.iter().map(|text| record(&asked.name, text));
    let document = ConditionsDocument {
        schema: SCHEMA,
        tags: Vec::new(),
        iovs: Vec::new(),
        payloads: Vec::new(),
        global_tags: vec![GlobalTagRow {
            name: asked.name.clone(),
            description: asked.description.clone(),
            release: asked.release.clone(),
            snapshot_time_us: snapshot_at.as_micros(),
            insertion_time_us: now.as_micros(),
        }],
        global_tag_map: records.collect::<Result<_, _>>()?,
    };
    let body = serde_json::to_value(document)
        .map_err(|error| Failure::Usage(format!("the global tag cannot be written ({error})")))?;
    let parameters = asked.manner.parameters();
    let answer = desk
        .client()?
        .post_with("tags:import", &parameters, &body)?;
    asked.manner.answered(&answer, desk)
}

/// Reads `RECORD=TAG` or `RECORD:LABEL=TAG`.
fn record(global: &str, text: &str) -> Result<MapRow, Failure> {
    let wrong = || {
        Failure::Usage(format!(
            "\"{text}\" is no record of a global tag; write RECORD=TAG or RECORD:LABEL=TAG"
        ))
    };
    let (key, tag) = text.split_once('=').ok_or_else(wrong)?;
    let (record, label) = key.split_once(':').unwrap_or((key, ""));
    if record.is_empty() || tag.is_empty() {
        return Err(wrong());
    }
    Ok(MapRow {
        global_tag_name: global.to_owned(),
        record: record.to_owned(),
        label: label.to_owned(),
        tag_name: tag.to_owned(),
    })
}

pub(super) fn globals(desk: &mut Desk) -> Result<Exit, Failure> {
    let answer = desk.client()?.get("global-tags", &[])?;
    if desk.common.json {
        return desk.document(&answer);
    }
    let mut table = Table::new(&["GLOBAL TAG", "AS OF", "RECORD", "TAG", "DESCRIPTION"]);
    let globals: Vec<GlobalTagView> = rows(answer)?;
    for global in &globals {
        for one in &global.tags {
            let label = Some(&one.label).filter(|label| !label.is_empty());
            let label = label.map_or_else(String::new, |label| format!(":{label}"));
            table.row(vec![
                global.global_tag.clone(),
                to_second(&global.snapshot_at),
                format!("{}{label}", one.record),
                one.tag.clone(),
                or_dash(Some(global.description.clone()).filter(|words| !words.is_empty())),
            ]);
        }
    }
    table.write(desk.out, "no global tags yet")?;
    Ok(Exit::Fine)
}

/// Compared here, with the rules of the wing: the instance only gives what it has.
pub(super) fn diff(asked: &Diff, desk: &mut Desk) -> Result<Exit, Failure> {
    let document: ConditionsDocument = shape(desk.client()?.get("tags:export", &[])?)?;
    let refused = |refusal: calibration::conditions::Refusal| Failure::Usage(refusal.to_string());
    let mut register = Register::default();
    register.import(&document).map_err(refused)?;
    // All lumis of the last run; moments have no runs here, so tags by time are compared whole.
    let point = |run: u32, lumi: u32, at: Moment| Point {
        run: RunNumber(run),
        lumi: LumiNumber(lumi),
        at,
    };
    let range = (
        point(asked.from, Since::FIRST_LUMI, Moment(0)),
        point(asked.to, u32::MAX, Moment::END_OF_TIME),
    );
    let differences = if asked.global {
        register.global_difference(&asked.left, &asked.right, range)
    } else {
        let (left, right) = (asked.left.as_str().into(), asked.right.as_str().into());
        let both = ((&left, i64::MAX), (&right, i64::MAX));
        let found = register.difference(both.0, both.1, range);
        found.map(|differences| {
            let differs = !differences.is_empty();
            let whole = RecordDifference {
                record: String::new(),
                label: String::new(),
                left: Some(left.clone()),
                right: Some(right.clone()),
                differences,
            };
            differs.then_some(whole).into_iter().collect()
        })
    };
    show(&differences.map_err(refused)?, &register, desk)
}

fn show(
    differences: &[RecordDifference],
    register: &Register,
    desk: &mut Desk,
) -> Result<Exit, Failure> {
    let exit = if differences.is_empty() {
        Exit::Fine
    } else {
        Exit::Problems
    };
    if desk.common.json {
        let items: Vec<Value> = differences.iter().map(in_json).collect();
        desk.document(&json!({ "schema": view::SCHEMA, "items": items }))?;
        return Ok(exit);
    }
    let mut table = Table::new(&["RECORD", "LEFT", "RIGHT", "FROM", "BEFORE", "PAYLOADS"]);
    for one in differences {
        let name = |tag: &Option<model::names::TagName>| or_dash(tag.as_ref());
        let mut row = |from: String, until: String, payloads: String| {
            table.row(vec![
                or_dash(Some(&one.record).filter(|record| !record.is_empty())),
                name(&one.left),
                name(&one.right),
                from,
                until,
                payloads,
            ]);
        };
        let by = one.left.as_ref().map(|tag| register.time_type(tag));
        let by = by.unwrap_or_default();
        for stretch in &one.differences {
            let until = or_dash(stretch.until.map(|until| until.listed(by)));
            row(stretch.from.listed(by), until, payloads(stretch));
        }
        if one.differences.is_empty() {
            row(
                "-".into(),
                "-".into(),
                "only one side has the record".into(),
            );
        }
    }
    table.write(desk.out, "no difference")?;
    Ok(exit)
}

fn payloads(stretch: &Difference) -> String {
    let short = |hash: &Option<String>| match hash {
        Some(hash) => hash.get(..12).unwrap_or(hash).to_owned(),
        None => "nothing".to_owned(),
    };
    format!("{} and {}", short(&stretch.left), short(&stretch.right))
}

fn in_json(one: &RecordDifference) -> Value {
    let stretches = one.differences.iter().map(|stretch| {
        json!({
            "from": stretch.from.0,
            "until": stretch.until.map(|until| until.0),
            "left": stretch.left,
            "right": stretch.right,
        })
    });
    json!({
        "record": one.record,
        "label": one.label,
        "left": one.left.as_ref().map(ToString::to_string),
        "right": one.right.as_ref().map(ToString::to_string),
        "differences": stretches.collect::<Vec<_>>(),
    })
}

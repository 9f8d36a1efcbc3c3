//! `tier0 db`: the database of the ledger and the register, without a running instance.
//!
//! In: the configuration, which names the database. Out: how it is, as a table or a document. Must
//! never change a row of anybody's work; `migrate` changes tables alone, and says which first.

use super::Desk;
use super::check::{Origin, mistaken, setting};
use super::instance::{start_failure, store_failure};
use super::outcome::{Exit, Failure};
use super::table::Table;
use clap::{Args, Subcommand};
use ports::store::StoreError;
use serde_json::json;
use store::Condition;

const EXAMPLES: &str = "\
Examples:
  tier0 --config site.toml db check
  tier0 --config site.toml db migrate --dry-run";

/// What can be done with the database.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum DbVerb {
    /// Look whether tables and rows are as they must be, and whether the server keeps what it says
    #[command(after_help = "Examples:\n  tier0 --config site.toml db check --json")]
    Check(DbArgs),
    /// Bring the tables up to date, as the start of an instance does
    #[command(after_help = "Examples:\n  tier0 --config site.toml db migrate --dry-run")]
    Migrate {
        /// Where the database is.
        #[command(flatten)]
        place: DbArgs,
        /// Only say which migrations would be run
        #[arg(long)]
        dry_run: bool,
    },
}

/// Where the database is.
#[derive(Debug, Args)]
pub struct DbArgs {
    /// A setting over file and environment, e.g. store.url=postgresql://tier0@db/tier0
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = setting)]
    settings: Vec<(String, String)>,
}

fn failed(error: StoreError) -> Failure {
    let text = error.to_string();
    store_failure(&error, text)
}

pub(super) fn run(verb: &DbVerb, desk: &mut Desk) -> Result<Exit, Failure> {
    let (DbVerb::Check(place) | DbVerb::Migrate { place, .. }) = verb;
    let origin = Origin::of(&place.settings, desk);
    let config = origin.checked().map_err(|found| mistaken(&found))?.config;
    let database = crate::serve::database_of(&config).map_err(|error| start_failure(&error))?;
    match verb {
        DbVerb::Check(_) => {}
        DbVerb::Migrate { dry_run: true, .. } => {
            let condition = database.condition().map_err(failed)?;
            let waiting: Vec<_> = waiting(&condition).collect();
            if desk.common.json {
                return desk.document(&json!({ "would_run": waiting }));
            }
            if waiting.is_empty() {
                writeln!(desk.out, "nothing to do: {database} is up to date")?;
            } else {
                writeln!(desk.out, "would run {}", waiting.join(", "))?;
            }
            return Ok(Exit::Fine);
        }
        DbVerb::Migrate { .. } => {
            let state = &config.instance.state;
            std::fs::create_dir_all(state).map_err(|error| {
                Failure::Start(format!(
                    "making the state folder {} failed: {error}; it holds the lock that keeps two \
                     from changing the tables at once: make it, or set instance.state",
                    state.display()
                ))
            })?;
            database.migrate(state).map_err(failed)?;
            desk.say(&format!("the tables of {database} are up to date"));
        }
    }
    let condition = database.condition().map_err(failed)?;
    tell(&database.to_string(), &condition, desk)
}

fn waiting(condition: &Condition) -> impl Iterator<Item = String> {
    let waiting = condition.migrations.iter().filter(|(.., done)| !done);
    waiting.map(|(number, name, _)| format!("{number:04} {name}"))
}

fn tell(database: &str, condition: &Condition, desk: &mut Desk) -> Result<Exit, Failure> {
    let exit = if condition.problems.is_empty() {
        Exit::Fine
    } else {
        Exit::Problems
    };
    if desk.common.json {
        let migrations: Vec<_> = condition
            .migrations
            .iter()
            .map(|(number, name, done)| json!({ "number": number, "name": name, "done": done }))
            .collect();
        desk.document(&json!({
            "database": database,
            "server": condition.server,
            "migrations": migrations,
            "problems": condition.problems,
        }))?;
        return Ok(exit);
    }
    writeln!(desk.out, "{database}: {}", condition.server)?;
    let mut table = Table::new(&["MIGRATION", "NAME", "DONE"]);
    for (number, name, done) in &condition.migrations {
        let done = if *done { "yes" } else { "no" };
        table.row(vec![
            format!("{number:04}"),
            (*name).to_owned(),
            done.to_owned(),
        ]);
    }
    table.write(desk.out, "this program knows no migrations")?;
    if waiting(condition).next().is_some() {
        writeln!(
            desk.out,
            "not all were run: tier0 db migrate, or the next start, does it"
        )?;
    }
    for problem in &condition.problems {
        writeln!(desk.out, "problem: {problem}")?;
    }
    Ok(exit)
}

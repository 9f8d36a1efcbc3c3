//! The command line: noun first, then verb.
//!
//! In: arguments. Out: results on `out` (tables for people, with `--json` one document for
//! scripts), talk on `talk`, an exit code. Verbs that read or command talk to the HTTP interface of
//! a running instance and know nothing but its shapes; the others are thin calls into the room that
//! does the work. Must never decide anything, touch a store, or list a verb that does nothing.

mod alarms;
mod audit;
mod bench;
mod calib;
mod check;
mod client;
mod conditions;
mod datasets;
mod db;
mod demo;
mod dqm;
mod fetch;
mod files;
mod inject;
mod instance;
mod jobs;
mod latency;
mod manner;
mod outcome;
mod pictures;
mod replay;
mod runs;
mod simulate;
mod table;
mod trend;
mod why;

pub use outcome::Exit;

use clap::{Args, Parser, Subcommand};
use client::Client;
use outcome::Failure;
use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  tier0 data fetch                       get the data sets of the demo
  tier0 inject --data Zmumu_Run2011A.csv --spool spool
  tier0 run ls                           runs of the running instance
  tier0 run show 148031 --json
  tier0 --server http://127.0.0.1:8080 job ls --state failed

Exit codes: 0 fine; 1 looked and found problems; 2 usage or configuration; 3 cannot reach a server
or service; 4 refused; 70 a bug; 74 storage no longer trusted.";

/// Prompt processing and production of an experiment.
#[derive(Debug, Parser)]
#[command(name = "tier0", version, about, after_help = EXAMPLES, arg_required_else_help = true)]
pub struct Cli {
    /// What holds for every verb.
    #[command(flatten)]
    pub common: Common,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What holds for every verb.
#[derive(Debug, Args)]
pub struct Common {
    /// Configuration file of the instance
    #[arg(long, global = true, value_name = "FILE", env = "TIER0_CONFIG")]
    pub config: Option<PathBuf>,
    /// Running instance to ask; otherwise the one whose address is in the state folder
    #[arg(long, global = true, value_name = "URL", env = "TIER0_SERVER")]
    pub server: Option<String>,
    /// State folder of the instance [default: state, beside the configuration file]
    // Not `--state`: that asks for jobs in a state.
    #[arg(long, global = true, value_name = "DIR", env = "TIER0_STATE")]
    pub state_dir: Option<PathBuf>,
    /// One JSON document on stdout instead of a table
    #[arg(long, global = true)]
    pub json: bool,
    /// No talk on stderr, only errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say what is asked of whom
    #[arg(short, long, global = true)]
    pub verbose: bool,
}

/// The nouns.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// The main job with embedded parts, in short acts
    Demo(demo::DemoArgs),
    /// Run an instance
    Serve(instance::ServeArgs),
    /// Check configuration and pipelines without starting anything
    Check(check::CheckArgs),
    /// What the code of a mistake means and what to do
    Explain(check::ExplainArgs),
    /// Runs: list, show, start, stop
    #[command(subcommand)]
    Run(runs::RunVerb),
    /// Files: list, show, trace, lineage, verify, what was set aside
    #[command(subcommand)]
    File(files::FileVerb),
    /// Jobs: list, show, what failed attempts said, try again
    #[command(subcommand)]
    Job(jobs::JobVerb),
    /// Why something waits: a run, stream, lumi, task, job or file
    Why(why::WhyArgs),
    /// Latencies against budgets
    #[command(subcommand)]
    Latency(latency::LatencyVerb),
    /// Datasets: list, show, files, lumis, lineage, digest of their content
    #[command(subcommand)]
    Dataset(datasets::DatasetVerb),
    /// Conditions: tags, intervals, decisions, constants
    #[command(subcommand)]
    Calib(calib::CalibVerb),
    /// Data quality: verdicts, histograms, good-run list
    #[command(subcommand)]
    Dqm(dqm::DqmVerb),
    /// Alarms that stand
    #[command(subcommand)]
    Alarm(alarms::AlarmVerb),
    /// Who did what
    #[command(subcommand)]
    Audit(audit::AuditVerb),
    /// The database: check, migrate
    #[command(subcommand)]
    Db(db::DbVerb),
    /// The engine in a simulated world, seed by seed
    Simulate(simulate::SimulateArgs),
    /// Everything that an engine was told, once more, from its journal
    Replay(replay::ReplayArgs),
    /// Play a data set into a spool folder as a data acquisition would
    Inject(inject::InjectArgs),
    /// Run one of the reference job programs
    Program(inject::ProgramArgs),
    /// Data sets of the demo: list, fetch
    #[command(subcommand)]
    Data(fetch::DataVerb),
    /// Measure a real instance against its raw limit
    #[command(subcommand)]
    Bench(bench::BenchVerb),
}

/// What every verb gets: the common arguments and where to write.
pub(crate) struct Desk<'a> {
    common: &'a Common,
    out: &'a mut dyn Write,
    talk: &'a mut dyn Write,
}

impl Desk<'_> {
    /// A line for people, unless they want none.
    fn say(&mut self, line: &str) {
        if !self.common.quiet {
            // Nobody who listens is no reason to stop working.
            let _ = writeln!(self.talk, "{line}");
        }
    }

    /// One JSON document.
    fn document(&mut self, document: &serde_json::Value) -> Result<Exit, Failure> {
        writeln!(self.out, "{document:#}")?;
        Ok(Exit::Fine)
    }

    /// A connection to the running instance.
    fn client(&mut self) -> Result<Client, Failure> {
        let client = Client::find(self.common)?;
        if self.common.verbose {
            self.say(&format!("asking {}", client.base()));
        }
        Ok(client)
    }
}

/// Runs one command line; gives the exit code of the process.
pub fn run(
    arguments: impl IntoIterator<Item = OsString>,
    out: &mut dyn Write,
    talk: &mut dyn Write,
) -> u8 {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return usage(&error, out, talk),
    };
    let mut desk = Desk {
        common: &cli.common,
        out,
        talk,
    };
    match dispatch(&cli.verb, &mut desk) {
        Ok(exit) => exit.code(),
        // Whoever reads our output has seen enough (`| head`).
        Err(Failure::Output(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => {
            Exit::Fine.code()
        }
        Err(failure) => {
            let _ = writeln!(desk.talk, "tier0: {failure}");
            failure.exit().code()
        }
    }
}

/// Help and version are results; everything else is a mistake in the arguments.
fn usage(error: &clap::Error, out: &mut dyn Write, talk: &mut dyn Write) -> u8 {
    let text = error.render();
    if error.use_stderr() {
        let _ = write!(talk, "{text}");
        Exit::Usage.code()
    } else {
        let _ = write!(out, "{text}");
        Exit::Fine.code()
    }
}

fn dispatch(verb: &Verb, desk: &mut Desk) -> Result<Exit, Failure> {
    match verb {
        Verb::Demo(arguments) => demo::demo(arguments, desk),
        Verb::Serve(arguments) => instance::serve(arguments, desk),
        Verb::Check(arguments) => check::check_all(arguments, desk),
        Verb::Explain(arguments) => check::explain(arguments, desk),
        Verb::Run(verb) => runs::run(verb, desk),
        Verb::File(verb) => files::run(verb, desk),
        Verb::Job(verb) => jobs::run(verb, desk),
        Verb::Why(arguments) => why::run(arguments, desk),
        Verb::Audit(verb) => audit::run(verb, desk),
        Verb::Latency(verb) => latency::run(verb, desk),
        Verb::Dataset(verb) => datasets::run(verb, desk),
        Verb::Calib(verb) => calib::run(verb, desk),
        Verb::Dqm(verb) => dqm::run(verb, desk),
        Verb::Alarm(verb) => alarms::run(verb, desk),
        Verb::Db(verb) => db::run(verb, desk),
        Verb::Simulate(arguments) => simulate::run(arguments, desk),
        Verb::Replay(arguments) => replay::run(arguments, desk),
        Verb::Inject(arguments) => inject::run(arguments, desk),
        Verb::Program(arguments) => Ok(inject::program(arguments)),
        Verb::Data(verb) => fetch::run(verb, desk),
        Verb::Bench(verb) => bench::run(verb, desk),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    /// Runs a command line; gives exit code, output and talk.
    fn tier0(arguments: &[&str]) -> (u8, String, String) {
        let (mut out, mut talk) = (Vec::new(), Vec::new());
        let all = std::iter::once("tier0")
            .chain(arguments.iter().copied())
            .map(OsString::from);
        let code = run(all, &mut out, &mut talk);
        (
            code,
            String::from_utf8(out).unwrap(),
            String::from_utf8(talk).unwrap(),
        )
    }

    #[test]
    fn every_help_has_examples() {
        fn check(command: &clap::Command) {
            let help = command
                .get_after_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            let shown = help.contains("Examples:\n  ") && help.contains("tier0 ");
            assert!(shown, "{} has no examples in its help", command.get_name());
            command
                .get_subcommands()
                .filter(|c| c.get_name() != "help")
                .for_each(check);
        }
        let command = Cli::command();
        command.clone().debug_assert();
        check(&command);
    }

    #[test]
    fn exit_codes_and_streams_are_what_scripts_expect() {
        let check = |arguments: &[&str], code: u8, part: &str| {
            let (got, out, talk) = tier0(arguments);
            assert_eq!(got, code, "{arguments:?}: {out}{talk}");
            let (speaks, silent) = if code == 0 { (out, talk) } else { (talk, out) };
            assert!(speaks.contains(part), "{arguments:?}: {speaks}");
            assert!(silent.is_empty(), "{arguments:?}: {silent}");
        };
        check(&["--help"], 0, "Exit codes:");
        check(&["--version"], 0, "tier0 ");
        check(&["run", "ls", "--help"], 0, "tier0 run ls");
        check(&["frobnicate"], 2, "frobnicate");
        check(&["run", "show", "many"], 2, "many");
        check(&["-q", "-v", "run", "ls"], 2, "cannot be used with");
        let nobody = tempfile::tempdir().unwrap();
        let nobody = nobody.path().to_str().unwrap();
        check(&["--state-dir", nobody, "run", "ls"], 3, "api.addr");
        // The state of a job is not the state folder.
        let failed = ["job", "ls", "--state", "failed"];
        let failed = [&["--state-dir", nobody], &failed[..]].concat();
        check(&failed, 3, "api.addr");
        check(
            &["--server", "http://127.0.0.1:9", "run", "ls"],
            3,
            "127.0.0.1:9",
        );
        check(
            &["--server", "https://far.example", "run", "ls"],
            2,
            "http://",
        );
    }
}

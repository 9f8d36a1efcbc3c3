//! `tier0 dqm`: verdicts and the good-run list.
//!
//! In: the verb's arguments. Out: tables or documents; the good-run list in the CMS JSON format, as
//! other programs read it. Must never put real and simulated runs into one list.

use super::Desk;
use super::client::rows;
use super::outcome::{Exit, Failure};
use super::table::{Table, lumis, or_dash};
use clap::Subcommand;
use view::quality::QualityView;

/// What can be done with data quality.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:\n  tier0 dqm show\n  tier0 dqm show 148031\n  tier0 dqm golden")]
pub enum DqmVerb {
    /// Show verdicts; of one run with every test
    #[command(after_help = "Examples:\n  tier0 dqm show\n  tier0 dqm show 148031 --json")]
    Show {
        /// Only of this run
        run: Option<u32>,
    },
    /// Print the good-run list (CMS JSON format)
    #[command(after_help = "Examples:\n  tier0 dqm golden > good-runs.json")]
    Golden {
        /// real or simulated
        #[arg(long, default_value = "real")]
        label: String,
    },
}

pub(super) fn run(verb: &DqmVerb, desk: &mut Desk) -> Result<Exit, Failure> {
    let client = desk.client()?;
    match verb {
        DqmVerb::Show { run } => {
            let answer = client.get("dqm", &[("run", run.map(|run| run.to_string()))])?;
            if desk.common.json {
                return desk.document(&answer);
            }
            let verdicts: Vec<QualityView> = rows(answer)?;
            list(&verdicts, desk)?;
            if run.is_some() {
                tests(&verdicts, desk)?;
            }
            let bad = verdicts.iter().any(|quality| quality.verdict == "bad");
            Ok(if bad { Exit::Problems } else { Exit::Fine })
        }
        DqmVerb::Golden { label } => {
            let answer = client.get("good-runs", &[("label", Some(label.clone()))])?;
            writeln!(desk.out, "{answer}")?;
            Ok(Exit::Fine)
        }
    }
}

fn list(verdicts: &[QualityView], desk: &mut Desk) -> Result<(), Failure> {
    let mut table = Table::new(&["RUN", "VERDICT", ">TESTS", "CERTIFIED LUMIS", "REFUSED"]);
    for quality in verdicts {
        table.row(vec![
            quality.run.to_string(),
            quality.verdict.clone(),
            quality.tests.len().to_string(),
            lumis(&quality.certified),
            or_dash(quality.refused.as_ref()),
        ]);
    }
    table.write(desk.out, "no verdicts yet")?;
    Ok(())
}

fn tests(verdicts: &[QualityView], desk: &mut Desk) -> Result<(), Failure> {
    let mut table = Table::new(&["TEST", "HISTOGRAM", ">STATUS", ">VALUE", "MESSAGE"]);
    for test in verdicts.iter().flat_map(|quality| &quality.tests) {
        table.row(vec![
            test.name.clone(),
            test.histogram.clone(),
            test.status.to_string(),
            test.value.to_string(),
            test.message.clone(),
        ]);
    }
    writeln!(desk.out)?;
    table.write(desk.out, "no tests")?;
    Ok(())
}

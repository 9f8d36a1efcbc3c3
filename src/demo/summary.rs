//! What the demo tells at the end: one document (contracts, section 9), and the same for people.

use super::figures::{Figure, NO_MEASUREMENT, Summed};
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt::Write;
use view::units::RunUnitsView;

/// The whole demo.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// Version of this shape.
    pub schema: u32,
    /// The acts in order.
    pub acts: Vec<ActSummary>,
}

/// One act; what it does not have is absent.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ActSummary {
    /// Its number.
    pub act: u8,
    /// What its data are.
    pub label: String,
    /// `done` or `not run`.
    pub status: String,
    /// The data set that was played.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Why it was not run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Everything added up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub totals: Option<Totals>,
    /// Its runs in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub runs: Vec<RunSummary>,
    /// The beam spot of all runs together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beamspot: Option<BeamSpotSummary>,
    /// Half width of the impact parameter with one beam spot for all, and with the loop's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub residual: Option<ResidualSummary>,
    /// The Z peak as the last accepted scale found it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub z_peak: Option<PeakSummary>,
    /// The last accepted scale.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale: Option<ScaleSummary>,
    /// Fit against truth, where the truth is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pulls: Option<PullSummary>,
    /// Truth, fit, error and pull of each run, where the truth is known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub truth: Vec<TruthRow>,
    /// The good-run list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub good_runs_path: Option<String>,
    /// The report for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report_path: Option<String>,
    /// sha256 over what was published: content only, no names, no times.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Wall time of the act.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wall_s: Option<f64>,
    /// Pictures for the report.
    #[serde(skip)]
    pub(super) figures: Vec<Figure>,
    /// Histograms that are shown beside those of another act.
    #[serde(skip)]
    pub(super) monitors: BTreeMap<&'static str, Summed>,
}

/// An act added up.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Totals {
    /// Runs played.
    pub runs: u64,
    /// Runs closed.
    pub runs_closed: u64,
    /// Files accepted.
    pub files: u64,
    /// Events in them.
    pub events_in: u64,
    /// Events that prompt published.
    pub events_out: u64,
    /// Jobs made.
    pub jobs: u64,
    /// Jobs failed for good.
    pub jobs_failed: u64,
}

/// One run.
#[derive(Clone, Debug, Serialize)]
pub struct RunSummary {
    /// Its number.
    pub run: u32,
    /// Files accepted.
    pub files: u64,
    /// Lumis announced.
    pub lumis: u64,
    /// Events in the files.
    pub events_in: u64,
    /// Events that prompt published.
    pub events_out: u64,
    /// Events in each dataset that holds events.
    pub events_by_dataset: BTreeMap<String, u64>,
    /// Express, from file seen to output recorded.
    pub express_p50_s: f64,
    /// The same, 99%.
    pub express_p99_s: f64,
    /// What it may take.
    pub budget_s: Option<f64>,
    /// Jobs that took longer.
    pub missed: u64,
    /// From the last file seen to the verdict and good-run list; absent without a verdict.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub critical_path_s: Option<f64>,
    /// The programs' own time on the longest chain in that stretch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program_s: Option<f64>,
    /// The rest: what the system itself took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overhead_s: Option<f64>,
    /// Units inside its files, as programs have accounted for them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub units: Vec<RunUnitsView>,
    /// Its photomultipliers, where it has any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub photomultipliers: Option<PhotomultiplierSummary>,
    /// Decisions on its constants.
    pub constants: Vec<ConstantSummary>,
    /// What the quality tests add up to.
    pub verdict: String,
    /// The quality tests.
    pub tests: Vec<TestSummary>,
    /// Why it is not in the good-run list, if it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// Its datasets.
    pub datasets: Vec<String>,
}

/// A telescope's photomultipliers over the time slices of a run.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct PhotomultiplierSummary {
    /// How many there are.
    pub photomultipliers: u64,
    /// Those that never counted.
    pub silent: u64,
    /// Those that never counted although the data acquisition vetoed them for counting too much.
    pub silent_and_vetoed: u64,
    /// Rates read: one for each photomultiplier and time slice.
    pub readings: u64,
    /// Those with the data acquisition's veto for too high a rate.
    pub readings_vetoed: u64,
    /// Those with the veto and a rate below the veto's threshold.
    pub readings_vetoed_below_20_khz: u64,
}

/// One decision.
#[derive(Clone, Debug, Serialize)]
pub struct ConstantSummary {
    /// The tag.
    pub tag: String,
    /// The interval in force for the run begins here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<u32>,
    /// What was measured on the run.
    pub values: Map<String, Value>,
    /// The standard errors.
    pub errors: Map<String, Value>,
    /// What the gate decided.
    pub gate: String,
    /// Why.
    pub reason: String,
}

/// One quality test.
#[derive(Clone, Debug, Serialize)]
pub struct TestSummary {
    /// The test.
    pub name: String,
    /// What it looked at.
    pub histogram: String,
    /// Status number of the field: 100 good, 200 warning, 300 error.
    pub status: u32,
    /// The sentence.
    pub message: String,
}

/// The beam spot of all tracks of an act.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct BeamSpotSummary {
    /// Position.
    pub x0_cm: f64,
    /// Position.
    pub y0_cm: f64,
    /// Standard error.
    pub x0_err_cm: f64,
    /// Standard error.
    pub y0_err_cm: f64,
    /// Intervals of validity that the loop opened.
    pub iovs: u64,
}

/// Half widths (68%) of the impact parameter.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ResidualSummary {
    /// Against one beam spot for all runs.
    pub before_um: f64,
    /// As prompt corrected it.
    pub after_um: f64,
}

/// A mass peak.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct PeakSummary {
    /// Position.
    pub gev: f64,
    /// Standard error.
    pub err_gev: f64,
}

/// A momentum scale.
#[derive(Clone, Debug, Serialize)]
pub struct ScaleSummary {
    /// What momenta are multiplied by.
    pub k: f64,
    /// Standard error.
    pub err: f64,
    /// What the gate decided.
    pub gate: String,
}

/// (fit - truth) / error.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct PullSummary {
    /// Mean.
    pub mean: f64,
    /// Root of the variance.
    pub width: f64,
    /// How many.
    pub n: u64,
}

/// Truth against fit for one run.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct TruthRow {
    /// The run.
    pub run: u32,
    /// Truth, fit, error and pull of x0.
    pub x0: [f64; 4],
    /// Truth, fit, error and pull of y0.
    pub y0: [f64; 4],
    /// Whether an interval of validity begins with this run.
    pub new_iov: bool,
}

impl ActSummary {
    /// An act whose data could not be had.
    pub(super) fn not_run(act: u8, label: &str, reason: String) -> Self {
        Self {
            act,
            label: label.to_owned(),
            status: "not run".to_owned(),
            reason: Some(reason),
            ..Self::default()
        }
    }
}

impl ActSummary {
    /// Whether the data were recorded.
    pub(super) fn is_real(&self) -> bool {
        self.label.starts_with("REAL")
    }

    /// What must be said beside a mass.
    pub(super) fn honesty(&self) -> &'static str {
        if self.is_real() {
            NO_MEASUREMENT
        } else {
            "simulated without final-state radiation and trigger bias"
        }
    }
}

impl RunSummary {
    /// What programs found inside the run's files, in sentences.
    pub(super) fn found_inside(&self) -> Vec<String> {
        let mut said = Vec::new();
        for row in &self.units {
            let (task, n) = (&row.task, row.accounts);
            let how = if row.complete {
                "complete"
            } else {
                "incomplete"
            };
            said.push(format!(
                "{how}: {} of {} {}; {} absent, {} partial, {} out of order (counted by {n} job of \
                 {task})",
                row.present, row.expected, row.units, row.absent, row.partial, row.out_of_order
            ));
            for account in &row.lacking {
                said.push(format!("{} - {}", account.summary, account.note));
            }
        }
        if let Some(of) = self.photomultipliers {
            said.push(format!(
                "{} photomultipliers, {} silent, {} of them vetoed by the data acquisition; {} of \
                 {} readings vetoed, {} of these below 20 kHz",
                of.photomultipliers,
                of.silent,
                of.silent_and_vetoed,
                of.readings_vetoed,
                of.readings,
                of.readings_vetoed_below_20_khz
            ));
        }
        said
    }
}

/// Seconds as milliseconds, or a dash where there are none.
pub(super) fn milliseconds(seconds: Option<f64>) -> String {
    seconds.map_or_else(|| "-".to_owned(), |s| format!("{:.1} ms", s * 1e3))
}

impl Summary {
    pub(super) fn of(acts: Vec<ActSummary>) -> Self {
        Self { schema: 1, acts }
    }

    /// Whether every act that was played did what it should: runs closed, no job failed, no event
    /// lost.
    pub fn is_fine(&self) -> bool {
        self.acts.iter().filter_map(|act| act.totals).all(|totals| {
            totals.runs == totals.runs_closed
                && totals.jobs_failed == 0
                && totals.events_in == totals.events_out
        })
    }

    /// The summary for people.
    pub fn text(&self) -> String {
        let mut out = String::new();
        let written = self.write_text(&mut out);
        assert!(written.is_ok(), "writing into a string cannot fail");
        out
    }

    fn write_text(&self, out: &mut String) -> std::fmt::Result {
        let name = |act: &&ActSummary| match &act.reason {
            None => format!("{} ({})", act.act, act.label),
            Some(_) => format!("{} ({}: its data could not be had)", act.act, act.label),
        };
        let list = |acts: &[&ActSummary]| acts.iter().map(name).collect::<Vec<_>>().join(", ");
        let (played, not): (Vec<&ActSummary>, Vec<&ActSummary>) =
            self.acts.iter().partition(|act| act.status == "done");
        match played.as_slice() {
            [one] => write!(out, "act {} alone was played", list(&[one]))?,
            several => write!(out, "played: acts {}", list(several))?,
        }
        if !not.is_empty() {
            write!(out, "; not run: {}", list(&not))?;
        }
        writeln!(
            out,
            "\nstages: arrival, bookkeeping, splitting, dispatch, execution, outputs, \
        calibration, dqm, publication"
        )?;
        for act in &self.acts {
            act.write_text(out)?;
        }
        Ok(())
    }
}

impl ActSummary {
    fn write_text(&self, out: &mut String) -> std::fmt::Result {
        writeln!(
            out,
            "\n== act {}: {} - {}",
            self.act, self.label, self.status
        )?;
        if let Some(reason) = &self.reason {
            writeln!(out, "   {reason}")?;
        }
        let Some(totals) = self.totals else {
            return Ok(());
        };
        writeln!(
            out,
            "   {} runs ({} closed), {} files, events in {} out {}, {} jobs ({} failed), {:.1} s",
            totals.runs,
            totals.runs_closed,
            totals.files,
            totals.events_in,
            totals.events_out,
            totals.jobs,
            totals.jobs_failed,
            self.wall_s.unwrap_or(0.0)
        )?;
        self.write_runs(out)?;
        self.write_physics(out)?;
        if let Some(path) = &self.good_runs_path {
            writeln!(out, "   good-run list: {path}")?;
        }
        if let Some(digest) = &self.digest {
            writeln!(out, "   digest of what was published: {digest}")?;
        }
        Ok(())
    }

    fn write_runs(&self, out: &mut String) -> std::fmt::Result {
        writeln!(
            out,
            "   run     files lumis events  express p50/p99 (budget)   critical  programs  \
            overhead  verdict"
        )?;
        for run in &self.runs {
            let budget = run
                .budget_s
                .map_or_else(|| "none".to_owned(), |s| format!("{s:.0} s"));
            writeln!(
                out,
                "   {:<7} {:>5} {:>5} {:>6}  {:>6.1}/{:<6.1} ms ({budget}) {:>12} {:>9} \
                {:>9}  {}",
                run.run,
                run.files,
                run.lumis,
                run.events_in,
                run.express_p50_s * 1e3,
                run.express_p99_s * 1e3,
                milliseconds(run.critical_path_s),
                milliseconds(run.program_s),
                milliseconds(run.overhead_s),
                run.verdict
            )?;
            for line in run.found_inside() {
                writeln!(out, "           {line}")?;
            }
            for constant in &run.constants {
                let since = constant
                    .since
                    .map_or_else(String::new, |s| format!(" since {s}"));
                writeln!(
                    out,
                    "           {}{since}: {} - {}",
                    constant.tag, constant.gate, constant.reason
                )?;
            }
        }
        Ok(())
    }

    fn write_physics(&self, out: &mut String) -> std::fmt::Result {
        if let Some(spot) = self.beamspot {
            writeln!(
                out,
                "   beam spot of all runs: x0 = {:.5} +- {:.5} cm, y0 = {:.5} +- {:.5} cm; {} \
                intervals of validity",
                spot.x0_cm, spot.x0_err_cm, spot.y0_cm, spot.y0_err_cm, spot.iovs
            )?;
        }
        if let Some(residual) = self.residual {
            writeln!(
                out,
                "   half width of the impact parameter: {:.1} um with one beam spot, {:.1} um \
                with the loop's",
                residual.before_um, residual.after_um
            )?;
        }
        if let (Some(peak), Some(scale)) = (self.z_peak, &self.scale) {
            writeln!(
                out,
                "   Z peak {:.2} +- {:.2} GeV, k = {:.4} +- {:.4} ({}); {}",
                peak.gev,
                peak.err_gev,
                scale.k,
                scale.err,
                scale.gate,
                self.honesty()
            )?;
        }
        if let Some(pulls) = self.pulls {
            writeln!(
                out,
                "   against the truth: pulls of x0, y0 have mean {:.2} and width {:.2} (n = {})",
                pulls.mean, pulls.width, pulls.n
            )?;
            writeln!(
                out,
                "   run      x0 true    fit    error  pull |  y0 true    fit    error  \
            pull  (um)"
            )?;
        }
        for row in &self.truth {
            let um = |v: [f64; 4]| {
                format!(
                    "{:>8.1} {:>8.1} {:>6.1} {:>5.2}",
                    v[0] * 1e4,
                    v[1] * 1e4,
                    v[2] * 1e4,
                    v[3]
                )
            };
            let mark = if row.new_iov { "  new IOV" } else { "" };
            writeln!(
                out,
                "   {:<8} {} | {}{mark}",
                row.run,
                um(row.x0),
                um(row.y0)
            )?;
        }
        Ok(())
    }
}

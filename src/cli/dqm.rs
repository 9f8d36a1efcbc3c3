//! `tier0 dqm`: verdicts, published histograms and the good-run list.
//!
//! In: the verb's arguments. Out: tables, documents or pictures; the good-run list in the CMS JSON
//! format, as other programs read it. Must never put real and simulated runs into one list.

use super::client::{Client, rows, shape};
use super::outcome::{Exit, Failure};
use super::pictures::Sheet;
use super::table::{Table, facts, lumis, or_dash};
use super::{Desk, pictures};
use clap::Subcommand;
use dqm::element::Element;
use dqm::histogram::{Axis, Histogram};
use std::path::PathBuf;
use view::quality::{MonitorElementView, QualityView};

/// What can be done with data quality.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:\n  tier0 dqm show\n  tier0 dqm show 148031\n  tier0 dqm golden")]
pub enum DqmVerb {
    /// Show verdicts; of one run with every test; of one histogram what is in it, or its picture
    #[command(after_help = SHOW_EXAMPLES)]
    Show {
        /// Only of this run
        run: Option<u32>,
        /// A histogram of the run's published documents, by its path or the end of it
        element: Option<String>,
        /// Draw it as SVG into this file; - is stdout
        #[arg(long, value_name = "FILE", requires = "element", group = "picture")]
        svg: Option<PathBuf>,
        /// Draw it as PNG into this file; - is stdout
        #[arg(long, value_name = "FILE", requires = "element", group = "picture")]
        png: Option<PathBuf>,
        /// Draw the same histogram of this run with it, scaled to as much content
        #[arg(long, value_name = "RUN", requires = "picture")]
        reference: Option<u32>,
    },
    /// Print the good-run list (CMS JSON format)
    #[command(after_help = "Examples:\n  tier0 dqm golden > good-runs.json")]
    Golden {
        /// real or simulated
        #[arg(long, default_value = "real")]
        label: String,
    },
}

const SHOW_EXAMPLES: &str = "\
Examples:
  tier0 dqm show
  tier0 dqm show 148031 --json
  tier0 dqm show 148031 dimuon_mass_gev
  tier0 dqm show 148031 dimuon_mass_gev --svg mass.svg
  tier0 dqm show 148031 dimuon_mass_gev --png mass.png
  tier0 dqm show 148031 muon_eta --reference 148029 --svg - > eta.svg";

pub(super) fn run(verb: &DqmVerb, desk: &mut Desk) -> Result<Exit, Failure> {
    let client = desk.client()?;
    match verb {
        DqmVerb::Show {
            run: Some(run),
            element: Some(element),
            svg,
            png,
            reference,
        } => {
            let sheet = Sheet::asked(svg.as_deref(), png.as_deref());
            show_element(&client, (*run, *reference), element, sheet, desk)
        }
        DqmVerb::Show { run, .. } => {
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

/// One histogram: its document, its picture, or what is in it.
fn show_element(
    client: &Client,
    (run, reference): (u32, Option<u32>),
    element: &str,
    sheet: Option<Sheet<'_>>,
    desk: &mut Desk,
) -> Result<Exit, Failure> {
    if sheet.is_some() && desk.common.json {
        return Err(Failure::Usage(pictures::NO_JSON.to_owned()));
    }
    let get = |run: u32| {
        let asked = [
            ("run", Some(run.to_string())),
            ("name", Some(element.to_owned())),
        ];
        client.get("dqm/objects", &asked)
    };
    let answer = get(run)?;
    let Some(sheet) = sheet else {
        if desk.common.json {
            return desk.document(&answer);
        }
        return tell_element(&shape(answer)?, desk);
    };
    let reference: Option<MonitorElementView> = match reference {
        Some(run) => Some(shape(get(run)?)?),
        None => None,
    };
    let picture = pictures::element(&shape(answer)?, reference.as_ref())?;
    pictures::put(&picture, sheet, desk)?;
    Ok(Exit::Fine)
}

fn tell_element(element: &MonitorElementView, desk: &mut Desk) -> Result<Exit, Failure> {
    let content = pictures::content(element)?;
    let kind = match &content {
        Element::Histogram(_) | Element::Histogram2d(_) => "histogram",
        Element::Profile(_) => "profile",
        Element::Counter(_) => "counter",
        Element::Text(_) => "text",
    };
    let mut told = vec![
        (kind, element.path.clone()),
        ("run", format!("{} ({})", element.run, element.label)),
        ("lumis", lumis(&element.lumis)),
        ("dataset", element.dataset.clone()),
        ("file", element.file.clone()),
    ];
    match &content {
        Element::Histogram(of) => told.extend(one_coordinate(of)),
        Element::Histogram2d(of) => {
            let ([x, y], [x_unit, y_unit]) = (of.axes(), of.units());
            told.push(("title", of.title().to_owned()));
            told.push(("entries", of.entries().to_string()));
            told.push(("abscissa", bins(x, x_unit)));
            told.push(("ordinate", bins(y, y_unit)));
        }
        Element::Profile(of) => {
            let booking = of.booking();
            told.push(("title", of.title().to_owned()));
            told.push(("entries", of.entries().to_string()));
            told.push(("axis", bins(booking.axis, &booking.unit)));
            told.push(("averages", booking.ordinate_unit.clone()));
        }
        Element::Counter(count) => told.push(("count", count.to_string())),
        Element::Text(texts) => {
            let said = texts
                .iter()
                .map(|(text, pieces)| format!("{text} ({pieces} times)"));
            told.push(("said", said.collect::<Vec<_>>().join("; ")));
        }
    }
    facts(desk.out, &told)?;
    Ok(Exit::Fine)
}

fn bins(axis: Axis, unit: &str) -> String {
    let (bins, low, high) = (axis.bins, axis.low, axis.high);
    format!("{bins} bins from {low} to {high} {unit}")
        .trim_end()
        .to_owned()
}

fn one_coordinate(histogram: &Histogram) -> [(&'static str, String); 7] {
    let (axis, contents) = (histogram.axis(), histogram.contents());
    let unit = histogram.unit();
    let with_unit = |value: Option<f64>| value.map(|value| format!("{value} {unit}"));
    [
        ("title", histogram.title().to_owned()),
        ("entries", histogram.entries().to_string()),
        ("mean", or_dash(with_unit(histogram.mean()))),
        ("rms", or_dash(with_unit(histogram.rms()))),
        ("axis", bins(axis, unit)),
        ("below", contents[0].to_string()),
        ("above", contents[axis.bins + 1].to_string()),
    ]
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

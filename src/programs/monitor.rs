//! The histograms of a job, and the document they travel in.
//!
//! In: values by histogram name. Out: a JSON document with label, run, program and lumis, and the
//! histograms as UHI JSON by name; and documents back again. Histograms are booked here and nowhere
//! else, so that those of all jobs merge. A histogram without a value is not written: data sets
//! without impact parameters have no histogram of them. Real and simulated never share a document.

use std::collections::BTreeMap;
use std::f64::consts::PI;

use dqm::histogram::{Axis, Histogram};
use dqm::uhi;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::format::Label;
use crate::outputs::ranges;

/// Dimuon mass, GeV.
pub(crate) const MASS: &str = "dimuon_mass_gev";
/// Transverse momentum of each muon, GeV.
pub(crate) const PT: &str = "muon_pt_gev";
/// Pseudorapidity of each muon.
pub(crate) const ETA: &str = "muon_eta";
/// Impact parameter of each muon from the detector origin, cm.
pub(crate) const DXY: &str = "muon_dxy_cm";
/// Impact parameter of each muon less the beam spot's prediction, um.
pub(crate) const RESIDUAL: &str = "muon_dxy_residual_um";

/// How far a muon would have the beam spot to be moved, in um: twice its residual along the
/// direction in which it sees the beam spot, split into x and y. The mean over evenly spread muons
/// is the distance of the true beam spot from the one that was used.
pub(crate) const BEAMSPOT_X: &str = "beamspot_off_x_um";
/// The same in y.
pub(crate) const BEAMSPOT_Y: &str = "beamspot_off_y_um";

/// Height of each hit of a chamber track less that of its line, um.
pub(crate) const CHAMBER_RESIDUAL: &str = "chamber_residual_um";

/// Hits of a chamber by plane, 1 being the first: channels that all see about the same.
pub(crate) const CHAMBER_HITS: &str = "chamber_hits";
/// Those of them that are further than three errors from their track, by plane: the width of a
/// plane's residuals, in numbers that add up.
pub(crate) const CHAMBER_FAR: &str = "chamber_far_hits";
/// Chi-square of a chamber track by its degrees of freedom.
pub(crate) const CHAMBER_CHI2: &str = "chamber_chi2_ndf";

/// Muons by octant of the azimuth, rad: channels that all see about the same.
pub(crate) const OCTANT: &str = "muon_octant";

/// Name, title, unit, bins, low and high edge of each histogram.
const BOOKED: [(&str, &str, &str, usize, f64, f64); 12] = [
    (MASS, "Dimuon mass", "GeV", 120, 60.0, 120.0),
    (PT, "Muon transverse momentum", "GeV", 100, 0.0, 200.0),
    (ETA, "Muon pseudorapidity", "", 50, -2.5, 2.5),
    (OCTANT, "Muons by octant", "rad", 8, -PI, PI),
    (
        DXY,
        "Muon impact parameter from the origin",
        "cm",
        100,
        -0.25,
        0.25,
    ),
    (
        RESIDUAL,
        "Muon impact parameter from the beam spot",
        "um",
        120,
        -300.0,
        300.0,
    ),
    (
        BEAMSPOT_X,
        "Beam spot in x from the one used",
        "um",
        120,
        -600.0,
        600.0,
    ),
    (
        BEAMSPOT_Y,
        "Beam spot in y from the one used",
        "um",
        120,
        -600.0,
        600.0,
    ),
    (
        CHAMBER_RESIDUAL,
        "Chamber hit from its track",
        "um",
        120,
        -600.0,
        600.0,
    ),
    (CHAMBER_HITS, "Chamber hits by plane", "", 100, 0.5, 100.5),
    (
        CHAMBER_FAR,
        "Chamber hits far from their track by plane",
        "",
        100,
        0.5,
        100.5,
    ),
    (
        CHAMBER_CHI2,
        "Chi-square of chamber tracks by degree of freedom",
        "",
        100,
        0.0,
        5.0,
    ),
];

/// The document.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Document {
    pub(crate) schema: u32,
    pub(crate) label: Label,
    pub(crate) run: u32,
    pub(crate) program: String,
    /// Closed ranges of lumis.
    pub(crate) lumis: Vec<[u32; 2]>,
    /// Events that were read, with or without entries in the histograms.
    pub(crate) events: u64,
    /// UHI JSON by histogram name.
    pub(crate) histograms: Value,
}

/// Histograms being filled.
pub(crate) struct Monitor(BTreeMap<&'static str, Histogram>);

impl Monitor {
    /// Nothing filled yet.
    pub(crate) fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Adds an entry to one of the booked histograms.
    pub(crate) fn fill(&mut self, name: &'static str, value: f64) {
        self.0
            .entry(name)
            .or_insert_with(|| book(name))
            .fill(value)
            .expect("rows with values that are no finite numbers were refused on reading");
    }

    /// The bytes of the document.
    pub(crate) fn into_bytes(
        self,
        program: &str,
        label: Label,
        run: u32,
        lumis: impl IntoIterator<Item = u32>,
        events: u64,
    ) -> Vec<u8> {
        let all: Vec<Histogram> = self.0.into_values().collect();
        let document = Document {
            schema: 1,
            label,
            run,
            program: program.to_owned(),
            lumis: ranges(lumis),
            events,
            histograms: to_value(&all),
        };
        serde_json::to_vec(&document).expect("a document is numbers, words and lists")
    }
}

fn book(name: &'static str) -> Histogram {
    let (_, title, unit, bins, low, high) = BOOKED
        .into_iter()
        .find(|(booked, ..)| *booked == name)
        .expect("only the names above are filled");
    Histogram::new(name, title, unit, Axis { bins, low, high }).expect("the axes above are valid")
}

/// Histograms as UHI JSON by name.
pub(crate) fn to_value(histograms: &[Histogram]) -> Value {
    serde_json::from_str(&uhi::write(histograms)).expect("what is written as JSON reads as JSON")
}

impl Document {
    /// Reads a document and its histograms; the error is the reason in words.
    pub(crate) fn read(bytes: &[u8]) -> Result<(Self, Vec<Histogram>), String> {
        let document: Self = serde_json::from_slice(bytes)
            .map_err(|error| format!("not a DQM document of express or prompt: {error}"))?;
        let histograms = uhi::read(&document.histograms.to_string())
            .map_err(|error| format!("not a DQM document of express or prompt: {error}"))?;
        Ok((document, histograms))
    }
}

//! Data beside Monte Carlo: the same histogram of a real act and of the simulated one, each in a
//! picture of its own. They are never added, divided or laid over each other.

use super::physics::{MASS, RESIDUAL, fit_told, points_of};
use super::{Figure, Summed, document, told};
use crate::demo::summary::ActSummary;
use crate::draw::{HistogramPicture, Line};
use calibration::peak_model::PeakModel;
use serde_json::json;

/// Pairs of pictures, the real one first; of real acts the last that has the histogram. Empty when
/// one side is missing.
pub(in super::super) fn beside(acts: &[ActSummary]) -> Vec<[Figure; 2]> {
    let pair = |name: &str| {
        let with = |real: bool| {
            let of_kind = acts.iter().filter(move |act| act.is_real() == real);
            of_kind
                .filter_map(|act| Some((act, act.monitors.get(name)?)))
                .next_back()
        };
        let (real, simulated) = (with(true)?, with(false)?);
        Some([
            panel(name, real.0, real.1),
            panel(name, simulated.0, simulated.1),
        ])
    };
    SHOWN_BESIDE.into_iter().filter_map(pair).collect()
}

/// Names of the histograms that are shown beside each other.
pub(in super::super) const SHOWN_BESIDE: [&str; 2] = [MASS, RESIDUAL];

fn panel(name: &str, act: &ActSummary, summed: &Summed) -> Figure {
    let histogram = &summed.histogram;
    let (curve, fit, said) = if name == MASS {
        fit_told(summed)
    } else {
        let core = histogram.mean().zip(histogram.rms());
        let said = core.map_or(String::new(), |(mean, rms)| {
            format!("mean {mean:.2} um, standard deviation {rms:.1} um within the axis")
        });
        (None, json!(null), said)
    };
    let honesty = if name == MASS {
        format!("; {}", act.honesty())
    } else {
        String::new()
    };
    let picture = HistogramPicture {
        title: format!("{}, prompt", histogram.title()),
        label: format!("{} (act {})", act.label, act.act),
        description: format!(
            "{} entries of all runs of act {}",
            histogram.entries(),
            act.act
        ),
        quantity: if name == MASS {
            "dimuon mass"
        } else {
            "impact parameter less prediction"
        }
        .to_owned(),
        unit: histogram.unit().to_owned(),
        counted: format!(
            "entries / {} {}",
            histogram.axis().width(),
            histogram.unit()
        ),
        layers: vec![points_of("prompt", summed)],
        curve,
        lines: if name == MASS {
            vec![Line {
                at: PeakModel::Z.pdg_mass_gev,
                name: format!("table {:.2}", PeakModel::Z.pdg_mass_gev),
                is_limit: false,
            }]
        } else {
            Vec::new()
        },
        ..HistogramPicture::default()
    };
    let caption = format!(
        "{}, act {}: {} entries; {said}{honesty}. Histogram: {}.",
        act.label,
        act.act,
        histogram.entries(),
        told(&summed.sources)
    );
    let numbers = json!({ "histograms": { "prompt": summed.numbers() }, "fit": fit });
    Figure {
        kind: "beside",
        picture: picture.draw(),
        caption,
        data: document(act, "beside", &summed.sources, numbers),
        is_wide: false,
    }
}

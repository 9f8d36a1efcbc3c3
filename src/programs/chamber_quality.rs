//! Quality tests of the drift chamber: do all planes see, are they where they are said to be, do
//! tracks fit.
//!
//! In: the merged monitor elements of a run and the thresholds of its job. Out: the results of
//! three tests. A plane that sees nothing and one that stands elsewhere spoil the run, as each of
//! them bends tracks; the message names them.

use dqm::chance::at_least;
use dqm::histogram::Histogram;
use dqm::occupancy::{Kind, Rule, bad_channels};
use dqm::quality::{CannotRun, Measured, QualityTest};
use dqm::verdict::{TestResult, Thresholds};

use crate::job::{JobError, JobFile};
use crate::monitor::{CHAMBER_CHI2, CHAMBER_FAR, CHAMBER_HITS};

/// Good tracks have a chi-square by degree of freedom between these: with the 88 degrees of a
/// straight line through a hundred planes it scatters by 0.15 around 1.
const CHI2_NDF_LOW: f64 = 0.4;
const CHI2_NDF_HIGH: f64 = 1.6;
/// So large a share of a plane's hits may be further than three errors from their tracks: 0.0027 of
/// a plane in its place are, and 0.01 of one whose residuals are a seventh wider.
const FAR_SHARE_MAX: f64 = 0.01;
/// Counts less likely than this are not a good plane's: one run in a hundred has one by chance,
/// with a hundred planes that are as bad as good ones may be.
const CHANCE_MIN: f64 = 0.0001;
/// With fewer hits in all a plane that has many far ones is not told from one that has few.
const HITS_MIN: u64 = 1_000;
/// Anything but all planes is an error.
const ALL: Thresholds = Thresholds {
    error_ppm: 1_000_000,
    warning_ppm: 1_000_000,
};

/// The tests of a run; `find` gives an element by name, `absent` the result where there is none.
pub(crate) fn tests<'h>(
    job: &JobFile,
    find: impl Fn(&str) -> Option<&'h Histogram>,
    absent: impl Fn(&str, &str) -> TestResult,
) -> Result<Vec<TestResult>, JobError> {
    let number = |name: &str, usual: f64| job.number(name).map(|given| given.unwrap_or(usual));
    let fits = QualityTest::ContentsXRange {
        low: number("chi2_ndf_low", CHI2_NDF_LOW)?,
        high: number("chi2_ndf_high", CHI2_NDF_HIGH)?,
    };
    let share = number("far_share_max", FAR_SHARE_MAX)?;
    let known = known_bad(job)?;
    let tracks = match find(CHAMBER_CHI2) {
        Some(found) => {
            let measured = fits.run(found, None);
            TestResult::of("tracks_fit", CHAMBER_CHI2, &measured, Thresholds::USUAL)
        }
        None => absent("tracks_fit", CHAMBER_CHI2),
    };
    let Some(hits) = find(CHAMBER_HITS) else {
        let planes = absent("planes_see", CHAMBER_HITS);
        return Ok(vec![tracks, planes, absent("planes_in_place", CHAMBER_FAR)]);
    };
    let far = find(CHAMBER_FAR);
    Ok(vec![
        tracks,
        TestResult::of("planes_see", CHAMBER_HITS, &seeing(hits, &known), ALL),
        TestResult::of(
            "planes_in_place",
            CHAMBER_FAR,
            &in_place(hits, far, share),
            ALL,
        ),
    ])
}

/// Planes that are known to see too little, 1 being the first: their numbers are no news.
fn known_bad(job: &JobFile) -> Result<Vec<usize>, JobError> {
    const NAME: &str = "known_bad_planes";
    let Some(value) = job.parameter(NAME) else {
        return Ok(Vec::new());
    };
    // One plane alone arrives as a number.
    let text = value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned);
    let planes = text.split(',').map(|plane| plane.trim().parse());
    planes
        .collect::<Result<_, _>>()
        .map_err(|_| JobError::Definition {
            what: format!("parameter {NAME} is {value}, it must be planes as in \"7, 12\""),
        })
}

/// The planes that see about what the others do.
fn seeing(hits: &Histogram, known: &[usize]) -> Result<Measured, CannotRun> {
    let rule = Rule {
        chance_min: CHANCE_MIN,
        ..Rule::USUAL
    };
    let mut bad = bad_channels(hits, rule)?;
    bad.retain(|channel| !known.contains(&channel.bin));
    let named = bad.iter().map(|channel| {
        let kind = match channel.kind {
            Kind::Dead => "dead",
            Kind::Hot => "hot",
        };
        let (bin, counts, median) = (channel.bin, channel.counts, channel.median);
        format!("plane {bin} is {kind}: {counts} hits where the median is {median}")
    });
    let words = named.collect::<Vec<_>>().join("; ");
    Ok(measured(
        hits,
        bad.iter().map(|channel| channel.bin).collect(),
        words,
        "all planes see about the same",
    ))
}

/// The planes without too many far hits. Where no hit is far there is no element of them.
fn in_place(
    hits: &Histogram,
    far: Option<&Histogram>,
    share_max: f64,
) -> Result<Measured, CannotRun> {
    if hits.entries() < HITS_MIN {
        return Err(CannotRun::TooFewEntries {
            test: "planes_in_place",
            histogram: CHAMBER_HITS.to_owned(),
            entries: hits.entries(),
            needed: HITS_MIN,
        });
    }
    let far = far.map_or(&[][..], Histogram::inside);
    let wide = |(index, (far, hits)): (usize, (&f64, &f64))| {
        let chance = at_least(*far as u64, share_max * hits);
        (chance < CHANCE_MIN).then(|| (index + 1, *far, *hits))
    };
    let pairs = far.iter().zip(hits.inside()).enumerate();
    let wide: Vec<(usize, f64, f64)> = pairs.filter_map(wide).collect();
    let named = wide
        .iter()
        .map(|(plane, far, hits)| format!("{far} of {hits} hits of plane {plane} are far"));
    let words = named.take(NAMED).collect::<Vec<_>>().join("; ");
    let bad = wide.iter().map(|(plane, ..)| *plane).collect();
    Ok(measured(
        hits,
        bad,
        words,
        "all planes are where they are said to be",
    ))
}

/// Planes whose numbers are told; the others stand in the list of bins.
const NAMED: usize = 5;

fn measured(hits: &Histogram, bad_bins: Vec<usize>, words: String, fine: &str) -> Measured {
    Measured {
        value: 1.0 - bad_bins.len() as f64 / hits.axis().bins as f64,
        detail: if words.is_empty() {
            fine.to_owned()
        } else {
            words
        },
        bad_bins,
    }
}

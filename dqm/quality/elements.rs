//! Quality tests of monitor elements of any kind. In come a test and an element, with a reference
//! of the same kind where the test compares; out comes what it measured, or that it makes no sense
//! of such an element.

use super::{
    CannotRun, Measured, QualityTest, check_variance, chi2_test_2d, compare_last_filled_bin_2d,
    compare_to_median, contents_within_expected, dead_channel_2d, means_within_expected,
    noisy_channel_2d,
};
use crate::element::Element;
use crate::histogram2d::Histogram2d;
use crate::profile::Profile;

impl QualityTest {
    /// Runs the test on the element of a path, against a reference where it compares.
    pub fn run_on(
        &self,
        path: &str,
        element: &Element,
        reference: Option<&Element>,
    ) -> Result<Measured, CannotRun> {
        self.sensible(path)?;
        // A reference of another kind cannot be merged either, and that says why.
        let like = |wanted: &Element| match element.clone().merge(path, wanted) {
            Err(why) => CannotRun::Mismatch(why),
            Ok(()) => self.no_reference(path),
        };
        match (element, reference) {
            (Element::Histogram(ours), None) => self.run(ours, None),
            (Element::Histogram(ours), Some(Element::Histogram(theirs))) => {
                self.run(ours, Some(theirs))
            }
            (Element::Histogram2d(ours), None) => self.run_2d(ours, None),
            (Element::Histogram2d(ours), Some(Element::Histogram2d(theirs))) => {
                self.run_2d(ours, Some(theirs))
            }
            (Element::Profile(ours), None) => self.run_profile(ours, None),
            (Element::Profile(ours), Some(Element::Profile(theirs))) => {
                self.run_profile(ours, Some(theirs))
            }
            (Element::Counter(_) | Element::Text(_), None) if *self == Self::Comp2refEqual => {
                Err(self.no_reference(path))
            }
            (Element::Counter(ours), Some(Element::Counter(theirs)))
                if *self == Self::Comp2refEqual =>
            {
                Ok(equal(ours == theirs))
            }
            (Element::Text(ours), Some(Element::Text(theirs))) if *self == Self::Comp2refEqual => {
                // What was said, not how often.
                Ok(equal(ours.keys().eq(theirs.keys())))
            }
            (Element::Counter(_) | Element::Text(_), None) => Err(self.unsuited(path)),
            (Element::Counter(_), Some(Element::Counter(_)))
            | (Element::Text(_), Some(Element::Text(_))) => Err(self.unsuited(path)),
            (_, Some(wanted)) => Err(like(wanted)),
        }
    }

    /// Runs the test on a histogram of two coordinates.
    pub fn run_2d(
        &self,
        histogram: &Histogram2d,
        reference: Option<&Histogram2d>,
    ) -> Result<Measured, CannotRun> {
        let name = histogram.name();
        self.sensible(name)?;
        let needed = || reference.ok_or_else(|| self.no_reference(name));
        match self {
            Self::Comp2refEqual => {
                let reference = needed()?;
                histogram.must_be_like(reference)?;
                Ok(all_equal(histogram.contents(), reference.contents()))
            }
            Self::Comp2ref2dChi2 { min_entries } => {
                let reference = needed()?;
                self.enough(name, histogram.entries(), *min_entries)?;
                let chi2 = chi2_test_2d(histogram, reference)?;
                Ok(chi2.measured(chi2.probability()))
            }
            Self::DeadChannel { threshold } => Ok(dead_channel_2d(histogram, *threshold)),
            Self::NoisyChannel {
                tolerance,
                neighbours,
            } => Ok(noisy_channel_2d(histogram, *tolerance, *neighbours)),
            Self::ContentsWithinExpected(expected) => contents_within_expected(histogram, expected),
            Self::CompareToMedian(cuts) => compare_to_median(histogram, cuts),
            Self::CompareLastFilledBin(cuts) => compare_last_filled_bin_2d(histogram, cuts),
            Self::Comp2refChi2 { .. }
            | Self::Chi2Test
            | Self::Chi2TestUnweighted
            | Self::Comp2refKolmogorov { .. }
            | Self::ContentsXRange { .. }
            | Self::ContentsYRange { .. }
            | Self::MeanWithinExpected { .. }
            | Self::CheckVariance { .. } => Err(self.unsuited(name)),
        }
    }

    /// Runs the test on a profile.
    pub fn run_profile(
        &self,
        profile: &Profile,
        reference: Option<&Profile>,
    ) -> Result<Measured, CannotRun> {
        let name = profile.name();
        self.sensible(name)?;
        match self {
            Self::Comp2refEqual => {
                let reference = reference.ok_or_else(|| self.no_reference(name))?;
                profile.must_be_like(reference)?;
                let of = |profile: &Profile| -> Vec<f64> {
                    (0..profile.weights().len())
                        .map(|bin| profile.y(bin))
                        .collect()
                };
                Ok(all_equal(&of(profile), &of(reference)))
            }
            Self::ContentsWithinExpected(expected) => means_within_expected(profile, expected),
            Self::CheckVariance { limit } => {
                let bins = 1..=profile.booking().axis.bins;
                let means: Vec<f64> = bins.map(|bin| profile.mean(bin).unwrap_or(0.0)).collect();
                check_variance(name, profile.entries(), &means, *limit)
            }
            _ => Err(self.unsuited(name)),
        }
    }
}

fn equal(yes: bool) -> Measured {
    let detail = if yes { "equal" } else { "different" };
    Measured {
        value: f64::from(u8::from(yes)),
        bad_bins: Vec::new(),
        detail: detail.to_owned(),
    }
}

/// 1 when all cells are equal, else 0 with those that differ.
pub(super) fn all_equal(ours: &[f64], theirs: &[f64]) -> Measured {
    let pairs = ours.iter().zip(theirs).enumerate();
    let bad_bins: Vec<usize> = pairs
        .filter(|(_, (a, b))| a != b)
        .map(|(bin, _)| bin)
        .collect();
    Measured {
        value: f64::from(u8::from(bad_bins.is_empty())),
        detail: format!("{} bins differ", bad_bins.len()),
        bad_bins,
    }
}

#[cfg(test)]
#[path = "elements_tests.rs"]
mod tests;

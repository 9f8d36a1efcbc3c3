//! What a resonance peak in a mass histogram looks like: window, bins, line shape, background.
//! In come masses or parameters, out come histograms and expected bin contents with derivatives.
//! The models of the known resonances are constants here; how a model is fitted is `scale`'s.

use crate::voigt::Faddeeva;

/// Half width at half maximum of the Z, GeV (natural width 2.4952 GeV).
pub const Z_HWHM_GEV: f64 = 1.2476;
/// Parameters at most: yield, mass, resolution and two of the background.
pub(crate) const MAX_PARAMETERS: usize = 5;
pub(crate) const YIELD: usize = 0;
pub(crate) const MASS: usize = 1;
pub(crate) const SIGMA: usize = 2;
pub(crate) const LEVEL: usize = 3;
const SLOPE: usize = 4;

/// What lies under the peak, per GeV.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Background {
    /// level exp(-slope (M - reference)).
    Exponential {
        /// Where the level is given, GeV.
        reference_gev: f64,
    },
    /// level + slope (M - reference).
    Linear {
        /// Where the level is given, GeV.
        reference_gev: f64,
    },
    /// level exp(-slope (M - reference)) with a slope that is known from elsewhere: for samples of
    /// a few hundred pairs, which cannot tell it themselves. A slope of 0 is a flat background.
    KnownSlope {
        /// Where the level is given, GeV.
        reference_gev: f64,
        /// How fast the background falls, 1/GeV.
        slope_per_gev: f64,
    },
}

/// A peak to look for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PeakModel {
    /// Name of the resonance.
    pub name: &'static str,
    /// Its mass in the tables of the Particle Data Group, GeV.
    pub pdg_mass_gev: f64,
    /// Natural half width at half maximum, GeV; 0 makes the line a Gaussian.
    pub gamma_hwhm_gev: f64,
    /// Mass window, GeV: lower edge included, upper edge not.
    pub range_gev: (f64, f64),
    /// Equal bins of the window.
    pub bins: usize,
    /// What lies under the peak.
    pub background: Background,
    /// Resolution to start from, GeV.
    pub start_sigma_gev: f64,
}

impl PeakModel {
    /// Z to dimuons with thousands of pairs: 0.5 GeV bins from 70 to 110 GeV.
    pub const Z: Self = Self {
        name: "Z",
        pdg_mass_gev: 91.1876,
        gamma_hwhm_gev: Z_HWHM_GEV,
        range_gev: (70.0, 110.0),
        bins: 80,
        background: Background::Exponential {
            reference_gev: 90.0,
        },
        start_sigma_gev: 1.3,
    };
    /// Z to dimuons from about 400 pairs up: 0.5 GeV bins from 75 to 105 GeV, on a background that
    /// falls as that of all 10,851 recorded pairs of 2011 does (iminuit: 0.0536 +- 0.0044 per GeV).
    /// A flat background would take part of the slope for the peak and put its mass too low.
    pub const Z_SMALL_SAMPLE: Self = Self {
        range_gev: (75.0, 105.0),
        bins: 60,
        background: Background::KnownSlope {
            reference_gev: 90.0,
            slope_per_gev: 0.0536,
        },
        ..Self::Z
    };
    /// The same peak on a background whose slope is known to be another one.
    #[must_use]
    pub fn on_known_slope(self, slope_per_gev: f64) -> Self {
        let reference_gev = match self.background {
            Background::Exponential { reference_gev }
            | Background::Linear { reference_gev }
            | Background::KnownSlope { reference_gev, .. } => reference_gev,
        };
        let background = Background::KnownSlope {
            reference_gev,
            slope_per_gev,
        };
        Self { background, ..self }
    }

    /// How fast the background falls, 1/GeV, where that is known.
    pub fn known_slope_per_gev(&self) -> Option<f64> {
        match self.background {
            Background::KnownSlope { slope_per_gev, .. } => Some(slope_per_gev),
            Background::Exponential { .. } | Background::Linear { .. } => None,
        }
    }

    /// Upsilon(1S) to dimuons: 10 MeV bins.
    pub const UPSILON_1S: Self = Self {
        name: "Upsilon(1S)",
        pdg_mass_gev: 9.4604,
        gamma_hwhm_gev: 0.0,
        range_gev: (9.0, 9.7),
        bins: 70,
        background: Background::Linear {
            reference_gev: 9.45,
        },
        start_sigma_gev: 0.08,
    };
    /// psi(2S) to dimuons: 5 MeV bins.
    pub const PSI_2S: Self = Self {
        name: "psi(2S)",
        pdg_mass_gev: 3.6861,
        gamma_hwhm_gev: 0.0,
        range_gev: (3.5, 3.9),
        bins: 80,
        background: Background::Linear {
            reference_gev: 3.686,
        },
        start_sigma_gev: 0.03,
    };

    /// Width of a bin, GeV.
    pub fn bin_width_gev(&self) -> f64 {
        (self.range_gev.1 - self.range_gev.0) / self.bins as f64
    }

    /// The bin of a mass, or nothing outside the window.
    pub fn bin_of(&self, mass_gev: f64) -> Option<usize> {
        let (low, high) = self.range_gev;
        if !(mass_gev >= low && mass_gev < high) {
            return None;
        }
        let bin = ((mass_gev - low) / (high - low) * self.bins as f64) as usize;
        // The division may round a mass on an edge into the neighbour; the edges decide.
        if mass_gev < self.edge_gev(bin) {
            return Some(bin - 1);
        }
        let bin = if mass_gev >= self.edge_gev(bin + 1) {
            bin + 1
        } else {
            bin
        };
        Some(bin.min(self.bins - 1))
    }

    /// Lower edge of a bin, GeV.
    fn edge_gev(&self, bin: usize) -> f64 {
        self.range_gev.0 + bin as f64 * self.bin_width_gev()
    }

    /// Bin contents of `masses_gev`; such histograms of one model add up bin by bin.
    pub fn histogram(&self, masses_gev: &[f64]) -> Vec<u64> {
        let mut counts = vec![0; self.bins];
        for bin in masses_gev.iter().filter_map(|mass| self.bin_of(*mass)) {
            counts[bin] += 1;
        }
        counts
    }

    pub(crate) fn centre_gev(&self, bin: usize) -> f64 {
        self.range_gev.0 + (bin as f64 + 0.5) * self.bin_width_gev()
    }

    /// Names of the parameters, in their order.
    pub(crate) fn parameter_names(&self) -> &'static [&'static str] {
        match self.background {
            Background::KnownSlope { .. } => &["yield", "mass_gev", "sigma_gev", "level"],
            Background::Exponential { .. } | Background::Linear { .. } => {
                &["yield", "mass_gev", "sigma_gev", "level", "slope"]
            }
        }
    }

    /// The smallest value a parameter may take. A resolution far below the bin width changes
    /// nothing; a level of a linear background is kept positive by the likelihood itself.
    pub(crate) fn lower_bound(&self, parameter: usize) -> f64 {
        match (parameter, self.background) {
            (SIGMA, _) => self.bin_width_gev() / 20.0,
            (YIELD, _) => 0.0,
            (LEVEL, Background::Exponential { .. } | Background::KnownSlope { .. }) => 0.0,
            _ => f64::NEG_INFINITY,
        }
    }

    /// Expected content of a bin (density at its centre times its width) and its derivatives.
    pub(crate) fn expected(
        &self,
        faddeeva: &Faddeeva,
        parameters: &[f64],
        bin: usize,
    ) -> (f64, [f64; MAX_PARAMETERS]) {
        self.expected_at(faddeeva, parameters, self.centre_gev(bin))
    }

    /// The same of a bin of that width around any mass in GeV: the curve through the bins.
    pub(crate) fn expected_at(
        &self,
        faddeeva: &Faddeeva,
        parameters: &[f64],
        mass: f64,
    ) -> (f64, [f64; MAX_PARAMETERS]) {
        let width = self.bin_width_gev();
        let line = faddeeva.voigt(
            mass - parameters[MASS],
            parameters[SIGMA],
            self.gamma_hwhm_gev,
        );
        let pairs = parameters[YIELD];
        let mut slopes = [0.0; MAX_PARAMETERS];
        slopes[YIELD] = width * line.value;
        slopes[MASS] = -width * pairs * line.by_x;
        slopes[SIGMA] = width * pairs * line.by_sigma;
        let level = parameters[LEVEL];
        let below = match self.background {
            Background::KnownSlope {
                reference_gev,
                slope_per_gev,
            } => {
                let fall = (-slope_per_gev * (mass - reference_gev)).exp();
                slopes[LEVEL] = width * fall;
                level * fall
            }
            Background::Linear { reference_gev } => {
                slopes[LEVEL] = width;
                slopes[SLOPE] = width * (mass - reference_gev);
                level + parameters[SLOPE] * (mass - reference_gev)
            }
            Background::Exponential { reference_gev } => {
                let fall = (-parameters[SLOPE] * (mass - reference_gev)).exp();
                slopes[LEVEL] = width * fall;
                slopes[SLOPE] = -width * level * fall * (mass - reference_gev);
                level * fall
            }
        };
        (width * (pairs * line.value + below), slopes)
    }
}

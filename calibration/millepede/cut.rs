//! The cut on the chi-square of a record, and how it tightens from iteration to iteration.
//!
//! In come degrees of freedom and factors of the steering; out come limits. It judges no record.

use super::steering::Steering;

/// Chi-square per degree of freedom that 0.27 % of records exceed (3 sigma of a normal
/// distribution), for 1 to 30 degrees, to the four digits that `pede` uses too.
const LIMITS_TO_30: [f64; 30] = [
    9.0000, 5.9146, 4.7184, 4.0628, 3.6410, 3.3436, 3.1209, 2.9468, 2.8063, 2.6902, 2.5922, 2.5082,
    2.4352, 2.3711, 2.3143, 2.2635, 2.2178, 2.1764, 2.1386, 2.1040, 2.0722, 2.0428, 2.0155, 1.9901,
    1.9665, 1.9443, 1.9235, 1.9040, 1.8855, 1.8681,
];
/// Deviate of the normal distribution that 0.269985 % exceed on one side.
const DEVIATE: f64 = 2.782_17;
/// A factor below this is taken for one (pede).
const NEARLY_ONE: f64 = 1.5;

/// The chi-square that corresponds to 3 sigma, for `ndf` degrees of freedom. Above 30 by Fisher's
/// approximation: sqrt(2 chi-square) is normal around sqrt(2 ndf - 1).
pub fn three_sigma_chi_square(ndf: u64) -> f64 {
    match ndf {
        0 => 0.0,
        1..=30 => LIMITS_TO_30[ndf as usize - 1] * ndf as f64,
        _ => (DEVIATE + (2.0 * ndf as f64 - 1.0).sqrt()).powi(2) / 2.0,
    }
}

/// Factors on that limit in one iteration.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Cut {
    /// Beyond this a record is not used and does not count.
    pub(crate) huge: Option<f64>,
    /// Beyond this it is not used and counts with the limit.
    pub(crate) large: Option<f64>,
}

impl Cut {
    /// The cut of the first iteration.
    pub(crate) fn first(steering: &Steering) -> Self {
        match steering.chi_square_cut {
            None => Self {
                huge: Some(steering.huge_cut),
                large: None,
            },
            Some(cut) if cut.first < 1.0 => Self {
                huge: None,
                large: None,
            },
            Some(cut) => Self {
                huge: Some(steering.huge_cut),
                large: Some(cut.first),
            },
        }
    }

    /// The cut after `iterations` iterations, of which the last had this one and rejected so many.
    pub(crate) fn next(self, steering: &Steering, iterations: u32, rejected: u64) -> Self {
        let huge = Some(steering.huge_cut);
        let Some(cut) = steering.chi_square_cut else {
            return Self { huge, large: None };
        };
        let factor = match self.large {
            Some(factor) if iterations > 1 => factor.sqrt(),
            _ => {
                return Self {
                    huge,
                    large: Some(cut.second),
                };
            }
        };
        let tight = factor < NEARLY_ONE || rejected == 0;
        Self {
            huge,
            large: Some(if tight { 1.0 } else { factor }),
        }
    }

    /// Whether the cut does not tighten any more.
    pub(crate) fn is_last(self, steering: &Steering) -> bool {
        match steering.chi_square_cut {
            None => true,
            Some(_) => self.large.is_some_and(|factor| factor <= 1.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::millepede::steering::ChiSquareCut;

    #[test]
    fn limits_are_those_that_pede_prints() {
        let printed = [
            (1, 9.0),
            (10, 26.9),
            (30, 56.0),
            (35, 61.5),
            (50, 81.1),
            (100, 142.6),
        ];
        for (ndf, limit) in printed {
            let got = three_sigma_chi_square(ndf);
            assert!((got - limit).abs() < 0.051, "{ndf}: {got} {limit}");
        }
    }

    #[test]
    fn the_factor_comes_down_to_one() {
        let chi_square_cut = Some(ChiSquareCut {
            first: 30.0,
            second: 4.5,
        });
        let steering = Steering {
            chi_square_cut,
            ..Steering::default()
        };
        let mut cut = Cut::first(&steering);
        let mut factors = vec![cut.large.unwrap()];
        for iterations in 1..5 {
            assert!(!cut.is_last(&steering));
            cut = cut.next(&steering, iterations, 7);
            factors.push(cut.large.unwrap());
            if cut.is_last(&steering) {
                break;
            }
        }
        assert_eq!(factors, [30.0, 4.5, 4.5f64.sqrt(), 1.0]);
        let quiet = Cut::first(&steering)
            .next(&steering, 1, 0)
            .next(&steering, 2, 0);
        assert_eq!(quiet.large, Some(1.0));
    }
}

//! Sums that do not depend on the order of their terms.
//!
//! In come numbers, out comes their sum: exact inside, rounded once when it is looked at. That is
//! why histograms merge to the same bits however they were split and in whatever order. Two ways:
//! [`ExactSum`] takes any finite number and keeps the rounding errors of its additions
//! (J. R. Shewchuk, Discrete Comput. Geom. 18 (1997) 305); [`Coordinates`] counts values between
//! the edges of an axis in whole steps, which is as fast as adding floating point. Nothing here
//! overflows: whoever adds keeps to [`MAX_MAGNITUDE`].

/// Edges, weights and values of a profile are not larger than this, so that sums of their products
/// are finite.
pub const MAX_MAGNITUDE: f64 = 1e60;

/// More entries than this would not fit the sums of squares, which have 128 bits.
pub const MAX_ENTRIES: u64 = 1 << 41;

/// The exact sum of finite numbers, as numbers that do not overlap.
#[derive(Clone, Debug, Default)]
pub struct ExactSum {
    /// In ascending magnitude; the sum is all of them.
    parts: Vec<f64>,
}

impl ExactSum {
    /// Adds a finite number.
    pub fn add(&mut self, number: f64) {
        let mut carried = number;
        let mut kept = 0;
        for place in 0..self.parts.len() {
            let part = self.parts[place];
            let (large, small) = if carried.abs() < part.abs() {
                (part, carried)
            } else {
                (carried, part)
            };
            let sum = large + small;
            let error = small - (sum - large);
            if error != 0.0 {
                self.parts[kept] = error;
                kept += 1;
            }
            carried = sum;
        }
        self.parts.truncate(kept);
        if carried != 0.0 {
            self.parts.push(carried);
        }
    }

    /// Adds another sum.
    pub fn merge(&mut self, other: &Self) {
        other.parts.iter().for_each(|part| self.add(*part));
    }

    /// The sum, rounded to the nearest number; ties to even.
    pub fn value(&self) -> f64 {
        let mut parts = self.parts.iter().rev().copied();
        let Some(mut high) = parts.next() else {
            return 0.0;
        };
        let mut low = 0.0;
        for part in parts.by_ref() {
            let sum = high + part;
            low = part - (sum - high);
            high = sum;
            if low != 0.0 {
                break;
            }
        }
        // Halfway between two numbers the rest decides.
        if let Some(rest) = parts.next()
            && low != 0.0
            && (low < 0.0) == (rest < 0.0)
        {
            let twice = low * 2.0;
            let moved = high + twice;
            if twice == moved - high {
                high = moved;
            }
        }
        high
    }

    /// The sum as the shortest list of numbers, each the rounded rest of those before it. Equal
    /// sums have equal lists.
    pub fn canonical(&self) -> Vec<f64> {
        let mut rest = self.clone();
        let mut found = Vec::new();
        while !rest.parts.is_empty() {
            let part = rest.value();
            rest.add(-part);
            found.push(part);
        }
        found
    }

    /// The sum of a list.
    pub fn of(parts: &[f64]) -> Self {
        let mut sum = Self::default();
        for part in parts {
            sum.add(*part);
        }
        sum
    }
}

impl PartialEq for ExactSum {
    fn eq(&self, other: &Self) -> bool {
        self.parts == other.parts || self.canonical() == other.canonical()
    }
}

/// Whole steps of a coordinate between the edges of an axis: 2^-42 of the power of two above the
/// larger edge. Values are rounded to steps once, when they are filled: 2 parts in 10^13 of the
/// larger edge, which is far below the width of any bin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Steps {
    steps_a_unit: f64,
}

impl Steps {
    /// Bits of the largest coordinate: its square leaves room for [`MAX_ENTRIES`] in 128 bits.
    const BITS: i32 = 42;

    /// For coordinates up to `largest` in magnitude.
    pub(crate) fn up_to(largest: f64) -> Self {
        // Of axes narrower than this the steps' squares would no longer be numbers.
        let exponent = largest.max(1e-120).to_bits() >> 52;
        // 2 to the power of BITS less one more than the exponent, both biased by 1023.
        let power = 2 * 1023 + Self::BITS - 1 - exponent as i32;
        let steps_a_unit = f64::from_bits((power as u64) << 52);
        Self { steps_a_unit }
    }

    /// The nearest whole number of steps, for a coordinate between the edges.
    #[inline]
    pub(crate) fn of(self, coordinate: f64) -> i64 {
        // Adding 1.5 * 2^52 puts the whole part into the low bits: rounding without a call.
        const ROUNDER: f64 = 6_755_399_441_055_744.0;
        let shifted = coordinate * self.steps_a_unit + ROUNDER;
        shifted.to_bits() as i64 - ROUNDER.to_bits() as i64
    }

    /// Steps of one coordinate times steps of another, as the unit of their product's sum.
    pub(crate) fn times(self, other: Self) -> Self {
        Self {
            steps_a_unit: self.steps_a_unit * other.steps_a_unit,
        }
    }

    /// Steps of a pure count.
    pub(crate) const ONES: Self = Self { steps_a_unit: 1.0 };
}

/// A sum over coordinates: whole steps from entries of weight 1, an exact sum from all others.
#[derive(Clone, Debug, Default)]
pub(crate) struct Coordinates {
    pub(crate) steps: i128,
    pub(crate) rest: ExactSum,
}

impl Coordinates {
    /// Bits of steps that are read or merged. Entries that are counted need as many at most, so
    /// that the sum of two is no more than 127 bits.
    const BITS: u32 = 125;

    /// The sum in the unit of the axis.
    pub(crate) fn total(&self, steps: Steps) -> ExactSum {
        let mut total = self.rest.clone();
        let mut left = self.steps;
        while left != 0 {
            let part = left as f64;
            left -= part as i128;
            total.add(part / steps.steps_a_unit);
        }
        total
    }

    /// A sum read from somewhere: in whole steps what is whole steps.
    pub(crate) fn of(parts: &[f64], steps: Steps) -> Self {
        let mut sum = Self::default();
        for part in parts {
            let in_steps = part * steps.steps_a_unit;
            if in_steps.fract() == 0.0 && in_steps.abs() < 2.0_f64.powi(Self::BITS as i32 - 2) {
                sum.steps += in_steps as i128;
            } else {
                sum.rest.add(*part);
            }
        }
        sum
    }

    fn merge(&mut self, other: &Self, steps: Steps) {
        let sum = self.steps + other.steps;
        if matches!(sum >> Self::BITS, 0 | -1) {
            self.steps = sum;
        } else {
            // Only sums of a file are that large; entries that are counted have room.
            let theirs = Self {
                steps: other.steps,
                ..Self::default()
            };
            self.rest.merge(&theirs.total(steps));
        }
        if !other.rest.parts.is_empty() {
            self.rest.merge(&other.rest);
        }
    }
}

/// The sums of a histogram over its entries between the edges, each with the unit of its steps. The
/// first is that of weights.
#[derive(Clone, Debug)]
pub(crate) struct Sums<const N: usize> {
    /// Entries of weight 1, which are not in the first sum.
    ones: u64,
    each: [Coordinates; N],
    steps: [Steps; N],
}

impl<const N: usize> Sums<N> {
    pub(crate) fn new(steps: [Steps; N]) -> Self {
        let each = std::array::from_fn(|_| Coordinates::default());
        Self {
            ones: 0,
            each,
            steps,
        }
    }

    /// Sums read from somewhere, as lists of numbers.
    pub(crate) fn of(parts: &[Vec<f64>; N], steps: [Steps; N]) -> Self {
        let each = std::array::from_fn(|n| Coordinates::of(&parts[n], steps[n]));
        Self {
            ones: 0,
            each,
            steps,
        }
    }

    pub(crate) fn steps(&self) -> [Steps; N] {
        self.steps
    }

    /// Adds an entry of weight 1: the steps of the sums behind the first.
    #[inline]
    pub(crate) fn count<const M: usize>(&mut self, steps: [i128; M]) {
        const { assert!(M + 1 == N) };
        self.ones += 1;
        for (sum, added) in self.each[1..].iter_mut().zip(steps) {
            sum.steps += added;
        }
    }

    /// Adds the terms of an entry of any other weight.
    pub(crate) fn add(&mut self, terms: [f64; N]) {
        for (sum, term) in self.each.iter_mut().zip(terms) {
            sum.rest.add(term);
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.ones += other.ones;
        for ((ours, theirs), steps) in self.each.iter_mut().zip(&other.each).zip(self.steps) {
            ours.merge(theirs, steps);
        }
    }

    /// The sums, rounded.
    pub(crate) fn values(&self) -> [f64; N] {
        std::array::from_fn(|n| self.total(n).value())
    }

    /// One of them, exact.
    pub(crate) fn total(&self, which: usize) -> ExactSum {
        let mut total = self.each[which].total(self.steps[which]);
        if which == 0 {
            // Entries are fewer than 2^53.
            total.add(self.ones as f64);
        }
        total
    }
}

impl<const N: usize> PartialEq for Sums<N> {
    fn eq(&self, other: &Self) -> bool {
        self.steps == other.steps && (0..N).all(|which| self.total(which) == other.total(which))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_exact_arithmetic() {
        for (terms, expect) in [
            (vec![], 0.0),
            (vec![1e60, 1.0, -1e60], 1.0),
            (vec![0.1; 10], 1.0),
            (
                vec![1.0, 2.0_f64.powi(-53), 2.0_f64.powi(-110)],
                1.0 + f64::EPSILON,
            ),
            (vec![1.0, 2.0_f64.powi(-53), -2.0_f64.powi(-110)], 1.0),
            (vec![5e-324, 5e-324, -1e-323], 0.0),
        ] {
            for rotation in 0..terms.len().max(1) {
                let mut rotated = terms.clone();
                rotated.rotate_left(rotation);
                let sum = ExactSum::of(&rotated);
                assert_eq!(sum.value(), expect, "{rotated:?}");
                assert_eq!(sum, ExactSum::of(&terms));
                assert_eq!(ExactSum::of(&sum.canonical()), sum);
            }
        }
        assert_ne!(ExactSum::of(&[1.0, 1e-40]), ExactSum::of(&[1.0]));
    }

    #[test]
    fn steps_are_exact_where_numbers_are_and_small_elsewhere() {
        let steps = Steps::up_to(120.0);
        for value in [0.0, 0.125, -119.5, 120.0, 91.1876, -1e-9] {
            let back = steps.of(value) as f64 / steps.steps_a_unit;
            assert!((back - value).abs() <= 2.0_f64.powi(-36), "{value} {back}");
        }
        let squares = steps.times(steps);
        let largest = i128::from(steps.of(128.0)).pow(2) * i128::from(MAX_ENTRIES);
        let sum = Coordinates {
            steps: largest,
            rest: ExactSum::default(),
        };
        assert_eq!(sum.total(squares).value(), 16_384.0 * MAX_ENTRIES as f64);
        let again = Coordinates::of(&sum.total(squares).canonical(), squares);
        assert_eq!(again.total(squares), sum.total(squares));
    }
}

//! Sums that do not depend on the order of their terms.
//!
//! In come numbers, out comes their sum: exact inside, rounded once when it is looked at. That is
//! why histograms merge to the same bits however they were split and in whatever order. Two ways:
//! [`ExactSum`] takes any finite number and keeps the rounding errors of its additions
//! (J. R. Shewchuk, Discrete Comput. Geom. 18 (1997) 305); [`Sums`] counts values between the edges
//! of an axis in whole steps, which is as fast as adding floating point. Nothing here
//! overflows: whoever adds keeps to [`MAX_MAGNITUDE`].

/// Edges, weights and values of a profile are not larger than this, so that sums of their products
/// are finite.
pub const MAX_MAGNITUDE: f64 = 1e60;

/// More entries than this are not counted: far from where a content is no whole number any more.
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

/// Whole steps of a quantity of bounded size: 2^-42 of the power of two above its bound. Values are
/// rounded to steps once, when they are filled: for coordinates between the edges of an axis 2
/// parts in 10^13 of the larger edge, which is far below the width of any bin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Steps {
    steps_a_unit: f64,
}

impl Steps {
    /// Bits of the largest number of steps; its sign is one more.
    const BITS: u32 = 42;

    /// For values up to `largest` in magnitude.
    pub(crate) fn up_to(largest: f64) -> Self {
        // Of axes narrower than this the squares would no longer be numbers.
        let exponent = largest.max(1e-120).to_bits() >> 52;
        // 2 to the power of BITS less one more than the exponent, both biased by 1023.
        let power = 2 * 1023 + Self::BITS as i32 - 1 - exponent as i32;
        let steps_a_unit = f64::from_bits((power as u64) << 52);
        Self { steps_a_unit }
    }

    /// The nearest whole number of steps, for a value within the bound.
    #[inline]
    pub(crate) fn of(self, value: f64) -> i64 {
        // Adding 1.5 * 2^52 puts the whole part into the low bits: rounding without a call.
        const ROUNDER: f64 = 6_755_399_441_055_744.0;
        let shifted = value * self.steps_a_unit + ROUNDER;
        shifted.to_bits() as i64 - ROUNDER.to_bits() as i64
    }

    /// Steps for the products of two quantities, as fine for their bound.
    pub(crate) fn times(self, other: Self) -> Self {
        let steps_a_unit = self.steps_a_unit * other.steps_a_unit / 2.0_f64.powi(Self::BITS as i32);
        Self { steps_a_unit }
    }

    /// Steps of a pure count.
    pub(crate) const ONES: Self = Self { steps_a_unit: 1.0 };
}

/// A sum of steps.
#[derive(Clone, Copy, Debug)]
struct Counted {
    /// Of the last entries, not more than [`RECENT`] of them.
    recent: i64,
    unit: Steps,
    /// Of those before.
    settled: i128,
}

/// So many entries are no longer exact in floating point.
const ONES_MAX: u64 = 1 << 53;

/// The steps of so many entries fit into 64 bits.
const RECENT: u64 = 1 << 20;

/// The sums of a histogram over its entries between the edges, each with the unit of its steps:
/// whole steps from entries of weight 1, exact sums from all others. The first is that of weights.
#[derive(Clone, Debug)]
pub(crate) struct Sums<const N: usize> {
    /// Entries of weight 1: of the first sum what comes in whole steps.
    ones: u64,
    /// Of the others what comes in whole steps; the first stays empty.
    each: [Counted; N],
    /// What does not come in whole steps.
    rest: Option<Box<[ExactSum; N]>>,
}

impl<const N: usize> Sums<N> {
    /// Bits of steps that are read or merged, so that no sum of two needs more than 127. Entries
    /// that are counted need 84 at most.
    const SETTLED_BITS: u32 = 124;

    pub(crate) fn new(steps: [Steps; N]) -> Self {
        Self {
            ones: 0,
            each: steps.map(|unit| Counted {
                recent: 0,
                unit,
                settled: 0,
            }),
            rest: None,
        }
    }

    /// Sums read from somewhere, as lists of numbers: in whole steps what is whole steps.
    pub(crate) fn of(parts: &[Vec<f64>; N], steps: [Steps; N]) -> Self {
        let mut sums = Self::new(steps);
        for part in &parts[0] {
            if sums.ones == 0 && part.fract() == 0.0 && (0.0..ONES_MAX as f64).contains(part) {
                sums.ones = *part as u64;
            } else {
                sums.rest()[0].add(*part);
            }
        }
        for (which, parts) in parts.iter().enumerate().skip(1) {
            for part in parts {
                let in_steps = part * steps[which].steps_a_unit;
                let sum = sums.each[which].settled.saturating_add(in_steps as i128);
                if in_steps.fract() == 0.0 && Self::has_room(sum) {
                    sums.each[which].settled = sum;
                } else {
                    sums.rest()[which].add(*part);
                }
            }
        }
        sums
    }

    fn rest(&mut self) -> &mut [ExactSum; N] {
        let none = || Box::new(std::array::from_fn(|_| ExactSum::default()));
        self.rest.get_or_insert_with(none)
    }

    pub(crate) fn steps(&self) -> [Steps; N] {
        self.each.map(|sum| sum.unit)
    }

    /// Adds an entry of weight 1: the terms of the sums behind the first, each within the bound of
    /// its steps.
    #[inline]
    pub(crate) fn count<const M: usize>(&mut self, terms: [f64; M]) {
        const { assert!(M + 1 == N) };
        for (sum, term) in self.each[1..].iter_mut().zip(terms) {
            sum.recent += sum.unit.of(term);
        }
        self.ones += 1;
        if self.ones.is_multiple_of(RECENT) {
            self.settle();
        }
    }

    #[cold]
    #[inline(never)]
    fn settle(&mut self) {
        for sum in &mut self.each {
            sum.settled += i128::from(std::mem::take(&mut sum.recent));
        }
    }

    /// Adds the terms of an entry of any other weight.
    pub(crate) fn add(&mut self, terms: [f64; N]) {
        for (sum, term) in self.rest().iter_mut().zip(terms) {
            sum.add(term);
        }
    }

    /// Whether a sum of steps may be added to another one.
    fn has_room(sum: i128) -> bool {
        matches!(sum >> Self::SETTLED_BITS, 0 | -1)
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.ones += other.ones;
        // All at once first: sums without room or rests are seldom.
        let mut high_bits = (self.ones / ONES_MAX) as i64;
        for (ours, theirs) in self.each[1..].iter_mut().zip(&other.each[1..]) {
            let recent = i128::from(ours.recent) + i128::from(theirs.recent);
            let sum = ours.settled + theirs.settled + recent;
            (ours.settled, ours.recent) = (sum, 0);
            let high = (sum >> 64) as i64;
            high_bits |= (high >> (Self::SETTLED_BITS - 64)) ^ (high >> 63);
        }
        if high_bits != 0 || other.rest.is_some() {
            self.merge_slowly(other);
        }
    }

    #[cold]
    #[inline(never)]
    fn merge_slowly(&mut self, other: &Self) {
        if self.ones >= ONES_MAX {
            let before = self.ones - other.ones;
            self.ones = other.ones;
            self.rest()[0].add(before as f64);
        }
        for which in 0..N {
            let Counted { settled, unit, .. } = self.each[which];
            if !Self::has_room(settled) {
                self.each[which].settled = 0;
                self.rest()[which].merge(&in_units(settled, unit));
            }
            if let Some(theirs) = &other.rest {
                self.rest()[which].merge(&theirs[which]);
            }
        }
    }

    /// The sums, rounded.
    pub(crate) fn values(&self) -> [f64; N] {
        std::array::from_fn(|n| self.total(n).value())
    }

    /// One of them, exact.
    pub(crate) fn total(&self, which: usize) -> ExactSum {
        let Counted {
            recent,
            unit,
            settled,
        } = self.each[which];
        let mut total = in_units(settled + i128::from(recent), unit);
        if let Some(rest) = &self.rest {
            total.merge(&rest[which]);
        }
        if which == 0 {
            total.add(self.ones as f64);
        }
        total
    }
}

/// A number of steps in the unit of what they count.
fn in_units(steps: i128, unit: Steps) -> ExactSum {
    let mut total = ExactSum::default();
    let mut left = steps;
    while left != 0 {
        let part = left as f64;
        left -= part as i128;
        total.add(part / unit.steps_a_unit);
    }
    total
}

impl<const N: usize> PartialEq for Sums<N> {
    fn eq(&self, other: &Self) -> bool {
        self.steps() == other.steps() && (0..N).all(|which| self.total(which) == other.total(which))
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
        for value in [0.0, 0.125, 16_384.0, 91.1876 * 91.1876] {
            let back = squares.of(value) as f64 / squares.steps_a_unit;
            assert!((back - value).abs() <= 2.0_f64.powi(-29), "{value} {back}");
        }
    }

    #[test]
    fn the_largest_sums_are_exact_and_what_is_larger_is_not_lost() {
        let steps = Steps::up_to(120.0);
        let squares = steps.times(steps);
        let units = [Steps::ONES, steps, squares];
        // As many entries at the edge as are counted at all.
        let entries = MAX_ENTRIES as f64;
        let largest = [
            vec![entries],
            vec![-128.0 * entries],
            vec![16_384.0 * entries],
        ];
        let sums = Sums::of(&largest, units);
        assert!(sums.rest.is_none());
        assert_eq!(
            sums.values(),
            [entries, -128.0 * entries, 16_384.0 * entries]
        );
        // Of a file that says more than can be: doubled until nothing has room any more.
        let mut doubled = sums;
        for power in 1..=60 {
            let copy = doubled.clone();
            doubled.merge(&copy);
            let scale = 2.0_f64.powi(power);
            let expect = [entries, -128.0 * entries, 16_384.0 * entries].map(|sum| sum * scale);
            assert_eq!(doubled.values(), expect, "doubled {power} times");
            let parts = std::array::from_fn(|which| doubled.total(which).canonical());
            assert_eq!(Sums::of(&parts, units), doubled, "read back");
        }
        assert!(doubled.rest.is_some());
    }

    #[test]
    fn recent_entries_are_settled_before_they_overflow() {
        // So many of the largest value do not fit into 64 bits.
        const ENTRIES: u64 = 3 << 20;
        const LARGEST: f64 = 127.0;
        let steps = Steps::up_to(LARGEST);
        let mut sums = Sums::new([Steps::ONES, steps, steps.times(steps)]);
        // Merges move the counter that says when to settle.
        for merges in [0, 5] {
            let mut expect = 0.0;
            let mut all = sums.clone();
            for part in 0..=merges {
                let mut piece = sums.clone();
                for _ in 0..ENTRIES - part {
                    piece.count([LARGEST, LARGEST * LARGEST]);
                    expect += 1.0;
                }
                all.merge(&piece);
                all.count([LARGEST, LARGEST * LARGEST]);
                expect += 1.0;
            }
            let wanted = [expect, LARGEST * expect, LARGEST * LARGEST * expect];
            assert_eq!(all.values(), wanted, "{merges} merges");
        }
        sums.count([0.0, 0.0]);
        assert_eq!(sums.values(), [1.0, 0.0, 0.0]);
    }
}

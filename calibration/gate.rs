//! Whether constants are good enough, and whether they open a new IOV.
//!
//! In come a rule, the IOV that is open for the tag and the constants of one run; out come a
//! decision with a reason for people, and the open IOV afterwards. All arithmetic is on integers,
//! in units of 10^-9 of the quantity's own unit ("nano"), so that a decision replayed on any
//! machine is the same to the last digit. It stores nothing and publishes nothing.

use serde::{Deserialize, Serialize};
use std::fmt;

/// One per nano^2: the unit of weights, so that 1 / error^2 keeps digits as an integer. With
/// errors up to [`LARGEST_ERROR_NANO`] a weight has at least six digits; sums that would not fit
/// into 128 bits make a run open its own IOV.
const WEIGHT_UNIT: i128 = 10_i128.pow(30);
/// Largest error the gate calculates with, 1000 units.
pub const LARGEST_ERROR_NANO: i64 = 1_000_000_000_000;

/// A fitted number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quantity {
    /// Name with its unit, such as `x0_cm`.
    pub name: String,
    /// Value, 10^-9 of its unit.
    pub value_nano: i64,
    /// One standard deviation, 10^-9 of its unit; more than 0.
    pub error_nano: i64,
}

/// The constants of one run (or of runs accumulated up to it), before the gate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// Tag they are meant for.
    pub tag: String,
    /// Run they would be in force from.
    pub run: u32,
    /// Entries they were fitted from, in the rule's word for them.
    pub n: u64,
    /// The numbers, in the order of the payload.
    pub quantities: Vec<Quantity>,
}

/// Values a quantity may have at all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// Name of the quantity.
    pub name: String,
    /// Smallest value allowed, 10^-9 of its unit.
    pub min_nano: i64,
    /// Largest value allowed, 10^-9 of its unit.
    pub max_nano: i64,
}

/// What a tag demands of its constants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Fewer entries than this decide nothing.
    pub n_min: u64,
    /// What is counted, in the plural: `tracks`, `dimuons`.
    pub counted: String,
    /// A quantity further than this many standard deviations from the open IOV opens a new one.
    pub max_sigma: u32,
    /// A quantity further than this from the open IOV is not believed, 10^-9 of its unit.
    pub max_move_nano: Option<i64>,
    /// A quantity with a greater error is not believed, 10^-9 of its unit.
    pub max_error_nano: Option<i64>,
    /// Values outside these are not believed.
    #[serde(default)]
    pub limits: Vec<Limit>,
    /// Whether runs with too few entries are added up until they suffice.
    pub accumulate: bool,
}

/// What the gate says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// A new payload, in force from this run.
    Update,
    /// The constants in force describe this run as well.
    NoChange,
    /// Too little data so far; more runs are added.
    Collecting,
    /// The constants are not believed; a person has to look.
    Veto,
    /// Nothing to decide: too little data and no accumulation, or a run out of turn.
    NotApplicable,
}

/// An outcome with its reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// What the gate says.
    pub outcome: Outcome,
    /// Why, as a sentence with numbers.
    pub reason: String,
}

/// Exact sums for the inverse-variance weighted mean of one quantity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accumulator {
    /// Name of the quantity.
    pub name: String,
    /// Value of the first run, 10^-9 of its unit: the others are added as differences from it.
    pub anchor_nano: i64,
    /// Sum of 10^30 / error^2.
    pub weight: i128,
    /// Sum of 10^30 / error^2 times the difference from the anchor.
    pub weighted: i128,
}

/// The IOV that runs may still join.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenIov {
    /// Its first run.
    pub since: u32,
    /// Runs in it, ascending.
    pub runs: Vec<u32>,
    /// One accumulator a quantity.
    pub quantities: Vec<Accumulator>,
}

impl Accumulator {
    fn of(quantity: &Quantity) -> Self {
        Self {
            name: quantity.name.clone(),
            anchor_nano: quantity.value_nano,
            weight: weight_of(quantity),
            weighted: 0,
        }
    }

    /// The weighted mean, 10^-9 of its unit, rounded to the nearest.
    pub fn mean_nano(&self) -> i64 {
        let half = if self.weighted < 0 {
            -self.weight / 2
        } else {
            self.weight / 2
        };
        let moved = self.weighted.saturating_add(half) / self.weight;
        let mean = i128::from(self.anchor_nano) + moved;
        i64::try_from(mean).expect("a weighted mean lies between its values")
    }

    /// The error of the weighted mean, 10^-9 of its unit, rounded down but at least 1.
    pub fn error_nano(&self) -> i64 {
        self.variance().isqrt().max(1) as i64
    }

    fn variance(&self) -> u128 {
        (WEIGHT_UNIT / self.weight).unsigned_abs()
    }

    fn with(&self, quantity: &Quantity) -> Option<Self> {
        let weight = weight_of(quantity);
        let moved = i128::from(quantity.value_nano) - i128::from(self.anchor_nano);
        Some(Self {
            name: self.name.clone(),
            anchor_nano: self.anchor_nano,
            weight: self.weight.checked_add(weight)?,
            weighted: self.weighted.checked_add(weight.checked_mul(moved)?)?,
        })
    }

    /// How far `quantity` lies from the mean.
    fn departure(&self, quantity: &Quantity) -> Departure {
        let moved = i128::from(quantity.value_nano) - i128::from(self.mean_nano());
        let error = i128::from(quantity.error_nano).unsigned_abs();
        Departure {
            moved: moved.unsigned_abs(),
            variance: error * error + self.variance(),
        }
    }
}

/// 10^30 / error^2; [`check`] has seen that the error is between 1 and the largest.
fn weight_of(quantity: &Quantity) -> i128 {
    let error = i128::from(quantity.error_nano.clamp(1, LARGEST_ERROR_NANO));
    WEIGHT_UNIT / (error * error)
}

/// A difference and the variance to judge it by, in 10^-9 and 10^-18 of the units.
#[derive(Clone, Copy)]
struct Departure {
    moved: u128,
    variance: u128,
}

impl Departure {
    /// moved <= sigmas x sqrt(variance), without a root. A difference whose square does not fit
    /// is larger than any number of sigmas.
    fn is_within(self, sigmas: u32) -> bool {
        let allowed = self.variance.saturating_mul(u128::from(sigmas).pow(2));
        self.moved
            .checked_mul(self.moved)
            .is_some_and(|square| square <= allowed)
    }

    /// Tenths of a sigma, for people.
    fn tenths(self) -> u128 {
        self.moved.saturating_mul(10) / self.variance.isqrt().max(1)
    }
}

/// Prints tenths of a sigma as `41.2 sigma`.
impl fmt::Display for Departure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{} sigma", self.tenths() / 10, self.tenths() % 10)
    }
}

/// Prints a number of 10^-9 as a decimal number without needless zeros.
pub(crate) struct Nano(pub(crate) i64);

impl fmt::Display for Nano {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = self.0.unsigned_abs();
        let sign = if self.0 < 0 { "-" } else { "" };
        let digits = format!("{:09}", size % 1_000_000_000);
        let fraction = digits.trim_end_matches('0');
        let point = if fraction.is_empty() { "" } else { "." };
        write!(f, "{sign}{}{point}{fraction}", size / 1_000_000_000)
    }
}

impl OpenIov {
    /// The IOV that `candidate` opens.
    pub fn open(candidate: &Candidate) -> Self {
        Self {
            since: candidate.run,
            runs: vec![candidate.run],
            quantities: candidate.quantities.iter().map(Accumulator::of).collect(),
        }
    }

    /// This IOV with `candidate` in it; `None` when its quantities differ in number or name, or
    /// the sums would not fit.
    pub fn join(&self, candidate: &Candidate) -> Option<Self> {
        if !self.has_the_quantities_of(candidate) {
            return None;
        }
        let pairs = self.quantities.iter().zip(&candidate.quantities);
        let quantities = pairs
            .map(|(sums, new)| sums.with(new))
            .collect::<Option<Vec<_>>>()?;
        let mut runs = self.runs.clone();
        runs.push(candidate.run);
        Some(Self {
            since: self.since,
            runs,
            quantities,
        })
    }

    /// The IOV of a constant that nothing was measured with here: it counts as exact, and runs may
    /// join it. A run may be judged against it although none has joined.
    pub fn of_constant(since: u32, values: impl IntoIterator<Item = (String, i64)>) -> Self {
        let exact = values.into_iter().map(|(name, value_nano)| {
            Accumulator::of(&Quantity {
                name,
                value_nano,
                error_nano: 1,
            })
        });
        Self {
            since,
            runs: Vec::new(),
            quantities: exact.collect(),
        }
    }

    /// This IOV with the quantities of `candidate` that it has itself: what a run measures besides
    /// is not in force, and what it does not measure stays as it is.
    pub fn join_known(&self, candidate: &Candidate) -> Self {
        let mut joined = self.clone();
        for sums in &mut joined.quantities {
            let own = candidate
                .quantities
                .iter()
                .find(|new| new.name == sums.name);
            if let Some(with) = own.and_then(|new| sums.with(new)) {
                *sums = with;
            }
        }
        joined.runs.push(candidate.run);
        joined
    }

    /// The IOV that `candidate` opens after this one: what it does not measure stays as it was.
    pub fn followed_by(&self, candidate: &Candidate) -> Self {
        let mut next = Self::open(candidate);
        let is_new = |sums: &&Accumulator| next.quantities.iter().any(|new| new.name == sums.name);
        let stays: Vec<_> = self
            .quantities
            .iter()
            .filter(|sums| !is_new(sums))
            .cloned()
            .collect();
        next.quantities.extend(stays);
        next
    }

    /// The value of a quantity that is in force, 10^-9 of its unit.
    pub fn in_force_nano(&self, name: &str) -> Option<i64> {
        let mut own = self.quantities.iter().filter(|sums| sums.name == name);
        own.next().map(|sums| sums.anchor_nano)
    }

    fn has_the_quantities_of(&self, candidate: &Candidate) -> bool {
        self.quantities.len() == candidate.quantities.len()
            && self
                .quantities
                .iter()
                .zip(&candidate.quantities)
                .all(|(a, b)| a.name == b.name)
    }

    /// The quantity that departs most, and by how much.
    fn largest_departure<'a>(&self, candidate: &'a Candidate) -> Option<(&'a str, Departure)> {
        let pairs = self.quantities.iter().zip(&candidate.quantities);
        pairs
            .map(|(sums, new)| (new.name.as_str(), sums.departure(new)))
            .max_by_key(|(_, departure)| departure.tenths())
    }

    fn agrees_with(&self, candidate: &Candidate, sigmas: u32) -> bool {
        let pairs = self.quantities.iter().zip(&candidate.quantities);
        pairs
            .into_iter()
            .all(|(sums, new)| sums.departure(new).is_within(sigmas))
    }
}

/// Judges the constants of a run against the open IOV of their tag. A run joins when every quantity
/// lies within `max_sigma` combined standard deviations of the weighted mean of the runs in the
/// IOV; else it opens a new one. Returned with the decision: the IOV that is open afterwards.
pub fn judge(
    rule: &Rule,
    open: Option<&OpenIov>,
    candidate: &Candidate,
) -> (Decision, Option<OpenIov>) {
    let unchanged = |outcome, reason| (Decision { outcome, reason }, open.cloned());
    let run = candidate.run;
    if candidate.n < rule.n_min {
        let (n, n_min, counted) = (candidate.n, rule.n_min, &rule.counted);
        return if rule.accumulate {
            unchanged(
                Outcome::Collecting,
                format!("{n} of {n_min} {counted} needed: collecting"),
            )
        } else {
            let reason = format!("{n} of {n_min} {counted} needed: run {run} decides nothing");
            unchanged(Outcome::NotApplicable, reason)
        };
    }
    if let Some(reason) = check(rule, candidate) {
        return unchanged(Outcome::Veto, reason);
    }
    let Some(iov) = open else {
        let reason = format!("first constants of the tag: IOV from run {run}");
        return (
            Decision {
                outcome: Outcome::Update,
                reason,
            },
            Some(OpenIov::open(candidate)),
        );
    };
    if iov.runs.last().is_some_and(|last| run <= *last) {
        let last = iov.runs.last().copied().unwrap_or(iov.since);
        let reason = format!("run {run} is not after run {last}, judged already: no decision");
        return unchanged(Outcome::NotApplicable, reason);
    }
    if let Some(reason) = moved_too_far(rule, iov, candidate) {
        return unchanged(Outcome::Veto, reason);
    }
    against(rule, iov, candidate)
}

/// The decision between joining and opening, for a candidate that is believed.
fn against(rule: &Rule, iov: &OpenIov, candidate: &Candidate) -> (Decision, Option<OpenIov>) {
    let run = candidate.run;
    let (name, departure) = iov
        .largest_departure(candidate)
        .expect("check() refuses candidates without quantities");
    let joined = iov
        .agrees_with(candidate, rule.max_sigma)
        .then(|| iov.join(candidate))
        .flatten();
    if let Some(joined) = joined {
        let since = iov.since;
        let reason =
            format!("agrees within {departure} with the IOV since {since}: no new payload");
        return (
            Decision {
                outcome: Outcome::NoChange,
                reason,
            },
            Some(joined),
        );
    }
    let reason = format!("{name} moved by {departure}: new IOV from run {run}");
    (
        Decision {
            outcome: Outcome::Update,
            reason,
        },
        Some(OpenIov::open(candidate)),
    )
}

/// Why the candidate is not believed, whatever is in force.
fn check(rule: &Rule, candidate: &Candidate) -> Option<String> {
    if candidate.quantities.is_empty() {
        return Some(format!(
            "run {} brings no quantities: nothing to judge",
            candidate.run
        ));
    }
    let most = rule
        .max_error_nano
        .unwrap_or(LARGEST_ERROR_NANO)
        .min(LARGEST_ERROR_NANO);
    candidate.quantities.iter().find_map(|quantity| {
        let (name, error) = (&quantity.name, quantity.error_nano);
        if error <= 0 {
            return Some(format!("{name} has no error: the fit is not valid"));
        }
        if error > most {
            let (error, most) = (Nano(error), Nano(most));
            return Some(format!(
                "error of {name} is {error}, {most} allowed: not believed"
            ));
        }
        let limit = rule.limits.iter().find(|limit| limit.name == *name)?;
        let value = quantity.value_nano;
        (value < limit.min_nano || value > limit.max_nano).then(|| {
            let (value, min, max) = (Nano(value), Nano(limit.min_nano), Nano(limit.max_nano));
            format!("{name} is {value}, outside {min} to {max}: not believed")
        })
    })
}

/// Why the candidate is not believed after what is in force.
fn moved_too_far(rule: &Rule, iov: &OpenIov, candidate: &Candidate) -> Option<String> {
    if !iov.has_the_quantities_of(candidate) {
        let since = iov.since;
        return Some(format!(
            "the quantities are not those of the IOV since {since}: check the fit"
        ));
    }
    let most = rule.max_move_nano?;
    iov.quantities
        .iter()
        .zip(&candidate.quantities)
        .find_map(|(sums, new)| {
            let moved = new
                .value_nano
                .saturating_sub(sums.mean_nano())
                .saturating_abs();
            (moved > most).then(|| {
                let (name, moved, most) = (&new.name, Nano(moved), Nano(most));
                format!("{name} moved by {moved}, {most} allowed: not believed")
            })
        })
}

#[cfg(test)]
#[path = "gate_tests.rs"]
mod tests;

//! The sums over records from which global parameters are found: reduced normal equations, the
//! objective, and counts of what was rejected.
//!
//! In come records, and the values that parameters have in this pass; out come sums that add up:
//! any split of the records into parts, jobs or threads gives the same, but for roundings. Each
//! record's local parameters are fitted and taken out of the equations by the Schur complement
//! (V. Blobel, NIM A 566, 2006, 5-13; MillepedeII: pede.f90, `loopbf`). Nothing is solved here.

use super::cut::{Cut, three_sigma_chi_square};
use super::local::LocalFit;
use super::problem::{NONE, Problem};
use super::records::{Measurement, Records};

/// Beyond so many standard deviations a measurement is down-weighted (Huber; 95 % efficiency).
const HUBER: f64 = 1.345;
/// The same for the passes after the third (Cauchy).
const CAUCHY: f64 = 2.3849;

/// One pass over all records.
#[derive(Clone, Debug, PartialEq)]
pub struct Pass {
    /// Value of each parameter, by place.
    pub(crate) values: Vec<f64>,
    pub(crate) cut: Cut,
    /// Whether the matrix is needed, or the right hand side only.
    pub(crate) with_matrix: bool,
    /// Passes of each local fit with outliers down-weighted; 1 is without.
    pub(crate) local_passes: u32,
}

/// Records that are not used, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rejects {
    /// Local parameters that cannot be told apart, or numbers that overflowed.
    pub rank: u64,
    /// No degree of freedom.
    pub no_freedom: u64,
    /// Chi-square beyond the huge cut.
    pub huge: u64,
    /// Chi-square beyond the cut, or too much of the weight taken by down-weighting.
    pub large: u64,
}

impl Rejects {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.rank + self.no_freedom + self.huge + self.large
    }
}

/// Sums over records.
#[derive(Clone, Debug, PartialEq)]
pub struct Sums {
    /// Lower triangle by rows, if it was asked for.
    pub(crate) matrix: Option<Vec<f64>>,
    pub(crate) vector: Vec<f64>,
    /// Entries of free parameters in records used.
    pub(crate) entries: Vec<u64>,
    pub(crate) chi_square: f64,
    /// Degrees of freedom of all local fits that could be done.
    pub(crate) ndf: u64,
    pub(crate) records: u64,
    pub(crate) rejects: Rejects,
    /// Tells one set of used records from another, whatever their order.
    pub(crate) fingerprint: u64,
}

/// Where row `row` of a packed lower triangle begins.
pub(crate) fn row_start(row: usize) -> usize {
    row * (row + 1) / 2
}

impl Sums {
    /// Sums over nothing.
    pub fn new(problem: &Problem, pass: &Pass) -> Self {
        let free = problem.free.len();
        Self {
            matrix: pass.with_matrix.then(|| vec![0.0; row_start(free)]),
            vector: vec![0.0; free],
            entries: vec![0; free],
            chi_square: 0.0,
            ndf: 0,
            records: 0,
            rejects: Rejects::default(),
            fingerprint: 0,
        }
    }

    /// Adds records with a common weight.
    pub fn add(&mut self, problem: &Problem, pass: &Pass, records: &Records, weight: f64) {
        let mut work = Work::new(problem.free.len());
        let mut measurements = Vec::new();
        for record in 0..records.len() {
            measurements.clear();
            measurements.extend(records.measurements(record));
            work.take(problem, pass, &measurements);
            self.add_record(problem, pass, &measurements, weight, &mut work);
        }
    }

    /// Adds the sums over other records of the same pass.
    pub fn merge(&mut self, other: &Self) {
        if let (Some(matrix), Some(others)) = (&mut self.matrix, &other.matrix) {
            add_each(matrix, others);
        }
        add_each(&mut self.vector, &other.vector);
        for (entries, others) in self.entries.iter_mut().zip(&other.entries) {
            *entries += others;
        }
        self.chi_square += other.chi_square;
        self.ndf += other.ndf;
        self.records += other.records;
        self.rejects.rank += other.rejects.rank;
        self.rejects.no_freedom += other.rejects.no_freedom;
        self.rejects.huge += other.rejects.huge;
        self.rejects.large += other.rejects.large;
        self.fingerprint = self.fingerprint.wrapping_add(other.fingerprint);
    }

    fn add_record(
        &mut self,
        problem: &Problem,
        pass: &Pass,
        measurements: &[Measurement<'_>],
        weight: f64,
        work: &mut Work,
    ) {
        self.records += 1;
        if !work.fit(pass, measurements) {
            self.rejects.rank += 1;
            return;
        }
        let parameters = work.local.len();
        if measurements.len() <= parameters {
            self.rejects.no_freedom += 1;
            return;
        }
        let ndf = (measurements.len() - parameters) as u64;
        self.ndf += ndf;
        let limit = three_sigma_chi_square(ndf);
        if pass
            .cut
            .huge
            .is_some_and(|factor| work.chi_square > factor * limit)
        {
            self.rejects.huge += 1;
            return;
        }
        if let Some(factor) = pass.cut.large
            && work.chi_square > factor * limit
        {
            self.chi_square += weight * factor * limit;
            self.rejects.large += 1;
            return;
        }
        let most = problem.steering.downweight_fraction_max;
        if pass.local_passes > 1 && most > 0.0 && work.downweighted > most {
            self.chi_square += weight * work.chi_square;
            self.rejects.large += 1;
            return;
        }
        self.chi_square += weight * work.chi_square;
        self.fingerprint = self.fingerprint.wrapping_add(fingerprint(measurements));
        self.add_gradient(measurements, weight, work);
        if let Some(matrix) = &mut self.matrix {
            work.number_globals();
            add_direct(matrix, measurements, weight, work);
            work.mix(measurements);
            subtract_local_part(matrix, weight, work);
            work.forget_globals();
        }
    }

    fn add_gradient(&mut self, measurements: &[Measurement<'_>], weight: f64, work: &Work) {
        let mut numbers = work.globals.iter();
        for (place, measurement) in measurements.iter().enumerate() {
            let factor = weight * work.weights[place] * work.residuals[place];
            for (derivative, number) in measurement.global.iter().zip(&mut numbers) {
                if *number != NONE {
                    self.vector[*number as usize] += factor * derivative;
                    self.entries[*number as usize] += 1;
                }
            }
        }
    }
}

fn add_each(sums: &mut [f64], others: &[f64]) {
    for (sum, other) in sums.iter_mut().zip(others) {
        *sum += other;
    }
}

/// A number that is hardly the same for another record.
fn fingerprint(measurements: &[Measurement<'_>]) -> u64 {
    let mut mixed = measurements.len() as u64;
    for measurement in [measurements.first(), measurements.last()]
        .into_iter()
        .flatten()
    {
        let mut state = mixed ^ measurement.value.to_bits();
        mixed = crate::random::split_mix(&mut state);
    }
    mixed
}

/// The direct part of the matrix: products of derivatives of the same measurement.
fn add_direct(matrix: &mut [f64], measurements: &[Measurement<'_>], weight: f64, work: &Work) {
    let mut from = 0;
    for (place, measurement) in measurements.iter().enumerate() {
        let numbers = &work.globals[from..from + measurement.global.len()];
        from += numbers.len();
        let factor = weight * work.weights[place];
        for (k, number) in numbers
            .iter()
            .enumerate()
            .filter(|(_, number)| **number != NONE)
        {
            let one = factor * measurement.global[k];
            for (other, derivative) in numbers[..=k].iter().zip(measurement.global) {
                if *other == NONE {
                    continue;
                }
                let (high, low) = (*number.max(other) as usize, *number.min(other) as usize);
                matrix[row_start(high) + low] += one * derivative;
            }
            // A label that stands twice in a measurement meets itself both ways round.
            let twice = numbers[..k].iter().zip(measurement.global);
            for (_, derivative) in twice.filter(|(other, _)| *other == number) {
                matrix[row_start(*number as usize) + *number as usize] += one * derivative;
            }
        }
    }
}

/// The part that the local parameters take: with H the products of global and local derivatives
/// and L the factor of the local matrix, it is (H L^-T) (H L^-T)^T.
fn subtract_local_part(matrix: &mut [f64], weight: f64, work: &mut Work) {
    let width = work.used.len();
    work.product.clear();
    work.product.resize(width, 0.0);
    for (place, number) in work.used.iter().enumerate() {
        let product = &mut work.product[..=place];
        product.fill(0.0);
        // Two rows at a time: most tracks have an even number of parameters, and each sweep costs.
        for rows in work.mixed.chunks(2 * width) {
            let (one, other) = rows.split_at(width);
            let factor = weight * one[place];
            if other.is_empty() {
                for (element, one) in product.iter_mut().zip(one) {
                    *element += factor * one;
                }
                continue;
            }
            let other_factor = weight * other[place];
            if factor != 0.0 || other_factor != 0.0 {
                for ((element, one), other) in product.iter_mut().zip(one).zip(other) {
                    *element += factor * one + other_factor * other;
                }
            }
        }
        let start = row_start(*number as usize);
        let target = &mut matrix[start..=start + *number as usize];
        for run in &work.runs {
            if run.from > place {
                break;
            }
            let part = &product[run.from..run.to.min(place + 1)];
            for (element, taken) in target[run.first as usize..].iter_mut().zip(part) {
                *element -= taken;
            }
        }
    }
}

/// Free parameters of a record that follow each other without a gap.
struct Run {
    from: usize,
    to: usize,
    /// Number of the first.
    first: u32,
}

/// What is known of the record at hand; room is kept from record to record.
struct Work {
    local: LocalFit,
    /// Number of the free parameter for each global derivative, or [`NONE`].
    globals: Vec<u32>,
    /// Values less what global parameters say.
    corrected: Vec<f64>,
    sigmas: Vec<f64>,
    weights: Vec<f64>,
    predicted: Vec<f64>,
    residuals: Vec<f64>,
    chi_square: f64,
    /// Share of the weight that down-weighting took.
    downweighted: f64,
    /// Place in `used` of each free parameter, or [`NONE`].
    place_of: Vec<u32>,
    /// Free parameters of the record, rising.
    used: Vec<u32>,
    runs: Vec<Run>,
    /// Products of global and local derivatives, a row for each local parameter.
    mixed: Vec<f64>,
    product: Vec<f64>,
}

impl Work {
    fn new(free: usize) -> Self {
        Self {
            local: LocalFit::default(),
            globals: Vec::new(),
            corrected: Vec::new(),
            sigmas: Vec::new(),
            weights: Vec::new(),
            predicted: Vec::new(),
            residuals: Vec::new(),
            chi_square: 0.0,
            downweighted: 0.0,
            place_of: vec![NONE; free],
            used: Vec::new(),
            runs: Vec::new(),
            mixed: Vec::new(),
            product: Vec::new(),
        }
    }

    /// Corrects the measurements for the global parameters.
    fn take(&mut self, problem: &Problem, pass: &Pass, measurements: &[Measurement<'_>]) {
        self.globals.clear();
        self.corrected.clear();
        self.sigmas.clear();
        let mut last_index = 0;
        let (with, without) = problem.steering.error_scales;
        for measurement in measurements {
            let mut value = measurement.value;
            for (label, derivative) in measurement.labels.iter().zip(measurement.global) {
                let place = problem.place(*label);
                // Labels of the records were counted, so each has a place.
                let number = place.map_or(NONE, |place| {
                    value -= derivative * pass.values[place];
                    problem.free_number[place]
                });
                self.globals.push(number);
            }
            self.corrected.push(value);
            let scale = if measurement.labels.is_empty() {
                without
            } else {
                with
            };
            self.sigmas.push(measurement.sigma * scale);
            last_index = measurement
                .local_indices
                .iter()
                .copied()
                .fold(last_index, i32::max);
        }
        self.local.begin(last_index as usize);
        for measurement in measurements {
            self.local.connect(measurement.local_indices);
        }
    }

    /// Fits the local parameters, in several passes if outliers are to be down-weighted; false when
    /// they cannot be told apart. The weights of the last pass are those that the normal equations
    /// get, so that the local part of the gradient is zero.
    fn fit(&mut self, pass: &Pass, measurements: &[Measurement<'_>]) -> bool {
        for local_pass in 1..=pass.local_passes.max(1) {
            self.local.clear();
            self.weights.clear();
            for (place, measurement) in measurements.iter().enumerate() {
                let sigma = self.sigmas[place];
                let mut weight = sigma.powi(2).recip();
                if local_pass > 1 {
                    let pull = (self.corrected[place] - self.predicted[place]) / sigma;
                    weight *= weight_factor(local_pass, pull);
                }
                self.weights.push(weight);
                let (indices, derivatives) = (measurement.local_indices, measurement.local);
                self.local
                    .add(indices, derivatives, self.corrected[place], weight);
            }
            if !self.local.decompose() {
                return false;
            }
            self.local.solve();
            self.predicted.clear();
            self.predicted
                .extend(measurements.iter().map(|measurement| {
                    self.local
                        .predict(measurement.local_indices, measurement.local)
                }));
        }
        self.judge(pass.local_passes)
    }

    /// Residuals and chi-square of the last pass; false when they are no numbers.
    fn judge(&mut self, local_passes: u32) -> bool {
        self.residuals.clear();
        self.chi_square = 0.0;
        let mut kept = 0.0;
        for ((corrected, predicted), sigma) in
            self.corrected.iter().zip(&self.predicted).zip(&self.sigmas)
        {
            let residual = corrected - predicted;
            self.residuals.push(residual);
            let pull = residual / sigma;
            if local_passes > 1 {
                self.chi_square += objective(local_passes, pull);
                kept += weight_factor(local_passes, pull).sqrt();
            } else {
                self.chi_square += pull * pull;
                kept += 1.0;
            }
        }
        self.downweighted = 1.0 - kept / self.corrected.len() as f64;
        self.chi_square.is_finite()
    }

    /// Lists the record's free parameters and where they follow each other.
    fn number_globals(&mut self) {
        self.used.clear();
        for number in self.globals.iter().filter(|number| **number != NONE) {
            let place = &mut self.place_of[*number as usize];
            if *place == NONE {
                *place = 0;
                self.used.push(*number);
            }
        }
        self.used.sort_unstable();
        self.runs.clear();
        for (place, number) in self.used.iter().enumerate() {
            self.place_of[*number as usize] = place as u32;
            match self.runs.last_mut() {
                Some(run) if run.first + (place - run.from) as u32 == *number => run.to += 1,
                _ => self.runs.push(Run {
                    from: place,
                    to: place + 1,
                    first: *number,
                }),
            }
        }
    }

    fn forget_globals(&mut self) {
        for number in &self.used {
            self.place_of[*number as usize] = NONE;
        }
    }

    /// Products of global and local derivatives, times the inverse of the local matrix's factor.
    fn mix(&mut self, measurements: &[Measurement<'_>]) {
        let width = self.used.len();
        self.mixed.clear();
        self.mixed.resize(width * self.local.len(), 0.0);
        let mut numbers = self.globals.iter();
        for (place, measurement) in measurements.iter().enumerate() {
            let weight = self.weights[place];
            for (derivative, number) in measurement.global.iter().zip(&mut numbers) {
                if *number == NONE {
                    continue;
                }
                let column = self.place_of[*number as usize] as usize;
                for (index, local) in measurement.local_indices.iter().zip(measurement.local) {
                    let row = self.local.row_of(*index);
                    self.mixed[row * width + column] += weight * derivative * local;
                }
            }
        }
        self.local.forward(&mut self.mixed, width);
    }
}

/// What is left of a measurement's weight in this pass of the local fit.
fn weight_factor(local_pass: u32, pull: f64) -> f64 {
    if local_pass > 3 {
        1.0 / (1.0 + (pull / CAUCHY).powi(2))
    } else if pull.abs() > HUBER {
        HUBER / pull.abs()
    } else {
        1.0
    }
}

/// What a measurement adds to the objective where outliers are down-weighted.
fn objective(local_passes: u32, pull: f64) -> f64 {
    if local_passes > 3 {
        CAUCHY.powi(2) * (pull / CAUCHY).powi(2).ln_1p()
    } else if pull.abs() > HUBER {
        2.0 * HUBER * (pull.abs() - 0.5 * HUBER)
    } else {
        pull * pull
    }
}

//! The fit: pass after pass over the records, each followed by a solution, until nothing changes.
//!
//! In come a problem and the sums of each pass; out comes the next pass, or the parameters with
//! their errors. The records themselves are read by the caller, so that programs may spread a pass
//! over as many threads or jobs as they have: [`Iteration`] asks for a [`Pass`], the [`Sums`] of
//! the parts are merged, and [`Iteration::take`] says what is next. [`fit`] is all of that in one
//! call. A fit that does not settle is an error, never a result.

use super::cut::Cut;
use super::problem::{Bound, Entries, Problem};
use super::records::Records;
use super::solver::{Solver, Unsolvable, unpacked};
use super::steering::Steering;
use super::sums::{Pass, Rejects, Sums, row_start};
use super::{MillepedeError, results::Fit, results::Parameter};
use nalgebra::{DMatrix, DVector};

/// Iterations beyond those asked for, while records still cross a cut or change weight. A fit with
/// outliers down-weighted gains about a digit in three.
const SETTLING_ITERATIONS: u32 = 30;

/// No change is asked to be smaller than this: roundings of a million chi-squares are as large.
const SMALLEST_CHANGE: f64 = 1e-9;

/// Records with a weight of their own.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// The records.
    pub records: &'a Records,
    /// Weight of each, usually 1.
    pub weight: f64,
}

/// Fits all parameters of `inputs`, or of their first records if a most is set, as `steering` says,
/// in the calling thread.
pub fn fit(steering: &Steering, inputs: &[Input<'_>]) -> Result<Fit, MillepedeError> {
    let Some(most) = steering.records_max else {
        return fit_all(steering, inputs);
    };
    let (mut kept, mut left): (Vec<(Records, f64)>, usize) = (Vec::new(), most);
    for input in inputs {
        let mut records = input.records.clone();
        records.truncate(left);
        left -= records.len();
        kept.push((records, input.weight));
    }
    let inputs: Vec<Input> = kept
        .iter()
        .map(|(records, weight)| Input {
            records,
            weight: *weight,
        })
        .collect();
    fit_all(steering, &inputs)
}

fn fit_all(steering: &Steering, inputs: &[Input<'_>]) -> Result<Fit, MillepedeError> {
    let mut entries = Entries::of(steering);
    for input in inputs {
        entries.add(input.records);
    }
    let problem = Problem::new(steering, &entries)?;
    let (mut iteration, mut pass) = Iteration::start(&problem);
    loop {
        let mut sums = Sums::new(&problem, &pass);
        for input in inputs {
            sums.add(&problem, &pass, input.records, input.weight);
        }
        match iteration.take(sums)? {
            Next::Pass(next) => pass = next,
            Next::Done(fit) => return Ok(*fit),
        }
    }
}

/// What comes after a pass.
#[derive(Debug)]
pub enum Next {
    /// Another pass.
    Pass(Pass),
    /// The result.
    Done(Box<Fit>),
}

/// Where a fit stands between two passes.
pub struct Iteration<'p> {
    problem: &'p Problem,
    pass: Pass,
    /// Steps made.
    iterations: u32,
    /// The solver, and the set of records that its matrix is of.
    solver: Option<(Solver, u64)>,
    constraints: DMatrix<f64>,
    first_chi_square: f64,
    last_expected: f64,
}

impl<'p> Iteration<'p> {
    /// A fit at its start, and the first pass.
    pub fn start(problem: &'p Problem) -> (Self, Pass) {
        let pass = Pass {
            values: problem.starts.iter().map(|start| start.value).collect(),
            cut: Cut::first(&problem.steering),
            with_matrix: true,
            // Before the first step all measurements are off, so none is an outlier.
            local_passes: 1,
        };
        let mut constraints = DMatrix::zeros(problem.constraints.len(), problem.free.len());
        for (row, constraint) in problem.constraints.iter().enumerate() {
            for (place, factor) in &constraint.terms {
                let number = problem.free_number[*place];
                if number != super::problem::NONE {
                    constraints[(row, number as usize)] += factor;
                }
            }
        }
        let fit = Self {
            problem,
            pass: pass.clone(),
            iterations: 0,
            solver: None,
            constraints,
            first_chi_square: f64::NAN,
            last_expected: f64::INFINITY,
        };
        (fit, pass)
    }

    /// Takes the sums over all records of the pass that was asked for last.
    pub fn take(&mut self, mut sums: Sums) -> Result<Next, MillepedeError> {
        check_rejects(&sums)?;
        self.add_priors(&mut sums);
        if self.iterations == 0 {
            self.first_chi_square = sums.chi_square;
        }
        if self.problem.steering.subito && self.iterations > 0 {
            return Ok(self.done(&sums, 0.0));
        }
        if let Some(matrix) = sums.matrix.take() {
            let matrix = unpacked(&matrix, self.problem.free.len());
            self.solver = Some((self.solver_of(matrix)?, sums.fingerprint));
        }
        let solver = match &self.solver {
            // Other records than those of the matrix: their matrix is needed.
            Some((solver, of)) if *of == sums.fingerprint => solver,
            _ => return Ok(self.ask(true)),
        };
        let gradient = DVector::from_vec(sums.vector.clone());
        let rests = self
            .problem
            .constraints
            .iter()
            .map(|bound| bound.rest(&self.pass.values));
        let rests = DVector::from_vec(rests.collect());
        let step = solver
            .solve(&gradient, &rests)
            .map_err(|why| self.unsolvable(why))?;
        let expected = step.dot(&gradient);
        for (number, correction) in step.iter().enumerate() {
            self.pass.values[self.problem.free[number]] += correction;
        }
        let steering = &self.problem.steering;
        let settled = expected.abs() <= steering.delta.max(SMALLEST_CHANGE)
            && rests.amax() <= self.tolerance();
        if settled && self.iterations > 0 && self.pass.cut.is_last(steering) {
            return Ok(self.done(&sums, expected));
        }
        self.next(&sums, expected)
    }

    /// How far constraints may be from being met before a step that is to be the last.
    fn tolerance(&self) -> f64 {
        1e-6 * self.constraints.amax().max(1.0)
    }

    fn ask(&mut self, with_matrix: bool) -> Next {
        self.pass.with_matrix = with_matrix;
        Next::Pass(self.pass.clone())
    }

    /// The pass after a step.
    fn next(&mut self, sums: &Sums, expected: f64) -> Result<Next, MillepedeError> {
        let steering = &self.problem.steering;
        self.iterations += 1;
        self.last_expected = expected.abs();
        let limit = steering.iterations + SETTLING_ITERATIONS;
        if self.iterations > limit || !expected.is_finite() {
            return Err(MillepedeError::NotConverged {
                iterations: self.iterations,
                expected: self.last_expected,
                limit: steering.delta,
            });
        }
        let cut = self
            .pass
            .cut
            .next(steering, self.iterations, sums.rejects.total());
        let downweighted = steering.downweighting > 0;
        // Weights change in every pass; the records used change when the cut does.
        let with_matrix = downweighted || cut != self.pass.cut;
        self.pass.cut = cut;
        self.pass.local_passes = steering.downweighting.max(1);
        Ok(self.ask(with_matrix))
    }

    /// Adds what presigmas and the steering's own measurements say.
    fn add_priors(&self, sums: &mut Sums) {
        let problem = self.problem;
        for (number, weight) in problem.weights.iter().enumerate() {
            if let Some(matrix) = &mut sums.matrix {
                matrix[row_start(number) + number] += weight;
            }
            if problem.steering.regularised {
                let value = self.pass.values[problem.free[number]];
                sums.vector[number] -= weight * value;
                sums.chi_square += weight * value * value;
            }
        }
        for measurement in &problem.measurements {
            self.add_measurement(sums, measurement);
        }
    }

    fn add_measurement(&self, sums: &mut Sums, measurement: &Bound) {
        let weight = measurement.sigma.powi(2).recip();
        let rest = measurement.rest(&self.pass.values);
        sums.chi_square += weight * rest * rest;
        let free = |place: usize| {
            let number = self.problem.free_number[place];
            (number != super::problem::NONE).then_some(number as usize)
        };
        for (place, factor) in &measurement.terms {
            let Some(number) = free(*place) else { continue };
            sums.vector[number] += weight * rest * factor;
            let Some(matrix) = &mut sums.matrix else {
                continue;
            };
            for (other, by) in &measurement.terms {
                if let Some(column) = free(*other)
                    && column <= number
                {
                    matrix[row_start(number) + column] += weight * factor * by;
                }
            }
        }
    }

    fn solver_of(&self, matrix: DMatrix<f64>) -> Result<Solver, MillepedeError> {
        let steering = &self.problem.steering;
        let (method, how) = (steering.method, steering.constraining);
        Solver::new(
            matrix,
            &self.constraints,
            method,
            how,
            steering.minres_tolerance,
        )
        .map_err(|why| self.unsolvable(why))
    }

    fn unsolvable(&self, why: Unsolvable) -> MillepedeError {
        let problem = self.problem;
        let constraints = problem.constraints.len();
        match why {
            Unsolvable::Dependent(rank) => {
                MillepedeError::DependentConstraints { constraints, rank }
            }
            Unsolvable::Singular(number) => MillepedeError::Singular {
                method: problem.steering.method.name(),
                parameters: problem.free.len(),
                constraints,
                label: problem.labels[problem.free[number]],
            },
            Unsolvable::NotConverged(steps, residual) => MillepedeError::MinresNotConverged {
                steps,
                residual,
                tolerance: problem.steering.minres_tolerance,
            },
        }
    }

    /// The result after a last step that was expected to lower the objective by `expected`.
    fn done(&self, sums: &Sums, expected: f64) -> Next {
        let problem = self.problem;
        let variances = self
            .solver
            .as_ref()
            .and_then(|(solver, _)| solver.variances());
        let free = problem.free.len() - problem.constraints.len();
        let mut parameters = std::collections::BTreeMap::new();
        for (place, label) in problem.labels.iter().enumerate() {
            let number = problem.free_number[place];
            let is_free = number != super::problem::NONE;
            let variance = variances
                .as_ref()
                .filter(|_| is_free)
                .map(|all| all[number as usize]);
            let value = self.pass.values[place];
            parameters.insert(
                *label,
                Parameter {
                    value,
                    presigma: problem.starts[place].presigma,
                    difference: is_free.then(|| value - problem.starts[place].value),
                    // Roundings may leave a variance that is zero a little below.
                    error: variance.map(|variance| variance.max(0.0).sqrt()),
                    entries: problem.entries[place],
                    entries_used: if is_free {
                        sums.entries[number as usize]
                    } else {
                        0
                    },
                },
            );
        }
        Next::Done(Box::new(Fit {
            parameters,
            method: problem.steering.method,
            downweighted: problem.steering.downweighting > 0,
            records: problem.records,
            measurements: problem.measured,
            free: problem.free.len(),
            constraints: problem.constraints.len(),
            empty_constraints: problem.steering.constraints.len() - problem.constraints.len(),
            entries_used_min: problem.steering.entries_used_min,
            rejects: sums.rejects,
            iterations: self.iterations + u32::from(!problem.steering.subito),
            chi_square_start: self.first_chi_square,
            chi_square: sums.chi_square - expected,
            ndf: sums.ndf as i64 - free as i64,
        }))
    }
}

/// More rejects than a third are no sample any more (pede).
fn check_rejects(sums: &Sums) -> Result<(), MillepedeError> {
    let rejects = sums.rejects;
    if 3 * rejects.total() <= sums.records {
        return Ok(());
    }
    let Rejects {
        rank,
        no_freedom,
        huge,
        large,
    } = rejects;
    Err(MillepedeError::TooManyRejects {
        rejected: rejects.total(),
        records: sums.records,
        detail: format!(
            "{rank} without full rank, {no_freedom} without degrees of freedom, {huge} beyond \
             the huge cut, {large} beyond the cut"
        ),
    })
}

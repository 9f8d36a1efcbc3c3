//! The solution of the global normal equations under constraints, and its errors.
//!
//! In come a symmetric matrix and rows of constraints; out come corrections for right hand sides,
//! and the diagonal of the covariance. Matrices are scaled to a diagonal of one first, so that
//! parameters in different units lose no digits. Decompositions are nalgebra's; MINRES is in
//! [`super::minres`]. It knows neither records nor labels.

use super::minres;
use super::steering::{Constraining, Method};
use nalgebra::{Cholesky, DMatrix, DVector, Dyn, SymmetricEigen};

/// Of matrices with a diagonal of one, a pivot or eigenvalue below this is zero: it is what
/// roundings leave of a thousand additions.
const SMALLEST_PIVOT: f64 = 1e-12;
/// Rows of constraints whose independent part is less than this share of the largest depend on
/// others.
const SMALLEST_CONSTRAINT: f64 = 1e-10;

/// Why there is no solution.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Unsolvable {
    /// Constraints of this rank only.
    Dependent(usize),
    /// The parameter with this number is not determined.
    Singular(usize),
    /// Steps and relative residual of MINRES.
    NotConverged(usize, f64),
}

/// Equations made ready for any number of right hand sides.
pub(crate) struct Solver {
    core: Core,
    /// One over the square roots of the diagonal.
    scale: DVector<f64>,
    constraining: Eliminated,
    parameters: usize,
}

enum Core {
    Inverse(DMatrix<f64>),
    Cholesky(Cholesky<f64, Dyn>),
    Eigen(SymmetricEigen<f64, Dyn>),
    Minres(DMatrix<f64>, f64),
}

enum Eliminated {
    /// There is nothing to eliminate; multipliers, if any, follow the parameters.
    Nothing,
    Rotated {
        /// Rows are directions: first the constrained ones, then the free ones.
        rotation: DMatrix<f64>,
        /// The constraints in the constrained directions, a lower triangle.
        triangle: DMatrix<f64>,
        /// Products of free and constrained directions in the matrix.
        mixed: DMatrix<f64>,
    },
}

/// A matrix from its packed lower triangle.
pub(crate) fn unpacked(packed: &[f64], size: usize) -> DMatrix<f64> {
    DMatrix::from_fn(size, size, |row, column| {
        packed[super::sums::row_start(row.max(column)) + row.min(column)]
    })
}

impl Solver {
    /// Makes ready `matrix` with `constraints`, one a row.
    pub(crate) fn new(
        matrix: DMatrix<f64>,
        constraints: &DMatrix<f64>,
        method: Method,
        constraining: Constraining,
        tolerance: f64,
    ) -> Result<Self, Unsolvable> {
        let parameters = matrix.nrows();
        let definite = matches!(method, Method::Cholesky | Method::Diagonalization);
        let (system, constraining) = if constraints.nrows() == 0 {
            (matrix, Eliminated::Nothing)
        } else if constraining == Constraining::Multipliers && !definite {
            triangle_of(constraints)?;
            (bordered(&matrix, constraints), Eliminated::Nothing)
        } else {
            eliminated(matrix, constraints)?
        };
        let (system, scale) = scaled(system, parameters);
        let singular = |system: &DMatrix<f64>| {
            Unsolvable::Singular(weakest(system, &scale, &constraining, parameters))
        };
        let core = match method {
            Method::Inversion => Core::Inverse(inverse(&system).ok_or_else(|| singular(&system))?),
            Method::Cholesky => {
                let cholesky = Cholesky::new(system.clone()).filter(|cholesky| {
                    let factor = cholesky.l_dirty();
                    (0..factor.nrows()).all(|k| factor[(k, k)].powi(2) > SMALLEST_PIVOT)
                });
                Core::Cholesky(cholesky.ok_or_else(|| singular(&system))?)
            }
            Method::Diagonalization => {
                let eigen = SymmetricEigen::new(system.clone());
                if eigen
                    .eigenvalues
                    .iter()
                    .any(|value| *value < SMALLEST_PIVOT)
                {
                    return Err(singular(&system));
                }
                Core::Eigen(eigen)
            }
            Method::Minres => Core::Minres(system, tolerance),
        };
        Ok(Self {
            core,
            scale,
            constraining,
            parameters,
        })
    }

    /// The corrections for this gradient and what is missing to each constraint.
    pub(crate) fn solve(
        &self,
        gradient: &DVector<f64>,
        rests: &DVector<f64>,
    ) -> Result<DVector<f64>, Unsolvable> {
        match &self.constraining {
            Eliminated::Nothing => {
                let mut right = gradient.clone().resize_vertically(self.scale.len(), 0.0);
                let multipliers = self.scale.len() - self.parameters;
                right
                    .rows_mut(self.parameters, multipliers)
                    .copy_from(&rests.rows(0, multipliers));
                let solved = self.solve_scaled(&right)?;
                Ok(solved.rows(0, self.parameters).into_owned())
            }
            Eliminated::Rotated {
                rotation,
                triangle,
                mixed,
            } => {
                let bound = rests.len();
                // The triangle has full rank, else there were no solver.
                let fixed = triangle
                    .solve_lower_triangular(rests)
                    .unwrap_or_else(|| rests * 0.0);
                let rotated = rotation * gradient;
                let right = rotated.rows(bound, self.scale.len()) - mixed * &fixed;
                let free = self.solve_scaled(&right)?;
                let mut all = DVector::zeros(self.parameters);
                all.rows_mut(0, bound).copy_from(&fixed);
                all.rows_mut(bound, free.len()).copy_from(&free);
                Ok(rotation.tr_mul(&all))
            }
        }
    }

    fn solve_scaled(&self, right: &DVector<f64>) -> Result<DVector<f64>, Unsolvable> {
        let right = right.component_mul(&self.scale);
        let solved = match &self.core {
            Core::Inverse(inverse) => inverse * right,
            Core::Cholesky(cholesky) => cholesky.solve(&right),
            Core::Eigen(eigen) => {
                let parts = eigen.eigenvectors.tr_mul(&right);
                &eigen.eigenvectors * parts.component_div(&eigen.eigenvalues)
            }
            Core::Minres(matrix, tolerance) => minres::solve(matrix, &right, *tolerance)
                .map_err(|(steps, residual)| Unsolvable::NotConverged(steps, residual))?,
        };
        Ok(solved.component_mul(&self.scale))
    }

    /// Variances of the parameters; none with MINRES.
    pub(crate) fn variances(&self) -> Option<DVector<f64>> {
        // Rows are parameters, columns the scaled unknowns of the core.
        let unknowns = self.scale.len();
        let spread = match &self.constraining {
            Eliminated::Nothing => DMatrix::from_diagonal(&self.scale),
            Eliminated::Rotated { rotation, .. } => {
                let bound = self.parameters - unknowns;
                let mut spread = rotation.rows(bound, unknowns).transpose();
                for (mut column, scale) in spread.column_iter_mut().zip(&self.scale) {
                    column *= *scale;
                }
                spread
            }
        };
        let spread = spread.rows(0, self.parameters).into_owned();
        let variances = match &self.core {
            Core::Inverse(inverse) => {
                let product = &spread * inverse;
                product.component_mul(&spread).column_sum()
            }
            Core::Cholesky(cholesky) => {
                let halves = cholesky.l().solve_lower_triangular(&spread.transpose())?;
                squares(&halves, None)
            }
            Core::Eigen(eigen) => {
                let parts = eigen.eigenvectors.tr_mul(&spread.transpose());
                squares(&parts, Some(&eigen.eigenvalues))
            }
            Core::Minres(..) => return None,
        };
        Some(variances)
    }
}

/// Sums of squares of each column, each row divided by a divisor.
fn squares(parts: &DMatrix<f64>, divisors: Option<&DVector<f64>>) -> DVector<f64> {
    let sum = |column: usize| {
        let column = parts.column(column);
        let terms = column.iter().enumerate();
        terms
            .map(|(row, part)| part * part / divisors.map_or(1.0, |by| by[row]))
            .sum()
    };
    DVector::from_fn(parts.ncols(), |column, _| sum(column))
}

/// The matrix with the constraints as further rows and columns.
fn bordered(matrix: &DMatrix<f64>, constraints: &DMatrix<f64>) -> DMatrix<f64> {
    let (n, m) = (matrix.nrows(), constraints.nrows());
    let mut system = DMatrix::zeros(n + m, n + m);
    system.view_mut((0, 0), (n, n)).copy_from(matrix);
    system.view_mut((n, 0), (m, n)).copy_from(constraints);
    system
        .view_mut((0, n), (n, m))
        .copy_from(&constraints.transpose());
    system
}

/// The constraints in rotated directions, if they are independent.
fn triangle_of(constraints: &DMatrix<f64>) -> Result<DMatrix<f64>, Unsolvable> {
    // Scaled to equal length, so that no constraint is small only for its unit.
    let mut rows = constraints.clone();
    for mut row in rows.row_iter_mut() {
        let length = row.norm();
        row /= length;
    }
    let triangle = rows.transpose().col_piv_qr().unpack_r();
    let pivots = triangle.diagonal();
    let largest = pivots
        .iter()
        .fold(0.0, |most: f64, pivot| most.max(pivot.abs()));
    let rank = pivots
        .iter()
        .filter(|pivot| pivot.abs() > SMALLEST_CONSTRAINT * largest)
        .count();
    if rank < constraints.nrows() {
        return Err(Unsolvable::Dependent(rank));
    }
    Ok(triangle)
}

/// The matrix in directions that no constraint binds.
fn eliminated(
    matrix: DMatrix<f64>,
    constraints: &DMatrix<f64>,
) -> Result<(DMatrix<f64>, Eliminated), Unsolvable> {
    triangle_of(constraints)?;
    let (n, m) = (matrix.nrows(), constraints.nrows());
    let factors = constraints.transpose().qr();
    let mut rotation = DMatrix::identity(n, n);
    factors.q_tr_mul(&mut rotation);
    let mut rotated = matrix;
    factors.q_tr_mul(&mut rotated);
    let mut rotated = rotated.transpose();
    factors.q_tr_mul(&mut rotated);
    let mixed = rotated.view((m, 0), (n - m, m)).into_owned();
    let free = rotated.view((m, m), (n - m, n - m)).into_owned();
    let triangle = factors.unpack_r().transpose();
    Ok((
        free,
        Eliminated::Rotated {
            rotation,
            triangle,
            mixed,
        },
    ))
}

/// The system with a diagonal of one, and the factors that made it so. Rows of multipliers have no
/// diagonal; they get a length of one instead.
fn scaled(mut system: DMatrix<f64>, parameters: usize) -> (DMatrix<f64>, DVector<f64>) {
    let size = system.nrows();
    let mut scale = DVector::from_element(size, 1.0);
    for k in 0..size {
        let length = if k < parameters {
            system[(k, k)].sqrt()
        } else {
            let row = system.row(k);
            row.iter()
                .zip(&scale)
                .map(|(element, scale)| (element * scale).powi(2))
                .sum::<f64>()
                .sqrt()
        };
        // What has no length is undetermined and will be found so.
        if length > 0.0 && length.is_finite() {
            scale[k] = length.recip();
        }
    }
    for column in 0..size {
        for row in 0..size {
            system[(row, column)] *= scale[row] * scale[column];
        }
    }
    (system, scale)
}

/// The inverse, if no pivot is nearly zero.
fn inverse(system: &DMatrix<f64>) -> Option<DMatrix<f64>> {
    let factors = system.clone().lu();
    let upper = factors.u();
    let well = (0..upper.nrows()).all(|k| upper[(k, k)].abs() > SMALLEST_PIVOT);
    well.then(|| factors.try_inverse()).flatten()
}

/// The parameter that moves most along the direction that is determined least.
fn weakest(
    system: &DMatrix<f64>,
    scale: &DVector<f64>,
    constraining: &Eliminated,
    parameters: usize,
) -> usize {
    let Some(eigen) = SymmetricEigen::try_new(system.clone(), f64::EPSILON, 0) else {
        return 0;
    };
    let sizes = eigen
        .eigenvalues
        .iter()
        .map(|value| value.abs())
        .enumerate();
    let least = sizes
        .min_by(|one, other| one.1.total_cmp(&other.1))
        .map_or(0, |(place, _)| place);
    let direction = eigen.eigenvectors.column(least).component_mul(scale);
    let moves = match constraining {
        Eliminated::Nothing => direction.rows(0, parameters).into_owned(),
        Eliminated::Rotated { rotation, .. } => {
            let free = rotation.rows(parameters - direction.len(), direction.len());
            free.tr_mul(&direction)
        }
    };
    moves.iamax()
}

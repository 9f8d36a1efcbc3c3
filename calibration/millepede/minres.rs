//! Minimal residuals: the solution of a symmetric system, definite or not, by products only.
//!
//! In come a matrix and a right hand side; out comes the solution, or how near it came. (C. C.
//! Paige and M. A. Saunders, SIAM J. Numer. Anal. 12, 1975, 617-629, without preconditioner: the
//! matrix comes with a diagonal of one.) It never changes the matrix.

use nalgebra::{DMatrix, DVector};

/// Steps for each unknown. In exact arithmetic one is enough.
const STEPS_A_ROW: usize = 10;

/// A diagonal element of the rotated matrix below this share of its size is zero but for roundings.
const SMALLEST_ROTATION: f64 = 1e-14;

/// The solution with a residual of at most `tolerance` times the right hand side; otherwise the
/// steps made and the residual reached.
pub(crate) fn solve(
    matrix: &DMatrix<f64>,
    right: &DVector<f64>,
    tolerance: f64,
) -> Result<DVector<f64>, (usize, f64)> {
    let length = right.norm();
    let mut solution = DVector::zeros(right.len());
    if length == 0.0 {
        return Ok(solution);
    }
    // Lanczos vectors, and the directions of the last two steps.
    let mut before = DVector::zeros(right.len());
    let mut current = right / length;
    let (mut direction, mut direction_before) = (solution.clone(), solution.clone());
    let mut beta = 0.0;
    // Givens rotations of the last two columns.
    let (mut cosine, mut sine) = (1.0, 0.0);
    let (mut cosine_before, mut sine_before) = (1.0, 0.0);
    let mut residual = length;
    // Of the matrix, as far as it was seen.
    let mut size: f64 = 0.0;
    let most = STEPS_A_ROW * right.len();
    for steps in 1..=most {
        let mut next = matrix * &current;
        let alpha = current.dot(&next);
        next.axpy(-alpha, &current, 1.0);
        next.axpy(-beta, &before, 1.0);
        let beta_next = next.norm();
        // The new column of the tridiagonal matrix, rotated by what came before.
        let epsilon = sine_before * beta;
        let middle = cosine_before * beta;
        let delta = cosine * middle + sine * alpha;
        let rest = -sine * middle + cosine * alpha;
        let gamma = rest.hypot(beta_next);
        size = size.max(alpha.abs() + beta + beta_next);
        // Nothing of the matrix is left in this direction.
        if gamma <= SMALLEST_ROTATION * size {
            return Err((steps, residual.abs() / length));
        }
        (cosine_before, sine_before) = (cosine, sine);
        (cosine, sine) = (rest / gamma, beta_next / gamma);
        let mut step = current.clone();
        step.axpy(-delta, &direction, 1.0);
        step.axpy(-epsilon, &direction_before, 1.0);
        step /= gamma;
        solution.axpy(cosine * residual, &step, 1.0);
        residual *= -sine;
        direction_before = std::mem::replace(&mut direction, step);
        if residual.abs() <= tolerance * length {
            return Ok(solution);
        }
        before = std::mem::replace(&mut current, next / beta_next);
        beta = beta_next;
    }
    Err((most, residual.abs() / length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definite_and_indefinite_systems_are_solved() {
        let n = 60;
        for shift in [3.0, 0.37] {
            let matrix = DMatrix::from_fn(n, n, |row, column| {
                let near = row.abs_diff(column) as f64;
                let wave = ((row + 1) as f64 * (column + 1) as f64).sin();
                if row == column {
                    shift * (1.0 + row as f64)
                } else {
                    wave / (1.0 + near)
                }
            });
            let expect = DVector::from_fn(n, |row, _| (row as f64 * 0.3).cos());
            let got = solve(&matrix, &(&matrix * &expect), 1e-12).unwrap();
            assert!((&got - &expect).amax() < 1e-8, "{}", (got - expect).amax());
        }
        assert_eq!(
            solve(&DMatrix::zeros(2, 2), &DVector::zeros(2), 1e-6)
                .unwrap()
                .amax(),
            0.0
        );
    }

    #[test]
    fn what_has_no_solution_is_said() {
        let matrix = DMatrix::from_diagonal(&DVector::from_vec(vec![1.0, 0.0]));
        let (_, residual) = solve(&matrix, &DVector::from_vec(vec![1.0, 1.0]), 1e-6).unwrap_err();
        assert!(residual > 0.5, "{residual}");
    }
}

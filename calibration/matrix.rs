//! The inverse of a small symmetric positive definite matrix, for normal equations and Hessians of
//! at most a handful of parameters. In goes the matrix by rows; out comes its inverse, or nothing
//! when it is not positive definite. Never used for large systems: it is cubic and dense.

/// The inverse of a symmetric positive definite `matrix` (rows of equal length), by Cholesky
/// factors after scaling the diagonal to one, so that parameters of very different size (10^4
/// events, 10^-3 GeV) lose no digits. `None` when a pivot is not positive: then it is singular.
///
/// Golub and Van Loan, Matrix Computations, 4th edition, algorithm 4.2.1.
pub fn invert(matrix: &[Vec<f64>]) -> Option<Vec<Vec<f64>>> {
    let n = matrix.len();
    let mut scale = Vec::with_capacity(n);
    for (i, row) in matrix.iter().enumerate() {
        let diagonal = row[i];
        // Written this way round so that NaN is refused as well.
        if !(diagonal > 0.0 && diagonal.is_finite()) {
            return None;
        }
        scale.push(diagonal.sqrt().recip());
    }
    let lower = cholesky(matrix, &scale)?;
    let mut inverse = vec![vec![0.0; n]; n];
    for column in 0..n {
        let solved = solve(&lower, column);
        for row in 0..n {
            inverse[row][column] = solved[row] * scale[row] * scale[column];
        }
    }
    Some(inverse)
}

/// `matrix` times `vector`.
pub(crate) fn multiply(matrix: &[Vec<f64>], vector: &[f64]) -> Vec<f64> {
    matrix
        .iter()
        .map(|row| row.iter().zip(vector).map(|(a, b)| a * b).sum())
        .collect()
}

/// The lower Cholesky factor of the scaled matrix. The smallest pivot allowed, 10^-13, is what is
/// left of a double after the roundings of a few thousand additions.
fn cholesky(matrix: &[Vec<f64>], scale: &[f64]) -> Option<Vec<Vec<f64>>> {
    const SMALLEST_PIVOT: f64 = 1e-13;
    let n = matrix.len();
    let mut lower = vec![vec![0.0; n]; n];
    for i in 0..n {
        for j in 0..=i {
            let dot: f64 = (0..j).map(|k| lower[i][k] * lower[j][k]).sum();
            let rest = matrix[i][j] * scale[i] * scale[j] - dot;
            if i != j {
                lower[i][j] = rest / lower[j][j];
            } else if rest > SMALLEST_PIVOT {
                lower[i][i] = rest.sqrt();
            } else {
                return None;
            }
        }
    }
    Some(lower)
}

/// Column `unit` of the inverse of `lower * lower^T`.
fn solve(lower: &[Vec<f64>], unit: usize) -> Vec<f64> {
    let n = lower.len();
    let mut x = vec![0.0; n];
    for i in 0..n {
        let right = f64::from(u8::from(i == unit));
        let dot: f64 = (0..i).map(|k| lower[i][k] * x[k]).sum();
        x[i] = (right - dot) / lower[i][i];
    }
    for i in (0..n).rev() {
        let dot: f64 = (i + 1..n).map(|k| lower[k][i] * x[k]).sum();
        x[i] = (x[i] - dot) / lower[i][i];
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inverse_times_the_matrix_is_one() {
        // Rows of very different size, as in a peak fit.
        let m = vec![
            vec![4e8, 2e3, -1e2],
            vec![2e3, 3.0, 0.1],
            vec![-1e2, 0.1, 2e-2],
        ];
        let inverse = invert(&m).unwrap();
        for i in 0..3 {
            let column: Vec<f64> = (0..3).map(|k| inverse[k][i]).collect();
            for (row, product) in multiply(&m, &column).into_iter().enumerate() {
                let unit = if row == i { 1.0 } else { 0.0 };
                let size = (m[row][row] / m[i][i]).sqrt();
                assert!(
                    (product - unit).abs() < 1e-12 * size.max(1.0),
                    "{row} {i} {product}"
                );
            }
        }
    }

    #[test]
    fn singular_and_indefinite_matrices_are_refused() {
        assert_eq!(invert(&[vec![1.0, 1.0], vec![1.0, 1.0]]), None);
        assert_eq!(invert(&[vec![1.0, 2.0], vec![2.0, 1.0]]), None);
        assert_eq!(invert(&[vec![f64::NAN]]), None);
    }
}

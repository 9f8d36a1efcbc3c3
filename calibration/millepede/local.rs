//! The fit of one record's local parameters, and what is left of its global ones.
//!
//! In come the normal equations of the local parameters; out come their solution and Cholesky
//! factors, kept as an envelope (each row from its first element on). Parameters are taken in
//! reverse order, so that those of the whole track, which by convention come first and touch every
//! measurement, stand last: of a band matrix with a border only band and border are then filled.
//! It never knows what a parameter means.

/// A pivot that is less than this share of its diagonal element is none: the parameter cannot be
/// told from those before it.
const SMALLEST_PIVOT: f64 = 1e-12;

/// Normal equations of local parameters; room is kept from record to record.
#[derive(Clone, Debug, Default)]
pub(crate) struct LocalFit {
    /// First column of each row.
    first: Vec<usize>,
    /// Where each row begins in `elements`.
    row: Vec<usize>,
    elements: Vec<f64>,
    right: Vec<f64>,
}

impl LocalFit {
    /// Number of parameters.
    pub(crate) fn len(&self) -> usize {
        self.first.len()
    }

    /// The row of the parameter with this index, from 1.
    pub(crate) fn row_of(&self, index: i32) -> usize {
        self.first.len() - index as usize
    }

    /// Makes room for `parameters` parameters.
    pub(crate) fn begin(&mut self, parameters: usize) {
        self.first.clear();
        self.first.extend(0..parameters);
    }

    /// Says that these parameters meet in a measurement.
    pub(crate) fn connect(&mut self, indices: &[i32]) {
        let Some(last) = indices.iter().max() else {
            return;
        };
        let column = self.row_of(*last);
        for index in indices {
            let row = self.row_of(*index);
            self.first[row] = self.first[row].min(column);
        }
    }

    /// Empties the equations; all connections are known.
    pub(crate) fn clear(&mut self) {
        self.row.clear();
        let mut length = 0;
        for (row, first) in self.first.iter().enumerate() {
            self.row.push(length);
            length += row + 1 - first;
        }
        self.elements.clear();
        self.elements.resize(length, 0.0);
        self.right.clear();
        self.right.resize(self.first.len(), 0.0);
    }

    fn at(&self, row: usize, column: usize) -> usize {
        self.row[row] + column - self.first[row]
    }

    /// Adds a measurement.
    pub(crate) fn add(&mut self, indices: &[i32], derivatives: &[f64], value: f64, weight: f64) {
        for (place, index) in indices.iter().enumerate() {
            let row = self.row_of(*index);
            let weighted = weight * derivatives[place];
            self.right[row] += weighted * value;
            for (other, derivative) in indices.iter().zip(derivatives) {
                let column = self.row_of(*other);
                if column <= row {
                    let at = self.at(row, column);
                    self.elements[at] += weighted * derivative;
                }
            }
        }
    }

    /// Replaces the matrix by its Cholesky factor (George and Liu 1981, envelope method); false
    /// when it has not full rank.
    pub(crate) fn decompose(&mut self) -> bool {
        for row in 0..self.len() {
            let begin = self.first[row];
            let before = self.at(row, row);
            let diagonal = self.elements[before];
            for column in begin..=row {
                let from = begin.max(self.first[column]);
                let (one, other) = (self.at(row, from), self.at(column, from));
                let dot: f64 = (0..column - from)
                    .map(|k| self.elements[one + k] * self.elements[other + k])
                    .sum();
                let at = self.at(row, column);
                let rest = self.elements[at] - dot;
                if column < row {
                    self.elements[at] = rest / self.elements[self.at(column, column)];
                } else if rest > SMALLEST_PIVOT * diagonal {
                    self.elements[at] = rest.sqrt();
                } else {
                    // Not a number comes here too.
                    return false;
                }
            }
        }
        true
    }

    /// Replaces the right hand side by the solution; the matrix is decomposed.
    pub(crate) fn solve(&mut self) {
        for row in 0..self.len() {
            let dot: f64 = (self.first[row]..row)
                .map(|column| self.elements[self.at(row, column)] * self.right[column])
                .sum();
            self.right[row] = (self.right[row] - dot) / self.elements[self.at(row, row)];
        }
        for row in (0..self.len()).rev() {
            let solved = self.right[row] / self.elements[self.at(row, row)];
            self.right[row] = solved;
            for column in self.first[row]..row {
                let factor = self.elements[self.at(row, column)];
                self.right[column] -= factor * solved;
            }
        }
    }

    /// What the solution says about a measurement.
    pub(crate) fn predict(&self, indices: &[i32], derivatives: &[f64]) -> f64 {
        let terms = indices.iter().zip(derivatives);
        terms
            .map(|(index, derivative)| derivative * self.right[self.row_of(*index)])
            .sum()
    }

    /// Replaces `mixed` (a row of `width` numbers for each local parameter) by the inverse of the
    /// Cholesky factor times it.
    pub(crate) fn forward(&self, mixed: &mut [f64], width: usize) {
        for row in 0..self.len() {
            let (done, rest) = mixed.split_at_mut(row * width);
            let current = &mut rest[..width];
            for column in self.first[row]..row {
                let factor = self.elements[self.at(row, column)];
                let solved = &done[column * width..(column + 1) * width];
                for (element, other) in current.iter_mut().zip(solved) {
                    *element -= factor * other;
                }
            }
            let scale = 1.0 / self.elements[self.at(row, row)];
            for element in current {
                *element *= scale;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A track with two parameters of its own and a chain of kinks, each in three measurements.
    fn chain(length: i32) -> LocalFit {
        let mut fit = LocalFit::default();
        fit.begin(length as usize + 2);
        let indices = |k: i32| [1, 2, k + 3, (k + 1) % length + 3];
        for pass in 0..2 {
            if pass == 1 {
                fit.clear();
            }
            for k in 0..length - 1 {
                if pass == 0 {
                    fit.connect(&indices(k));
                    fit.connect(&[k + 3]);
                    fit.connect(&[k + 4]);
                } else {
                    let x = f64::from(k);
                    fit.add(&indices(k), &[1.0, x, 0.5, -0.25], 1.0 + x, 2.0);
                    fit.add(&[k + 3], &[1.0], 0.0, 9.0);
                    fit.add(&[k + 4], &[1.0], 0.1, 9.0);
                }
            }
        }
        fit
    }

    #[test]
    fn the_solution_solves_the_equations_and_the_border_stays_a_border() {
        let mut fit = chain(40);
        let filled = fit.elements.len();
        assert!(filled < 40 * 2 + 41 + 42 + 2, "{filled} elements are kept");
        let (matrix, right) = (fit.clone(), fit.right.clone());
        assert!(fit.decompose());
        fit.solve();
        for (row, right) in right.iter().enumerate() {
            let element = |column: usize| {
                let (low, high) = (row.min(column), row.max(column));
                if low < matrix.first[high] {
                    0.0
                } else {
                    matrix.elements[matrix.at(high, low)]
                }
            };
            let product: f64 = (0..fit.len()).map(|k| element(k) * fit.right[k]).sum();
            assert!((product - right).abs() < 1e-10, "{row}: {product} {right}");
        }
    }

    #[test]
    fn parameters_that_cannot_be_told_apart_are_seen() {
        let mut fit = LocalFit::default();
        fit.begin(2);
        fit.connect(&[1, 2]);
        fit.clear();
        for _ in 0..5 {
            fit.add(&[1, 2], &[1.0, 3.0], 1.0, 1.0);
        }
        assert!(!fit.decompose());
        fit.clear();
        fit.add(&[1], &[1.0], 1.0, 1.0);
        assert!(!fit.decompose(), "the second is in no measurement");
    }
}

//! Tests of what a Millepede fit refuses: each error is raised by the input it is for, and says
//! what to do next.

use super::tests::{fit_one, small, small_steering};
use super::*;

#[test]
fn what_cannot_be_fitted_is_refused_and_says_what_to_do() {
    let records = small(30);
    let (steering, _) = small_steering();
    let said = |change: &dyn Fn(&mut Steering), records: &Records| {
        let mut steering = steering.clone();
        change(&mut steering);
        fit_one(&steering, records).map(|_| ()).unwrap_err()
    };
    let error = said(&|_| (), &Records::default());
    assert_eq!(error, MillepedeError::NoRecords { files: 0 });
    let error = said(&|steering| steering.entries_min = 61, &records);
    assert!(
        matches!(
            error,
            MillepedeError::TooFewEntries {
                needed: 61,
                most: 60,
                ..
            }
        ),
        "{error}"
    );
    let again = |steering: &mut Steering| {
        let mut copy = steering.constraints[0].clone();
        copy.value = 3.0;
        steering.constraints.push(copy);
    };
    for constraining in [Constraining::Elimination, Constraining::Multipliers] {
        let error = said(
            &|steering| {
                again(steering);
                steering.constraining = constraining;
            },
            &records,
        );
        let expect = MillepedeError::DependentConstraints {
            constraints: 3,
            rank: 2,
        };
        assert_eq!(error, expect, "{error}");
    }
    let error = said(
        &|steering| {
            for label in [10, 11] {
                steering.starts.insert(
                    label,
                    Start {
                        value: 0.0,
                        presigma: -1.0,
                    },
                );
            }
            steering.constraints[0].terms = vec![(10, 1.0), (11, 1.0)];
        },
        &records,
    );
    assert_eq!(error, MillepedeError::EmptyConstraint { constraint: 1 });
    let mut far = Records::default();
    for k in 0..20 {
        for plane in 0..4 {
            let value = if k % 2 == 0 {
                1e4 * f64::from(plane % 2)
            } else {
                0.0
            };
            far.measure(value, 0.1, &[(1, 1.0)], &[(10 + plane, 1.0)])
                .unwrap();
        }
        far.end_record();
    }
    let constraint = |steering: &mut Steering| {
        steering.constraints.truncate(1);
        steering.constraints[0].terms.truncate(4);
    };
    let error = said(&constraint, &far);
    assert!(
        matches!(error, MillepedeError::TooManyRejects { rejected: 10, .. }),
        "{error}"
    );
    assert!(
        error.to_string().contains("10 beyond the huge cut"),
        "{error}"
    );
}

#[test]
fn a_singular_matrix_names_a_parameter_that_is_not_determined() {
    // A second layer that no constraint holds: 20 and 21 move together.
    let mut records = small(30);
    for _ in 0..20 {
        records
            .measure(0.1, 0.1, &[(1, 1.0)], &[(20, 1.0)])
            .unwrap();
        records
            .measure(0.3, 0.1, &[(1, 1.0)], &[(21, 1.0)])
            .unwrap();
        records.end_record();
    }
    let (steering, _) = small_steering();
    for method in [Method::Inversion, Method::Diagonalization, Method::Cholesky] {
        for constraining in [Constraining::Elimination, Constraining::Multipliers] {
            let steering = Steering {
                method,
                constraining,
                ..steering.clone()
            };
            let error = fit_one(&steering, &records).map(|_| ()).unwrap_err();
            let MillepedeError::Singular {
                label,
                parameters: 8,
                constraints: 2,
                ..
            } = error
            else {
                panic!("{} {constraining:?}: {error}", method.name());
            };
            assert!([20, 21].contains(&label), "{error}");
            assert!(error.to_string().contains("add a constraint"), "{error}");
        }
    }
}

#[test]
fn a_fit_that_does_not_settle_is_an_error() {
    // A presigma far below the errors makes every step a small one.
    let (mut steering, _) = small_steering();
    steering.default_presigma = 1e-3;
    let error = fit_one(&steering, &small(30)).map(|_| ()).unwrap_err();
    let MillepedeError::NotConverged {
        iterations,
        expected,
        limit,
    } = error
    else {
        panic!("{error}");
    };
    assert!(iterations == 34 && expected > limit, "{error}");
}

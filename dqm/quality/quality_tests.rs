//! Tables of the quality tests on small histograms; the large ones are in the case files.

use super::*;
use crate::histogram::Axis;

/// A histogram of unit bins from 0, with under- and overflow given.
fn of(contents: &[f64]) -> Histogram {
    let bins = contents.len() - 2;
    let axis = Axis {
        bins,
        low: 0.0,
        high: bins as f64,
    };
    let empty = Histogram::new("h", "", "", axis).unwrap();
    empty
        .with_contents(contents.to_vec(), None, None, None)
        .unwrap()
}

fn check(
    test: QualityTest,
    histogram: &[f64],
    reference: Option<&[f64]>,
    expect: f64,
    bad: &[usize],
) {
    let measured = test
        .run(&of(histogram), reference.map(of).as_ref())
        .unwrap();
    assert!(
        (measured.value - expect).abs() < 1e-9,
        "{test:?}: {measured:?}, expected {expect}"
    );
    assert_eq!(measured.bad_bins, bad, "{test:?}");
}

#[test]
fn tests_of_one_histogram() {
    use QualityTest::{ContentsXRange, ContentsYRange, DeadChannel, NoisyChannel};
    let h = &[1.0, 4.0, 0.0, 5.0, 9.0, 1.0];
    check(
        ContentsXRange {
            low: 0.5,
            high: 2.5,
        },
        h,
        None,
        9.0 / 20.0,
        &[0, 4, 5],
    );
    check(
        ContentsXRange {
            low: -9.0,
            high: 9.0,
        },
        h,
        None,
        18.0 / 20.0,
        &[0, 5],
    );
    check(
        ContentsXRange {
            low: 0.0,
            high: 1.0,
        },
        &[0.0; 6],
        None,
        1.0,
        &[],
    );
    let y = |use_empty_bins| ContentsYRange {
        low: 4.5,
        high: 9.0,
        use_empty_bins,
    };
    check(y(true), h, None, 0.5, &[1, 2]);
    check(y(false), h, None, 0.75, &[1]);
    check(DeadChannel { threshold: 0.0 }, h, None, 0.75, &[2]);
    check(DeadChannel { threshold: 4.0 }, h, None, 0.5, &[1, 2]);
    // Averages of the neighbours, wrapped: 4.5, 4.5, 4.5, 4.5.
    let noisy = |tolerance| NoisyChannel {
        tolerance,
        neighbours: 1,
    };
    check(noisy(0.9), h, None, 0.75, &[4]);
    check(noisy(1.0), h, None, 1.0, &[]);
    check(noisy(0.1), h, None, 0.5, &[3, 4]);
    check(
        NoisyChannel {
            tolerance: 0.1,
            neighbours: 0,
        },
        h,
        None,
        1.0,
        &[],
    );
    check(noisy(0.1), &[0.0, 0.0, 7.0, 0.0, 0.0, 0.0], None, 1.0, &[]);
}

#[test]
fn tests_of_the_mean() {
    let mean = |expected| QualityTest::MeanWithinExpected {
        expected,
        min_entries: 2,
    };
    // Mean 2 from bin centres 1.5 and 2.5, width 0.5.
    let h = &[0.0, 0.0, 3.0, 3.0, 0.0, 0.0];
    check(
        mean(Expectation::Range {
            low: 2.0,
            high: 2.0,
        }),
        h,
        None,
        1.0,
        &[],
    );
    check(
        mean(Expectation::Range {
            low: 2.1,
            high: 3.0,
        }),
        h,
        None,
        0.0,
        &[],
    );
    check(
        mean(Expectation::Sigma {
            mean: 3.0,
            sigma: 1.0,
        }),
        h,
        None,
        0.31731050786291115,
        &[],
    );
    check(
        mean(Expectation::Rms { mean: 2.5 }),
        h,
        None,
        0.31731050786291115,
        &[],
    );
    let one = of(&[0.0, 1.0, 0.0]);
    let refused = mean(Expectation::Rms { mean: 0.0 }).run(&one, None);
    assert!(matches!(
        refused,
        Err(CannotRun::TooFewEntries {
            entries: 1,
            needed: 2,
            ..
        })
    ));
}

#[test]
fn comparisons() {
    let (h, other) = (&[1.0, 4.0, 0.0, 5.0, 2.0], &[1.0, 4.0, 1.0, 5.0, 3.0]);
    check(QualityTest::Comp2refEqual, h, Some(h), 1.0, &[]);
    check(QualityTest::Comp2refEqual, h, Some(other), 0.0, &[2, 4]);
    for test in [
        QualityTest::Comp2refChi2 { as_coded: true },
        QualityTest::Comp2refChi2 { as_coded: false },
        QualityTest::Chi2TestUnweighted,
        QualityTest::Comp2refKolmogorov { as_coded: true },
        QualityTest::Comp2refKolmogorov { as_coded: false },
    ] {
        check(test.clone(), h, Some(h), 1.0, &[]);
        assert!(matches!(
            test.run(&of(h), None),
            Err(CannotRun::NoReference { .. })
        ));
        let empty = of(&[0.0; 5]);
        let refused = test.run(&of(h), Some(&empty));
        assert!(
            matches!(refused, Err(CannotRun::TooFewEntries { .. })),
            "{test:?}"
        );
        let refused = test.run(&of(h), Some(&of(&[1.0; 6])));
        assert!(matches!(refused, Err(CannotRun::Mismatch(_))), "{test:?}");
    }
}

#[test]
fn a_test_is_written_and_read_as_its_name_and_parameters() {
    let test = QualityTest::NoisyChannel {
        tolerance: 0.5,
        neighbours: 2,
    };
    let text = serde_json::to_string(&test).unwrap();
    assert_eq!(
        text,
        r#"{"test":"noisy_channel","tolerance":0.5,"neighbours":2}"#
    );
    assert_eq!(serde_json::from_str::<QualityTest>(&text).unwrap(), test);
    assert!(text.contains(test.name()));
}

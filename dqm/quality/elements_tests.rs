//! Tables of the quality tests of two coordinates, of profiles, counters and texts, on small
//! contents; and what each test says when it cannot run.

use crate::element::Element;
use crate::histogram::{Axis, Histogram};
use crate::histogram2d::Histogram2d;
use crate::profile::{ErrorOption, Profile, ProfileBooking};
use crate::quality::{
    CannotRun, ContentExpectation, Expectation, LastBinCuts, MedianCuts, QualityTest,
};
use crate::verdict::{Status, TestResult, Thresholds};

fn axis(bins: usize) -> Axis {
    Axis {
        bins,
        low: 0.0,
        high: bins as f64,
    }
}

/// Rows of a map without flow bins, the lowest ordinate first.
fn map(rows: &[&[f64]]) -> Element {
    let axes = [axis(rows[0].len()), axis(rows.len())];
    let empty = Histogram2d::new("map", "", ["", ""], axes).unwrap();
    let mut contents = vec![0.0; empty.contents().len()];
    for (row, values) in rows.iter().enumerate() {
        for (column, value) in values.iter().enumerate() {
            contents[empty.cell(column + 1, row + 1)] = *value;
        }
    }
    Element::Histogram2d(empty.with_contents(contents, None, None, None).unwrap())
}

fn line(contents: &[f64]) -> Element {
    let empty = Histogram::new("h", "", "", axis(contents.len())).unwrap();
    let all = [&[0.0], contents, &[0.0]].concat();
    Element::Histogram(empty.with_contents(all, None, None, None).unwrap())
}

/// Ordinates of each bin.
fn profile(bins: &[&[f64]]) -> Element {
    let booking = ProfileBooking {
        unit: String::new(),
        ordinate_unit: String::new(),
        axis: axis(bins.len()),
        ordinates: None,
        error: ErrorOption::Spread,
    };
    let mut profile = Profile::new("p", "", booking).unwrap();
    for (bin, ordinates) in bins.iter().enumerate() {
        for y in *ordinates {
            profile.fill(bin as f64 + 0.5, *y).unwrap();
        }
    }
    Element::Profile(profile)
}

fn check(test: QualityTest, element: &Element, expect: f64, bad: &[usize]) {
    let measured = test.run_on("T/x", element, None).unwrap();
    assert!(
        (measured.value - expect).abs() < 1e-12,
        "{test:?}: {measured:?}, expected {expect}"
    );
    assert_eq!(measured.bad_bins, bad, "{test:?}");
}

#[test]
fn tests_of_two_coordinates() {
    // Places of the cells: 6 7 8 9, then 12 to 15, then 18 to 21 of rows of 4 bins and 2 flow bins.
    let rows: &[&[f64]] = &[
        &[1.0, 2.0, 0.0, 2.0],
        &[1.0, 2.0, 3.0, 9.0],
        &[1.0, 5.0, 3.0, 2.0],
    ];
    let map = map(rows);
    check(
        QualityTest::DeadChannel { threshold: 1.0 },
        &map,
        8.0 / 12.0,
        &[7, 9, 13, 19],
    );
    // Around the 9 in the corner of its square of 9 cells: (0+2+2+2+3+5+3+2)/8 = 19/8.
    let noisy = |tolerance| QualityTest::NoisyChannel {
        tolerance,
        neighbours: 1,
    };
    check(noisy(2.7), &map, 11.0 / 12.0, &[16]);
    check(noisy(2.8), &map, 1.0, &[]);
    check(
        QualityTest::NoisyChannel {
            tolerance: 0.0,
            neighbours: 0,
        },
        &map,
        1.0,
        &[],
    );
    let expected = |mean, rms, tolerance, filled_only| {
        QualityTest::ContentsWithinExpected(ContentExpectation {
            mean,
            rms,
            tolerance,
            min_entries: 0,
            filled_only,
        })
    };
    check(
        expected(Some([1.0, 5.0]), None, None, false),
        &map,
        10.0 / 12.0,
        &[9, 16],
    );
    check(
        expected(Some([1.0, 5.0]), None, None, true),
        &map,
        11.0 / 12.0,
        &[16],
    );
    // Errors are roots of contents; the average is 31/12.
    check(
        expected(None, Some([0.0, 2.0]), None, false),
        &map,
        10.0 / 12.0,
        &[16, 20],
    );
    check(
        expected(None, None, Some(1.1), false),
        &map,
        11.0 / 12.0,
        &[16],
    );
    let last = |low, high| {
        QualityTest::CompareLastFilledBin(LastBinCuts {
            above: 2.5,
            low,
            high,
        })
    };
    check(last(1.0, 2.0), &map, 1.0, &[]);
    check(last(2.0, 9.0), &map, 0.0, &[22]);
}

#[test]
fn rows_are_compared_to_their_median() {
    // Columns are judged: (1,1,1), (2,2,5), (0,3,3), (0,0,0).
    let rows: &[&[f64]] = &[
        &[1.0, 2.0, 0.0, 0.0],
        &[1.0, 2.0, 3.0, 0.0],
        &[1.0, 5.0, 3.0, 0.0],
    ];
    let map = map(rows);
    let cuts = |relative, median, min_statistic, use_empty_bins| {
        let cuts = MedianCuts {
            relative,
            median,
            min_statistic,
            use_empty_bins,
        };
        QualityTest::CompareToMedian(cuts)
    };
    check(
        cuts([0.5, 2.0], [0.5, 9.0], 0.0, false),
        &map,
        7.0 / 8.0,
        &[20],
    );
    check(
        cuts([0.5, 2.0], [1.5, 9.0], 0.0, false),
        &map,
        4.0 / 8.0,
        &[7, 13, 19, 20],
    );
    check(
        cuts([0.5, 2.0], [1.5, 9.0], 4.0, false),
        &map,
        4.0 / 5.0,
        &[20],
    );
    check(
        cuts([0.5, 2.0], [0.0, 9.0], 0.0, true),
        &map,
        10.0 / 12.0,
        &[20, 9],
    );
    let none = cuts([0.5, 2.0], [0.0, 9.0], 99.0, true).run_on("T/x", &map, None);
    assert!(matches!(none, Err(CannotRun::TooFewEntries { .. })));
}

#[test]
fn tests_of_profiles_and_of_contents_of_a_line() {
    let profile = profile(&[&[1.0, 3.0], &[2.0, 2.0], &[9.0], &[]]);
    let expected = |mean, rms, tolerance, min_entries| {
        let filled_only = false;
        QualityTest::ContentsWithinExpected(ContentExpectation {
            mean,
            rms,
            tolerance,
            min_entries,
            filled_only,
        })
    };
    check(
        expected(Some([1.0, 5.0]), None, None, 0),
        &profile,
        0.75,
        &[3],
    );
    check(
        expected(None, Some([0.5, 5.0]), None, 0),
        &profile,
        0.5,
        &[2, 3],
    );
    check(expected(None, None, Some(0.6), 0), &profile, 0.75, &[3]);
    // 5 entries in 4 bins: one with a single entry is not judged.
    check(
        expected(Some([1.0, 5.0]), None, None, 5),
        &profile,
        1.0,
        &[],
    );
    // Means 2, 2, 9, 0: average 3.25, variance 11.6875.
    let variance = |limit| QualityTest::CheckVariance { limit };
    check(variance(None), &profile, 11.6875_f64.sqrt(), &[]);
    check(variance(Some(4.0)), &profile, 1.0, &[]);
    check(variance(Some(1.0)), &profile, 1.0 / 11.6875_f64.sqrt(), &[]);
    check(variance(None), &line(&[1.0, 3.0]), 1.0, &[]);
    let last = |low, high| {
        QualityTest::CompareLastFilledBin(LastBinCuts {
            above: 1.0,
            low,
            high,
        })
    };
    check(last(3.0, 4.0), &line(&[9.0, 4.0, 1.0, 0.0]), 1.0, &[]);
    check(last(4.0, 9.0), &line(&[9.0, 4.0, 1.0, 0.0]), 0.0, &[2]);
}

#[test]
fn elements_are_compared_with_references() {
    let equal = QualityTest::Comp2refEqual;
    for (one, other) in [
        (map(&[&[1.0, 2.0]]), map(&[&[1.0, 3.0]])),
        (line(&[1.0, 2.0]), line(&[1.0, 3.0])),
        (profile(&[&[1.0], &[2.0]]), profile(&[&[1.0], &[3.0]])),
        (Element::Counter(1), Element::Counter(2)),
        (Element::text("a"), Element::text("b")),
    ] {
        for (reference, expect) in [(&one, 1.0), (&other, 0.0)] {
            let measured = equal.run_on("T/x", &one, Some(reference)).unwrap();
            assert_eq!(measured.value, expect, "{one:?}");
        }
        let alone = equal.run_on("T/x", &one, None);
        assert!(
            matches!(alone, Err(CannotRun::NoReference { .. })),
            "{one:?}"
        );
        let wrong = equal.run_on("T/x", &one, Some(&map(&[&[1.0], &[2.0], &[3.0]])));
        assert!(matches!(wrong, Err(CannotRun::Mismatch(_))), "{one:?}");
    }
    // The numbers of ROOT are confirmed by tests/judge/root_files.py; here is the way to them.
    let test = QualityTest::Comp2ref2dChi2 { min_entries: 10 };
    let (few, many) = (map(&[&[4.0, 5.0]]), map(&[&[40.0, 50.0]]));
    let refused = test.run_on("T/x", &few, Some(&many));
    assert!(matches!(
        refused,
        Err(CannotRun::TooFewEntries {
            entries: 9,
            needed: 10,
            ..
        })
    ));
    let agrees = test.run_on("T/x", &many, Some(&few)).unwrap();
    assert_eq!(
        (agrees.value, agrees.detail.as_str()),
        (1.0, "chi2 0.00 / 1")
    );
    let line =
        QualityTest::Chi2Test.run_on("T/x", &line(&[30.0, 20.0]), Some(&line(&[20.0, 30.0])));
    // (50*30 - 50*20)^2/50 twice, over 50*50: 4 with 1 degree of freedom.
    assert!((line.unwrap().value - 0.04550026389635842).abs() < 1e-12);
}

#[test]
fn what_cannot_be_tested_says_so() {
    let (map, line) = (map(&[&[1.0, 2.0]]), line(&[1.0, 2.0]));
    let empty = self::map(&[&[0.0, 0.0]]);
    let cuts = LastBinCuts {
        above: 0.0,
        low: 0.0,
        high: 1.0,
    };
    let nothing = ContentExpectation::default();
    for (test, element, status) in [
        (
            QualityTest::CheckVariance { limit: None },
            &map,
            Status::Invalid,
        ),
        (
            QualityTest::ContentsWithinExpected(nothing),
            &line,
            Status::Invalid,
        ),
        (
            QualityTest::Comp2ref2dChi2 { min_entries: 0 },
            &line,
            Status::Invalid,
        ),
        (
            QualityTest::Comp2ref2dChi2 { min_entries: 0 },
            &map,
            Status::DidNotRun,
        ),
        (
            QualityTest::DeadChannel { threshold: 0.0 },
            &Element::Counter(1),
            Status::Invalid,
        ),
        (
            QualityTest::DeadChannel {
                threshold: f64::NAN,
            },
            &line,
            Status::Invalid,
        ),
        (
            QualityTest::ContentsXRange {
                low: 1.0,
                high: 0.0,
            },
            &line,
            Status::Invalid,
        ),
        (
            QualityTest::ContentsXRange {
                low: 0.0,
                high: f64::NAN,
            },
            &line,
            Status::Invalid,
        ),
        (
            QualityTest::MeanWithinExpected {
                expected: Expectation::Sigma {
                    mean: 0.0,
                    sigma: -1.0,
                },
                min_entries: 0,
            },
            &line,
            Status::Invalid,
        ),
        (
            QualityTest::CompareLastFilledBin(cuts),
            &empty,
            Status::InsufficientStatistics,
        ),
        (
            QualityTest::ContentsWithinExpected(nothing),
            &empty,
            Status::InsufficientStatistics,
        ),
        (
            QualityTest::CheckVariance { limit: Some(1.0) },
            &self::line(&[0.0]),
            Status::InsufficientStatistics,
        ),
    ] {
        let found = test.run_on("T/x", element, None);
        let result = TestResult::of(test.name(), "T/x", &found, Thresholds::USUAL);
        assert_eq!(result.status, status, "{test:?}: {}", result.message);
        assert_eq!(result.value_ppm, 0);
    }
}

/// Where nothing was looked at there is no share of good bins.
#[test]
fn contents_of_which_none_was_judged_are_not_good() {
    let expected = |min_entries, filled_only| {
        QualityTest::ContentsWithinExpected(ContentExpectation {
            mean: Some([-9.0, 9.0]),
            min_entries,
            filled_only,
            ..ContentExpectation::default()
        })
    };
    let refused = |test: QualityTest, element: &Element| {
        let found = test.run_on("T/x", element, None);
        assert!(
            matches!(found, Err(CannotRun::TooFewEntries { .. })),
            "{test:?} of {element:?}: {found:?}"
        );
    };
    // All in the flow bins.
    let mut beside = Histogram2d::new("map", "", ["", ""], [axis(2), axis(2)]).unwrap();
    let mut profile_beside = profile(&[&[], &[]]);
    for _ in 0..50 {
        beside.fill(-1.0, 0.5).unwrap();
        beside.fill(1.0, 9.0).unwrap();
        if let Element::Profile(profile) = &mut profile_beside {
            profile.fill(7.0, 1.0).unwrap();
        }
    }
    for filled_only in [false, true] {
        refused(
            expected(10, filled_only),
            &Element::Histogram2d(beside.clone()),
        );
        refused(expected(10, filled_only), &profile_beside);
    }
    // Bins with two entries each, and all in one that lies beside: none has its share of ten.
    let mut thin = profile(&[&[1.0, 2.0], &[1.0, 2.0]]);
    if let Element::Profile(profile) = &mut thin {
        (0..16).for_each(|_| profile.fill(7.0, 1.0).unwrap());
    }
    refused(expected(20, false), &thin);
    check(expected(4, false), &thin, 1.0, &[]);
    // Contents that are all 0 although there are entries, or that are left out one by one.
    let zero = Histogram2d::new("map", "", ["", ""], [axis(2), axis(1)]).unwrap();
    let cells = zero.contents().len();
    let zero = zero.with_contents(vec![0.0; cells], None, Some(50), None);
    refused(expected(10, false), &Element::Histogram2d(zero.unwrap()));
    refused(expected(2, true), &profile(&[&[0.0], &[0.0]]));
    check(expected(2, false), &profile(&[&[0.0], &[0.0]]), 1.0, &[]);
}

/// Cells whose content nothing says the error of: no comparison, and no endless search for one.
#[test]
fn contents_without_an_error_are_not_compared() {
    let weighted = |contents: &[f64], variances: &[f64]| {
        let empty = Histogram::new("h", "", "", axis(contents.len())).unwrap();
        let all = |of: &[f64]| [&[0.0], of, &[0.0]].concat();
        let made = empty.with_contents(all(contents), Some(all(variances)), None, None);
        Element::Histogram(made.unwrap())
    };
    let weighted_map = |contents: &[f64], variances: &[f64]| {
        let empty = Histogram2d::new("map", "", ["", ""], [axis(contents.len()), axis(1)]).unwrap();
        let all = |of: &[f64]| {
            let mut cells = vec![0.0; empty.contents().len()];
            for (bin, value) in of.iter().enumerate() {
                cells[empty.cell(bin + 1, 1)] = *value;
            }
            cells
        };
        let (contents, variances) = (all(contents), all(variances));
        Element::Histogram2d(
            empty
                .with_contents(contents, Some(variances), None, None)
                .unwrap(),
        )
    };
    let chi2 = QualityTest::Comp2refChi2 { as_coded: false };
    let root = QualityTest::Chi2Test;
    let counts = line(&[5.0, 5.0]);
    for (test, one, other, expect) in [
        (
            &chi2,
            weighted(&[5.0, 3.0], &[5.0, 0.0]),
            weighted(&[5.0, 1.0], &[5.0, 0.0]),
            Some(2),
        ),
        (
            &chi2,
            weighted(&[5.0, 3.0], &[5.0, 0.0]),
            counts.clone(),
            None,
        ),
        (
            &chi2,
            weighted(&[5.0, 0.0], &[5.0, 0.0]),
            line(&[5.0, 0.0]),
            None,
        ),
        (
            &root,
            weighted(&[9.0, -3.0], &[9.0, 0.0]),
            counts.clone(),
            Some(2),
        ),
        (
            &root,
            counts.clone(),
            weighted(&[-3.0, 9.0], &[0.0, 9.0]),
            Some(1),
        ),
        (
            &root,
            weighted(&[0.0, 9.0], &[0.0, 0.0]),
            counts.clone(),
            Some(2),
        ),
        (
            &root,
            weighted(&[9.0, 3.0], &[9.0, 0.0]),
            weighted(&[9.0, 2.0], &[9.0, 0.0]),
            Some(2),
        ),
        (
            &root,
            weighted(&[9.0, 3.0], &[9.0, 0.0]),
            weighted(&[9.0, 2.0], &[9.0, 2.0]),
            None,
        ),
        // Negative and known very well: a share as good as nothing, found at once.
        (
            &root,
            weighted(&[9.0, -3.0], &[9.0, 1e-300]),
            counts.clone(),
            None,
        ),
        (
            &QualityTest::Chi2TestUnweighted,
            weighted(&[9.0, -5.0], &[9.0, 1.0]),
            counts.clone(),
            Some(2),
        ),
        (
            &QualityTest::Comp2ref2dChi2 { min_entries: 0 },
            weighted_map(&[9.0, -3.0], &[9.0, 0.0]),
            map(&[&[5.0, 5.0]]),
            // The second cell of the middle one of three rows of four.
            Some(6),
        ),
    ] {
        let found = test.run_on("T/x", &one, Some(&other));
        match (expect, &found) {
            (Some(bin), Err(CannotRun::NoError { bin: named, .. })) => assert_eq!(*named, bin),
            (None, Ok(measured)) => assert!(!measured.value.is_nan(), "{measured:?}"),
            _ => panic!("{test:?} of {one:?}: {found:?}"),
        }
        let result = TestResult::of(test.name(), "T/x", &found, Thresholds::USUAL);
        assert_eq!(result.status == Status::Invalid, expect.is_some());
    }
}

#[test]
fn new_tests_are_written_and_read_as_name_and_parameters() {
    for (text, name) in [
        (
            r#"{"test":"comp2ref_2d_chi2","min_entries":9}"#,
            "comp2ref_2d_chi2",
        ),
        (
            r#"{"test":"check_variance","limit":null}"#,
            "check_variance",
        ),
        (
            r#"{"test":"compare_last_filled_bin","above":0.0,"low":1.0,"high":2.0}"#,
            "compare_last_filled_bin",
        ),
    ] {
        let test: QualityTest = serde_json::from_str(text).unwrap();
        assert_eq!(
            (test.name(), serde_json::to_string(&test).unwrap().as_str()),
            (name, text)
        );
    }
    let text = r#"{"test":"contents_within_expected","mean":[0.0,1.0]}"#;
    let test: QualityTest = serde_json::from_str(text).unwrap();
    let mean = Some([0.0, 1.0]);
    let expect = ContentExpectation {
        mean,
        ..ContentExpectation::default()
    };
    assert_eq!(test, QualityTest::ContentsWithinExpected(expect));
}

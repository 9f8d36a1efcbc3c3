//! Tests of the gate: its decision table, the IOVs of a real running period, exactness.

use super::*;

fn quantity(name: &str, value_nano: i64, error_nano: i64) -> Quantity {
    Quantity {
        name: name.to_owned(),
        value_nano,
        error_nano,
    }
}

fn candidate(run: u32, n: u64, value_nano: i64, error_nano: i64) -> Candidate {
    let quantities = vec![quantity("k", value_nano, error_nano)];
    Candidate {
        tag: "scale".to_owned(),
        run,
        n,
        quantities,
    }
}

fn rule() -> Rule {
    Rule {
        n_min: 400,
        counted: "dimuons".to_owned(),
        max_sigma: 3,
        max_move_nano: Some(50_000_000),
        max_error_nano: Some(5_000_000),
        limits: vec![Limit {
            name: "k".to_owned(),
            min_nano: 980_000_000,
            max_nano: 1_020_000_000,
        }],
        accumulate: true,
    }
}

#[test]
fn the_decision_table() {
    let iov = OpenIov::open(&candidate(100, 459, 1_004_600_000, 1_500_000));
    let two = Candidate {
        quantities: vec![quantity("k", 1_000_000_000, 1), quantity("l", 1, 1)],
        ..candidate(101, 500, 0, 0)
    };
    let none = Candidate {
        quantities: Vec::new(),
        ..candidate(101, 500, 0, 0)
    };
    let usual = rule();
    let strict = Rule {
        accumulate: false,
        ..rule()
    };
    let bold = Rule {
        max_error_nano: None,
        max_move_nano: None,
        limits: Vec::new(),
        ..rule()
    };
    let tight = Rule {
        max_move_nano: Some(1_000_000),
        ..rule()
    };
    use Outcome::{Collecting, NoChange, NotApplicable, Update, Veto};
    let rows: Vec<(&Rule, Option<&OpenIov>, Candidate, Outcome, &str)> = vec![
        (
            &usual,
            None,
            candidate(9, 140, 1_005_000_000, 2_000_000),
            Collecting,
            "140 of 400 dimuons needed: collecting",
        ),
        (
            &strict,
            Some(&iov),
            candidate(101, 140, 1_005_000_000, 2_000_000),
            NotApplicable,
            "140 of 400 dimuons needed: run 101 decides nothing",
        ),
        (
            &usual,
            None,
            candidate(9, 400, 1_004_600_000, 1_500_000),
            Update,
            "first constants of the tag: IOV from run 9",
        ),
        (
            &usual,
            None,
            candidate(9, 400, 1_020_000_001, 1_500_000),
            Veto,
            "k is 1.020000001, outside 0.98 to 1.02: not believed",
        ),
        (
            &usual,
            None,
            candidate(9, 400, 1_000_000_000, 5_000_001),
            Veto,
            "error of k is 0.005000001, 0.005 allowed: not believed",
        ),
        (
            &usual,
            None,
            candidate(9, 400, 1_000_000_000, 0),
            Veto,
            "k has no error: the fit is not valid",
        ),
        (
            &bold,
            None,
            candidate(9, 400, 0, LARGEST_ERROR_NANO + 1),
            Veto,
            "error of k is 1000.000000001, 1000 allowed: not believed",
        ),
        (
            &usual,
            None,
            none,
            Veto,
            "run 101 brings no quantities: nothing to judge",
        ),
        (
            &usual,
            Some(&iov),
            two,
            Veto,
            "the quantities are not those of the IOV since 100: check the fit",
        ),
        (
            &tight,
            Some(&iov),
            candidate(101, 400, 1_005_600_001, 1_500_000),
            Veto,
            "k moved by 0.001000001, 0.001 allowed: not believed",
        ),
        (
            &usual,
            Some(&iov),
            candidate(101, 400, 1_006_600_000, 2_000_000),
            NoChange,
            "agrees within 0.8 sigma with the IOV since 100: no new payload",
        ),
        // 1.5 and 2.0 make 2.5: 7,500,000 is three sigma exactly and joins, one more does not.
        (
            &usual,
            Some(&iov),
            candidate(101, 400, 1_012_100_000, 2_000_000),
            NoChange,
            "agrees within 3.0 sigma with the IOV since 100: no new payload",
        ),
        (
            &usual,
            Some(&iov),
            candidate(101, 400, 1_012_100_001, 2_000_000),
            Update,
            "k moved by 3.0 sigma: new IOV from run 101",
        ),
        (
            &usual,
            Some(&iov),
            candidate(101, 400, 990_000_000, 2_000_000),
            Update,
            "k moved by 5.8 sigma: new IOV from run 101",
        ),
        (
            &usual,
            Some(&iov),
            candidate(100, 400, 990_000_000, 2_000_000),
            NotApplicable,
            "run 100 is not after run 100, judged already: no decision",
        ),
        (
            &bold,
            Some(&iov),
            candidate(101, 400, i64::MAX, 1),
            Update,
            "k moved by 6148914690566.7 sigma: new IOV from run 101",
        ),
    ];
    for (rule, open, candidate, outcome, reason) in rows {
        let (decision, after) = judge(rule, open, &candidate);
        assert_eq!(
            decision,
            Decision {
                outcome,
                reason: reason.to_owned()
            }
        );
        match outcome {
            Update => assert_eq!(after, Some(OpenIov::open(&candidate))),
            NoChange => assert_eq!(after.unwrap().runs, [100, 101]),
            Collecting | Veto | NotApplicable => assert_eq!(after.as_ref(), open),
        }
    }
}

/// Beam spots of 19 runs of CMS 2011A (run, x0, its error, y0, its error; 10^-9 cm), fitted by
/// numpy from the impact parameters of real tracks; the IOVs are those of the d0-phi case.
const RUNS_OF_2011A: [(u32, i64, i64, i64, i64); 19] = [
    (160957, 79558707, 164823, 32609627, 166883),
    (163233, 77373280, 469832, 36081362, 482329),
    (163340, 75831629, 569631, 36317609, 616546),
    (163589, 75424145, 174467, 36496126, 177697),
    (163796, 75116105, 166491, 38066855, 170212),
    (165548, 74452092, 170305, 38362661, 170371),
    (165617, 76377944, 145593, 37167326, 146529),
    (166033, 74780483, 148781, 38212182, 143107),
    (166438, 74878932, 138521, 39509339, 138669),
    (166701, 75953331, 276339, 39946087, 303967),
    (166784, 75945979, 146286, 39969182, 144317),
    (166895, 74639484, 116222, 40651587, 110047),
    (167102, 74454913, 121011, 40254455, 117433),
    (167807, 76785168, 112399, 39848708, 114092),
    (172411, 72487733, 462546, 46006962, 498227),
    (172952, 71706567, 200053, 47743933, 212466),
    (173381, 72824810, 93877, 44584300, 94866),
    (173430, 72298588, 155957, 46375391, 159466),
    (173692, 73172268, 56043, 48200022, 57140),
];

#[test]
fn a_real_running_period_gives_its_fifteen_iovs() {
    let rule = Rule {
        n_min: 50,
        counted: "tracks".to_owned(),
        max_move_nano: None,
        max_error_nano: None,
        limits: Vec::new(),
        ..rule()
    };
    let mut iovs: Vec<OpenIov> = Vec::new();
    for (run, x0, x0_err, y0, y0_err) in RUNS_OF_2011A {
        let quantities = vec![quantity("x0_cm", x0, x0_err), quantity("y0_cm", y0, y0_err)];
        let candidate = Candidate {
            tag: "beamspot".to_owned(),
            run,
            n: 79,
            quantities,
        };
        let (decision, after) = judge(&rule, iovs.last(), &candidate);
        if decision.outcome == Outcome::NoChange {
            iovs.pop();
        }
        iovs.push(after.unwrap());
    }
    let expect: [&[u32]; 15] = [
        &[160957],
        &[163233, 163340],
        &[163589],
        &[163796, 165548],
        &[165617],
        &[166033],
        &[166438],
        &[166701, 166784],
        &[166895, 167102],
        &[167807],
        &[172411],
        &[172952],
        &[173381],
        &[173430],
        &[173692],
    ];
    assert_eq!(
        iovs.iter()
            .map(|iov| iov.runs.as_slice())
            .collect::<Vec<_>>(),
        expect
    );
    let pair = &iovs[1].quantities;
    assert_eq!(
        [pair[0].mean_nano(), pair[1].mean_nano()],
        [76749117, 36171054]
    );
    assert_eq!(
        [pair[0].error_nano(), pair[1].error_nano()],
        [362451, 379891]
    );
}

#[test]
fn the_order_of_joining_does_not_matter_to_the_mean() {
    let runs = [
        (1, -5_000_000_i64, 1_000),
        (2, 7_000, 3_000_000),
        (3, -1, 17),
        (4, 999, 50_000),
    ];
    let sums = |order: [usize; 4]| {
        let of = |i: usize| candidate(runs[i].0, 1, runs[i].1, runs[i].2);
        let mut iov = OpenIov::open(&of(order[0]));
        for i in &order[1..] {
            iov = iov.join(&of(*i)).unwrap();
        }
        (
            iov.quantities[0].mean_nano(),
            iov.quantities[0].error_nano(),
        )
    };
    let forward = sums([0, 1, 2, 3]);
    assert_eq!(sums([3, 1, 0, 2]), forward);
    assert_eq!(sums([2, 3, 1, 0]), forward);
}

#[test]
fn the_weighted_mean_is_exact() {
    // Weights 1 : 4, so the mean is at four fifths of the way and the error sqrt(4/5).
    let open = OpenIov::open(&candidate(1, 1, -1_000_000, 2_000_000));
    let joined = open.join(&candidate(2, 1, 4_000_000, 1_000_000)).unwrap();
    assert_eq!(joined.quantities[0].mean_nano(), 3_000_000);
    assert_eq!(joined.quantities[0].error_nano(), 894_427);
    assert_eq!(joined.runs, [1, 2]);
}

#[test]
fn sums_that_do_not_fit_refuse_to_join() {
    let open = OpenIov::open(&candidate(1, 1, i64::MIN, LARGEST_ERROR_NANO));
    assert_eq!(open.join(&candidate(2, 1, i64::MAX, 1)), None);
    assert_eq!(open.quantities[0].mean_nano(), i64::MIN);
}

#[test]
fn decisions_and_iovs_survive_writing_and_reading() {
    let open = OpenIov::open(&candidate(1, 1, -1_000_000, 3));
    let text = serde_json::to_string(&open).unwrap();
    assert_eq!(serde_json::from_str::<OpenIov>(&text).unwrap(), open);
    let (decision, _) = judge(&rule(), None, &candidate(9, 140, 0, 1));
    let text = serde_json::to_string(&decision).unwrap();
    let expect = r#"{"outcome":"collecting","reason":"140 of 400 dimuons needed: collecting"}"#;
    assert_eq!(text, expect);
    assert_eq!(serde_json::from_str::<Decision>(&text).unwrap(), decision);
}

#[test]
fn what_a_run_does_not_measure_stays_in_force_as_it_was() {
    let of = |run: u32, values: &[(&str, i64)]| Candidate {
        tag: "alignment".to_owned(),
        run,
        n: 1_000,
        quantities: values
            .iter()
            .map(|(name, value_nano)| quantity(name, *value_nano, 10))
            .collect(),
    };
    let first = OpenIov::open(&of(1, &[("a_um", 100), ("b_um", 200)]));
    let without = first.join_known(&of(2, &[("a_um", 110), ("new_um", 7)]));
    assert_eq!(without.runs, [1, 2]);
    assert_eq!(without.in_force_nano("a_um"), Some(100));
    assert_eq!(without.in_force_nano("b_um"), Some(200));
    assert_eq!(without.in_force_nano("new_um"), None);
    assert_eq!(without.quantities[0].mean_nano(), 105);
    let next = without.followed_by(&of(3, &[("a_um", 300)]));
    assert_eq!((next.since, next.runs.as_slice()), (3, &[3][..]));
    assert_eq!(next.in_force_nano("a_um"), Some(300));
    assert_eq!(next.in_force_nano("b_um"), Some(200));
}

#[test]
fn a_constant_that_was_put_counts_as_exact() {
    let put = OpenIov::of_constant(5, [("x_um".to_owned(), 100)]);
    let candidate = |value_nano| Candidate {
        tag: "beamspot".to_owned(),
        run: 5,
        n: 1_000,
        quantities: vec![quantity("x_um", value_nano, 10)],
    };
    let rule = Rule {
        n_min: 1,
        counted: "tracks".to_owned(),
        max_sigma: 3,
        max_move_nano: None,
        max_error_nano: None,
        limits: Vec::new(),
        accumulate: false,
    };
    let (near, joined) = judge(&rule, Some(&put), &candidate(129));
    assert_eq!(near.outcome, Outcome::NoChange, "{}", near.reason);
    let joined = joined.unwrap();
    assert_eq!(joined.runs, [5]);
    assert_eq!(joined.quantities[0].mean_nano(), 100);
    let (far, _) = judge(&rule, Some(&put), &candidate(131));
    assert_eq!(far.outcome, Outcome::Update, "{}", far.reason);
}

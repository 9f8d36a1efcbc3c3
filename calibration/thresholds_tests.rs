//! The decision table row by row, at each limit and one step beyond it. In: movements as fixtures,
//! a move and an error in whole nano-units each. Out: what the table says of them.

use super::*;

const UNIT: i64 = 1_000_000_000;

fn moved(structure: &str, coordinate: &str, moved_nano: i64, error_nano: i64) -> Movement {
    Movement {
        structure: structure.to_owned(),
        coordinate: coordinate.to_owned(),
        moved_nano,
        error_nano,
    }
}

fn solved(movements: Vec<Movement>) -> Solved {
    Solved {
        end_code: 0,
        records: 25_000,
        movements,
    }
}

/// The thresholds of one coordinate, in its unit.
fn coordinate(name: &str, cut_nano: i64, max_move_nano: i64, max_error_nano: i64) -> Coordinate {
    Coordinate {
        name: name.to_owned(),
        cut_nano,
        max_move_nano,
        max_error_nano,
        significance_milli: 2500,
        share_permille: 0,
    }
}

/// The numbers of CMS for half barrels and half cylinders, as they are shipped with the pipelines.
fn si_pixel_ali() -> Thresholds {
    let cuts = [("x_um", 5), ("y_um", 10), ("z_um", 15)];
    let turns = ["theta_x_urad", "theta_y_urad", "theta_z_urad"].map(|name| (name, 30));
    let coordinates = cuts.into_iter().chain(turns);
    let coordinates =
        coordinates.map(|(name, cut)| coordinate(name, cut * UNIT, 200 * UNIT, 10 * UNIT));
    Thresholds {
        records_min: 25_000,
        coordinates: coordinates.collect(),
    }
}

/// Those for ladders and panels.
fn si_pixel_ali_high_granularity() -> Thresholds {
    let mut thresholds = si_pixel_ali();
    for coordinate in &mut thresholds.coordinates {
        coordinate.max_move_nano = 150 * UNIT;
        coordinate.max_error_nano = 10_000 * UNIT;
        coordinate.share_permille = 250;
    }
    thresholds
}

/// Those for the test chamber.
fn chamber() -> Thresholds {
    let mut coordinates = vec![
        coordinate("offset_cm", UNIT / 1000 * 3, UNIT, UNIT / 50),
        coordinate("drift", UNIT / 1000 * 3, UNIT / 5, UNIT / 50),
    ];
    for coordinate in &mut coordinates {
        coordinate.share_permille = 50;
    }
    Thresholds {
        records_min: 1_000,
        coordinates,
    }
}

#[test]
fn every_row_of_si_pixel_ali_says_what_it_must_and_why() {
    use RowOutcome::{Counts, Insignificant, Still, Veto};
    let table: &[(&str, i64, i64, RowOutcome, &str)] = &[
        // The largest move, and one step beyond it, both ways.
        (
            "x_um",
            200 * UNIT,
            UNIT,
            Counts,
            "moved by 200 +- 1, 2.5 sigma or more",
        ),
        (
            "x_um",
            200 * UNIT + 1,
            UNIT,
            Veto,
            "moved by 200.000000001, 200 allowed",
        ),
        (
            "x_um",
            -200 * UNIT - 1,
            UNIT,
            Veto,
            "moved by -200.000000001, 200 allowed",
        ),
        (
            "theta_z_urad",
            201 * UNIT,
            UNIT,
            Veto,
            "moved by 201, 200 allowed",
        ),
        ("y_um", i64::MIN, UNIT, Veto, "200 allowed"),
        ("y_um", i64::MAX, UNIT, Veto, "200 allowed"),
        // The largest move comes before the largest error.
        (
            "x_um",
            201 * UNIT,
            11 * UNIT,
            Veto,
            "moved by 201, 200 allowed",
        ),
        // The cut of each coordinate, and one step beyond it.
        ("x_um", 5 * UNIT, 1, Still, "within the cut of 5"),
        ("x_um", 5 * UNIT + 1, 1, Counts, "it counts"),
        ("x_um", -5 * UNIT - 1, 1, Counts, "it counts"),
        ("y_um", 10 * UNIT, 1, Still, "within the cut of 10"),
        ("y_um", 10 * UNIT + 1, 1, Counts, "it counts"),
        ("z_um", 15 * UNIT, 1, Still, "within the cut of 15"),
        ("z_um", 15 * UNIT + 1, 1, Counts, "it counts"),
        ("theta_x_urad", 30 * UNIT, 1, Still, "within the cut of 30"),
        ("theta_x_urad", 30 * UNIT + 1, 1, Counts, "it counts"),
        ("theta_y_urad", 30 * UNIT + 1, 1, Counts, "it counts"),
        ("theta_z_urad", -30 * UNIT, 1, Still, "within the cut of 30"),
        // A large error is no harm where nothing moved.
        ("x_um", 4 * UNIT, 500 * UNIT, Still, "within the cut of 5"),
        // The largest error, and one step beyond it.
        ("x_um", 100 * UNIT, 10 * UNIT, Counts, "moved by 100 +- 10"),
        (
            "x_um",
            100 * UNIT,
            10 * UNIT + 1,
            Veto,
            "error of 10.000000001, 10 allowed",
        ),
        // The error comes before the significance.
        ("x_um", 6 * UNIT, 11 * UNIT, Veto, "error of 11, 10 allowed"),
        // 2.5 sigma, and one step short of it.
        ("x_um", 20 * UNIT, 8 * UNIT, Counts, "2.5 sigma or more"),
        ("x_um", -20 * UNIT, 8 * UNIT, Counts, "2.5 sigma or more"),
        (
            "x_um",
            20 * UNIT - 1,
            8 * UNIT,
            Insignificant,
            "less than 2.5 sigma",
        ),
        // What cannot be judged is not believed.
        ("x_um", 6 * UNIT, 0, Veto, "has no error"),
        ("x_um", 0, -1, Veto, "has no error"),
        ("w_um", 0, UNIT, Veto, "has no thresholds"),
    ];
    let thresholds = si_pixel_ali();
    for (coordinate, by, error, outcome, words) in table {
        let decided = decide(
            &thresholds,
            &solved(vec![moved("TPB", coordinate, *by, *error)]),
        );
        let row = &decided.rows[0];
        let seen = format!("{coordinate} {by} {error}: {row:?}");
        assert_eq!(row.outcome, *outcome, "{seen}");
        assert!(row.reason.contains(words), "{seen} lacks {words:?}");
        assert!(
            row.reason.starts_with(&format!("TPB {coordinate} ")),
            "{seen}"
        );
        // With one structure the row is the decision.
        let expect = match outcome {
            Veto => Outcome::Veto,
            Still | Insignificant => Outcome::None,
            Counts => Outcome::Update,
        };
        assert_eq!(decided.outcome, expect, "{seen}");
        if *outcome == Veto {
            assert_eq!(decided.reason, row.reason);
        }
    }
}

#[test]
fn one_structure_that_moved_is_enough_and_one_that_is_not_believed_stops_all() {
    let thresholds = si_pixel_ali();
    let mut all: Vec<Movement> = (0..36)
        .map(|at| moved(&format!("S{}", at / 6), "x_um", at, UNIT))
        .collect();
    let check = |all: &[Movement], outcome, words: &str| {
        let decided = decide(&thresholds, &solved(all.to_vec()));
        assert_eq!(decided.outcome, outcome, "{}", decided.reason);
        assert!(decided.reason.contains(words), "{}", decided.reason);
        assert_eq!(decided.rows.len(), 36);
    };
    check(&all, Outcome::None, "0 of 36 moves count");
    all[7] = moved("S1", "z_um", 40 * UNIT, UNIT);
    check(&all, Outcome::Update, "1 of 1 structures moved in z_um");
    all[30] = moved("S5", "y_um", -300 * UNIT, UNIT);
    check(&all, Outcome::Veto, "S5 y_um moved by -300, 200 allowed");
    all[31] = moved("S5", "z_um", 300 * UNIT, UNIT);
    check(&all, Outcome::Veto, "(and 1 further rows)");
}

#[test]
fn records_and_the_end_of_the_solver_block_whatever_the_rows_say() {
    let thresholds = si_pixel_ali();
    let (still, counts) = (moved("S", "x_um", 0, 1), moved("S", "x_um", 6 * UNIT, 1));
    let too_far = moved("S", "x_um", 201 * UNIT, 1);
    let table: &[(i32, u64, &[&Movement], Outcome, &str)] = &[
        (0, 25_000, &[&counts], Outcome::Update, "moved in x_um"),
        (
            0,
            24_999,
            &[&counts],
            Outcome::Veto,
            "24999 of 25000 records",
        ),
        (
            0,
            24_999,
            &[&still],
            Outcome::Veto,
            "24999 of 25000 records",
        ),
        (0, 0, &[&counts], Outcome::Veto, "0 of 25000 records"),
        (0, 0, &[&too_far], Outcome::Veto, "201, 200 allowed"),
        (1, 25_000, &[&counts], Outcome::Veto, "ended with code 1"),
        (-1, 25_000, &[&still], Outcome::Veto, "ended with code -1"),
        (2, 0, &[&too_far], Outcome::Veto, "ended with code 2"),
        (0, 25_000, &[], Outcome::Veto, "nothing to judge"),
    ];
    for (end_code, records, movements, outcome, words) in table {
        let solved = Solved {
            end_code: *end_code,
            records: *records,
            movements: movements.iter().map(|one| (*one).clone()).collect(),
        };
        let decided = decide(&thresholds, &solved);
        assert_eq!(decided.outcome, *outcome, "{}", decided.reason);
        assert!(
            decided.reason.contains(words),
            "{} lacks {words:?}",
            decided.reason
        );
    }
}

#[test]
fn ladders_and_panels_need_a_quarter_of_them() {
    let thresholds = si_pixel_ali_high_granularity();
    let of_40 = |counting: usize| -> Vec<Movement> {
        (0..40)
            .map(|at| if at < counting { 6 * UNIT } else { 0 })
            .map(|by| moved("ladder", "x_um", by, UNIT))
            .collect()
    };
    for (counting, outcome) in [
        (0, Outcome::None),
        (9, Outcome::None),
        (10, Outcome::Update),
        (40, Outcome::Update),
    ] {
        let decided = decide(&thresholds, &solved(of_40(counting)));
        assert_eq!(decided.outcome, outcome, "{}", decided.reason);
        let share = &decided.shares[0];
        assert_eq!((share.counting, share.judged), (counting as u64, 40));
        assert_eq!(share.needed_permille, 250);
    }
    // A quarter in one coordinate does not come together from two.
    let mut mixed = of_40(9);
    mixed.extend((0..40).map(|at| moved("ladder", "z_um", if at < 9 { 16 * UNIT } else { 0 }, 1)));
    assert_eq!(decide(&thresholds, &solved(mixed)).outcome, Outcome::None);
    // Largest move and error of this flavour.
    for (by, error, outcome) in [
        (150, 50, Outcome::Update),
        (151, 50, Outcome::Veto),
        (150, 10_001, Outcome::Veto),
    ] {
        let one = moved("ladder", "x_um", by * UNIT, error * UNIT);
        let decided = decide(&thresholds, &solved(vec![one]));
        assert_eq!(decided.outcome, outcome, "{}", decided.reason);
    }
}

#[test]
fn the_bad_plane_of_the_chamber_decides_nothing_alone() {
    let thresholds = chamber();
    for (counting, outcome) in [(1, Outcome::None), (4, Outcome::None), (5, Outcome::Update)] {
        let planes = (0..100).map(|plane| {
            let by = if plane < counting { 4_000_000 } else { 0 };
            moved(&format!("plane{}", plane + 1), "offset_cm", by, 400_000)
        });
        let decided = decide(&thresholds, &solved(planes.collect()));
        assert_eq!(decided.outcome, outcome, "{}", decided.reason);
    }
}

#[test]
fn thresholds_and_tables_travel_as_json() {
    let thresholds = si_pixel_ali();
    let text = serde_json::to_string(&thresholds).unwrap();
    assert_eq!(
        serde_json::from_str::<Thresholds>(&text).unwrap(),
        thresholds
    );
    let decided = decide(&thresholds, &solved(vec![moved("S", "x_um", 0, 1)]));
    let text = serde_json::to_string(&decided).unwrap();
    assert!(text.contains(r#""outcome":"none""#) && text.contains(r#""outcome":"still""#));
    assert_eq!(serde_json::from_str::<Table>(&text).unwrap(), decided);
}

#[test]
fn a_run_is_judged_against_the_constants_in_force_and_not_against_the_mean() {
    use crate::gate::{Outcome::*, Quantity};
    let of_run = |run, at_nano: i64, n| Candidate {
        tag: "alignment".into(),
        run,
        n,
        quantities: (1..=100)
            .map(|plane| Quantity {
                name: format!("plane{plane}_offset_cm"),
                value_nano: at_nano * plane,
                error_nano: 400_000,
            })
            .collect(),
    };
    let thresholds = chamber();
    let first = of_run(1, 100_000, 2000);
    let open = OpenIov::open(&first);
    let joined = open.join(&of_run(2, 120_000, 2000)).unwrap();
    for (open, candidate, outcome, words) in [
        (
            None,
            &first,
            Update,
            "70 of 100 structures moved in offset_cm",
        ),
        (
            Some(&open),
            &of_run(2, 120_000, 2000),
            NoChange,
            "0 of 100 moves count",
        ),
        (
            Some(&joined),
            &of_run(3, 130_000, 2000),
            NoChange,
            "0 of 100 moves count",
        ),
        // 33 um from the constants in force, but only 23 um from the mean of the two runs.
        (
            Some(&joined),
            &of_run(3, 133_000, 2000),
            Update,
            "10 of 100 structures moved",
        ),
        (
            Some(&open),
            &of_run(2, 100_000, 999),
            Veto,
            "999 of 1000 records",
        ),
        (
            Some(&open),
            &of_run(2, 11_000_000, 2000),
            Veto,
            "not believed",
        ),
    ] {
        let decision = judge(&thresholds, open, candidate, |_| None);
        assert_eq!(decision.outcome, outcome, "{}", decision.reason);
        assert!(
            decision.reason.contains(words),
            "{} lacks {words:?}",
            decision.reason
        );
    }
    let mut strange = first.clone();
    strange.quantities[0].name = "x".into();
    let decision = judge(&thresholds, None, &strange, |_| None);
    assert_eq!(
        (decision.outcome, &decision.reason[..]),
        (Veto, "x  has no thresholds: it cannot be judged")
    );
}

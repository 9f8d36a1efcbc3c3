//! Tests of Mille records: both forms, both widths, compression, and what is refused.

use super::*;
use std::io::Write;

/// Two records, with special data, a measurement without local and one without global parameters.
fn sample() -> Records {
    let mut records = Records::default();
    records
        .measure(
            0.5,
            0.25,
            &[(1, 1.0), (2, -0.5)],
            &[(12, 1.0), (501, 0.125)],
        )
        .unwrap();
    records.special(&[(7, 1.5), (0, -2.0), (0, 3.0)]);
    records.measure(-1.0, 0.5, &[(2, 2.0)], &[]).unwrap();
    records.end_record();
    records
        .measure(2.0, 1.0, &[], &[(2_000_000_000, -1.0)])
        .unwrap();
    records
        .measure(2.5, 1.0, &[(1, 1.0), (3, 0.0)], &[(12, 0.0)])
        .unwrap();
    records.end_record();
    records.end_record();
    records
}

fn compressed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn records_read_back_as_they_were_written() {
    let records = sample();
    for form in [Form::C, Form::Fortran] {
        for precision in [Precision::Single, Precision::Double] {
            let bytes = records.write(form, precision);
            assert_eq!(Records::read("a.bin", &bytes, form).unwrap(), records);
            let small = compressed(&bytes);
            assert_eq!(Records::read("a.bin.gz", &small, form).unwrap(), records);
        }
    }
    let mut first = records.clone();
    first.truncate(1);
    assert_eq!(first.len(), 1);
    let mut joined = records.write(Form::C, Precision::Single);
    joined.extend(records.write(Form::C, Precision::Double));
    assert_eq!(Records::read("mixed", &joined, Form::C).unwrap().len(), 4);
}

#[test]
fn a_record_has_the_bytes_that_mille_writes() {
    let mut records = Records::default();
    records.measure(1.0, 0.5, &[(1, 2.0)], &[(9, 4.0)]).unwrap();
    records.end_record();
    let mut expect = Vec::new();
    expect.extend(10i32.to_le_bytes());
    for number in [0.0f32, 1.0, 2.0, 0.5, 4.0] {
        expect.extend(number.to_le_bytes());
    }
    for index in [0i32, 0, 1, 0, 9] {
        expect.extend(index.to_le_bytes());
    }
    assert_eq!(records.write(Form::C, Precision::Single), expect);
    let framed = records.write(Form::Fortran, Precision::Single);
    assert_eq!(framed[..4], 44i32.to_le_bytes());
    assert_eq!(framed[4..48], expect);
    assert_eq!(framed[48..], 44i32.to_le_bytes());
}

#[test]
fn special_data_in_front_are_told_and_others_are_not() {
    let mut records = sample();
    records.special(&[(1, 900_001.0), (2, 7.0)]);
    records.measure(1.0, 1.0, &[], &[(12, 1.0)]).unwrap();
    records.end_record();
    let empty: (&[i32], &[f64]) = (&[], &[]);
    assert_eq!(records.special_of(0), empty);
    assert_eq!(records.special_of(1), empty);
    assert_eq!(records.special_of(2), (&[1, 2][..], &[900_001.0, 7.0][..]));
    assert_eq!(records.measurements(2).count(), 1);
}

#[test]
fn measurements_come_without_special_data_and_zeros() {
    let records = sample();
    let first: Vec<Measurement> = records.measurements(0).collect();
    assert_eq!(first.len(), 2);
    assert_eq!((first[0].value, first[0].sigma), (0.5, 0.25));
    assert_eq!(
        (first[0].local_indices, first[0].local),
        (&[1, 2][..], &[1.0, -0.5][..])
    );
    assert_eq!(
        (first[0].labels, first[0].global),
        (&[12, 501][..], &[1.0, 0.125][..])
    );
    assert_eq!((first[1].value, first[1].labels.len()), (-1.0, 0));
    let second: Vec<Measurement> = records.measurements(1).collect();
    assert_eq!(second[0].local.len(), 0);
    assert_eq!(second[1].local_indices, [1]);
    assert_eq!(second[1].labels.len(), 0);
}

#[test]
fn a_file_cut_anywhere_is_refused_with_its_place() {
    for form in [Form::C, Form::Fortran] {
        let bytes = sample().write(form, Precision::Double);
        let whole = Records::read("whole", &bytes, form).unwrap();
        let mut ends = 0;
        for cut in 0..bytes.len() {
            match Records::read("cut.bin", &bytes[..cut], form) {
                Ok(part) => {
                    ends += 1;
                    assert!(part.len() < whole.len());
                }
                Err(error) => {
                    let said = error.to_string();
                    assert!(
                        matches!(error, MillepedeError::Truncated { .. }),
                        "{cut}: {said}"
                    );
                    assert!(
                        said.contains("cut.bin") && said.contains("fetch the file"),
                        "{said}"
                    );
                }
            }
        }
        assert_eq!(ends, 2, "only between records a cut is not seen");
    }
}

#[test]
fn files_that_are_something_else_are_refused() {
    let good = sample().write(Form::C, Precision::Single);
    let wrong = Records::read("a.bin", &good, Form::Fortran).unwrap_err();
    assert!(
        matches!(wrong, MillepedeError::WrongLength { record: 1, .. }),
        "{wrong}"
    );
    let framed = sample().write(Form::Fortran, Precision::Single);
    assert!(Records::read("a.bin", &framed, Form::C).is_err());
    let mut other_mark = framed.clone();
    let mark = i32::from_le_bytes([framed[0], framed[1], framed[2], framed[3]]) as usize;
    other_mark[4 + mark] ^= 1;
    let wrong = Records::read("a.bin", &other_mark, Form::Fortran)
        .unwrap_err()
        .to_string();
    assert!(wrong.contains("closing mark"), "{wrong}");
    for length in [0i32, 3, i32::MIN, i32::MAX] {
        let bytes = length.to_le_bytes();
        let wrong = Records::read("a.bin", &bytes, Form::C).unwrap_err();
        let said = wrong.to_string();
        assert!(said.contains("record 1 at byte"), "{said}");
    }
    let mut broken = compressed(&good);
    let middle = broken.len() / 2;
    broken[middle] ^= 0xff;
    let wrong = Records::read("a.gz", &broken, Form::C).unwrap_err();
    assert!(matches!(wrong, MillepedeError::Gzip { .. }), "{wrong}");
}

#[test]
fn words_that_make_no_measurement_are_refused() {
    type Row = (&'static [(f64, i32)], usize, &'static str);
    let table: [Row; 8] = [
        (&[(1.0, 3)], 1, "should be a measured value"),
        (&[(1.0, 0), (1.0, 1)], 1, "without its error"),
        (
            &[(1.0, 0), (f64::NAN, 1), (0.1, 0)],
            2,
            "not a finite number",
        ),
        (&[(f64::INFINITY, 0), (0.1, 0)], 1, "not a finite number"),
        (
            &[(1.0, 0), (1.0, 1), (0.0, 0)],
            3,
            "an error that is not positive",
        ),
        (
            &[(1.0, 0), (1.0, -1), (0.1, 0)],
            2,
            "an index that no local parameter has",
        ),
        (
            &[(1.0, 0), (1.0, 1), (0.1, 0), (1.0, -5)],
            4,
            "a negative label",
        ),
        (&[(0.0, 0), (-3.0, 0), (1.0, 1)], 2, "more special data"),
    ];
    for (words, word, why) in table {
        let mut records = Records::default();
        for (number, index) in words {
            records.word(*number, *index);
        }
        records.end_record();
        let bytes = records.write(Form::C, Precision::Double);
        let error = Records::read("bad.bin", &bytes, Form::C).unwrap_err();
        let said = error.to_string();
        assert!(said.contains(&format!("word {word} of record 1")), "{said}");
        assert!(said.contains(why), "{said}");
    }
    let mut records = Records::default();
    assert!(records.measure(f64::NAN, 1.0, &[(1, 1.0)], &[]).is_err());
    assert!(records.measure(1.0, -1.0, &[(1, 1.0)], &[]).is_err());
    records.end_record();
    assert!(records.is_empty(), "what was refused is not kept");
}

//! Tests of the steering: what pede's keywords mean, and what is refused.

use super::*;

#[test]
fn a_usual_steering_file_is_understood() {
    let text = "\
* alignment of run 1
Cfiles              ! following files are C
constraints.txt
tracks-a.bin
tracks-b.bin -- 0.5
fortranfiles
old.bin
Method sparseMINRES 6 0.8D-1
CHISQCUT 30 4.5
entries 500
outlierdownweighting 1
dwfractioncut 0.9
hugecut 70
presigma 0.01
regularisation 2.0 0.05
mrestol 1e-8
scaleerrors 1.5 2
threads 10 1
skipemptycons
withmultipliers
closeandreopen
parameter
12 0.5 -1.0 0.3 0.1
14 0 0.02
parameter 16 1e-3 0.0
constraint 0.5
12 1.0 14 -1.0
16 2
measurement 0.1 0.02
12 1
end
nothing that follows is read
";
    let steering = Steering::parse("steer.txt", text).unwrap();
    assert_eq!(steering.texts, ["constraints.txt"]);
    let names: Vec<_> = steering
        .data
        .iter()
        .map(|file| (file.name.as_str(), file.form, file.weight))
        .collect();
    let expect = [
        ("tracks-a.bin", Form::C, 1.0),
        ("tracks-b.bin", Form::C, 0.5),
        ("old.bin", Form::Fortran, 1.0),
    ];
    assert_eq!(names, expect);
    assert_eq!((steering.method, steering.iterations), (Method::Minres, 6));
    assert!((steering.delta - 0.08).abs() < 1e-15);
    let cut = steering.chi_square_cut.unwrap();
    assert_eq!((cut.first, cut.second), (30.0, 4.5));
    assert_eq!((steering.entries_min, steering.downweighting), (500, 2));
    assert_eq!(
        (steering.downweight_fraction_max, steering.huge_cut),
        (0.5, 70.0)
    );
    assert_eq!((steering.regularised, steering.regularisation), (true, 2.0));
    assert_eq!(
        (steering.default_presigma, steering.minres_tolerance),
        (0.05, 1e-8)
    );
    assert_eq!(
        (steering.error_scales, steering.skip_empty_constraints),
        ((1.5, 2.0), true)
    );
    assert_eq!(steering.constraining, Constraining::Multipliers);
    assert_eq!(
        steering.starts[&12],
        Start {
            value: 0.5,
            presigma: -1.0
        }
    );
    assert_eq!(
        steering.starts[&14],
        Start {
            value: 0.0,
            presigma: 0.02
        }
    );
    assert_eq!(
        steering.starts[&16],
        Start {
            value: 1e-3,
            presigma: 0.0
        }
    );
    assert_eq!(steering.constraints.len(), 1);
    assert_eq!(steering.constraints[0].value, 0.5);
    assert_eq!(
        steering.constraints[0].terms,
        [(12, 1.0), (14, -1.0), (16, 2.0)]
    );
    assert_eq!(steering.measurements[0].sigma, 0.02);
    assert_eq!(steering.measurements[0].terms, [(12, 1.0)]);
}

#[test]
fn what_is_not_said_is_as_in_pede() {
    let steering = Steering::parse("s", "data.bin\nmethod inversion 3 0.001").unwrap();
    assert_eq!(steering.entries_min, 10);
    assert_eq!((steering.huge_cut, steering.chi_square_cut), (50.0, None));
    assert_eq!(steering.constraining, Constraining::Elimination);
    assert_eq!((steering.downweighting, steering.regularised), (0, false));
    let entries = |text: &str| {
        let steering = Steering::parse("s", text).unwrap();
        (steering.entries_min, steering.entries_used_min)
    };
    assert_eq!(entries("entries 25"), (25, 10));
    assert_eq!(entries("entries 25 5"), (25, 5));
    assert_eq!(entries("entries 0 0 0"), (10, 10));
    let quiet = Steering::parse("s", "data.bin\nerrlabels 12 14\nwolfe 1e-4 0.9\nforce").unwrap();
    assert_eq!(quiet, Steering::parse("s", "data.bin").unwrap());
    assert_eq!(quiet.entry, Entry::Measurement);
    let by_record = Steering::parse("s", "countrecords").unwrap();
    assert_eq!(by_record.entry, Entry::Record);
    let cut = |text: &str| Steering::parse("s", text).unwrap().chi_square_cut.unwrap();
    assert_eq!(
        cut("chisqcut"),
        ChiSquareCut {
            first: 1.0,
            second: 1.0
        }
    );
    assert_eq!(
        cut("chisqcut 20"),
        ChiSquareCut {
            first: 20.0,
            second: 1.0
        }
    );
    assert_eq!(
        cut("chisqcut 3 5"),
        ChiSquareCut {
            first: 3.0,
            second: 3.0
        }
    );
    assert_eq!(
        cut("chisqcut 0 5"),
        ChiSquareCut {
            first: 0.0,
            second: 5.0
        }
    );
}

#[test]
fn a_further_text_adds_to_the_steering() {
    let mut steering = Steering::parse("s", "c.txt\nweightedcons 1").unwrap();
    steering
        .add_text("c.txt", "Constraint 0.0\n 1 1.00000\n 2 1.0\n")
        .unwrap();
    assert_eq!(steering.constraints[0].terms.len(), 2);
    // What a text sets holds in the texts after it.
    assert!(steering.constraints[0].by_entries);
    let wrong = steering
        .add_text("c.txt", "constraint 0\n1 1\nmore.bin\n")
        .unwrap_err();
    let said = wrong.to_string();
    assert!(
        said.contains("c.txt") && said.contains("line 3 (more.bin)"),
        "{said}"
    );
}

#[test]
fn lines_that_cannot_be_obeyed_are_refused_with_their_number() {
    let table = [
        ("12 1.0", "follow no parameter"),
        ("chisqcutt 3 4", "neither a keyword"),
        ("subitto", "no keyword that this fit knows"),
        ("method magic 3 0.1", "methods are inversion"),
        ("method inversion often", "a number of iterations"),
        ("parameter\n12 0.5", "a label, a value and a presigma"),
        ("parameter\n-12 0.5 0", "is no label"),
        ("constraint", "a right hand side"),
        ("constraint 0\n1 1.0 2", "pairs of a label and a factor"),
        ("measurement 1.0", "a value and its error"),
        ("measurement 1.0 0.0", "the error is not positive"),
        ("entries", "a number is needed"),
        ("entries 10 10 2", "iterated cut on entries is not built"),
        ("iterateentries", "iterated cut on entries is not built"),
        ("iterateentries 50", "iterated cut on entries is not built"),
        ("mrestol 0.1", "outside 1e-10 to 1e-4"),
        ("scaleerrors -1", "not positive"),
        ("a.bin -- none", "the weight after --"),
        ("constraint nan\n", "neither a keyword"),
    ];
    for (text, why) in table {
        let error = Steering::parse("steer.txt", &format!("! first\n{text}")).unwrap_err();
        let said = error.to_string();
        let line = 1 + text.lines().count();
        assert!(
            said.contains(&format!("steer.txt: line {line} (")),
            "{text}: {said}"
        );
        assert!(said.contains(why), "{text}: {said}");
    }
}

//! Records of the CMS data acquisition: `.jsn` sidecars, end of lumi, end of run, and our begin of
//! run.
//!
//! In: the bytes of a record, at most the profile's bound. Out: typed values, or why it cannot be
//! believed. Every value in `"data"` is a string (EventFilter/Utilities: GlobalEvFOutputModule.cc
//! for sidecars, RawEventFileWriterForBU.cc for end of lumi). Half a record is told from a wrong
//! one, because a foreign writer may be writing it still.

use model::arrival::{Checksum, Counts, Refusal};
use model::names::DataLabel;
use model::run::RunType;
use serde::Deserialize;

/// What a sidecar says of its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sidecar {
    pub(crate) counts: Counts,
    /// Base name of the data file; none for an empty lumi.
    pub(crate) file: Option<String>,
    pub(crate) bytes: u64,
    pub(crate) checksum: Option<Checksum>,
}

/// Why a record is not believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RecordError {
    pub(crate) refusal: Refusal,
    /// A clause for the sentence: "it says ..".
    pub(crate) why: String,
    /// Whether it may just be half written.
    pub(crate) torn: bool,
}

#[derive(Deserialize)]
struct Jsn {
    data: Vec<String>,
}

/// The values of one record, asked for by position and name.
struct Values {
    values: Vec<String>,
}

fn wrong(why: String) -> RecordError {
    RecordError {
        refusal: Refusal::RecordUnreadable,
        why,
        torn: false,
    }
}

impl Values {
    fn read(bytes: &[u8], least: usize, names: &str) -> Result<Self, RecordError> {
        let jsn: Jsn = serde_json::from_slice(bytes).map_err(|error| RecordError {
            refusal: Refusal::RecordUnreadable,
            why: if bytes.is_empty() {
                "it is empty".to_owned()
            } else {
                format!("it is no record of the form {{\"data\": [\"..\", ..]}} ({error})")
            },
            torn: error.is_eof() || error.is_syntax(),
        })?;
        if jsn.data.len() < least {
            let held = jsn.data.len();
            return Err(wrong(format!(
                "it holds {held} values where {least} belong ({names})"
            )));
        }
        Ok(Self { values: jsn.data })
    }

    fn count(&self, index: usize, name: &str) -> Result<u64, RecordError> {
        let text = self.values[index].as_str();
        if !is_integer(text) {
            let shown: String = text.chars().take(40).collect();
            return Err(wrong(format!(
                "{name} is {shown:?}, which is no whole number"
            )));
        }
        if text.starts_with('-') {
            let shown: String = text.chars().take(40).collect();
            return Err(wrong(format!(
                "{name} is {shown}, and a count cannot be negative"
            )));
        }
        // The store keeps signed 64-bit integers.
        match text.parse::<i64>() {
            Ok(value) => Ok(value.unsigned_abs()),
            Err(_) => Err(out_of_range(name, text, i64::MAX.unsigned_abs())),
        }
    }
}

fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}

fn out_of_range(name: &str, text: &str, most: u64) -> RecordError {
    let shown: String = text.chars().take(40).collect();
    let why = format!("{name} is {shown}, more than the {most} that fit");
    RecordError {
        refusal: Refusal::NumberOutOfRange,
        why,
        torn: false,
    }
}

/// Reads a sidecar. The full legend has eleven values; in the field there are sidecars of ten, some
/// without the last (HLTErrorEvents), some without the fourth (ReturnCodeMask). The two are told
/// apart by the fourth value: a mask is a number, a list of files is not.
pub(crate) fn sidecar(bytes: &[u8]) -> Result<Sidecar, RecordError> {
    let names = "Processed, Accepted, ErrorEvents, ReturnCodeMask, Filelist, Filesize, InputFiles, \
                 FileAdler32, TransferDestination, MergeType";
    let values = Values::read(bytes, 10, names)?;
    let list = if values.values.len() == 10 && !is_integer(&values.values[3]) {
        3
    } else {
        4
    };
    let counts = Counts {
        processed: values.count(0, "Processed")?,
        accepted: values.count(1, "Accepted")?,
        errors: values.count(2, "ErrorEvents")?,
    };
    let (listed, size) = (
        values.values[list].as_str(),
        values.count(list + 1, "Filesize")?,
    );
    if listed.is_empty() {
        if size > 0 {
            return Err(wrong(format!(
                "Filesize is {size}, but Filelist names no file"
            )));
        }
        return Ok(Sidecar {
            counts,
            file: None,
            bytes: 0,
            checksum: None,
        });
    }
    if listed.contains(['/', ',', ' ', '\0']) || listed == "." || listed == ".." {
        let shown: String = listed.chars().take(200).collect();
        return Err(wrong(format!(
            "Filelist is {shown:?}, which is not the plain name of one file"
        )));
    }
    let checksum = match values.values[list + 3].as_str() {
        "-1" => None,
        text => {
            let value = values.count(list + 3, "FileAdler32")?;
            let value = u32::try_from(value)
                .map_err(|_| out_of_range("FileAdler32", text, u64::from(u32::MAX)))?;
            Some(Checksum::Adler32(value))
        }
    };
    Ok(Sidecar {
        counts,
        file: Some(listed.to_owned()),
        bytes: size,
        checksum,
    })
}

/// Reads an end-of-lumi record: the events that every stream must account for, and the files that
/// were written.
pub(crate) fn lumi_end(bytes: &[u8]) -> Result<(u64, u64), RecordError> {
    let values = Values::read(bytes, 4, "NEvents, NFiles, TotalEvents, NLostEvents")?;
    let events = values.count(0, "NEvents")?;
    let files = values.count(1, "NFiles")?;
    let (total, lost) = (
        values.count(2, "TotalEvents")?,
        values.count(3, "NLostEvents")?,
    );
    if lost > total {
        return Err(wrong(format!(
            "NLostEvents is {lost}, more than TotalEvents, {total}"
        )));
    }
    Ok((events, files))
}

/// Reads an end-of-run record: events of the run and its last lumi.
pub(crate) fn run_end(bytes: &[u8]) -> Result<(u64, u32), RecordError> {
    let values = Values::read(bytes, 4, "NEvents, NFiles, NLumis, LastLumi")?;
    let events = values.count(0, "NEvents")?;
    values.count(1, "NFiles")?;
    values.count(2, "NLumis")?;
    let last = values.count(3, "LastLumi")?;
    let last = u32::try_from(last)
        .map_err(|_| out_of_range("LastLumi", &values.values[3], u64::from(u32::MAX)))?;
    Ok((events, last))
}

/// Reads a begin-of-run record, a shape of ours: run type and label, either may be absent or empty.
pub(crate) fn run_begin(bytes: &[u8]) -> Result<(Option<RunType>, Option<DataLabel>), RecordError> {
    let values = Values::read(bytes, 0, "run type, label")?.values;
    let given = |index: usize| values.get(index).filter(|text| !text.is_empty());
    let run_type = match given(0) {
        None => None,
        Some(text) => Some(RunType::parse(text).ok_or_else(|| {
            let known = RunType::ALL.map(RunType::as_str).join(", ");
            wrong(format!(
                "the run type is {text:?}, and only {known} are known"
            ))
        })?),
    };
    let label = match given(1) {
        None => None,
        Some(text) => Some(DataLabel::parse(text).ok_or_else(|| {
            wrong(format!(
                "the label is {text:?}, and only real and simulated are known"
            ))
        })?),
    };
    Ok((run_type, label))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(values: &[&str]) -> String {
        let quoted: Vec<String> = values
            .iter()
            .map(|value| format!("    \"{value}\""))
            .collect();
        format!(
            "{{\n  \"data\": [\n{}\n  ],\n  \"definition\": \"./run000007/output_41.jsd\",\n  \
             \"source\": \"node1_41\"\n}}\n",
            quoted.join(",\n")
        )
    }

    fn with(index: usize, value: &str) -> String {
        let mut values = [
            "31",
            "30",
            "1",
            "0",
            "f.dat",
            "4096",
            "",
            "3735928559",
            "",
            "DAT",
        ];
        values[index] = value;
        text(&values)
    }

    #[test]
    fn a_sidecar_is_read_as_the_data_acquisition_writes_it() {
        let read = sidecar(with(9, "DAT").as_bytes()).expect("legal");
        let counts = Counts {
            processed: 31,
            accepted: 30,
            errors: 1,
        };
        let checksum = Some(Checksum::Adler32(3_735_928_559));
        assert_eq!(
            read,
            Sidecar {
                counts,
                file: Some("f.dat".into()),
                bytes: 4096,
                checksum
            }
        );
        let eleven = with(9, "DAT").replace("\"DAT\"", "\"DAT\", \"0\"");
        assert_eq!(sidecar(eleven.as_bytes()), Ok(read.clone()));
        // The shape of the real samples: no ReturnCodeMask, but HLTErrorEvents.
        let unmasked = text(&[
            "31",
            "30",
            "1",
            "f.dat",
            "4096",
            "",
            "3735928559",
            "",
            "DAT",
            "0",
        ]);
        assert_eq!(sidecar(unmasked.as_bytes()), Ok(read));
        let unmasked = text(&["31", "0", "0", "", "0", "", "-1", "", "DAT", "0"]);
        let nothing = sidecar(unmasked.as_bytes()).expect("an empty lumi still reports");
        assert_eq!(
            (nothing.file, nothing.bytes, nothing.checksum),
            (None, 0, None)
        );
        let empty = text(&["31", "0", "0", "0", "", "0", "", "-1", "", "DAT"]);
        let read = sidecar(empty.as_bytes()).expect("an empty lumi still reports");
        assert_eq!((read.file, read.bytes, read.checksum), (None, 0, None));
        assert_eq!(read.counts.processed, 31);
        let unsummed = sidecar(with(7, "-1").as_bytes()).expect("a file without checksum");
        assert_eq!(
            (unsummed.file.as_deref(), unsummed.checksum),
            (Some("f.dat"), None)
        );
    }

    #[test]
    fn wrong_sidecars_say_why() {
        let check = |record: &str, refusal: Refusal, torn: bool, expect: &str| {
            let error = sidecar(record.as_bytes()).expect_err(expect);
            assert_eq!(
                (error.refusal, error.torn),
                (refusal, torn),
                "{}",
                error.why
            );
            assert!(error.why.contains(expect), "{}", error.why);
        };
        use Refusal::{NumberOutOfRange as Range, RecordUnreadable as Unreadable};
        check("", Unreadable, true, "it is empty");
        check(&with(0, "5")[..40], Unreadable, true, "EOF while parsing");
        check("run 5, all fine", Unreadable, true, "no record of the form");
        check("{\"data\": 5}", Unreadable, false, "invalid type: integer");
        check(
            "{\"data\": [5, 6]}",
            Unreadable,
            false,
            "invalid type: integer",
        );
        check("{\"date\": []}", Unreadable, false, "missing field `data`");
        check(
            &text(&["1", "2"]),
            Unreadable,
            false,
            "holds 2 values where 10 belong",
        );
        check(
            &with(0, "-31"),
            Unreadable,
            false,
            "Processed is -31, and a count cannot be",
        );
        check(
            &with(2, "one"),
            Unreadable,
            false,
            "ErrorEvents is \"one\", which is no whole",
        );
        check(&with(1, "1e3"), Unreadable, false, "Accepted is \"1e3\"");
        check(
            &with(0, "99999999999999999999"),
            Range,
            false,
            "Processed is 99999999999999999999",
        );
        check(
            &with(7, "4294967296"),
            Range,
            false,
            "FileAdler32 is 4294967296, more than",
        );
        check(
            &with(4, ""),
            Unreadable,
            false,
            "Filesize is 4096, but Filelist names no file",
        );
        check(
            &with(4, "../../etc/passwd"),
            Unreadable,
            false,
            "not the plain name of one file",
        );
        check(
            &with(4, "a.dat,b.dat"),
            Unreadable,
            false,
            "not the plain name of one file",
        );
        let deep = format!("{{\"x\": {}", "[".repeat(100_000));
        check(&deep, Unreadable, true, "EOF while parsing a list");
    }

    #[test]
    fn end_and_begin_records_are_read() {
        assert_eq!(
            lumi_end(text(&["90", "3", "100", "10"]).as_bytes()),
            Ok((90, 3))
        );
        assert_eq!(
            lumi_end(text(&["90", "3", "100", "10", "77"]).as_bytes()),
            Ok((90, 3))
        );
        assert_eq!(
            run_end(text(&["900", "30", "9", "11"]).as_bytes()),
            Ok((900, 11))
        );
        let check = |values: &[&str], run_type, label| {
            assert_eq!(run_begin(text(values).as_bytes()), Ok((run_type, label)));
        };
        check(
            &["cosmics", "real"],
            Some(RunType::Cosmics),
            Some(DataLabel::Real),
        );
        check(
            &["test", "simulated"],
            Some(RunType::Test),
            Some(DataLabel::Simulated),
        );
        check(&["", "real"], None, Some(DataLabel::Real));
        check(&["physics"], Some(RunType::Physics), None);
        check(&[], None, None);
        let refuse = |error: RecordError, expect: &str| {
            assert!(error.why.contains(expect), "{}", error.why);
        };
        refuse(
            lumi_end(text(&["90", "3", "5", "10"]).as_bytes()).unwrap_err(),
            "more than Total",
        );
        refuse(
            lumi_end(text(&["-1", "3", "5", "1"]).as_bytes()).unwrap_err(),
            "negative",
        );
        refuse(
            run_end(text(&["1", "1", "1"]).as_bytes()).unwrap_err(),
            "where 4 belong",
        );
        refuse(
            run_end(text(&["1", "1", "1", "4294967296"]).as_bytes()).unwrap_err(),
            "LastLumi",
        );
        refuse(
            run_begin(text(&["holiday"]).as_bytes()).unwrap_err(),
            "only physics, cosmics",
        );
        refuse(
            run_begin(text(&["test", "fake"]).as_bytes()).unwrap_err(),
            "only real and",
        );
    }

    #[test]
    fn the_real_samples_are_read_where_they_are_at_hand() {
        let Ok(folder) = std::env::var("TIER0_DATA") else {
            return;
        };
        let mut seen = 0;
        for entry in std::fs::read_dir(format!("{folder}/cms-daq-jsn")).expect("the samples") {
            let path = entry.expect("readable").path();
            if path.extension().is_none_or(|extension| extension != "jsn") {
                continue;
            }
            let read = sidecar(&std::fs::read(&path).expect("readable")).expect("a real sidecar");
            let stem = path.file_stem().expect("it has one").to_string_lossy();
            assert_eq!(read.file.as_deref(), Some(format!("{stem}.dat").as_str()));
            assert!(read.counts.accepted > 0 && read.bytes > 0 && read.checksum.is_some());
            seen += 1;
        }
        assert_eq!(seen, 5);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, value in "\\PC{0,30}", index in 0_usize..10) {
            for record in [bytes, with(index, &value.replace(['"', '\\'], "")).into_bytes()] {
                let _ = (sidecar(&record), lumi_end(&record), run_end(&record), run_begin(&record));
            }
        }
    }
}

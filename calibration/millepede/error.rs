//! Why a Millepede fit gave no result: what was tried, on what, why it failed and what to do next.
//! Comes out of all files of this folder; goes into a job's report as text. It never holds data.

/// A fit, or a reading of its input, that could not be done.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum MillepedeError {
    /// The file ends inside a record.
    #[error(
        "reading Mille records of {file}: record {record} at byte {offset} needs {need_bytes} \
         bytes for its {part} and {have_bytes} are left; fetch the file again, or let the job that \
         wrote it end properly"
    )]
    Truncated {
        /// Name of the file.
        file: String,
        /// Number of the record, from 1.
        record: u64,
        /// Where the incomplete part begins, bytes from the start.
        offset: usize,
        /// Which part.
        part: &'static str,
        /// Bytes that part needs.
        need_bytes: u64,
        /// Bytes that are left.
        have_bytes: u64,
    },
    /// A length that no writer writes.
    #[error(
        "reading Mille records of {file}: record {record} at byte {offset} announces {found} where \
         {expected} is due; check that it is a Mille file, and whether it belongs under Cfiles or \
         under fortranfiles"
    )]
    WrongLength {
        /// Name of the file.
        file: String,
        /// Number of the record, from 1.
        record: u64,
        /// Where the length stands, bytes from the start.
        offset: usize,
        /// What stands there.
        found: i64,
        /// What should.
        expected: String,
    },
    /// A record whose words make no measurements.
    #[error(
        "reading Mille records of {file}: word {word} of record {record} {why}; correct the \
         program that wrote the record"
    )]
    BadRecord {
        /// Name of the file.
        file: String,
        /// Number of the record, from 1.
        record: u64,
        /// Number of the word in its record, from 1; the pair of zeros in front is not counted.
        word: usize,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A compressed file that does not decompress.
    #[error("decompressing {file}: {why}; fetch the file again")]
    Gzip {
        /// Name of the file.
        file: String,
        /// The library's reason.
        why: String,
    },
    /// A line of a steering or constraint file.
    #[error("reading the steering file {file}: line {line} ({text}): {why}; correct the line")]
    Steering {
        /// Name of the file.
        file: String,
        /// Number of the line, from 1.
        line: usize,
        /// The line.
        text: String,
        /// What is wrong with it.
        why: String,
    },
    /// No record to fit.
    #[error(
        "fitting with Millepede: there is no record in the {files} files given; check the names \
         under Cfiles and fortranfiles"
    )]
    NoRecords {
        /// Files given.
        files: usize,
    },
    /// No parameter has enough entries, or all are fixed.
    #[error(
        "fitting with Millepede: none of {labels} parameters is free: at least {needed} entries \
         are needed and the most, of label {label}, are {most}; accumulate more records, lower \
         `entries`, or free parameters whose presigma is negative"
    )]
    TooFewEntries {
        /// Parameters known.
        labels: usize,
        /// Entries needed.
        needed: u64,
        /// The parameter with the most entries.
        label: i32,
        /// Its entries.
        most: u64,
    },
    /// A constraint in which nothing can move.
    #[error(
        "fitting with Millepede: constraint {constraint} has no free parameter; remove it, say \
         `skipemptycons`, or free one of its parameters"
    )]
    EmptyConstraint {
        /// Number of the constraint, from 1.
        constraint: usize,
    },
    /// Constraints that say the same, or contradict each other.
    #[error(
        "fitting with Millepede: the {constraints} constraints have rank {rank} only; remove those \
         that follow from others"
    )]
    DependentConstraints {
        /// Constraints given.
        constraints: usize,
        /// Their rank.
        rank: usize,
    },
    /// More than a third of the records were rejected.
    #[error(
        "fitting with Millepede: {rejected} of {records} records were rejected ({detail}) and at \
         most a third may be; check start values and errors of the measurements, or loosen \
         `chisqcut`, `hugecut` or `dwfractioncut`"
    )]
    TooManyRejects {
        /// Records rejected.
        rejected: u64,
        /// Records given.
        records: u64,
        /// By reason.
        detail: String,
    },
    /// The records do not determine all parameters.
    #[error(
        "fitting with Millepede by {method}: the normal equations of {parameters} parameters with \
         {constraints} constraints are singular, most along label {label}; add a constraint, a \
         presigma, or records that measure it"
    )]
    Singular {
        /// The method that found it.
        method: &'static str,
        /// Free parameters.
        parameters: usize,
        /// Constraints.
        constraints: usize,
        /// The parameter that moves most along the undetermined direction.
        label: i32,
    },
    /// MINRES did not reach its tolerance.
    #[error(
        "fitting with Millepede by MINRES: the residual is {residual:.3e} of the right hand side \
         after {steps} steps and {tolerance:.0e} is needed; use method inversion, or add a \
         presigma to parameters that are hardly measured"
    )]
    MinresNotConverged {
        /// Steps made.
        steps: usize,
        /// Residual, relative to the right hand side.
        residual: f64,
        /// `mrestol`.
        tolerance: f64,
    },
    /// The iterations did not settle.
    #[error(
        "fitting with Millepede: after {iterations} iterations another would still change the \
         objective by {expected:.3e} and {limit:.3e} is allowed; allow more iterations or a larger \
         change on the `method` line, or check for records at the edge of the chi-square cut"
    )]
    NotConverged {
        /// Iterations made.
        iterations: u32,
        /// Change expected from one more.
        expected: f64,
        /// Change at which the fit has converged.
        limit: f64,
    },
}

//! Records of measurements in Mille's binary form: one record a track, or whatever else was fitted
//! with local parameters of its own.
//!
//! In comes a file's content; out come measured values with their errors and derivatives, and back
//! again. A record is `int32 n`, then |n| / 2 floating point numbers, then |n| / 2 `int32` indices,
//! little endian; a negative n marks `float64`, otherwise they are `float32`. The first pair is
//! (0, 0). Each measurement is (value, 0), its local derivatives with indices from 1, (sigma, 0),
//! its global derivatives with labels. A pair (x, 0) followed by (-k, 0) is k words of special
//! data, which no fit uses. In the Fortran form each record stands between two `int32` with its
//! length in bytes. Either may be compressed by gzip. (MillepedeII: Mille.cc, readc.c.) Nothing is
//! repaired: a word that cannot be right is an error with its record.

use super::MillepedeError;
use flate2::read::MultiGzDecoder;
use std::io::Read;

/// The largest content of a compressed file, bytes. A day of cosmic tracks is a tenth of it.
pub const DECOMPRESSED_BYTES_MAX: u64 = 16 << 30;
/// The largest index of a local parameter. A curved track with scatterers has a few hundred.
pub const LOCAL_INDEX_MAX: i32 = 100_000;
/// The first bytes of a gzip file.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// How records stand in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One after the other, as C and C++ write them.
    C,
    /// Each between two marks with its length.
    Fortran,
}

/// Width of the numbers in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// 32 bits.
    Single,
    /// 64 bits.
    Double,
}

/// Records in memory, word by word as in the file but without the pair of zeros in front.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Records {
    numbers: Vec<f64>,
    indices: Vec<i32>,
    /// End of each finished record in the two lists.
    ends: Vec<usize>,
}

/// One measurement of a record.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measurement<'a> {
    /// Measured minus predicted value.
    pub value: f64,
    /// Its standard deviation.
    pub sigma: f64,
    /// Indices of local parameters, from 1.
    pub local_indices: &'a [i32],
    /// Derivatives by them.
    pub local: &'a [f64],
    /// Labels of global parameters.
    pub labels: &'a [i32],
    /// Derivatives by them.
    pub global: &'a [f64],
}

impl Records {
    /// Adds a measurement to the record that is being made. Derivatives that are zero are left out,
    /// as Mille does. Refuses what a reader would refuse.
    pub fn measure(
        &mut self,
        value: f64,
        sigma: f64,
        local: &[(i32, f64)],
        global: &[(i32, f64)],
    ) -> Result<(), MillepedeError> {
        let from = self.numbers.len();
        self.word(value, 0);
        for (index, derivative) in local.iter().filter(|(_, derivative)| *derivative != 0.0) {
            self.word(*derivative, *index);
        }
        self.word(sigma, 0);
        for (label, derivative) in global.iter().filter(|(_, derivative)| *derivative != 0.0) {
            self.word(*derivative, *label);
        }
        let checked = check(&self.numbers[from..], &self.indices[from..]);
        checked.map_err(|(word, why)| {
            self.numbers.truncate(from);
            self.indices.truncate(from);
            let record = self.ends.len() as u64 + 1;
            let file = "(being written)".to_owned();
            MillepedeError::BadRecord {
                file,
                record,
                word,
                why,
            }
        })
    }

    /// Adds special data to the record that is being made; nothing when there are none.
    pub fn special(&mut self, words: &[(i32, f64)]) {
        if words.is_empty() {
            return;
        }
        self.word(0.0, 0);
        self.word(-(words.len() as f64), 0);
        for (index, number) in words {
            self.word(*number, *index);
        }
    }

    /// Ends the record; one without words is not kept.
    pub fn end_record(&mut self) {
        if self.numbers.len() > self.ends.last().copied().unwrap_or(0) {
            self.ends.push(self.numbers.len());
        }
    }

    /// Number of finished records.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no finished record.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Keeps the first `records` records.
    pub fn truncate(&mut self, records: usize) {
        if records < self.ends.len() {
            self.ends.truncate(records);
            let words = self.ends.last().copied().unwrap_or(0);
            self.numbers.truncate(words);
            self.indices.truncate(words);
        }
    }

    /// The special data at the head of record `record`, from 0: indices and numbers. Both are
    /// empty where the record begins with a measurement.
    pub fn special_of(&self, record: usize) -> (&[i32], &[f64]) {
        let words = self.measurements(record);
        let is_special = words.indices.get(1) == Some(&0) && words.numbers[1] < 0.0;
        let count = if is_special {
            -words.numbers[1].round() as usize
        } else {
            return (&[], &[]);
        };
        let at = 2..2 + count;
        (&words.indices[at.clone()], &words.numbers[at])
    }

    /// The measurements of record `record`, from 0.
    pub fn measurements(&self, record: usize) -> Measurements<'_> {
        let from = record.checked_sub(1).map_or(0, |before| self.ends[before]);
        let words = from..self.ends[record];
        Measurements {
            numbers: &self.numbers[words.clone()],
            indices: &self.indices[words],
        }
    }

    fn word(&mut self, number: f64, index: i32) {
        self.numbers.push(number);
        self.indices.push(index);
    }

    /// The content of a file with these records.
    pub fn write(&self, form: Form, precision: Precision) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut from = 0;
        for to in &self.ends {
            let words = to - from + 1;
            let (sign, width) = match precision {
                Precision::Single => (1, 4),
                Precision::Double => (-1, 8),
            };
            let mark = (4 + words * (width + 4)) as i32;
            if form == Form::Fortran {
                bytes.extend(mark.to_le_bytes());
            }
            bytes.extend((sign * 2 * words as i32).to_le_bytes());
            for number in std::iter::once(&0.0).chain(&self.numbers[from..*to]) {
                match precision {
                    Precision::Single => bytes.extend((*number as f32).to_le_bytes()),
                    Precision::Double => bytes.extend(number.to_le_bytes()),
                }
            }
            for index in std::iter::once(&0).chain(&self.indices[from..*to]) {
                bytes.extend(index.to_le_bytes());
            }
            if form == Form::Fortran {
                bytes.extend(mark.to_le_bytes());
            }
            from = *to;
        }
        bytes
    }

    /// Reads the content of `file` (its name goes into errors only), decompressing it first when it
    /// is compressed.
    pub fn read(file: &str, content: &[u8], form: Form) -> Result<Self, MillepedeError> {
        if content.starts_with(&GZIP_MAGIC) {
            return Self::read_plain(file, &decompress(file, content)?, form);
        }
        Self::read_plain(file, content, form)
    }

    fn read_plain(file: &str, content: &[u8], form: Form) -> Result<Self, MillepedeError> {
        let mut records = Self::default();
        let mut cursor = Cursor {
            file,
            content,
            offset: 0,
            record: 1,
        };
        while cursor.offset < content.len() {
            cursor.take_record(form, &mut records)?;
            cursor.record += 1;
        }
        Ok(records)
    }
}

fn decompress(file: &str, content: &[u8]) -> Result<Vec<u8>, MillepedeError> {
    let refuse = |why: String| MillepedeError::Gzip {
        file: file.to_owned(),
        why,
    };
    let mut plain = Vec::new();
    let mut decoder = MultiGzDecoder::new(content).take(DECOMPRESSED_BYTES_MAX + 1);
    decoder
        .read_to_end(&mut plain)
        .map_err(|error| refuse(error.to_string()))?;
    if plain.len() as u64 > DECOMPRESSED_BYTES_MAX {
        return Err(refuse(format!(
            "more than {DECOMPRESSED_BYTES_MAX} bytes come out"
        )));
    }
    Ok(plain)
}

/// Where a reader stands.
struct Cursor<'a> {
    file: &'a str,
    content: &'a [u8],
    offset: usize,
    record: u64,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, part: &'static str, need: u64) -> Result<&'a [u8], MillepedeError> {
        let rest = &self.content[self.offset..];
        if need > rest.len() as u64 {
            return Err(MillepedeError::Truncated {
                file: self.file.to_owned(),
                record: self.record,
                offset: self.offset,
                part,
                need_bytes: need,
                have_bytes: rest.len() as u64,
            });
        }
        let need = need as usize;
        self.offset += need;
        Ok(&rest[..need])
    }

    fn take_i32(&mut self, part: &'static str) -> Result<i32, MillepedeError> {
        let bytes = self.take(part, 4)?;
        Ok(i32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    fn wrong_length(&self, back: usize, found: i32, expected: String) -> MillepedeError {
        MillepedeError::WrongLength {
            file: self.file.to_owned(),
            record: self.record,
            offset: self.offset - back,
            found: i64::from(found),
            expected,
        }
    }

    fn take_record(&mut self, form: Form, records: &mut Records) -> Result<(), MillepedeError> {
        let mark = match form {
            Form::C => None,
            Form::Fortran => Some(self.take_i32("mark")?),
        };
        let announced = self.take_i32("length")?;
        let double = announced < 0;
        let words = u64::from(announced.unsigned_abs() / 2);
        if announced % 2 != 0 || words == 0 {
            return Err(self.wrong_length(4, announced, "an even number of words".to_owned()));
        }
        let width = if double { 8 } else { 4 };
        let bytes = 4 + words * (width + 4);
        if let Some(mark) = mark
            && u64::try_from(mark) != Ok(bytes)
        {
            return Err(self.wrong_length(8, mark, format!("a mark of {bytes} bytes")));
        }
        let numbers = self.take("numbers", words * width)?;
        let indices = self.take("indices", words * 4)?;
        let from = records.numbers.len();
        if double {
            let chunks = numbers.chunks_exact(8).skip(1);
            records.numbers.extend(
                chunks.map(|chunk| f64::from_le_bytes(std::array::from_fn(|place| chunk[place]))),
            );
        } else {
            let chunks = numbers.chunks_exact(4).skip(1);
            records.numbers.extend(chunks.map(|chunk| {
                f64::from(f32::from_le_bytes(std::array::from_fn(|place| {
                    chunk[place]
                })))
            }));
        }
        let chunks = indices.chunks_exact(4).skip(1);
        records.indices.extend(
            chunks.map(|chunk| i32::from_le_bytes(std::array::from_fn(|place| chunk[place]))),
        );
        check(&records.numbers[from..], &records.indices[from..]).map_err(|(word, why)| {
            let file = self.file.to_owned();
            MillepedeError::BadRecord {
                file,
                record: self.record,
                word,
                why,
            }
        })?;
        records.end_record();
        if let Some(mark) = mark {
            let after = self.take_i32("closing mark")?;
            if after != mark {
                return Err(self.wrong_length(4, after, format!("a closing mark of {mark} bytes")));
            }
        }
        Ok(())
    }
}

/// Whether the words of a record make measurements; the error is the number of a word and what is
/// wrong with it.
fn check(numbers: &[f64], indices: &[i32]) -> Result<(), (usize, &'static str)> {
    let mut at = 0;
    while at < numbers.len() {
        if indices[at] != 0 {
            return Err((at + 1, "should be a measured value and has an index"));
        }
        let sigma = at + 1 + zero_in(&indices[at + 1..]);
        let Some(number) = numbers.get(sigma) else {
            return Err((at + 1, "is a measured value without its error"));
        };
        if sigma == at + 1 && *number < 0.0 {
            let skipped = -number.round() as usize;
            if skipped > numbers.len() - sigma - 1 {
                return Err((sigma + 1, "announces more special data than the record has"));
            }
            at = sigma + 1 + skipped;
            continue;
        }
        let end = sigma + 1 + zero_in(&indices[sigma + 1..]);
        if let Some(word) = (at..end).find(|word| !numbers[*word].is_finite()) {
            return Err((word + 1, "is not a finite number"));
        }
        // A measurement without local derivatives looks like special data when its error is
        // negative, so errors that are no errors are caught here and there.
        if *number <= 0.0 {
            return Err((sigma + 1, "is an error that is not positive"));
        }
        let local = at + 1..sigma;
        if let Some(word) = local.clone().find(|word| !is_local(indices[*word])) {
            return Err((word + 1, "has an index that no local parameter has"));
        }
        if let Some(word) = (sigma + 1..end).find(|word| indices[*word] < 0) {
            return Err((word + 1, "has a negative label"));
        }
        at = end;
    }
    Ok(())
}

fn is_local(index: i32) -> bool {
    (1..=LOCAL_INDEX_MAX).contains(&index)
}

/// Where the next zero is, or the length when there is none.
fn zero_in(indices: &[i32]) -> usize {
    indices
        .iter()
        .position(|index| *index == 0)
        .unwrap_or(indices.len())
}

/// The measurements of one record, in order; special data are passed over.
#[derive(Clone, Debug)]
pub struct Measurements<'a> {
    numbers: &'a [f64],
    indices: &'a [i32],
}

impl<'a> Iterator for Measurements<'a> {
    type Item = Measurement<'a>;

    fn next(&mut self) -> Option<Measurement<'a>> {
        loop {
            let value = *self.numbers.first()?;
            let sigma_at = 1 + zero_in(&self.indices[1..]);
            let sigma = self.numbers[sigma_at];
            if sigma_at == 1 && sigma < 0.0 {
                self.skip_words(2 + -sigma.round() as usize);
                continue;
            }
            let end = sigma_at + 1 + zero_in(&self.indices[sigma_at + 1..]);
            let found = Measurement {
                value,
                sigma,
                local_indices: &self.indices[1..sigma_at],
                local: &self.numbers[1..sigma_at],
                labels: &self.indices[sigma_at + 1..end],
                global: &self.numbers[sigma_at + 1..end],
            };
            self.skip_words(end);
            return Some(found);
        }
    }
}

impl Measurements<'_> {
    fn skip_words(&mut self, words: usize) {
        self.numbers = &self.numbers[words..];
        self.indices = &self.indices[words..];
    }
}

#[cfg(test)]
#[path = "records_tests.rs"]
mod tests;

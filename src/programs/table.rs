//! Tables of numbers in Parquet files: how derived events are kept.
//!
//! In: named columns and file metadata. Out: the bytes of a Parquet file, one row group for each
//! run and lumi, and back again. The same table gives the same bytes: the writer's name is fixed
//! and no time is stored. It must never change a value: numbers are stored in their own width.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use parquet::basic::{Compression, Type};
use parquet::column::reader::ColumnReader;
use parquet::column::writer::ColumnWriter;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::ColumnDescriptor;

/// Writer named in each file; fixed, so that a new version does not change old results' bytes.
const CREATED_BY: &str = "tier0-programs 1";

/// The values of a column.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Values {
    /// Run, lumi, counts.
    U32(Vec<u32>),
    /// Event numbers.
    U64(Vec<u64>),
    /// Charges.
    I32(Vec<i32>),
    /// Quantities.
    F64(Vec<f64>),
    /// Quantities some data sets lack.
    OptionF64(Vec<Option<f64>>),
}

impl Values {
    fn len(&self) -> usize {
        match self {
            Self::U32(values) => values.len(),
            Self::U64(values) => values.len(),
            Self::I32(values) => values.len(),
            Self::F64(values) => values.len(),
            Self::OptionF64(values) => values.len(),
        }
    }

    /// Adds values of the same kind; none where they are of another.
    fn append(&mut self, other: &Self) -> Option<()> {
        match (self, other) {
            (Self::U32(ours), Self::U32(theirs)) => ours.extend_from_slice(theirs),
            (Self::U64(ours), Self::U64(theirs)) => ours.extend_from_slice(theirs),
            (Self::I32(ours), Self::I32(theirs)) => ours.extend_from_slice(theirs),
            (Self::F64(ours), Self::F64(theirs)) => ours.extend_from_slice(theirs),
            (Self::OptionF64(ours), Self::OptionF64(theirs)) => ours.extend_from_slice(theirs),
            _ => return None,
        }
        Some(())
    }

    fn rows_of(&self, rows: &[usize]) -> Self {
        fn chosen<T: Copy>(values: &[T], rows: &[usize]) -> Vec<T> {
            rows.iter().map(|row| values[*row]).collect()
        }
        match self {
            Self::U32(values) => Self::U32(chosen(values, rows)),
            Self::U64(values) => Self::U64(chosen(values, rows)),
            Self::I32(values) => Self::I32(chosen(values, rows)),
            Self::F64(values) => Self::F64(chosen(values, rows)),
            Self::OptionF64(values) => Self::OptionF64(chosen(values, rows)),
        }
    }

    fn schema(&self, name: &str) -> String {
        match self {
            Self::U32(_) => format!("REQUIRED INT32 {name} (INTEGER(32,false));"),
            Self::U64(_) => format!("REQUIRED INT64 {name} (INTEGER(64,false));"),
            Self::I32(_) => format!("REQUIRED INT32 {name};"),
            Self::F64(_) => format!("REQUIRED DOUBLE {name};"),
            Self::OptionF64(_) => format!("OPTIONAL DOUBLE {name};"),
        }
    }
}

/// A table. The first two columns are the run and the lumi.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Table {
    columns: Vec<(String, Values)>,
    /// Key and value pairs of the file, in order.
    pub(crate) metadata: Vec<(String, String)>,
}

impl Table {
    /// Adds a column; all columns have the same length.
    pub(crate) fn push(&mut self, name: &str, values: Values) {
        debug_assert!(
            self.columns
                .first()
                .is_none_or(|(_, first)| first.len() == values.len())
        );
        self.columns.push((name.to_owned(), values));
    }

    /// Adds a piece of file metadata.
    pub(crate) fn note(&mut self, key: &str, value: impl Into<String>) {
        self.metadata.push((key.to_owned(), value.into()));
    }

    /// A piece of file metadata.
    pub(crate) fn noted(&self, key: &str) -> Option<&str> {
        self.metadata
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.as_str())
    }

    /// Number of rows.
    pub(crate) fn rows(&self) -> usize {
        self.columns.first().map_or(0, |(_, values)| values.len())
    }

    /// A column of whole numbers; the error says what is missing.
    pub(crate) fn u32s(&self, name: &str) -> std::result::Result<&[u32], String> {
        match self.column(name)? {
            Values::U32(values) => Ok(values),
            _ => Err(format!(
                "column {name} does not hold unsigned 32-bit numbers"
            )),
        }
    }

    /// A column of event numbers; the error says what is missing.
    pub(crate) fn u64s(&self, name: &str) -> std::result::Result<&[u64], String> {
        match self.column(name)? {
            Values::U64(values) => Ok(values),
            _ => Err(format!(
                "column {name} does not hold unsigned 64-bit numbers"
            )),
        }
    }

    /// A column of charges; the error says what is missing.
    pub(crate) fn i32s(&self, name: &str) -> std::result::Result<&[i32], String> {
        match self.column(name)? {
            Values::I32(values) => Ok(values),
            _ => Err(format!("column {name} does not hold signed 32-bit numbers")),
        }
    }

    /// A column of quantities; the error says what is missing.
    pub(crate) fn f64s(&self, name: &str) -> std::result::Result<&[f64], String> {
        match self.column(name)? {
            Values::F64(values) => Ok(values),
            _ => Err(format!("column {name} does not hold numbers in every row")),
        }
    }

    /// A column of quantities that may be absent; the error says what is missing.
    pub(crate) fn optional(&self, name: &str) -> std::result::Result<&[Option<f64>], String> {
        match self.column(name)? {
            Values::OptionF64(values) => Ok(values),
            _ => Err(format!("column {name} does not hold optional numbers")),
        }
    }

    /// A column of any kind; the error says what is missing.
    pub(crate) fn column(&self, name: &str) -> std::result::Result<&Values, String> {
        let found = self.columns.iter().find(|(column, _)| column == name);
        found
            .map(|(_, values)| values)
            .ok_or_else(|| format!("column {name} is missing"))
    }

    /// Adds the rows of a table with the same columns; of the metadata what differs is an error,
    /// but for what only express writes about its lumis.
    pub(crate) fn append(&mut self, other: &Self) -> std::result::Result<(), String> {
        let names = |table: &Self| -> Vec<String> {
            table.columns.iter().map(|(name, _)| name.clone()).collect()
        };
        if names(self) != names(other) {
            let (ours, theirs) = (names(self).join(" "), names(other).join(" "));
            return Err(format!(
                "its columns are {theirs}, those of the others {ours}"
            ));
        }
        if self.noted("tier0.source") != other.noted("tier0.source") {
            let source = other.noted("tier0.source").unwrap_or_default();
            return Err(format!(
                "its source is {source:?}, the others have another one"
            ));
        }
        // Of a run whose lumis were corrected with different constants no single hash is true.
        self.metadata.retain(|note| other.metadata.contains(note));
        for ((name, ours), (_, theirs)) in self.columns.iter_mut().zip(&other.columns) {
            ours.append(theirs)
                .ok_or_else(|| format!("column {name} is of another kind than in the others"))?;
        }
        Ok(())
    }

    /// The rows of these numbers, in their order, with the metadata.
    pub(crate) fn rows_of(&self, rows: &[usize]) -> Self {
        let columns = self.columns.iter();
        Self {
            columns: columns
                .map(|(name, values)| (name.clone(), values.rows_of(rows)))
                .collect(),
            metadata: self.metadata.clone(),
        }
    }

    /// The bytes of the Parquet file.
    pub(crate) fn to_parquet(&self) -> Vec<u8> {
        self.write()
            .expect("writing well-formed columns to memory cannot fail")
    }

    fn write(&self) -> Result<Vec<u8>> {
        let fields: String = self
            .columns
            .iter()
            .map(|(name, values)| values.schema(name))
            .collect();
        let schema = Arc::new(parse_message_type(&format!(
            "message events {{ {fields} }}"
        ))?);
        let notes = self.metadata.iter();
        let notes = notes
            .map(|(key, value)| KeyValue::new(key.clone(), value.clone()))
            .collect();
        let properties = WriterProperties::builder()
            .set_created_by(CREATED_BY.into())
            .set_compression(Compression::SNAPPY)
            .set_key_value_metadata(Some(notes))
            .build();
        let mut bytes = Vec::new();
        let mut writer = SerializedFileWriter::new(&mut bytes, schema, Arc::new(properties))?;
        for (from, to) in self.groups() {
            let mut group = writer.next_row_group()?;
            let mut index = 0;
            while let Some(mut column) = group.next_column()? {
                write_column(column.untyped(), &self.columns[index].1, from, to)?;
                column.close()?;
                index += 1;
            }
            group.close()?;
        }
        writer.close()?;
        Ok(bytes)
    }

    /// Ranges of rows of one run and lumi, which stand together.
    fn groups(&self) -> Vec<(usize, usize)> {
        let Some([(_, Values::U32(runs)), (_, Values::U32(lumis))]) = self.columns.get(..2) else {
            return vec![(0, self.rows())];
        };
        let mut groups = Vec::new();
        let mut from = 0;
        for to in 1..=runs.len() {
            if to == runs.len() || (runs[to], lumis[to]) != (runs[from], lumis[from]) {
                groups.push((from, to));
                from = to;
            }
        }
        groups
    }

    /// Reads a Parquet file written by [`Table::to_parquet`]; the error is the reason in words.
    pub(crate) fn read(path: &Path) -> std::result::Result<Self, String> {
        let file = File::open(path).map_err(|error| error.to_string())?;
        Self::read_file(file).map_err(|error| format!("not a readable Parquet file: {error}"))
    }

    fn read_file(file: File) -> Result<Self> {
        let reader = SerializedFileReader::new(file)?;
        let file = reader.metadata().file_metadata();
        let mut table = Self::default();
        for note in file.key_value_metadata().into_iter().flatten() {
            table.note(&note.key, note.value.clone().unwrap_or_default());
        }
        for index in 0..file.schema_descr().num_columns() {
            let column = file.schema_descr().column(index);
            let name = column.name().to_owned();
            let mut values = empty_values(&column)?;
            for group in 0..reader.num_row_groups() {
                let group = reader.get_row_group(group)?;
                let rows = group.metadata().num_rows().max(0) as usize;
                read_column(group.get_column_reader(index)?, rows, &mut values)?;
            }
            table.columns.push((name, values));
        }
        Ok(table)
    }
}

fn write_column(
    column: &mut ColumnWriter<'_>,
    values: &Values,
    from: usize,
    to: usize,
) -> Result<()> {
    match (column, values) {
        (ColumnWriter::Int32ColumnWriter(writer), Values::U32(values)) => {
            let signed: Vec<i32> = values[from..to].iter().map(|value| *value as i32).collect();
            writer.write_batch(&signed, None, None)?;
        }
        (ColumnWriter::Int32ColumnWriter(writer), Values::I32(values)) => {
            writer.write_batch(&values[from..to], None, None)?;
        }
        (ColumnWriter::Int64ColumnWriter(writer), Values::U64(values)) => {
            let signed: Vec<i64> = values[from..to].iter().map(|value| *value as i64).collect();
            writer.write_batch(&signed, None, None)?;
        }
        (ColumnWriter::DoubleColumnWriter(writer), Values::F64(values)) => {
            writer.write_batch(&values[from..to], None, None)?;
        }
        (ColumnWriter::DoubleColumnWriter(writer), Values::OptionF64(values)) => {
            let part = &values[from..to];
            let levels: Vec<i16> = part
                .iter()
                .map(|value| i16::from(value.is_some()))
                .collect();
            let there: Vec<f64> = part.iter().flatten().copied().collect();
            writer.write_batch(&there, Some(&levels), None)?;
        }
        _ => return Err(ParquetError::General("column and schema differ".into())),
    }
    Ok(())
}

fn unknown(name: &str) -> ParquetError {
    ParquetError::General(format!(
        "column {name} is of a type this program does not write"
    ))
}

/// An empty column of the type the file declares.
fn empty_values(column: &ColumnDescriptor) -> Result<Values> {
    let unsigned = column.logical_type_ref().is_some_and(
        |kind| matches!(kind, parquet::basic::LogicalType::Integer(kind) if !kind.is_signed),
    );
    match (column.physical_type(), unsigned, column.max_def_level()) {
        (Type::INT32, true, 0) => Ok(Values::U32(Vec::new())),
        (Type::INT32, false, 0) => Ok(Values::I32(Vec::new())),
        (Type::INT64, true, 0) => Ok(Values::U64(Vec::new())),
        (Type::DOUBLE, _, 0) => Ok(Values::F64(Vec::new())),
        (Type::DOUBLE, _, 1) => Ok(Values::OptionF64(Vec::new())),
        _ => Err(unknown(column.name())),
    }
}

/// Appends the `rows` values of one row group.
fn read_column(column: ColumnReader, rows: usize, values: &mut Values) -> Result<()> {
    match (column, values) {
        (ColumnReader::Int32ColumnReader(mut reader), Values::U32(all)) => {
            let mut part = Vec::with_capacity(rows);
            reader.read_records(rows, None, None, &mut part)?;
            all.extend(part.into_iter().map(|value| value as u32));
        }
        (ColumnReader::Int32ColumnReader(mut reader), Values::I32(all)) => {
            reader.read_records(rows, None, None, all)?;
        }
        (ColumnReader::Int64ColumnReader(mut reader), Values::U64(all)) => {
            let mut part = Vec::with_capacity(rows);
            reader.read_records(rows, None, None, &mut part)?;
            all.extend(part.into_iter().map(|value| value as u64));
        }
        (ColumnReader::DoubleColumnReader(mut reader), Values::F64(all)) => {
            reader.read_records(rows, None, None, all)?;
        }
        (ColumnReader::DoubleColumnReader(mut reader), Values::OptionF64(all)) => {
            let (mut part, mut levels) = (Vec::new(), Vec::new());
            reader.read_records(rows, Some(&mut levels), None, &mut part)?;
            let mut there = part.into_iter();
            all.extend(
                levels
                    .into_iter()
                    .map(|level| if level > 0 { there.next() } else { None }),
            );
        }
        _ => return Err(ParquetError::General("column and schema differ".into())),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Table {
        let mut table = Table::default();
        table.push("run", Values::U32(vec![1, 1, 1, u32::MAX]));
        table.push("lumi", Values::U32(vec![1, 1, 2, 2]));
        table.push("event", Values::U64(vec![5, 6, u64::MAX, 8]));
        table.push("q1", Values::I32(vec![1, -1, 1, -1]));
        table.push("pt1", Values::F64(vec![0.1, 1e300, -0.0, 3.0]));
        table.push(
            "dxy1",
            Values::OptionF64(vec![None, Some(0.5), None, Some(-1.0)]),
        );
        table.note("label", "real");
        table
    }

    #[test]
    fn a_table_reads_back_as_it_was_written_and_twice_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.parquet");
        let bytes = sample().to_parquet();
        assert_eq!(bytes, sample().to_parquet());
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(Table::read(&path).unwrap(), sample());
        assert_eq!(sample().groups(), [(0, 2), (2, 3), (3, 4)]);
    }

    #[test]
    fn bytes_that_are_no_table_are_refused_in_words() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.parquet");
        let good = sample().to_parquet();
        for bad in [
            &b""[..],
            b"PAR1 not really",
            &good[..good.len() - 5],
            &good[4..],
        ] {
            std::fs::write(&path, bad).unwrap();
            let said = Table::read(&path).unwrap_err();
            assert!(said.contains("not a readable Parquet file"), "{said}");
        }
    }
}

//! Event tables of other people: flat Parquet files with the columns of a dimuon or chamber CSV
//! file, as pandas, Arrow or Spark write them.
//!
//! In: a Parquet file of numbers and short texts, one row a pair or track. Out: its column names
//! and its rows as comma separated text, as the CSV file would hold them; numbers have the shortest
//! form that reads back to the same value. Whether the rows are events is for whoever asked. It
//! never guesses: nested columns and texts that would not fit between commas are errors.

use std::fs::File;
use std::path::Path;

use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;

/// Name of the column that tells such a file from a table of these programs, which has `run`.
const RUN: &str = "Run";

/// Reads the file if it is such a one, none if it is not; the error is the reason in words.
#[expect(
    clippy::type_complexity,
    reason = "columns and rows, as for other data sets"
)]
pub(crate) fn read(path: &Path) -> std::result::Result<Option<(Vec<String>, Vec<String>)>, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    read_file(file).map_err(|error| format!("not a readable Parquet file: {error}"))
}

fn read_file(file: File) -> Result<Option<(Vec<String>, Vec<String>)>> {
    let reader = SerializedFileReader::new(file)?;
    let schema = reader.metadata().file_metadata().schema_descr();
    let fields = schema.root_schema().get_fields();
    let columns: Vec<String> = fields.iter().map(|field| field.name().to_owned()).collect();
    if !columns.iter().any(|column| column == RUN) {
        return Ok(None);
    }
    let mut rows = Vec::new();
    for row in reader.get_row_iter(None)? {
        let row = row?;
        let fields = row.get_column_iter();
        let fields = fields.map(|(name, field)| text(field).ok_or_else(|| unfit(name, field)));
        rows.push(fields.collect::<Result<Vec<String>>>()?.join(","));
    }
    Ok(Some((columns, rows)))
}

/// A value as the CSV file would hold it; what is absent is empty.
fn text(field: &Field) -> Option<String> {
    Some(match field {
        Field::Null => String::new(),
        Field::Byte(value) => value.to_string(),
        Field::Short(value) => value.to_string(),
        Field::Int(value) => value.to_string(),
        Field::Long(value) => value.to_string(),
        Field::UByte(value) => value.to_string(),
        Field::UShort(value) => value.to_string(),
        Field::UInt(value) => value.to_string(),
        Field::ULong(value) => value.to_string(),
        Field::Float(value) => value.to_string(),
        Field::Double(value) => value.to_string(),
        Field::Str(value) if !value.contains([',', '\n', '\r', '"']) => value.clone(),
        _ => return None,
    })
}

fn unfit(column: &str, field: &Field) -> ParquetError {
    let what = match field {
        Field::Group(_) | Field::ListInternal(_) | Field::MapInternal(_) => {
            "is nested; write one row a pair, one column a quantity"
        }
        Field::Str(_) => "has a text with a comma, a quote or a line break",
        _ => "holds neither numbers nor texts",
    };
    ParquetError::General(format!("column {column} {what}"))
}

//! Listings from CSV: a header that names the columns in any order, and a listing a record.

use std::io::{self, BufRead};

use csv::{ByteRecord, ErrorKind, Reader, ReaderBuilder};

use super::{
    Row,
    bounded::Bounded,
    fields::{Field, Fields},
};

/// The records of a table.
pub(super) struct Table<R> {
    reader: Reader<Bounded<R>>,
    /// What each column says; one that no listing has is left out.
    columns: Vec<Option<Field>>,
    /// The names of those.
    left_out: Vec<String>,
    record: ByteRecord,
}

impl<R: BufRead> Table<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// One line that says what is wrong with it.
    pub(super) fn open(source: R) -> io::Result<Self> {
        let mut reader = ReaderBuilder::new().from_reader(Bounded::new(source));
        let header = reader.byte_headers().map_err(|error| io::Error::other(unreadable(&error)))?;
        let names: Vec<String> =
            header.iter().map(|name| String::from_utf8_lossy(name).trim().to_lowercase()).collect();
        check(&names).map_err(io::Error::other)?;
        let field_of = |name: &String| Field::ALL.into_iter().find(|field| field.name() == name);
        let columns = names.iter().map(field_of).collect();
        let left_out = names.into_iter().filter(|name| field_of(name).is_none()).collect();
        Ok(Self { reader, columns, left_out, record: ByteRecord::new() })
    }

    /// The columns that are not a listing's.
    pub(super) fn left_out(&self) -> Vec<String> {
        self.left_out.clone()
    }

    fn fields(&self) -> Result<Fields, String> {
        let mut fields = Fields::default();
        for (field, value) in self.columns.iter().zip(&self.record) {
            if let Some(field) = *field {
                let text = std::str::from_utf8(value).map_err(|_| format!("{} is not UTF-8", field.name()))?;
                fields.set(field, text);
            }
        }
        Ok(fields)
    }
}

impl<R: BufRead> Iterator for Table<R> {
    type Item = io::Result<Row>;

    fn next(&mut self) -> Option<io::Result<Row>> {
        let before = self.reader.position().line();
        self.reader.get_mut().begin_row(before);
        let listing = match self.reader.read_byte_record(&mut self.record) {
            Ok(false) => return None,
            Ok(true) => self.fields().and_then(Fields::listing),
            Err(error) => match error.kind() {
                ErrorKind::UnequalLengths { expected_len, len, .. } => {
                    let fields = if *len == 1 { "field" } else { "fields" };
                    Err(format!("{len} {fields} where the header has {expected_len}"))
                }
                _ => return Some(Err(io::Error::other(unreadable(&error)))),
            },
        };
        // The library counts blank lines to the record behind them, so the line is counted from the end.
        let inside = self.record.as_slice().iter().filter(|byte| **byte == b'\n').count() as u64;
        // The last record may end without a line's end, inside its quotes.
        let line = self.reader.position().line().saturating_sub(1 + inside).max(before);
        Some(Ok(Row { line, listing }))
    }
}

fn check(names: &[String]) -> Result<(), String> {
    for field in Field::ALL {
        match names.iter().filter(|name| *name == field.name()).count() {
            0 if field.is_required() => {
                return Err(format!("the first line must name the columns; there is no column '{}'", field.name()));
            }
            0 | 1 => {}
            _ => return Err(format!("the first line names the column '{}' twice", field.name())),
        }
    }
    Ok(())
}

/// The cause without the library's own words around it.
fn unreadable(error: &csv::Error) -> String {
    match error.kind() {
        ErrorKind::Io(cause) => cause.to_string(),
        _ => error.to_string(),
    }
}

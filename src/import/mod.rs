//! Filling the store from files: listings from CSV or JSON, help articles from Markdown.
//!
//! A file is read as a stream and written in batches, so that its size does not matter. A row that cannot be taken is
//! refused with its line and its reason, and the others are written all the same.

mod amount;
mod articles;
mod bounded;
mod fields;
mod json;
mod table;

use std::{
    fmt,
    io::{self, BufRead, BufReader, Read},
};

use crate::{
    domain::{Timestamp, error::Error, listing::NewListing},
    store::Store,
};

pub use articles::articles;

/// Rows that are written in one transaction.
const BATCH_ROWS: usize = 500;

/// Refusals that a report names one by one.
const REFUSALS_NAMED_MAX: usize = 50;

/// What a file of listings is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A table with a header.
    Csv,
    /// One array of objects, or one object a line.
    Json,
}

/// What became of the rows of a file, or of several articles.
#[derive(Debug, Default)]
pub struct Report {
    /// Rows that were read.
    pub read: u64,
    /// Rows that are in the database now.
    pub written: u64,
    /// Rows that could not be taken.
    pub refused: u64,
    /// The first refusals, each with its place and reason.
    pub refusals: Vec<String>,
    /// Columns of the file that are not a listing's; what they say is not kept.
    pub left_out: Vec<String>,
    /// Why it ended before the end of the file.
    pub failure: Option<String>,
    unit: &'static str,
}

impl Report {
    fn of(unit: &'static str) -> Self {
        Self { unit, ..Self::default() }
    }

    fn refuse(&mut self, place: impl fmt::Display, reason: impl fmt::Display) {
        self.refused += 1;
        if self.refusals.len() < REFUSALS_NAMED_MAX {
            self.refusals.push(format!("{place}: {reason}"));
        }
    }

    /// Refusals beyond those that are named.
    #[must_use]
    pub fn unnamed(&self) -> u64 {
        self.refused.saturating_sub(self.refusals.len() as u64)
    }

    /// Everything was read, and not everything was refused.
    #[must_use]
    pub const fn is_success(&self) -> bool {
        self.failure.is_none() && (self.written > 0 || self.refused == 0)
    }
}

/// `20 rows read, 17 written, 3 refused`.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} read, {} written, {} refused", self.read, self.unit, self.written, self.refused)
    }
}

/// A row of a file: the line on which it begins, and the listing it describes or why it describes none.
struct Row {
    line: u64,
    listing: Result<NewListing, String>,
}

/// The rows of a file one by one; an error ends them, because what follows cannot be told apart any more.
type Rows<'a> = Box<dyn Iterator<Item = io::Result<Row>> + 'a>;

/// Writes the listings of a file; those with the id of a stored one replace it. Without `format` the file's first
/// character tells.
pub async fn listings(store: &Store, source: impl Read, format: Option<Format>, now: Timestamp) -> Report {
    let mut report = Report::of("rows");
    report.failure = write_listings(store, source, format, now, &mut report).await.err();
    report
}

async fn write_listings(
    store: &Store,
    source: impl Read,
    format: Option<Format>,
    now: Timestamp,
    report: &mut Report,
) -> Result<(), String> {
    let mut rows = open(source, format, &mut report.left_out).map_err(|error| error.to_string())?;
    loop {
        let mut batch = Vec::with_capacity(BATCH_ROWS);
        let mut ended = None;
        while batch.len() < BATCH_ROWS && ended.is_none() {
            match rows.next() {
                Some(Ok(row)) => {
                    report.read += 1;
                    match row.listing {
                        Ok(listing) => batch.push(listing),
                        Err(reason) => report.refuse(format_args!("line {}", row.line), reason),
                    }
                }
                Some(Err(error)) => ended = Some(Err(error.to_string())),
                None => ended = Some(Ok(())),
            }
        }
        // What was read before the file broke off is good.
        if !batch.is_empty() {
            report.written += store.import_listings(batch, now).await.map_err(in_database)?;
        }
        if let Some(end) = ended {
            return end;
        }
    }
}

fn open<'a>(source: impl Read + 'a, format: Option<Format>, left_out: &mut Vec<String>) -> io::Result<Rows<'a>> {
    let mut source = BufReader::new(source);
    let start = source.fill_buf()?;
    if start.starts_with(b"\xff\xfe") || start.starts_with(b"\xfe\xff") {
        return Err(io::Error::other("the file is written in UTF-16; save it as UTF-8"));
    }
    if start.starts_with(bounded::BOM) {
        source.consume(bounded::BOM.len());
    }
    let first = source.fill_buf()?.iter().copied().find(|byte| !byte.is_ascii_whitespace());
    let is_json = match format {
        Some(format) => format == Format::Json,
        None => matches!(first, Some(b'[' | b'{')),
    };
    Ok(match (is_json, first) {
        (true, Some(b'[')) => Box::new(json::Elements::of_array(source)),
        (true, _) => Box::new(json::Elements::of_lines(source)),
        (false, _) => {
            let table = table::Table::open(source)?;
            *left_out = table.left_out();
            Box::new(table)
        }
    })
}

/// For the operator's eyes the cause may be named.
fn in_database(error: Error) -> String {
    match error {
        Error::Internal(cause) => format!("the database failed: {cause}"),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each row's line with its title or its reason, and why the file ended early.
    fn read(text: impl AsRef<[u8]>) -> (Vec<(u64, String)>, Option<String>) {
        let (mut read, mut left_out) = (vec![], vec![]);
        let rows = match open(text.as_ref(), None, &mut left_out) {
            Ok(rows) => rows,
            Err(error) => return (read, Some(error.to_string())),
        };
        for row in rows {
            match row {
                Ok(Row { line, listing }) => read.push((line, listing.map_or_else(|reason| reason, |new| new.title))),
                Err(error) => return (read, Some(error.to_string())),
            }
        }
        (read, None)
    }

    fn rows(expected: &[(u64, &str)]) -> (Vec<(u64, String)>, Option<String>) {
        (expected.iter().map(|(line, text)| (*line, (*text).to_owned())).collect(), None)
    }

    fn broken(expected: &[(u64, &str)], why: &str) -> (Vec<(u64, String)>, Option<String>) {
        (rows(expected).0, Some(why.to_owned()))
    }

    #[test]
    fn tables_are_read_by_their_header() {
        let text = "\u{feff}Price, category ,color,TITLE\r\n5,Books,red,Atlas\r\n\r\n\"1,200\",Books,,\"Two\nlines\"\r\n7,Books,,\"A \"\"b\"\"\"\r\n";
        let reason = "title must have 1 to 200 characters and no control characters";
        assert_eq!(read(text), rows(&[(2, "Atlas"), (4, reason), (6, "A \"b\"")]));
        assert_eq!(
            read("title,category,price\na,b\nc,d,1,2\ne,f,3"),
            rows(&[(2, "2 fields where the header has 3"), (3, "4 fields where the header has 3"), (4, "e"),])
        );
        assert_eq!(read(b"title,category,price\n\xff,b,1\ng,b,1\n"), rows(&[(2, "title is not UTF-8"), (3, "g")]));
        assert_eq!(read("title,category,price\n"), rows(&[]));
        let open_quote = "title,category,price\n\"a,b,1\nc,d,2\n";
        assert_eq!(read(open_quote), rows(&[(2, "1 field where the header has 3")]));
    }

    #[test]
    fn a_header_must_name_what_every_listing_has_and_nothing_twice() {
        let missing = |name| format!("the first line must name the columns; there is no column '{name}'");
        assert_eq!(read("").1, Some(missing("title")));
        assert_eq!(read("title;category;price\n").1, Some(missing("title")));
        assert_eq!(read("title,category\n").1, Some(missing("price")));
        assert_eq!(read("title,category,price,Title\n").1.unwrap(), "the first line names the column 'title' twice");
    }

    #[test]
    fn json_comes_as_an_array_or_line_by_line() {
        let good = |title: &str| format!(r#"{{"title":"{title}","category":"Books","price":5}}"#);
        let array = format!("\n[ {},\n{{\n\"title\":\"x\"}},\n7, {}\n , ]\n\n", good("a ]\\\",{"), good("b"));
        assert_eq!(
            read(array),
            rows(&[(2, "a ]\",{"), (3, "category is missing"), (5, "this is not a JSON object"), (5, "b"),])
        );
        let lines = format!("{}\n\n{{\"title\":\"open\n{}\r\n{}", good("a"), good("b"), good("c"));
        assert_eq!(read(lines), rows(&[(1, "a"), (3, "this is not JSON"), (4, "b"), (5, "c")]));
        assert_eq!(read("[]"), rows(&[]));
    }

    #[test]
    fn json_values_are_taken_for_what_they_say() {
        let reason = |fields: &str| {
            let text = format!(r#"[{{"title":"T","category":"C",{fields}}}]"#);
            read(text).0.pop().unwrap().1
        };
        for good in [
            r#""price":5"#,
            r#""price":"$5.50","id":17,"description":null,"status":"Sold""#,
            r#""price":0.99,"unknown":[1]"#,
        ] {
            assert_eq!(reason(good), "T", "{good}");
        }
        let amount = "price is not an amount such as 25, 25.50, $25 or 1,200";
        for (bad, expected) in [
            (r#""status":"sold""#, "price is missing"),
            (r#""price":true"#, "price has the wrong type"),
            (r#""price":-5"#, amount),
            (r#""price":1.999"#, amount),
            (r#""price":"25,00""#, amount),
            (r#""price":100000001"#, "price must be from 0 to 100000000"),
            (r#""price":1,"status":"gone""#, "status must be available, reserved, sold or hidden"),
            (r#""price":1,"id":"a b""#, "listing id is not a valid id"),
            (r#""price":1,"description":["x"]"#, "description has the wrong type"),
            (r#""price":1,"description":"a\u0000b""#, "description must have at most 8000 characters and no NUL"),
        ] {
            assert_eq!(reason(bad), expected, "{bad}");
        }
    }

    #[test]
    fn what_cannot_be_read_on_keeps_what_was_read() {
        let row = "Atlas,Books,5\n";
        let open_quote = format!("title,category,price\n{row}\"never closed,{}", row.repeat(40_000));
        let too_large = "the row that begins on line 3 is larger than 256 KiB; is a quote not closed?";
        assert_eq!(read(open_quote), broken(&[(2, "Atlas")], too_large));
        let first = r#"[{"title":"Atlas","category":"Books","price":5},"#;
        assert_eq!(
            read(format!("{first}{{\"title\":")),
            broken(&[(1, "Atlas")], "the file ends inside the JSON array")
        );
        let endless = format!("{first}\n\n{{\"title\":\"{}", "x".repeat(300_000));
        assert_eq!(read(endless), broken(&[(1, "Atlas")], too_large));
        let more = read(r#"[{"title":"Atlas","category":"Books","price":5}] []"#);
        assert_eq!(more, broken(&[(1, "Atlas")], "something stands behind the JSON array"));
        assert_eq!(read(b"\xff\xfet\0i\0"), broken(&[], "the file is written in UTF-16; save it as UTF-8"));
    }
}

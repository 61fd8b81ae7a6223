//! Listings from JSON: the elements of one array, or an object a line; read one at a time.

use std::io::{self, BufRead};

use serde_json::Value;

use super::{
    Row,
    bounded::{ROW_BYTES_MAX, row_too_large},
    fields::{Field, Fields},
};

/// The objects of a file.
pub(super) struct Elements<R> {
    source: R,
    /// The line of the next byte.
    line: u64,
    state: State,
}

/// How far the reading is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Each line is an element.
    Lines,
    /// Before the array's bracket.
    BeforeArray,
    /// Behind it.
    InArray,
    /// Behind the closing bracket.
    BehindArray,
    /// Nothing follows.
    Ended,
}

impl<R: BufRead> Elements<R> {
    /// An object a line.
    pub(super) const fn of_lines(source: R) -> Self {
        Self { source, line: 1, state: State::Lines }
    }

    /// One array.
    pub(super) const fn of_array(source: R) -> Self {
        Self { source, line: 1, state: State::BeforeArray }
    }

    fn next_byte(&mut self) -> io::Result<Option<u8>> {
        let byte = self.source.fill_buf()?.first().copied();
        if byte.is_some() {
            self.source.consume(1);
        }
        if byte == Some(b'\n') {
            self.line += 1;
        }
        Ok(byte)
    }

    /// The bytes of the next element with the line it begins on, blank when there is nothing in its place.
    fn element(&mut self) -> io::Result<(u64, Vec<u8>)> {
        let (mut began, mut text, mut nesting) = (self.line, vec![], Nesting::default());
        loop {
            let line = self.line;
            let byte = self.next_byte()?;
            let Some(byte) = byte.filter(|byte| !self.ends(*byte, nesting)) else {
                match (byte, self.state) {
                    (None, State::InArray) => return Err(io::Error::other("the file ends inside the JSON array")),
                    (None, _) => self.state = State::Ended,
                    (Some(b']'), State::InArray) => self.state = State::BehindArray,
                    _ => {}
                }
                return Ok((began, text));
            };
            if text.is_empty() && byte.is_ascii_whitespace() {
                continue;
            }
            if text.is_empty() {
                began = line;
            }
            if text.len() == ROW_BYTES_MAX {
                return Err(row_too_large(began));
            }
            nesting.follow(byte);
            text.push(byte);
        }
    }

    /// This byte stands behind the element.
    const fn ends(&self, byte: u8, nesting: Nesting) -> bool {
        match self.state {
            State::Lines => byte == b'\n',
            _ => nesting.is_outside() && matches!(byte, b',' | b']'),
        }
    }

    fn next_row(&mut self) -> io::Result<Option<Row>> {
        if self.state == State::BeforeArray {
            while self.next_byte()?.is_some_and(|byte| byte != b'[') {}
            self.state = State::InArray;
        }
        while matches!(self.state, State::Lines | State::InArray) {
            let (line, text) = self.element()?;
            if !text.is_empty() {
                return Ok(Some(Row { line, listing: fields(&text).and_then(Fields::listing) }));
            }
        }
        while self.state == State::BehindArray {
            match self.next_byte()? {
                None => self.state = State::Ended,
                Some(byte) if byte.is_ascii_whitespace() => {}
                Some(_) => return Err(io::Error::other("something stands behind the JSON array")),
            }
        }
        Ok(None)
    }
}

impl<R: BufRead> Iterator for Elements<R> {
    type Item = io::Result<Row>;

    fn next(&mut self) -> Option<io::Result<Row>> {
        self.next_row().transpose()
    }
}

/// Where in an element a byte stands.
#[derive(Clone, Copy, Default)]
struct Nesting {
    depth: usize,
    in_text: bool,
    escaped: bool,
}

impl Nesting {
    const fn is_outside(self) -> bool {
        self.depth == 0 && !self.in_text
    }

    const fn follow(&mut self, byte: u8) {
        if self.in_text {
            self.in_text = byte != b'"' || self.escaped;
            self.escaped = byte == b'\\' && !self.escaped;
            return;
        }
        match byte {
            b'"' => self.in_text = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
    }
}

fn fields(text: &[u8]) -> Result<Fields, String> {
    let value = serde_json::from_slice(text).map_err(|_| "this is not JSON".to_owned())?;
    let Value::Object(object) = value else { return Err("this is not a JSON object".into()) };
    let mut fields = Fields::default();
    for field in Field::ALL {
        match object.get(field.name()) {
            None | Some(Value::Null) => {}
            Some(Value::String(text)) => fields.set(field, text),
            Some(Value::Number(number)) if matches!(field, Field::Id | Field::Price) => {
                fields.set(field, &number.to_string());
            }
            Some(_) => return Err(format!("{} has the wrong type", field.name())),
        }
    }
    Ok(fields)
}

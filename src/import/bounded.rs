//! A reader that does not let one row fill the memory, such as one whose quote is never closed.

use std::io::{self, BufRead, Read};

/// The largest row, in bytes: the longest texts, each character written as an escape, still fit.
pub(super) const ROW_BYTES_MAX: usize = 256 * 1024;

/// What some programs put in front of UTF-8.
pub(super) const BOM: &[u8] = b"\xef\xbb\xbf";

/// Why a file cannot be read on.
pub(super) fn row_too_large(line: u64) -> io::Error {
    io::Error::other(format!("the row that begins on line {line} is larger than 256 KiB; is a quote not closed?"))
}

/// Gives so many bytes for each row, and then none. Every line ends as `\n`, so that lines can be counted.
pub(super) struct Bounded<R> {
    inner: R,
    left: usize,
    line: u64,
    after_return: bool,
    ended: bool,
}

impl<R> Bounded<R> {
    pub(super) const fn new(inner: R) -> Self {
        Self { inner, left: ROW_BYTES_MAX, line: 1, after_return: false, ended: false }
    }

    /// The next row begins, near this line.
    pub(super) const fn begin_row(&mut self, line: u64) {
        self.left = ROW_BYTES_MAX;
        self.line = line;
    }

    /// Moves what is there into `buffer`: how much was there, and what it has come to.
    fn copy(&mut self, buffer: &mut [u8]) -> io::Result<(usize, usize)>
    where
        R: BufRead,
    {
        let room = buffer.len().min(self.left);
        let (mut taken, mut given) = (0, 0);
        let mut slots = buffer.iter_mut();
        for &byte in self.inner.fill_buf()?.iter().take(room) {
            taken += 1;
            let second_half = byte == b'\n' && self.after_return;
            self.after_return = byte == b'\r';
            if !second_half && let Some(slot) = slots.next() {
                *slot = if byte == b'\r' { b'\n' } else { byte };
                given += 1;
            }
        }
        self.inner.consume(taken);
        self.left -= taken;
        Ok((taken, given))
    }
}

impl<R: BufRead> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Err(row_too_large(self.line));
        }
        loop {
            let (taken, given) = self.copy(buffer)?;
            if given > 0 || self.ended || buffer.is_empty() {
                return Ok(given);
            }
            if taken == 0 {
                // The last line ends like all others.
                self.ended = true;
                return (&b"\n"[..]).read(buffer);
            }
            if self.left == 0 {
                return Err(row_too_large(self.line));
            }
        }
    }
}

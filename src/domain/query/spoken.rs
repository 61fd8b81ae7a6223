//! Amounts in words, from ten: "fifty", "a hundred", "two hundred".

use super::{super::listing::Price, scan::Piece};

const UNITS: &[&str] = &["a", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
const TEENS: &[&str] =
    &["ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"];
const TENS: &[&str] = &["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
const MULTIPLIERS: &[(&str, i64)] = &[("hundred", 100), ("thousand", 1000), ("grand", 1000)];

/// An amount at the beginning of some pieces, and how many of them say it. What is below ten may count things.
pub(super) fn spoken(rest: &[Piece]) -> Option<(Price, usize)> {
    let (units, length) = match rest {
        [tens, Piece::Dash, one, ..] if tens.is_any(TENS) && one.is_any(UNITS) => (number(tens)? + number(one)?, 3),
        [tens, one, ..] if tens.is_any(TENS) && one.is_any(UNITS) && !one.is("a") => (number(tens)? + number(one)?, 2),
        [some, many, ..] if multiplier(many).is_some() => (number(some)? * multiplier(many)?, 2),
        [one, ..] if one.is_any(UNITS) => return None,
        [some, ..] => (multiplier(some).or_else(|| number(some))?, 1),
        [] => return None,
    };
    Some((Price::from_cents(units * 100), length))
}

fn multiplier(piece: &Piece) -> Option<i64> {
    MULTIPLIERS.iter().find(|(word, _)| piece.is(word)).map(|(_, times)| *times)
}

fn number(piece: &Piece) -> Option<i64> {
    let place = |words: &[&str]| i64::try_from(words.iter().position(|word| piece.is(word))?).ok();
    let ten = || place(TENS).map(|tens| (tens + 2) * 10).or_else(|| place(TEENS).map(|teens| teens + 10));
    place(UNITS).map(|units| units.max(1)).or_else(ten)
}

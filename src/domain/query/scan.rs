//! A query cut into pieces: words, amounts and the signs that matter for prices.

use super::super::{
    listing::Price,
    words::{folded, words},
};

/// A piece of a query, in lower case and without accents.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Piece {
    /// A word, or a name that has digits in it.
    Word(String),
    /// Digits that stand alone, with what they amount to.
    Number {
        /// As written.
        text: String,
        /// The amount; none when it is no amount, such as `1.2.3`.
        price: Option<Price>,
    },
    /// `$`, `usd`, `dollars` …
    Currency,
    /// `-` or `–`.
    Dash,
    /// `<` or `<=`.
    Less,
    /// `>` or `>=`.
    More,
    /// `+`.
    Plus,
    /// `~`.
    About,
    /// Anything else: it parts what stands before it from what follows.
    Mark,
}

impl Piece {
    /// True for this very word.
    pub(super) fn is(&self, word: &str) -> bool {
        matches!(self, Self::Word(text) if text == word)
    }

    /// True for one of these words.
    pub(super) fn is_any(&self, words: &[&str]) -> bool {
        matches!(self, Self::Word(text) if words.contains(&text.as_str()))
    }

    /// What it adds to the keywords.
    pub(super) fn words(&self) -> Vec<String> {
        match self {
            Self::Word(text) | Self::Number { text, .. } => words(text),
            _ => vec![],
        }
    }
}

/// Words that name a currency behind a number. "Pounds" are weighed more often than paid.
const CURRENCIES: &[&str] = &[
    "aud", "bucks", "buck", "cad", "chf", "dollar", "dollars", "eur", "euro", "euros", "gbp", "inr", "quid", "rupees",
    "usd",
];

/// Cuts a query.
pub(super) fn scan(query: &str) -> Vec<Piece> {
    let folded = folded(query);
    let mut pieces = vec![];
    let mut rest = folded.as_str();
    while let Some(first) = rest.chars().next() {
        let length = if first.is_ascii_digit() {
            number(rest, &mut pieces)
        } else if first.is_alphanumeric() {
            let length = rest.find(|c: char| !c.is_alphanumeric()).unwrap_or(rest.len());
            pieces.push(word(rest.get(..length).unwrap_or_default()));
            length
        } else {
            pieces.extend(sign(first, pieces.last()));
            first.len_utf8()
        };
        rest = rest.get(length..).unwrap_or_default();
    }
    pieces
}

fn word(text: &str) -> Piece {
    if CURRENCIES.contains(&text) { Piece::Currency } else { Piece::Word(text.to_owned()) }
}

/// What a sign means. The `=` of `<=` adds nothing.
fn sign(sign: char, before: Option<&Piece>) -> Option<Piece> {
    match sign {
        '$' | '€' | '£' | '¥' | '₹' => Some(Piece::Currency),
        '-' | '–' | '—' => Some(Piece::Dash),
        '<' => Some(Piece::Less),
        '>' => Some(Piece::More),
        '+' => Some(Piece::Plus),
        '~' | '≈' => Some(Piece::About),
        '=' if matches!(before, Some(Piece::Less | Piece::More)) => None,
        _ if sign.is_whitespace() => None,
        _ => Some(Piece::Mark),
    }
}

/// Reads digits and what sticks to them; returns how long that was.
fn number(rest: &str, pieces: &mut Vec<Piece>) -> usize {
    let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ',').unwrap_or(rest.len());
    let digits = rest.get(..digits).unwrap_or_default().trim_end_matches(['.', ',']);
    let behind = rest.get(digits.len()..).unwrap_or_default();
    let letters = behind.find(|c: char| !c.is_alphanumeric()).unwrap_or(behind.len());
    let letters = behind.get(..letters).unwrap_or_default();
    let length = digits.len() + letters.len();
    let mut push = |thousands: bool| {
        let text = rest.get(..if thousands { length } else { digits.len() }).unwrap_or_default().to_owned();
        pieces.push(Piece::Number { text, price: amount(digits, thousands) });
    };
    match letters {
        "" => push(false),
        "k" => push(true),
        _ if CURRENCIES.contains(&letters) => {
            push(false);
            pieces.push(Piece::Currency);
        }
        _ => pieces.push(Piece::Word(rest.get(..length).unwrap_or_default().to_owned())),
    }
    length
}

/// Reads `500`, `1,200`, `1.200`, `24.99`, `24,5`: groups of three digits are thousands, a shorter last group hundredths.
fn amount(digits: &str, thousands: bool) -> Option<Price> {
    let mut groups: Vec<&str> = digits.split(['.', ',']).collect();
    let last_is_fraction = groups.len() > 1 && groups.last().is_some_and(|last| last.len() != 3);
    let fraction = if last_is_fraction { groups.pop()? } else { "0" };
    let is_grouped = groups.iter().skip(1).all(|group| group.len() == 3);
    if !is_grouped || fraction.len() > 2 || groups.iter().any(|group| group.is_empty()) {
        return None;
    }
    let number: f64 = format!("{}.{fraction}", groups.concat()).parse().ok()?;
    Price::parse(if thousands { number * 1000.0 } else { number }).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_in_every_spelling() {
        for (text, cents) in [
            ("500", Some(50_000)),
            ("1,200", Some(120_000)),
            ("1.200", Some(120_000)),
            ("1,200.50", Some(120_050)),
            ("24.99", Some(2499)),
            ("24,5", Some(2450)),
            ("1.2.3", None),
            ("1,2000", None),
            ("99999999999", None),
        ] {
            assert_eq!(amount(text, false).map(Price::cents), cents, "{text}");
        }
        assert_eq!(amount("1.5", true).map(Price::cents), Some(150_000));
    }

    #[test]
    fn what_sticks_to_digits_decides_what_they_are() {
        let number = |text: &str| Piece::Number { text: text.to_owned(), price: amount(text, false) };
        assert_eq!(
            scan("16GB ≤ 20usd."),
            [Piece::Word("16gb".to_owned()), Piece::Mark, number("20"), Piece::Currency, Piece::Mark]
        );
        assert_eq!(scan("<= 5, cmpe202"), [Piece::Less, number("5"), Piece::Mark, Piece::Word("cmpe202".to_owned())]);
    }
}

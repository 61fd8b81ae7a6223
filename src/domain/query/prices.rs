//! Finds the prices in a query.

use super::{super::listing::Price, says_something, scan::Piece, spoken::spoken};

/// What a query says about prices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Bounds {
    pub(super) min: Option<Price>,
    pub(super) max: Option<Price>,
}

/// Phrases before an amount that make it the highest; longer ones first.
const MOST: &[&[&str]] = &[
    &["no", "more", "than"],
    &["not", "more", "than"],
    &["no", "higher", "than"],
    &["less", "than"],
    &["cheaper", "than"],
    &["lower", "than"],
    &["up", "to"],
    &["at", "most"],
    &["not", "over"],
    &["not", "above"],
    &["under"],
    &["below"],
    &["beneath"],
    &["max"],
    &["maximum"],
    &["within"],
    &["budget"],
];

/// Phrases before an amount that make it the lowest; longer ones first.
const LEAST: &[&[&str]] = &[
    &["no", "less", "than"],
    &["not", "less", "than"],
    &["more", "expensive", "than"],
    &["more", "than"],
    &["higher", "than"],
    &["at", "least"],
    &["starting", "at"],
    &["starting", "from"],
    &["not", "under"],
    &["not", "below"],
    &["over"],
    &["above"],
    &["min"],
    &["minimum"],
];

/// What may stand between such a phrase and its amount.
const BETWEEN: &[&str] = &["of", "is", "price", "a", "about", "around"];

/// Phrases before an amount with a currency that make it about right.
const ABOUT: &[&str] = &["about", "around", "approximately", "approx", "circa", "roughly"];

/// A number with one of these behind it is no price.
const UNITS: &[&str] = &[
    "amp",
    "amps",
    "cc",
    "cm",
    "days",
    "degrees",
    "edition",
    "feet",
    "foot",
    "ft",
    "gallon",
    "gallons",
    "gb",
    "gears",
    "hours",
    "hz",
    "in",
    "inch",
    "inches",
    "kg",
    "km",
    "lb",
    "lbs",
    "liter",
    "liters",
    "litres",
    "m",
    "mah",
    "mb",
    "mbps",
    "meter",
    "meters",
    "mhz",
    "miles",
    "mile",
    "min",
    "minutes",
    "mm",
    "months",
    "mp",
    "oz",
    "pages",
    "people",
    "percent",
    "persons",
    "piece",
    "pieces",
    "pound",
    "pounds",
    "quart",
    "seater",
    "semester",
    "semesters",
    "speed",
    "stars",
    "tb",
    "v",
    "volt",
    "volts",
    "w",
    "watt",
    "watts",
    "weeks",
    "year",
    "years",
];

/// Things that are free beside what is looked for: "free shipping".
const FREE_EXTRAS: &[&str] = &["delivery", "shipping", "trial", "agent", "time", "weights"];

/// The prices in a query, and which pieces speak of them.
pub(super) fn bounds(pieces: &[Piece]) -> (Bounds, Vec<bool>) {
    let mut found = Bounds::default();
    let mut used = vec![false; pieces.len()];
    let mut at = 0;
    let mut is_start = true;
    while let Some(rest) = pieces.get(at..).filter(|rest| !rest.is_empty()) {
        let Some((bounds, length)) = phrase(rest, is_start) else {
            is_start &= !pieces.get(at).is_some_and(|piece| piece.words().iter().any(|word| says_something(word)));
            at += 1;
            continue;
        };
        // What is said last counts.
        found = Bounds { min: bounds.min.or(found.min), max: bounds.max.or(found.max) };
        used.iter_mut().skip(at).take(length).for_each(|piece| *piece = true);
        at += length;
    }
    if let (Some(min), Some(max)) = (found.min, found.max)
        && min > max
    {
        found = Bounds { min: Some(max), max: Some(min) };
    }
    (found, used)
}

/// A phrase about prices at the beginning of `rest`, and how many pieces it has.
fn phrase(rest: &[Piece], is_start: bool) -> Option<(Bounds, usize)> {
    range(rest)
        .or_else(|| limit(rest, LEAST, &Piece::More, least))
        .or_else(|| limit(rest, MOST, &Piece::Less, most))
        .or_else(|| limited_behind(rest))
        .or_else(|| about(rest))
        .or_else(|| free(rest, is_start))
        .or_else(|| amount(rest).filter(|amount| amount.paid).map(|amount| (most(amount.price), amount.length)))
}

const fn most(price: Price) -> Bounds {
    Bounds { min: None, max: Some(price) }
}

const fn least(price: Price) -> Bounds {
    Bounds { min: Some(price), max: None }
}

/// An amount at the beginning of some pieces.
struct Amount {
    price: Price,
    /// With a currency, or in thousands.
    paid: bool,
    length: usize,
}

fn amount(rest: &[Piece]) -> Option<Amount> {
    let (before, rest) = match rest {
        [Piece::Currency, rest @ ..] => (true, rest),
        [Piece::Word(code), rest @ ..] if code == "us" && matches!(rest, [Piece::Currency, ..]) => {
            (true, rest.get(1..)?)
        }
        _ => (false, rest),
    };
    let (price, digits) = match rest {
        [Piece::Number { price: Some(price), .. }, ..] => (*price, 1),
        _ => spoken(rest)?,
    };
    let behind = rest.get(digits..)?;
    let after = matches!(behind, [Piece::Currency, ..]) && !matches!(behind, [_, Piece::Number { .. }, ..]);
    if !before && !after && is_measured(behind) {
        return None;
    }
    let length = usize::from(before) + digits + usize::from(after);
    Some(Amount { price, paid: before || after, length })
}

/// True when a unit stands behind a number, also with a hyphen between the two.
fn is_measured(behind: &[Piece]) -> bool {
    match behind {
        [Piece::Dash, unit, ..] | [unit, ..] => unit.is_any(UNITS),
        [] => false,
    }
}

/// `between 20 and 40`, `from 20 to 40`, `$20-40`, `20 to 40 dollars`.
fn range(rest: &[Piece]) -> Option<(Bounds, usize)> {
    let opened = rest.first().is_some_and(|piece| piece.is_any(&["between", "from"]));
    let from = usize::from(opened);
    let low = amount(rest.get(from..)?)?;
    let joint = from + low.length;
    let is_joint = |piece: &Piece| *piece == Piece::Dash || piece.is_any(&["and", "to", "till", "until"]);
    rest.get(joint).filter(|piece| is_joint(piece))?;
    let high = amount(rest.get(joint + 1..)?)?;
    let is_and = rest.get(joint).is_some_and(|piece| piece.is("and"));
    if !(opened || (low.paid || high.paid) && !is_and) {
        return None;
    }
    let (min, max) = if low.price <= high.price { (low.price, high.price) } else { (high.price, low.price) };
    Some((Bounds { min: Some(min), max: Some(max) }, joint + 1 + high.length))
}

/// A phrase such as "under", or a sign, and the amount behind it.
fn limit(rest: &[Piece], phrases: &[&[&str]], sign: &Piece, make: fn(Price) -> Bounds) -> Option<(Bounds, usize)> {
    let spoken = phrases.iter().find(|phrase| begins_with(rest, phrase)).map(|phrase| phrase.len());
    let mut length = spoken.or_else(|| rest.first().filter(|first| *first == sign).map(|_| 1))?;
    let between = |piece: &&Piece| piece.is_any(BETWEEN) || **piece == Piece::Mark;
    length += rest.iter().skip(length).take(3).take_while(between).count();
    let amount = amount(rest.get(length..)?)?;
    Some((make(amount.price), length + amount.length))
}

fn begins_with(rest: &[Piece], phrase: &[&str]) -> bool {
    rest.len() >= phrase.len() && rest.iter().zip(phrase).all(|(piece, word)| piece.is(word))
}

/// `$50 or less`, `50 and up`, `$50 max`, `$50+`.
fn limited_behind(rest: &[Piece]) -> Option<(Bounds, usize)> {
    let amount = amount(rest)?;
    let behind = rest.get(amount.length..)?;
    let (bounds, length) = match behind {
        [or, word, ..] if or.is_any(&["or", "and"]) && word.is_any(&["less", "under", "below", "cheaper", "lower"]) => {
            (most(amount.price), 2)
        }
        [or, word, ..] if or.is_any(&["or", "and"]) && word.is_any(&["more", "up", "above", "over", "higher"]) => {
            (least(amount.price), 2)
        }
        [word, ..] if amount.paid && word.is_any(&["max", "maximum", "tops"]) => (most(amount.price), 1),
        [word, ..] if amount.paid && (word.is_any(&["min", "minimum"]) || *word == Piece::Plus) => {
            (least(amount.price), 1)
        }
        _ => return None,
    };
    Some((bounds, amount.length + length))
}

/// `around $50`, which a fifth more or less still is.
fn about(rest: &[Piece]) -> Option<(Bounds, usize)> {
    let first = rest.first()?;
    if !(first.is_any(ABOUT) || *first == Piece::About) {
        return None;
    }
    let amount = amount(rest.get(1..)?).filter(|amount| amount.paid)?;
    let part = |tenths: i64| Price::from_cents(amount.price.cents() / 10 * tenths);
    Some((Bounds { min: Some(part(8)), max: Some(part(12)) }, 1 + amount.length))
}

/// `free couch`, `for free`, but not `couch with free delivery`.
fn free(rest: &[Piece], is_start: bool) -> Option<(Bounds, usize)> {
    let length = match rest {
        [word, extra, ..] if word.is("free") && (extra.is_any(FREE_EXTRAS) || *extra == Piece::Dash) => return None,
        [word, ..] if is_start && word.is("free") => 1,
        [before, word, ..] if before.is("for") && word.is("free") => 2,
        _ => return None,
    };
    Some((most(Price::from_cents(0)), length))
}

//! Queries that only make sense after another one.

use super::{
    super::{
        listing::{Listing, Price},
        search::Filters,
        words::stem,
    },
    KEYWORDS_MAX, Read,
};

const CHEAPER: &[&str] = &["cheaper", "cheapest", "lower"];
const DEARER: &[&str] = &["pricier", "dearer", "costlier", "fancier"];
const NEWER: &[&str] = &["newer", "newest", "latest", "recent"];

/// Words that speak of what was found before.
const POINTERS: &[&str] = &["ones", "one", "those", "these", "them", "that", "it", "same", "instead", "also", "others"];

/// Words that a follow-up begins with.
const OPENINGS: &[&str] = &["only", "just", "but", "and", "or", "in", "with", "same"];

/// One colour takes the place of another; other words come on top.
const COLOURS: &[&str] = &[
    "beige", "black", "blue", "brown", "gold", "gray", "green", "grey", "navy", "orange", "pink", "purple", "red",
    "silver", "white", "yellow",
];

/// What a query means after another one; none when it stands on its own.
///
/// * "cheaper", "less expensive": below the price of the best previous result; without results, below the previous
///   limit. "More expensive", "pricier": above it. What else was asked for stays, unless the query names other things.
/// * "newer", "latest": as before, and "new" is a keyword.
/// * "only in Electronics", "in Furniture", "under 50 instead", "over 20", "any price": that filter is put in place of
///   the one before.
/// * "red ones", "with a lid", "only wooden", "the same in blue": the words are added, a colour in place of a colour.
/// * "what about desks", "lamps instead": the thing is another, the prices stay.
/// * "more", "others", "those": as before.
#[must_use]
pub fn refine(previous: &Filters, previous_results: &[Listing], query: &str, categories: &[String]) -> Option<Filters> {
    let read = Read::of(query, categories);
    let said = &read.filters;
    let new: Vec<String> = said.keywords.iter().filter(|word| !is_sign(word)).cloned().collect();
    let adds_nothing = new.iter().all(|word| is_among(word, &previous.keywords));
    if let Some(direction) = direction(&read)
        && adds_nothing
        && said.max_price.is_none()
        && said.min_price.is_none()
    {
        let category = said.category.clone().or_else(|| previous.category.clone());
        return Some(direction.applied(&Filters { category, ..previous.clone() }, previous_results));
    }
    let opens = OPENINGS.iter().any(|word| read.pieces.first().is_some_and(|piece| piece.is(word)));
    let points = POINTERS.iter().any(|word| read.has(word));
    let replaces = read.has("instead") || asks_about(&read);
    let drops_price = read.has("price") && (read.has("any") || read.has("regardless"));
    let names_limits = said.min_price.is_some() || said.max_price.is_some() || drops_price;
    if new.is_empty() {
        let is_bare_category = said.category.is_some() && !opens && !points && !replaces && !names_limits;
        let goes_on = ["more", "else", "others"].iter().any(|word| read.has(word));
        let is_empty = said.category.is_none() && !names_limits;
        let follows = if is_empty { goes_on || points } else { !is_bare_category };
        let stands_alone = said.category.is_some() && names_limits && !opens && !points && !replaces;
        return (follows && !stands_alone)
            .then(|| with_limits(previous, said, names_limits, previous.keywords.clone()));
    }
    if !(points || replaces || (opens && said.category.is_none())) {
        return None;
    }
    if replaces && !has_pointer_to_same_thing(&read) {
        let category = said.category.clone();
        return Some(Filters { category, ..with_limits(previous, said, names_limits, new) });
    }
    let keywords = added(&previous.keywords, new);
    Some(with_limits(previous, said, names_limits, keywords))
}

/// Which way the prices are to go.
#[derive(Clone, Copy)]
enum Direction {
    Cheaper,
    Dearer,
    Newer,
}

impl Direction {
    fn applied(self, previous: &Filters, results: &[Listing]) -> Filters {
        let best = results.first().map(|best| best.price.cents());
        let mut refined = previous.clone();
        match self {
            Self::Cheaper => {
                let limit = best.or(previous.max_price.map(Price::cents));
                refined.max_price = limit.map(|cents| Price::from_cents((cents - 1).max(0))).or(previous.max_price);
                refined.min_price = previous.min_price.filter(|min| refined.max_price.is_none_or(|max| *min < max));
            }
            Self::Dearer => {
                let limit = best.or(previous.min_price.map(Price::cents));
                refined.min_price = limit.map(|cents| Price::from_cents(cents + 1)).or(previous.min_price);
                refined.max_price = previous.max_price.filter(|max| refined.min_price.is_none_or(|min| *max > min));
            }
            Self::Newer => refined.keywords = added(&previous.keywords, vec!["new".to_owned()]),
        }
        refined
    }
}

fn direction(read: &Read) -> Option<Direction> {
    let has = |words: &[&str]| words.iter().any(|word| read.has(word));
    let dear = read.has("expensive") || read.has("pricey") || read.has("costly");
    if has(CHEAPER) || (dear && read.has("less")) {
        Some(Direction::Cheaper)
    } else if has(DEARER) || (dear && read.has("more")) {
        Some(Direction::Dearer)
    } else if has(NEWER) {
        Some(Direction::Newer)
    } else {
        None
    }
}

/// True for a word that says how to go on, and not what to look for.
fn is_sign(word: &str) -> bool {
    [CHEAPER, DEARER, NEWER, POINTERS, &["any", "else", "how", "regardless", "pricey", "costly"]]
        .iter()
        .any(|words| words.contains(&word))
}

/// "what about …", "how about …".
fn asks_about(read: &Read) -> bool {
    matches!(read.pieces.as_slice(), [what, about, ..] if what.is_any(&["what", "how"]) && about.is("about"))
}

/// "what about red ones": still the same thing.
fn has_pointer_to_same_thing(read: &Read) -> bool {
    ["one", "ones", "same"].iter().any(|word| read.has(word))
}

fn is_among(word: &str, keywords: &[String]) -> bool {
    keywords.iter().any(|keyword| stem(keyword) == stem(word))
}

/// The previous keywords and new ones; a new colour takes the place of the old one.
fn added(previous: &[String], new: Vec<String>) -> Vec<String> {
    let is_colour = |word: &String| COLOURS.contains(&word.as_str());
    let recolours = new.iter().any(is_colour);
    let mut keywords: Vec<String> = previous.iter().filter(|word| !(recolours && is_colour(word))).cloned().collect();
    let missing: Vec<String> = new.into_iter().filter(|word| !is_among(word, &keywords)).collect();
    keywords.extend(missing);
    keywords.truncate(KEYWORDS_MAX);
    keywords
}

/// The previous filters with what was said in their place.
fn with_limits(previous: &Filters, said: &Filters, names_limits: bool, keywords: Vec<String>) -> Filters {
    let (min_price, max_price) =
        if names_limits { (said.min_price, said.max_price) } else { (previous.min_price, previous.max_price) };
    let category = said.category.clone().or_else(|| previous.category.clone());
    Filters { category, keywords, min_price, max_price }
}

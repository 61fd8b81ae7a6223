//! Queries that only make sense after another one.

use super::{
    super::{
        listing::{Listing, Price},
        search::{Filters, First},
        words::stem,
    },
    KEYWORDS_MAX, Read, says_something,
    scan::Piece,
};

const CHEAPER: &[&str] = &["cheaper", "lower"];
const DEARER: &[&str] = &["pricier", "dearer", "costlier", "fancier"];
const NEWER: &[&str] = &["newer", "recent"];

/// Words that speak of what was found before, when the query names nothing itself.
const POINTERS: &[&str] = &["ones", "one", "those", "these", "them", "that", "it", "same", "instead", "also", "others"];

/// Words that a follow-up begins with,
const OPENINGS: &[&str] = &["only", "just", "but", "in", "with", "same"];

/// and those that begin one that names nothing but limits.
const JOINTS: &[&str] = &["and", "or"];

/// Who says this has something else in mind: "just looking for a desk".
const SEEKING: &[&str] = &["buy", "find", "looking", "need", "search", "searching", "show", "want"];

/// One colour takes the place of another; other words come on top.
const COLOURS: &[&str] = &[
    "beige", "black", "blue", "brown", "gold", "gray", "green", "grey", "navy", "orange", "pink", "purple", "red",
    "silver", "white", "yellow",
];

/// What a query means after another one; none when it stands on its own.
///
/// * "cheaper", "less expensive": below the price of the best previous result; without results, below the previous
///   limit. "More expensive", "pricier": above it. What else was asked for stays, unless the query names other things.
/// * "cheapest", "newer", "latest": as before, in that order. "Not Apple", "without a case": as before, less those.
/// * "only in Electronics", "in Furniture", "under 50 instead", "over 20", "any price": that filter is put in place of
///   the one before.
/// * "red ones", "with a lid", "only wooden", "the same in blue": the words are added, a colour in place of a colour.
/// * "what about desks", "lamps instead": the thing is another, the prices stay.
/// * "more", "others", "those": as before.
#[must_use]
pub fn refine(previous: &Filters, previous_results: &[Listing], query: &str, categories: &[String]) -> Option<Filters> {
    let read = Read::of(query, categories);
    let said = &read.filters;
    let drops_price = read.has("price") && (read.has("any") || read.has("regardless"));
    let names_limits = said.min_price.is_some() || said.max_price.is_some() || drops_price;
    let direction = direction(&read).filter(|_| !names_limits);
    let is_newer = NEWER.iter().any(|word| read.has(word));
    let first = said.first.or(is_newer.then_some(First::Newest));
    let narrows = direction.is_some() || first.is_some();
    let names_nothing_new = said.keywords.iter().all(|word| is_among(word, &previous.keywords));
    // "what about textbooks" is about other things, "what about in Textbooks" is not.
    let names_kind = said.keywords.is_empty() && said.category.is_some() && !read.has("in");
    let is_other = (!names_nothing_new || names_kind) && read.names_another_thing();
    let follows = if said.keywords.is_empty() {
        let narrows = narrows && (said.category.is_none() || direction.is_some());
        narrows || read.follows_without_words(names_limits)
    } else {
        is_other || read.adds() || (narrows && names_nothing_new)
    };
    if !follows {
        return None;
    }
    let mut refined = if is_other {
        said.clone()
    } else {
        let without = added(&previous.without, &said.without);
        let mut keywords = added(&previous.keywords, &said.keywords);
        keywords.retain(|word| !is_among(word, &without));
        let category = said.category.clone().or_else(|| previous.category.clone());
        Filters { category, keywords, without, first: first.or(previous.first), ..Filters::default() }
    };
    let limits = if names_limits { said } else { previous };
    (refined.min_price, refined.max_price) = (limits.min_price, limits.max_price);
    Some(match direction {
        Some(direction) => direction.applied(refined, previous_results),
        None => refined,
    })
}

impl Read {
    /// "under 50", "only in Electronics", "more": no words of its own.
    fn follows_without_words(&self, names_limits: bool) -> bool {
        let begins = |words: &[&str]| self.pieces.first().is_some_and(|piece| piece.is_any(words));
        let points = POINTERS.iter().any(|word| self.has(word));
        let goes_on = ["more", "else"].iter().any(|word| self.has(word));
        match (&self.filters.category, names_limits) {
            (None, true) => true,
            (None, false) => goes_on || points || !self.filters.without.is_empty(),
            (Some(_), _) => points || self.asks_about() || begins(OPENINGS) || begins(JOINTS),
        }
    }

    /// "what about desks", "desks instead", but not "what about red ones".
    fn names_another_thing(&self) -> bool {
        (self.has("instead") || self.asks_about()) && !self.means_the_same_thing()
    }

    /// "red ones", "only wooden", "with a lid".
    fn adds(&self) -> bool {
        let opens = self.pieces.first().is_some_and(|piece| piece.is_any(OPENINGS));
        let seeks = SEEKING.iter().any(|word| self.has(word));
        self.means_the_same_thing() || (opens && !seeks && self.filters.category.is_none())
    }

    /// "what about …", "how about …".
    fn asks_about(&self) -> bool {
        matches!(self.pieces.as_slice(), [what, about, ..] if what.is_any(&["what", "how"]) && about.is("about"))
    }

    /// "red ones", "the same in blue", but not "one bedroom".
    fn means_the_same_thing(&self) -> bool {
        let following = self.pieces.iter().skip(1).map(Some).chain([None]);
        let mut pairs = self.pieces.iter().zip(following);
        let speaks = |piece: &Piece| piece.words().iter().any(|word| says_something(word));
        self.has("same") || pairs.any(|(piece, next)| piece.is_any(&["one", "ones"]) && !next.is_some_and(speaks))
    }
}

/// Which way the prices are to go.
#[derive(Clone, Copy)]
enum Direction {
    Cheaper,
    Dearer,
}

impl Direction {
    fn applied(self, mut filters: Filters, results: &[Listing]) -> Filters {
        let best = results.first().map(|best| best.price);
        match self {
            Self::Cheaper => {
                let limit = best.or(filters.max_price).map(|price| Price::from_cents((price.cents() - 1).max(0)));
                filters.max_price = limit;
                filters.min_price = filters.min_price.filter(|min| limit.is_none_or(|max| *min < max));
            }
            Self::Dearer => {
                let limit = best.or(filters.min_price).map(|price| Price::from_cents(price.cents() + 1));
                filters.min_price = limit;
                filters.max_price = filters.max_price.filter(|max| limit.is_none_or(|min| *max > min));
            }
        }
        filters
    }
}

fn direction(read: &Read) -> Option<Direction> {
    let has = |words: &[&str]| words.iter().any(|word| read.has(word));
    let dear = read.has("expensive") || read.has("pricey") || read.has("costly");
    if read.filters.first.is_some() {
        return None;
    }
    if has(CHEAPER) || (dear && read.has("less")) {
        Some(Direction::Cheaper)
    } else if has(DEARER) || (dear && read.has("more")) {
        Some(Direction::Dearer)
    } else {
        None
    }
}

fn is_among(word: &str, keywords: &[String]) -> bool {
    keywords.iter().any(|keyword| stem(keyword) == stem(word))
}

/// The previous keywords and new ones; a new colour takes the place of the old one.
fn added(previous: &[String], new: &[String]) -> Vec<String> {
    let is_colour = |word: &String| COLOURS.contains(&word.as_str());
    let recolours = new.iter().any(is_colour);
    let mut keywords: Vec<String> = previous.iter().filter(|word| !(recolours && is_colour(word))).cloned().collect();
    let missing: Vec<String> = new.iter().filter(|word| !is_among(word, &keywords)).cloned().collect();
    keywords.extend(missing);
    keywords.truncate(KEYWORDS_MAX);
    keywords
}

//! What somebody means by a query in plain English, by rules alone; the same rules check what an AI has understood.
//!
//! **Prices** ([`understand`])
//! * "under 500", "below", "less than", "up to", "at most", "max", "budget", `<` make an amount the highest price; "over
//!   100", "above", "more than", "at least", "min", `>` the lowest; so do "$50 or less", "$50 and up", "$50 max", "$50+".
//! * "between 20 and 40", "from 20 to 40", "$20-40", "20 to 40 dollars" are both. What is said last counts; when the
//!   lowest is above the highest they are swapped.
//! * "around $50" is 40 to 60. An amount with a currency and nothing else ("desk $50") is the highest price. "Free"
//!   before anything else and "for free" mean a price of 0. "Cheap" is no number, but "fifty" and "a hundred" are.
//! * A number without a currency is a price only behind such a phrase, and never with a unit: "iphone 13", "cmpe 202",
//!   "under 27 inch", "20-40" are no prices. "1,200", "1.200", "1.5k" and "24.99" are read as people write them.
//!
//! **Categories** are named by their words in any form ("textbook", "textbooks"), by one of their longer words alone
//! ("kitchen" for "Home & Kitchen"), or with a slip from six letters on. The word must end what is said: "bike" in
//! "bike helmet" says more about the helmet than about the category.
//!
//! **Order**: "cheapest", "least expensive", "lowest price" and "low to high" put the cheapest first, "most expensive" and
//! the like the dearest, "newest" and "latest" what was offered last.
//!
//! **Negations**: the word behind "not", "without", "except", "anything but", and behind a "no" that is not the first
//! word, is what a title must not say: "laptop not macbook".
//!
//! **Keywords** are the other words, in order, without those that say nothing.
//!
//! **What an AI says** ([`correct`]): prices are those of the rules above, whatever the AI says. A category must exist,
//! and one that the query names wins. Keywords must have to do with the query; names with digits are never left out.
//!
//! **Follow-ups** ([`refine`]): see there.

mod categories;
mod follow_up;
mod negations;
mod order;
mod prices;
mod scan;
mod spoken;

use super::{
    search::Filters,
    words::{Word, is_stop_word, slips, stem, words},
};
use categories::Candidate;
use prices::Bounds;
use scan::Piece;

pub use follow_up::refine;

/// More keywords than this are not kept.
const KEYWORDS_MAX: usize = 16;

/// Words that people use when they look for anything at all.
const FILLERS: &[&str] = &[
    "above",
    "affordable",
    "all",
    "also",
    "anybody",
    "anyone",
    "anything",
    "around",
    "available",
    "away",
    "below",
    "beneath",
    "best",
    "between",
    "budget",
    "bundle",
    "buy",
    "buying",
    "category",
    "cheap",
    "cheaper",
    "cheapest",
    "cost",
    "costlier",
    "costly",
    "costs",
    "deal",
    "deals",
    "dearer",
    "else",
    "everything",
    "expensive",
    "fancier",
    "find",
    "give",
    "good",
    "great",
    "help",
    "inexpensive",
    "instead",
    "interested",
    "item",
    "items",
    "kind",
    "latest",
    "least",
    "less",
    "like",
    "list",
    "listing",
    "listings",
    "looking",
    "lot",
    "low",
    "lower",
    "max",
    "maximum",
    "min",
    "minimum",
    "more",
    "most",
    "near",
    "need",
    "newer",
    "newest",
    "nice",
    "offer",
    "offers",
    "one",
    "ones",
    "only",
    "other",
    "others",
    "over",
    "pair",
    "pairs",
    "price",
    "priced",
    "prices",
    "pricey",
    "pricier",
    "product",
    "products",
    "purchase",
    "recent",
    "regardless",
    "sale",
    "same",
    "search",
    "searching",
    "secondhand",
    "see",
    "sell",
    "selling",
    "set",
    "sets",
    "show",
    "some",
    "somebody",
    "someone",
    "something",
    "sort",
    "stuff",
    "tell",
    "than",
    "thing",
    "things",
    "till",
    "under",
    "until",
    "up",
    "used",
    "want",
    "wanted",
    "within",
];

/// What a query says by the rules above.
#[must_use]
pub fn understand(query: &str, categories: &[String]) -> Filters {
    Read::of(query, categories).filters
}

/// What an AI has understood of a query, checked by the rules above.
#[must_use]
pub fn correct(ai: Filters, query: &str, categories: &[String]) -> Filters {
    let ours = understand(query, categories);
    let is_wanted =
        |name: &String| !words(name).iter().any(|part| ours.without.iter().any(|no| stem(no) == stem(part)));
    let category = ours.category.clone().or_else(|| ai.category.and_then(|name| categories::known(&name, categories)));
    let category = category.filter(is_wanted);
    let asked: Vec<Word> = words(query).into_iter().map(Word::new).collect();
    let is_category = |word: &Word| {
        category.as_ref().is_some_and(|name| words(name).into_iter().any(|part| Word::new(part).stem == word.stem))
    };
    let suggested = ai.keywords.iter().flat_map(|keyword| words(keyword)).map(Word::new);
    let mut keywords: Vec<String> = vec![];
    for word in suggested {
        let is_fitting = says_something(&word.text) && !is_category(&word) && is_asked_for(&word, &asked);
        // A number is a price or a part of a name, and that was decided already.
        let is_number = word.text.chars().all(char::is_numeric);
        if is_fitting && !is_number && !keywords.contains(&word.text) && keywords.len() < KEYWORDS_MAX {
            keywords.push(word.text);
        }
    }
    if keywords.is_empty() {
        keywords.clone_from(&ours.keywords);
    } else {
        let missing: Vec<String> = names_with_digits(&ours.keywords).filter(|word| !keywords.contains(word)).collect();
        keywords.extend(missing);
    }
    keywords.retain(|word| !ours.without.contains(word));
    Filters { category, keywords, ..ours }
}

/// The words with digits, and those before a number: `cmpe202`, `cmpe 202`.
fn names_with_digits(keywords: &[String]) -> impl Iterator<Item = String> + '_ {
    let following = keywords.iter().skip(1).map(Some).chain([None]);
    let is_number = |word: &String| word.chars().all(char::is_numeric);
    let named = keywords
        .iter()
        .zip(following)
        .filter(move |(word, next)| word.chars().any(char::is_numeric) || next.is_some_and(is_number));
    named.map(|(word, _)| word.clone())
}

fn says_something(word: &str) -> bool {
    !is_stop_word(word) && FILLERS.binary_search(&word).is_err()
}

/// True when a word stands in the query: as it is, in another form, misspelt, shortened, or written as two.
fn is_asked_for(word: &Word, asked: &[Word]) -> bool {
    let is_one = |other: &Word| {
        let is_shortened = other.text.chars().count() >= 3 && word.text.starts_with(&other.text);
        other.stem == word.stem || slips(&other.text, &word.text).is_some() || is_shortened
    };
    let is_two = |pair: &[Word]| {
        matches!(pair, [one, two] if one.text.len() + two.text.len() == word.text.len()
        && word.text.starts_with(&one.text) && word.text.ends_with(&two.text))
    };
    asked.iter().any(is_one) || asked.windows(2).any(is_two)
}

/// A query, read.
struct Read {
    filters: Filters,
    pieces: Vec<Piece>,
}

impl Read {
    fn of(query: &str, categories: &[String]) -> Self {
        let pieces = scan::scan(query);
        let (Bounds { min, max }, mut used) = prices::bounds(&pieces);
        let first = order::first(&pieces, &mut used);
        let without = negations::without(&pieces, &mut used);
        let candidates = candidates(&pieces, &used);
        let named = categories::named(&candidates, categories);
        for piece in named.iter().flat_map(|named| &named.pieces) {
            if let Some(used) = used.get_mut(*piece) {
                *used = true;
            }
        }
        let left = pieces.iter().zip(&used).filter(|(_, used)| !**used).flat_map(|(piece, _)| piece.words());
        let mut keywords: Vec<String> = vec![];
        for word in left.filter(|word| says_something(word)) {
            if keywords.len() < KEYWORDS_MAX && !keywords.contains(&word) {
                keywords.push(word);
            }
        }
        let category = named.map(|named| named.category);
        let filters = Filters { category, keywords, min_price: min, max_price: max, without, first };
        Self { filters, pieces }
    }

    /// True when the query has this word.
    fn has(&self, word: &str) -> bool {
        self.pieces.iter().any(|piece| piece.is(word))
    }
}

/// The words that may name a category.
fn candidates(pieces: &[Piece], used: &[bool]) -> Vec<Candidate> {
    let speaks = |at: usize| {
        let is_free = used.get(at).is_some_and(|used| !used);
        let words = pieces.get(at).filter(|_| is_free).map(Piece::words).unwrap_or_default();
        words.into_iter().find(|word| says_something(word))
    };
    let found = (0..pieces.len()).filter_map(|at| {
        let word = speaks(at)?;
        Some(Candidate { piece: at, word: Word::new(word), is_last: speaks(at + 1).is_none() })
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fillers_are_sorted_for_the_binary_search() {
        assert!(FILLERS.is_sorted());
    }
}

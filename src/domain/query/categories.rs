//! Finds the category in a query.

use super::super::words::{Word, is_stop_word, slips, words};

/// A single word of a longer category name has to have so many letters to stand for it.
const PART_CHARS_MIN: usize = 5;

/// Slips are forgiven from so many letters on: "boots" are no "books".
const SLIP_CHARS_MIN: usize = 6;

/// A word of a query that may name a category.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    /// Which piece of the query it is.
    pub(super) piece: usize,
    /// The word.
    pub(super) word: Word,
    /// It ends what is said: "bike" in "bike for the campus", not in "bike helmet".
    pub(super) is_last: bool,
}

/// A category and the pieces that name it.
pub(super) struct Named {
    pub(super) category: String,
    pub(super) pieces: Vec<usize>,
}

/// The category that some words name: whole names before parts of names, exact words before slips, what is said first
/// before what follows.
pub(super) fn named(candidates: &[Candidate], categories: &[String]) -> Option<Named> {
    let names: Vec<(&String, Vec<Word>)> = categories.iter().map(|name| (name, significant(name))).collect();
    for is_match in [same as fn(&Word, &Word) -> bool, similar] {
        for (category, name) in &names {
            if name.is_empty() {
                continue;
            }
            let whole = candidates.windows(name.len()).find(|words| {
                words.last().is_some_and(|last| last.is_last)
                    && words.iter().zip(name).all(|(candidate, part)| is_match(&candidate.word, part))
            });
            if let Some(words) = whole {
                let pieces = words.iter().map(|candidate| candidate.piece).collect();
                return Some(Named { category: (*category).clone(), pieces });
            }
        }
        for candidate in candidates.iter().filter(|candidate| candidate.is_last) {
            let mut holders = names.iter().filter(|(_, name)| has_part(name, &candidate.word, is_match));
            if let (Some((category, _)), None) = (holders.next(), holders.next()) {
                return Some(Named { category: (*category).clone(), pieces: vec![candidate.piece] });
            }
        }
    }
    None
}

/// The known category that somebody else's name for it means.
pub(super) fn known(name: &str, categories: &[String]) -> Option<String> {
    let wanted = significant(name);
    let is_same = |is_match: fn(&Word, &Word) -> bool| {
        categories.iter().find(|category| {
            let parts = significant(category);
            parts.len() == wanted.len() && parts.iter().zip(&wanted).all(|(part, word)| is_match(word, part))
        })
    };
    let exact = categories.iter().find(|category| category.as_str() == name);
    let found = exact.or_else(|| is_same(same)).or_else(|| is_same(similar)).cloned();
    found.or_else(|| {
        let last = wanted.last()?;
        let candidate = Candidate { piece: 0, word: last.clone(), is_last: true };
        named(&[candidate], categories).map(|named| named.category)
    })
}

fn significant(name: &str) -> Vec<Word> {
    words(name).into_iter().filter(|word| !is_stop_word(word)).map(Word::new).collect()
}

fn has_part(name: &[Word], word: &Word, is_match: fn(&Word, &Word) -> bool) -> bool {
    name.len() > 1 && name.iter().any(|part| part.text.chars().count() >= PART_CHARS_MIN && is_match(word, part))
}

fn same(word: &Word, part: &Word) -> bool {
    word.stem == part.stem
}

fn similar(word: &Word, part: &Word) -> bool {
    let is_long = word.text.chars().count() >= SLIP_CHARS_MIN;
    let is_slip = |written: &str| slips(written, &part.text).or_else(|| slips(written, &part.stem)).is_some();
    is_long && word.text.chars().next() == part.text.chars().next() && (is_slip(&word.text) || is_slip(&word.stem))
}

//! Finds what a query does not want.

use super::{says_something, scan::Piece};

/// Words and phrases before what is not wanted.
const NEGATIONS: &[&[&str]] = &[
    &["anything", "but"],
    &["everything", "but"],
    &["other", "than"],
    &["but", "not"],
    &["not"],
    &["without"],
    &["except"],
    &["excluding"],
    &["no"],
];

/// What may stand between the two.
const BETWEEN: &[&str] = &["a", "an", "any", "for", "from", "in", "the"];

/// The words that are not wanted; in `used` they and what negates them are marked.
pub(super) fn without(pieces: &[Piece], used: &mut [bool]) -> Vec<String> {
    let mut found = vec![];
    for at in 0..pieces.len() {
        let Some((word, length)) = pieces.get(at..).and_then(|rest| negated(rest, at == 0)) else { continue };
        if used.iter().skip(at).take(length).any(|used| *used) {
            continue;
        }
        used.iter_mut().skip(at).take(length).for_each(|piece| *piece = true);
        if !found.contains(&word) {
            found.push(word);
        }
    }
    found
}

/// The word that a negation at the beginning of `rest` turns down, and how many pieces the two have.
fn negated(rest: &[Piece], is_start: bool) -> Option<(String, usize)> {
    let negates = |phrase: &&&[&str]| {
        rest.len() > phrase.len() && rest.iter().zip(phrase.iter()).all(|(piece, word)| piece.is(word))
    };
    let mut length = NEGATIONS.iter().find(negates)?.len();
    // Names begin like that: "No Man's Sky".
    if is_start && rest.first()?.is("no") {
        return None;
    }
    length += rest.iter().skip(length).take_while(|piece| piece.is_any(BETWEEN)).count();
    let Piece::Word(word) = rest.get(length)? else { return None };
    says_something(word).then(|| (word.clone(), length + 1))
}

//! Finds what a query wants to see first.

use super::{super::search::First, scan::Piece};

const PHRASES: &[(&[&str], First)] = &[
    (&["cheapest"], First::Cheapest),
    (&["sort", "by", "price"], First::Cheapest),
    (&["sorted", "by", "price"], First::Cheapest),
    (&["least", "expensive"], First::Cheapest),
    (&["lowest", "price"], First::Cheapest),
    (&["lowest", "priced"], First::Cheapest),
    (&["lowest", "prices"], First::Cheapest),
    (&["low", "to", "high"], First::Cheapest),
    (&["most", "expensive"], First::Dearest),
    (&["priciest"], First::Dearest),
    (&["highest", "price"], First::Dearest),
    (&["highest", "priced"], First::Dearest),
    (&["highest", "prices"], First::Dearest),
    (&["high", "to", "low"], First::Dearest),
    (&["newest"], First::Newest),
    (&["latest"], First::Newest),
    (&["most", "recent"], First::Newest),
];

/// What comes first, by the first phrase that says so; in `used` it is marked.
pub(super) fn first(pieces: &[Piece], used: &mut [bool]) -> Option<First> {
    (0..pieces.len()).find_map(|at| {
        let rest = pieces.get(at..)?;
        let is_here =
            |phrase: &[&str]| rest.len() >= phrase.len() && rest.iter().zip(phrase).all(|(piece, word)| piece.is(word));
        let (phrase, first) = PHRASES.iter().find(|(phrase, _)| is_here(phrase))?;
        let length = phrase.len() + usize::from(rest.get(phrase.len()).is_some_and(|next| next.is("first")));
        used.iter_mut().skip(at).take(length).for_each(|piece| *piece = true);
        Some(*first)
    })
}

//! Orders what the database has found. Shared by both databases, so that they give the same order.
//!
//! A row's score is the part of the query that it covers: each word by its weight, less when the match is a slip or
//! stands in the description. Words of the title count more the earlier they stand: "iPhone 13" before "Case for
//! iPhone 13".

use std::collections::{HashMap, HashSet};

use super::concepts::{Concept, EXACT, Form};
use crate::domain::words;

/// A result that covers less of the query fits by chance.
const COVERED_MIN: f64 = 0.35;

/// A result that is not at least this good, measured by the best one, is left out.
const OF_BEST_MIN: f64 = 0.55;

/// What a match counts in each text, when it is not the very word in the title.
const OTHER_FORM: f64 = 0.95;
const IN_LABEL: f64 = 0.9;
const IN_MORE: f64 = 0.5;

/// What a match adds by standing first in the title,
const FIRST: f64 = 0.1;

/// and what the matches in other texts add to the best.
const ALSO: f64 = 0.1;

/// What it adds to say in the title what kind of thing it is: "CMPE 202 Textbook" before "CMPE 202 Lab Manual", when
/// textbooks are looked for.
const NAMES_KIND: f64 = 0.05;

/// Who complains at length says much that no article has: a question weighs no more than so, in thousandths.
const QUESTION_WEIGHT_MAX: i64 = 1800;

/// What is looked for.
#[derive(Clone, Copy)]
pub(super) enum Aim<'a> {
    /// A thing that is all that was said, of this kind, if any.
    Thing { kind: &'a str },
    /// What says something about a question.
    Question,
}

/// The texts of a row.
pub(super) struct Document<'a> {
    /// What it is.
    pub(super) title: &'a str,
    /// What kind of thing it is.
    pub(super) label: &'a str,
    /// The stems of what is said beside that.
    pub(super) more: &'a str,
}

/// The rows that fit, best first; those that are equally good stay in their order.
pub(super) fn ranked<T>(
    concepts: &[Concept],
    aim: Aim<'_>,
    rows: Vec<T>,
    document: impl Fn(&T) -> Document<'_>,
) -> Vec<T> {
    let asked: i64 = concepts.iter().map(|concept| concept.weight).sum();
    let (kind, asked) = match aim {
        Aim::Thing { kind } => (words::words(kind).iter().map(|word| words::stem(word)).collect(), asked),
        Aim::Question => (vec![], asked.min(QUESTION_WEIGHT_MAX)),
    };
    let scored = rows.into_iter().map(|row| (score(concepts, asked, &kind, &document(&row)), row));
    let mut scored: Vec<(f64, T)> = scored.filter(|(score, _)| *score >= COVERED_MIN).collect();
    scored.sort_by(|(one, _), (two, _)| two.total_cmp(one));
    let least = scored.first().map_or(0.0, |(best, _)| best * OF_BEST_MIN);
    scored.into_iter().filter(|(score, _)| *score >= least).map(|(_, row)| row).collect()
}

/// How much of the query, which weighs `asked`, a row covers: about 0 to 1. In steps, so that rounding errors make no order.
#[expect(clippy::cast_precision_loss, reason = "weights are at most 1000")]
fn score(concepts: &[Concept], asked: i64, kind: &[String], document: &Document<'_>) -> f64 {
    let texts = Texts::read(document);
    let named = if kind.iter().any(|stem| texts.title.contains_key(stem)) { NAMES_KIND } else { 0.0 };
    let covered: f64 = concepts.iter().map(|concept| concept.weight as f64 * texts.has(concept)).sum();
    ((covered / (asked.max(1) as f64) + named) * 1000.0).round() / 1000.0
}

struct Texts<'a> {
    /// The places of the title's stems.
    title: HashMap<String, usize>,
    title_words: HashSet<String>,
    label: HashSet<String>,
    more: HashSet<&'a str>,
}

impl<'a> Texts<'a> {
    fn read(document: &Document<'a>) -> Self {
        let mut title = HashMap::new();
        let mut title_words = HashSet::new();
        for (place, word) in words::indexed(document.title).into_iter().enumerate() {
            title.entry(word.stem).or_insert(place);
            title_words.insert(word.text);
        }
        let label = words::indexed(document.label).into_iter().map(|word| word.stem).collect();
        Self { title, title_words, label, more: document.more.split_whitespace().collect() }
    }

    /// How well the texts have a word: 0 to about 1.2.
    fn has(&self, concept: &Concept) -> f64 {
        let best = |quality: &dyn Fn(&str) -> f64| {
            let of_form = |form: &Form| {
                let also = form.also.as_deref().map_or(f64::MAX, quality);
                form.quality * quality(&form.stem).min(also)
            };
            concept.forms.iter().map(of_form).fold(0.0, f64::max)
        };
        let is_exact = self.title_words.contains(&concept.word);
        let matches = [
            best(&|stem| self.title.get(stem).map_or(0.0, |place| self.in_title(*place, is_exact))),
            best(&|stem| if self.label.contains(stem) { IN_LABEL } else { 0.0 }),
            best(&|stem| if self.more.contains(stem) { IN_MORE } else { 0.0 }),
        ];
        let best = matches.iter().copied().fold(0.0, f64::max);
        let all: f64 = matches.iter().sum();
        best + ALSO * (all - best)
    }

    #[expect(clippy::cast_precision_loss, reason = "a title has few words")]
    fn in_title(&self, place: usize, is_exact: bool) -> f64 {
        let form = if is_exact { EXACT } else { OTHER_FORM };
        form + FIRST * (1.0 - place as f64 / self.title.len().max(1) as f64)
    }
}

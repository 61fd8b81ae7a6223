//! From the words that somebody searches for to what is looked up: each word becomes a concept with all the stems that
//! count as it.
//!
//! * A word that the vocabulary knows is taken at its word, in all its forms.
//! * Two words that are one elsewhere (`mac book`) count as that one too.
//! * A word that is not known, or hardly, may be a slip of a known one (`macbok`), or its beginning (`calc`).
//! * Of a code that is not known (`cmpe999`) the letters are tried, of any other word what ends with it (`phone`).
//! * A rare word weighs more than a common one, and an unknown one half as much as the rarest.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
};

use sea_orm::{ConnectionTrait, DbErr};

use super::vocabulary::Corpus;
use crate::domain::words::{self, Word};

/// More words than this of one query are not looked at.
const WORDS_MAX: usize = 16;

/// More unknown words than this of one query are not guessed at.
const GUESSED_MAX: usize = 8;

/// How many guesses a word may have.
const GUESSES_MAX: usize = 6;

/// A word in no more rows than this may be a slip that somebody made in a listing,
const RARE_USES: i64 = 2;

/// if a similar one is in so many times as many.
const SLIP_FACTOR: i64 = 10;

/// So many letters make an abbreviation: fewer fit too many words, and more are a word of their own.
const BEGINNING_CHARS: RangeInclusive<usize> = 4..=5;

/// Shorter endings fit too many words.
const ENDING_CHARS_MIN: usize = 5;

/// How good a form is as a match of its word.
pub(super) const EXACT: f64 = 1.0;
const ONE_SLIP: f64 = 0.75;
const TWO_SLIPS: f64 = 0.6;
const BEGINNING: f64 = 0.7;
const ENDING: f64 = 0.6;
const PART_OF_CODE: f64 = 0.6;

/// What one unknown word weighs, in thousandths.
const UNKNOWN_WEIGHT: i64 = 500;

/// A word that somebody searches for.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Concept {
    /// The word itself.
    pub(super) word: String,
    /// What it adds to a result that has it, in thousandths.
    pub(super) weight: i64,
    /// What counts as it; nothing when the word is unknown.
    pub(super) forms: Vec<Form>,
}

impl Concept {
    /// True for a word that nothing has, when it is no name with digits: what is called `bio101` is meant exactly.
    pub(super) fn is_unheard_of(&self) -> bool {
        self.forms.is_empty() && !self.word.chars().any(char::is_numeric)
    }
}

/// A stem that counts as a word.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Form {
    pub(super) stem: String,
    /// From 0 to [`EXACT`].
    pub(super) quality: f64,
}

/// What is meant by keywords.
pub(super) async fn concepts(
    db: &impl ConnectionTrait,
    corpus: Corpus,
    keywords: impl IntoIterator<Item = &str>,
) -> Result<Vec<Concept>, DbErr> {
    let mut seen = BTreeSet::new();
    let asked: Vec<Word> = keywords
        .into_iter()
        .flat_map(words::words)
        .filter(|word| !words::is_stop_word(word))
        .map(Word::new)
        .filter(|word| seen.insert(word.stem.clone()))
        .take(WORDS_MAX)
        .collect();
    let known = corpus.known(db, &every_stem(&asked)).await?;
    let mut guessed = 0;
    let mut found = Vec::with_capacity(asked.len());
    for (at, word) in asked.iter().enumerate() {
        let mut forms = plain_forms(&asked, at, &known);
        let uses = forms.iter().filter_map(|form| known.get(&form.stem)).sum();
        let may_be_slip = uses <= RARE_USES && guessed < GUESSED_MAX;
        let mut guesses = vec![];
        if may_be_slip {
            guessed += 1;
            guesses = guess(word, uses, corpus.neighbours(db, &word.text).await?);
            if guesses.is_empty() && uses == 0 && word.text.chars().count() >= ENDING_CHARS_MIN {
                let endings = corpus.ending_with(db, word, GUESSES_MAX).await?;
                guesses = best(endings.into_iter().map(|(known, uses)| (0, Reverse(uses), known)).collect(), ENDING);
            }
        }
        let uses = uses + guesses.iter().map(|(_, uses)| uses).sum::<i64>();
        forms.extend(guesses.into_iter().map(|(form, _)| form));
        if forms.is_empty() {
            forms = parts_of_code(&word.text, &known);
        }
        let weight = if forms.is_empty() { UNKNOWN_WEIGHT } else { weight(uses) };
        found.push(Concept { word: word.text.clone(), weight, forms });
    }
    Ok(found)
}

/// Every stem that may have to be looked up.
fn every_stem(asked: &[Word]) -> BTreeSet<String> {
    let joined = asked.windows(2).filter_map(|pair| match pair {
        [one, two] => Some(joined(one, two)),
        _ => None,
    });
    let parts = asked.iter().flat_map(|word| words::code_parts(&word.text)).map(|part| words::stem(&part));
    asked.iter().map(|word| word.stem.clone()).chain(joined).chain(parts).collect()
}

fn joined(one: &Word, two: &Word) -> String {
    words::stem(&format!("{}{}", one.text, two.text))
}

/// The word itself, and what it makes with the one before and the one behind it.
fn plain_forms(asked: &[Word], at: usize, known: &BTreeMap<String, i64>) -> Vec<Form> {
    let Some(word) = asked.get(at) else { return vec![] };
    let before = at.checked_sub(1).and_then(|at| asked.get(at)).map(|before| joined(before, word));
    let behind = asked.get(at + 1).map(|behind| joined(word, behind));
    let stems = [Some(word.stem.clone()), before, behind].into_iter().flatten();
    stems.filter(|stem| known.contains_key(stem)).map(|stem| Form { stem, quality: EXACT }).collect()
}

/// What a word that is in `uses` rows may have been meant to be, with the number of rows, best first.
fn guess(word: &Word, uses: i64, neighbours: Vec<(Word, i64)>) -> Vec<(Form, i64)> {
    let mut slips = vec![];
    let mut beginnings = vec![];
    for (known, known_uses) in neighbours {
        if known.stem == word.stem || known_uses < uses * SLIP_FACTOR {
            continue;
        }
        let distance = distance(word, &known);
        if let Some(distance) = distance {
            slips.push((distance, Reverse(known_uses), known));
        } else if uses == 0 && is_beginning(&word.text, &known.text) {
            beginnings.push((0, Reverse(known_uses), known));
        }
    }
    let fewest = slips.iter().map(|(distance, ..)| *distance).min();
    slips.retain(|(distance, ..)| Some(*distance) == fewest);
    let quality = if fewest == Some(1) { ONE_SLIP } else { TWO_SLIPS };
    best(slips, quality).into_iter().chain(best(beginnings, BEGINNING)).collect()
}

/// How far apart two words are, in the forms in which they are nearest.
fn distance(word: &Word, known: &Word) -> Option<usize> {
    let written = [&word.text, &word.stem];
    written.iter().flat_map(|text| [words::slips(text, &known.text), words::slips(text, &known.stem)]).flatten().min()
}

fn is_beginning(word: &str, known: &str) -> bool {
    BEGINNING_CHARS.contains(&word.chars().count()) && known.starts_with(word) && !word.chars().any(char::is_numeric)
}

fn best(mut found: Vec<(usize, Reverse<i64>, Word)>, quality: f64) -> Vec<(Form, i64)> {
    found.sort();
    let mut stems = BTreeSet::new();
    found.retain(|(_, _, known)| stems.insert(known.stem.clone()));
    let best = found.into_iter().take(GUESSES_MAX);
    best.map(|(_, Reverse(uses), known)| (Form { stem: known.stem, quality }, uses)).collect()
}

fn parts_of_code(word: &str, known: &BTreeMap<String, i64>) -> Vec<Form> {
    let letters = words::code_parts(word).into_iter().filter(|part| !part.chars().any(char::is_numeric));
    let letters = letters.map(|part| words::stem(&part));
    letters.filter(|stem| known.contains_key(stem)).map(|stem| Form { stem, quality: PART_OF_CODE }).collect()
}

/// What a word that so many rows have weighs.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "from 20 to 1000, whatever the count")]
fn weight(uses: i64) -> i64 {
    (1000.0 / (1.0 + (uses.max(1) as f64).ln())).round() as i64
}

//! From the words that somebody searches for to what is looked up: each word becomes a concept with all the stems that
//! count as it.
//!
//! * A word that the vocabulary knows is taken at its word, in all its forms.
//! * Two words that are one elsewhere (`mac book`) count as that one too.
//! * A word that is not known, or hardly, may be a slip of a known one (`macbok`), or its beginning (`calc`).
//! * Three letters are the beginning of a word only when the rest of it is a word, too: "mac" may be a "macbook", but
//!   "car" is no "cartridge".
//! * A number behind a word is meant as the name that the two make (`psyc 1`), when there is that name; names with
//!   digits weigh twice as much as words. A number that makes none weighs less than the word before it.
//! * A word that is nothing of this may be two that were written as one (`macbookpro`).
//! * Of a code that is not known (`cmpe999`) the letters are tried, of any other word what ends with it (`phone`).
//! * A rare word weighs more than a common one, and an unknown one half as much as the rarest.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
};

use sea_orm::{ConnectionTrait, DbErr};

use super::vocabulary::{Corpus, ENDING_CHARS_MIN};
use crate::domain::words::{self, Word};

/// More words than this of one query are not looked at: who complains says at the end what he wants.
const WORDS_MAX: usize = 48;

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

/// An even shorter one needs a rest of so many letters that is a word itself; so many such words are looked at.
const SHORT_CHARS: usize = 3;
const REST_CHARS_MIN: usize = 4;
const RESTS_MAX: usize = 100;

/// Parts of a word that was written as one with another are not shorter, unless one ends where digits begin.
const PART_CHARS_MIN: usize = 3;

/// How good a form is as a match of its word.
pub(super) const EXACT: f64 = 1.0;
const ONE_SLIP: f64 = 0.75;
const TWO_SLIPS: f64 = 0.6;
const BEGINNING: f64 = 0.7;
const ENDING: f64 = 0.6;
const PART_OF_CODE: f64 = 0.6;

/// How much more the name of a course or a model weighs than a word.
const NAME_FACTOR: i64 = 2;

/// How much less than the word before it a number weighs that makes no name with it: "iphone 14" is no "MacBook 14".
const NAMELESS_DIVISOR: i64 = 2;

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
    /// Another one that must be there, too.
    pub(super) also: Option<String>,
    /// From 0 to [`EXACT`].
    pub(super) quality: f64,
}

impl Form {
    const fn of(stem: String, quality: f64) -> Self {
        Self { stem, also: None, quality }
    }
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
    let mut known = corpus.known(db, &every_stem(&asked)).await?;
    let unknown = asked.iter().filter(|word| !known.contains_key(&word.stem)).take(GUESSED_MAX);
    let parts: BTreeSet<String> =
        unknown.flat_map(|word| halves(&word.text)).flat_map(|(one, two)| [one, two]).collect();
    if !parts.is_empty() {
        known.extend(corpus.known(db, &parts).await?);
    }
    let mut guessed = 0;
    let mut found = Vec::with_capacity(asked.len());
    for (at, word) in asked.iter().enumerate() {
        let mut forms = plain_forms(&asked, at, &known);
        let uses = forms.iter().filter_map(|form| known.get(&form.stem)).sum();
        let mut guesses = vec![];
        if uses <= RARE_USES && guessed < GUESSED_MAX {
            guessed += 1;
            guesses = guess(db, corpus, word, uses, &known).await?;
        }
        let uses = uses + guesses.iter().map(|(_, uses)| uses).sum::<i64>();
        forms.extend(guesses.into_iter().map(|(form, _)| form));
        if forms.is_empty() {
            forms = parts_of_code(&word.text, &known);
        }
        let is_name = is_name(word, &forms);
        let before = found.last().map(|before: &Concept| before.weight);
        let weight = match (forms.as_slice(), before) {
            ([], _) => UNKNOWN_WEIGHT,
            (_, Some(before)) if is_number(word) && !is_name => weight(uses).min(before / NAMELESS_DIVISOR),
            _ if is_name => weight(uses) * NAME_FACTOR,
            _ => weight(uses),
        };
        found.push(Concept { word: word.text.clone(), weight, forms });
    }
    Ok(found)
}

/// Every stem that may have to be looked up.
fn every_stem(asked: &[Word]) -> BTreeSet<String> {
    let joined = asked.windows(2).flat_map(|pair| match pair {
        [one, two] => joined(one, two).to_vec(),
        _ => vec![],
    });
    let parts = asked.iter().flat_map(|word| words::code_parts(&word.text)).map(|part| words::stem(&part));
    asked.iter().map(|word| word.stem.clone()).chain(joined).chain(parts).collect()
}

/// The stems that two words written as one may have: `text books`, `texts books`.
fn joined(one: &Word, two: &Word) -> [String; 2] {
    [&one.text, &one.stem].map(|one| words::stem(&format!("{one}{}", two.text)))
}

/// The word itself, and what it makes with the one before and the one behind it.
fn plain_forms(asked: &[Word], at: usize, known: &BTreeMap<String, i64>) -> Vec<Form> {
    let Some(word) = asked.get(at) else { return vec![] };
    let known = |stems: Vec<String>| {
        let stems: BTreeSet<String> = stems.into_iter().filter(|stem| known.contains_key(stem)).collect();
        stems.into_iter().map(|stem| Form::of(stem, EXACT)).collect::<Vec<_>>()
    };
    let before = at.checked_sub(1).and_then(|at| asked.get(at)).map(|before| joined(before, word).to_vec());
    let before = known(before.unwrap_or_default());
    if is_number(word) && !before.is_empty() {
        return before;
    }
    let behind = asked.get(at + 1).map(|behind| joined(word, behind).to_vec()).unwrap_or_default();
    let mut forms = known(vec![word.stem.clone()]);
    forms.extend(before.into_iter().chain(known(behind)));
    forms
}

fn is_number(word: &Word) -> bool {
    word.text.chars().all(char::is_numeric)
}

/// True for `cmpe202`, and for a number that makes such a name with the word before it.
fn is_name(word: &Word, forms: &[Form]) -> bool {
    let begins_with_letter = |text: &str| text.starts_with(|c: char| !c.is_numeric());
    word.text.chars().any(char::is_numeric) && forms.iter().all(|form| begins_with_letter(&form.stem))
}

/// What a word that is in `uses` rows may have been meant to be, with the number of rows, best first. What has digits is
/// meant as it is written, or was two words.
async fn guess(
    db: &impl ConnectionTrait,
    corpus: Corpus,
    word: &Word,
    uses: i64,
    known: &BTreeMap<String, i64>,
) -> Result<Vec<(Form, i64)>, DbErr> {
    let letters = word.text.chars().count();
    let has_digits = word.text.chars().any(char::is_numeric);
    let mut guesses = match letters {
        _ if has_digits => vec![],
        SHORT_CHARS if uses == 0 => lengthened(db, corpus, &word.text).await?,
        0..=SHORT_CHARS => vec![],
        _ => similar(word, uses, corpus.neighbours(db, &word.text).await?),
    };
    if guesses.is_empty() && uses == 0 {
        guesses = as_two(&word.text, known);
    }
    if guesses.is_empty() && uses == 0 && !has_digits && letters >= ENDING_CHARS_MIN {
        let endings = corpus.ending_with(db, word, GUESSES_MAX).await?;
        guesses = best(endings.into_iter().map(|(known, uses)| (0, Reverse(uses), known)).collect(), ENDING);
    }
    Ok(guesses)
}

/// The words among these that the word may be a slip of, or the beginning.
fn similar(word: &Word, uses: i64, neighbours: Vec<(Word, i64)>) -> Vec<(Form, i64)> {
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
    spellings(word).flat_map(|written| spellings(known).filter_map(move |meant| words::slips(written, meant))).min()
}

/// The word, and its stem when that is another.
fn spellings(word: &Word) -> impl Iterator<Item = &str> {
    let stem = Some(word.stem.as_str()).filter(|stem| *stem != word.text);
    std::iter::once(word.text.as_str()).chain(stem)
}

/// Words of which these three letters may be short, with the number of rows, best first.
async fn lengthened(db: &impl ConnectionTrait, corpus: Corpus, word: &str) -> Result<Vec<(Form, i64)>, DbErr> {
    let longer = corpus.beginning_with(db, word, RESTS_MAX).await?;
    let rest = |known: &Word| {
        let rest = known.text.strip_prefix(word).filter(|rest| rest.chars().count() >= REST_CHARS_MIN)?;
        Some(words::stem(rest))
    };
    let rests = corpus.known(db, &longer.iter().filter_map(|(known, _)| rest(known)).collect()).await?;
    let found = longer.into_iter().filter(|(known, _)| rest(known).is_some_and(|rest| rests.contains_key(&rest)));
    Ok(best(found.map(|(known, uses)| (0, Reverse(uses), known)).collect(), BEGINNING))
}

/// Two words that are written as one, which are both known; the longest first word wins.
fn as_two(word: &str, known: &BTreeMap<String, i64>) -> Vec<(Form, i64)> {
    let parts = halves(word).into_iter().rev().find_map(|(one, two)| {
        let uses = *known.get(&one)?.min(known.get(&two)?);
        Some((Form { stem: one, also: Some(two), quality: EXACT }, uses))
    });
    parts.into_iter().collect()
}

/// The stems of both parts of a word, wherever it may be cut.
fn halves(word: &str) -> Vec<(String, String)> {
    let cut = |(at, behind): (usize, char)| {
        let (one, two) = word.split_at_checked(at)?;
        let is_code = one.ends_with(|before: char| before.is_numeric() != behind.is_numeric());
        let is_long = |part: &str| part.chars().count() >= PART_CHARS_MIN;
        (is_code || (is_long(one) && is_long(two))).then(|| (words::stem(one), words::stem(two)))
    };
    word.char_indices().skip(1).filter_map(cut).collect()
}

fn is_beginning(word: &str, known: &str) -> bool {
    BEGINNING_CHARS.contains(&word.chars().count()) && known.starts_with(word) && !word.chars().any(char::is_numeric)
}

fn best(mut found: Vec<(usize, Reverse<i64>, Word)>, quality: f64) -> Vec<(Form, i64)> {
    found.sort();
    let mut stems = BTreeSet::new();
    found.retain(|(_, _, known)| stems.insert(known.stem.clone()));
    let best = found.into_iter().take(GUESSES_MAX);
    best.map(|(_, Reverse(uses), known)| (Form::of(known.stem, quality), uses)).collect()
}

fn parts_of_code(word: &str, known: &BTreeMap<String, i64>) -> Vec<Form> {
    let letters = words::code_parts(word).into_iter().filter(|part| !part.chars().any(char::is_numeric));
    let letters = letters.map(|part| words::stem(&part));
    letters.filter(|stem| known.contains_key(stem)).map(|stem| Form::of(stem, PART_OF_CODE)).collect()
}

/// What a word that so many rows have weighs.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "from 20 to 1000, whatever the count")]
fn weight(uses: i64) -> i64 {
    (1000.0 / (1.0 + (uses.max(1) as f64).ln())).round() as i64
}

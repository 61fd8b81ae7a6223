//! Words as searching compares them: without case, accents and apostrophes, cut at everything that is no letter or
//! digit, and with their stem.
//!
//! The databases' own text search knows stems too, but each another kind, and one of them drops words that the other
//! keeps. Both are therefore given words that were made here, so that both find the same.

use rust_stemmers::{Algorithm, Stemmer};
use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

/// Longer words are cut: no language has them, and databases limit what an index can hold.
const WORD_CHARS_MAX: usize = 40;

/// From so many letters on, a word with a wrong one is still recognised.
const LETTERS_OF_LONG: usize = 6;

/// Words that say nothing about what is meant, in any text.
const STOP_WORDS: &[&str] = &[
    "a",
    "about",
    "after",
    "also",
    "am",
    "an",
    "and",
    "any",
    "anybody",
    "anyone",
    "anything",
    "are",
    "as",
    "at",
    "be",
    "been",
    "but",
    "by",
    "can",
    "cant",
    "could",
    "did",
    "didnt",
    "do",
    "does",
    "doesnt",
    "done",
    "dont",
    "for",
    "from",
    "get",
    "got",
    "had",
    "happen",
    "happens",
    "has",
    "hasnt",
    "have",
    "he",
    "hello",
    "her",
    "here",
    "hey",
    "hi",
    "his",
    "how",
    "i",
    "id",
    "if",
    "ill",
    "im",
    "in",
    "into",
    "is",
    "isnt",
    "it",
    "its",
    "ive",
    "just",
    "let",
    "like",
    "may",
    "me",
    "might",
    "must",
    "my",
    "need",
    "no",
    "not",
    "now",
    "of",
    "off",
    "oh",
    "ok",
    "on",
    "or",
    "our",
    "out",
    "please",
    "shall",
    "she",
    "should",
    "so",
    "some",
    "somebody",
    "someone",
    "something",
    "than",
    "thank",
    "thanks",
    "that",
    "thats",
    "the",
    "their",
    "them",
    "then",
    "there",
    "these",
    "they",
    "this",
    "those",
    "to",
    "too",
    "us",
    "very",
    "want",
    "was",
    "we",
    "were",
    "what",
    "whats",
    "when",
    "where",
    "which",
    "who",
    "why",
    "will",
    "with",
    "wont",
    "would",
    "you",
    "your",
];

/// A word as it stands in a text, and what it shares with its other forms.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Word {
    /// The word itself.
    pub text: String,
    /// Its stem.
    pub stem: String,
}

impl Word {
    /// A word that [`words`] has made.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self { stem: stem(&text), text }
    }
}

/// The text in lower case, without accents and apostrophes, and with the plain form of compatibility characters.
#[must_use]
pub fn folded(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.nfkd().filter(|c| !is_combining_mark(*c)).flat_map(char::to_lowercase) {
        match c {
            '\'' | '’' | 'ʼ' => {}
            'ß' => plain.push_str("ss"),
            'æ' => plain.push_str("ae"),
            'œ' => plain.push_str("oe"),
            'ø' => plain.push('o'),
            'đ' => plain.push('d'),
            'ł' => plain.push('l'),
            'ı' => plain.push('i'),
            _ => plain.push(c),
        }
    }
    plain
}

/// The words of a text, in order.
#[must_use]
pub fn words(text: &str) -> Vec<String> {
    let folded = folded(text);
    let parts = folded.split(|c: char| !c.is_alphanumeric()).filter(|part| !part.is_empty());
    parts.map(|part| part.chars().take(WORD_CHARS_MAX).collect()).collect()
}

/// What several forms of a word have in common: `textbooks` and `textbook` have one stem. Names with digits are left
/// as they are.
#[must_use]
pub fn stem(word: &str) -> String {
    if word.chars().any(|c| !c.is_ascii_lowercase()) {
        return word.to_owned();
    }
    Stemmer::create(Algorithm::English).stem(word).into_owned()
}

/// True for words such as "the", which say nothing.
#[must_use]
pub fn is_stop_word(word: &str) -> bool {
    STOP_WORDS.binary_search(&word).is_ok()
}

/// Under which words a text is to be found: its own without stop words, and names with digits in both their spellings,
/// so that `CMPE 202`, `CMPE-202` and `cmpe202` find each other, as do `t-shirt` and `tshirt`.
#[must_use]
pub fn indexed(text: &str) -> Vec<Word> {
    let mut found = vec![];
    for (word, next, hyphenated) in neighbours(text) {
        if !is_stop_word(&word) {
            found.extend(code_parts(&word).into_iter().map(Word::new));
            found.push(Word::new(word.clone()));
        }
        if let Some(next) = next
            && (hyphenated || is_code(&word, &next))
        {
            found.push(Word::new(word + &next));
        }
    }
    found
}

/// Each word with the one behind it, and whether only a hyphen is between the two.
fn neighbours(text: &str) -> Vec<(String, Option<String>, bool)> {
    let all = words(text);
    let folded = folded(text);
    let mut rest = folded.as_str();
    let mut found = Vec::with_capacity(all.len());
    let mut following = all.iter().skip(1);
    for word in &all {
        let behind = rest.find(word.as_str()).and_then(|at| rest.get(at + word.len()..)).unwrap_or_default();
        let hyphenated = behind.strip_prefix('-').is_some_and(|next| next.starts_with(char::is_alphanumeric));
        found.push((word.clone(), following.next().cloned(), hyphenated));
        rest = behind;
    }
    found
}

/// The parts of a name such as `cmpe202`; none for plain words and numbers, and for names with single letters (`m1`).
#[must_use]
pub fn code_parts(word: &str) -> Vec<String> {
    let mut parts: Vec<String> = vec![];
    for c in word.chars() {
        match parts.last_mut() {
            Some(part) if part.ends_with(|last: char| last.is_numeric() == c.is_numeric()) => part.push(c),
            _ => parts.push(c.into()),
        }
    }
    let is_single = |part: &String| part.chars().nth(1).is_none() && !part.chars().any(char::is_numeric);
    if parts.len() < 2 || parts.iter().any(is_single) { vec![] } else { parts }
}

/// True when two words may as well be one name: a word beside a number.
fn is_code(word: &str, next: &str) -> bool {
    let is_number = |word: &str| word.chars().all(char::is_numeric);
    is_number(word) != is_number(next)
        && !is_stop_word(word)
        && !is_stop_word(next)
        && word.chars().count() + next.chars().count() <= WORD_CHARS_MAX
}

/// How many letters apart two words are, when that may be a slip of the finger: one from 4 letters on, two from 8. In
/// a short word a letter may be missing, doubled or in the wrong place, but another letter makes another word: "boots"
/// are no "books". Letters that are doubled, or are not, are one slip together: "matres" is a "mattress". Numbers and
/// names with digits are meant as they are written, and a slip in the first letter is rare.
#[must_use]
pub fn slips(written: &str, meant: &str) -> Option<usize> {
    let letters = written.chars().count();
    let allowed = slips_allowed(letters);
    if allowed == 0
        || slips_allowed(meant.chars().count()) == 0
        || written.chars().chain(meant.chars()).any(char::is_numeric)
    {
        return None;
    }
    let initial = meant.chars().next();
    if !written.chars().take(2).any(|c| Some(c) == initial) {
        return None;
    }
    let is_another = letters < LETTERS_OF_LONG && written.len() == meant.len() && sorted(written) != sorted(meant);
    let is_doubling = written != meant && undoubled(written).eq(undoubled(meant));
    if is_doubling {
        return Some(1);
    }
    // Whole vocabularies are compared: most words are told apart by their length.
    if letters.abs_diff(meant.chars().count()) > allowed || is_another {
        return None;
    }
    Some(strsim::osa_distance(written, meant)).filter(|distance| *distance <= allowed)
}

/// The letters, each run of the same one once.
fn undoubled(word: &str) -> impl Iterator<Item = char> {
    let mut last = None;
    word.chars().filter(move |c| last.replace(*c) != Some(*c))
}

fn sorted(word: &str) -> Vec<char> {
    let mut letters: Vec<char> = word.chars().collect();
    letters.sort_unstable();
    letters
}

/// How many slips a word of so many letters may have.
#[must_use]
pub const fn slips_allowed(letters: usize) -> usize {
    match letters {
        0..4 => 0,
        4..8 => 1,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stop_words_are_sorted_for_the_binary_search() {
        assert!(STOP_WORDS.is_sorted());
    }

    #[test]
    fn words_lose_case_accents_and_apostrophes() {
        assert_eq!(
            words("Café-Table, Women’s ﬁne №5 \u{1F4DA} Ångström"),
            ["cafe", "table", "womens", "fine", "no5", "angstrom"]
        );
        assert_eq!(words("Straße ½"), ["strasse", "1", "2"]);
        assert_eq!(words(&"x".repeat(100)), ["x".repeat(40)]);
        assert!(words("'; \" * %").is_empty());
    }

    #[test]
    fn forms_share_a_stem() {
        for (one, two) in [("textbooks", "textbook"), ("batteries", "battery"), ("shipping", "ships")] {
            assert_eq!(stem(one), stem(two));
        }
        assert_eq!(stem("cmpe202s"), "cmpe202s");
    }

    #[test]
    fn codes_are_found_in_both_spellings() {
        let texts = |text: &str| indexed(text).into_iter().map(|word| word.text).collect::<Vec<_>>();
        assert_eq!(texts("CMPE 202"), ["cmpe", "cmpe202", "202"]);
        assert_eq!(texts("cmpe202"), ["cmpe", "202", "cmpe202"]);
        assert_eq!(texts("the T-shirt"), ["t", "tshirt", "shirt"]);
        assert_eq!(texts("2 of the chairs"), ["2", "chairs"]);
        assert_eq!(texts("M1"), ["m1"]);
    }

    #[test]
    fn slips_are_few_and_never_in_numbers() {
        for (written, meant, expected) in [
            ("macbok", "macbook", Some(1)),
            ("calclus", "calculus", Some(1)),
            ("headfones", "headphones", Some(2)),
            ("amcbook", "macbook", Some(1)),
            ("chiar", "chair", Some(1)),
            ("offce", "office", Some(1)),
            ("matres", "mattress", Some(1)),
            ("boots", "books", None),
            ("xbox", "box", None),
            ("bok", "book", None),
            ("cmpe202", "cmpe203", None),
            ("spaceship", "scholarship", None),
        ] {
            assert_eq!(slips(written, meant), expected, "{written}");
        }
    }
}

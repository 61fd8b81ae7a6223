//! The stand-in where no provider is configured: it looks things up with the same tools as a model, quotes what it
//! finds, and says that it is no AI.

use std::{collections::BTreeSet, time::Duration};

use futures_util::{StreamExt, stream};

use super::{
    Answering, Call, Delta, Finish, Found, Prompt, Tool, estimated_usage,
    phrases::{self, Reply, SmallTalk},
    tools::cut,
};
use crate::domain::{
    listing::Listing,
    query::understand,
    search::{Filters, Passage},
    words::{Word, indexed, slips, words},
};

/// What stands in `Usage::model`.
pub(super) const MODEL: &str = "offline";

/// So that people see it being written, as they would see a model's answer.
const PAUSE: Duration = Duration::from_millis(15);
const WORDS_PER_ITEM: usize = 3;

/// The longest query for a search, in characters.
const QUERY_CHARS: usize = 500;

/// How a question begins that asks how something is done.
const QUESTION_WORDS: [&str; 12] =
    ["how", "why", "when", "where", "who", "what", "can", "may", "must", "do", "does", "is"];

/// Answers without any AI. It never repeats what a person wrote.
#[derive(Debug, Clone, Copy)]
pub struct Offline;

impl Offline {
    /// The calls to make, or the answer, a few words at a time.
    pub(super) fn stream(self, prompt: &Prompt) -> Answering {
        let calls = calls(prompt);
        if !calls.is_empty() {
            let usage = estimated_usage(MODEL, prompt, "");
            return stream::iter([Ok(Delta::Calls { calls, usage })]).boxed();
        }
        let Reply { text, quoted } = reply(prompt);
        let words: Vec<&str> = text.split_inclusive(' ').collect();
        let mut steps: Vec<Delta> = words.chunks(WORDS_PER_ITEM).map(|few| Delta::Text(few.concat())).collect();
        let usage = estimated_usage(MODEL, prompt, &text);
        steps.push(Delta::Done { usage, finish: Finish::Stop, quoted: Some(quoted) });
        stream::iter(steps)
            .then(|step| async move {
                if matches!(step, Delta::Text(_)) {
                    tokio::time::sleep(PAUSE).await;
                }
                Ok(step)
            })
            .boxed()
    }
}

/// What is to be looked up or set going before an answer can be given.
fn calls(prompt: &Prompt) -> Vec<Call> {
    let question = prompt.question();
    let person = prompt.tools.contains(&Tool::CallPerson).then(|| Call::own(Tool::CallPerson, ""));
    if prompt.rounds.is_empty() {
        let searches = prompt.tools.iter().filter(|tool| **tool != Tool::CallPerson);
        return match person {
            Some(person) if phrases::wants_person(question) => vec![person],
            _ if small_talk(question).is_some() => vec![],
            _ => searches.map(|tool| Call::own(*tool, cut(question, QUERY_CHARS).trim())).collect(),
        };
    }
    // Who has looked and found nothing leaves the question to a person.
    let is_helpless = Finds::of(prompt).is_empty();
    let was_called = found(prompt).any(|found| matches!(found, Found::PersonCalled | Found::Failed));
    person.filter(|_| is_helpless && !was_called).into_iter().collect()
}

fn reply(prompt: &Prompt) -> Reply {
    let question = prompt.question();
    let can_search = !prompt.rounds.is_empty() || prompt.tools.iter().any(|tool| *tool != Tool::CallPerson);
    if !can_search {
        return phrases::unable(prompt.support);
    }
    if prompt.rounds.is_empty()
        && let Some(talk) = small_talk(question)
    {
        return phrases::small_talk(talk, &prompt.tools, prompt.support);
    }
    let finds = Finds::of(prompt);
    let is_person_called = found(prompt).any(|found| *found == Found::PersonCalled);
    if is_person_called && phrases::wants_person(question) {
        return phrases::person_called();
    }
    if finds.is_empty() && found(prompt).any(|found| *found == Found::Failed) {
        phrases::out_of_order(prompt.support)
    } else if finds.is_empty() {
        phrases::nothing(prompt.support, is_person_called)
    } else if finds.passages.is_empty() || (!finds.listings.is_empty() && prefers_listings(question, &finds)) {
        phrases::listings(&finds.listings)
    } else {
        phrases::passages(&finds.passages, prompt.support)
    }
}

/// A message with nothing in it that could be looked up.
fn small_talk(question: &str) -> Option<SmallTalk> {
    phrases::pleasantry(question).or_else(|| indexed(question).is_empty().then_some(SmallTalk::Other))
}

fn found(prompt: &Prompt) -> impl Iterator<Item = &Found> {
    prompt.rounds.iter().flat_map(|round| round.calls.iter().map(|(_, found)| found))
}

/// Everything that was found, best first.
struct Finds<'a> {
    listings: Vec<&'a Listing>,
    passages: Vec<&'a Passage>,
}

impl<'a> Finds<'a> {
    fn of(prompt: &'a Prompt) -> Self {
        let mut finds = Self { listings: vec![], passages: vec![] };
        for found in found(prompt) {
            match found {
                Found::Listings(listings) => finds.listings.extend(listings),
                Found::Articles(passages) => finds.passages.extend(passages),
                Found::PersonCalled | Found::Failed => {}
            }
        }
        // Who names nothing is shown what is newest, which a model may make something of.
        if meant(prompt.question(), &finds.listings) == Filters::default() {
            finds.listings.clear();
        }
        finds
    }

    const fn is_empty(&self) -> bool {
        self.listings.is_empty() && self.passages.is_empty()
    }
}

/// Both kinds were found: who names a price or a thing wants things, who asks how wants to read.
fn prefers_listings(question: &str, finds: &Finds<'_>) -> bool {
    let filters = meant(question, &finds.listings);
    let names_price = filters.min_price.is_some() || filters.max_price.is_some();
    let asks = words(question).first().is_some_and(|word| QUESTION_WORDS.contains(&word.as_str()));
    let listings = finds.listings.iter().map(|listing| {
        let names = format!("{} {}", listing.title, listing.category);
        coverage(question, &names, listing.description.as_deref().unwrap_or_default())
    });
    let passages = finds.passages.iter().map(|passage| {
        let names = format!("{} {}", passage.title, passage.heading.as_deref().unwrap_or_default());
        coverage(question, &names, &passage.text)
    });
    let listings = listings.max().unwrap_or_default() + if names_price { 100 } else { 0 };
    let passages = passages.max().unwrap_or_default() + if asks { 50 } else { 0 };
    listings > passages
}

fn meant(question: &str, listings: &[&Listing]) -> Filters {
    let categories: BTreeSet<&str> = listings.iter().map(|listing| listing.category.as_str()).collect();
    understand(question, &categories.into_iter().map(str::to_owned).collect::<Vec<_>>())
}

/// How much of the question stands in a find, in percent; what stands in its names counts twice.
fn coverage(question: &str, names: &str, text: &str) -> usize {
    let (wanted, names, text) = (indexed(question), indexed(names), indexed(text));
    let points = |wanted: &Word| {
        let is_same = |word: &Word| word.stem == wanted.stem || slips(&wanted.text, &word.text).is_some();
        if names.iter().any(is_same) { 2 } else { usize::from(text.iter().any(is_same)) }
    };
    wanted.iter().map(points).sum::<usize>() * 100 / wanted.len().max(1)
}

//! What the stand-in says, and the few things that it understands by itself.

use super::{Tool, tools::cut};
use crate::domain::{listing::Listing, search::Passage};

/// Listings in one answer, passages in one answer, and characters of all passages together.
const LISTINGS_MAX: usize = 5;
const PASSAGES_MAX: usize = 2;
const QUOTED_CHARS: usize = 1400;

/// Words of a message that are looked at: who writes more has more to say than hello.
const WORDS_MAX: usize = 200;

const UNABLE: &str = "Hello! No AI is configured on this server, so I cannot answer questions yet. \
    Your message is stored. Whoever runs this server can turn the AI on by setting `OPENAI_API_KEY`, or \
    `OPENAI_BASE_URL` for any OpenAI-compatible server, and starting it again.";

const UNABLE_SUPPORT: &str = "Thank you for your message! It is stored, and a person from the team will see it here \
    and can answer in this conversation. No AI is configured on this server, so there is no automatic answer.";

const NO_AI: &str = "This is an automatic answer without AI.";

const OFFER_PERSON: &str =
    "If it does not help, write that you would like to talk to a person, and the team will be told.";

/// The words of a message that only greets or only thanks; it has one of the first few.
const GREETINGS: [&str; 13] = [
    "hi",
    "hello",
    "hey",
    "hallo",
    "hiya",
    "greetings",
    "good",
    "morning",
    "afternoon",
    "evening",
    "day",
    "there",
    "everyone",
];
const THANKS: [&str; 12] =
    ["thanks", "thank", "thx", "cheers", "you", "very", "much", "a", "lot", "great", "perfect", "ok"];

/// Verbs that ask for company, and those who can give it.
const TALK: [&str; 8] = ["talk", "speak", "chat", "connect", "transfer", "contact", "reach", "call"];
const NEED: [&str; 5] = ["want", "need", "get", "give", "prefer"];
const PEOPLE: [&str; 5] = ["human", "person", "agent", "representative", "operator"];
const SOMEBODY: [&str; 5] = ["someone", "somebody", "people", "staff", "support"];
/// The words between the two.
const BETWEEN: usize = 4;

/// An answer, and the ids of what it quotes.
pub(super) struct Reply {
    pub text: String,
    pub quoted: Vec<String>,
}

impl Reply {
    fn of(text: impl Into<String>) -> Self {
        Self { text: text.into(), quoted: vec![] }
    }
}

/// A message that asks for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SmallTalk {
    /// "Hello there!"
    Greeting,
    /// "Thank you very much."
    Thanks,
    /// "What can you do?"
    Other,
}

/// What a message is that has nothing but polite words.
pub(super) fn pleasantry(message: &str) -> Option<SmallTalk> {
    let words = words(message);
    let is = |known: &[&str], telling: usize| {
        let tells = |word: &String| known.iter().take(telling).any(|known| known == word);
        words.iter().all(|word| known.contains(&word.as_str())) && words.iter().any(tells)
    };
    if is(&GREETINGS, 7) {
        return Some(SmallTalk::Greeting);
    }
    is(&THANKS, 4).then_some(SmallTalk::Thanks)
}

/// True for "talk to a human", "I need a real person", "agent please".
pub(super) fn wants_person(message: &str) -> bool {
    let words = words(message);
    let is_person = |word: &String| PEOPLE.contains(&word.trim_end_matches('s'));
    if words.len() <= 3 && words.iter().any(is_person) {
        return true;
    }
    words.iter().enumerate().any(|(at, word)| {
        let (talks, needs) = (TALK.contains(&word.as_str()), NEED.contains(&word.as_str()));
        let behind = words.get(at..).unwrap_or_default().windows(2).take(BETWEEN + 1);
        (talks || needs)
            && behind.into_iter().any(|pair| match pair {
                // Who meets in person does not ask for one.
                [before, word] => (is_person(word) && before != "in") || (talks && SOMEBODY.contains(&word.as_str())),
                _ => false,
            })
    })
}

fn words(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_alphanumeric() && c != '\'').filter(|word| !word.is_empty());
    words.take(WORDS_MAX).map(str::to_lowercase).collect()
}

/// Nothing can be looked up here.
pub(super) fn unable(support: bool) -> Reply {
    Reply::of(if support { UNABLE_SUPPORT } else { UNABLE })
}

/// In answer to a message that asks for nothing.
pub(super) fn small_talk(talk: SmallTalk, tools: &[Tool], support: bool) -> Reply {
    let opening = match talk {
        SmallTalk::Greeting => "Hello! ",
        SmallTalk::Thanks => "You are welcome! ",
        SmallTalk::Other => "",
    };
    let place = match (tools.contains(&Tool::SearchArticles), tools.contains(&Tool::SearchListings)) {
        (true, true) => "in the help articles and among the listings",
        (false, true) => "among the listings",
        _ => "in the help articles",
    };
    let person = if support { " A person from the team reads along and can answer, too." } else { "" };
    Reply::of(format!(
        "{opening}No AI is configured here, but I can look things up {place}: just ask, in a few words.{person}"
    ))
}

/// The team has been told.
pub(super) fn person_called() -> Reply {
    Reply::of("I have told the team that you would like to talk to a person. Somebody will answer you here.")
}

/// Nothing was found.
pub(super) fn nothing(support: bool, person_called: bool) -> Reply {
    let rest = match (support, person_called) {
        (true, true) => "I have told the team, and a person will answer you here.",
        (true, false) => "A person from the team reads along and can answer you here.",
        (false, _) => "Other words may find it: a few that name the thing are best.",
    };
    Reply::of(format!("I am sorry, I have found nothing about this. {rest}\n\n{NO_AI}"))
}

/// The search itself has failed.
pub(super) fn out_of_order(support: bool) -> Reply {
    let rest =
        if support { "A person from the team reads along and can answer you here." } else { "Please try again." };
    Reply::of(format!("I am sorry, I cannot look anything up right now. {rest}\n\n{NO_AI}"))
}

/// Listings that fit.
pub(super) fn listings(found: &[&Listing]) -> Reply {
    let shown = found.get(..LISTINGS_MAX).unwrap_or(found);
    let opening = if shown.len() == 1 { "one listing that may fit" } else { "these listings that may fit" };
    let lines: String = shown
        .iter()
        .map(|listing| {
            let price = if listing.price.cents() == 0 { "free".to_owned() } else { listing.price.to_string() };
            format!("- **{}** ({}): {price}\n", plain(&listing.title), plain(&listing.category))
        })
        .collect();
    let quoted = shown.iter().map(|listing| listing.id.to_string()).collect();
    Reply { text: format!("I have found {opening}:\n\n{lines}\n{NO_AI}"), quoted }
}

/// Passages that fit, of the article that fits best: another one's could lead astray.
pub(super) fn passages(found: &[&Passage], support: bool) -> Reply {
    let Some(first) = found.first() else { return nothing(support, false) };
    let (mut text, mut room) =
        (format!("This is what the help article “{}” says:\n\n", plain(&first.title)), QUOTED_CHARS);
    let same = found.iter().filter(|passage| passage.article_id == first.article_id).take(PASSAGES_MAX);
    for (count, passage) in same.enumerate() {
        if count > 0 && passage.text.chars().count() > room {
            break;
        }
        if let Some(heading) = &passage.heading {
            text.push_str(&format!("**{}**\n\n", plain(heading)));
        }
        let quote = shortened(&passage.text, room);
        room = room.saturating_sub(quote.chars().count());
        text.push_str(&quote);
        text.push_str("\n\n");
    }
    text.push_str(NO_AI);
    if support {
        text.push(' ');
        text.push_str(OFFER_PERSON);
    }
    Reply { text, quoted: vec![first.article_id.clone()] }
}

/// A name without what Markdown would take for its own.
fn plain(name: &str) -> String {
    name.chars().filter(|c| !"*_`[]<>".contains(*c) && !c.is_control()).collect()
}

/// At most `limit` characters, cut behind a paragraph, a line or a sentence, with its code fence closed.
fn shortened(text: &str, limit: usize) -> String {
    let text = text.trim();
    let kept = cut(text, limit);
    if kept.len() == text.len() {
        return text.to_owned();
    }
    let end = ["\n\n", "\n", ". ", " "].iter().find_map(|end| {
        let at = kept.rfind(end)? + end.trim_end().len();
        (at > kept.len() / 2).then_some(at)
    });
    let kept = kept.get(..end.unwrap_or(kept.len())).unwrap_or(kept).trim_end();
    let is_open = kept.lines().filter(|line| line.trim_start().starts_with("```")).count() % 2 == 1;
    if is_open { format!("{kept}\n```\n…") } else { format!("{kept} …") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_for_a_person_are_understood() {
        for wish in [
            "talk to a human",
            "Can I speak with a real person please?",
            "agent!",
            "I need an agent",
            "please connect me to someone from your team",
            "HUMAN",
            "I'd like to chat with support",
        ] {
            assert!(wants_person(wish), "{wish}");
        }
        for other in [
            "",
            "Where is my order?",
            "Can I pay and get it in person?",
            "Can I contact the seller and pay in person?",
            "I need someone's textbook",
            "how do I reset my password",
            "a person was rude to me yesterday at the meeting point",
        ] {
            assert!(!wants_person(other), "{other}");
        }
    }

    #[test]
    fn politeness_is_told_from_questions() {
        for greeting in ["Hello!", "hi there", "Good morning", "hey 👋"] {
            assert_eq!(pleasantry(greeting), Some(SmallTalk::Greeting), "{greeting}");
        }
        for thanks in ["Thanks a lot", "thank you very much!", "great, thanks"] {
            assert_eq!(pleasantry(thanks), Some(SmallTalk::Thanks), "{thanks}");
        }
        for other in ["", "👋", "hello, is the sofa there?", "you", "thanks, but no", "a lot", "evening"] {
            assert_eq!(pleasantry(other), None, "{other}");
        }
    }

    #[test]
    fn quotes_end_where_something_ends() {
        assert_eq!(shortened(" short ", 100), "short");
        assert_eq!(shortened("First sentence here. Second one is longer", 30), "First sentence here. …");
        assert_eq!(shortened("One paragraph.\n\nAnother paragraph", 20), "One paragraph. …");
        assert_eq!(shortened("```\nlet a = 1;\nlet b = 2;\n```", 20), "```\nlet a = 1;\n```\n…");
        assert_eq!(shortened(&"✓".repeat(50), 10), format!("{} …", "✓".repeat(10)));
    }
}

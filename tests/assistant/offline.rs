//! The stand-in without AI: what it looks up, what it says about what was found, and what it never says.

use switchboard::{
    assistant::{Answering, Assistant, Call, Delta, Finish, Found, Prompt, Provider, Round, Tool, Wanted},
    domain::search::Filters,
};

use crate::{
    assistant, next, prompt, settings,
    tools::{listing, offering, passage},
};

const ALL: [Tool; 3] = [Tool::SearchListings, Tool::SearchArticles, Tool::CallPerson];
const RETURNS: &str = "You can send things back within **14 days**.\n\n1. Open the order\n2. Choose *Return*";

fn offline() -> Assistant {
    let mut given = settings("");
    given.provider = Provider::Offline;
    assistant(&given)
}

/// A whole answer: its text, what it quotes, and the calls that it made on the way.
struct Said {
    text: String,
    pieces: usize,
    quoted: Vec<String>,
    called: Vec<Wanted>,
}

async fn read(answering: &mut Answering) -> (Vec<String>, Delta) {
    let mut pieces = vec![];
    loop {
        match next(answering).await.expect("it ends").expect("it does not fail") {
            Delta::Text(text) => pieces.push(text),
            last => return (pieces, last),
        }
    }
}

/// Asks, and gives every call the first of these results that fits it.
async fn ask(mut prompt: Prompt, results: &[Found]) -> Said {
    let mut called = vec![];
    loop {
        let (pieces, last) = read(&mut offline().stream(prompt.clone())).await;
        match last {
            Delta::Calls { calls, .. } => {
                assert!(pieces.is_empty() && prompt.rounds.len() < 3);
                called.extend(calls.iter().map(|call| call.wanted.clone()));
                let calls = calls.into_iter().map(|call| (call.clone(), result(&call, results))).collect();
                prompt.rounds.push(Round { said: String::new(), calls });
            }
            Delta::Done { usage, finish, quoted } => {
                assert_eq!((usage.model.as_str(), usage.estimated, finish), ("offline", true, Finish::Stop));
                let quoted = quoted.expect("it knows what it quotes");
                return Said { text: pieces.concat(), pieces: pieces.len(), quoted, called };
            }
            Delta::Text(_) => unreachable!("read stops behind the text"),
        }
    }
}

fn result(call: &Call, results: &[Found]) -> Found {
    let fits = |found: &&Found| match &call.wanted {
        Wanted::Listings { .. } => matches!(found, Found::Listings(_)),
        Wanted::Articles(_) => matches!(found, Found::Articles(_)),
        Wanted::Person => matches!(found, Found::PersonCalled),
        Wanted::Unreadable(_) => false,
    };
    results.iter().find(fits).cloned().unwrap_or(Found::Failed)
}

fn nothing() -> [Found; 3] {
    [Found::Listings(vec![]), Found::Articles(vec![]), Found::PersonCalled]
}

fn both() -> [Found; 3] {
    let articles = vec![passage("returns", "Returns and refunds", RETURNS), passage("pay", "Paying", "By card.")];
    [
        Found::Listings(vec![listing("m1", "MacBook Air", 450.0), listing("m2", "MacBook *Pro*", 499.99)]),
        Found::Articles(articles),
        Found::PersonCalled,
    ]
}

#[tokio::test]
async fn with_nothing_to_look_up_it_says_so_in_several_pieces_and_repeats_nothing() {
    for support in [false, true] {
        let said = ask(Prompt { support, ..prompt("my-secret-word") }, &[]).await;
        assert!(said.pieces > 5 && said.called.is_empty());
        assert!(said.text.contains("No AI is configured") && !said.text.contains("my-secret-word"));
        assert_eq!(said.text.contains("OPENAI_API_KEY"), !support);
        assert_eq!(said.text.contains("a person from the team"), support);
    }
}

#[tokio::test]
async fn a_question_is_answered_from_the_article_that_fits() {
    let said = ask(offering("How do I return a macbook?", &ALL[..2]), &both()).await;
    let query = "How do I return a macbook?".to_owned();
    let listings = Wanted::Listings { query: query.clone(), filters: Filters::default() };
    assert_eq!(said.called, [listings, Wanted::Articles(query)]);
    assert!(said.text.contains("“Returns and refunds”") && said.text.contains(RETURNS), "{}", said.text);
    assert!(said.text.contains("without AI") && !said.text.contains("MacBook"), "{}", said.text);
    assert_eq!(said.quoted, ["returns"]);
    assert!(said.pieces > 5);
}

#[tokio::test]
async fn a_wish_is_answered_with_listings_and_prices() {
    let said = ask(offering("macbook under 500", &ALL[..2]), &both()).await;
    assert!(said.text.contains("- **MacBook Air** (Electronics): 450\n"), "{}", said.text);
    assert!(said.text.contains("- **MacBook Pro** (Electronics): 499.99\n"), "{}", said.text);
    assert!(said.text.contains("without AI"));
    assert_eq!(said.quoted, ["m1", "m2"]);
}

#[tokio::test]
async fn the_name_of_a_category_is_a_wish() {
    let mut found = both();
    if let Found::Articles(passages) = &mut found[1] {
        passages[0].text.push_str(" Electronics, too.");
    }
    let said = ask(offering("electronics", &ALL[..2]), &found).await;
    assert_eq!(said.quoted, ["m1", "m2"], "{}", said.text);
}

#[tokio::test]
async fn a_long_article_is_quoted_in_part() {
    let long = passage("long", "Long", &"One more sentence about it. ".repeat(500));
    let said = ask(offering("how long?", &ALL[1..2]), &[Found::Articles(vec![long])]).await;
    assert!(said.text.len() < 2000 && said.text.contains("about it. …"), "{}", said.text.len());
}

#[tokio::test]
async fn who_finds_nothing_says_so_and_leaves_it_to_a_person() {
    let said = ask(offering("zzz-secret", &ALL[..2]), &nothing()).await;
    assert!(said.text.contains("found nothing") && !said.text.contains("zzz-secret"), "{}", said.text);
    assert!(said.quoted.is_empty());

    let said = ask(Prompt { support: true, ..offering("zzz-secret", &ALL) }, &nothing()).await;
    assert_eq!(said.called.last(), Some(&Wanted::Person));
    assert!(said.text.contains("found nothing") && said.text.contains("a person will answer"), "{}", said.text);

    // The database is away: a person is there all the same, but nobody was told.
    let said = ask(Prompt { support: true, ..offering("zzz-secret", &ALL) }, &[]).await;
    assert!(!said.called.contains(&Wanted::Person));
    assert!(said.text.contains("cannot look anything up") && !said.text.contains("I have told"), "{}", said.text);
}

#[tokio::test]
async fn who_wants_a_person_gets_one() {
    for tools in [&ALL[..], &ALL[2..]] {
        let asked = Prompt { support: true, ..offering("Can I talk to a human?", tools) };
        let said = ask(asked, &both()).await;
        assert_eq!(said.called, [Wanted::Person]);
        assert!(said.text.contains("I have told the team"), "{}", said.text);
    }
}

#[tokio::test]
async fn a_greeting_is_returned() {
    let said = ask(Prompt { support: true, ..offering("Hello there!", &ALL) }, &both()).await;
    assert!(said.called.is_empty());
    assert!(said.text.starts_with("Hello!") && said.text.contains("help articles"), "{}", said.text);
    assert!(said.text.contains("No AI is configured"));
    let said = ask(offering("thanks a lot", &ALL[..1]), &both()).await;
    assert!(said.text.starts_with("You are welcome!") && said.text.contains("listings"), "{}", said.text);
    let said = ask(offering("What can you do?", &ALL[..2]), &both()).await;
    assert!(said.called.is_empty() && said.text.starts_with("No AI"), "{}", said.text);
}

#[tokio::test]
async fn who_names_nothing_is_not_shown_just_anything() {
    let newest = [Found::Listings(vec![listing("m1", "MacBook Air", 450.0)]), Found::Articles(vec![])];
    let said = ask(offering("please show me some things", &ALL[..2]), &newest).await;
    assert!(said.text.contains("found nothing") && said.quoted.is_empty(), "{}", said.text);
}

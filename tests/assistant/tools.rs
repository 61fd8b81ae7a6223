//! Calls of a model: how they are offered, read, answered, and refused.

use std::time::Duration;

use serde_json::{Value, json};
use switchboard::{
    assistant::{Found, Kind, Prompt, Round, Tool, Wanted},
    domain::{
        ids::ListingId,
        listing::{Listing, ListingStatus, Price},
        search::{Filters, Passage},
    },
};

use crate::{
    Outcome, assistant, endpoint, finish, prompt,
    scripted::{CALLED, Received, Reply, STOP, Scripted, call, text},
    settings,
};

const BOTH: [Tool; 2] = [Tool::SearchListings, Tool::SearchArticles];

/// A question with tools on offer.
pub(crate) fn offering(question: &str, tools: &[Tool]) -> Prompt {
    Prompt { tools: tools.to_vec(), ..prompt(question) }
}

pub(crate) fn listing(id: &str, title: &str, amount: f64) -> Listing {
    let at = chrono::DateTime::UNIX_EPOCH;
    Listing {
        id: ListingId::parse(id).expect("a good id"),
        title: title.to_owned(),
        description: None,
        category: "Electronics".to_owned(),
        price: Price::parse(amount).expect("a good price"),
        status: ListingStatus::Available,
        created_at: at,
        updated_at: at,
    }
}

pub(crate) fn passage(id: &str, title: &str, text: &str) -> Passage {
    Passage { article_id: id.to_owned(), title: title.to_owned(), heading: None, text: text.to_owned() }
}

fn good(words: &str) -> Reply {
    Reply::stream(&format!("{}{STOP}", text(words)))
}

/// A stream of these fragments of calls.
fn calls(fragments: &[String]) -> Reply {
    Reply::stream(&format!("{}{CALLED}", fragments.concat()))
}

fn search(id: &str, query: &str) -> Reply {
    calls(&[call(0, id, "search_articles", &json!({ "query": query }).to_string())])
}

async fn ask_offering(server: &Scripted, tools: &[Tool]) -> Outcome {
    finish(assistant(&settings(&server.base_url)).stream(offering("hi", tools))).await
}

fn wanted(outcome: &Outcome) -> Vec<Wanted> {
    outcome.calls.iter().map(|call| call.wanted.clone()).collect()
}

fn names(request: &Received) -> Vec<&Value> {
    let tools = request.body.get("tools").and_then(Value::as_array);
    tools.into_iter().flatten().filter_map(|tool| tool.pointer("/function/name")).collect()
}

#[tokio::test]
async fn calls_come_in_fragments_and_several_at_once() {
    let fragments = [
        text("Let me look."),
        call(0, "call_a", "search_listings", ""),
        call(0, "", "", "{\"query\":\"mac"),
        call(1, "call_b", "search_articles", "{\"query\":"),
        call(0, "", "", "book\",\"max_price\":\"500\"}"),
        call(1, "", "", "\"returns\"}"),
    ];
    let server = Scripted::start([calls(&fragments)]).await;
    let outcome = ask_offering(&server, &BOTH).await;
    assert_eq!(outcome.text(), "Let me look.");
    let filters = Filters { max_price: Price::parse(500.0).ok(), ..Filters::default() };
    let listings = Wanted::Listings { query: "macbook".to_owned(), filters };
    assert_eq!(wanted(&outcome), [listings, Wanted::Articles("returns".to_owned())]);
    let request = server.received().pop().expect("one request");
    assert_eq!(names(&request), ["search_listings", "search_articles"]);
    for tool in request.body["tools"].as_array().expect("tools") {
        assert_eq!(tool["type"], "function");
        assert_eq!(tool["function"]["parameters"]["required"], json!(["query"]));
    }
    assert_eq!(request.body["messages"][1]["role"], "system", "the model is told how to use them");
}

#[tokio::test]
async fn nonsense_is_for_the_model_to_hear_not_for_the_person() {
    let fragments = [
        call(0, "a", "search_articles", "{\"query\": "),
        call(1, "b", "rm -rf", "{}"),
        call(2, "c", "call_person", "{}"),
        call(3, "d", "search_articles", "{\"query\":\"returns\"}"),
    ];
    let server = Scripted::start([calls(&fragments), good("sorry")]).await;
    let outcome = ask_offering(&server, &BOTH).await;
    let wanted = wanted(&outcome);
    assert!(wanted[..3].iter().all(|wanted| matches!(wanted, Wanted::Unreadable(_))), "{wanted:?}");
    assert_eq!(wanted[3], Wanted::Articles("returns".to_owned()));

    let calls = outcome.calls.into_iter().map(|call| (call, Found::Failed)).collect();
    let mut asked = offering("hi", &BOTH);
    asked.rounds.push(Round { said: String::new(), calls });
    finish(assistant(&settings(&server.base_url)).stream(asked)).await.done();
    let body = server.received().pop().expect("two requests").body;
    let messages = body["messages"].as_array().expect("messages");
    let [called, results @ ..] = &messages[3..] else { panic!("the round is shown") };
    assert_eq!(called["role"], "assistant");
    assert!(called["content"].is_null());
    for (call, result) in called["tool_calls"].as_array().expect("calls").iter().zip(results) {
        assert_eq!(result["role"], "tool");
        assert_eq!(result["tool_call_id"], call["id"]);
        let arguments = call["function"]["arguments"].as_str().expect("text");
        assert!(serde_json::from_str::<Value>(arguments).is_ok_and(|value| value.is_object()), "{arguments}");
        assert!(result["content"].as_str().expect("text").contains("error"));
    }
    assert_eq!(called["tool_calls"][1]["function"]["name"], "unknown", "no odd name is sent back");
}

#[tokio::test]
async fn what_was_found_is_shown_to_the_model() {
    let server = Scripted::start([search("call_1", "returns"), good("You can.")]).await;
    let assistant = assistant(&settings(&server.base_url));
    let call = finish(assistant.stream(offering("can I?", &BOTH))).await.calls.pop().expect("one call");
    let found = Found::Articles(vec![passage("returns", "Returns", "Within **14 days**.")]);
    let listings = Found::Listings(vec![listing("m1", "MacBook", 449.5)]);
    let mut asked = offering("can I?", &[]);
    asked.rounds.push(Round { said: "One moment.".to_owned(), calls: vec![(call.clone(), found), (call, listings)] });
    assert_eq!(finish(assistant.stream(asked)).await.text(), "You can.");
    let body = server.received().pop().expect("two requests").body;
    assert!(body.get("tools").is_none(), "none are offered any more");
    let messages = body["messages"].as_array().expect("messages");
    let roles: Vec<_> = messages.iter().map(|message| message["role"].clone()).collect();
    assert_eq!(roles, ["system", "system", "user", "assistant", "tool", "tool"]);
    assert_eq!(messages[3]["content"], "One moment.");
    assert_eq!(messages[3]["tool_calls"][0]["id"], "call_1");
    assert!(messages[4]["content"].as_str().expect("text").contains("Within **14 days**."));
    assert!(messages[5]["content"].as_str().expect("text").contains("449.5"));
}

#[tokio::test]
async fn a_provider_that_refuses_tools_is_asked_without_and_remembered() {
    for (status, body) in [
        (400, r#"{"error":{"message":"registry/tiny does not support tools"}}"#),
        (404, r#"{"error":{"message":"No endpoints found that support tool use","code":404}}"#),
        (422, r#"{"detail":"extra field: Function"}"#),
    ] {
        let server = Scripted::start([Reply::status(status, "", body), good("one"), good("two")]).await;
        let assistant = assistant(&settings(&server.base_url));
        for expected in ["one", "two"] {
            assert_eq!(finish(assistant.stream(offering("hi", &BOTH))).await.text(), expected, "{status}");
        }
        let offers: Vec<_> = server.received().iter().map(|request| names(request).len()).collect();
        assert_eq!(offers, [2, 0, 0], "{status}");
    }
}

#[tokio::test]
async fn a_refusal_for_another_reason_is_not_remembered() {
    let refusal = || Reply::status(400, "", r#"{"error":{"message":"your prompt speaks of tools"}}"#);
    let server = Scripted::start([refusal(), refusal(), good("fine")]).await;
    let assistant = assistant(&settings(&server.base_url));
    assert_eq!(finish(assistant.stream(offering("hi", &BOTH))).await.error().kind, Kind::Rejected(400));
    assert_eq!(finish(assistant.stream(offering("hi", &BOTH))).await.text(), "fine");
    let offers: Vec<_> = server.received().iter().map(|request| names(request).len()).collect();
    assert_eq!(offers, [2, 0, 2]);
}

#[tokio::test]
async fn a_fallback_without_tools_is_told_the_results_in_words() {
    let primary = Scripted::start([search("call_1", "returns"), Reply::status(401, "", "{}")]).await;
    let refusal = Reply::status(400, "", r#"{"error":{"message":"tools are not supported"}}"#);
    let second = Scripted::start([refusal, good("14 days")]).await;
    let mut settings = settings(&primary.base_url);
    settings.fallback = Some(endpoint(&second.base_url));
    let assistant = assistant(&settings);
    let call = finish(assistant.stream(offering("returns?", &BOTH))).await.calls.pop().expect("one call");
    let mut asked = offering("returns?", &BOTH);
    let found = Found::Articles(vec![passage("returns", "Returns", "Within 14 days.")]);
    asked.rounds.push(Round { said: String::new(), calls: vec![(call, found)] });
    assert_eq!(finish(assistant.stream(asked)).await.text(), "14 days");
    let body = second.received().pop().expect("two requests").body;
    let last = body["messages"].as_array().and_then(|messages| messages.last()).expect("messages");
    assert_eq!(last["role"], "system");
    assert!(last["content"].as_str().expect("text").contains("Within 14 days."));
}

#[tokio::test]
async fn calls_that_nobody_offered_end_the_answer() {
    let fragment = call(0, "a", "search_articles", "{\"query\":\"x\"}");
    let server =
        Scripted::start([calls(std::slice::from_ref(&fragment)), calls(&[text("Well."), fragment.clone()])]).await;
    let outcome = ask_offering(&server, &[]).await;
    assert_eq!(outcome.error().kind, Kind::Broken);
    let outcome = ask_offering(&server, &[]).await;
    assert_eq!(outcome.text(), "Well.");
    assert!(outcome.calls.is_empty() && outcome.end.is_ok());
}

#[tokio::test]
async fn all_rounds_together_have_one_time_limit() {
    let server = Scripted::start([Reply::silence()]).await;
    let mut settings = settings(&server.base_url);
    settings.total_timeout = Duration::from_secs(20);
    let mut asked = offering("hi", &BOTH);
    asked.begun -= Duration::from_millis(19_700);
    let outcome = tokio::time::timeout(Duration::from_secs(3), finish(assistant(&settings).stream(asked))).await;
    assert_eq!(outcome.expect("only the rest of the time is used").error().kind, Kind::TimedOut);
}

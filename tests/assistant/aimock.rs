//! Against aimock, somebody else's idea of an OpenAI-compatible server.

use std::{
    net::TcpListener,
    process::{Child, Command, Stdio},
    time::Duration,
};

use switchboard::{
    assistant::{Finish, Found, Kind, Round, Tool, Wanted},
    domain::{listing::Price, search::Filters},
};
use tokio::{net::TcpStream, task::yield_now, time::timeout};

use crate::{
    ask, assistant, finish, settings,
    tools::{listing, offering, passage},
};

/// The running program; it ends when it is dropped.
struct Aimock {
    base_url: String,
    process: Child,
}

impl Drop for Aimock {
    fn drop(&mut self) {
        self.process.kill().expect("it is still running");
        self.process.wait().expect("it ends");
    }
}

impl Aimock {
    async fn start() -> Self {
        let program = std::env::var("LLMOCK").expect("LLMOCK is not set: run tests/run");
        let port =
            TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port();
        let process = Command::new(program)
            .args(["-p", &port.to_string(), "-l", "30", "-c", "8", "--validate-on-load"])
            .args(["-f", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/aimock")])
            .args(["--log-level", "silent"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("LLMOCK can be run");
        let ready = async {
            while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                yield_now().await;
            }
        };
        timeout(Duration::from_secs(20), ready).await.expect("aimock listens");
        Self { base_url: format!("http://127.0.0.1:{port}/v1"), process }
    }
}

#[tokio::test]
async fn an_answer_is_streamed_and_counted() {
    let server = Aimock::start().await;
    let outcome = ask(&server.base_url, "please greet me").await;
    assert!(outcome.pieces.len() > 5, "{} pieces", outcome.pieces.len());
    assert!(outcome.text().starts_with("Hello! How can I help"));
    assert!(outcome.text().ends_with("naïve café ✓."));
    let (usage, end) = outcome.done();
    assert_eq!(end, Finish::Stop);
    assert_eq!(usage.model, "test-model");
    assert!(usage.completion_tokens > 0);
}

#[tokio::test]
async fn its_faults_are_told_apart() {
    let server = Aimock::start().await;
    for (question, kind, has_text) in [
        ("busy", Kind::RateLimited, false),
        ("explode", Kind::Unavailable, false),
        ("truncate", Kind::Broken, true),
        ("disconnect", Kind::Broken, true),
    ] {
        let outcome = ask(&server.base_url, question).await;
        assert_eq!(!outcome.pieces.is_empty(), has_text, "{question}");
        assert_eq!(outcome.error().kind, kind, "{question}");
    }
}

#[tokio::test]
async fn two_calls_are_made_and_their_results_used() {
    let server = Aimock::start().await;
    let assistant = assistant(&settings(&server.base_url));
    let mut asked = offering("two lookups, please", &[Tool::SearchListings, Tool::SearchArticles]);
    let outcome = finish(assistant.stream(asked.clone())).await;
    let filters = Filters { max_price: Price::parse(500.0).ok(), ..Filters::default() };
    let [listings, articles] = outcome.calls.try_into().ok().expect("two calls");
    assert_eq!(listings.wanted, Wanted::Listings { query: "macbook".to_owned(), filters });
    assert_eq!(articles.wanted, Wanted::Articles("returning things".to_owned()));

    let found = [
        Found::Listings(vec![listing("m1", "MacBook", 450.0)]),
        Found::Articles(vec![passage("returns", "Returns", "Within 14 days.")]),
    ];
    let calls = [listings, articles].into_iter().zip(found).collect();
    asked.rounds.push(Round { said: String::new(), calls });
    let outcome = finish(assistant.stream(asked)).await;
    assert_eq!(outcome.text(), "The MacBook can be sent back within 14 days.");
    assert!(outcome.calls.is_empty());
}

#[tokio::test]
async fn what_a_search_means_is_asked_for_by_a_schema() {
    let server = Aimock::start().await;
    let assistant = assistant(&settings(&server.base_url));
    let categories = ["Electronics".to_owned()];
    let filters = assistant.extract_filters("understand: macbook under $500", None, &categories).await;
    let filters = filters.expect("filters");
    assert_eq!(filters.category.as_deref(), Some("Electronics"));
    assert_eq!((filters.keywords, filters.max_price), (vec!["macbook".to_owned()], Price::parse(500.0).ok()));
    for question in ["explode", "busy", "greet"] {
        let error = assistant.extract_filters(question, None, &categories).await.expect_err("no filters");
        assert_ne!(error.kind, Kind::Misconfigured, "{question}");
    }
    assert_eq!(assistant.check().await, Ok(()));
}

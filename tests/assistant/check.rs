//! The look at the key when a process starts: only a refusal is fatal.

use switchboard::assistant::Provider;

use crate::{
    assistant,
    scripted::{Reply, Scripted},
    settings,
};

/// The outcome with a provider that answers so, first about its models and then to a word, and what it was asked.
async fn check(key: Option<&str>, statuses: &[u16]) -> (Result<(), String>, Vec<String>) {
    let server = Scripted::start(statuses.iter().map(|status| Reply::status(*status, "", "{\"data\":[]}"))).await;
    let mut settings = settings(&server.base_url);
    settings.primary.api_key = key.map(str::to_owned);
    let outcome = assistant(&settings).check().await;
    let received = server.received();
    let asked = received.iter().map(|request| {
        let is_authorized = request.head.contains("authorization: bearer sk-hidden\r\n");
        assert_eq!(is_authorized, key.is_some(), "{}", request.head);
        request.head.lines().next().unwrap_or_default().to_owned()
    });
    (outcome, asked.collect())
}

#[tokio::test]
async fn a_key_that_is_accepted_is_asked_about_once() {
    let (outcome, asked) = check(Some("sk-hidden"), &[200]).await;
    assert_eq!(outcome, Ok(()));
    assert_eq!(asked, ["get /v1/models http/1.1"]);
}

#[tokio::test]
async fn a_key_that_is_refused_is_named_in_one_line() {
    for (key, status) in [(Some("sk-hidden"), 401), (Some("sk-hidden"), 403), (None, 401)] {
        let (outcome, asked) = check(key, &[status, status]).await;
        let line = outcome.expect_err("it is refused");
        assert!(line.contains("OPENAI_API_KEY") && line.contains("127.0.0.1"), "{line}");
        assert!(!line.contains('\n') && !line.contains("sk-hidden"), "{line}");
        assert_eq!(asked.len(), 2);
    }
}

#[tokio::test]
async fn a_key_that_may_answer_but_not_list_models_is_good() {
    for status in [403, 404, 501] {
        let (outcome, asked) = check(Some("sk-hidden"), &[status, 200]).await;
        assert_eq!(outcome, Ok(()), "{status}");
        assert_eq!(asked[1], "post /v1/chat/completions http/1.1");
    }
}

#[tokio::test]
async fn a_provider_in_trouble_stops_nobody() {
    for status in [500, 404, 429] {
        assert_eq!(check(Some("sk-hidden"), &[status, status]).await.0, Ok(()), "{status}");
    }
    assert_eq!(assistant(&settings("http://127.0.0.1:1/v1")).check().await, Ok(()));
    let mut offline = settings("");
    offline.provider = Provider::Offline;
    assert_eq!(assistant(&offline).check().await, Ok(()));
}

//! Stopping and bounds: a dropped answer costs nothing more, a boundless one is ended.

use std::time::Duration;

use switchboard::assistant::Finish;

use crate::{
    ask, assistant, next, next_text, prompt,
    scripted::{Reply, Scripted, text},
    settings,
};

const SOON: Duration = Duration::from_millis(500);

#[tokio::test]
async fn dropping_the_answer_closes_the_connection_at_once() {
    let mut server = Scripted::start([Reply::stream(&text("one ")).hold()]).await;
    let mut answer = assistant(&settings(&server.base_url)).stream(prompt("hi"));
    assert_eq!(next_text(&mut answer).await, "one ");
    drop(answer);
    assert!(server.closed_within(SOON).await);
}

#[tokio::test]
async fn dropping_it_before_the_first_byte_does_too() {
    let mut server = Scripted::start([Reply::silence()]).await;
    let mut answer = assistant(&settings(&server.base_url)).stream(prompt("hi"));
    let waited = tokio::time::timeout(SOON, next(&mut answer)).await;
    assert!(waited.is_err(), "nothing comes");
    assert_eq!(server.received().len(), 1);
    drop(answer);
    assert!(server.closed_within(SOON).await);
}

#[tokio::test]
async fn the_end_closes_the_connection_although_the_answer_is_still_held() {
    let finished = "data: {\"choices\":[{\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}}\n\n";
    let mut server = Scripted::start([Reply::stream(finished).hold()]).await;
    let mut answer = assistant(&settings(&server.base_url)).stream(prompt("hi"));
    assert!(next(&mut answer).await.is_some_and(|step| step.is_ok()));
    assert!(server.closed_within(SOON).await);
    assert!(next(&mut answer).await.is_none());
}

#[tokio::test]
async fn a_boundless_answer_ends_as_too_long() {
    // Three bytes a character, so that the limit falls into the middle of one.
    let piece = text(&"✓".repeat(10_000));
    let mut server = Scripted::start([Reply::stream(&piece.repeat(20)).hold()]).await;
    let outcome = ask(&server.base_url, "hi").await;
    assert_eq!(outcome.text().len(), 399_999);
    let (usage, end) = outcome.done();
    assert_eq!(end, Finish::Length);
    assert!(usage.estimated);
    assert!(server.closed_within(SOON).await);
}

#[tokio::test]
async fn a_line_without_end_is_given_up() {
    let endless = format!("{}data: {}", text("a"), "x".repeat(2 << 20));
    let mut server = Scripted::start([Reply::stream(&endless).hold()]).await;
    ask(&server.base_url, "hi").await.error();
    assert!(server.closed_within(SOON).await);
}

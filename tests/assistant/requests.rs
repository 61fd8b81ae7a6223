//! What is sent to a provider, who is asked next, and what comes back with a good answer.

use std::time::Duration;

use serde_json::json;
use switchboard::assistant::{Assistant, Finish, Kind, Turn, TurnRole, persona};

use crate::{
    ask, assistant, endpoint, finish, prompt,
    scripted::{Reply, STOP, Scripted, text},
    settings,
};

fn good(words: &str) -> Reply {
    Reply::stream(&format!("{}{STOP}", text(words)))
}

#[tokio::test]
async fn the_model_sees_persona_support_line_and_turns() {
    let server = Scripted::start([good("ok")]).await;
    let mut asked = prompt("where is my order?");
    asked.persona = persona("tutor");
    asked.support = true;
    asked.turns.insert(0, Turn { role: TurnRole::Assistant, content: "Welcome".to_owned() });
    let mut settings = settings(&format!("{}/", server.base_url));
    settings.primary.api_key = Some(" sk-test \n".to_owned());
    finish(assistant(&settings).stream(asked)).await.done();

    let received = server.received().pop().expect("one request");
    assert!(received.head.starts_with("post /v1/chat/completions "), "{}", received.head);
    assert!(received.head.contains("authorization: bearer sk-test\r\n"));
    let body = received.body;
    assert_eq!(body["model"], "test-model");
    assert_eq!(body["stream"], true);
    assert_eq!(body["stream_options"], json!({ "include_usage": true }));
    assert_eq!(body["max_tokens"], 256);
    let roles: Vec<_> = (0..4).map(|turn| body["messages"][turn]["role"].clone()).collect();
    assert_eq!(roles, ["system", "system", "assistant", "user"]);
    assert_eq!(body["messages"][0]["content"], persona("tutor").system_prompt);
    assert_eq!(body["messages"][3]["content"], "where is my order?");
}

#[tokio::test]
async fn without_a_key_no_authorization_is_sent() {
    let server = Scripted::start([good("ok")]).await;
    ask(&server.base_url, "hi").await.done();
    let received = server.received().pop().expect("one request");
    assert!(!received.head.contains("authorization"), "{}", received.head);
}

#[tokio::test]
async fn the_newer_name_of_the_token_limit_is_learned() {
    let refusal = r#"{"error":{"message":"Use 'max_completion_tokens' instead.","param":"max_tokens"}}"#;
    let server = Scripted::start([Reply::status(400, "", refusal), good("a"), good("b")]).await;
    let assistant: Assistant = assistant(&settings(&server.base_url));
    assert_eq!(finish(assistant.stream(prompt("one"))).await.text(), "a");
    assert_eq!(finish(assistant.stream(prompt("two"))).await.text(), "b");
    let newer: Vec<bool> = server
        .received()
        .iter()
        .map(|request| {
            let newer = request.body.get("max_completion_tokens").is_some();
            assert_ne!(newer, request.body.get("max_tokens").is_some());
            newer
        })
        .collect();
    assert_eq!(newer, [false, true, true]);
}

#[tokio::test]
async fn usage_comes_from_the_provider_or_is_estimated() {
    let counted = format!(
        "{}data: {{\"choices\":[{{\"finish_reason\":\"length\"}}]}}\n\n\
         data: {{\"model\":\"named-7b\",\"choices\":[],\"usage\":{{\"prompt_tokens\":11,\"completion_tokens\":5}}}}\n\n\
         data: [DONE]\n\n",
        text("12345678")
    );
    let server = Scripted::start([Reply::stream(&counted), good("12345678")]).await;
    let (usage, end) = ask(&server.base_url, "hi").await.done();
    assert_eq!((usage.model.as_str(), usage.prompt_tokens, usage.completion_tokens), ("named-7b", 11, 5));
    assert!(!usage.estimated);
    assert_eq!(end, Finish::Length);

    let (usage, end) = ask(&server.base_url, "hi").await.done();
    assert_eq!((usage.model.as_str(), usage.completion_tokens), ("test-model", 2));
    assert!(usage.estimated && usage.prompt_tokens > 0);
    assert_eq!(end, Finish::Stop);
}

#[tokio::test]
async fn odd_but_readable_streams_are_read() {
    let odd = ": OPENROUTER PROCESSING\r\n\r\n\
        data:{\"choices\":[]}\r\n\r\n\
        data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":null},\"finish_reason\":\"\"}],\"usage\":{}}\n\n\
        data: {\"choices\":[{\"delta\":{\"reasoning_content\":\"hm\"}}],\"service_tier\":\"on_demand\"}\n\n\
        data: {\"choices\":[{\"delta\":{\"content\":[{\"type\":\"text\",\"text\":\"all \"}]}}]}\n\
        data: {\"choices\":[{\"delta\":{\"content\":\"right\"},\"finish_reason\":\"eos\"}]}";
    let server = Scripted::start([Reply::stream(odd)]).await;
    let outcome = ask(&server.base_url, "hi").await;
    assert_eq!(outcome.pieces, ["all ", "right"]);
    assert_eq!(outcome.done().1, Finish::Stop);
}

#[tokio::test]
async fn the_fallback_answers_when_the_primary_fails_before_its_first_word() {
    let primary = Scripted::start([Reply::status(400, "", "{}"), Reply::stream(""), Reply::silence()]).await;
    let second = Scripted::start([good("from b"), good("from b"), good("from b")]).await;
    let mut settings = settings(&primary.base_url);
    settings.total_timeout = Duration::from_secs(2);
    settings.fallback = Some(endpoint(&second.base_url));
    if let Some(fallback) = &mut settings.fallback {
        fallback.model = "model-b".to_owned();
    }
    let assistant = assistant(&settings);
    for failure in ["refused", "ended at once", "silent for half of the time"] {
        let outcome = finish(assistant.stream(prompt("hi"))).await;
        assert_eq!(outcome.text(), "from b", "{failure}");
        assert_eq!(outcome.done().0.model, "model-b", "{failure}");
    }
}

#[tokio::test]
async fn the_fallback_is_not_asked_once_text_was_shown() {
    let primary = Scripted::start([Reply::stream(&text("half"))]).await;
    let second = Scripted::start([good("from b")]).await;
    let mut settings = settings(&primary.base_url);
    settings.fallback = Some(endpoint(&second.base_url));
    let outcome = finish(assistant(&settings).stream(prompt("hi"))).await;
    assert_eq!(outcome.text(), "half");
    assert_eq!(outcome.error().kind, Kind::Broken);
    assert!(second.received().is_empty());
}

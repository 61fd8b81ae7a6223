//! The assistant against a third-party OpenAI-compatible server, and against one that misbehaves by script.

mod aimock;
mod check;
mod extract;
mod faults;
mod limits;
mod offline;
mod requests;
mod scripted;
mod settings;
mod tools;

use std::time::Duration;

use futures_util::StreamExt;
use switchboard::assistant::{
    Answering, Assistant, AssistantError, Call, Delta, Endpoint, Finish, Prompt, Provider, Settings, Turn, TurnRole,
    persona,
};
use switchboard::domain::answer::Usage;
use tokio::time::Instant;

/// How one answer went.
struct Outcome {
    /// The pieces of text, in order.
    pieces: Vec<String>,
    /// What it wants looked up, when it ended with that.
    calls: Vec<Call>,
    end: Result<(Usage, Finish), AssistantError>,
}

impl Outcome {
    fn text(&self) -> String {
        self.pieces.concat()
    }

    fn done(self) -> (Usage, Finish) {
        self.end.expect("the answer ends well")
    }

    fn error(self) -> AssistantError {
        self.end.expect_err("the answer fails")
    }
}

/// Reads an answer to its end, and makes sure that nothing follows it.
async fn finish(mut answer: Answering) -> Outcome {
    let (mut pieces, mut calls) = (Vec::new(), Vec::new());
    let end = loop {
        match next(&mut answer).await.expect("an answer ends with Done, Calls or an error") {
            Ok(Delta::Text(text)) => {
                assert!(!text.is_empty(), "a piece of text is never empty");
                pieces.push(text);
            }
            Ok(Delta::Done { usage, finish, .. }) => break Ok((usage, finish)),
            Ok(Delta::Calls { calls: made, usage }) => {
                assert!(!made.is_empty(), "a round has at least one call");
                calls = made;
                break Ok((usage, Finish::Stop));
            }
            Err(error) => break Err(error),
        }
    };
    assert!(next(&mut answer).await.is_none(), "nothing follows the end");
    Outcome { pieces, calls, end }
}

async fn next(answer: &mut Answering) -> Option<Result<Delta, AssistantError>> {
    tokio::time::timeout(Duration::from_secs(30), answer.next()).await.expect("the next step comes in time")
}

/// The text of the next step, which must be one.
async fn next_text(answer: &mut Answering) -> String {
    match next(answer).await {
        Some(Ok(Delta::Text(text))) => text,
        _ => panic!("the next step is not text"),
    }
}

fn prompt(question: &str) -> Prompt {
    Prompt {
        persona: persona("default"),
        turns: vec![Turn { role: TurnRole::User, content: question.to_owned() }],
        support: false,
        tools: Vec::new(),
        rounds: Vec::new(),
        begun: Instant::now(),
    }
}

fn endpoint(base_url: &str) -> Endpoint {
    Endpoint { base_url: Some(base_url.to_owned()), api_key: None, model: "test-model".to_owned() }
}

fn settings(base_url: &str) -> Settings {
    Settings {
        provider: Provider::Auto,
        primary: endpoint(base_url),
        fallback: None,
        max_output_tokens: 256,
        total_timeout: Duration::from_secs(20),
    }
}

fn assistant(settings: &Settings) -> Assistant {
    Assistant::from_settings(settings).expect("the settings are good")
}

/// Asks the server at `base_url` once.
async fn ask(base_url: &str, question: &str) -> Outcome {
    finish(assistant(&settings(base_url)).stream(prompt(question))).await
}

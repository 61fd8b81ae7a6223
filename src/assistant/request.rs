//! The bodies of requests to a Chat Completions API.

use serde_json::{Value, json};

use super::{
    Prompt,
    filters::FilterQuestion,
    prompt::Round,
    ways::{Features, Format, Ways},
};

/// What a server is asked for.
#[derive(Clone, Copy)]
pub(super) enum Question<'a> {
    /// An answer in a conversation.
    Answer(&'a Prompt),
    /// What is meant by a search.
    Filters(&'a FilterQuestion<'a>),
}

impl Question<'_> {
    pub(super) fn features(self) -> Features {
        match self {
            Self::Answer(prompt) => {
                Features { tools: !prompt.tools.is_empty() || !prompt.rounds.is_empty(), json: false }
            }
            Self::Filters(_) => Features { tools: false, json: true },
        }
    }

    /// The whole body for a model.
    pub(super) fn body(self, model: &str, max_output_tokens: u32, ways: Ways) -> Value {
        let limit = if ways.newer_limit { "max_completion_tokens" } else { "max_tokens" };
        let mut body = json!({
            "model": model,
            "stream": true,
            "stream_options": { "include_usage": true },
            limit: max_output_tokens,
        });
        let mut put = |name: &str, value: Value| {
            if let Some(body) = body.as_object_mut() {
                body.insert(name.to_owned(), value);
            }
        };
        match self {
            Self::Answer(prompt) => {
                put("messages", conversation(prompt, ways.tools).into());
                if ways.tools && !prompt.tools.is_empty() {
                    put("tools", prompt.tools.iter().map(|tool| tool.definition()).collect());
                }
            }
            Self::Filters(question) => {
                put("messages", question.messages());
                match ways.format {
                    Format::Schema => put("response_format", question.schema()),
                    Format::Object => put("response_format", json!({ "type": "json_object" })),
                    Format::Plain => {}
                }
            }
        }
        body
    }

    /// Characters of the request, for estimates.
    pub(super) fn length(self) -> usize {
        match self {
            Self::Answer(prompt) => prompt.length(),
            Self::Filters(question) => question.messages().to_string().chars().count(),
        }
    }
}

/// The conversation and what was looked up. A server that takes no tools is told the results in words of ours: another
/// one may have made the calls.
fn conversation(prompt: &Prompt, tools: bool) -> Vec<Value> {
    let said = |role: &str, content: &str| json!({ "role": role, "content": content });
    let mut messages: Vec<Value> = prompt.shown().map(|(role, content)| said(role.as_str(), content)).collect();
    for round in &prompt.rounds {
        if tools {
            messages.extend(called(round));
            continue;
        }
        let results: Vec<String> = round.calls.iter().map(|(call, found)| found.told(call)).collect();
        messages.push(said("system", &format!("Looked up for the answer:\n{}", results.join("\n"))));
    }
    messages
}

fn called(round: &Round) -> impl Iterator<Item = Value> {
    let calls: Vec<Value> = round.calls.iter().map(|(call, _)| {
        json!({ "id": call.id, "type": "function", "function": { "name": call.name, "arguments": call.arguments } })
    }).collect();
    let content = if round.said.is_empty() { Value::Null } else { round.said.as_str().into() };
    let call = json!({ "role": "assistant", "content": content, "tool_calls": calls });
    let results = round
        .calls
        .iter()
        .map(|(call, found)| json!({ "role": "tool", "tool_call_id": call.id, "content": found.told(call) }));
    std::iter::once(call).chain(results)
}

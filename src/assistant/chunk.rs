//! A streamed chunk, read leniently: servers that call themselves compatible leave out, add and bend fields.

use serde::Deserialize;
use serde_json::Value;

use super::{Finish, Kind};

/// One `data:` event. Every field may be missing or `null`; the ones that differ between servers stay untyped.
#[derive(Deserialize)]
pub(super) struct Chunk {
    #[serde(default)]
    model: Value,
    #[serde(default)]
    choices: Option<Vec<Choice>>,
    #[serde(default)]
    usage: Value,
    #[serde(default)]
    error: Value,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    delta: Option<Words>,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Words {
    #[serde(default)]
    content: Value,
    #[serde(default)]
    reasoning_content: Value,
    #[serde(default)]
    reasoning: Value,
    #[serde(default)]
    tool_calls: Value,
}

impl Chunk {
    /// A failure that the server reports inside a stream that began with status 200.
    pub(super) fn error(&self) -> Option<&Value> {
        (!self.error.is_null()).then_some(&self.error)
    }

    /// The model that answers, when the chunk says it.
    pub(super) fn model(&self) -> Option<&str> {
        self.model.as_str().filter(|model| !model.is_empty())
    }

    /// The new text; a list of typed parts is what Mistral's thinking models send.
    pub(super) fn text(&self) -> String {
        match self.words().map(|words| &words.content) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Array(parts)) => {
                parts.iter().filter_map(|part| part.get("text").and_then(Value::as_str)).collect()
            }
            _ => String::new(),
        }
    }

    /// The new fragments of calls.
    pub(super) fn calls(&self) -> &[Value] {
        self.words().and_then(|words| words.tool_calls.as_array()).map_or(&[], Vec::as_slice)
    }

    /// The model is at work, although it may only be thinking aloud, which is not shown.
    pub(super) fn is_alive(&self) -> bool {
        let said = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
        !self.text().is_empty()
            || self.words().is_some_and(|words| said(&words.reasoning_content) || said(&words.reasoning))
    }

    /// Why the answer ended, once it has; an unknown word (`eos`, `tool_calls` …) is an ordinary end.
    pub(super) fn finish(&self) -> Option<Result<Finish, Kind>> {
        let reason = self.choice()?.finish_reason.as_deref()?;
        match reason {
            "" => None,
            "length" | "max_tokens" => Some(Ok(Finish::Length)),
            "content_filter" => Some(Ok(Finish::ContentFilter)),
            "error" => Some(Err(Kind::Broken)),
            _ => Some(Ok(Finish::Stop)),
        }
    }

    /// Tokens of prompt and answer, when the provider counted both.
    pub(super) fn tokens(&self) -> Option<(u32, u32)> {
        let count = |name: &str| u32::try_from(self.usage.get(name)?.as_u64()?).ok();
        Some((count("prompt_tokens")?, count("completion_tokens")?))
    }

    fn words(&self) -> Option<&Words> {
        self.choice()?.delta.as_ref()
    }

    /// The first choice: one is asked for, but some chunks have none.
    fn choice(&self) -> Option<&Choice> {
        self.choices.as_ref()?.first()
    }
}

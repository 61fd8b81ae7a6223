//! Reads one server's answer from its first chunk to its count of tokens.

use std::time::Duration;

use async_openai::types::stream::StreamResponse;
use futures_util::StreamExt;
use tokio::time::timeout;

use super::{
    AssistantError, Delta, Finish, Kind,
    calls::Calls,
    chunk::Chunk,
    quarter,
    retry::{self, Patience},
    tools::Tool,
    upstream::Upstream,
};
use crate::domain::answer::Usage;

/// For the count that comes behind the end of the text; some servers keep quiet instead.
const USAGE_PATIENCE: Duration = Duration::from_secs(2);
/// Of one answer's text; beyond it the answer ends as too long.
const MAX_TEXT: usize = 400_000;

/// An answer that is being read. Dropping it closes the connection.
pub(super) struct Answer {
    chunks: StreamResponse<Chunk>,
    host: String,
    patience: Patience,
    /// What the model was offered.
    offered: Vec<Tool>,
    calls: Calls,
    /// What is known so far; the prompt's part begins as an estimate.
    usage: Usage,
    text_bytes: usize,
    text_characters: usize,
    alive: bool,
    ending: Option<Finish>,
    /// We ended it, and the server still writes.
    cut: bool,
}

impl Answer {
    pub(super) fn new(
        chunks: StreamResponse<Chunk>,
        upstream: &Upstream,
        patience: Patience,
        offered: Vec<Tool>,
        prompt_characters: usize,
    ) -> Self {
        let usage = Usage {
            model: upstream.model().to_owned(),
            prompt_tokens: quarter(prompt_characters),
            completion_tokens: 0,
            estimated: true,
        };
        Self {
            chunks,
            host: upstream.host().to_owned(),
            patience,
            offered,
            calls: Calls::default(),
            usage,
            text_bytes: 0,
            text_characters: 0,
            alive: false,
            ending: None,
            cut: false,
        }
    }

    /// The model is at work: it has begun to write, to call, or to think aloud.
    pub(super) const fn is_alive(&self) -> bool {
        self.alive
    }

    /// The next step; not to be called again after the last one or an error.
    pub(super) async fn next(&mut self) -> Result<Delta, AssistantError> {
        while self.ending.is_none() {
            let chunk = self.chunk().await?;
            self.note(&chunk);
            let text = self.fit(chunk.text());
            if self.ending.is_none() {
                self.ending = chunk
                    .finish()
                    .transpose()
                    .map_err(|kind| self.failure(kind, "the server ended it with an error"))?;
            }
            if !text.is_empty() {
                return Ok(Delta::Text(text));
            }
        }
        self.await_usage().await;
        let usage = self.usage();
        if self.calls.is_empty() {
            return Ok(Delta::Done { usage, finish: self.ending.unwrap_or(Finish::Stop), quoted: None });
        }
        if !self.offered.is_empty() {
            return Ok(Delta::Calls { calls: self.calls.finish(&self.offered), usage });
        }
        if self.text_bytes == 0 {
            return Err(self.failure(Kind::Broken, "it only calls tools that it was not offered"));
        }
        Ok(Delta::Done { usage, finish: Finish::Stop, quoted: None })
    }

    async fn chunk(&mut self) -> Result<Chunk, AssistantError> {
        let patience = if self.alive { self.patience.idle } else { self.patience.first_byte };
        let Ok(next) = timeout(patience, self.chunks.next()).await else {
            let cause = format!("nothing came for {} s", patience.as_secs());
            return Err(self.failure(Kind::TimedOut, &cause));
        };
        let chunk = match next {
            Some(Ok(chunk)) => chunk,
            Some(Err(_)) => return Err(self.failure(Kind::Broken, "the stream was cut")),
            None => {
                return Err(self.failure(Kind::Broken, "it ended without a finish reason"));
            }
        };
        match chunk.error() {
            Some(error) => {
                let cause = format!("error in the stream, code {}", retry::code(error));
                Err(self.failure(Kind::Broken, &cause))
            }
            None => Ok(chunk),
        }
    }

    fn note(&mut self, chunk: &Chunk) {
        for fragment in chunk.calls() {
            self.calls.add(fragment);
        }
        self.alive = self.alive || chunk.is_alive() || !self.calls.is_empty();
        if let Some(model) = chunk.model() {
            model.clone_into(&mut self.usage.model);
        }
        if let Some((prompt, completion)) = chunk.tokens() {
            self.usage.prompt_tokens = prompt;
            self.usage.completion_tokens = completion;
            self.usage.estimated = false;
        }
    }

    /// As much of the text as still has room; the answer ends where it is cut.
    fn fit(&mut self, mut text: String) -> String {
        let room = MAX_TEXT - self.text_bytes;
        if text.len() > room {
            text.truncate(text.floor_char_boundary(room));
            self.ending = Some(Finish::Length);
            self.cut = true;
        }
        self.text_bytes += text.len();
        self.text_characters += text.chars().count();
        text
    }

    /// The count follows the finish reason in a chunk of its own. What goes wrong here does no harm: the text
    /// is whole.
    async fn await_usage(&mut self) {
        let counted = timeout(USAGE_PATIENCE, async {
            while self.usage.estimated && !self.cut {
                let Some(Ok(chunk)) = self.chunks.next().await else {
                    break;
                };
                self.note(&chunk);
            }
        });
        if counted.await.is_err() {
            tracing::debug!(host = self.host, "the AI provider did not count its tokens");
        }
    }

    fn usage(&self) -> Usage {
        let mut usage = self.usage.clone();
        // Some servers count nothing and say 0.
        if usage.estimated || (usage.completion_tokens == 0 && self.text_characters > 0) {
            usage.completion_tokens = quarter(self.text_characters);
            usage.estimated = true;
        }
        usage
    }

    fn failure(&self, kind: Kind, cause: &str) -> AssistantError {
        AssistantError::new(kind, format!("{}: {cause}", self.host))
    }
}

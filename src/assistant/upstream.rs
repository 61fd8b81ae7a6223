//! One OpenAI-compatible server: sends it a prompt and reads its answer.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_openai::{
    Client, config::OpenAIConfig, error::OpenAIError, middleware::HttpRequestFactory, types::stream::StreamResponse,
};
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{
    AssistantError, Delta, Finish, Kind, Prompt,
    chunk::Chunk,
    estimated_usage, quarter,
    retry::{self, FIRST_BYTE, OpenFailure, Opener},
    settings::Target,
};
use crate::domain::answer::Usage;

/// Between two chunks once the model has begun.
const IDLE: Duration = Duration::from_secs(20);
/// For the count that comes behind the end of the text; some servers keep quiet instead.
const USAGE_PATIENCE: Duration = Duration::from_secs(2);
/// Of one answer's text; beyond it the answer ends as too long.
const MAX_TEXT: usize = 400_000;

/// A server that can be asked.
pub(super) struct Upstream {
    client: Client<OpenAIConfig>,
    model: String,
    host: String,
    max_output_tokens: u32,
    /// It has refused `max_tokens` and asked for the newer name.
    wants_completion_tokens: AtomicBool,
}

impl Upstream {
    /// Nothing is sent yet.
    pub(super) fn new(target: Target, http: reqwest::Client, max_output_tokens: u32) -> Self {
        // Everything is set, so that nothing comes from the environment behind the operator's back. The
        // configuration would send a key even where there is none; the opener puts in the right header.
        let config =
            OpenAIConfig::default().with_api_base(target.base_url).with_api_key("").with_org_id("").with_project_id("");
        let opener = Arc::new(Opener { http, authorization: target.authorization });
        let service = tower::service_fn(move |requests: HttpRequestFactory| {
            let opener = Arc::clone(&opener);
            async move { opener.open(requests).await }
        });
        Self {
            client: Client::with_config(config).with_http_service(service),
            model: target.model,
            host: target.host,
            max_output_tokens,
            wants_completion_tokens: AtomicBool::new(false),
        }
    }

    pub(super) fn model(&self) -> &str {
        &self.model
    }

    /// Asks, with retries. The answer's first word may still be long in coming.
    pub(super) async fn open(&self, prompt: &Prompt) -> Result<Answer, AssistantError> {
        let newer = self.wants_completion_tokens.load(Ordering::Relaxed);
        let chunks = match self.ask(prompt, newer).await {
            Err(error) if !newer && wants_completion_tokens(&error) => {
                self.wants_completion_tokens.store(true, Ordering::Relaxed);
                self.ask(prompt, true).await
            }
            result => result,
        };
        Ok(Answer {
            chunks: chunks.map_err(|error| self.failure(&error))?,
            host: self.host.clone(),
            usage: estimated_usage(&self.model, prompt, ""),
            text_bytes: 0,
            text_characters: 0,
            alive: false,
            ending: None,
            cut: false,
        })
    }

    async fn ask(&self, prompt: &Prompt, newer: bool) -> Result<StreamResponse<Chunk>, OpenAIError> {
        let messages: Vec<Value> =
            prompt.shown().map(|(role, content)| json!({ "role": role.as_str(), "content": content })).collect();
        let limit = if newer { "max_completion_tokens" } else { "max_tokens" };
        let request = json!({
            "model": self.model,
            "messages": messages,
            "stream": true,
            "stream_options": { "include_usage": true },
            limit: self.max_output_tokens,
        });
        self.client.chat().create_stream_byot(request).await
    }

    fn failure(&self, error: &OpenAIError) -> AssistantError {
        match open_failure(error) {
            Some(failure) => failure.for_outside(&self.host),
            // Not the error's own words: they may hold what the server sent.
            None => AssistantError::new(Kind::Unavailable, format!("{}: the request could not be sent", self.host)),
        }
    }
}

fn open_failure(error: &OpenAIError) -> Option<&OpenFailure> {
    match error {
        OpenAIError::Boxed(inner) => inner.downcast_ref(),
        _ => None,
    }
}

fn wants_completion_tokens(error: &OpenAIError) -> bool {
    open_failure(error).is_some_and(OpenFailure::wants_completion_tokens)
}

/// An answer that is being read. Dropping it closes the connection.
pub(super) struct Answer {
    chunks: StreamResponse<Chunk>,
    host: String,
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
    /// The model is at work: it has begun to write, or to think aloud.
    pub(super) const fn is_alive(&self) -> bool {
        self.alive
    }

    /// The next step; not to be called again after `Done` or an error.
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
        Ok(Delta::Done { usage: self.usage(), finish: self.ending.unwrap_or(Finish::Stop) })
    }

    async fn chunk(&mut self) -> Result<Chunk, AssistantError> {
        let patience = if self.alive { IDLE } else { FIRST_BYTE };
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
        self.alive = self.alive || chunk.is_alive();
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

//! One OpenAI-compatible server: asks it in the way that it understands.

use std::sync::Arc;

use async_openai::{Client, config::OpenAIConfig, error::OpenAIError, middleware::HttpRequestFactory};

use super::{
    AssistantError, Kind, Prompt,
    answer::Answer,
    filters::FilterQuestion,
    request::Question,
    retry::{OpenFailure, Opener, PATIENT, Patience, QUICK},
    settings::Target,
    ways::Learned,
};

/// A server that can be asked.
pub(super) struct Upstream {
    /// For answers, which may take their time.
    patient: Client<OpenAIConfig>,
    /// For what somebody waits for with nothing to look at.
    quick: Client<OpenAIConfig>,
    pub(super) http: reqwest::Client,
    pub(super) target: Target,
    max_output_tokens: u32,
    learned: Learned,
}

impl Upstream {
    /// Nothing is sent yet.
    pub(super) fn new(target: Target, http: reqwest::Client, max_output_tokens: u32) -> Self {
        Self {
            patient: client(&target, &http, PATIENT),
            quick: client(&target, &http, QUICK),
            http,
            target,
            max_output_tokens,
            learned: Learned::default(),
        }
    }

    pub(super) fn model(&self) -> &str {
        &self.target.model
    }

    pub(super) fn host(&self) -> &str {
        &self.target.host
    }

    /// Asks for an answer, with retries. Its first word may still be long in coming.
    pub(super) async fn open(&self, prompt: &Prompt) -> Result<Answer, AssistantError> {
        self.ask(&self.patient, PATIENT, Question::Answer(prompt)).await
    }

    /// Asks what is meant by a search, with retries.
    pub(super) async fn open_filters(&self, question: &FilterQuestion<'_>) -> Result<Answer, AssistantError> {
        self.ask(&self.quick, QUICK, Question::Filters(question)).await
    }

    async fn ask(
        &self,
        client: &Client<OpenAIConfig>,
        patience: Patience,
        question: Question<'_>,
    ) -> Result<Answer, AssistantError> {
        let mut ways = self.learned.ways();
        loop {
            let body = question.body(self.model(), self.max_output_tokens, ways);
            let error = match client.chat().create_stream_byot(body).await {
                Ok(chunks) => {
                    self.learned.keep(ways);
                    let offered = match question {
                        Question::Answer(prompt) if ways.tools => prompt.tools.clone(),
                        _ => Vec::new(),
                    };
                    return Ok(Answer::new(chunks, self, patience, offered, question.length()));
                }
                Err(error) => error,
            };
            let other = open_failure(&error).and_then(|failure| ways.after(failure, question.features()));
            let Some(other) = other else { return Err(self.failure(&error)) };
            tracing::debug!(host = self.host(), ?other, "the AI provider is asked in another way");
            ways = other;
        }
    }

    fn failure(&self, error: &OpenAIError) -> AssistantError {
        match open_failure(error) {
            Some(failure) => failure.for_outside(self.host()),
            // Not the error's own words: they may hold what the server sent.
            None => AssistantError::new(Kind::Unavailable, format!("{}: the request could not be sent", self.host())),
        }
    }
}

fn client(target: &Target, http: &reqwest::Client, patience: Patience) -> Client<OpenAIConfig> {
    // Everything is set, so that nothing comes from the environment behind the operator's back. The configuration
    // would send a key even where there is none; the opener puts in the right header.
    let config =
        OpenAIConfig::default().with_api_base(&target.base_url).with_api_key("").with_org_id("").with_project_id("");
    let opener = Arc::new(Opener { http: http.clone(), authorization: target.authorization.clone(), patience });
    let service = tower::service_fn(move |requests: HttpRequestFactory| {
        let opener = Arc::clone(&opener);
        async move { opener.open(requests).await }
    });
    Client::with_config(config).with_http_service(service)
}

fn open_failure(error: &OpenAIError) -> Option<&OpenFailure> {
    match error {
        OpenAIError::Boxed(inner) => inner.downcast_ref(),
        _ => None,
    }
}

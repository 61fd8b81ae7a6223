//! One answer from OpenAI-compatible servers: the primary, then the fallback, within one time limit.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, stream};
use tokio::time::{Instant, timeout_at};

use super::{Answering, AssistantError, Delta, Kind, Prompt, Settings, answer::Answer, upstream::Upstream};

/// More than enough for a handshake, also with a server far away.
const CONNECT: Duration = Duration::from_secs(5);

/// Asks OpenAI-compatible servers. Cheap to clone.
#[derive(Clone)]
pub struct OpenAi {
    pub(super) primary: Arc<Upstream>,
    pub(super) fallback: Option<Arc<Upstream>>,
    total_timeout: Duration,
}

impl OpenAi {
    /// Nothing is sent yet.
    ///
    /// # Errors
    /// One readable line when a key or an address is malformed.
    pub(super) fn new(settings: &Settings) -> Result<Self, String> {
        let (primary, fallback) = settings.targets()?;
        // Redirects would turn the POST into a GET and could carry the key elsewhere.
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("switchboard/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| format!("the HTTP client for the AI cannot be made: {error}"))?;
        let upstream = |target| Arc::new(Upstream::new(target, http.clone(), settings.max_output_tokens));
        Ok(Self { primary: upstream(primary), fallback: fallback.map(upstream), total_timeout: settings.total_timeout })
    }

    pub(super) fn model(&self) -> &str {
        self.primary.model()
    }

    pub(super) fn stream(&self, prompt: Prompt) -> Answering {
        let deadline = prompt.begun + self.total_timeout;
        let now = Instant::now();
        let run = Run {
            prompt,
            upstream: Arc::clone(&self.primary),
            fallback: self.fallback.clone(),
            answer: None,
            spoken: false,
            over: false,
            deadline,
            half_time: now + deadline.saturating_duration_since(now) / 2,
        };
        stream::unfold(run, |mut run| async move {
            let item = run.next().await?;
            Some((item, run))
        })
        .boxed()
    }
}

/// One answer under way.
struct Run {
    prompt: Prompt,
    /// Who is asked.
    upstream: Arc<Upstream>,
    /// Who is asked next.
    fallback: Option<Arc<Upstream>>,
    /// What is being read.
    answer: Option<Answer>,
    /// Text was given away, so that nobody else can be asked.
    spoken: bool,
    over: bool,
    deadline: Instant,
    /// A primary that has not begun by then leaves the rest of the time to the fallback.
    half_time: Instant,
}

impl Run {
    async fn next(&mut self) -> Option<Result<Delta, AssistantError>> {
        if self.over {
            return None;
        }
        let item = self.step().await;
        match &item {
            Ok(Delta::Text(_)) => self.spoken = true,
            Ok(Delta::Done { .. } | Delta::Calls { .. }) | Err(_) => {
                self.over = true;
                // Closes the connection now, whenever the caller drops the stream.
                self.answer = None;
            }
        }
        Some(item)
    }

    async fn step(&mut self) -> Result<Delta, AssistantError> {
        loop {
            let until = self.patience();
            let error = match timeout_at(until, self.ask()).await {
                Ok(Ok(delta)) => return Ok(delta),
                Ok(Err(error)) => error,
                // Thinking aloud counts as a beginning only once it is heard.
                Err(_) if self.patience() > until => continue,
                Err(_) => AssistantError::new(Kind::TimedOut, "the time for one answer is over"),
            };
            self.answer = None;
            if self.spoken {
                return Err(error);
            }
            let Some(fallback) = self.fallback.take() else {
                return Err(error);
            };
            tracing::warn!(cause = error.cause, "the AI provider failed; the fallback is asked");
            self.upstream = fallback;
        }
    }

    /// Reads on; asks first where that has not been done.
    async fn ask(&mut self) -> Result<Delta, AssistantError> {
        let answer = match &mut self.answer {
            Some(answer) => answer,
            None => {
                let opened = self.upstream.open(&self.prompt).await?;
                self.answer.insert(opened)
            }
        };
        answer.next().await
    }

    fn patience(&self) -> Instant {
        let begun = self.spoken || self.answer.as_ref().is_some_and(Answer::is_alive);
        if begun || self.fallback.is_none() { self.deadline } else { self.half_time }
    }
}

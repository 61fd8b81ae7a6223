//! Asks what is meant by a search, quickly or not at all: somebody waits, and keywords can be searched without it.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::{AssistantError, Delta, Kind, OpenAi, filters::FilterQuestion, upstream::Upstream};
use crate::domain::search::Filters;

/// For everything: retries, the fallback, reading.
const TOTAL: Duration = Duration::from_secs(8);
/// What the primary may take of it when there is a fallback.
const PRIMARY: Duration = Duration::from_secs(4);
/// How often a server is asked that answers, but with nothing usable.
const TRIES: u32 = 2;
/// The longest answer that is read, in bytes; a model that writes more does not do what it was asked.
const TEXT_MAX: usize = 8 << 10;

impl OpenAi {
    /// See [`super::Assistant::extract_filters`].
    pub(super) async fn extract_filters(
        &self,
        query: &str,
        previous: Option<&Filters>,
        categories: &[String],
    ) -> Result<Filters, AssistantError> {
        let question = FilterQuestion { query, previous, categories };
        let begun = Instant::now();
        let Some(fallback) = &self.fallback else {
            return within(begun + TOTAL, &self.primary, &question).await;
        };
        match within(begun + PRIMARY, &self.primary, &question).await {
            Ok(filters) => Ok(filters),
            Err(error) => {
                tracing::warn!(cause = error.cause, "the AI provider failed; the fallback is asked");
                within(begun + TOTAL, fallback, &question).await
            }
        }
    }
}

async fn within(
    deadline: Instant,
    upstream: &Upstream,
    question: &FilterQuestion<'_>,
) -> Result<Filters, AssistantError> {
    timeout_at(deadline, ask(upstream, question)).await.unwrap_or_else(|_| {
        let cause = format!("{}: the time for a search is over", upstream.host());
        Err(AssistantError::new(Kind::TimedOut, cause))
    })
}

async fn ask(upstream: &Upstream, question: &FilterQuestion<'_>) -> Result<Filters, AssistantError> {
    for _ in 0..TRIES {
        let text = read(upstream, question).await?;
        if let Some(filters) = question.read(&text) {
            return Ok(filters);
        }
    }
    Err(AssistantError::new(Kind::Broken, format!("{}: the answer is not what was asked for", upstream.host())))
}

/// The whole text, as far as it is of use.
async fn read(upstream: &Upstream, question: &FilterQuestion<'_>) -> Result<String, AssistantError> {
    let mut answer = upstream.open_filters(question).await?;
    let mut text = String::new();
    while let Delta::Text(more) = answer.next().await? {
        text.push_str(&more);
        // Nobody counts the tokens here, so that nothing behind the object is waited for.
        let is_whole = more.contains('}') && question.read(&text).is_some();
        if is_whole || text.len() > TEXT_MAX {
            break;
        }
    }
    Ok(text)
}

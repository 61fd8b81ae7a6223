//! Asks the provider at start whether it accepts the key, so that a wrong one is found before the first question.

use std::time::Duration;

use reqwest::{RequestBuilder, StatusCode, header::AUTHORIZATION};
use serde_json::json;

use super::{OpenAi, upstream::Upstream};

/// For each of the two requests; a process that starts does not wait longer for a provider.
const PATIENCE: Duration = Duration::from_secs(5);

impl OpenAi {
    /// See [`super::Assistant::check`].
    pub(super) async fn check(&self) -> Result<(), String> {
        let upstream = &*self.primary;
        let host = upstream.host();
        let models = status(upstream, upstream.http.get(address(upstream, "models"))).await;
        let status = match models {
            Ok(status) if status.is_success() => return Ok(()),
            // A key may be allowed to answer but not to list models, and not every server has a list: ask for a word.
            Ok(_) => status(upstream, word(upstream)).await,
            Err(error) => Err(error),
        };
        match status {
            Ok(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                let problem =
                    if upstream.target.authorization.is_some() { "is not accepted by" } else { "is wanted by" };
                Err(format!("OPENAI_API_KEY {problem} {host}"))
            }
            Ok(status) if status.is_success() => Ok(()),
            Ok(status) => {
                tracing::warn!(host, status = status.as_u16(), "the AI provider answers with an error");
                Ok(())
            }
            Err(error) => {
                tracing::warn!(host, %error, "the AI provider cannot be asked whether it accepts the key");
                Ok(())
            }
        }
    }
}

fn address(upstream: &Upstream, path: &str) -> String {
    format!("{}/{path}", upstream.target.base_url)
}

/// Asks for the shortest answer there is.
fn word(upstream: &Upstream) -> RequestBuilder {
    let messages = json!([{ "role": "user", "content": "Hi" }]);
    let body = json!({ "model": upstream.model(), "messages": messages, "max_tokens": 1 });
    upstream.http.post(address(upstream, "chat/completions")).json(&body)
}

async fn status(upstream: &Upstream, mut request: RequestBuilder) -> reqwest::Result<StatusCode> {
    if let Some(value) = &upstream.target.authorization {
        request = request.header(AUTHORIZATION, value.clone());
    }
    let response = request.timeout(PATIENCE).send().await.map_err(reqwest::Error::without_url)?;
    Ok(response.status())
}

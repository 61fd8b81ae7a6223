//! What an operator may set about the AI, and the checks that keep a bad value from failing at the first question.

use std::{fmt, time::Duration};

use async_openai::config::OPENAI_API_BASE;
use http::HeaderValue;
use reqwest::Url;

/// The model that is asked when none is named.
pub const DEFAULT_MODEL: &str = "gpt-4o-mini";

/// `AI_PROVIDER`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Provider {
    /// `OpenAi` when a key or a base URL is set, else `Offline`.
    #[default]
    Auto,
    /// An OpenAI-compatible server.
    OpenAi,
    /// None.
    Offline,
}

/// One OpenAI-compatible server as the operator names it. Empty text counts as unset.
#[derive(Clone, Default)]
pub struct Endpoint {
    /// Up to and without `/chat/completions`; unset means OpenAI's own.
    pub base_url: Option<String>,
    /// Sent as a bearer token; unset sends no `Authorization` at all.
    pub api_key: Option<String>,
    /// Empty means [`DEFAULT_MODEL`].
    pub model: String,
}

impl fmt::Debug for Endpoint {
    /// Without the key, and without the address, which may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("model", &self.model).finish_non_exhaustive()
    }
}

/// Everything about the AI that can be set.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Which kind of provider.
    pub provider: Provider,
    /// Asked first.
    pub primary: Endpoint,
    /// Asked when the primary fails before its first word.
    pub fallback: Option<Endpoint>,
    /// The most tokens that one answer may have.
    pub max_output_tokens: u32,
    /// The most time that one answer may take, retries and fallback included.
    pub total_timeout: Duration,
}

impl Settings {
    /// Whether a provider is to be asked.
    ///
    /// # Errors
    /// One readable line when one is demanded but none is named.
    pub(super) fn wants_openai(&self) -> Result<bool, String> {
        match self.provider {
            Provider::Offline => Ok(false),
            Provider::Auto => Ok(self.primary.is_set()),
            Provider::OpenAi if self.primary.is_set() => Ok(true),
            Provider::OpenAi => {
                Err("AI_PROVIDER=openai needs OPENAI_API_KEY, or OPENAI_BASE_URL for another OpenAI-compatible server"
                    .to_owned())
            }
        }
    }

    /// The server to ask and the one to ask after it, checked.
    ///
    /// # Errors
    /// One readable line that names the variable.
    pub(super) fn targets(&self) -> Result<(Target, Option<Target>), String> {
        if self.max_output_tokens == 0 {
            return Err("AI_MAX_OUTPUT_TOKENS must be at least 1".to_owned());
        }
        if self.total_timeout.is_zero() {
            return Err("AI_TIMEOUT must be longer than 0".to_owned());
        }
        let primary = self.primary.target("OPENAI")?;
        let fallback = self.fallback.as_ref().filter(|endpoint| endpoint.is_set());
        let fallback = fallback.map(|endpoint| endpoint.target("AI_FALLBACK"));
        Ok((primary, fallback.transpose()?))
    }
}

/// A checked endpoint.
pub(super) struct Target {
    /// Without a trailing slash.
    pub base_url: String,
    /// The whole `Authorization` value, marked as sensitive.
    pub authorization: Option<HeaderValue>,
    /// Not empty.
    pub model: String,
    /// The host, for the log.
    pub host: String,
}

impl Endpoint {
    fn is_set(&self) -> bool {
        filled(self.base_url.as_deref()).is_some() || filled(self.api_key.as_deref()).is_some()
    }

    fn target(&self, prefix: &str) -> Result<Target, String> {
        let base_url = filled(self.base_url.as_deref()).unwrap_or(OPENAI_API_BASE);
        let base_url = base_url.trim_end_matches('/');
        let url = Url::parse(base_url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let Some(host) = url.as_ref().and_then(Url::host_str) else {
            return Err(format!("{prefix}_BASE_URL must be an address such as http://localhost:11434/v1"));
        };
        let authorization =
            filled(self.api_key.as_deref()).map(bearer).transpose().map_err(|why| format!("{prefix}_API_KEY {why}"))?;
        Ok(Target {
            base_url: base_url.to_owned(),
            authorization,
            model: filled(Some(&self.model)).unwrap_or(DEFAULT_MODEL).to_owned(),
            host: host.to_owned(),
        })
    }
}

fn bearer(key: &str) -> Result<HeaderValue, &'static str> {
    if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("has a space, a line break or another character that a key cannot have");
    }
    let mut value = HeaderValue::from_str(&format!("Bearer {key}")).map_err(|_| "cannot stand in an HTTP header")?;
    value.set_sensitive(true);
    Ok(value)
}

fn filled(text: Option<&str>) -> Option<&str> {
    text.map(str::trim).filter(|text| !text.is_empty())
}

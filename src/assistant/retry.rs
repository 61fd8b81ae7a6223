//! Opens a stream with a few attempts; once it is open nothing is tried again, for text may have been shown.

use std::time::Duration;

use async_openai::{error::OpenAIError, middleware::HttpRequestFactory};
use chrono::DateTime;
use reqwest::{
    Body, Client, Request, Response,
    header::{AUTHORIZATION, DATE, HeaderMap, HeaderValue, RETRY_AFTER},
};
use serde_json::Value;
use tokio::time::{sleep, timeout};

use super::{AssistantError, Kind, guard::guard};

const ATTEMPTS: u32 = 3;
/// Bounds of the pause before the second attempt; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(8);
/// Of an error's body; more is not needed to read its code.
const MAX_ERROR_BODY: usize = 64 << 10;
const ERROR_BODY_PATIENCE: Duration = Duration::from_secs(5);

/// How long a server is waited for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// Until it begins.
    pub first_byte: Duration,
    /// Between two chunks once the model has begun.
    pub idle: Duration,
    /// What `Retry-After` may ask for at most: a person is waiting.
    retry_after: Duration,
}

/// A slow local model reads the whole prompt, and may first be loaded, before it answers anything.
pub(super) const PATIENT: Patience = Patience {
    first_byte: Duration::from_secs(60),
    idle: Duration::from_secs(20),
    retry_after: Duration::from_secs(20),
};

/// For what can be done worse, but at once, without the AI.
pub(super) const QUICK: Patience =
    Patience { first_byte: Duration::from_secs(4), idle: Duration::from_secs(4), retry_after: Duration::from_secs(2) };

/// Why a stream could not be opened.
#[derive(Debug, thiserror::Error)]
pub(super) enum OpenFailure {
    /// The provider answered with an error.
    #[error("status {status}, code {}", fault.code)]
    Status {
        status: u16,
        fault: Fault,
        /// What `Retry-After` asks for.
        retry_after: Option<Duration>,
    },
    /// No connection.
    #[error("cannot connect: {}", root(.0))]
    Connect(reqwest::Error),
    /// Connected, then lost before the answer began.
    #[error("request failed: {}", root(.0))]
    Request(reqwest::Error),
    /// Connected, but not a byte of an answer.
    #[error("no answer within {} s", .0.as_secs())]
    Silent(Duration),
}

/// What is kept of an error's body. Its free text is not: it may repeat the key or the conversation.
#[derive(Debug, Default)]
pub(super) struct Fault {
    /// The provider's code, else its type, else empty.
    pub code: String,
    /// It names `max_completion_tokens`, the newer name of the token limit.
    pub names_completion_tokens: bool,
    /// It speaks of tools or functions.
    pub names_tools: bool,
    /// It speaks of a format or a schema.
    pub names_format: bool,
}

impl OpenFailure {
    /// The request is good but for the older name of its token limit.
    pub(super) fn wants_completion_tokens(&self) -> bool {
        matches!(self, Self::Status { status: 400 | 422, fault, .. } if fault.names_completion_tokens)
    }

    /// The server, or the model behind it, takes no tools. A prompt that is too long may name its functions too.
    pub(super) fn refuses_tools(&self) -> bool {
        matches!(self, Self::Status { status: 400 | 404 | 422 | 500 | 501, fault, .. }
            if fault.names_tools && fault.code != "context_length_exceeded")
    }

    /// The server may not know the format that is asked for.
    pub(super) fn refuses_format(&self) -> bool {
        match self {
            Self::Status { status: 400 | 422, .. } => true,
            Self::Status { status: 404 | 500 | 501, fault, .. } => fault.names_format,
            _ => false,
        }
    }

    /// The same for the outside; `host` says who failed.
    pub(super) fn for_outside(&self, host: &str) -> AssistantError {
        let kind = match self {
            Self::Status { fault, .. } if fault.code == "insufficient_quota" => Kind::Misconfigured,
            Self::Status { status, .. } => match *status {
                429 => Kind::RateLimited,
                401 | 403 | 404 | 300..=399 => Kind::Misconfigured,
                408 | 409 | 500..=599 => Kind::Unavailable,
                other => Kind::Rejected(other),
            },
            Self::Connect(_) | Self::Request(_) => Kind::Unavailable,
            Self::Silent(_) => Kind::TimedOut,
        };
        AssistantError::new(kind, format!("{host}: {self}"))
    }

    /// How long to wait before attempt number `next` (2, 3 …); `None` when it would be in vain.
    fn pause(&self, next: u32, patience: Patience) -> Option<Duration> {
        match self {
            Self::Status { status, fault, retry_after } => {
                let passing = matches!(status, 408 | 409 | 429 | 500..=599) && *status != 501;
                let asked = retry_after.map(|asked| asked.min(patience.retry_after));
                (passing && fault.code != "insufficient_quota").then(|| asked.unwrap_or_else(|| jitter(next)))
            }
            Self::Connect(_) => Some(jitter(next)),
            Self::Request(_) | Self::Silent(_) => None,
        }
    }
}

/// The HTTP service behind the async-openai client: several attempts, and a body that is safe to read.
pub(super) struct Opener {
    pub http: Client,
    /// The only `Authorization` that is sent.
    pub authorization: Option<HeaderValue>,
    pub patience: Patience,
}

impl Opener {
    /// Sends the request until a stream is open.
    ///
    /// # Errors
    /// A boxed [`OpenFailure`] once no attempt is left or none is worth it.
    pub(super) async fn open(&self, requests: HttpRequestFactory) -> Result<Response, OpenAIError> {
        let mut attempt = 1;
        loop {
            let failure = match self.once(requests.build().await?).await {
                Ok(response) => return Ok(guarded(response)),
                Err(failure) => failure,
            };
            attempt += 1;
            match failure.pause(attempt, self.patience) {
                Some(pause) if attempt <= ATTEMPTS => {
                    tracing::debug!(%failure, attempt, ?pause, "the AI provider is asked again");
                    sleep(pause).await;
                }
                _ => return Err(OpenAIError::Boxed(Box::new(failure))),
            }
        }
    }

    async fn once(&self, mut request: Request) -> Result<Response, OpenFailure> {
        request.headers_mut().remove(AUTHORIZATION);
        if let Some(value) = &self.authorization {
            request.headers_mut().insert(AUTHORIZATION, value.clone());
        }
        let response = match timeout(self.patience.first_byte, self.http.execute(request)).await {
            Err(_) => return Err(OpenFailure::Silent(self.patience.first_byte)),
            Ok(Err(error)) if error.is_connect() => {
                return Err(OpenFailure::Connect(error.without_url()));
            }
            Ok(Err(error)) => return Err(OpenFailure::Request(error.without_url())),
            Ok(Ok(response)) => response,
        };
        if response.status().is_success() {
            return Ok(response);
        }
        Err(OpenFailure::Status {
            status: response.status().as_u16(),
            retry_after: retry_after(response.headers()),
            fault: fault(&error_body(response).await),
        })
    }
}

fn guarded(response: Response) -> Response {
    let body = Box::pin(response.bytes_stream());
    http::Response::new(Body::wrap_stream(guard(body))).into()
}

/// Between nothing and the doubling bound, so that many clients do not come back together.
fn jitter(next: u32) -> Duration {
    let doublings = next.saturating_sub(2);
    let bound = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(doublings));
    bound.min(LONGEST_PAUSE).mul_f64(rand::random::<f64>())
}

/// Seconds, or a date, which is compared with the provider's own clock.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name)?.to_str().ok();
    let asked = text(RETRY_AFTER)?.trim();
    if let Ok(seconds) = asked.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let until = DateTime::parse_from_rfc2822(asked).ok()?;
    let now = DateTime::parse_from_rfc2822(text(DATE)?).ok()?;
    Some((until - now).to_std().unwrap_or_default())
}

/// As much of the body as comes soon; an error is clear enough without it.
async fn error_body(mut response: Response) -> Vec<u8> {
    let mut body = Vec::new();
    let read = async {
        while let Ok(Some(bytes)) = response.chunk().await {
            body.extend_from_slice(&bytes);
            if body.len() > MAX_ERROR_BODY {
                break;
            }
        }
    };
    if timeout(ERROR_BODY_PATIENCE, read).await.is_err() {
        tracing::debug!("the AI provider did not finish its error");
    }
    body
}

fn fault(body: &[u8]) -> Fault {
    let json: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = String::from_utf8_lossy(body).to_lowercase();
    let names = |words: &[&str]| words.iter().any(|word| text.contains(word));
    Fault {
        code: code(json.get("error").unwrap_or(&json)),
        names_completion_tokens: names(&["max_completion_tokens"]),
        names_tools: names(&["tool", "function"]),
        names_format: names(&["format", "schema"]),
    }
}

/// The code of an error object, whose shape differs between servers: a word or a number under `code`, else the
/// `type`. Only what looks like a word is kept, so that no free text comes through here.
pub(super) fn code(error: &Value) -> String {
    let code = match error.get("code") {
        Some(Value::String(code)) => code.clone(),
        Some(Value::Number(code)) => code.to_string(),
        _ => error.get("type").and_then(Value::as_str).unwrap_or_default().to_owned(),
    };
    let is_word = code.len() <= 64 && code.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
    if is_word { code } else { String::new() }
}

/// The innermost cause, such as "Connection refused"; the outer ones only say "error sending request".
fn root(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

//! Every way in which a request can fail, with the stable code that clients see.

use std::{borrow::Cow, fmt, time::Duration};

/// The cause behind [`Error::Internal`]; logged once where it is handled, never sent.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// A refused or failed request.
#[derive(Debug)]
pub enum Error {
    /// No credentials, or credentials that are not accepted. The text says which.
    Unauthenticated(&'static str),
    /// Known caller, but not allowed.
    Forbidden(&'static str),
    /// The named thing does not exist, or the caller may not know that it does.
    NotFound(&'static str),
    /// The request is not JSON, or JSON that cannot be represented.
    InvalidJson,
    /// The request itself is wrong.
    Invalid(Cow<'static, str>),
    /// A Socket.IO event that no vocabulary has.
    UnknownEvent(String),
    /// Over a size limit.
    TooLarge(Cow<'static, str>),
    /// Contradicts what is already stored.
    Conflict(&'static str),
    /// Too many of this kind within a minute.
    RateLimited {
        /// How long to wait before it can succeed.
        retry_after: Duration,
    },
    /// The AI could not answer.
    AiUnavailable(Cow<'static, str>),
    /// A part of the server is away for now (database gone, draining).
    Unavailable(&'static str),
    /// A fault of ours.
    Internal(Cause),
}

impl Error {
    /// An [`Error::Invalid`] with its reason.
    #[must_use]
    pub fn invalid(why: impl Into<Cow<'static, str>>) -> Self {
        Self::Invalid(why.into())
    }

    /// Wraps a cause that clients must not see.
    #[must_use]
    pub fn internal(cause: impl Into<Cause>) -> Self {
        Self::Internal(cause.into())
    }

    /// The code of contract section 12.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unauthenticated(_) => "UNAUTHENTICATED",
            Self::Forbidden(_) => "FORBIDDEN",
            Self::NotFound(_) => "NOT_FOUND",
            Self::InvalidJson | Self::Invalid(_) => "INVALID",
            Self::UnknownEvent(_) => "UNKNOWN_EVENT",
            Self::TooLarge(_) => "TOO_LARGE",
            Self::Conflict(_) => "CONFLICT",
            Self::RateLimited { .. } => "RATE_LIMITED",
            Self::AiUnavailable(_) => "AI_UNAVAILABLE",
            Self::Unavailable(_) => "UNAVAILABLE",
            Self::Internal(_) => "INTERNAL",
        }
    }

    /// Milliseconds until a retry can succeed, when that is known.
    #[must_use]
    pub fn retry_after_ms(&self) -> Option<u64> {
        match self {
            Self::RateLimited { retry_after } => u64::try_from(retry_after.as_millis()).ok(),
            _ => None,
        }
    }
}

/// What a client may read; an internal cause stays inside.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unauthenticated(why) | Self::Forbidden(why) | Self::Conflict(why) | Self::Unavailable(why) => {
                f.write_str(why)
            }
            Self::InvalidJson => f.write_str("Invalid JSON"),
            Self::NotFound(what) => write!(f, "{what} not found"),
            Self::Invalid(why) | Self::TooLarge(why) | Self::AiUnavailable(why) => f.write_str(why),
            Self::UnknownEvent(name) => write!(f, "Unknown event: {name}"),
            Self::RateLimited { retry_after } => {
                write!(f, "Rate limit exceeded, try again in {} s", retry_after.as_secs().max(1))
            }
            Self::Internal(_) => f.write_str("Internal error"),
        }
    }
}

impl std::error::Error for Error {}

/// The part of an [`Error`] that may be told, stored and sent to other replicas.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Failure {
    /// The code of contract section 12.
    pub code: String,
    /// A sentence for people.
    pub message: String,
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        Self { code: error.code().to_owned(), message: error.to_string() }
    }
}

//! How an answer can fail, in words for clients and, apart from them, a cause for the log.

/// What kind of failure, for metrics and for choosing a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The provider is busy with us.
    RateLimited,
    /// The provider cannot be reached or is failing.
    Unavailable,
    /// The provider refused this request, with this HTTP status.
    Rejected(u16),
    /// The answer was cut off or could not be read.
    Broken,
    /// It took longer than allowed.
    TimedOut,
    /// The operator must act: key, quota, address or model.
    Misconfigured,
}

/// A failed answer. Text that was already streamed stays valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct AssistantError {
    /// What kind of failure.
    pub kind: Kind,
    /// For clients: says nothing about the provider.
    pub message: &'static str,
    /// For the log: status, code and address, never a provider's free text, because that may repeat
    /// the key or the conversation.
    pub cause: String,
}

impl AssistantError {
    pub(super) fn new(kind: Kind, cause: impl Into<String>) -> Self {
        let message = match kind {
            Kind::RateLimited => "The assistant is busy. Please try again in a moment.",
            Kind::Unavailable | Kind::Misconfigured => {
                "The assistant is not available right now. Please try again later."
            }
            Kind::Rejected(_) => "The assistant could not answer this message.",
            Kind::Broken => "The assistant's answer was interrupted.",
            Kind::TimedOut => "The assistant took too long to answer.",
        };
        Self { kind, message, cause: cause.into() }
    }
}

//! Nouns and rules of a conversation. No async, no I/O: this module compiles without a runtime.
//!
//! Read [`command`] and [`event`] first; they list everything a client can ask and everything it can hear.

pub mod answer;
pub mod article;
pub mod command;
pub mod conversation;
pub mod error;
pub mod event;
pub mod ids;
pub mod listing;
pub mod message;
pub mod query;
pub mod search;
pub mod user;
pub mod words;

/// A moment in time, always UTC; spelled on the wire as RFC 3339 with milliseconds.
pub type Timestamp = chrono::DateTime<chrono::Utc>;

/// Tells the time. It comes from the top, so that tests can bring their own.
pub type Clock = std::sync::Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The wire form of a [`Timestamp`]: `2026-11-21T03:50:00.123Z`.
#[must_use]
pub fn rfc3339(at: Timestamp) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

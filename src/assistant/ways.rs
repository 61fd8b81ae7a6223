//! How a server wants to be asked: what it has refused before is not tried again while the process lives.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use super::retry::OpenFailure;

/// How an answer in JSON is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Format {
    /// By a schema that the server keeps to.
    Schema,
    /// As any JSON object.
    Object,
    /// In words only.
    Plain,
}

impl Format {
    /// The next simpler one.
    pub(super) const fn simpler(self) -> Option<Self> {
        match self {
            Self::Schema => Some(Self::Object),
            Self::Object => Some(Self::Plain),
            Self::Plain => None,
        }
    }

    const fn from_stored(stored: u8) -> Self {
        match stored {
            0 => Self::Schema,
            1 => Self::Object,
            _ => Self::Plain,
        }
    }
}

/// One way of asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ways {
    /// The token limit is spelled `max_completion_tokens`.
    pub newer_limit: bool,
    /// Tools may be offered.
    pub tools: bool,
    /// How JSON is asked for.
    pub format: Format,
}

/// What matters about a request when it is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Features {
    /// It has tools, or calls and their results.
    pub tools: bool,
    /// It asks for JSON.
    pub json: bool,
}

impl Ways {
    /// Another way after a refusal; none when another way would not help.
    pub(super) fn after(mut self, failure: &OpenFailure, features: Features) -> Option<Self> {
        if !self.newer_limit && failure.wants_completion_tokens() {
            self.newer_limit = true;
        } else if features.tools && self.tools && failure.refuses_tools() {
            self.tools = false;
        } else if features.json && failure.refuses_format() {
            self.format = self.format.simpler()?;
        } else {
            return None;
        }
        Some(self)
    }
}

/// The way of asking that has worked last.
pub(super) struct Learned {
    newer_limit: AtomicBool,
    tools: AtomicBool,
    format: AtomicU8,
}

impl Default for Learned {
    fn default() -> Self {
        Self { newer_limit: false.into(), tools: true.into(), format: AtomicU8::new(Format::Schema as u8) }
    }
}

impl Learned {
    pub(super) fn ways(&self) -> Ways {
        Ways {
            newer_limit: self.newer_limit.load(Ordering::Relaxed),
            tools: self.tools.load(Ordering::Relaxed),
            format: Format::from_stored(self.format.load(Ordering::Relaxed)),
        }
    }

    /// Remembers what a server has refused, once the request without it was taken: a refusal may have other reasons.
    pub(super) fn keep(&self, ways: Ways) {
        self.newer_limit.fetch_or(ways.newer_limit, Ordering::Relaxed);
        self.tools.fetch_and(ways.tools, Ordering::Relaxed);
        self.format.fetch_max(ways.format as u8, Ordering::Relaxed);
    }
}

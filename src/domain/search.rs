//! A search: what somebody asks for in a sentence, what of it was understood, and what was found.

use serde::{Deserialize, Serialize};

use super::{
    Timestamp,
    error::Error,
    ids::UserId,
    listing::{Listing, Price},
};

/// The longest query, in characters.
const QUERY_CHARS_MAX: usize = 500;

/// Checks and trims what somebody searches for.
///
/// # Errors
/// [`Error::Invalid`] when nothing is left, or more than 500 characters, or a NUL.
pub fn checked_query(text: &str) -> Result<String, Error> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > QUERY_CHARS_MAX || text.contains('\0') {
        return Err(Error::invalid("query must have 1 to 500 characters"));
    }
    Ok(text.to_owned())
}

/// What was understood of a query.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Filters {
    /// A category that exists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// What to look for in the texts; words that say nothing ("a", "under", "cheap") are left out.
    pub keywords: Vec<String>,
    /// Not below this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_price: Option<Price>,
    /// Not above this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_price: Option<Price>,
    /// What a title or category must not say.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<String>,
    /// What comes first among those that fit; absent: what fits best.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<First>,
}

/// What somebody wants to see first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum First {
    /// What costs least.
    Cheapest,
    /// What costs most.
    Dearest,
    /// What was offered last.
    Newest,
}

/// A search that waits for a worker.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SearchJob {
    /// This server's own id for it; two requests never share one.
    pub id: String,
    /// The asker's own id for it, repeated in the answer.
    pub request_id: String,
    /// Who asks; nobody else hears the answer.
    pub asker: UserId,
    /// What for; checked already.
    pub query: String,
    /// When it was asked. Nobody waits for its answer for longer than [`SearchJob::PATIENCE_S`].
    pub asked_at: Timestamp,
}

impl SearchJob {
    /// Seconds after which the asker is told that no worker is there.
    pub const PATIENCE_S: i64 = 30;
}

/// What a search has found, for the one who asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SearchAnswer {
    /// The asker's own id for the request.
    pub request_id: String,
    /// A sentence about the results.
    pub answer: String,
    /// The best ones, best first.
    pub results: Vec<Listing>,
    /// What was understood of the query.
    pub filters: Filters,
    /// The AI failed and keywords were searched instead.
    pub degraded: bool,
}

/// A piece of a help article that fits a question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Passage {
    /// The article's id.
    pub article_id: String,
    /// The article's title.
    pub title: String,
    /// The heading above the passage, when it is not the title itself.
    pub heading: Option<String>,
    /// The text, as Markdown.
    pub text: String,
}

/// A search that was answered, to be remembered for analytics.
#[derive(Debug, Clone, Copy)]
pub struct RecordedSearch<'a> {
    /// Who asked.
    pub user: &'a UserId,
    /// What for, as they wrote it.
    pub query: &'a str,
    /// What was understood.
    pub filters: &'a Filters,
    /// What was found.
    pub results: &'a [Listing],
    /// The AI failed and keywords were searched instead.
    pub degraded: bool,
}

/// What somebody has searched for and found last, for searches that lean on it ("cheaper ones").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastSearch {
    /// What was understood.
    pub filters: Filters,
    /// What was found, as it is now.
    pub results: Vec<Listing>,
}

/// What many search for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PopularSearch {
    /// Lower case, single spaces.
    pub query: String,
    /// How often it was asked.
    pub count: u64,
    /// How many listings it found on average; near 0 means that people want what is not offered.
    pub average_results: f64,
    /// When it was asked last.
    pub last_at: Timestamp,
}

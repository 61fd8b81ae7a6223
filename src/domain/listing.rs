//! A listing: something that is offered, and that the search finds.

use serde::{Deserialize, Serialize};

use super::ids::UserId;

/// Something that is offered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Listing {
    /// Its id.
    pub id: String,
    /// What it is.
    pub title: String,
    /// More about it.
    pub description: Option<String>,
    /// The kind of thing.
    pub category: String,
    /// In units of the shop's currency.
    pub price: f64,
}

/// What a search has found, for the one who asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SearchAnswer {
    /// The asker's own id for the request, repeated in the answer.
    pub request_id: String,
    /// Who asked; nobody else hears it.
    pub asker: UserId,
    /// A sentence about the results.
    pub answer: String,
    /// The best ones, best first.
    pub results: Vec<Listing>,
    /// The AI failed and keywords were searched instead.
    pub degraded: bool,
}

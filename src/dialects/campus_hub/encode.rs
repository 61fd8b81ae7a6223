//! Events and refusals → CampusHub frames.

use serde::Serialize;

use super::{
    super::{
        Dialect, Reader, Speaks,
        frame::Frame,
        raw::{Asker, RawDialect, Request, Tag, Wishes},
    },
    CampusHub, decode,
};
use crate::domain::{
    Timestamp,
    command::Reply,
    error::Error,
    event::Event,
    ids::ConversationId,
    listing::{Listing, Price},
    search::{Filters, SearchAnswer},
};

/// No worker, or none that could answer.
const AGENT_UNAVAILABLE: &str = "AGENT_UNAVAILABLE";

impl Dialect for CampusHub {
    fn name(&self) -> &'static str {
        "campus_hub"
    }

    fn encode(&self, event: &Event, _: &Reader, _: Timestamp) -> Vec<Frame> {
        match event {
            Event::SearchAnswered(found) => vec![frame("agent.response", &found.request_id, &Response::of(found))],
            Event::SearchFailed { request_id, failure } => {
                let payload = Failed { message: &failure.message, code: AGENT_UNAVAILABLE, retry_after_ms: None };
                vec![frame("error", request_id, &payload)]
            }
            Event::MessagePosted(_)
            | Event::AnswerFinished(_)
            | Event::AnswerTyping { .. }
            | Event::AnswerChunk(_)
            | Event::AnswerFailed { .. }
            | Event::Typing { .. }
            | Event::Presence { .. }
            | Event::MessagesRead { .. }
            | Event::ConversationCreated(_)
            | Event::ConversationUpdated(_)
            | Event::ConversationDeleted(_) => vec![],
        }
    }
}

impl RawDialect for CampusHub {
    fn speaks(&self) -> Speaks {
        Speaks::CAMPUS_HUB
    }

    fn open(&self, _: &dyn Fn(&str) -> Option<String>, _: Option<&ConversationId>) -> Result<Wishes, Error> {
        Ok(Wishes { hears_person: true, ..Wishes::default() })
    }

    fn decode(&self, text: &str, _: Option<&ConversationId>) -> Request {
        decode::decode(text)
    }

    fn reply(&self, _: &Tag, _: &Reply, _: Asker<'_>) -> Vec<Frame> {
        // The answer to a search comes when there is one.
        vec![]
    }

    fn refusal(&self, tag: &Tag, error: &Error, _: Timestamp) -> Vec<Frame> {
        let code = match error {
            Error::InvalidJson => "INVALID_JSON",
            Error::Invalid(_) => "INVALID_QUERY",
            Error::UnknownEvent(_) => "UNKNOWN_TYPE",
            Error::AiUnavailable(_) | Error::Unavailable(_) | Error::Internal(_) => AGENT_UNAVAILABLE,
            Error::Unauthenticated(_)
            | Error::Forbidden(_)
            | Error::NotFound(_)
            | Error::TooLarge(_)
            | Error::Conflict(_)
            | Error::RateLimited { .. } => error.code(),
        };
        let payload = Failed { message: &error.to_string(), code, retry_after_ms: error.retry_after_ms() };
        vec![frame("error", tag.id.as_deref().unwrap_or_default(), &payload)]
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a, T> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    request_id: &'a str,
    payload: &'a T,
}

fn frame(kind: &'static str, request_id: &str, payload: &impl Serialize) -> Frame {
    Frame::text(&Envelope { kind, request_id, payload })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Failed<'a> {
    message: &'a str,
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Response<'a> {
    answer: &'a str,
    results: Vec<Found<'a>>,
    filters: &'a Filters,
    #[serde(skip_serializing_if = "Option::is_none")]
    degraded: Option<bool>,
}

impl<'a> Response<'a> {
    fn of(found: &'a SearchAnswer) -> Self {
        Self {
            answer: &found.answer,
            results: found.results.iter().map(Found::of).collect(),
            filters: &found.filters,
            degraded: found.degraded.then_some(true),
        }
    }
}

#[derive(Serialize)]
struct Found<'a> {
    id: &'a str,
    title: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    category: &'a str,
    price: Price,
}

impl<'a> Found<'a> {
    fn of(listing: &'a Listing) -> Self {
        Self {
            id: listing.id.as_str(),
            title: &listing.title,
            description: listing.description.as_deref(),
            category: &listing.category,
            price: listing.price,
        }
    }
}

//! CampusHub frames → commands.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{
    super::raw::{Request, Tag, object, text},
    CampusHub,
};
use crate::domain::{command::Command, error::Error};

/// The longest `requestId`, in characters.
const REQUEST_ID_CHARS_MAX: usize = 128;

/// The one thing that clients ask.
const SEARCH: &str = "agent.search";

impl CampusHub {
    /// A first frame that no other protocol on the same path has.
    pub(in super::super) fn claims(frame: &str) -> bool {
        let Ok(Some(fields)) = object(frame) else { return false };
        text(&fields, "type") == Some(SEARCH) || fields.contains_key("requestId") || fields.contains_key("payload")
    }
}

/// Reads one frame.
pub(super) fn decode(frame: &str) -> Request {
    let fields = match object(frame) {
        Ok(Some(fields)) => fields,
        Ok(None) => return Request::refused(Error::invalid("expected an object with type, requestId and payload")),
        Err(error) => return Request::refused(error),
    };
    let id = text(&fields, "requestId").filter(|id| id.chars().count() <= REQUEST_ID_CHARS_MAX);
    let tag = Tag { id: id.map(Arc::from), number: None };
    let command = command(&fields, &tag);
    Request { tag, command }
}

fn command(fields: &Map<String, Value>, tag: &Tag) -> Result<Command, Error> {
    match text(fields, "type") {
        Some(SEARCH) => {}
        Some(other) => return Err(Error::UnknownEvent(other.chars().take(64).collect())),
        None => return Err(Error::UnknownEvent(String::new())),
    }
    if tag.id.is_none() && fields.get("requestId").is_some_and(|id| !id.is_null()) {
        return Err(Error::invalid("requestId must be a string of up to 128 characters"));
    }
    let query = fields.get("payload").and_then(Value::as_object).and_then(|payload| text(payload, "query"));
    let query = query.ok_or_else(|| Error::invalid("payload.query must be a string"))?;
    let request_id = tag.id.as_deref().unwrap_or_default().to_owned();
    Ok(Command::Search { request_id, query: query.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_frame_shows_the_protocol() {
        for theirs in [r#"{"type":"agent.search"}"#, r#"{"requestId":"r"}"#, r#"{"type":"x","payload":{}}"#] {
            assert!(CampusHub::claims(theirs), "{theirs}");
        }
        for other in [r#"{"type":"ping","data":{},"timestamp":1}"#, "{", "[]", r#"{"type":"message"}"#] {
            assert!(!CampusHub::claims(other), "{other}");
        }
    }

    #[test]
    fn requests_are_read_or_refused() {
        let asked = decode(r#"{"type":"agent.search","requestId":"r","payload":{"query":"desk"}}"#);
        assert!(
            matches!(asked.command, Ok(Command::Search { request_id, query }) if request_id == "r" && query == "desk")
        );
        for bad in [
            r#"{"type":"agent.search","requestId":7,"payload":{"query":"desk"}}"#,
            r#"{"type":"agent.search","requestId":"r","payload":{"query":7}}"#,
            r#"{"type":"agent.search","requestId":"r","payload":"desk"}"#,
            r#"{"type":"agent.search","requestId":"r"}"#,
            "[1]",
        ] {
            assert!(matches!(decode(bad).command, Err(Error::Invalid(_))), "{bad}");
        }
        assert!(matches!(decode(r#"{"type":"ping","requestId":"r"}"#).command, Err(Error::UnknownEvent(_))));
        assert!(matches!(decode("{").command, Err(Error::InvalidJson)));
    }
}

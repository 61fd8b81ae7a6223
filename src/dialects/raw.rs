//! What the protocols on bare WebSockets have in common: one JSON object for each text frame, in both directions.

use std::sync::Arc;

use serde_json::{Map, Number, Value};

use super::{Dialect, Speaks, campus_hub::CampusHub, frame::Frame, gurukul::Gurukul, lykke::Lykke};
use crate::domain::{
    Timestamp,
    command::{Command, Reply},
    error::Error,
    ids::ConversationId,
    user::User,
};

/// The largest frame that is taken, in bytes: contract section 12.
pub const FRAME_BYTES_MAX: usize = 64 * 1024;

/// A dialect whose clients speak frames of JSON over a WebSocket of their own.
pub trait RawDialect: Dialect {
    /// What its connections are told in.
    fn speaks(&self) -> Speaks;

    /// What a client wants from the beginning, by the parameters of its address. `bound` is the conversation in its path.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a parameter that cannot be read.
    fn open(&self, parameter: &dyn Fn(&str) -> Option<String>, bound: Option<&ConversationId>)
    -> Result<Wishes, Error>;

    /// Reads one text frame.
    fn decode(&self, text: &str, bound: Option<&ConversationId>) -> Request;

    /// The frames that answer a request.
    fn reply(&self, tag: &Tag, reply: &Reply, asker: Asker<'_>) -> Vec<Frame>;

    /// The frames that refuse a request.
    fn refusal(&self, tag: &Tag, error: &Error, at: Timestamp) -> Vec<Frame>;

    /// What is said before a connection is closed that may not go on; most protocols let the close code speak.
    fn farewell(&self, error: &Error) -> Vec<Frame> {
        let _ = error;
        vec![]
    }

    /// Gathers frames into one, for clients that have asked for that.
    fn batch(&self, frames: &[Frame], at: Timestamp) -> Option<Frame> {
        let _ = (frames, at);
        None
    }
}

/// What a client wants from the beginning.
#[derive(Debug, Default)]
pub struct Wishes {
    /// Done before the first frame is read; its failure ends the connection.
    pub command: Option<Command>,
    /// Chunks of growing answers.
    pub chunks: bool,
    /// Frames gathered for a moment into one.
    pub batches: bool,
    /// What is for the person, beside what is joined.
    pub hears_person: bool,
}

/// A frame as it was heard.
#[derive(Debug)]
pub struct Request {
    /// What its answer repeats.
    pub tag: Tag,
    /// What it asks.
    pub command: Result<Command, Error>,
}

impl Request {
    /// A frame of which nothing can be repeated.
    #[must_use]
    pub fn refused(error: Error) -> Self {
        Self { tag: Tag::default(), command: Err(error) }
    }
}

/// What the answer to a request repeats of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tag {
    /// The client's own id for the request.
    pub id: Option<Arc<str>>,
    /// A number that a sign of life comes back with.
    pub number: Option<Number>,
}

/// For whom an answer is spelled.
#[derive(Clone, Copy)]
pub struct Asker<'a> {
    /// Who asked.
    pub user: &'a User,
    /// When the answer is told.
    pub at: Timestamp,
    /// The client wants chunks of growing answers.
    pub chunks: bool,
}

/// A protocol by the name that stands in an address.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static dyn RawDialect> {
    match name {
        "gurukul" => Some(&Gurukul),
        "campushub" => Some(&CampusHub),
        _ => None,
    }
}

/// The protocol that a first frame shows: contract section 9.
#[must_use]
pub fn by_first_frame(text: &str) -> &'static dyn RawDialect {
    if CampusHub::claims(text) { &CampusHub } else { &Gurukul }
}

/// The protocol whose address names a conversation.
#[must_use]
pub fn of_conversation() -> &'static dyn RawDialect {
    &Lykke
}

/// The fields of a frame.
///
/// # Errors
/// [`Error::InvalidJson`] for what is not JSON or cannot be represented; none for JSON that is no object.
pub(super) fn object(text: &str) -> Result<Option<Map<String, Value>>, Error> {
    match serde_json::from_str(text) {
        Ok(Value::Object(fields)) => Ok(Some(fields)),
        Ok(_) => Ok(None),
        Err(_) => Err(Error::InvalidJson),
    }
}

/// A field that is text; none when it is absent, `null` or something else.
pub(super) fn text<'a>(fields: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    fields.get(name).and_then(Value::as_str)
}

//! What both Socket.IO vocabularies share: signing in, chunks, stopping an answer, errors and acknowledgements.
//!
//! Contract section 6. A failure is told twice: in the acknowledgement, `{success:false, error, code}`, and as an
//! `error` event, because older clients give no acknowledgement callback.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, value::RawValue};

use super::{Said, Speaks, VOCABULARIES, Vocabulary, frame::Frame};
use crate::domain::{
    command::{Backlog, Command, Credentials, Reply},
    conversation::Kind,
    error::{Error, Failure},
    event::Chunk,
    ids::ConversationId,
    user::User,
};

/// The largest event that is taken, in bytes of JSON: contract section 12.
pub const EVENT_BYTES_MAX: usize = 64 * 1024;

/// The event that signs a connection in; the only one that a stranger may send.
pub const SIGN_IN: &str = "authenticate";

/// An event as it was heard.
pub struct Heard {
    /// Its name, for the error report.
    pub event: String,
    /// The conversation it is about, for the error report; set by whoever takes the command out.
    pub conversation: Option<ConversationId>,
    /// What it asks.
    pub command: Result<Command, Error>,
    /// The vocabulary that answers it.
    pub vocabulary: &'static dyn Vocabulary,
    /// The vocabulary that it shows the client to speak, if any.
    pub tells: Option<Speaks>,
}

/// Reads `["event", …arguments]`, the JSON of a Socket.IO event packet.
#[must_use]
pub fn decode(packet: &str) -> Heard {
    let fallback: &'static dyn Vocabulary = &super::support_desk::SupportDesk;
    let args: Vec<&RawValue> = match serde_json::from_str(packet) {
        Ok(args) => args,
        Err(error) => return unreadable(packet, fallback, &error),
    };
    let Some(event) = args.first().and_then(|name| serde_json::from_str::<String>(name.get()).ok()) else {
        let command = Err(Error::invalid("the event has no name"));
        return Heard { event: String::new(), command, conversation: None, vocabulary: fallback, tells: None };
    };
    let rest = args.get(1..).unwrap_or_default();
    if packet.len() > EVENT_BYTES_MAX {
        let command = Err(Error::TooLarge("the event is larger than 64 KiB".into()));
        return Heard { event, command, conversation: None, vocabulary: fallback, tells: None };
    }
    for (speaks, vocabulary) in VOCABULARIES {
        if let Some(command) = vocabulary.decode(&event, rest) {
            let tells = vocabulary.is_telling(&event).then_some(*speaks);
            return Heard { event, command, conversation: None, vocabulary: *vocabulary, tells };
        }
    }
    let command = shared(&event, rest).unwrap_or_else(|| Err(Error::UnknownEvent(shorten(&event))));
    Heard { event, command, conversation: None, vocabulary: fallback, tells: None }
}

/// An event whose JSON cannot be represented (too deep, a lone surrogate) still deserves its name in the report.
fn unreadable(packet: &str, vocabulary: &'static dyn Vocabulary, error: &serde_json::Error) -> Heard {
    let name = packet.trim_start_matches('[').trim_start().strip_prefix('"').and_then(|rest| rest.split('"').next());
    let event = shorten(name.unwrap_or_default());
    let command = Err(Error::Invalid(format!("the event is not valid JSON: {error}").into()));
    Heard { event, command, conversation: None, vocabulary, tells: None }
}

/// The words that neither vocabulary owns.
fn shared(event: &str, args: &[&RawValue]) -> Option<Result<Command, Error>> {
    match event {
        "message:stop" => Some(conversation_id(args).map(|conversation| Command::StopAnswer { conversation })),
        "message:regenerate" => {
            Some(conversation_id(args).map(|conversation| Command::RegenerateAnswer { conversation }))
        }
        _ => None,
    }
}

/// Client-chosen names come back in error messages, so they are cut.
fn shorten(name: &str) -> String {
    name.chars().take(64).collect()
}

/// Reads the first argument, an object, as `T`; a missing argument reads as `null`.
pub(super) fn argument<'a, T: Deserialize<'a>>(args: &[&'a RawValue]) -> Result<T, Error> {
    let json = args.first().map_or("null", |value| value.get());
    // Derived code would take an array for the fields in their order.
    if json.starts_with('[') {
        return Err(Error::invalid("malformed payload: expected an object"));
    }
    serde_json::from_str(json).map_err(|error| Error::Invalid(format!("malformed payload: {error}").into()))
}

/// Ids may stand alone or in an object; 2.x clients and hand-written ones send both.
#[derive(Deserialize)]
#[serde(untagged)]
enum IdOrObject {
    Id(ConversationId),
    Object(JoinObject),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JoinObject {
    conversation_id: ConversationId,
    #[serde(default)]
    after: Option<u64>,
}

/// A conversation id, alone or as `{conversationId}`.
pub(super) fn conversation_id(args: &[&RawValue]) -> Result<ConversationId, Error> {
    join_target(args).map(|(id, _)| id)
}

/// The payload of a join: an id, or `{conversationId, after?}`.
pub(super) fn join(args: &[&RawValue], kind_if_new: Kind) -> Result<Command, Error> {
    let (conversation, after) = join_target(args)?;
    let backlog = after.map_or(Backlog::None, Backlog::After);
    Ok(Command::Join { conversation, backlog, kind_if_new })
}

fn join_target(args: &[&RawValue]) -> Result<(ConversationId, Option<u64>), Error> {
    match argument::<IdOrObject>(args) {
        Ok(IdOrObject::Id(id)) => Ok((id, None)),
        Ok(IdOrObject::Object(object)) => Ok((object.conversation_id, object.after)),
        Err(_) => Err(Error::invalid("expected a conversation id, or an object with a valid conversationId")),
    }
}

/// Credentials as they stand in the handshake's `auth` object and in the sign-in event.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct AuthObject {
    token: Option<String>,
    session_id: Option<String>,
    deltas: Option<bool>,
}

/// Reads credentials and the wish for short chunks from an `auth` object; `null` has neither.
///
/// # Errors
/// [`Error::Invalid`] when it is something else, or its fields have other types.
pub fn auth(json: &str) -> Result<(Credentials, bool), Error> {
    const EXPECTED: Error = Error::Invalid(std::borrow::Cow::Borrowed("expected {token} or {sessionId}"));
    if json.starts_with('[') {
        return Err(EXPECTED);
    }
    let object: Option<AuthObject> = serde_json::from_str(json).map_err(|_| EXPECTED)?;
    let AuthObject { token, session_id, deltas } = object.unwrap_or_default();
    let present = |text: Option<String>| text.filter(|text| !text.is_empty());
    Ok((Credentials { token: present(token), session_id: present(session_id) }, deltas.unwrap_or(false)))
}

/// What a client is told about itself once it is known.
#[must_use]
pub fn authenticated(user: &User) -> Frame {
    Frame::event("authenticated", &Value::Object(identity(user)))
}

/// `{userId, userName, role}`.
pub(super) fn identity(user: &User) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert("userId".into(), user.id.as_str().into());
    fields.insert("userName".into(), user.name.clone().into());
    fields.insert("role".into(), user.role.as_str().into());
    fields
}

/// The acknowledgement of a success.
#[must_use]
pub fn ack_success(id: i64, fields: &Map<String, Value>) -> Frame {
    #[derive(Serialize)]
    struct Success<'a> {
        success: bool,
        #[serde(flatten)]
        fields: &'a Map<String, Value>,
    }
    Frame::ack(id, &Success { success: true, fields })
}

/// The acknowledgement of a failure.
#[must_use]
pub fn ack_failure(id: i64, error: &Error) -> Frame {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Refused<'a> {
        success: bool,
        error: String,
        code: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<u64>,
    }
    let refused = Refused {
        success: false,
        error: error.to_string(),
        code: error.code(),
        retry_after_ms: error.retry_after_ms(),
    };
    Frame::ack(id, &refused)
}

/// The `error` event that goes with every failure.
#[must_use]
pub fn error_event(error: &Error, event: &str, conversation: Option<&ConversationId>) -> Frame {
    let body = ErrorBody {
        message: &error.to_string(),
        code: error.code(),
        event: (!event.is_empty()).then_some(event),
        conversation_id: conversation,
    };
    Frame::event("error", &body)
}

/// The `error` event of an answer that failed.
pub(super) fn answer_failed(conversation: &ConversationId, failure: &Failure) -> Frame {
    let body =
        ErrorBody { message: &failure.message, code: &failure.code, event: None, conversation_id: Some(conversation) };
    Frame::event("error", &body)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ErrorBody<'a> {
    message: &'a str,
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    conversation_id: Option<&'a ConversationId>,
}

/// A growing answer: the new text, and either all text so far or, for `deltas`, where the new text begins.
pub(super) fn chunk(chunk: &Chunk, deltas: bool) -> Frame {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Body<'a> {
        conversation_id: &'a ConversationId,
        message_id: &'a str,
        index: u64,
        chunk: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        content: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        offset: Option<usize>,
    }
    let body = Body {
        conversation_id: &chunk.conversation,
        message_id: chunk.message.as_str(),
        index: chunk.index,
        chunk: chunk.text(),
        content: (!deltas).then_some(&chunk.content),
        offset: deltas.then_some(chunk.start_utf16),
    };
    Frame::event("message:chunk", &body)
}

/// The acknowledgement fields of a join, with the messages in the vocabulary's own shape.
pub(super) fn joined(reply: &crate::domain::command::Joined, messages: Vec<Value>) -> Map<String, Value> {
    let mut ack = Map::new();
    ack.insert("conversationId".into(), reply.conversation.id.as_str().into());
    ack.insert("lastSeq".into(), reply.conversation.last_seq.into());
    if reply.backlog != Backlog::None {
        ack.insert("messages".into(), messages.into());
    }
    if let Some(active) = &reply.active {
        ack.insert("active".into(), value(&[active]));
    }
    ack
}

/// A view struct as a JSON value.
pub(super) fn value(view: &impl Serialize) -> Value {
    serde_json::to_value(view).unwrap_or(Value::Null)
}

/// A reply that has nothing to say in either vocabulary.
pub(super) fn plain(reply: &Reply) -> Said {
    match reply {
        Reply::Authenticated(user) => Said { ack: identity(user), events: vec![authenticated(user)] },
        Reply::Conversation(conversation) => {
            let mut ack = Map::new();
            ack.insert("conversation".into(), value(conversation.as_ref()));
            Said { ack, events: vec![] }
        }
        Reply::Done
        | Reply::Joined(_)
        | Reply::Left(_)
        | Reply::Posted { .. }
        | Reply::Read { .. }
        | Reply::Pong(_) => Said::default(),
    }
}

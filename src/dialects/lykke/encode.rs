//! Events and replies → Lykke frames.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{
    super::{
        Dialect, Reader, Speaks,
        frame::Frame,
        raw::{Asker, RawDialect, Request, Tag, Wishes},
    },
    Lykke, decode,
};
use crate::domain::{
    Timestamp,
    command::{Backlog, Joined, Reply},
    error::Error,
    event::{Event, LogEntry},
    ids::{ConversationId, MessageId},
    message::{Message, MessageRole, MessageStatus, Sender},
    rfc3339,
};

impl Dialect for Lykke {
    fn name(&self) -> &'static str {
        "lykke"
    }

    fn encode(&self, event: &Event, reader: &Reader, _: Timestamp) -> Vec<Frame> {
        match event {
            Event::MessagePosted(message) => vec![told(message)],
            // A failure is told by its error; every other end is what the client waits for, also without text.
            Event::AnswerFinished(LogEntry { message, .. }) => {
                let is_told = message.seq.is_some() || message.status != MessageStatus::Failed;
                is_told.then(|| told(message)).into_iter().collect()
            }
            Event::AnswerTyping { conversation, bot, typing, .. } => vec![self::typing(conversation, bot, *typing)],
            Event::Typing { conversation, user, typing } => vec![self::typing(conversation, user, *typing)],
            Event::AnswerChunk(grown) if reader.deltas => vec![chunk(&grown.message, grown.index, grown.text())],
            Event::AnswerFailed { failure, .. } => vec![error("MESSAGE_ERROR", &failure.message, None)],
            Event::ConversationDeleted(_) => vec![error("NOT_FOUND", "The conversation was deleted", None)],
            Event::AnswerChunk(_)
            | Event::Presence { .. }
            | Event::MessagesRead { .. }
            | Event::ConversationCreated(_)
            | Event::ConversationUpdated(_)
            | Event::SearchAnswered(_)
            | Event::SearchFailed { .. } => vec![],
        }
    }
}

impl RawDialect for Lykke {
    fn speaks(&self) -> Speaks {
        Speaks::LYKKE
    }

    fn open(
        &self,
        parameter: &dyn Fn(&str) -> Option<String>,
        bound: Option<&ConversationId>,
    ) -> Result<Wishes, Error> {
        decode::open(parameter, bound)
    }

    fn decode(&self, text: &str, bound: Option<&ConversationId>) -> Request {
        decode::decode(text, bound)
    }

    fn reply(&self, _: &Tag, reply: &Reply, asker: Asker<'_>) -> Vec<Frame> {
        match reply {
            Reply::Joined(joined) => self::joined(joined, asker),
            // A message comes to its sender as it comes to everybody; one that has come already is repeated.
            Reply::Posted { message, is_to_come: false, given, .. } => {
                let given = given.iter().map(|entry| told(&entry.message));
                std::iter::once(told(message)).chain(given).collect()
            }
            Reply::Posted { .. }
            | Reply::Done
            | Reply::Left(_)
            | Reply::Read { .. }
            | Reply::Authenticated(_)
            | Reply::Conversation(_)
            | Reply::Pong(_) => vec![],
        }
    }

    fn refusal(&self, _: &Tag, error: &Error, _: Timestamp) -> Vec<Frame> {
        let code = match error {
            Error::InvalidJson => "INVALID_JSON",
            Error::UnknownEvent(_) => "UNKNOWN_TYPE",
            Error::Invalid(_)
            | Error::Forbidden(_)
            | Error::AiUnavailable(_)
            | Error::Unavailable(_)
            | Error::Internal(_) => "MESSAGE_ERROR",
            Error::Unauthenticated(_)
            | Error::NotFound(_)
            | Error::TooLarge(_)
            | Error::Conflict(_)
            | Error::RateLimited { .. } => error.code(),
        };
        vec![self::error(code, &error.to_string(), error.retry_after_ms())]
    }

    fn farewell(&self, error: &Error) -> Vec<Frame> {
        vec![self::error(error.code(), &error.to_string(), None)]
    }
}

/// Who is there, then the part of the log that was asked for.
fn joined(joined: &Joined, asker: Asker<'_>) -> Vec<Frame> {
    let Joined { conversation, log, backlog, persona, active } = joined;
    let ack = json!({
        "conversation_id": conversation.id,
        "user_id": asker.user.id,
        "bot_personality": { "id": conversation.agent_id, "name": persona },
        "last_seq": conversation.last_seq,
    });
    let mut frames = vec![frame("connection_ack", &ack)];
    match backlog {
        Backlog::None => {}
        Backlog::Latest(_) => {
            let messages: Vec<_> = log.iter().map(|entry| Body::of(&entry.message)).collect();
            frames.push(frame("history", &json!({ "messages": messages })));
        }
        Backlog::After(_) => frames.extend(log.iter().map(|entry| told(&entry.message))),
    }
    // What of a running answer was said before, as one chunk; the next ones are behind it.
    let active = active.as_ref().filter(|active| asker.chunks && !active.content.is_empty());
    frames.extend(active.map(|active| chunk(&active.message_id, active.index, &active.content)));
    frames
}

fn told(message: &Message) -> Frame {
    let kind = if message.role == MessageRole::Assistant { "assistant_message" } else { "message_received" };
    frame(kind, &Told { message: Body::of(message) })
}

fn chunk(message: &MessageId, index: u64, text: &str) -> Frame {
    frame("assistant_chunk", &json!({ "message_id": message, "index": index, "chunk": text }))
}

fn typing(conversation: &ConversationId, user: &Sender, is_typing: bool) -> Frame {
    let (user_id, user_name) = (&user.user_id, &user.user_name);
    let fields = json!({
        "conversation_id": conversation, "user_id": user_id, "user_name": user_name, "is_typing": is_typing,
    });
    frame("typing", &fields)
}

fn error(code: &str, message: &str, retry_after_ms: Option<u64>) -> Frame {
    let mut body = json!({ "code": code, "message": message });
    if let (Some(wait), Value::Object(body)) = (retry_after_ms, &mut body) {
        body.insert("retry_after_ms".into(), wait.into());
    }
    frame("error", &body)
}

/// The type comes first, for people who read along.
fn frame(kind: &'static str, fields: &impl Serialize) -> Frame {
    #[derive(Serialize)]
    struct Typed<'a, T> {
        #[serde(rename = "type")]
        kind: &'static str,
        #[serde(flatten)]
        fields: &'a T,
    }
    Frame::text(&Typed { kind, fields })
}

#[derive(Serialize)]
struct Told<'a> {
    message: Body<'a>,
}

#[derive(Serialize)]
struct Body<'a> {
    id: &'a str,
    conversation_id: &'a ConversationId,
    role: MessageRole,
    content: &'a str,
    created_at: String,
    meta: Map<String, Value>,
}

impl<'a> Body<'a> {
    fn of(message: &'a Message) -> Self {
        let mut meta = message.metadata.clone();
        if let Some(seq) = message.seq {
            meta.insert("seq".into(), seq.into());
        }
        if message.status != MessageStatus::Complete {
            meta.insert("status".into(), message.status.as_str().into());
        }
        Self {
            id: message.id.as_str(),
            conversation_id: &message.conversation_id,
            role: message.role,
            content: &message.content,
            created_at: rfc3339(message.created_at),
            meta,
        }
    }
}

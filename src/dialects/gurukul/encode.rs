//! Events and replies → Gurukul frames.

use serde::Serialize;
use serde_json::{Value, json, value::RawValue};

use super::{
    super::{
        Dialect, Reader, Speaks,
        frame::Frame,
        raw::{Asker, RawDialect, Request, Tag, Wishes},
    },
    Gurukul, decode,
};
use crate::domain::{
    Timestamp,
    command::{Backlog, Joined, Reply},
    conversation::Conversation,
    error::Error,
    event::{Event, LogEntry},
    ids::ConversationId,
    message::{Message, MessageRole, MessageStatus},
    rfc3339,
    user::BOT_USER_ID,
};

impl Dialect for Gurukul {
    fn name(&self) -> &'static str {
        "gurukul"
    }

    fn encode(&self, event: &Event, reader: &Reader, at: Timestamp) -> Vec<Frame> {
        let tag = Tag { id: reader.request.clone(), number: None };
        match event {
            Event::MessagePosted(message) => vec![told(message, None, reader.is_history, &tag, at)],
            Event::AnswerFinished(LogEntry { message, question }) => {
                // An answer without text has no row; then the end of typing is all that is told.
                let text = message.seq.map(|_| told(message, question.as_deref(), reader.is_history, &tag, at));
                let is_live = !reader.is_history && message.status != MessageStatus::Failed;
                let agent_id = message.agent_id.as_deref();
                let silence = is_live.then(|| bot_types(&message.conversation_id, agent_id, false, at));
                text.into_iter().chain(silence).collect()
            }
            // The end of typing comes behind the answer, so the answer brings it along.
            Event::AnswerTyping { typing: false, .. } => vec![],
            Event::AnswerTyping { conversation, agent_id, .. } => {
                vec![bot_types(conversation, Some(agent_id), true, at)]
            }
            Event::Typing { conversation, user, typing } => {
                let data = json!({ "chatId": conversation, "userId": user.user_id, "isTyping": typing });
                vec![frame("typing", &data, &tag, at)]
            }
            Event::AnswerFailed { conversation, failure } => {
                let data = json!({ "chatId": conversation, "message": failure.message, "code": 503 });
                vec![bot_types(conversation, None, false, at), frame("error", &data, &tag, at)]
            }
            // Whoever caused it has the confirmation by the reply.
            Event::MessagesRead { conversation, user, messages, .. } if !reader.is_origin => {
                let data = json!({ "chatId": conversation, "messageIds": messages, "userId": user, "confirmed": true });
                vec![frame("read_receipt", &data, &tag, at)]
            }
            Event::ConversationUpdated(conversation) => {
                let data = json!({ "chatId": conversation.id, "updates": Updates::of(conversation) });
                vec![frame("chat_update", &data, &tag, at)]
            }
            Event::ConversationDeleted(id) => {
                vec![frame("chat_update", &json!({ "chatId": id, "action": "deleted" }), &tag, at)]
            }
            Event::AnswerChunk(_)
            | Event::MessagesRead { .. }
            | Event::Presence { .. }
            | Event::ConversationCreated(_)
            | Event::SearchAnswered(_)
            | Event::SearchFailed { .. } => vec![],
        }
    }
}

impl RawDialect for Gurukul {
    fn speaks(&self) -> Speaks {
        Speaks::GURUKUL
    }

    fn open(&self, parameter: &dyn Fn(&str) -> Option<String>, _: Option<&ConversationId>) -> Result<Wishes, Error> {
        let batches = parameter("batch").as_deref() == Some("1");
        Ok(Wishes { batches, ..Wishes::default() })
    }

    fn decode(&self, text: &str, _: Option<&ConversationId>) -> Request {
        decode::decode(text)
    }

    fn reply(&self, tag: &Tag, reply: &Reply, Asker { user, at, .. }: Asker<'_>) -> Vec<Frame> {
        match reply {
            Reply::Joined(joined) => self::joined(joined, tag, at),
            Reply::Left(id) => vec![frame("chat_update", &json!({ "chatId": id, "action": "leave" }), tag, at)],
            // A message comes to its sender as it comes to everybody; one that has come already is repeated.
            Reply::Posted { message, is_to_come: false, .. } => vec![told(message, None, false, tag, at)],
            Reply::Read { conversation, messages } => {
                let data =
                    json!({ "chatId": conversation, "messageIds": messages, "userId": user.id, "confirmed": true });
                vec![frame("read_receipt", &data, tag, at)]
            }
            Reply::Pong(_) => vec![frame("pong", &json!({ "timestamp": tag.number }), tag, at)],
            Reply::Posted { .. } | Reply::Done | Reply::Authenticated(_) | Reply::Conversation(_) => vec![],
        }
    }

    fn refusal(&self, tag: &Tag, error: &Error, at: Timestamp) -> Vec<Frame> {
        let (code, message) = match error {
            Error::InvalidJson | Error::Invalid(_) | Error::UnknownEvent(_) => (400, error.to_string()),
            Error::Unauthenticated(_) => (401, error.to_string()),
            Error::Forbidden(_) => (403, error.to_string()),
            Error::NotFound(_) => (403, "Access denied to chat".to_owned()),
            Error::Conflict(_) => (409, error.to_string()),
            Error::TooLarge(_) => (413, error.to_string()),
            Error::RateLimited { .. } => (429, error.to_string()),
            Error::AiUnavailable(_) | Error::Unavailable(_) => (503, error.to_string()),
            Error::Internal(_) => (500, error.to_string()),
        };
        let mut data = json!({ "message": message, "code": code });
        if let (Some(wait), Value::Object(data)) = (error.retry_after_ms(), &mut data) {
            data.insert("retryAfterMs".into(), wait.into());
        }
        vec![frame("error", &data, tag, at)]
    }

    fn batch(&self, frames: &[Frame], at: Timestamp) -> Option<Frame> {
        let messages: Vec<&RawValue> = frames.iter().filter_map(Frame::json).collect();
        let body =
            Envelope { kind: "batch", data: &Batch { messages }, timestamp: at.timestamp_millis(), message_id: None };
        (!frames.is_empty()).then(|| Frame::text(&body))
    }
}

#[derive(Serialize)]
struct Batch<'a> {
    messages: Vec<&'a RawValue>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a, T> {
    #[serde(rename = "type")]
    kind: &'static str,
    data: &'a T,
    timestamp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_id: Option<&'a str>,
}

fn frame(kind: &'static str, data: &impl Serialize, tag: &Tag, at: Timestamp) -> Frame {
    Frame::text(&Envelope { kind, data, timestamp: at.timestamp_millis(), message_id: tag.id.as_deref() })
}

/// The AI types, or no longer does.
fn bot_types(conversation: &ConversationId, agent_id: Option<&str>, typing: bool, at: Timestamp) -> Frame {
    let data = BotTyping { chat_id: conversation, user_id: BOT_USER_ID, agent_id, is_typing: typing };
    frame("typing", &data, &Tag::default(), at)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BotTyping<'a> {
    chat_id: &'a ConversationId,
    user_id: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent_id: Option<&'a str>,
    is_typing: bool,
}

/// What is said of a conversation as it is now.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Updates<'a> {
    title: &'a str,
    status: &'static str,
    message_count: u64,
    /// The newest message's text; `null` while there is none.
    last_message: Option<&'a str>,
}

impl<'a> Updates<'a> {
    fn of(conversation: &'a Conversation) -> Self {
        Self {
            title: &conversation.title,
            status: conversation.status.as_str(),
            message_count: conversation.message_count,
            last_message: conversation.last_message.as_ref().map(|message| message.content.as_str()),
        }
    }
}

/// The answer to a join, then the part of the log that it asked for.
fn joined(joined: &Joined, tag: &Tag, at: Timestamp) -> Vec<Frame> {
    let Joined { conversation, log, backlog, .. } = joined;
    let data = json!({ "chatId": conversation.id, "action": "join", "updates": Updates::of(conversation) });
    let mut frames = vec![frame("chat_update", &data, tag, at)];
    if *backlog != Backlog::None {
        let nothing = Tag::default();
        frames.extend(
            log.iter().map(|LogEntry { message, question }| told(message, question.as_deref(), true, &nothing, at)),
        );
    }
    frames
}

/// A message with its chat. `messageId` beside it is the client's own id of the message, or of the one that is answered.
fn told(message: &Message, question: Option<&Message>, is_history: bool, tag: &Tag, at: Timestamp) -> Frame {
    let of_client = question.unwrap_or(message).client_message_id.as_ref().map(|id| id.as_str());
    let data = Told {
        chat_id: &message.conversation_id,
        message: Body::of(message, is_history),
        message_id: of_client.or(tag.id.as_deref()),
    };
    frame("message", &data, tag, at)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Told<'a> {
    chat_id: &'a ConversationId,
    message: Body<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_id: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    id: &'a str,
    chat_id: &'a ConversationId,
    user_id: &'a str,
    agent_id: Option<&'a str>,
    content: &'a str,
    role: MessageRole,
    timestamp: String,
    metadata: Value,
    seq: Option<u64>,
}

impl<'a> Body<'a> {
    fn of(message: &'a Message, is_history: bool) -> Self {
        let mut metadata = message.metadata.clone();
        if message.role == MessageRole::Assistant {
            // Each answer is one message.
            metadata.insert("messageIndex".into(), 1.into());
            metadata.insert("totalMessages".into(), 1.into());
        }
        if message.status != MessageStatus::Complete {
            metadata.insert("status".into(), message.status.as_str().into());
        }
        if is_history {
            metadata.insert("history".into(), true.into());
        }
        Self {
            id: message.id.as_str(),
            chat_id: &message.conversation_id,
            user_id: message.sender.user_id.as_str(),
            agent_id: message.agent_id.as_deref(),
            content: &message.content,
            role: message.role,
            timestamp: rfc3339(message.created_at),
            metadata: Value::Object(metadata),
            seq: message.seq,
        }
    }
}

//! Events and replies → support-desk words.

use serde::Serialize;
use serde_json::{Value, value::RawValue};

use super::{
    super::{Dialect, Reader, Said, Vocabulary, frame::Frame, socketio},
    SupportDesk, decode,
};
use crate::domain::{
    Timestamp,
    command::{Command, Reply},
    error::Error,
    event::{Event, LogEntry},
    ids::{ClientMessageId, ConversationId, MessageId, UserId},
    message::{Message, MessageStatus, Sender},
    rfc3339,
};

impl Dialect for SupportDesk {
    fn name(&self) -> &'static str {
        "support_desk"
    }

    fn encode(&self, event: &Event, reader: &Reader, _: Timestamp) -> Vec<Frame> {
        match event {
            Event::MessagePosted(message) => vec![message_received(message)],
            // An answer without text has no row; here the end of typing tells it, an empty bubble would only confuse.
            Event::AnswerFinished(LogEntry { message, .. }) => {
                message.seq.map(|_| message_received(message)).into_iter().collect()
            }
            Event::AnswerTyping { conversation, bot: user, typing, .. }
            | Event::Typing { conversation, user, typing } => {
                vec![typing_indicator(conversation, user, *typing)]
            }
            Event::AnswerChunk(chunk) => vec![socketio::chunk(chunk, reader.deltas)],
            Event::AnswerFailed { conversation, failure } => vec![socketio::answer_failed(conversation, failure)],
            Event::Presence { user, online, at } => {
                let status = if *online { "online" } else { "offline" };
                vec![Frame::event("presence_update", &Presence { user_id: user, status, timestamp: rfc3339(*at) })]
            }
            Event::MessagesRead { conversation, user, up_to_seq, .. } => {
                let body = MessagesRead { conversation_id: conversation, user_id: user, up_to_seq: *up_to_seq };
                vec![Frame::event("messages_read", &body)]
            }
            Event::ConversationUpdated(conversation) => {
                vec![Frame::event("conversation_updated", &serde_json::json!({ "conversation": conversation }))]
            }
            Event::ConversationDeleted(id) => vec![about(id, "left_conversation")],
            Event::ConversationCreated(_) | Event::SearchAnswered(_) | Event::SearchFailed { .. } => vec![],
        }
    }
}

impl Vocabulary for SupportDesk {
    fn decode(&self, event: &str, args: &[&RawValue]) -> Option<Result<Command, Error>> {
        decode::decode(event, args)
    }

    fn is_telling(&self, event: &str) -> bool {
        matches!(event, "join_conversation" | "send_message" | "typing_start")
    }

    fn reply(&self, reply: &Reply) -> Said {
        match reply {
            Reply::Joined(joined) => {
                let messages = joined.log.iter().map(|entry| socketio::value(&Received::from(&*entry.message)));
                let ack = socketio::joined(joined, messages.collect());
                Said { ack, events: vec![about(&joined.conversation.id, "joined_conversation")] }
            }
            Reply::Left(id) => Said { events: vec![about(id, "left_conversation")], ..Said::default() },
            Reply::Posted { message, duplicate, .. } => {
                let body = Sent {
                    message_id: &message.id,
                    seq: message.seq,
                    timestamp: rfc3339(message.created_at),
                    duplicate: duplicate.then_some(true),
                };
                let Value::Object(ack) = socketio::value(&body) else {
                    return Said::default();
                };
                Said { ack, events: vec![] }
            }
            Reply::Done | Reply::Authenticated(_) | Reply::Conversation(_) | Reply::Read { .. } | Reply::Pong(_) => {
                socketio::plain(reply)
            }
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Received<'a> {
    id: &'a MessageId,
    seq: Option<u64>,
    conversation_id: &'a ConversationId,
    content: &'a str,
    sender: &'a Sender,
    timestamp: String,
    status: MessageStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_message_id: Option<&'a ClientMessageId>,
}

impl<'a> From<&'a Message> for Received<'a> {
    fn from(message: &'a Message) -> Self {
        Self {
            id: &message.id,
            seq: message.seq,
            conversation_id: &message.conversation_id,
            content: &message.content,
            sender: &message.sender,
            timestamp: rfc3339(message.created_at),
            status: message.status,
            client_message_id: message.client_message_id.as_ref(),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Sent<'a> {
    message_id: &'a MessageId,
    seq: Option<u64>,
    timestamp: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    duplicate: Option<bool>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Typing<'a> {
    conversation_id: &'a ConversationId,
    user_id: &'a UserId,
    user_name: &'a str,
    is_typing: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Presence<'a> {
    user_id: &'a UserId,
    status: &'static str,
    timestamp: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MessagesRead<'a> {
    conversation_id: &'a ConversationId,
    user_id: &'a UserId,
    up_to_seq: u64,
}

fn message_received(message: &Message) -> Frame {
    Frame::event("message_received", &Received::from(message))
}

fn typing_indicator(conversation_id: &ConversationId, user: &Sender, is_typing: bool) -> Frame {
    let body = Typing { conversation_id, user_id: &user.user_id, user_name: &user.user_name, is_typing };
    Frame::event("typing_indicator", &body)
}

/// An event that says nothing but which conversation it is about.
fn about(id: &ConversationId, name: &'static str) -> Frame {
    Frame::event(name, &serde_json::json!({ "conversationId": id }))
}

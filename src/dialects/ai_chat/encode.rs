//! Events and replies → AI-chat words.

use serde::Serialize;
use serde_json::{Map, json, value::RawValue};

use super::{
    super::{Dialect, Reader, Said, Vocabulary, frame::Frame, socketio},
    AiChat, decode,
};
use crate::domain::{
    Timestamp,
    command::{Command, Reply},
    error::Error,
    event::Event,
    ids::{ConversationId, UserId},
    rfc3339,
};

impl Dialect for AiChat {
    fn name(&self) -> &'static str {
        "ai_chat"
    }

    fn encode(&self, event: &Event, reader: &Reader, _: Timestamp) -> Vec<Frame> {
        let others = |frame: Frame| if reader.is_origin { vec![] } else { vec![frame] };
        match event {
            Event::MessagePosted(message) => {
                let body = json!({ "conversationId": message.conversation_id, "message": message });
                others(Frame::event("message:new", &body))
            }
            Event::AnswerFinished(entry) => {
                let body = json!({
                    "conversationId": entry.message.conversation_id,
                    "userMessage": entry.question,
                    "assistantMessage": entry.message,
                });
                vec![Frame::event("message:complete", &body)]
            }
            Event::AnswerTyping { conversation, typing, .. } => {
                let name = if *typing { "ai:typing:start" } else { "ai:typing:stop" };
                vec![Frame::event(name, &json!({ "conversationId": conversation }))]
            }
            Event::AnswerChunk(chunk) => vec![socketio::chunk(chunk, reader.deltas)],
            Event::AnswerFailed { conversation, failure } => vec![socketio::answer_failed(conversation, failure)],
            Event::Typing { conversation, user, typing } => {
                let name = if *typing { "typing:start" } else { "typing:stop" };
                let body = Typing { conversation_id: conversation, user_id: &user.user_id, user_name: &user.user_name };
                vec![Frame::event(name, &body)]
            }
            Event::ConversationCreated(conversation) => {
                others(Frame::event("conversation:create", conversation.as_ref()))
            }
            Event::ConversationUpdated(conversation) => {
                others(Frame::event("conversation:update", conversation.as_ref()))
            }
            Event::ConversationDeleted(id) => {
                others(Frame::event("conversation:delete", &json!({ "conversationId": id })))
            }
            Event::Presence { .. }
            | Event::MessagesRead { .. }
            | Event::SearchAnswered(_)
            | Event::SearchFailed { .. } => vec![],
        }
    }
}

impl Vocabulary for AiChat {
    fn decode(&self, event: &str, args: &[&RawValue]) -> Option<Result<Command, Error>> {
        decode::decode(event, args)
    }

    fn is_telling(&self, event: &str) -> bool {
        matches!(event, "join:conversation" | "message:send" | "typing:start") || event.starts_with("conversation:")
    }

    fn reply(&self, reply: &Reply) -> Said {
        match reply {
            Reply::Joined(joined) => {
                let messages = joined.log.iter().map(|entry| socketio::value(entry.message.as_ref())).collect();
                Said { ack: socketio::joined(joined, messages), events: vec![] }
            }
            Reply::Posted { message, .. } => {
                let mut ack = Map::new();
                ack.insert("userMessage".into(), socketio::value(message.as_ref()));
                Said { ack, events: vec![] }
            }
            Reply::Pong(at) => {
                let events = vec![Frame::event("pong", &json!({ "timestamp": rfc3339(*at) }))];
                Said { events, ..Said::default() }
            }
            Reply::Done | Reply::Left(_) | Reply::Read { .. } | Reply::Authenticated(_) | Reply::Conversation(_) => {
                socketio::plain(reply)
            }
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Typing<'a> {
    conversation_id: &'a ConversationId,
    user_id: &'a UserId,
    user_name: &'a str,
}

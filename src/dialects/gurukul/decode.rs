//! Gurukul frames → commands.

use std::sync::Arc;

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Number, Value};

use super::super::raw::{Request, Tag, object, text};
use crate::domain::{
    command::{Backlog, Command, ReadMark},
    conversation::Kind,
    error::Error,
    ids::{ClientMessageId, ConversationId, MessageId},
    message::{Content, NewMessage},
};

/// What a join brings when the client names no place in the log.
const HISTORY: u32 = 50;

/// The longest `messageId` of a frame, in characters.
const FRAME_ID_CHARS_MAX: usize = 128;

/// Messages that one receipt may name.
const RECEIPT_IDS_MAX: usize = 1000;

const MALFORMED: &str = "Invalid message format";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Send {
    chat_id: ConversationId,
    content: String,
    #[serde(default)]
    agent_id: Option<String>,
    #[serde(default)]
    message_id: Option<ClientMessageId>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Typing {
    chat_id: ConversationId,
    is_typing: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Receipt {
    chat_id: ConversationId,
    message_ids: Vec<MessageId>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Update {
    chat_id: ConversationId,
    action: Action,
    #[serde(default)]
    after: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Action {
    Join,
    Leave,
}

#[derive(Deserialize)]
struct Ping {
    #[serde(default)]
    timestamp: Option<Number>,
}

/// Reads one frame.
pub(super) fn decode(frame: &str) -> Request {
    let fields = match object(frame) {
        Ok(Some(fields)) => fields,
        Ok(None) => return Request::refused(Error::invalid(MALFORMED)),
        Err(error) => return Request::refused(error),
    };
    let id = text(&fields, "messageId").filter(|id| id.chars().count() <= FRAME_ID_CHARS_MAX);
    let mut tag = Tag { id: id.map(Arc::from), number: None };
    let command = command(fields, &mut tag);
    Request { tag, command }
}

fn command(mut fields: Map<String, Value>, tag: &mut Tag) -> Result<Command, Error> {
    // An id that cannot be repeated would leave its frame without an answer that the client can tell apart.
    let has_bad_id = fields.get("messageId").is_some_and(|id| !id.is_null()) && tag.id.is_none();
    let sent_at = fields.get("timestamp").and_then(Value::as_number).cloned();
    let (Some(Value::String(kind)), Some(Value::Object(data))) = (fields.remove("type"), fields.remove("data")) else {
        return Err(Error::invalid(MALFORMED));
    };
    if has_bad_id || sent_at.is_none() {
        return Err(Error::invalid(MALFORMED));
    }
    match kind.as_str() {
        "message" => send(data, tag),
        "typing" => read(data)
            .map(|Typing { chat_id, is_typing }| Command::SetTyping { conversation: chat_id, typing: is_typing }),
        "read_receipt" => receipt(data),
        "chat_update" => update(data),
        "ping" => {
            let Ping { timestamp } = read(data)?;
            tag.number = timestamp.or(sent_at);
            Ok(Command::Ping)
        }
        _ => Err(Error::invalid("Unknown message type")),
    }
}

fn read<T: DeserializeOwned>(data: Map<String, Value>) -> Result<T, Error> {
    serde_json::from_value(Value::Object(data)).map_err(|_| Error::invalid(MALFORMED))
}

fn send(data: Map<String, Value>, tag: &Tag) -> Result<Command, Error> {
    let Send { chat_id, content, agent_id, message_id } = read(data)?;
    let agent_id = agent_id.filter(|id| !id.is_empty());
    if agent_id.as_ref().is_some_and(|id| ConversationId::parse(id).is_err()) {
        return Err(Error::invalid(MALFORMED));
    }
    let new = NewMessage::new(chat_id, Content::parse(content)?, Kind::Assistant);
    let request_id = tag.id.clone();
    Ok(Command::PostMessage(NewMessage { client_message_id: message_id, agent_id, request_id, ..new }))
}

fn receipt(data: Map<String, Value>) -> Result<Command, Error> {
    let Receipt { chat_id, message_ids } = read(data)?;
    if message_ids.len() > RECEIPT_IDS_MAX {
        return Err(Error::TooLarge("more than 1000 messageIds".into()));
    }
    Ok(Command::MarkRead { conversation: chat_id, mark: ReadMark::Messages(message_ids) })
}

fn update(data: Map<String, Value>) -> Result<Command, Error> {
    let Update { chat_id: conversation, action, after } = read(data)?;
    Ok(match action {
        Action::Leave => Command::Leave { conversation },
        Action::Join => {
            let backlog = after.map_or(Backlog::Latest(HISTORY), Backlog::After);
            Command::Join { conversation, backlog, kind_if_new: Kind::Assistant }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(frame: &str) -> String {
        decode(frame).command.unwrap_err().to_string()
    }

    #[test]
    fn a_frame_needs_type_data_and_timestamp() {
        for frame in [
            r#"{"data":{"timestamp":1},"timestamp":1}"#,
            r#"{"type":"ping","timestamp":1}"#,
            r#"{"type":"ping","data":{"timestamp":1}}"#,
            r#"{"type":"ping","data":[1],"timestamp":1}"#,
            r#"{"type":"ping","data":{"timestamp":"x"},"timestamp":1}"#,
            r#"{"type":"ping","data":{"timestamp":1},"timestamp":"now"}"#,
            r#"{"type":"ping","data":{"timestamp":1},"timestamp":1,"messageId":7}"#,
            r#"{"type":"message","data":{"chatId":"c"},"timestamp":1}"#,
            r#"{"type":"chat_update","data":{"chatId":"c","action":"rename"},"timestamp":1}"#,
            "[]",
            "7",
        ] {
            assert_eq!(why(frame), MALFORMED, "{frame}");
        }
        assert_eq!(why("{"), "Invalid JSON");
        assert_eq!(why(r#"{"type":"pong","data":{},"timestamp":1}"#), "Unknown message type");
    }

    #[test]
    fn the_answer_to_a_frame_can_repeat_its_id() {
        let request = decode(r#"{"type":"ping","data":{"timestamp":5.5},"timestamp":1,"messageId":"m"}"#);
        assert_eq!(request.tag.id.as_deref(), Some("m"));
        assert_eq!(request.tag.number.unwrap().to_string(), "5.5");
        assert!(matches!(request.command, Ok(Command::Ping)));
    }
}

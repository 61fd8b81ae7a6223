//! Support-desk events → commands.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::socketio;
use crate::domain::{
    command::{Command, ReadMark},
    conversation::Kind,
    error::Error,
    ids::{ClientMessageId, ConversationId},
    message::{Content, NewMessage},
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Send {
    conversation_id: ConversationId,
    content: String,
    #[serde(default)]
    client_message_id: Option<ClientMessageId>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Read {
    conversation_id: ConversationId,
    up_to_seq: u64,
}

/// Reads one event; `None` when the word is not this vocabulary's.
pub(super) fn decode(event: &str, args: &[&RawValue]) -> Option<Result<Command, Error>> {
    Some(match event {
        socketio::SIGN_IN => authenticate(args),
        "join_conversation" => socketio::join(args, Kind::Support),
        "leave_conversation" => socketio::conversation_id(args).map(|conversation| Command::Leave { conversation }),
        "send_message" => send(args),
        "typing_start" => typing(args, true),
        "typing_stop" => typing(args, false),
        "mark_read" => read(args),
        _ => return None,
    })
}

fn authenticate(args: &[&RawValue]) -> Result<Command, Error> {
    let (credentials, _) = socketio::auth(args.first().map_or("null", |value| value.get()))?;
    Ok(Command::Authenticate(credentials))
}

fn send(args: &[&RawValue]) -> Result<Command, Error> {
    let Send { conversation_id, content, client_message_id } = socketio::argument(args)?;
    let content = Content::parse(content)?;
    let new = NewMessage::new(conversation_id, content, Kind::Support);
    Ok(Command::PostMessage(NewMessage { client_message_id, ..new }))
}

fn typing(args: &[&RawValue], typing: bool) -> Result<Command, Error> {
    socketio::conversation_id(args).map(|conversation| Command::SetTyping { conversation, typing })
}

fn read(args: &[&RawValue]) -> Result<Command, Error> {
    let Read { conversation_id, up_to_seq } = socketio::argument(args)?;
    Ok(Command::MarkRead { conversation: conversation_id, mark: ReadMark::UpTo(up_to_seq) })
}

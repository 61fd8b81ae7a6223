//! AI-chat events → commands.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::socketio;
use crate::domain::{
    command::Command,
    conversation::{Conversation, Kind, NewConversation},
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

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Create {
    id: Option<ConversationId>,
    title: Option<String>,
    agent_id: Option<String>,
    kind: Option<Kind>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Update {
    conversation_id: ConversationId,
    #[serde(default)]
    title: Option<String>,
}

/// Reads one event; `None` when the word is not this vocabulary's.
pub(super) fn decode(event: &str, args: &[&RawValue]) -> Option<Result<Command, Error>> {
    let conversation = || socketio::conversation_id(args);
    Some(match event {
        "join:conversation" => socketio::join(args, Kind::Assistant),
        "leave:conversation" => conversation().map(|conversation| Command::Leave { conversation }),
        "conversation:create" => create(args),
        "conversation:update" => update(args),
        "conversation:delete" => conversation().map(|conversation| Command::DeleteConversation { conversation }),
        "message:send" => send(args),
        "typing:start" => conversation().map(|conversation| Command::SetTyping { conversation, typing: true }),
        "typing:stop" => conversation().map(|conversation| Command::SetTyping { conversation, typing: false }),
        "ping" => Ok(Command::Ping),
        _ => return None,
    })
}

fn send(args: &[&RawValue]) -> Result<Command, Error> {
    let Send { conversation_id, content, client_message_id } = socketio::argument(args)?;
    let content = Content::parse(content)?;
    let new = NewMessage::new(conversation_id, content, Kind::Assistant);
    Ok(Command::PostMessage(NewMessage { client_message_id, ..new }))
}

fn create(args: &[&RawValue]) -> Result<Command, Error> {
    let Create { id, title, agent_id, kind } = socketio::argument::<Option<Create>>(args)?.unwrap_or_default();
    title.as_deref().map_or(Ok(()), Conversation::check_title)?;
    Ok(Command::CreateConversation(NewConversation { id, kind, title, agent_id }))
}

fn update(args: &[&RawValue]) -> Result<Command, Error> {
    let Update { conversation_id, title } = socketio::argument(args)?;
    title.as_deref().map_or(Ok(()), Conversation::check_title)?;
    Ok(Command::UpdateConversation { conversation: conversation_id, title })
}

//! A message of the log.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    Timestamp,
    conversation::Kind,
    error::Error,
    ids::{ClientMessageId, ConversationId, MessageId, UserId},
    user::{BOT_USER_ID, Role, User},
};

/// The longest content, in Unicode scalar values after trimming: contract section 12.
pub const CONTENT_CHARS_MAX: usize = 8_000;

/// Text that a person sends: not blank, not too long, kept as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content(String);

impl Content {
    /// Checks text that came from outside.
    ///
    /// # Errors
    /// [`Error::Invalid`] when nothing is left after trimming or when the text has a NUL (PostgreSQL cannot store
    /// it); [`Error::TooLarge`] over [`CONTENT_CHARS_MAX`].
    pub fn parse(text: String) -> Result<Self, Error> {
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return Err(Error::invalid("content is empty"));
        }
        if trimmed.chars().nth(CONTENT_CHARS_MAX).is_some() {
            return Err(Error::TooLarge("content is longer than 8000 characters".into()));
        }
        if text.contains('\0') {
            return Err(Error::invalid("content has a NUL character"));
        }
        Ok(Self(text))
    }

    /// The text as it was sent.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A message that somebody wants to have stored.
#[derive(Debug, Clone)]
pub struct NewMessage {
    /// Where.
    pub conversation: ConversationId,
    /// The text.
    pub content: Content,
    /// The sender's own id for it, which makes sending idempotent.
    pub client_message_id: Option<ClientMessageId>,
    /// The persona that is to answer this one message; the conversation's when absent.
    pub agent_id: Option<String>,
    /// The sender's own id for this request, which its connection wants repeated beside the message.
    pub request_id: Option<Arc<str>>,
    /// The kind of conversation to create when the id is new and the operator allows that.
    pub kind_if_new: Kind,
}

impl NewMessage {
    /// A message without extras.
    #[must_use]
    pub const fn new(conversation: ConversationId, content: Content, kind_if_new: Kind) -> Self {
        Self { conversation, content, client_message_id: None, agent_id: None, request_id: None, kind_if_new }
    }
}

/// Who a message speaks as, in the sense of AI chats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MessageRole {
    /// A person, on either side of the desk.
    User,
    /// The AI.
    Assistant,
    /// The server itself.
    System,
}

impl MessageRole {
    /// The wire and database word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::System => "system",
        }
    }
}

/// How a message ended. People's messages are always [`MessageStatus::Complete`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MessageStatus {
    /// Whole.
    Complete,
    /// An answer that still grows; never stored in the log.
    Streaming,
    /// Stopped by a person; the text is what there was.
    Cancelled,
    /// The AI provider failed; the text is what there was.
    Failed,
    /// This server died meanwhile; the text is what had been saved.
    Interrupted,
}

impl MessageStatus {
    /// The wire and database word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Streaming => "streaming",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
        }
    }
}

/// The side a sender is on, as clients see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SenderRole {
    /// Agent side.
    Admin,
    /// Customer side.
    Customer,
    /// The AI.
    Bot,
}

impl SenderRole {
    /// The wire and database word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Customer => "customer",
            Self::Bot => "bot",
        }
    }
}

impl From<Role> for SenderRole {
    fn from(role: Role) -> Self {
        match role {
            Role::Agent => Self::Admin,
            Role::Customer => Self::Customer,
        }
    }
}

/// Who sent a message, as it was when it was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sender {
    /// The person, or [`BOT_USER_ID`].
    pub user_id: UserId,
    /// Shown to others.
    pub user_name: String,
    /// Side of the desk.
    pub role: SenderRole,
}

impl Sender {
    /// The AI, under its persona's name.
    #[must_use]
    pub fn bot(name: &str) -> Self {
        Self { user_id: UserId::trusted(BOT_USER_ID), user_name: name.to_owned(), role: SenderRole::Bot }
    }
}

impl From<&User> for Sender {
    fn from(user: &User) -> Self {
        Self { user_id: user.id.clone(), user_name: user.name.clone(), role: user.role.into() }
    }
}

/// A message as clients see it: contract section 4.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// Its id.
    pub id: MessageId,
    /// Its conversation.
    pub conversation_id: ConversationId,
    /// 1, 2, 3 … without holes within the conversation. None for an answer that ended without text: it has no row.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub seq: Option<u64>,
    /// Person, AI or server.
    pub role: MessageRole,
    /// Who sent it.
    pub sender: Sender,
    /// The AI persona: the one that speaks, or the one that a person asked.
    pub agent_id: Option<String>,
    /// The text, as sent. Clients render it as text, never as markup.
    pub content: String,
    /// How it ended.
    pub status: MessageStatus,
    /// The sender's own id for it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub client_message_id: Option<ClientMessageId>,
    /// For answers: the message that is answered.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub in_reply_to: Option<MessageId>,
    /// When it was stored.
    pub created_at: Timestamp,
    /// Model, usage, sources; what `regenerates` which.
    pub metadata: Map<String, Value>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_counted_in_scalar_values_after_trimming_and_kept_as_sent() {
        let padded = format!("  {}\n", "🦀".repeat(CONTENT_CHARS_MAX));
        assert_eq!(Content::parse(padded.clone()).unwrap().as_str(), padded);
        assert!(matches!(Content::parse("x".repeat(CONTENT_CHARS_MAX + 1)), Err(Error::TooLarge(_))));
        for blank in ["", " \n\t ", "a\0b"] {
            assert!(matches!(Content::parse(blank.to_owned()), Err(Error::Invalid(_))), "{blank:?}");
        }
    }
}

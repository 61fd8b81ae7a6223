//! A conversation: an append-only log with an owner, and for support also somebody who handles it.

use serde::{Deserialize, Serialize};

use super::{
    Timestamp,
    error::Error,
    ids::{ConversationId, UserId},
    message::Message,
};

/// The persona that answers when a conversation names none.
pub const DEFAULT_PERSONA: &str = "default";

/// The longest title, in characters.
const TITLE_CHARS_MAX: usize = 200;

/// Who is expected to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The AI answers every user message.
    Assistant,
    /// The AI answers customers until a person takes over.
    Support,
}

impl Kind {
    /// The wire and database word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Assistant => "assistant",
            Self::Support => "support",
        }
    }
}

/// Whether a conversation still waits for something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// In work.
    Open,
    /// Done; a customer's message reopens it.
    Resolved,
}

impl Status {
    /// The wire and database word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Resolved => "resolved",
        }
    }
}

/// Who answers customers in a support conversation. On the wire `"bot"` or the agent's user id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum HandledBy {
    /// The AI.
    Bot,
    /// A person.
    Agent(UserId),
}

impl HandledBy {
    /// The word for the AI, on the wire and in the database.
    pub const BOT: &str = "bot";

    /// The wire and database word.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Bot => Self::BOT,
            Self::Agent(id) => id.as_str(),
        }
    }
}

impl From<String> for HandledBy {
    fn from(word: String) -> Self {
        if word == Self::BOT { Self::Bot } else { Self::Agent(UserId::trusted(&word)) }
    }
}

impl From<HandledBy> for String {
    fn from(handler: HandledBy) -> Self {
        handler.as_str().to_owned()
    }
}

/// A conversation as clients see it: contract section 4.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Conversation {
    /// Its id.
    pub id: ConversationId,
    /// Who is expected to answer.
    pub kind: Kind,
    /// Empty until somebody names it.
    pub title: String,
    /// The AI persona that answers.
    pub agent_id: String,
    /// Open or resolved.
    pub status: Status,
    /// Who answers customers.
    pub handled_by: HandledBy,
    /// A person was asked for, or the AI failed in a support conversation, and nobody has taken over yet.
    pub waiting_for_agent: bool,
    /// The customer it belongs to.
    pub owner_id: UserId,
    /// The owner and everybody who has written in it, owner first.
    pub participants: Vec<UserId>,
    /// `seq` of the newest message; 0 when there is none.
    pub last_seq: u64,
    /// How many messages the log has; equal to `last_seq`, because the log has no holes and nothing is removed.
    pub message_count: u64,
    /// The newest message.
    pub last_message: Option<Box<Message>>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When its newest message was stored, or its title, status or handler changed.
    pub updated_at: Timestamp,
}

impl Conversation {
    /// The longest title that is accepted.
    ///
    /// # Errors
    /// [`Error::TooLarge`] over 200 characters, [`Error::Invalid`] for NUL.
    pub fn check_title(title: &str) -> Result<(), Error> {
        if title.chars().count() > TITLE_CHARS_MAX {
            return Err(Error::TooLarge("title is longer than 200 characters".into()));
        }
        if title.contains('\0') {
            return Err(Error::invalid("title has a NUL character"));
        }
        Ok(())
    }
}

/// What a client may say about a conversation that it creates.
#[derive(Debug, Clone, Default)]
pub struct NewConversation {
    /// The application's own id; made here when absent.
    pub id: Option<ConversationId>,
    /// `assistant` when absent, `support` for widget sessions.
    pub kind: Option<Kind>,
    /// Shown in lists.
    pub title: Option<String>,
    /// The AI persona.
    pub agent_id: Option<String>,
}

//! An answer: one AI generation, detached from every connection.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    ids::{AnswerId, ConversationId, MessageId},
    message::{Message, MessageStatus},
};

/// Where an answer stands. The last four are terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AnswerStatus {
    /// Waits for its turn.
    Queued,
    /// A worker holds its lease.
    Running,
    /// The provider said that it is finished.
    Complete,
    /// Stopped by a person.
    Cancelled,
    /// The provider failed.
    Failed,
    /// The worker died.
    Interrupted,
}

impl AnswerStatus {
    /// The database word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Complete => "complete",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
        }
    }

    /// The status of the message that such an answer leaves behind.
    #[must_use]
    pub const fn of_message(self) -> MessageStatus {
        match self {
            Self::Queued | Self::Running => MessageStatus::Streaming,
            Self::Complete => MessageStatus::Complete,
            Self::Cancelled => MessageStatus::Cancelled,
            Self::Failed => MessageStatus::Failed,
            Self::Interrupted => MessageStatus::Interrupted,
        }
    }
}

/// An answer that a worker holds.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its id.
    pub id: AnswerId,
    /// Where it belongs.
    pub conversation: ConversationId,
    /// The id that its message will have, already told in chunks.
    pub message: MessageId,
    /// What is answered.
    pub question: Arc<Message>,
    /// The persona that answers.
    pub persona: String,
    /// Fences the writes of a worker that was thought dead: 1 for the first worker.
    pub attempt: u32,
    /// The message that this one is made anew for.
    pub regenerates: Option<MessageId>,
    /// What an earlier worker had saved.
    pub text: String,
}

/// What the AI has said so far, for those who join in the middle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// The id that the finished message will have.
    pub message_id: MessageId,
    /// Number of the newest chunk in `content`.
    pub index: u64,
    /// All text so far.
    pub content: String,
}

/// What a provider counted, for every ending.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// The model that answered.
    pub model: String,
    /// Tokens of the prompt.
    pub prompt_tokens: u32,
    /// Tokens of the answer.
    pub completion_tokens: u32,
    /// The provider did not say; counted as a quarter of the characters.
    pub estimated: bool,
}

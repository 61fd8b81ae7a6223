//! Everything a client can hear, in one closed list, and who hears it. The bus carries it between replicas.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    Timestamp,
    conversation::Conversation,
    error::Failure,
    ids::{ConnectionId, ConversationId, MessageId, UserId},
    message::{Message, MessageRole, Sender},
    search::SearchAnswer,
};

/// A group of connections.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Room {
    /// Those that joined the conversation.
    Conversation(ConversationId),
    /// All connections of one person.
    User(UserId),
    /// All connections of the agent side.
    Agents,
}

/// A growing AI answer: the text between the last chunk and this one.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Chunk {
    /// Where.
    pub conversation: ConversationId,
    /// The id that the finished message will have.
    pub message: MessageId,
    /// 0, 1, 2 …
    pub index: u64,
    /// All text so far, this chunk included.
    pub content: Arc<str>,
    /// Where in `content` the new text begins, in bytes.
    pub start: usize,
    /// Where the new text begins in UTF-16 code units, the unit of JavaScript strings.
    pub start_utf16: usize,
}

impl Chunk {
    /// The new text.
    #[must_use]
    pub fn text(&self) -> &str {
        self.content.get(self.start..).unwrap_or_default()
    }
}

/// A message of the log together with what it answers, which some dialects repeat beside an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogEntry {
    /// The message.
    pub message: Arc<Message>,
    /// For answers: the question.
    pub question: Option<Arc<Message>>,
}

impl LogEntry {
    /// The event that told this entry when it was new.
    #[must_use]
    pub fn into_event(self) -> Event {
        match self.message.role {
            MessageRole::Assistant => Event::AnswerFinished(self),
            MessageRole::User | MessageRole::System => Event::MessagePosted(self.message),
        }
    }
}

/// Something that happened.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Event {
    /// A person's message was stored.
    MessagePosted(Arc<Message>),
    /// An AI answer ended. The message has no `seq` when it ended without text.
    AnswerFinished(LogEntry),
    /// The AI starts or stops working on an answer.
    AnswerTyping {
        /// Where.
        conversation: ConversationId,
        /// The AI under its persona's name.
        bot: Sender,
        /// The persona's id.
        agent_id: String,
        /// Starts or stops.
        typing: bool,
    },
    /// An AI answer grew.
    AnswerChunk(Chunk),
    /// The AI could not answer.
    AnswerFailed {
        /// Where.
        conversation: ConversationId,
        /// Why, as far as clients may know.
        failure: Failure,
    },
    /// Somebody starts or stops typing.
    Typing {
        /// Where.
        conversation: ConversationId,
        /// Who.
        user: Sender,
        /// Starts or stops.
        typing: bool,
    },
    /// A person's first connection came or last one went.
    Presence {
        /// Who.
        user: UserId,
        /// Came or went.
        online: bool,
        /// When.
        at: Timestamp,
    },
    /// Somebody has read up to here.
    MessagesRead {
        /// Where.
        conversation: ConversationId,
        /// Who.
        user: UserId,
        /// How far.
        up_to_seq: u64,
        /// The messages that this was said of; of a longer stretch the newest ones.
        messages: Vec<MessageId>,
    },
    /// A conversation began.
    ConversationCreated(Arc<Conversation>),
    /// Title, status or handler changed.
    ConversationUpdated(Arc<Conversation>),
    /// A conversation is gone.
    ConversationDeleted(ConversationId),
    /// A search has been answered.
    SearchAnswered(Arc<SearchAnswer>),
    /// A search cannot be answered.
    SearchFailed {
        /// The asker's own id for the request.
        request_id: String,
        /// Why.
        failure: Failure,
    },
}

impl Event {
    /// The end or change of something that is told nowhere else: it must not be skipped for a slow reader.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        match self {
            Self::AnswerFinished(_)
            | Self::AnswerFailed { .. }
            | Self::AnswerTyping { typing: false, .. }
            | Self::MessagesRead { .. }
            | Self::ConversationCreated(_)
            | Self::ConversationUpdated(_)
            | Self::ConversationDeleted(_)
            | Self::SearchAnswered(_)
            | Self::SearchFailed { .. } => true,
            Self::MessagePosted(_)
            | Self::AnswerTyping { .. }
            | Self::AnswerChunk(_)
            | Self::Typing { .. }
            | Self::Presence { .. } => false,
        }
    }

    /// The place in a conversation's log that this event takes, when it takes one.
    #[must_use]
    pub fn seq(&self) -> Option<(&ConversationId, u64)> {
        match self {
            Self::MessagePosted(message) | Self::AnswerFinished(LogEntry { message, .. }) => {
                message.seq.map(|seq| (&message.conversation_id, seq))
            }
            _ => None,
        }
    }
}

/// An event on its way.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Envelope {
    /// What happened.
    pub event: Event,
    /// Who hears it; a connection in several of these rooms hears it once.
    pub rooms: Vec<Room>,
    /// The connection that caused it and has been told by the reply already.
    pub origin: Option<ConnectionId>,
    /// All connections of this person are left out: nobody hears their own typing.
    pub except_user: Option<UserId>,
}

impl Envelope {
    /// An event for one room.
    #[must_use]
    pub fn to(room: Room, event: Event) -> Self {
        Self { event, rooms: vec![room], origin: None, except_user: None }
    }
}

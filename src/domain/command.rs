//! Everything a client can ask, in one closed list. Each dialect's `decode` produces it, `service::execute` answers it.

use std::sync::Arc;

use super::{
    Timestamp,
    answer::Snapshot,
    conversation::{Conversation, Kind, NewConversation},
    event::LogEntry,
    ids::{AnswerId, ConversationId, MessageId, UserId},
    message::{Message, NewMessage},
    user::User,
};

/// What a client presents to say who it is.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    /// A JWT.
    pub token: Option<String>,
    /// A widget visitor's session id.
    pub session_id: Option<String>,
}

impl Credentials {
    /// True when nothing was presented.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.token.is_none() && self.session_id.is_none()
    }
}

/// Secrets: never printed.
impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials")
            .field("token", &self.token.is_some())
            .field("session_id", &self.session_id.is_some())
            .finish()
    }
}

/// How a reader names what they have read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadMark {
    /// Everything up to this `seq`.
    UpTo(u64),
    /// These messages; the newest of them counts.
    Messages(Vec<MessageId>),
}

/// Which part of the log a join brings with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backlog {
    /// Nothing: only what comes from now on.
    None,
    /// Everything behind this `seq`.
    After(u64),
    /// The newest so many messages.
    Latest(u32),
}

/// A request of a client.
#[derive(Debug, Clone)]
pub enum Command {
    /// Say who is speaking, after connecting or with a fresh token.
    Authenticate(Credentials),
    /// Hear a conversation from now on.
    Join {
        /// Which.
        conversation: ConversationId,
        /// What of the log to bring.
        backlog: Backlog,
        /// The kind to create when the id is new and the operator allows that.
        kind_if_new: Kind,
    },
    /// Stop hearing a conversation.
    Leave {
        /// Which.
        conversation: ConversationId,
    },
    /// Store a message; joins the sender.
    PostMessage(NewMessage),
    /// Start or stop typing.
    SetTyping {
        /// Where.
        conversation: ConversationId,
        /// Start or stop.
        typing: bool,
    },
    /// Remember what was read.
    MarkRead {
        /// Where.
        conversation: ConversationId,
        /// How far.
        mark: ReadMark,
    },
    /// Begin a conversation.
    CreateConversation(NewConversation),
    /// Rename a conversation.
    UpdateConversation {
        /// Which.
        conversation: ConversationId,
        /// The new title, when it changes.
        title: Option<String>,
    },
    /// Remove a conversation and its log.
    DeleteConversation {
        /// Which.
        conversation: ConversationId,
    },
    /// End the running AI answer, keeping its text.
    StopAnswer {
        /// Where.
        conversation: ConversationId,
    },
    /// Answer the last user message anew.
    RegenerateAnswer {
        /// Where.
        conversation: ConversationId,
    },
    /// A person takes a support conversation over.
    Assign {
        /// Which.
        conversation: ConversationId,
        /// Who; the caller when absent.
        agent: Option<UserId>,
    },
    /// Give a support conversation back to the AI.
    HandBack {
        /// Which.
        conversation: ConversationId,
    },
    /// Close a conversation.
    Resolve {
        /// Which.
        conversation: ConversationId,
    },
    /// Find listings by a sentence.
    Search {
        /// The asker's own id for this request.
        request_id: String,
        /// 1–500 characters after trimming.
        query: String,
    },
    /// Ask for a sign of life.
    Ping,
}

impl Command {
    /// A stable word for logs, metrics and rate limits.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Authenticate(_) => "authenticate",
            Self::Join { .. } => "join",
            Self::Leave { .. } => "leave",
            Self::PostMessage(_) => "post_message",
            Self::SetTyping { .. } => "set_typing",
            Self::MarkRead { .. } => "mark_read",
            Self::CreateConversation(_) => "create_conversation",
            Self::UpdateConversation { .. } => "update_conversation",
            Self::DeleteConversation { .. } => "delete_conversation",
            Self::StopAnswer { .. } => "stop_answer",
            Self::RegenerateAnswer { .. } => "regenerate_answer",
            Self::Assign { .. } => "assign",
            Self::HandBack { .. } => "hand_back",
            Self::Resolve { .. } => "resolve",
            Self::Search { .. } => "search",
            Self::Ping => "ping",
        }
    }

    /// The conversation it is about, when it names one.
    #[must_use]
    pub const fn conversation(&self) -> Option<&ConversationId> {
        match self {
            Self::Join { conversation, .. }
            | Self::Leave { conversation }
            | Self::PostMessage(NewMessage { conversation, .. })
            | Self::SetTyping { conversation, .. }
            | Self::MarkRead { conversation, .. }
            | Self::UpdateConversation { conversation, .. }
            | Self::DeleteConversation { conversation }
            | Self::StopAnswer { conversation }
            | Self::RegenerateAnswer { conversation }
            | Self::Assign { conversation, .. }
            | Self::HandBack { conversation }
            | Self::Resolve { conversation } => Some(conversation),
            Self::Authenticate(_) | Self::CreateConversation(_) | Self::Search { .. } | Self::Ping => None,
        }
    }
}

/// What the asker is told when a [`Command`] succeeds.
#[derive(Debug, Clone)]
pub enum Reply {
    /// Nothing more than success.
    Done,
    /// The caller is known now.
    Authenticated(Arc<User>),
    /// The caller hears this conversation from now on.
    Joined(Box<Joined>),
    /// The caller no longer hears it.
    Left(ConversationId),
    /// The message is stored.
    Posted {
        /// As stored.
        message: Arc<Message>,
        /// It had been stored before, under the same client message id.
        duplicate: bool,
        /// The AI answer that now waits for its turn.
        answer: Option<AnswerId>,
        /// For a duplicate: its AI answer, when there is one already and the asker has been told of it before.
        given: Option<LogEntry>,
        /// The asker's connection has not been told of the message yet and will be, in its turn.
        is_to_come: bool,
    },
    /// So much is marked as read.
    Read {
        /// Where.
        conversation: ConversationId,
        /// The messages, as they were named.
        messages: Vec<MessageId>,
    },
    /// The conversation as it is now.
    Conversation(Arc<Conversation>),
    /// A sign of life.
    Pong(Timestamp),
}

/// The state of a conversation at the moment of a join.
#[derive(Debug, Clone)]
pub struct Joined {
    /// As it is now.
    pub conversation: Conversation,
    /// The part of the log that was asked for, up to one page; what is missing follows as events.
    pub log: Vec<LogEntry>,
    /// What of the log was asked for.
    pub backlog: Backlog,
    /// The persona's name.
    pub persona: &'static str,
    /// The running AI answer, if there is one.
    pub active: Option<Snapshot>,
}

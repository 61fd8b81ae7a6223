//! People: who they are and which side of the desk they sit on.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{conversation::Conversation, ids::UserId};

/// The user id under which AI answers, its typing and its messages appear.
pub const BOT_USER_ID: &str = "assistant";

/// Which side of the desk a person is on. Tokens of host applications say `admin`, `agent` or `support` for agents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reaches every conversation; spelled `admin` on every wire.
    #[serde(rename = "admin")]
    Agent,
    /// Reaches their own conversations.
    Customer,
}

impl Role {
    /// Reads a role word of a token or the command line; what is not an agent word is a customer.
    #[must_use]
    pub fn from_word(word: &str) -> Self {
        match word.to_ascii_lowercase().as_str() {
            "admin" | "agent" | "support" => Self::Agent,
            _ => Self::Customer,
        }
    }

    /// The wire and database word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "admin",
            Self::Customer => "customer",
        }
    }
}

/// A person with an account, a host application's token, or a widget session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// From the token's `sub`, or made here.
    pub id: UserId,
    /// Shown to others.
    pub name: String,
    /// Known for accounts and some tokens.
    pub email: Option<String>,
    /// Side of the desk.
    pub role: Role,
}

impl User {
    /// The server itself, which reaches every conversation.
    #[must_use]
    pub fn system() -> Self {
        Self { id: UserId::trusted("system"), name: "Switchboard".into(), email: None, role: Role::Agent }
    }

    /// Agents reach all conversations, customers their own.
    #[must_use]
    pub fn may_reach(&self, conversation: &Conversation) -> bool {
        self.role == Role::Agent || conversation.owner_id == self.id
    }
}

/// Who asks, as every service function sees it.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The person.
    pub user: Arc<User>,
    /// The connection that asked; none for REST.
    pub connection: Option<super::ids::ConnectionId>,
    /// A widget visitor, whose conversations are for support unless they say otherwise.
    pub by_session: bool,
}

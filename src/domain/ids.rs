//! Identifiers as types of their own, checked once where they enter and never again.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use super::error::Error;

/// The longest id or client message id, in characters.
const ID_CHARS_MAX: usize = 128;

/// Declares a cheap-to-clone string id with a checking constructor.
macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident, $noun:literal, $valid:path) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks a string that came from outside.
            ///
            /// # Errors
            /// [`Error::Invalid`] when the text is empty, too long or has a character that ids do not have.
            pub fn parse(text: &str) -> Result<Self, Error> {
                if text.is_empty() || text.chars().count() > ID_CHARS_MAX || !text.chars().all($valid) {
                    return Err(Error::invalid(concat!($noun, " is not a valid id")));
                }
                Ok(Self(text.into()))
            }

            /// Takes a string that this server wrote itself, such as a database column.
            #[must_use]
            pub fn trusted(text: &str) -> Self {
                Self(text.into())
            }

            /// Makes a fresh id: a UUIDv7, so that ids sort by their time of birth.
            #[must_use]
            pub fn generate() -> Self {
                Self(uuid::Uuid::now_v7().to_string().into())
            }

            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = Error;
            fn try_from(text: String) -> Result<Self, Error> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0.as_ref().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

/// The characters of ids that clients may choose: contract section 4.
fn is_id_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | ':' | '-')
}

/// User ids come from the host application's tokens (`auth0|4711`, an e-mail address), so any printable text goes.
fn is_printable(c: char) -> bool {
    !c.is_control()
}

/// Client message ids are opaque; NUL alone is refused, because PostgreSQL cannot store it.
fn is_not_nul(c: char) -> bool {
    c != '\0'
}

id_type!(
    /// One conversation, chosen by the application or made here.
    ConversationId, "conversationId", is_id_char
);
id_type!(
    /// One message of the log.
    MessageId, "messageId", is_id_char
);
id_type!(
    /// One AI generation.
    AnswerId, "answerId", is_id_char
);
id_type!(
    /// One person, or the bot.
    UserId, "userId", is_printable
);
id_type!(
    /// The client's own name for a message, which makes sending it twice harmless.
    ClientMessageId, "clientMessageId", is_not_nul
);
id_type!(
    /// One listing, chosen by the application or made here.
    ListingId, "listing id", is_id_char
);
id_type!(
    /// One help article, named by its file or by the operator.
    ArticleId, "article id", is_id_char
);

/// One connection of one client, unique over all replicas and restarts with overwhelming likelihood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ConnectionId(pub u64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conversation_ids_have_a_narrow_alphabet() {
        for good in ["a", "conv-123", "x_1.y:Z", &"a".repeat(128)] {
            assert!(ConversationId::parse(good).is_ok(), "{good}");
        }
        for bad in ["", " ", "a b", "a/b", "ä", "a\0", &"a".repeat(129)] {
            assert!(ConversationId::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn user_and_client_message_ids_are_wider() {
        assert!(UserId::parse("auth0|4711@example.org").is_ok());
        assert!(UserId::parse("a\nb").is_err());
        assert!(ClientMessageId::parse("Ärger 7/3").is_ok());
        assert!(ClientMessageId::parse("a\0b").is_err());
    }
}

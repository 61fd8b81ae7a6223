//! How each family of clients spells the chat. Pure translation: no I/O, no state, no clock.
//!
//! Each folder is one protocol: its `mod.rs` describes it in prose, `decode.rs` turns what clients say into a
//! [`Command`], `encode.rs` turns an [`Event`] or [`Reply`] into what clients hear. [`socketio`] holds the words that
//! both Socket.IO vocabularies share, [`raw`] what the protocols on bare WebSockets have in common, [`frame`] the bytes.
#![warn(clippy::wildcard_enum_match_arm)]

pub mod ai_chat;
pub mod campus_hub;
pub mod frame;
pub mod gurukul;
pub mod lykke;
pub mod raw;
pub mod socketio;
pub mod support_desk;

use std::sync::Arc;

use serde_json::value::RawValue;

use self::frame::Frame;
use crate::domain::{
    Timestamp,
    command::{Command, Reply},
    error::Error,
    event::Event,
};

/// Who will read a frame, as far as the spelling depends on it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reader {
    /// The event was caused by this very connection, which has its reply already.
    pub is_origin: bool,
    /// The client asked for chunks without the text so far (`auth.deltas`).
    pub deltas: bool,
    /// It was there before the client joined.
    pub is_history: bool,
    /// The client's own id of the request that caused the event.
    pub request: Option<Arc<str>>,
}

/// How one family of clients spells events.
pub trait Dialect: Sync {
    /// Names the dialect in logs and metrics.
    fn name(&self) -> &'static str;

    /// The frames that tell `event`, at this moment; empty when the protocol has no word for it.
    fn encode(&self, event: &Event, reader: &Reader, at: Timestamp) -> Vec<Frame>;
}

/// A dialect whose clients speak Socket.IO: named events with acknowledgements, several vocabularies on one socket.
pub trait Vocabulary: Dialect {
    /// Reads an event. `None` when it is not a word of this vocabulary.
    fn decode(&self, event: &str, args: &[&RawValue]) -> Option<Result<Command, Error>>;

    /// Whether this word, heard from a client, shows that it speaks this vocabulary (contract section 6).
    fn is_telling(&self, event: &str) -> bool;

    /// The fields of the acknowledgement besides `success`, and what is said beside it.
    fn reply(&self, reply: &Reply) -> Said;
}

/// The answer to one event.
#[derive(Default)]
pub struct Said {
    /// Fields of the acknowledgement, besides `success`.
    pub ack: serde_json::Map<String, serde_json::Value>,
    /// Events for the asker alone.
    pub events: Vec<Frame>,
}

/// To add a protocol: write its folder, declare it above, list it here and give it a bit in [`Speaks`].
static DIALECTS: &[(Speaks, &dyn Dialect)] = &[
    (Speaks::SUPPORT_DESK, &support_desk::SupportDesk),
    (Speaks::AI_CHAT, &ai_chat::AiChat),
    (Speaks::GURUKUL, &gurukul::Gurukul),
    (Speaks::CAMPUS_HUB, &campus_hub::CampusHub),
    (Speaks::LYKKE, &lykke::Lykke),
];

/// The Socket.IO vocabularies, in the order in which a word is looked up.
pub static VOCABULARIES: &[(Speaks, &dyn Vocabulary)] =
    &[(Speaks::SUPPORT_DESK, &support_desk::SupportDesk), (Speaks::AI_CHAT, &ai_chat::AiChat)];

/// The set of dialects that a connection is told events in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Speaks(u8);

impl Speaks {
    /// Told nothing.
    pub const NONE: Self = Self(0);
    /// Seed 004.
    pub const SUPPORT_DESK: Self = Self(1);
    /// Seed 003.
    pub const AI_CHAT: Self = Self(2);
    /// Seed 001.
    pub const GURUKUL: Self = Self(4);
    /// Seed 000.
    pub const CAMPUS_HUB: Self = Self(8);
    /// Seed 002.
    pub const LYKKE: Self = Self(16);

    /// The set as bits, for an atomic cell.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// The set behind [`Self::bits`].
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits)
    }

    /// Both sets.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// The frames that tell `event` to a connection which speaks `speaks`. A word that two vocabularies share is said once.
#[must_use]
pub fn encode(speaks: Speaks, event: &Event, reader: &Reader, at: Timestamp) -> Vec<Frame> {
    let mut frames: Vec<Frame> = vec![];
    for (bit, dialect) in DIALECTS {
        if speaks.has(*bit) {
            let told = frames.len();
            for frame in dialect.encode(event, reader, at) {
                let already = frames.iter().take(told).any(|other| other.name() == frame.name());
                if !already {
                    frames.push(frame);
                }
            }
        }
    }
    frames
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{error::Failure, ids::ConversationId};

    #[test]
    fn a_word_that_two_vocabularies_share_is_told_once() {
        let failed = Event::AnswerFailed {
            conversation: ConversationId::trusted("c"),
            failure: Failure { code: "AI_UNAVAILABLE".into(), message: "no".into() },
        };
        let both = Speaks::SUPPORT_DESK.and(Speaks::AI_CHAT);
        assert_eq!(encode(both, &failed, &Reader::default(), Timestamp::UNIX_EPOCH).len(), 1);
        assert_eq!(encode(Speaks::NONE, &failed, &Reader::default(), Timestamp::UNIX_EPOCH).len(), 0);
    }
}

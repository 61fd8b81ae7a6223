//! What processes tell each other through Redis, and under which names.

use std::collections::{HashSet, VecDeque};

use serde::{Deserialize, Serialize};

use crate::{
    domain::{
        event::{Envelope, Event, Room},
        ids::{AnswerId, ConversationId},
    },
    realtime::redis::Redis,
};

/// How many envelopes are remembered so that a second copy is known as such.
const RECENT_MAX: usize = 8192;

/// Something that one process tells others.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Said {
    /// Something happened.
    Event(Envelope),
    /// Whoever generates an answer in this conversation stops.
    Stop {
        /// Where.
        conversation: ConversationId,
        /// This one, also when it is about to begin; without it whichever there is.
        answer: Option<AnswerId>,
    },
    /// Something that was said may not have been heard: look into the database.
    Lost,
}

impl Said {
    /// It is told late rather than not at all: nothing else would ever tell it. What is in the log is found there, and
    /// that typing ends would be wrong when it comes after the next beginning.
    pub(super) fn must_arrive(&self) -> bool {
        match self {
            Self::Event(Envelope { event: Event::AnswerTyping { .. }, .. }) | Self::Lost => false,
            Self::Event(Envelope { event, .. }) => event.is_final() && event.seq().is_none(),
            // Without the answer's name it could stop a later one.
            Self::Stop { answer, .. } => answer.is_some(),
        }
    }

    /// The channels of those whom it concerns.
    pub(super) fn channels(&self, redis: &Redis) -> Vec<String> {
        match self {
            Self::Event(envelope) => envelope.rooms.iter().map(|room| channel(redis, room)).collect(),
            Self::Stop { .. } | Self::Lost => vec![control(redis)],
        }
    }
}

/// What travels: a process's own name and a running number make copies recognisable.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Wire {
    pub(super) node: u64,
    pub(super) number: u64,
    pub(super) said: Said,
}

/// The channel of a room.
pub(super) fn channel(redis: &Redis, room: &Room) -> String {
    redis.key(&match room {
        Room::Conversation(id) => format!("room:conversation:{id}"),
        Room::User(id) => format!("room:user:{id}"),
        Room::Agents => "room:agents".to_owned(),
    })
}

/// The channel that every process hears.
pub(super) fn control(redis: &Redis) -> String {
    redis.key("control")
}

/// The newest envelopes that were heard: one for several rooms comes once for each.
#[derive(Default)]
pub(super) struct Recent {
    order: VecDeque<(u64, u64)>,
    known: HashSet<(u64, u64)>,
}

impl Recent {
    /// True at the first sight of it.
    pub(super) fn is_new(&mut self, wire: &Wire) -> bool {
        let key = (wire.node, wire.number);
        if !self.known.insert(key) {
            return false;
        }
        self.order.push_back(key);
        if self.order.len() > RECENT_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_copy_is_recognised_and_memory_is_bounded() {
        let mut recent = Recent::default();
        let wire = |number| Wire { node: 7, number, said: Said::Lost };
        assert!(recent.is_new(&wire(0)));
        assert!(!recent.is_new(&wire(0)));
        for number in 1..=RECENT_MAX as u64 {
            assert!(recent.is_new(&wire(number)));
        }
        assert_eq!((recent.order.len(), recent.known.len()), (RECENT_MAX, RECENT_MAX));
        assert!(recent.is_new(&wire(0)), "the oldest is forgotten");
    }
}

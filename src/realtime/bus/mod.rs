//! The way of an event to everybody who listens. It carries domain events, never frames.
//!
//! This replica's listeners come first and never wait for anybody else; other replicas get the same envelope through
//! Redis, on one channel for each room that has listeners there. With [`Bus::Memory`] there are no others. Redis may
//! lose, double and reorder what it carries: the hub puts it in order, and rooms are compared with the database.

mod comparer;
mod line;
mod publisher;
mod wire;

use std::sync::Arc;

use self::{comparer::Comparer, line::Line, publisher::Publisher, wire::Said};
use super::{hub::Hub, redis::Redis, watch::Watch};
use crate::{
    domain::{
        event::Envelope,
        ids::{AnswerId, ConversationId},
    },
    tasks::Tasks,
};

/// Where events go.
#[derive(Clone)]
pub enum Bus {
    /// One process: everybody who listens is in this hub.
    Memory(Arc<Hub>),
    /// Several processes, with Redis between them.
    Redis {
        /// Those who listen here.
        hub: Arc<Hub>,
        /// The way to the others.
        others: Publisher,
    },
}

impl Bus {
    /// A bus over Redis; it begins to listen at once, and connects whenever Redis is there.
    #[must_use]
    pub fn over_redis(redis: &Redis, hub: Arc<Hub>, tasks: &Tasks) -> Self {
        let node = rand::random();
        let watch = Arc::new(Watch::default());
        hub.watched_by(watch.clone());
        let comparer = Arc::new(Comparer::new(hub.clone(), redis.clone()));
        let line = Line::new(redis.clone(), hub.clone(), watch, comparer.clone(), node);
        tasks.spawn_until_stop(line.run());
        tasks.spawn_until_stop(async move { comparer.run().await });
        Self::Redis { hub, others: Publisher::start(redis.clone(), node, tasks) }
    }

    /// Tells everybody in the envelope's rooms. Never blocks.
    pub fn publish(&self, envelope: Envelope) {
        match self {
            Self::Memory(hub) => hub.deliver(envelope),
            Self::Redis { hub, others } => {
                hub.deliver(envelope.clone());
                others.say(Said::Event(envelope));
            }
        }
    }

    /// Stops the answer that grows in a conversation, in whichever process; with `answer` only this one, also when it
    /// is about to begin. True when it grew here.
    pub fn stop_answer(&self, conversation: &ConversationId, answer: Option<&AnswerId>) -> bool {
        let (Self::Memory(hub) | Self::Redis { hub, .. }) = self;
        let ran_here = match answer {
            Some(answer) => hub.snapshots.stop_early(answer, conversation),
            None => hub.snapshots.stop(conversation),
        };
        if !ran_here && let Self::Redis { others, .. } = self {
            others.say(Said::Stop { conversation: conversation.clone(), answer: answer.cloned() });
        }
        ran_here
    }

    /// True when answers may grow in other processes.
    #[must_use]
    pub const fn has_others(&self) -> bool {
        matches!(self, Self::Redis { .. })
    }
}

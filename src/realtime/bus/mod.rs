//! The way of an event to everybody who listens. It carries domain events, never frames.
//!
//! This replica's listeners come first and never wait for anybody else; other replicas get the same envelope through
//! whatever connects them. With [`Bus::Memory`] there are none.

use std::sync::Arc;

use super::hub::Hub;
use crate::domain::event::Envelope;

/// Where events go.
#[derive(Clone)]
pub enum Bus {
    /// One process: everybody who listens is in this hub.
    Memory(Arc<Hub>),
}

impl Bus {
    /// Tells everybody in the envelope's rooms. Never blocks.
    pub fn publish(&self, envelope: Envelope) {
        match self {
            Self::Memory(hub) => hub.deliver(envelope),
        }
    }
}

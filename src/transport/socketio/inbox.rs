//! The requests of one Socket.IO connection, in the order sent, one consumer at a time.

use std::{
    collections::VecDeque,
    convert::Infallible,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use crate::realtime::lock;
use futures_util::task::AtomicWaker;
use socketioxide::{
    handler::{FromMessageParts, Value},
    socket::Socket,
};

/// A WebSocket is not read while so many requests, or so many bytes of them, wait.
const PAUSE: usize = 512;
const PAUSE_BYTES: usize = 1 << 20;

/// A polling client can send many in one request; more than this are refused.
const WAITING_MAX: usize = 16_384;
const WAITING_BYTES_MAX: usize = 4 << 20;

/// One event as it came, not yet parsed.
pub(super) struct Packet {
    value: Value,
    /// The number to acknowledge it with.
    pub ack: Option<i64>,
}

impl Packet {
    /// `["event", …arguments]`; none for binary, which no vocabulary has.
    pub(super) fn json(&self) -> Option<&str> {
        match &self.value {
            Value::Str(json, None) => Some(json.as_str()),
            Value::Str(_, Some(_)) | Value::Bytes(_) => None,
        }
    }
}

impl Packet {
    fn len(&self) -> usize {
        match &self.value {
            Value::Str(json, attachments) => {
                json.len() + attachments.iter().flatten().map(bytes::Bytes::len).sum::<usize>()
            }
            Value::Bytes(bytes) => bytes.len(),
        }
    }
}

impl FromMessageParts<socketioxide::adapter::LocalAdapter> for Packet {
    type Error = Infallible;
    fn from_message_parts(_: &Arc<Socket>, value: &mut Value, ack: &Option<i64>) -> Result<Self, Infallible> {
        Ok(Self { value: std::mem::replace(value, Value::Bytes(bytes::Bytes::new())), ack: *ack })
    }
}

/// What waits to be handled.
#[derive(Default)]
pub(super) struct Inbox {
    state: Mutex<State>,
    reader: AtomicWaker,
}

#[derive(Default)]
struct State {
    packets: VecDeque<Packet>,
    bytes: usize,
    has_consumer: bool,
}

impl State {
    fn has_room(&self) -> bool {
        self.packets.len() < PAUSE && self.bytes < PAUSE_BYTES
    }
}

/// What became of a packet.
pub(super) enum Put {
    /// It waits, and somebody is working on the queue.
    Waits,
    /// It waits for a consumer, which the caller has to start.
    NeedsConsumer,
    /// There is no room.
    Refused(Packet),
}

impl Inbox {
    /// Queues a packet.
    pub(super) fn put(&self, packet: Packet) -> Put {
        let mut state = lock(&self.state);
        if state.packets.len() >= WAITING_MAX || state.bytes >= WAITING_BYTES_MAX {
            return Put::Refused(packet);
        }
        state.bytes += packet.len();
        state.packets.push_back(packet);
        if std::mem::replace(&mut state.has_consumer, true) { Put::Waits } else { Put::NeedsConsumer }
    }

    /// Takes up to `count` packets. None ends the consumer: the next packet needs a new one.
    pub(super) fn take(&self, count: usize) -> Option<Vec<Packet>> {
        let mut state = lock(&self.state);
        if state.packets.is_empty() {
            state.has_consumer = false;
            state.packets.shrink_to_fit();
            return None;
        }
        let count = count.min(state.packets.len());
        let taken: Vec<_> = state.packets.drain(..count).collect();
        state.bytes = state.bytes.saturating_sub(taken.iter().map(Packet::len).sum());
        let has_room = state.has_room();
        drop(state);
        if has_room {
            self.reader.wake();
        }
        Some(taken)
    }

    /// Ready while more may be read from the socket.
    pub(super) fn poll_room(&self, cx: &Context<'_>) -> Poll<()> {
        if lock(&self.state).has_room() {
            return Poll::Ready(());
        }
        self.reader.register(cx.waker());
        if lock(&self.state).has_room() { Poll::Ready(()) } else { Poll::Pending }
    }
}

//! What is inside an outbox: the frames and bytes that wait, and the way they leave by.

use std::{collections::VecDeque, sync::Arc};

use bytes::{Buf as _, Bytes};
use tokio::net::TcpStream;

use super::outbox::Link;
use crate::dialects::frame::Frame;

/// Frames and bytes that a polling client gets between two polls. Far below the transport's own limits, so that a
/// poll's answer always fits into one payload.
const POLL_FRAMES_MAX: usize = 100;
const POLL_BYTES_MAX: usize = 256 * 1024;

/// The state behind an outbox's lock.
#[derive(Default)]
pub(super) struct Queue {
    pub(super) route: Route,
    /// Frames in their order; behind everything in `wire`.
    pub(super) frames: VecDeque<Frame>,
    /// Bytes on their way to the socket.
    pub(super) wire: VecDeque<Bytes>,
    pub(super) stream: Option<Arc<TcpStream>>,
    pub(super) bytes: usize,
    /// All bytes that ever left, to tell a slow reader from a dead one.
    pub(super) written: u64,
    /// On the flusher's list, or waiting for the kernel.
    pub(super) scheduled: bool,
    /// What a polling client may still get before its next poll.
    pub(super) credit: Credit,
    /// The transport is gone.
    pub(super) finished: bool,
    /// Somebody wanted the socket cut while it was not here yet.
    pub(super) is_to_be_cut: bool,
}

/// How frames leave.
#[derive(Default)]
pub(super) enum Route {
    /// Not yet: the transport is still shaking hands.
    #[default]
    Held,
    /// As bytes, through `stream`.
    Wire,
    /// Through the transport's emit.
    Polling(Arc<dyn Link>),
    /// No more.
    Closed,
}

/// What a polling client may still get before its next poll.
#[derive(Default)]
pub(super) struct Credit {
    pub(super) frames: usize,
    pub(super) bytes: usize,
}

impl Credit {
    /// As much as a client gets for one poll.
    pub(super) const fn fresh() -> Self {
        Self { frames: POLL_FRAMES_MAX, bytes: POLL_BYTES_MAX }
    }
}

impl Queue {
    /// Drops what the kernel has taken.
    pub(super) fn wrote(&mut self, mut bytes: usize) {
        self.bytes = self.bytes.saturating_sub(bytes);
        self.written += bytes as u64;
        while let Some(first) = self.wire.front_mut() {
            if bytes < first.len() {
                first.advance(bytes);
                return;
            }
            bytes -= first.len();
            self.wire.pop_front();
        }
    }

    /// Hands frames to a polling client's transport while it has credit.
    pub(super) fn pump(&mut self) {
        let Route::Polling(link) = &self.route else { return };
        while let Some(frame) = self.frames.front() {
            let length = frame.wire().len();
            if self.credit.frames == 0 || self.credit.bytes == 0 || !link.emit(frame) {
                return;
            }
            self.credit.frames -= 1;
            self.credit.bytes = self.credit.bytes.saturating_sub(length);
            self.bytes = self.bytes.saturating_sub(length);
            self.written += length as u64;
            self.frames.pop_front();
        }
    }
}

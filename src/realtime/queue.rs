//! What is inside an outbox: the frames and bytes that wait, and the way they leave by.

use std::{collections::VecDeque, net::Shutdown, sync::Arc};

use bytes::{Buf as _, Bytes};
use tokio::{net::TcpStream, time::Instant};

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
    /// When something left last, or began to wait while nothing else did, to tell a slow reader from a dead one.
    pub(super) moved: Option<Instant>,
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
    /// So much more waits.
    pub(super) fn grow(&mut self, bytes: usize) {
        if self.bytes == 0 {
            self.moved = Some(Instant::now());
        }
        self.bytes += bytes;
    }

    /// So much has left.
    fn shrink(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_sub(bytes);
        self.moved = Some(Instant::now());
    }

    /// Drops what the kernel has taken.
    pub(super) fn wrote(&mut self, mut bytes: usize) {
        self.shrink(bytes);
        while let Some(first) = self.wire.front_mut() {
            if bytes < first.len() {
                first.advance(bytes);
                return;
            }
            bytes -= first.len();
            self.wire.pop_front();
        }
    }

    /// Ends what is written. What the peer still sends can be read by whoever holds the socket too.
    pub(super) fn hang_up(&mut self) {
        if let Some(stream) = self.stream.take() {
            // The peer may have gone already.
            socket2::SockRef::from(&*stream).shutdown(Shutdown::Write).ok();
        }
    }

    /// Hands frames to a polling client's transport while it has credit.
    pub(super) fn pump(&mut self) {
        let Route::Polling(link) = &self.route else { return };
        let link = link.clone();
        while let Some(frame) = self.frames.front() {
            let length = frame.wire().len();
            if self.credit.frames == 0 || self.credit.bytes == 0 {
                link.sated();
                return;
            }
            if !link.emit(frame) {
                return;
            }
            self.credit.frames -= 1;
            self.credit.bytes = self.credit.bytes.saturating_sub(length);
            self.shrink(length);
            self.frames.pop_front();
        }
    }
}

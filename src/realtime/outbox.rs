//! The one queue of ready frames that each connection has: bounded in bytes, written in batches, with a kill switch.
//!
//! Frames go out by one of two routes. A WebSocket takes the bytes as they are ([`Outbox::attach`]); a polling client
//! takes them through its transport's own emit, a few for each poll ([`Link`]). Until its route is open the queue
//! holds everything back, in order, so that nothing overtakes the transport's own handshake.

use std::{
    io::{ErrorKind, IoSlice},
    net::Shutdown,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use tokio::{net::TcpStream, sync::Notify};

use super::{
    flusher::Lane,
    lock,
    queue::{Credit, Queue, Route},
};
use crate::{dialects::frame::Frame, domain::error::Error};

/// More than this is never queued: the connection lags and is caught up from the log instead.
const QUEUE_BYTES_MAX: usize = 512 * 1024;

/// What a transport writes itself (acknowledgement of pings, close) may go this far beyond before the peer is cut off.
const TRANSPORT_BYTES_MAX: usize = 2 * QUEUE_BYTES_MAX;

/// Answers go this far beyond, and no further.
const REPLY_BYTES_MAX: usize = 4 * QUEUE_BYTES_MAX;

/// A lagging connection gets more when its queue is below this.
const QUEUE_BYTES_LOW: usize = QUEUE_BYTES_MAX / 4;

/// Buffers handed to one `writev`.
const WRITE_BUFFERS_MAX: usize = 64;

/// A reader that takes nothing for this long while more waits for it is cut off, so that it reconnects.
pub const STALL_LIMIT: Duration = Duration::from_secs(30);

/// What the hub may ask of a connection's transport.
pub trait Link: Send + Sync {
    /// Hands one frame to the transport's own emit. False when it has no room.
    fn emit(&self, frame: &Frame) -> bool;

    /// It has all that it gets before its next poll, and more waits.
    fn sated(&self) {}

    /// Says why and goodbye in the protocol's own way, after which clients do not come back by themselves.
    fn refuse(&self, why: Option<&Error>);

    /// A conversation that it heard is gone.
    fn expelled(&self) {}

    /// Says goodbye because the server restarts, where the protocol has a word for that. False where cutting is the word.
    fn restart(&self) -> bool {
        false
    }

    /// Cuts the transport, after which stock clients reconnect.
    fn cut(&self);
}

/// The queue was full and the frame was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

/// The queue of one connection.
pub struct Outbox {
    queue: Mutex<Queue>,
    /// Told whenever the queue has shrunk below [`QUEUE_BYTES_LOW`].
    drained: Notify,
    lane: Option<Arc<Lane>>,
}

impl Outbox {
    pub(super) fn new(lane: Option<Arc<Lane>>) -> Self {
        Self { queue: Mutex::default(), drained: Notify::new(), lane }
    }

    /// Queues a frame.
    ///
    /// # Errors
    /// [`Full`] when the queue has no room; the frame is not taken then. A closed queue takes and forgets.
    pub fn push(self: &Arc<Self>, frame: Frame) -> Result<(), Full> {
        let mut queue = lock(&self.queue);
        if queue.bytes > 0 && queue.bytes + frame.wire().len() > QUEUE_BYTES_MAX {
            return Err(Full);
        }
        self.take(&mut queue, frame);
        Ok(())
    }

    /// Queues what must be said: the answer to a request, the end of something. A client that has let so much pile up
    /// that there is no room for it is cut off, and reads the log when it comes back.
    pub fn push_reply(self: &Arc<Self>, frame: Frame) {
        let mut queue = lock(&self.queue);
        if queue.bytes > REPLY_BYTES_MAX {
            let polling = match &queue.route {
                Route::Polling(link) => Some(link.clone()),
                Route::Held | Route::Wire | Route::Closed => None,
            };
            drop(queue);
            polling.map_or_else(|| _ = self.cut(), |link| link.cut());
            return;
        }
        self.take(&mut queue, frame);
    }

    fn take(self: &Arc<Self>, queue: &mut Queue, frame: Frame) {
        match queue.route {
            Route::Closed => return,
            Route::Wire => {
                queue.grow(frame.wire().len());
                queue.wire.push_back(frame.wire().clone());
            }
            Route::Held | Route::Polling(_) => {
                queue.grow(frame.wire().len());
                queue.frames.push_back(frame);
            }
        }
        self.move_on(queue);
    }

    /// Lets what waits go as far as the route allows.
    fn move_on(self: &Arc<Self>, queue: &mut Queue) {
        queue.pump();
        if !queue.wire.is_empty() && !queue.scheduled {
            queue.scheduled = true;
            self.schedule();
        }
        if queue.bytes < QUEUE_BYTES_LOW {
            self.drained.notify_waiters();
        }
    }

    fn schedule(self: &Arc<Self>) {
        if let Some(lane) = &self.lane {
            lane.schedule(self.clone());
        }
    }

    pub(super) fn reschedule(self: &Arc<Self>) {
        self.schedule();
    }

    /// Gives the queue a socket for [`Self::push_bytes`]. Frames stay held back until [`Self::open`].
    pub fn attach(&self, stream: Arc<TcpStream>) {
        lock(&self.queue).stream = Some(stream);
    }

    /// From now on frames go out as bytes, behind what [`Self::push_bytes`] has queued.
    pub fn open(self: &Arc<Self>) {
        let mut queue = lock(&self.queue);
        if matches!(queue.route, Route::Held) {
            queue.route = Route::Wire;
            while let Some(frame) = queue.frames.pop_front() {
                queue.wire.push_back(frame.wire().clone());
            }
            self.move_on(&mut queue);
        }
    }

    /// Queues bytes that the transport itself has framed: handshake, pings, close.
    ///
    /// # Errors
    /// [`Full`] when the peer does not read at all.
    pub fn push_bytes(self: &Arc<Self>, bytes: Bytes) -> Result<(), Full> {
        let mut queue = lock(&self.queue);
        if queue.bytes > TRANSPORT_BYTES_MAX {
            return Err(Full);
        }
        if queue.stream.is_some() {
            queue.grow(bytes.len());
            queue.wire.push_back(bytes);
            self.move_on(&mut queue);
        }
        Ok(())
    }

    /// From now on frames go through the transport's emit, a few for each poll.
    pub fn poll_through(self: &Arc<Self>, link: Arc<dyn Link>) {
        let mut queue = lock(&self.queue);
        if matches!(queue.route, Route::Held) {
            queue.route = Route::Polling(link);
            queue.credit = Credit::fresh();
            self.move_on(&mut queue);
        }
    }

    /// A poll has come: what was handed over before is on its way, so more may follow.
    pub fn polled(self: &Arc<Self>) {
        let mut queue = lock(&self.queue);
        queue.credit = Credit::fresh();
        self.move_on(&mut queue);
    }

    /// Stops handing frames to the transport's emit; they wait for the socket of the upgrade.
    pub fn hold(&self) {
        let mut queue = lock(&self.queue);
        if matches!(queue.route, Route::Polling(_)) {
            queue.route = Route::Held;
        }
    }

    /// Takes over the socket, and what is still unwritten, of the queue that served the upgrade's handshake.
    pub fn take_over(self: &Arc<Self>, handshake: &Self) {
        let (stream, wire, bytes) = {
            let mut other = lock(&handshake.queue);
            other.route = Route::Closed;
            other.finished = true;
            (other.stream.take(), std::mem::take(&mut other.wire), std::mem::take(&mut other.bytes))
        };
        let mut queue = lock(&self.queue);
        queue.stream = stream;
        queue.wire = wire;
        queue.grow(bytes);
        let is_to_be_cut = queue.is_to_be_cut;
        drop(queue);
        if is_to_be_cut {
            self.cut();
        } else {
            self.open();
        }
    }

    /// Waits until everything is written, or nothing can be written any more.
    pub async fn emptied(&self) {
        loop {
            let drained = self.drained.notified();
            tokio::pin!(drained);
            drained.as_mut().enable();
            if self.is_empty() || self.is_closed() {
                return;
            }
            drained.await;
        }
    }

    /// Waits until a lagging connection may get more. False when the reader is dead.
    pub async fn has_room(&self) -> bool {
        loop {
            let drained = self.drained.notified();
            tokio::pin!(drained);
            drained.as_mut().enable();
            let patience = {
                let queue = lock(&self.queue);
                match queue.route {
                    Route::Closed => return false,
                    _ if queue.bytes < QUEUE_BYTES_LOW => return true,
                    _ => STALL_LIMIT.saturating_sub(queue.moved.map_or(Duration::ZERO, |moved| moved.elapsed())),
                }
            };
            if patience.is_zero() {
                return false;
            }
            tokio::time::timeout(patience, drained).await.ok();
        }
    }

    /// Takes no more frames; later ones vanish. What the transport itself still has to say goes out.
    pub fn close(&self) {
        let mut queue = lock(&self.queue);
        queue.route = Route::Closed;
        let unsaid: usize = queue.frames.drain(..).map(|frame| frame.wire().len()).sum();
        queue.bytes = queue.bytes.saturating_sub(unsaid);
        self.drained.notify_waiters();
    }

    /// The transport has nothing more to say: the peer is told the end of the stream as soon as all is written.
    pub fn finish(&self) {
        self.close();
        let mut queue = lock(&self.queue);
        queue.finished = true;
        if queue.wire.is_empty() {
            queue.hang_up();
        }
    }

    /// Takes no more frames.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(lock(&self.queue).route, Route::Closed)
    }

    /// Nothing waits to be written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        lock(&self.queue).bytes == 0
    }

    /// The transport is gone.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        lock(&self.queue).finished
    }

    /// Cuts the socket at once, whatever still waits. True when there was one.
    pub fn cut(&self) -> bool {
        let mut queue = lock(&self.queue);
        let stream = queue.stream.take();
        // In the middle of an upgrade the socket belongs to the handshake still; it is cut when it comes over.
        queue.is_to_be_cut = stream.is_none() && matches!(queue.route, Route::Held);
        if stream.is_some() {
            *queue = Queue { route: Route::Closed, finished: queue.finished, ..Queue::default() };
            self.drained.notify_waiters();
        }
        drop(queue);
        stream.is_some_and(|stream| {
            // The peer may be gone already, which is what is wanted.
            socket2::SockRef::from(&*stream).shutdown(Shutdown::Both).ok();
            true
        })
    }

    /// Writes as much as the kernel takes.
    pub(super) fn flush(self: &Arc<Self>) {
        let mut queue = lock(&self.queue);
        let Some(stream) = queue.stream.clone() else {
            queue.scheduled = false;
            return;
        };
        while !queue.wire.is_empty() {
            let written = {
                let buffers: Vec<IoSlice<'_>> =
                    queue.wire.iter().take(WRITE_BUFFERS_MAX).map(|b| IoSlice::new(b)).collect();
                stream.try_write_vectored(&buffers)
            };
            match written {
                Ok(bytes) => queue.wrote(bytes),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if let Some(lane) = &self.lane {
                        lane.schedule_when_writable(self.clone(), stream);
                    }
                    return;
                }
                Err(_) => {
                    // The transport's reader sees the end of the stream and closes the connection.
                    drop(queue);
                    self.cut();
                    return;
                }
            }
        }
        queue.scheduled = false;
        if queue.finished {
            queue.hang_up();
        }
        if queue.bytes < QUEUE_BYTES_LOW {
            self.drained.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_takes_nothing_is_dead_after_the_limit_however_often_it_is_looked_at() {
        let outbox = Arc::new(Outbox::new(None));
        // Nothing has moved for long when the queue begins to fill.
        tokio::time::advance(2 * STALL_LIMIT).await;
        outbox.push_reply(Frame::text(&"x".repeat(QUEUE_BYTES_LOW)));
        let began = tokio::time::Instant::now();
        for _ in 0..2 {
            let look = tokio::time::timeout(STALL_LIMIT / 3, outbox.has_room()).await;
            assert!(look.is_err(), "given up after {:?}", began.elapsed());
        }
        assert!(!outbox.has_room().await);
        assert_eq!(began.elapsed(), STALL_LIMIT);
    }
}

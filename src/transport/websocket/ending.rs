//! What the rest of the server may ask of a bare WebSocket: to end, and how; and to gather frames for clients that
//! want them together.

use std::sync::{Arc, Mutex, OnceLock};

use tokio::sync::Notify;

use super::socket::Goodbye;
use crate::{
    dialects::{frame::Frame, raw::RawDialect},
    domain::{Timestamp, error::Error},
    realtime::{
        lock,
        outbox::{Link, Outbox},
    },
};

/// The words of contract section 9.
pub(super) const UNAUTHENTICATED: Goodbye = Goodbye { code: 1008, reason: "Authentication failed" };

/// The conversation of the address is not there, or not any more.
const NOT_FOUND: Goodbye = Goodbye { code: 1008, reason: "Not found" };

/// The end of one connection, and its batch.
pub(super) struct Ending {
    outbox: Arc<Outbox>,
    /// Its address names the one conversation that it is for.
    is_bound: bool,
    dialect: OnceLock<&'static dyn RawDialect>,
    goodbye: Mutex<Option<(Goodbye, Vec<Frame>)>>,
    announced: Notify,
    batch: Mutex<Vec<Frame>>,
    batch_begun: Notify,
    batch_full: Notify,
}

impl Ending {
    pub(super) fn new(outbox: Arc<Outbox>, is_bound: bool) -> Arc<Self> {
        let (goodbye, batch) = (Mutex::default(), Mutex::default());
        let (announced, batch_begun, batch_full) = (Notify::new(), Notify::new(), Notify::new());
        Arc::new(Self {
            outbox,
            is_bound,
            dialect: OnceLock::new(),
            goodbye,
            announced,
            batch,
            batch_begun,
            batch_full,
        })
    }

    /// Says in which protocol goodbyes are spelled. Once.
    pub(super) fn speak(&self, dialect: &'static dyn RawDialect) {
        self.dialect.set(dialect).ok();
    }

    /// Ends the connection behind these frames; the first reason counts.
    pub(super) fn announce(&self, goodbye: Goodbye, frames: Vec<Frame>) {
        lock(&self.goodbye).get_or_insert((goodbye, frames));
        self.announced.notify_one();
    }

    /// Resolves when the connection is to end.
    pub(super) async fn announced(&self) {
        self.announced.notified().await;
    }

    /// How the connection is to end; none when the peer has ended it.
    pub(super) fn take(&self) -> Option<(Goodbye, Vec<Frame>)> {
        lock(&self.goodbye).take()
    }

    /// Resolves when the first frame of a batch has come.
    pub(super) async fn batch_begun(&self) {
        self.batch_begun.notified().await;
    }

    /// Resolves when a batch is as large as it may be and more waits for the next one.
    pub(super) async fn batch_full(&self) {
        self.batch_full.notified().await;
    }

    /// Sends what was gathered as one frame, and begins to gather the next. False when there was nothing.
    pub(super) fn send_batch(&self, at: Timestamp) -> bool {
        let frames = std::mem::take(&mut *lock(&self.batch));
        let Some(frame) = self.dialect.get().and_then(|dialect| dialect.batch(&frames, at)) else { return false };
        if self.outbox.push_bytes(frame.wire().clone()).is_err() {
            // It has not taken what it got before; when it comes back it reads the log.
            self.outbox.cut();
            return false;
        }
        self.outbox.polled();
        true
    }
}

impl Link for Ending {
    fn emit(&self, frame: &Frame) -> bool {
        let mut batch = lock(&self.batch);
        if batch.is_empty() {
            self.batch_begun.notify_one();
        }
        batch.push(frame.clone());
        true
    }

    fn sated(&self) {
        self.batch_full.notify_one();
    }

    fn refuse(&self, why: Option<&Error>) {
        let goodbye = match why {
            None | Some(Error::Unauthenticated(_)) => UNAUTHENTICATED,
            Some(Error::Forbidden(why)) => Goodbye { code: 1013, reason: why },
            Some(Error::Unavailable(_) | Error::Internal(_)) => Goodbye { code: 1013, reason: "Try again later" },
            Some(Error::NotFound(_)) => NOT_FOUND,
            Some(_) => Goodbye { code: 1008, reason: "Refused" },
        };
        let words = why.zip(self.dialect.get()).map(|(why, dialect)| dialect.farewell(why));
        self.announce(goodbye, words.unwrap_or_default());
    }

    fn expelled(&self) {
        // What has happened was told by its event.
        if self.is_bound {
            self.announce(NOT_FOUND, vec![]);
        }
    }

    fn restart(&self) -> bool {
        self.announce(Goodbye { code: 1012, reason: "The server is restarting" }, vec![]);
        true
    }

    fn cut(&self) {
        self.outbox.cut();
    }
}

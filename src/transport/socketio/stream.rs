//! Our own stream under socketioxide, so that a WebSocket's outgoing bytes all pass through its [`Outbox`].
//!
//! socketioxide keeps the Engine.IO handshake, heartbeats and parsing: what it writes goes into the queue as bytes.
//! Events and acknowledgements go into the same queue as ready frames, but not before the client knows that it is
//! connected. That moment shows in what socketioxide writes:
//!
//! * On a connection that begins as WebSocket it is the Socket.IO CONNECT answer, `40…`.
//! * On one that is upgraded from polling it is a marker event: once the transport has changed, the marker is emitted
//!   through socketioxide behind everything that was emitted before, and swallowed here when it comes by.
//!
//! tungstenite always writes whole frames at once, because this stream always takes a whole buffer.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::oneshot,
    time::{Instant, Sleep, sleep},
};

use super::{CONNECT_TIMEOUT, UPGRADE_TIMEOUT, inbox::Inbox, sessions::Sessions};
use crate::{realtime::outbox::Outbox, transport::wire::Incoming};

/// The event that marks the change of transport; never seen by a client.
pub(super) const MARKER: &str = "switchboard:upgraded";

/// How the text of the marker's packet begins.
const MARKER_TEXT: &[u8] = b"42[\"switchboard:upgraded\"";

/// How long an upgrade may stand still before somebody looks whether it is through.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// An upgrade over which nobody was let in for so long is given up.
const UPGRADE_LIMIT: Duration = UPGRADE_TIMEOUT.saturating_add(CONNECT_TIMEOUT);

/// How the text of a CONNECT answer begins.
const CONNECT_TEXT: &[u8] = b"40";

/// A WebSocket's TCP stream.
pub(super) struct EngineStream {
    incoming: Incoming,
    outbox: Arc<Outbox>,
    stage: Stage,
    inbox: Option<Arc<Inbox>>,
}

/// How far the connection is on its way to taking ready frames.
enum Stage {
    /// Waits for the CONNECT answer.
    Connecting,
    /// Serves the handshake of a polling session's upgrade.
    Upgrading {
        sessions: Arc<Sessions>,
        id: String,
        settled: oneshot::Sender<()>,
        begun: Instant,
        look_again: Pin<Box<Sleep>>,
        is_known: bool,
    },
    /// The marker is on its way through socketioxide.
    Marked { session: Arc<Outbox> },
    /// Takes frames.
    Open,
}

impl EngineStream {
    /// A connection that begins as WebSocket, with the queue that its session will use.
    pub(super) fn direct(tcp: Arc<TcpStream>, early: Bytes, outbox: Arc<Outbox>, inbox: Arc<Inbox>) -> Self {
        outbox.attach(tcp.clone());
        Self { incoming: Incoming::new(tcp, early), outbox, stage: Stage::Connecting, inbox: Some(inbox) }
    }

    /// A connection that a polling session wants to change to. `handshake` is a queue for the meantime; `settled` is told
    /// when the session has changed, and dropped when it has not.
    pub(super) fn upgrade(
        tcp: Arc<TcpStream>,
        early: Bytes,
        handshake: Arc<Outbox>,
        sessions: Arc<Sessions>,
        id: String,
        settled: oneshot::Sender<()>,
    ) -> Self {
        handshake.attach(tcp.clone());
        let (begun, look_again) = (Instant::now(), Box::pin(sleep(LOOK_AGAIN)));
        let stage = Stage::Upgrading { sessions, id, settled, begun, look_again, is_known: false };
        Self { incoming: Incoming::new(tcp, early), outbox: handshake, stage, inbox: None }
    }

    /// Looks whether the polling session has changed over, and sends the marker when it has. A client that is still
    /// being let in while it upgrades sends nothing more by itself, so this looks again after a moment.
    fn try_mark(&mut self, cx: &mut Context<'_>) {
        let Stage::Upgrading { sessions, id, begun, look_again, is_known, .. } = &mut self.stage else { return };
        if !std::mem::replace(is_known, true) {
            // Whoever reads from the stream has taken the session's queue.
            sessions.upgrade_has_begun(id);
        }
        let upgraded = sessions.get(id).filter(|session| session.has_upgraded());
        let marked = upgraded.filter(|session| {
            session.outbox().hold();
            session.emit_marker()
        });
        let Some(session) = marked else {
            if begun.elapsed() > UPGRADE_LIMIT {
                // Nobody was let in over it.
                self.outbox.cut();
                return;
            }
            while look_again.as_mut().poll(cx).is_ready() {
                look_again.as_mut().reset(Instant::now() + LOOK_AGAIN);
            }
            return;
        };
        self.inbox = Some(session.inbox());
        let before = std::mem::replace(&mut self.stage, Stage::Marked { session: session.outbox() });
        if let Stage::Upgrading { settled, .. } = before {
            // Whoever waits for it may have ended with the process.
            settled.send(()).ok();
        }
    }

    /// Looks at one whole frame that socketioxide writes. False when it is not for the client.
    fn inspect(&mut self, text: &[u8]) -> bool {
        match &self.stage {
            Stage::Marked { session } if text.starts_with(MARKER_TEXT) => {
                let session = session.clone();
                session.take_over(&self.outbox);
                self.outbox = session;
                self.stage = Stage::Open;
                false
            }
            Stage::Upgrading { .. } | Stage::Marked { .. } | Stage::Connecting | Stage::Open => true,
        }
    }

    /// Queues what socketioxide writes, frame by frame while there is something to look out for.
    fn queue(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let (frame, text, rest) = match &self.stage {
                Stage::Open => (bytes, &[][..], &[][..]),
                _ => split_frame(bytes),
            };
            if self.inspect(text) {
                let queued = self.outbox.push_bytes(Bytes::copy_from_slice(frame));
                queued.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
            }
            // Right behind the CONNECT answer, and not before it.
            if matches!(self.stage, Stage::Connecting) && text.starts_with(CONNECT_TEXT) {
                self.stage = Stage::Open;
                self.outbox.open();
            }
            bytes = rest;
        }
        Ok(())
    }
}

/// The first frame of an unmasked buffer, its payload, and what follows. A buffer that is cut in the middle of a frame
/// counts as one frame without payload.
fn split_frame(bytes: &[u8]) -> (&[u8], &[u8], &[u8]) {
    let parse = || {
        let (header, length) = match *bytes.get(1)? & 0x7f {
            126 => (4, usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?))),
            127 => (10, usize::try_from(u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)).ok()?),
            short => (2, usize::from(short)),
        };
        let (frame, rest) = bytes.split_at_checked(header + length)?;
        Some((frame, frame.get(header..)?, rest))
    };
    parse().unwrap_or((bytes, &[], &[]))
}

impl AsyncRead for EngineStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.try_mark(cx);
        if let Some(inbox) = &self.inbox {
            // A client that sends faster than its requests are handled waits in its own socket.
            ready!(inbox.poll_room(cx));
        }
        self.incoming.poll(cx, buffer)
    }
}

impl AsyncWrite for EngineStream {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(self.queue(bytes).map(|()| bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Drop for EngineStream {
    fn drop(&mut self) {
        self.outbox.finish();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_told_apart() {
        let mut bytes = vec![0x81, 2, b'4', b'0', 0x89, 0];
        bytes.extend([0x81, 126, 0, 200]);
        bytes.extend([b'x'; 200]);
        let (first, text, rest) = split_frame(&bytes);
        assert_eq!((first.len(), text), (4, &b"40"[..]));
        let (second, text, rest) = split_frame(rest);
        assert_eq!((second.len(), text.len()), (2, 0));
        let (third, text, rest) = split_frame(rest);
        assert_eq!((third.len(), text.len(), rest.len()), (204, 200, 0));
        assert_eq!(split_frame(&[0x81, 5, b'a']), (&[0x81, 5, b'a'][..], &[][..], &[][..]));
    }
}

//! One WebSocket as its session sees it: whole messages in, and what RFC 6455 demands when a peer breaks its rules.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Error, Message, Utf8Bytes,
        protocol::{CloseFrame, Role, WebSocketConfig, frame::coding::CloseCode},
    },
};

use crate::{realtime::outbox::Outbox, transport::wire::Wire};

/// Idle connections keep this buffer, so it is small.
const READ_BUFFER_BYTES: usize = 1024;

/// How long a peer that was told goodbye may take to close.
const GOODBYE: Duration = Duration::from_secs(5);

/// A ping without a payload, unmasked.
const PING: &[u8] = &[0x89, 0];

/// What comes from the peer.
#[derive(Debug)]
pub enum Incoming {
    /// A whole text message.
    Text(Utf8Bytes),
    /// A whole binary message.
    Binary(Bytes),
    /// The peer has broken the protocol, and is to be told so. Nothing more comes.
    Fault(Goodbye),
    /// The peer has closed or vanished. Nothing more comes.
    End,
}

/// Why a connection ends: the code and reason of the close frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Goodbye {
    /// RFC 6455 section 7.4.
    pub code: u16,
    /// For people.
    pub reason: &'static str,
}

/// A WebSocket behind its handshake.
pub struct Socket {
    inner: WebSocketStream<Wire>,
    outbox: Arc<Outbox>,
    /// Something has come since the last ping.
    is_alive: bool,
}

impl Socket {
    /// A socket whose outgoing bytes all pass through `outbox`. Messages above `bytes_max` end it with code 1009.
    pub async fn new(tcp: Arc<TcpStream>, early: Bytes, outbox: Arc<Outbox>, bytes_max: usize) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(0)
            .max_message_size(Some(bytes_max))
            .max_frame_size(Some(bytes_max));
        let wire = Wire::new(tcp, early, outbox.clone());
        let inner = WebSocketStream::from_raw_socket(wire, Role::Server, Some(config)).await;
        Self { inner, outbox, is_alive: true }
    }

    /// The queue of everything that goes out.
    #[must_use]
    pub fn outbox(&self) -> Arc<Outbox> {
        self.outbox.clone()
    }

    /// The next message. Pings are answered meanwhile. Cancelling loses nothing.
    pub async fn receive(&mut self) -> Incoming {
        loop {
            let message = match self.inner.next().await {
                Some(Ok(message)) => message,
                Some(Err(error)) => return fault(&error).map_or(Incoming::End, Incoming::Fault),
                None => return Incoming::End,
            };
            self.is_alive = true;
            match message {
                Message::Text(text) => return Incoming::Text(text),
                Message::Binary(bytes) => return Incoming::Binary(bytes),
                // Answered by `answer_close`, behind what was asked before.
                Message::Close(_) => return Incoming::End,
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    }

    /// Asks for a sign of life. False when none has come since the last time.
    pub fn ping(&mut self) -> bool {
        let was_alive = std::mem::replace(&mut self.is_alive, false);
        was_alive && self.outbox.push_bytes(Bytes::from_static(PING)).is_ok()
    }

    /// Says goodbye behind everything that is queued, and waits a moment for the peer to close.
    pub async fn close(&mut self, goodbye: Goodbye) {
        let frame = CloseFrame { code: CloseCode::from(goodbye.code), reason: Utf8Bytes::from_static(goodbye.reason) };
        if self.inner.send(Message::Close(Some(frame))).await.is_err() {
            return;
        }
        // What the peer still sends is read: unread bytes would turn the end into a reset that swallows the goodbye.
        let closed = async {
            while let Some(Ok(_)) = self.inner.next().await {}
            // Behind a fault nothing can be understood any more: the peer learns by the end of the stream that it
            // need not finish.
            self.outbox.finish();
            tokio::io::copy(self.inner.get_mut(), &mut tokio::io::sink()).await.ok();
        };
        timeout(GOODBYE, closed).await.ok();
    }

    /// Answers the peer's close behind everything that is queued.
    pub async fn answer_close(&mut self) {
        while let Some(Ok(_)) = self.inner.next().await {}
    }
}

/// What a peer is told that has broken the protocol; none when it has gone.
fn fault(error: &Error) -> Option<Goodbye> {
    match error {
        Error::Protocol(_) => Some(Goodbye { code: 1002, reason: "Protocol error" }),
        Error::Utf8(_) => Some(Goodbye { code: 1007, reason: "Text must be UTF-8" }),
        Error::Capacity(_) => Some(Goodbye { code: 1009, reason: "Message too big" }),
        _ => None,
    }
}

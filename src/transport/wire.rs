//! The TCP stream behind a WebSocket: read here, written through the connection's [`Outbox`].

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use crate::realtime::outbox::Outbox;

/// The reading half.
pub(super) struct Incoming {
    tcp: Arc<TcpStream>,
    /// What the client sent together with its handshake.
    early: Bytes,
}

impl Incoming {
    pub(super) const fn new(tcp: Arc<TcpStream>, early: Bytes) -> Self {
        Self { tcp, early }
    }

    /// Reads what has come.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.early.is_empty() {
            let count = self.early.len().min(buffer.remaining());
            buffer.put_slice(&self.early.split_to(count));
            return Poll::Ready(Ok(()));
        }
        loop {
            ready!(self.tcp.poll_read_ready(cx))?;
            match self.tcp.try_read(buffer.initialize_unfilled()) {
                Ok(count) => {
                    buffer.advance(count);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

/// The stream of a bare WebSocket. What the WebSocket layer writes (pongs, close) takes its place among the frames.
pub(super) struct Wire {
    incoming: Incoming,
    outbox: Arc<Outbox>,
}

impl Wire {
    /// Gives the queue its socket. Frames stay held back until [`Outbox::open`].
    pub(super) fn new(tcp: Arc<TcpStream>, early: Bytes, outbox: Arc<Outbox>) -> Self {
        outbox.attach(tcp.clone());
        Self { incoming: Incoming::new(tcp, early), outbox }
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.incoming.poll(cx, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let queued = self.outbox.push_bytes(Bytes::copy_from_slice(bytes));
        Poll::Ready(queued.map(|()| bytes.len()).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe)))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.outbox.finish();
    }
}

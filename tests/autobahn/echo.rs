//! An echo server on the server's own raw transport, for a fuzzing client: `cargo run --example autobahn_echo`.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a tool for tests: what goes wrong ends it, loudly")]

use std::convert::Infallible;

use axum::body::Body;
use bytes::{BufMut as _, Bytes, BytesMut};
use hyper::{Request, Response, body::Incoming as HyperBody, service::service_fn};
use switchboard::{
    domain::ids::ConnectionId,
    realtime::{connection::Connection, flusher::Flusher},
    tasks::Tasks,
    transport::{
        handshake,
        websocket::socket::{Incoming, Socket},
    },
};
use tokio::net::TcpListener;

/// The largest message of the fuzzing client's cases.
const MESSAGE_BYTES_MAX: usize = 32 << 20;

/// FIN with the opcodes of text and binary messages.
const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;

#[tokio::main]
async fn main() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("listening on ws://{}/echo", listener.local_addr().unwrap());
    let tasks = Tasks::default();
    let flusher = std::sync::Arc::new(Flusher::start(&tasks));
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (tasks, flusher, inner) = (tasks.clone(), flusher.clone(), tasks.clone());
        tasks.spawn_until_stop(async move {
            let answer = service_fn(move |request: Request<HyperBody>| {
                let (tasks, flusher) = (inner.clone(), flusher.clone());
                async move { Ok::<_, Infallible>(open(request, &tasks, &flusher)) }
            });
            let stream = hyper_util::rt::TokioIo::new(stream);
            let served = hyper::server::conn::http1::Builder::new().serve_connection(stream, answer).with_upgrades();
            if let Err(error) = served.await {
                println!("a connection ended early: {error}");
            }
        });
    }
}

fn open(request: Request<HyperBody>, tasks: &Tasks, flusher: &Flusher) -> Response<Body> {
    let accept = match handshake::accept_key(&request) {
        Ok(accept) => accept,
        Err(refusal) => return handshake::refuse(refusal),
    };
    let connection = Connection::new(ConnectionId(0), flusher.outbox());
    tasks.spawn_until_stop(async move {
        let Some((tcp, early)) = handshake::upgraded(request).await else { return };
        let mut socket = Socket::new(tcp, early, connection.outbox.clone(), MESSAGE_BYTES_MAX).await;
        while connection.outbox.has_room().await {
            let frame = match socket.receive().await {
                Incoming::Text(text) => frame(TEXT, text.as_bytes()),
                Incoming::Binary(bytes) => frame(BINARY, &bytes),
                Incoming::Fault(goodbye) => return socket.close(goodbye).await,
                Incoming::End => return socket.answer_close().await,
            };
            if connection.outbox.push_bytes(frame).is_err() {
                return;
            }
        }
    });
    handshake::switching_protocols(accept)
}

/// One unmasked frame.
fn frame(first: u8, payload: &[u8]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(payload.len() + 10);
    bytes.put_u8(first);
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(short), _) if short < 126 => bytes.put_u8(short),
        (_, Ok(medium)) => {
            bytes.put_u8(126);
            bytes.put_u16(medium);
        }
        _ => {
            bytes.put_u8(127);
            bytes.put_u64(payload.len() as u64);
        }
    }
    bytes.extend_from_slice(payload);
    bytes.freeze()
}

//! A server that answers each connection with the next of its scripted replies, byte by byte as written.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinSet,
    time::timeout,
};

/// What is written to one connection, piece by piece.
#[derive(Clone, Default)]
pub(crate) struct Reply {
    pieces: Vec<Vec<u8>>,
    /// Keep the connection open until the client closes it.
    hold: bool,
}

impl Reply {
    /// Nothing at all, and the connection stays open.
    pub(crate) fn silence() -> Self {
        Self::default().hold()
    }

    /// A whole answer with this status, further header lines and body.
    pub(crate) fn status(status: u16, headers: &str, body: &str) -> Self {
        let length = body.len();
        Self::raw(&format!(
            "HTTP/1.1 {status} Scripted\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
        ))
    }

    /// A stream that ends where the script ends, as cleanly as HTTP/1.0 ends.
    pub(crate) fn stream(body: &str) -> Self {
        Self::raw("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: text/event-stream\r\n\r\n")
            .then(body.as_bytes())
    }

    /// A stream whose length was promised, so that an early end is a cut.
    pub(crate) fn cut(body: &str) -> Self {
        Self::raw("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 100000\r\n\r\n")
            .then(body.as_bytes())
    }

    fn raw(text: &str) -> Self {
        Self::default().then(text.as_bytes())
    }

    pub(crate) fn then(mut self, piece: &[u8]) -> Self {
        self.pieces.push(piece.to_vec());
        self
    }

    pub(crate) fn hold(mut self) -> Self {
        self.hold = true;
        self
    }
}

/// One `data:` event with this text.
pub(crate) fn text(text: &str) -> String {
    let choice = serde_json::json!({ "choices": [{ "index": 0, "delta": { "content": text } }] });
    format!("data: {choice}\n\n")
}

/// One `data:` event with a fragment of a call: the server's index and id for it, and more of its function.
pub(crate) fn call(index: u32, id: &str, name: &str, arguments: &str) -> String {
    let fragment = serde_json::json!({
        "index": index, "id": id, "type": "function", "function": { "name": name, "arguments": arguments },
    });
    let choice = serde_json::json!({ "choices": [{ "index": 0, "delta": { "tool_calls": [fragment] } }] });
    format!("data: {choice}\n\n")
}

/// The end of a stream that made calls.
pub(crate) const CALLED: &str =
    "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\ndata: [DONE]\n\n";

/// The end of a good stream.
pub(crate) const STOP: &str = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";

/// A request as it came in.
pub(crate) struct Received {
    /// Request line and headers, in lower case.
    pub(crate) head: String,
    pub(crate) body: Value,
}

/// The server; it ends when it is dropped.
pub(crate) struct Scripted {
    pub(crate) base_url: String,
    received: Arc<Mutex<Vec<Received>>>,
    closed: mpsc::UnboundedReceiver<()>,
    _tasks: JoinSet<()>,
}

impl Scripted {
    pub(crate) async fn start(replies: impl IntoIterator<Item = Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("its address");
        let received = Arc::new(Mutex::new(Vec::new()));
        let (tell_closed, closed) = mpsc::unbounded_channel();
        let mut replies: VecDeque<Reply> = replies.into_iter().collect();
        let mut tasks = JoinSet::new();
        let seen = Arc::clone(&received);
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                // An attempt beyond the script is counted, and refused.
                let reply = replies.pop_front().unwrap_or_else(|| Reply::status(418, "", ""));
                connections.spawn(serve(stream, reply, Arc::clone(&seen), tell_closed.clone()));
            }
        });
        Self { base_url: format!("http://{address}/v1"), received, closed, _tasks: tasks }
    }

    /// All requests so far.
    pub(crate) fn received(&self) -> Vec<Received> {
        std::mem::take(&mut self.received.lock().expect("no panic while held"))
    }

    /// Waits until the client closes a held connection.
    pub(crate) async fn closed_within(&mut self, limit: Duration) -> bool {
        matches!(timeout(limit, self.closed.recv()).await, Ok(Some(())))
    }
}

async fn serve(
    mut stream: TcpStream,
    reply: Reply,
    received: Arc<Mutex<Vec<Received>>>,
    closed: mpsc::UnboundedSender<()>,
) {
    let request = read_request(&mut stream).await;
    received.lock().expect("no panic while held").push(request);
    for piece in &reply.pieces {
        if stream.write_all(piece).await.is_err() || stream.flush().await.is_err() {
            break;
        }
        // Lets the piece travel on its own.
        tokio::task::yield_now().await;
    }
    if reply.hold {
        let mut byte = [0];
        while matches!(stream.read(&mut byte).await, Ok(1)) {}
        closed.send(()).expect("the test is still there");
    }
}

async fn read_request(stream: &mut TcpStream) -> Received {
    let mut bytes = Vec::new();
    loop {
        stream.read_buf(&mut bytes).await.expect("a request");
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n")
            && let Ok(body) = serde_json::from_str(if head.starts_with("GET ") { "null" } else { body })
        {
            return Received { head: head.to_lowercase(), body };
        }
    }
}

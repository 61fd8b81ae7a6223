//! Socket.IO on socketioxide: Engine.IO 3 and 4, polling and WebSocket, namespace `/`.
//!
//! socketioxide does the protocol; what is said goes through the connection's [`Outbox`](crate::realtime::outbox).
//! Its traps that shape this folder: handlers are registered in the connect *middleware*, because events that come
//! right behind the CONNECT answer are lost otherwise; one fallback handler hears every event, so no word is spelled
//! here; it only queues, because handlers run concurrently; and a middleware's error makes stock clients give up for
//! good, so only final refusals return one.

mod admission;
mod inbox;
mod session;
mod sessions;
mod stream;

use std::{future::ready, sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{Method, Request, StatusCode, header::AUTHORIZATION},
    response::{IntoResponse as _, Response},
};
use socketioxide::{ParserConfig, SocketIo, handler::ConnectHandler as _};
use tokio::sync::oneshot;
use tower::{Service as _, ServiceExt as _};

use self::{
    admission::{Direct, Handshake, let_in},
    inbox::Inbox,
    sessions::{Engine, Sessions},
    stream::EngineStream,
};
use super::handshake;
use crate::{app::App, service::presence};

/// Where Socket.IO clients knock.
pub const PATH: &str = "/socket.io";

/// Time for a client to answer a ping, and to say CONNECT after its handshake.
const PING_TIMEOUT: Duration = Duration::from_secs(20);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// While an upgrade is tried polls come back empty at once, so it must not take long.
const UPGRADE_TIMEOUT: Duration = Duration::from_secs(5);

/// Packets of one polling client inside socketioxide; its outbox hands over fewer than this.
const CHANNEL_PACKETS: usize = 1024;

/// A polling body: contract section 12.
const POLLING_BYTES_MAX: u64 = 1_000_000;

/// A WebSocket message. An event up to a megabyte is answered, though refused; this leaves room for its envelope.
const MESSAGE_BYTES_MAX: usize = 1_100_000;

/// No vocabulary has binary events, but a client that sends one is told so instead of being dropped.
const BINARIES_MAX: usize = 8;
const BINARY_BYTES_MAX: usize = 1_000_000;

/// Idle connections keep this buffer, so it is small.
const READ_BUFFER_BYTES: usize = 1024;

/// A client that was told goodbye closes its transport; one that does not is cut after this.
const GOODBYE: Duration = Duration::from_secs(5);

/// How often sessions are looked for whose transport went without a word.
const SWEEP: Duration = Duration::from_secs(5);

/// The Socket.IO endpoint. Cheap to clone.
#[derive(Clone)]
pub struct SocketIoTransport {
    app: Arc<App>,
    service: Engine,
    sessions: Arc<Sessions>,
}

impl SocketIoTransport {
    /// Sets the endpoint up.
    #[must_use]
    pub fn new(app: &Arc<App>) -> Self {
        let sessions = Arc::new(Sessions::default());
        let (service, io) = SocketIo::builder()
            .req_path(PATH)
            .ping_interval(app.config.ping_interval)
            .ping_timeout(PING_TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            .upgrade_timeout(UPGRADE_TIMEOUT)
            .max_buffer_size(CHANNEL_PACKETS)
            .max_payload(POLLING_BYTES_MAX)
            .ws_max_message_size(MESSAGE_BYTES_MAX)
            .ws_max_frame_size(MESSAGE_BYTES_MAX)
            .ws_read_buffer_size(READ_BUFFER_BYTES)
            .with_parser(
                ParserConfig::common()
                    .max_incoming_binaries(BINARIES_MAX)
                    .max_incoming_binary_buf_size(BINARY_BYTES_MAX),
            )
            .build_with_inner_svc(axum::Router::new());
        let (inner, known) = (app.clone(), sessions.clone());
        let connect = move |handshake: Handshake| {
            let (app, sessions) = (inner.clone(), known.clone());
            async move { let_in(&app, &sessions, handshake).await }
        };
        let connected = || ready(());
        io.ns("/", connected.with(connect));
        sessions.bind(service.clone());
        let transport = Self { app: app.clone(), service, sessions };
        transport.start_sweep();
        transport
    }

    /// Serves one request below [`PATH`].
    pub async fn serve(&self, request: Request<Body>) -> Response {
        let query = Query::of(&request);
        if query.transport.as_deref() == Some("websocket") && query.is_supported() {
            return self.open_websocket(request, query);
        }
        let raw = request.uri().query().unwrap_or_default();
        if query.transport.as_deref() == Some("websocket") || raw.contains("transport=websocket") {
            // Engine.IO reads the query in its own way; a WebSocket must not begin behind our back.
            return (StatusCode::BAD_REQUEST, r#"{"code":5,"message":"Unsupported protocol version"}"#).into_response();
        }
        self.poll(request, query).await
    }

    /// A polling request, which socketioxide answers.
    async fn poll(&self, request: Request<Body>, query: Query) -> Response {
        match &query.sid {
            None => {
                if let Err(refusal) = self.check_room() {
                    return handshake::refuse(refusal);
                }
            }
            Some(sid) if request.method() == Method::GET => {
                if let Some(session) = self.sessions.get(sid) {
                    session.outbox().polled();
                }
                return self.sessions.poll(sid, self.ask(request)).await;
            }
            Some(_) => {}
        }
        self.ask(request).await
    }

    /// Refuses a new transport while the server drains, and beyond the limit of all.
    fn check_room(&self) -> Result<(), handshake::Refusal> {
        handshake::check_room(&self.app, self.sessions.opening())
    }

    async fn ask(&self, request: Request<Body>) -> Response {
        match self.service.clone().oneshot(request).await {
            Ok(response) => response.map(Body::new),
            Err(never) => match never {},
        }
    }

    /// A WebSocket, new or for an upgrade. The upgrade is answered here; socketioxide gets the stream.
    fn open_websocket(&self, request: Request<Body>, query: Query) -> Response {
        if query.sid.is_none()
            && let Err(refusal) = self.check_room()
        {
            return handshake::refuse(refusal);
        }
        let accept = match handshake::accept_key(&request) {
            Ok(accept) => accept,
            Err(refusal) => return handshake::refuse(refusal),
        };
        let Some(head) = fresh_head(&request) else {
            return handshake::refuse((StatusCode::BAD_REQUEST, "Malformed request"));
        };
        let transport = self.clone();
        self.app.tasks.spawn_until_stop(async move {
            if let Some((tcp, early)) = handshake::upgraded(request).await {
                transport.begin(tcp, early, head, query).await;
            }
        });
        handshake::switching_protocols(accept)
    }

    async fn begin(
        mut self,
        tcp: Arc<tokio::net::TcpStream>,
        early: bytes::Bytes,
        mut head: Request<()>,
        query: Query,
    ) {
        let outbox = self.app.hub.outbox();
        let stream = match query.sid {
            Some(sid) => {
                let (settled, settles) = oneshot::channel();
                self.sessions.upgrade_begins(&sid);
                self.watch_upgrade(sid.clone(), query.version.as_deref() == Some("3"), settles);
                EngineStream::upgrade(tcp, early, outbox, self.sessions.clone(), sid, settled)
            }
            None => {
                let inbox = Arc::new(Inbox::default());
                head.extensions_mut().insert(Direct { outbox: outbox.clone(), inbox: inbox.clone() });
                EngineStream::direct(tcp, early, outbox, inbox)
            }
        };
        if let Err(error) = self.service.call((stream, head)).await {
            tracing::debug!(?error, "a WebSocket request that Engine.IO does not understand");
        }
    }

    /// Closes a session whose upgrade has come to nothing: socketioxide would answer its polls with nothing for ever.
    fn watch_upgrade(&self, sid: String, is_version_3: bool, settles: oneshot::Receiver<()>) {
        let sessions = self.sessions.clone();
        self.app.tasks.spawn_until_stop(async move {
            let has_changed = settles.await.is_ok();
            sessions.upgrade_has_begun(&sid);
            if !has_changed {
                sessions.close(&sid, is_version_3).await;
            }
        });
    }

    /// Looks for sessions whose end socketioxide did not report.
    fn start_sweep(&self) {
        let (app, sessions) = (self.app.clone(), self.sessions.clone());
        self.app.tasks.spawn_until_stop(async move {
            loop {
                tokio::time::sleep(SWEEP).await;
                for (id, session) in sessions.gone() {
                    sessions.remove(&id);
                    presence::depart(&app, session.connection());
                }
            }
        });
    }
}

/// What socketioxide needs to know of a request, copied: the original's parts are slices of hyper's read buffer, and would
/// keep all of it alive as long as the connection.
fn fresh_head<B>(request: &Request<B>) -> Option<Request<()>> {
    let mut head = Request::new(());
    *head.uri_mut() = request.uri().to_string().parse().ok()?;
    if let Some(authorization) = request.headers().get(AUTHORIZATION) {
        head.headers_mut().insert(AUTHORIZATION, authorization.as_bytes().try_into().ok()?);
    }
    Some(head)
}

/// The query parameters that matter.
struct Query {
    transport: Option<String>,
    sid: Option<String>,
    version: Option<String>,
}

impl Query {
    fn of<B>(request: &Request<B>) -> Self {
        let query = request.uri().query();
        let get = |name| handshake::parameter(query, name);
        Self { transport: get("transport"), sid: get("sid"), version: get("EIO") }
    }

    fn is_supported(&self) -> bool {
        matches!(self.version.as_deref(), Some("3" | "4"))
    }
}

//! Socket.IO on socketioxide: Engine.IO 3 and 4, polling and WebSocket, namespace `/`.
//!
//! socketioxide does the protocol; what is said goes through the connection's [`Outbox`](crate::realtime::outbox).
//! Its traps that shape this folder: handlers are registered in the connect *middleware*, because events that come
//! right behind the CONNECT answer are lost otherwise; one fallback handler hears every event, so no word is spelled
//! here; it only queues, because handlers run concurrently; and a middleware's error makes stock clients give up for
//! good, so only final refusals return one.

mod inbox;
mod session;
mod sessions;
mod stream;

use std::{convert::Infallible, future::ready, sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{HeaderMap, Method, Request, StatusCode, header::AUTHORIZATION},
    response::{IntoResponse as _, Response},
};
use socketioxide::{
    ParserConfig, ProtocolVersion, SocketIo, TransportType,
    adapter::LocalAdapter,
    handler::{ConnectHandler as _, FromConnectParts, Value},
    socket::Socket,
};
use tokio::sync::oneshot;
use tower::{Service as _, ServiceExt as _};

use self::{
    inbox::{Inbox, Packet},
    session::Session,
    sessions::{Engine, Sessions},
    stream::EngineStream,
};
use super::handshake;
use crate::{
    app::App,
    dialects::socketio,
    domain::{command::Credentials, error::Error},
    realtime::{
        connection::Identity,
        outbox::{Link, Outbox},
    },
    service::{accounts, presence},
    tokens,
};

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

/// What our own stream shares with the session that will run over it, carried in the request's extensions.
#[derive(Clone)]
struct Direct {
    outbox: Arc<Outbox>,
    inbox: Arc<Inbox>,
}

/// Who connects, as socketioxide hands it over.
struct Handshake {
    socket: Arc<Socket<LocalAdapter>>,
    auth: Option<String>,
}

impl FromConnectParts<LocalAdapter> for Handshake {
    type Error = Infallible;
    fn from_connect_parts(socket: &Arc<Socket<LocalAdapter>>, auth: &Option<Value>) -> Result<Self, Infallible> {
        let auth = match auth {
            Some(Value::Str(json, _)) => Some(json.as_str().to_owned()),
            Some(Value::Bytes(_)) | None => None,
        };
        Ok(Self { socket: socket.clone(), auth })
    }
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
        let mut head = Request::new(());
        *head.uri_mut() = request.uri().clone();
        if let Some(authorization) = request.headers().get(AUTHORIZATION) {
            // A fresh copy: the original keeps the whole read buffer of the request alive.
            if let Ok(copy) = authorization.as_bytes().try_into() {
                head.headers_mut().insert(AUTHORIZATION, copy);
            }
        }
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
            if settles.await.is_err() {
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

/// The connect middleware: says who is there and sets up everything, before the CONNECT answer.
async fn let_in(app: &Arc<App>, sessions: &Arc<Sessions>, handshake: Handshake) -> Result<(), String> {
    sessions.opened();
    let Handshake { socket, auth } = handshake;
    let parts = socket.req_parts();
    let direct = parts.extensions.get::<Direct>().cloned();
    if direct.as_ref().is_some_and(|direct| direct.outbox.is_closed()) {
        // A second CONNECT after a goodbye: its queue is gone.
        return turn_away(app, sessions, &socket, direct, "Connect again".to_owned());
    }
    let found = credentials(auth.as_deref(), &parts.headers, parts.uri.query());
    let Ok((credentials, deltas)) = found else {
        return turn_away(app, sessions, &socket, direct, tokens::FAILED.to_owned());
    };
    let identity =
        if credentials.is_empty() { Ok(None) } else { accounts::identify(app, &credentials).await.map(Some) };
    let identity = match identity {
        Ok(identity) => identity,
        Err(Error::Unauthenticated(why)) => return turn_away(app, sessions, &socket, direct, why.to_owned()),
        Err(error) => {
            // Not the client's fault, so it must be able to come back: the transport goes without an answer.
            tracing::warn!(?error, "cannot identify a client");
            match direct {
                Some(direct) => _ = direct.outbox.cut(),
                None => sessions.close(&socket.id.to_string(), is_version_3(&socket)).await,
            }
            tokio::time::sleep(CONNECT_TIMEOUT).await;
            return Err("Service unavailable".to_owned());
        }
    };
    let outbox = direct.as_ref().map_or_else(|| app.hub.outbox(), |direct| direct.outbox.clone());
    let inbox = direct.as_ref().map_or_else(Arc::default, |direct| direct.inbox.clone());
    let connection = app.hub.connect(outbox);
    connection.want_deltas(deltas);
    let session = Session::new(app, sessions, socket.clone(), connection.clone(), inbox);
    let link: Arc<dyn Link> = session.clone();
    connection.bind(&link);
    if let Some(identity) = identity
        && let Err(error) = greet(app, &session, identity)
    {
        app.hub.disconnect(&connection);
        return turn_away(app, sessions, &socket, direct, error.to_string());
    }
    listen(app, sessions, &socket, &session);
    if socket.transport_type() == TransportType::Polling {
        connection.outbox.poll_through(link);
    }
    Ok(())
}

/// Refuses somebody for good, and ends a transport whose client stays all the same.
fn turn_away(
    app: &App,
    sessions: &Arc<Sessions>,
    socket: &Socket<LocalAdapter>,
    direct: Option<Direct>,
    why: String,
) -> Result<(), String> {
    let (id, is_version_3, sessions) = (socket.id.to_string(), is_version_3(socket), sessions.clone());
    app.tasks.spawn_until_stop(async move {
        tokio::time::sleep(GOODBYE).await;
        match direct {
            Some(direct) => _ = direct.outbox.cut(),
            None => sessions.close(&id, is_version_3).await,
        }
    });
    Err(why)
}

/// Socket.IO clients 2.x speak version 3 of Engine.IO.
fn is_version_3(socket: &Socket<LocalAdapter>) -> bool {
    socket.protocol() == ProtocolVersion::V4
}

/// Welcomes somebody who came with credentials.
fn greet(app: &Arc<App>, session: &Arc<Session>, identity: Identity) -> Result<(), Error> {
    let connection = session.connection();
    let hello = socketio::authenticated(&identity.user);
    accounts::admit(app, connection, identity)?;
    session.assume();
    connection.reply(hello);
    Ok(())
}

/// Registers the one handler for all events, and the one for the end.
fn listen(app: &Arc<App>, sessions: &Arc<Sessions>, socket: &Arc<Socket<LocalAdapter>>, session: &Arc<Session>) {
    let id = socket.id.to_string();
    // socketioxide never lets go of this handler, so it must not hold the session.
    let heard = Arc::downgrade(session);
    socket.on_fallback(move |packet: Packet| {
        if let Some(session) = heard.upgrade() {
            session.hear(packet);
        }
        ready(())
    });
    sessions.insert(id.clone(), session.clone());
    let (app, sessions, connection) = (app.clone(), sessions.clone(), session.connection().clone());
    socket.on_disconnect(move || {
        sessions.remove(&id);
        presence::depart(&app, &connection);
        ready(())
    });
}

/// Credentials of the `auth` payload, else of the `Authorization` header, else of the query (clients 2.x have no
/// payload), and whether the client wants short chunks.
fn credentials(auth: Option<&str>, headers: &HeaderMap, query: Option<&str>) -> Result<(Credentials, bool), Error> {
    let (in_auth, deltas) = auth.map_or(Ok((Credentials::default(), false)), socketio::auth)?;
    let deltas = deltas || handshake::parameter(query, "deltas").as_deref() == Some("true");
    if !in_auth.is_empty() {
        return Ok((in_auth, deltas));
    }
    Ok((handshake::credentials(headers, query), deltas))
}

//! Letting a Socket.IO client in: the connect middleware, which runs before the CONNECT answer.

use std::{convert::Infallible, future::ready, sync::Arc};

use axum::http::HeaderMap;
use socketioxide::{
    ProtocolVersion, TransportType,
    adapter::LocalAdapter,
    handler::{FromConnectParts, Value},
    socket::Socket,
};

use super::{
    CONNECT_TIMEOUT, GOODBYE,
    inbox::{Inbox, Packet},
    session::Session,
    sessions::Sessions,
};
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
    transport::handshake,
};

/// What our own stream shares with the session that will run over it, carried in the request's extensions.
#[derive(Clone)]
pub(super) struct Direct {
    pub(super) outbox: Arc<Outbox>,
    pub(super) inbox: Arc<Inbox>,
}

/// Who connects, as socketioxide hands it over.
pub(super) struct Handshake {
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

/// The connect middleware: says who is there and sets up everything, before the CONNECT answer.
pub(super) async fn let_in(app: &Arc<App>, sessions: &Arc<Sessions>, client: Handshake) -> Result<(), String> {
    sessions.opened();
    let Handshake { socket, auth } = client;
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
pub(super) fn is_version_3(socket: &Socket<LocalAdapter>) -> bool {
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
    let is_version_3 = is_version_3(socket);
    socket.on_disconnect(move || {
        sessions.remove(&id);
        presence::depart(&app, &connection);
        // A client that says goodbye to Socket.IO alone would keep a transport that nobody counts.
        app.tasks.spawn_until_stop(async move {
            tokio::time::sleep(GOODBYE).await;
            if !connection.outbox.cut() && sessions.get(&id).is_none() {
                sessions.close(&id, is_version_3).await;
            }
        });
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

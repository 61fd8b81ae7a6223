//! Bare WebSockets: the protocols that bring no Socket.IO with them.
//!
//! Two places: a path whose first frame, address or port tells the protocol, and one whose path names a conversation.
//! tungstenite reads frames; everything that goes out passes through the connection's
//! [`Outbox`](crate::realtime::outbox).

mod ending;
mod session;
pub mod socket;

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{
    body::Body,
    http::{HeaderMap, Request, StatusCode},
    response::Response,
};

use self::{
    ending::{Ending, UNAUTHENTICATED},
    session::Session,
    socket::{Goodbye, Socket},
};
use super::handshake;
use crate::{
    app::App,
    dialects::raw::{self, RawDialect},
    domain::{command::Credentials, error::Error, ids::ConversationId},
    realtime::outbox::Link,
    service::accounts,
};

/// A frame beyond the limit of frames is answered, though refused, up to this size; contract section 12.
const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// Where a client knocks.
pub enum Door {
    /// The path of all protocols that name no conversation.
    Chat,
    /// The path that names one; what stands there is checked behind the handshake.
    Conversation(String),
}

/// Marks the requests of a listener that speaks only one of the protocols.
#[derive(Clone, Copy)]
pub struct Only(pub &'static str);

/// The bare WebSocket endpoints. Cheap to clone.
#[derive(Clone)]
pub struct WebSocketTransport {
    app: Arc<App>,
    /// Those that have a transport and are not known yet.
    opening: Arc<AtomicUsize>,
}

/// Counts a connection while it is not known yet.
struct Opening(Arc<AtomicUsize>);

impl Drop for Opening {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a client presents, copied: slices of the request would keep hyper's whole read buffer alive.
struct Knock {
    credentials: Credentials,
    query: Option<String>,
    dialect: Option<&'static dyn RawDialect>,
    door: Door,
}

impl WebSocketTransport {
    /// Sets the endpoints up.
    #[must_use]
    pub fn new(app: &Arc<App>) -> Self {
        Self { app: app.clone(), opening: Arc::default() }
    }

    /// Answers an opening handshake; the origin has been checked.
    pub fn serve(&self, request: Request<Body>, door: Door) -> Response {
        let opening = Opening(self.opening.clone());
        let count = opening.0.fetch_add(1, Ordering::Relaxed) + 1;
        let accepted = handshake::check_room(&self.app, count).and_then(|()| handshake::accept_key(&request));
        let accept = match accepted {
            Ok(accept) => accept,
            Err(refusal) => return handshake::refuse(refusal),
        };
        let Ok(dialect) = dialect(&request, &door) else {
            return handshake::refuse((StatusCode::BAD_REQUEST, "protocol must be gurukul or campushub"));
        };
        let query = request.uri().query().map(str::to_owned);
        let credentials = self.credentials(request.headers(), query.as_deref());
        let knock = Knock { credentials, query, dialect, door };
        let transport = self.clone();
        self.app.tasks.spawn_until_stop(async move {
            let Some((tcp, early)) = handshake::upgraded(request).await else { return };
            let outbox = transport.app.hub.outbox();
            let socket = Socket::new(tcp, early, outbox, MESSAGE_BYTES_MAX).await;
            transport.let_in(socket, knock, opening).await;
        });
        handshake::switching_protocols(accept)
    }

    /// Finds out who is there and serves them.
    async fn let_in(self, mut socket: Socket, knock: Knock, opening: Opening) {
        let Knock { credentials, query, dialect, door } = knock;
        let ending = Ending::new(socket.outbox(), matches!(door, Door::Conversation(_)));
        if let Some(dialect) = dialect {
            ending.speak(dialect);
        }
        let identity = match Box::pin(accounts::identify(&self.app, &credentials)).await {
            Ok(identity) => identity,
            Err(error) => return turn_away(&mut socket, &ending, &error).await,
        };
        let bound = match door {
            Door::Chat => None,
            Door::Conversation(id) => match ConversationId::parse(&id) {
                Ok(id) => Some(id),
                Err(_) => return turn_away(&mut socket, &ending, &Error::NotFound("conversation")).await,
            },
        };
        let connection = self.app.hub.connect(socket.outbox());
        drop(opening);
        connection.confine();
        let link: Arc<dyn Link> = ending.clone();
        connection.bind(&link);
        if let Err(error) = accounts::admit(&self.app, &connection, identity) {
            self.app.hub.disconnect(&connection);
            return turn_away(&mut socket, &ending, &error).await;
        }
        let tasks = self.app.tasks.clone();
        let session = Session { app: self.app, connection, ending, dialect, bound, query, chunks: false };
        // A task of its own, so that what was needed to open it is freed.
        tasks.spawn_until_stop(session.run(socket));
    }

    /// A token in the address, in the `Authorization` header, or in the cookie of a page that is trusted.
    fn credentials(&self, headers: &HeaderMap, query: Option<&str>) -> Credentials {
        let token = handshake::bearer(headers)
            .or_else(|| handshake::parameter(query, "token"))
            .or_else(|| handshake::trusted_cookie(&self.app.config, headers));
        Credentials { token, session_id: None }
    }
}

/// The protocol, as far as it is known before the first frame.
fn dialect(request: &Request<Body>, door: &Door) -> Result<Option<&'static dyn RawDialect>, ()> {
    if matches!(door, Door::Conversation(_)) {
        return Ok(Some(raw::of_conversation()));
    }
    let only = request.extensions().get::<Only>().map(|Only(name)| (*name).to_owned());
    let named = only.or_else(|| handshake::parameter(request.uri().query(), "protocol"));
    named.map(|name| raw::by_name(&name).ok_or(())).transpose()
}

/// Ends a connection before it has begun.
async fn turn_away(socket: &mut Socket, ending: &Ending, error: &Error) {
    ending.refuse(Some(error));
    let (goodbye, frames): (Goodbye, _) = ending.take().unwrap_or((UNAUTHENTICATED, vec![]));
    let outbox = socket.outbox();
    outbox.open();
    for frame in frames {
        outbox.push_reply(frame);
    }
    outbox.close();
    socket.close(goodbye).await;
}

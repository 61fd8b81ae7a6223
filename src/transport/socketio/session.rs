//! A Socket.IO connection: the link between its socketioxide socket and the hub's connection.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use futures_util::{StreamExt as _, stream::FuturesOrdered};
use socketioxide::{
    SendError, SocketError, TransportType,
    adapter::LocalAdapter,
    extract::{AckSender, SocketRef},
    handler::{FromMessageParts as _, Value},
    socket::Socket,
};

use super::{
    CONNECT_TIMEOUT, GOODBYE,
    admission::is_version_3,
    inbox::{Inbox, Packet, Put},
    sessions::Sessions,
    stream::MARKER,
};
use crate::{
    app::App,
    dialects::{
        Speaks,
        frame::{Frame, Kind},
        socketio::{self, Heard},
    },
    domain::{
        command::{Command, Reply},
        error::Error,
        user::Role,
    },
    realtime::{
        connection::Connection,
        outbox::{Link, Outbox},
    },
    service::{self, Outcome},
    tokens,
};

/// How long a goodbye waits for what was said before.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Requests that are looked at together: sends among them share a commit.
const RUN_MAX: usize = 64;

/// A stranger's connection that has asked so often for what it may not is ended.
const REFUSALS_MAX: u32 = 50;

/// A connected Socket.IO client.
pub(super) struct Session {
    socket: Arc<Socket<LocalAdapter>>,
    connection: Arc<Connection>,
    inbox: Arc<Inbox>,
    app: Arc<App>,
    sessions: Arc<Sessions>,
    /// What a stranger has been refused so far.
    refused: AtomicU32,
    /// The transport is gone, as far as its last emit could tell.
    gone: AtomicBool,
}

impl Session {
    pub(super) fn new(
        app: &Arc<App>,
        sessions: &Arc<Sessions>,
        socket: Arc<Socket<LocalAdapter>>,
        connection: Arc<Connection>,
        inbox: Arc<Inbox>,
    ) -> Arc<Self> {
        let (app, sessions) = (app.clone(), sessions.clone());
        let (refused, gone) = (AtomicU32::new(0), AtomicBool::new(false));
        Arc::new(Self { socket, connection, inbox, app, sessions, refused, gone })
    }

    pub(super) fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    pub(super) fn outbox(&self) -> Arc<Outbox> {
        self.connection.outbox.clone()
    }

    pub(super) fn inbox(&self) -> Arc<Inbox> {
        self.inbox.clone()
    }

    /// A session that began with polling and has changed to WebSocket.
    pub(super) fn has_upgraded(&self) -> bool {
        self.socket.connected() && self.socket.transport_type() == TransportType::Websocket
    }

    /// Sends the marker of the change of transport behind everything that was emitted so far.
    pub(super) fn emit_marker(&self) -> bool {
        self.socket.emit(MARKER, &()).is_ok()
    }

    /// The transport is gone although nobody has said so; or the client went while it was let in, so that socketioxide
    /// never knew it as connected.
    pub(super) fn is_gone(&self) -> bool {
        let never_came = !self.socket.connected() && self.connection.since.elapsed() > CONNECT_TIMEOUT;
        never_came || self.gone.load(Ordering::Acquire) || self.connection.outbox.is_finished()
    }

    /// Takes a request; called in the order in which the client sent, and never waits.
    pub(super) fn hear(self: &Arc<Self>, packet: Packet) {
        match self.inbox.put(packet) {
            Put::Waits => {}
            Put::NeedsConsumer => {
                let session = self.clone();
                self.app.tasks.spawn(async move { session.work().await });
            }
            Put::Refused(packet) => {
                let error = Error::RateLimited { retry_after: Duration::from_secs(1) };
                self.refuse_packet(&packet, "", &error);
            }
        }
    }

    /// Handles what waits, in order.
    async fn work(self: Arc<Self>) {
        let _guard = CutOnPanic(&self.connection);
        while let Some(packets) = self.inbox.take(RUN_MAX) {
            // Who does not take its answers gets no more; what a client sent right before it went is done all the same.
            if !self.connection.outbox.has_room().await && !self.connection.outbox.is_closed() {
                tracing::info!(connection.id = self.connection.id.0, "cutting a connection that does not read");
                self.connection.cut();
            }
            let decode = |packet: Packet| {
                let request = packet.json().map(socketio::decode);
                (packet, request)
            };
            let mut heard = packets.into_iter().map(decode).collect::<Vec<_>>().into_iter().peekable();
            while let Some((packet, request)) = heard.next() {
                let Some(request) = request else {
                    self.refuse_packet(&packet, "", &Error::invalid("binary events are not supported"));
                    continue;
                };
                if !self.is_send(&request) {
                    self.handle(packet, request).await;
                    continue;
                }
                // Sends to joined conversations that stand side by side wait for the database together. They enter the
                // store's queue in this order, because none of them waits for anything before that.
                let mut run = FuturesOrdered::new();
                run.push_back(self.ask(packet, request));
                while let Some((packet, Some(request))) =
                    heard.next_if(|(_, next)| next.as_ref().is_some_and(|next| self.is_send(next)))
                {
                    run.push_back(self.ask(packet, request));
                }
                while let Some((packet, request, result)) = run.next().await {
                    self.answer(&packet, &request, result);
                }
            }
        }
    }

    /// A message for a conversation that the connection has joined.
    fn is_send(&self, request: &Heard) -> bool {
        matches!(&request.command, Ok(Command::PostMessage(new)) if self.connection.has_joined(&new.conversation))
    }

    async fn handle(&self, packet: Packet, request: Heard) {
        let (packet, request, result) = self.ask(packet, request).await;
        self.answer(&packet, &request, result);
    }

    /// Does what a request asks. Whoever has not signed in may do only that.
    async fn ask(&self, packet: Packet, mut request: Heard) -> (Packet, Heard, Result<Outcome, Error>) {
        if let Some(speaks) = request.tells {
            self.connection.heard(speaks);
        }
        let command = std::mem::replace(&mut request.command, Ok(Command::Ping));
        let signs_in = matches!(command, Ok(Command::Authenticate(_)));
        let user = self.connection.user();
        if self.connection.is_refused() {
            return (packet, request, Err(Error::Unauthenticated(tokens::FAILED)));
        }
        if !signs_in && user.is_none() && request.event != socketio::SIGN_IN {
            let refused = Err(Error::Unauthenticated("Authentication required"));
            return (packet, request, refused);
        }
        let result = match command {
            Ok(command) => {
                // The error report names the conversation.
                request.conversation = command.conversation().cloned();
                service::hear(&self.app, &self.connection, command).await
            }
            Err(error) => Err(service::count_malformed(&self.app, user.as_deref()).err().unwrap_or(error)),
        };
        (packet, request, result)
    }

    fn answer(&self, packet: &Packet, request: &Heard, result: Result<Outcome, Error>) {
        match result {
            Ok(outcome) => {
                if matches!(outcome.reply, Reply::Authenticated(_)) {
                    self.assume();
                }
                let said = request.vocabulary.reply(&outcome.reply);
                if let Some(id) = packet.ack {
                    self.connection.reply(socketio::ack_success(id, &said.ack));
                }
                for frame in said.events {
                    self.connection.reply(frame);
                }
                service::settle(&self.app, outcome.effects);
            }
            Err(error) => {
                self.report(packet, request, &error);
                if self.is_final(request, &error) {
                    self.connection.refuse(None);
                }
            }
        }
    }

    /// A failed sign-in ends the connection, and so does a stranger who goes on asking. A fault of ours does not.
    fn is_final(&self, request: &Heard, error: &Error) -> bool {
        let is_stranger = self.connection.user().is_none();
        let is_their_fault = matches!(error, Error::Unauthenticated(_) | Error::Forbidden(_) | Error::Invalid(_));
        if request.event == socketio::SIGN_IN {
            return is_their_fault && (is_stranger || matches!(error, Error::Unauthenticated(_)));
        }
        is_stranger && self.refused.fetch_add(1, Ordering::Relaxed) >= REFUSALS_MAX
    }

    /// Until it shows what it speaks, a customer's connection is told in the AI chat's words, others in the desk's.
    pub(super) fn assume(&self) {
        let Some(identity) = self.connection.identity() else { return };
        let is_customer = identity.user.role == Role::Customer && !identity.by_session;
        self.connection.assume(if is_customer { Speaks::AI_CHAT } else { Speaks::SUPPORT_DESK });
    }

    fn report(&self, packet: &Packet, request: &Heard, error: &Error) {
        if let Some(id) = packet.ack {
            self.connection.reply(socketio::ack_failure(id, error));
        }
        self.connection.reply(socketio::error_event(error, &request.event, request.conversation.as_ref()));
    }

    fn refuse_packet(&self, packet: &Packet, event: &str, error: &Error) {
        if let Some(id) = packet.ack {
            self.connection.reply(socketio::ack_failure(id, error));
        }
        self.connection.reply(socketio::error_event(error, event, None));
    }

    fn emit_frame(&self, frame: &Frame) -> Result<(), SendError> {
        let Some(json) = frame.json() else { return Ok(()) };
        match frame.kind() {
            Kind::Event(name) => self.socket.emit(name, json),
            // No Socket.IO vocabulary speaks in bare text.
            Kind::Text => Ok(()),
            Kind::Ack(id) => {
                let mut nothing = Value::Bytes(bytes::Bytes::new());
                let Ok(ack) = AckSender::from_message_parts(&self.socket, &mut nothing, &Some(id));
                ack.send(json)
            }
        }
    }
}

/// A request that panics leaves nobody to take the next one: then the client must connect anew.
struct CutOnPanic<'a>(&'a Connection);

impl Drop for CutOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.cut();
        }
    }
}

impl Link for Session {
    fn emit(&self, frame: &Frame) -> bool {
        if !self.socket.connected() {
            return false;
        }
        match self.emit_frame(frame) {
            Ok(()) => true,
            Err(SendError::Socket(SocketError::InternalChannelFull)) => false,
            Err(_) => {
                self.gone.store(true, Ordering::Release);
                true
            }
        }
    }

    fn refuse(&self, why: Option<&Error>) {
        if let Some(why) = why {
            self.connection.reply(socketio::error_event(why, "", None));
        }
        let (connection, socket, sessions) = (self.connection.clone(), self.socket.clone(), self.sessions.clone());
        self.app.tasks.spawn_until_stop(async move {
            // The goodbye takes another way than the frames, and must not overtake them.
            tokio::time::timeout(LAST_WORDS, connection.outbox.emptied()).await.ok();
            let (id, is_version_3) = (socket.id.to_string(), is_version_3(&socket));
            // A full channel means a client that does not read: then cutting is all that is left.
            if SocketRef::from(socket).disconnect().is_err() {
                connection.cut();
            }
            tokio::time::sleep(GOODBYE).await;
            if !connection.outbox.cut() {
                sessions.close(&id, is_version_3).await;
            }
        });
    }

    fn cut(&self) {
        let sessions = self.sessions.clone();
        let (id, is_version_3) = (self.socket.id.to_string(), is_version_3(&self.socket));
        self.app.tasks.spawn_until_stop(async move { sessions.close(&id, is_version_3).await });
    }
}

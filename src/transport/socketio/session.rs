//! A Socket.IO connection: the link between its socketioxide socket and the hub's connection.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
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
use tokio_util::sync::CancellationToken;

use super::{
    inbox::{Inbox, Packet, Put},
    stream::MARKER,
};
use crate::{
    app::App,
    dialects::{
        frame::{Frame, Kind},
        socketio::{self, Heard},
    },
    domain::{command::Command, error::Error},
    realtime::{
        connection::Connection,
        lock,
        outbox::{Link, Outbox},
    },
    service::{self, Outcome},
};

/// Requests that are looked at together: sends among them share a commit.
const RUN_MAX: usize = 64;

/// A client that was told goodbye closes its transport; one that does not is cut after this.
const GOODBYE: Duration = Duration::from_secs(5);

/// A connected Socket.IO client.
pub(super) struct Session {
    socket: Arc<Socket<LocalAdapter>>,
    connection: Arc<Connection>,
    inbox: Arc<Inbox>,
    app: Arc<App>,
    /// Ends polls that wait, and refuses later ones.
    pub(super) cut: CancellationToken,
    /// The transport is gone, as far as its last emit could tell.
    gone: AtomicBool,
}

/// The sessions by Engine.IO session id, for polls and upgrades, which come as requests of their own.
#[derive(Default)]
pub(super) struct Sessions {
    by_id: Mutex<HashMap<String, Arc<Session>>>,
}

impl Sessions {
    pub(super) fn get(&self, id: &str) -> Option<Arc<Session>> {
        lock(&self.by_id).get(id).cloned()
    }

    pub(super) fn insert(&self, id: String, session: Arc<Session>) {
        lock(&self.by_id).insert(id, session);
    }

    pub(super) fn remove(&self, id: &str) {
        lock(&self.by_id).remove(id);
    }

    /// The sessions whose transport is gone without a word.
    pub(super) fn gone(&self) -> Vec<(String, Arc<Session>)> {
        let all = lock(&self.by_id);
        all.iter().filter(|(_, session)| session.is_gone()).map(|(id, session)| (id.clone(), session.clone())).collect()
    }
}

impl Session {
    pub(super) fn new(
        app: &Arc<App>,
        socket: Arc<Socket<LocalAdapter>>,
        connection: Arc<Connection>,
        inbox: Arc<Inbox>,
    ) -> Arc<Self> {
        let (app, cut, gone) = (app.clone(), CancellationToken::new(), AtomicBool::new(false));
        Arc::new(Self { socket, connection, inbox, app, cut, gone })
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

    fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire) || self.connection.outbox.is_finished()
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
        while let Some(packets) = self.inbox.take(RUN_MAX) {
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
        matches!(&request.command, Ok(Command::PostMessage { conversation, .. }) if self.connection.has_joined(conversation))
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
        if !signs_in && self.connection.user().is_none() && request.event != socketio::SIGN_IN {
            let refused = Err(Error::Unauthenticated("Authentication required"));
            return (packet, request, refused);
        }
        let result = match command {
            Ok(command) => {
                // The error report names the conversation.
                request.conversation = command.conversation().cloned();
                service::hear(&self.app, &self.connection, command).await
            }
            Err(error) => Err(error),
        };
        (packet, request, result)
    }

    fn answer(&self, packet: &Packet, request: &Heard, result: Result<Outcome, Error>) {
        match result {
            Ok(outcome) => {
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
                let failed_to_sign_in = request.event == socketio::SIGN_IN
                    && (matches!(error, Error::Unauthenticated(_)) || self.connection.user().is_none());
                if failed_to_sign_in {
                    self.connection.refuse();
                }
            }
        }
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
            Kind::Ack(id) => {
                let mut nothing = Value::Bytes(bytes::Bytes::new());
                let Ok(ack) = AckSender::from_message_parts(&self.socket, &mut nothing, &Some(id));
                ack.send(json)
            }
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

    fn refuse(&self) {
        // A full channel means a client that does not read: then cutting is all that is left.
        if SocketRef::from(self.socket.clone()).disconnect().is_err() {
            self.connection.cut();
        }
        let (outbox, cut) = (self.outbox(), self.cut.clone());
        self.app.tasks.spawn_until_stop(async move {
            tokio::time::sleep(GOODBYE).await;
            cut.cancel();
            outbox.cut();
        });
    }

    fn cut(&self) {
        self.cut.cancel();
    }
}

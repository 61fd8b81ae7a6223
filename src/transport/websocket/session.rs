//! A connection on a bare WebSocket: reads frames, has them done in their order, answers, and says goodbye.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt as _, stream::FuturesOrdered};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until};

use super::{
    ending::Ending,
    socket::{Goodbye, Incoming, Socket},
};
use crate::{
    app::App,
    dialects::{
        frame::Frame,
        raw::{self, Asker, FRAME_BYTES_MAX, RawDialect, Request, Tag},
    },
    domain::{command::Command, error::Error, ids::ConversationId},
    realtime::{connection::Connection, outbox::Link},
    service::{self, Outcome, presence},
    tokens,
};

/// Signs of life are asked for this often; who gives none until the next time is cut off.
const PING_EVERY: Duration = Duration::from_secs(30);

/// Sends that wait for the database together.
const RUN_MAX: usize = 64;

/// How long the frames of a client that wants them gathered wait for company.
const BATCH_WINDOW: Duration = Duration::from_millis(100);

/// A session and what it was opened with.
pub(super) struct Session {
    pub(super) app: Arc<App>,
    pub(super) connection: Arc<Connection>,
    pub(super) ending: Arc<Ending>,
    /// None until the first frame has shown it.
    pub(super) dialect: Option<&'static dyn RawDialect>,
    /// The conversation of the address.
    pub(super) bound: Option<ConversationId>,
    /// The parameters of the address.
    pub(super) query: Option<String>,
    /// The client wants chunks of growing answers.
    pub(super) chunks: bool,
}

/// What became of a request.
type Done = (Tag, Result<Outcome, Error>);

impl Session {
    /// Serves the connection until it ends.
    pub(super) async fn run(mut self, mut socket: Socket) {
        let _departs = Departs(self.app.clone(), self.connection.clone());
        if let Some(dialect) = self.dialect
            && !self.adopt(dialect).await
        {
            self.part(&mut socket).await;
            return;
        }
        let mut pings = interval_at(Instant::now() + PING_EVERY, PING_EVERY);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut sends = FuturesOrdered::new();
        let mut batch_due = None;
        loop {
            tokio::select! {
                biased;
                () = self.ending.announced() => break,
                Some(done) = sends.next(), if !sends.is_empty() => self.answer(done).await,
                _ = pings.tick() => {
                    if !socket.ping() {
                        self.connection.cut();
                    }
                }
                () = self.ending.batch_begun() => batch_due = Some(Instant::now() + BATCH_WINDOW),
                () = self.ending.batch_full() => {
                    batch_due = None;
                    self.ending.send_batch(self.app.now());
                }
                () = sleep_until(batch_due.unwrap_or_else(Instant::now)), if batch_due.is_some() => {
                    batch_due = None;
                    self.ending.send_batch(self.app.now());
                }
                heard = self.listen(&mut socket), if sends.len() < RUN_MAX => match heard {
                    Incoming::Text(text) => {
                        let dialect = self.dialect.unwrap_or_else(|| raw::by_first_frame(&text));
                        if self.dialect.is_none() && !self.adopt(dialect).await {
                            break;
                        }
                        let request = self.decode(dialect, &text);
                        if self.is_send(&request) {
                            sends.push_back(Self::ask(self.app.clone(), self.connection.clone(), request));
                            continue;
                        }
                        while let Some(done) = sends.next().await {
                            self.answer(done).await;
                        }
                        // On the heap, so that idle connections do not carry it.
                        let done = Box::pin(Self::ask(self.app.clone(), self.connection.clone(), request)).await;
                        self.answer(done).await;
                    }
                    Incoming::Binary(_) => {
                        self.ending.announce(Goodbye { code: 1003, reason: "Text only" }, vec![]);
                    }
                    Incoming::Fault(goodbye) => self.ending.announce(goodbye, vec![]),
                    Incoming::End => break,
                },
            }
        }
        while let Some(done) = sends.next().await {
            self.answer(done).await;
        }
        self.part(&mut socket).await;
    }

    /// Takes up a protocol, with what the address wishes from the beginning. False when that ends the connection.
    async fn adopt(&mut self, dialect: &'static dyn RawDialect) -> bool {
        self.dialect = Some(dialect);
        self.connection.assume(dialect.speaks());
        self.ending.speak(dialect);
        let parameter = |name: &str| crate::transport::handshake::parameter(self.query.as_deref(), name);
        let wishes = match dialect.open(&parameter, self.bound.as_ref()) {
            Ok(wishes) => wishes,
            Err(error) => {
                self.connection.outbox.open();
                self.ending.refuse(Some(&error));
                return false;
            }
        };
        self.query = None;
        self.chunks = wishes.chunks;
        self.connection.want_deltas(wishes.chunks);
        if wishes.hears_person {
            self.app.hub.hear_person(&self.connection);
        }
        if wishes.batches {
            self.connection.outbox.poll_through(self.ending.clone());
        } else {
            self.connection.outbox.open();
        }
        let Some(command) = wishes.command else { return true };
        let request = Request { tag: Tag::default(), command: Ok(command) };
        let (tag, result) = Box::pin(Self::ask(self.app.clone(), self.connection.clone(), request)).await;
        if let Err(error) = &result {
            self.ending.refuse(Some(error));
            return false;
        }
        self.answer((tag, result)).await;
        true
    }

    /// Waits for the next message, and before that for a peer that does not take its answers.
    async fn listen(&self, socket: &mut Socket) -> Incoming {
        self.has_room().await;
        socket.receive().await
    }

    /// Waits until the peer has taken most of what was said; one that takes nothing is cut off.
    async fn has_room(&self) {
        if !self.connection.outbox.has_room().await && !self.connection.outbox.is_closed() {
            tracing::info!(connection.id = self.connection.id.0, "cutting a connection that does not read");
            self.connection.cut();
        }
    }

    fn decode(&self, dialect: &dyn RawDialect, text: &str) -> Request {
        if text.len() > FRAME_BYTES_MAX {
            return Request::refused(Error::TooLarge("the frame is larger than 64 KiB".into()));
        }
        dialect.decode(text, self.bound.as_ref())
    }

    /// A message for a conversation that the connection has joined.
    fn is_send(&self, request: &Request) -> bool {
        matches!(&request.command, Ok(Command::PostMessage(new)) if self.connection.has_joined(&new.conversation))
    }

    async fn ask(app: Arc<App>, connection: Arc<Connection>, Request { tag, command }: Request) -> Done {
        if connection.is_refused() {
            return (tag, Err(Error::Unauthenticated(tokens::FAILED)));
        }
        let result = match command {
            Ok(command) => service::hear(&app, &connection, command).await,
            Err(error) => {
                let user = connection.user();
                Err(service::count_malformed(&app, user.as_deref()).err().unwrap_or(error))
            }
        };
        (tag, result)
    }

    async fn answer(&self, (tag, result): Done) {
        let (Some(dialect), Some(user)) = (self.dialect, self.connection.user()) else { return };
        let at = self.app.now();
        match result {
            Ok(Outcome { reply, effects }) => {
                let frames = dialect.reply(&tag, &reply, Asker { user: &user, at, chunks: self.chunks });
                // It may hold a long piece of the log, and the peer may be slow.
                drop(reply);
                self.say(frames).await;
                service::settle(&self.app, effects);
            }
            // Its only conversation is gone.
            Err(error @ Error::NotFound(_)) if self.bound.is_some() => self.ending.refuse(Some(&error)),
            Err(error) => self.say(dialect.refusal(&tag, &error, at)).await,
        }
    }

    /// Queues an answer, which may be a long piece of the log: as fast as the peer takes it.
    async fn say(&self, frames: Vec<Frame>) {
        for (index, frame) in frames.into_iter().enumerate() {
            if index > 0 && !self.connection.outbox.is_empty() {
                self.ending.send_batch(self.app.now());
                self.has_room().await;
            }
            self.connection.reply(frame);
        }
    }

    /// Says what is left to say.
    async fn part(&self, socket: &mut Socket) {
        let (goodbye, frames) = self.ending.take().unzip();
        for frame in frames.into_iter().flatten() {
            self.connection.reply(frame);
        }
        while self.ending.send_batch(self.app.now()) {}
        // From here on only the close is said.
        self.connection.outbox.close();
        match goodbye {
            Some(goodbye) => socket.close(goodbye).await,
            None => socket.answer_close().await,
        }
    }
}

/// Cleans up behind a connection, however its task ends.
struct Departs(Arc<App>, Arc<Connection>);

impl Drop for Departs {
    fn drop(&mut self) {
        presence::depart(&self.0, &self.1);
    }
}

//! The way in: one connection that listens to Redis for the rooms that have listeners here, and is renewed for ever.

use std::{
    collections::HashSet,
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use redis::{AsyncConnectionConfig, FromRedisValue as _, PushInfo, PushKind, RedisResult, aio::MultiplexedConnection};
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval},
};

use super::{
    comparer::Comparer,
    wire::{Recent, Said, Wire, channel, control},
};
use crate::{
    domain::event::{Envelope, Event, Room},
    realtime::{
        hub::Hub,
        redis::{ANSWER_LIMIT, Backoff, Redis, cause, late},
        watch::Watch,
    },
};

/// What may have come and wait to be heard; more is lost, which is noticed.
const INBOX_MAX: usize = 8192;

/// Channels in one command.
const CHANNELS_MAX: usize = 500;

/// How often the connection is asked for a sign of life.
const PING: Duration = Duration::from_secs(1);

/// The ear of this process.
pub(super) struct Line {
    redis: Redis,
    hub: Arc<Hub>,
    watch: Arc<Watch>,
    comparer: Arc<Comparer>,
    /// This process's own name, to know its own voice by.
    node: u64,
    recent: Recent,
    /// The rooms that have listeners here.
    wanted: HashSet<Room>,
    backoff: Backoff,
}

impl Line {
    pub(super) fn new(redis: Redis, hub: Arc<Hub>, watch: Arc<Watch>, comparer: Arc<Comparer>, node: u64) -> Self {
        let (recent, wanted, backoff) = (Recent::default(), HashSet::new(), Backoff::default());
        Self { redis, hub, watch, comparer, node, recent, wanted, backoff }
    }

    /// Listens for ever.
    pub(super) async fn run(mut self) {
        let mut is_known_to_be_away = false;
        loop {
            let Err(error) = self.listen().await;
            let was_well = self.redis.set_well(false);
            if was_well || !is_known_to_be_away {
                is_known_to_be_away = true;
                tracing::warn!(cause = cause(&error), "Redis is away; rooms are compared with the database meanwhile");
            }
            self.backoff.pause().await;
        }
    }

    /// Connects, subscribes to everything that is wanted, and listens until the connection fails.
    async fn listen(&mut self) -> RedisResult<Infallible> {
        let (pushes, mut inbox) = mpsc::channel(INBOX_MAX);
        let overflow = Arc::new(AtomicBool::new(false));
        let noted = overflow.clone();
        let hear = move |push: PushInfo| pushes.try_send(push).inspect_err(|_| noted.store(true, Ordering::Relaxed));
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(ANSWER_LIMIT)).set_push_sender(hear);
        // With each attempt, so that rooms which come and go during an outage do not pile up.
        self.note_changes();
        let mut connection = self.redis.connect(config).await?;
        let mut channels: Vec<_> = self.wanted.iter().map(|room| channel(&self.redis, room)).collect();
        channels.push(control(&self.redis));
        for some in channels.chunks(CHANNELS_MAX) {
            connection.subscribe(some).await?;
        }
        self.redis.set_well(true);
        self.backoff.reset();
        tracing::info!(channels = channels.len(), "listening to Redis");
        // Whatever was said before this moment, nobody here has heard.
        self.comparer.all();
        let mut pings = interval(PING);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                push = inbox.recv() => self.hear(push.ok_or_else(late)?)?,
                () = self.watch.changed() => self.follow(&mut connection).await?,
                _ = pings.tick() => {
                    redis::cmd("PING").exec_async(&mut connection).await?;
                    if overflow.swap(false, Ordering::Relaxed) {
                        self.comparer.all();
                    }
                }
            }
        }
    }

    /// Takes over which rooms are wanted. Gives those that are wanted now and were not before, and the other way round.
    fn note_changes(&mut self) -> (Vec<Room>, Vec<Room>) {
        let (mut begun, mut ended) = (vec![], vec![]);
        for (room, listened) in self.watch.take() {
            if listened {
                if self.wanted.insert(room.clone()) {
                    begun.push(room);
                }
            } else if self.wanted.remove(&room) {
                if let Room::Conversation(conversation) = &room {
                    self.hub.snapshots.forget(conversation);
                }
                ended.push(room);
            }
        }
        (begun, ended)
    }

    /// Subscribes to rooms that have listeners now, and unsubscribes from those that have none any more.
    async fn follow(&mut self, connection: &mut MultiplexedConnection) -> RedisResult<()> {
        let (begun, ended) = self.note_changes();
        for some in begun.chunks(CHANNELS_MAX) {
            let channels: Vec<_> = some.iter().map(|room| channel(&self.redis, room)).collect();
            connection.subscribe(channels).await?;
        }
        for some in ended.chunks(CHANNELS_MAX) {
            let channels: Vec<_> = some.iter().map(|room| channel(&self.redis, room)).collect();
            connection.unsubscribe(channels).await?;
        }
        // Somebody who joined may have read the log before this process could hear what came after it.
        self.comparer.add(begun.into_iter().filter_map(|room| match room {
            Room::Conversation(conversation) => Some(conversation),
            Room::User(_) | Room::Agents => None,
        }));
        Ok(())
    }

    fn hear(&mut self, push: PushInfo) -> RedisResult<()> {
        match push.kind {
            PushKind::Disconnection => return Err(late()),
            PushKind::Message => {}
            _ => return Ok(()),
        }
        let Some(payload) = push.data.into_iter().nth(1) else { return Ok(()) };
        let bytes = Vec::<u8>::from_redis_value(payload)?;
        match serde_json::from_slice::<Wire>(&bytes) {
            Ok(wire) if wire.node == self.node => {}
            Ok(wire) => {
                if self.recent.is_new(&wire) {
                    self.take(wire.said);
                }
            }
            // From a process of another version; the log has what matters.
            Err(error) => tracing::debug!(category = ?error.classify(), "cannot read what another process says"),
        }
        Ok(())
    }

    fn take(&self, said: Said) {
        match said {
            Said::Event(envelope) => self.deliver(envelope),
            Said::Stop { conversation, answer: None } => {
                self.hub.snapshots.stop(&conversation);
            }
            Said::Stop { conversation, answer: Some(answer) } => {
                self.hub.snapshots.stop_early(&answer, &conversation);
            }
            Said::Lost => self.comparer.all(),
        }
    }

    /// An event of another process, for everybody here whom it concerns.
    fn deliver(&self, envelope: Envelope) {
        let snapshots = &self.hub.snapshots;
        if let Event::AnswerChunk(chunk) = &envelope.event
            && self.wanted.contains(&Room::Conversation(chunk.conversation.clone()))
        {
            // First, so that whoever becomes live now has it from the one or the other.
            snapshots.heard(chunk);
        }
        let (mut over, mut gone) = (None, None);
        match &envelope.event {
            Event::AnswerTyping { conversation, typing: false, .. } => over = Some(conversation.clone()),
            Event::ConversationDeleted(conversation) => gone = Some(conversation.clone()),
            _ => {}
        }
        self.hub.deliver(envelope);
        if let Some(conversation) = over {
            snapshots.end_elsewhere(&conversation);
        }
        if let Some(conversation) = gone {
            self.hub.empty(&conversation);
        }
    }
}

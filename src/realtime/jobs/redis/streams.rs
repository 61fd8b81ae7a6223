//! What the processes do with the stream and the lists besides reading: offering, keeping, answering.

use std::{sync::Arc, time::Duration};

use redis::{
    Pipeline, RedisResult,
    streams::{StreamClaimOptions, StreamMaxlen},
};
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval},
};

use super::{
    super::{
        Reply,
        asked::{Asked, PATIENCE},
        held::{Held, Holding},
    },
    FROM, GROUP, JOB, LENGTH_MAX, Names, REPLIES_KEPT_S,
    popper::Popper,
    reader::Reader,
    replies,
};
use crate::{
    domain::{ids::ConversationId, search::SearchJob},
    realtime::redis::{Backoff, Redis, cause},
    tasks::Tasks,
};

/// What may wait for Redis.
const QUEUE_MAX: usize = 10_000;

/// Written at a time.
const BATCH: usize = 256;

/// How often Redis is told that what is held is still held.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// Idle milliseconds that make an entry free for everybody at once.
const FREE: usize = 3_600_000;

/// The streams and lists, as one process uses them.
pub(in crate::realtime::jobs) struct Streams {
    redis: Redis,
    names: Names,
    /// This process: the consumer's name, and where its answers go. New with each start.
    node: String,
    holding: Holding,
    outgoing: mpsc::Sender<Offer>,
}

/// Something to write to Redis.
enum Offer {
    Hint(ConversationId),
    Search(SearchJob),
}

impl Streams {
    pub(in crate::realtime::jobs) fn start(
        redis: Redis,
        node: &str,
        asked: Arc<Asked>,
        holding: Holding,
        tasks: &Tasks,
    ) -> Self {
        let (outgoing, inbox) = mpsc::channel(QUEUE_MAX);
        let names = Names::of(&redis);
        let node = node.to_owned();
        let writer = Writer { redis: redis.clone(), names: names.clone(), node: node.clone(), asked, inbox };
        tasks.spawn_until_stop(writer.run());
        let heart = heartbeat(redis.clone(), names.searches.clone(), node.clone(), holding.clone());
        tasks.spawn_until_stop(heart);
        Self { redis, names, node, holding, outgoing }
    }

    /// False when too much waits already.
    pub(in crate::realtime::jobs) fn offer_hint(&self, conversation: ConversationId) -> bool {
        self.outgoing.try_send(Offer::Hint(conversation)).is_ok()
    }

    /// False when too much waits already.
    pub(in crate::realtime::jobs) fn offer_search(&self, job: SearchJob) -> bool {
        self.outgoing.try_send(Offer::Search(job)).is_ok()
    }

    pub(in crate::realtime::jobs) fn hints(&self) -> Popper {
        Popper::new(self.redis.clone(), self.names.hints.clone())
    }

    pub(in crate::realtime::jobs) fn replies(&self) -> Popper {
        Popper::new(self.redis.clone(), replies(&self.redis, &self.node))
    }

    pub(in crate::realtime::jobs) fn reader(&self) -> Reader {
        Reader::new(self.redis.clone(), self.names.clone(), self.node.clone(), self.holding.clone())
    }

    /// Sends the answer and lets go of the search, both or neither. Tries for as long as somebody may wait for it.
    pub(in crate::realtime::jobs) async fn reply(&self, held: &Held, reply: &Reply) {
        let mut commands = redis::pipe();
        commands.atomic();
        if let Err(error) = add_reply(&mut commands, &self.redis, &held.from, reply) {
            tracing::error!(%error, search.id = reply.id, "the answer to a search cannot be encoded");
            return;
        }
        remove(&mut commands, &self.names, &held.receipt);
        let began = Instant::now();
        let mut backoff = Backoff::default();
        while let Err(error) = self.redis.ask::<()>(&commands).await {
            if began.elapsed() > PATIENCE.to_std().unwrap_or_default() {
                tracing::warn!(cause = cause(&error), search.id = reply.id, "the answer to a search came too late");
                return;
            }
            backoff.pause().await;
        }
    }

    /// Removes a search that needs no answer.
    pub(in crate::realtime::jobs) async fn forget(&self, held: &Held) {
        let mut commands = redis::pipe();
        remove(&mut commands, &self.names, &held.receipt);
        self.log(self.redis.ask(&commands).await);
    }

    /// Makes a search look as if nobody had been heard of for long.
    pub(in crate::realtime::jobs) async fn give_back(&self, held: Held) {
        let receipt = held.receipt.clone();
        // The heartbeat must not take it again.
        drop(held);
        let mut commands = redis::pipe();
        let options = StreamClaimOptions::default().idle(FREE).with_justid();
        commands.xclaim_options(&self.names.searches, GROUP, &self.node, 0, &[receipt], options).ignore();
        self.log(self.redis.ask(&commands).await);
    }

    /// Without this the search is taken over a little later.
    fn log(&self, result: RedisResult<()>) {
        if let Err(error) = result {
            tracing::debug!(node = self.node, cause = cause(&error), "cannot let go of a search");
        }
    }
}

/// Adds what hands an answer to the process that asked.
pub(super) fn add_reply(
    commands: &mut Pipeline,
    redis: &Redis,
    node: &str,
    reply: &Reply,
) -> Result<(), serde_json::Error> {
    let list = replies(redis, node);
    commands.rpush(&list, serde_json::to_vec(reply)?).ignore().expire(&list, REPLIES_KEPT_S).ignore();
    Ok(())
}

/// Adds what removes a search.
pub(super) fn remove(commands: &mut Pipeline, names: &Names, receipt: &str) {
    commands.xack(&names.searches, GROUP, &[receipt]).ignore().xdel(&names.searches, &[receipt]).ignore();
}

/// Says again and again that what this process holds is in good hands.
async fn heartbeat(redis: Redis, stream: String, node: String, holding: Holding) {
    let mut ticks = interval(HEARTBEAT);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let receipts = holding.receipts();
        if receipts.is_empty() {
            continue;
        }
        let mut commands = redis::pipe();
        for some in receipts.chunks(BATCH) {
            let options = StreamClaimOptions::default().with_justid();
            commands.xclaim_options(&stream, GROUP, &node, 0, some, options).ignore();
        }
        if let Err(error) = redis.ask::<()>(&commands).await {
            tracing::debug!(cause = cause(&error), "cannot keep hold of searches");
        }
    }
}

/// Writes what is offered. While Redis is away searches wait for it as long as their askers do.
struct Writer {
    redis: Redis,
    names: Names,
    node: String,
    asked: Arc<Asked>,
    inbox: mpsc::Receiver<Offer>,
}

impl Writer {
    async fn run(mut self) {
        let mut batch = Vec::with_capacity(BATCH);
        while self.inbox.recv_many(&mut batch, BATCH).await > 0 {
            let mut backoff = Backoff::default();
            while let Err(error) = self.write(&batch).await {
                tracing::debug!(cause = cause(&error), "cannot offer work");
                // Every worker's sweep finds the answers; for searches somebody waits here.
                batch.retain(|offer| match offer {
                    Offer::Hint(_) => false,
                    Offer::Search(job) => self.asked.waits(&job.id),
                });
                if batch.is_empty() {
                    break;
                }
                backoff.pause().await;
            }
            batch.clear();
        }
    }

    async fn write(&self, batch: &[Offer]) -> RedisResult<()> {
        let mut commands = redis::pipe();
        let mut hints = 0;
        for offer in batch {
            match offer {
                Offer::Hint(conversation) => {
                    hints += 1;
                    commands.rpush(&self.names.hints, conversation.as_str()).ignore();
                }
                Offer::Search(job) => match serde_json::to_string(job) {
                    Ok(text) => {
                        let fields = [(JOB, text.as_str()), (FROM, self.node.as_str())];
                        let length = StreamMaxlen::Approx(LENGTH_MAX);
                        commands.xadd_maxlen(&self.names.searches, length, "*", &fields).ignore();
                    }
                    Err(error) => tracing::error!(%error, search.id = job.id, "a search cannot be encoded"),
                },
            }
        }
        if hints > 0 {
            let newest = -isize::try_from(LENGTH_MAX).unwrap_or(isize::MAX);
            commands.ltrim(&self.names.hints, newest, -1).ignore();
        }
        self.redis.ask(&commands).await
    }
}

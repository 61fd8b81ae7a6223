//! The way out: what this process says is queued, and a task writes it to Redis in batches.
//!
//! Nobody waits for Redis. While it is away, what only hints at the log is dropped, because listeners elsewhere look
//! into the database by then, and they are told to look once more when Redis is back. What is told nowhere else is kept,
//! up to a limit, until the others have had the time to come back to Redis too.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use redis::Pipeline;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, timeout},
};

use super::wire::{Said, Wire};
use crate::{
    domain::event::Event,
    realtime::{
        elsewhere,
        redis::{Redis, cause},
    },
    tasks::Tasks,
};

/// What may wait for Redis.
const QUEUE_MAX: usize = 4096;

/// Written at a time.
const BATCH: usize = 256;

/// What is kept for a Redis that is away.
const KEPT_MAX: usize = 1024;

/// How often it is looked whether something that is kept can go out.
const RETRY: Duration = Duration::from_millis(200);

/// After an outage every process is back within this, as far as pauses between attempts go.
const SETTLING: Duration = Duration::from_secs(2);

/// At the end, silence for so long means that nothing more will be said.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// Hands what is said to the task that writes it.
#[derive(Clone)]
pub struct Publisher {
    queue: mpsc::Sender<Said>,
    lost: Arc<AtomicBool>,
}

impl Publisher {
    /// Starts the task. `node` names this process.
    pub(super) fn start(redis: Redis, node: u64, tasks: &Tasks) -> Self {
        let (queue, inbox) = mpsc::channel(QUEUE_MAX);
        let lost = Arc::new(AtomicBool::new(false));
        let writer = Writer { redis, node, number: 0, inbox, lost: lost.clone(), kept: vec![], well_since: None };
        let stop = tasks.clone();
        tasks.spawn(async move { writer.run(&stop).await });
        Self { queue, lost }
    }

    /// Says something. Never waits.
    pub(super) fn say(&self, said: Said) {
        if self.queue.try_send(said).is_err() {
            self.lost.store(true, Ordering::Relaxed);
        }
    }
}

struct Writer {
    redis: Redis,
    node: u64,
    number: u64,
    inbox: mpsc::Receiver<Said>,
    /// Something was dropped that others may miss.
    lost: Arc<AtomicBool>,
    /// What must be told late rather than not at all. As long as there is some, more of the kind stays behind it.
    kept: Vec<Wire>,
    well_since: Option<Instant>,
}

impl Writer {
    async fn run(mut self, tasks: &Tasks) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let has_work = !self.kept.is_empty() || self.lost.load(Ordering::Relaxed);
            tokio::select! {
                () = tasks.stopped() => break,
                count = self.inbox.recv_many(&mut batch, BATCH) => {
                    if count == 0 {
                        // Nobody is left who could say anything.
                        break;
                    }
                }
                () = sleep(RETRY), if has_work => {}
            }
            self.write(&mut batch).await;
        }
        while let Ok(1..) = timeout(LAST_WORDS, self.inbox.recv_many(&mut batch, BATCH)).await {
            self.write(&mut batch).await;
        }
    }

    async fn write(&mut self, batch: &mut Vec<Said>) {
        let is_well = self.redis.is_well();
        self.well_since = is_well.then(|| self.well_since.unwrap_or_else(Instant::now));
        let mut now = vec![];
        if self.well_since.is_some_and(|since| since.elapsed() >= SETTLING) {
            now.append(&mut self.kept);
        }
        for said in batch.drain(..) {
            let wire = self.sign(said);
            if wire.said.must_arrive() && (!is_well || !self.kept.is_empty()) {
                self.kept.push(wire);
            } else {
                now.push(wire);
            }
        }
        let had_lost = is_well && self.lost.swap(false, Ordering::Relaxed);
        if had_lost {
            now.push(self.sign(Said::Lost));
        }
        let is_told = now.is_empty() || (is_well && self.publish(&now).await);
        if !is_told {
            self.lost.store(true, Ordering::Relaxed);
            now.retain(|wire| wire.said.must_arrive());
            self.kept.splice(..0, now);
        }
        let surplus = self.kept.len().saturating_sub(KEPT_MAX);
        self.kept.drain(..surplus);
    }

    /// The number is given once, so that a copy that arrives twice is recognised.
    const fn sign(&mut self, said: Said) -> Wire {
        self.number += 1;
        Wire { node: self.node, number: self.number, said }
    }

    /// False when Redis has not said that it has taken everything.
    async fn publish(&self, wires: &[Wire]) -> bool {
        let mut commands = redis::pipe();
        for wire in wires {
            add(&mut commands, &self.redis, wire);
        }
        let published = self.redis.ask::<()>(&commands).await;
        if let Err(error) = &published {
            tracing::debug!(cause = cause(error), "cannot tell other processes");
        }
        published.is_ok()
    }
}

/// Adds what tells one thing to whom it concerns.
fn add(commands: &mut Pipeline, redis: &Redis, wire: &Wire) {
    let bytes = match serde_json::to_vec(wire) {
        Ok(bytes) => bytes,
        Err(error) => {
            tracing::error!(%error, "an event cannot be encoded");
            return;
        }
    };
    for channel in wire.said.channels(redis) {
        commands.publish(channel, bytes.as_slice()).ignore();
    }
    let Said::Event(envelope) = &wire.said else { return };
    match &envelope.event {
        Event::AnswerChunk(chunk) => elsewhere::keep(commands, redis, chunk),
        Event::AnswerTyping { conversation, typing: false, .. } => elsewhere::drop_kept(commands, redis, conversation),
        _ => {}
    }
}

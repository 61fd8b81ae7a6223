//! The way out: what this process says is queued, and a task writes it to Redis in batches.
//!
//! Nobody waits for Redis. While it is away, what only hints at the log is dropped, because listeners elsewhere look
//! into the database by then; ends that are told nowhere else are kept, up to a limit. Whatever was dropped, the others
//! are told to look when Redis is back.

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
    time::{sleep, timeout},
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

/// The pause before something kept is tried again.
const RETRY: Duration = Duration::from_millis(200);

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
        let writer = Writer { redis, node, number: 0, inbox, lost: lost.clone(), unsent: vec![] };
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
    /// Numbered already, so that a copy that arrives twice is recognised.
    unsent: Vec<Wire>,
}

impl Writer {
    async fn run(mut self, tasks: &Tasks) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let has_work = !self.unsent.is_empty() || self.lost.load(Ordering::Relaxed);
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
        for said in batch.drain(..) {
            self.unsent.push(Wire { node: self.node, number: self.number, said });
            self.number += 1;
        }
        if !self.redis.is_well() {
            self.keep_ends();
            return;
        }
        let had_lost = self.lost.swap(false, Ordering::Relaxed);
        let commands = self.commands(had_lost);
        match self.redis.ask::<()>(&commands).await {
            Ok(()) => self.unsent.clear(),
            Err(error) => {
                tracing::debug!(cause = cause(&error), "cannot tell other processes");
                self.keep_ends();
            }
        }
    }

    /// Redis has not taken what is unsent: only what must arrive is worth keeping.
    fn keep_ends(&mut self) {
        self.lost.store(true, Ordering::Relaxed);
        self.unsent.retain(|wire| wire.said.must_arrive());
        let surplus = self.unsent.len().saturating_sub(KEPT_MAX);
        self.unsent.drain(..surplus);
    }

    fn commands(&mut self, had_lost: bool) -> Pipeline {
        let mut commands = redis::pipe();
        for wire in &self.unsent {
            publish(&mut commands, &self.redis, wire);
        }
        if had_lost {
            publish(&mut commands, &self.redis, &Wire { node: self.node, number: self.number, said: Said::Lost });
            self.number += 1;
        }
        commands
    }
}

/// Adds what tells one thing to whom it concerns.
fn publish(commands: &mut Pipeline, redis: &Redis, wire: &Wire) {
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

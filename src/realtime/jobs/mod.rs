//! Work for exactly one worker each.
//!
//! That a conversation has a queued answer is only a hint: its row in the database is the durable record, so a hint may
//! be dropped, and the sweep that looks for waiting rows finds it again. A search has no row. It is held by its worker
//! until it is answered, and taken over by another one when that worker dies; its asker's process tells its end once.

mod asked;
mod held;
mod memory;
mod redis;

use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

pub use self::held::Held;
use self::{
    asked::{Asked, PATIENCE},
    held::Holding,
    memory::Queue,
    redis::{popper::Popper, reader::Reader, streams::Streams},
};
use super::{lock, redis::Redis};
use crate::{
    domain::{
        Timestamp,
        error::{Error, Failure},
        event::Event,
        ids::ConversationId,
        search::SearchJob,
    },
    tasks::Tasks,
};

/// Answers to searches that may wait for the one task that tells them.
const REPLIES_MAX: usize = 1024;

/// Hands work to workers, and answers back to those who asked. Cloning shares it.
#[derive(Clone)]
pub struct Jobs {
    inner: Arc<Inner>,
}

struct Inner {
    asked: Arc<Asked>,
    holding: Holding,
    /// Conversations with a queued answer, for this process's workers.
    answers: Queue<ConversationId>,
    /// Until the one who tells them has come for them.
    replies: Mutex<Option<Replies>>,
    way: Way,
}

/// Where the workers are.
enum Way {
    /// In this process.
    Memory { searches: Queue<SearchJob>, replies: mpsc::Sender<Reply> },
    /// In any process.
    Redis(Streams),
}

/// The answer to a search, on its way to the process that asked.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Reply {
    /// The search's own id.
    pub id: String,
    /// For the asker.
    pub event: Event,
}

impl Jobs {
    /// Workers are tasks of this process.
    #[must_use]
    pub fn in_memory() -> Self {
        let (replies, inbox) = mpsc::channel(REPLIES_MAX);
        let way = Way::Memory { searches: Queue::default(), replies };
        Self::new(Arc::default(), Holding::default(), Replies::Memory(inbox), way)
    }

    /// Workers are tasks of any process on the same Redis. `node` names this one.
    #[must_use]
    pub fn over_redis(redis: Redis, node: &str, tasks: &Tasks) -> Self {
        let (asked, holding) = (Arc::new(Asked::default()), Holding::default());
        let streams = Streams::start(redis, node, asked.clone(), holding.clone(), tasks);
        Self::new(asked, holding, Replies::Redis(streams.replies()), Way::Redis(streams))
    }

    fn new(asked: Arc<Asked>, holding: Holding, replies: Replies, way: Way) -> Self {
        let replies = Mutex::new(Some(replies));
        Self { inner: Arc::new(Inner { asked, holding, answers: Queue::default(), replies, way }) }
    }

    /// Hints that a conversation has a queued answer. Never blocks.
    pub fn hint(&self, conversation: ConversationId) {
        match &self.inner.way {
            Way::Memory { .. } => self.found(conversation),
            // A hint that finds no room is as good as found: every worker's sweep looks for the row.
            Way::Redis(streams) => _ = streams.offer_hint(conversation),
        }
    }

    /// This process itself has found a conversation with a queued answer; its own workers get it.
    pub fn found(&self, conversation: ConversationId) {
        // What has no room is found again.
        self.inner.answers.offer(conversation);
    }

    /// Hands a search to a worker. Never blocks.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when too many wait already.
    pub fn ask(&self, job: SearchJob) -> Result<(), Error> {
        const FULL: Error = Error::Unavailable("Too many searches are waiting, try again later");
        if !self.inner.asked.insert(&job) {
            return Err(FULL);
        }
        let id = job.id.clone();
        let has_room = match &self.inner.way {
            Way::Memory { searches, .. } => searches.offer(job),
            Way::Redis(streams) => streams.offer_search(job),
        };
        if !has_room {
            self.inner.asked.take(&id);
            return Err(FULL);
        }
        Ok(())
    }

    /// Takes a search that somebody here asked for; whoever gets it tells its end, and nobody else gets it.
    #[must_use]
    pub fn settle(&self, id: &str) -> Option<SearchJob> {
        self.inner.asked.take(id)
    }

    /// Takes the searches that no worker has answered in time, to tell so.
    #[must_use]
    pub fn overdue(&self, now: Timestamp) -> Vec<SearchJob> {
        self.inner.asked.overdue(now)
    }

    /// The answers to what was asked here, for the one task that tells them; none the second time.
    #[must_use]
    pub fn replies(&self) -> Option<Replies> {
        lock(&self.inner.replies).take()
    }

    /// Conversations with a queued answer, for a worker.
    #[must_use]
    pub fn answers(&self) -> Answers {
        let far = match &self.inner.way {
            Way::Memory { .. } => None,
            Way::Redis(streams) => Some(streams.hints().pop()),
        };
        Answers { near: self.inner.answers.clone(), far }
    }

    /// Searches, for a worker.
    #[must_use]
    pub fn searches(&self) -> Searches {
        let holding = self.inner.holding.clone();
        match &self.inner.way {
            Way::Memory { searches, .. } => Searches { near: searches.clone(), holding, far: None },
            Way::Redis(streams) => Searches { near: Queue::default(), holding, far: Some(Box::new(streams.reader())) },
        }
    }

    /// Answers a search that is held. It is nobody's any more once the answer is on its way.
    pub async fn reply(&self, held: Held, id: String, event: Event) {
        let reply = Reply { id, event };
        match &self.inner.way {
            // The process ends when nobody listens any more.
            Way::Memory { replies, .. } => replies.send(reply).await.unwrap_or_default(),
            Way::Redis(streams) => streams.reply(&held, &reply).await,
        }
    }

    /// Removes a search for whose answer nobody waits any more.
    pub async fn forget(&self, held: Held) {
        if let Way::Redis(streams) = &self.inner.way {
            streams.forget(&held).await;
        }
    }

    /// Lets another worker have a search at once.
    pub async fn give_back(&self, held: Held) {
        if let Way::Redis(streams) = &self.inner.way {
            streams.give_back(held).await;
        }
    }

    /// How many searches this process holds.
    #[must_use]
    pub fn held(&self) -> usize {
        self.inner.holding.count()
    }
}

/// True when nobody waits for the answer any more.
#[must_use]
pub fn is_overdue(job: &SearchJob, now: Timestamp) -> bool {
    now - job.asked_at >= PATIENCE
}

/// What the asker is told when no worker has answered.
#[must_use]
pub fn unanswered(request_id: String) -> Event {
    let failure = Failure::from(&Error::Unavailable("No worker could answer this search"));
    Event::SearchFailed { request_id, failure }
}

/// The answers to what was asked here.
pub enum Replies {
    /// From workers of this process.
    Memory(mpsc::Receiver<Reply>),
    /// From workers of any process.
    Redis(Popper),
}

impl Replies {
    /// The next one; none when there will be no more.
    pub async fn next(&mut self) -> Option<Reply> {
        match self {
            Self::Memory(inbox) => inbox.recv().await,
            Self::Redis(popper) => loop {
                match serde_json::from_slice(&popper.next().await) {
                    Ok(reply) => return Some(reply),
                    Err(error) => tracing::warn!(category = ?error.classify(), "cannot read the answer to a search"),
                }
            },
        }
    }
}

/// Conversations with a queued answer, as they come.
pub struct Answers {
    near: Queue<ConversationId>,
    /// Waits for a hint from Redis. It is kept from one call to the next: a wait that is given up could take a hint along.
    far: Option<redis::popper::Popping>,
}

impl Answers {
    /// The next one, for exactly one worker.
    pub async fn next(&mut self) -> ConversationId {
        loop {
            let Some(far) = &mut self.far else { return self.near.next().await };
            tokio::select! {
                conversation = self.near.next() => return conversation,
                (popper, hint) = far => {
                    self.far = Some(popper.pop());
                    match String::from_utf8(hint).map(ConversationId::try_from) {
                        Ok(Ok(conversation)) => return conversation,
                        _ => tracing::warn!("cannot read which conversation waits for an answer"),
                    }
                }
            }
        }
    }
}

/// Searches, as they come.
pub struct Searches {
    near: Queue<SearchJob>,
    holding: Holding,
    far: Option<Box<Reader>>,
}

impl Searches {
    /// The next one, for exactly one worker.
    pub async fn next(&mut self) -> (SearchJob, Held) {
        if let Some(far) = &mut self.far {
            return far.next().await;
        }
        let job = self.near.next().await;
        let held = self.holding.hold(job.id.clone(), String::new());
        (job, held)
    }
}

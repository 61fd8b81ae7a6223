//! The AI answers that grow right now: their text so far for those who join in the middle, and the way to stop them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;

use super::{elsewhere::Elsewhere, lock, redis::Redis};
use crate::domain::{
    answer::{Answer, Snapshot},
    event::Chunk,
    ids::{AnswerId, ConversationId, MessageId},
};

/// How long the end of an answer is waited for.
const END_PATIENCE: Duration = Duration::from_secs(3);

/// An answer that is claimed begins at once; whoever has not begun by then runs in another process.
const BEGINNING_MAX: Duration = Duration::from_secs(5);

/// The running answers of this process, at most one for each conversation, and what is known of the others'.
#[derive(Default)]
pub struct Snapshots {
    running: Mutex<HashMap<ConversationId, Arc<Running>>>,
    /// Answers that somebody stopped between their claim and their beginning, and when.
    stopped_early: Mutex<HashMap<AnswerId, Instant>>,
    elsewhere: Elsewhere,
}

/// An answer that this process generates.
pub struct Running {
    id: AnswerId,
    conversation: ConversationId,
    message: MessageId,
    /// Cancelled to stop the answer.
    pub stop: CancellationToken,
    /// Cancelled when it has ended here.
    over: CancellationToken,
    text: Mutex<Text>,
}

#[derive(Default)]
struct Text {
    content: String,
    utf16: usize,
    /// Number of the next chunk.
    next_index: u64,
    /// How much of `content` has been told in chunks.
    told: usize,
    told_utf16: usize,
}

impl Snapshots {
    /// For one of several processes.
    #[must_use]
    pub fn over_redis(redis: Redis) -> Self {
        Self { elsewhere: Elsewhere::over(redis), ..Self::default() }
    }

    /// Remembers that an answer has begun.
    pub fn begin(&self, answer: &Answer) -> Arc<Running> {
        let running = Arc::new(Running {
            id: answer.id.clone(),
            conversation: answer.conversation.clone(),
            message: answer.message.clone(),
            stop: CancellationToken::new(),
            over: CancellationToken::new(),
            text: Mutex::default(),
        });
        lock(&self.running).insert(answer.conversation.clone(), running.clone());
        if lock(&self.stopped_early).remove(&answer.id).is_some() {
            running.stop.cancel();
        }
        running
    }

    /// Forgets an answer that has ended.
    pub fn end(&self, running: &Arc<Running>) {
        running.over.cancel();
        let mut all = lock(&self.running);
        if all.get(&running.conversation).is_some_and(|known| Arc::ptr_eq(known, running)) {
            all.remove(&running.conversation);
        }
    }

    /// What the AI has told so far in this conversation, as far as it is known here.
    #[must_use]
    pub fn of(&self, conversation: &ConversationId) -> Option<Snapshot> {
        let here = lock(&self.running).get(conversation).cloned();
        here.map_or_else(|| self.elsewhere.of(conversation), |running| running.snapshot())
    }

    /// As [`Self::of`], and looks where other processes keep their answers' text; for the first who joins here.
    pub async fn look_up(&self, conversation: &ConversationId) -> Option<Snapshot> {
        if lock(&self.running).contains_key(conversation) {
            return self.of(conversation);
        }
        match self.elsewhere.of(conversation) {
            Some(known) => Some(known),
            None => self.elsewhere.look_up(conversation).await,
        }
    }

    /// Another process's answer grew.
    pub(super) fn heard(&self, chunk: &Chunk) {
        self.elsewhere.heard(chunk);
    }

    /// Another process's answer has ended.
    pub(super) fn end_elsewhere(&self, conversation: &ConversationId) {
        self.elsewhere.end(conversation);
    }

    /// Nobody here hears any more what another process answers.
    pub(super) fn forget(&self, conversation: &ConversationId) {
        self.elsewhere.forget(conversation);
    }

    /// Asks the running answer to stop. False when there is none.
    pub fn stop(&self, conversation: &ConversationId) -> bool {
        let running = lock(&self.running).get(conversation).cloned();
        running.inspect(|running| running.stop.cancel()).is_some()
    }

    /// Stops an answer that is claimed and about to begin, here or elsewhere. True when it had begun here.
    pub fn stop_early(&self, answer: &AnswerId, conversation: &ConversationId) -> bool {
        let mut stopped = lock(&self.stopped_early);
        stopped.retain(|_, at| at.elapsed() < BEGINNING_MAX);
        stopped.insert(answer.clone(), Instant::now());
        drop(stopped);
        // It may have begun just now, and then it did not see the lines above.
        let running = lock(&self.running).get(conversation).filter(|running| running.id == *answer).cloned();
        if let Some(running) = &running {
            running.stop.cancel();
            lock(&self.stopped_early).remove(answer);
        }
        running.is_some()
    }

    /// Waits until an answer no longer grows; returns at once when it does not, and in any case after a while.
    pub async fn ended(&self, conversation: &ConversationId, message: &MessageId) {
        let here = lock(&self.running).get(conversation).filter(|running| running.message == *message).cloned();
        let over = match here {
            Some(running) => Some(running.over.clone()),
            None => self.elsewhere.end_of(conversation, message),
        };
        if let Some(over) = over {
            // An answer that cannot end because the database is away must not hold up the news.
            tokio::time::timeout(END_PATIENCE, over.cancelled()).await.ok();
        }
    }

    /// How many answers run.
    #[must_use]
    pub fn count(&self) -> usize {
        lock(&self.running).len()
    }
}

impl Running {
    /// Adds text that is not told yet.
    pub fn grow(&self, text: &str) {
        let mut all = lock(&self.text);
        all.content.push_str(text);
        all.utf16 += text.encode_utf16().count();
    }

    /// Everything that is not told yet, as the next chunk.
    #[must_use]
    pub fn next_chunk(&self) -> Option<Chunk> {
        let mut all = lock(&self.text);
        if all.told == all.content.len() {
            return None;
        }
        let chunk = Chunk {
            conversation: self.conversation.clone(),
            message: self.message.clone(),
            index: all.next_index,
            content: all.content.as_str().into(),
            start: all.told,
            start_utf16: all.told_utf16,
        };
        all.next_index += 1;
        all.told = all.content.len();
        all.told_utf16 = all.utf16;
        Some(chunk)
    }

    /// All text, told or not.
    #[must_use]
    pub fn content(&self) -> String {
        lock(&self.text).content.clone()
    }

    /// Bytes of all text, and of what is not told yet.
    #[must_use]
    pub fn lengths(&self) -> (usize, usize) {
        let all = lock(&self.text);
        (all.content.len(), all.content.len() - all.told)
    }

    fn snapshot(&self) -> Option<Snapshot> {
        let all = lock(&self.text);
        let index = all.next_index.checked_sub(1)?;
        let content = all.content.get(..all.told)?.to_owned();
        Some(Snapshot { message_id: self.message.clone(), index, content })
    }
}

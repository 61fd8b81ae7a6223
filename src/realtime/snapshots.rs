//! The AI answers that grow right now: their text so far for those who join in the middle, and the way to stop them.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use super::lock;
use crate::domain::{
    answer::{Answer, Snapshot},
    event::Chunk,
    ids::{AnswerId, ConversationId, MessageId},
};

/// How long the end of an answer is waited for.
const END_PATIENCE: Duration = Duration::from_secs(3);

/// The running answers of this process, at most one for each conversation.
#[derive(Default)]
pub struct Snapshots {
    running: Mutex<HashMap<ConversationId, Arc<Running>>>,
    /// Answers that somebody stopped between their claim and their beginning.
    stopped_early: Mutex<HashSet<AnswerId>>,
}

/// An answer that this process generates.
pub struct Running {
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
    /// Remembers that an answer has begun.
    pub fn begin(&self, answer: &Answer) -> Arc<Running> {
        let running = Arc::new(Running {
            conversation: answer.conversation.clone(),
            message: answer.message.clone(),
            stop: CancellationToken::new(),
            over: CancellationToken::new(),
            text: Mutex::default(),
        });
        lock(&self.running).insert(answer.conversation.clone(), running.clone());
        if lock(&self.stopped_early).remove(&answer.id) {
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

    /// What the AI has told so far in this conversation.
    #[must_use]
    pub fn of(&self, conversation: &ConversationId) -> Option<Snapshot> {
        lock(&self.running).get(conversation)?.snapshot()
    }

    /// Asks the running answer to stop. False when there is none.
    pub fn stop(&self, conversation: &ConversationId) -> bool {
        let running = lock(&self.running).get(conversation).cloned();
        running.inspect(|running| running.stop.cancel()).is_some()
    }

    /// Stops an answer that is claimed and about to begin here.
    pub fn stop_early(&self, answer: &AnswerId, conversation: &ConversationId) {
        lock(&self.stopped_early).insert(answer.clone());
        // It may have begun just now, and then it did not see the line above.
        if self.stop(conversation) {
            lock(&self.stopped_early).remove(answer);
        }
    }

    /// Waits until an answer no longer runs here; returns at once when it does not, and in any case after a while.
    pub async fn ended(&self, conversation: &ConversationId, message: &MessageId) {
        let running = lock(&self.running).get(conversation).cloned();
        if let Some(running) = running.filter(|running| running.message == *message) {
            // An answer that cannot end because the database is away must not hold up the news.
            tokio::time::timeout(END_PATIENCE, running.over.cancelled()).await.ok();
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

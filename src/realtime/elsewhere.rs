//! The AI answers that grow in other processes, as far as they have been heard here.
//!
//! Who joins in the middle is told the text so far: from the chunks that came for others who listen here, or else from
//! the copy that the generating process keeps in Redis beside each chunk.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use redis::Pipeline;
use tokio_util::sync::CancellationToken;

use super::{
    lock,
    redis::{Redis, cause},
};
use crate::domain::{
    answer::Snapshot,
    event::Chunk,
    ids::{ConversationId, MessageId},
};

/// An answer of which nothing has been heard for so long is not spoken of: its process may have died.
const SILENCE_MAX: Duration = Duration::from_secs(15);

/// A joiner waits no longer than this for Redis.
const LOOK_LIMIT: Duration = Duration::from_millis(100);

/// What has been heard of other processes' answers: at most one for each conversation with listeners here.
#[derive(Default)]
pub(super) struct Elsewhere {
    growing: Mutex<HashMap<ConversationId, Growing>>,
    redis: Option<Redis>,
}

struct Growing {
    newest: Chunk,
    at: Instant,
    /// Cancelled when it has ended.
    over: CancellationToken,
}

impl Elsewhere {
    pub(super) fn over(redis: Redis) -> Self {
        Self { redis: Some(redis), ..Self::default() }
    }

    /// Remembers the newest chunk.
    pub(super) fn heard(&self, chunk: &Chunk) {
        let mut growing = lock(&self.growing);
        let known = growing.get(&chunk.conversation).filter(|known| known.newest.message == chunk.message);
        // A chunk may come behind the end that somebody else has put to its answer.
        if known.is_some_and(|known| known.newest.index >= chunk.index || known.over.is_cancelled()) {
            return;
        }
        let over = known.map(|known| known.over.clone()).unwrap_or_default();
        let newest = Growing { newest: chunk.clone(), at: Instant::now(), over };
        growing.insert(chunk.conversation.clone(), newest);
    }

    /// An answer has ended: nothing more is heard of it.
    pub(super) fn end(&self, conversation: &ConversationId) {
        if let Some(ended) = lock(&self.growing).get_mut(conversation) {
            ended.over.cancel();
            ended.newest.content = Arc::default();
        }
    }

    /// Forgets what nobody here hears any more.
    pub(super) fn forget(&self, conversation: &ConversationId) {
        if let Some(ended) = lock(&self.growing).remove(conversation) {
            ended.over.cancel();
        }
    }

    /// What has been heard so far.
    pub(super) fn of(&self, conversation: &ConversationId) -> Option<Snapshot> {
        let growing = lock(&self.growing);
        let known = growing.get(conversation)?;
        let grows = known.at.elapsed() < SILENCE_MAX && !known.over.is_cancelled();
        grows.then(|| snapshot(&known.newest))
    }

    /// Resolves when this answer has ended; none when nothing is known of it.
    pub(super) fn end_of(&self, conversation: &ConversationId, message: &MessageId) -> Option<CancellationToken> {
        let growing = lock(&self.growing);
        growing.get(conversation).filter(|known| known.newest.message == *message).map(|known| known.over.clone())
    }

    /// The copy in Redis. None when there is none, or Redis does not say so soon.
    pub(super) async fn look_up(&self, conversation: &ConversationId) -> Option<Snapshot> {
        let redis = self.redis.as_ref().filter(|redis| redis.is_well())?;
        let mut commands = redis::pipe();
        commands.get(key(redis, conversation));
        let found: Result<(Option<Vec<u8>>,), _> = redis.ask_within(LOOK_LIMIT, &commands).await;
        match found {
            Ok((bytes,)) => Some(snapshot(&serde_json::from_slice(&bytes?).ok()?)),
            Err(error) => {
                tracing::debug!(cause = cause(&error), "cannot look for a growing answer");
                None
            }
        }
    }
}

fn snapshot(chunk: &Chunk) -> Snapshot {
    Snapshot { message_id: chunk.message.clone(), index: chunk.index, content: chunk.content.as_ref().to_owned() }
}

fn key(redis: &Redis, conversation: &ConversationId) -> String {
    redis.key(&format!("growing:{conversation}"))
}

/// Adds what keeps the text so far for those who join elsewhere.
pub(super) fn keep(commands: &mut Pipeline, redis: &Redis, chunk: &Chunk) {
    if let Ok(bytes) = serde_json::to_vec(chunk) {
        commands.set_ex(key(redis, &chunk.conversation), bytes, SILENCE_MAX.as_secs()).ignore();
    }
}

/// Adds what removes it when the answer has ended.
pub(super) fn drop_kept(commands: &mut Pipeline, redis: &Redis, conversation: &ConversationId) {
    commands.del(key(redis, conversation)).ignore();
}

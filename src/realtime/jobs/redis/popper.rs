//! Takes from a list in Redis, waiting for what comes; for ever, whatever happens to Redis meanwhile.

use std::time::Duration;

use futures_util::{FutureExt as _, future::BoxFuture};
use redis::{AsyncCommands as _, RedisResult, aio::MultiplexedConnection};
use tokio::time::timeout;

use crate::realtime::redis::{ANSWER_LIMIT, Backoff, Redis, cause, late};

/// How long one command waits on the server's side.
const BLOCK: Duration = Duration::from_secs(1);

/// The one reader of its list in this process, on a connection of its own.
pub struct Popper {
    redis: Redis,
    list: String,
    connection: Option<MultiplexedConnection>,
    backoff: Backoff,
}

/// A wait for the next entry, which gives the reader back with it.
pub(in crate::realtime::jobs) type Popping = BoxFuture<'static, (Popper, Vec<u8>)>;

impl Popper {
    pub(super) fn new(redis: Redis, list: String) -> Self {
        Self { redis, list, connection: None, backoff: Backoff::default() }
    }

    /// Waits for the next entry.
    pub(in crate::realtime::jobs) fn pop(mut self) -> Popping {
        async move {
            let entry = self.next().await;
            (self, entry)
        }
        .boxed()
    }

    /// The next entry. Whoever stops waiting for it may lose one.
    pub(in crate::realtime::jobs) async fn next(&mut self) -> Vec<u8> {
        loop {
            match self.take().await {
                Ok(entry) => {
                    self.backoff.reset();
                    if let Some(entry) = entry {
                        return entry;
                    }
                }
                Err(error) => {
                    // The bus has said that Redis is away.
                    tracing::debug!(cause = cause(&error), "cannot take from a list");
                    self.connection = None;
                    self.backoff.pause().await;
                }
            }
        }
    }

    async fn take(&mut self) -> RedisResult<Option<Vec<u8>>> {
        let mut connection = match self.connection.clone() {
            Some(connection) => connection,
            None => self.redis.connect_to_wait().await?,
        };
        self.connection = Some(connection.clone());
        let taking = connection.blpop::<_, Option<(String, Vec<u8>)>>(&self.list, BLOCK.as_secs_f64());
        let taken = timeout(BLOCK + ANSWER_LIMIT, taking).await.unwrap_or_else(|_| Err(late()))?;
        Ok(taken.map(|(_, entry)| entry))
    }
}

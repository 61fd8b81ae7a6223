//! Takes searches from the stream: new ones, and those whose worker has died.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use redis::{
    AsyncCommands as _, ErrorKind, FromRedisValue as _, RedisError, RedisResult, ServerErrorKind,
    aio::MultiplexedConnection,
    streams::{
        StreamAutoClaimOptions, StreamAutoClaimReply, StreamId, StreamInfoConsumersReply, StreamMaxlen,
        StreamPendingCountReply, StreamReadOptions, StreamReadReply,
    },
};
use tokio::time::timeout;

use super::{
    super::{
        Reply,
        held::{Held, Holding},
        unanswered,
    },
    DEAD_LETTERS_MAX, FROM, GROUP, JOB, Names,
    streams::{add_reply, remove},
};
use crate::{
    domain::search::SearchJob,
    realtime::redis::{ANSWER_LIMIT, Backoff, Redis, cause, late},
};

/// How long one command waits on the server's side, in milliseconds.
const BLOCK_MS: usize = 500;

/// How often searches are looked for whose worker has died.
const LOOK: Duration = Duration::from_millis(500);

/// A worker that has not been heard of for so many milliseconds is dead.
const SILENCE_MAX_MS: usize = 2500;

/// Searches taken over at a time.
const TAKEN_OVER_MAX: usize = 8;

/// So many workers may die with a search before it is given up.
const DELIVERIES_MAX: usize = 3;

/// A consumer that holds nothing and was not heard of for a day belongs to a process that is gone.
const CONSUMER_IDLE_MAX_MS: usize = 86_400_000;

/// The one reader of this process, on a connection of its own.
pub(in crate::realtime::jobs) struct Reader {
    redis: Redis,
    names: Names,
    consumer: String,
    holding: Holding,
    connection: Option<MultiplexedConnection>,
    backoff: Backoff,
    looked: Option<Instant>,
    /// Where the last look ended, so that a long list of held searches is seen to its end.
    cursor: String,
    /// Taken over together with one that was handed out.
    ready: VecDeque<(SearchJob, Held)>,
}

impl Reader {
    pub(super) fn new(redis: Redis, names: Names, consumer: String, holding: Holding) -> Self {
        Self {
            redis,
            names,
            consumer,
            holding,
            connection: None,
            backoff: Backoff::default(),
            looked: None,
            cursor: "0-0".to_owned(),
            ready: VecDeque::new(),
        }
    }

    /// The next search; waits for ever, whatever happens to Redis meanwhile. Whoever stops waiting may leave one behind
    /// that another worker takes over.
    pub(in crate::realtime::jobs) async fn next(&mut self) -> (SearchJob, Held) {
        loop {
            if let Some(next) = self.ready.pop_front() {
                return next;
            }
            match self.read().await {
                Ok(()) => self.backoff.reset(),
                Err(error) => {
                    // The bus has said that Redis is away.
                    tracing::debug!(cause = cause(&error), "cannot take a search");
                    self.connection = None;
                    self.backoff.pause().await;
                }
            }
        }
    }

    /// Looks once for what was left behind and once for what is new.
    async fn read(&mut self) -> RedisResult<()> {
        let mut connection = match self.connection.clone() {
            Some(connection) => connection,
            None => self.open().await?,
        };
        self.connection = Some(connection.clone());
        if self.looked.is_none_or(|at| at.elapsed() >= LOOK) {
            self.looked = Some(Instant::now());
            within_limit(self.take_over(&mut connection)).await?;
            if !self.ready.is_empty() {
                return Ok(());
            }
        }
        let options = StreamReadOptions::default().group(GROUP, &self.consumer).count(1).block(BLOCK_MS);
        let streams = [&self.names.searches];
        let reading = connection.xread_options::<_, _, Option<StreamReadReply>>(&streams, &[">"], &options);
        let read = within_limit(reading).await?;
        for entry in read.into_iter().flat_map(|reply| reply.keys).flat_map(|stream| stream.ids) {
            self.accept(&entry).await?;
        }
        Ok(())
    }

    /// Connects, and makes the group when Redis has none: at the first start, or after it has lost everything.
    async fn open(&self) -> RedisResult<MultiplexedConnection> {
        let mut connection = self.redis.connect_to_wait().await?;
        let setting_up = async {
            // From the beginning, so that what waits already is not passed over.
            let made: RedisResult<()> = connection.xgroup_create_mkstream(&self.names.searches, GROUP, "0").await;
            match made {
                Err(error) if error.code() != Some("BUSYGROUP") => return Err(error),
                _ => {}
            }
            let consumers: StreamInfoConsumersReply = connection.xinfo_consumers(&self.names.searches, GROUP).await?;
            for gone in consumers.consumers {
                if gone.pending == 0 && gone.idle > CONSUMER_IDLE_MAX_MS {
                    connection.xgroup_delconsumer::<_, _, _, ()>(&self.names.searches, GROUP, gone.name).await?;
                }
            }
            Ok(())
        };
        within_limit(setting_up).await?;
        Ok(connection)
    }

    /// Takes over what was delivered to workers that have not been heard of since.
    async fn take_over(&mut self, connection: &mut MultiplexedConnection) -> RedisResult<()> {
        let options = StreamAutoClaimOptions::default().count(TAKEN_OVER_MAX);
        let found: StreamAutoClaimReply = connection
            .xautoclaim_options(&self.names.searches, GROUP, &self.consumer, SILENCE_MAX_MS, &self.cursor, options)
            .await?;
        self.cursor = found.next_stream_id;
        for entry in found.claimed {
            let id = entry.id.as_str();
            let state: StreamPendingCountReply =
                connection.xpending_count(&self.names.searches, GROUP, id, id, 1).await?;
            if state.ids.first().is_some_and(|state| state.times_delivered > DELIVERIES_MAX) {
                self.give_up(&entry).await?;
            } else {
                self.accept(&entry).await?;
            }
        }
        Ok(())
    }

    /// Takes hold of an entry that was delivered to this process.
    async fn accept(&mut self, entry: &StreamId) -> RedisResult<()> {
        match read_entry(entry) {
            Ok((job, from)) => {
                let held = self.holding.hold(entry.id.clone(), from);
                self.ready.push_back((job, held));
                Ok(())
            }
            Err(error) => {
                tracing::warn!(entry = entry.id, cause = cause(&error), "removing a search that cannot be read");
                let mut commands = redis::pipe();
                remove(&mut commands, &self.names, &entry.id);
                self.redis.ask(&commands).await
            }
        }
    }

    /// Every worker that had this search has died: it is put aside, and its asker told.
    async fn give_up(&mut self, entry: &StreamId) -> RedisResult<()> {
        let Ok((job, from)) = read_entry(entry) else { return self.accept(entry).await };
        tracing::warn!(search.id = job.id, "giving up a search that {DELIVERIES_MAX} workers did not survive");
        let mut commands = redis::pipe();
        commands.atomic();
        let fields: Vec<_> = entry.map.iter().map(|(name, value)| (name, value_of(value))).collect();
        commands.xadd_maxlen(&self.names.dead_letters, StreamMaxlen::Approx(DEAD_LETTERS_MAX), "*", &fields).ignore();
        let reply = Reply { id: job.id, event: unanswered(job.request_id) };
        if let Err(error) = add_reply(&mut commands, &self.redis, &from, &reply) {
            tracing::error!(%error, "the end of a search cannot be encoded");
        }
        remove(&mut commands, &self.names, &entry.id);
        self.redis.ask(&commands).await
    }
}

/// Bounds a command on a connection that knows no limit.
async fn within_limit<T>(command: impl Future<Output = RedisResult<T>>) -> RedisResult<T> {
    let limit = ANSWER_LIMIT + Duration::from_millis(BLOCK_MS as u64);
    timeout(limit, command).await.unwrap_or_else(|_| Err(late()))
}

/// The search of an entry, and the process that asked.
fn read_entry(entry: &StreamId) -> RedisResult<(SearchJob, String)> {
    let missing = || RedisError::from((ErrorKind::Server(ServerErrorKind::ResponseError), "a field is missing"));
    let text: String = entry.get(JOB).ok_or_else(missing)?;
    let from = entry.get(FROM).ok_or_else(missing)?;
    let job = serde_json::from_str(&text).map_err(|_| RedisError::from((ErrorKind::Parse, "not a search")))?;
    Ok((job, from))
}

fn value_of(value: &redis::Value) -> Vec<u8> {
    Vec::from_redis_value_ref(value).unwrap_or_default()
}

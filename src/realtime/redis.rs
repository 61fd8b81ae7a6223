//! The connections to Redis that the bus and the jobs share, and what is known of its health.
//!
//! Redis never holds the truth: whatever it loses is found again in the database, or is missed by an asker who is told
//! so. Therefore everything here gives up soon, and nothing that a client waits for waits for Redis.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rand::Rng as _;
use redis::{
    AsyncConnectionConfig, Client, ErrorKind, FromRedisValue, IntoConnectionInfo as _, Pipeline, ProtocolVersion,
    RedisError, RedisResult,
    aio::{ConnectionManager, ConnectionManagerConfig, MultiplexedConnection},
    io::tcp::TcpSettings,
};
use tokio::time::timeout;

/// A command that is not answered within this has failed.
pub(super) const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// A connection that is not there within this has failed.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);

/// Sent bytes that nobody acknowledges for so long end a connection.
const UNACKNOWLEDGED_LIMIT: Duration = Duration::from_secs(5);

/// The longest pause between two attempts to connect.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Redis, under one prefix for all keys and channels. Cheap to clone.
#[derive(Clone)]
pub struct Redis {
    inner: Arc<Inner>,
}

struct Inner {
    client: Client,
    commands: ConnectionManager,
    prefix: String,
    well: AtomicBool,
}

impl Redis {
    /// Reads the address. Connecting comes later and is tried for ever, so a Redis that is away is no error here.
    ///
    /// # Errors
    /// One readable line for the operator, without the address: it may hold a password.
    pub fn open(url: &str, prefix: &str) -> Result<Self, String> {
        let reason = |error: RedisError| format!("REDIS_URL: not a Redis address: {}", error.category());
        let info = url.into_connection_info().map_err(reason)?;
        // The newer protocol carries messages and answers on one connection.
        let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        let info = info.set_redis_settings(settings).set_tcp_settings(tcp_settings());
        let client = Client::open(info).map_err(reason)?;
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(usize::MAX)
            .set_max_delay(PAUSE_MAX)
            .set_connection_timeout(Some(CONNECT_LIMIT))
            .set_response_timeout(Some(ANSWER_LIMIT));
        let commands = ConnectionManager::new_lazy_with_config(client.clone(), config).map_err(reason)?;
        let inner = Inner { client, commands, prefix: prefix.to_owned(), well: AtomicBool::new(false) };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The key or channel of this deployment with that name.
    pub(super) fn key(&self, name: &str) -> String {
        format!("{}:{name}", self.inner.prefix)
    }

    /// Runs commands on the shared connection.
    pub(super) async fn ask<T: FromRedisValue>(&self, commands: &Pipeline) -> RedisResult<T> {
        self.ask_within(ANSWER_LIMIT, commands).await
    }

    /// Runs commands on the shared connection; an answer that takes longer than `limit` is an error.
    pub(super) async fn ask_within<T: FromRedisValue>(&self, limit: Duration, commands: &Pipeline) -> RedisResult<T> {
        let mut connection = self.inner.commands.clone();
        // The manager itself would wait for as long as Redis is away.
        timeout(limit, commands.query_async(&mut connection)).await.unwrap_or_else(|_| Err(late()))
    }

    /// A connection of its own, for what blocks or listens.
    pub(super) async fn connect(&self, config: AsyncConnectionConfig) -> RedisResult<MultiplexedConnection> {
        let config = config.set_connection_timeout(Some(CONNECT_LIMIT));
        let connecting = self.inner.client.get_multiplexed_async_connection_with_config(&config);
        timeout(CONNECT_LIMIT, connecting).await.unwrap_or_else(|_| Err(late()))
    }

    /// A connection for commands that wait on the server's side; each is bounded by whoever sends it.
    pub(super) async fn connect_to_wait(&self) -> RedisResult<MultiplexedConnection> {
        self.connect(AsyncConnectionConfig::new().set_response_timeout(None)).await
    }

    /// True while the bus hears Redis.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.inner.well.load(Ordering::Relaxed)
    }

    /// Says how Redis is; gives how it was. Only the bus knows, because it listens all the time.
    pub(super) fn set_well(&self, well: bool) -> bool {
        self.inner.well.swap(well, Ordering::Relaxed)
    }
}

fn tcp_settings() -> TcpSettings {
    let settings = TcpSettings::default().set_nodelay(true);
    #[cfg(target_os = "linux")]
    let settings = settings.set_user_timeout(UNACKNOWLEDGED_LIMIT);
    settings
}

/// The error of an answer that did not come in time.
pub(super) fn late() -> RedisError {
    RedisError::from((ErrorKind::Io, "no answer in time"))
}

/// What may be logged of an error: its texts could repeat what was sent.
pub(super) fn cause(error: &RedisError) -> String {
    format!("{} {}", error.category(), error.code().unwrap_or_default()).trim_end().to_owned()
}

/// Growing pauses between attempts, with jitter so that replicas do not all come at once.
#[derive(Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// Waits before the next attempt.
    pub(super) async fn pause(&mut self) {
        let longest = PAUSE_MAX.min(Duration::from_millis(50) * 2_u32.saturating_pow(self.failures.min(10)));
        self.failures = self.failures.saturating_add(1);
        let jitter = rand::rng().random_range(0.5..1.0);
        tokio::time::sleep(longest.mul_f64(jitter)).await;
    }

    /// An attempt has succeeded.
    pub(super) const fn reset(&mut self) {
        self.failures = 0;
    }
}

//! The handles that a use case may use: one plain struct, shared by everything above.

use std::{
    sync::{Arc, Mutex, atomic::AtomicU64},
    time::Instant,
};

use chrono::SubsecRound as _;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::{
    assistant::{self, Assistant},
    config::{AiEndpoint, AiProvider, Config},
    domain::{Clock, Timestamp, error::Error},
    realtime::{
        bus::Bus, hub::Hub, jobs::Jobs, limits::Limits, recent::Understood, redis::Redis, snapshots::Snapshots,
        typing::Typing,
    },
    store::Store,
    tasks::Tasks,
    tokens::Tokens,
};

/// Everything that lives as long as the process. Shared as `Arc<App>`.
pub struct App {
    /// Settings.
    pub config: Config,
    /// What is remembered.
    pub store: Store,
    /// This replica's connections.
    pub hub: Arc<Hub>,
    /// The way to everybody who listens.
    pub bus: Bus,
    /// Work for exactly one worker.
    pub jobs: Jobs,
    /// What connects several processes, when there are several.
    pub redis: Option<Redis>,
    /// Answers that grow right now.
    pub snapshots: Arc<Snapshots>,
    /// Who types right now.
    pub typing: Typing,
    /// What the AI has made of queries a moment ago.
    pub understood: Understood,
    /// What people may do within a minute.
    pub limits: Limits,
    /// Who answers.
    pub assistant: Assistant,
    /// What it can search, as it was seen last.
    pub searchable: Mutex<Option<Searchable>>,
    /// Signs and checks JWTs.
    pub tokens: Tokens,
    /// Spawns, and ends what was spawned.
    pub tasks: Tasks,
    /// Password hashing takes tens of megabytes and a core each; this many at a time.
    pub hashing: Semaphore,
    /// Names this process in leases.
    pub worker_id: String,
    /// When the process began.
    pub started: Instant,
    /// Messages of people that this process has stored.
    pub messages_stored: AtomicU64,
    clock: Clock,
    draining: CancellationToken,
}

/// Why the process cannot start; each with one readable line.
#[derive(Debug)]
pub enum StartError {
    /// A setting cannot be used.
    Setting(String),
    /// The database cannot be opened or brought up to date.
    Database(String),
}

impl From<String> for StartError {
    fn from(line: String) -> Self {
        Self::Setting(line)
    }
}

/// Which searches can find anything.
#[derive(Debug, Clone, Copy)]
pub struct Searchable {
    /// There are listings.
    pub listings: bool,
    /// There are help articles.
    pub articles: bool,
    /// When that was so.
    pub seen_at: Timestamp,
}

/// The system's clock.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place that asks the system for the time")]
pub fn system_clock() -> Clock {
    Arc::new(chrono::Utc::now)
}

impl App {
    /// Opens the database, migrates it and puts everything together.
    ///
    /// # Errors
    /// [`StartError`] with one readable line, for the operator.
    pub async fn start(config: Config, clock: Clock) -> Result<Arc<Self>, StartError> {
        let tokens = Tokens::load(&config)?;
        let assistant = Assistant::from_settings(&assistant_settings(&config))?;
        let redis = config.redis_url.as_deref().map(|url| Redis::open(url, &config.redis_prefix)).transpose()?;
        let tasks = Tasks::default();
        let store = open_store(&config, &tasks).await?;
        let worker_id = uuid::Uuid::new_v4().to_string();
        let snapshots = Arc::new(redis.clone().map_or_else(Snapshots::default, Snapshots::over_redis));
        let hub = Hub::new(store.clone(), snapshots.clone(), tasks.clone(), clock.clone());
        let (bus, jobs) = match &redis {
            None => (Bus::Memory(hub.clone()), Jobs::in_memory()),
            Some(redis) => {
                let bus = Bus::over_redis(redis, hub.clone(), &tasks);
                (bus, Jobs::over_redis(redis.clone(), &worker_id, &tasks))
            }
        };
        Ok(Arc::new(Self {
            bus,
            hub,
            store,
            jobs,
            snapshots,
            typing: Typing::default(),
            understood: Understood::default(),
            redis,
            limits: Limits::default(),
            assistant,
            searchable: Mutex::default(),
            tokens,
            tasks,
            hashing: Semaphore::new(2),
            worker_id,
            started: Instant::now(),
            messages_stored: AtomicU64::new(0),
            clock,
            draining: CancellationToken::new(),
            config,
        }))
    }

    /// The time, in whole milliseconds as it is stored.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.clock)().trunc_subsecs(3)
    }

    /// True from the first signal to stop.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.is_cancelled()
    }

    /// From now on new connections and sends are refused.
    pub fn drain(&self) {
        self.draining.cancel();
    }

    /// Resolves with the first signal to stop.
    pub async fn draining_begun(&self) {
        self.draining.cancelled().await;
    }

    /// Refuses what is new while the process drains.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub fn check_open(&self) -> Result<(), Error> {
        if self.is_draining() { Err(Error::Unavailable("The server is restarting")) } else { Ok(()) }
    }
}

/// Opens and migrates the database, and starts its writer.
///
/// # Errors
/// [`StartError`] with one readable line, for the operator.
pub async fn open_store(config: &Config, tasks: &Tasks) -> Result<Store, StartError> {
    let complain = |what: &str, error: Error| {
        tracing::debug!(?error, "database");
        let line = format!("DATABASE_URL: cannot {what} the database: {}", reason(&error));
        if matches!(error, Error::Invalid(_)) { StartError::Setting(line) } else { StartError::Database(line) }
    };
    let store = Store::connect(&config.database_url).await.map_err(|error| complain("open", error))?;
    store.migrate().await.map_err(|error| complain("migrate", error))?;
    tasks.spawn(store.clone().writer());
    Ok(store)
}

/// For the operator's eyes the cause may be named; clients never see this line.
fn reason(error: &Error) -> String {
    match error {
        Error::Internal(cause) => cause.to_string(),
        other => other.to_string(),
    }
}

fn assistant_settings(config: &Config) -> assistant::Settings {
    let endpoint = |endpoint: &AiEndpoint| assistant::Endpoint {
        base_url: endpoint.base_url.clone(),
        api_key: endpoint.api_key.clone(),
        model: endpoint.model.clone(),
    };
    assistant::Settings {
        provider: match config.ai_provider {
            AiProvider::Auto => assistant::Provider::Auto,
            AiProvider::OpenAi => assistant::Provider::OpenAi,
            AiProvider::Offline => assistant::Provider::Offline,
        },
        primary: endpoint(&config.ai),
        fallback: config.ai_fallback.as_ref().map(endpoint),
        max_output_tokens: config.ai_max_output_tokens,
        total_timeout: config.ai_timeout,
    }
}

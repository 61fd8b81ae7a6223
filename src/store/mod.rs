//! What is remembered: the only module that talks to the database. sea-orm stays inside; domain types come out.
//!
//! One file per thing, each an `impl Store`. Writes go through one connection on SQLite and through short
//! transactions on PostgreSQL; messages additionally go through one [`writer`] that commits many at once.

mod answers;
mod articles;
mod audit;
mod batch;
mod conversations;
mod cursor;
mod entities;
mod failure;
mod finish;
mod handling;
mod listings;
mod messages;
mod open;
mod read_marks;
mod regenerate;
mod rows;
mod search;
mod searches;
mod sessions;
mod sql;
mod users;
mod writer;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use migration::{Migrator, MigratorTrait};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, SqliteTransactionMode,
    TransactionOptions, TransactionTrait,
};
use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;

use crate::domain::error::Error;

pub use conversations::{Access, ConversationFilter};
pub use finish::{Finish, Finished};
pub use handling::{Handled, HandlingChange};
pub use listings::ListingFilter;
pub use messages::{Draft, Posted};
pub use read_marks::Moved;
pub use sessions::NewSession;
pub use users::NewUser;

/// How many drafts may wait for the writer before senders have to wait themselves.
const DRAFTS_WAITING_MAX: usize = 4096;

/// Serialises migrations of replicas that start together; any number that nobody else uses will do.
const MIGRATION_LOCK: &str = "SELECT pg_advisory_xact_lock(7310863212)";

/// The database. Cheap to clone; all clones share the connections and the writer.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    /// On SQLite the one connection that writes, else the same pool as `read`.
    write: DatabaseConnection,
    read: DatabaseConnection,
    drafts: mpsc::Sender<writer::Waiting>,
    /// Held by the writer for as long as it runs, so that closing can wait for it.
    inbox: Mutex<mpsc::Receiver<writer::Waiting>>,
    closing: CancellationToken,
    /// See [`Store::statements`].
    statements: Arc<AtomicU64>,
}

impl Store {
    /// Opens the database behind a `sqlite:` or `postgres:` URL; a missing SQLite file is created with its folder.
    ///
    /// Posting works once [`Store::writer`] runs.
    ///
    /// # Errors
    /// [`Error::Invalid`] for another kind of URL, [`Error::Unavailable`] when the database cannot be reached.
    pub async fn connect(url: &str) -> Result<Self, Error> {
        let open::Connections { mut write, mut read } = open::open(url).await?;
        let statements = Arc::new(AtomicU64::new(0));
        for connection in [&mut write, &mut read] {
            let statements = statements.clone();
            connection.set_metric_callback(move |_| _ = statements.fetch_add(1, Ordering::Relaxed));
        }
        let (drafts, inbox) = mpsc::channel(DRAFTS_WAITING_MAX);
        let inner =
            Inner { write, read, drafts, inbox: Mutex::new(inbox), closing: CancellationToken::new(), statements };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Brings the schema up to date, in one transaction. Replicas that start together wait for each other.
    ///
    /// # Errors
    /// [`Error::Unavailable`] without the database, [`Error::Internal`] when a step fails.
    pub async fn migrate(&self) -> Result<(), Error> {
        let transaction = self.begin().await?;
        if transaction.get_database_backend() == DbBackend::Postgres {
            transaction.execute_unprepared(MIGRATION_LOCK).await?;
        }
        Migrator::up(&transaction, None).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// How many statements this process has sent to the database; `BEGIN` and `COMMIT` do not count.
    #[must_use]
    pub fn statements(&self) -> u64 {
        self.inner.statements.load(Ordering::Relaxed)
    }

    /// Asks the database for a sign of life.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when there is none.
    pub async fn ping(&self) -> Result<(), Error> {
        Ok(self.read().ping().await?)
    }

    /// Takes no more drafts, waits until the writer has stored those that wait, and closes the connections.
    ///
    /// # Errors
    /// As the database says when it does not let go.
    pub async fn close(&self) -> Result<(), Error> {
        self.inner.closing.cancel();
        self.inner.inbox.lock().await.close();
        self.inner.read.close_by_ref().await?;
        self.inner.write.close_by_ref().await?;
        Ok(())
    }

    /// Begins a transaction that may write. `IMMEDIATE` on SQLite, because a transaction that first reads and then
    /// writes could otherwise fail in the middle.
    async fn begin(&self) -> Result<DatabaseTransaction, DbErr> {
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        self.inner.write.begin_with_options(options).await
    }

    fn read(&self) -> &DatabaseConnection {
        &self.inner.read
    }

    fn write(&self) -> &DatabaseConnection {
        &self.inner.write
    }
}

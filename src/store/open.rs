//! Opens the connections: everything that differs between SQLite and PostgreSQL before the first statement.

use std::time::Duration;

use sea_orm::{
    ConnectOptions, Database, DatabaseConnection,
    sqlx::{
        postgres::PgConnectOptions,
        sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
    },
};

use crate::domain::error::Error;

/// Readers beside the one writer of an SQLite file.
const SQLITE_READERS: u32 = 4;

/// Connections to a PostgreSQL server from this process.
const POSTGRES_CONNECTIONS: u32 = 16;

/// How long SQLite waits for a lock that another process holds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a caller waits for a connection before it is told that the database is away.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// Where to write and where to read.
pub(super) struct Connections {
    pub(super) write: DatabaseConnection,
    pub(super) read: DatabaseConnection,
}

/// Opens what `url` names.
pub(super) async fn open(url: &str) -> Result<Connections, Error> {
    if url.starts_with("sqlite:") {
        sqlite(url).await
    } else if url.starts_with("postgres:") || url.starts_with("postgresql:") {
        postgres(url).await
    } else {
        Err(Error::invalid("the database URL must begin with sqlite: or postgres:"))
    }
}

async fn sqlite(url: &str) -> Result<Connections, Error> {
    let file: SqliteConnectOptions =
        url.parse().map_err(|_| Error::invalid("the database URL is not a valid sqlite: URL"))?;
    if let Some(folder) = file.get_filename().parent() {
        // What is said in the database is nobody else's business on this machine.
        let mut private = tokio::fs::DirBuilder::new();
        #[cfg(unix)]
        private.mode(0o700);
        private.recursive(true).create(folder).await.map_err(Error::internal)?;
    }
    // The writer comes first: it creates the file and switches it to WAL, which readers cannot.
    let write = Database::connect(sqlite_options(url, 1, false)).await?;
    let read = Database::connect(sqlite_options(url, SQLITE_READERS, true)).await?;
    Ok(Connections { write, read })
}

fn sqlite_options(url: &str, connections: u32, query_only: bool) -> ConnectOptions {
    let mut options = common(url, connections);
    options.test_before_acquire(false).idle_timeout(None).max_lifetime(None).map_sqlx_sqlite_opts(move |file| {
        let file = file
            .create_if_missing(!query_only)
            .journal_mode(SqliteJournalMode::Wal)
            // NORMAL would lose acknowledged messages when the power fails.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT)
            .foreign_keys(true);
        if query_only { file.pragma("query_only", "ON") } else { file }
    });
    options
}

async fn postgres(url: &str) -> Result<Connections, Error> {
    // The error of connecting would repeat the address with its password.
    if url.parse::<PgConnectOptions>().is_err() {
        return Err(Error::invalid("the database URL is not a valid postgres: URL"));
    }
    let mut options = common(url, POSTGRES_CONNECTIONS);
    options.set_application_name("switchboard");
    let pool = Database::connect(options).await?;
    Ok(Connections { write: pool.clone(), read: pool })
}

fn common(url: &str, connections: u32) -> ConnectOptions {
    let mut options = ConnectOptions::new(url);
    options.max_connections(connections).min_connections(1).acquire_timeout(ACQUIRE_TIMEOUT);
    // Statements (never their values) at debug level. The type belongs to a crate that is no dependency of ours.
    if let Ok(debug) = "debug".parse() {
        options.sqlx_logging_level(debug);
    }
    options
}

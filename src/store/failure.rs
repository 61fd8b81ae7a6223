//! What a database error means: away, lost a race, or a fault of ours.

use sea_orm::{DbErr, RuntimeErr, SqlxError};

use crate::domain::error::Error;

/// What to do about a failed statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nature {
    /// The database cannot be reached or cannot write; trying again at once does not help.
    Away,
    /// Another transaction came first; trying again helps.
    Contended,
    /// A row with this key exists.
    Duplicate,
    /// Anything else is a fault.
    Fault,
}

/// Sorts a database error.
pub(super) fn nature(error: &DbErr) -> Nature {
    match error {
        DbErr::ConnectionAcquire(_) | DbErr::Conn(_) => Nature::Away,
        DbErr::Exec(RuntimeErr::SqlxError(cause)) | DbErr::Query(RuntimeErr::SqlxError(cause)) => nature_of(cause),
        _ => Nature::Fault,
    }
}

fn nature_of(cause: &SqlxError) -> Nature {
    match cause {
        SqlxError::Io(_)
        | SqlxError::Tls(_)
        | SqlxError::Protocol(_)
        | SqlxError::PoolTimedOut
        | SqlxError::PoolClosed
        | SqlxError::WorkerCrashed => Nature::Away,
        SqlxError::Database(refusal) => match refusal.code() {
            Some(code) => nature_of_code(&code),
            None => Nature::Fault,
        },
        _ => Nature::Fault,
    }
}

/// PostgreSQL's codes have five characters; SQLite's are numbers whose low byte is the primary code.
fn nature_of_code(code: &str) -> Nature {
    if code.len() == 5 {
        return match code {
            "23505" => Nature::Duplicate,
            "40001" | "40P01" | "55P03" => Nature::Contended,
            // Connection lost, server shutting down or starting, out of memory, disk or connections.
            "57P01" | "57P02" | "57P03" => Nature::Away,
            _ if code.starts_with("08") || code.starts_with("53") => Nature::Away,
            _ => Nature::Fault,
        };
    }
    let Ok(number) = code.parse::<u32>() else {
        return Nature::Fault;
    };
    match (number, number & 0xff) {
        (1555 | 2067, _) => Nature::Duplicate,
        // Busy, locked, read-only, disk I/O, disk full, cannot open.
        (_, 5 | 6 | 8 | 10 | 13 | 14) => Nature::Away,
        _ => Nature::Fault,
    }
}

/// Every database error becomes something that a client may be told; the cause stays in the log.
impl From<DbErr> for Error {
    fn from(cause: DbErr) -> Self {
        match nature(&cause) {
            Nature::Away => {
                tracing::warn!(%cause, "the database is not available");
                Self::Unavailable("database is not available")
            }
            Nature::Contended | Nature::Duplicate | Nature::Fault => Self::internal(cause),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_both_databases_are_told_apart() {
        for (code, expected) in [
            ("23505", Nature::Duplicate),
            ("2067", Nature::Duplicate),
            ("1555", Nature::Duplicate),
            ("40P01", Nature::Contended),
            ("57P01", Nature::Away),
            ("08006", Nature::Away),
            ("53300", Nature::Away),
            ("5", Nature::Away),
            ("522", Nature::Away),
            ("13", Nature::Away),
            ("19", Nature::Fault),
            ("22021", Nature::Fault),
            ("what", Nature::Fault),
        ] {
            assert_eq!(nature_of_code(code), expected, "{code}");
        }
    }
}

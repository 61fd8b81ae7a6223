//! Who is listening: this replica's connections and rooms, and the way to other replicas.

pub mod bus;
mod catch_up;
mod compare;
pub mod connection;
mod elsewhere;
pub mod flusher;
pub mod hub;
pub mod jobs;
pub mod limits;
pub mod outbox;
mod queue;
pub mod recent;
pub mod redis;
mod room;
pub mod snapshots;
pub mod typing;
mod watch;

/// Locks a mutex whose holders never panic while they hold it; a poisoned one is used as it is.
pub(crate) fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

//! Writes the queues of all connections that have something, so that what piles up in one round goes out together.
//!
//! One write per connection and round instead of one task per connection: `notes` of the project measured this to be
//! what separates a thin Socket.IO server from the bare cost of the kernel's `send`.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use tokio::{net::TcpStream, sync::Notify};

use super::{lock, outbox::Outbox};
use crate::tasks::Tasks;

/// The writers of this process, one for each core.
pub struct Flusher {
    lanes: Vec<Arc<Lane>>,
    next: AtomicUsize,
}

/// The connections of one writer that have something to write.
pub(super) struct Lane {
    ready: Mutex<Vec<Arc<Outbox>>>,
    wake: Notify,
    tasks: Tasks,
}

impl Flusher {
    /// Starts one writer for each core.
    #[must_use]
    pub fn start(tasks: &Tasks) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let lane = || Arc::new(Lane { ready: Mutex::default(), wake: Notify::new(), tasks: tasks.clone() });
        let lanes: Vec<_> = (0..cores).map(|_| lane()).collect();
        for lane in &lanes {
            tasks.spawn_until_stop(lane.clone().run());
        }
        Self { lanes, next: AtomicUsize::new(0) }
    }

    /// An empty queue, served by the writers in turn.
    #[must_use]
    pub fn outbox(&self) -> Arc<Outbox> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.lanes.len().max(1);
        Arc::new(Outbox::new(self.lanes.get(turn).cloned()))
    }
}

impl Lane {
    /// Puts a connection on the list for the next round.
    pub(super) fn schedule(&self, outbox: Arc<Outbox>) {
        let mut ready = lock(&self.ready);
        let first = ready.is_empty();
        ready.push(outbox);
        drop(ready);
        if first {
            self.wake.notify_one();
        }
    }

    /// Puts the connection back on the list when the kernel has room again.
    pub(super) fn schedule_when_writable(&self, outbox: Arc<Outbox>, stream: Arc<TcpStream>) {
        self.tasks.spawn_until_stop(async move {
            if stream.writable().await.is_ok() {
                outbox.reschedule();
            }
        });
    }

    async fn run(self: Arc<Self>) {
        loop {
            self.wake.notified().await;
            loop {
                // Let the tasks that are ready say what they have to say first: it shares the coming writes.
                tokio::task::yield_now().await;
                let batch = std::mem::take(&mut *lock(&self.ready));
                if batch.is_empty() {
                    break;
                }
                for outbox in batch {
                    outbox.flush();
                }
            }
        }
    }
}

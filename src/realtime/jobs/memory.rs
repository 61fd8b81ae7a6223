//! Work that waits in this process.

use std::{
    collections::{HashSet, VecDeque},
    hash::Hash,
    sync::{Arc, Mutex},
};

use tokio::sync::Notify;

use crate::realtime::lock;

/// What may wait.
const QUEUE_MAX: usize = 10_000;

/// A queue in memory, for any number of readers. Cloning shares it.
pub(super) struct Queue<T> {
    inner: Arc<Inner<T>>,
}

struct Inner<T> {
    waiting: Mutex<Waiting<T>>,
    wake: Notify,
}

/// Work in order, and the same for looking up: what waits already is not queued twice.
struct Waiting<T> {
    order: VecDeque<T>,
    known: HashSet<T>,
}

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        let waiting = Waiting { order: VecDeque::new(), known: HashSet::new() };
        Self { inner: Arc::new(Inner { waiting: Mutex::new(waiting), wake: Notify::new() }) }
    }
}

impl<T: Clone + Eq + Hash> Queue<T> {
    /// Queues something, unless it waits already. False when the queue is full.
    pub(super) fn offer(&self, work: T) -> bool {
        let mut waiting = lock(&self.inner.waiting);
        if waiting.known.contains(&work) {
            return true;
        }
        if waiting.order.len() >= QUEUE_MAX {
            return false;
        }
        waiting.known.insert(work.clone());
        waiting.order.push_back(work);
        drop(waiting);
        self.inner.wake.notify_one();
        true
    }

    /// The oldest, for exactly one caller. Whoever stops waiting for it takes nothing away.
    pub(super) async fn next(&self) -> T {
        loop {
            let woken = self.inner.wake.notified();
            let (work, more) = {
                let mut waiting = lock(&self.inner.waiting);
                let work = waiting.order.pop_front();
                if let Some(work) = &work {
                    waiting.known.remove(work);
                }
                (work, !waiting.order.is_empty())
            };
            if let Some(work) = work {
                if more {
                    // One wake-up may stand for several.
                    self.inner.wake.notify_one();
                }
                return work;
            }
            woken.await;
        }
    }
}

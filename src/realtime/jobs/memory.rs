//! Jobs of one process.

use std::{
    collections::{HashSet, VecDeque},
    sync::{Arc, Mutex},
};

use tokio::sync::Notify;

use super::Job;
use crate::realtime::lock;

/// Jobs that may wait; more are dropped and found again by the sweep.
const QUEUE_MAX: usize = 10_000;

/// A queue in memory. Cloning shares it.
#[derive(Clone, Default)]
pub struct Memory {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    queue: Mutex<Queue>,
    wake: Notify,
}

/// Jobs in order, and the same ones for looking up: a job that waits already is not queued twice.
#[derive(Default)]
struct Queue {
    order: VecDeque<Job>,
    waiting: HashSet<Job>,
}

impl Memory {
    pub(super) fn offer(&self, job: Job) {
        let mut queue = lock(&self.inner.queue);
        if queue.order.len() < QUEUE_MAX && queue.waiting.insert(job.clone()) {
            queue.order.push_back(job);
            drop(queue);
            self.inner.wake.notify_one();
        }
    }

    pub(super) async fn next(&self) -> Job {
        loop {
            let woken = self.inner.wake.notified();
            let (job, more) = {
                let mut queue = lock(&self.inner.queue);
                let job = queue.order.pop_front();
                if let Some(job) = &job {
                    queue.waiting.remove(job);
                }
                (job, !queue.order.is_empty())
            };
            if let Some(job) = job {
                if more {
                    // One wake-up may stand for several jobs.
                    self.inner.wake.notify_one();
                }
                return job;
            }
            woken.await;
        }
    }
}

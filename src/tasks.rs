//! The only place that spawns, so that shutdown can tell everything to stop and wait until it has.

use std::{future::Future, time::Duration};

use futures_util::FutureExt as _;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Spawns tasks and ends them together. Cheap to clone.
#[derive(Clone, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Tasks {
    /// Runs a task that shutdown waits for. It must end soon after [`Self::stopped`] resolves.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tracker.spawn(task);
    }

    /// Runs a task that shutdown may cut off at any await: it holds nothing that needs an orderly end.
    pub fn spawn_until_stop(&self, task: impl Future<Output = ()> + Send + 'static) {
        // Not an `async` block: that would keep the task's state twice.
        self.tracker.spawn(self.stop.clone().run_until_cancelled_owned(task).map(drop));
    }

    /// Resolves when shutdown begins to end tasks.
    pub async fn stopped(&self) {
        self.stop.cancelled().await;
    }

    /// Tells all tasks to end and waits for them, up to `limit`. False when some did not.
    pub async fn end(&self, limit: Duration) -> bool {
        self.stop.cancel();
        self.tracker.close();
        tokio::time::timeout(limit, self.tracker.wait()).await.is_ok()
    }
}

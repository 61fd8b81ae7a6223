//! The worker role: takes conversations with queued answers and answers them, so many at a time.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::{
    app::App,
    domain::event::{Envelope, Room},
    realtime::jobs::Job,
    service::{answers, housekeeping, search},
};

/// Starts working. Ends with the process.
pub fn start(app: &Arc<App>) {
    housekeeping::start_worker(app);
    let slots = Arc::new(Semaphore::new(app.config.ai_concurrency));
    let inner = app.clone();
    app.tasks.spawn_until_stop(async move {
        // The semaphore is never closed.
        while let Ok(slot) = slots.clone().acquire_owned().await {
            let job = inner.jobs.next().await;
            let app = inner.clone();
            inner.tasks.spawn(async move {
                match job {
                    Job::Answer(conversation) => answers::run(&app, &conversation).await,
                    Job::Search(job) => {
                        let event = search::answer(&app, &job).await;
                        app.bus.publish(Envelope::to(Room::User(job.asker), event));
                    }
                }
                drop(slot);
            });
        }
    });
}

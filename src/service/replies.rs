//! The end of a search, told to its asker once: the answer of a worker, or the news that none has come in time.

use std::sync::Arc;

use crate::{
    app::App,
    domain::{
        event::{Envelope, Event, Room},
        search::SearchJob,
    },
    realtime::jobs,
};

/// Tells the answers that come back to this process.
pub(super) fn start(app: &Arc<App>) {
    let Some(mut replies) = app.jobs.replies() else { return };
    let inner = app.clone();
    app.tasks.spawn_until_stop(async move {
        while let Some(reply) = replies.next().await {
            // Of a search that was given up, or answered by another worker too, nothing is told any more.
            if let Some(job) = inner.jobs.settle(&reply.id) {
                tell(&inner, job, reply.event);
            }
        }
    });
}

/// Tells those who have waited too long.
pub(super) fn give_up(app: &App) {
    for job in app.jobs.overdue(app.now()) {
        tracing::warn!(search.id = job.id, "no worker has answered a search");
        let event = jobs::unanswered(job.request_id.clone());
        tell(app, job, event);
    }
}

fn tell(app: &App, job: SearchJob, event: Event) {
    app.bus.publish(Envelope::to(Room::User(job.asker), event));
}

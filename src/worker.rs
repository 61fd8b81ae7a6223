//! The worker role: answers conversations and searches, so many of each at a time.

use std::{sync::Arc, time::Duration};

use rand::Rng as _;
use tokio::sync::Semaphore;

use crate::{
    app::App,
    domain::{event::Event, search::SearchJob},
    realtime::jobs::{Held, is_overdue},
    service::{answers, housekeeping, search},
};

/// So long a search may still take when the process is told to end; then another worker gets it.
const GRACE: Duration = Duration::from_secs(5);

/// A search fails only with the database, which may be away for a moment: so often it is tried.
const SEARCH_TRIES: u32 = 4;

/// The longest pause before the second try; it doubles with each.
const SEARCH_PAUSE: Duration = Duration::from_millis(300);

/// Starts working. Ends with the process.
pub fn start(app: &Arc<App>) {
    housekeeping::start_worker(app);
    answer_conversations(app);
    answer_searches(app);
}

fn answer_conversations(app: &Arc<App>) {
    let slots = Arc::new(Semaphore::new(app.config.ai_concurrency));
    let mut waiting = app.jobs.answers();
    let inner = app.clone();
    app.tasks.spawn_until_stop(async move {
        // The semaphore is never closed.
        while let Ok(slot) = slots.clone().acquire_owned().await {
            let conversation = tokio::select! {
                next = waiting.next() => next,
                // What nobody has taken yet is another worker's.
                () = inner.draining_begun() => return,
            };
            let app = inner.clone();
            inner.tasks.spawn(async move {
                answers::run(&app, &conversation).await;
                drop(slot);
            });
        }
    });
}

fn answer_searches(app: &Arc<App>) {
    let slots = Arc::new(Semaphore::new(app.config.ai_concurrency));
    let mut waiting = app.jobs.searches();
    let inner = app.clone();
    app.tasks.spawn_until_stop(async move {
        while let Ok(slot) = slots.clone().acquire_owned().await {
            let (job, held) = tokio::select! {
                next = waiting.next() => next,
                () = inner.draining_begun() => return,
            };
            let app = inner.clone();
            inner.tasks.spawn(async move {
                answer_search(&app, job, held).await;
                drop(slot);
            });
        }
    });
}

/// Answers one search, or lets another worker have it.
async fn answer_search(app: &Arc<App>, job: SearchJob, held: Held) {
    if is_overdue(&job, app.now()) {
        app.jobs.forget(held).await;
        return;
    }
    let out_of_time = async {
        app.draining_begun().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::pin!(out_of_time);
    let event = tokio::select! {
        event = try_search(app, &job) => event,
        () = &mut out_of_time => return app.jobs.give_back(held).await,
    };
    tokio::select! {
        () = app.jobs.reply(held, job.id, event) => {}
        // Redis is away; when it is back another worker takes the search over.
        () = out_of_time => {}
    }
}

async fn try_search(app: &Arc<App>, job: &SearchJob) -> Event {
    let mut event = search::answer(app, job).await;
    for attempt in 1..SEARCH_TRIES {
        if !matches!(event, Event::SearchFailed { .. }) {
            break;
        }
        // Not all workers at once when the database comes back.
        let jitter = rand::rng().random_range(0.5..1.0);
        tokio::time::sleep((SEARCH_PAUSE * 2_u32.pow(attempt - 1)).mul_f64(jitter)).await;
        event = search::answer(app, job).await;
    }
    event
}

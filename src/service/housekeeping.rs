//! What happens by itself: typing that ends, credentials that run out, answers whose worker has died.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::TimeDelta;
use tokio::time::{MissedTickBehavior, interval};

use super::{accounts, answers, presence, replies};
use crate::{
    app::App,
    domain::error::Error,
    tokens::{EXPIRED, LEEWAY_S},
};

/// How late a typing indicator may end.
const TYPING_TICK: Duration = Duration::from_millis(100);

/// How late an expired credential, or an answer whose worker died, may be noticed.
const SECOND: Duration = Duration::from_secs(1);

/// How late a deleted user or a credential that was taken back may be noticed, when another process did that.
const RECHECK: Duration = Duration::from_secs(3);

/// A credential is taken for as long here as when it is presented.
const LEEWAY: TimeDelta = TimeDelta::seconds(LEEWAY_S);

/// How often memory and tables are rid of what is over.
const CLEAN: Duration = Duration::from_secs(60);

/// Starts everything that happens by itself in the web role.
pub fn start(app: &Arc<App>) {
    every(app, TYPING_TICK, |app| async move {
        for (conversation, sender) in app.typing.expired(Instant::now()) {
            app.bus.publish(presence::typing(conversation, sender, false));
        }
        Ok(())
    });
    replies::start(app);
    every(app, SECOND, |app| async move {
        end_unknown_and_expired(&app);
        replies::give_up(&app);
        Ok(())
    });
    every(app, RECHECK, |app| async move { accounts::recheck_connections(&app).await });
    every(app, CLEAN, |app| async move {
        app.limits.forget_old(Instant::now());
        app.hub.sweep();
        app.store.purge_expired(app.now()).await
    });
}

/// Starts what the worker role does by itself.
pub fn start_worker(app: &Arc<App>) {
    every(app, SECOND, |app| async move { answers::sweep(&app).await });
}

/// Does `work` again and again until the process stops. A failure is logged and tried again the next time.
fn every<F, W>(app: &Arc<App>, period: Duration, work: F)
where
    F: Fn(Arc<App>) -> W + Send + 'static,
    W: Future<Output = Result<(), Error>> + Send,
{
    let app = app.clone();
    app.tasks.clone().spawn_until_stop(async move {
        let mut ticks = interval(period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Err(error) = work(app.clone()).await {
                tracing::warn!(?error, "housekeeping failed and is tried again");
            }
        }
    });
}

/// Ends connections that have not said in time who they are, and those whose credential has run out.
fn end_unknown_and_expired(app: &App) {
    let now = app.now();
    for connection in app.hub.all() {
        let why = match connection.identity() {
            None => (connection.since.elapsed() >= app.config.auth_timeout).then_some("Authentication required"),
            Some(identity) => identity.expires_at.is_some_and(|end| end + LEEWAY <= now).then_some(EXPIRED),
        };
        if let Some(why) = why {
            connection.refuse(Some(&Error::Unauthenticated(why)));
        }
    }
}

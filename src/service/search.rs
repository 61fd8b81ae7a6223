//! Searching the listings by a sentence: asking, and answering as a worker does.

use std::sync::Arc;

use super::Outcome;
use crate::{
    app::App,
    domain::{
        command::Reply,
        error::{Error, Failure},
        event::Event,
        search::{SearchJob, checked_query},
        user::Caller,
    },
};

/// Hands a search to a worker; its answer comes as an event.
///
/// # Errors
/// [`Error::Invalid`] for a query that is empty or too long, [`Error::Unavailable`] when too many wait.
pub fn ask(app: &Arc<App>, caller: &Caller, request_id: String, query: &str) -> Result<Outcome, Error> {
    let query = checked_query(query)?;
    let (id, asker) = (uuid::Uuid::now_v7().to_string(), caller.user.id.clone());
    app.jobs.ask(SearchJob { id, request_id, asker, query, asked_at: app.now() })?;
    Ok(Reply::Done.into())
}

/// Answers a search, for its asker.
pub async fn answer(_app: &Arc<App>, job: &SearchJob) -> Event {
    let failure = Failure::from(&Error::Unavailable("Search is not available on this server"));
    Event::SearchFailed { request_id: job.request_id.clone(), failure }
}

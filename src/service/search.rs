//! Searching the listings by a sentence: asking, and answering as a worker does.

use std::sync::Arc;

use chrono::TimeDelta;

use super::{
    Outcome,
    phrasing::{self, Nearest},
    understanding,
};
use crate::{
    app::App,
    domain::{
        command::Reply,
        error::{Error, Failure},
        event::Event,
        ids::UserId,
        listing::Listing,
        search::{Filters, RecordedSearch, SearchAnswer, SearchJob, checked_query},
        user::Caller,
    },
};

/// Results of one search, unless the asker wants fewer or more.
pub const RESULTS: u32 = 10;

/// How many listings are looked at for one that nearly fits.
const NEAREST_AMONG: u32 = 50;

/// A search that has waited for a worker for so long must not wait for the AI too, or the asker's patience ends first.
const HURRIED_AFTER: TimeDelta = TimeDelta::seconds(SearchJob::PATIENCE_S / 2);

/// What somebody wants to find.
pub struct Wanted {
    /// In their own words; checked already.
    pub query: String,
    /// Limits that they have set beside the words; its keywords say nothing.
    pub within: Filters,
    /// The most results.
    pub limit: u32,
    /// Somebody has waited for long already: the AI is not asked.
    pub hurried: bool,
}

/// What was found.
pub struct Found {
    /// A sentence about it.
    pub answer: String,
    /// The best ones, best first.
    pub results: Vec<Listing>,
    /// What was understood of the query.
    pub filters: Filters,
    /// The AI failed, so that the query was understood by rules alone.
    pub degraded: bool,
}

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

/// Answers a search, for the one who asked.
pub async fn answer(app: &Arc<App>, job: &SearchJob) -> Event {
    let request_id = job.request_id.clone();
    let hurried = app.now() - job.asked_at >= HURRIED_AFTER;
    let wanted = Wanted { query: job.query.clone(), within: Filters::default(), limit: RESULTS, hurried };
    match search(app, &job.asker, &wanted).await {
        Ok(Found { answer, results, filters, degraded }) => {
            Event::SearchAnswered(Arc::new(SearchAnswer { request_id, answer, results, filters, degraded }))
        }
        Err(error) => {
            tracing::warn!(code = error.code(), "a search could not be answered: {error}");
            let failure = Failure::from(&Error::Unavailable("Search is not available right now"));
            Event::SearchFailed { request_id, failure }
        }
    }
}

/// Finds listings for somebody who waits for them; counted together with searches over a socket.
///
/// # Errors
/// [`Error::RateLimited`], else only when the database fails.
pub async fn search_for(app: &App, caller: &Caller, wanted: &Wanted) -> Result<Found, Error> {
    super::count_other(app, &caller.user, "search")?;
    search(app, &caller.user.id, wanted).await
}

/// Finds listings that are available, and remembers what was asked: for the asker's next search, and for statistics.
///
/// # Errors
/// Only when the database fails.
pub async fn search(app: &App, asker: &UserId, wanted: &Wanted) -> Result<Found, Error> {
    super::logged(find(app, asker, wanted).await, "search")
}

async fn find(app: &App, asker: &UserId, wanted: &Wanted) -> Result<Found, Error> {
    let categories = app.store.categories().await?;
    let understood = understanding::understand(app, asker, wanted, &categories).await;
    let mut filters = narrowed(understood.filters, &wanted.within, &categories);
    // One more tells whether there are more.
    let mut results = app.store.search_listings(&filters, wanted.limit + 1).await?;
    if let (true, Some(alone)) = (results.is_empty(), understood.alone) {
        let alone = narrowed(alone, &wanted.within, &categories);
        results = app.store.search_listings(&alone, wanted.limit + 1).await?;
        if !results.is_empty() {
            filters = alone;
        }
    }
    let page = usize::try_from(wanted.limit).unwrap_or(usize::MAX);
    let more = results.len() > page;
    results.truncate(page);
    let nearest = if results.is_empty() { nearest(app, &filters).await? } else { None };
    let answer = phrasing::sentence(&wanted.query, &results, more, nearest.as_ref());
    let found = Found { answer, results, filters, degraded: understood.degraded };
    remember(app, asker, wanted, &found).await;
    Ok(found)
}

/// What the asker has set beside the words wins over what the words say.
fn narrowed(mut filters: Filters, within: &Filters, categories: &[String]) -> Filters {
    if let Some(category) = &within.category {
        let known = categories.iter().find(|known| known.to_lowercase() == category.to_lowercase());
        filters.category = Some(known.unwrap_or(category).clone());
    }
    filters.min_price = within.min_price.or(filters.min_price);
    filters.max_price = within.max_price.or(filters.max_price);
    filters
}

/// What would have been found with one limit less.
async fn nearest(app: &App, filters: &Filters) -> Result<Option<Nearest>, Error> {
    let with_price = filters.min_price.is_some() || filters.max_price.is_some();
    if with_price {
        let wider = Filters { min_price: None, max_price: None, ..filters.clone() };
        let found = app.store.search_listings(&wider, NEAREST_AMONG).await?;
        let closest = match filters.max_price {
            // What is below an upper limit was not below the lower one.
            Some(max) => found.into_iter().min_by_key(|listing| (listing.price <= max, listing.price)),
            None => found.into_iter().max_by_key(|listing| listing.price),
        };
        if let Some(listing) = closest {
            return Ok(Some(Nearest::AtAnotherPrice(listing)));
        }
    }
    if filters.category.is_some() {
        let wider = Filters { category: None, ..filters.clone() };
        let found = app.store.search_listings(&wider, 1).await?;
        return Ok(found.into_iter().next().map(Nearest::InAnotherCategory));
    }
    Ok(None)
}

/// None of this is worth failing a search for.
async fn remember(app: &App, asker: &UserId, wanted: &Wanted, found: &Found) {
    let recorded = RecordedSearch {
        user: asker,
        query: &wanted.query,
        filters: &found.filters,
        results: &found.results,
        degraded: found.degraded,
    };
    if let Err(error) = app.store.record_search(recorded, app.now()).await {
        tracing::warn!(?error, "cannot record a search");
    }
}

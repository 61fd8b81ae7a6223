//! What the assistant looks up while it answers: what it is offered, what its calls find, and the sources it had.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use super::answers;
use crate::{
    app::{App, Searchable},
    assistant::{Call, Found, Tool, Wanted},
    domain::{
        error::Error,
        ids::ConversationId,
        listing::Listing,
        query::understand,
        search::{Filters, Passage},
    },
    realtime::lock,
};

/// What one call finds at most.
const LISTINGS_MAX: u32 = 8;
const PASSAGES_MAX: u32 = 4;

/// For all calls of one round together; a model can answer without them.
const PATIENCE: Duration = Duration::from_secs(5);

/// So long is it remembered whether there is anything to search.
const SEARCHABLE_FOR: TimeDelta = TimeDelta::seconds(3);

/// Sources that one message names.
const SOURCES_MAX: usize = 8;

/// What the assistant may call in a conversation. A search is offered only where it can find something: a model that
/// searches in vain answers worse than one that does not search.
pub(super) async fn tools(app: &App, support: bool) -> Vec<Tool> {
    let searchable = searchable(app).await.unwrap_or_else(|error| {
        tracing::warn!(?error, "cannot see whether there is anything to look up");
        Searchable { listings: false, articles: false, seen_at: app.now() }
    });
    let offers = [
        (Tool::SearchListings, searchable.listings),
        (Tool::SearchArticles, searchable.articles),
        (Tool::CallPerson, support),
    ];
    offers.into_iter().filter(|(_, is_offered)| *is_offered).map(|(tool, _)| tool).collect()
}

async fn searchable(app: &App) -> Result<Searchable, Error> {
    let now = app.now();
    let known = *lock(&app.searchable);
    if let Some(known) = known.filter(|known| now - known.seen_at < SEARCHABLE_FOR) {
        return Ok(known);
    }
    let (listings, articles) = (app.store.has_listings().await?, app.store.has_articles().await?);
    Ok(*lock(&app.searchable).insert(Searchable { listings, articles, seen_at: now }))
}

/// Does what a model has called for, one call after the other, until `deadline` at the latest.
pub(super) async fn run(
    app: Arc<App>,
    conversation: ConversationId,
    calls: Vec<Call>,
    deadline: Instant,
) -> Vec<(Call, Found)> {
    let deadline = deadline.min(Instant::now() + PATIENCE);
    let mut done = Vec::with_capacity(calls.len());
    for call in calls {
        let found = match timeout_at(deadline, find(&app, &conversation, &call.wanted)).await {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => {
                tracing::warn!(?error, "the assistant's call has failed");
                Found::Failed
            }
            Err(_) => {
                tracing::warn!("the assistant's call takes too long");
                Found::Failed
            }
        };
        done.push((call, found));
    }
    done
}

async fn find(app: &Arc<App>, conversation: &ConversationId, wanted: &Wanted) -> Result<Found, Error> {
    match wanted {
        Wanted::Listings { query, filters } => {
            let filters = meant(query, filters, &app.store.categories().await?);
            Ok(Found::Listings(app.store.search_listings(&filters, LISTINGS_MAX).await?))
        }
        Wanted::Articles(query) => Ok(Found::Articles(app.store.search_articles(query, PASSAGES_MAX).await?)),
        Wanted::Person => answers::call_person(app, conversation).await.map(|()| Found::PersonCalled),
        Wanted::Unreadable(_) => Ok(Found::Failed),
    }
}

/// The words as they are understood, with what the model set apart from them; a category that does not exist is none.
fn meant(query: &str, given: &Filters, categories: &[String]) -> Filters {
    let mut filters = understand(query, categories);
    if let Some(category) = &given.category {
        filters.category = understand(category, categories).category.or(filters.category);
    }
    filters.min_price = given.min_price.or(filters.min_price);
    filters.max_price = given.max_price.or(filters.max_price);
    filters
}

/// The listings and articles that the assistant was handed for one answer, in order, each once.
#[derive(Default)]
pub(super) struct Sources(Vec<Source>);

struct Source {
    id: String,
    value: Value,
}

impl Sources {
    pub(super) fn add(&mut self, found: &Found) {
        match found {
            Found::Listings(listings) => listings.iter().map(of_listing).for_each(|source| self.add_one(source)),
            Found::Articles(passages) => passages.iter().map(of_passage).for_each(|source| self.add_one(source)),
            Found::PersonCalled | Found::Failed => {}
        }
    }

    fn add_one(&mut self, source: Source) {
        let kind = |source: &Source| source.value.get("type").cloned();
        if !self.0.iter().any(|known| known.id == source.id && kind(known) == kind(&source)) {
            self.0.push(source);
        }
    }

    /// Keeps those with these ids.
    pub(super) fn keep(&mut self, quoted: &[String]) {
        self.0.retain(|source| quoted.contains(&source.id));
    }

    /// For the message's metadata; none without any.
    pub(super) fn named(&self) -> Option<Value> {
        let values: Vec<Value> = self.0.iter().take(SOURCES_MAX).map(|source| source.value.clone()).collect();
        (!values.is_empty()).then(|| values.into())
    }
}

fn of_listing(listing: &Listing) -> Source {
    let value = json!({ "type": "listing", "id": listing.id, "title": listing.title, "price": listing.price });
    Source { id: listing.id.to_string(), value }
}

fn of_passage(passage: &Passage) -> Source {
    let value = json!({ "type": "article", "id": passage.article_id, "title": passage.title });
    Source { id: passage.article_id.clone(), value }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::listing::Price;

    fn passage(id: usize) -> Passage {
        Passage { article_id: format!("a{id}"), title: format!("T{id}"), heading: None, text: "x".into() }
    }

    #[test]
    fn sources_are_named_once_in_order_and_not_without_end() {
        let mut sources = Sources::default();
        assert_eq!(sources.named(), None);
        sources.add(&Found::Failed);
        for ids in [vec![2, 1, 2], vec![1, 3]] {
            sources.add(&Found::Articles(ids.into_iter().map(passage).collect()));
        }
        let ids = |sources: &Sources| -> Vec<_> {
            sources.named().unwrap().as_array().unwrap().iter().map(|source| source["id"].to_string()).collect()
        };
        assert_eq!(ids(&sources), ["\"a2\"", "\"a1\"", "\"a3\""]);
        sources.keep(&["a3".to_owned(), "a2".to_owned()]);
        assert_eq!(ids(&sources), ["\"a2\"", "\"a3\""]);
        sources.add(&Found::Articles((10..50).map(passage).collect()));
        assert_eq!(ids(&sources).len(), SOURCES_MAX);
    }

    #[test]
    fn what_the_model_sets_apart_wins_over_the_words() {
        let categories = ["Electronics".to_owned(), "Textbooks".to_owned()];
        let price = |amount| Price::parse(amount).ok();
        let given = Filters { category: Some("electronics".into()), max_price: price(300.0), ..Filters::default() };
        let filters = meant("macbook under 500", &given, &categories);
        assert_eq!((filters.category.as_deref(), filters.max_price), (Some("Electronics"), price(300.0)));
        assert_eq!(filters.keywords, ["macbook"]);
        let given = Filters { category: Some("Spaceships".into()), ..Filters::default() };
        let filters = meant("macbook under 500", &given, &categories);
        assert_eq!((filters.category, filters.max_price), (None, price(500.0)));
    }
}

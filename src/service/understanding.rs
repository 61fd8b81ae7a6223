//! What somebody means by a query: by what they searched for last, by the AI, and by rules.
//!
//! Rules come first where the query plainly follows on the last one ("cheaper ones"), check whatever the AI says, and
//! stand alone when there is no AI, or when it fails.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use chrono::TimeDelta;

use super::search::Wanted;
use crate::{
    app::App,
    assistant::Assistant,
    domain::{
        ids::UserId,
        query,
        search::{Filters, LastSearch},
    },
};

/// Words with which a query may lean on the one before it where rules do not see how; the AI is told of that one then.
/// A word too many costs a place in the cache, no more.
const FOLLOWING_ON: [&str; 9] = ["its", "they", "this", "other", "another", "else", "too", "similar", "matching"];

/// Beginnings that do the same.
const BEGINNINGS: [&str; 5] = ["and ", "or ", "but ", "only ", "just "];

/// A search is leant on for so long.
const LEANT_ON: TimeDelta = TimeDelta::minutes(30);

/// What was understood of a query.
pub(super) struct Understood {
    pub filters: Filters,
    /// What the words say by themselves, for when nothing is found: a follow-up may have been none ("xbox one" after
    /// "desk"), and the AI may have seen a category where there is none.
    pub alone: Option<Filters>,
    /// The AI has failed.
    pub degraded: bool,
}

impl Understood {
    /// What somebody means, and what the words say by themselves.
    fn beside(filters: Filters, alone: Filters) -> Self {
        let says_something = !alone.keywords.is_empty() || alone.category.is_some();
        let alone = (says_something && alone != filters).then_some(alone);
        Self { filters, alone, degraded: false }
    }
}

/// Understands a query; never fails.
pub(super) async fn understand(app: &App, asker: &UserId, wanted: &Wanted, categories: &[String]) -> Understood {
    let query = wanted.query.as_str();
    let alone = query::understand(query, categories);
    let last = last_search(app, asker).await;
    let follow_up = last.as_ref().and_then(|last| query::refine(&last.filters, &last.results, query, categories));
    if let Some(filters) = follow_up {
        return Understood::beside(filters, alone);
    }
    if matches!(app.assistant, Assistant::Offline(_)) {
        return Understood { filters: alone, alone: None, degraded: false };
    }
    let normal = normalised(query);
    let previous = last.map(|last| last.filters).filter(|_| follows_on(&normal));
    let key = (normal, fingerprint(categories));
    if previous.is_none()
        && let Some(filters) = app.understood.get(&key, app.now())
    {
        return Understood::beside(filters, alone);
    }
    if wanted.hurried {
        return Understood { filters: alone, alone: None, degraded: true };
    }
    match app.assistant.extract_filters(query, previous.as_ref(), categories).await {
        Ok(said) => {
            let checked = query::correct(said.clone(), query, categories);
            let filters = match previous {
                Some(previous) => taken_over(checked, &said, &previous),
                None => {
                    app.understood.put(key, checked.clone(), app.now());
                    checked
                }
            };
            Understood::beside(filters, alone)
        }
        Err(error) => {
            tracing::warn!(kind = ?error.kind, cause = %error.cause, "the AI did not understand a search in time");
            Understood { filters: alone, alone: None, degraded: true }
        }
    }
}

/// What "cheaper ones" refers to, whichever process answered it. Without it the query stands for itself.
async fn last_search(app: &App, asker: &UserId) -> Option<LastSearch> {
    app.store.last_search(asker, app.now() - LEANT_ON).await.unwrap_or_else(|error| {
        tracing::warn!(?error, "cannot look up somebody's last search");
        None
    })
}

/// Lower case and single spaces, so that the same search is recognised.
fn normalised(query: &str) -> String {
    query.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ")
}

fn follows_on(normal: &str) -> bool {
    let mut words = normal.split(|c: char| !c.is_alphanumeric());
    BEGINNINGS.iter().any(|beginning| normal.starts_with(beginning)) || words.any(|word| FOLLOWING_ON.contains(&word))
}

/// What the AI has read out of a query came with other categories when this differs.
fn fingerprint(categories: &[String]) -> u64 {
    let mut hasher = DefaultHasher::new();
    categories.hash(&mut hasher);
    hasher.finish()
}

/// What the AI has kept of the last search is right as well, though the query itself does not say it.
fn taken_over(mut checked: Filters, said: &Filters, previous: &Filters) -> Filters {
    let kept: Vec<String> = said.keywords.iter().filter(|word| previous.keywords.contains(word)).cloned().collect();
    if !kept.is_empty() {
        let new = std::mem::take(&mut checked.keywords).into_iter().filter(|word| said.keywords.contains(word));
        let new: Vec<_> = new.filter(|word| !kept.contains(word)).collect();
        checked.keywords = kept.into_iter().chain(new).collect();
    }
    if checked.category.is_none() && said.category == previous.category {
        checked.category.clone_from(&previous.category);
    }
    if checked.min_price.is_none() && checked.max_price.is_none() {
        checked.min_price = said.min_price.filter(|_| said.min_price == previous.min_price);
        checked.max_price = said.max_price.filter(|_| said.max_price == previous.max_price);
    }
    checked
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::listing::Price;

    fn filters(keywords: &[&str], max_price: Option<i64>) -> Filters {
        let keywords = keywords.iter().map(|&word| word.to_owned()).collect();
        Filters { keywords, max_price: max_price.map(Price::from_cents), ..Filters::default() }
    }

    #[test]
    fn queries_that_lean_on_the_last_one_are_told_apart() {
        for leaning in ["and blue furniture?", "is there another in blue", "do they come in oak, too?"] {
            assert!(follows_on(leaning), "{leaning}");
        }
        for standing in ["used textbook for cmpe202", "macbook under 500", "andover desk", "thistle"] {
            assert!(!follows_on(standing), "{standing}");
        }
    }

    #[test]
    fn what_the_ai_keeps_of_the_last_search_is_taken_over_and_what_it_invents_is_not() {
        let previous = filters(&["macbook"], Some(50_000));
        let said = filters(&["macbook", "blue"], Some(50_000));
        assert_eq!(taken_over(filters(&["blue"], None), &said, &previous), said);
        let invented = filters(&["macbook", "blue"], Some(70_000));
        assert_eq!(taken_over(filters(&["blue"], None), &invented, &previous), filters(&["macbook", "blue"], None));
        let stated = taken_over(filters(&["blue"], Some(30_000)), &said, &previous);
        assert_eq!(stated, filters(&["macbook", "blue"], Some(30_000)), "the query's own price wins");
        let unrelated = filters(&["desk"], None);
        assert_eq!(taken_over(filters(&["desk"], None), &unrelated, &previous), unrelated);
    }
}

//! Finding listings and passages by words.
//!
//! The way of a query: its words become [concepts](mod@concepts), with the help of the [`vocabulary`]; one statement
//! brings the best hundred rows that have any of them, from FTS5 on SQLite and from a `tsvector` on PostgreSQL
//! ([`hits`]); [`rank`] orders them. Only that statement differs between the two, and it weighs rows alike in both.

mod concepts;
mod hits;
mod rank;
pub(super) mod vocabulary;

use std::cmp::Reverse;

use sea_orm::{DbErr, EntityTrait, Value};

use self::{
    concepts::{Concept, concepts},
    hits::Hits,
    rank::{Aim, Document, ranked},
    vocabulary::Corpus,
};
use super::{
    Store,
    entities::{listing, passage},
    listings,
    sql::statement,
};
use crate::domain::{
    error::Error,
    listing::{Listing, ListingStatus},
    search::{Filters, First, Passage},
};

/// How many rows the database offers for the final order.
const CANDIDATES: u64 = 100;

impl Store {
    /// The available listings that fit best, best first; without keywords the newest ones within the filters. Empty
    /// when nothing fits. At most 100.
    ///
    /// # Errors
    /// Only when the database fails.
    pub async fn search_listings(&self, filters: &Filters, limit: u32) -> Result<Vec<Listing>, Error> {
        let limit = u64::from(limit).min(CANDIDATES);
        let concepts = concepts(self.read(), Corpus::Listings, filters.keywords.iter().map(String::as_str)).await?;
        let asks_for_category = match concepts.as_slice() {
            [] => true,
            // "bike for commuting" is about bikes, also when no bike is said to be for commuting.
            [only] => filters.category.is_some() && only.is_unheard_of(),
            _ => false,
        };
        let rows = if asks_for_category {
            self.listings_within(filters, "listings", vec![], order(filters.first), limit).await?
        } else {
            let aim = Aim::Thing { kind: filters.category.as_deref().unwrap_or_default() };
            let found = self.candidates(filters, &concepts).await?;
            let mut best = ranked(&concepts, aim, found, |row| Document {
                title: &row.title,
                label: &row.category,
                more: &row.more_terms,
            });
            match filters.first {
                Some(First::Cheapest) => best.sort_by_key(|row| row.price_cents),
                Some(First::Dearest) => best.sort_by_key(|row| Reverse(row.price_cents)),
                Some(First::Newest) => best.sort_by_key(|row| Reverse(row.created_at)),
                None => {}
            }
            best
        };
        let best = rows.into_iter().take(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(best.map(listings::domain).collect::<Result<_, _>>()?)
    }

    /// The passages of help articles that answer a question best, best first. Empty when nothing fits. At most 100.
    ///
    /// # Errors
    /// Only when the database fails.
    pub async fn search_articles(&self, question: &str, limit: u32) -> Result<Vec<Passage>, Error> {
        let concepts = concepts(self.read(), Corpus::Passages, [question]).await?;
        let Some(hits) = Hits::of(self.read().get_database_backend(), Corpus::Passages, &concepts) else {
            return Ok(vec![]);
        };
        let text = format!(
            "SELECT number, article_id, title, heading, body, terms, more_terms FROM {} \
             ORDER BY weight DESC, article_id, number LIMIT {CANDIDATES}",
            hits.table
        );
        let wanted = statement(self.read().get_database_backend(), &text, hits.values);
        let found = passage::Entity::find().from_raw_sql(wanted).all(self.read()).await?;
        let best = ranked(&concepts, Aim::Question, found, |row| match &row.heading {
            Some(heading) => Document { title: heading, label: &row.title, more: &row.more_terms },
            None => Document { title: &row.title, label: "", more: &row.more_terms },
        });
        let passages = best.into_iter().take(usize::try_from(limit).unwrap_or(usize::MAX)).map(|row| Passage {
            article_id: row.article_id,
            title: row.title,
            heading: row.heading,
            text: row.body,
        });
        Ok(passages.collect())
    }

    async fn candidates(&self, filters: &Filters, concepts: &[Concept]) -> Result<Vec<listing::Model>, DbErr> {
        let Some(hits) = Hits::of(self.read().get_database_backend(), Corpus::Listings, concepts) else {
            return Ok(vec![]);
        };
        let order = format!("weight DESC, {}", order(filters.first));
        self.listings_within(filters, &hits.table, hits.values, &order, CANDIDATES).await
    }

    /// The first available rows of a table expression that has a listing's columns.
    async fn listings_within(
        &self,
        filters: &Filters,
        table: &str,
        mut values: Vec<Value>,
        order: &str,
        limit: u64,
    ) -> Result<Vec<listing::Model>, DbErr> {
        let backend = self.read().get_database_backend();
        let mut text = format!(
            "SELECT number, id, title, description, category, price_cents, status, created_at, updated_at, terms, \
             more_terms FROM {table} WHERE status = ?"
        );
        values.push(ListingStatus::Available.as_str().into());
        let bounds = [
            filters.category.as_deref().map(|name| ("category = ?".to_owned(), name.into())),
            filters.min_price.map(|least| ("price_cents >= ?".to_owned(), least.cents().into())),
            filters.max_price.map(|most| ("price_cents <= ?".to_owned(), most.cents().into())),
            hits::without(backend, Corpus::Listings.table(), &filters.without),
        ];
        for (condition, value) in bounds.into_iter().flatten() {
            text.push_str(&format!(" AND {condition}"));
            values.push(value);
        }
        text.push_str(&format!(" ORDER BY {order} LIMIT {limit}"));
        listing::Entity::find().from_raw_sql(statement(backend, &text, values)).all(self.read()).await
    }
}

/// Which of several equal listings comes first.
const fn order(first: Option<First>) -> &'static str {
    match first {
        Some(First::Cheapest) => "price_cents, created_at DESC, id",
        Some(First::Dearest) => "price_cents DESC, created_at DESC, id",
        Some(First::Newest) | None => "created_at DESC, id",
    }
}

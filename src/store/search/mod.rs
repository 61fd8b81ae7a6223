//! Finding listings and passages by words.
//!
//! The way of a query: its words become [concepts](mod@concepts), with the help of the [`vocabulary`]; one statement
//! brings the best hundred rows that have any of them, from FTS5 on SQLite and from a `tsvector` on PostgreSQL
//! ([`hits`]); [`rank`] orders them. Only that statement differs between the two, and it weighs rows alike in both.

mod concepts;
mod hits;
mod rank;
pub(super) mod vocabulary;

use sea_orm::{ColumnTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Value};

use self::{
    concepts::{Concept, concepts},
    hits::Hits,
    rank::{Document, ranked},
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
    search::{Filters, Passage},
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
            self.newest(filters, limit).await?
        } else {
            let found = self.candidates(filters, &concepts).await?;
            ranked(&concepts, found, |row| Document { title: &row.title, label: &row.category, more: &row.more_terms })
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
        let best = ranked(&concepts, found, |row| match &row.heading {
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

    async fn newest(&self, filters: &Filters, limit: u64) -> Result<Vec<listing::Model>, DbErr> {
        let mut wanted = listing::Entity::find().filter(listing::Column::Status.eq(ListingStatus::Available.as_str()));
        if let Some(category) = &filters.category {
            wanted = wanted.filter(listing::Column::Category.eq(category.as_str()));
        }
        if let Some(least) = filters.min_price {
            wanted = wanted.filter(listing::Column::PriceCents.gte(least.cents()));
        }
        if let Some(most) = filters.max_price {
            wanted = wanted.filter(listing::Column::PriceCents.lte(most.cents()));
        }
        wanted = wanted.order_by_desc(listing::Column::CreatedAt).order_by_asc(listing::Column::Id);
        wanted.limit(limit).all(self.read()).await
    }

    async fn candidates(&self, filters: &Filters, concepts: &[Concept]) -> Result<Vec<listing::Model>, DbErr> {
        let Some(mut hits) = Hits::of(self.read().get_database_backend(), Corpus::Listings, concepts) else {
            return Ok(vec![]);
        };
        let mut text = format!(
            "SELECT number, id, title, description, category, price_cents, status, created_at, updated_at, terms, \
             more_terms FROM {} WHERE status = ?",
            hits.table
        );
        hits.values.push(ListingStatus::Available.as_str().into());
        let bounds = [
            (" AND category = ?", filters.category.as_deref().map(Value::from)),
            (" AND price_cents >= ?", filters.min_price.map(|least| least.cents().into())),
            (" AND price_cents <= ?", filters.max_price.map(|most| most.cents().into())),
        ];
        for (condition, value) in bounds {
            if let Some(value) = value {
                text.push_str(condition);
                hits.values.push(value);
            }
        }
        text.push_str(&format!(" ORDER BY weight DESC, created_at DESC, id LIMIT {CANDIDATES}"));
        let wanted = statement(self.read().get_database_backend(), &text, hits.values);
        listing::Entity::find().from_raw_sql(wanted).all(self.read()).await
    }
}

//! Finding listings and passages by words.
//!
//! The way of a query: its words become [`concepts`], with the help of the [`vocabulary`]; one statement brings the
//! best hundred rows that have any of them, from FTS5 on SQLite and from a `tsvector` on PostgreSQL; [`rank`] orders
//! them. Only the statement differs between the two, and it weighs rows alike in both.

mod concepts;
mod rank;
pub(super) mod vocabulary;

use sea_orm::{ColumnTrait, DbBackend, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Value};

use self::{
    concepts::{Concept, concepts},
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

/// What a row with the word in its title gets more than one that has it in its description only.
const TITLE_FACTOR: i64 = 2;

impl Store {
    /// The available listings that fit best, best first; without keywords the newest ones within the filters. Empty
    /// when nothing fits. At most 100.
    ///
    /// # Errors
    /// Only when the database fails.
    pub async fn search_listings(&self, filters: &Filters, limit: u32) -> Result<Vec<Listing>, Error> {
        let limit = u64::from(limit).min(CANDIDATES);
        let concepts = concepts(self.read(), Corpus::Listings, filters.keywords.iter().map(String::as_str)).await?;
        let rows = if concepts.is_empty() {
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
            "SELECT passages.number, article_id, title, heading, body, terms, more_terms FROM passages \
             JOIN ({}) AS hits ON hits.number = passages.number ORDER BY hits.weight DESC, article_id, passages.number \
             LIMIT {CANDIDATES}",
            hits.text
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
            "SELECT listings.number, id, title, description, category, price_cents, status, created_at, updated_at, \
             terms, more_terms FROM listings JOIN ({}) AS hits ON hits.number = listings.number WHERE status = ?",
            hits.text
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
        text.push_str(&format!(" ORDER BY hits.weight DESC, created_at DESC, id LIMIT {CANDIDATES}"));
        let wanted = statement(self.read().get_database_backend(), &text, hits.values);
        listing::Entity::find().from_raw_sql(wanted).all(self.read()).await
    }
}

/// A subquery for the numbers and weights of the rows that have any of some words.
struct Hits {
    text: String,
    values: Vec<Value>,
}

impl Hits {
    /// None when no row can have any of the words.
    fn of(backend: DbBackend, corpus: Corpus, concepts: &[Concept]) -> Option<Self> {
        let table = corpus.table();
        let mut parts = vec![];
        let mut values: Vec<Value> = vec![];
        for concept in concepts.iter().filter(|concept| !concept.forms.is_empty()) {
            // Stems are letters and digits only, so they need no escape in either language.
            let stems = concept.forms.iter().map(|form| form.stem.as_str());
            for (in_title, weight) in [(true, concept.weight * TITLE_FACTOR), (false, concept.weight)] {
                let (part, wanted) = match backend {
                    DbBackend::Postgres => {
                        let suffix = if in_title { ":A" } else { "" };
                        let words: Vec<String> = stems.clone().map(|stem| format!("{stem}{suffix}")).collect();
                        let part = format!(
                            "SELECT number, CAST(? AS bigint) AS weight FROM {table} \
                             WHERE search @@ to_tsquery('simple', ?)"
                        );
                        (part, words.join(" | "))
                    }
                    _ => {
                        let prefix = if in_title { "terms : " } else { "" };
                        let words: Vec<String> = stems.clone().map(|stem| format!("\"{stem}\"")).collect();
                        let part = format!(
                            "SELECT rowid AS number, ? AS weight FROM {table}_index WHERE {table}_index MATCH ?"
                        );
                        (part, format!("{prefix}({})", words.join(" OR ")))
                    }
                };
                parts.push(part);
                values.extend([weight.into(), wanted.into()]);
            }
        }
        if parts.is_empty() {
            return None;
        }
        let text = format!(
            "SELECT number, SUM(weight) AS weight FROM ({}) AS matches GROUP BY number",
            parts.join(" UNION ALL ")
        );
        Some(Self { text, values })
    }
}

//! What people have searched for, so that agents see what is wanted.

use chrono::TimeDelta;
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};

use super::{Store, entities::search, rows, sql::statement};
use crate::domain::{
    Timestamp,
    error::Error,
    search::{PopularSearch, RecordedSearch},
};

/// How long a search is remembered.
const REMEMBERED: TimeDelta = TimeDelta::days(90);

/// The most lines of a list of popular searches.
const POPULAR_MAX: u32 = 200;

impl Store {
    /// Remembers a search.
    ///
    /// # Errors
    /// Only when the database fails.
    pub async fn record_search(&self, new: RecordedSearch<'_>, at: Timestamp) -> Result<(), Error> {
        let row = search::ActiveModel {
            id: Set(uuid::Uuid::now_v7().to_string()),
            user_id: Set(new.user.to_string()),
            query: Set(new.query.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()),
            category: Set(new.filters.category.clone()),
            min_price_cents: Set(new.filters.min_price.map(|least| least.cents())),
            max_price_cents: Set(new.filters.max_price.map(|most| most.cents())),
            result_count: Set(i32::try_from(new.result_count).unwrap_or(i32::MAX)),
            degraded: Set(new.degraded),
            at: Set(at.timestamp_millis()),
        };
        search::Entity::insert(row).exec_without_returning(self.write()).await?;
        Ok(())
    }

    /// What was searched for since then, most often first. At most 200.
    ///
    /// # Errors
    /// Only when the database fails.
    pub async fn popular_searches(&self, since: Timestamp, limit: u32) -> Result<Vec<PopularSearch>, Error> {
        let text = "SELECT query, COUNT(*) AS count, CAST(SUM(result_count) AS bigint) AS results, MAX(at) AS last_at \
                    FROM searches WHERE at >= ? GROUP BY query ORDER BY COUNT(*) DESC, MAX(at) DESC, query LIMIT ?";
        let values = vec![since.timestamp_millis().into(), i64::from(limit.min(POPULAR_MAX)).into()];
        let found = self.read().query_all_raw(statement(self.read().get_database_backend(), text, values)).await?;
        let popular = found.into_iter().map(|row| {
            let (count, results): (i64, i64) = (row.try_get("", "count")?, row.try_get("", "results")?);
            #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
            let average_results = results as f64 / count.max(1) as f64;
            Ok(PopularSearch {
                query: row.try_get("", "query")?,
                count: count.unsigned_abs(),
                average_results,
                last_at: rows::time(row.try_get("", "last_at")?)?,
            })
        });
        Ok(popular.collect::<Result<_, sea_orm::DbErr>>()?)
    }

    /// Forgets searches of more than 90 days ago.
    pub(super) async fn purge_searches(&self, at: Timestamp) -> Result<(), Error> {
        let end = (at - REMEMBERED).timestamp_millis();
        search::Entity::delete_many().filter(search::Column::At.lt(end)).exec(self.write()).await?;
        Ok(())
    }
}

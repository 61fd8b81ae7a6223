//! Listings: offering, changing, importing and listing them. Each write keeps the search's vocabulary in step.

use std::collections::{BTreeMap, HashMap};

use sea_orm::{
    ActiveValue::NotSet, ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect, SelectExt, sea_query::OnConflict,
};

use super::{
    Store, cursor,
    entities::listing,
    rows,
    search::vocabulary::{Changes, Corpus, Indexed},
    sql::statement,
};
use crate::domain::{
    Timestamp,
    error::Error,
    ids::ListingId,
    listing::{Listing, ListingChange, ListingStatus, NewListing, Price},
};

/// The most listings that one page of a list has.
const PAGE_MAX: u64 = 200;

/// The most listings that one transaction of an import writes.
const BATCH_MAX: usize = 500;

/// Which listings a list shows; what is absent lets all pass.
#[derive(Debug, Clone, Default)]
pub struct ListingFilter {
    /// Whether it can be had.
    pub status: Option<ListingStatus>,
    /// The kind of thing, spelled as it is stored.
    pub category: Option<String>,
}

impl Store {
    /// Offers something.
    ///
    /// # Errors
    /// [`Error::Conflict`] when the id is taken, [`Error::Invalid`] as [`NewListing::checked`].
    pub async fn create_listing(&self, new: NewListing, at: Timestamp) -> Result<Listing, Error> {
        let entry = Entry::new(new.checked()?, at);
        let transaction = self.begin_indexed().await?;
        if !known(&transaction, &[entry.row.id.as_str()]).await?.is_empty() {
            return Err(Error::Conflict("listing id is already taken"));
        }
        let listing = domain(entry.row.clone())?;
        save(&transaction, &[&entry], &HashMap::new()).await?;
        transaction.commit().await?;
        Ok(listing)
    }

    /// One listing, whatever its status.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub async fn listing(&self, id: &ListingId) -> Result<Listing, Error> {
        let found = listing::Entity::find().filter(listing::Column::Id.eq(id.as_str())).one(self.read()).await?;
        Ok(domain(found.ok_or(Error::NotFound("listing"))?)?)
    }

    /// Those of these listings that there are, in the same order.
    pub(super) async fn listings_in_order(&self, ids: &[ListingId]) -> Result<Vec<Listing>, Error> {
        if ids.is_empty() {
            return Ok(vec![]);
        }
        let wanted = listing::Column::Id.is_in(ids.iter().map(ListingId::as_str));
        let found = listing::Entity::find().filter(wanted).all(self.read()).await?;
        let mut found = found.into_iter().map(domain).collect::<Result<Vec<_>, _>>()?;
        found.sort_by_key(|listing| ids.iter().position(|id| *id == listing.id));
        Ok(found)
    }

    /// A page of listings, newest first, and the cursor of the next page.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a cursor that no page gave out.
    pub async fn list_listings(
        &self,
        filter: &ListingFilter,
        cursor: Option<&str>,
        limit: u64,
    ) -> Result<(Vec<Listing>, Option<String>), Error> {
        let limit = limit.clamp(1, PAGE_MAX);
        let mut wanted = Condition::all();
        if let Some(status) = filter.status {
            wanted = wanted.add(listing::Column::Status.eq(status.as_str()));
        }
        if let Some(category) = &filter.category {
            wanted = wanted.add(listing::Column::Category.eq(category.as_str()));
        }
        if let Some(cursor) = cursor {
            wanted = wanted.add(cursor::older(cursor, listing::Column::CreatedAt, listing::Column::Id)?);
        }
        let mut found = listing::Entity::find()
            .filter(wanted)
            .order_by_desc(listing::Column::CreatedAt)
            .order_by_desc(listing::Column::Id)
            // One more tells whether there is another page.
            .limit(limit + 1)
            .all(self.read())
            .await?;
        let page = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = found.len() > page;
        found.truncate(page);
        let next = if more { found.last().map(|last| cursor::behind(last.created_at, &last.id)) } else { None };
        Ok((found.into_iter().map(domain).collect::<Result<_, _>>()?, next))
    }

    /// Changes what `change` names.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such listing, [`Error::Invalid`] as [`ListingChange::checked`].
    pub async fn change_listing(&self, id: &ListingId, change: ListingChange, at: Timestamp) -> Result<Listing, Error> {
        let change = change.checked()?;
        let transaction = self.begin_indexed().await?;
        let known = known(&transaction, &[id.as_str()]).await?;
        let row = known.get(id.as_str()).ok_or(Error::NotFound("listing"))?;
        let old = domain(row.clone())?;
        let new = NewListing {
            id: Some(old.id),
            title: change.title.unwrap_or(old.title),
            description: change.description.unwrap_or(old.description),
            category: change.category.unwrap_or(old.category),
            price: change.price.unwrap_or(old.price),
            status: change.status.unwrap_or(old.status),
        };
        let entry = Entry::new(new, at);
        let listing = domain(listing::Model { created_at: row.created_at, ..entry.row.clone() })?;
        save(&transaction, &[&entry], &known).await?;
        transaction.commit().await?;
        Ok(listing)
    }

    /// Takes a listing away for good.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub async fn delete_listing(&self, id: &ListingId) -> Result<(), Error> {
        let transaction = self.begin_indexed().await?;
        let known = known(&transaction, &[id.as_str()]).await?;
        let row = known.get(id.as_str()).ok_or(Error::NotFound("listing"))?;
        listing::Entity::delete_by_id(row.number).exec(&transaction).await?;
        let mut changes = Changes::new(Corpus::Listings);
        if is_available(row) {
            changes.remove(&indexed(row));
        }
        changes.save(&transaction).await?;
        Ok(transaction.commit().await?)
    }

    /// Offers many things; those whose id is known replace what has it. A batch of 500 is written whole or not at all.
    /// Returns how many were written. The last one with an id wins.
    ///
    /// # Errors
    /// [`Error::Invalid`], before anything is written, as [`NewListing::checked`]; else only when the database fails.
    pub async fn import_listings(&self, new: Vec<NewListing>, at: Timestamp) -> Result<u64, Error> {
        let entries: Vec<Entry> =
            new.into_iter().map(|new| Ok(Entry::new(new.checked()?, at))).collect::<Result<_, Error>>()?;
        for batch in entries.chunks(BATCH_MAX) {
            // One statement cannot write a row twice; in this map the last one has stayed.
            let batch: BTreeMap<&str, &Entry> = batch.iter().map(|entry| (entry.row.id.as_str(), entry)).collect();
            let ids: Vec<&str> = batch.keys().copied().collect();
            let batch: Vec<&Entry> = batch.into_values().collect();
            let transaction = self.begin_indexed().await?;
            let known = known(&transaction, &ids).await?;
            save(&transaction, &batch, &known).await?;
            transaction.commit().await?;
        }
        Ok(entries.len() as u64)
    }

    /// The categories in which something can be had, by name.
    ///
    /// # Errors
    /// Only when the database fails.
    pub async fn categories(&self) -> Result<Vec<String>, Error> {
        // From each category to the next one by the index: there are few of them and many listings.
        let text = "WITH RECURSIVE found(category) AS (\
                    SELECT MIN(category) FROM listings WHERE status = ? UNION ALL \
                    SELECT (SELECT MIN(category) FROM listings WHERE status = ? AND category > found.category) \
                    FROM found WHERE found.category IS NOT NULL) \
                    SELECT category FROM found WHERE category IS NOT NULL";
        let available = ListingStatus::Available.as_str();
        let backend = self.read().get_database_backend();
        let wanted = statement(backend, text, vec![available.into(), available.into()]);
        let rows = self.read().query_all_raw(wanted).await?;
        let mut found: Vec<String> =
            rows.into_iter().map(|row| row.try_get("", "category")).collect::<Result<_, DbErr>>()?;
        // The databases collate differently.
        found.sort();
        Ok(found)
    }

    /// True when something can be had.
    ///
    /// # Errors
    /// Only when the database fails.
    pub async fn has_listings(&self) -> Result<bool, Error> {
        let available = listing::Column::Status.eq(ListingStatus::Available.as_str());
        Ok(listing::Entity::find().filter(available).exists(self.read()).await?)
    }
}

/// A listing that is to be written, and what it is to be found by.
struct Entry {
    /// Its number is left to the database.
    row: listing::Model,
    indexed: Indexed,
}

impl Entry {
    /// A checked listing that is new at this time.
    fn new(new: NewListing, at: Timestamp) -> Self {
        let indexed = Indexed::of(&[&new.title, &new.category], new.description.as_deref().unwrap_or_default());
        let row = listing::Model {
            number: 0,
            id: new.id.unwrap_or_else(ListingId::generate).to_string(),
            title: new.title,
            description: new.description,
            category: new.category,
            price_cents: new.price.cents(),
            status: new.status.as_str().to_owned(),
            created_at: at.timestamp_millis(),
            updated_at: at.timestamp_millis(),
            terms: indexed.terms(),
            more_terms: indexed.more_terms(),
        };
        Self { row, indexed }
    }
}

/// What a stored row is found by.
fn indexed(row: &listing::Model) -> Indexed {
    Indexed::of(&[&row.title, &row.category], row.description.as_deref().unwrap_or_default())
}

/// The rows that have these ids.
async fn known(db: &impl ConnectionTrait, ids: &[&str]) -> Result<HashMap<String, listing::Model>, DbErr> {
    let found = listing::Entity::find().filter(listing::Column::Id.is_in(ids.iter().copied())).all(db).await?;
    Ok(found.into_iter().map(|row| (row.id.clone(), row)).collect())
}

/// Writes listings, over what was there where an id is `known`, and tells the vocabulary: only what can be had is in it.
async fn save(
    db: &impl ConnectionTrait,
    entries: &[&Entry],
    known: &HashMap<String, listing::Model>,
) -> Result<(), DbErr> {
    use listing::Column::{Category, Description, Id, MoreTerms, PriceCents, Status, Terms, Title, UpdatedAt};
    let rows = entries.iter().map(|entry| listing::ActiveModel { number: NotSet, ..entry.row.clone().into() });
    let replace = OnConflict::column(Id)
        .update_columns([Title, Description, Category, PriceCents, Status, UpdatedAt, Terms, MoreTerms])
        .to_owned();
    listing::Entity::insert_many(rows).on_conflict(replace).exec_without_returning(db).await?;
    let mut changes = Changes::new(Corpus::Listings);
    for entry in entries {
        if let Some(old) = known.get(&entry.row.id).filter(|old| is_available(old)) {
            changes.remove(&indexed(old));
        }
        if is_available(&entry.row) {
            changes.add(&entry.indexed);
        }
    }
    changes.save(db).await
}

fn is_available(row: &listing::Model) -> bool {
    row.status == ListingStatus::Available.as_str()
}

/// A row as the rest of the server knows it.
pub(super) fn domain(row: listing::Model) -> Result<Listing, DbErr> {
    Ok(Listing {
        id: ListingId::trusted(&row.id),
        title: row.title,
        description: row.description,
        category: row.category,
        price: Price::from_cents(row.price_cents),
        status: rows::word(&row.status)?,
        created_at: rows::time(row.created_at)?,
        updated_at: rows::time(row.updated_at)?,
    })
}

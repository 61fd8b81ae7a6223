//! Listings: agents keep them, everybody finds what is available.

use std::sync::Arc;

use chrono::TimeDelta;

use super::{audit, count_other, logged, only_agents, to_the_end};
use crate::{
    app::App,
    domain::{
        error::Error,
        ids::ListingId,
        listing::{Listing, ListingChange, ListingStatus, NewListing},
        search::PopularSearch,
        user::{Caller, Role},
    },
    store::ListingFilter,
};

/// A page of listings, newest first, and the cursor of the next one. Customers get what is available, whatever status
/// they ask for.
///
/// # Errors
/// [`Error::Invalid`] for a cursor that no page gave out.
pub async fn list(
    app: &App,
    caller: &Caller,
    mut filter: ListingFilter,
    cursor: Option<&str>,
    limit: u64,
) -> Result<(Vec<Listing>, Option<String>), Error> {
    if caller.user.role == Role::Customer {
        if filter.status.is_some_and(|status| status != ListingStatus::Available) {
            return Ok((vec![], None));
        }
        filter.status = Some(ListingStatus::Available);
    }
    logged(app.store.list_listings(&filter, cursor, limit).await, "list_listings")
}

/// One listing.
///
/// # Errors
/// [`Error::NotFound`], for customers also when it is not available.
pub async fn show(app: &App, caller: &Caller, id: &ListingId) -> Result<Listing, Error> {
    let listing = logged(app.store.listing(id).await, "show_listing")?;
    if caller.user.role == Role::Customer && listing.status != ListingStatus::Available {
        return Err(Error::NotFound("listing"));
    }
    Ok(listing)
}

/// Offers something.
///
/// # Errors
/// [`Error::Forbidden`] for customers, [`Error::Invalid`] for bad fields, [`Error::Conflict`] when the id is taken.
pub async fn create(app: &Arc<App>, caller: Caller, new: NewListing) -> Result<Listing, Error> {
    admit(app, &caller)?;
    let new = new.checked()?;
    let inner = app.clone();
    let done = to_the_end(app, async move {
        let listing = inner.store.create_listing(new, inner.now()).await?;
        audit(&inner, &caller, "create_listing", listing.id.as_str()).await;
        Ok(listing)
    });
    logged(done.await, "create_listing")
}

/// Changes what `change` names and leaves the rest.
///
/// # Errors
/// As [`create`], and [`Error::NotFound`].
pub async fn change(app: &Arc<App>, caller: Caller, id: ListingId, change: ListingChange) -> Result<Listing, Error> {
    admit(app, &caller)?;
    let change = change.checked()?;
    let inner = app.clone();
    let done = to_the_end(app, async move {
        let listing = inner.store.change_listing(&id, change, inner.now()).await?;
        audit(&inner, &caller, "change_listing", id.as_str()).await;
        Ok(listing)
    });
    logged(done.await, "change_listing")
}

/// Removes a listing for good.
///
/// # Errors
/// [`Error::Forbidden`] for customers, [`Error::NotFound`].
pub async fn delete(app: &Arc<App>, caller: Caller, id: ListingId) -> Result<(), Error> {
    admit(app, &caller)?;
    let inner = app.clone();
    let done = to_the_end(app, async move {
        inner.store.delete_listing(&id).await?;
        audit(&inner, &caller, "delete_listing", id.as_str()).await;
        Ok(())
    });
    logged(done.await, "delete_listing")
}

/// What people have searched for within the last `days`, most frequent first.
///
/// # Errors
/// [`Error::Forbidden`] for customers.
pub async fn popular_searches(app: &App, caller: &Caller, days: u32, limit: u32) -> Result<Vec<PopularSearch>, Error> {
    only_agents(caller)?;
    let since = app.now() - TimeDelta::days(i64::from(days));
    logged(app.store.popular_searches(since, limit).await, "popular_searches")
}

/// Lets agents write, as often as anything else, and as long as the server takes anything new.
fn admit(app: &App, caller: &Caller) -> Result<(), Error> {
    only_agents(caller)?;
    app.check_open()?;
    count_other(app, &caller.user, "write_listing")
}

//! Listings over REST: keeping them, finding them, and what people look for.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    caller::Known,
    error::ApiError,
    payload::{Payload, Query, page_size},
};
use crate::{
    app::App,
    domain::{
        error::Error,
        ids::ListingId,
        listing::{ListingChange, ListingStatus, NewListing, Price},
        search::{Filters, checked_query},
    },
    service::{
        listings,
        search::{self, Found, RESULTS, Wanted},
    },
    store::ListingFilter,
};

/// The most results of one search.
const RESULTS_MAX: u32 = 50;

/// How far back the popular searches reach, in days, unless the caller says otherwise; older ones are not kept.
const DAYS_DEFAULT: u32 = 30;
const DAYS_MAX: u32 = 90;

/// How many popular searches are listed, unless the caller says otherwise.
const POPULAR_DEFAULT: u32 = 20;
const POPULAR_MAX: u32 = 100;

type Answer = Result<Json<Value>, ApiError>;

#[derive(Deserialize)]
pub(super) struct ListQuery {
    cursor: Option<String>,
    limit: Option<u64>,
    status: Option<ListingStatus>,
    category: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SearchQuery {
    #[serde(default)]
    q: String,
    limit: Option<u32>,
    category: Option<String>,
    min_price: Option<Price>,
    max_price: Option<Price>,
}

#[derive(Deserialize)]
pub(super) struct PopularQuery {
    days: Option<u32>,
    limit: Option<u32>,
}

/// A listing id that cannot exist is answered like one that does not.
pub(super) struct ListingPath(ListingId);

impl axum::extract::FromRequestParts<Arc<App>> for ListingPath {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut axum::http::request::Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let path = Path::<String>::from_request_parts(parts, app).await;
        let id = path.ok().and_then(|Path(id)| ListingId::parse(&id).ok());
        Ok(Self(id.ok_or(Error::NotFound("listing"))?))
    }
}

pub(super) async fn list(State(app): State<Arc<App>>, Known(caller): Known, Query(query): Query<ListQuery>) -> Answer {
    let filter = ListingFilter { status: query.status, category: query.category };
    let limit = page_size(query.limit)?;
    let (listings, next) = listings::list(&app, &caller, filter, query.cursor.as_deref(), limit).await?;
    Ok(Json(json!({ "listings": listings, "nextCursor": next })))
}

pub(super) async fn show(State(app): State<Arc<App>>, Known(caller): Known, id: ListingPath) -> Answer {
    let listing = listings::show(&app, &caller, &id.0).await?;
    Ok(Json(json!({ "listing": listing })))
}

pub(super) async fn create(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    Payload(body): Payload<NewListing>,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let listing = listings::create(&app, caller, body).await?;
    Ok((StatusCode::CREATED, Json(json!({ "listing": listing }))))
}

pub(super) async fn update(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    id: ListingPath,
    Payload(body): Payload<ListingChange>,
) -> Answer {
    let listing = listings::change(&app, caller, id.0, body).await?;
    Ok(Json(json!({ "listing": listing })))
}

pub(super) async fn delete(State(app): State<Arc<App>>, Known(caller): Known, id: ListingPath) -> Answer {
    listings::delete(&app, caller, id.0).await?;
    Ok(Json(json!({ "success": true })))
}

/// The same search as over a socket; `degraded` is there when the AI has failed.
pub(super) async fn search(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    Query(query): Query<SearchQuery>,
) -> Answer {
    let limit = within(query.limit.unwrap_or(RESULTS), "limit", RESULTS_MAX)?;
    if query.min_price.zip(query.max_price).is_some_and(|(min, max)| min > max) {
        return Err(Error::invalid("minPrice is above maxPrice").into());
    }
    let within = Filters {
        category: query.category.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()),
        min_price: query.min_price,
        max_price: query.max_price,
        ..Filters::default()
    };
    let wanted = Wanted { query: checked_query(&query.q)?, within, limit, hurried: false };
    let Found { answer, results, filters, degraded } = search::search_for(&app, &caller, &wanted).await?;
    let mut body = json!({ "answer": answer, "listings": results, "filters": filters, "nextCursor": null });
    if let (true, Some(fields)) = (degraded, body.as_object_mut()) {
        fields.insert("degraded".into(), true.into());
    }
    Ok(Json(body))
}

pub(super) async fn popular(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    Query(query): Query<PopularQuery>,
) -> Answer {
    let days = within(query.days.unwrap_or(DAYS_DEFAULT), "days", DAYS_MAX)?;
    let limit = within(query.limit.unwrap_or(POPULAR_DEFAULT), "limit", POPULAR_MAX)?;
    let searches = listings::popular_searches(&app, &caller, days, limit).await?;
    Ok(Json(json!({ "searches": searches })))
}

/// A number from 1; what is above `max` counts as `max`.
fn within(number: u32, name: &'static str, max: u32) -> Result<u32, Error> {
    if number == 0 { Err(Error::Invalid(format!("{name} must be 1 or more").into())) } else { Ok(number.min(max)) }
}

//! Request bodies and queries, read strictly and refused in words.

use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Request},
    http::request::Parts,
};
use serde::de::DeserializeOwned;

use super::error::ApiError;
use crate::domain::error::Error;

/// The largest body, as for a frame: contract section 12.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// Entries of one page, unless the caller wants fewer or more.
const LIMIT_DEFAULT: u64 = 50;
const LIMIT_MAX: u64 = 200;

/// A JSON body; an empty one reads as `{}`.
pub(super) struct Payload<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Payload<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        if request.headers().contains_key("content-encoding") {
            return Err(Error::invalid("compressed bodies are not supported").into());
        }
        let body =
            axum::body::to_bytes(request.into_body(), BODY_BYTES_MAX).await.map_err(|error| too_large(&error))?;
        parse(&body)
    }
}

fn too_large(error: &axum::Error) -> ApiError {
    let is_length =
        std::error::Error::source(error).is_some_and(|cause| cause.is::<http_body_util::LengthLimitError>());
    if is_length {
        Error::TooLarge("the body is larger than 64 KiB".into()).into()
    } else {
        Error::invalid("the body could not be read").into()
    }
}

fn parse<T: DeserializeOwned>(body: &Bytes) -> Result<Payload<T>, ApiError> {
    let text = if body.is_empty() { &b"{}"[..] } else { body.trim_ascii_start() };
    // Derived code would take an array for the fields in their order.
    if !text.starts_with(b"{") {
        return Err(Error::invalid("malformed body: expected a JSON object").into());
    }
    let parsed = serde_json::from_slice(text);
    parsed.map(Payload).map_err(|error| Error::Invalid(format!("malformed body: {error}").into()).into())
}

/// Query parameters.
pub(super) struct Query<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let query = axum::extract::Query::try_from_uri(&parts.uri);
        let refused = |_| ApiError(Error::invalid("a query parameter is not what was expected"));
        query.map(|axum::extract::Query(value)| Self(value)).map_err(refused)
    }
}

/// How many entries a page has when the caller asks for `limit`.
pub(super) fn page_size(limit: Option<u64>) -> Result<u64, ApiError> {
    match limit.unwrap_or(LIMIT_DEFAULT) {
        0 => Err(Error::invalid("limit must be 1 or more").into()),
        limit => Ok(limit.min(LIMIT_MAX)),
    }
}

//! Errors as REST spells them: `{"error":{"code","message"}}` with a fitting status.

use std::any::Any;

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header::RETRY_AFTER},
    response::{IntoResponse, Response},
};
use serde_json::json;

use crate::domain::error::Error;

/// A refused request.
pub(super) struct ApiError(pub Error);

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl ApiError {
    /// The status that fits.
    pub(super) const fn status(&self) -> StatusCode {
        match &self.0 {
            Error::Unauthenticated(_) => StatusCode::UNAUTHORIZED,
            Error::Forbidden(_) => StatusCode::FORBIDDEN,
            Error::NotFound(_) | Error::UnknownEvent(_) => StatusCode::NOT_FOUND,
            Error::InvalidJson | Error::Invalid(_) => StatusCode::BAD_REQUEST,
            Error::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Error::Conflict(_) => StatusCode::CONFLICT,
            Error::RateLimited { .. } => StatusCode::TOO_MANY_REQUESTS,
            Error::AiUnavailable(_) | Error::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Error::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// `{code, message}`.
    pub(super) fn body(&self) -> serde_json::Value {
        let mut error = json!({ "code": self.0.code(), "message": self.0.to_string() });
        if let (Some(wait), Some(fields)) = (self.0.retry_after_ms(), error.as_object_mut()) {
            fields.insert("retryAfterMs".into(), wait.into());
        }
        error
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status(), Json(json!({ "error": self.body() }))).into_response();
        let wait_s = match &self.0 {
            Error::RateLimited { retry_after } => Some(retry_after.as_secs().max(1)),
            Error::Unavailable(_) => Some(2),
            _ => None,
        };
        if let Some(wait_s) = wait_s {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait_s));
        }
        response
    }
}

/// No route has this path.
pub(super) async fn no_such_page() -> ApiError {
    Error::NotFound("page").into()
}

/// The path exists, for another method.
pub(super) async fn method_not_allowed() -> Response {
    let body = json!({ "error": { "code": "INVALID", "message": "This path does not support that method" } });
    (StatusCode::METHOD_NOT_ALLOWED, Json(body)).into_response()
}

/// A handler panicked: the process lives, the caller gets a constant.
pub(super) fn panicked(_: Box<dyn Any + Send>) -> Response {
    tracing::error!("a request handler panicked");
    ApiError(Error::internal("panic")).into_response()
}

//! Signing up, in and out, and widget sessions.

use std::{sync::Arc, time::Instant};

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    caller::{Client, credentials},
    error::ApiError,
    payload::Payload,
};
use crate::{
    app::App,
    domain::{rfc3339, user::User},
    service::accounts,
};

/// One address may begin more sessions and accounts than one user may send messages: offices share addresses.
const ADDRESS_FACTOR: u32 = 10;

#[derive(Deserialize)]
pub(super) struct SignUp {
    email: String,
    password: String,
    #[serde(default)]
    name: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct SignIn {
    email: String,
    password: String,
}

#[derive(Deserialize)]
pub(super) struct BeginSession {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    email: Option<String>,
    #[serde(default)]
    metadata: Value,
}

fn signed_in((token, user): (String, User)) -> Json<Value> {
    Json(json!({ "token": token, "user": user }))
}

fn count(app: &App, client: &Client, kind: &'static str) -> Result<(), ApiError> {
    let limit = app.config.message_rate_limit.saturating_mul(ADDRESS_FACTOR);
    Ok(app.limits.count(&client.0.to_string(), kind, limit, Instant::now())?)
}

pub(super) async fn sign_up(
    State(app): State<Arc<App>>,
    client: Client,
    Payload(body): Payload<SignUp>,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    count(&app, &client, "sign_up")?;
    let made = accounts::sign_up(&app, &body.email, body.password, body.name.as_deref()).await?;
    Ok((StatusCode::CREATED, signed_in(made)))
}

pub(super) async fn sign_in(
    State(app): State<Arc<App>>,
    client: Client,
    Payload(body): Payload<SignIn>,
) -> Result<Json<Value>, ApiError> {
    count(&app, &client, "sign_in_from")?;
    Ok(signed_in(accounts::sign_in(&app, &body.email, body.password).await?))
}

pub(super) async fn sign_out(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Json<Value>, ApiError> {
    accounts::sign_out(&app, &credentials(&app, &headers)).await?;
    Ok(Json(json!({ "success": true })))
}

pub(super) async fn begin_session(
    State(app): State<Arc<App>>,
    client: Client,
    Payload(body): Payload<BeginSession>,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    count(&app, &client, "begin_session")?;
    let session = accounts::begin_session(&app, body.name.as_deref(), body.email.as_deref(), &body.metadata).await?;
    let body = json!({
        "sessionId": session.session_id,
        "userId": session.user.id,
        "conversationId": session.conversation.id,
        "expiresAt": rfc3339(session.expires_at),
    });
    Ok((StatusCode::CREATED, Json(body)))
}

//! Is this server well? For load balancers and people.

use std::{sync::Arc, time::Duration};

use axum::{Json, extract::State, http::StatusCode};
use serde_json::{Value, json};

use crate::app::App;

/// A database that does not answer within this is away.
const PING_LIMIT: Duration = Duration::from_secs(2);

async fn database_is_well(app: &App) -> bool {
    matches!(tokio::time::timeout(PING_LIMIT, app.store.ping()).await, Ok(Ok(())))
}

/// The status word and code of the whole server.
async fn status(app: &App) -> (StatusCode, &'static str, &'static str) {
    if app.is_draining() {
        return (StatusCode::SERVICE_UNAVAILABLE, "draining", "ok");
    }
    if database_is_well(app).await {
        (StatusCode::OK, "ok", "ok")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "unavailable")
    }
}

pub(super) async fn health(State(app): State<Arc<App>>) -> (StatusCode, Json<Value>) {
    let (code, status, database) = status(&app).await;
    let body = json!({
        "status": status,
        "version": env!("CARGO_PKG_VERSION"),
        "uptime": app.started.elapsed().as_secs(),
        "database": database,
        "redis": match &app.redis {
            None => "off",
            Some(redis) if redis.is_well() => "ok",
            Some(_) => "down",
        },
        "ai": app.assistant.provider(),
        "websocket": {
            "connections": app.hub.connection_count(),
            "status": if app.is_draining() { "draining" } else { "healthy" },
        },
    });
    (code, Json(body))
}

pub(super) async fn websocket(State(app): State<Arc<App>>) -> (StatusCode, Json<Value>) {
    let (code, status, _) = status(&app).await;
    let body = json!({
        // The word that seed 001 prints.
        "status": if code == StatusCode::OK { "healthy" } else { status },
        "connections": app.hub.connection_count(),
        "activeChats": app.hub.conversation_count(),
        "uptime": app.started.elapsed().as_secs(),
    });
    (code, Json(body))
}

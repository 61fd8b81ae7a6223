//! REST, pages and health: contract section 5.

mod accounts;
mod caller;
mod chat;
mod conversations;
mod error;
mod health;
mod listings;
mod metrics;
mod pages;
mod payload;

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{Path, Request, State},
    http::{
        HeaderName, HeaderValue, Method,
        header::{AUTHORIZATION, CONTENT_TYPE, REFERRER_POLICY, RETRY_AFTER, UPGRADE, X_CONTENT_TYPE_OPTIONS},
    },
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::{any, get, post},
};
use tower_http::{
    catch_panic::CatchPanicLayer,
    compression::CompressionLayer,
    cors::{AllowOrigin, CorsLayer},
    set_header::SetResponseHeaderLayer,
    timeout::RequestBodyTimeoutLayer,
};

use crate::{
    app::App,
    config::Origins,
    domain::error::Error,
    transport::{
        handshake,
        socketio::{self, SocketIoTransport},
        websocket::{Door, WebSocketTransport},
    },
};

/// A request body that stands still for this long is given up.
const BODY_PAUSE: Duration = Duration::from_secs(10);

/// The hint of RFC 2068 section 19.7.1, which the standard library of headers does not name.
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");

/// Carries a widget visitor's session id.
pub(crate) const SESSION_HEADER: &str = "x-session-id";

/// Everything that is served on a port.
pub fn router(app: &Arc<App>) -> Router {
    let transport = SocketIoTransport::new(app);
    let knock = move |request: Request| async move { transport.serve(request).await };
    let guarded = Router::new()
        .route(socketio::PATH, any(knock.clone()))
        .route(&format!("{}/", socketio::PATH), any(knock.clone()))
        .merge(raw(app))
        .merge(api())
        .layer(middleware::from_fn_with_state(app.clone(), check_origin));
    let nosniff = SetResponseHeaderLayer::overriding(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let referrer = SetResponseHeaderLayer::overriding(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    // Clients that keep connections learn when the server gives idle ones up, so that they do not use one at that moment.
    let keep_alive = SetResponseHeaderLayer::overriding(KEEP_ALIVE, HeaderValue::from_static("timeout=8"));
    Router::new()
        .merge(guarded)
        .merge(open())
        .layer(RequestBodyTimeoutLayer::new(BODY_PAUSE))
        .layer(cors(&app.config.cors_origin))
        .layer(nosniff)
        .layer(referrer)
        .layer(keep_alive)
        .layer(CatchPanicLayer::custom(error::panicked))
        .with_state(app.clone())
}

/// The protocols on bare WebSockets.
fn raw(app: &Arc<App>) -> Router<Arc<App>> {
    let (chat, conversation) = (WebSocketTransport::new(app), WebSocketTransport::new(app));
    let chat = move |request: Request| async move { chat.serve(request, Door::Chat) };
    let conversation = move |Path(id): Path<String>, request: Request| async move {
        conversation.serve(request, Door::Conversation(id))
    };
    Router::new().route(&app.config.ws_path, any(chat)).route("/api/v1/conversations/{id}/ws", any(conversation))
}

/// What reads or changes data.
fn api() -> Router<Arc<App>> {
    use conversations as c;
    use listings as l;
    Router::new()
        .route("/v1/auth/sign-up", post(accounts::sign_up))
        .route("/v1/auth/sign-in", post(accounts::sign_in))
        .route("/api/auth/login", post(accounts::sign_in))
        .route("/v1/auth/sign-out", post(accounts::sign_out))
        .route("/api/sessions", post(accounts::begin_session))
        .route("/api/conversations", get(c::list).post(c::create))
        .route("/api/conversations/{id}", get(c::show).patch(c::update).delete(c::delete))
        .route("/api/conversations/{id}/messages", get(c::messages).post(c::post_message))
        .route("/api/conversations/{id}/read", post(c::mark_read))
        .route("/api/conversations/{id}/assign", post(c::assign))
        .route("/api/conversations/{id}/handback", post(c::hand_back))
        .route("/api/conversations/{id}/resolve", post(c::resolve))
        .route("/api/conversations/{id}/stop", post(c::stop))
        .route("/api/coze/chat", post(chat::chat))
        .route("/v1/listings", get(l::list).post(l::create))
        .route("/v1/listings/search", get(l::search))
        .route("/v1/listings/searches/popular", get(l::popular))
        .route("/v1/listings/{id}", get(l::show).patch(l::update).delete(l::delete))
        .method_not_allowed_fallback(error::method_not_allowed)
}

/// What everybody may read.
fn open() -> Router<Arc<App>> {
    Router::new()
        .route("/health", get(health::health))
        .route("/ws/health", get(health::websocket))
        .route("/metrics", get(metrics::metrics))
        .route("/api/agents", get(conversations::personas))
        .merge(pages::router())
        .method_not_allowed_fallback(error::method_not_allowed)
        .fallback(error::no_such_page)
        .layer(CompressionLayer::new())
}

/// Pages of other origins may call only when the operator has named them.
async fn check_origin(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    match handshake::check_origin(&app.config.cors_origin, request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refusal) if request.headers().contains_key(UPGRADE) || request.uri().path().starts_with(socketio::PATH) => {
            handshake::refuse(refusal)
        }
        Err((_, why)) => error::ApiError(Error::Forbidden(why)).into_response(),
    }
}

fn cors(origins: &Origins) -> CorsLayer {
    let session = HeaderName::from_static(SESSION_HEADER);
    let layer = CorsLayer::new()
        .allow_methods([Method::GET, Method::POST, Method::PATCH, Method::DELETE])
        .allow_headers([AUTHORIZATION, CONTENT_TYPE, session])
        .expose_headers([RETRY_AFTER])
        .max_age(Duration::from_secs(600));
    match origins {
        Origins::SameOnly => layer,
        Origins::Any => layer.allow_origin(AllowOrigin::any()),
        Origins::List(list) => {
            let origins = list.iter().filter_map(|origin| HeaderValue::from_str(origin).ok());
            layer.allow_origin(AllowOrigin::list(origins)).allow_credentials(true)
        }
    }
}

//! Pages and scripts, served from the binary.

use std::sync::Arc;

use axum::{
    Router,
    extract::Path,
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH},
    },
    response::{IntoResponse, Response},
    routing::get,
};
use rust_embed::{EmbeddedFile, RustEmbed};

use super::error::ApiError;
use crate::{app::App, domain::error::Error};

/// Everything in `public/`; read from disk in debug builds, part of the binary in release builds.
#[derive(RustEmbed)]
#[folder = "public/"]
struct Public;

/// Nothing inline, nothing from elsewhere, framed by nobody.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; \
    connect-src 'self' ws: wss:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// The routes of pages. Socket.IO servers serve their browser client below their own path, so this one does too.
pub(super) fn router() -> Router<Arc<App>> {
    let file = |name: &'static str| get(move |headers: HeaderMap| async move { serve(name, &headers) });
    let client = |name: &'static str| {
        get(move |headers: HeaderMap| async move { serve(&format!("vendor/socket.io/{name}"), &headers) })
    };
    let mut router =
        Router::new()
            .route("/", file("index.html"))
            .route("/websocket-test.html", file("websocket-test.html"))
            .route("/openapi.json", file("openapi.json"))
            .route("/asyncapi.json", file("asyncapi.json"))
            .route("/docs", file("docs.html"))
            .route(
                "/assets/{*path}",
                get(|Path(path): Path<String>, headers: HeaderMap| async move {
                    serve(&format!("assets/{path}"), &headers)
                }),
            );
    for name in CLIENT_FILES {
        router = router.route(&format!("/socket.io/{name}"), client(name));
    }
    router
}

/// The files of the Socket.IO browser client.
const CLIENT_FILES: &[&str] = &[
    "socket.io.js",
    "socket.io.js.map",
    "socket.io.min.js",
    "socket.io.min.js.map",
    "socket.io.esm.min.js",
    "socket.io.esm.min.js.map",
];

fn serve(path: &str, headers: &HeaderMap) -> Response {
    match Public::get(path) {
        Some(file) => found(path, &file, headers),
        None => ApiError(Error::NotFound("page")).into_response(),
    }
}

fn found(path: &str, file: &EmbeddedFile, headers: &HeaderMap) -> Response {
    let digest: String = file.metadata.sha256_hash().iter().take(12).map(|byte| format!("{byte:02x}")).collect();
    let tag = format!("\"{digest}\"");
    let is_known = headers.get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let mut response =
        if is_known { StatusCode::NOT_MODIFIED.into_response() } else { file.data.clone().into_response() };
    let kind = mime_guess::from_path(path).first_or_octet_stream();
    let kind = if kind.type_() == "text" { format!("{kind}; charset=utf-8") } else { kind.to_string() };
    let fixed = [(CONTENT_SECURITY_POLICY, POLICY), (CACHE_CONTROL, "no-cache")];
    let fixed = fixed.map(|(name, value)| (name, HeaderValue::from_static(value)));
    let made = [(CONTENT_TYPE, kind), (ETAG, tag)];
    let made = made.into_iter().filter_map(|(name, value)| Some((name, HeaderValue::from_str(&value).ok()?)));
    for (name, value) in fixed.into_iter().chain(made) {
        response.headers_mut().insert(name, value);
    }
    response
}

//! What a request must show before it is let in: its origin, a correct WebSocket handshake, room for it.
//!
//! RFC 6455 section 4.2 and contract section 12. The checks stand in front of Socket.IO and every raw endpoint alike.

use std::sync::Arc;

use axum::{
    http::{
        HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version,
        header::{
            CONNECTION, COOKIE, HOST, ORIGIN, RETRY_AFTER, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
            SEC_WEBSOCKET_VERSION, UPGRADE,
        },
    },
    response::IntoResponse,
};
use base64::Engine as _;
use bytes::Bytes;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::{
    app::App,
    config::{Config, Origins},
    domain::command::Credentials,
};

/// A refusal before there is a connection.
pub type Refusal = (StatusCode, &'static str);

/// Browsers name the page that makes them call; other programs do not.
///
/// # Errors
/// 403 for an origin that is neither ours nor allowed, or for more than one.
pub fn check_origin(config: &Origins, headers: &HeaderMap) -> Result<(), Refusal> {
    const REFUSED: Refusal = (StatusCode::FORBIDDEN, "Origin not allowed");
    let mut origins = headers.get_all(ORIGIN).iter();
    let Some(origin) = origins.next() else { return Ok(()) };
    if origins.next().is_some() {
        return Err(REFUSED);
    }
    let origin = origin.to_str().map_err(|_| REFUSED)?.to_ascii_lowercase();
    if is_own(&origin, headers) {
        return Ok(());
    }
    match config {
        Origins::Any => Ok(()),
        Origins::List(list) if list.contains(&origin) => Ok(()),
        Origins::List(_) | Origins::SameOnly => Err(REFUSED),
    }
}

/// The page comes from this very server, as the browser addresses it.
fn is_own(origin: &str, headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).map(str::to_ascii_lowercase);
    let page = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
    page.is_some() && page == host.as_deref()
}

/// Refuses new connections while the server drains, and beyond the limit of all. `opening` counts those that have a
/// transport and are not let in yet, the new one included.
///
/// # Errors
/// 503 in both cases.
pub fn check_room(app: &App, opening: usize) -> Result<(), Refusal> {
    if app.is_draining() {
        return Err((StatusCode::SERVICE_UNAVAILABLE, "The server is restarting"));
    }
    if app.hub.connection_count() + opening > app.config.max_connections {
        return Err((StatusCode::SERVICE_UNAVAILABLE, "Too many connections"));
    }
    Ok(())
}

/// Checks an opening handshake and answers its key.
///
/// # Errors
/// 400, 405 or 426 for what RFC 6455 section 4.2.1 does not allow.
pub fn accept_key<B>(request: &Request<B>) -> Result<HeaderValue, Refusal> {
    let bad = |why| (StatusCode::BAD_REQUEST, why);
    let headers = request.headers();
    if request.method() != Method::GET {
        return Err((StatusCode::METHOD_NOT_ALLOWED, "A WebSocket handshake is a GET request"));
    }
    if request.version() != Version::HTTP_11 {
        return Err(bad("A WebSocket handshake needs HTTP/1.1"));
    }
    if !headers.contains_key(HOST) {
        return Err(bad("The Host header is missing"));
    }
    if !has_word(headers, CONNECTION.as_str(), "upgrade") {
        return Err(bad("The Connection header must contain Upgrade"));
    }
    if !has_word(headers, UPGRADE.as_str(), "websocket") {
        return Err(bad("The Upgrade header must contain websocket"));
    }
    let mut versions = headers.get_all(SEC_WEBSOCKET_VERSION).iter();
    if versions.next().is_none_or(|version| version != "13") || versions.next().is_some() {
        return Err((StatusCode::UPGRADE_REQUIRED, "Only WebSocket version 13 is supported"));
    }
    let mut keys = headers.get_all(SEC_WEBSOCKET_KEY).iter();
    let (Some(key), None) = (keys.next(), keys.next()) else {
        return Err(bad("A WebSocket handshake needs one Sec-WebSocket-Key"));
    };
    let decoded = base64::engine::general_purpose::STANDARD.decode(key.as_bytes());
    if !decoded.is_ok_and(|nonce| nonce.len() == 16) {
        return Err(bad("Sec-WebSocket-Key must be 16 bytes in base64"));
    }
    HeaderValue::from_str(&derive_accept_key(key.as_bytes())).map_err(|_| bad("Sec-WebSocket-Key cannot be answered"))
}

fn has_word(headers: &HeaderMap, name: &str, word: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|item| item.trim().eq_ignore_ascii_case(word))
}

/// The answer that begins a WebSocket.
#[must_use]
pub fn switching_protocols<B: Default>(accept: HeaderValue) -> Response<B> {
    let mut response = Response::new(B::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    response
}

/// The answer to a refused handshake.
#[must_use]
pub fn refuse((status, why): Refusal) -> axum::response::Response {
    let mut response = (status, why).into_response();
    match status {
        StatusCode::UPGRADE_REQUIRED => {
            response.headers_mut().insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        }
        StatusCode::SERVICE_UNAVAILABLE => {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("2"));
        }
        _ => {}
    }
    response
}

/// The bare TCP stream behind an upgraded request, and what the client has sent beyond its handshake.
pub async fn upgraded<B>(request: Request<B>) -> Option<(Arc<TcpStream>, Bytes)> {
    let upgraded = hyper::upgrade::on(request).await.ok()?;
    let parts = upgraded.downcast::<TokioIo<TcpStream>>().ok()?;
    // A copy, because even an empty slice keeps hyper's whole read buffer alive.
    Some((Arc::new(parts.io.into_inner()), Bytes::copy_from_slice(&parts.read_buf)))
}

/// Credentials in the places that Socket.IO clients use besides `auth`: the `Authorization` header and the query.
#[must_use]
pub fn credentials(headers: &HeaderMap, query: Option<&str>) -> Credentials {
    Credentials {
        token: bearer(headers).or_else(|| parameter(query, "token")),
        session_id: parameter(query, "sessionId"),
    }
}

/// The token of an `Authorization: Bearer` header.
#[must_use]
pub fn bearer(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(axum::http::header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then(|| token.to_owned())
}

/// The token in the cookie. Browsers send cookies along whoever makes them call, so the cookie counts only for pages that are named as trusted;
/// `*` names nobody.
#[must_use]
pub fn trusted_cookie(config: &Config, headers: &HeaderMap) -> Option<String> {
    let named = match &config.cors_origin {
        Origins::Any | Origins::SameOnly => &Origins::SameOnly,
        Origins::List(_) => &config.cors_origin,
    };
    check_origin(named, headers).ok()?;
    cookie(headers, &config.auth_cookie)
}

fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(key, value)| *key == name && !value.is_empty()).map(|(_, value)| value.to_owned())
}

/// One parameter of a query string, decoded; none when it is absent or empty.
#[must_use]
pub fn parameter(query: Option<&str>, name: &str) -> Option<String> {
    let pairs = form_urlencoded::parse(query?.as_bytes());
    let mut values = pairs.filter(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    values.next().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn only_our_own_and_listed_origins_pass() {
        let list = Origins::List(vec!["https://good.example".into()]);
        let check =
            |origin| check_origin(&list, &headers(&[("host", "chat.example:3000"), ("origin", origin)])).is_ok();
        for good in ["https://good.example", "HTTPS://GOOD.example", "http://chat.example:3000"] {
            assert!(check(good), "{good}");
        }
        let bad = ["https://evil.example", "null", "https://good.example.evil", "https://evilgood.example"];
        for origin in
            bad.into_iter().chain(["https://good.example:444", "http://good.example", "https://good.example."])
        {
            assert!(!check(origin), "{origin}");
        }
        let twice = headers(&[("host", "h"), ("origin", "http://h"), ("origin", "http://h")]);
        assert!(check_origin(&Origins::Any, &twice).is_err());
        assert!(check_origin(&Origins::SameOnly, &headers(&[("host", "h")])).is_ok());
    }

    #[test]
    fn bad_handshakes_are_refused() {
        let good = [
            ("host", "chat.example"),
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        let request = |pairs: &[(&'static str, &'static str)]| {
            let mut request = Request::new(());
            *request.headers_mut() = headers(pairs);
            accept_key(&request)
        };
        assert_eq!(request(&good).unwrap(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        for skipped in 0..good.len() {
            let pairs: Vec<_> = good.iter().enumerate().filter(|(i, _)| *i != skipped).map(|(_, p)| *p).collect();
            assert!(request(&pairs).is_err(), "without {}", good[skipped].0);
        }
        let with = |at: usize, pair| {
            let mut pairs = good;
            pairs[at] = pair;
            request(&pairs)
        };
        assert_eq!(with(4, ("sec-websocket-key", "AAAA")).unwrap_err().0, 400);
        assert_eq!(with(3, ("sec-websocket-version", "8")).unwrap_err().0, 426);
    }
}

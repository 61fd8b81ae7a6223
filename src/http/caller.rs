//! Who calls: the credentials of a request, in the places that REST clients put them.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::{
    extract::{ConnectInfo, FromRequestParts},
    http::{HeaderMap, request::Parts},
};

use super::{SESSION_HEADER, error::ApiError};
use crate::{
    app::App,
    domain::{command::Credentials, error::Error, user::Caller},
    service::accounts,
    transport::handshake,
};

/// Somebody who is known. A handler that names this type cannot forget to ask.
pub(super) struct Known(pub Caller);

impl FromRequestParts<Arc<App>> for Known {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let identity = accounts::identify(app, &credentials(app, &parts.headers)).await?;
        Ok(Self(Caller { user: identity.user, connection: None, by_session: identity.by_session }))
    }
}

/// What a request presents: the `Authorization` header, the cookie, or the session header.
pub(super) fn credentials(app: &App, headers: &HeaderMap) -> Credentials {
    let session = headers.get(SESSION_HEADER).and_then(|value| value.to_str().ok());
    Credentials {
        token: handshake::bearer(headers).or_else(|| handshake::trusted_cookie(&app.config, headers)),
        session_id: session.filter(|id| !id.is_empty()).map(str::to_owned),
    }
}

/// The address of the client, as far as it can be believed.
pub(super) struct Client(pub IpAddr);

impl FromRequestParts<Arc<App>> for Client {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
        let peer = peer.ok_or_else(|| Error::internal("a request without a peer"))?;
        let is_trusted = |ip: IpAddr| app.config.trusted_proxies.iter().any(|network| network.contains(ip));
        if !is_trusted(peer) {
            return Ok(Self(peer));
        }
        // The rightmost address that no trusted proxy of ours has added.
        let forwarded = parts.headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
        let hops: Vec<IpAddr> =
            forwarded.flat_map(|list| list.split(',')).filter_map(|ip| ip.trim().parse().ok()).collect();
        Ok(Self(hops.into_iter().rev().find(|ip| !is_trusted(*ip)).unwrap_or(peer)))
    }
}

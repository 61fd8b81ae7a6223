//! Listeners, wiring and the orderly end: [`serve`] runs the web role until it is told to stop, [`work`] the worker's.

use std::{future::Future, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, extract::ConnectInfo};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt as _;

use crate::{app::App, http, service::housekeeping, transport::websocket::Only, worker};

/// A client that has not sent its request head by then is cut off; an idle connection too, a little after the time that
/// responses name (`http/mod.rs`).
const HEAD_LIMIT: Duration = Duration::from_secs(10);

/// Sent bytes that nobody acknowledges for so long end the connection: the peer is gone.
const UNACKNOWLEDGED_LIMIT: Duration = Duration::from_secs(30);

/// The largest request head.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// Out of file descriptors, accepting pauses instead of spinning.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// While draining, how many connections are cut at a time, so that their clients do not all return at once.
const CUT_BATCH: usize = 200;
const CUT_PAUSE: Duration = Duration::from_millis(50);

/// How often the connections are looked at that are still answering what was asked, or saying goodbye.
const GOODBYE_LOOKS: usize = 40;

/// How often a batch is looked at for unwritten frames before it is cut all the same.
const FLUSH_LOOKS: usize = 10;

/// A port, and the protocol that its WebSocket path is for when it is for one only.
pub struct Port {
    /// Where connections come in.
    pub listener: TcpListener,
    /// The protocol's name.
    pub only: Option<&'static str>,
}

/// Serves everything on `ports` until `shutdown` resolves, then ends in order: no new connections or sends, running
/// sends commit, answers end resumable, sockets are closed so that stock clients reconnect.
///
/// True when everything ended within the configured time.
pub async fn serve(app: Arc<App>, ports: Vec<Port>, shutdown: impl Future<Output = ()>) -> bool {
    let router = http::router(&app);
    housekeeping::start(&app);
    if app.config.with_worker {
        worker::start(&app);
    }
    tokio::select! {
        () = accept_all(&app, &ports, &router) => {}
        () = shutdown => {}
    }
    app.drain();
    tracing::info!("draining");
    let inner = app.clone();
    let ended = tokio::time::timeout(app.config.shutdown_timeout, async move {
        // Still accepting, so that health checks see the drain and new clients get their 503.
        tokio::select! {
            () = accept_all(&inner, &ports, &router) => {}
            () = end(&inner) => {}
        }
    });
    ended.await.is_ok()
}

/// Works without serving anybody until `shutdown` resolves; then finishes what it holds, or hands it to other workers.
///
/// True when everything ended within the configured time.
pub async fn work(app: Arc<App>, shutdown: impl Future<Output = ()>) -> bool {
    worker::start(&app);
    shutdown.await;
    app.drain();
    tracing::info!("draining");
    tokio::time::timeout(app.config.shutdown_timeout, end(&app)).await.is_ok()
}

/// Lets the worker finish, cuts the connections in batches, lets the tasks finish, and closes the database.
async fn end(app: &Arc<App>) {
    while app.snapshots.count() > 0 || app.jobs.held() > 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for batch in app.hub.all().chunks(CUT_BATCH) {
        // What was acknowledged a moment ago should still be heard, but one that does not read holds up nobody.
        for _ in 0..FLUSH_LOOKS {
            if batch.iter().all(|connection| connection.outbox.is_empty()) {
                break;
            }
            tokio::time::sleep(CUT_PAUSE).await;
        }
        for connection in batch {
            connection.restart();
        }
        tokio::time::sleep(CUT_PAUSE).await;
    }
    for _ in 0..GOODBYE_LOOKS {
        if app.hub.connection_count() == 0 {
            break;
        }
        tokio::time::sleep(CUT_PAUSE).await;
    }
    if let Err(error) = app.store.close().await {
        tracing::warn!(?error, "the database did not close cleanly");
    }
    app.tasks.end(app.config.shutdown_timeout).await;
}

async fn accept_all(app: &Arc<App>, ports: &[Port], router: &Router) {
    futures_util::future::join_all(ports.iter().map(|port| accept(app, port, router))).await;
}

async fn accept(app: &Arc<App>, Port { listener, only }: &Port, router: &Router) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let (router, stop, only) = (router.clone(), app.tasks.clone(), *only);
                app.tasks.spawn(async move {
                    tokio::select! {
                        () = connection(stream, peer, only, router) => {}
                        () = stop.stopped() => {}
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Serves HTTP on one TCP connection; WebSockets leave it by upgrading.
async fn connection(stream: TcpStream, peer: SocketAddr, only: Option<&'static str>, router: Router) {
    if let Err(error) = stream.set_nodelay(true).and_then(|()| set_user_timeout(&stream)) {
        tracing::debug!(%error, "cannot set the options of a connection");
    }
    let service = router.map_request(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        if let Some(only) = only {
            request.extensions_mut().insert(Only(only));
        }
        request
    });
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
        .with_upgrades()
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "an HTTP connection ended early");
    }
}

#[cfg(target_os = "linux")]
fn set_user_timeout(stream: &TcpStream) -> std::io::Result<()> {
    SockRef::from(stream).set_tcp_user_timeout(Some(UNACKNOWLEDGED_LIMIT))
}

/// Elsewhere keep-alive has to do.
#[cfg(not(target_os = "linux"))]
fn set_user_timeout(stream: &TcpStream) -> std::io::Result<()> {
    let keepalive = socket2::TcpKeepalive::new().with_time(UNACKNOWLEDGED_LIMIT);
    SockRef::from(stream).set_tcp_keepalive(&keepalive)
}

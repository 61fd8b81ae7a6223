//! A whole server but for its worker.

use std::{net::SocketAddr, sync::Arc};

use switchboard::{
    app::App,
    config::{Config, settings::Source},
    domain::Clock,
    http,
};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;

pub(crate) type Client = WebSocketStream<TcpStream>;

/// A server with these settings. Nobody works on answers and searches, unless the test does.
pub(crate) async fn start(
    settings: &[(&str, &str)],
    folder: &tempfile::TempDir,
    clock: Clock,
) -> (Arc<App>, SocketAddr) {
    let folder = folder.path().to_str().unwrap();
    let usual = [("DATA_DIR", folder), ("JWT_SECRET", "a secret for one test, 32 bytes long")];
    let settings = [&usual, settings].concat();
    let app = App::start(Config::load(&Source::fixed(&settings), false).unwrap(), clock).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let served = app.clone();
    app.tasks.spawn_until_stop(async move {
        let router = http::router(&served);
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let service = hyper_util::service::TowerToHyperService::new(router.clone());
            served.tasks.spawn_until_stop(async move {
                let stream = hyper_util::rt::TokioIo::new(stream);
                let connection = hyper::server::conn::http1::Builder::new().serve_connection(stream, service);
                connection.with_upgrades().await.unwrap();
            });
        }
    });
    (app, address)
}

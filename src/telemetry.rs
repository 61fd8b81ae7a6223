//! Log lines: readable on a terminal, JSON elsewhere. Never a token, never message text.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// What is logged unless `RUST_LOG` says otherwise. The Socket.IO and database crates log packets and statements,
/// which hold message text, at debug level; they stay at warnings unless somebody asks for them by name.
const DEFAULT_FILTER: &str = "info";

/// These crates would print packets, statements or requests; `RUST_LOG=debug` alone does not turn them on.
const QUIET: &[&str] = &[
    "socketioxide=warn",
    "engineioxide=warn",
    "sqlx=warn",
    "sea_orm=warn",
    "tungstenite=warn",
    "hyper=warn",
    "reqwest=warn",
    "async_openai=off",
];

/// Starts logging to standard error.
pub fn start(json: Option<bool>) {
    let wanted = std::env::var("RUST_LOG").unwrap_or_else(|_| DEFAULT_FILTER.into());
    let quiet = QUIET.iter().filter_map(|directive| directive.parse().ok());
    let filter = quiet.fold(EnvFilter::new(wanted), EnvFilter::add_directive);
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if json.unwrap_or_else(|| !std::io::stderr().is_terminal()) {
        lines.json().flatten_event(true).init();
    } else {
        lines.init();
    }
}

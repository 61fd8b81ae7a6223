//! Figures for Prometheus, in its text format.

use std::{
    fmt::Write as _,
    sync::{Arc, atomic::Ordering},
};

use axum::{
    extract::State,
    http::{HeaderName, header::CONTENT_TYPE},
};

use crate::app::App;

/// One figure: name, what it means, `gauge` or `counter`, value.
type Figure = (&'static str, &'static str, &'static str, u64);

pub(super) async fn metrics(State(app): State<Arc<App>>) -> ([(HeaderName, &'static str); 1], String) {
    let count = |number: usize| number as u64;
    let figures: [Figure; 6] = [
        ("switchboard_connections", "Connections of all protocols", "gauge", count(app.hub.connection_count())),
        (
            "switchboard_conversations_heard",
            "Conversations that somebody listens to",
            "gauge",
            count(app.hub.conversation_count()),
        ),
        (
            "switchboard_answers_running",
            "AI answers that are generated right now",
            "gauge",
            count(app.snapshots.count()),
        ),
        (
            "switchboard_messages_stored_total",
            "Messages stored by this process",
            "counter",
            app.messages_stored.load(Ordering::Relaxed),
        ),
        (
            "switchboard_database_statements_total",
            "Statements that this process has sent to the database",
            "counter",
            app.store.statements(),
        ),
        ("switchboard_uptime_seconds", "Seconds since the process began", "gauge", app.started.elapsed().as_secs()),
    ];
    let mut text = String::new();
    for (name, help, kind, value) in figures {
        // Writing to a String cannot fail.
        _ = writeln!(text, "# HELP {name} {help}.\n# TYPE {name} {kind}\n{name} {value}");
    }
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
}

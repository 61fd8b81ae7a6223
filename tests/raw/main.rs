//! The raw WebSocket endpoints with a whole server behind them but no worker, so that nothing happens by itself.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

mod bench;
mod patience;
mod statements;

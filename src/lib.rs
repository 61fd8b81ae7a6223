//! Switchboard: one chat server for many kinds of clients.
//!
//! Imports go down only, a line a layer; `tests/tidy` holds that.
//!
//! | layer | module | what it is |
//! |---|---|---|
//! | 7 | `main` | the command line |
//! | 6 | [`server`] | listeners, wiring, shutdown |
//! | 5 | [`transport`], [`http`], [`worker`], [`import`] | bytes in, bytes out; answers generated; files read |
//! | 4 | [`service`] | what happens |
//! | 3 | [`app`] | the handles that a use case may use |
//! | 2 | [`realtime`] | who is listening |
//! | 1 | [`dialects`], [`store`], [`assistant`], [`telemetry`], [`tokens`] | what it is called, what is remembered, who answers |
//! | 0 | [`domain`], [`config`], [`tasks`], [`demo`] | nouns, rules, settings, sample data |

pub mod app;
pub mod assistant;
pub mod config;
pub mod demo;
pub mod dialects;
pub mod domain;
pub mod http;
pub mod import;
pub mod realtime;
pub mod server;
pub mod service;
pub mod store;
pub mod tasks;
pub mod telemetry;
pub mod tokens;
pub mod transport;
pub mod worker;

//! Several processes on one Redis, as far as they can be had in one test: real Redis, real database, real outages.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]
#![expect(clippy::disallowed_methods, reason = "nothing waits for the tasks of a test but the test")]

mod bench;
mod bus;
mod jobs;
mod outage;

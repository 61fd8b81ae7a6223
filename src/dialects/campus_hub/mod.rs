//! CampusHub's listing agent: seed 000, contract section 9. Frames `{type, requestId, payload}` on `/ws`.
//!
//! | client → server | becomes |
//! |---|---|
//! | `agent.search {query}` | `Search`; its answer comes as an event, to all CampusHub connections of the asker |
//!
//! | server → client | says |
//! |---|---|
//! | `agent.response {answer, results, filters, degraded?}` | what was found; `degraded` when the AI failed and keywords were searched |
//! | `error {message, code, retryAfterMs?}` | `INVALID_QUERY`, `INVALID_JSON`, `UNKNOWN_TYPE`, `RATE_LIMITED`, `AGENT_UNAVAILABLE`, `TOO_LARGE` |
//!
//! A request without a `requestId` is answered without one.

mod decode;
mod encode;

/// Seed 000.
pub struct CampusHub;

//! The tables as sea-orm sees them; private to the store, so that a change of schema stays inside it.
//!
//! Times are milliseconds since 1970, so that both databases order them alike. `read_marks` has no entity: it is only
//! ever written by one statement of its own.

#![expect(unreachable_pub, reason = "sea-orm's derives make public types, which may not be made of less public ones")]

pub(in crate::store) mod answer;
pub(in crate::store) mod article;
pub(in crate::store) mod audit;
pub(in crate::store) mod conversation;
pub(in crate::store) mod listing;
pub(in crate::store) mod message;
pub(in crate::store) mod participant;
pub(in crate::store) mod passage;
pub(in crate::store) mod revoked_token;
pub(in crate::store) mod search;
pub(in crate::store) mod search_word;
pub(in crate::store) mod session;
pub(in crate::store) mod user;

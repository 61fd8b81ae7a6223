//! The searches that somebody here has asked for and that are not answered yet.
//!
//! This is what makes an answer come exactly once, whatever happens to workers and to Redis: whoever takes a search
//! out of here tells its end, be it an answer, a second worker's answer, or the end of patience.

use std::{collections::HashMap, sync::Mutex};

use chrono::TimeDelta;

use crate::{
    domain::{Timestamp, search::SearchJob},
    realtime::lock,
};

/// Searches that may wait for their answer; more are refused.
const ASKED_MAX: usize = 10_000;

/// After this nobody waits any more.
pub(super) const PATIENCE: TimeDelta = TimeDelta::seconds(SearchJob::PATIENCE_S);

#[derive(Default)]
pub(super) struct Asked {
    waiting: Mutex<HashMap<String, SearchJob>>,
}

impl Asked {
    /// Remembers a search. False when there are too many.
    pub(super) fn insert(&self, job: &SearchJob) -> bool {
        let mut waiting = lock(&self.waiting);
        let has_room = waiting.len() < ASKED_MAX;
        if has_room {
            waiting.insert(job.id.clone(), job.clone());
        }
        has_room
    }

    /// Takes a search, once.
    pub(super) fn take(&self, id: &str) -> Option<SearchJob> {
        lock(&self.waiting).remove(id)
    }

    /// True while nobody has told its end.
    pub(super) fn waits(&self, id: &str) -> bool {
        lock(&self.waiting).contains_key(id)
    }

    /// Takes those whose patience is over.
    pub(super) fn overdue(&self, now: Timestamp) -> Vec<SearchJob> {
        let mut waiting = lock(&self.waiting);
        waiting.extract_if(|_, job| now - job.asked_at >= PATIENCE).map(|(_, job)| job).collect()
    }
}

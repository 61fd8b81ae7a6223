//! Work for exactly one worker each.
//!
//! A job is a hint; the durable record is its row in the database. So a full queue may drop one, and the sweep that
//! looks for waiting rows finds it again.

pub mod memory;

use crate::domain::{ids::ConversationId, search::SearchJob};

/// Something to do for one worker.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Job {
    /// A conversation has a queued answer.
    Answer(ConversationId),
    /// Somebody searches the listings.
    Search(SearchJob),
}

/// Hands jobs to workers.
#[derive(Clone)]
pub enum Jobs {
    /// Workers are tasks of this process.
    Memory(memory::Memory),
}

impl Jobs {
    /// Offers a job. Never blocks.
    pub fn offer(&self, job: Job) {
        match self {
            Self::Memory(queue) => queue.offer(job),
        }
    }

    /// The next job, for exactly one caller.
    pub async fn next(&self) -> Job {
        match self {
            Self::Memory(queue) => queue.next().await,
        }
    }
}

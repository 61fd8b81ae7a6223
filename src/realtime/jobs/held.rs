//! Work that this process holds: as long as it is held, nobody else takes it over.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
};

use crate::realtime::lock;

/// What this process holds, by receipt.
#[derive(Clone, Default)]
pub(super) struct Holding {
    receipts: Arc<Mutex<HashSet<String>>>,
}

impl Holding {
    /// Takes hold. `from` is the process that asked; `receipt` names the job where it came from.
    pub(super) fn hold(&self, receipt: String, from: String) -> Held {
        lock(&self.receipts).insert(receipt.clone());
        Held { receipt, from, holding: self.clone() }
    }

    /// Everything that is held.
    pub(super) fn receipts(&self) -> Vec<String> {
        lock(&self.receipts).iter().cloned().collect()
    }

    pub(super) fn count(&self) -> usize {
        lock(&self.receipts).len()
    }
}

/// The hold on one job. Dropped without an answer (by a worker that panicked), another worker gets the job.
pub struct Held {
    pub(super) receipt: String,
    pub(super) from: String,
    holding: Holding,
}

impl Drop for Held {
    fn drop(&mut self) {
        lock(&self.holding.receipts).remove(&self.receipt);
    }
}

//! Looks into the database for rooms whose hints may have been lost.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{MissedTickBehavior, interval},
};

use crate::{
    domain::ids::ConversationId,
    realtime::{hub::Hub, lock, redis::Redis},
};

/// While Redis is away all rooms are compared this often.
const TICK: Duration = Duration::from_secs(1);

/// While it is well, so many ticks apart: a process that dies between its commit and its hint leaves no other trace.
const TICKS_WHEN_WELL: u32 = 10;

/// Compares rooms when asked to, and by itself.
pub(super) struct Comparer {
    hub: Arc<Hub>,
    redis: Redis,
    /// At most one entry for each room.
    due: Mutex<HashSet<ConversationId>>,
    wake: Notify,
}

impl Comparer {
    pub(super) fn new(hub: Arc<Hub>, redis: Redis) -> Self {
        Self { hub, redis, due: Mutex::default(), wake: Notify::new() }
    }

    /// Asks for all rooms that have listeners here.
    pub(super) fn all(&self) {
        self.add(self.hub.conversations());
    }

    /// Asks for these.
    pub(super) fn add(&self, conversations: impl IntoIterator<Item = ConversationId>) {
        lock(&self.due).extend(conversations);
        self.wake.notify_one();
    }

    /// Compares for ever.
    pub(super) async fn run(&self) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut count = 0_u32;
        loop {
            tokio::select! {
                () = self.wake.notified() => {}
                _ = ticks.tick() => {
                    count = count.wrapping_add(1);
                    if !self.redis.is_well() || count.is_multiple_of(TICKS_WHEN_WELL) {
                        lock(&self.due).extend(self.hub.conversations());
                    }
                }
            }
            self.compare().await;
        }
    }

    async fn compare(&self) {
        let due: Vec<_> = lock(&self.due).drain().collect();
        if due.is_empty() {
            return;
        }
        // What has to be looked at again waits for the next tick.
        let again = match self.hub.compare(&due).await {
            Ok(unplaced) => unplaced,
            Err(error) => {
                tracing::debug!(?error, "cannot compare rooms with the database");
                due
            }
        };
        lock(&self.due).extend(again);
    }
}

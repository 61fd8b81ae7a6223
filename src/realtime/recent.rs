//! What was the case a moment ago: maps whose entries are forgotten by age and by number.

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
    sync::Mutex,
    time::Duration,
};

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::{
    lock,
    redis::{Redis, cause},
};
use crate::domain::{Timestamp, ids::UserId, listing::Listing, search::Filters};

/// Remembers the latest entries for a while.
pub struct Recent<K, V> {
    entries: Mutex<Entries<K, V>>,
    lifetime: TimeDelta,
    entries_max: usize,
}

struct Entries<K, V> {
    values: HashMap<K, (V, u64, Timestamp)>,
    /// Oldest first, with the number of the entry that it stands for; a renewed one has a newer number.
    order: VecDeque<(K, u64)>,
    next: u64,
}

impl<K: Clone + Eq + Hash, V: Clone> Recent<K, V> {
    /// Forgets an entry after `lifetime`, and the oldest ones beyond `entries_max`.
    #[must_use]
    pub fn new(lifetime: TimeDelta, entries_max: usize) -> Self {
        let entries = Entries { values: HashMap::new(), order: VecDeque::new(), next: 0 };
        Self { entries: Mutex::new(entries), lifetime, entries_max }
    }

    /// What is remembered under `key`.
    pub fn get(&self, key: &K, now: Timestamp) -> Option<V> {
        let entries = lock(&self.entries);
        let (value, _, at) = entries.values.get(key)?;
        (now - *at < self.lifetime).then(|| value.clone())
    }

    /// Remembers `value` in place of what was there.
    pub fn put(&self, key: K, value: V, now: Timestamp) {
        let mut entries = lock(&self.entries);
        let number = entries.next;
        entries.next += 1;
        entries.values.insert(key.clone(), (value, number, now));
        entries.order.push_back((key, number));
        while entries.order.len() > self.entries_max || entries.front_is_older(now - self.lifetime) {
            entries.forget_front();
        }
    }
}

impl<K: Eq + Hash, V> Entries<K, V> {
    /// True also for a place in the order whose entry has been renewed since.
    fn front_is_older(&self, than: Timestamp) -> bool {
        let Some((key, number)) = self.order.front() else { return false };
        self.values.get(key).is_none_or(|(_, current, at)| current != number || *at <= than)
    }

    fn forget_front(&mut self) {
        if let Some((key, number)) = self.order.pop_front()
            && self.values.get(&key).is_some_and(|(_, current, _)| *current == number)
        {
            self.values.remove(&key);
        }
    }
}

/// How long "cheaper ones" refers to a search.
const LAST_SEARCH_LIFETIME: TimeDelta = TimeDelta::minutes(30);

/// A search waits no longer than this to learn what another process has answered before.
const LOOK_LIMIT: Duration = Duration::from_millis(100);

/// What a person has searched for and found last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastSearch {
    /// What was understood.
    pub filters: Filters,
    /// What was found, without descriptions.
    pub results: Vec<Listing>,
}

/// What searches leave behind for the next ones.
pub struct Searches {
    /// What the AI has made of a query, by the query and a fingerprint of the categories there are.
    pub understood: Recent<(String, u64), Filters>,
    last: Recent<UserId, LastSearch>,
    /// A person's next search may go to another process.
    redis: Option<Redis>,
}

impl Default for Searches {
    fn default() -> Self {
        Self {
            understood: Recent::new(TimeDelta::minutes(10), 10_000),
            last: Recent::new(LAST_SEARCH_LIFETIME, 5_000),
            redis: None,
        }
    }
}

impl Searches {
    /// For one of several processes.
    #[must_use]
    pub fn over_redis(redis: Redis) -> Self {
        Self { redis: Some(redis), ..Self::default() }
    }

    /// A person's last search, which "cheaper ones" refers to. Without Redis, the last one that this process knows of.
    pub async fn last_of(&self, user: &UserId, now: Timestamp) -> Option<LastSearch> {
        let here = self.last.get(user, now);
        let Some(redis) = self.redis.as_ref().filter(|redis| redis.is_well()) else { return here };
        let mut commands = redis::pipe();
        commands.get(key(redis, user));
        let found: redis::RedisResult<(Option<Vec<u8>>,)> = redis.ask_within(LOOK_LIMIT, &commands).await;
        match found {
            Ok((bytes,)) => bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()),
            Err(error) => {
                tracing::debug!(cause = cause(&error), "cannot look for a person's last search");
                here
            }
        }
    }

    /// Remembers a person's last search.
    pub async fn keep_last(&self, user: &UserId, last: LastSearch, now: Timestamp) {
        let bytes = serde_json::to_vec(&last);
        self.last.put(user.clone(), last, now);
        let Some(redis) = self.redis.as_ref().filter(|redis| redis.is_well()) else { return };
        let Ok(bytes) = bytes else { return };
        let mut commands = redis::pipe();
        commands.set_ex(key(redis, user), bytes, LAST_SEARCH_LIFETIME.num_seconds().unsigned_abs()).ignore();
        if let Err(error) = redis.ask_within::<()>(LOOK_LIMIT, &commands).await {
            tracing::debug!(cause = cause(&error), "cannot keep a person's last search");
        }
    }
}

fn key(redis: &Redis, user: &UserId) -> String {
    redis.key(&format!("last-search:{user}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_timestamp(seconds, 0).unwrap()
    }

    #[test]
    fn entries_are_forgotten_by_age() {
        let recent = Recent::new(TimeDelta::seconds(10), 100);
        recent.put("a", 1, at(0));
        assert_eq!(recent.get(&"a", at(9)), Some(1));
        assert_eq!(recent.get(&"a", at(10)), None);
        recent.put("a", 2, at(9));
        assert_eq!(recent.get(&"a", at(18)), Some(2), "renewed");
        recent.put("b", 3, at(30));
        assert_eq!(lock(&recent.entries).values.len(), 1, "old ones take no memory");
    }

    #[test]
    fn the_oldest_go_when_there_are_too_many() {
        let recent = Recent::new(TimeDelta::days(1), 3);
        for (n, key) in ["a", "b", "a", "a", "c"].into_iter().enumerate() {
            recent.put(key, n, at(0));
        }
        assert_eq!(["a", "b", "c"].map(|key| recent.get(&key, at(0))), [Some(3), None, Some(4)]);
        assert!(lock(&recent.entries).order.len() <= 3);
    }
}

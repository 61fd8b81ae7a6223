//! Who is typing, and until when that is believed.

use std::{
    collections::HashMap,
    sync::Mutex,
    time::{Duration, Instant},
};

use super::lock;
use crate::domain::{
    ids::{ConversationId, UserId},
    message::Sender,
};

/// A typing indicator ends by itself this long after its last start: contract section 7.
const TYPING_LIMIT: Duration = Duration::from_secs(3);

/// The people who type right now on this replica.
#[derive(Default)]
pub struct Typing {
    until: Mutex<HashMap<(ConversationId, UserId), (Sender, Instant)>>,
}

impl Typing {
    /// Somebody types, or still does.
    pub fn start(&self, conversation: &ConversationId, user: Sender, now: Instant) {
        let key = (conversation.clone(), user.user_id.clone());
        lock(&self.until).insert(key, (user, now + TYPING_LIMIT));
    }

    /// Somebody has stopped. The person when they had been typing.
    pub fn stop(&self, conversation: &ConversationId, user: &UserId) -> Option<Sender> {
        let mut until = lock(&self.until);
        if until.is_empty() {
            return None;
        }
        until.remove(&(conversation.clone(), user.clone())).map(|(sender, _)| sender)
    }

    /// Those who have not said for [`TYPING_LIMIT`] that they still type; each is returned once.
    pub fn expired(&self, now: Instant) -> Vec<(ConversationId, Sender)> {
        let mut until = lock(&self.until);
        let over: Vec<_> = until.extract_if(|_, (_, end)| *end <= now).collect();
        over.into_iter().map(|((conversation, _), (sender, _))| (conversation, sender)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_ends_by_itself_and_once() {
        let typing = Typing::default();
        let room = ConversationId::trusted("c");
        let start = Instant::now();
        typing.start(&room, Sender::bot("a"), start);
        typing.start(&room, Sender::bot("a"), start + Duration::from_secs(2));
        assert!(typing.expired(start + Duration::from_secs(4)).is_empty());
        assert_eq!(typing.expired(start + Duration::from_secs(5)).len(), 1);
        assert!(typing.expired(start + Duration::from_secs(9)).is_empty());
    }
}

//! How rooms come and go: with their first listener and the last one. The bus is told, because it subscribes to them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use tokio::sync::{Notify, mpsc};

use super::{connection::Connection, hub::Hub, lock, room::Room};
use crate::domain::{
    event::{self, Event},
    ids::ConversationId,
};

/// The rooms that have changed since somebody looked: for each the newest state, so it never holds more than there are
/// rooms.
#[derive(Default)]
pub(super) struct Watch {
    changed: Mutex<HashMap<event::Room, bool>>,
    wake: Notify,
}

impl Watch {
    fn note(&self, room: &event::Room, listened: bool) {
        lock(&self.changed).insert(room.clone(), listened);
        self.wake.notify_one();
    }

    /// Waits until there are changes.
    pub(super) async fn changed(&self) {
        self.wake.notified().await;
    }

    /// Takes the changes that there are: true for a room that has listeners now.
    pub(super) fn take(&self) -> HashMap<event::Room, bool> {
        std::mem::take(&mut *lock(&self.changed))
    }
}

impl Hub {
    /// From now on `watch` learns which rooms have listeners here. Called once, before anybody listens.
    pub(super) fn watched_by(&self, watch: Arc<Watch>) {
        // A second call would change nothing; there is one bus.
        self.watch.get_or_init(|| watch);
    }

    /// Called under the lock of all rooms, so that the newest state is the last one that is noted.
    pub(super) fn note(&self, room: &event::Room, listened: bool) {
        if let Some(watch) = self.watch.get() {
            watch.note(room, listened);
        }
    }

    /// Does something in a room, which is there afterwards. What comes in between finds it, or waits.
    pub(super) fn in_room<T>(&self, room: event::Room, act: impl FnOnce(&mut Room) -> T) -> T {
        let mut rooms = lock(&self.rooms);
        let state = rooms.entry(room).or_insert_with_key(|room| {
            self.note(room, true);
            Arc::default()
        });
        act(&mut lock(state))
    }

    /// Takes a member out; a room that nobody is in any more is gone.
    pub(super) fn exit(&self, room: &event::Room, connection: &Connection) {
        let mut rooms = lock(&self.rooms);
        let Some(state) = rooms.get(room) else { return };
        let mut inside = lock(state);
        inside.members.remove(&connection.id);
        let is_empty = inside.is_empty();
        drop(inside);
        if is_empty {
            rooms.remove(room);
            self.note(room, false);
        }
    }

    /// Makes everybody leave a conversation that is gone.
    pub fn empty(&self, conversation: &ConversationId) {
        let key = event::Room::Conversation(conversation.clone());
        let room = {
            let mut rooms = lock(&self.rooms);
            rooms.remove(&key).inspect(|_| self.note(&key, false))
        };
        if let Some(room) = room {
            for member in lock(&room).members.values() {
                member.connection.expel(conversation);
            }
        }
    }

    /// Listens in on a conversation without being a connection; for requests that wait for an answer.
    #[must_use]
    pub fn tap(&self, conversation: &ConversationId) -> mpsc::Receiver<Event> {
        let room = event::Room::Conversation(conversation.clone());
        self.in_room(room, Room::tap)
    }

    /// Drops the rooms that only closed taps have kept.
    pub fn sweep(&self) {
        lock(&self.rooms).retain(|room, state| {
            let is_empty = lock(state).is_empty();
            if is_empty {
                self.note(room, false);
            }
            !is_empty
        });
    }
}

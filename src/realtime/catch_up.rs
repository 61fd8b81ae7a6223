//! Reading the log for those who missed something of it: who joins with a backlog, who reads too slowly, and the room
//! as a whole when a message has not come.
//!
//! A connection whose queue is full is *lagging*: it gets nothing live until a task has replayed the log behind its
//! own cursor at the client's pace. Joining with a backlog is the same thing from another beginning.

use std::{sync::Arc, time::Duration};

use super::{
    connection::Connection,
    hub::Hub,
    lock,
    room::{Aftermath, Heard, Member},
};
use crate::domain::{
    event::{self, Envelope, Event, LogEntry},
    ids::ConversationId,
    message::Message,
};

/// Messages read from the log at a time for one lagging connection.
const CATCH_UP_PAGE: u64 = 100;

/// How long to wait when the log cannot be read.
const RETRY: Duration = Duration::from_millis(500);

/// How long an early message waits for its predecessor before the database is asked: two commits of one process
/// are told within microseconds of each other, in either order.
const GAP_PATIENCE: Duration = Duration::from_millis(25);

impl Hub {
    /// Ends a join: from here on the connection hears what comes, after what it has still missed.
    pub fn go_live(self: &Arc<Self>, connection: &Arc<Connection>, conversation: &ConversationId) {
        if !self.try_live(connection, conversation) {
            self.catch_up(connection, conversation);
        }
    }

    /// A message that a member has not been told of yet, and will be in its turn.
    #[must_use]
    pub fn is_to_come(&self, connection: &Connection, message: &Message) -> bool {
        let Some(room) = self.room(&event::Room::Conversation(message.conversation_id.clone())) else { return false };
        let room = lock(&room);
        room.members.get(&connection.id).is_some_and(|member| Some(member.cursor) < message.seq)
    }

    /// Makes a member live when its place is the end of the log. False when something is still missing.
    fn try_live(&self, connection: &Connection, conversation: &ConversationId) -> bool {
        let Some(room) = self.room(&event::Room::Conversation(conversation.clone())) else { return true };
        let mut room = lock(&room);
        let newest = room.last_seq.unwrap_or(0);
        let Some(member) = room.members.get_mut(&connection.id) else { return true };
        if member.cursor < newest {
            return false;
        }
        let missed = self.snapshots.of(conversation).and_then(|snapshot| {
            let chunk = member.missed(conversation, &snapshot)?;
            Some((chunk, Heard::of(&snapshot)))
        });
        if let Some((chunk, heard)) = missed {
            if !self.encoded(&Event::AnswerChunk(chunk)).push(connection, false) {
                return false;
            }
            member.chunk = Some(heard);
        }
        member.live = true;
        true
    }

    /// Replays the log for one connection, at its own pace, until it is live again or has joined anew.
    fn catch_up(self: &Arc<Self>, connection: &Arc<Connection>, conversation: &ConversationId) {
        let room = event::Room::Conversation(conversation.clone());
        let Some(epoch) = self.room(&room).and_then(|room| Some(lock(&room).members.get(&connection.id)?.epoch)) else {
            return;
        };
        let replay =
            Replay { hub: self.clone(), connection: connection.clone(), conversation: conversation.clone(), epoch };
        self.tasks.spawn_until_stop(async move { replay.run().await });
    }

    /// Does what a delivery has left to do.
    pub(super) fn settle(self: &Arc<Self>, conversation: &ConversationId, aftermath: Aftermath) {
        for connection in aftermath.lagging {
            self.catch_up(&connection, conversation);
        }
        if aftermath.gap {
            let (hub, conversation) = (self.clone(), conversation.clone());
            self.tasks.spawn_until_stop(async move { hub.fill_gap(&conversation).await });
        }
    }

    /// Waits a moment for messages that came out of order; then reads from the log what has not come at all.
    async fn fill_gap(self: &Arc<Self>, conversation: &ConversationId) {
        loop {
            tokio::time::sleep(GAP_PATIENCE).await;
            let Some(room) = self.room(&event::Room::Conversation(conversation.clone())) else {
                return;
            };
            let last = {
                let mut inside = lock(&room);
                if !inside.has_early() {
                    inside.searching = false;
                    return;
                }
                inside.last_seq.unwrap_or(0)
            };
            match self.store.log_after(conversation, last, CATCH_UP_PAGE).await {
                Ok(page) => {
                    for entry in page {
                        let found = Envelope::to(event::Room::Conversation(conversation.clone()), entry.into_event());
                        let aftermath = self.deliver_to(&room, found);
                        self.settle(conversation, aftermath);
                    }
                    lock(&room).forget_early();
                }
                Err(error) => tracing::warn!(conversation.id = %conversation, ?error, "cannot fill a gap yet"),
            }
        }
    }
}

/// One run through the log for one member; over as soon as the member has left or joined anew.
struct Replay {
    hub: Arc<Hub>,
    connection: Arc<Connection>,
    conversation: ConversationId,
    epoch: u64,
}

/// What became of one message of a replay.
enum Told {
    Yes,
    NoRoom,
    /// The member has left, joined anew, or heard it already.
    Over,
}

impl Replay {
    async fn run(&self) {
        while let Some(cursor) = self.cursor() {
            if !self.has_room().await {
                return;
            }
            match self.hub.store.log_after(&self.conversation, cursor, CATCH_UP_PAGE).await {
                Ok(page) => {
                    let is_last = (page.len() as u64) < CATCH_UP_PAGE;
                    if !self.tell(page).await {
                        return;
                    }
                    if is_last && self.cursor().is_none_or(|_| self.hub.try_live(&self.connection, &self.conversation))
                    {
                        return;
                    }
                }
                Err(error) => {
                    tracing::warn!(conversation.id = %self.conversation, ?error, "cannot read the log, trying again");
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    /// Waits until more may be told. A reader that is dead is cut off; one that is leaving is left to say its goodbye.
    async fn has_room(&self) -> bool {
        let outbox = &self.connection.outbox;
        if outbox.has_room().await {
            return true;
        }
        if !outbox.is_closed() {
            tracing::info!(connection.id = self.connection.id.0, "cutting a connection that does not read");
            self.connection.cut();
        }
        false
    }

    /// Does something with the member, as long as it is still the one that this replay is for.
    fn with_member<T>(&self, act: impl FnOnce(&mut Member) -> T) -> Option<T> {
        let room = self.hub.room(&event::Room::Conversation(self.conversation.clone()))?;
        let mut room = lock(&room);
        let member = room.members.get_mut(&self.connection.id)?;
        (member.epoch == self.epoch && !member.live).then(|| act(member))
    }

    fn cursor(&self) -> Option<u64> {
        self.with_member(|member| member.cursor)
    }

    /// Tells a page, waiting for room as long as the reader reads. False when the replay is over.
    async fn tell(&self, page: Vec<LogEntry>) -> bool {
        for entry in page {
            let Some(seq) = entry.message.seq else { continue };
            let event = entry.into_event();
            loop {
                match self.tell_one(seq, &event) {
                    Told::Yes => break,
                    Told::Over => return false,
                    Told::NoRoom => {
                        if !self.has_room().await {
                            return false;
                        }
                    }
                }
            }
        }
        true
    }

    /// Place and queue move together, under the room's lock.
    fn tell_one(&self, seq: u64, event: &Event) -> Told {
        let is_own = self.connection.is_own(event);
        let told = self.with_member(|member| {
            if seq <= member.cursor {
                return Told::Over;
            }
            let mut encoded = self.hub.encoded(event);
            let has_room = if seq <= member.past {
                encoded.push_history(&self.connection, is_own)
            } else {
                encoded.push(&self.connection, is_own)
            };
            if !has_room {
                return Told::NoRoom;
            }
            member.cursor = seq;
            Told::Yes
        });
        if is_own
            && matches!(told, Some(Told::Yes))
            && let Event::MessagePosted(message) = event
        {
            self.connection.forget_own(&message.id);
        }
        told.unwrap_or(Told::Over)
    }
}

//! Reading the log for those who missed something of it: who joins with a backlog, who reads too slowly, and the room
//! as a whole when a message has not come.
//!
//! A connection whose queue is full is *lagging*: it gets nothing live until a task has replayed the log behind its
//! own cursor at the client's pace. Joining with a backlog is the same thing from another beginning.

use std::{sync::Arc, time::Duration};

use super::{
    connection::Connection,
    hub::{Encoded, Hub},
    lock,
    room::{Aftermath, Heard},
};
use crate::domain::{
    event::{self, Envelope, Event, LogEntry},
    ids::ConversationId,
};

/// Messages read from the log at a time for one lagging connection.
const CATCH_UP_PAGE: u64 = 100;

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

    /// Makes a member live when its place is the end of the log. False when something is still missing.
    fn try_live(&self, connection: &Connection, conversation: &ConversationId) -> bool {
        let Some(room) = self.room(&event::Room::Conversation(conversation.clone())) else {
            return true;
        };
        let mut room = lock(&room);
        let newest = room.last_seq.unwrap_or(0);
        let Some(member) = room.members.get_mut(&connection.id) else {
            return true;
        };
        if member.cursor < newest {
            return false;
        }
        let missed = self.snapshots.of(conversation).and_then(|snapshot| {
            let chunk = member.missed(conversation, &snapshot)?;
            Some((chunk, Heard::of(&snapshot)))
        });
        if let Some((chunk, heard)) = missed {
            if !Encoded::new(&Event::AnswerChunk(chunk)).push(connection, false) {
                return false;
            }
            member.chunk = Some(heard);
        }
        member.live = true;
        true
    }

    /// Replays the log for one connection, at its own pace, until it is live again.
    fn catch_up(self: &Arc<Self>, connection: &Arc<Connection>, conversation: &ConversationId) {
        let (hub, connection, conversation) = (self.clone(), connection.clone(), conversation.clone());
        self.tasks.spawn_until_stop(async move {
            while connection.has_joined(&conversation) {
                if !connection.outbox.has_room().await {
                    tracing::info!(connection.id = connection.id.0, "cutting a connection that does not read");
                    connection.cut();
                    return;
                }
                if hub.replay_page(&connection, &conversation).await {
                    if hub.try_live(&connection, &conversation) {
                        return;
                    }
                    tokio::task::yield_now().await;
                }
            }
        });
    }

    /// Tells one page of the log. True when the page was the last one.
    async fn replay_page(&self, connection: &Connection, conversation: &ConversationId) -> bool {
        let Some(room) = self.room(&event::Room::Conversation(conversation.clone())) else {
            return true;
        };
        let Some(cursor) = lock(&room).members.get(&connection.id).map(|member| member.cursor) else {
            return true;
        };
        let page = match self.store.log_after(conversation, cursor, CATCH_UP_PAGE).await {
            Ok(page) => page,
            Err(error) => {
                tracing::warn!(conversation.id = %conversation, ?error, "cannot read the log, trying again");
                tokio::time::sleep(Duration::from_millis(500)).await;
                return false;
            }
        };
        let is_last = (page.len() as u64) < CATCH_UP_PAGE;
        for entry in page {
            let Some(seq) = entry.message.seq else { continue };
            if !self.replay_entry(connection, entry).await {
                return false;
            }
            if let Some(member) = lock(&room).members.get_mut(&connection.id) {
                member.cursor = seq;
            }
        }
        is_last
    }

    /// Queues one message of the log, waiting for room as long as the reader reads. False when it does not.
    async fn replay_entry(&self, connection: &Connection, entry: LogEntry) -> bool {
        let event = entry.into_event();
        let is_own = connection.is_own(&event);
        while !Encoded::new(&event).push(connection, is_own) {
            if !connection.outbox.has_room().await {
                return false;
            }
        }
        if let Event::MessagePosted(message) = &event {
            connection.forget_own(&message.id);
        }
        true
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
                        let aftermath = lock(&room).deliver(found);
                        self.settle(conversation, aftermath);
                    }
                    lock(&room).forget_early();
                }
                Err(error) => tracing::warn!(conversation.id = %conversation, ?error, "cannot fill a gap yet"),
            }
        }
    }
}

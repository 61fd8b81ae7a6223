//! Comparing rooms with the database: what no hint has told is found all the same.
//!
//! A gap in front of a message shows itself. A message whose hint was lost and that nothing follows does not, so rooms
//! are compared after everything that may have lost hints, and now and then without a reason.

use std::{sync::Arc, time::Duration};

use super::{hub::Hub, lock};
use crate::domain::{
    error::Error,
    event::{self, Envelope},
    ids::ConversationId,
};

/// Messages read from the log at a time.
const PAGE: u64 = 100;

/// What was committed a moment ago is told a moment later; only what has not come by then is read.
const PATIENCE: Duration = Duration::from_millis(25);

impl Hub {
    /// The conversations that somebody here listens to.
    pub(super) fn conversations(&self) -> Vec<ConversationId> {
        let rooms = lock(&self.rooms);
        rooms
            .keys()
            .filter_map(|room| match room {
                event::Room::Conversation(conversation) => Some(conversation.clone()),
                event::Room::User(_) | event::Room::Agents => None,
            })
            .collect()
    }

    /// Tells these rooms what the log has and they have not heard. Gives those that cannot be compared yet, because
    /// whoever joins there is still reading the log.
    ///
    /// # Errors
    /// Only when the database fails.
    pub(super) async fn compare(
        self: &Arc<Self>,
        conversations: &[ConversationId],
    ) -> Result<Vec<ConversationId>, Error> {
        let newest = self.store.last_seqs(conversations).await?;
        tokio::time::sleep(PATIENCE).await;
        let mut unplaced = vec![];
        for (conversation, newest) in newest {
            match self.heard_up_to(&conversation) {
                Heard::UpTo(seq) if seq < newest => {
                    let hub = self.clone();
                    self.tasks.spawn_until_stop(async move { hub.read_up_to(&conversation, newest).await });
                }
                Heard::Unplaced => unplaced.push(conversation),
                Heard::UpTo(_) | Heard::Nobody => {}
            }
        }
        Ok(unplaced)
    }

    fn heard_up_to(&self, conversation: &ConversationId) -> Heard {
        let Some(room) = self.room(&event::Room::Conversation(conversation.clone())) else { return Heard::Nobody };
        let room = lock(&room);
        match room.last_seq {
            Some(seq) => Heard::UpTo(seq),
            None if room.members.is_empty() => Heard::Nobody,
            None => Heard::Unplaced,
        }
    }

    /// Delivers from the log until the room has heard `newest`.
    async fn read_up_to(self: &Arc<Self>, conversation: &ConversationId, newest: u64) {
        while let Heard::UpTo(last) = self.heard_up_to(conversation)
            && last < newest
        {
            match self.store.log_after(conversation, last, PAGE).await {
                Ok(page) if page.is_empty() => return,
                Ok(page) => {
                    for entry in page {
                        let room = event::Room::Conversation(conversation.clone());
                        self.deliver(Envelope::to(room, entry.into_event()));
                    }
                }
                Err(error) => {
                    // The next comparison finds it again.
                    tracing::warn!(conversation.id = %conversation, ?error, "cannot read what a room has missed");
                    return;
                }
            }
        }
    }
}

/// How far a room has been told.
enum Heard {
    UpTo(u64),
    /// Somebody is joining and has no place yet.
    Unplaced,
    /// Nobody listens who would need an order.
    Nobody,
}

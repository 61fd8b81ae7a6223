//! One room: its members, and for a conversation how far its log has been told.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use tokio::sync::mpsc;

use super::{connection::Connection, hub::Encoded};
use crate::domain::{
    Timestamp,
    answer::Snapshot,
    event::{Chunk, Envelope, Event},
    ids::{ConnectionId, ConversationId, MessageId},
};

/// Events that wait for one request that listens in.
const TAP_EVENTS_MAX: usize = 256;

/// What has to happen after an envelope was delivered, outside the room's lock.
#[derive(Default)]
pub(super) struct Aftermath {
    /// Members whose queue was full: they are caught up from the log.
    pub lagging: Vec<Arc<Connection>>,
    /// Something is missing in front of what came: look for it.
    pub gap: bool,
}

/// The state behind a room's lock.
#[derive(Default)]
pub(super) struct Room {
    pub members: HashMap<ConnectionId, Member>,
    /// `seq` of the newest message that this room knows of; none until the first join has read the log.
    pub last_seq: Option<u64>,
    /// Messages that came before their predecessor.
    early: BTreeMap<u64, Envelope>,
    /// Somebody is looking for what is missing.
    pub searching: bool,
    /// The answer that ended last; a chunk of it that comes late is not told.
    ended: Option<MessageId>,
    /// Requests that wait for something to happen here.
    taps: Vec<mpsc::Sender<Event>>,
}

/// A connection in a room.
pub(super) struct Member {
    pub connection: Arc<Connection>,
    /// The newest `seq` that is in its queue.
    pub cursor: u64,
    /// Gets events as they come. Otherwise a task replays the log for it.
    pub live: bool,
    /// How much of the running answer it has been told.
    pub chunk: Option<Heard>,
    /// What of the log was there when it joined: told to it as the past.
    pub past: u64,
    /// Changes with each join, so that a replay that was begun before knows that it is over.
    pub epoch: u64,
}

/// How much of a running answer somebody has heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Heard {
    pub message: MessageId,
    pub index: u64,
    pub bytes: usize,
    pub utf16: usize,
}

impl Heard {
    pub(super) fn of(snapshot: &Snapshot) -> Self {
        Self {
            message: snapshot.message_id.clone(),
            index: snapshot.index,
            bytes: snapshot.content.len(),
            utf16: snapshot.content.encode_utf16().count(),
        }
    }
}

impl Room {
    /// Tells one event to everybody who is live here.
    pub(super) fn deliver(&mut self, envelope: Envelope, now: Timestamp) -> Aftermath {
        let mut aftermath = Aftermath::default();
        // Whoever waits for one certain event needs no order.
        self.tap_off(&envelope.event);
        match &envelope.event {
            Event::AnswerFinished(entry) => self.ended = Some(entry.message.id.clone()),
            Event::AnswerChunk(chunk) if self.ended.as_ref() == Some(&chunk.message) => return aftermath,
            _ => {}
        }
        match envelope.event.seq().map(|(_, seq)| seq) {
            Some(seq) => self.sequence(seq, envelope, now, &mut aftermath),
            None => self.tell(&envelope, now, &mut aftermath),
        }
        aftermath
    }

    /// The next message goes out at once, an old one is dropped, an early one waits.
    fn sequence(&mut self, seq: u64, envelope: Envelope, now: Timestamp, aftermath: &mut Aftermath) {
        match self.last_seq {
            Some(last) if seq <= last => return,
            Some(last) if seq > last + 1 => {
                self.early.insert(seq, envelope);
                aftermath.gap = !self.searching;
                self.searching = true;
                return;
            }
            // Without a known place in the log nobody is live yet, and who joins reads the log itself.
            Some(_) | None => self.advance(seq, &envelope, now, aftermath),
        }
        while let Some(last) = self.last_seq
            && let Some(next) = self.early.remove(&(last + 1))
        {
            self.advance(last + 1, &next, now, aftermath);
        }
    }

    fn advance(&mut self, seq: u64, envelope: &Envelope, now: Timestamp, aftermath: &mut Aftermath) {
        self.last_seq = Some(seq);
        let mut encoded = Encoded::new(&envelope.event, now);
        for member in self.members.values_mut().filter(|member| member.live) {
            if seq <= member.cursor {
                continue;
            }
            let is_origin = envelope.origin == Some(member.connection.id) || member.connection.is_own(&envelope.event);
            if encoded.push(&member.connection, is_origin) {
                member.cursor = seq;
                if is_origin && let Event::MessagePosted(message) = &envelope.event {
                    member.connection.forget_own(&message.id);
                }
            } else {
                member.live = false;
                aftermath.lagging.push(member.connection.clone());
            }
        }
    }

    /// What is not part of the log is told to those who can take it and skipped for the others, unless it is the end of
    /// something, which everybody must hear.
    fn tell(&mut self, envelope: &Envelope, now: Timestamp, aftermath: &mut Aftermath) {
        let must_hear = envelope.event.is_final();
        let mut encoded = Encoded::new(&envelope.event, now);
        for member in self.members.values_mut().filter(|member| member.live || must_hear) {
            let connection = &member.connection;
            let is_theirs = || connection.user().is_some_and(|user| Some(&user.id) == envelope.except_user.as_ref());
            if envelope.except_user.is_some() && is_theirs() {
                continue;
            }
            if let Event::AnswerChunk(chunk) = &envelope.event {
                if member.has_heard(chunk) {
                    continue;
                }
                let has_room = match member.with_lost(chunk) {
                    None => encoded.push(connection, false),
                    Some(longer) => Encoded::new(&Event::AnswerChunk(longer), now).push(connection, false),
                };
                if !has_room {
                    // A missing chunk would leave a hole in the text: the catch-up closes it.
                    member.live = false;
                    aftermath.lagging.push(connection.clone());
                    continue;
                }
                member.chunk = Some(Heard::of_chunk(chunk));
                continue;
            }
            let is_origin = envelope.origin == Some(connection.id);
            if must_hear {
                encoded.push_surely(connection, is_origin);
            } else {
                encoded.push(connection, is_origin);
            }
        }
    }

    /// Lets a request listen in. It misses events when it reads slower than they come.
    pub(super) fn tap(&mut self) -> mpsc::Receiver<Event> {
        let (sender, receiver) = mpsc::channel(TAP_EVENTS_MAX);
        self.taps.push(sender);
        receiver
    }

    fn tap_off(&mut self, event: &Event) {
        self.taps.retain(|tap| !tap.is_closed());
        for tap in &self.taps {
            // A full tap misses this event; whoever listens has the database to fall back on.
            tap.try_send(event.clone()).ok();
        }
    }

    /// Nobody is here, and nobody listens in.
    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty() && self.taps.iter().all(mpsc::Sender::is_closed)
    }

    /// What was found missing has been told: forget what came early and is older than that.
    pub(super) fn forget_early(&mut self) {
        let last = self.last_seq.unwrap_or(0);
        self.early.retain(|seq, _| *seq > last);
    }

    /// True while something waits for its predecessor.
    pub(super) fn has_early(&self) -> bool {
        !self.early.is_empty()
    }
}

impl Heard {
    fn of_chunk(chunk: &Chunk) -> Self {
        Self {
            message: chunk.message.clone(),
            index: chunk.index,
            bytes: chunk.content.len(),
            utf16: chunk.start_utf16 + chunk.text().encode_utf16().count(),
        }
    }
}

impl Member {
    fn has_heard(&self, chunk: &Chunk) -> bool {
        self.chunk.as_ref().is_some_and(|heard| heard.message == chunk.message && heard.index >= chunk.index)
    }

    /// A chunk that begins with what this member has not heard of the text before it, when chunks were lost.
    fn with_lost(&self, chunk: &Chunk) -> Option<Chunk> {
        let heard = self.chunk.as_ref().filter(|heard| heard.message == chunk.message);
        let (start, start_utf16) = heard.map_or((0, 0), |heard| (heard.bytes, heard.utf16));
        (start < chunk.start).then(|| Chunk { start, start_utf16, ..chunk.clone() })
    }

    /// The text that a member which was not live has missed of the running answer, as one chunk.
    pub(super) fn missed(&self, conversation: &ConversationId, snapshot: &Snapshot) -> Option<Chunk> {
        let heard = self.chunk.as_ref().filter(|heard| heard.message == snapshot.message_id);
        let (start, start_utf16) = heard.map_or((0, 0), |heard| (heard.bytes, heard.utf16));
        let is_behind = heard.is_none_or(|heard| heard.index < snapshot.index) && start < snapshot.content.len();
        is_behind.then(|| Chunk {
            conversation: conversation.clone(),
            message: snapshot.message_id.clone(),
            index: snapshot.index,
            content: snapshot.content.as_str().into(),
            start,
            start_utf16,
        })
    }
}

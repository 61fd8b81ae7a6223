//! This replica's connections and rooms, for all protocols alike; it puts events in order and in queues.
//!
//! For each conversation that somebody here listens to, the hub remembers the `seq` it told last. The next message
//! goes out at once, an older one is dropped, and a gap is filled from the database before anything later goes out.
//! So whatever hands events to [`Hub::deliver`] may lose, double and reorder them.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use super::{
    connection::{Connection, Identity},
    flusher::Flusher,
    lock,
    outbox::Outbox,
    room::{Aftermath, Heard, Member, Room},
    snapshots::Snapshots,
    watch::Watch,
};
use crate::{
    dialects::{self, Reader, Speaks, frame::Frame},
    domain::{
        Clock, Timestamp,
        answer::Snapshot,
        event::{self, Envelope, Event},
        ids::{ConnectionId, ConversationId, UserId},
        user::{Role, User},
    },
    store::Store,
    tasks::Tasks,
};

/// This replica's connections and rooms.
pub struct Hub {
    pub(super) rooms: Mutex<HashMap<event::Room, Arc<Mutex<Room>>>>,
    connections: Mutex<HashMap<ConnectionId, Arc<Connection>>>,
    /// How many connections each person has here.
    users: Mutex<HashMap<UserId, usize>>,
    /// Kept beside `connections` so that reading it takes no lock.
    count: AtomicUsize,
    next_id: AtomicU64,
    next_epoch: AtomicU64,
    flusher: Flusher,
    /// Whoever wants to know which rooms have listeners here.
    pub(super) watch: OnceLock<Arc<Watch>>,
    pub(super) store: Store,
    pub(super) snapshots: Arc<Snapshots>,
    pub(super) tasks: Tasks,
    clock: Clock,
}

/// An event, encoded once for each way in which somebody here wants it spelled.
pub(super) struct Encoded<'a> {
    event: &'a Event,
    /// When it is told.
    at: Timestamp,
    spellings: Vec<(Speaks, Reader, Vec<Frame>)>,
}

impl<'a> Encoded<'a> {
    pub(super) const fn new(event: &'a Event, at: Timestamp) -> Self {
        Self { event, at, spellings: vec![] }
    }

    /// The frames in this spelling, encoded when nobody has wanted that one before.
    fn frames(&mut self, speaks: Speaks, reader: Reader) -> &[Frame] {
        let known = self.spellings.iter().position(|(other, of, _)| (*other, of) == (speaks, &reader));
        let at = known.unwrap_or_else(|| {
            let frames = dialects::encode(speaks, self.event, &reader, self.at);
            self.spellings.push((speaks, reader, frames));
            self.spellings.len() - 1
        });
        self.spellings.get(at).map_or(&[][..], |(_, _, frames)| frames)
    }

    /// Queues the event for one connection. False when its queue has no room.
    pub(super) fn push(&mut self, connection: &Connection, is_origin: bool) -> bool {
        self.push_as(connection, connection.reader(self.event, is_origin))
    }

    /// The same for something of the past, that a connection which has just joined asked for.
    pub(super) fn push_history(&mut self, connection: &Connection, is_origin: bool) -> bool {
        self.push_as(connection, Reader { is_history: true, ..connection.reader(self.event, is_origin) })
    }

    fn push_as(&mut self, connection: &Connection, reader: Reader) -> bool {
        // Only the first frame may meet a full queue; the others of the same event follow it in any case.
        let Some((first, rest)) = self.frames(connection.speaks(), reader).split_first() else { return true };
        if connection.outbox.push(first.clone()).is_err() {
            return false;
        }
        for frame in rest {
            connection.outbox.push_reply(frame.clone());
        }
        true
    }

    /// Queues the event for one connection, also when its queue is full.
    pub(super) fn push_surely(&mut self, connection: &Connection, is_origin: bool) {
        let reader = connection.reader(self.event, is_origin);
        for frame in self.frames(connection.speaks(), reader) {
            connection.outbox.push_reply(frame.clone());
        }
    }
}

impl Hub {
    /// An empty hub.
    #[must_use]
    pub fn new(store: Store, snapshots: Arc<Snapshots>, tasks: Tasks, clock: Clock) -> Arc<Self> {
        Arc::new(Self {
            rooms: Mutex::default(),
            connections: Mutex::default(),
            users: Mutex::default(),
            count: AtomicUsize::new(0),
            // The high half is this process's own, so that ids of two replicas do not meet.
            next_id: AtomicU64::new(u64::from(rand::random::<u32>()) << 32),
            next_epoch: AtomicU64::new(1),
            flusher: Flusher::start(&tasks),
            watch: OnceLock::new(),
            store,
            snapshots,
            tasks,
            clock,
        })
    }

    /// A queue for a new connection.
    #[must_use]
    pub fn outbox(&self) -> Arc<Outbox> {
        self.flusher.outbox()
    }

    /// Registers a connection.
    #[must_use]
    pub fn connect(&self, outbox: Arc<Outbox>) -> Arc<Connection> {
        let id = ConnectionId(self.next_id.fetch_add(1, Ordering::Relaxed));
        let connection = Arc::new(Connection::new(id, outbox));
        lock(&self.connections).insert(id, connection.clone());
        self.count.fetch_add(1, Ordering::Relaxed);
        connection
    }

    /// Says who is behind a connection. True when it is this person's first one here.
    pub fn identify(&self, connection: &Arc<Connection>, identity: Identity) -> bool {
        let user = identity.user.clone();
        let known_before = connection.user().is_some();
        connection.set_identity(identity);
        if user.role == Role::Agent && !connection.is_confined() {
            self.enter(event::Room::Agents, connection);
        }
        if known_before {
            return false;
        }
        if !connection.is_confined() {
            self.enter(event::Room::User(user.id.clone()), connection);
        }
        let is_first = {
            let mut users = lock(&self.users);
            connection.set_counted(true);
            let count = users.entry(user.id.clone()).or_default();
            *count += 1;
            *count == 1
        };
        if self.connection(connection.id).is_none() {
            // It has gone meanwhile, before anybody knew whose it was.
            self.forget_person(connection, &user);
            return false;
        }
        is_first
    }

    /// A confined connection hears what is for its person from now on.
    pub fn hear_person(&self, connection: &Arc<Connection>) {
        if let Some(user) = connection.user() {
            self.enter(event::Room::User(user.id.clone()), connection);
            if self.connection(connection.id).is_none() {
                self.exit(&event::Room::User(user.id.clone()), connection);
            }
        }
    }

    /// Takes a connection out of its person's rooms. True when it was the person's last one here.
    fn forget_person(&self, connection: &Connection, user: &User) -> bool {
        self.exit(&event::Room::User(user.id.clone()), connection);
        self.exit(&event::Room::Agents, connection);
        let mut users = lock(&self.users);
        // Both who signs in and who goes may come here.
        let was_counted = usize::from(connection.set_counted(false));
        let left = users.get_mut(&user.id).map_or(0, |count| {
            *count = count.saturating_sub(was_counted);
            *count
        });
        if left == 0 {
            users.remove(&user.id);
        }
        left == 0
    }

    /// Forgets a connection and what it heard. The conversations it was in, and whether it was the person's last.
    pub fn disconnect(&self, connection: &Arc<Connection>) -> Departure {
        if lock(&self.connections).remove(&connection.id).is_none() {
            return Departure::default();
        }
        self.count.fetch_sub(1, Ordering::Relaxed);
        connection.outbox.close();
        let conversations = connection.joined();
        for conversation in &conversations {
            self.leave(connection, conversation);
        }
        let Some(user) = connection.user() else {
            return Departure::default();
        };
        let was_last = self.forget_person(connection, &user);
        Departure { was_last, user: Some(user), conversations }
    }

    /// The connection with this id.
    #[must_use]
    pub fn connection(&self, id: ConnectionId) -> Option<Arc<Connection>> {
        lock(&self.connections).get(&id).cloned()
    }

    /// All connections, in no order.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Connection>> {
        lock(&self.connections).values().cloned().collect()
    }

    /// How many connections there are.
    #[must_use]
    pub fn connection_count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// How many connections one person has here.
    #[must_use]
    pub fn connections_of(&self, user: &UserId) -> usize {
        lock(&self.users).get(user).copied().unwrap_or(0)
    }

    /// How many conversations somebody here listens to.
    #[must_use]
    pub fn conversation_count(&self) -> usize {
        lock(&self.rooms).keys().filter(|room| matches!(room, event::Room::Conversation(_))).count()
    }

    pub(super) fn room(&self, room: &event::Room) -> Option<Arc<Mutex<Room>>> {
        lock(&self.rooms).get(room).cloned()
    }

    /// Adds a member that gets everything as it comes.
    fn enter(&self, room: event::Room, connection: &Arc<Connection>) {
        let member = Member { connection: connection.clone(), cursor: 0, live: true, chunk: None, past: 0, epoch: 0 };
        self.in_room(room, |inside| inside.members.insert(connection.id, member));
    }

    /// Begins a join: events are withheld until [`Self::go_live`]. Whoever reads the log after this call misses nothing.
    /// False when the connection had joined before; it stays where it is then.
    pub fn join(&self, connection: &Arc<Connection>, conversation: &ConversationId) -> bool {
        if !connection.add_joined(conversation) {
            return false;
        }
        let member = Member {
            connection: connection.clone(),
            cursor: 0,
            live: false,
            chunk: None,
            past: 0,
            epoch: self.epoch(),
        };
        let room = event::Room::Conversation(conversation.clone());
        self.in_room(room, |inside| inside.members.insert(connection.id, member));
        if self.connection(connection.id).is_none() {
            // The connection has gone meanwhile, and its departure may have missed this room.
            self.leave(connection, conversation);
        }
        true
    }

    /// A number that no replay of the past has.
    fn epoch(&self) -> u64 {
        self.next_epoch.fetch_add(1, Ordering::Relaxed)
    }

    /// Sets a joining connection's place in the log.
    pub fn place(&self, connection: &Connection, conversation: &ConversationId, place: &Place<'_>) {
        let Some(room) = self.room(&event::Room::Conversation(conversation.clone())) else { return };
        let mut room = lock(&room);
        // Only the first one says where the log stands: for the others here, messages that are in the log already may
        // still be on their way.
        room.last_seq.get_or_insert(place.last_seq);
        if let Some(member) = room.members.get_mut(&connection.id) {
            member.chunk = place.active.map(Heard::of);
            let Some(cursor) = place.cursor else { return };
            // Who had joined before may have been told more meanwhile.
            member.cursor = if place.is_end { member.cursor.max(cursor) } else { cursor };
            member.live = false;
            member.past = place.last_seq;
            member.epoch = self.epoch();
        }
    }

    /// Ends hearing a conversation. False when the connection had not joined it.
    pub fn leave(&self, connection: &Connection, conversation: &ConversationId) -> bool {
        let had_joined = connection.remove_joined(conversation);
        self.exit(&event::Room::Conversation(conversation.clone()), connection);
        had_joined
    }

    /// The people in a conversation on this replica, each once.
    #[must_use]
    pub fn people_in(&self, conversation: &ConversationId) -> Vec<Arc<User>> {
        let Some(room) = self.room(&event::Room::Conversation(conversation.clone())) else {
            return vec![];
        };
        let mut people: Vec<_> = lock(&room).members.values().filter_map(|member| member.connection.user()).collect();
        people.sort_by(|a, b| a.id.cmp(&b.id));
        people.dedup_by(|a, b| a.id == b.id);
        people
    }

    /// Tells an envelope to one room's members.
    pub(super) fn deliver_to(&self, room: &Mutex<Room>, envelope: Envelope) -> Aftermath {
        lock(room).deliver(envelope, (self.clock)())
    }

    /// An event that is told now.
    pub(super) fn encoded<'a>(&self, event: &'a Event) -> Encoded<'a> {
        Encoded::new(event, (self.clock)())
    }

    /// Tells an event to one connection, if it can take it.
    pub fn tell(&self, connection: &Connection, event: &Event) {
        self.encoded(event).push(connection, false);
    }

    /// Tells an event to everybody in the envelope's rooms, each connection once.
    pub fn deliver(self: &Arc<Self>, envelope: Envelope) {
        if let [room] = envelope.rooms.as_slice() {
            let Some(state) = self.room(room) else { return };
            let room = room.clone();
            let aftermath = self.deliver_to(&state, envelope);
            if let event::Room::Conversation(conversation) = room {
                self.settle(&conversation, aftermath);
            }
            return;
        }
        let mut encoded = self.encoded(&envelope.event);
        let mut told = std::collections::HashSet::new();
        for state in envelope.rooms.iter().filter_map(|room| self.room(room)) {
            for member in lock(&state).members.values() {
                let connection = &member.connection;
                let is_theirs = envelope.except_user.is_some()
                    && connection.user().is_some_and(|user| Some(&user.id) == envelope.except_user.as_ref());
                if is_theirs || !told.insert(connection.id) {
                    continue;
                }
                let is_origin = envelope.origin == Some(connection.id);
                if envelope.event.is_final() {
                    encoded.push_surely(connection, is_origin);
                } else {
                    encoded.push(connection, is_origin);
                }
            }
        }
    }
}

/// Where a connection that joins stands.
pub struct Place<'a> {
    /// It has been told everything up to here. None for one that had joined before and asks for nothing of the log: it
    /// stays where it is.
    pub cursor: Option<u64>,
    /// `cursor` is the end of the log as it was read.
    pub is_end: bool,
    /// What the log was seen to have.
    pub last_seq: u64,
    /// What it has been told of a running answer.
    pub active: Option<&'a Snapshot>,
}

/// What a connection leaves behind when it goes.
#[derive(Default)]
pub struct Departure {
    /// It was the person's last connection here.
    pub was_last: bool,
    /// The person, when known.
    pub user: Option<Arc<User>>,
    /// The conversations it had joined.
    pub conversations: Vec<ConversationId>,
}

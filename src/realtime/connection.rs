//! One connection of one client, whatever protocol it speaks.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, OnceLock, Weak,
        atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering},
    },
    time::Instant,
};

use super::{
    lock,
    outbox::{Link, Outbox},
};
use crate::{
    dialects::{Reader, Speaks, frame::Frame},
    domain::{
        Timestamp,
        command::Credentials,
        error::Error,
        event::Event,
        ids::{ConnectionId, ConversationId, MessageId},
        user::User,
    },
};

/// Who a connection speaks for, and until when that holds.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The person.
    pub user: Arc<User>,
    /// Fingerprint of the credential, so that signing out finds the connections made with it.
    pub credential: String,
    /// When the credential runs out.
    pub expires_at: Option<Timestamp>,
    /// Made with a widget session.
    pub by_session: bool,
}

/// One connection. The hub and the transport share it.
pub struct Connection {
    /// Unique over all replicas.
    pub id: ConnectionId,
    /// What waits to be sent.
    pub outbox: Arc<Outbox>,
    /// When it came.
    pub since: Instant,
    /// Weak, because the link holds the connection.
    link: OnceLock<Weak<dyn Link>>,
    identity: Mutex<Option<Identity>>,
    /// What it is told in; see [`Self::heard`].
    speaks: AtomicU8,
    /// It has shown what it speaks.
    marked: AtomicBool,
    deltas: AtomicBool,
    refused: AtomicBool,
    confined: AtomicBool,
    /// It is one of its person's connections; changed under the hub's lock of people.
    counted: AtomicBool,
    joined: Mutex<HashSet<ConversationId>>,
    /// Messages that it sent and has not yet passed in the log: it is not told of those as somebody else's. With what
    /// it wants repeated beside them.
    own: Mutex<HashMap<MessageId, Option<Arc<str>>>>,
    own_count: AtomicU32,
}

impl Connection {
    /// A connection that nobody is known to be behind yet.
    #[must_use]
    pub fn new(id: ConnectionId, outbox: Arc<Outbox>) -> Self {
        Self {
            id,
            outbox,
            since: Instant::now(),
            link: OnceLock::new(),
            identity: Mutex::default(),
            speaks: AtomicU8::new(Speaks::NONE.bits()),
            marked: AtomicBool::new(false),
            deltas: AtomicBool::new(false),
            refused: AtomicBool::new(false),
            confined: AtomicBool::new(false),
            counted: AtomicBool::new(false),
            joined: Mutex::default(),
            own: Mutex::default(),
            own_count: AtomicU32::new(0),
        }
    }

    /// Gives the connection its transport. Once.
    pub fn bind(&self, link: &Arc<dyn Link>) {
        self.link.set(Arc::downgrade(link)).ok();
    }

    fn link(&self) -> Option<Arc<dyn Link>> {
        self.link.get()?.upgrade()
    }

    /// Who is behind it.
    #[must_use]
    pub fn identity(&self) -> Option<Identity> {
        lock(&self.identity).clone()
    }

    /// The person behind it.
    #[must_use]
    pub fn user(&self) -> Option<Arc<User>> {
        lock(&self.identity).as_ref().map(|identity| identity.user.clone())
    }

    pub(super) fn set_identity(&self, identity: Identity) {
        *lock(&self.identity) = Some(identity);
    }

    /// Says whether it counts among its person's connections, and returns whether it did before.
    pub(super) fn set_counted(&self, counted: bool) -> bool {
        self.counted.swap(counted, Ordering::AcqRel)
    }

    /// What an unmarked connection is told in.
    pub fn assume(&self, speaks: Speaks) {
        if !self.marked.load(Ordering::Acquire) {
            self.speaks.store(speaks.bits(), Ordering::Release);
        }
    }

    /// The client has shown that it speaks `speaks`: the first such word replaces what was assumed, later ones add.
    pub fn heard(&self, speaks: Speaks) {
        if self.marked.swap(true, Ordering::AcqRel) {
            self.speaks.fetch_or(speaks.bits(), Ordering::AcqRel);
        } else {
            self.speaks.store(speaks.bits(), Ordering::Release);
        }
    }

    /// What it is told in.
    #[must_use]
    pub fn speaks(&self) -> Speaks {
        Speaks::from_bits(self.speaks.load(Ordering::Acquire))
    }

    /// The client wants chunks without the text so far.
    pub fn want_deltas(&self, deltas: bool) {
        self.deltas.store(deltas, Ordering::Release);
    }

    /// How the frames of an event are spelled for this connection.
    #[must_use]
    pub fn reader(&self, event: &Event, is_origin: bool) -> Reader {
        let request = match event {
            Event::MessagePosted(message) if is_origin => lock(&self.own).get(&message.id).cloned().flatten(),
            _ => None,
        };
        Reader { is_origin, deltas: self.deltas.load(Ordering::Acquire), is_history: false, request }
    }

    /// From now on it hears what it joins and nothing else: its protocol has no word for the rest.
    pub fn confine(&self) {
        self.confined.store(true, Ordering::Release);
    }

    /// It hears what it joins and nothing else.
    #[must_use]
    pub fn is_confined(&self) -> bool {
        self.confined.load(Ordering::Acquire)
    }

    /// The conversations it hears.
    #[must_use]
    pub fn joined(&self) -> Vec<ConversationId> {
        lock(&self.joined).iter().cloned().collect()
    }

    /// How many conversations it hears.
    #[must_use]
    pub fn joined_count(&self) -> usize {
        lock(&self.joined).len()
    }

    /// True when it hears this conversation.
    #[must_use]
    pub fn has_joined(&self, conversation: &ConversationId) -> bool {
        lock(&self.joined).contains(conversation)
    }

    pub(super) fn add_joined(&self, conversation: &ConversationId) -> bool {
        lock(&self.joined).insert(conversation.clone())
    }

    pub(super) fn remove_joined(&self, conversation: &ConversationId) -> bool {
        lock(&self.joined).remove(conversation)
    }

    /// It is about to send this message: whoever tells it of the message meanwhile knows that it is its own.
    pub fn will_send(&self, message: MessageId, request: Option<Arc<str>>) {
        if lock(&self.own).insert(message, request).is_none() {
            self.own_count.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// The message was refused, or the connection has passed it in the log.
    pub fn forget_own(&self, message: &MessageId) {
        if self.own_count.load(Ordering::Acquire) > 0 && lock(&self.own).remove(message).is_some() {
            self.own_count.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// True for a message that it sent itself.
    #[must_use]
    pub fn is_own(&self, event: &Event) -> bool {
        let Event::MessagePosted(message) = event else {
            return false;
        };
        self.own_count.load(Ordering::Acquire) > 0 && lock(&self.own).contains_key(&message.id)
    }

    /// Sends a frame that belongs to a reply.
    pub fn reply(&self, frame: Frame) {
        self.outbox.push_reply(frame);
    }

    /// Ends the connection so that stock clients do not come back by themselves. `why` is told first, unless an answer
    /// has told it. From now on it may ask nothing more.
    pub fn refuse(&self, why: Option<&Error>) {
        if !self.refused.swap(true, Ordering::AcqRel)
            && let Some(link) = self.link()
        {
            link.refuse(why);
        }
    }

    /// It has been refused, and its goodbye may still be on the way.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.refused.load(Ordering::Acquire)
    }

    /// It no longer hears a conversation, which is gone.
    pub(super) fn expel(&self, conversation: &ConversationId) {
        self.remove_joined(conversation);
        if let Some(link) = self.link() {
            link.expelled();
        }
    }

    /// Ends the connection because the server restarts; stock clients reconnect.
    pub fn restart(&self) {
        if !self.link().is_some_and(|link| link.restart()) {
            self.cut();
        }
    }

    /// Ends the connection so that stock clients reconnect.
    pub fn cut(&self) {
        if !self.outbox.cut()
            && let Some(link) = self.link()
        {
            link.cut();
        }
    }
}

/// The fingerprint under which a credential is remembered; the credential itself is kept nowhere.
#[must_use]
pub fn fingerprint(credentials: &Credentials) -> String {
    use base64::Engine as _;
    use sha2::Digest as _;
    let secret = credentials.token.as_deref().or(credentials.session_id.as_deref()).unwrap_or_default();
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(sha2::Sha256::digest(secret.as_bytes()))
}

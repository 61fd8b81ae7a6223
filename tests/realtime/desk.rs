//! A conversation on a real database, and readers on real sockets.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

use std::{sync::Arc, time::Duration};

use chrono::DateTime;
use serde_json::Value;
use switchboard::{
    dialects::Speaks,
    domain::{
        Timestamp,
        conversation::{Kind, NewConversation},
        ids::{ConversationId, MessageId},
        message::{Content, Message},
        user::{Role, User},
    },
    realtime::{
        hub::{Hub, Place},
        snapshots::Snapshots,
    },
    store::{Draft, NewUser, Store},
    tasks::Tasks,
};
use tokio::{
    io::AsyncReadExt as _,
    net::{TcpListener, TcpStream},
    time::timeout,
};

/// One conversation and its hub.
pub(crate) struct Desk {
    pub(crate) hub: Arc<Hub>,
    store: Store,
    owner: Arc<User>,
    conversation: ConversationId,
    tasks: Tasks,
    _folder: tempfile::TempDir,
}

fn at() -> Timestamp {
    DateTime::from_timestamp(1_760_000_000, 0).unwrap()
}

impl Desk {
    pub(crate) async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}?mode=rwc", folder.path().join("log.db").display());
        let store = Store::connect(&url).await.unwrap();
        store.migrate().await.unwrap();
        let tasks = Tasks::default();
        tasks.spawn(store.clone().writer());
        let new = NewUser {
            id: None,
            email: None,
            name: "Ann".into(),
            role: Role::Customer,
            password_hash: None,
            managed: false,
        };
        let owner = Arc::new(store.create_user(new, at()).await.unwrap());
        let made = store.create_conversation(&NewConversation::default(), Kind::Support, &owner, at()).await.unwrap();
        let hub = Hub::new(store.clone(), Arc::new(Snapshots::default()), tasks.clone(), Arc::new(at));
        Self { hub, store, owner, conversation: made.id, tasks, _folder: folder }
    }

    /// Stores messages of about so many bytes without telling anybody.
    pub(crate) async fn post(&self, count: usize, bytes: usize) -> Vec<Arc<Message>> {
        let drafts = (0..count).map(|_| Draft {
            conversation: self.conversation.clone(),
            sender: self.owner.clone(),
            content: Content::parse("x".repeat(bytes)).unwrap(),
            client_message_id: None,
            agent_id: None,
            at: at(),
            message_id: MessageId::generate(),
        });
        let posted = futures_util::future::join_all(drafts.map(|draft| self.store.post(draft))).await;
        let mut messages: Vec<_> = posted.into_iter().map(|posted| posted.unwrap().message).collect();
        messages.sort_by_key(|message| message.seq);
        messages
    }

    /// A connection that joins the conversation behind `after` and is told in the support desk's words.
    pub(crate) async fn reader(&self, after: u64) -> Reader {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        let connection = self.hub.connect(self.hub.outbox());
        connection.assume(Speaks::SUPPORT_DESK);
        connection.outbox.attach(Arc::new(server));
        connection.outbox.open();
        self.hub.join(&connection, &self.conversation);
        let newest = self.store.last_seqs(std::slice::from_ref(&self.conversation)).await.unwrap();
        let newest = newest.get(&self.conversation).copied().unwrap_or(0);
        let place = Place { cursor: Some(after), is_end: after >= newest, last_seq: newest, active: None };
        self.hub.place(&connection, &self.conversation, &place);
        self.hub.go_live(&connection, &self.conversation);
        Reader { client, buffer: vec![] }
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        let (tasks, store) = (self.tasks.clone(), self.store.clone());
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(async {
                store.close().await.unwrap();
                assert!(tasks.end(Duration::from_secs(10)).await, "a task did not end");
            });
        });
    }
}

/// The client's end of a connection.
pub(crate) struct Reader {
    client: TcpStream,
    buffer: Vec<u8>,
}

impl Reader {
    /// The `seq` of everything that comes, until `count` have come.
    pub(crate) async fn read_seqs(&mut self, count: usize, deadline: Duration) -> Vec<u64> {
        let mut seqs = vec![];
        let reading = async {
            while seqs.len() < count {
                let text = self.next_text().await;
                let packet: Value = serde_json::from_str(text.strip_prefix("42").unwrap()).unwrap();
                assert_eq!(packet[0], "message_received");
                seqs.push(packet[1]["seq"].as_u64().unwrap());
            }
        };
        let ended = timeout(deadline, reading).await;
        assert!(ended.is_ok(), "only {} of {count} messages came", seqs.len());
        seqs
    }

    /// True when the server closes the socket.
    pub(crate) async fn ends(&mut self, deadline: Duration) -> bool {
        matches!(timeout(deadline, self.client.read(&mut [0; 16])).await, Ok(Ok(0) | Err(_)))
    }

    /// The payload of the next unmasked WebSocket text frame.
    async fn next_text(&mut self) -> String {
        loop {
            if let Some((start, length)) = frame(&self.buffer)
                && self.buffer.len() >= start + length
            {
                let text = String::from_utf8(self.buffer[start..start + length].to_vec()).unwrap();
                self.buffer.drain(..start + length);
                return text;
            }
            let mut bytes = vec![0; 64 * 1024];
            let count = self.client.read(&mut bytes).await.unwrap();
            assert!(count > 0, "the server closed the socket");
            self.buffer.extend_from_slice(&bytes[..count]);
        }
    }
}

/// Where the payload of the first frame begins and how long it is.
fn frame(bytes: &[u8]) -> Option<(usize, usize)> {
    match *bytes.get(1)? {
        126 => Some((4, usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().unwrap())))),
        127 => Some((10, usize::try_from(u64::from_be_bytes(bytes.get(2..10)?.try_into().unwrap())).unwrap())),
        short => Some((2, usize::from(short))),
    }
}

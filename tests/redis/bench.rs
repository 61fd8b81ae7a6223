//! A Redis to stop and start, processes on it, and listeners.

use std::{
    io::{BufRead as _, BufReader},
    net::TcpListener,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, TimeDelta};
use serde_json::Value;
use switchboard::{
    dialects::{Speaks, frame::Frame},
    domain::{
        Timestamp,
        conversation::{Kind, NewConversation},
        error::Error,
        event::{Envelope, Event, Room},
        ids::{ConversationId, MessageId, UserId},
        message::{Content, Message},
        search::SearchJob,
        user::{Role, User},
    },
    realtime::{
        bus::Bus,
        connection::Connection,
        hub::{Hub, Place},
        jobs::Jobs,
        outbox::Link,
        redis::Redis,
        snapshots::Snapshots,
    },
    store::{Draft, NewUser, Store},
    tasks::Tasks,
};
use tokio::{sync::mpsc, time::timeout};

pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// So many seconds after the tests' beginning of time.
pub(crate) fn at(seconds: i64) -> Timestamp {
    DateTime::from_timestamp(1_790_000_000, 0).unwrap() + TimeDelta::seconds(seconds)
}

/// The suite's own Redis.
pub(crate) fn shared_redis() -> String {
    std::env::var("TEST_REDIS_URL").expect("TEST_REDIS_URL is not set: run tests/run")
}

/// A prefix that no other test has.
pub(crate) fn prefix() -> String {
    format!("test-{}", uuid::Uuid::new_v4().simple())
}

/// A Redis of one test's own, which remembers nothing when it is started again.
pub(crate) struct OwnRedis {
    port: u16,
    process: Child,
}

impl OwnRedis {
    pub(crate) fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Self { port, process: serve(port) }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    pub(crate) fn start_again(&mut self) {
        self.process = serve(self.port);
    }
}

impl Drop for OwnRedis {
    fn drop(&mut self) {
        self.kill();
    }
}

fn serve(port: u16) -> Child {
    let mut process = Command::new("redis-server")
        .args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", "", "--appendonly", "no"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(process.stdout.take().unwrap()).lines();
    assert!(lines.map_while(Result::ok).any(|line| line.contains("Ready to accept connections")), "no Redis on {port}");
    process
}

/// A connection beside those of the processes, to look at what they do.
pub(crate) async fn look(url: &str) -> redis::aio::MultiplexedConnection {
    redis::Client::open(url).unwrap().get_multiplexed_async_connection().await.unwrap()
}

/// The work of one process.
pub(crate) struct Process {
    pub(crate) jobs: Jobs,
    tasks: Tasks,
}

impl Process {
    pub(crate) fn start(url: &str, prefix: &str) -> Self {
        let tasks = Tasks::default();
        let redis = Redis::open(url, prefix).unwrap();
        let node = uuid::Uuid::new_v4().to_string();
        Self { jobs: Jobs::over_redis(redis, &node, &tasks), tasks }
    }

    /// From now on nothing is heard of it.
    pub(crate) async fn die(&self) {
        assert!(self.tasks.end(DEADLINE).await);
    }
}

pub(crate) fn search(number: usize) -> SearchJob {
    SearchJob {
        id: uuid::Uuid::new_v4().to_string(),
        request_id: format!("request-{number}"),
        asker: UserId::trusted("carla"),
        query: "a desk".into(),
        asked_at: at(0),
    }
}

/// A conversation in a database that several processes share.
pub(crate) struct Town {
    pub(crate) store: Store,
    pub(crate) conversation: ConversationId,
    pub(crate) owner: Arc<User>,
    url: String,
    prefix: String,
    tasks: Tasks,
    _folder: tempfile::TempDir,
}

impl Town {
    pub(crate) async fn found(url: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = format!("sqlite://{}?mode=rwc", folder.path().join("log.db").display());
        let store = Store::connect(&file).await.unwrap();
        store.migrate().await.unwrap();
        let tasks = Tasks::default();
        tasks.spawn(store.clone().writer());
        let new = NewUser {
            id: None,
            email: None,
            name: "Carla".into(),
            role: Role::Customer,
            password_hash: None,
            managed: false,
        };
        let owner = Arc::new(store.create_user(new, at(0)).await.unwrap());
        let made = store.create_conversation(&NewConversation::default(), Kind::Support, &owner, at(0)).await.unwrap();
        let (url, prefix) = (url.to_owned(), prefix());
        Self { store, conversation: made.id, owner, url, prefix, tasks, _folder: folder }
    }

    /// Another process.
    pub(crate) fn replica(&self) -> Replica {
        let redis = Redis::open(&self.url, &self.prefix).unwrap();
        let snapshots = Arc::new(Snapshots::over_redis(redis.clone()));
        let clock = Arc::new(|| at(0));
        let hub = Hub::new(self.store.clone(), snapshots.clone(), self.tasks.clone(), clock);
        let bus = Bus::over_redis(&redis, hub.clone(), &self.tasks);
        Replica { hub, bus, snapshots, redis, store: self.store.clone() }
    }

    pub(crate) fn room(&self) -> Room {
        Room::Conversation(self.conversation.clone())
    }

    /// Stores a message without telling anybody.
    pub(crate) async fn post(&self, text: &str) -> Arc<Message> {
        let draft = Draft {
            conversation: self.conversation.clone(),
            sender: self.owner.clone(),
            content: Content::parse(text.to_owned()).unwrap(),
            client_message_id: None,
            agent_id: None,
            at: at(1),
            message_id: MessageId::generate(),
        };
        self.store.post(draft).await.unwrap().message
    }

    /// Stores a message and tells it, as a process does.
    pub(crate) async fn say(&self, replica: &Replica, text: &str) {
        let message = self.post(text).await;
        replica.bus.publish(Envelope::to(self.room(), Event::MessagePosted(message)));
    }

    /// Waits until so many processes hear a room (`room:…`) through Redis.
    pub(crate) async fn until_heard(&self, channel: &str, processes: u64) {
        let channel = format!("{}:{channel}", self.prefix);
        let mut connection = look(&self.url).await;
        let asking = async {
            loop {
                let heard: (String, u64) =
                    redis::cmd("PUBSUB").arg("NUMSUB").arg(&channel).query_async(&mut connection).await.unwrap();
                if heard.1 == processes {
                    return;
                }
            }
        };
        timeout(DEADLINE, asking).await.expect("the room is not heard");
    }

    pub(crate) async fn leave(self) {
        self.store.close().await.unwrap();
        assert!(self.tasks.end(DEADLINE).await, "a task did not end");
    }
}

/// One process with listeners.
pub(crate) struct Replica {
    pub(crate) hub: Arc<Hub>,
    pub(crate) bus: Bus,
    pub(crate) snapshots: Arc<Snapshots>,
    redis: Redis,
    store: Store,
}

impl Replica {
    /// Waits until it hears Redis; before that it takes Redis to be away.
    pub(crate) async fn until_connected(&self) {
        let connecting = async {
            while !self.redis.is_well() {
                tokio::task::yield_now().await;
            }
        };
        timeout(DEADLINE, connecting).await.expect("connected");
    }

    /// Somebody who joins a conversation at the end of its log and is told in the support desk's words.
    pub(crate) async fn listener(&self, conversation: &ConversationId) -> Listener {
        let connection = self.hub.connect(self.hub.outbox());
        connection.assume(Speaks::SUPPORT_DESK);
        let (heard, events) = mpsc::unbounded_channel();
        connection.outbox.poll_through(Arc::new(Ear(heard)));
        self.hub.join(&connection, conversation);
        let newest = self.store.last_seqs(std::slice::from_ref(conversation)).await.unwrap()[conversation];
        let place = Place { cursor: Some(newest), is_end: true, last_seq: newest, active: None };
        self.hub.place(&connection, conversation, &place);
        self.hub.go_live(&connection, conversation);
        Listener { connection, events, after: newest }
    }
}

/// A transport that keeps what it is given.
struct Ear(mpsc::UnboundedSender<(&'static str, Value)>);

impl Link for Ear {
    fn emit(&self, frame: &Frame) -> bool {
        let body = frame.json().map_or(Value::Null, |json| serde_json::from_str(json.get()).unwrap());
        self.0.send((frame.name(), body)).is_ok()
    }

    fn refuse(&self, _why: Option<&Error>) {}

    fn cut(&self) {}
}

/// Somebody who listens.
pub(crate) struct Listener {
    pub(crate) connection: Arc<Connection>,
    events: mpsc::UnboundedReceiver<(&'static str, Value)>,
    /// It joined behind this `seq`.
    pub(crate) after: u64,
}

impl Listener {
    /// The next event.
    pub(crate) async fn next(&mut self, deadline: Duration) -> (&'static str, Value) {
        let event = timeout(deadline, self.events.recv()).await.expect("nothing is heard").unwrap();
        self.connection.outbox.polled();
        event
    }

    /// The `seq` of so many messages; nothing else may come between them.
    pub(crate) async fn seqs(&mut self, count: u64) -> Vec<u64> {
        let mut seqs = vec![];
        for _ in 0..count {
            let (name, body) = self.next(DEADLINE).await;
            assert_eq!(name, "message_received");
            seqs.push(body["seq"].as_u64().unwrap());
        }
        seqs
    }

    /// Nothing has come that was not taken.
    pub(crate) fn has_heard_all(&mut self) -> bool {
        self.events.try_recv().is_err()
    }
}

//! A fresh database for each test, and the people who act in all of them.

use std::{
    panic::{AssertUnwindSafe, resume_unwind},
    sync::Arc,
};

use chrono::DateTime;
use futures_util::FutureExt;
use sea_orm::{ConnectionTrait, Database, DatabaseConnection};
use switchboard::{
    domain::{
        Timestamp,
        conversation::{Conversation, Kind, NewConversation},
        ids::{ClientMessageId, ConversationId, MessageId, UserId},
        message::Content,
        user::{Role, User},
    },
    store::{Draft, Store},
};

/// Makes two tests of each story.
macro_rules! on_both_databases {
    ($($story:ident),+ $(,)?) => {$(
        mod $story {
            #[tokio::test]
            async fn sqlite() {
                crate::bench::on_sqlite(super::$story).await;
            }

            #[tokio::test]
            async fn postgres() {
                crate::bench::on_postgres(super::$story).await;
            }
        }
    )+};
}
pub(crate) use on_both_databases;

pub(crate) async fn on_sqlite(story: impl AsyncFnOnce(Store)) {
    let folder = tempfile::tempdir().unwrap();
    // The folder between is missing, as at a first start.
    let file = folder.path().join("data").join("chat.db");
    let outcome = run(&format!("sqlite:{}", file.display()), story).await;
    outcome.unwrap_or_else(|panic| resume_unwind(panic));
}

pub(crate) async fn on_postgres(story: impl AsyncFnOnce(Store)) {
    with_postgres(async |url, _| run(&url, story).await).await;
}

/// Two replicas: each with its own writer, both on one database.
pub(crate) async fn on_two_replicas(story: impl AsyncFnOnce(Store, Store)) {
    let both = async |url: String, _: &DatabaseConnection| {
        run(&url, async |one| {
            let outcome = run(&url, async |two| story(one, two).await).await;
            outcome.unwrap_or_else(|panic| resume_unwind(panic));
        })
        .await
    };
    with_postgres(both).await;
}

/// Gives a story the URL of an empty database and a connection beside it, and drops the database afterwards.
pub(crate) async fn with_postgres(story: impl AsyncFnOnce(String, &DatabaseConnection) -> std::thread::Result<()>) {
    let server = std::env::var("TEST_POSTGRES_URL").expect("TEST_POSTGRES_URL is not set: run tests/run");
    let admin = Database::connect(&server).await.unwrap();
    let name = format!("store_{}", uuid::Uuid::new_v4().simple());
    admin.execute_unprepared(&format!("CREATE DATABASE {name}")).await.unwrap();
    let host_end = server
        .find("://")
        .and_then(|scheme| server[scheme + 3..].find('/').map(|path| scheme + 3 + path))
        .unwrap_or(server.len());
    let outcome = story(format!("{}/{name}", &server[..host_end]), &admin).await;
    let drop = format!("DROP DATABASE {name} WITH (FORCE)");
    admin.execute_unprepared(&drop).await.unwrap();
    outcome.unwrap_or_else(|panic| resume_unwind(panic));
}

/// Runs a story beside the writer; the database is closed whether it ends well or not.
pub(crate) async fn run(url: &str, story: impl AsyncFnOnce(Store)) -> std::thread::Result<()> {
    let store = Store::connect(url).await.unwrap();
    store.migrate().await.unwrap();
    let acts = async {
        let outcome = AssertUnwindSafe(story(store.clone())).catch_unwind().await;
        store.close().await.unwrap();
        outcome
    };
    let (outcome, ()) = tokio::join!(acts, store.clone().writer());
    outcome
}

/// So many seconds after the tests' beginning of time.
pub(crate) fn at(seconds: i64) -> Timestamp {
    DateTime::from_timestamp(1_790_000_000 + seconds, 0).unwrap()
}

fn person(id: &str, role: Role) -> Arc<User> {
    Arc::new(User { id: UserId::trusted(id), name: id.to_uppercase(), email: None, role })
}

pub(crate) fn customer() -> Arc<User> {
    person("carla", Role::Customer)
}

pub(crate) fn stranger() -> Arc<User> {
    person("stan", Role::Customer)
}

pub(crate) fn agent() -> Arc<User> {
    person("anna", Role::Agent)
}

/// A conversation of Carla's.
pub(crate) async fn begin(store: &Store, kind: Kind) -> Conversation {
    let new = NewConversation::default();
    store.create_conversation(&new, kind, &customer(), at(0)).await.unwrap()
}

pub(crate) fn draft(conversation: &ConversationId, sender: &Arc<User>, text: &str) -> Draft {
    Draft {
        conversation: conversation.clone(),
        sender: Arc::clone(sender),
        content: Content::parse(text.to_owned()).unwrap(),
        client_message_id: None,
        agent_id: None,
        at: at(1),
        message_id: MessageId::generate(),
    }
}

/// A draft that may be sent twice.
pub(crate) fn keyed(conversation: &ConversationId, sender: &Arc<User>, text: &str, key: &str) -> Draft {
    Draft { client_message_id: Some(ClientMessageId::parse(key).unwrap()), ..draft(conversation, sender, text) }
}

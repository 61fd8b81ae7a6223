//! Posting: numbers without holes, one row for one id, order, access, and what it costs.

use std::{cell::Cell, collections::HashSet, sync::Arc};

use futures_util::future::join_all;
use sea_orm::ConnectionTrait;
use switchboard::{
    domain::{conversation::Kind, error::Error, ids::ConversationId, user::User},
    store::Store,
};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt},
};

use crate::bench::{
    agent, at, begin, customer, draft, keyed, on_both_databases, on_postgres, on_two_replicas, run, stranger,
    with_postgres,
};

on_both_databases!(
    two_hundred_at_once_get_numbers_without_holes,
    fifty_duplicates_at_once_make_one_row,
    the_same_id_with_other_content_is_refused,
    earlier_drafts_get_lower_numbers,
    nobody_posts_where_they_may_not,
    a_bad_draft_harms_nobody,
    an_assistant_conversation_queues_an_answer_to_each_message,
    the_last_drafts_are_stored_before_closing,
);

async fn two_hundred_at_once_get_numbers_without_holes(store: Store) {
    let id = begin(&store, Kind::Assistant).await.id;
    let posts = (0..200).map(|n| store.post(draft(&id, &customer(), &format!("message {n}"))));
    let mut seqs: Vec<u64> =
        join_all(posts).await.into_iter().map(|posted| posted.unwrap().message.seq.unwrap()).collect();
    seqs.sort_unstable();
    assert_eq!(seqs, (1..=200).collect::<Vec<u64>>());
    let log = store.log_after(&id, 0, 1000).await.unwrap();
    assert_eq!(log.len(), 200);
    assert_eq!(store.last_seqs(std::slice::from_ref(&id)).await.unwrap()[&id], 200);
}

async fn fifty_duplicates_at_once_make_one_row(store: Store) {
    let id = begin(&store, Kind::Assistant).await.id;
    let posts = (0..50).map(|_| store.post(keyed(&id, &customer(), "once", "key-1")));
    let posted: Vec<_> = join_all(posts).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(posted.iter().filter(|posted| !posted.duplicate).count(), 1);
    assert_eq!(posted.iter().filter(|posted| posted.answer.is_some()).count(), 1);
    let ids: HashSet<_> = posted.iter().map(|posted| posted.message.id.clone()).collect();
    assert_eq!(ids.len(), 1);

    let later = store.post(keyed(&id, &customer(), "once", "key-1")).await.unwrap();
    assert!(later.duplicate && ids.contains(&later.message.id));
    assert_eq!(*later.message, *posted[0].message);
    assert_eq!(store.log_after(&id, 0, 10).await.unwrap().len(), 1);
}

async fn the_same_id_with_other_content_is_refused(store: Store) {
    let id = begin(&store, Kind::Assistant).await.id;
    let (first, other) = tokio::join!(
        store.post(keyed(&id, &customer(), "one", "key")),
        store.post(keyed(&id, &customer(), "two", "key")),
    );
    assert!(!first.unwrap().duplicate);
    assert!(matches!(other, Err(Error::Conflict(_))));
    let later = store.post(keyed(&id, &customer(), "three", "key")).await;
    assert!(matches!(later, Err(Error::Conflict(_))));
    let (wrong, right) = tokio::join!(
        store.post(keyed(&id, &customer(), "three", "key")),
        store.post(keyed(&id, &customer(), "one", "key")),
    );
    assert!(matches!(wrong, Err(Error::Conflict(_))));
    assert!(right.unwrap().duplicate, "a wrong try beside it does not matter");
    // Another sender's ids are their own.
    assert!(!store.post(keyed(&id, &agent(), "three", "key")).await.unwrap().duplicate);
}

async fn earlier_drafts_get_lower_numbers(store: Store) {
    let first = begin(&store, Kind::Assistant).await.id;
    let second = begin(&store, Kind::Assistant).await.id;
    let (first_id, second_id) = (&first, &second);
    // join_all starts up to thirty futures in their order, so these are nested.
    let groups = (0..20).map(|group| {
        join_all((0..15).map(|n| {
            let id = if n % 3 == 0 { first_id } else { second_id };
            store.post(draft(id, &customer(), &(group * 15 + n).to_string()))
        }))
    });
    assert!(join_all(groups).await.iter().flatten().all(Result::is_ok));
    for id in [&first, &second] {
        let log = store.log_after(id, 0, 1000).await.unwrap();
        let order: Vec<u32> = log.iter().map(|entry| entry.message.content.parse().unwrap()).collect();
        assert!(order.is_sorted(), "{order:?}");
    }
}

async fn nobody_posts_where_they_may_not(store: Store) {
    let id = begin(&store, Kind::Support).await.id;
    for (sender, conversation) in [
        (stranger(), id.clone()),
        (agent(), ConversationId::trusted("nowhere")),
        (customer(), ConversationId::trusted("nowhere")),
    ] {
        for post in [draft(&conversation, &sender, "hello"), keyed(&conversation, &sender, "hello", "key")] {
            let refused = store.post(post).await;
            assert!(matches!(refused, Err(Error::NotFound("conversation"))), "{refused:?}");
        }
    }
    assert!(store.log_after(&id, 0, 10).await.unwrap().is_empty());
}

/// PostgreSQL cannot store the NUL in this name, SQLite can: either way the others are not harmed.
async fn a_bad_draft_harms_nobody(store: Store) {
    let id = begin(&store, Kind::Assistant).await.id;
    let carla = customer();
    let odd = Arc::new(User { name: "nul\0".to_owned(), ..User::clone(&carla) });
    let nowhere = ConversationId::trusted("nowhere");
    let (before, bad, missing, after) = tokio::join!(
        store.post(draft(&id, &carla, "before")),
        store.post(draft(&id, &odd, "bad")),
        store.post(draft(&nowhere, &carla, "missing")),
        store.post(draft(&id, &carla, "after")),
    );
    assert_eq!(before.unwrap().message.seq, Some(1));
    assert!(matches!(missing, Err(Error::NotFound(_))));
    let seq_after = if bad.is_ok() { 3 } else { 2 };
    assert_eq!(after.unwrap().message.seq, Some(seq_after));
    let log = store.log_after(&id, 0, 10).await.unwrap();
    assert_eq!(log.len() as u64, seq_after);
}

async fn an_assistant_conversation_queues_an_answer_to_each_message(store: Store) {
    let id = begin(&store, Kind::Assistant).await.id;
    for sender in [customer(), agent()] {
        assert!(store.post(draft(&id, &sender, "question")).await.unwrap().answer.is_some());
    }
    assert_eq!(store.cancel_queued(&id, at(2)).await.unwrap().len(), 2);
}

async fn the_last_drafts_are_stored_before_closing(store: Store) {
    let id = begin(&store, Kind::Assistant).await.id;
    let posts = join_all((0..20).map(|n| store.post(draft(&id, &customer(), &n.to_string()))));
    let (posted, closed) = tokio::join!(posts, store.close());
    closed.unwrap();
    assert!(posted.iter().all(Result::is_ok));
    let late = store.post(draft(&id, &customer(), "late")).await;
    assert!(matches!(late, Err(Error::Unavailable(_))));
}

/// Both replicas are asked for the same and for different messages at the same time.
#[tokio::test]
async fn replicas_agree_on_numbers_and_duplicates() {
    on_two_replicas(async |one: Store, two: Store| {
        let carla = customer();
        let (mut ids, mut posts) = (Vec::new(), Vec::new());
        for _ in 0..4 {
            ids.push(begin(&one, Kind::Assistant).await.id);
        }
        for n in 0..160 {
            let id = &ids[n % ids.len()];
            let text = (n / 8).to_string();
            for store in [&one, &two] {
                posts.push(store.post(keyed(id, &carla, &text, &text)));
                posts.push(store.post(draft(id, &carla, "without an id")));
            }
        }
        let posted: Vec<_> = join_all(posts).await.into_iter().map(Result::unwrap).collect();
        assert_eq!(posted.iter().filter(|posted| !posted.duplicate).count(), 320 + 80);
        for id in &ids {
            let log = one.log_after(id, 0, 1000).await.unwrap();
            let seqs: Vec<u64> = log.iter().filter_map(|entry| entry.message.seq).collect();
            assert_eq!(seqs, (1..=100).collect::<Vec<u64>>());
        }
    })
    .await;
}

/// The database refuses everybody for a while: senders are told so, and afterwards everything works again.
#[tokio::test]
async fn the_writer_outlives_the_database() {
    with_postgres(async |url, admin| {
        let name = url.rsplit('/').next().unwrap().to_owned();
        let allow = async |yes: bool| {
            let change = format!("ALTER DATABASE {name} ALLOW_CONNECTIONS {yes}");
            admin.execute_unprepared(&change).await.unwrap();
            let kick = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'");
            admin.execute_unprepared(&kick).await.unwrap();
        };
        run(&url, async |store| {
            let id = begin(&store, Kind::Assistant).await.id;
            allow(false).await;
            let posts = join_all((0..5).map(|_| store.post(draft(&id, &customer(), "lost")))).await;
            for refused in posts {
                assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
            }
            assert!(matches!(store.ping().await, Err(Error::Unavailable(_))));
            allow(true).await;
            assert_eq!(store.post(draft(&id, &customer(), "back")).await.unwrap().message.seq, Some(1));
        })
        .await
    })
    .await;
}

/// PostgreSQL's driver reports statements in the thread of the test; SQLite runs the same ones in a thread of its own.
#[tokio::test]
async fn a_post_costs_three_statements() {
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(Counter)).unwrap();
    on_postgres(async |store: Store| {
        for kind in [Kind::Assistant, Kind::Support] {
            let id = begin(&store, kind).await.id;
            for text in ["first", "second"] {
                STATEMENTS.set(0);
                let posted = store.post(keyed(&id, &customer(), text, text)).await.unwrap();
                assert!(posted.answer.is_some());
                assert_eq!(STATEMENTS.get(), 3);
            }
        }
    })
    .await;
}

thread_local! {
    static STATEMENTS: Cell<u32> = const { Cell::new(0) };
}

/// Counts what the driver runs, `BEGIN` and `COMMIT` aside, for each test by itself.
struct Counter;

impl<S: Subscriber> Layer<S> for Counter {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut summary = Summary::default();
        event.record(&mut summary);
        let bracket = ["BEGIN", "COMMIT", "ROLLBACK"].iter().any(|word| summary.0.contains(word));
        if event.metadata().target() == "sqlx::query" && !bracket {
            STATEMENTS.set(STATEMENTS.get() + 1);
        }
    }
}

#[derive(Default)]
struct Summary(String);

impl Visit for Summary {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "summary" {
            self.0 = format!("{value:?}");
        }
    }
}

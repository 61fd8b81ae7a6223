//! Redis that dies, comes back empty, or was never there.

use std::time::{Duration, Instant};

use switchboard::{
    domain::{
        event::{Chunk, Envelope, Event},
        ids::{MessageId, UserId},
    },
    realtime::jobs::unanswered,
};
use tokio::time::timeout;

use crate::bench::{DEADLINE, OwnRedis, Process, Town, look, search};

#[tokio::test(flavor = "multi_thread")]
async fn rooms_hear_everything_without_redis_and_hints_return_with_it() {
    let mut redis = OwnRedis::start();
    let town = Town::found(&redis.url()).await;
    let (one, two) = (town.replica(), town.replica());
    let mut listeners = [one.listener(&town.conversation).await, two.listener(&town.conversation).await];
    town.say(&one, "before").await;
    for listener in &mut listeners {
        assert_eq!(listener.seqs(1).await, [1]);
    }

    redis.kill();
    let killed = Instant::now();
    town.say(&one, "meanwhile").await;
    assert_eq!(listeners[0].seqs(1).await, [2]);
    assert!(killed.elapsed() < Duration::from_secs(1), "who listens here does not wait for Redis");
    assert_eq!(listeners[1].seqs(1).await, [2]);
    assert!(killed.elapsed() < Duration::from_secs(5), "{:?}", killed.elapsed());
    // What is not in the log waits for Redis.
    let user = UserId::trusted("carla");
    let read = Event::MessagesRead { conversation: town.conversation.clone(), user, up_to_seq: 2, messages: vec![] };
    one.bus.publish(Envelope::to(town.room(), read));

    redis.start_again();
    let (name, body) = listeners[1].next(DEADLINE).await;
    assert_eq!((name, body["upToSeq"].as_u64()), ("messages_read", Some(2)));
    town.until_heard(&format!("room:conversation:{}", town.conversation), 2).await;
    for seq in 3..50 {
        town.say(&one, "after").await;
        assert_eq!(listeners[1].seqs(1).await, [seq]);
    }
    town.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listening_connection_that_redis_closes_is_renewed() {
    let redis = OwnRedis::start();
    let town = Town::found(&redis.url()).await;
    let (one, two) = (town.replica(), town.replica());
    let mut listener = two.listener(&town.conversation).await;
    let mut looking = look(&redis.url()).await;
    for seq in 1..=20 {
        if seq % 5 == 0 {
            let _: usize =
                redis::cmd("CLIENT").arg(&["KILL", "TYPE", "pubsub"]).query_async(&mut looking).await.unwrap();
        }
        town.say(&one, "hello").await;
        assert_eq!(listener.seqs(1).await, [seq]);
    }
    town.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_that_was_asked_while_redis_was_away_is_answered_when_it_is_back() {
    let mut redis = OwnRedis::start();
    let (asker, worker) = (Process::start(&redis.url(), "p"), Process::start(&redis.url(), "p"));
    let jobs = worker.jobs.clone();
    tokio::spawn(async move {
        let mut searches = jobs.searches();
        loop {
            let (job, held) = searches.next().await;
            jobs.reply(held, job.id, unanswered(job.request_id)).await;
        }
    });
    let mut replies = asker.jobs.replies().unwrap();
    for round in 0..3 {
        for is_away in [false, true] {
            if is_away {
                redis.kill();
            }
            let job = search(round);
            asker.jobs.ask(job.clone()).unwrap();
            if is_away {
                redis.start_again();
            }
            // A worker that does not know whether Redis has taken its answer sends it again.
            let settled = async {
                loop {
                    let reply = replies.next().await.unwrap();
                    if let Some(settled) = asker.jobs.settle(&reply.id) {
                        return settled;
                    }
                }
            };
            assert_eq!(timeout(DEADLINE, settled).await.expect("an answer"), job);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_start_without_redis_and_find_it_when_it_comes() {
    let mut redis = OwnRedis::start();
    redis.kill();
    let town = Town::found(&redis.url()).await;
    let (one, two) = (town.replica(), town.replica());
    let mut listener = two.listener(&town.conversation).await;
    town.say(&one, "hello").await;
    assert_eq!(listener.seqs(1).await, [1]);
    redis.start_again();
    town.until_heard(&format!("room:conversation:{}", town.conversation), 1).await;
    town.say(&one, "hello").await;
    assert_eq!(listener.seqs(1).await, [2]);
    town.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_room_has_heard_is_forgotten_with_it_also_when_it_goes_during_an_outage() {
    let mut redis = OwnRedis::start();
    let town = Town::found(&redis.url()).await;
    let (worker, web) = (town.replica(), town.replica());
    let mut listener = web.listener(&town.conversation).await;
    town.until_heard(&format!("room:conversation:{}", town.conversation), 1).await;
    worker.until_connected().await;
    let (conversation, message) = (town.conversation.clone(), MessageId::trusted("m-1"));
    let chunk = Chunk { conversation, message, index: 0, content: "Once".into(), start: 0, start_utf16: 0 };
    worker.bus.publish(Envelope::to(town.room(), Event::AnswerChunk(chunk)));
    listener.next(DEADLINE).await;
    assert!(web.snapshots.of(&town.conversation).is_some());
    redis.kill();
    web.hub.leave(&listener.connection, &town.conversation);
    let forgotten = async {
        while web.snapshots.of(&town.conversation).is_some() {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(5), forgotten).await.expect("forgotten");
    town.leave().await;
}

//! Searches: each to one worker, kept while it lives, taken over when it dies, and answered once.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use redis::AsyncCommands as _;
use switchboard::{domain::event::Event, realtime::jobs::unanswered};
use tokio::{sync::Mutex, time::timeout};

use crate::bench::{DEADLINE, Process, at, look, prefix, search, shared_redis};

/// A worker that has died is noticed within this.
const TAKE_OVER: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn each_of_two_hundred_searches_is_done_by_one_of_three_workers_and_answered_once() {
    let (url, prefix) = (shared_redis(), prefix());
    let asker = Process::start(&url, &prefix);
    let done: Arc<Mutex<HashMap<String, usize>>> = Arc::default();
    let mut workers = vec![];
    for _ in 0..3 {
        let worker = Process::start(&url, &prefix);
        let (jobs, done) = (worker.jobs.clone(), done.clone());
        workers.push(worker);
        tokio::spawn(async move {
            let mut searches = jobs.searches();
            loop {
                let (job, held) = searches.next().await;
                *done.lock().await.entry(job.id.clone()).or_default() += 1;
                jobs.reply(held, job.id, unanswered(job.request_id)).await;
            }
        });
    }
    let mut asked: HashSet<String> = HashSet::new();
    for number in 0..200 {
        let job = search(number);
        asked.insert(job.id.clone());
        asker.jobs.ask(job).unwrap();
    }
    let mut replies = asker.jobs.replies().unwrap();
    for _ in 0..200 {
        let reply = timeout(DEADLINE, replies.next()).await.unwrap().unwrap();
        let job = asker.jobs.settle(&reply.id).expect("answered once");
        assert!(matches!(reply.event, Event::SearchFailed { request_id, .. } if request_id == job.request_id));
        assert!(asked.remove(&reply.id));
    }
    assert!(asked.is_empty());
    let done = done.lock().await;
    assert_eq!((done.len(), done.values().sum::<usize>()), (200, 200));
    let left: usize = look(&url).await.xlen(format!("{prefix}:jobs:searches")).await.unwrap();
    assert_eq!(left, 0, "what is done is removed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_search_stays_with_its_worker() {
    let (url, prefix) = (shared_redis(), prefix());
    let (slow, idle) = (Process::start(&url, &prefix), Process::start(&url, &prefix));
    slow.jobs.ask(search(1)).unwrap();
    let (_, held) = timeout(DEADLINE, slow.jobs.searches().next()).await.unwrap();
    assert_eq!(slow.jobs.held(), 1);
    assert!(timeout(TAKE_OVER, idle.jobs.searches().next()).await.is_err(), "it was taken away");
    drop(held);
    assert_eq!(slow.jobs.held(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_workers_search_is_taken_over_and_a_late_answer_is_not_told() {
    let (url, prefix) = (shared_redis(), prefix());
    let (asker, first, second) =
        (Process::start(&url, &prefix), Process::start(&url, &prefix), Process::start(&url, &prefix));
    let job = search(1);
    asker.jobs.ask(job.clone()).unwrap();
    let (taken, stale) = timeout(DEADLINE, first.jobs.searches().next()).await.unwrap();
    assert_eq!(taken, job);
    first.die().await;
    let died = Instant::now();
    let (again, held) = timeout(TAKE_OVER, second.jobs.searches().next()).await.expect("taken over");
    assert_eq!(again, job);
    assert!(died.elapsed() > Duration::from_secs(1), "a pause is not a death");
    // The first one was only paused, and both answer.
    second.jobs.reply(held, job.id.clone(), unanswered("second".into())).await;
    first.jobs.reply(stale, job.id.clone(), unanswered("first".into())).await;
    let mut replies = asker.jobs.replies().unwrap();
    let reply = timeout(DEADLINE, replies.next()).await.unwrap().unwrap();
    assert!(matches!(reply.event, Event::SearchFailed { request_id, .. } if request_id == "second"));
    assert_eq!(asker.jobs.settle(&reply.id), Some(job));
    let reply = timeout(DEADLINE, replies.next()).await.unwrap().unwrap();
    assert_eq!(asker.jobs.settle(&reply.id), None, "nobody tells it a second time");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_that_is_handed_back_is_taken_at_once() {
    let (url, prefix) = (shared_redis(), prefix());
    let (leaving, staying) = (Process::start(&url, &prefix), Process::start(&url, &prefix));
    leaving.jobs.ask(search(1)).unwrap();
    let (job, held) = timeout(DEADLINE, leaving.jobs.searches().next()).await.unwrap();
    leaving.jobs.give_back(held).await;
    let (taken, _held) = timeout(Duration::from_secs(2), staying.jobs.searches().next()).await.expect("taken");
    assert_eq!(taken, job);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_that_three_workers_did_not_survive_is_put_aside_and_its_asker_told() {
    let (url, prefix) = (shared_redis(), prefix());
    let asker = Process::start(&url, &prefix);
    let job = search(1);
    asker.jobs.ask(job.clone()).unwrap();
    for _ in 0..3 {
        let worker = Process::start(&url, &prefix);
        let (taken, _held) = timeout(DEADLINE, worker.jobs.searches().next()).await.expect("taken over");
        assert_eq!(taken, job);
        worker.die().await;
    }
    let fourth = Process::start(&url, &prefix);
    let mut searches = fourth.jobs.searches();
    let mut replies = asker.jobs.replies().unwrap();
    let reply = tokio::select! {
        (job, _) = searches.next() => panic!("{} was tried once more", job.id),
        reply = timeout(DEADLINE, replies.next()) => reply.unwrap().unwrap(),
    };
    assert_eq!(reply.id, job.id);
    assert!(matches!(reply.event, Event::SearchFailed { request_id, .. } if request_id == job.request_id));
    let mut redis = look(&url).await;
    let lengths: (usize, usize) = redis::pipe()
        .xlen(format!("{prefix}:jobs:dead-letters"))
        .xlen(format!("{prefix}:jobs:searches"))
        .query_async(&mut redis)
        .await
        .unwrap();
    assert_eq!(lengths, (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_asked_before_the_first_worker_or_between_two_waits_for_the_next() {
    let (url, prefix) = (shared_redis(), prefix());
    let asker = Process::start(&url, &prefix);
    for number in 0..2 {
        let job = search(number);
        asker.jobs.ask(job.clone()).unwrap();
        let worker = Process::start(&url, &prefix);
        let (taken, held) = timeout(DEADLINE, worker.jobs.searches().next()).await.unwrap();
        assert_eq!(taken, job);
        worker.jobs.forget(held).await;
        worker.die().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hint_reaches_one_worker_and_what_a_worker_finds_stays_with_it() {
    let (url, prefix) = (shared_redis(), prefix());
    let (web, worker) = (Process::start(&url, &prefix), Process::start(&url, &prefix));
    let mut answers = worker.jobs.answers();
    for number in 0..50 {
        let id = switchboard::domain::ids::ConversationId::trusted(&format!("c-{number}"));
        // Both ways in turn, so that waiting on the one does not lose what comes by the other.
        if number % 2 == 0 {
            web.jobs.hint(id.clone())
        } else {
            worker.jobs.found(id.clone())
        }
        assert_eq!(timeout(DEADLINE, answers.next()).await.unwrap(), id);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn patience_ends_after_thirty_seconds_and_only_once() {
    let asker = Process::start(&shared_redis(), &prefix());
    let job = search(1);
    asker.jobs.ask(job.clone()).unwrap();
    assert!(asker.jobs.overdue(at(29)).is_empty());
    assert_eq!(asker.jobs.overdue(at(30)), std::slice::from_ref(&job));
    assert!(asker.jobs.overdue(at(31)).is_empty());
    assert_eq!(asker.jobs.settle(&job.id), None);
}

#[tokio::test]
async fn too_many_searches_are_refused_and_none_vanishes() {
    let jobs = switchboard::realtime::jobs::Jobs::in_memory();
    let accepted = (0..20_000).filter(|number| jobs.ask(search(*number)).is_ok()).count();
    assert_eq!(accepted, 10_000);
    assert_eq!(jobs.overdue(at(60)).len(), accepted);
}

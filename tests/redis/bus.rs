//! Rooms over several processes: everybody hears everything once and in order.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use switchboard::{
    domain::{
        event::{Chunk, Envelope, Event, LogEntry, Room},
        ids::{AnswerId, MessageId},
        message::Sender,
        user::{Role, User},
    },
    realtime::connection::Identity,
    store::Store,
};
use tokio::time::timeout;

use crate::bench::{DEADLINE, Town, at, shared_redis};

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_tell_one_room_in_order() {
    let town = Town::found(&shared_redis()).await;
    let (one, two) = (town.replica(), town.replica());
    let mut listeners = [one.listener(&town.conversation).await, two.listener(&town.conversation).await];
    for number in 0..300 {
        town.say(if number % 2 == 0 { &one } else { &two }, "hello").await;
    }
    for listener in &mut listeners {
        assert_eq!(listener.seqs(300).await, (1..=300).collect::<Vec<_>>());
        assert!(listener.has_heard_all());
    }
    town.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn joining_amid_another_processes_traffic_misses_nothing() {
    let town = Arc::new(Town::found(&shared_redis()).await);
    let (one, two) = (town.replica(), town.replica());
    let speaker = town.clone();
    let talk = tokio::spawn(async move {
        for _ in 0..400 {
            speaker.say(&one, "hello").await;
        }
    });
    let mut listeners = vec![];
    while !talk.is_finished() {
        let mut listener = two.listener(&town.conversation).await;
        if listener.after < 400 {
            // Everybody leaves and comes again, so that the room is subscribed to again and again.
            let next = listener.after + 1;
            assert_eq!(listener.seqs(1).await, [next]);
        }
        two.hub.leave(&listener.connection, &town.conversation);
        if listeners.is_empty() || listener.after > 300 {
            listeners.push(two.listener(&town.conversation).await);
        }
    }
    talk.await.unwrap();
    for listener in &mut listeners {
        let expected: Vec<_> = (listener.after + 1..=400).collect();
        assert_eq!(listener.seqs(expected.len() as u64).await, expected);
    }
    Arc::into_inner(town).unwrap().leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_message_is_heard_although_its_hint_was_lost() {
    let town = Town::found(&shared_redis()).await;
    let replica = town.replica();
    let mut listener = replica.listener(&town.conversation).await;
    // As if its process had died between commit and hint.
    town.post("hello").await;
    assert_eq!(listener.seqs(1).await, [1]);
    town.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_in_several_rooms_hears_an_event_once() {
    let town = Town::found(&shared_redis()).await;
    let (one, two) = (town.replica(), town.replica());
    let mut listener = two.listener(&town.conversation).await;
    let agent = Arc::new(User { role: Role::Agent, ..User::clone(&town.owner) });
    let identity = Identity { user: agent.clone(), credential: "c".into(), expires_at: None, by_session: false };
    two.hub.identify(&listener.connection, identity);
    for room in
        [format!("room:conversation:{}", town.conversation), format!("room:user:{}", agent.id), "room:agents".into()]
    {
        town.until_heard(&room, 1).await;
    }
    for (seconds, online) in [(1, true), (2, false)] {
        let event = Event::Presence { user: "somebody".to_owned().try_into().unwrap(), online, at: at(seconds) };
        let rooms = vec![town.room(), Room::User(agent.id.clone()), Room::Agents];
        one.bus.publish(Envelope { event, rooms, origin: None, except_user: None });
    }
    for status in ["online", "offline"] {
        let (name, body) = listener.next(DEADLINE).await;
        assert_eq!((name, body["status"].as_str()), ("presence_update", Some(status)));
    }
    assert!(listener.has_heard_all());
    town.leave().await;
}

/// A claimed answer to a question in the town's conversation.
async fn claim(store: &Store, town: &Town) -> switchboard::domain::answer::Answer {
    town.post("why?").await;
    let lease = at(1) + TimeDelta::seconds(5);
    store.claim(&town.conversation, "worker", lease, at(1)).await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_stopped_from_another_process() {
    let town = Town::found(&shared_redis()).await;
    let (web, worker) = (town.replica(), town.replica());
    let answer = claim(&town.store, &town).await;
    let running = worker.snapshots.begin(&answer);
    assert!(!web.bus.stop_answer(&town.conversation, Some(&answer.id)), "it does not run here");
    timeout(DEADLINE, running.stop.cancelled()).await.expect("stopped");
    worker.snapshots.end(&running);

    // Told before the worker has begun.
    let other = AnswerId::trusted("early");
    web.bus.stop_answer(&town.conversation, Some(&other));
    let early = switchboard::domain::answer::Answer { id: other, ..answer };
    let beginning = async {
        loop {
            let running = worker.snapshots.begin(&early);
            worker.snapshots.end(&running);
            if running.stop.is_cancelled() {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    timeout(DEADLINE, beginning).await.expect("stopped before it began");
    town.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_joins_in_the_middle_of_another_processes_answer_gets_the_text_so_far() {
    let town = Town::found(&shared_redis()).await;
    let (worker, web) = (town.replica(), town.replica());
    let chunk = |index, text, start| chunk(&town, MessageId::trusted("m-1"), index, text, start);
    worker.until_connected().await;
    web.until_connected().await;
    worker.bus.publish(Envelope::to(town.room(), chunk(0, "Once", 0)));
    let found = async {
        loop {
            if let Some(found) = web.snapshots.look_up(&town.conversation).await {
                return found;
            }
        }
    };
    let found = timeout(DEADLINE, found).await.expect("the text so far");
    assert_eq!((found.index, found.content.as_str()), (0, "Once"));

    let mut listener = web.listener(&town.conversation).await;
    town.until_heard(&format!("room:conversation:{}", town.conversation), 1).await;
    worker.bus.publish(Envelope::to(town.room(), chunk(1, "Once upon", 4)));
    let (name, body) = listener.next(DEADLINE).await;
    assert_eq!((name, body["content"].as_str()), ("message:chunk", Some("Once upon")));
    assert_eq!(web.snapshots.of(&town.conversation).unwrap().content, "Once upon");

    let message = MessageId::trusted("m-1");
    let ended = web.snapshots.ended(&town.conversation, &message);
    let bot = Sender::bot("Tutor");
    let typing =
        Event::AnswerTyping { conversation: town.conversation.clone(), bot, agent_id: "default".into(), typing: false };
    worker.bus.publish(Envelope::to(town.room(), typing));
    timeout(Duration::from_secs(2), ended).await.expect("its end is heard");
    assert_eq!(web.snapshots.look_up(&town.conversation).await, None);
    assert_eq!(listener.next(DEADLINE).await.0, "typing_indicator");

    // Of a worker that has not heard yet that it was stopped.
    worker.bus.publish(Envelope::to(town.room(), chunk(2, "Once upon a", 9)));
    listener.next(DEADLINE).await;
    assert_eq!(web.snapshots.of(&town.conversation), None, "it does not grow again");
    town.leave().await;
}

fn chunk(town: &Town, message: MessageId, index: u64, text: &str, start: usize) -> Event {
    let conversation = town.conversation.clone();
    Event::AnswerChunk(Chunk { conversation, message, index, content: text.into(), start, start_utf16: start })
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_chunks_come_with_the_next_one_and_none_comes_behind_the_end() {
    let town = Town::found(&shared_redis()).await;
    let web = town.replica();
    let mut listener = web.listener(&town.conversation).await;
    let answer = town.post("Once upon a time").await;
    for (index, text, start, heard) in
        [(0, "Once", 0, "Once"), (3, "Once upon a", 9, " upon a"), (4, "Once upon a time", 11, " time")]
    {
        web.hub.deliver(Envelope::to(town.room(), chunk(&town, answer.id.clone(), index, text, start)));
        let (_, body) = listener.next(DEADLINE).await;
        assert_eq!((body["index"].as_u64(), body["chunk"].as_str()), (Some(index), Some(heard)));
    }
    let late = chunk(&town, answer.id.clone(), 5, "Once upon a time!", 16);
    let entry = LogEntry { message: answer, question: None };
    web.hub.deliver(Envelope::to(town.room(), Event::AnswerFinished(entry)));
    assert_eq!(listener.seqs(1).await, [1]);
    web.hub.deliver(Envelope::to(town.room(), late));
    town.say(&web, "Thanks").await;
    assert_eq!(listener.seqs(1).await, [2]);
    town.leave().await;
}

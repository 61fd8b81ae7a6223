//! The hub over real sockets and a real log: whatever the bus loses, doubles or reorders, readers see each message once
//! and in order; a reader that stalls harms nobody and is caught up.
#![expect(clippy::disallowed_methods, reason = "nothing waits for the tasks of a test but the test")]

mod desk;

use std::{sync::Arc, time::Duration};

use desk::{Desk, Reader};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::SliceRandom};
use switchboard::domain::event::{Envelope, Event, Room};

const DEADLINE: Duration = Duration::from_secs(30);

fn seqs(count: u64) -> Vec<u64> {
    (1..=count).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bus_that_loses_doubles_and_reorders_is_put_right() {
    for seed in 0..8 {
        let mut random = StdRng::seed_from_u64(seed);
        let desk = Desk::open().await;
        let mut readers = vec![desk.reader(0).await, desk.reader(0).await];
        let messages = desk.post(300, 20).await;
        let mut hints: Vec<_> = messages.iter().filter(|_| random.random_bool(0.8)).cloned().collect();
        hints.extend(messages.iter().filter(|_| random.random_bool(0.2)).cloned());
        // Shuffled within windows, as two replicas would interleave.
        hints.chunks_mut(16).for_each(|window| window.shuffle(&mut random));
        // The end must be hinted at, or nobody knows that there is more.
        hints.extend(messages.last().cloned());
        for message in hints {
            let room = Room::Conversation(message.conversation_id.clone());
            desk.hub.deliver(Envelope::to(room, Event::MessagePosted(message)));
        }
        for reader in &mut readers {
            assert_eq!(reader.read_seqs(300, DEADLINE).await, seqs(300), "seed {seed}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_reader_harms_nobody_and_is_caught_up() {
    let desk = Desk::open().await;
    let mut stalled = desk.reader(0).await;
    let mut quick = desk.reader(0).await;
    // Far more than the queue and the kernel's buffers hold.
    let reading = tokio::spawn(async move { quick.read_seqs(3_000, DEADLINE).await });
    let messages = desk.post(3_000, 6_000).await;
    for message in messages {
        let room = Room::Conversation(message.conversation_id.clone());
        desk.hub.deliver(Envelope::to(room, Event::MessagePosted(message)));
    }
    assert_eq!(reading.await.unwrap(), seqs(3_000));
    assert_eq!(stalled.read_seqs(3_000, DEADLINE).await, seqs(3_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn joining_amid_traffic_misses_and_doubles_nothing() {
    let desk = Arc::new(Desk::open().await);
    let traffic = desk.clone();
    let posting = tokio::spawn(async move {
        for _ in 0..100 {
            for message in traffic.post(10, 20).await {
                let room = Room::Conversation(message.conversation_id.clone());
                traffic.hub.deliver(Envelope::to(room, Event::MessagePosted(message)));
            }
        }
    });
    let mut joined: Vec<Reader> = vec![];
    for _ in 0..20 {
        joined.push(desk.reader(0).await);
    }
    posting.await.unwrap();
    for reader in &mut joined {
        assert_eq!(reader.read_seqs(1_000, DEADLINE).await, seqs(1_000));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_cut_closes_its_socket_although_nobody_reads() {
    let desk = Desk::open().await;
    let mut reader = desk.reader(0).await;
    let connection = desk.hub.all().pop().unwrap();
    connection.cut();
    assert!(reader.ends(DEADLINE).await);
}

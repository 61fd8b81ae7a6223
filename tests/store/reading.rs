//! Reading: access, lists, pages of the log, read marks, renaming and deleting.

use switchboard::{
    domain::{
        command::ReadMark,
        conversation::{Conversation, HandledBy, Kind, NewConversation, Status},
        error::Error,
        ids::{ConversationId, MessageId},
        user::User,
    },
    store::{ConversationFilter, HandlingChange, Moved, Store},
};

use crate::bench::{agent, at, begin, customer, draft, on_both_databases, stranger};

on_both_databases!(
    an_id_is_taken_for_everybody,
    what_may_not_be_seen_does_not_exist,
    lists_are_paged_without_gaps,
    lists_can_be_narrowed,
    the_log_is_read_forwards_and_backwards,
    read_marks_only_advance,
    a_new_title_is_kept,
    deleting_leaves_nothing,
);

async fn an_id_is_taken_for_everybody(store: Store) {
    let new = NewConversation {
        id: Some(ConversationId::trusted("order-7")),
        title: Some("Order 7".to_owned()),
        agent_id: Some("tutor".to_owned()),
        kind: Some(Kind::Support),
    };
    let made = store.create_conversation(&new, Kind::Assistant, &customer(), at(3)).await.unwrap();
    assert_eq!((made.kind, made.title.as_str(), made.agent_id.as_str()), (Kind::Support, "Order 7", "tutor"));
    assert_eq!((made.status, made.handled_by.clone(), made.last_seq), (Status::Open, HandledBy::Bot, 0));
    assert_eq!((made.created_at, made.participants.clone()), (at(3), vec![customer().id.clone()]));
    assert_eq!(store.conversation(&customer(), &made.id).await.unwrap(), made);
    for asker in [customer(), stranger(), agent()] {
        let taken = store.create_conversation(&new, Kind::Assistant, &asker, at(4)).await;
        assert!(matches!(taken, Err(Error::Conflict("conversation id is already taken"))));
    }
    let long = NewConversation { title: Some("x".repeat(201)), ..NewConversation::default() };
    let refused = store.create_conversation(&long, Kind::Assistant, &customer(), at(4)).await;
    assert!(matches!(refused, Err(Error::TooLarge(_))));
}

async fn what_may_not_be_seen_does_not_exist(store: Store) {
    let id = begin(&store, Kind::Support).await.id;
    let access = store.access(&agent(), &id).await.unwrap();
    assert_eq!((access.owner, access.kind, access.last_seq), (customer().id.clone(), Kind::Support, 0));
    for (viewer, id) in [(stranger(), id), (agent(), ConversationId::trusted("nowhere"))] {
        let not_found = |outcome: Result<(), Error>| matches!(outcome, Err(Error::NotFound("conversation")));
        assert!(not_found(store.conversation(&viewer, &id).await.map(drop)));
        assert!(not_found(store.access(&viewer, &id).await.map(drop)));
        assert!(not_found(store.rename(&viewer, &id, "mine", at(1)).await.map(drop)));
        assert!(not_found(store.delete_conversation(&viewer, &id).await));
    }
    let (list, _) = page(&store, &stranger(), &ConversationFilter::default(), None).await;
    assert!(list.is_empty());
}

async fn page(
    store: &Store,
    viewer: &User,
    filter: &ConversationFilter,
    cursor: Option<&str>,
) -> (Vec<Conversation>, Option<String>) {
    store.conversations(viewer, filter, cursor, 3).await.unwrap()
}

async fn lists_are_paged_without_gaps(store: Store) {
    let mut made = Vec::new();
    for n in 0..8 {
        let new = NewConversation::default();
        // Two of each second, so that the id decides.
        let one = store.create_conversation(&new, Kind::Assistant, &customer(), at(n / 2)).await;
        made.push(one.unwrap().id);
    }
    let posted = store.post(draft(&made[0], &customer(), "newest")).await.unwrap();
    let mut seen = Vec::new();
    let mut cursor = None;
    loop {
        let (list, next) = page(&store, &customer(), &ConversationFilter::default(), cursor.as_deref()).await;
        seen.extend(list);
        match next {
            Some(next) => cursor = Some(next),
            None => break,
        }
    }
    assert!(seen.is_sorted_by_key(|one| std::cmp::Reverse((one.updated_at, one.id.clone()))));
    let ids: std::collections::HashSet<_> = seen.iter().map(|one| &one.id).collect();
    assert_eq!((seen.len(), ids.len()), (8, 8));
    let first = seen.iter().find(|one| one.id == made[0]).unwrap();
    assert_eq!(first.last_message.as_deref(), Some(&*posted.message));
    for bad in ["", "%", "MTIz", "eC95"] {
        let refused = store.conversations(&customer(), &ConversationFilter::default(), Some(bad), 3).await;
        assert!(matches!(refused, Err(Error::Invalid(_))), "{bad}");
    }
    let ids = store.conversation_ids_of(&customer().id, 5).await.unwrap();
    assert_eq!(ids.len(), 5);
}

async fn lists_can_be_narrowed(store: Store) {
    let resolved = begin(&store, Kind::Support).await.id;
    store.handle(&resolved, HandlingChange::Resolve, at(1)).await.unwrap();
    let handled = begin(&store, Kind::Support).await.id;
    store.post(draft(&handled, &agent(), "here")).await.unwrap();
    let waiting = begin(&store, Kind::Support).await.id;
    store.mark_waiting(&waiting, at(1)).await.unwrap();
    let by_status = ConversationFilter { status: Some(Status::Resolved), ..ConversationFilter::default() };
    let by_handler =
        ConversationFilter { handled_by: Some(HandledBy::Agent(agent().id.clone())), ..ConversationFilter::default() };
    let by_waiting = ConversationFilter { waiting: Some(true), ..ConversationFilter::default() };
    for (filter, expected) in [(by_status, resolved), (by_handler, handled), (by_waiting, waiting)] {
        let (list, next) = page(&store, &agent(), &filter, None).await;
        assert_eq!(list.iter().map(|one| &one.id).collect::<Vec<_>>(), [&expected]);
        assert_eq!(next, None);
    }
}

async fn the_log_is_read_forwards_and_backwards(store: Store) {
    let id = begin(&store, Kind::Assistant).await.id;
    for n in 1..=7 {
        store.post(draft(&id, &customer(), &format!("{n}"))).await.unwrap();
    }
    let seqs = |log: Vec<switchboard::domain::event::LogEntry>| -> Vec<u64> {
        log.iter().filter_map(|entry| entry.message.seq).collect()
    };
    assert_eq!(seqs(store.log_after(&id, 2, 3).await.unwrap()), [3, 4, 5]);
    assert_eq!(seqs(store.log_before(&id, None, 3).await.unwrap()), [5, 6, 7]);
    assert_eq!(seqs(store.log_before(&id, Some(3), 9).await.unwrap()), [1, 2]);
    assert!(store.log_after(&id, u64::MAX, 9).await.unwrap().is_empty());
    assert!(store.log_before(&id, Some(0), 9).await.unwrap().is_empty());
    assert_eq!(store.log_before(&id, Some(u64::MAX), 9).await.unwrap().len(), 7);
}

async fn read_marks_only_advance(store: Store) {
    let id = begin(&store, Kind::Assistant).await.id;
    let carla = customer().id.clone();
    let elsewhere = begin(&store, Kind::Assistant).await.id;
    let foreign = store.post(draft(&elsewhere, &customer(), "x")).await.unwrap().message.id.clone();
    let mut messages = Vec::new();
    assert_eq!(store.mark_read(&id, &carla, &ReadMark::UpTo(5), at(1)).await.unwrap(), None, "nothing to read");
    for n in 0..4 {
        let posted = store.post(draft(&id, &customer(), &format!("{n}"))).await.unwrap();
        messages.push(posted.message.id.clone());
    }
    for (mark, expected) in [
        (ReadMark::UpTo(0), None),
        (ReadMark::UpTo(2), Some((2, vec![0, 1]))),
        (ReadMark::UpTo(2), None),
        (ReadMark::UpTo(1), None),
        (ReadMark::Messages(vec![]), None),
        (ReadMark::Messages(vec![foreign, MessageId::trusted("unknown")]), None),
        (ReadMark::Messages(vec![messages[2].clone(), messages[0].clone()]), Some((3, vec![0, 2]))),
        (ReadMark::UpTo(u64::MAX), Some((4, vec![3]))),
        (ReadMark::UpTo(9), None),
    ] {
        let expected = expected.map(|(up_to_seq, named): (u64, Vec<usize>)| Moved {
            up_to_seq,
            messages: named.into_iter().map(|index| messages[index].clone()).collect(),
        });
        assert_eq!(store.mark_read(&id, &carla, &mark, at(2)).await.unwrap(), expected, "{mark:?}");
    }
    let nowhere = ConversationId::trusted("nowhere");
    assert_eq!(store.mark_read(&nowhere, &carla, &ReadMark::UpTo(1), at(2)).await.unwrap(), None);
}

async fn a_new_title_is_kept(store: Store) {
    let id = begin(&store, Kind::Assistant).await.id;
    let renamed = store.rename(&customer(), &id, "Plans", at(9)).await.unwrap();
    assert_eq!((renamed.title.as_str(), renamed.updated_at), ("Plans", at(9)));
    let refused = store.rename(&customer(), &id, "a\0", at(9)).await;
    assert!(matches!(refused, Err(Error::Invalid(_))));
}

async fn deleting_leaves_nothing(store: Store) {
    let id = begin(&store, Kind::Assistant).await.id;
    let answer = store.post(draft(&id, &customer(), "bye")).await.unwrap().answer.unwrap();
    store.mark_read(&id, &customer().id, &ReadMark::UpTo(1), at(1)).await.unwrap();
    store.delete_conversation(&customer(), &id).await.unwrap();
    assert!(store.log_after(&id, 0, 10).await.unwrap().is_empty());
    assert!(store.answer(&answer).await.unwrap().is_none());
    assert!(!store.has_unfinished(&id).await.unwrap());
    assert!(store.conversation_ids_of(&customer().id, 10).await.unwrap().is_empty());
    assert!(store.last_seqs(std::slice::from_ref(&id)).await.unwrap().is_empty());
    let refused = store.post(draft(&id, &customer(), "still there?")).await;
    assert!(matches!(refused, Err(Error::NotFound(_))));
    let again = NewConversation { id: Some(id), ..NewConversation::default() };
    let anew = store.create_conversation(&again, Kind::Assistant, &customer(), at(2)).await.unwrap();
    assert_eq!(anew.last_seq, 0);
}

//! Support conversations: who answers, and when that changes.

use switchboard::{
    domain::{
        conversation::{HandledBy, Kind, Status},
        error::Error,
        ids::ConversationId,
    },
    store::{HandlingChange, Store},
};

use crate::bench::{agent, at, begin, customer, draft, on_both_databases};

on_both_databases!(
    the_first_message_of_an_agent_takes_over,
    a_take_over_ends_all_answers,
    handing_back_lets_the_ai_answer_again,
    a_customer_reopens_what_was_resolved,
    waiting_for_a_person_ends_with_a_take_over,
    only_what_exists_can_be_handled,
);

async fn the_first_message_of_an_agent_takes_over(store: Store) {
    let id = begin(&store, Kind::Support).await.id;
    let running = store.post(draft(&id, &customer(), "one")).await.unwrap().answer.unwrap();
    let queued = store.post(draft(&id, &customer(), "two")).await.unwrap().answer.unwrap();
    store.claim(&id, "worker", at(60), at(2)).await.unwrap().unwrap();

    let taken = store.post(draft(&id, &agent(), "I am here")).await.unwrap();
    assert!(taken.handling_changed && taken.answer.is_none() && !taken.reopened);
    assert_eq!(taken.owner, customer().id);
    assert_eq!(taken.kind, Kind::Support);
    let mut cancelled = taken.cancelled;
    cancelled.sort_unstable();
    assert_eq!(cancelled, [running, queued]);
    assert!(!store.has_unfinished(&id).await.unwrap());

    let now = store.conversation(&customer(), &id).await.unwrap();
    assert_eq!(now.handled_by, HandledBy::Agent(agent().id.clone()));
    assert_eq!(now.participants, [customer().id.clone(), agent().id.clone()]);
    let next = store.post(draft(&id, &customer(), "thank you")).await.unwrap();
    assert!(next.answer.is_none() && !next.handling_changed);
    assert!(!store.post(draft(&id, &agent(), "welcome")).await.unwrap().handling_changed);
}

async fn a_take_over_ends_all_answers(store: Store) {
    let id = begin(&store, Kind::Support).await.id;
    store.post(draft(&id, &customer(), "one")).await.unwrap();
    store.post(draft(&id, &customer(), "two")).await.unwrap();
    store.claim(&id, "worker", at(60), at(2)).await.unwrap().unwrap();
    let change = HandlingChange::TakeOver(agent().id.clone());
    let done = store.handle(&id, change.clone(), at(3)).await.unwrap();
    assert!(done.changed);
    assert_eq!(done.cancelled.len(), 2);
    assert_eq!(done.conversation.updated_at, at(3));
    assert_eq!(done.conversation.handled_by, HandledBy::Agent(agent().id.clone()));
    let again = store.handle(&id, change, at(4)).await.unwrap();
    assert!(!again.changed && again.cancelled.is_empty());
    assert_eq!(again.conversation.updated_at, at(3));
}

async fn handing_back_lets_the_ai_answer_again(store: Store) {
    let id = begin(&store, Kind::Support).await.id;
    store.post(draft(&id, &agent(), "hello")).await.unwrap();
    let done = store.handle(&id, HandlingChange::HandBack, at(3)).await.unwrap();
    assert!(done.changed);
    assert_eq!(done.conversation.handled_by, HandledBy::Bot);
    assert!(store.post(draft(&id, &customer(), "still there?")).await.unwrap().answer.is_some());
}

async fn a_customer_reopens_what_was_resolved(store: Store) {
    let id = begin(&store, Kind::Support).await.id;
    store.post(draft(&id, &customer(), "help")).await.unwrap();
    let done = store.handle(&id, HandlingChange::Resolve, at(3)).await.unwrap();
    assert_eq!(done.conversation.status, Status::Resolved);
    assert_eq!(done.cancelled.len(), 1);
    let posted = store.post(draft(&id, &customer(), "once more")).await.unwrap();
    assert!(posted.reopened && posted.answer.is_some() && !posted.handling_changed);
    assert_eq!(store.conversation(&agent(), &id).await.unwrap().status, Status::Open);
    assert!(!store.post(draft(&id, &customer(), "and more")).await.unwrap().reopened);
}

async fn waiting_for_a_person_ends_with_a_take_over(store: Store) {
    let id = begin(&store, Kind::Support).await.id;
    assert!(store.mark_waiting(&id, at(1)).await.unwrap().unwrap().waiting_for_agent);
    assert!(store.mark_waiting(&id, at(2)).await.unwrap().is_none());
    store.post(draft(&id, &agent(), "here")).await.unwrap();
    assert!(!store.conversation(&agent(), &id).await.unwrap().waiting_for_agent);
    assert!(store.mark_waiting(&id, at(3)).await.unwrap().is_none());
    let assistant = begin(&store, Kind::Assistant).await.id;
    assert!(store.mark_waiting(&assistant, at(3)).await.unwrap().is_none());
}

async fn only_what_exists_can_be_handled(store: Store) {
    let nowhere = ConversationId::trusted("nowhere");
    let refused = store.handle(&nowhere, HandlingChange::Resolve, at(1)).await;
    assert!(matches!(refused, Err(Error::NotFound("conversation"))));
    let assistant = begin(&store, Kind::Assistant).await.id;
    let change = HandlingChange::TakeOver(agent().id.clone());
    assert!(matches!(store.handle(&assistant, change, at(1)).await, Err(Error::Invalid(_))));
}

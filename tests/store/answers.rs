//! Answers: one runs at a time, a lost worker cannot write, and each ends once.

use futures_util::future::join_all;
use serde_json::{Map, Value};
use switchboard::{
    domain::{
        answer::{Answer, AnswerStatus, Usage},
        conversation::Kind,
        error::Error,
        message::{Message, MessageRole, MessageStatus, Sender},
    },
    store::{Finish, Finished, HandlingChange, Store},
};

use crate::bench::{agent, at, begin, customer, draft, on_both_databases};

on_both_databases!(
    one_of_twenty_claims_wins,
    answers_are_given_in_the_order_of_their_questions,
    a_finished_answer_is_a_message,
    a_worker_that_was_given_up_cannot_write,
    an_answer_without_text_makes_no_row,
    a_person_who_took_over_is_not_spoken_over,
    a_lost_answer_without_text_waits_again,
    regenerating_names_the_old_answer,
);

fn finish<'a>(answer: &'a Answer, text: &str) -> Finish<'a> {
    Finish {
        answer,
        status: AnswerStatus::Complete,
        text: text.to_owned(),
        usage: Some(Usage { model: "test".to_owned(), prompt_tokens: 3, completion_tokens: 5, estimated: true }),
        bot: Sender::bot("Tutor"),
        metadata: Map::from_iter([("model".to_owned(), Value::from("test"))]),
        error: None,
        at: at(5),
    }
}

fn stored(finished: Finished) -> Message {
    match finished {
        Finished::Stored(message) => Message::clone(&message),
        Finished::NoMessage | Finished::Fenced => panic!("{finished:?}"),
    }
}

async fn one_of_twenty_claims_wins(store: Store) {
    let id = begin(&store, Kind::Assistant).await.id;
    for text in ["one", "two"] {
        store.post(draft(&id, &customer(), text)).await.unwrap();
    }
    assert_eq!(store.queued_conversations(10).await.unwrap(), std::slice::from_ref(&id));
    let claims = join_all((0..20).map(|_| store.claim(&id, "worker", at(60), at(2)))).await;
    let won: Vec<_> = claims.into_iter().filter_map(Result::unwrap).collect();
    assert_eq!(won.len(), 1);
    assert_eq!((won[0].attempt, won[0].question.content.as_str()), (1, "one"));
    assert_eq!(store.running(&id).await.unwrap(), Some(won[0].id.clone()));
    assert!(store.queued_conversations(10).await.unwrap().is_empty());
}

async fn answers_are_given_in_the_order_of_their_questions(store: Store) {
    let id = begin(&store, Kind::Assistant).await.id;
    for text in ["one", "two", "three"] {
        store.post(draft(&id, &customer(), text)).await.unwrap();
    }
    for (question, seq) in [("one", 4), ("two", 5), ("three", 6)] {
        let answer = store.claim(&id, "worker", at(60), at(2)).await.unwrap().unwrap();
        assert_eq!(answer.question.content, question);
        assert_eq!(stored(store.finish(finish(&answer, "yes")).await.unwrap()).seq, Some(seq));
    }
    assert!(store.claim(&id, "worker", at(60), at(2)).await.unwrap().is_none());
    assert!(!store.has_unfinished(&id).await.unwrap());
}

async fn a_finished_answer_is_a_message(store: Store) {
    let id = begin(&store, Kind::Assistant).await.id;
    let question = store.post(draft(&id, &customer(), "why?")).await.unwrap().message;
    let answer = store.claim(&id, "worker", at(60), at(2)).await.unwrap().unwrap();
    assert_eq!(*answer.question, *question);
    let message = stored(store.finish(finish(&answer, "because")).await.unwrap());
    assert_eq!(message.id, answer.message);
    assert_eq!(message.in_reply_to.as_ref(), Some(&question.id));
    assert_eq!((message.role, message.status), (MessageRole::Assistant, MessageStatus::Complete));
    assert_eq!(message.agent_id.as_deref(), Some("default"));
    let log = store.log_after(&id, 1, 10).await.unwrap();
    assert_eq!(*log[0].message, message);
    assert_eq!(log[0].question.as_deref(), Some(&*question));
    let now = store.conversation(&customer(), &id).await.unwrap();
    assert_eq!(now.last_message.as_deref(), Some(&message));
    assert!(matches!(store.finish(finish(&answer, "again")).await.unwrap(), Finished::Fenced));
    assert_eq!(store.last_seqs(std::slice::from_ref(&id)).await.unwrap()[&id], 2);
}

async fn a_worker_that_was_given_up_cannot_write(store: Store) {
    let id = begin(&store, Kind::Assistant).await.id;
    store.post(draft(&id, &customer(), "why?")).await.unwrap();
    let lost = store.claim(&id, "first", at(10), at(2)).await.unwrap().unwrap();
    assert!(store.requeue(&lost.id, lost.attempt).await.unwrap());
    let held = store.claim(&id, "second", at(20), at(11)).await.unwrap().unwrap();
    assert_eq!((held.id.clone(), held.attempt), (lost.id.clone(), 2));

    assert!(!store.checkpoint(&lost.id, lost.attempt, "from the grave", at(90)).await.unwrap());
    assert!(!store.requeue(&lost.id, lost.attempt).await.unwrap());
    assert!(matches!(store.finish(finish(&lost, "from the grave")).await.unwrap(), Finished::Fenced));
    assert!(store.checkpoint(&held.id, held.attempt, "alive", at(30)).await.unwrap());
    let message = stored(store.finish(finish(&held, "alive and well")).await.unwrap());
    assert_eq!((message.content.as_str(), message.seq), ("alive and well", Some(2)));
}

async fn an_answer_without_text_makes_no_row(store: Store) {
    let id = begin(&store, Kind::Assistant).await.id;
    store.post(draft(&id, &customer(), "why?")).await.unwrap();
    let answer = store.claim(&id, "worker", at(60), at(2)).await.unwrap().unwrap();
    let failed = Finish {
        status: AnswerStatus::Failed,
        error: Some((&Error::Unavailable("gone")).into()),
        ..finish(&answer, " \n")
    };
    assert!(matches!(store.finish(failed).await.unwrap(), Finished::NoMessage));
    assert_eq!(store.log_after(&id, 0, 10).await.unwrap().len(), 1);
    assert!(!store.has_unfinished(&id).await.unwrap());
}

async fn a_person_who_took_over_is_not_spoken_over(store: Store) {
    let id = begin(&store, Kind::Support).await.id;
    store.post(draft(&id, &customer(), "why?")).await.unwrap();
    let answer = store.claim(&id, "worker", at(60), at(2)).await.unwrap().unwrap();
    let change = HandlingChange::TakeOver(agent().id.clone());
    let (finished, handled) = tokio::join!(store.finish(finish(&answer, "because")), store.handle(&id, change, at(3)));
    handled.unwrap();
    let rows = store.log_after(&id, 0, 10).await.unwrap().len();
    match finished.unwrap() {
        Finished::Stored(_) => assert_eq!(rows, 2, "the answer was first"),
        Finished::NoMessage | Finished::Fenced => assert_eq!(rows, 1, "the person was first"),
    }
    assert!(matches!(store.finish(finish(&answer, "late")).await.unwrap(), Finished::Fenced));
    let refused = store.regenerate(&id, at(6)).await;
    assert!(matches!(refused, Err(Error::Conflict(_))));
}

async fn a_lost_answer_without_text_waits_again(store: Store) {
    let id = begin(&store, Kind::Assistant).await.id;
    store.post(draft(&id, &customer(), "why?")).await.unwrap();
    let answer = store.claim(&id, "worker", at(10), at(2)).await.unwrap().unwrap();
    assert!(store.expired(at(9)).await.unwrap().is_empty());
    assert_eq!(store.expired(at(10)).await.unwrap()[0].id, answer.id);

    assert!(store.checkpoint(&answer.id, 1, "half", at(20)).await.unwrap());
    assert!(store.expired(at(19)).await.unwrap().is_empty());
    let late = store.expired(at(20)).await.unwrap();
    assert_eq!((late[0].text.as_str(), late[0].attempt), ("half", 1));
    assert!(!store.requeue(&answer.id, 1).await.unwrap(), "its text would be lost");
    let interrupted = Finish { status: AnswerStatus::Interrupted, ..finish(&late[0], "half") };
    let message = stored(store.finish(interrupted).await.unwrap());
    assert_eq!((message.status, message.content.as_str()), (MessageStatus::Interrupted, "half"));
    assert_eq!(store.answer(&answer.id).await.unwrap().unwrap().text, "half");
}

async fn regenerating_names_the_old_answer(store: Store) {
    let id = begin(&store, Kind::Assistant).await.id;
    let nothing = store.regenerate(&id, at(1)).await;
    assert!(matches!(nothing, Err(Error::NotFound("message"))));
    store.post(draft(&id, &customer(), "why?")).await.unwrap();
    let first = store.claim(&id, "worker", at(60), at(2)).await.unwrap().unwrap();
    let old = stored(store.finish(finish(&first, "because")).await.unwrap());

    let anew = store.regenerate(&id, at(6)).await.unwrap();
    let second = store.claim(&id, "worker", at(60), at(7)).await.unwrap().unwrap();
    assert_eq!((&second.id, second.regenerates.as_ref()), (&anew, Some(&old.id)));
    assert_ne!(second.message, old.id);
    let new = stored(store.finish(finish(&second, "therefore")).await.unwrap());
    assert_eq!(new.metadata["regenerates"], old.id.as_str());
    assert_eq!(new.metadata["model"], "test");
    assert_eq!(new.in_reply_to, old.in_reply_to);
}

//! What becomes of a search that waits for long: for a worker that there is not, or for one that has much to do.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use chrono::TimeDelta;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use switchboard::{
    app::system_clock,
    domain::{Clock, event::Event, ids::UserId, search::SearchJob, user::Role},
    service::{accounts, housekeeping, search},
    worker,
};
use tokio::{
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_tungstenite::{client_async, tungstenite::Message};

use crate::bench::{Client, start};

const DEADLINE: Duration = Duration::from_secs(20);

/// A clock that stands still, and what moves it.
fn clock() -> (Clock, Arc<AtomicI64>) {
    let (began, seconds) = (system_clock()(), Arc::new(AtomicI64::new(0)));
    let passed = seconds.clone();
    (Arc::new(move || began + TimeDelta::seconds(passed.load(Ordering::Relaxed))), seconds)
}

async fn ask(client: &mut Client, id: &str, query: &str) {
    let frame = json!({ "type": "agent.search", "requestId": id, "payload": { "query": query } });
    client.send(Message::text(frame.to_string())).await.unwrap();
}

/// The next frame, as the request that it answers and the code when it is an error.
async fn hear(client: &mut Client) -> (String, Option<String>) {
    let frame = timeout(DEADLINE, client.next()).await.expect("nothing is heard").unwrap().unwrap();
    let frame: Value = serde_json::from_str(&frame.into_text().unwrap()).unwrap();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    (text(&frame["requestId"]).unwrap(), text(&frame["payload"]["code"]))
}

#[tokio::test]
async fn without_a_worker_a_search_is_given_up_after_thirty_seconds_and_only_once() {
    let folder = tempfile::tempdir().unwrap();
    let (clock, seconds) = clock();
    let (app, address) = start(&[], &folder, clock).await;
    housekeeping::start(&app);
    let (user, _) = accounts::create_user(&app, "ann@example.org", "Ann", Role::Customer, None).await.unwrap();
    let token = app.tokens.sign(&user, app.now(), accounts::TOKEN_TTL).unwrap();
    let url = format!("ws://{address}/ws?token={token}");
    let (mut client, _) = client_async(url, TcpStream::connect(address).await.unwrap()).await.unwrap();
    let error = |id: &str, code: &str| (id.to_owned(), Some(code.to_owned()));

    ask(&mut client, "early", "lamp").await;
    ask(&mut client, "wrong", "").await;
    assert_eq!(hear(&mut client).await, error("wrong", "INVALID_QUERY"));
    seconds.store(20, Ordering::Relaxed);
    ask(&mut client, "later", "lamp").await;
    ask(&mut client, "wrong", "").await;
    assert_eq!(hear(&mut client).await, error("wrong", "INVALID_QUERY"));
    seconds.store(30, Ordering::Relaxed);
    assert_eq!(hear(&mut client).await, error("early", "AGENT_UNAVAILABLE"));

    // The worker that comes now finds both, and answers the one for which somebody waits.
    worker::start(&app);
    assert_eq!(hear(&mut client).await, ("later".to_owned(), None));
    ask(&mut client, "last", "lamp").await;
    assert_eq!(hear(&mut client).await, ("last".to_owned(), None));
}

#[tokio::test]
async fn a_search_that_has_waited_for_long_does_not_wait_for_the_ai_too() {
    let folder = tempfile::tempdir().unwrap();
    // An AI that takes every request and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", silent.local_addr().unwrap());
    let (clock, seconds) = clock();
    let (app, _) = start(&[("OPENAI_BASE_URL", &url)], &folder, clock).await;
    let (id, request_id, asker) = ("1".into(), "1".into(), UserId::trusted("ann"));
    let job = SearchJob { id, request_id, asker, query: "lamp".into(), asked_at: app.now() };
    seconds.store(15, Ordering::Relaxed);
    let answered = timeout(Duration::from_secs(3), search::answer(&app, &job)).await.expect("at once");
    assert!(matches!(answered, Event::SearchAnswered(answer) if answer.degraded));
}

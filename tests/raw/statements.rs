//! What one message costs the database on a connection that knows who it is and where.

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use switchboard::{
    app::system_clock,
    domain::{
        conversation::{Kind, NewConversation},
        user::Role,
    },
    service::accounts,
};
use tokio::net::TcpStream;
use tokio_tungstenite::{client_async, tungstenite::Message};

use crate::bench::{Client, start};

/// Contract section 10.
const STATEMENTS_MAX: u64 = 3;

/// The next frame of this type.
async fn hear(client: &mut Client, kind: &str) -> Value {
    loop {
        let text = client.next().await.unwrap().unwrap().into_text().unwrap();
        let frame: Value = serde_json::from_str(&text).unwrap();
        assert_ne!(frame["type"], "error", "{frame}");
        if frame["type"] == kind {
            return frame;
        }
    }
}

async fn a_message_costs_three_statements(database_url: &str) {
    let folder = tempfile::tempdir().unwrap();
    let (app, address) = start(&[("DATABASE_URL", database_url)], &folder, system_clock()).await;
    let email = format!("{}@example.org", uuid::Uuid::new_v4());
    let (user, _) = accounts::create_user(&app, &email, "Ann", Role::Customer, None).await.unwrap();
    let new = NewConversation::default();
    let conversation = app.store.create_conversation(&new, Kind::Assistant, &user, app.now()).await.unwrap();
    let token = app.tokens.sign(&user, app.now(), accounts::TOKEN_TTL).unwrap();
    let url = format!("ws://{address}/api/v1/conversations/{}/ws?token={token}", conversation.id);
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut client, _) = client_async(url, stream).await.unwrap();
    hear(&mut client, "connection_ack").await;
    for number in 1..=5 {
        let before = app.store.statements();
        let frame = serde_json::json!({
            "type": "user_message", "content": format!("Number {number}"), "message_id": format!("m-{number}"),
        });
        client.send(Message::text(frame.to_string())).await.unwrap();
        let heard = hear(&mut client, "message_received").await;
        let spent = app.store.statements() - before;
        assert_eq!(heard["message"]["meta"]["seq"], number);
        assert!((1..=STATEMENTS_MAX).contains(&spent), "message {number} cost {spent} statements");
    }
}

#[tokio::test]
async fn a_message_costs_three_statements_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    a_message_costs_three_statements(&format!("sqlite://{}?mode=rwc", folder.path().join("log.db").display())).await;
}

#[tokio::test]
async fn a_message_costs_three_statements_on_postgresql() {
    let url = std::env::var("TEST_POSTGRES_URL").expect("TEST_POSTGRES_URL: run through tests/run");
    a_message_costs_three_statements(&url).await;
}

//! `POST /api/coze/chat`: send a message and wait for the AI's answer, whole or as a stream of server-sent events.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, header::ACCEPT},
    response::{
        IntoResponse, Response,
        sse::{KeepAlive, Sse},
    },
};
use futures_util::{Stream, stream};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{caller::Known, error::ApiError, payload::Payload};
use crate::{
    app::App,
    domain::{
        command::{Command, Reply},
        conversation::{Kind, NewConversation},
        error::{Error, Failure},
        event::{Event, LogEntry},
        ids::ConversationId,
        message::{Content, Message, MessageStatus},
        user::Caller,
    },
    service::{self, Effect},
};

/// Beyond the answer's own limit, for what waits in front of it in the same conversation.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Chat {
    message: String,
    conversation_id: Option<ConversationId>,
}

/// A message that was sent, and the ear on its conversation.
struct Sent {
    message: Arc<Message>,
    events: mpsc::Receiver<Event>,
    /// A person handles the conversation, or the message was sent before: nothing will be answered.
    is_answered: bool,
    deadline: tokio::time::Instant,
}

pub(super) async fn chat(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    headers: HeaderMap,
    Payload(body): Payload<Chat>,
) -> Result<Response, ApiError> {
    let content = Content::parse(body.message)?;
    let conversation = match body.conversation_id {
        Some(id) => {
            app.store.access(&caller.user, &id).await?;
            id
        }
        None => create(&app, &caller).await?,
    };
    let sent = send(&app, &caller, conversation, content).await?;
    let wants_stream = headers
        .get(ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("text/event-stream"));
    if wants_stream {
        return Ok(Sse::new(events(sent)).keep_alive(KeepAlive::default()).into_response());
    }
    let (status, body) = whole(sent).await;
    Ok((status, Json(body)).into_response())
}

async fn create(app: &Arc<App>, caller: &Caller) -> Result<ConversationId, ApiError> {
    let new = NewConversation { kind: Some(Kind::Assistant), ..NewConversation::default() };
    let outcome = service::execute(app, caller, Command::CreateConversation(new)).await?;
    service::settle(app, outcome.effects);
    match outcome.reply {
        Reply::Conversation(conversation) => Ok(conversation.id.clone()),
        _ => Err(Error::internal("creating a conversation gave none").into()),
    }
}

async fn send(
    app: &Arc<App>,
    caller: &Caller,
    conversation: ConversationId,
    content: Content,
) -> Result<Sent, ApiError> {
    // Listen before sending: a quick answer must not be missed.
    let events = app.hub.tap(&conversation);
    let command = Command::PostMessage { conversation, content, client_message_id: None, kind_if_new: Kind::Assistant };
    let outcome = service::execute(app, caller, command).await?;
    let is_answered = outcome.effects.iter().any(|effect| matches!(effect, Effect::Answer(_)));
    let Reply::Posted { message, .. } = outcome.reply else {
        return Err(Error::internal("sending a message gave none").into());
    };
    service::settle(app, outcome.effects);
    let deadline = tokio::time::Instant::now() + app.config.ai_timeout + PATIENCE;
    Ok(Sent { message, events, is_answered, deadline })
}

impl Sent {
    /// The next event about the answer to this very message; none when it takes too long.
    async fn next(&mut self) -> Option<Event> {
        loop {
            let event = tokio::time::timeout_at(self.deadline, self.events.recv()).await.ok()??;
            match &event {
                Event::AnswerFinished(LogEntry { question, .. })
                    if question.as_ref().is_some_and(|question| question.id == self.message.id) =>
                {
                    return Some(event);
                }
                Event::AnswerChunk(_) | Event::AnswerFailed { .. } => return Some(event),
                _ => {}
            }
        }
    }

    fn body(&self, reply: Option<&Message>, failure: Option<&Failure>) -> Value {
        let mut body = json!({
            "success": failure.is_none(),
            "conversationId": self.message.conversation_id,
            "userMessage": self.message,
            "reply": reply,
        });
        if let (Some(failure), Some(fields)) = (failure, body.as_object_mut()) {
            fields.insert("error".into(), json!(failure));
        }
        body
    }
}

fn too_late() -> Failure {
    Failure::from(&Error::AiUnavailable("The assistant took too long to answer.".into()))
}

/// Waits for the end.
async fn whole(mut sent: Sent) -> (axum::http::StatusCode, Value) {
    use axum::http::StatusCode;
    if !sent.is_answered {
        return (StatusCode::OK, sent.body(None, None));
    }
    let mut failure = None;
    loop {
        match sent.next().await {
            Some(Event::AnswerFailed { failure: failed, .. }) => failure = Some(failed),
            Some(Event::AnswerFinished(entry)) => {
                let failure = failure.filter(|_| entry.message.status == MessageStatus::Failed);
                let status = failure.as_ref().map_or(StatusCode::OK, |_| StatusCode::SERVICE_UNAVAILABLE);
                return (status, sent.body(Some(&entry.message), failure.as_ref()));
            }
            Some(_) => {}
            None => return (StatusCode::SERVICE_UNAVAILABLE, sent.body(None, Some(&too_late()))),
        }
    }
}

/// Chunks as they come, then `done` with the same JSON that the whole answer has.
fn events(sent: Sent) -> impl Stream<Item = Result<axum::response::sse::Event, axum::Error>> {
    let begin = (Some(sent), None);
    stream::unfold(begin, |(sent, mut failure)| async move {
        let mut sent = sent?;
        if !sent.is_answered {
            return Some((done(sent.body(None, None)), (None, None)));
        }
        loop {
            match sent.next().await {
                Some(Event::AnswerChunk(chunk)) => {
                    let data = json!({
                        "conversationId": chunk.conversation,
                        "messageId": chunk.message,
                        "index": chunk.index,
                        "chunk": chunk.text(),
                        "content": chunk.content,
                    });
                    let event = axum::response::sse::Event::default().event("message:chunk").json_data(data);
                    return Some((event, (Some(sent), failure)));
                }
                Some(Event::AnswerFailed { failure: failed, .. }) => failure = Some(failed),
                Some(Event::AnswerFinished(entry)) => {
                    let body = sent.body(Some(&entry.message), failure.as_ref());
                    return Some((done(body), (None, None)));
                }
                Some(_) => {}
                None => return Some((done(sent.body(None, Some(&too_late()))), (None, None))),
            }
        }
    })
}

fn done(body: Value) -> Result<axum::response::sse::Event, axum::Error> {
    axum::response::sse::Event::default().event("done").json_data(body)
}

//! `POST /api/coze/chat`: send a message and wait for the AI's answer, whole or as a stream of server-sent events.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode, header::ACCEPT},
    response::{
        IntoResponse, Response,
        sse::{self, KeepAlive, Sse},
    },
};
use futures_util::{Stream, stream};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};

use super::{caller::Known, error::ApiError, payload::Payload};
use crate::{
    app::App,
    domain::{
        command::{Command, Reply},
        conversation::{Kind, NewConversation},
        error::{Error, Failure},
        event::{Chunk, Event, LogEntry},
        ids::{ConversationId, MessageId},
        message::{Content, Message, MessageStatus, NewMessage},
        user::Caller,
    },
    service,
};

/// Beyond the answer's own limit, for what waits in front of it in the same conversation.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Chat {
    message: String,
    conversation_id: Option<ConversationId>,
}

/// How often the log is looked at, in case an event was missed.
const LOOK: Duration = Duration::from_secs(3);

/// A message that was sent, and the ear on its conversation.
struct Sent {
    app: Arc<App>,
    message: Arc<Message>,
    events: mpsc::Receiver<Event>,
    /// The id that the answer's message will have; none when a person handles the conversation.
    answer: Option<MessageId>,
    failure: Option<Failure>,
    deadline: Instant,
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
    let sent = send(&app, caller, conversation, content).await?;
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
    match service::perform(app, caller.clone(), Command::CreateConversation(new)).await? {
        Reply::Conversation(conversation) => Ok(conversation.id.clone()),
        _ => Err(Error::internal("creating a conversation gave none").into()),
    }
}

async fn send(
    app: &Arc<App>,
    caller: Caller,
    conversation: ConversationId,
    content: Content,
) -> Result<Sent, ApiError> {
    // Listen before sending: a quick answer must not be missed.
    let events = app.hub.tap(&conversation);
    let command = Command::PostMessage(NewMessage::new(conversation, content, Kind::Assistant));
    let Reply::Posted { message, answer, .. } = service::perform(app, caller, command).await? else {
        return Err(Error::internal("sending a message gave none").into());
    };
    let answer = match answer {
        Some(id) => app.store.answer(&id).await?.map(|answer| answer.message),
        None => None,
    };
    let deadline = Instant::now() + app.config.ai_timeout + PATIENCE;
    Ok(Sent { app: app.clone(), message, events, answer, failure: None, deadline })
}

/// What happens to the answer of one message.
enum News {
    Chunk(Chunk),
    Finished(Arc<Message>),
    TooLate,
}

impl Sent {
    /// The next news of the answer to this very message; other answers of the conversation may come before.
    async fn next(&mut self) -> News {
        loop {
            let limit = self.deadline.min(Instant::now() + LOOK);
            match timeout_at(limit, self.events.recv()).await {
                Ok(Some(Event::AnswerChunk(chunk))) if Some(&chunk.message) == self.answer.as_ref() => {
                    return News::Chunk(chunk);
                }
                Ok(Some(Event::AnswerFailed { failure, .. })) => self.failure = Some(failure),
                Ok(Some(Event::AnswerFinished(LogEntry { message, .. }))) => {
                    if Some(&message.id) == self.answer.as_ref() {
                        return News::Finished(message);
                    }
                    // The failure before it was another answer's.
                    self.failure = None;
                }
                Ok(Some(_)) => {}
                ended @ (Ok(None) | Err(_)) => {
                    if let Some(message) = self.stored().await {
                        return News::Finished(message);
                    }
                    // Nothing will come any more when the conversation is gone.
                    if ended.is_ok() || Instant::now() >= self.deadline {
                        self.failure = Some(too_late());
                        return News::TooLate;
                    }
                }
            }
        }
    }

    /// The answer as the log has it.
    async fn stored(&self) -> Option<Arc<Message>> {
        let after = self.message.seq.unwrap_or(0);
        let log = self.app.store.log_after(&self.message.conversation_id, after, 200).await.ok()?;
        log.into_iter().map(|entry| entry.message).find(|message| Some(&message.id) == self.answer.as_ref())
    }

    /// The failure of this answer, if it has failed.
    fn failure_of(&mut self, message: &Message) -> Option<Failure> {
        let failure = self.failure.take();
        (message.status == MessageStatus::Failed).then(|| failure.unwrap_or_else(failed))
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

fn failed() -> Failure {
    Failure::from(&Error::AiUnavailable("The assistant could not answer this message.".into()))
}

/// Waits for the end.
async fn whole(mut sent: Sent) -> (StatusCode, Value) {
    if sent.answer.is_none() {
        return (StatusCode::OK, sent.body(None, None));
    }
    loop {
        match sent.next().await {
            News::Chunk(_) => {}
            News::Finished(message) => {
                let failure = sent.failure_of(&message);
                let status = failure.as_ref().map_or(StatusCode::OK, |_| StatusCode::SERVICE_UNAVAILABLE);
                return (status, sent.body(Some(&message), failure.as_ref()));
            }
            News::TooLate => return (StatusCode::SERVICE_UNAVAILABLE, sent.body(None, sent.failure.as_ref())),
        }
    }
}

/// Chunks as they come, then `done` with the same JSON that the whole answer has.
fn events(sent: Sent) -> impl Stream<Item = Result<sse::Event, axum::Error>> {
    stream::unfold(Some(sent), |sent| async move {
        let mut sent = sent?;
        if sent.answer.is_none() {
            return Some((done(sent.body(None, None)), None));
        }
        match sent.next().await {
            News::Chunk(chunk) => {
                let data = json!({
                    "conversationId": chunk.conversation,
                    "messageId": chunk.message,
                    "index": chunk.index,
                    "chunk": chunk.text(),
                    "content": chunk.content,
                });
                Some((sse::Event::default().event("message:chunk").json_data(data), Some(sent)))
            }
            News::Finished(message) => {
                let failure = sent.failure_of(&message);
                Some((done(sent.body(Some(&message), failure.as_ref())), None))
            }
            News::TooLate => Some((done(sent.body(None, sent.failure.as_ref())), None)),
        }
    })
}

fn done(body: Value) -> Result<sse::Event, axum::Error> {
    sse::Event::default().event("done").json_data(body)
}

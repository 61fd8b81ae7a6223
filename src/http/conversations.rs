//! Conversations and their messages over REST; the same commands as over a socket.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    caller::Known,
    error::ApiError,
    payload::{Payload, Query, page_size},
};
use crate::{
    app::App,
    assistant,
    domain::{
        command::{Command, ReadMark, Reply},
        conversation::{Conversation, HandledBy, Kind, NewConversation, Status},
        error::Error,
        event::LogEntry,
        ids::{ClientMessageId, ConversationId, MessageId, UserId},
        message::{Content, NewMessage},
    },
    service,
    store::ConversationFilter,
};

type Answer = Result<Json<Value>, ApiError>;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListQuery {
    cursor: Option<String>,
    limit: Option<u64>,
    status: Option<Status>,
    handled_by: Option<String>,
    waiting: Option<bool>,
}

#[derive(Deserialize)]
pub(super) struct MessagesQuery {
    after: Option<u64>,
    before: Option<u64>,
    limit: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Create {
    id: Option<ConversationId>,
    kind: Option<Kind>,
    title: Option<String>,
    agent_id: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Update {
    title: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PostMessage {
    content: String,
    client_message_id: Option<ClientMessageId>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Read {
    message_ids: Option<Vec<MessageId>>,
    up_to_seq: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Assign {
    agent_id: Option<UserId>,
}

/// A conversation id that cannot exist is answered like one that does not.
pub(super) struct ConversationPath(ConversationId);

impl axum::extract::FromRequestParts<Arc<App>> for ConversationPath {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut axum::http::request::Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let path = Path::<String>::from_request_parts(parts, app).await;
        let id = path.ok().and_then(|Path(id)| ConversationId::parse(&id).ok());
        Ok(Self(id.ok_or(Error::NotFound("conversation"))?))
    }
}

fn spelled(reply: &Reply) -> Json<Value> {
    match reply {
        Reply::Conversation(conversation) => Json(json!({ "conversation": conversation })),
        Reply::Posted { message, duplicate: true, .. } => Json(json!({ "message": message, "duplicate": true })),
        Reply::Posted { message, duplicate: false, .. } => Json(json!({ "message": message })),
        Reply::Done
        | Reply::Read { .. }
        | Reply::Authenticated(_)
        | Reply::Joined(_)
        | Reply::Left(_)
        | Reply::Pong(_) => Json(json!({ "success": true })),
    }
}

pub(super) async fn list(State(app): State<Arc<App>>, Known(caller): Known, Query(query): Query<ListQuery>) -> Answer {
    let filter = ConversationFilter {
        status: query.status,
        handled_by: query.handled_by.map(HandledBy::from),
        waiting: query.waiting,
    };
    let limit = page_size(query.limit)?;
    let (conversations, next) = app.store.conversations(&caller.user, &filter, query.cursor.as_deref(), limit).await?;
    Ok(Json(json!({ "conversations": conversations, "nextCursor": next })))
}

pub(super) async fn create(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    Payload(body): Payload<Create>,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    body.title.as_deref().map_or(Ok(()), Conversation::check_title)?;
    let new = NewConversation { id: body.id, kind: body.kind, title: body.title, agent_id: body.agent_id };
    let reply = service::perform(&app, caller, Command::CreateConversation(new)).await?;
    Ok((StatusCode::CREATED, spelled(&reply)))
}

pub(super) async fn show(State(app): State<Arc<App>>, Known(caller): Known, id: ConversationPath) -> Answer {
    let conversation = app.store.conversation(&caller.user, &id.0).await?;
    Ok(Json(json!({ "conversation": conversation })))
}

pub(super) async fn update(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    id: ConversationPath,
    Payload(body): Payload<Update>,
) -> Answer {
    body.title.as_deref().map_or(Ok(()), Conversation::check_title)?;
    let command = Command::UpdateConversation { conversation: id.0, title: body.title };
    Ok(spelled(&service::perform(&app, caller, command).await?))
}

pub(super) async fn delete(State(app): State<Arc<App>>, Known(caller): Known, id: ConversationPath) -> Answer {
    Ok(spelled(&service::perform(&app, caller, Command::DeleteConversation { conversation: id.0 }).await?))
}

/// Messages behind `after`, or the newest below `before`, always ascending.
pub(super) async fn messages(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    id: ConversationPath,
    Query(query): Query<MessagesQuery>,
) -> Answer {
    let limit = page_size(query.limit)?;
    app.store.access(&caller.user, &id.0).await?;
    // One more than is shown tells whether there is more.
    let mut log: Vec<LogEntry> = match query.after {
        Some(after) => app.store.log_after(&id.0, after, limit + 1).await?,
        None => app.store.log_before(&id.0, query.before, limit + 1).await?,
    };
    let mut has_more = log.len() as u64 > limit;
    if query.after.is_some() {
        log.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        if let Some(before) = query.before {
            let found = log.len();
            log.retain(|entry| entry.message.seq.is_some_and(|seq| seq < before));
            has_more &= log.len() == found;
        }
    } else if has_more {
        log.remove(0);
    }
    let messages: Vec<_> = log.into_iter().map(|entry| entry.message).collect();
    Ok(Json(json!({ "messages": messages, "hasMore": has_more })))
}

pub(super) async fn post_message(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    id: ConversationPath,
    Payload(body): Payload<PostMessage>,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let new = NewMessage::new(id.0, Content::parse(body.content)?, Kind::Assistant);
    let command = Command::PostMessage(NewMessage { client_message_id: body.client_message_id, ..new });
    let reply = service::perform(&app, caller, command).await?;
    let is_new = matches!(reply, Reply::Posted { duplicate: false, .. });
    Ok((if is_new { StatusCode::CREATED } else { StatusCode::OK }, spelled(&reply)))
}

pub(super) async fn mark_read(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    id: ConversationPath,
    Payload(body): Payload<Read>,
) -> Answer {
    let mark = match (body.up_to_seq, body.message_ids) {
        (Some(seq), None) => ReadMark::UpTo(seq),
        (None, Some(ids)) if ids.len() <= 1000 => ReadMark::Messages(ids),
        (None, Some(_)) => return Err(Error::TooLarge("more than 1000 messageIds".into()).into()),
        _ => return Err(Error::invalid("expected either upToSeq or messageIds").into()),
    };
    Ok(spelled(&service::perform(&app, caller, Command::MarkRead { conversation: id.0, mark }).await?))
}

pub(super) async fn assign(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    id: ConversationPath,
    Payload(body): Payload<Assign>,
) -> Answer {
    let command = Command::Assign { conversation: id.0, agent: body.agent_id };
    Ok(spelled(&service::perform(&app, caller, command).await?))
}

pub(super) async fn hand_back(State(app): State<Arc<App>>, Known(caller): Known, id: ConversationPath) -> Answer {
    Ok(spelled(&service::perform(&app, caller, Command::HandBack { conversation: id.0 }).await?))
}

pub(super) async fn resolve(State(app): State<Arc<App>>, Known(caller): Known, id: ConversationPath) -> Answer {
    Ok(spelled(&service::perform(&app, caller, Command::Resolve { conversation: id.0 }).await?))
}

pub(super) async fn stop(State(app): State<Arc<App>>, Known(caller): Known, id: ConversationPath) -> Answer {
    Ok(spelled(&service::perform(&app, caller, Command::StopAnswer { conversation: id.0 }).await?))
}

/// The AI personas that a conversation's `agentId` can name.
pub(super) async fn personas() -> Json<Value> {
    let personas: Vec<_> = assistant::personas()
        .iter()
        .map(|persona| json!({ "id": persona.id, "name": persona.name, "description": persona.description }))
        .collect();
    Json(json!({ "agents": personas }))
}

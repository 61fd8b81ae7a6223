//! Rows to domain types and back.

use std::collections::HashMap;

use chrono::DateTime;
use sea_orm::{ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder};
use serde::de::{
    DeserializeOwned,
    value::{Error as WordError, StrDeserializer},
};

use super::entities::{answer, conversation, message, participant, user};
use crate::domain::{
    Timestamp,
    answer::AnswerStatus,
    conversation::Conversation,
    ids::{AnswerId, ClientMessageId, ConversationId, MessageId, UserId},
    message::{Message, Sender},
    user::User,
};

/// Reads a word of an enumeration as `as_str` wrote it.
pub(super) fn word<T: DeserializeOwned>(text: &str) -> Result<T, DbErr> {
    T::deserialize(StrDeserializer::<WordError>::new(text)).map_err(|error| DbErr::Type(error.to_string()))
}

/// A time from its column.
pub(super) fn time(millis: i64) -> Result<Timestamp, DbErr> {
    DateTime::from_timestamp_millis(millis).ok_or_else(|| DbErr::Type("time out of range".into()))
}

/// A time as the database will give it back.
pub(super) fn stored(at: Timestamp) -> Timestamp {
    DateTime::from_timestamp_millis(at.timestamp_millis()).unwrap_or(at)
}

/// A number that is never negative, for its column.
pub(super) fn column(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn user(row: user::Model) -> Result<User, DbErr> {
    Ok(User { role: word(&row.role)?, id: UserId::trusted(&row.id), name: row.name, email: row.email })
}

pub(super) fn message(row: message::Model) -> Result<Message, DbErr> {
    Ok(Message {
        id: MessageId::trusted(&row.id),
        conversation_id: ConversationId::trusted(&row.conversation_id),
        seq: Some(row.seq.unsigned_abs()),
        role: word(&row.role)?,
        sender: Sender {
            user_id: UserId::trusted(&row.sender_id),
            user_name: row.sender_name,
            role: word(&row.sender_role)?,
        },
        agent_id: row.agent_id,
        content: row.content,
        status: word(&row.status)?,
        client_message_id: row.client_message_id.as_deref().map(ClientMessageId::trusted),
        in_reply_to: row.in_reply_to.as_deref().map(MessageId::trusted),
        created_at: time(row.created_at)?,
        metadata: serde_json::from_str(&row.metadata).map_err(|error| DbErr::Json(error.to_string()))?,
    })
}

/// The row of a message that has its number.
pub(super) fn message_row(message: &Message, seq: u64) -> Result<message::ActiveModel, DbErr> {
    let metadata = serde_json::to_string(&message.metadata).map_err(|error| DbErr::Json(error.to_string()))?;
    Ok(message::ActiveModel {
        id: Set(message.id.to_string()),
        conversation_id: Set(message.conversation_id.to_string()),
        seq: Set(column(seq)),
        role: Set(message.role.as_str().to_owned()),
        sender_id: Set(message.sender.user_id.to_string()),
        sender_name: Set(message.sender.user_name.clone()),
        sender_role: Set(message.sender.role.as_str().to_owned()),
        agent_id: Set(message.agent_id.clone()),
        content: Set(message.content.clone()),
        status: Set(message.status.as_str().to_owned()),
        client_message_id: Set(message.client_message_id.as_ref().map(ToString::to_string)),
        in_reply_to: Set(message.in_reply_to.as_ref().map(ToString::to_string)),
        metadata: Set(metadata),
        created_at: Set(message.created_at.timestamp_millis()),
    })
}

/// An answer that waits for its turn.
pub(super) fn queued_answer(
    conversation: &ConversationId,
    question: &MessageId,
    question_seq: u64,
    persona: &str,
    at: Timestamp,
) -> (AnswerId, answer::ActiveModel) {
    let id = AnswerId::generate();
    let row = answer::ActiveModel {
        id: Set(id.to_string()),
        conversation_id: Set(conversation.to_string()),
        message_id: Set(MessageId::generate().to_string()),
        question_id: Set(question.to_string()),
        question_seq: Set(column(question_seq)),
        persona: Set(persona.to_owned()),
        status: Set(AnswerStatus::Queued.as_str().to_owned()),
        attempt: Set(0),
        owner: Set(None),
        lease_until: Set(None),
        text: Set(String::new()),
        regenerates: Set(None),
        error: Set(None),
        model: Set(None),
        prompt_tokens: Set(None),
        completion_tokens: Set(None),
        usage_estimated: Set(false),
        created_at: Set(at.timestamp_millis()),
        started_at: Set(None),
        ended_at: Set(None),
    };
    (id, row)
}

/// Adds participants and newest messages to conversations: one query each, however many there are.
pub(super) async fn conversations(
    db: &impl ConnectionTrait,
    rows: Vec<conversation::Model>,
) -> Result<Vec<Conversation>, DbErr> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let mut participants = participants_of(db, &rows).await?;
    let mut newest = newest_of(db, &rows).await?;
    rows.into_iter()
        .map(|row| {
            let owner_id = UserId::trusted(&row.owner_id);
            let mut people = vec![owner_id.clone()];
            people.extend(participants.remove(&row.id).unwrap_or_default());
            Ok(Conversation {
                kind: word(&row.kind)?,
                status: word(&row.status)?,
                handled_by: row.handled_by.into(),
                waiting_for_agent: row.waiting_for_agent,
                owner_id,
                participants: people,
                last_seq: row.last_seq.unsigned_abs(),
                message_count: row.last_seq.unsigned_abs(),
                last_message: newest.remove(&row.id),
                created_at: time(row.created_at)?,
                updated_at: time(row.updated_at)?,
                id: ConversationId::trusted(&row.id),
                title: row.title,
                agent_id: row.agent_id,
            })
        })
        .collect()
}

/// Everybody but the owner, in the order in which they came.
async fn participants_of(
    db: &impl ConnectionTrait,
    rows: &[conversation::Model],
) -> Result<HashMap<String, Vec<UserId>>, DbErr> {
    let owners: HashMap<&str, &str> = rows.iter().map(|row| (row.id.as_str(), row.owner_id.as_str())).collect();
    let found = participant::Entity::find()
        .filter(participant::Column::ConversationId.is_in(owners.keys().copied()))
        .order_by_asc(participant::Column::JoinedAt)
        .order_by_asc(participant::Column::UserId)
        .all(db)
        .await?;
    let mut people: HashMap<String, Vec<UserId>> = HashMap::new();
    for row in found {
        if owners.get(row.conversation_id.as_str()) != Some(&row.user_id.as_str()) {
            people.entry(row.conversation_id).or_default().push(UserId::trusted(&row.user_id));
        }
    }
    Ok(people)
}

/// The message that each row's own counter names, so that both fit together even while others post.
async fn newest_of(
    db: &impl ConnectionTrait,
    rows: &[conversation::Model],
) -> Result<HashMap<String, Box<Message>>, DbErr> {
    let mut wanted = Condition::any();
    for row in rows.iter().filter(|row| row.last_seq > 0) {
        wanted = wanted.add(
            Condition::all()
                .add(message::Column::ConversationId.eq(row.id.as_str()))
                .add(message::Column::Seq.eq(row.last_seq)),
        );
    }
    if wanted.is_empty() {
        return Ok(HashMap::new());
    }
    let found = message::Entity::find().filter(wanted).all(db).await?;
    found.into_iter().map(|row| Ok((row.conversation_id.clone(), Box::new(message(row)?)))).collect()
}

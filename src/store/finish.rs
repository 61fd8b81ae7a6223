//! The end of an AI answer: its message and its row in one transaction, fenced against workers that were given up
//! and against people who have taken over.

use std::sync::Arc;

use sea_orm::{ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, FromQueryResult};
use serde_json::{Map, Value};

use super::{Store, entities::message, rows, sql::statement};
use crate::domain::{
    Timestamp,
    answer::{Answer, AnswerStatus, Usage},
    error::{Error, Failure},
    message::{Message, MessageRole, Sender},
};

/// Takes the next number, unless the answer is lost or a person handles the conversation. It comes first in the
/// transaction because it locks the conversation, like every other transaction does first.
const TAKE_NUMBER: &str = "\
    UPDATE conversations SET last_seq = last_seq + 1, updated_at = ? \
    WHERE id = ? AND (kind <> 'support' OR handled_by = 'bot') \
    AND EXISTS (SELECT 1 FROM answers WHERE id = ? AND attempt = ? AND status = 'running') RETURNING last_seq";

const END: &str = "\
    UPDATE answers SET status = ?, text = ?, error = ?, model = ?, prompt_tokens = ?, completion_tokens = ?, \
        usage_estimated = ?, ended_at = ?, lease_until = NULL \
    WHERE id = ? AND attempt = ? AND status = 'running'";

/// How an answer ended.
#[derive(Debug, Clone)]
pub struct Finish<'a> {
    /// The answer as it was claimed.
    pub answer: &'a Answer,
    /// One of the four terminal states.
    pub status: AnswerStatus,
    /// All of its text; without any (blank counts as none) there will be no message.
    pub text: String,
    /// What the provider counted.
    pub usage: Option<Usage>,
    /// The AI under its persona's name.
    pub bot: Sender,
    /// For the message; `regenerates` is added here.
    pub metadata: Map<String, Value>,
    /// Why it failed.
    pub error: Option<Failure>,
    /// When.
    pub at: Timestamp,
}

/// What became of a [`Finish`].
#[derive(Debug, Clone)]
pub enum Finished {
    /// The message has its number.
    Stored(Arc<Message>),
    /// The answer has ended without a message: there was no text, or a person had taken over.
    NoMessage,
    /// Somebody else holds or has ended this answer; nothing was changed.
    Fenced,
}

#[derive(FromQueryResult)]
struct Counter {
    last_seq: i64,
}

impl Store {
    /// Ends a running answer, once: message and row in one transaction.
    ///
    /// # Errors
    /// [`Error::Internal`] for a state that is no end, [`Error::Unavailable`] without the database.
    pub async fn finish(&self, finish: Finish<'_>) -> Result<Finished, Error> {
        if matches!(finish.status, AnswerStatus::Queued | AnswerStatus::Running) {
            return Err(Error::internal("an answer can only be finished with a terminal status"));
        }
        let transaction = self.begin().await?;
        let seq = if finish.text.trim().is_empty() { None } else { take_number(&transaction, &finish).await? };
        let status = match seq {
            // Text, but no number: a person has taken over (or the next statement finds the answer lost).
            None if !finish.text.trim().is_empty() => AnswerStatus::Cancelled,
            _ => finish.status,
        };
        if !end(&transaction, &finish, status).await? {
            transaction.rollback().await?;
            return Ok(Finished::Fenced);
        }
        let Some(seq) = seq else {
            transaction.commit().await?;
            return Ok(Finished::NoMessage);
        };
        let message = message_of(finish, seq);
        message::Entity::insert(rows::message_row(&message, seq)?).exec_without_returning(&transaction).await?;
        transaction.commit().await?;
        Ok(Finished::Stored(Arc::new(message)))
    }
}

async fn take_number(transaction: &DatabaseTransaction, finish: &Finish<'_>) -> Result<Option<u64>, DbErr> {
    let values = vec![
        finish.at.timestamp_millis().into(),
        finish.answer.conversation.as_str().into(),
        finish.answer.id.as_str().into(),
        i64::from(finish.answer.attempt).into(),
    ];
    let counter = Counter::find_by_statement(statement(transaction.get_database_backend(), TAKE_NUMBER, values))
        .one(transaction)
        .await?;
    Ok(counter.map(|counter| counter.last_seq.unsigned_abs()))
}

/// Ends the row; false when this attempt no longer holds it.
async fn end(transaction: &DatabaseTransaction, finish: &Finish<'_>, status: AnswerStatus) -> Result<bool, DbErr> {
    let usage = finish.usage.as_ref();
    let error = match &finish.error {
        Some(failure) => Some(serde_json::to_string(failure).map_err(|error| DbErr::Json(error.to_string()))?),
        None => None,
    };
    let tokens = |count: Option<u32>| count.map(|count| i32::try_from(count).unwrap_or(i32::MAX));
    let values = vec![
        status.as_str().into(),
        finish.text.as_str().into(),
        error.into(),
        usage.map(|usage| usage.model.as_str()).into(),
        tokens(usage.map(|usage| usage.prompt_tokens)).into(),
        tokens(usage.map(|usage| usage.completion_tokens)).into(),
        usage.is_some_and(|usage| usage.estimated).into(),
        finish.at.timestamp_millis().into(),
        finish.answer.id.as_str().into(),
        i64::from(finish.answer.attempt).into(),
    ];
    let done = transaction.execute_raw(statement(transaction.get_database_backend(), END, values)).await?;
    Ok(done.rows_affected() > 0)
}

fn message_of(finish: Finish<'_>, seq: u64) -> Message {
    let answer = finish.answer;
    let mut metadata = finish.metadata;
    if let Some(old) = &answer.regenerates {
        metadata.insert("regenerates".to_owned(), Value::from(old.as_str()));
    }
    Message {
        id: answer.message.clone(),
        conversation_id: answer.conversation.clone(),
        seq: Some(seq),
        role: MessageRole::Assistant,
        sender: finish.bot,
        agent_id: Some(answer.persona.clone()),
        content: finish.text,
        status: finish.status.of_message(),
        client_message_id: None,
        in_reply_to: Some(answer.question.id.clone()),
        created_at: rows::stored(finish.at),
        metadata,
    }
}

//! AI generations: who works on which, for how long, and what they have so far.

use std::sync::Arc;

use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, FromQueryResult, Order, QueryFilter, QueryOrder, QuerySelect,
};

use super::{
    Store,
    entities::{answer, message},
    failure::{Nature, nature},
    handling::cancel_answers,
    rows,
    sql::statement,
};
use crate::domain::{
    Timestamp,
    answer::{Answer, AnswerStatus},
    error::Error,
    ids::{AnswerId, ConversationId, MessageId},
};

/// The oldest waiting answer, unless one runs. The unique index on running answers decides between two claims.
const CLAIM: &str = "\
    UPDATE answers SET status = 'running', attempt = attempt + 1, owner = ?, lease_until = ?, \
        started_at = COALESCE(started_at, ?) \
    WHERE status = 'queued' AND id = (SELECT oldest.id FROM answers oldest \
        WHERE oldest.conversation_id = ? AND oldest.status = 'queued' \
        ORDER BY oldest.question_seq, oldest.id LIMIT 1) \
    AND NOT EXISTS (SELECT 1 FROM answers other WHERE other.conversation_id = ? AND other.status = 'running') \
    RETURNING *";

/// Conversations with somebody waiting and nobody running, longest wait first.
const WAITING: &str = "\
    SELECT conversation_id FROM answers WHERE status = 'queued' AND NOT EXISTS (SELECT 1 FROM answers other \
        WHERE other.conversation_id = answers.conversation_id AND other.status = 'running') \
    GROUP BY conversation_id ORDER BY MIN(created_at), conversation_id LIMIT ?";

#[derive(FromQueryResult)]
struct InConversation {
    conversation_id: String,
}

impl Store {
    /// Up to `limit` conversations that have a waiting answer and no running one.
    ///
    /// # Errors
    /// Only when the database fails.
    pub async fn queued_conversations(&self, limit: u64) -> Result<Vec<ConversationId>, Error> {
        let read = self.read();
        let values = vec![rows::column(limit).into()];
        let found = InConversation::find_by_statement(statement(read.get_database_backend(), WAITING, values))
            .all(read)
            .await?;
        Ok(found.iter().map(|row| ConversationId::trusted(&row.conversation_id)).collect())
    }

    /// Takes the conversation's oldest waiting answer for `owner` until `lease_until`; none when nothing waits or one
    /// is running.
    ///
    /// # Errors
    /// Only when the database fails.
    pub async fn claim(
        &self,
        conversation: &ConversationId,
        owner: &str,
        lease_until: Timestamp,
        at: Timestamp,
    ) -> Result<Option<Answer>, Error> {
        let write = self.write();
        let values = vec![
            owner.into(),
            lease_until.timestamp_millis().into(),
            at.timestamp_millis().into(),
            conversation.as_str().into(),
            conversation.as_str().into(),
        ];
        let claimed = answer::Entity::find()
            .from_raw_sql(statement(write.get_database_backend(), CLAIM, values))
            .one(write)
            .await;
        match claimed {
            Ok(Some(row)) => Ok(self.with_question(vec![row]).await?.pop()),
            Ok(None) => Ok(None),
            Err(error) if matches!(nature(&error), Nature::Duplicate | Nature::Contended) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Saves the text so far and renews the lease; false when this attempt no longer holds the answer.
    ///
    /// # Errors
    /// Only when the database fails.
    pub async fn checkpoint(
        &self,
        id: &AnswerId,
        attempt: u32,
        text: &str,
        lease_until: Timestamp,
    ) -> Result<bool, Error> {
        let change = "UPDATE answers SET text = ?, lease_until = ? WHERE id = ? AND attempt = ? AND status = 'running'";
        let values =
            vec![text.into(), lease_until.timestamp_millis().into(), id.as_str().into(), i64::from(attempt).into()];
        self.change_one(change, values).await
    }

    /// Puts a running answer that has no text yet back into the queue; false when this attempt no longer holds it or
    /// there is text.
    ///
    /// # Errors
    /// Only when the database fails.
    pub async fn requeue(&self, id: &AnswerId, attempt: u32) -> Result<bool, Error> {
        let change = "UPDATE answers SET status = 'queued', owner = NULL, lease_until = NULL \
                      WHERE id = ? AND attempt = ? AND status = 'running' AND text = ''";
        let values = vec![id.as_str().into(), i64::from(attempt).into()];
        self.change_one(change, values).await
    }

    /// The running answers whose lease is over, with the text that was saved.
    ///
    /// # Errors
    /// Only when the database fails.
    pub async fn expired(&self, at: Timestamp) -> Result<Vec<Answer>, Error> {
        let found = answer::Entity::find()
            .filter(answer::Column::Status.eq(AnswerStatus::Running.as_str()))
            .filter(answer::Column::LeaseUntil.lte(at.timestamp_millis()))
            .order_by(answer::Column::LeaseUntil, Order::Asc)
            .all(self.read())
            .await?;
        Ok(self.with_question(found).await?)
    }

    /// An answer in whatever state, to tell how it ended; none when it is gone.
    ///
    /// # Errors
    /// Only when the database fails.
    pub async fn answer(&self, id: &AnswerId) -> Result<Option<Answer>, Error> {
        let found = answer::Entity::find_by_id(id.as_str()).one(self.read()).await?;
        Ok(self.with_question(found.into_iter().collect()).await?.pop())
    }

    /// Ends the waiting answers of a conversation without a message and says which those were.
    ///
    /// # Errors
    /// Only when the database fails.
    pub async fn cancel_queued(&self, conversation: &ConversationId, at: Timestamp) -> Result<Vec<AnswerId>, Error> {
        Ok(cancel_answers(self.write(), conversation, &["queued"], at).await?)
    }

    /// The conversation's running answer.
    ///
    /// # Errors
    /// Only when the database fails.
    pub async fn running(&self, conversation: &ConversationId) -> Result<Option<AnswerId>, Error> {
        self.answer_in(conversation, &[AnswerStatus::Running]).await
    }

    /// Whether an answer of the conversation waits or runs.
    ///
    /// # Errors
    /// Only when the database fails.
    pub async fn has_unfinished(&self, conversation: &ConversationId) -> Result<bool, Error> {
        let states = [AnswerStatus::Queued, AnswerStatus::Running];
        Ok(self.answer_in(conversation, &states).await?.is_some())
    }

    async fn answer_in(
        &self,
        conversation: &ConversationId,
        states: &[AnswerStatus],
    ) -> Result<Option<AnswerId>, Error> {
        let found: Option<String> = answer::Entity::find()
            .select_only()
            .column(answer::Column::Id)
            .filter(answer::Column::ConversationId.eq(conversation.as_str()))
            .filter(answer::Column::Status.is_in(states.iter().map(|state| state.as_str())))
            .into_tuple()
            .one(self.read())
            .await?;
        Ok(found.as_deref().map(AnswerId::trusted))
    }

    async fn change_one(&self, text: &str, values: Vec<sea_orm::Value>) -> Result<bool, Error> {
        let write = self.write();
        let done = write.execute_raw(statement(write.get_database_backend(), text, values)).await?;
        Ok(done.rows_affected() > 0)
    }

    /// Loads the questions of answers with one query; an answer whose question is gone was deleted just now.
    async fn with_question(&self, found: Vec<answer::Model>) -> Result<Vec<Answer>, DbErr> {
        if found.is_empty() {
            return Ok(Vec::new());
        }
        let questions = message::Entity::find()
            .filter(message::Column::Id.is_in(found.iter().map(|row| row.question_id.as_str())))
            .all(self.read())
            .await?;
        let mut answers = Vec::with_capacity(found.len());
        for row in found {
            if let Some(question) = questions.iter().find(|question| question.id == row.question_id) {
                answers.push(Answer {
                    id: AnswerId::trusted(&row.id),
                    conversation: ConversationId::trusted(&row.conversation_id),
                    message: MessageId::trusted(&row.message_id),
                    question: Arc::new(rows::message(question.clone())?),
                    persona: row.persona,
                    attempt: row.attempt.unsigned_abs(),
                    regenerates: row.regenerates.as_deref().map(MessageId::trusted),
                    text: row.text,
                });
            }
        }
        Ok(answers)
    }
}

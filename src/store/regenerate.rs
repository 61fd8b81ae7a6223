//! Asking the AI once more.

use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::{
    Store,
    entities::{answer, conversation, message},
    rows,
};
use crate::domain::{
    Timestamp,
    conversation::HandledBy,
    error::Error,
    ids::{AnswerId, ConversationId, MessageId},
    message::MessageRole,
};

impl Store {
    /// Queues a new answer to the last message of a person. It names the newest answer to that message as the one
    /// that it regenerates, if there is one.
    ///
    /// # Errors
    /// [`Error::NotFound`] without the conversation or a message to answer, [`Error::Conflict`] while a person
    /// handles the conversation.
    pub async fn regenerate(&self, id: &ConversationId, at: Timestamp) -> Result<AnswerId, Error> {
        let transaction = self.begin().await?;
        // Locked, so that nobody takes over between this look and the insert.
        let conversation = conversation::Entity::find_by_id(id.as_str())
            .lock_exclusive()
            .one(&transaction)
            .await?
            .ok_or(Error::NotFound("conversation"))?;
        if conversation.handled_by != HandledBy::BOT {
            return Err(Error::Conflict("a person handles this conversation"));
        }
        let newest = message::Entity::find()
            .filter(message::Column::ConversationId.eq(id.as_str()))
            .order_by_desc(message::Column::Seq);
        let question = newest
            .clone()
            .filter(message::Column::Role.eq(MessageRole::User.as_str()))
            .one(&transaction)
            .await?
            .ok_or(Error::NotFound("message"))?;
        let old = newest
            .filter(message::Column::Role.eq(MessageRole::Assistant.as_str()))
            .filter(message::Column::InReplyTo.eq(question.id.as_str()))
            .one(&transaction)
            .await?;
        let (answer, mut row) = rows::queued_answer(
            id,
            &MessageId::trusted(&question.id),
            question.seq.unsigned_abs(),
            question.agent_id.as_ref().unwrap_or(&conversation.agent_id),
            at,
        );
        row.regenerates = Set(old.map(|message| message.id));
        answer::Entity::insert(row).exec_without_returning(&transaction).await?;
        transaction.commit().await?;
        Ok(answer)
    }
}

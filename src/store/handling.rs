//! Who answers customers: take-over, hand-back, resolving, and asking for a person.

use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ConnectionTrait, DbErr, EntityTrait, IntoActiveModel, QueryResult, QuerySelect,
};

use super::{Store, entities::conversation, sql::statement};
use crate::domain::{
    Timestamp,
    conversation::{Conversation, HandledBy, Kind, Status},
    error::Error,
    ids::{AnswerId, ConversationId, UserId},
};

/// A change of who answers customers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HandlingChange {
    /// This agent answers from now on.
    TakeOver(UserId),
    /// The AI answers from now on.
    HandBack,
    /// Nothing is left to answer.
    Resolve,
}

/// What a [`HandlingChange`] did.
#[derive(Debug, Clone)]
pub struct Handled {
    /// As it is now.
    pub conversation: Conversation,
    /// False when it was like that already.
    pub changed: bool,
    /// The AI answers, waiting or running, that will not be given; [`Store::answer`] loads them.
    pub cancelled: Vec<AnswerId>,
}

impl Store {
    /// Changes who answers customers. Access is the caller's matter.
    ///
    /// Taking over ends all AI answers: after this returns no answer that ran before can become a message. Resolving
    /// ends those that wait; one that runs may finish.
    ///
    /// # Errors
    /// [`Error::NotFound`] without the conversation, [`Error::Invalid`] for taking over an `assistant` conversation.
    pub async fn handle(&self, id: &ConversationId, change: HandlingChange, at: Timestamp) -> Result<Handled, Error> {
        let transaction = self.begin().await?;
        let before = conversation::Entity::find_by_id(id.as_str())
            .lock_exclusive()
            .one(&transaction)
            .await?
            .ok_or(Error::NotFound("conversation"))?;
        if matches!(change, HandlingChange::TakeOver(_)) && before.kind != Kind::Support.as_str() {
            return Err(Error::invalid("only support conversations can be taken over"));
        }
        let mut after = before.clone();
        let states: &[&str] = match &change {
            HandlingChange::TakeOver(agent) => {
                after.handled_by = agent.to_string();
                after.waiting_for_agent = false;
                &["queued", "running"]
            }
            HandlingChange::HandBack => {
                after.handled_by = HandledBy::BOT.to_owned();
                &[]
            }
            HandlingChange::Resolve => {
                after.handled_by = HandledBy::BOT.to_owned();
                after.status = Status::Resolved.as_str().to_owned();
                after.waiting_for_agent = false;
                &["queued"]
            }
        };
        let changed = after != before;
        if changed {
            after.updated_at = at.timestamp_millis();
            let mut row = after.clone().into_active_model();
            row.handled_by = Set(after.handled_by.clone());
            row.status = Set(after.status.clone());
            row.waiting_for_agent = Set(after.waiting_for_agent);
            row.updated_at = Set(after.updated_at);
            row.update(&transaction).await?;
        }
        let cancelled = cancel_answers(&transaction, id, states, at).await?;
        transaction.commit().await?;
        Ok(Handled { conversation: self.with_details(after).await?, changed, cancelled })
    }

    /// Remembers that a support conversation waits for a person; none when it did already, a person handles it, or
    /// it is not a support conversation.
    ///
    /// # Errors
    /// Only when the database fails.
    pub async fn mark_waiting(&self, id: &ConversationId, at: Timestamp) -> Result<Option<Conversation>, Error> {
        let write = self.write();
        let text = "UPDATE conversations SET waiting_for_agent = ?, updated_at = ? \
                    WHERE id = ? AND kind = 'support' AND handled_by = 'bot' AND NOT waiting_for_agent RETURNING *";
        let values = vec![true.into(), at.timestamp_millis().into(), id.as_str().into()];
        let changed = conversation::Entity::find()
            .from_raw_sql(statement(write.get_database_backend(), text, values))
            .one(write)
            .await?;
        match changed {
            Some(row) => Ok(Some(self.with_details(row).await?)),
            None => Ok(None),
        }
    }
}

/// Ends the answers of a conversation that are in one of these states, without a message.
pub(super) async fn cancel_answers(
    db: &impl ConnectionTrait,
    id: &ConversationId,
    states: &[&str],
    at: Timestamp,
) -> Result<Vec<AnswerId>, DbErr> {
    let mut cancelled = Vec::new();
    let text = "UPDATE answers SET status = 'cancelled', ended_at = ?, lease_until = NULL \
                WHERE conversation_id = ? AND status = ? RETURNING id";
    for state in states {
        let values = vec![at.timestamp_millis().into(), id.as_str().into(), (*state).into()];
        let ended = db.query_all_raw(statement(db.get_database_backend(), text, values)).await?;
        cancelled.extend(ids(&ended)?);
    }
    Ok(cancelled)
}

fn ids(found: &[QueryResult]) -> Result<Vec<AnswerId>, DbErr> {
    found.iter().map(|row| Ok(AnswerId::trusted(&row.try_get_by_index::<String>(0)?))).collect()
}

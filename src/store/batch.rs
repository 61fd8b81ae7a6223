//! One transaction of the writer: at most three statements for each message that a customer sends.

use std::{collections::HashMap, sync::Arc};

use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, FromQueryResult,
    QueryFilter, sea_query::OnConflict,
};
use serde_json::Map;

use super::{
    Store,
    entities::{answer, conversation, message, participant},
    handling::cancel_answers,
    messages::{Draft, Posted},
    rows,
    sql::statement,
};
use crate::domain::{
    conversation::{HandledBy, Kind},
    error::Error,
    ids::{ClientMessageId, ConversationId, UserId},
    message::{Message, MessageRole, MessageStatus, Sender},
    user::Role,
};

/// Takes the next number if the sender may and has not sent this already, reopens, and lets an agent take over.
/// `changed_seq` remembers that this very message changed something, so that nothing has to be read before.
const TAKE_NUMBER: &str = "\
    UPDATE conversations SET last_seq = last_seq + 1, updated_at = ?, \
    changed_seq = CASE WHEN (status = 'resolved' AND NOT ?) OR (kind = 'support' AND handled_by = 'bot' AND ?) \
        THEN last_seq + 1 ELSE changed_seq END, \
    status = CASE WHEN ? THEN status ELSE 'open' END, \
    handled_by = CASE WHEN kind = 'support' AND handled_by = 'bot' AND ? THEN ? ELSE handled_by END, \
    waiting_for_agent = waiting_for_agent AND NOT ? \
    WHERE id = ? AND (owner_id = ? OR ?) AND NOT EXISTS (SELECT 1 FROM messages \
        WHERE conversation_id = ? AND sender_id = ? AND client_message_id = ?) \
    RETURNING kind, owner_id, agent_id, handled_by, last_seq, changed_seq, EXISTS (SELECT 1 FROM participants \
        WHERE participants.conversation_id = conversations.id AND participants.user_id = ?) AS is_participant";

#[derive(FromQueryResult)]
struct Numbered {
    kind: String,
    owner_id: String,
    agent_id: String,
    handled_by: String,
    last_seq: i64,
    changed_seq: i64,
    is_participant: bool,
}

/// What becomes of one draft.
enum Outcome {
    /// It has a row.
    New(Posted),
    /// It is the same as this earlier draft of the batch.
    SameAs(usize),
    /// It has no row, for this reason.
    Refused(Error),
}

/// The rows that a batch will insert.
#[derive(Default)]
struct Inserts {
    messages: Vec<message::ActiveModel>,
    answers: Vec<answer::ActiveModel>,
    participants: Vec<participant::ActiveModel>,
}

/// What must be unique.
type Key<'a> = (&'a ConversationId, &'a UserId, &'a ClientMessageId);

impl Store {
    /// Stores all drafts in one transaction, in their order. The outer error means that none is stored.
    pub(super) async fn commit(&self, drafts: &[&Draft]) -> Result<Vec<Result<Posted, Error>>, DbErr> {
        let transaction = self.begin().await?;
        let mut inserts = Inserts::default();
        let mut outcomes = Vec::with_capacity(drafts.len());
        let mut sent: HashMap<Key<'_>, usize> = HashMap::new();
        for (index, draft) in drafts.iter().enumerate() {
            // The rows of this batch are not in the database yet, so its own repetitions are found here.
            let key =
                draft.client_message_id.as_ref().map(|client_id| (&draft.conversation, &draft.sender.id, client_id));
            if let Some(first) = key.and_then(|key| sent.get(&key)) {
                outcomes.push(Outcome::SameAs(*first));
                continue;
            }
            outcomes.push(match take_number(&transaction, draft).await? {
                Some(numbered) => {
                    sent.extend(key.map(|key| (key, index)));
                    Outcome::New(inserts.add(draft, &numbered)?)
                }
                None => refusal(&transaction, draft).await?,
            });
        }
        inserts.run(&transaction).await?;
        for (outcome, draft) in outcomes.iter_mut().zip(drafts) {
            if let Outcome::New(posted) = outcome
                && posted.handling_changed
            {
                let states = ["queued", "running"];
                posted.cancelled = cancel_answers(&transaction, &draft.conversation, &states, draft.at).await?;
            }
        }
        transaction.commit().await?;
        Ok(settle(drafts, outcomes))
    }
}

async fn take_number(transaction: &DatabaseTransaction, draft: &Draft) -> Result<Option<Numbered>, DbErr> {
    let sender = draft.sender.id.as_str();
    let agent = draft.sender.role == Role::Agent;
    let id = draft.conversation.as_str();
    let client_id = draft.client_message_id.as_ref().map(ClientMessageId::as_str);
    let values = vec![
        draft.at.timestamp_millis().into(),
        agent.into(),
        agent.into(),
        agent.into(),
        agent.into(),
        sender.into(),
        agent.into(),
        id.into(),
        sender.into(),
        agent.into(),
        id.into(),
        sender.into(),
        client_id.into(),
        sender.into(),
    ];
    Numbered::find_by_statement(statement(transaction.get_database_backend(), TAKE_NUMBER, values))
        .one(transaction)
        .await
}

/// Why no number was given: sent before, sent before with other content, or not reachable.
async fn refusal(transaction: &DatabaseTransaction, draft: &Draft) -> Result<Outcome, DbErr> {
    let not_found = Outcome::Refused(Error::NotFound("conversation"));
    let Some(client_id) = &draft.client_message_id else {
        return Ok(not_found);
    };
    let conversation = conversation::Entity::find_by_id(draft.conversation.as_str()).one(transaction).await?;
    let earlier = message::Entity::find()
        .filter(message::Column::ConversationId.eq(draft.conversation.as_str()))
        .filter(message::Column::SenderId.eq(draft.sender.id.as_str()))
        .filter(message::Column::ClientMessageId.eq(client_id.as_str()))
        .one(transaction)
        .await?;
    let (Some(conversation), Some(earlier)) = (conversation, earlier) else {
        return Ok(not_found);
    };
    if draft.sender.role != Role::Agent && conversation.owner_id != draft.sender.id.as_str() {
        return Ok(not_found);
    }
    if earlier.content != draft.content.as_str() {
        return Ok(Outcome::Refused(other_content()));
    }
    Ok(Outcome::New(Posted {
        message: Arc::new(rows::message(earlier)?),
        duplicate: true,
        answer: None,
        handling_changed: false,
        cancelled: Vec::new(),
        owner: UserId::trusted(&conversation.owner_id),
        kind: rows::word(&conversation.kind)?,
        reopened: false,
    }))
}

fn other_content() -> Error {
    Error::Conflict("clientMessageId was used with other content")
}

impl Inserts {
    /// Adds the message, the answer that it asks for, and the sender as a participant.
    fn add(&mut self, draft: &Draft, numbered: &Numbered) -> Result<Posted, DbErr> {
        let kind: Kind = rows::word(&numbered.kind)?;
        let seq = numbered.last_seq.unsigned_abs();
        let message = message_of(draft, seq);
        self.messages.push(rows::message_row(&message, seq)?);
        if !numbered.is_participant {
            self.participants.push(participant::ActiveModel {
                conversation_id: Set(draft.conversation.to_string()),
                user_id: Set(draft.sender.id.to_string()),
                joined_at: Set(draft.at.timestamp_millis()),
            });
        }
        let agent = draft.sender.role == Role::Agent;
        let ai_answers = match kind {
            Kind::Assistant => true,
            Kind::Support => !agent && numbered.handled_by == HandledBy::BOT,
        };
        let answer = ai_answers.then(|| {
            let persona = draft.agent_id.as_ref().unwrap_or(&numbered.agent_id);
            let (id, row) = rows::queued_answer(&message.conversation_id, &message.id, seq, persona, draft.at);
            self.answers.push(row);
            id
        });
        let changed = numbered.changed_seq == numbered.last_seq;
        Ok(Posted {
            message: Arc::new(message),
            duplicate: false,
            answer,
            handling_changed: changed && agent,
            cancelled: Vec::new(),
            owner: UserId::trusted(&numbered.owner_id),
            kind,
            reopened: changed && !agent,
        })
    }

    /// One statement for each table that has something to insert.
    async fn run(self, transaction: &DatabaseTransaction) -> Result<(), DbErr> {
        if !self.messages.is_empty() {
            message::Entity::insert_many(self.messages).exec_without_returning(transaction).await?;
        }
        if !self.answers.is_empty() {
            answer::Entity::insert_many(self.answers).exec_without_returning(transaction).await?;
        }
        if !self.participants.is_empty() {
            // The same sender may have several first messages in one batch.
            let twice = [participant::Column::ConversationId, participant::Column::UserId];
            participant::Entity::insert_many(self.participants)
                .on_conflict(OnConflict::columns(twice).do_nothing().to_owned())
                .exec_without_returning(transaction)
                .await?;
        }
        Ok(())
    }
}

fn message_of(draft: &Draft, seq: u64) -> Message {
    Message {
        id: draft.message_id.clone(),
        conversation_id: draft.conversation.clone(),
        seq: Some(seq),
        role: MessageRole::User,
        sender: Sender::from(draft.sender.as_ref()),
        agent_id: draft.agent_id.clone(),
        content: draft.content.as_str().to_owned(),
        status: MessageStatus::Complete,
        client_message_id: draft.client_message_id.clone(),
        in_reply_to: None,
        created_at: rows::stored(draft.at),
        metadata: Map::new(),
    }
}

/// Gives repetitions within the batch the outcome of the draft that they repeat.
fn settle(drafts: &[&Draft], outcomes: Vec<Outcome>) -> Vec<Result<Posted, Error>> {
    let mut settled: Vec<Result<Posted, Error>> = Vec::with_capacity(outcomes.len());
    for (outcome, draft) in outcomes.into_iter().zip(drafts) {
        settled.push(match outcome {
            Outcome::New(posted) => Ok(posted),
            Outcome::Refused(error) => Err(error),
            Outcome::SameAs(first) => repeated(draft, settled.get(first)),
        });
    }
    settled
}

fn repeated(draft: &Draft, first: Option<&Result<Posted, Error>>) -> Result<Posted, Error> {
    match first {
        Some(Ok(posted)) if posted.message.content == draft.content.as_str() => Ok(Posted {
            duplicate: true,
            answer: None,
            handling_changed: false,
            cancelled: Vec::new(),
            reopened: false,
            ..posted.clone()
        }),
        _ => Err(other_content()),
    }
}

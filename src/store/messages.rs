//! The log as readers see it. Whoever calls has checked access.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use sea_orm::{ColumnTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect, Select};

use super::{
    Store,
    entities::{conversation, message},
    rows,
};
use crate::domain::{
    Timestamp,
    conversation::Kind,
    error::Error,
    event::LogEntry,
    ids::{AnswerId, ClientMessageId, ConversationId, MessageId, UserId},
    message::{Content, Message},
    user::User,
};

/// How many ids one query takes.
pub(super) const IDS_PER_QUERY: usize = 500;

/// A message that somebody wants to have stored.
#[derive(Debug, Clone)]
pub struct Draft {
    /// Where.
    pub conversation: ConversationId,
    /// Who sends it.
    pub sender: Arc<User>,
    /// What it says.
    pub content: Content,
    /// The sender's own id for it, which makes posting idempotent.
    pub client_message_id: Option<ClientMessageId>,
    /// The persona that is to answer it; the conversation's when absent.
    pub agent_id: Option<String>,
    /// When it came.
    pub at: Timestamp,
    /// The id that it will have, unless it turns out to be a duplicate.
    pub message_id: MessageId,
}

/// A stored message and what storing it has done.
#[derive(Debug, Clone)]
pub struct Posted {
    /// As stored, now or earlier.
    pub message: Arc<Message>,
    /// It had been stored before; nothing else has happened then.
    pub duplicate: bool,
    /// The AI answer that now waits for its turn.
    pub answer: Option<AnswerId>,
    /// The sender has taken the conversation over from the AI by writing.
    pub handling_changed: bool,
    /// The AI answers that will not be given because of that.
    pub cancelled: Vec<AnswerId>,
    /// The customer it belongs to.
    pub owner: UserId,
    /// Who is expected to answer.
    pub kind: Kind,
    /// The conversation had been resolved and is open again.
    pub reopened: bool,
}

#[derive(FromQueryResult)]
struct Counter {
    id: String,
    last_seq: i64,
}

impl Store {
    /// Up to `limit` messages behind `after`, in order.
    ///
    /// # Errors
    /// Only when the database fails.
    pub async fn log_after(&self, id: &ConversationId, after: u64, limit: u64) -> Result<Vec<LogEntry>, Error> {
        let page = log_of(id)
            .filter(message::Column::Seq.gt(rows::column(after)))
            .order_by_asc(message::Column::Seq)
            .limit(limit)
            .all(self.read())
            .await?;
        self.with_questions(page).await
    }

    /// The newest up to `limit` messages with a `seq` below `before` (or of all), in order.
    ///
    /// # Errors
    /// Only when the database fails.
    pub async fn log_before(
        &self,
        id: &ConversationId,
        before: Option<u64>,
        limit: u64,
    ) -> Result<Vec<LogEntry>, Error> {
        let mut page = log_of(id)
            .filter(message::Column::Seq.lt(before.map_or(i64::MAX, rows::column)))
            .order_by_desc(message::Column::Seq)
            .limit(limit)
            .all(self.read())
            .await?;
        page.reverse();
        self.with_questions(page).await
    }

    /// The newest `seq` of each of these conversations; those that do not exist are left out.
    ///
    /// # Errors
    /// Only when the database fails.
    pub async fn last_seqs(&self, ids: &[ConversationId]) -> Result<HashMap<ConversationId, u64>, Error> {
        let mut newest = HashMap::with_capacity(ids.len());
        for some in ids.chunks(IDS_PER_QUERY) {
            let counters = conversation::Entity::find()
                .select_only()
                .columns([conversation::Column::Id, conversation::Column::LastSeq])
                .filter(conversation::Column::Id.is_in(some.iter().map(ConversationId::as_str)))
                .into_model::<Counter>()
                .all(self.read())
                .await?;
            newest.extend(
                counters.into_iter().map(|row| (ConversationId::trusted(&row.id), row.last_seq.unsigned_abs())),
            );
        }
        Ok(newest)
    }

    /// The newest AI answer to this message, with its question.
    ///
    /// # Errors
    /// Only when the database fails.
    pub async fn answer_to(&self, question: &Message) -> Result<Option<LogEntry>, Error> {
        let answer = log_of(&question.conversation_id)
            .filter(message::Column::InReplyTo.eq(question.id.as_str()))
            .order_by_desc(message::Column::Seq)
            .one(self.read())
            .await?;
        Ok(self.with_questions(answer.into_iter().collect()).await?.pop())
    }

    /// Puts the question beside each answer; those outside of the page are loaded with one query.
    async fn with_questions(&self, page: Vec<message::Model>) -> Result<Vec<LogEntry>, Error> {
        let mut known: HashMap<MessageId, Arc<Message>> = HashMap::with_capacity(page.len());
        let mut messages = Vec::with_capacity(page.len());
        for row in page {
            let message = Arc::new(rows::message(row)?);
            known.insert(message.id.clone(), Arc::clone(&message));
            messages.push(message);
        }
        let missing: HashSet<&str> = messages
            .iter()
            .filter_map(|message| message.in_reply_to.as_ref())
            .filter(|question| !known.contains_key(*question))
            .map(MessageId::as_str)
            .collect();
        if !missing.is_empty() {
            let questions = message::Entity::find().filter(message::Column::Id.is_in(missing)).all(self.read()).await?;
            for row in questions {
                let question = Arc::new(rows::message(row)?);
                known.insert(question.id.clone(), question);
            }
        }
        Ok(messages
            .into_iter()
            .map(|message| LogEntry {
                question: message.in_reply_to.as_ref().and_then(|id| known.get(id).cloned()),
                message,
            })
            .collect())
    }
}

pub(super) fn log_of(id: &ConversationId) -> Select<message::Entity> {
    message::Entity::find().filter(message::Column::ConversationId.eq(id.as_str()))
}

//! Conversations: making, finding, listing, renaming and deleting them, each time for somebody who may.

use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder,
    QuerySelect,
};

use super::{
    Store, cursor,
    entities::{conversation, participant},
    failure::{Nature, nature},
    rows,
};
use crate::domain::{
    Timestamp,
    conversation::{Conversation, DEFAULT_PERSONA, HandledBy, Kind, NewConversation, Status},
    error::Error,
    ids::{ConversationId, UserId},
    user::{Role, User},
};

/// The most conversations that one page of a list has.
const PAGE_MAX: u64 = 200;

/// What somebody who may reach a conversation can rely on without loading all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// The customer it belongs to.
    pub owner: UserId,
    /// Who is expected to answer.
    pub kind: Kind,
    /// The AI persona that answers.
    pub persona: String,
    /// Number of the newest message; 0 when there is none.
    pub last_seq: u64,
}

/// Which conversations a list shows; every field that is absent lets all pass.
#[derive(Debug, Clone, Default)]
pub struct ConversationFilter {
    /// Open or resolved.
    pub status: Option<Status>,
    /// Who answers customers.
    pub handled_by: Option<HandledBy>,
    /// Whether a person is waited for.
    pub waiting: Option<bool>,
}

impl Store {
    /// Begins a conversation that belongs to `owner`.
    ///
    /// # Errors
    /// [`Error::Conflict`] when the id is taken, whoever asks; title errors as [`Conversation::check_title`].
    pub async fn create_conversation(
        &self,
        new: &NewConversation,
        default_kind: Kind,
        owner: &User,
        at: Timestamp,
    ) -> Result<Conversation, Error> {
        let title = new.title.clone().unwrap_or_default();
        Conversation::check_title(&title)?;
        let id = new.id.clone().unwrap_or_else(ConversationId::generate);
        let now = at.timestamp_millis();
        let row = conversation::Model {
            id: id.to_string(),
            kind: new.kind.unwrap_or(default_kind).as_str().to_owned(),
            title,
            agent_id: new.agent_id.clone().unwrap_or_else(|| DEFAULT_PERSONA.to_owned()),
            status: Status::Open.as_str().to_owned(),
            handled_by: HandledBy::BOT.to_owned(),
            waiting_for_agent: false,
            owner_id: owner.id.to_string(),
            last_seq: 0,
            changed_seq: 0,
            created_at: now,
            updated_at: now,
        };
        let first = participant::ActiveModel {
            conversation_id: Set(id.to_string()),
            user_id: Set(owner.id.to_string()),
            joined_at: Set(now),
        };
        let transaction = self.begin().await?;
        let inserted =
            conversation::Entity::insert(row.clone().into_active_model()).exec_without_returning(&transaction).await;
        match inserted {
            Err(error) if nature(&error) == Nature::Duplicate => {
                return Err(Error::Conflict("conversation id is already taken"));
            }
            other => other?,
        };
        participant::Entity::insert(first).exec_without_returning(&transaction).await?;
        transaction.commit().await?;
        self.with_details(row).await
    }

    /// A conversation with its participants and its newest message.
    ///
    /// # Errors
    /// The same [`Error::NotFound`] when it does not exist and when `viewer` may not reach it.
    pub async fn conversation(&self, viewer: &User, id: &ConversationId) -> Result<Conversation, Error> {
        let row = reachable(self.read(), viewer, id).await?;
        self.with_details(row).await
    }

    /// Whether `viewer` reaches a conversation, in one query.
    ///
    /// # Errors
    /// As [`Store::conversation`].
    pub async fn access(&self, viewer: &User, id: &ConversationId) -> Result<Access, Error> {
        let row = reachable(self.read(), viewer, id).await?;
        Ok(Access {
            owner: UserId::trusted(&row.owner_id),
            kind: rows::word(&row.kind)?,
            last_seq: row.last_seq.unsigned_abs(),
            persona: row.agent_id,
        })
    }

    /// A page of the conversations that `viewer` reaches, latest change first, and the cursor of the next page.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a cursor that no page gave out.
    pub async fn conversations(
        &self,
        viewer: &User,
        filter: &ConversationFilter,
        cursor: Option<&str>,
        limit: u64,
    ) -> Result<(Vec<Conversation>, Option<String>), Error> {
        let limit = limit.clamp(1, PAGE_MAX);
        let mut wanted = visible_to(viewer);
        if let Some(status) = filter.status {
            wanted = wanted.add(conversation::Column::Status.eq(status.as_str()));
        }
        if let Some(handler) = &filter.handled_by {
            wanted = wanted.add(conversation::Column::HandledBy.eq(handler.as_str()));
        }
        if let Some(waiting) = filter.waiting {
            wanted = wanted.add(conversation::Column::WaitingForAgent.eq(waiting));
        }
        if let Some(cursor) = cursor {
            wanted = wanted.add(cursor::older(cursor, conversation::Column::UpdatedAt, conversation::Column::Id)?);
        }
        let mut found = conversation::Entity::find()
            .filter(wanted)
            .order_by_desc(conversation::Column::UpdatedAt)
            .order_by_desc(conversation::Column::Id)
            // One more tells whether there is another page.
            .limit(limit + 1)
            .all(self.read())
            .await?;
        let page = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = found.len() > page;
        found.truncate(page);
        let next = if more { found.last().map(|last| cursor::behind(last.updated_at, &last.id)) } else { None };
        Ok((rows::conversations(self.read(), found).await?, next))
    }

    /// Gives a conversation another title.
    ///
    /// # Errors
    /// As [`Store::conversation`], and title errors as [`Conversation::check_title`].
    pub async fn rename(
        &self,
        viewer: &User,
        id: &ConversationId,
        title: &str,
        at: Timestamp,
    ) -> Result<Conversation, Error> {
        Conversation::check_title(title)?;
        let change = conversation::ActiveModel {
            title: Set(title.to_owned()),
            updated_at: Set(at.timestamp_millis()),
            ..Default::default()
        };
        let done = conversation::Entity::update_many()
            .set(change)
            .filter(visible_to(viewer).add(conversation::Column::Id.eq(id.as_str())))
            .exec(self.write())
            .await?;
        if done.rows_affected == 0 {
            return Err(Error::NotFound("conversation"));
        }
        self.conversation(viewer, id).await
    }

    /// Removes a conversation with its log, read marks, answers and sessions, at once.
    ///
    /// # Errors
    /// As [`Store::conversation`].
    pub async fn delete_conversation(&self, viewer: &User, id: &ConversationId) -> Result<(), Error> {
        // Everything else goes by the foreign keys.
        let done = conversation::Entity::delete_many()
            .filter(visible_to(viewer).add(conversation::Column::Id.eq(id.as_str())))
            .exec(self.write())
            .await?;
        if done.rows_affected == 0 {
            return Err(Error::NotFound("conversation"));
        }
        Ok(())
    }

    /// The conversations that a person takes part in, latest first.
    ///
    /// # Errors
    /// Only when the database fails.
    pub async fn conversation_ids_of(&self, user: &UserId, limit: u64) -> Result<Vec<ConversationId>, Error> {
        let found: Vec<String> = participant::Entity::find()
            .select_only()
            .column(participant::Column::ConversationId)
            .filter(participant::Column::UserId.eq(user.as_str()))
            .order_by_desc(participant::Column::JoinedAt)
            .order_by_desc(participant::Column::ConversationId)
            .limit(limit)
            .into_tuple()
            .all(self.read())
            .await?;
        Ok(found.iter().map(|id| ConversationId::trusted(id)).collect())
    }

    /// Completes one row.
    pub(super) async fn with_details(&self, row: conversation::Model) -> Result<Conversation, Error> {
        let mut found = rows::conversations(self.read(), vec![row]).await?;
        found.pop().ok_or(Error::NotFound("conversation"))
    }
}

async fn reachable(
    db: &impl ConnectionTrait,
    viewer: &User,
    id: &ConversationId,
) -> Result<conversation::Model, Error> {
    let found = conversation::Entity::find_by_id(id.as_str()).filter(visible_to(viewer)).one(db).await?;
    found.ok_or(Error::NotFound("conversation"))
}

/// Agents see everything, customers what is theirs: [`User::may_reach`] as a condition.
fn visible_to(viewer: &User) -> Condition {
    match viewer.role {
        Role::Agent => Condition::all(),
        Role::Customer => Condition::all().add(conversation::Column::OwnerId.eq(viewer.id.as_str())),
    }
}

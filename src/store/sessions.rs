//! Widget sessions and tokens that were taken back. Only hashes are kept: reading the database lets nobody in.

use std::collections::HashSet;

use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QuerySelect, sea_query::OnConflict};

use super::{
    Store,
    entities::{revoked_token, session},
    messages::IDS_PER_QUERY,
};
use crate::domain::{
    Timestamp,
    error::Error,
    ids::{ConversationId, UserId},
    user::User,
};

/// A widget session to be remembered.
#[derive(Debug, Clone, Copy)]
pub struct NewSession<'a> {
    /// The hash of its id; the id itself is never stored.
    pub hash: &'a str,
    /// The visitor.
    pub user: &'a UserId,
    /// The visitor's conversation.
    pub conversation: &'a ConversationId,
    /// What the embedding page said about the visitor.
    pub metadata: &'a serde_json::Value,
    /// Now.
    pub at: Timestamp,
    /// When it stops working.
    pub expires_at: Timestamp,
}

impl Store {
    /// Remembers a widget session.
    ///
    /// # Errors
    /// [`Error::Internal`] when the conversation does not exist or the hash is known already.
    pub async fn create_session(&self, new: NewSession<'_>) -> Result<(), Error> {
        let row = session::ActiveModel {
            id_hash: Set(new.hash.to_owned()),
            user_id: Set(new.user.to_string()),
            conversation_id: Set(new.conversation.to_string()),
            metadata: Set(new.metadata.to_string()),
            created_at: Set(new.at.timestamp_millis()),
            expires_at: Set(new.expires_at.timestamp_millis()),
        };
        session::Entity::insert(row).exec_without_returning(self.write()).await?;
        Ok(())
    }

    /// Who a session belongs to; none when it is unknown or over or its person was deleted.
    ///
    /// # Errors
    /// Only when the database fails.
    pub async fn session_user(&self, hash: &str, at: Timestamp) -> Result<Option<User>, Error> {
        let found = session::Entity::find_by_id(hash)
            .filter(session::Column::ExpiresAt.gt(at.timestamp_millis()))
            .one(self.read())
            .await?;
        match found {
            Some(row) => self.user(&UserId::trusted(&row.user_id)).await,
            None => Ok(None),
        }
    }

    /// Ends a session; unknown ones are ended already.
    ///
    /// # Errors
    /// Only when the database fails.
    pub async fn delete_session(&self, hash: &str) -> Result<(), Error> {
        session::Entity::delete_by_id(hash).exec(self.write()).await?;
        Ok(())
    }

    /// Takes a token back until it would have expired anyway.
    ///
    /// # Errors
    /// Only when the database fails.
    pub async fn revoke_token(&self, hash: &str, expires_at: Timestamp) -> Result<(), Error> {
        let row = revoked_token::ActiveModel {
            token_hash: Set(hash.to_owned()),
            expires_at: Set(expires_at.timestamp_millis()),
        };
        // Signing out twice is fine.
        let twice = OnConflict::column(revoked_token::Column::TokenHash).do_nothing().to_owned();
        revoked_token::Entity::insert(row).on_conflict(twice).exec_without_returning(self.write()).await?;
        Ok(())
    }

    /// True when the token was taken back.
    ///
    /// # Errors
    /// Only when the database fails.
    pub async fn is_revoked(&self, hash: &str) -> Result<bool, Error> {
        let found = revoked_token::Entity::find_by_id(hash).one(self.read()).await?;
        Ok(found.is_some())
    }

    /// Those of these tokens that were taken back.
    ///
    /// # Errors
    /// Only when the database fails.
    pub async fn revoked_among(&self, hashes: &[String]) -> Result<HashSet<String>, Error> {
        let mut revoked = HashSet::new();
        for some in hashes.chunks(IDS_PER_QUERY) {
            let found: Vec<String> = revoked_token::Entity::find()
                .select_only()
                .column(revoked_token::Column::TokenHash)
                .filter(revoked_token::Column::TokenHash.is_in(some))
                .into_tuple()
                .all(self.read())
                .await?;
            revoked.extend(found);
        }
        Ok(revoked)
    }

    /// Those of these sessions that are known and not over.
    ///
    /// # Errors
    /// Only when the database fails.
    pub async fn sessions_among(&self, hashes: &[String], at: Timestamp) -> Result<HashSet<String>, Error> {
        let mut living = HashSet::with_capacity(hashes.len());
        for some in hashes.chunks(IDS_PER_QUERY) {
            let found: Vec<String> = session::Entity::find()
                .select_only()
                .column(session::Column::IdHash)
                .filter(session::Column::IdHash.is_in(some))
                .filter(session::Column::ExpiresAt.gt(at.timestamp_millis()))
                .into_tuple()
                .all(self.read())
                .await?;
            living.extend(found);
        }
        Ok(living)
    }

    /// Forgets sessions and revocations whose time is over, and old searches.
    ///
    /// # Errors
    /// Only when the database fails.
    pub async fn purge_expired(&self, at: Timestamp) -> Result<(), Error> {
        let now = at.timestamp_millis();
        session::Entity::delete_many().filter(session::Column::ExpiresAt.lte(now)).exec(self.write()).await?;
        revoked_token::Entity::delete_many()
            .filter(revoked_token::Column::ExpiresAt.lte(now))
            .exec(self.write())
            .await?;
        self.purge_searches(at).await
    }
}

//! Who did what: one row for each thing that an agent or operator did to somebody else's data.

use sea_orm::{ActiveValue::Set, EntityTrait};

use super::{Store, entities::audit};
use crate::domain::{Timestamp, error::Error};

impl Store {
    /// Remembers that `actor` did `action` to `object`; `detail` must not hold secrets or message text.
    ///
    /// # Errors
    /// Only when the database fails.
    pub async fn audit(
        &self,
        actor: &str,
        action: &str,
        object: &str,
        detail: &str,
        at: Timestamp,
    ) -> Result<(), Error> {
        let row = audit::ActiveModel {
            id: Set(uuid::Uuid::now_v7().to_string()),
            at: Set(at.timestamp_millis()),
            actor: Set(actor.to_owned()),
            action: Set(action.to_owned()),
            object: Set(object.to_owned()),
            detail: Set(detail.to_owned()),
        };
        audit::Entity::insert(row).exec_without_returning(self.write()).await?;
        Ok(())
    }
}

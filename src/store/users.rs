//! People: accounts, shadows of the host application's users, and tombstones.

use std::collections::HashMap;

use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, EntityTrait, IntoActiveModel,
    QueryFilter, QueryOrder, QuerySelect,
};

use super::{
    Store,
    entities::{session, user},
    failure::{Nature, nature},
    rows,
};
use crate::domain::{
    Timestamp,
    error::Error,
    ids::UserId,
    user::{Role, User},
};

/// How many ids one query takes.
const IDS_PER_QUERY: usize = 500;

/// An account to be made.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// Made here when absent.
    pub id: Option<UserId>,
    /// For signing in; kept in lowercase.
    pub email: Option<String>,
    /// Shown to others.
    pub name: String,
    /// Side of the desk.
    pub role: Role,
    /// As `argon2` prints it; people without one cannot sign in with a password.
    pub password_hash: Option<String>,
    /// True when this database, and not a token, says what name and role are.
    pub managed: bool,
}

impl Store {
    /// Makes an account.
    ///
    /// # Errors
    /// [`Error::Conflict`] when the email or the id is taken.
    pub async fn create_user(&self, new: NewUser, at: Timestamp) -> Result<User, Error> {
        let id = new.id.unwrap_or_else(UserId::generate);
        let row = user::Model {
            id: id.to_string(),
            email: new.email.as_deref().map(lowercase),
            name: new.name,
            role: new.role.as_str().to_owned(),
            password_hash: new.password_hash,
            managed: new.managed,
            created_at: at.timestamp_millis(),
            deleted_at: None,
        };
        match insert(self.write(), &row).await {
            Ok(()) => Ok(rows::user(row)?),
            Err(error) if nature(&error) == Nature::Duplicate => {
                let id_taken = user::Entity::find_by_id(id.as_str()).one(self.write()).await?.is_some();
                Err(Error::Conflict(if id_taken { "user id is already taken" } else { "email is already registered" }))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Finds a person who is not deleted.
    ///
    /// # Errors
    /// Only when the database fails.
    pub async fn user(&self, id: &UserId) -> Result<Option<User>, Error> {
        let row = user::Entity::find_by_id(id.as_str()).one(self.read()).await?;
        match row {
            Some(row) if row.deleted_at.is_none() => Ok(Some(rows::user(row)?)),
            _ => Ok(None),
        }
    }

    /// The person with this email and the hash of their password; none without a password.
    ///
    /// # Errors
    /// Only when the database fails.
    pub async fn credentials_of(&self, email: &str) -> Result<Option<(User, String)>, Error> {
        let row = user::Entity::find()
            .filter(user::Column::Email.eq(lowercase(email)))
            .filter(user::Column::DeletedAt.is_null())
            .one(self.read())
            .await?;
        let Some(mut row) = row else { return Ok(None) };
        let Some(hash) = row.password_hash.take() else {
            return Ok(None);
        };
        Ok(Some((rows::user(row)?, hash)))
    }

    /// The person that a valid token speaks of, as this database knows them; none when they were deleted.
    ///
    /// Unknown people get a shadow row, known shadows follow their token, and for managed accounts the database's
    /// name and role win. An email that somebody else has is left out, an email that the token omits is kept.
    ///
    /// # Errors
    /// Only when the database fails.
    pub async fn ensure_user(&self, claimed: &User, at: Timestamp) -> Result<Option<User>, Error> {
        let known = user::Entity::find_by_id(claimed.id.as_str()).one(self.read()).await?;
        match &known {
            Some(row) if row.deleted_at.is_some() => return Ok(None),
            Some(row) if row.managed => return Ok(Some(rows::user(row.clone())?)),
            _ => {}
        }
        let kept = known.as_ref().and_then(|row| row.email.clone());
        let wanted = shadow(claimed, self.email_for(claimed, kept.clone()).await?, at);
        if let Some(row) = known
            && (&row.name, &row.role, &row.email) == (&wanted.name, &wanted.role, &wanted.email)
        {
            return Ok(Some(rows::user(row)?));
        }
        match self.save_shadow(&wanted).await {
            // Somebody else has registered the email at this very moment.
            Err(error) if nature(&error) == Nature::Duplicate => {
                self.save_shadow(&user::Model { email: kept, ..wanted }).await?;
            }
            other => other?,
        }
        self.user(&claimed.id).await
    }

    /// All people who are not deleted, oldest first.
    ///
    /// # Errors
    /// Only when the database fails.
    pub async fn users(&self) -> Result<Vec<User>, Error> {
        let found = user::Entity::find()
            .filter(user::Column::DeletedAt.is_null())
            .order_by_asc(user::Column::CreatedAt)
            .order_by_asc(user::Column::Id)
            .all(self.read())
            .await?;
        Ok(found.into_iter().map(rows::user).collect::<Result<_, _>>()?)
    }

    /// The roles of those among `ids` who are known and not deleted.
    ///
    /// # Errors
    /// Only when the database fails.
    pub async fn roles_among(&self, ids: &[UserId]) -> Result<HashMap<UserId, Role>, Error> {
        let mut roles = HashMap::with_capacity(ids.len());
        for some in ids.chunks(IDS_PER_QUERY) {
            let found: Vec<(String, String)> = user::Entity::find()
                .select_only()
                .column(user::Column::Id)
                .column(user::Column::Role)
                .filter(user::Column::DeletedAt.is_null())
                .filter(user::Column::Id.is_in(some.iter().map(UserId::as_str)))
                .into_tuple()
                .all(self.read())
                .await?;
            roles.extend(found.iter().map(|(id, role)| (UserId::trusted(id), Role::from_word(role))));
        }
        Ok(roles)
    }

    /// Sets the role of the person with this id or email; from then on the database and not their token says it.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is nobody.
    pub async fn set_role(&self, id_or_email: &str, role: Role) -> Result<User, Error> {
        let mut row = self.living(id_or_email).await?.into_active_model();
        row.role = Set(role.as_str().to_owned());
        row.managed = Set(true);
        Ok(rows::user(row.update(self.write()).await?)?)
    }

    /// Deletes the person with this id or email: their tokens and sessions stop working, their email is free again,
    /// what they wrote stays. Returns who they were.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is nobody.
    pub async fn delete_user(&self, id_or_email: &str, at: Timestamp) -> Result<User, Error> {
        let row = self.living(id_or_email).await?;
        let transaction = self.begin().await?;
        session::Entity::delete_many().filter(session::Column::UserId.eq(row.id.as_str())).exec(&transaction).await?;
        let mut tombstone = row.clone().into_active_model();
        tombstone.email = Set(None);
        tombstone.password_hash = Set(None);
        tombstone.deleted_at = Set(Some(at.timestamp_millis()));
        tombstone.update(&transaction).await?;
        transaction.commit().await?;
        Ok(rows::user(row)?)
    }

    async fn living(&self, id_or_email: &str) -> Result<user::Model, Error> {
        let wanted =
            Condition::any().add(user::Column::Id.eq(id_or_email)).add(user::Column::Email.eq(lowercase(id_or_email)));
        let found =
            user::Entity::find().filter(wanted).filter(user::Column::DeletedAt.is_null()).one(self.write()).await?;
        found.ok_or(Error::NotFound("user"))
    }

    /// The claimed email; what was kept when none is claimed or it is somebody else's.
    async fn email_for(&self, claimed: &User, kept: Option<String>) -> Result<Option<String>, Error> {
        let Some(email) = claimed.email.as_deref().map(lowercase) else {
            return Ok(kept);
        };
        if kept.as_ref() == Some(&email) {
            return Ok(kept);
        }
        let taken = user::Entity::find()
            .filter(user::Column::Email.eq(email.as_str()))
            .filter(user::Column::Id.ne(claimed.id.as_str()))
            .one(self.read())
            .await?
            .is_some();
        Ok(if taken { kept } else { Some(email) })
    }

    /// Inserts a shadow or updates what its token says; never touches managed accounts and tombstones.
    async fn save_shadow(&self, row: &user::Model) -> Result<(), sea_orm::DbErr> {
        let write = self.write();
        let text = "INSERT INTO users (id, email, name, role, managed, created_at) VALUES (?, ?, ?, ?, ?, ?) \
                    ON CONFLICT (id) DO UPDATE SET email = excluded.email, name = excluded.name, role = excluded.role \
                    WHERE NOT users.managed AND users.deleted_at IS NULL";
        let values = vec![
            row.id.as_str().into(),
            row.email.clone().into(),
            row.name.as_str().into(),
            row.role.as_str().into(),
            false.into(),
            row.created_at.into(),
        ];
        write.execute_raw(super::sql::statement(write.get_database_backend(), text, values)).await?;
        Ok(())
    }
}

async fn insert(db: &impl ConnectionTrait, row: &user::Model) -> Result<(), sea_orm::DbErr> {
    user::Entity::insert(row.clone().into_active_model()).exec_without_returning(db).await?;
    Ok(())
}

fn shadow(claimed: &User, email: Option<String>, at: Timestamp) -> user::Model {
    user::Model {
        id: claimed.id.to_string(),
        email,
        name: claimed.name.clone(),
        role: claimed.role.as_str().to_owned(),
        password_hash: None,
        managed: false,
        created_at: at.timestamp_millis(),
        deleted_at: None,
    }
}

fn lowercase(email: &str) -> String {
    email.trim().to_lowercase()
}

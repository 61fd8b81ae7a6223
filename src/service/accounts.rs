//! Who is asking: accounts, host applications' tokens and widget sessions.

use std::{collections::BTreeSet, sync::Arc, time::Instant};

use argon2::{Argon2, PasswordHasher as _, PasswordVerifier as _};
use base64::Engine as _;
use chrono::TimeDelta;
use serde_json::Value;

use super::{Effect, Outcome, presence};
use crate::{
    app::App,
    domain::{
        Timestamp,
        command::{Credentials, Reply},
        conversation::{Conversation, Kind, NewConversation},
        error::Error,
        ids::UserId,
        user::{Role, User},
    },
    realtime::connection::{Connection, Identity, fingerprint},
    store::{self, NewUser},
    tokens,
};

/// A token from signing in holds this long.
pub const TOKEN_TTL: std::time::Duration = std::time::Duration::from_secs(12 * 3600);

/// A widget session holds this long.
const SESSION_DAYS: i64 = 30;

/// Passwords that are tried per account and minute.
const SIGN_INS_PER_MINUTE: u32 = 10;

/// Shorter passwords are refused; longer ones than the maximum only cost time.
const PASSWORD_BYTES: std::ops::RangeInclusive<usize> = 8..=256;

/// Longest session metadata, in bytes of JSON.
const METADATA_BYTES_MAX: usize = 4 * 1024;

/// A widget visitor's new session. The id is told once and kept nowhere.
pub struct NewSession {
    /// The secret that the visitor presents from now on.
    pub session_id: String,
    /// The visitor.
    pub user: Arc<User>,
    /// The visitor's support conversation.
    pub conversation: Conversation,
    /// When the session ends.
    pub expires_at: Timestamp,
}

/// Finds out who presents these credentials.
///
/// # Errors
/// [`Error::Unauthenticated`] when nobody does, with the words that clients are told.
pub async fn identify(app: &App, credentials: &Credentials) -> Result<Identity, Error> {
    match credentials {
        Credentials { token: Some(token), .. } => {
            let accepted = app.tokens.check(token)?;
            let credential = fingerprint(credentials);
            if app.store.is_revoked(&credential).await? {
                return Err(Error::Unauthenticated(tokens::FAILED));
            }
            let user = app.store.ensure_user(&accepted.user, app.now()).await?;
            let user = Arc::new(user.ok_or(Error::Unauthenticated(tokens::FAILED))?);
            Ok(Identity { user, credential, expires_at: Some(accepted.expires_at), by_session: false })
        }
        Credentials { session_id: Some(_), .. } => {
            let credential = fingerprint(credentials);
            let user = app.store.session_user(&credential, app.now()).await?;
            let user = Arc::new(user.ok_or(Error::Unauthenticated(tokens::FAILED))?);
            Ok(Identity { user, credential, expires_at: None, by_session: true })
        }
        Credentials { token: None, session_id: None } => Err(Error::Unauthenticated("Authentication required")),
    }
}

/// Signs a connection in, or renews its credential.
///
/// # Errors
/// [`Error::Unauthenticated`]; [`Error::Forbidden`] for another user's credentials or too many connections.
pub async fn sign_in_connection(
    app: &Arc<App>,
    connection: &Arc<Connection>,
    credentials: &Credentials,
) -> Result<Outcome, Error> {
    let identity = identify(app, credentials).await?;
    if let Some(known) = connection.user() {
        if known.id != identity.user.id {
            return Err(Error::Forbidden("This connection belongs to another user"));
        }
        if known.role == Role::Agent && identity.user.role != Role::Agent {
            // What it hears as an agent it may not hear any longer.
            return Err(Error::Unauthenticated(tokens::FAILED));
        }
    }
    let user = identity.user.clone();
    admit(app, connection, identity)?;
    Ok(Reply::Authenticated(user).into())
}

/// Lets a known person in: their rooms, their presence.
///
/// # Errors
/// [`Error::Forbidden`] `Too many connections` beyond the limit of one person.
pub fn admit(app: &Arc<App>, connection: &Arc<Connection>, identity: Identity) -> Result<(), Error> {
    let user = identity.user.clone();
    let is_new = connection.user().is_none();
    if is_new && app.hub.connections_of(&user.id) >= app.config.max_connections_per_user {
        return Err(Error::Forbidden("Too many connections"));
    }
    let is_first = app.hub.identify(connection, identity);
    if is_first {
        presence::announce(app, user, true, vec![]);
    }
    Ok(())
}

/// Makes an account for somebody who signs up.
///
/// # Errors
/// [`Error::Invalid`] for a bad address or password, [`Error::Conflict`] when the address is registered.
pub async fn sign_up(app: &App, email: &str, password: String, name: Option<&str>) -> Result<(String, User), Error> {
    let email = check_email(email)?;
    let name = tokens::clean_name(name.unwrap_or_else(|| email.split('@').next().unwrap_or_default()));
    let hash = hash_password(app, password).await?;
    let new =
        NewUser { id: None, email: Some(email), name, role: Role::Customer, password_hash: Some(hash), managed: true };
    let user = app.store.create_user(new, app.now()).await?;
    Ok((app.tokens.sign(&user, app.now(), TOKEN_TTL)?, user))
}

/// Signs somebody in. The answer does not tell whether the address is registered.
///
/// # Errors
/// [`Error::Unauthenticated`], or [`Error::RateLimited`] after ten tries a minute for one address.
pub async fn sign_in(app: &App, email: &str, password: String) -> Result<(String, User), Error> {
    const WRONG: Error = Error::Unauthenticated("Wrong e-mail address or password");
    let email = email.trim().to_lowercase();
    app.limits.count(&email, "sign_in", SIGN_INS_PER_MINUTE, Instant::now())?;
    let known = app.store.credentials_of(&email).await?;
    let (user, hash) = known.map_or((None, None), |(user, hash)| (Some(user), Some(hash)));
    let is_right = verify_password(app, password, hash).await?;
    let user = user.filter(|_| is_right).ok_or(WRONG)?;
    Ok((app.tokens.sign(&user, app.now(), TOKEN_TTL)?, user))
}

/// Revokes a credential and ends the connections that were made with it.
///
/// # Errors
/// [`Error::Unauthenticated`] when it was not valid anyway.
pub async fn sign_out(app: &App, credentials: &Credentials) -> Result<(), Error> {
    let identity = identify(app, credentials).await?;
    match identity.expires_at {
        Some(expires_at) => app.store.revoke_token(&identity.credential, expires_at).await?,
        None => app.store.delete_session(&identity.credential).await?,
    }
    for connection in app.hub.all() {
        if connection.identity().is_some_and(|other| other.credential == identity.credential) {
            connection.refuse(Some(&Error::Unauthenticated(tokens::FAILED)));
        }
    }
    Ok(())
}

/// Begins a widget visitor's session with its support conversation.
///
/// # Errors
/// [`Error::Invalid`] and [`Error::TooLarge`] for bad fields.
pub async fn begin_session(
    app: &Arc<App>,
    name: Option<&str>,
    email: Option<&str>,
    metadata: &Value,
) -> Result<NewSession, Error> {
    app.check_open()?;
    if metadata.to_string().len() > METADATA_BYTES_MAX {
        return Err(Error::TooLarge("metadata is larger than 4 KiB".into()));
    }
    let email = email.filter(|email| !email.is_empty()).map(check_email).transpose()?;
    let name = tokens::clean_name(name.unwrap_or_default());
    let name = if name.is_empty() { "Guest".to_owned() } else { name };
    // A visitor's address is a claim, not an account: it is kept with the session and never used to find somebody.
    let user = NewUser { id: None, email: None, name, role: Role::Customer, password_hash: None, managed: true };
    let user = app.store.create_user(user, app.now()).await?;
    let conversation =
        app.store.create_conversation(&NewConversation::default(), Kind::Support, &user, app.now()).await?;
    let session_id = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
    let credentials = Credentials { token: None, session_id: Some(session_id.clone()) };
    let expires_at = app.now() + TimeDelta::days(SESSION_DAYS);
    let kept = serde_json::json!({ "email": email, "metadata": metadata });
    let hash = fingerprint(&credentials);
    let row = store::NewSession {
        hash: &hash,
        user: &user.id,
        conversation: &conversation.id,
        metadata: &kept,
        at: app.now(),
        expires_at,
    };
    app.store.create_session(row).await?;
    super::settle(app, vec![Effect::Announce(conversation.id.clone())]);
    Ok(NewSession { session_id, user: Arc::new(user), conversation, expires_at })
}

/// Creates an account from the command line; without a password one is made and returned.
///
/// # Errors
/// As [`sign_up`].
pub async fn create_user(
    app: &App,
    email: &str,
    name: &str,
    role: Role,
    password: Option<String>,
) -> Result<(User, Option<String>), Error> {
    let made =
        password.is_none().then(|| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(rand::random::<[u8; 12]>()));
    let hash = hash_password(app, password.or_else(|| made.clone()).unwrap_or_default()).await?;
    let new = NewUser {
        id: None,
        email: Some(check_email(email)?),
        name: tokens::clean_name(name),
        role,
        password_hash: Some(hash),
        managed: true,
    };
    Ok((app.store.create_user(new, app.now()).await?, made))
}

/// Ends the connections of people who were deleted, or demoted from the agent side, and those whose credential was
/// taken back, whoever did that: another process, or this one while the connection was being made.
///
/// # Errors
/// Only when the database fails.
pub async fn recheck_connections(app: &App) -> Result<(), Error> {
    let connected = app.hub.all().into_iter().filter_map(|connection| Some((connection.identity()?, connection)));
    let connected: Vec<(Identity, Arc<Connection>)> = connected.collect();
    let distinct = |by_session| {
        let presented = connected.iter().filter(|(identity, _)| identity.by_session == by_session);
        presented.map(|(identity, _)| identity.credential.clone()).collect::<BTreeSet<_>>().into_iter().collect()
    };
    let (by_token, by_session): (Vec<String>, Vec<String>) = (distinct(false), distinct(true));
    let people: BTreeSet<UserId> = connected.iter().map(|(identity, _)| identity.user.id.clone()).collect();
    let roles = app.store.roles_among(&people.into_iter().collect::<Vec<_>>()).await?;
    let revoked = app.store.revoked_among(&by_token).await?;
    let living = app.store.sessions_among(&by_session, app.now()).await?;
    for (identity, connection) in connected {
        let Identity { user, credential, by_session, .. } = identity;
        let role = roles.get(&user.id);
        let is_demoted = role.is_none() || (user.role == Role::Agent && role != Some(&Role::Agent));
        let is_taken_back = if by_session { !living.contains(&credential) } else { revoked.contains(&credential) };
        // A fresh credential may have come meanwhile.
        let is_presented = || connection.identity().is_some_and(|now| now.credential == credential);
        if is_demoted || (is_taken_back && is_presented()) {
            connection.refuse(Some(&Error::Unauthenticated(tokens::FAILED)));
        }
    }
    Ok(())
}

fn check_email(email: &str) -> Result<String, Error> {
    let email = email.trim().to_lowercase();
    let (local, domain) = email.split_once('@').unwrap_or_default();
    let is_plausible = !local.is_empty()
        && domain.contains('.')
        && !domain.starts_with('.')
        && !domain.ends_with('.')
        && email.len() <= 254
        && !email.chars().any(|c| c.is_whitespace() || c.is_control())
        && email.matches('@').count() == 1;
    if is_plausible { Ok(email) } else { Err(Error::invalid("email is not an e-mail address")) }
}

/// Hashes on a blocking thread, a few at a time, so that sign-ins cannot stall the chat.
async fn hash_password(app: &App, password: String) -> Result<String, Error> {
    if !PASSWORD_BYTES.contains(&password.len()) {
        return Err(Error::invalid("password must have 8 to 256 bytes"));
    }
    let _permit = app.hashing.acquire().await.map_err(Error::internal)?;
    let hashed = tokio::task::spawn_blocking(move || {
        Argon2::default().hash_password(password.as_bytes()).map(|hash| hash.to_string())
    });
    hashed.await.map_err(Error::internal)?.map_err(|error| Error::internal(error.to_string()))
}

/// Compares a password with a hash; without a hash it takes as long and fails.
async fn verify_password(app: &App, password: String, hash: Option<String>) -> Result<bool, Error> {
    let _permit = app.hashing.acquire().await.map_err(Error::internal)?;
    let verified = tokio::task::spawn_blocking(move || match hash {
        Some(hash) => argon2::PasswordHash::new(&hash)
            .is_ok_and(|parsed| Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok()),
        None => {
            // The same work for an unknown address, so that the time does not tell.
            Argon2::default().hash_password(password.as_bytes()).ok();
            false
        }
    });
    verified.await.map_err(Error::internal)
}

//! Accounts, shadows, tombstones, sessions and revoked tokens.

use futures_util::future::join_all;
use serde_json::json;
use switchboard::{
    domain::{
        conversation::Kind,
        error::Error,
        ids::UserId,
        user::{Role, User},
    },
    store::{NewSession, NewUser, Store},
};

use crate::bench::{at, begin, customer, on_both_databases};

on_both_databases!(
    an_email_belongs_to_one_account,
    shadows_follow_their_token,
    accounts_do_not_follow_a_token,
    the_deleted_stay_out,
    sessions_end,
    revoked_tokens_are_forgotten_when_they_expire,
    migrating_twice_is_fine,
);

fn account(email: &str) -> NewUser {
    NewUser {
        id: None,
        email: Some(email.to_owned()),
        name: "Ada".to_owned(),
        role: Role::Customer,
        password_hash: Some("hash".to_owned()),
        managed: true,
    }
}

fn claim(id: &str, name: &str, email: Option<&str>, role: Role) -> User {
    User { id: UserId::trusted(id), name: name.to_owned(), email: email.map(str::to_owned), role }
}

async fn an_email_belongs_to_one_account(store: Store) {
    let ada = store.create_user(account("Ada@Example.org"), at(0)).await.unwrap();
    assert_eq!(ada.email.as_deref(), Some("ada@example.org"));
    let taken = store.create_user(account("ADA@example.org"), at(0)).await;
    assert!(matches!(taken, Err(Error::Conflict("email is already registered"))));
    let same_id = NewUser { id: Some(ada.id.clone()), ..account("other@example.org") };
    let taken = store.create_user(same_id, at(0)).await;
    assert!(matches!(taken, Err(Error::Conflict("user id is already taken"))));
    let (found, hash) = store.credentials_of("aDa@example.org").await.unwrap().unwrap();
    assert_eq!((found, hash.as_str()), (ada.clone(), "hash"));
    assert!(store.credentials_of("nobody@example.org").await.unwrap().is_none());
    assert_eq!(store.users().await.unwrap(), [ada]);
}

async fn shadows_follow_their_token(store: Store) {
    let first = claim("u1", "Una", Some("Una@x.org"), Role::Customer);
    let many = join_all((0..10).map(|_| store.ensure_user(&first, at(0)))).await;
    for known in many {
        assert_eq!(known.unwrap().unwrap().email.as_deref(), Some("una@x.org"));
    }
    let renamed = claim("u1", "Una B.", None, Role::Agent);
    let known = store.ensure_user(&renamed, at(1)).await.unwrap().unwrap();
    assert_eq!((known.name.as_str(), known.role), ("Una B.", Role::Agent));
    assert_eq!(known.email.as_deref(), Some("una@x.org"), "an omitted email is kept");
    let other = claim("u2", "Ulf", Some("UNA@x.org"), Role::Customer);
    let known = store.ensure_user(&other, at(2)).await.unwrap().unwrap();
    assert_eq!(known.email, None, "somebody else's email is left out");
    assert!(store.credentials_of("una@x.org").await.unwrap().is_none(), "shadows have no password");
}

async fn accounts_do_not_follow_a_token(store: Store) {
    let ada = store.create_user(account("ada@x.org"), at(0)).await.unwrap();
    let claimed = claim(ada.id.as_str(), "Mallory", None, Role::Agent);
    assert_eq!(store.ensure_user(&claimed, at(1)).await.unwrap(), Some(ada.clone()));
    let promoted = store.set_role("ADA@x.org", Role::Agent).await.unwrap();
    assert_eq!(promoted.role, Role::Agent);

    let shadow = claim("u1", "Una", None, Role::Agent);
    store.ensure_user(&shadow, at(1)).await.unwrap();
    store.set_role("u1", Role::Customer).await.unwrap();
    let known = store.ensure_user(&shadow, at(2)).await.unwrap().unwrap();
    assert_eq!(known.role, Role::Customer, "a demotion outlives old tokens");
    let nobody = store.set_role("nobody", Role::Agent).await;
    assert!(matches!(nobody, Err(Error::NotFound("user"))));
}

async fn the_deleted_stay_out(store: Store) {
    let ada = store.create_user(account("ada@x.org"), at(0)).await.unwrap();
    let conversation = begin(&store, Kind::Support).await.id;
    let session = NewSession {
        hash: "s1",
        user: &ada.id,
        conversation: &conversation,
        metadata: &json!({"page": "/"}),
        at: at(0),
        expires_at: at(100),
    };
    store.create_session(session).await.unwrap();
    assert_eq!(store.session_user("s1", at(1)).await.unwrap(), Some(ada.clone()));

    assert_eq!(store.delete_user("ada@x.org", at(2)).await.unwrap(), ada);
    assert_eq!(store.user(&ada.id).await.unwrap(), None);
    assert_eq!(store.ensure_user(&ada, at(3)).await.unwrap(), None);
    assert_eq!(store.session_user("s1", at(3)).await.unwrap(), None);
    assert!(store.credentials_of("ada@x.org").await.unwrap().is_none());
    assert!(store.users().await.unwrap().is_empty());
    let again = store.delete_user(ada.id.as_str(), at(4)).await;
    assert!(matches!(again, Err(Error::NotFound("user"))));
    assert_ne!(store.create_user(account("ada@x.org"), at(5)).await.unwrap().id, ada.id);
}

async fn sessions_end(store: Store) {
    store.ensure_user(&customer(), at(0)).await.unwrap();
    let conversation = begin(&store, Kind::Support).await.id;
    let carla = customer();
    for hash in ["left", "late"] {
        let session = NewSession {
            hash,
            user: &carla.id,
            conversation: &conversation,
            metadata: &json!({}),
            at: at(0),
            expires_at: at(100),
        };
        store.create_session(session).await.unwrap();
    }
    store.delete_session("left").await.unwrap();
    assert!(store.session_user("left", at(1)).await.unwrap().is_none());
    assert!(store.session_user("late", at(99)).await.unwrap().is_some());
    assert!(store.session_user("late", at(100)).await.unwrap().is_none());
    store.purge_expired(at(100)).await.unwrap();
    assert!(store.session_user("late", at(1)).await.unwrap().is_none());
}

async fn revoked_tokens_are_forgotten_when_they_expire(store: Store) {
    for _ in 0..2 {
        store.revoke_token("t1", at(10)).await.unwrap();
    }
    assert!(store.is_revoked("t1").await.unwrap());
    assert!(!store.is_revoked("t2").await.unwrap());
    store.purge_expired(at(10)).await.unwrap();
    assert!(!store.is_revoked("t1").await.unwrap());
}

async fn migrating_twice_is_fine(store: Store) {
    let (one, two) = tokio::join!(store.migrate(), store.migrate());
    one.unwrap();
    two.unwrap();
    store.ping().await.unwrap();
    store.audit("anna", "resolve", "conversation:1", "", at(0)).await.unwrap();
}

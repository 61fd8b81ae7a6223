//! Which tokens are accepted, and as whom: our own, a host application's, and the many that must not be.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{collections::HashMap, path::PathBuf, time::Duration};

use chrono::DateTime;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use switchboard::{
    config::{Config, settings::Source},
    domain::user::Role,
    tokens::{EXPIRED, FAILED, Tokens},
};

const SECRET: &str = "a secret that is long enough for HS256";

fn key_file(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests/fixtures/keys", name].iter().collect()
}

fn tokens(settings: &[(&str, &str)]) -> Tokens {
    let all: Vec<_> = [("JWT_SECRET", SECRET)].into_iter().chain(settings.iter().copied()).collect();
    Tokens::load(&Config::load(&Source::fixed(&all), false).unwrap()).unwrap()
}

fn hs256(claims: &Value) -> String {
    encode(&Header::new(Algorithm::HS256), claims, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap()
}

/// A time that no test outlives.
const LATER: i64 = 4_000_000_000;

fn refusal(tokens: &Tokens, token: &str) -> String {
    tokens.check(token).err().map(|error| error.to_string()).unwrap_or_default()
}

#[test]
fn the_user_is_named_in_any_of_four_ways() {
    let tokens = tokens(&[]);
    for (claims, id) in [
        (json!({"sub": "a", "userId": "b", "exp": LATER}), "a"),
        (json!({"userId": "b", "exp": LATER}), "b"),
        (json!({"user_id": 7, "exp": LATER}), "7"),
        (json!({"id": "auth0|x@y", "exp": LATER}), "auth0|x@y"),
        (json!({"sub": "", "id": "d", "exp": LATER}), "d"),
    ] {
        assert_eq!(tokens.check(&hs256(&claims)).unwrap().user.id.as_str(), id, "{claims}");
    }
}

#[test]
fn agent_words_are_agents_and_everything_else_is_a_customer() {
    let tokens = tokens(&[]);
    let role = |word: Value| tokens.check(&hs256(&json!({"sub": "u", "role": word, "exp": LATER}))).unwrap().user.role;
    for word in ["admin", "agent", "support", "Admin"] {
        assert_eq!(role(word.into()), Role::Agent, "{word}");
    }
    for word in [json!("customer"), json!("administrator"), json!(""), json!(1), json!(null), json!(["admin"])] {
        assert_eq!(role(word.clone()), Role::Customer, "{word}");
    }
}

#[test]
fn tokens_without_a_user_or_an_end_are_refused() {
    let tokens = tokens(&[]);
    for claims in [
        json!({"exp": LATER}),
        json!({"sub": {"a": 1}, "exp": LATER}),
        json!({"sub": "u\u{7}", "exp": LATER}),
        json!({"sub": 1.5, "exp": LATER}),
        json!({"sub": "u"}),
        json!({"sub": "u", "exp": "soon"}),
        json!({"sub": "u", "exp": LATER, "nbf": LATER}),
    ] {
        assert_eq!(refusal(&tokens, &hs256(&claims)), FAILED, "{claims}");
    }
    assert_eq!(refusal(&tokens, &hs256(&json!({"sub": "u", "exp": 1_700_000_000}))), EXPIRED);
}

#[test]
fn issuer_and_audience_are_checked_when_they_are_set() {
    let tokens = tokens(&[("JWT_ISSUER", "shop"), ("JWT_AUDIENCE", "chat")]);
    let good = json!({"sub": "u", "exp": LATER, "iss": "shop", "aud": ["chat", "other"]});
    assert!(tokens.check(&hs256(&good)).is_ok());
    for (claim, value) in [("iss", json!("other")), ("iss", json!(null)), ("aud", json!("other")), ("aud", json!(null))]
    {
        let mut claims = good.clone();
        claims[claim] = value;
        assert_eq!(refusal(&tokens, &hs256(&claims)), FAILED, "{claims}");
    }
}

#[test]
fn every_public_key_brings_its_own_algorithm_and_no_other() {
    let keys: HashMap<_, _> = [
        ("rsa", (Algorithm::RS256, EncodingKey::from_rsa_pem as fn(&[u8]) -> _)),
        ("p256", (Algorithm::ES256, EncodingKey::from_ec_pem)),
        ("ed25519", (Algorithm::EdDSA, EncodingKey::from_ed_pem)),
    ]
    .into();
    let claims = json!({"sub": "u", "exp": LATER});
    for (name, (algorithm, read)) in &keys {
        let public = key_file(&format!("{name}.pub.pem"));
        let accepting = tokens(&[("JWT_PUBLIC_KEY_FILE", public.to_str().unwrap())]);
        let private = std::fs::read(key_file(&format!("{name}.pem"))).unwrap();
        let token = encode(&Header::new(*algorithm), &claims, &read(&private).unwrap()).unwrap();
        assert!(accepting.check(&token).is_ok(), "{name}");
        assert!(accepting.check(&hs256(&claims)).is_ok(), "{name} beside the secret");
        assert_eq!(refusal(&tokens(&[]), &token), FAILED, "{name} without its key");
        // The classic confusion: the public key used as a secret.
        let confused = EncodingKey::from_secret(&std::fs::read(&public).unwrap());
        let token = encode(&Header::new(Algorithm::HS256), &claims, &confused).unwrap();
        assert_eq!(refusal(&accepting, &token), FAILED, "{name} as a secret");
    }
}

#[test]
fn mutations_and_foreign_algorithms_are_refused() {
    let tokens = tokens(&[]);
    let good = hs256(&json!({"sub": "u", "exp": LATER}));
    for at in 0..good.len() {
        let mut bytes = good.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let token = String::from_utf8(bytes).unwrap();
        // The last character of a part carries bits that decoding ignores; such a token is the same token.
        let is_same_bits = good[at + 1..].starts_with('.') || at + 1 == good.len();
        assert!(tokens.check(&token).is_err() || is_same_bits, "character {at}");
    }
    let (head, rest) = good.split_once('.').unwrap();
    let none = "eyJhbGciOiJub25lIn0";
    for token in ["", ".", "..", head, &good[1..], &format!("{none}.{rest}"), &format!("{good}.x"), &format!("{good}=")]
    {
        assert_eq!(refusal(&tokens, token), FAILED, "{token}");
    }
    let stronger = encode(
        &Header::new(Algorithm::HS512),
        &json!({"sub": "u", "exp": LATER}),
        &EncodingKey::from_secret(SECRET.as_bytes()),
    );
    assert_eq!(refusal(&tokens, &stronger.unwrap()), FAILED);
    assert_eq!(refusal(&tokens, &"a".repeat(100_000)), FAILED);
}

#[test]
fn what_we_sign_we_accept() {
    let tokens = tokens(&[("JWT_ISSUER", "shop"), ("JWT_AUDIENCE", "chat")]);
    let user = tokens.check(&hs256(&json!({"sub": "u", "name": "Ann", "email": "a@b.example", "role": "admin",
        "exp": LATER, "iss": "shop", "aud": "chat"})));
    let user = user.unwrap().user;
    let token =
        tokens.sign(&user, DateTime::from_timestamp(LATER - 3600, 0).unwrap(), Duration::from_secs(60)).unwrap();
    assert_eq!(tokens.check(&token).unwrap().user, user);
}

//! JSON Web Tokens: the ones this server signs, and the ones of host applications that it accepts.
//!
//! HS256 with the configured secret is always accepted; RS256, ES256 and EdDSA when the operator names a public key or
//! a JWKS file. The algorithm is never taken from the token alone: each key belongs to one.

use std::{collections::HashSet, fs, io::Write as _, path::Path};

use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode,
    errors::ErrorKind,
    jwk::{AlgorithmParameters, EllipticCurve, JwkSet},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    config::Config,
    domain::{
        Timestamp,
        error::Error,
        ids::UserId,
        user::{Role, User},
    },
};

/// Tolerance for clocks of other machines, in seconds; contract section 3 allows up to 5.
pub const LEEWAY_S: i64 = 2;

/// Longer tokens are not looked at.
const TOKEN_BYTES_MAX: usize = 16 * 1024;

/// What `connect_error` says for credentials that are wrong.
pub const FAILED: &str = "Authentication failed";

/// What it says for credentials that were right once.
pub const EXPIRED: &str = "Token expired";

/// Signs and checks tokens.
pub struct Tokens {
    signing: EncodingKey,
    keys: Vec<Key>,
    issuer: Option<String>,
    audience: Option<String>,
}

struct Key {
    id: Option<String>,
    algorithm: Algorithm,
    key: DecodingKey,
}

/// A token that was accepted.
pub struct Accepted {
    /// Who it says it is.
    pub user: User,
    /// When it runs out.
    pub expires_at: Timestamp,
}

#[derive(Serialize)]
struct Signed<'a> {
    sub: &'a str,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    role: &'a str,
    iat: i64,
    exp: i64,
    jti: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<&'a str>,
}

/// The claims that are read. Host applications name the user in four ways, as text or number.
#[derive(Deserialize)]
struct Claims {
    sub: Option<Value>,
    #[serde(rename = "userId")]
    user_id_camel: Option<Value>,
    user_id: Option<Value>,
    id: Option<Value>,
    name: Option<Value>,
    #[serde(rename = "userName")]
    user_name: Option<Value>,
    email: Option<Value>,
    role: Option<Value>,
    exp: i64,
}

impl Tokens {
    /// Loads the keys.
    ///
    /// # Errors
    /// One readable line when a key file cannot be read or used, or the secret cannot be kept.
    pub fn load(config: &Config) -> Result<Self, String> {
        let secret = match &config.jwt_secret {
            Some(secret) => secret.clone(),
            None => kept_secret(&config.data_dir)?,
        };
        let hs256 = Key { id: None, algorithm: Algorithm::HS256, key: DecodingKey::from_secret(secret.as_bytes()) };
        let mut keys = vec![hs256];
        if let Some(file) = &config.jwt_public_key_file {
            keys.push(public_key(file)?);
        }
        if let Some(file) = &config.jwt_jwks_file {
            keys.extend(jwks(file)?);
        }
        let signing = EncodingKey::from_secret(secret.as_bytes());
        Ok(Self { signing, keys, issuer: config.jwt_issuer.clone(), audience: config.jwt_audience.clone() })
    }

    /// Signs a token for `user` that holds from `at` for `ttl`.
    ///
    /// # Errors
    /// [`Error::Internal`] when the crypto library fails.
    pub fn sign(&self, user: &User, at: Timestamp, ttl: std::time::Duration) -> Result<String, Error> {
        let claims = Signed {
            sub: user.id.as_str(),
            name: &user.name,
            email: user.email.as_deref(),
            role: user.role.as_str(),
            iat: at.timestamp(),
            exp: at.timestamp().saturating_add(i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX)),
            jti: uuid::Uuid::new_v4().to_string(),
            iss: self.issuer.as_deref(),
            aud: self.audience.as_deref(),
        };
        encode(&Header::new(Algorithm::HS256), &claims, &self.signing).map_err(Error::internal)
    }

    /// Checks a token's signature, times, issuer and audience, and reads who it names.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] with [`EXPIRED`] for a token that was right once, with [`FAILED`] for any other.
    pub fn check(&self, token: &str) -> Result<Accepted, Error> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Error::Unauthenticated(FAILED));
        }
        let header = decode_header(token).map_err(|_| Error::Unauthenticated(FAILED))?;
        let mut reason = FAILED;
        for key in self.keys.iter().filter(|key| key.algorithm == header.alg && key.may_be(header.kid.as_deref())) {
            match decode::<Claims>(token, &key.key, &self.validation(key.algorithm)) {
                Ok(data) => return accepted(&data.claims),
                Err(error) if *error.kind() == ErrorKind::ExpiredSignature => reason = EXPIRED,
                Err(_) => {}
            }
        }
        Err(Error::Unauthenticated(reason))
    }

    fn validation(&self, algorithm: Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);
        validation.leeway = LEEWAY_S.unsigned_abs();
        validation.validate_nbf = true;
        let mut required: HashSet<String> = HashSet::from(["exp".into()]);
        if let Some(issuer) = &self.issuer {
            validation.set_issuer(&[issuer]);
            required.insert("iss".into());
        }
        match &self.audience {
            Some(audience) => {
                validation.set_audience(&[audience]);
                required.insert("aud".into());
            }
            None => validation.validate_aud = false,
        }
        validation.required_spec_claims = required;
        validation
    }
}

impl Key {
    /// A token that names a key is checked with that one; unnamed keys may fit any token.
    fn may_be(&self, kid: Option<&str>) -> bool {
        match (self.id.as_deref(), kid) {
            (Some(own), Some(wanted)) => own == wanted,
            _ => true,
        }
    }
}

fn accepted(claims: &Claims) -> Result<Accepted, Error> {
    let text = |value: &Value| match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) if number.is_i64() || number.is_u64() => Some(number.to_string()),
        _ => None,
    };
    let named = [&claims.sub, &claims.user_id_camel, &claims.user_id, &claims.id];
    let id = named.into_iter().flatten().find_map(text).ok_or(Error::Unauthenticated(FAILED))?;
    let id = UserId::parse(&id).map_err(|_| Error::Unauthenticated(FAILED))?;
    let email = claims.email.as_ref().and_then(text);
    let name = [&claims.name, &claims.user_name].into_iter().flatten().find_map(text);
    let name = clean_name(name.or_else(|| email.clone()).as_deref().unwrap_or(id.as_str()));
    let role = Role::from_word(claims.role.as_ref().and_then(Value::as_str).unwrap_or_default());
    let expires_at = Timestamp::from_timestamp(claims.exp, 0).ok_or(Error::Unauthenticated(FAILED))?;
    Ok(Accepted { user: User { id, name, email, role }, expires_at })
}

/// Names go into every message, so they are short and have no control characters.
#[must_use]
pub fn clean_name(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(100).collect::<String>().trim().to_owned()
}

/// The secret of this installation, made at the first start and readable by its owner alone.
fn kept_secret(data_dir: &Path) -> Result<String, String> {
    use base64::Engine as _;
    let file = data_dir.join("jwt-secret");
    let complain =
        |error: std::io::Error| format!("DATA_DIR: cannot keep the generated secret in {}: {error}", file.display());
    let mut private = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut private, 0o700);
    private.recursive(true).create(data_dir).map_err(complain)?;
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(&file) {
        Ok(mut handle) => {
            let secret = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(rand::random::<[u8; 48]>());
            handle.write_all(secret.as_bytes()).and_then(|()| handle.sync_all()).map_err(complain)?;
            Ok(secret)
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            let secret = fs::read_to_string(&file).map_err(complain)?.trim().to_owned();
            if secret.is_empty() {
                Err(format!("{} is empty; remove it to have a new one made", file.display()))
            } else {
                Ok(secret)
            }
        }
        Err(error) => Err(complain(error)),
    }
}

/// Reads one kind of public key.
type ReadPem = fn(&[u8]) -> jsonwebtoken::errors::Result<DecodingKey>;

fn public_key(file: &Path) -> Result<Key, String> {
    let pem = fs::read(file).map_err(|error| format!("JWT_PUBLIC_KEY_FILE: {}: {error}", file.display()))?;
    let kinds: [(Algorithm, ReadPem); 3] = [
        (Algorithm::RS256, DecodingKey::from_rsa_pem),
        (Algorithm::ES256, DecodingKey::from_ec_pem),
        (Algorithm::EdDSA, DecodingKey::from_ed_pem),
    ];
    kinds
        .into_iter()
        .find_map(|(algorithm, read)| read(&pem).ok().map(|key| Key { id: None, algorithm, key }))
        .ok_or_else(|| format!("JWT_PUBLIC_KEY_FILE: {} holds no RSA, P-256 or Ed25519 public key", file.display()))
}

fn jwks(file: &Path) -> Result<Vec<Key>, String> {
    let complain = |why: String| format!("JWT_JWKS_FILE: {}: {why}", file.display());
    let text = fs::read_to_string(file).map_err(|error| complain(error.to_string()))?;
    let set: JwkSet = serde_json::from_str(&text).map_err(|error| complain(error.to_string()))?;
    let mut keys = vec![];
    for jwk in &set.keys {
        let algorithm = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => Algorithm::RS256,
            AlgorithmParameters::EllipticCurve(ec) if ec.curve == EllipticCurve::P256 => Algorithm::ES256,
            AlgorithmParameters::OctetKeyPair(_) => Algorithm::EdDSA,
            // Symmetric keys do not belong into a published file, and other curves are not offered.
            _ => continue,
        };
        let key = DecodingKey::from_jwk(jwk).map_err(|error| complain(error.to_string()))?;
        keys.push(Key { id: jwk.common.key_id.clone(), algorithm, key });
    }
    if keys.is_empty() { Err(complain("no RSA, P-256 or Ed25519 key in it".into())) } else { Ok(keys) }
}

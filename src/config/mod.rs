//! Settings: read once at start from flags, the environment and `.env`, checked, and never read again.

pub mod settings;

use std::{net::IpAddr, path::PathBuf, time::Duration};

use self::settings::Source;
use crate::domain::ids::UserId;

/// HS256 secrets shorter than this are refused: RFC 7518 section 3.2.
const SECRET_BYTES_MIN: usize = 32;

/// Which AI answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AiProvider {
    /// `openai` when a key or base URL is set, else `offline`.
    Auto,
    /// An OpenAI-compatible server.
    OpenAi,
    /// The built-in answerer.
    Offline,
}

/// One OpenAI-compatible server.
#[derive(Clone, Default)]
pub struct AiEndpoint {
    /// Where it is; the provider's own address when absent.
    pub base_url: Option<String>,
    /// Its key.
    pub api_key: Option<String>,
    /// The model to ask for.
    pub model: String,
}

/// Browser origins that may talk to this server, besides its own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Origins {
    /// None.
    #[default]
    SameOnly,
    /// Every one, never with credentials.
    Any,
    /// These.
    List(Vec<String>),
}

/// Everything that an operator can set.
#[derive(Clone)]
pub struct Config {
    /// Address to listen on.
    pub host: IpAddr,
    /// Port to listen on; 0 lets the system choose.
    pub port: u16,
    /// Another port, whose WebSocket path speaks only the Gurukul protocol.
    pub gurukul_port: Option<u16>,
    /// Another port, whose WebSocket path speaks only the CampusHub protocol.
    pub campushub_port: Option<u16>,
    /// Path of these two protocols.
    pub ws_path: String,
    /// Folder of the embedded database and the generated secret.
    pub data_dir: PathBuf,
    /// `sqlite:…` or `postgres://…`.
    pub database_url: String,
    /// Redis, for several processes.
    pub redis_url: Option<String>,
    /// What all its keys and channels begin with.
    pub redis_prefix: String,
    /// The operator has named the database, so that other processes can be given the same.
    pub database_is_named: bool,
    /// The HS256 secret, when the operator chose one.
    pub jwt_secret: Option<String>,
    /// A PEM file with a public key whose tokens are accepted too.
    pub jwt_public_key_file: Option<PathBuf>,
    /// A JWKS file whose keys' tokens are accepted too.
    pub jwt_jwks_file: Option<PathBuf>,
    /// Required `iss`, when set.
    pub jwt_issuer: Option<String>,
    /// Required `aud`, when set.
    pub jwt_audience: Option<String>,
    /// The cookie that carries a JWT.
    pub auth_cookie: String,
    /// Browser origins that may call.
    pub cors_origin: Origins,
    /// Browser origins that may frame the widget.
    pub widget_origins: Origins,
    /// Which AI answers.
    pub ai_provider: AiProvider,
    /// The first server to ask.
    pub ai: AiEndpoint,
    /// Asked when the first one fails.
    pub ai_fallback: Option<AiEndpoint>,
    /// Answers generated at the same time.
    pub ai_concurrency: usize,
    /// Longest answer in tokens.
    pub ai_max_output_tokens: u32,
    /// Longest time for one answer, retries included.
    pub ai_timeout: Duration,
    /// How long text is gathered for one chunk.
    pub chunk_window: Duration,
    /// Connections at the same time.
    pub max_connections: usize,
    /// Connections of one person at the same time.
    pub max_connections_per_user: usize,
    /// Joining or sending to an unknown id creates it.
    pub auto_create_conversations: bool,
    /// Deeds of one kind, per person and minute.
    pub message_rate_limit: u32,
    /// Time for a connection to say who it is.
    pub auth_timeout: Duration,
    /// Time between pings.
    pub ping_interval: Duration,
    /// Time for an orderly end.
    pub shutdown_timeout: Duration,
    /// Proxies whose `X-Forwarded-For` counts.
    pub trusted_proxies: Vec<Network>,
    /// JSON lines instead of text for people.
    pub log_json: Option<bool>,
    /// Sample data and a demo account in an empty database.
    pub demo: bool,
    /// Whoever serves also answers; otherwise workers do, which are processes of their own.
    pub with_worker: bool,
}

/// A block of addresses in CIDR notation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// True when `address` is in the block.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let bits = |ip: IpAddr| match ip {
            IpAddr::V4(v4) => (u128::from(v4.to_bits()) << 96, 32),
            IpAddr::V6(v6) => (v6.to_bits(), 128),
        };
        let ((own, width), (other, other_width)) = (bits(self.address), bits(address));
        let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0);
        width == other_width && own & mask == other & mask
    }

    fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address: IpAddr = address.parse().ok()?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Some(width), |prefix| prefix.parse().ok().filter(|prefix| *prefix <= width))?;
        Some(Self { address, prefix })
    }
}

impl Config {
    /// Reads and checks all settings.
    ///
    /// # Errors
    /// One readable line that names the variable and what is wrong with its value.
    pub fn load(source: &Source, demo: bool) -> Result<Self, String> {
        let data_dir = PathBuf::from(source.text("DATA_DIR"));
        let fallback_url = format!("sqlite://{}?mode=rwc", data_dir.join("switchboard.db").display());
        let cors_origin = origins(source.optional("CORS_ORIGIN"))?;
        let config = Self {
            host: source.parse("HOST", "an IP address")?,
            port: source.parse("PORT", "a port number")?,
            gurukul_port: port(source, "GURUKUL_PORT")?,
            campushub_port: port(source, "CAMPUSHUB_PORT")?,
            ws_path: ws_path(source)?,
            database_url: source.optional("DATABASE_URL").unwrap_or(fallback_url),
            data_dir,
            redis_url: source.optional("REDIS_URL"),
            redis_prefix: source.text("REDIS_PREFIX"),
            database_is_named: source.optional("DATABASE_URL").is_some(),
            jwt_secret: source.optional("JWT_SECRET"),
            jwt_public_key_file: source.optional("JWT_PUBLIC_KEY_FILE").map(Into::into),
            jwt_jwks_file: source.optional("JWT_JWKS_FILE").map(Into::into),
            jwt_issuer: source.optional("JWT_ISSUER"),
            jwt_audience: source.optional("JWT_AUDIENCE"),
            auth_cookie: source.text("AUTH_COOKIE"),
            widget_origins: source
                .optional("WIDGET_ORIGINS")
                .map_or(Ok(cors_origin.clone()), |list| origins(Some(list)))?,
            cors_origin,
            ai_provider: ai_provider(source)?,
            ai: endpoint(source, "OPENAI_BASE_URL", "OPENAI_API_KEY", "OPENAI_MODEL"),
            ai_fallback: ai_fallback(source)?,
            ai_concurrency: source.parse_at_least("AI_CONCURRENCY", 1)?,
            ai_max_output_tokens: source.parse_at_least("AI_MAX_OUTPUT_TOKENS", 1)?,
            ai_timeout: source.duration("AI_TIMEOUT")?,
            chunk_window: source.duration("CHUNK_WINDOW")?,
            max_connections: source.parse_at_least("MAX_CONNECTIONS", 1)?,
            max_connections_per_user: source.parse_at_least("MAX_CONNECTIONS_PER_USER", 1)?,
            auto_create_conversations: source.switch("AUTO_CREATE_CONVERSATIONS")?.unwrap_or(demo),
            message_rate_limit: source.parse_at_least("MESSAGE_RATE_LIMIT", 1)?,
            auth_timeout: source.duration("AUTH_TIMEOUT")?,
            ping_interval: source.duration("PING_INTERVAL")?,
            shutdown_timeout: source.duration("SHUTDOWN_TIMEOUT")?,
            trusted_proxies: networks(&source.optional("TRUSTED_PROXIES").unwrap_or_default())?,
            log_json: log_format(source)?,
            demo,
            with_worker: true,
        };
        config.check(source)
    }

    fn check(self, source: &Source) -> Result<Self, String> {
        let weak_is_fine = source.switch("ALLOW_WEAK_SECRET")?.unwrap_or(false);
        if self.jwt_secret.as_ref().is_some_and(|secret| secret.len() < SECRET_BYTES_MIN) && !weak_is_fine {
            return Err(format!(
                "JWT_SECRET: shorter than {SECRET_BYTES_MIN} bytes; choose a longer one, or set ALLOW_WEAK_SECRET=1 for tests"
            ));
        }
        let url = &self.database_url;
        if !["sqlite:", "postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
            return Err("DATABASE_URL: expected sqlite:… or postgres://…".into());
        }
        if self.redis_url.as_ref().is_some_and(|url| !["redis://", "rediss://"].iter().any(|s| url.starts_with(s))) {
            return Err("REDIS_URL: expected redis://… or rediss://…".into());
        }
        Ok(self)
    }

    /// Checks that this process and others can work together.
    ///
    /// # Errors
    /// One readable line that names what is missing.
    pub fn check_shared(&self) -> Result<(), String> {
        if self.redis_url.is_none() {
            return Err("REDIS_URL: a worker that is a process of its own needs Redis".into());
        }
        if !self.database_is_named {
            return Err("DATABASE_URL: name the database that the processes share".into());
        }
        Ok(())
    }
}

/// The caller of maintenance commands in audit rows.
#[must_use]
pub fn operator() -> UserId {
    UserId::trusted("operator")
}

fn ai_provider(source: &Source) -> Result<AiProvider, String> {
    match source.text("AI_PROVIDER").as_str() {
        "auto" => Ok(AiProvider::Auto),
        "openai" => Ok(AiProvider::OpenAi),
        "offline" => Ok(AiProvider::Offline),
        other => Err(format!("AI_PROVIDER: expected auto, openai or offline, got '{other}'")),
    }
}

fn port(source: &Source, name: &str) -> Result<Option<u16>, String> {
    let wrong = |text: &str| format!("{name}: expected a port number, got '{text}'");
    source.optional(name).map(|text| text.parse().map_err(|_| wrong(&text))).transpose()
}

/// The path must not be one that something else is served on.
fn ws_path(source: &Source) -> Result<String, String> {
    const TAKEN: [&str; 9] =
        ["/socket.io", "/api", "/v1", "/health", "/metrics", "/docs", "/assets", "/admin", "/widget"];
    let path = source.text("WS_PATH");
    let is_plain = path.chars().all(|c| c.is_ascii_alphanumeric() || "/-_.".contains(c));
    let is_free = !TAKEN.iter().any(|taken| path.starts_with(taken));
    if path.len() > 1 && path.starts_with('/') && !path.ends_with('/') && is_plain && is_free && path != "/ws/health" {
        return Ok(path);
    }
    Err(format!("WS_PATH: expected a path of its own such as /ws, got '{path}'"))
}

fn endpoint(source: &Source, base_url: &str, api_key: &str, model: &str) -> AiEndpoint {
    AiEndpoint {
        base_url: source.optional(base_url),
        api_key: source.optional(api_key),
        model: source.optional(model).unwrap_or_else(|| source.text("OPENAI_MODEL")),
    }
}

fn ai_fallback(source: &Source) -> Result<Option<AiEndpoint>, String> {
    let fallback = endpoint(source, "AI_FALLBACK_BASE_URL", "AI_FALLBACK_API_KEY", "AI_FALLBACK_MODEL");
    let is_set = fallback.base_url.is_some() || fallback.api_key.is_some();
    if !is_set && source.optional("AI_FALLBACK_MODEL").is_some() {
        return Err("AI_FALLBACK_MODEL: set AI_FALLBACK_BASE_URL or AI_FALLBACK_API_KEY too".into());
    }
    Ok(is_set.then_some(fallback))
}

fn origins(list: Option<String>) -> Result<Origins, String> {
    let Some(list) = list else { return Ok(Origins::SameOnly) };
    if list.trim() == "*" {
        return Ok(Origins::Any);
    }
    let origins: Vec<_> = list.split(',').map(|o| o.trim().trim_end_matches('/').to_ascii_lowercase()).collect();
    match origins.iter().find(|origin| !(origin.starts_with("http://") || origin.starts_with("https://"))) {
        Some(bad) => Err(format!("CORS_ORIGIN, WIDGET_ORIGINS: '{bad}' is not an origin such as https://example.org")),
        None => Ok(Origins::List(origins)),
    }
}

fn networks(list: &str) -> Result<Vec<Network>, String> {
    let words = list.split(',').map(str::trim).filter(|word| !word.is_empty() && *word != "none");
    words
        .map(|word| {
            Network::parse(word).ok_or_else(|| format!("TRUSTED_PROXIES: '{word}' is not an address or CIDR block"))
        })
        .collect()
}

fn log_format(source: &Source) -> Result<Option<bool>, String> {
    match source.optional("LOG_FORMAT").as_deref() {
        None => Ok(None),
        Some("pretty") => Ok(Some(false)),
        Some("json") => Ok(Some(true)),
        Some(other) => Err(format!("LOG_FORMAT: expected pretty or json, got '{other}'")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_contain_their_addresses_only() {
        let ten = Network::parse("10.0.0.0/8").unwrap();
        assert!(ten.contains("10.9.8.7".parse().unwrap()));
        assert!(!ten.contains("11.0.0.1".parse().unwrap()) && !ten.contains("::1".parse().unwrap()));
        assert!(Network::parse("0.0.0.0/0").unwrap().contains("8.8.8.8".parse().unwrap()));
        assert!(Network::parse("::1").unwrap().contains("::1".parse().unwrap()));
        assert_eq!(Network::parse("10.0.0.0/33"), None);
    }

    #[test]
    fn bad_values_name_their_variable() {
        let load = |name: &str, value: &str| Config::load(&Source::fixed(&[(name, value)]), false).err().unwrap();
        for (name, value) in
            [("PORT", "x"), ("AI_TIMEOUT", "soon"), ("JWT_SECRET", "short"), ("CORS_ORIGIN", "example.org")]
        {
            assert!(load(name, value).contains(name), "{name}");
        }
        assert!(Config::load(&Source::fixed(&[]), false).is_ok());
    }
}

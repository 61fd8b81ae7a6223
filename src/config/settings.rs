//! The table of settings, from which the flags, the help text and the look-up of values are made.

use std::{collections::HashMap, str::FromStr, time::Duration};

/// One setting: an environment variable, and the flag of the same name in lower case with dashes.
pub struct Setting {
    /// The variable.
    pub name: &'static str,
    /// Other variables that mean the same, from systems that Switchboard replaces.
    pub aliases: &'static [&'static str],
    /// The value when nothing is set; empty for "not set".
    pub default: &'static str,
    /// One line for `--help`.
    pub help: &'static str,
}

const fn setting(name: &'static str, default: &'static str, help: &'static str) -> Setting {
    Setting { name, aliases: &[], default, help }
}

const fn renamed(
    name: &'static str,
    aliases: &'static [&'static str],
    default: &'static str,
    help: &'static str,
) -> Setting {
    Setting { name, aliases, default, help }
}

/// Every setting there is.
pub const SETTINGS: &[Setting] = &[
    setting("HOST", "127.0.0.1", "Address to listen on"),
    setting("PORT", "3000", "Port to listen on; 0 lets the system choose"),
    setting("GURUKUL_PORT", "", "Another port, whose WebSocket path speaks only the Gurukul protocol"),
    renamed(
        "CAMPUSHUB_PORT",
        &["WS_PORT"],
        "",
        "Another port, whose WebSocket path speaks only the CampusHub protocol",
    ),
    setting("WS_PATH", "/ws", "Path of the Gurukul and CampusHub protocols"),
    setting("DATA_DIR", "./data", "Folder of the embedded database and the generated secret"),
    renamed("DATABASE_URL", &["DB_DSN"], "", "sqlite:… or postgres://…; default: an SQLite file in DATA_DIR"),
    setting("REDIS_URL", "", "redis://… or rediss://… for several processes"),
    setting("REDIS_PREFIX", "switchboard", "What all keys and channels in Redis begin with"),
    renamed(
        "JWT_SECRET",
        &["JWT_ACCESS_SECRET"],
        "",
        "HS256 secret, 32 bytes or more; default: generated, kept in DATA_DIR",
    ),
    setting("ALLOW_WEAK_SECRET", "", "1 accepts a shorter JWT_SECRET"),
    setting("JWT_PUBLIC_KEY_FILE", "", "PEM public key whose RS256, ES256 or EdDSA tokens are accepted too"),
    setting("JWT_JWKS_FILE", "", "JWKS whose keys' tokens are accepted too"),
    setting("JWT_ISSUER", "", "Required `iss` of tokens"),
    setting("JWT_AUDIENCE", "", "Required `aud` of tokens"),
    setting("AUTH_COOKIE", "lykke_auth", "Cookie that carries a JWT"),
    renamed("CORS_ORIGIN", &["WEBSOCKET_CORS_ORIGIN"], "", "Browser origins that may call, separated by commas, or *"),
    setting("WIDGET_ORIGINS", "", "Browser origins that may frame the widget; default: CORS_ORIGIN"),
    setting("AI_PROVIDER", "auto", "auto, openai or offline"),
    setting("OPENAI_API_KEY", "", "Key of the OpenAI-compatible server"),
    setting("OPENAI_BASE_URL", "", "Address of the OpenAI-compatible server"),
    setting("OPENAI_MODEL", "gpt-4o-mini", "Model to ask for"),
    setting("AI_FALLBACK_BASE_URL", "", "Second server, tried when the first fails"),
    setting("AI_FALLBACK_API_KEY", "", "Its key"),
    setting("AI_FALLBACK_MODEL", "", "Its model; default: OPENAI_MODEL"),
    setting("AI_CONCURRENCY", "64", "Answers generated at the same time"),
    setting("AI_MAX_OUTPUT_TOKENS", "1024", "Longest answer in tokens"),
    setting("AI_TIMEOUT", "120s", "Longest time for one answer, retries included"),
    setting("CHUNK_WINDOW", "40ms", "How long text is gathered for one message:chunk"),
    setting("MAX_CONNECTIONS", "10000", "Connections at the same time"),
    setting("MAX_CONNECTIONS_PER_USER", "50", "Connections of one user at the same time"),
    setting(
        "AUTO_CREATE_CONVERSATIONS",
        "",
        "1: joining or sending to an unknown id creates it; default 0, with --demo 1",
    ),
    setting("MESSAGE_RATE_LIMIT", "100", "Messages, and typing events, of one user per minute"),
    setting("AUTH_TIMEOUT", "10s", "Time for a connection to say who it is"),
    setting("PING_INTERVAL", "25s", "Time between pings"),
    setting("SHUTDOWN_TIMEOUT", "30s", "Time for an orderly end"),
    setting("TRUSTED_PROXIES", "none", "Proxies (CIDR, separated by commas) whose X-Forwarded-For counts"),
    setting("LOG_FORMAT", "", "pretty or json; default: pretty on a terminal, else json"),
];

/// Where values come from: flags first, then variables, then their aliases, then defaults. Blank means not set.
#[derive(Default)]
pub struct Source {
    flags: HashMap<String, String>,
    environment: HashMap<String, String>,
}

impl Source {
    /// Flags by variable name, over the process environment.
    #[must_use]
    pub fn new(flags: HashMap<String, String>) -> Self {
        Self { flags, environment: std::env::vars().collect() }
    }

    /// Only these values; for tests.
    #[must_use]
    pub fn fixed(values: &[(&str, &str)]) -> Self {
        let flags = values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self { flags, environment: HashMap::new() }
    }

    /// The value, when one is set.
    #[must_use]
    pub fn optional(&self, name: &str) -> Option<String> {
        let aliases = SETTINGS.iter().find(|setting| setting.name == name).map_or(&[][..], |setting| setting.aliases);
        let variables = std::iter::once(&name).chain(aliases).map(|name| self.environment.get(*name));
        let mut candidates = std::iter::once(self.flags.get(name)).chain(variables).flatten();
        candidates.find(|value| !value.trim().is_empty()).map(|value| value.trim().to_owned())
    }

    /// The value or its default.
    #[must_use]
    pub fn text(&self, name: &str) -> String {
        let default = SETTINGS.iter().find(|setting| setting.name == name).map_or("", |setting| setting.default);
        self.optional(name).unwrap_or_else(|| default.to_owned())
    }

    /// The value or its default, as a `T`.
    ///
    /// # Errors
    /// A line that names the variable and says what was `expected`.
    pub fn parse<T: FromStr>(&self, name: &str, expected: &str) -> Result<T, String> {
        let text = self.text(name);
        text.parse().map_err(|_| format!("{name}: expected {expected}, got '{text}'"))
    }

    /// A number that is not below `least`.
    ///
    /// # Errors
    /// A line that names the variable.
    pub fn parse_at_least<T: FromStr + PartialOrd + Copy + std::fmt::Display>(
        &self,
        name: &str,
        least: T,
    ) -> Result<T, String> {
        let number: T = self.parse(name, "a whole number")?;
        if number < least { Err(format!("{name}: expected {least} or more, got '{number}'")) } else { Ok(number) }
    }

    /// A duration such as `120s`, `40ms`, `5m`, `1h`; a bare number means seconds.
    ///
    /// # Errors
    /// A line that names the variable.
    pub fn duration(&self, name: &str) -> Result<Duration, String> {
        let text = self.text(name);
        parse_duration(&text).ok_or_else(|| format!("{name}: expected a duration such as 30s or 40ms, got '{text}'"))
    }

    /// `1`/`0`, `true`/`false`, `yes`/`no`, `on`/`off`.
    ///
    /// # Errors
    /// A line that names the variable.
    pub fn switch(&self, name: &str) -> Result<Option<bool>, String> {
        let Some(text) = self.optional(name) else {
            return Ok(None);
        };
        match text.to_ascii_lowercase().as_str() {
            "1" | "true" | "yes" | "on" => Ok(Some(true)),
            "0" | "false" | "no" | "off" => Ok(Some(false)),
            _ => Err(format!("{name}: expected 1 or 0, got '{text}'")),
        }
    }
}

/// Reads `40ms`, `30s`, `5m`, `1h`, or a bare number of seconds.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    match unit.trim() {
        "ms" => Some(Duration::from_millis(number)),
        "s" | "" => Some(Duration::from_secs(number)),
        "m" => number.checked_mul(60).map(Duration::from_secs),
        "h" => number.checked_mul(3600).map(Duration::from_secs),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        assert_eq!(parse_duration("40ms"), Some(Duration::from_millis(40)));
        assert_eq!(parse_duration("2h"), Some(Duration::from_secs(7200)));
        assert_eq!(parse_duration("7"), Some(Duration::from_secs(7)));
        for bad in ["", "s", "-1s", "1 week", "1.5s"] {
            assert_eq!(parse_duration(bad), None, "{bad}");
        }
    }

    #[test]
    fn flags_beat_variables_and_variables_beat_aliases() {
        let mut source = Source::fixed(&[]);
        source.environment.insert("DB_DSN".into(), "alias".into());
        assert_eq!(source.optional("DATABASE_URL").as_deref(), Some("alias"));
        source.environment.insert("DATABASE_URL".into(), "name".into());
        assert_eq!(source.optional("DATABASE_URL").as_deref(), Some("name"));
        source.flags.insert("DATABASE_URL".into(), "flag".into());
        assert_eq!(source.optional("DATABASE_URL").as_deref(), Some("flag"));
    }
}

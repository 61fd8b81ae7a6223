//! Who answers: an OpenAI-compatible provider, or an honest stand-in where none is configured.
//!
//! | file | what it is |
//! |---|---|
//! | `settings.rs` | what an operator may set, checked at start |
//! | `personas.rs` | the characters that the AI can play |
//! | `prompt.rs`, `tools.rs` | what an answer is asked for, and what can be looked up for it |
//! | `openai.rs` | one answer: primary, then fallback, within one time limit |
//! | `extract.rs`, `filters.rs` | what is meant by a search |
//! | `check.rs` | whether the key is accepted, at start |
//! | `upstream.rs`, `request.rs`, `ways.rs` | one provider: asked in the way that it understands |
//! | `retry.rs` | opening a stream: attempts, pauses, errors of many shapes |
//! | `answer.rs` | one answer: first token, chunks, calls, usage |
//! | `guard.rs`, `chunk.rs`, `calls.rs`, `lenient.rs` | what of a provider's bytes is let in, and how it is read |
//! | `offline.rs`, `phrases.rs` | the stand-in, and its words |

mod answer;
mod calls;
mod check;
mod chunk;
mod error;
mod extract;
mod filters;
mod guard;
mod lenient;
mod offline;
mod openai;
mod personas;
mod phrases;
mod prompt;
mod request;
mod retry;
mod settings;
mod tools;
mod upstream;
mod ways;

use std::pin::Pin;

use futures_util::Stream;

pub use error::{AssistantError, Kind};
pub use offline::Offline;
pub use openai::OpenAi;
pub use personas::{Persona, persona, personas};
pub use prompt::{Prompt, Round, Turn, TurnRole};
pub use settings::{DEFAULT_MODEL, Endpoint, Provider, Settings};
pub use tools::{Call, Found, Tool, Wanted};

use crate::domain::{answer::Usage, search::Filters};

/// One step of an answer.
#[derive(Clone, PartialEq, Eq)]
pub enum Delta {
    /// More text; never empty.
    Text(String),
    /// The last item of an answer that ended well.
    Done {
        /// What it cost.
        usage: Usage,
        /// Why it ended.
        finish: Finish,
        /// The ids of the listings and articles that the text quotes, where that is known: a model does not say.
        quoted: Option<Vec<String>>,
    },
    /// The last item of an answer that needs something looked up: it is asked for again, with one more round.
    Calls {
        /// What the model wants, at least one call.
        calls: Vec<Call>,
        /// What asking has cost so far.
        usage: Usage,
    },
}

/// Why an answer ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// The model had said everything.
    Stop,
    /// It met a limit, the provider's or ours.
    Length,
    /// The provider's filter ended it.
    ContentFilter,
}

impl Finish {
    /// The word for the message's metadata.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::ContentFilter => "content_filter",
        }
    }
}

/// The steps of one answer: `Text` any number of times, then one `Done`, `Calls` or error, then the end.
pub type Answering = Pin<Box<dyn Stream<Item = Result<Delta, AssistantError>> + Send>>;

/// Who answers on this server. Cheap to clone.
#[derive(Clone)]
pub enum Assistant {
    /// An OpenAI-compatible provider, perhaps with a second one behind it.
    OpenAi(OpenAi),
    /// Nobody is configured.
    Offline(Offline),
}

impl Assistant {
    /// Chooses and prepares the provider; nothing is sent yet.
    ///
    /// # Errors
    /// One readable line when the settings cannot work.
    pub fn from_settings(settings: &Settings) -> Result<Self, String> {
        if settings.wants_openai()? { OpenAi::new(settings).map(Self::OpenAi) } else { Ok(Self::Offline(Offline)) }
    }

    /// The provider's name for health and metadata: `openai` or `offline`.
    #[must_use]
    pub const fn provider(&self) -> &'static str {
        match self {
            Self::OpenAi(_) => "openai",
            Self::Offline(_) => "offline",
        }
    }

    /// The model that is asked first.
    #[must_use]
    pub fn model(&self) -> &str {
        match self {
            Self::OpenAi(openai) => openai.model(),
            Self::Offline(_) => offline::MODEL,
        }
    }

    /// Answers. Polling drives it; dropping it closes the provider's connection at once.
    #[must_use]
    pub fn stream(&self, prompt: Prompt) -> Answering {
        match self {
            Self::OpenAi(openai) => openai.stream(prompt),
            Self::Offline(offline) => offline.stream(&prompt),
        }
    }

    /// What is meant by a search, as the model understands it; `previous` is what the same person searched before.
    /// Its numbers and words are the model's: check them. Takes at most eight seconds.
    ///
    /// # Errors
    /// When no provider gives a usable answer in time, or none is configured.
    pub async fn extract_filters(
        &self,
        query: &str,
        previous: Option<&Filters>,
        categories: &[String],
    ) -> Result<Filters, AssistantError> {
        match self {
            Self::OpenAi(openai) => openai.extract_filters(query, previous, categories).await,
            Self::Offline(_) => Err(AssistantError::new(Kind::Misconfigured, "no provider is configured")),
        }
    }

    /// Asks the provider, once and cheaply, whether it accepts the key.
    ///
    /// # Errors
    /// One readable line when it does not. A provider that cannot be reached or is failing is only logged: it may come
    /// back.
    pub async fn check(&self) -> Result<(), String> {
        match self {
            Self::OpenAi(openai) => openai.check().await,
            Self::Offline(_) => Ok(()),
        }
    }
}

/// Counts tokens as a quarter of the characters, for answers whose provider did not count: also those
/// that were stopped or failed, which have no last item.
#[must_use]
pub fn estimated_usage(model: &str, prompt: &Prompt, text: &str) -> Usage {
    Usage {
        model: model.to_owned(),
        prompt_tokens: quarter(prompt.length()),
        completion_tokens: quarter(text.chars().count()),
        estimated: true,
    }
}

fn quarter(characters: usize) -> u32 {
    u32::try_from(characters.div_ceil(4)).unwrap_or(u32::MAX)
}

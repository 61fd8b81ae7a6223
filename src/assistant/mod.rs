//! Who answers: an OpenAI-compatible provider, or an honest stand-in where none is configured.
//!
//! | file | what it is |
//! |---|---|
//! | `settings.rs` | what an operator may set, checked at start |
//! | `personas.rs` | the characters that the AI can play |
//! | `openai.rs` | one answer: primary, then fallback, within one time limit |
//! | `upstream.rs` | one provider: request, first token, chunks, usage |
//! | `retry.rs` | opening a stream: attempts, pauses, errors of many shapes |
//! | `guard.rs`, `chunk.rs` | what of a provider's bytes is let in, and how it is read |
//! | `offline.rs` | the stand-in |

mod chunk;
mod error;
mod guard;
mod offline;
mod openai;
mod personas;
mod retry;
mod settings;
mod upstream;

use std::pin::Pin;

use futures_util::Stream;

pub use error::{AssistantError, Kind};
pub use offline::Offline;
pub use openai::OpenAi;
pub use personas::{Persona, persona, personas};
pub use settings::{DEFAULT_MODEL, Endpoint, Provider, Settings};

use crate::domain::answer::Usage;

/// Whose words a turn is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TurnRole {
    /// Ours, to the model.
    System,
    /// A person's.
    User,
    /// The model's own, from earlier.
    Assistant,
}

impl TurnRole {
    /// The word of the Chat Completions API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

/// One turn of the conversation as the model is shown it.
#[derive(Clone, PartialEq, Eq)]
pub struct Turn {
    /// Whose words.
    pub role: TurnRole,
    /// The words.
    pub content: String,
}

/// What an answer is asked for.
#[derive(Clone)]
pub struct Prompt {
    /// The character that answers; its system prompt is put in front of the turns.
    pub persona: &'static Persona,
    /// The conversation, oldest first; the last turn is the one to answer.
    pub turns: Vec<Turn>,
    /// It is a support conversation: the AI stands in for a team of people.
    pub support: bool,
}

impl Prompt {
    /// Everything that the model is shown, in order.
    pub(crate) fn shown(&self) -> impl Iterator<Item = (TurnRole, &str)> {
        let support = self.support.then_some(personas::SUPPORT);
        std::iter::once(self.persona.system_prompt)
            .chain(support)
            .map(|text| (TurnRole::System, text))
            .chain(self.turns.iter().map(|turn| (turn.role, &*turn.content)))
    }
}

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

/// The steps of one answer: `Text` any number of times, then one `Done` or one error, then the end.
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
}

/// Counts tokens as a quarter of the characters, for answers whose provider did not count: also those
/// that were stopped or failed, which have no [`Delta::Done`].
#[must_use]
pub fn estimated_usage(model: &str, prompt: &Prompt, text: &str) -> Usage {
    let shown = prompt.shown().map(|(_, text)| text.chars().count()).sum();
    Usage {
        model: model.to_owned(),
        prompt_tokens: quarter(shown),
        completion_tokens: quarter(text.chars().count()),
        estimated: true,
    }
}

fn quarter(characters: usize) -> u32 {
    u32::try_from(characters.div_ceil(4)).unwrap_or(u32::MAX)
}

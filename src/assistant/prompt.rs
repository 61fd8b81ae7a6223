//! What an answer is asked for: who speaks, what was said, and what has been looked up for it so far.

use tokio::time::Instant;

use super::{
    Persona, personas,
    tools::{Call, Found, Tool},
};

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

/// What the model said and called in one go, and what came of the calls.
#[derive(Clone)]
pub struct Round {
    /// The text in front of the calls, which is part of the answer.
    pub said: String,
    /// Every call with its result, in the order of the calls.
    pub calls: Vec<(Call, Found)>,
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
    /// What the model may call; with none it must answer.
    pub tools: Vec<Tool>,
    /// What has been called for this answer already, oldest first.
    pub rounds: Vec<Round>,
    /// When the answer began; the time for one answer counts from here, whatever the number of rounds.
    pub begun: Instant,
}

impl Prompt {
    /// Everything that the model is shown in front of the rounds, in order.
    pub(super) fn shown(&self) -> impl Iterator<Item = (TurnRole, &str)> {
        let support = self.support.then_some(personas::SUPPORT);
        let tools = (!self.tools.is_empty() || !self.rounds.is_empty()).then_some(personas::TOOLS);
        std::iter::once(self.persona.system_prompt)
            .chain(support)
            .chain(tools)
            .map(|text| (TurnRole::System, text))
            .chain(self.turns.iter().map(|turn| (turn.role, &*turn.content)))
    }

    /// Characters of everything that the model is shown, for estimates.
    pub(super) fn length(&self) -> usize {
        let characters = |text: &str| text.chars().count();
        let turns: usize = self.shown().map(|(_, text)| characters(text)).sum();
        let of_round = |round: &Round| {
            let results = round.calls.iter().map(|(call, found)| characters(&found.told(call)));
            characters(&round.said) + results.sum::<usize>()
        };
        turns + self.rounds.iter().map(of_round).sum::<usize>()
    }

    /// What the person said last.
    pub(super) fn question(&self) -> &str {
        let last = self.turns.iter().rfind(|turn| turn.role == TurnRole::User);
        last.map_or("", |turn| &turn.content)
    }
}

//! One answer over as many rounds as it takes: the model speaks or calls, is told what was found, and goes on.

use std::sync::Arc;

use futures_util::{FutureExt as _, StreamExt as _, future::BoxFuture};
use serde_json::Value;

use super::look_up::{self, Sources};
use crate::{
    app::App,
    assistant::{self, Answering, AssistantError, Call, Delta, Finish, Found, Prompt, Round},
    domain::{answer::Usage, ids::ConversationId},
};

/// After so many rounds the model gets no tools any more and must answer.
const ROUNDS_MAX: usize = 3;

/// One step of an answer.
pub(super) enum Step {
    /// More text; never empty.
    Text(String),
    /// It ended well; nothing follows.
    Done(Usage, Finish),
}

/// An answer under way. Dropping it ends it at once.
pub(super) struct Generation {
    app: Arc<App>,
    conversation: ConversationId,
    prompt: Prompt,
    stream: Answering,
    /// What is being looked up between two rounds.
    looking_up: Option<BoxFuture<'static, Vec<(Call, Found)>>>,
    /// The text of this round.
    said: String,
    /// What earlier rounds have cost.
    spent: Option<Usage>,
    sources: Sources,
}

impl Generation {
    /// Nothing is asked before the first step.
    pub(super) fn new(app: &Arc<App>, conversation: &ConversationId, prompt: Prompt) -> Self {
        Self {
            stream: app.assistant.stream(prompt.clone()),
            app: app.clone(),
            conversation: conversation.clone(),
            prompt,
            looking_up: None,
            said: String::new(),
            spent: None,
            sources: Sources::default(),
        }
    }

    /// The next step; none behind the end. Nothing is lost when the caller stops waiting and comes back.
    pub(super) async fn next(&mut self) -> Option<Result<Step, AssistantError>> {
        loop {
            if let Some(looking_up) = &mut self.looking_up {
                let calls = looking_up.await;
                self.looking_up = None;
                self.begin_round(calls);
            }
            match self.stream.next().await? {
                Ok(Delta::Text(text)) => return Some(Ok(Step::Text(self.say(text)))),
                Ok(Delta::Calls { calls, usage }) => {
                    self.spent = Some(self.with_spent(usage));
                    let deadline = self.prompt.begun + self.app.config.ai_timeout;
                    let looking_up = look_up::run(self.app.clone(), self.conversation.clone(), calls, deadline);
                    self.looking_up = Some(looking_up.boxed());
                }
                Ok(Delta::Done { usage, finish, quoted }) => {
                    if let Some(quoted) = quoted {
                        self.sources.keep(&quoted);
                    }
                    return Some(Ok(Step::Done(self.with_spent(usage), finish)));
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// What it has cost so far, where nobody counts the round that was broken off.
    pub(super) fn usage(&self) -> Usage {
        match &self.spent {
            Some(spent) if self.looking_up.is_some() => spent.clone(),
            _ => {
                let model = self.app.assistant.model();
                self.with_spent(assistant::estimated_usage(model, &self.prompt, &self.said))
            }
        }
    }

    /// The sources for the message's metadata.
    pub(super) fn sources(&self) -> Option<Value> {
        self.sources.named()
    }

    fn begin_round(&mut self, calls: Vec<(Call, Found)>) {
        for (_, found) in &calls {
            self.sources.add(found);
        }
        self.prompt.rounds.push(Round { said: std::mem::take(&mut self.said), calls });
        if self.prompt.rounds.len() >= ROUNDS_MAX {
            self.prompt.tools.clear();
        }
        self.stream = self.app.assistant.stream(self.prompt.clone());
    }

    /// Keeps what the model said in two rounds apart.
    fn say(&mut self, mut text: String) -> String {
        let before = self.prompt.rounds.iter().rfind(|round| !round.said.is_empty());
        let runs_on = before.is_some_and(|round| !round.said.ends_with(char::is_whitespace));
        if self.said.is_empty() && runs_on && !text.starts_with(char::is_whitespace) {
            text.insert_str(0, "\n\n");
        }
        self.said.push_str(&text);
        text
    }

    fn with_spent(&self, usage: Usage) -> Usage {
        let Some(spent) = &self.spent else { return usage };
        Usage {
            prompt_tokens: spent.prompt_tokens.saturating_add(usage.prompt_tokens),
            completion_tokens: spent.completion_tokens.saturating_add(usage.completion_tokens),
            estimated: spent.estimated || usage.estimated,
            model: usage.model,
        }
    }
}

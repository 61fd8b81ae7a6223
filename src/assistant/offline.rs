//! The stand-in where no provider is configured: it says so, through the same pipeline as a real answer.

use std::time::Duration;

use futures_util::{StreamExt, stream};

use super::{Answering, Delta, Finish, Prompt, estimated_usage};

/// What stands in `Usage::model`.
pub(super) const MODEL: &str = "offline";

/// So that people see it being written, as they would see a model's answer.
const PAUSE: Duration = Duration::from_millis(15);
const WORDS_PER_ITEM: usize = 3;

const ASSISTANT: &str = "Hello! No AI is configured on this server, so I cannot answer questions yet. \
    Your message is stored. Whoever runs this server can turn the AI on by setting `OPENAI_API_KEY`, or \
    `OPENAI_BASE_URL` for any OpenAI-compatible server, and starting it again.";

const SUPPORT: &str = "Thank you for your message! It is stored, and a person from the team will see it here \
    and can answer in this conversation. No AI is configured on this server, so there is no automatic answer.";

/// Answers without any AI. It never repeats what a person wrote.
#[derive(Debug, Clone, Copy)]
pub struct Offline;

impl Offline {
    /// The fixed answer, a few words at a time.
    pub(super) fn stream(self, prompt: &Prompt) -> Answering {
        let answer = if prompt.support { SUPPORT } else { ASSISTANT };
        let words: Vec<&str> = answer.split_inclusive(' ').collect();
        let mut steps: Vec<Delta> = words.chunks(WORDS_PER_ITEM).map(|few| Delta::Text(few.concat())).collect();
        steps.push(Delta::Done { usage: estimated_usage(MODEL, prompt, answer), finish: Finish::Stop, quoted: None });
        stream::iter(steps)
            .then(|step| async move {
                if matches!(step, Delta::Text(_)) {
                    tokio::time::sleep(PAUSE).await;
                }
                Ok(step)
            })
            .boxed()
    }
}

//! What the model is shown of a conversation.

use tokio::time::Instant;

use super::look_up;
use crate::{
    app::App,
    assistant::{self, Prompt, Turn, TurnRole},
    domain::{answer::Answer, conversation::Kind, error::Error, message::MessageRole, user::User},
};

/// What the model is shown of a conversation.
const CONTEXT_MESSAGES: u64 = 40;
const CONTEXT_CHARS: usize = 16_000;

/// The conversation as the model is shown it: what came before the question, and the question last.
pub(super) async fn prompt(app: &App, answer: &Answer) -> Result<Prompt, Error> {
    let kind = app.store.access(&User::system(), &answer.conversation).await?.kind;
    let log = app.store.log_before(&answer.conversation, None, CONTEXT_MESSAGES).await?;
    let question = &answer.question;
    let mut room = CONTEXT_CHARS.saturating_sub(question.content.chars().count());
    let mut turns = vec![Turn { role: TurnRole::User, content: question.content.clone() }];
    for entry in log.iter().rev() {
        let message = &entry.message;
        // Later questions have their own answers, and an answer that is made anew must not see the old one.
        let is_later = message.role == MessageRole::User && message.seq >= question.seq;
        if is_later || message.in_reply_to.as_ref() == Some(&question.id) {
            continue;
        }
        let length = message.content.chars().count();
        if length > room {
            break;
        }
        room -= length;
        let role = if message.role == MessageRole::Assistant { TurnRole::Assistant } else { TurnRole::User };
        turns.push(Turn { role, content: message.content.clone() });
    }
    turns.reverse();
    let support = kind == Kind::Support;
    Ok(Prompt {
        persona: assistant::persona(&answer.persona),
        turns,
        support,
        tools: look_up::tools(app, support).await,
        rounds: Vec::new(),
        begun: Instant::now(),
    })
}

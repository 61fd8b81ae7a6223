//! What happens: the only place that stores, asks the assistant and publishes.
//!
//! Every dialect and REST end in [`execute`]. It returns the reply together with what is still to be told to others,
//! so that the asker is answered first: commit, then acknowledge, then publish.

pub mod accounts;
pub mod answers;
mod context;
pub mod conversations;
mod generation;
pub mod housekeeping;
pub mod listings;
mod look_up;
pub mod messages;
mod pace;
mod phrasing;
pub mod presence;
mod replies;
pub mod search;
mod understanding;

use std::{sync::Arc, time::Instant};

use crate::{
    app::App,
    domain::{
        command::{Command, Reply},
        error::Error,
        event::{Envelope, Event},
        ids::{AnswerId, ConnectionId, ConversationId},
        user::{Caller, Role, User},
    },
    realtime::connection::Connection,
    tokens,
};

/// What a request has led to.
pub struct Outcome {
    /// For the asker, at once.
    pub reply: Reply,
    /// For the others, after that; see [`settle`].
    pub effects: Vec<Effect>,
}

/// Something that follows a reply.
pub enum Effect {
    /// Tell everybody concerned.
    Publish(Envelope),
    /// Tell one connection.
    Tell(ConnectionId, Event),
    /// A connection that joined begins to hear what comes.
    GoLive(ConnectionId, ConversationId),
    /// The conversation has a queued answer.
    Answer(ConversationId),
    /// End the running answer.
    StopAnswer(ConversationId),
    /// Tell the end of answers that will not be given.
    TellCancelled(Vec<AnswerId>),
    /// Everybody leaves a conversation that is gone.
    Empty(ConversationId),
    /// Tell how the conversation is now.
    Announce(ConversationId),
}

impl From<Reply> for Outcome {
    fn from(reply: Reply) -> Self {
        Self { reply, effects: vec![] }
    }
}

/// Requests other than messages and typing come from clients in bursts (a dashboard joins its whole inbox), so they
/// may come this many times as often.
const OTHER_KINDS_FACTOR: u32 = 10;

/// Does what a connection asks.
///
/// # Errors
/// Every refusal of contract section 12; an internal cause has been logged.
pub async fn hear(app: &Arc<App>, connection: &Arc<Connection>, command: Command) -> Result<Outcome, Error> {
    if let Command::Authenticate(credentials) = command {
        return logged(accounts::sign_in_connection(app, connection, &credentials).await, "authenticate");
    }
    let identity = connection.identity().ok_or(Error::Unauthenticated("Authentication required"))?;
    let caller = Caller { user: identity.user, connection: Some(connection.id), by_session: identity.by_session };
    execute(app, &caller, command).await
}

/// Does what `caller` asks.
///
/// # Errors
/// Every refusal of contract section 12; an internal cause has been logged.
pub async fn execute(app: &Arc<App>, caller: &Caller, command: Command) -> Result<Outcome, Error> {
    let name = command.name();
    count(app, caller, &command)?;
    logged(dispatch(app, caller, command).await, name)
}

async fn dispatch(app: &Arc<App>, caller: &Caller, command: Command) -> Result<Outcome, Error> {
    match command {
        Command::Authenticate(_) => Err(Error::invalid("sign in first, then ask")),
        Command::Join { conversation, backlog, kind_if_new } => {
            conversations::join(app, caller, &conversation, backlog, kind_if_new).await
        }
        Command::Leave { conversation } => Ok(conversations::leave(app, caller, conversation)),
        Command::PostMessage(new) => messages::post(app, caller, new).await,
        Command::SetTyping { conversation, typing } => messages::set_typing(app, caller, conversation, typing).await,
        Command::MarkRead { conversation, mark } => messages::mark_read(app, caller, conversation, mark).await,
        Command::CreateConversation(new) => conversations::create(app, caller, new).await,
        Command::UpdateConversation { conversation, title } => {
            conversations::update(app, caller, &conversation, title).await
        }
        Command::DeleteConversation { conversation } => conversations::delete(app, caller, conversation).await,
        Command::StopAnswer { conversation } => answers::stop(app, caller, conversation).await,
        Command::RegenerateAnswer { conversation } => answers::regenerate(app, caller, conversation).await,
        Command::Assign { conversation, agent } => conversations::assign(app, caller, &conversation, agent).await,
        Command::HandBack { conversation } => conversations::hand_back(app, caller, &conversation).await,
        Command::Resolve { conversation } => conversations::resolve(app, caller, &conversation).await,
        Command::Search { request_id, query } => search::ask(app, caller, request_id, &query),
        Command::Ping => Ok(Reply::Pong(app.now()).into()),
    }
}

/// Counts the request against its kind's limit. Answers made anew cost what messages cost.
fn count(app: &App, caller: &Caller, command: &Command) -> Result<(), Error> {
    let limit = app.config.message_rate_limit;
    let limit = match command {
        Command::PostMessage(_)
        | Command::SetTyping { .. }
        | Command::RegenerateAnswer { .. }
        | Command::Search { .. } => limit,
        _ => limit.saturating_mul(OTHER_KINDS_FACTOR),
    };
    app.limits.count(caller.user.id.as_str(), command.name(), limit, Instant::now())
}

/// Logs an internal cause, once, with what was asked.
fn logged<T>(result: Result<T, Error>, asked: &'static str) -> Result<T, Error> {
    result.inspect_err(|error| log_cause(error, asked))
}

/// Logs the cause of an internal error; whoever handles the error calls this once.
pub fn log_cause(error: &Error, asked: &str) {
    if let Error::Internal(cause) = error {
        tracing::error!(asked, cause = %cause, "a request failed: {asked}");
    }
}

/// Does what `caller` asks and tells the others, also when the caller does not wait for the end; for REST, where whoever
/// hangs up takes the request's handler along.
///
/// # Errors
/// As [`execute`].
pub async fn perform(app: &Arc<App>, caller: Caller, command: Command) -> Result<Reply, Error> {
    let inner = app.clone();
    to_the_end(app, async move {
        let outcome = execute(&inner, &caller, command).await?;
        settle(&inner, outcome.effects);
        Ok(outcome.reply)
    })
    .await
}

/// Does `work` to its end, also when nobody waits for that any more.
async fn to_the_end<T: Send + 'static>(
    app: &App,
    work: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    let (done, result) = tokio::sync::oneshot::channel();
    app.tasks.spawn(async move {
        // Nobody waits any more.
        done.send(work.await).ok();
    });
    result.await.map_err(|_| Error::Unavailable("The server is restarting"))?
}

/// Counts a request that could not be read, so that sending such is not free.
///
/// # Errors
/// [`Error::RateLimited`] beyond the limit of all requests that are not messages.
pub fn count_malformed(app: &App, user: Option<&User>) -> Result<(), Error> {
    user.map_or(Ok(()), |user| count_other(app, user, "malformed"))
}

/// Counts a request that is not a message.
fn count_other(app: &App, user: &User, kind: &'static str) -> Result<(), Error> {
    let limit = app.config.message_rate_limit.saturating_mul(OTHER_KINDS_FACTOR);
    app.limits.count(user.id.as_str(), kind, limit, Instant::now())
}

fn only_agents(caller: &Caller) -> Result<(), Error> {
    match caller.user.role {
        Role::Agent => Ok(()),
        Role::Customer => Err(Error::Forbidden("Only agents may do this")),
    }
}

/// Remembers who did what. The deed is done already, so a failure is no reason to fail it.
async fn audit(app: &App, caller: &Caller, action: &str, object: &str) {
    if let Err(error) = app.store.audit(caller.user.id.as_str(), action, object, "", app.now()).await {
        tracing::error!(?error, action, "cannot write the audit row of `{action}`");
    }
}

/// Tells the others what a request has led to. Never blocks; called right after the asker was answered.
pub fn settle(app: &Arc<App>, effects: Vec<Effect>) {
    for effect in effects {
        match effect {
            Effect::Publish(envelope) => app.bus.publish(envelope),
            Effect::Tell(connection, event) => {
                if let Some(connection) = app.hub.connection(connection) {
                    app.hub.tell(&connection, &event);
                }
            }
            Effect::GoLive(connection, conversation) => {
                if let Some(connection) = app.hub.connection(connection) {
                    app.hub.go_live(&connection, &conversation);
                }
            }
            Effect::Answer(conversation) => app.jobs.hint(conversation),
            Effect::StopAnswer(conversation) => {
                app.bus.stop_answer(&conversation, None);
            }
            Effect::TellCancelled(answers) => answers::tell_cancelled(app, answers),
            Effect::Empty(conversation) => app.hub.empty(&conversation),
            Effect::Announce(conversation) => conversations::announce(app, conversation),
        }
    }
}

/// The connection that asks.
fn connection_of(app: &App, caller: &Caller) -> Result<Arc<Connection>, Error> {
    let connection = caller.connection.and_then(|id| app.hub.connection(id));
    connection.ok_or(Error::Unauthenticated(tokens::FAILED))
}

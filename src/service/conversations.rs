//! Conversations: joining and leaving, creating and changing, and who answers in them.

use std::sync::Arc;

use super::{Effect, Outcome, connection_of, only_agents, presence};
use crate::{
    app::App,
    assistant,
    domain::{
        answer::Snapshot,
        command::{Backlog, Joined, Reply},
        conversation::{Conversation, Kind, NewConversation},
        error::Error,
        event::{Envelope, Event, LogEntry, Room},
        ids::{ConversationId, UserId},
        user::{Caller, Role},
    },
    realtime::{connection::Connection, hub::Place},
    store::HandlingChange,
};

/// Conversations that one connection may hear: contract section 12.
const JOINED_MAX: usize = 100;

/// Messages that a join brings at once; more follow as events.
pub const PAGE: u64 = 200;

/// Lets a connection hear a conversation from now on, with the part of the log that it asks for.
///
/// # Errors
/// [`Error::NotFound`] for a conversation that is missing or foreign, [`Error::Invalid`] beyond 100 conversations.
pub async fn join(
    app: &Arc<App>,
    caller: &Caller,
    id: &ConversationId,
    backlog: Backlog,
    kind_if_new: Kind,
) -> Result<Outcome, Error> {
    let connection = connection_of(app, caller)?;
    check_room_for(&connection, id)?;
    match app.store.access(&caller.user, id).await {
        Err(Error::NotFound(_)) if app.config.auto_create_conversations => {
            create_missing(app, caller, id, kind_if_new).await?;
        }
        result => {
            result?;
        }
    }
    // Listen first, read then: what comes in between is in the log that is read.
    let is_new = app.hub.join(&connection, id);
    let read = read_log(app, caller, id, backlog).await;
    let (conversation, log, cursor) = match read {
        Ok(read) => read,
        Err(error) => {
            if is_new {
                app.hub.leave(&connection, id);
            }
            return Err(error);
        }
    };
    let newest = conversation.last_message.as_ref().map(|message| &message.id);
    // An answer that has ended between these reads is told by its message alone.
    let is_told = |active: &Snapshot| {
        newest == Some(&active.message_id) || log.iter().any(|entry| entry.message.id == active.message_id)
    };
    let active = app.snapshots.look_up(id).await.filter(|active| !is_told(active));
    let stays = !is_new && backlog == Backlog::None;
    let place = Place {
        cursor: (!stays).then_some(cursor),
        is_end: cursor >= conversation.last_seq,
        last_seq: conversation.last_seq.max(cursor),
        active: active.as_ref(),
    };
    app.hub.place(&connection, id, &place);
    let mut effects = vec![];
    if !stays {
        effects.push(Effect::GoLive(connection.id, id.clone()));
    }
    if is_new {
        let is_participant = conversation.participants.contains(&caller.user.id);
        effects.extend(presence::on_join(app, &caller.user, connection.id, id, is_participant));
    }
    let persona = assistant::persona(&conversation.agent_id).name;
    let joined = Joined { conversation, log, backlog, persona, active };
    Ok(Outcome { reply: Reply::Joined(Box::new(joined)), effects })
}

/// The conversation, the wanted part of its log, and the place in the log behind that part.
async fn read_log(
    app: &App,
    caller: &Caller,
    id: &ConversationId,
    backlog: Backlog,
) -> Result<(Conversation, Vec<LogEntry>, u64), Error> {
    let conversation = app.store.conversation(&caller.user, id).await?;
    let log = match backlog {
        Backlog::None => vec![],
        Backlog::After(seq) => app.store.log_after(id, seq, PAGE).await?,
        Backlog::Latest(count) => app.store.log_before(id, None, u64::from(count).min(PAGE)).await?,
    };
    let told = log.last().and_then(|entry| entry.message.seq);
    let cursor = match backlog {
        // A cursor beyond the end, from another server's data, counts as the end.
        Backlog::After(seq) => told.unwrap_or_else(|| seq.min(conversation.last_seq)),
        Backlog::None | Backlog::Latest(_) => told.unwrap_or(0).max(conversation.last_seq),
    };
    Ok((conversation, log, cursor))
}

/// Refuses a connection that hears too many conversations to hear one more.
pub(super) fn check_room_for(connection: &Connection, id: &ConversationId) -> Result<(), Error> {
    if connection.joined_count() >= JOINED_MAX && !connection.has_joined(id) {
        return Err(Error::invalid("a connection can join 100 conversations at most"));
    }
    Ok(())
}

/// Creates a conversation under an id that an application brought, for applications that keep their own table.
///
/// # Errors
/// [`Error::NotFound`] when the id exists and belongs to somebody else.
pub(super) async fn create_missing(
    app: &Arc<App>,
    caller: &Caller,
    id: &ConversationId,
    kind: Kind,
) -> Result<(), Error> {
    let new = NewConversation { id: Some(id.clone()), ..NewConversation::default() };
    match app.store.create_conversation(&new, kind, &caller.user, app.now()).await {
        // Taken: by a foreign conversation, or just now by another request of the same caller; looking again tells.
        Err(Error::Conflict(_)) => app.store.access(&caller.user, id).await.map(|_| ()),
        result => {
            if result?.kind == Kind::Support {
                announce(app, id.clone());
            }
            Ok(())
        }
    }
}

/// A connection no longer hears a conversation. Succeeds for any id.
pub fn leave(app: &App, caller: &Caller, id: ConversationId) -> Outcome {
    if let Some(connection) = caller.connection.and_then(|id| app.hub.connection(id)) {
        app.hub.leave(&connection, &id);
    }
    presence::stop_typing(app, &id, &caller.user);
    Reply::Left(id).into()
}

/// Begins a conversation that belongs to the caller.
///
/// # Errors
/// [`Error::Conflict`] when its id is taken.
pub async fn create(app: &Arc<App>, caller: &Caller, new: NewConversation) -> Result<Outcome, Error> {
    app.check_open()?;
    let kind = if caller.by_session { Kind::Support } else { Kind::Assistant };
    let conversation = Arc::new(app.store.create_conversation(&new, kind, &caller.user, app.now()).await?);
    let mut effects = vec![Effect::Publish(Envelope {
        event: Event::ConversationCreated(conversation.clone()),
        rooms: vec![Room::User(caller.user.id.clone())],
        origin: caller.connection,
        except_user: None,
    })];
    if conversation.kind == Kind::Support {
        // Agents have it in their inbox.
        let event = Event::ConversationUpdated(conversation.clone());
        effects.push(Effect::Publish(Envelope { origin: caller.connection, ..Envelope::to(Room::Agents, event) }));
    }
    Ok(Outcome { reply: Reply::Conversation(conversation), effects })
}

/// Renames a conversation.
///
/// # Errors
/// [`Error::NotFound`] for a conversation that is missing or foreign.
pub async fn update(
    app: &Arc<App>,
    caller: &Caller,
    id: &ConversationId,
    title: Option<String>,
) -> Result<Outcome, Error> {
    let conversation = match title {
        Some(title) => app.store.rename(&caller.user, id, &title, app.now()).await?,
        None => app.store.conversation(&caller.user, id).await?,
    };
    Ok(changed(caller, conversation))
}

/// The reply and the news that a conversation is different now.
fn changed(caller: &Caller, conversation: Conversation) -> Outcome {
    let conversation = Arc::new(conversation);
    let news = Envelope { origin: caller.connection, ..updated(conversation.clone()) };
    Outcome { reply: Reply::Conversation(conversation), effects: vec![Effect::Publish(news)] }
}

fn updated(conversation: Arc<Conversation>) -> Envelope {
    let rooms =
        vec![Room::Conversation(conversation.id.clone()), Room::User(conversation.owner_id.clone()), Room::Agents];
    Envelope { event: Event::ConversationUpdated(conversation), rooms, origin: None, except_user: None }
}

/// Removes a conversation and its log; everybody in it leaves.
///
/// # Errors
/// [`Error::NotFound`] for a conversation that is missing or foreign.
pub async fn delete(app: &Arc<App>, caller: &Caller, id: ConversationId) -> Result<Outcome, Error> {
    let access = app.store.access(&caller.user, &id).await?;
    app.store.delete_conversation(&caller.user, &id).await?;
    super::audit(app, caller, "delete_conversation", id.as_str()).await;
    let news = Envelope {
        event: Event::ConversationDeleted(id.clone()),
        rooms: vec![Room::Conversation(id.clone()), Room::User(access.owner)],
        origin: caller.connection,
        except_user: None,
    };
    let effects = vec![Effect::StopAnswer(id.clone()), Effect::Publish(news), Effect::Empty(id)];
    Ok(Outcome { reply: Reply::Done, effects })
}

/// A person takes a support conversation over.
///
/// # Errors
/// [`Error::Forbidden`] for customers; [`Error::NotFound`] for an unknown conversation or agent.
pub async fn assign(
    app: &Arc<App>,
    caller: &Caller,
    id: &ConversationId,
    agent: Option<UserId>,
) -> Result<Outcome, Error> {
    let agent = agent.unwrap_or_else(|| caller.user.id.clone());
    only_agents(caller)?;
    let known = app.store.user(&agent).await?;
    if known.is_none_or(|user| user.role != Role::Agent) {
        return Err(Error::NotFound("agent"));
    }
    handle(app, caller, id, HandlingChange::TakeOver(agent)).await
}

/// Gives a support conversation back to the AI.
///
/// # Errors
/// As [`assign`].
pub async fn hand_back(app: &Arc<App>, caller: &Caller, id: &ConversationId) -> Result<Outcome, Error> {
    only_agents(caller)?;
    handle(app, caller, id, HandlingChange::HandBack).await
}

/// Closes a conversation.
///
/// # Errors
/// As [`assign`].
pub async fn resolve(app: &Arc<App>, caller: &Caller, id: &ConversationId) -> Result<Outcome, Error> {
    only_agents(caller)?;
    handle(app, caller, id, HandlingChange::Resolve).await
}

async fn handle(
    app: &Arc<App>,
    caller: &Caller,
    id: &ConversationId,
    change: HandlingChange,
) -> Result<Outcome, Error> {
    let (action, takes_over) = match &change {
        HandlingChange::TakeOver(_) => ("assign", true),
        HandlingChange::HandBack => ("hand_back", false),
        HandlingChange::Resolve => ("resolve", false),
    };
    let handled = app.store.handle(id, change, app.now()).await?;
    super::audit(app, caller, action, id.as_str()).await;
    let mut effects = vec![];
    if takes_over && handled.changed {
        effects.push(Effect::StopAnswer(id.clone()));
    }
    effects.push(Effect::TellCancelled(handled.cancelled));
    if !handled.changed {
        return Ok(Outcome { reply: Reply::Conversation(Arc::new(handled.conversation)), effects });
    }
    let outcome = changed(caller, handled.conversation);
    effects.extend(outcome.effects);
    Ok(Outcome { reply: outcome.reply, effects })
}

/// Tells the room, the owner and the agents how a conversation is now.
pub fn announce(app: &Arc<App>, id: ConversationId) {
    let inner = app.clone();
    app.tasks.spawn_until_stop(async move {
        match inner.store.conversation(&crate::domain::user::User::system(), &id).await {
            Ok(conversation) => inner.bus.publish(updated(Arc::new(conversation))),
            // It was deleted in between: that is told by its deletion.
            Err(Error::NotFound(_)) => {}
            Err(error) => tracing::warn!(?error, "cannot tell that a conversation has changed"),
        }
    });
}

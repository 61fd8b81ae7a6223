//! Messages of people: sending, typing, reading.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

use super::{Effect, Outcome, conversations, presence};
use crate::{
    app::App,
    domain::{
        command::{ReadMark, Reply},
        error::Error,
        event::{Envelope, Event, LogEntry, Room},
        ids::{ConversationId, MessageId},
        message::{Message, NewMessage, Sender},
        user::Caller,
    },
    realtime::{connection::Connection, hub::Place},
    store::{self, Posted},
};

/// Stores a message; the sender hears the conversation from then on.
///
/// # Errors
/// [`Error::NotFound`] for a conversation that is missing or foreign, [`Error::Conflict`] for a client message id that
/// was used with other content, [`Error::Unavailable`] while the server drains or the database is away.
pub async fn post(app: &Arc<App>, caller: &Caller, draft: NewMessage) -> Result<Outcome, Error> {
    app.check_open()?;
    // A connection that has gone since it sent is no reason to lose what it sent.
    let connection = caller.connection.and_then(|id| app.hub.connection(id));
    if let Some(connection) = &connection {
        conversations::check_room_for(connection, &draft.conversation)?;
    }
    let message_id = MessageId::generate();
    if let Some(connection) = &connection {
        connection.will_send(message_id.clone(), draft.request_id.clone());
    }
    let posted = store(app, caller, &draft, &message_id).await;
    if let Some(connection) = &connection
        && posted.as_ref().map_or(true, |posted| posted.duplicate)
    {
        connection.forget_own(&message_id);
    }
    let posted = posted?;
    let mut effects = vec![];
    if let Some(connection) = &connection
        && !connection.has_joined(&draft.conversation)
    {
        effects.extend(join_by_sending(app, connection, &posted).await?);
    }
    let (given, is_to_come) =
        if posted.duplicate { repeat(app, connection.as_ref(), &draft, &posted.message).await? } else { (None, true) };
    let (message, answer) = (posted.message.clone(), posted.answer.clone());
    let reply = Reply::Posted { message, duplicate: posted.duplicate, answer, given, is_to_come };
    if !posted.duplicate {
        app.messages_stored.fetch_add(1, Ordering::Relaxed);
        presence::stop_typing(app, &draft.conversation, &caller.user);
        effects.extend(told(caller, connection.as_ref(), posted));
    }
    Ok(Outcome { reply, effects })
}

/// What is said again of a message that was sent again: not what is still to come by itself, because saying it now would
/// overtake what stands before it in the log.
async fn repeat(
    app: &App,
    connection: Option<&Arc<Connection>>,
    draft: &NewMessage,
    message: &Message,
) -> Result<(Option<LogEntry>, bool), Error> {
    let given = app.store.answer_to(message).await?;
    // Who speaks Socket.IO has an acknowledgement besides.
    let Some(connection) = connection.filter(|connection| connection.is_confined()) else { return Ok((given, false)) };
    let given = given.filter(|entry| !app.hub.is_to_come(connection, &entry.message));
    // In this order: whoever tells the message meanwhile tells it as the answer to this request.
    connection.will_send(message.id.clone(), draft.request_id.clone());
    let is_to_come = app.hub.is_to_come(connection, message);
    if !is_to_come {
        connection.forget_own(&message.id);
    }
    Ok((given, is_to_come))
}

/// Stores the message, creating its conversation first when the operator allows that.
async fn store(app: &Arc<App>, caller: &Caller, draft: &NewMessage, message_id: &MessageId) -> Result<Posted, Error> {
    let row = store::Draft {
        conversation: draft.conversation.clone(),
        sender: caller.user.clone(),
        content: draft.content.clone(),
        client_message_id: draft.client_message_id.clone(),
        agent_id: draft.agent_id.clone(),
        at: app.now(),
        message_id: message_id.clone(),
    };
    match app.store.post(row.clone()).await {
        Err(Error::NotFound(_)) if app.config.auto_create_conversations => {
            conversations::create_missing(app, caller, &draft.conversation, draft.kind_if_new).await?;
            app.store.post(row).await
        }
        result => result,
    }
}

/// The sender's place in the log is right before the new message, so that it hears that one too.
async fn join_by_sending(app: &App, connection: &Arc<Connection>, posted: &Posted) -> Result<Vec<Effect>, Error> {
    let conversation = &posted.message.conversation_id;
    let seq = posted.message.seq.unwrap_or(0);
    if !app.hub.join(connection, conversation) {
        return Ok(vec![]);
    }
    let before = if posted.duplicate {
        // Who has joined and has no place would hear nothing, so a failure undoes the join.
        let newest = app.store.last_seqs(std::slice::from_ref(conversation)).await;
        let newest = newest.inspect_err(|_| _ = app.hub.leave(connection, conversation))?;
        newest.get(conversation).copied().unwrap_or(seq)
    } else {
        seq.saturating_sub(1)
    };
    let active = app.snapshots.look_up(conversation).await;
    let place = Place { cursor: Some(before), is_end: true, last_seq: before, active: active.as_ref() };
    app.hub.place(connection, conversation, &place);
    Ok(vec![Effect::GoLive(connection.id, conversation.clone())])
}

/// What a new message leads to.
fn told(caller: &Caller, connection: Option<&Arc<Connection>>, posted: Posted) -> Vec<Effect> {
    let conversation = posted.message.conversation_id.clone();
    let mut effects = vec![Effect::Publish(Envelope {
        event: Event::MessagePosted(posted.message),
        rooms: vec![Room::Conversation(conversation.clone())],
        origin: connection.map(|connection| connection.id),
        except_user: None,
    })];
    if posted.handling_changed {
        effects.push(Effect::StopAnswer(conversation.clone()));
        tracing::info!(conversation.id = %conversation, user.id = %caller.user.id, "an agent took over by writing");
    }
    if posted.handling_changed || posted.reopened {
        effects.push(Effect::Announce(conversation.clone()));
    }
    effects.push(Effect::TellCancelled(posted.cancelled));
    if posted.answer.is_some() {
        effects.push(Effect::Answer(conversation));
    }
    effects
}

/// Tells the others that the caller types, or no longer does.
///
/// # Errors
/// [`Error::NotFound`] for a conversation that is missing or foreign.
pub async fn set_typing(
    app: &Arc<App>,
    caller: &Caller,
    conversation: ConversationId,
    typing: bool,
) -> Result<Outcome, Error> {
    check_access(app, caller, &conversation).await?;
    if typing {
        let sender = Sender::from(caller.user.as_ref());
        app.typing.start(&conversation, sender.clone(), Instant::now());
        let effects = vec![Effect::Publish(presence::typing(conversation, sender, true))];
        return Ok(Outcome { reply: Reply::Done, effects });
    }
    presence::stop_typing(app, &conversation, &caller.user);
    Ok(Reply::Done.into())
}

/// Remembers how far the caller has read and tells everybody in the conversation.
///
/// # Errors
/// [`Error::NotFound`] for a conversation that is missing or foreign.
pub async fn mark_read(
    app: &Arc<App>,
    caller: &Caller,
    conversation: ConversationId,
    mark: ReadMark,
) -> Result<Outcome, Error> {
    check_access(app, caller, &conversation).await?;
    let moved = app.store.mark_read(&conversation, &caller.user.id, &mark, app.now()).await?;
    let messages = match mark {
        ReadMark::Messages(ids) => ids,
        ReadMark::UpTo(_) => moved.as_ref().map_or_else(Vec::new, |moved| moved.messages.clone()),
    };
    let effects = moved.map(|moved| {
        let event = Event::MessagesRead {
            conversation: conversation.clone(),
            user: caller.user.id.clone(),
            up_to_seq: moved.up_to_seq,
            messages: moved.messages,
        };
        let envelope = Envelope::to(Room::Conversation(conversation.clone()), event);
        Effect::Publish(Envelope { origin: caller.connection, ..envelope })
    });
    Ok(Outcome { reply: Reply::Read { conversation, messages }, effects: effects.into_iter().collect() })
}

/// Whoever has joined has access; others are looked up.
async fn check_access(app: &App, caller: &Caller, conversation: &ConversationId) -> Result<(), Error> {
    let connection = caller.connection.and_then(|id| app.hub.connection(id));
    if connection.is_some_and(|connection| connection.has_joined(conversation)) {
        return Ok(());
    }
    app.store.access(&caller.user, conversation).await.map(|_| ())
}

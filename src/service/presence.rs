//! Who is there: told when a person's first connection comes and when the last one has gone.

use std::sync::Arc;

use super::Effect;
use crate::{
    app::App,
    domain::{
        event::{Envelope, Event, Room},
        ids::{ConnectionId, ConversationId},
        message::Sender,
        user::User,
    },
    realtime::{connection::Connection, hub::Departure},
};

/// The newest conversations of a person whose people are told; agents hear of everybody.
const CONVERSATIONS_MAX: u64 = 200;

/// Tells the people in a person's conversations, and the agents, that the person came or went. `also` are
/// conversations that the person listened to without having written in them.
pub fn announce(app: &Arc<App>, user: Arc<User>, online: bool, also: Vec<ConversationId>) {
    let at = app.now();
    let inner = app.clone();
    app.tasks.spawn_until_stop(async move {
        let mut conversations = match inner.store.conversation_ids_of(&user.id, CONVERSATIONS_MAX).await {
            Ok(ids) => ids,
            Err(error) => {
                tracing::warn!(?error, "cannot tell the presence of a user to all");
                vec![]
            }
        };
        if (inner.hub.connections_of(&user.id) > 0) != online {
            // Overtaken by the opposite, which tells itself.
            return;
        }
        conversations.extend(also);
        conversations.sort();
        conversations.dedup();
        let rooms = conversations.into_iter().map(Room::Conversation).chain([Room::Agents]).collect();
        let event = Event::Presence { user: user.id.clone(), online, at };
        inner.bus.publish(Envelope { event, rooms, origin: None, except_user: Some(user.id.clone()) });
    });
}

/// What a join tells: to the one who joins, who is there already; to those, who joins.
pub(super) fn on_join(
    app: &App,
    user: &Arc<User>,
    connection: ConnectionId,
    conversation: &ConversationId,
    is_participant: bool,
) -> Vec<Effect> {
    let at = app.now();
    let there = app.hub.people_in(conversation);
    let mut effects: Vec<Effect> = there
        .iter()
        .filter(|other| other.id != user.id)
        .map(|other| Effect::Tell(connection, Event::Presence { user: other.id.clone(), online: true, at }))
        .collect();
    // Participants were told to the others when they connected.
    if !is_participant {
        effects.push(Effect::Publish(Envelope {
            event: Event::Presence { user: user.id.clone(), online: true, at },
            rooms: vec![Room::Conversation(conversation.clone())],
            origin: Some(connection),
            except_user: Some(user.id.clone()),
        }));
    }
    effects
}

/// Cleans up behind a connection that has gone.
pub fn depart(app: &Arc<App>, connection: &Arc<Connection>) {
    let Departure { was_last, user, conversations } = app.hub.disconnect(connection);
    let Some(user) = user else { return };
    for conversation in &conversations {
        stop_typing(app, conversation, &user);
    }
    if was_last {
        announce(app, user, false, conversations);
    }
}

/// Tells the others that somebody no longer types, if they did.
pub(super) fn stop_typing(app: &App, conversation: &ConversationId, user: &User) {
    if let Some(sender) = app.typing.stop(conversation, &user.id) {
        app.bus.publish(typing(conversation.clone(), sender, false));
    }
}

/// The envelope of a typing indicator; nobody hears their own.
pub(super) fn typing(conversation: ConversationId, user: Sender, typing: bool) -> Envelope {
    Envelope {
        rooms: vec![Room::Conversation(conversation.clone())],
        origin: None,
        except_user: Some(user.user_id.clone()),
        event: Event::Typing { conversation, user, typing },
    }
}

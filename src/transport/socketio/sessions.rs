//! The sessions of this process by Engine.IO session id, for what comes as requests of its own: polls and upgrades.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    future::poll_fn,
    sync::{Arc, Mutex, OnceLock},
    task::Poll,
    time::Instant,
};

use axum::{
    body::Body,
    http::{Method, Request},
};
use socketioxide::{adapter::LocalAdapter, service::SocketIoService};
use tokio::sync::Notify;
use tower::ServiceExt as _;

use super::{CONNECT_TIMEOUT, PATH, session::Session};
use crate::realtime::lock;

/// The part of socketioxide that answers requests.
pub(super) type Engine = SocketIoService<axum::Router, LocalAdapter>;

/// All sessions, and how to end one.
#[derive(Default)]
pub(super) struct Sessions {
    by_id: Mutex<HashMap<String, Arc<Session>>>,
    /// When those who have opened a transport, and not yet said who they are to Socket.IO, began. The oldest first.
    openings: Mutex<VecDeque<Instant>>,
    engine: OnceLock<Engine>,
    /// Sessions whose upgrade has been handed to socketioxide and has not begun there yet.
    beginning: Mutex<HashSet<String>>,
    /// Told when an upgrade has begun.
    begun: Notify,
}

impl Sessions {
    /// Gives the registry the engine that [`Self::close`] speaks to. Once.
    pub(super) fn bind(&self, engine: Engine) {
        self.engine.set(engine).ok();
    }

    pub(super) fn get(&self, id: &str) -> Option<Arc<Session>> {
        lock(&self.by_id).get(id).cloned()
    }

    pub(super) fn insert(&self, id: String, session: Arc<Session>) {
        lock(&self.by_id).insert(id, session);
    }

    pub(super) fn remove(&self, id: &str) {
        lock(&self.by_id).remove(id);
    }

    /// Somebody opens a transport. How many are between that and being let in, this one included.
    pub(super) fn opening(&self) -> usize {
        let now = Instant::now();
        let mut openings = lock(&self.openings);
        while openings.front().is_some_and(|begun| now.duration_since(*begun) > CONNECT_TIMEOUT) {
            openings.pop_front();
        }
        openings.push_back(now);
        openings.len()
    }

    /// Somebody is let in, or refused.
    pub(super) fn opened(&self) {
        lock(&self.openings).pop_front();
    }

    /// The sessions whose transport is gone without a word.
    pub(super) fn gone(&self) -> Vec<(String, Arc<Session>)> {
        let all = lock(&self.by_id);
        all.iter().filter(|(_, session)| session.is_gone()).map(|(id, session)| (id.clone(), session.clone())).collect()
    }

    /// An upgrade is about to be handed to socketioxide.
    pub(super) fn upgrade_begins(&self, id: &str) {
        lock(&self.beginning).insert(id.to_owned());
    }

    /// socketioxide has begun the upgrade, or given it up.
    pub(super) fn upgrade_has_begun(&self, id: &str) {
        lock(&self.beginning).remove(id);
        self.begun.notify_waiters();
    }

    /// Runs a poll of this session, but not while an upgrade begins: socketioxide looks whether there is an upgrade and
    /// takes the session's queue in two steps, and an upgrade that comes between them makes it end the session.
    pub(super) async fn poll<R>(&self, id: &str, request: impl Future<Output = R>) -> R {
        tokio::pin!(request);
        loop {
            let begun = self.begun.notified();
            tokio::pin!(begun);
            begun.as_mut().enable();
            // Both steps are taken by the time the request first waits.
            let first = poll_fn(|cx| {
                let beginning = lock(&self.beginning);
                let may_run = !beginning.contains(id);
                Poll::Ready(may_run.then(|| request.as_mut().poll(cx)))
            });
            match first.await {
                Some(Poll::Ready(response)) => return response,
                Some(Poll::Pending) => return request.await,
                None => begun.await,
            }
        }
    }

    /// Closes a polling session as its client would, with a close packet: socketioxide offers nothing else. A session
    /// that is not polling, or not known, stays as it is. Stock clients reconnect after it.
    pub(super) async fn close(&self, id: &str, is_version_3: bool) {
        let Some(engine) = self.engine.get().cloned() else { return };
        let (version, packet) = if is_version_3 { (3, "1:1") } else { (4, "1") };
        let uri = format!("{PATH}/?EIO={version}&transport=polling&sid={id}");
        if let Ok(request) = Request::builder().method(Method::POST).uri(uri).body(Body::from(packet)) {
            match engine.oneshot(request).await {
                Ok(_) => {}
                Err(never) => match never {},
            }
        }
    }
}

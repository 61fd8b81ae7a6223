//! Group commit: one task gathers the messages that wait and commits them together, so that many senders share the
//! cost of making one transaction durable.

use sea_orm::DbBackend;
use tokio::sync::oneshot;

use super::{
    Store,
    failure::{Nature, nature},
    messages::{Draft, Posted},
};
use crate::domain::error::Error;

/// The most messages of one transaction; more wait for the next.
const BATCH_MAX: usize = 512;

/// How often a batch is tried again that lost a race against another replica.
const RETRIES_MAX: u32 = 3;

/// A draft and the sender who waits for it.
pub(super) struct Waiting {
    draft: Draft,
    reply: oneshot::Sender<Result<Posted, Error>>,
}

impl Store {
    /// Stores a message and gives it the next `seq` of its conversation. Returns after the commit.
    ///
    /// Messages are numbered in the order in which this is called. A full queue makes callers wait. When the caller
    /// goes away the message may be stored all the same.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the sender does not reach the conversation, [`Error::Conflict`] when the client
    /// message id was used for other content, [`Error::Unavailable`] without the database or after [`Store::close`].
    pub async fn post(&self, draft: Draft) -> Result<Posted, Error> {
        const STOPPED: Error = Error::Unavailable("server is shutting down");
        let (reply, outcome) = oneshot::channel();
        // Unconstrained: a yield for fairness here would let a later message of the same sender overtake this one.
        tokio::task::unconstrained(self.inner.drafts.send(Waiting { draft, reply })).await.map_err(|_| STOPPED)?;
        outcome.await.map_err(|_| STOPPED)?
    }

    /// Stores what [`Store::post`] is given until [`Store::close`] is called and nothing waits any more. Has to run
    /// exactly once, beside everything else.
    pub async fn writer(self) {
        let mut inbox = self.inner.inbox.lock().await;
        let mut batch = Vec::with_capacity(BATCH_MAX);
        loop {
            tokio::select! {
                biased;
                () = self.inner.closing.cancelled(), if !inbox.is_closed() => inbox.close(),
                count = inbox.recv_many(&mut batch, BATCH_MAX) => {
                    if count == 0 {
                        return;
                    }
                    self.store(&mut batch).await;
                    batch.clear();
                }
            }
        }
    }

    /// Commits a batch; one that fails is split, so that a bad draft fails alone.
    async fn store(&self, batch: &mut Vec<Waiting>) {
        if self.inner.write.get_database_backend() == DbBackend::Postgres {
            // All replicas lock conversations in the same order. Stable: the order within a conversation stays.
            batch.sort_by(|a, b| a.draft.conversation.cmp(&b.draft.conversation));
        }
        let drafts: Vec<&Draft> = batch.iter().map(|waiting| &waiting.draft).collect();
        let outcomes = match self.try_often(&drafts).await {
            Ok(outcomes) => outcomes,
            Err(error) if drafts.len() == 1 || nature(&error) == Nature::Away => {
                drafts.iter().map(|_| Err(error.clone().into())).collect()
            }
            Err(_) => self.one_by_one(&drafts).await,
        };
        drop(drafts);
        for (waiting, outcome) in batch.drain(..).zip(outcomes) {
            // A sender that has gone away is told nothing.
            waiting.reply.send(outcome).ok();
        }
    }

    async fn one_by_one(&self, drafts: &[&Draft]) -> Vec<Result<Posted, Error>> {
        let mut outcomes = Vec::with_capacity(drafts.len());
        for draft in drafts {
            let outcome = self.try_often(&[*draft]).await;
            outcomes.push(
                outcome
                    .map_err(Error::from)
                    .and_then(|mut only| only.pop().unwrap_or(Err(Error::Unavailable("server is shutting down")))),
            );
        }
        outcomes
    }

    /// Tries again when another replica came first: it then sees what that one has stored.
    async fn try_often(&self, drafts: &[&Draft]) -> Result<Vec<Result<Posted, Error>>, sea_orm::DbErr> {
        let mut retries = 0;
        loop {
            match self.commit(drafts).await {
                Err(error)
                    if retries < RETRIES_MAX && matches!(nature(&error), Nature::Contended | Nature::Duplicate) =>
                {
                    retries += 1;
                }
                outcome => return outcome,
            }
        }
    }
}

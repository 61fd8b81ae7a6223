//! The assistant's turn: an answer is generated detached from every connection, told while it grows, and always ends.
//!
//! Its row is the durable record: `queued → running → complete | cancelled | failed | interrupted`. A worker holds a
//! running answer by a lease that it renews with each checkpoint; when it dies, [`sweep`] ends the answer with the text
//! that was saved, or queues it again when there was none.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use serde_json::{Map, Value};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::{
    Effect, Outcome, context,
    generation::{Generation, Step},
    pace::Pace,
};
use crate::{
    app::App,
    assistant::{self, AssistantError},
    domain::{
        answer::{Answer, AnswerStatus, Usage},
        command::Reply,
        error::{Error, Failure},
        event::{Envelope, Event, LogEntry, Room},
        ids::{AnswerId, ConversationId},
        message::{Message, MessageRole, Sender},
        user::Caller,
    },
    realtime::snapshots::Running,
    store::{Finish, Finished},
};

/// A worker that has not renewed its lease for this long is dead.
const LEASE: TimeDelta = TimeDelta::seconds(5);

/// Text is saved, and the lease renewed, this often.
const CHECKPOINT: Duration = Duration::from_secs(1);

/// An answer without any text is tried by so many workers before it ends interrupted.
const ATTEMPTS_MAX: u32 = 2;

/// Queued answers that one sweep offers again.
const SWEEP_MAX: u64 = 200;

/// How a generation came to its end.
struct Ending {
    status: AnswerStatus,
    usage: Option<Usage>,
    finish: Option<&'static str>,
    error: Option<AssistantError>,
    /// What it relies on.
    sources: Option<Value>,
}

impl Ending {
    const fn of(status: AnswerStatus) -> Self {
        Self { status, usage: None, finish: None, error: None, sources: None }
    }
}

/// Answers everything that is queued in a conversation, one after the other.
pub async fn run(app: &Arc<App>, conversation: &ConversationId) {
    while !app.is_draining() {
        let now = app.now();
        match app.store.claim(conversation, &app.worker_id, now + LEASE, now).await {
            Ok(Some(answer)) => generate(app, answer).await,
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(?error, conversation.id = %conversation, "cannot claim an answer; the sweep tries again");
                return;
            }
        }
    }
}

/// Generates one answer from its first word to its terminal event.
async fn generate(app: &Arc<App>, answer: Answer) {
    let bot = Sender::bot(assistant::persona(&answer.persona).name);
    let running = app.snapshots.begin(&answer);
    publish(app, &answer, typing(&answer, &bot, true));
    let ending = match context::prompt(app, &answer).await {
        Ok(prompt) => {
            let mut generation = Generation::new(app, &answer.conversation, prompt);
            listen(app, &answer, &running, &mut generation).await.map(|mut ending| {
                ending.usage.get_or_insert_with(|| generation.usage());
                ending.sources = generation.sources();
                ending
            })
        }
        Err(error) => {
            tracing::error!(?error, "cannot read the conversation for the assistant");
            Some(Ending::of(AnswerStatus::Failed))
        }
    };
    match ending {
        Some(ending) => {
            // Nothing follows a stop; the final message has what was not told.
            if ending.status != AnswerStatus::Cancelled
                && let Some(chunk) = running.next_chunk()
            {
                publish(app, &answer, Event::AnswerChunk(chunk));
            }
            finish(app, &answer, &running, bot, ending).await;
        }
        // Somebody else has ended or holds it, and tells its end.
        None => app.snapshots.end(&running),
    }
}

/// Hears the words, tells chunks and saves checkpoints until the answer ends. None when the lease was lost.
async fn listen(app: &App, answer: &Answer, running: &Running, generation: &mut Generation) -> Option<Ending> {
    let mut checkpoints = interval(CHECKPOINT);
    checkpoints.set_missed_tick_behavior(MissedTickBehavior::Delay);
    checkpoints.tick().await;
    let mut pace = Pace::new(app.config.chunk_window);
    loop {
        let due = pace.due;
        tokio::select! {
            biased;
            () = running.stop.cancelled() => return Some(Ending::of(AnswerStatus::Cancelled)),
            () = app.draining_begun() => return Some(Ending::of(AnswerStatus::Interrupted)),
            // Before anything is told: after a long pause somebody else may have the answer.
            _ = checkpoints.tick() => {
                if !checkpoint(app, answer, running).await {
                    return None;
                }
            }
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                tell_chunk(app, answer, running, &mut pace);
            }
            step = generation.next() => match step {
                Some(Ok(Step::Text(text))) => {
                    let is_first = running.lengths().0 == 0;
                    running.grow(&text);
                    pace.grown(running.lengths());
                    if is_first {
                        // The first words go out at once, and are saved at once, so that they survive anything.
                        tell_chunk(app, answer, running, &mut pace);
                        if !checkpoint(app, answer, running).await {
                            return None;
                        }
                    }
                }
                Some(Ok(Step::Done(usage, finish))) => {
                    let (usage, finish) = (Some(usage), Some(finish.as_str()));
                    return Some(Ending { usage, finish, ..Ending::of(AnswerStatus::Complete) });
                }
                Some(Err(error)) => return Some(Ending { error: Some(error), ..Ending::of(AnswerStatus::Failed) }),
                None => return Some(Ending::of(AnswerStatus::Failed)),
            },
        }
    }
}

fn tell_chunk(app: &App, answer: &Answer, running: &Running, pace: &mut Pace) {
    if let Some(chunk) = running.next_chunk() {
        publish(app, answer, Event::AnswerChunk(chunk));
    }
    pace.told();
}

/// Saves the text and renews the lease. False when somebody else has the answer now.
async fn checkpoint(app: &App, answer: &Answer, running: &Running) -> bool {
    let saved = app.store.checkpoint(&answer.id, answer.attempt, &running.content(), app.now() + LEASE).await;
    saved.unwrap_or_else(|error| {
        // The next checkpoint tries again; without the database for longer than the lease the answer is lost to us.
        tracing::warn!(?error, "cannot save a checkpoint");
        true
    })
}

/// Stores the end and tells it.
async fn finish(app: &Arc<App>, answer: &Answer, running: &Arc<Running>, bot: Sender, ending: Ending) {
    let text = running.content();
    if ending.status == AnswerStatus::Interrupted && text.trim().is_empty() && answer.attempt < ATTEMPTS_MAX {
        // Nobody has seen a word yet: the next process begins anew.
        let requeued = app.store.requeue(&answer.id, answer.attempt).await;
        if matches!(requeued, Ok(true)) {
            publish(app, answer, typing(answer, &bot, false));
            app.snapshots.end(running);
            return;
        }
    }
    let failure = (ending.status == AnswerStatus::Failed).then(|| failure(ending.error.as_ref(), answer));
    let metadata = metadata(&ending);
    let finish = Finish {
        answer,
        status: ending.status,
        text,
        usage: ending.usage,
        bot: bot.clone(),
        metadata,
        error: failure.clone(),
        at: app.now(),
    };
    let finished = store_end(app, finish).await;
    if !matches!(finished, Finished::Fenced) {
        publish(app, answer, typing(answer, &bot, false));
    }
    app.snapshots.end(running);
    match finished {
        // Whoever has ended it tells its end; by now another answer may be running here.
        Finished::Fenced => {}
        Finished::Stored(message) => tell_end(app, answer, message, failure).await,
        Finished::NoMessage => tell_end(app, answer, Arc::new(empty(app, answer, bot, ending.status)), failure).await,
    }
}

/// The database may be away for a moment just now; the text is worth some patience.
async fn store_end(app: &App, finish: Finish<'_>) -> Finished {
    for attempt in 1_u32..=5 {
        match app.store.finish(finish.clone()).await {
            Ok(finished) => return finished,
            Err(error) => tracing::warn!(?error, attempt, "cannot store the end of an answer"),
        }
        tokio::time::sleep(Duration::from_millis(100) * attempt).await;
    }
    // The lease runs out, and whoever finds that ends the answer with what was saved.
    Finished::Fenced
}

/// Tells everybody how an answer has ended, once.
async fn tell_end(app: &Arc<App>, answer: &Answer, message: Arc<Message>, failure: Option<Failure>) {
    if let Some(failure) = failure {
        publish(app, answer, Event::AnswerFailed { conversation: answer.conversation.clone(), failure });
        if let Err(error) = call_person(app, &answer.conversation).await {
            tracing::warn!(?error, "cannot mark a conversation as waiting for a person");
        }
    }
    let entry = LogEntry { message, question: Some(answer.question.clone()) };
    publish(app, answer, Event::AnswerFinished(entry));
}

/// Marks a support conversation as waiting for a person and tells the agents; does nothing where one handles it.
///
/// # Errors
/// Only when the database fails.
pub(super) async fn call_person(app: &Arc<App>, conversation: &ConversationId) -> Result<(), Error> {
    if app.store.mark_waiting(conversation, app.now()).await?.is_some() {
        super::settle(app, vec![Effect::Announce(conversation.clone())]);
    }
    Ok(())
}

/// Tells the end of answers that were cancelled without a message: a person has taken over or closed the conversation.
pub(super) fn tell_cancelled(app: &Arc<App>, answers: Vec<AnswerId>) {
    if answers.is_empty() {
        return;
    }
    let inner = app.clone();
    app.tasks.spawn_until_stop(async move {
        for id in answers {
            match inner.store.answer(&id).await {
                Ok(Some(answer)) => {
                    // A generator that was told to stop says its last first.
                    inner.snapshots.ended(&answer.conversation, &answer.message).await;
                    let bot = Sender::bot(assistant::persona(&answer.persona).name);
                    if answer.attempt > 0 {
                        publish(&inner, &answer, typing(&answer, &bot, false));
                    }
                    let message = empty(&inner, &answer, bot, AnswerStatus::Cancelled);
                    tell_end(&inner, &answer, Arc::new(message), None).await;
                }
                Ok(None) => {}
                Err(error) => tracing::warn!(?error, "cannot tell that an answer was cancelled"),
            }
        }
    });
}

/// What is told of an answer that has no row in the log.
fn empty(app: &App, answer: &Answer, bot: Sender, status: AnswerStatus) -> Message {
    Message {
        id: answer.message.clone(),
        conversation_id: answer.conversation.clone(),
        seq: None,
        role: MessageRole::Assistant,
        sender: bot,
        agent_id: Some(answer.persona.clone()),
        content: String::new(),
        status: status.of_message(),
        client_message_id: None,
        in_reply_to: Some(answer.question.id.clone()),
        created_at: app.now(),
        metadata: Map::new(),
    }
}

/// What clients are told of a failure; the cause goes to the log.
fn failure(error: Option<&AssistantError>, answer: &Answer) -> Failure {
    let message = error.map_or("The assistant could not answer this message.", |error| error.message);
    let cause = error.map_or("the conversation could not be read", |error| error.cause.as_str());
    tracing::warn!(conversation.id = %answer.conversation, answer.id = %answer.id, cause, "an answer failed: {cause}");
    Failure::from(&Error::AiUnavailable(message.to_owned().into()))
}

fn metadata(ending: &Ending) -> Map<String, Value> {
    let mut metadata = Map::new();
    if let Some(usage) = &ending.usage {
        metadata.insert("model".into(), usage.model.clone().into());
        metadata.insert("usage".into(), serde_json::to_value(usage).unwrap_or_default());
    }
    if let Some(finish) = ending.finish {
        metadata.insert("finishReason".into(), finish.into());
    }
    if let Some(sources) = &ending.sources {
        metadata.insert("sources".into(), sources.clone());
    }
    metadata
}

fn typing(answer: &Answer, bot: &Sender, typing: bool) -> Event {
    let (conversation, agent_id) = (answer.conversation.clone(), answer.persona.clone());
    Event::AnswerTyping { conversation, bot: bot.clone(), agent_id, typing }
}

fn publish(app: &App, answer: &Answer, event: Event) {
    app.bus.publish(Envelope::to(Room::Conversation(answer.conversation.clone()), event));
}

/// Ends the running answer of a conversation, keeping its text; without one, those that wait.
///
/// # Errors
/// [`Error::NotFound`] for a conversation that is missing or foreign.
pub async fn stop(app: &Arc<App>, caller: &Caller, conversation: ConversationId) -> Result<Outcome, Error> {
    app.store.access(&caller.user, &conversation).await?;
    if app.snapshots.stop(&conversation) {
        return Ok(Reply::Done.into());
    }
    if app.bus.has_others()
        && let Some(answer) = app.store.running(&conversation).await?
    {
        app.bus.stop_answer(&conversation, Some(&answer));
        return Ok(Reply::Done.into());
    }
    let waiting = app.store.cancel_queued(&conversation, app.now()).await?;
    tell_cancelled(app, waiting);
    // Claimed a moment ago and about to begin.
    if let Some(answer) = app.store.running(&conversation).await? {
        app.bus.stop_answer(&conversation, Some(&answer));
    }
    Ok(Reply::Done.into())
}

/// Answers the last user message anew; the old answer stays.
///
/// # Errors
/// [`Error::NotFound`] for a conversation that is missing or foreign, or has no user message.
pub async fn regenerate(app: &Arc<App>, caller: &Caller, conversation: ConversationId) -> Result<Outcome, Error> {
    app.check_open()?;
    app.store.access(&caller.user, &conversation).await?;
    app.store.regenerate(&conversation, app.now()).await?;
    Ok(Outcome { reply: Reply::Done, effects: vec![Effect::Answer(conversation)] })
}

/// Ends or requeues answers whose worker has died, and offers waiting ones again.
pub async fn sweep(app: &Arc<App>) -> Result<(), Error> {
    for mut answer in app.store.expired(app.now()).await? {
        // What people have read already is more than the last checkpoint.
        let told = app.snapshots.look_up(&answer.conversation).await;
        if let Some(told) = told.filter(|told| told.message_id == answer.message)
            && told.content.starts_with(&answer.text)
        {
            answer.text = told.content;
        }
        let is_worth_a_try = answer.text.trim().is_empty() && answer.attempt < ATTEMPTS_MAX;
        if is_worth_a_try && app.store.requeue(&answer.id, answer.attempt).await? {
            continue;
        }
        let bot = Sender::bot(assistant::persona(&answer.persona).name);
        let finish = Finish {
            answer: &answer,
            status: AnswerStatus::Interrupted,
            text: answer.text.clone(),
            usage: None,
            bot: bot.clone(),
            metadata: Map::new(),
            error: None,
            at: app.now(),
        };
        tracing::info!(answer.id = %answer.id, "ending an answer whose worker has died");
        let message = match app.store.finish(finish).await? {
            Finished::Fenced => continue,
            Finished::Stored(message) => message,
            Finished::NoMessage => Arc::new(empty(app, &answer, bot.clone(), AnswerStatus::Interrupted)),
        };
        publish(app, &answer, typing(&answer, &bot, false));
        tell_end(app, &answer, message, None).await;
    }
    for conversation in app.store.queued_conversations(SWEEP_MAX).await? {
        app.jobs.found(conversation);
    }
    Ok(())
}

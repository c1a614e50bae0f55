//! What a supervisor keeps of a child: its handle, and when it is begun again after it failed.

use std::time::Duration;

use jiff::Timestamp;
use ractor::{ActorCell, ActorRef, Message, SpawnErr, SupervisionEvent};

use super::{
    INJECTED,
    backoff::Backoff,
    effects::{Context, Task},
};

/// The first pause before a failed actor is begun again.
const RESTART_FIRST: Duration = Duration::from_secs(1);
/// The longest pause: an actor that fails at once, always, costs little.
const RESTART_CAP: Duration = Duration::from_secs(30);
/// An actor that lived this long was a good one.
const GOOD_AFTER_S: i64 = 60;

/// A child actor, alive or about to be begun again.
pub(crate) struct Child<M> {
    what: String,
    actor: Option<ActorRef<M>>,
    started: Timestamp,
    restart: Option<Task>,
    backoff: Backoff,
}

impl<M: Message> Child<M> {
    /// A child that is not there yet. `what` names it in logs.
    pub(crate) fn new(context: &Context, what: String) -> Self {
        let backoff = context.backoff(&what, RESTART_FIRST, RESTART_CAP);
        Self { what, actor: None, started: context.now(), restart: None, backoff }
    }

    /// The actor, while it lives.
    pub(crate) fn actor(&self) -> Option<&ActorRef<M>> {
        self.actor.as_ref()
    }

    /// Whether `cell` is this child's actor.
    pub(crate) fn is(&self, cell: &ActorCell) -> bool {
        self.actor.as_ref().is_some_and(|actor| actor.get_id() == cell.get_id())
    }

    /// Sends to the actor, if it lives. One that does not learns everything when it is begun again.
    pub(crate) fn cast(&self, message: M) {
        if let Some(actor) = &self.actor {
            let _ = actor.cast(message);
        }
    }

    /// Takes in the result of a spawn; if it failed, `again` is called later.
    pub(crate) fn spawned<H>(
        &mut self,
        context: &Context,
        spawned: Result<(ActorRef<M>, H), SpawnErr>,
        again: impl FnOnce() + Send + 'static,
    ) {
        self.restart = None;
        self.started = context.now();
        match spawned {
            Ok((actor, _)) => self.actor = Some(actor),
            Err(error) => self.lost(context, &error.to_string(), again),
        }
    }

    /// The actor is gone and nobody asked for it: `again` is called after a pause.
    pub(crate) fn lost(&mut self, context: &Context, reason: &str, again: impl FnOnce() + Send + 'static) {
        self.actor = None;
        if context.now().duration_since(self.started).as_secs() >= GOOD_AFTER_S {
            self.backoff.reset();
        }
        let delay = self.backoff.next_delay();
        if reason.contains(INJECTED) {
            tracing::info!(actor = self.what, reason, ?delay, "actor is begun again");
        } else {
            tracing::error!(actor = self.what, reason, ?delay, "actor failed and is begun again");
        }
        self.restart = Some(context.after(delay, again));
    }

    /// Lets the actor end on its own time.
    pub(crate) fn stop(&self) {
        if let Some(actor) = &self.actor {
            actor.stop(None);
        }
    }

    /// Ends the actor and waits for it.
    pub(crate) async fn stop_and_wait(&self) {
        if let Some(actor) = &self.actor {
            // An actor that is gone already is what was asked for.
            let _ = actor.stop_and_wait(None, None).await;
        }
    }
}

/// The actor whose end `event` tells of, and why it ended.
pub(crate) fn ended(event: &SupervisionEvent) -> Option<(&ActorCell, String)> {
    match event {
        SupervisionEvent::ActorTerminated(cell, _, reason) => {
            Some((cell, reason.clone().unwrap_or_else(|| "stopped".to_owned())))
        }
        SupervisionEvent::ActorFailed(cell, error) => Some((cell, error.to_string())),
        _ => None,
    }
}

//! A Rollout's calls of hooks: one in flight at a time, its answer a message.

use std::sync::Arc;

use ractor::ActorRef;

use super::RolloutMsg;
use crate::{
    graph::effects::{Context, Task, caught, within},
    intent::HookCall,
    view::HookAnswer,
    world::Http,
};

/// The calls.
pub(super) struct Hooks {
    context: Context,
    me: ActorRef<RolloutMsg>,
    http: Arc<dyn Http>,
    in_flight: Option<(HookCall, Task)>,
}

impl Hooks {
    pub(super) fn new(context: &Context, me: &ActorRef<RolloutMsg>, http: Arc<dyn Http>) -> Self {
        Self { context: context.clone(), me: me.clone(), http, in_flight: None }
    }

    /// Makes the call that is wanted, unless it is in flight already. One that is no longer wanted comes to its end, and
    /// gives way only to another.
    pub(super) fn ask(&mut self, wanted: Option<HookCall>) {
        let Some(call) = wanted else { return };
        if self.in_flight.as_ref().is_some_and(|(in_flight, _)| *in_flight == call) {
            return;
        }
        tracing::debug!(hook = call.entry.name, url = call.call.url, "asking a hook");
        let (asked, clock, me) = (self.context.now(), self.context.clock(), self.me.clone());
        let post = self.http.post(call.call.clone());
        let asking = call.clone();
        let task = self.context.start(async move {
            let outcome = match caught("hook", within(&clock, asking.timeout, post)).await {
                Some(Some(outcome)) => outcome,
                Some(None) => Err(format!("no answer within {} seconds", asking.timeout.as_secs())),
                None => Err("the call came to no end".to_owned()),
            };
            let _ = me.cast(RolloutMsg::Hook(Box::new(HookAnswer { call: asking, asked, outcome })));
        });
        self.in_flight = Some((call, task));
    }

    /// A call came to its end.
    pub(super) fn answered(&mut self, answer: &HookAnswer) {
        self.in_flight.take_if(|(in_flight, _)| *in_flight == answer.call);
    }
}

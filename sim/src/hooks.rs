//! The endpoints of hooks, and the operator's way to them.
//!
//! As with API servers, a question that reached its endpoint was asked, whether or not somebody still waits for the
//! answer; and after a crash nothing of the old life gets through.

use std::sync::{Arc, Mutex, PoisonError};

use futures::future::BoxFuture;
use serde_json::Value;
use slipway_actors::world::{Http, HttpAnswer, HttpCall, MAX_ANSWER_BYTES};
use slipway_fakes::hooks::{Behaviour, Endpoints, Turn};
use tokio::time::{Instant, sleep};

use crate::{
    facts::{HookId, Said},
    link::{Plan, Session},
    random::{Concern, Dice},
    recorder::Recorder,
    sabotage::Sabotage,
};

/// All endpoints, for the whole run.
pub(crate) struct Hooks {
    pub(crate) endpoints: Endpoints,
    recorder: Recorder,
    plan: Plan,
    dice: Mutex<Dice>,
    sabotage: Option<Sabotage>,
}

impl Hooks {
    pub(crate) fn new(
        endpoints: Endpoints,
        recorder: Recorder,
        plan: Plan,
        seed: u64,
        sabotage: Option<Sabotage>,
    ) -> Self {
        Self { endpoints, recorder, plan, dice: Mutex::new(Dice::new(seed, Concern::Hook, 0)), sabotage }
    }

    async fn carry(self: Arc<Self>, session: Arc<Session>, call: HttpCall) -> Result<HttpAnswer, String> {
        let (there, back, lost_request, lost_answer) = self.fate();
        sleep(there).await;
        passes(&session)?;
        let question = Question::read(&call);
        let key =
            if self.sabotage == Some(Sabotage::HookKeyChanged) { there.as_nanos().to_string() } else { question.key };
        if lost_request {
            self.recorder.asked(question.id, &key, Said::Failed, "the question is lost on its way");
            return Err("connection reset by peer".to_owned());
        }
        let turn = match self.endpoints.take_in(&call.url) {
            Ok(turn) => turn,
            Err(error) => {
                self.recorder.asked(question.id, &key, Said::Failed, &error);
                return Err(error);
            }
        };
        let (said, words) = in_words(&turn);
        if lost_answer {
            self.recorder.asked(question.id, &key, Said::Failed, &format!("{words}, but the answer is lost"));
        } else {
            self.recorder.asked(question.id, &key, said, &words);
        }
        let answer = self.endpoints.answer(&turn, &call.body).await;
        sleep(back).await;
        passes(&session)?;
        if lost_answer {
            return Err("connection reset by peer".to_owned());
        }
        let (status, body) = answer?;
        if body.len() > MAX_ANSWER_BYTES {
            return Err(format!("the answer is longer than {MAX_ANSWER_BYTES} bytes"));
        }
        Ok(HttpAnswer { status, body })
    }

    /// Time there and back, and whether either gets lost.
    fn fate(&self) -> (std::time::Duration, std::time::Duration, bool, bool) {
        let mut dice = self.dice.lock().unwrap_or_else(PoisonError::into_inner);
        let on = Instant::now() < self.plan.until;
        let [there, back] = [(); 2].map(|()| dice.within(self.plan.latency));
        let [request, answer] =
            [self.plan.swarm.lost_request, self.plan.swarm.lost_response].map(|ratio| dice.hits(ratio) && on);
        (there, back, request, answer)
    }
}

fn passes(session: &Session) -> Result<(), String> {
    if session.open() { Ok(()) } else { Err("the operator is gone".to_owned()) }
}

/// The way to the endpoints in one life of the operator.
pub(crate) struct WayToHooks {
    pub(crate) hooks: Arc<Hooks>,
    pub(crate) session: Arc<Session>,
}

impl Http for WayToHooks {
    fn post(&self, call: HttpCall) -> BoxFuture<'static, Result<HttpAnswer, String>> {
        // A task of its own: what is on its way arrives, whether or not somebody still waits for the answer.
        let task = tokio::spawn(self.hooks.clone().carry(self.session.clone(), call));
        Box::pin(async move { task.await.map_err(|error| error.to_string())? })
    }
}

/// What a question is about.
struct Question {
    id: HookId,
    key: String,
}

impl Question {
    fn read(call: &HttpCall) -> Self {
        let document: Value = serde_json::from_slice(&call.body).unwrap_or_default();
        let (metadata, spec) = (&document["metadata"], &document["spec"]);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let index = spec["batch"]["batchIndex"].as_u64().unwrap_or_default();
        let batch = spec["batch"].is_object().then(|| usize::try_from(index).unwrap_or_default());
        let id = HookId {
            run: text(&spec["rolloutID"]),
            hook_type: text(&spec["hookType"]),
            batch,
            name: text(&metadata["name"]),
        };
        let key = call.headers.iter().find(|(name, _)| *name == "idempotency-key");
        Self { id, key: key.map(|(_, key)| key.clone()).unwrap_or_default() }
    }
}

fn in_words(turn: &Turn) -> (Said, String) {
    let (said, words) = match &turn.behaviour {
        Behaviour::Ok => (Said::Ok, "answers OK".to_owned()),
        Behaviour::Processing | Behaviour::Flapping => (Said::Processing, "answers Processing".to_owned()),
        Behaviour::Error => (Said::Failed, "answers Error".to_owned()),
        Behaviour::Status(status) => (Said::Failed, format!("answers with status {status}")),
        Behaviour::Hang => (Said::Failed, "does not answer".to_owned()),
        Behaviour::Reset => (Said::Failed, "breaks the connection off".to_owned()),
        Behaviour::NotJson => (Said::Failed, "answers something that is no JSON".to_owned()),
        Behaviour::WrongDocument => (Said::Failed, "answers another document".to_owned()),
        Behaviour::Huge => (Said::Failed, "answers far too much".to_owned()),
    };
    let after =
        if turn.after.is_zero() { String::new() } else { format!(" after {}", crate::trace::seconds(turn.after)) };
    (said, format!("{words}{after}"))
}

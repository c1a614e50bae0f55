//! Hooks: which is asked next, what its answer means, and when it is asked again.
//!
//! The hooks of a moment are asked strictly one after the other, in the order of the list. Where a run stands is the last
//! entry of the step's `webhooks` in status. The stored entry authorises the call ([`Moment::wanted`]), and the answer
//! becomes the next entry ([`Moment::advance`]); so an operator that was started anew asks the same hook again, under the
//! same idempotency key, and none is left out.
//!
//! `failureThreshold` counts failures in a row, as its documentation says: any answer but `Error` begins the count anew.
//! Upstream counts on. A hook that flaps for ever is bounded by `deadlineSeconds`.

mod answer;
mod review;
mod step;
#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, time::Duration};

use jiff::{Timestamp, ToSpan};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;
use sha2::{Digest, Sha256};

pub use self::step::{Call, ask, before_first_step, call, give_up, on_hold};
use super::condition::time;
use crate::{
    api::{CodeReasonMessage, HookType, ObjectTypeRef, RolloutWebhook, RolloutWebhookStatus},
    intent::{HookCall, Wait},
    view::HookAnswer,
};

/// Entry states: the hook is being asked.
pub const RUNNING: &str = "Running";
/// The hook failed, and the run stops until somebody retries, skips or cancels.
pub const ON_HOLD: &str = "OnHold";
/// The hook is done.
pub const COMPLETED: &str = "Completed";
/// A command gave up the hooks of this moment.
pub const SKIPPED: &str = "Skipped";

/// Defaults of the API, which also replace what it does not allow.
const TIMEOUT_S: i32 = 10;
const PERIOD_S: i32 = 10;
const FAILURE_THRESHOLD: i32 = 3;

/// Hexadecimal digits of an idempotency key: as many as a UUID has.
const KEY_LENGTH: usize = 32;

/// A moment of a run at which hooks are asked.
#[derive(Debug)]
pub struct Moment<'a> {
    /// Which moment.
    pub hook_type: HookType,
    /// All hooks of the run.
    pub webhooks: &'a [RolloutWebhook],
    /// The run's metadata.
    pub run: &'a ObjectMeta,
    /// Kind of the targets.
    pub target_type: Option<&'a ObjectTypeRef>,
    /// The step, as messages name it: `batch 2`. Empty for the run as a whole.
    pub step: String,
    /// What the review says of the step: the field's name and its value.
    pub subject: Option<(&'static str, Value)>,
    /// When the run last went on from a pause: time before that does not count towards a deadline.
    pub resumed: Option<Timestamp>,
    /// The command that goes on without the hook.
    pub give_up: String,
}

/// What one look at a moment's hooks came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Progress {
    /// All of them are done.
    Done,
    /// One is being asked.
    Waiting(Wait),
    /// One failed; the error is what it said.
    Failed(CodeReasonMessage),
}

impl Moment<'_> {
    /// Takes in the last answer, and goes on to the next hook when one is done.
    pub fn advance(
        &self,
        entries: &mut Vec<RolloutWebhookStatus>,
        answer: Option<&HookAnswer>,
        now: Timestamp,
    ) -> Progress {
        // A name that comes twice is refused elsewhere; here it must not lead in circles.
        let mut names = BTreeSet::new();
        let hooks: Vec<_> = self.hooks().filter(|hook| names.insert(&hook.name)).collect();
        loop {
            let (position, last) = match self.current(entries) {
                None => (None, None),
                Some(last) => (hooks.iter().position(|hook| hook.name == last.name), Some(last.clone())),
            };
            let (Some(position), Some(last)) = (position, last) else {
                // Not begun, or what was asked last is no longer in the plan.
                let Some(first) = hooks.first() else { return Progress::Done };
                entries.push(self.begin(first, now));
                continue;
            };
            let hook = hooks[position];
            match last.state.as_str() {
                SKIPPED => return Progress::Done,
                COMPLETED => {
                    let Some(next) = hooks.get(position + 1) else { return Progress::Done };
                    entries.push(self.begin(next, now));
                }
                // Only somebody who cleared the error gets here: the hook is asked anew.
                ON_HOLD => replace_last(entries, begin_again(&last, now)),
                _ => {
                    let entry = self.judge(hook, &last, answer, now);
                    let held = entry.state == ON_HOLD;
                    let running = entry.state == RUNNING;
                    let said = said(&entry);
                    replace_last(entries, entry);
                    if held {
                        return Progress::Failed(said);
                    } else if running {
                        return Progress::Waiting(self.wait(hook, entries));
                    }
                }
            }
        }
    }

    /// The call that the stored entries authorise now, and when to look again though nothing changed.
    pub fn wanted(
        &self,
        entries: &[RolloutWebhookStatus],
        answer: Option<&HookAnswer>,
        now: Timestamp,
    ) -> (Option<HookCall>, Option<Timestamp>) {
        let Some(entry) = self.current(entries).filter(|entry| entry.state == RUNNING) else { return (None, None) };
        let Some(hook) = self.hooks().find(|hook| hook.name == entry.name) else { return (None, None) };
        if self.judge(hook, entry, answer, now) != *entry {
            // What is known already has to be stored before anything else is asked.
            return (None, None);
        }
        let key = self.key(entry);
        let asked = answer.filter(|answer| answer.call.key == key).map(|answer| answer.asked);
        let again = asked.and_then(|asked| asked.checked_add(i64::from(period(hook)).seconds()).ok());
        let again = again.filter(|again| *again > now);
        let deadline = self.deadline(hook, entry);
        let look = again.into_iter().chain(deadline).min();
        let call = again.is_none().then(|| HookCall {
            call: review::call(self, hook, &key),
            key,
            entry: entry.clone(),
            timeout: Duration::from_secs(u64::try_from(timeout(hook)).unwrap_or_default()),
        });
        (call, look)
    }

    /// Gives up the hooks of this moment, by command.
    pub fn skip(&self, entries: &mut Vec<RolloutWebhookStatus>, now: Timestamp) {
        if self.current(entries).is_none() {
            entries.extend(self.hooks().next().map(|first| self.begin(first, now)));
        }
        if let Some(last) = entries.last_mut() {
            SKIPPED.clone_into(&mut last.state);
            last.finish_time = Some(time(now));
        }
    }

    /// The hooks of this moment, in order.
    pub fn hooks(&self) -> impl Iterator<Item = &RolloutWebhook> {
        self.webhooks.iter().filter(|hook| hook.hook_types.iter().any(|name| name == self.hook_type.as_str()))
    }

    /// The entry of the hook that was asked last.
    fn current<'e>(&self, entries: &'e [RolloutWebhookStatus]) -> Option<&'e RolloutWebhookStatus> {
        entries.last().filter(|entry| entry.hook_type == self.hook_type.as_str())
    }

    fn begin(&self, hook: &RolloutWebhook, now: Timestamp) -> RolloutWebhookStatus {
        RolloutWebhookStatus {
            state: RUNNING.to_owned(),
            hook_type: self.hook_type.as_str().to_owned(),
            name: hook.name.clone(),
            code: answer::PROCESSING.to_owned(),
            reason: answer::PROCESSING.to_owned(),
            message: "webhook is running".to_owned(),
            failure_count: 0,
            start_time: Some(time(now)),
            finish_time: None,
        }
    }

    /// What becomes of the entry of a hook that is being asked.
    fn judge(
        &self,
        hook: &RolloutWebhook,
        entry: &RolloutWebhookStatus,
        answer: Option<&HookAnswer>,
        now: Timestamp,
    ) -> RolloutWebhookStatus {
        if entry.start_time.is_none() || entry.state != RUNNING {
            // Upstream's entry of a hook that it did not come to ask.
            return self.begin(hook, now);
        }
        let answered = answer.filter(|answer| answer.call.entry == *entry && answer.call.key == self.key(entry));
        let entry = match answered {
            None => entry.clone(),
            Some(answer) => heard(hook, entry, answer::read(&answer.outcome), now),
        };
        if entry.state == RUNNING && self.deadline(hook, &entry).is_some_and(|deadline| deadline <= now) {
            let seconds = hook.deadline_seconds.unwrap_or_default();
            let message = format!(
                "hook {} has not come to an end within {seconds} seconds (deadlineSeconds); it said last: {}",
                hook.name,
                in_words(&said(&entry))
            );
            let late = CodeReasonMessage {
                code: answer::ERROR.to_owned(),
                reason: "DeadlineExceeded".to_owned(),
                message: answer::shortened(message),
            };
            return failed(hook, RolloutWebhookStatus { failure_count: entry.failure_count, ..entry }, late, now);
        }
        entry
    }

    /// When a hook that is still being asked counts as failed.
    fn deadline(&self, hook: &RolloutWebhook, entry: &RolloutWebhookStatus) -> Option<Timestamp> {
        let limit = hook.deadline_seconds.filter(|seconds| *seconds > 0)?;
        let start = entry.start_time.as_ref()?.0;
        let counted_from = self.resumed.map_or(start, |resumed| start.max(resumed));
        counted_from.checked_add(i64::from(limit).seconds()).ok()
    }

    /// The idempotency key of an asking: it begins when the entry is first stored, or when somebody has a failed hook asked
    /// again, and what comes of it later has the same key.
    fn key(&self, entry: &RolloutWebhookStatus) -> String {
        let mut hash = Sha256::new();
        let begun = entry.start_time.as_ref().map(|start| start.0.to_string()).unwrap_or_default();
        for part in [self.run.uid.as_deref().unwrap_or_default(), &self.step, &entry.hook_type, &entry.name, &begun] {
            hash.update(part.as_bytes());
            hash.update([0]);
        }
        let mut key = format!("{:x}", hash.finalize());
        key.truncate(KEY_LENGTH);
        key
    }

    fn wait(&self, hook: &RolloutWebhook, entries: &[RolloutWebhookStatus]) -> Wait {
        let entry = entries.last().cloned().unwrap_or_default();
        let of = if self.step.is_empty() { String::new() } else { format!(" of {}", self.step) };
        let failures = match entry.failure_count {
            0 => String::new(),
            count => format!(", {count} of {} failures", threshold(hook)),
        };
        Wait {
            cluster: String::new(),
            object: format!("hook/{}", hook.name),
            condition: format!(
                "{}{of}: {} to answer OK (said last: {}{failures})",
                self.hook_type,
                hook.client_config.url,
                in_words(&said(&entry))
            ),
            unblock: Some(self.give_up.clone()),
        }
    }
}

/// A hook that failed, asked anew: its last words stay until it says others.
fn begin_again(entry: &RolloutWebhookStatus, now: Timestamp) -> RolloutWebhookStatus {
    // The start tells one asking from another, also when both are of one second.
    let before = entry.start_time.as_ref().and_then(|start| start.0.checked_add(1.second()).ok());
    RolloutWebhookStatus {
        state: RUNNING.to_owned(),
        failure_count: 0,
        start_time: Some(time(before.map_or(now, |earliest| earliest.max(now)))),
        finish_time: None,
        ..entry.clone()
    }
}

/// The entry after an answer.
fn heard(
    hook: &RolloutWebhook,
    entry: &RolloutWebhookStatus,
    said: CodeReasonMessage,
    now: Timestamp,
) -> RolloutWebhookStatus {
    let failure_count = if said.code == answer::ERROR { entry.failure_count.saturating_add(1) } else { 0 };
    let done = said.code == answer::OK;
    let exhausted = failure_count >= threshold(hook);
    let CodeReasonMessage { code, reason, message } = said.clone();
    let entry = RolloutWebhookStatus { code, reason, message, failure_count, ..entry.clone() };
    if done {
        RolloutWebhookStatus { state: COMPLETED.to_owned(), finish_time: Some(time(now)), ..entry }
    } else if exhausted {
        failed(hook, entry, said, now)
    } else {
        entry
    }
}

/// The entry of a hook that failed for good, by its policy. Only `Ignore` goes on; an empty policy acts as `Fail`.
fn failed(
    hook: &RolloutWebhook,
    entry: RolloutWebhookStatus,
    said: CodeReasonMessage,
    now: Timestamp,
) -> RolloutWebhookStatus {
    let ignored = hook.failure_policy == "Ignore";
    let CodeReasonMessage { code, reason, message } = said;
    RolloutWebhookStatus {
        state: if ignored { COMPLETED } else { ON_HOLD }.to_owned(),
        code,
        reason,
        message,
        finish_time: ignored.then(|| time(now)),
        ..entry
    }
}

fn replace_last(entries: &mut [RolloutWebhookStatus], entry: RolloutWebhookStatus) {
    if let Some(last) = entries.last_mut() {
        *last = entry;
    }
}

fn said(entry: &RolloutWebhookStatus) -> CodeReasonMessage {
    CodeReasonMessage { code: entry.code.clone(), reason: entry.reason.clone(), message: entry.message.clone() }
}

/// What a hook said, for the middle of a sentence.
fn in_words(said: &CodeReasonMessage) -> String {
    let code = if said.code.is_empty() { "no status.code" } else { &said.code };
    let parts = [code, &said.reason, &said.message];
    let parts = parts.iter().enumerate().filter(|(at, part)| !part.is_empty() && (*at == 0 || **part != code));
    parts.map(|(_, part)| *part).collect::<Vec<_>>().join(": ")
}

fn at_least_one(value: Option<i32>, default: i32) -> i32 {
    value.filter(|value| *value > 0).unwrap_or(default)
}

fn threshold(hook: &RolloutWebhook) -> i32 {
    at_least_one(hook.failure_threshold, FAILURE_THRESHOLD)
}

fn period(hook: &RolloutWebhook) -> i32 {
    at_least_one(hook.client_config.period_seconds, PERIOD_S)
}

fn timeout(hook: &RolloutWebhook) -> i32 {
    at_least_one(hook.client_config.timeout_seconds, TIMEOUT_S)
}

//! One sync in the making: what was seen, and what is to be written because of it.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use std::time::Duration;

use super::set::{self, Set};
use super::spec::Spec;
use super::status::{self, DeploymentStatus, FAILURE, NEW_SET_AVAILABLE, PROGRESSING, TIMED_OUT};
use super::{Action, Plan, REVISION};
use crate::controllers::claim::Claims;
use crate::controllers::object;

/// Added to the wait for a deadline, which is counted in whole seconds.
const AFTER_DEADLINE: Duration = Duration::from_secs(1);
/// The wait for a deadline that is less than a second away.
const NEAR_DEADLINE: Duration = Duration::from_millis(5);

/// A sync in the making.
pub(super) struct Draft<'a> {
    pub(super) spec: Spec<'a>,
    pub(super) now: Timestamp,
    /// The Deployment's sets as they were seen, from old to new.
    pub(super) sets: Vec<Set<'a>>,
    /// Which of them is of the current template.
    pub(super) new: Option<usize>,
    /// The status as it is written so far.
    pub(super) status: DeploymentStatus,
    pub(super) plan: Plan,
    /// True when the Deployment itself is written already, so that what else there is to say comes with the next sync.
    written: bool,
}

impl<'a> Draft<'a> {
    pub(super) fn new(spec: Spec<'a>, claims: Claims<'a>, now: Timestamp) -> Self {
        let mut sets: Vec<Set<'a>> = claims.own.into_iter().map(Set::read).collect();
        sets.sort_by(|one, other| one.age().cmp(&other.age()));
        let template = &spec.deployment["spec"]["template"];
        let new = sets.iter().position(|set| set::same_template(&set.object["spec"]["template"], template));
        let actions = claims.writes.into_iter().map(Action::UpdateSet).collect();
        let plan = Plan { actions, requeue_after: None };
        let status = DeploymentStatus::read(spec.deployment);
        Self { spec, now, sets, new, status, plan, written: false }
    }

    /// The set of the current template.
    pub(super) fn new_set(&self) -> Option<&Set<'a>> {
        self.sets.get(self.new?)
    }

    /// The other sets with their places.
    pub(super) fn old_sets(&self) -> impl Iterator<Item = (usize, &Set<'a>)> {
        self.sets.iter().enumerate().filter(|(index, _)| Some(*index) != self.new)
    }

    /// The other sets that have or ought to have pods.
    pub(super) fn active_old_sets(&self) -> impl Iterator<Item = (usize, &Set<'a>)> {
        self.old_sets().filter(|(_, set)| set.replicas > 0)
    }

    /// Pods of all sets that are asked for.
    pub(super) fn total(&self) -> i32 {
        self.sets.iter().map(|set| set.replicas).sum()
    }

    /// Says that the Deployment is paused, or that it goes on, so that the time of the pause counts for no deadline.
    pub(super) fn note_pause(&mut self) {
        let reason = self.status.condition(PROGRESSING).and_then(|condition| condition["reason"].as_str());
        if self.spec.deadline.is_none() || reason == Some(TIMED_OUT) {
            return;
        }
        let (reason, message) = match (self.spec.paused, reason == Some("DeploymentPaused")) {
            (true, false) => ("DeploymentPaused", "Deployment is paused"),
            (false, true) => ("DeploymentResumed", "Deployment is resumed"),
            _ => return,
        };
        self.status.set_condition(status::progressing("Unknown", reason, message, self.now));
        self.write(None);
    }

    /// Gives a set another number of pods. Says whether that is another number than before.
    pub(super) fn resize(&mut self, index: usize, replicas: i32) -> bool {
        let Some(set) = self.sets.get(index) else { return false };
        let resized = set.replicas != replicas;
        if resized {
            let set = set.resized(&self.spec, replicas);
            self.plan.actions.push(Action::UpdateSet(set));
        }
        resized
    }

    /// Removes old sets without pods, the oldest numbers first, until no more are left than history keeps.
    pub(super) fn clean_up(&mut self) {
        let Some(limit) = self.spec.history_limit else { return };
        let mut old: Vec<&Set<'_>> =
            self.old_sets().map(|(_, set)| set).filter(|set| !object::is_deleting(&set.object)).collect();
        old.sort_by_key(|set| set.revision().unwrap_or_default());
        let surplus = old.iter().take(old.len().saturating_sub(limit));
        let empty = surplus.filter(|set| {
            let observed = object::generation(&set.object) <= set.status.observed_generation;
            set.status.replicas == 0 && set.replicas == 0 && observed
        });
        let deletions: Vec<Action> = empty.map(|set| Action::DeleteSet(set.name().to_owned())).collect();
        self.plan.actions.extend(deletions);
    }

    /// Writes the status, when it says something new.
    pub(super) fn report(&mut self) {
        let counted = self.count();
        if counted != self.status {
            self.status = counted;
            self.write(None);
        }
    }

    /// Writes the status with how the roll gets ahead, when it says something new; else comes back at the deadline.
    pub(super) fn report_progress(&mut self) {
        let mut counted = self.count();
        self.estimate(&mut counted);
        match self.failure() {
            Some(failure) => counted.set_condition(failure),
            None => counted.remove_condition(FAILURE),
        }
        if counted == self.status {
            self.plan.requeue_after = self.until_deadline();
            return;
        }
        self.status = counted;
        self.write(None);
    }

    /// Writes the Deployment, with another revision when there is one.
    pub(super) fn write(&mut self, revision: Option<&str>) {
        if self.written {
            // The second write of one sync would be refused: it does not know the version that the first one made.
            return;
        }
        self.written = true;
        let mut deployment = self.spec.deployment.clone();
        deployment["status"] = self.status.to_value();
        if let Some(revision) = revision {
            deployment["metadata"]["annotations"][REVISION] = revision.into();
        }
        self.plan.actions.push(Action::UpdateStatus(deployment));
    }

    fn count(&self) -> DeploymentStatus {
        self.status.counted(&self.spec, &self.sets, self.new_set(), self.now)
    }

    /// Says in the status how the roll gets ahead.
    fn estimate(&self, counted: &mut DeploymentStatus) {
        let Some(deadline) = self.spec.deadline else { return counted.remove_condition(PROGRESSING) };
        let current = self.status.condition(PROGRESSING);
        let is_over = current.is_some_and(|condition| condition["reason"] == NEW_SET_AVAILABLE);
        if is_over && counted.replicas == counted.updated_replicas {
            return;
        }
        let subject = self
            .new_set()
            .map_or_else(|| format!("Deployment {:?}", self.spec.name), |set| format!("ReplicaSet {:?}", set.name()));
        let condition = |status: &str, reason: &str, what: &str| {
            status::progressing(status, reason, &format!("{subject} {what}."), self.now)
        };
        if counted.is_complete(&self.spec) {
            counted.set_condition(condition("True", NEW_SET_AVAILABLE, "has successfully progressed"));
        } else if counted.is_ahead_of(&self.status) {
            let mut new = condition("True", "ReplicaSetUpdated", "is progressing");
            if let Some(current) = current.filter(|current| current["status"] == "True") {
                new["lastTransitionTime"] = current["lastTransitionTime"].clone();
            }
            counted.replace_condition(new);
        } else if self.is_late(deadline) {
            counted.set_condition(condition("False", TIMED_OUT, "has timed out progressing"));
        }
    }

    fn is_late(&self, deadline: i32) -> bool {
        let Some(condition) = self.status.condition(PROGRESSING) else { return false };
        match condition["reason"].as_str() {
            Some(NEW_SET_AVAILABLE) => false,
            Some(TIMED_OUT) => true,
            _ => late_at(condition, deadline).is_some_and(|instant| instant < self.now),
        }
    }

    /// How long until the deadline of a roll that does not get ahead.
    fn until_deadline(&self) -> Option<Duration> {
        let condition = self.status.condition(PROGRESSING)?;
        if self.status.is_complete(&self.spec) || condition["reason"] == TIMED_OUT {
            return None;
        }
        let instant = late_at(condition, self.spec.deadline?)?;
        let wait = Duration::try_from(instant.duration_since(self.now)).unwrap_or_default();
        Some(if wait < AFTER_DEADLINE { wait + NEAR_DEADLINE } else { wait + AFTER_DEADLINE })
    }

    /// Why a set cannot create or delete pods, the new one's reason before the others'.
    fn failure(&self) -> Option<Value> {
        let failure = |set: &Set<'_>| set.status.conditions.iter().find(|it| it["type"] == FAILURE).cloned();
        let mut old = self.old_sets();
        let mut found = self.new_set().and_then(failure).or_else(|| old.find_map(|(_, set)| failure(set)))?;
        found["lastUpdateTime"] = found["lastTransitionTime"].clone();
        Some(found)
    }
}

/// When a condition that says nothing new is too old.
fn late_at(condition: &Value, deadline: i32) -> Option<Timestamp> {
    let since = object::timestamp(&condition["lastUpdateTime"])?;
    since.checked_add(SignedDuration::from_secs(deadline.into())).ok()
}

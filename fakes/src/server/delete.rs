//! Deletion: preconditions, grace, finalizers.

use std::sync::Arc;

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::{ApiServer, Target, admission::Attributes, metadata, options::Warnings, terminate};
use crate::{
    clock::stamp,
    object::{self, meta, set_meta, text},
    status::Status,
    store::{GroupResource, Key, Stored, WriteError},
};

const ORPHAN: &str = "orphan";
const FOREGROUND: &str = "foregroundDeletion";

/// What becomes of an object's dependents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagation {
    /// They are deleted after the object is gone.
    Background,
    /// They are deleted first.
    Foreground,
    /// They stay, without the owner.
    Orphan,
}

/// How an object is to be deleted.
#[derive(Clone, Debug, Default)]
pub struct DeleteOptions {
    /// Delete only the object with this uid.
    pub uid: Option<String>,
    /// Delete only at this resourceVersion.
    pub resource_version: Option<String>,
    /// What becomes of dependents.
    pub propagation: Option<Propagation>,
    /// Seconds a pod gets to end.
    pub grace_period_seconds: Option<i64>,
    /// Do everything but store the result.
    pub dry_run: bool,
    /// Which component of the cluster asks for it; empty for clients.
    pub(crate) manager: String,
    /// What the client is to be told although the deletion succeeds.
    pub(crate) warnings: Warnings,
    /// Whether admission has let it through already, as it has an eviction.
    pub(crate) admitted: bool,
}

/// What a deletion did.
#[derive(Clone, Debug)]
pub enum Deletion {
    /// The object is gone; its last state.
    Done(Arc<Stored>),
    /// The object is marked and waits for finalizers or its kubelet; its present state.
    Pending(Arc<Stored>),
}

/// The next write of a deletion.
enum Step {
    /// Nothing is left to do but to wait.
    Nothing,
    /// Store the mark and wait.
    Mark(Value),
    /// Store the mark, then remove.
    MarkAndRemove(Value),
    Remove,
}

impl ApiServer {
    /// Deletes an object, or marks it as being deleted where finalizers or a kubelet must act first.
    pub async fn delete(&self, key: &Key, options: &DeleteOptions) -> Result<Deletion, Status> {
        let target = self.internal_target(&key.resource)?;
        self.delete_at(&target, key, options).await
    }

    pub(crate) async fn delete_at(
        &self,
        target: &Target,
        key: &Key,
        options: &DeleteOptions,
    ) -> Result<Deletion, Status> {
        loop {
            let not_found = || Status::not_found(target.group_resource(), &key.name);
            let current = self.store().get(key).ok_or_else(not_found)?;
            check(&current, target, options)?;
            self.admit_deletion(target, &current, options).await?;
            match self.delete_once(target, &current, options).await {
                Ok(deletion) => return Ok(deletion),
                Err(WriteError::Missing) => return Err(not_found()),
                Err(WriteError::Stale | WriteError::Exists) => {}
            }
        }
    }

    /// Asks admission, unless there is nothing to be done: a pod that is being deleted goes no sooner.
    async fn admit_deletion(&self, target: &Target, current: &Stored, options: &DeleteOptions) -> Result<(), Status> {
        if self.chain(target).is_none() || options.admitted {
            return Ok(());
        }
        let is_pod = !target.resource.custom && &*target.resource.resource.plural == "pods";
        let grace = match self.deletion_step(target, &current.value, options) {
            Step::Nothing if is_pod => return Ok(()),
            Step::Mark(marked) | Step::MarkAndRemove(marked) => {
                meta(&marked, "deletionGracePeriodSeconds").and_then(Value::as_i64).filter(|_| is_pod)
            }
            Step::Nothing | Step::Remove => None,
        };
        let request = Attributes::of_deletion(target, current, options, grace);
        self.mutate_and_judge(&request, None).await
    }

    async fn delete_once(
        &self,
        target: &Target,
        current: &Arc<Stored>,
        options: &DeleteOptions,
    ) -> Result<Deletion, WriteError> {
        let step = self.deletion_step(target, &current.value, options);
        if options.dry_run {
            return Ok(match step {
                Step::Remove => Deletion::Done(current.clone()),
                Step::MarkAndRemove(marked) => Deletion::Done(Stored::unsaved(current.key.clone(), marked)),
                Step::Nothing => Deletion::Pending(current.clone()),
                Step::Mark(marked) => Deletion::Pending(Stored::unsaved(current.key.clone(), marked)),
            });
        }
        let expected = Some(current.resource_version);
        match step {
            Step::Nothing => Ok(Deletion::Pending(current.clone())),
            Step::Mark(marked) => {
                let marked = self.store().put(current.key.clone(), marked, expected)?;
                self.after_mark(target, &marked).await;
                Ok(Deletion::Pending(marked))
            }
            Step::MarkAndRemove(marked) => {
                let marked = self.store().put(current.key.clone(), marked, expected)?;
                self.remove(&marked)
            }
            Step::Remove => self.remove(current),
        }
    }

    fn remove(&self, current: &Stored) -> Result<Deletion, WriteError> {
        let removed = self.store().remove(&current.key, Some(current.resource_version))?;
        self.after_removal(&removed);
        Ok(Deletion::Done(removed))
    }

    fn deletion_step(&self, target: &Target, object: &Value, options: &DeleteOptions) -> Step {
        let plural = &*target.resource.resource.plural;
        let now = self.clock().now();
        if terminate::is_namespace(target) && !terminate::is_finalized(object) {
            return namespace_step(object, options, &stamp(now));
        }
        let mut marked = object.clone();
        if !target.resource.custom && plural == "pods" {
            return match pod_grace(object, options) {
                Grace::Wait => Step::Nothing,
                Grace::Seconds(seconds) => {
                    set_finalizers(&mut marked, options);
                    let deadline = deadline(object, now, seconds);
                    if !object::is_deleting(object) {
                        bump_generation(&mut marked);
                    }
                    set_meta(&mut marked, "deletionTimestamp", Some(deadline.into()));
                    set_meta(&mut marked, "deletionGracePeriodSeconds", Some(seconds.into()));
                    if seconds > 0 || !object::finalizers(&marked).is_empty() {
                        Step::Mark(marked)
                    } else {
                        Step::MarkAndRemove(marked)
                    }
                }
            };
        }
        set_finalizers(&mut marked, options);
        if terminate::is_definition(target) {
            terminate::hold_definition(&mut marked);
        }
        if object::finalizers(&marked).is_empty() {
            return Step::Remove;
        }
        if !object::is_deleting(object) {
            bump_generation(&mut marked);
            set_meta(&mut marked, "deletionTimestamp", Some(stamp(now).into()));
            set_meta(&mut marked, "deletionGracePeriodSeconds", Some(0.into()));
        }
        if marked == *object { Step::Nothing } else { Step::Mark(marked) }
    }
}

/// Whether an object being deleted has nothing left to wait for.
pub(super) fn may_go(object: &Value, target: &Target) -> bool {
    let held = terminate::is_namespace(target) && !terminate::is_finalized(object);
    let grace = meta(object, "deletionGracePeriodSeconds").and_then(Value::as_i64).unwrap_or_default();
    !held && object::finalizers(object).is_empty() && grace == 0
}

pub(super) fn check(current: &Stored, target: &Target, options: &DeleteOptions) -> Result<(), Status> {
    if terminate::is_namespace(target) {
        return check_namespace(current, target, options);
    }
    // The real server names the kind here where it names the resource elsewhere.
    let resource = &GroupResource::new(&target.resource.resource.group, &target.resource.kind);
    let name = &current.key.name;
    let uid = object::uid(&current.value);
    if let Some(wanted) = options.uid.as_deref().filter(|wanted| *wanted != uid) {
        let why = format!(
            "the UID in the precondition ({wanted}) does not match the UID in record ({uid}). The object might have been \
             deleted and then recreated"
        );
        return Err(Status::conflict(resource, name, &why));
    }
    let found = current.resource_version.to_string();
    if let Some(wanted) = options.resource_version.as_deref().filter(|wanted| *wanted != found) {
        let why = format!(
            "the ResourceVersion in the precondition ({wanted}) does not match the ResourceVersion in record ({found}). \
             The object might have been modified"
        );
        return Err(Status::conflict(resource, name, &why));
    }
    Ok(())
}

/// Namespaces tell it in other words.
fn check_namespace(current: &Stored, target: &Target, options: &DeleteOptions) -> Result<(), Status> {
    let version = current.resource_version.to_string();
    let conditions = [
        ("UID", &options.uid, object::uid(&current.value)),
        ("ResourceVersion", &options.resource_version, version.as_str()),
    ];
    for (what, wanted, found) in conditions {
        if let Some(wanted) = wanted.as_deref().filter(|wanted| *wanted != found) {
            let why = format!("Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {found}");
            return Err(Status::conflict(target.group_resource(), &current.key.name, &why));
        }
    }
    Ok(())
}

/// A namespace is only marked: it goes when whoever has a finalizer in its spec lets it go.
fn namespace_step(namespace: &Value, options: &DeleteOptions, now: &str) -> Step {
    if object::is_deleting(namespace) {
        return Step::Nothing;
    }
    let mut marked = namespace.clone();
    set_finalizers(&mut marked, options);
    set_meta(&mut marked, "deletionTimestamp", Some(now.into()));
    object::field_mut(&mut marked, "status").insert("phase".to_owned(), "Terminating".into());
    Step::Mark(marked)
}

enum Grace {
    /// Already being deleted, no later than asked for.
    Wait,
    Seconds(i64),
}

fn pod_grace(pod: &Value, options: &DeleteOptions) -> Grace {
    if object::is_deleting(pod) {
        let left = meta(pod, "deletionGracePeriodSeconds").and_then(Value::as_i64);
        return match (options.grace_period_seconds, left) {
            (_, None) => Grace::Seconds(0),
            (Some(asked), Some(left)) if asked < left => Grace::Seconds(asked.max(0)),
            _ => Grace::Wait,
        };
    }
    let specified = object::at(pod, &["spec", "terminationGracePeriodSeconds"]).and_then(Value::as_i64);
    let seconds = options.grace_period_seconds.or(specified).unwrap_or_default();
    let never_ran = text(pod, &["spec", "nodeName"]).is_empty();
    let ended = matches!(text(pod, &["status", "phase"]), "Succeeded" | "Failed");
    match seconds {
        _ if never_ran || ended => Grace::Seconds(0),
        negative if negative < 0 => Grace::Seconds(1),
        seconds => Grace::Seconds(seconds),
    }
}

/// When a pod must be gone; a shorter grace counts from the first deletion.
fn deadline(pod: &Value, now: jiff::Timestamp, seconds: i64) -> String {
    let first = text(pod, &["metadata", "deletionTimestamp"]).parse::<jiff::Timestamp>();
    let given = meta(pod, "deletionGracePeriodSeconds").and_then(Value::as_i64).unwrap_or_default();
    let shift = |time: jiff::Timestamp, by: i64| time.saturating_add(SignedDuration::from_secs(by)).unwrap_or(time);
    let start = first.map_or(now, |first| shift(first, -given));
    stamp(shift(start, seconds))
}

fn bump_generation(object: &mut Value) {
    let generation = object::generation(object);
    if generation > 0 {
        set_meta(object, "generation", Some(json!(generation + 1)));
    }
}

fn set_finalizers(object: &mut Value, options: &DeleteOptions) {
    let mut finalizers = metadata::finalizers_owned(object);
    let has = |name: &str| finalizers.iter().any(|finalizer| finalizer == name);
    let (orphan, foreground) = match options.propagation {
        Some(Propagation::Orphan) => (true, false),
        Some(Propagation::Foreground) => (false, true),
        Some(Propagation::Background) => (false, false),
        None => (has(ORPHAN), has(FOREGROUND)),
    };
    if (orphan, foreground) == (has(ORPHAN), has(FOREGROUND)) {
        return;
    }
    finalizers.retain(|finalizer| finalizer != ORPHAN && finalizer != FOREGROUND);
    if orphan {
        finalizers.push(ORPHAN.to_owned());
    }
    if foreground {
        finalizers.push(FOREGROUND.to_owned());
    }
    set_meta(object, "finalizers", metadata::finalizers_value(&finalizers));
}

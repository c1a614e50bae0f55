//! Eviction: a deletion that keeps to the pod's disruption budget.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{ApiServer, DeleteOptions, Propagation, Target, WriteOptions, pod_status};
use crate::{
    controllers::disruption,
    object::{self, at, field_mut, text},
    selector::LabelSelector,
    status::Status,
    store::{GroupResource, Key, Stored, WriteError},
};

/// More evicted pods than this may not wait for the disruption controller to see them.
const MAX_DISRUPTED_PODS: usize = 2_000;
/// When to ask again if the budget is not counted yet.
const RETRY_SECONDS: u64 = 10;
const OVER_BUDGET: &str = "Cannot evict pod as it would violate the pod's disruption budget.";
const SEVERAL_BUDGETS: &str =
    "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";

impl ApiServer {
    /// Deletes a pod if its budget lets it go, and notes it there.
    pub(super) async fn evict(
        &self,
        target: &Target,
        key: &Key,
        eviction: &Value,
        dry_run: bool,
    ) -> Result<(), Status> {
        if object::name(eviction) != key.name {
            return Err(Status::bad_request("name in URL does not match name in Eviction object"));
        }
        let mut options = delete_options(eviction.get("deleteOptions").unwrap_or(&Value::Null));
        options.dry_run |= dry_run;
        loop {
            let pod = self.store().get(key).ok_or_else(|| Status::not_found(&key.resource, &key.name))?;
            let guard = if needs_no_budget(&pod.value) { None } else { self.guard(&pod)? };
            let pinned = match &guard {
                // What was unhealthy a moment ago may be healthy by now.
                Some(Guard::Unhealthy(_)) => true,
                Some(Guard::Budget(budget)) => match self.spend(budget, &pod, options.dry_run).await {
                    Err(status) if status.code == 409 => continue,
                    spent => {
                        spent?;
                        false
                    }
                },
                None => text(&pod.value, &["status", "phase"]) == "Pending" && !object::is_deleting(&pod.value),
            };
            let deleted = self.delete_evicted(target, &pod, &options, pinned).await;
            let moved = self.store().get(key).is_some_and(|now| now.resource_version != pod.resource_version);
            match (deleted, guard) {
                (Err(status), guard) if status.code == 409 && pinned && options.resource_version.is_none() => {
                    if let Some(Guard::Unhealthy(budget)) = guard {
                        return Err(not_counted_yet(&budget.key.name));
                    }
                    // It was something else than what has changed by now that was refused.
                    if !moved {
                        return Err(status);
                    }
                }
                (deleted, _) => return deleted,
            }
        }
    }

    /// The budget that guards a pod.
    fn guard(&self, pod: &Stored) -> Result<Option<Guard>, Status> {
        let mut budgets = self.store().list(&budgets(), Some(&pod.key.namespace));
        budgets.retain(|budget| {
            let selector = at(&budget.value, &["spec", "selector"]).filter(|selector| !selector.is_null());
            selector.and_then(|it| LabelSelector::from_object(it).ok()).is_some_and(|it| it.matches(&pod.value))
        });
        let Some(budget) = budgets.pop() else { return Ok(None) };
        if !budgets.is_empty() {
            return Err(Status::new(500, "", SEVERAL_BUDGETS));
        }
        if !is_ready(&pod.value) {
            let count = |field| at(&budget.value, &["status", field]).and_then(Value::as_i64).unwrap_or_default();
            let healthy = count("currentHealthy") >= count("desiredHealthy") && count("desiredHealthy") > 0;
            if healthy || text(&budget.value, &["spec", "unhealthyPodEvictionPolicy"]) == "AlwaysAllow" {
                return Ok(Some(Guard::Unhealthy(budget)));
            }
        }
        check(&budget)?;
        Ok(Some(Guard::Budget(budget)))
    }

    /// Takes one disruption from a budget.
    async fn spend(&self, budget: &Stored, pod: &Stored, dry_run: bool) -> Result<(), Status> {
        if dry_run {
            return Ok(());
        }
        let now = self.clock().now();
        let mut spent = Value::clone(&budget.value);
        let status = field_mut(&mut spent, "status");
        let allowed = status.get("disruptionsAllowed").and_then(Value::as_i64).unwrap_or_default() - 1;
        status.insert("disruptionsAllowed".to_owned(), allowed.into());
        let disrupted = object::map_mut(status.entry("disruptedPods").or_insert(Value::Null));
        disrupted.insert(pod.key.name.clone(), crate::clock::stamp(now).into());
        if allowed == 0 {
            disruption::set_allowed(&mut spent["status"], now);
        }
        self.update_status(&budgets(), spent, &WriteOptions::manager("kube-apiserver")).await.map(drop)
    }

    /// Marks the pod as evicted and deletes it; `pinned` only as long as it is what was seen of it.
    async fn delete_evicted(
        &self,
        target: &Target,
        pod: &Stored,
        options: &DeleteOptions,
        pinned: bool,
    ) -> Result<(), Status> {
        // Admission was asked about the eviction.
        let mut options = DeleteOptions { admitted: true, ..options.clone() };
        if pinned && options.resource_version.is_none() {
            options.resource_version = Some(pod.resource_version.to_string());
        }
        if !options.dry_run {
            let marked = self.mark_evicted(target, &pod.key, &options)?;
            if options.resource_version.is_some() {
                options.resource_version = Some(marked.resource_version.to_string());
            }
        }
        self.delete_at(target, &pod.key, &options).await.map(drop)
    }

    fn mark_evicted(&self, target: &Target, key: &Key, options: &DeleteOptions) -> Result<Arc<Stored>, Status> {
        loop {
            let pod = self.store().get(key).ok_or_else(|| Status::not_found(&key.resource, &key.name))?;
            super::delete::check(&pod, target, options)?;
            let mut marked = Value::clone(&pod.value);
            let condition = json!({
                "type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI",
                "message": "Eviction API: evicting",
            });
            pod_status::set_condition(&mut marked, condition, &self.clock().stamp());
            if marked == *pod.value {
                return Ok(pod);
            }
            match self.store().put(key.clone(), marked, Some(pod.resource_version)) {
                Err(WriteError::Stale) => {}
                Err(_) => return Err(Status::not_found(&key.resource, &key.name)),
                Ok(marked) => return Ok(marked),
            }
        }
    }
}

/// What stands between a pod and its eviction.
enum Guard {
    /// A budget that has a disruption to give.
    Budget(Arc<Stored>),
    /// A budget for which this pod counts for nothing.
    Unhealthy(Arc<Stored>),
}

/// The options an eviction carries for its deletion.
fn delete_options(options: &Value) -> DeleteOptions {
    let precondition =
        |field: &str| Some(text(options, &["preconditions", field]).to_owned()).filter(|it| !it.is_empty());
    let propagation = match text(options, &["propagationPolicy"]) {
        "Orphan" => Some(Propagation::Orphan),
        "Foreground" => Some(Propagation::Foreground),
        "Background" => Some(Propagation::Background),
        _ => None,
    };
    DeleteOptions {
        uid: precondition("uid"),
        resource_version: precondition("resourceVersion"),
        propagation,
        grace_period_seconds: options.get("gracePeriodSeconds").and_then(Value::as_i64),
        dry_run: options.get("dryRun").and_then(Value::as_array).is_some_and(|dry| !dry.is_empty()),
        ..DeleteOptions::default()
    }
}

/// A pod that ended, did not start or is being deleted disrupts nothing.
fn needs_no_budget(pod: &Value) -> bool {
    object::is_deleting(pod) || matches!(text(pod, &["status", "phase"]), "Succeeded" | "Failed" | "Pending")
}

fn is_ready(pod: &Value) -> bool {
    let conditions = at(pod, &["status", "conditions"]).and_then(Value::as_array);
    let mut conditions = conditions.into_iter().flatten();
    conditions.any(|condition| text(condition, &["type"]) == "Ready" && text(condition, &["status"]) == "True")
}

/// Refuses when the budget is not counted yet or has nothing left.
fn check(budget: &Stored) -> Result<(), Status> {
    let (value, name) = (&budget.value, &budget.key.name);
    let count = |field: &str| at(value, &["status", field]).and_then(Value::as_i64).unwrap_or_default();
    if count("observedGeneration") < object::generation(value) {
        return Err(not_counted_yet(name));
    }
    let forbidden = |why: &str| {
        let resource = GroupResource::new("policy", "poddisruptionbudget");
        Err(Status::forbidden(&resource, name, why))
    };
    if count("disruptionsAllowed") < 0 {
        return forbidden("pdb disruptions allowed is negative");
    }
    let disrupted = at(value, &["status", "disruptedPods"]).and_then(Value::as_object);
    if disrupted.is_some_and(|disrupted| disrupted.len() > MAX_DISRUPTED_PODS) {
        return forbidden("DisruptedPods map too big - too many evictions not confirmed by PDB controller");
    }
    if count("disruptionsAllowed") > 0 {
        return Ok(());
    }
    Err(over_budget(0, &why_nothing_left(value, name)))
}

fn why_nothing_left(budget: &Value, name: &str) -> String {
    let count = |field: &str| at(budget, &["status", field]).and_then(Value::as_i64).unwrap_or_default();
    let conditions = at(budget, &["status", "conditions"]).and_then(Value::as_array);
    let condition = conditions.into_iter().flatten().find(|it| text(it, &["type"]) == disruption::CONDITION);
    let told = condition.filter(|it| text(it, &["status"]) == "False" && !text(it, &["message"]).is_empty());
    let told = told.map(|it| (text(it, &["reason"]), text(it, &["message"])));
    let (desired, healthy) = (count("desiredHealthy"), count("currentHealthy"));
    match told {
        Some((disruption::SYNC_FAILED, message)) => format!(
            "The disruption budget {name} does not allow evicting pods currently because it failed sync: {message}"
        ),
        _ if healthy <= desired => {
            format!("The disruption budget {name} needs {desired} healthy pods and has {healthy} currently")
        }
        Some((reason, message)) => {
            format!("The disruption budget {name} does not allow evicting pods currently ({reason}): {message}")
        }
        None => format!("The disruption budget {name} does not allow evicting pods currently"),
    }
}

fn not_counted_yet(name: &str) -> Status {
    let why = format!("The disruption budget {name} is still being processed by the server.");
    over_budget(RETRY_SECONDS, &why)
}

fn over_budget(retry_seconds: u64, why: &str) -> Status {
    Status::too_many_requests(OVER_BUDGET, retry_seconds).with_cause("DisruptionBudget", why, "")
}

fn budgets() -> GroupResource {
    GroupResource::new("policy", "poddisruptionbudgets")
}

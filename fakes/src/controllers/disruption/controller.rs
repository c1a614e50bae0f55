//! Carries out what [`count`] finds, budget by budget, whenever the budget or one of its pods changed.

use std::sync::Arc;

use serde_json::Value;

use super::{CONDITION, Observed, SYNC_FAILED, Scales, count, needs_scale};
use crate::controllers::client::{Client, Scale};
use crate::controllers::events::Notice;
use crate::controllers::object;
use crate::controllers::worker::{Change, Controller, Name, Work, name_of};
use crate::delay::{Delay, Delays};
use crate::status::Status;
use crate::store::{GroupResource, Stored};

/// Runs until the task is dropped. Every count comes `lag` after the change that made it necessary.
pub(crate) async fn run(client: Client, lag: Delay, delays: Delays) {
    let budgets = GroupResource::new("policy", "poddisruptionbudgets");
    let pods = GroupResource::new("", "pods");
    let resources = [budgets.clone(), pods.clone()];
    let controller = DisruptionController { client: client.clone(), budgets, pods };
    crate::controllers::worker::run(controller, client, &resources, lag, delays).await;
}

struct DisruptionController {
    client: Client,
    budgets: GroupResource,
    pods: GroupResource,
}

impl Controller for DisruptionController {
    const NAME: &'static str = "disruption";

    fn observe_all(&mut self, work: &mut Work) {
        for budget in self.client.store().list(&self.budgets, None) {
            work.add(name_of(&budget));
        }
    }

    fn observe(&mut self, resource: &GroupResource, change: &Change, work: &mut Work) {
        let Some(latest) = change.latest() else { return };
        if *resource == self.budgets {
            work.add(name_of(latest));
            return;
        }
        for budget in self.client.store().list(&self.budgets, Some(&latest.key.namespace)) {
            if selects(&budget, latest) {
                work.add(name_of(&budget));
            }
        }
    }

    async fn sync(&mut self, key: &Name, work: &mut Work) -> Result<(), Status> {
        let Some(budget) = self.client.store().find(&self.budgets, &key.0, &key.1) else { return Ok(()) };
        let mut pods = self.client.store().list(&self.pods, Some(&key.0));
        pods.retain(|pod| selects(&budget, pod));
        let scale = if needs_scale(&budget.value) { self.scale_of(&pods) } else { Ok(0) };
        let counted = count(&Observed {
            budget: &budget.value,
            pods: pods.iter().map(|pod| &*pod.value).collect(),
            scale,
            now: self.client.store().clock().now(),
        });
        self.tell(&budget, &pods, &counted.status).await;
        if counted.status != budget.value["status"] {
            let mut object = Value::clone(&budget.value);
            object["status"] = counted.status;
            self.client.update_status(&self.budgets, object).await?;
        }
        if let Some(delay) = counted.recheck_after {
            work.add_after(key.clone(), delay);
        }
        Ok(())
    }
}

impl DisruptionController {
    async fn tell(&self, budget: &Stored, pods: &[Arc<Stored>], status: &Value) {
        if pods.is_empty() {
            let notice = Notice::normal("NoPods", "No matching pods found".to_owned());
            self.client.tell(&budget.value, notice).await;
        }
        let mut conditions = object::list(&status["conditions"]).iter();
        let failed = conditions.find(|it| it["type"] == CONDITION && it["reason"] == SYNC_FAILED);
        if let Some(why) = failed.and_then(|condition| condition["message"].as_str()) {
            let message = format!("Failed to calculate the number of expected pods: {why}");
            self.client.tell(&budget.value, Notice::warning("CalculateExpectedPodCountFailed", message)).await;
        }
    }

    /// How many pods the owners of these want. Pods without an owner count for nothing.
    fn scale_of(&self, pods: &[Arc<Stored>]) -> Result<i64, String> {
        let mut scales = Scales::default();
        for pod in pods {
            let Some(owner) = object::owners(&pod.value).iter().find(|owner| owner["controller"] == true) else {
                continue;
            };
            if scales.knows(owner["uid"].as_str().unwrap_or_default()) {
                continue;
            }
            let scale = self.scale(owner, &pod.key.namespace)?;
            let scale = scale.ok_or_else(|| format!("found no controllers for pod {:?}", pod.key.name))?;
            scales.add(&scale.uid, scale.replicas);
        }
        Ok(scales.total())
    }

    /// What an owner wants. For a ReplicaSet of a Deployment the Deployment is asked.
    fn scale(&self, owner: &Value, namespace: &str) -> Result<Option<Scale>, String> {
        let text = |field: &str| owner[field].as_str().unwrap_or_default();
        let scale = self.client.scale(text("apiVersion"), text("kind"), namespace, text("name"))?;
        let Some(scale) = scale.filter(|scale| scale.uid == text("uid")) else { return Ok(None) };
        let is_replica_set = text("kind") == "ReplicaSet" && text("apiVersion").starts_with("apps/");
        let above = object::owners(&scale.object.value).iter().find(|above| above["controller"] == true);
        let deployment = above.filter(|above| is_replica_set && above["kind"] == "Deployment");
        let found = deployment.and_then(|above| self.scale(above, namespace).ok().flatten());
        Ok(Some(found.unwrap_or(scale)))
    }
}

fn selects(budget: &Stored, pod: &Stored) -> bool {
    object::selector(&budget.value["spec"]["selector"]).is_some_and(|selector| selector.matches(&pod.value))
}

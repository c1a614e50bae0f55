//! Carries out what [`sync`] decides, whenever an autoscaler, its target or the script changed.

use std::collections::BTreeMap;
use std::future::Future;

use serde_json::Value;

use super::notices::notices;
use super::{Observed, Proposal, Scaler, sync};
use crate::controllers::client::{Client, Scale};
use crate::controllers::worker::{Change, Controller, Name, Work, name_of};
use crate::delay::{Delay, Delays};
use crate::status::Status;
use crate::store::{GroupResource, Stored};

/// Runs until the task is dropped. Every look comes `lag` after the change that made it necessary.
pub(crate) async fn run(client: Client, scaler: Scaler, lag: Delay, delays: Delays) {
    let autoscalers = GroupResource::new("autoscaling", "horizontalpodautoscalers");
    let mut resources = vec![autoscalers.clone()];
    resources.extend(["deployments", "replicasets", "statefulsets"].map(|plural| GroupResource::new("apps", plural)));
    let proposals = BTreeMap::new();
    let controller = HpaController { client: client.clone(), scaler, autoscalers, proposals };
    crate::controllers::worker::run(controller, client, &resources, lag, delays).await;
}

struct HpaController {
    client: Client,
    scaler: Scaler,
    autoscalers: GroupResource,
    proposals: BTreeMap<Name, Vec<Proposal>>,
}

impl Controller for HpaController {
    const NAME: &'static str = "hpa";

    fn observe_all(&mut self, work: &mut Work) {
        for autoscaler in self.client.store().list(&self.autoscalers, None) {
            work.add(name_of(&autoscaler));
        }
    }

    fn observe(&mut self, resource: &GroupResource, change: &Change, work: &mut Work) {
        let Some(latest) = change.latest() else { return };
        if *resource == self.autoscalers {
            work.add(name_of(latest));
        } else if change.differs(|target| target.value["spec"]["replicas"].clone()) {
            for autoscaler in self.client.store().list(&self.autoscalers, Some(&latest.key.namespace)) {
                let target = &autoscaler.value["spec"]["scaleTargetRef"];
                if target["name"] == *latest.key.name && target["kind"] == latest.value["kind"] {
                    work.add(name_of(&autoscaler));
                }
            }
        }
    }

    fn woken(&self) -> impl Future<Output = ()> + Send + 'static {
        self.scaler.bell().notified_owned()
    }

    async fn sync(&mut self, key: &Name, work: &mut Work) -> Result<(), Status> {
        let Some(autoscaler) = self.client.store().find(&self.autoscalers, &key.0, &key.1) else {
            self.proposals.remove(key);
            return Ok(());
        };
        let target = self.target(&autoscaler);
        let before = self.proposals.get(key).cloned();
        // What the target asks for at first counts as a proposal.
        let now = self.client.store().clock().now();
        let first = target.as_ref().ok().map(|scale| (now, scale.replicas));
        let before = before.unwrap_or_else(|| first.into_iter().collect());
        let observed = Observed {
            autoscaler: &autoscaler.value,
            current: target.as_ref().map(|scale| scale.replicas).map_err(Clone::clone),
            demand: self.scaler.demanded(key),
            proposals: &before,
            now,
        };
        let plan = sync(&observed);
        let notices = notices(&observed, &plan);
        if let (Some(replicas), Ok(scale)) = (plan.rescale, &target) {
            self.client.set_scale(scale, replicas).await?;
        }
        for notice in notices {
            self.client.tell(&autoscaler.value, notice).await;
        }
        self.proposals.insert(key.clone(), plan.proposals);
        if plan.status != autoscaler.value["status"] {
            let mut object = Value::clone(&autoscaler.value);
            object["status"] = plan.status;
            self.client.update_status(&self.autoscalers, object).await?;
        }
        if let Some(delay) = plan.again_after {
            work.add_after(key.clone(), delay);
        }
        Ok(())
    }
}

impl HpaController {
    fn target(&self, autoscaler: &Stored) -> Result<Scale, String> {
        let target = &autoscaler.value["spec"]["scaleTargetRef"];
        let text = |field: &str| target[field].as_str().unwrap_or_default();
        let Some(resource) = self.client.resource_of(text("apiVersion"), text("kind")) else {
            let group = text("apiVersion").rsplit_once('/').map_or("", |(group, _)| group);
            return Err(format!("no matches for kind {:?} in group {group:?}", text("kind")));
        };
        let found = self.client.scale(text("apiVersion"), text("kind"), &autoscaler.key.namespace, text("name"))?;
        found.ok_or_else(|| format!("{} {:?} not found", resource.resource, text("name")))
    }
}

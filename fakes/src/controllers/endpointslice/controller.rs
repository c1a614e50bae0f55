//! Carries out what [`sync`] decides, Service by Service, whenever the Service, its pods or its slices changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{MANAGED_BY_LABEL, MANAGER, Observed, Plan, SERVICE_LABEL, TRIGGER_TIME, sync};
use crate::controllers::client::Client;
use crate::controllers::object;
use crate::controllers::worker::{Change, Controller, Name, Work, name_of};
use crate::delay::{Delay, Delays};
use crate::server::DeleteOptions;
use crate::status::Status;
use crate::store::{GroupResource, Key, Stored};

/// Runs until the task is dropped. Every sync comes `lag` after the change that made it necessary.
pub(crate) async fn run(client: Client, lag: Delay, delays: Delays) {
    let kinds = Kinds {
        services: GroupResource::new("", "services"),
        pods: GroupResource::new("", "pods"),
        nodes: GroupResource::new("", "nodes"),
        slices: GroupResource::new("discovery.k8s.io", "endpointslices"),
    };
    let resources = [kinds.services.clone(), kinds.pods.clone(), kinds.slices.clone()];
    let controller = EndpointSliceController { client: client.clone(), kinds, triggers: BTreeMap::new() };
    crate::controllers::worker::run(controller, client, &resources, lag, delays).await;
}

struct EndpointSliceController {
    client: Client,
    kinds: Kinds,
    /// What was known of a Service when it was last looked at.
    triggers: BTreeMap<Name, Triggers>,
}

struct Kinds {
    services: GroupResource,
    pods: GroupResource,
    nodes: GroupResource,
    slices: GroupResource,
}

/// When a Service was made, and when each of its pods last became ready or unready.
#[derive(Default)]
struct Triggers {
    service: Option<Timestamp>,
    pods: BTreeMap<String, Timestamp>,
}

impl Controller for EndpointSliceController {
    const NAME: &'static str = "endpointslice";

    fn observe_all(&mut self, work: &mut Work) {
        for service in self.client.store().list(&self.kinds.services, None) {
            work.add(name_of(&service));
        }
    }

    fn observe(&mut self, resource: &GroupResource, change: &Change, work: &mut Work) {
        if *resource == self.kinds.services {
            change.latest().into_iter().for_each(|service| work.add(name_of(service)));
        } else if *resource == self.kinds.pods {
            self.services_of(change).into_iter().for_each(|name| work.add(name));
        } else {
            let slices = [&change.old, &change.new].into_iter().flatten();
            slices.filter_map(|slice| service_of(slice)).for_each(|name| work.add(name));
        }
    }

    async fn sync(&mut self, key: &Name, _work: &mut Work) -> Result<(), Status> {
        let store = self.client.store();
        let Some(service) = store.find(&self.kinds.services, &key.0, &key.1) else {
            self.triggers.remove(key);
            return Ok(());
        };
        let Some(selector) = selector(&service.value) else { return Ok(()) };
        let pods: Vec<_> = store.list(&self.kinds.pods, Some(&key.0));
        let pods: Vec<_> = pods.into_iter().filter(|pod| selects(selector, pod)).collect();
        let trigger = self.trigger(key, &service, &pods);
        let plan = self.plan(&service, &pods);
        self.carry_out(key, &plan, trigger).await?;
        match plan.strays.first() {
            None => Ok(()),
            Some(pod) => Err(Status::new(500, "InternalError", format!("the node of pod {pod} does not exist"))),
        }
    }
}

impl EndpointSliceController {
    /// The Services that select a pod before or after its change.
    fn services_of(&self, change: &Change) -> Vec<Name> {
        let Some(pod) = change.latest() else { return Vec::new() };
        if !change.differs(endpoint_parts) {
            return Vec::new();
        }
        let selecting = |service: &Arc<Stored>| {
            let selector = selector(&service.value)?;
            let mut states = [&change.old, &change.new].into_iter().flatten();
            states.any(|pod| selects(selector, pod)).then(|| name_of(service))
        };
        self.client.store().list(&self.kinds.services, Some(&pod.key.namespace)).iter().filter_map(selecting).collect()
    }

    fn plan(&self, service: &Stored, pods: &[Arc<Stored>]) -> Plan {
        let store = self.client.store();
        let mut names: Vec<&str> = pods.iter().filter_map(|pod| pod.value["spec"]["nodeName"].as_str()).collect();
        names.sort_unstable();
        names.dedup();
        let nodes: Vec<_> = names.into_iter().filter_map(|name| store.find(&self.kinds.nodes, "", name)).collect();
        let mut slices = store.list(&self.kinds.slices, Some(&service.key.namespace));
        slices.retain(|slice| {
            service_of(slice).is_some_and(|(_, name)| name == service.key.name) && !object::is_deleting(&slice.value)
        });
        sync(&Observed {
            service: &service.value,
            pods: pods.iter().map(|pod| &*pod.value).collect(),
            nodes: nodes.iter().map(|node| &*node.value).collect(),
            slices: slices.iter().map(|slice| &*slice.value).collect(),
        })
    }

    async fn carry_out(&self, key: &Name, plan: &Plan, trigger: Option<Timestamp>) -> Result<(), Status> {
        let slices = &self.kinds.slices;
        for slice in &plan.create {
            match self.client.create(slices, annotated(slice, trigger)).await {
                Err(status) if status.has_cause("NamespaceTerminating") => return Ok(()),
                created => drop(created?),
            }
        }
        for slice in &plan.update {
            self.client.update(slices, annotated(slice, trigger)).await?;
        }
        for name in &plan.delete {
            self.client.delete(&Key::new(slices, &key.0, name), &DeleteOptions::default()).await?;
        }
        Ok(())
    }

    /// When the earliest of the changes happened that were not seen before.
    fn trigger(&mut self, key: &Name, service: &Stored, pods: &[Arc<Stored>]) -> Option<Timestamp> {
        let made = object::timestamp(&service.value["metadata"]["creationTimestamp"]);
        let ready = |pod: &Arc<Stored>| {
            let since = &object::condition(&pod.value, "Ready")?["lastTransitionTime"];
            Some((pod.key.name.clone(), object::timestamp(since)?))
        };
        let now = Triggers { service: made, pods: pods.iter().filter_map(ready).collect() };
        let Some(before) = self.triggers.get(key) else {
            self.triggers.insert(key.clone(), now);
            return made;
        };
        let of_pods = now.pods.iter().filter(|(pod, time)| before.pods.get(*pod).is_none_or(|before| *time > before));
        let of_service = now.service.filter(|time| before.service.is_none_or(|before| *time > before));
        let first = of_pods.map(|(_, time)| *time).chain(of_service).min();
        self.triggers.insert(key.clone(), now);
        first
    }
}

/// What a pod's endpoints are made of.
fn endpoint_parts(pod: &Stored) -> [Value; 6] {
    let pod = &pod.value;
    let ready = object::condition(pod, "Ready").map(|condition| condition["status"].clone());
    [
        pod["metadata"]["labels"].clone(),
        pod["metadata"]["deletionTimestamp"].is_null().into(),
        pod["status"]["podIPs"].clone(),
        pod["status"]["phase"].clone(),
        json!([pod["spec"]["nodeName"], pod["spec"]["hostname"], pod["spec"]["subdomain"]]),
        ready.unwrap_or_default(),
    ]
}

/// The Service a slice of this controller belongs to.
fn service_of(slice: &Stored) -> Option<Name> {
    let ours = object::label(&slice.value, MANAGED_BY_LABEL) == Some(MANAGER);
    let name = object::label(&slice.value, SERVICE_LABEL).filter(|name| ours && !name.is_empty())?;
    Some((slice.key.namespace.clone(), name.to_owned()))
}

/// The selector of a Service whose endpoints are made here.
fn selector(service: &Value) -> Option<&serde_json::Map<String, Value>> {
    let external = service["spec"]["type"] == "ExternalName";
    service["spec"]["selector"].as_object().filter(|selector| !external && !selector.is_empty())
}

fn selects(selector: &serde_json::Map<String, Value>, pod: &Stored) -> bool {
    selector.iter().all(|(key, value)| pod.value["metadata"]["labels"][key] == *value)
}

fn annotated(slice: &Value, trigger: Option<Timestamp>) -> Value {
    let mut slice = slice.clone();
    let annotations =
        crate::object::map_mut(crate::object::meta_mut(&mut slice).entry("annotations").or_insert(Value::Null));
    match trigger {
        Some(time) => annotations.insert(TRIGGER_TIME.to_owned(), crate::clock::stamp(time).into()),
        None => annotations.shift_remove(TRIGGER_TIME),
    };
    slice
}

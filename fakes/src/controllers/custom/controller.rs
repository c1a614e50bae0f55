//! Carries out what a [`Workload`] decides, object by object, whenever something of it changed.

use std::marker::PhantomData;
use std::sync::Arc;

use serde_json::Value;

use super::{Action, Observed, Plan, Workload};
use crate::controllers::client::Client;
use crate::controllers::object;
use crate::controllers::worker::{self, Change, Name, Work, name_of};
use crate::delay::{Delay, Delays};
use crate::server::DeleteOptions;
use crate::status::Status;
use crate::store::{GroupResource, Key, Stored};

/// Runs a controller from the moment its resource is served.
pub(crate) async fn when_served(client: &Client, resource: GroupResource, run: impl Future<Output = ()>) {
    let definitions = GroupResource::new("apiextensions.k8s.io", "customresourcedefinitions");
    let mut defined = client.store().subscribe_to(&definitions);
    while !client.serves(&resource) {
        defined.changed().await;
    }
    run.await;
}

/// Runs until the task is dropped. Every sync comes `lag` after the change that made it necessary.
pub(crate) async fn run<W: Workload>(client: Client, lag: Delay, delays: Delays) {
    let controller = Controller::<W> {
        client: client.clone(),
        own: W::resource(),
        pods: GroupResource::new("", "pods"),
        revisions: GroupResource::new("apps", "controllerrevisions"),
        related: W::related(),
        workload: PhantomData,
    };
    let mut resources = vec![controller.own.clone(), controller.pods.clone(), controller.revisions.clone()];
    resources.extend(controller.related.clone());
    let run = worker::run(controller, client.clone(), &resources, lag, delays);
    when_served(&client, W::resource(), run).await;
}

struct Controller<W> {
    client: Client,
    own: GroupResource,
    pods: GroupResource,
    revisions: GroupResource,
    related: Vec<GroupResource>,
    workload: PhantomData<fn() -> W>,
}

impl<W: Workload> worker::Controller for Controller<W> {
    const NAME: &'static str = W::NAME;

    fn observe_all(&mut self, work: &mut Work) {
        for object in self.client.store().list(&self.own, None) {
            work.add(name_of(&object));
        }
    }

    fn observe(&mut self, resource: &GroupResource, change: &Change, work: &mut Work) {
        let Some(latest) = change.latest() else { return };
        if *resource == self.own {
            return work.add(name_of(latest));
        }
        for object in self.client.store().list(&self.own, Some(&latest.key.namespace)) {
            if self.related.contains(resource) || concerns(change, &object) {
                work.add(name_of(&object));
            }
        }
    }

    async fn sync(&mut self, key: &Name, work: &mut Work) -> Result<(), Status> {
        let Some(stored) = self.client.store().find(&self.own, &key.0, &key.1) else { return Ok(()) };
        let plan = self.plan(&stored);
        let mut acted = Ok(());
        for action in plan.actions {
            acted = self.act(&stored, action).await;
            if acted.is_err() {
                break;
            }
        }
        if plan.status != stored.value["status"] {
            let mut object = Value::clone(&stored.value);
            object["status"] = plan.status;
            self.client.update_status(&self.own, object).await?;
        }
        if let Some(delay) = plan.requeue_after {
            work.add_after(key.clone(), delay);
        }
        acted
    }
}

impl<W: Workload> Controller<W> {
    fn plan(&self, stored: &Stored) -> Plan {
        let list = |resource: &GroupResource| self.client.store().list(resource, Some(&stored.key.namespace));
        let (pods, revisions) = (list(&self.pods), list(&self.revisions));
        let related: Vec<Arc<Stored>> = self.related.iter().flat_map(list).collect();
        W::sync(&Observed {
            object: &stored.value,
            pods: pods.iter().map(|stored| &*stored.value).collect(),
            revisions: revisions.iter().map(|stored| &*stored.value).collect(),
            related: related.iter().map(|stored| &*stored.value).collect(),
            now: self.client.store().clock().now(),
        })
    }

    async fn act(&self, stored: &Stored, action: Action) -> Result<(), Status> {
        let delete = async |resource: &GroupResource, name: &str| {
            let key = Key::new(resource, &stored.key.namespace, name);
            self.client.delete(&key, &DeleteOptions::default()).await
        };
        match action {
            Action::Create(object) => self.client.create(&self.resource_of(&object)?, object).await.map(drop),
            Action::Update(object) => self.client.update(&self.resource_of(&object)?, object).await.map(drop),
            Action::DeletePod(name) => delete(&self.pods, &name).await,
            Action::DeleteRevision(name) => delete(&self.revisions, &name).await,
        }
    }

    fn resource_of(&self, object: &Value) -> Result<GroupResource, Status> {
        let text = |field: &str| object[field].as_str().unwrap_or_default();
        let found = self.client.resource_of(text("apiVersion"), text("kind"));
        found.map(|found| found.stored_as.clone()).ok_or_else(Status::no_such_resource)
    }
}

/// True when an object before or after the change is controlled by the workload or selected by it.
fn concerns(change: &Change, workload: &Stored) -> bool {
    let selector = object::selector(&workload.value["spec"]["selector"]);
    [&change.old, &change.new].into_iter().flatten().any(|changed| {
        object::controller_uid(&changed.value) == Some(object::uid(&workload.value))
            || selector.as_ref().is_some_and(|selector| selector.matches(&changed.value))
    })
}

//! Carries out what [`sync`] decides, set by set, whenever something of a set changed.

use std::sync::Arc;

use serde_json::Value;

use super::{Action, Deletion, Flavour, KIND, Observed, Plan, sync};
use crate::controllers::cache::{Cache, Change, Name};
use crate::controllers::claim::{concerned, full_name};
use crate::controllers::client::Client;
use crate::controllers::events::Notice;
use crate::controllers::object;
use crate::controllers::queue::Queue;
use crate::delay::{Delay, Delays};
use crate::server::DeleteOptions;
use crate::status::Status;
use crate::store::{GroupResource, Key, Stored};

/// Runs until the task is dropped. Every sync comes `lag` after the change that made it necessary.
pub(crate) async fn run(client: Client, flavour: Flavour, lag: Delay, delays: Delays) {
    let store = client.store().clone();
    let (sets, mut sets_changed) = Cache::new(&store, flavour.resource());
    let (pods, mut pods_changed) = Cache::new(&store, GroupResource::new("", "pods"));
    let (revisions, mut revisions_changed) = Cache::new(&store, GroupResource::new("apps", "controllerrevisions"));
    let (claims, mut claims_changed) = Cache::new(&store, GroupResource::new("", "persistentvolumeclaims"));
    let queue = Queue::new(store.clock().clone());
    let mut controller = StatefulSetController { client, lag, delays, sets, pods, revisions, claims, queue };
    loop {
        controller.observe();
        while let Some(name) = controller.queue.pop() {
            let result = controller.sync(&name).await;
            if let Err(status) = &result {
                tracing::debug!("statefulset {}/{}: {status}", name.0, name.1);
            }
            controller.queue.done(name, result.is_ok());
            controller.observe();
        }
        tokio::select! {
            biased;
            _ = sets_changed.changed() => {}
            _ = pods_changed.changed() => {}
            _ = revisions_changed.changed() => {}
            _ = claims_changed.changed() => {}
            () = controller.queue.wait() => {}
        }
    }
}

struct StatefulSetController {
    client: Client,
    lag: Delay,
    delays: Delays,
    sets: Cache,
    pods: Cache,
    revisions: Cache,
    claims: Cache,
    queue: Queue<Name>,
}

impl StatefulSetController {
    /// Catches up with the store, and queues every set that a change may concern.
    fn observe(&mut self) {
        let sets = self.sets.refresh();
        let pods = self.pods.refresh();
        let revisions = self.revisions.refresh();
        let claims = self.claims.refresh();
        let mut names: Vec<Name> = sets.iter().filter_map(|change| Some(full_name(change.new.as_ref()?))).collect();
        names.extend(pods.iter().chain(&revisions).flat_map(|change| concerned(change, KIND, &self.sets)));
        names.extend(claims.iter().flat_map(|change| self.waiting(change)));
        for name in names {
            let delay = self.delays.draw(self.lag);
            self.queue.add(name, delay);
        }
    }

    /// The sets that may have waited for a claim to be gone.
    fn waiting(&self, change: &Change) -> Vec<Name> {
        let Some(claim) = change.old.as_ref().filter(|_| change.new.is_none()) else { return Vec::new() };
        let sets = self.sets.with_prefix(&claim.key.namespace, "");
        let waiting = sets.iter().filter(|set| prefixes(set).any(|prefix| claim.key.name.starts_with(&prefix)));
        waiting.map(|set| full_name(set)).collect()
    }

    async fn sync(&mut self, name: &Name) -> Result<(), Status> {
        let Some(set) = self.sets.get(name).cloned() else { return Ok(()) };
        let plan = self.plan(&set);
        let mut status = plan.status.clone();
        let mut acted = Ok(());
        for (index, action) in plan.actions.iter().enumerate() {
            acted = self.act(&set, action).await;
            if let Some(notice) = notice(&set, action, &acted) {
                self.client.tell(&set.value, notice).await;
            }
            if acted.is_err() {
                let undone = plan.actions[index..].iter();
                let undone = undone.filter(|action| matches!(action, Action::DeletePod(_, Deletion::Update))).count();
                status.current_replicas += i32::try_from(undone).unwrap_or(i32::MAX);
                break;
            }
        }
        if plan.status_changed {
            let mut object = Value::clone(&set.value);
            object["status"] = status.to_value();
            self.client.update_status(&set.key.resource, object).await?;
        }
        if let Some(delay) = plan.requeue_after {
            self.queue.add(name.clone(), delay);
        }
        acted
    }

    fn plan(&self, set: &Stored) -> Plan {
        let (namespace, uid) = (&set.key.namespace, object::uid(&set.value));
        let pods = self.pods.controlled_by(namespace, uid);
        let revisions = self.revisions.controlled_by(namespace, uid);
        let foreign = self.revisions.with_prefix(namespace, &format!("{}-", set.key.name));
        let is_foreign =
            |stored: &&Arc<Stored>| object::controller_uid(&stored.value).is_some_and(|controller| controller != uid);
        let claims: Vec<_> = prefixes(set).flat_map(|prefix| self.claims.with_prefix(namespace, &prefix)).collect();
        sync(&Observed {
            set: &set.value,
            pods: pods.iter().map(|stored| &*stored.value).collect(),
            revisions: revisions.iter().map(|stored| &*stored.value).collect(),
            foreign_revisions: foreign.iter().filter(is_foreign).map(|stored| &*stored.value).collect(),
            claims: claims.iter().map(|stored| &*stored.value).collect(),
            now: self.client.store().clock().now(),
        })
    }

    async fn act(&self, set: &Stored, action: &Action) -> Result<(), Status> {
        let (pods, revisions) = (GroupResource::new("", "pods"), GroupResource::new("apps", "controllerrevisions"));
        let claims = GroupResource::new("", "persistentvolumeclaims");
        let key = |resource: &GroupResource, name: &str| Key::new(resource, &set.key.namespace, name);
        match action {
            Action::CreateRevision(revision) => self.client.create(&revisions, revision.clone()).await.map(drop),
            Action::UpdateRevision(revision) => self.client.update(&revisions, revision.clone()).await.map(drop),
            Action::DeleteRevision(name) => self.client.delete(&key(&revisions, name), &DeleteOptions::default()).await,
            Action::CreateClaim(claim) => self.client.create(&claims, claim.clone()).await.map(drop),
            Action::UpdateClaim(claim) => self.client.update(&claims, claim.clone()).await.map(drop),
            Action::CreatePod(pod) => self.client.create(&pods, pod.clone()).await.map(drop),
            Action::UpdatePod(pod) => self.client.update(&pods, pod.clone()).await.map(drop),
            Action::DeletePod(name, _) => self.client.delete(&key(&pods, name), &DeleteOptions::default()).await,
        }
    }
}

/// What there is to say of an action.
fn notice(set: &Stored, action: &Action, acted: &Result<(), Status>) -> Option<Notice> {
    let (reasons, what, end) = match action {
        Action::CreatePod(pod) => {
            (["SuccessfulCreate", "FailedCreate"], format!("Create Pod {}", object::name(pod)), "successful")
        }
        Action::DeletePod(name, _) => {
            (["SuccessfulDelete", "FailedDelete"], format!("Delete Pod {name}"), "successful")
        }
        Action::CreateClaim(claim) => {
            let claim = object::name(claim);
            let pod = prefixes(set).find_map(|prefix| {
                let ordinal = claim.strip_prefix(&prefix)?;
                Some(format!("{}-{ordinal}", set.key.name))
            });
            let whose = if acted.is_ok() { "Pod" } else { "for Pod" };
            let what = format!("Create Claim {claim} {whose} {}", pod.unwrap_or_default());
            (["SuccessfulCreate", "FailedCreate"], what, "success")
        }
        _ => return None,
    };
    let what = format!("{what} in StatefulSet {}", set.key.name);
    match acted {
        Ok(()) => Some(Notice::normal(reasons[0], format!("{what} {end}"))),
        Err(status) if status.reason == "AlreadyExists" => None,
        Err(status) => Some(Notice::warning(reasons[1], format!("{what} failed error: {}", status.message))),
    }
}

/// What the names of a set's claims begin with, one for each template.
fn prefixes(set: &Stored) -> impl Iterator<Item = String> {
    let templates = object::list(&set.value["spec"]["volumeClaimTemplates"]).iter();
    templates.map(|template| format!("{}-{}-", object::name(template), set.key.name))
}

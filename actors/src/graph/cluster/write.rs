//! One write to an API server, and what came of it.

use std::sync::Arc;

use k8s_openapi::{
    api::{
        apps::v1::ControllerRevision,
        core::v1::{Event, EventSource, ObjectReference, Pod},
    },
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time},
};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams, Preconditions},
    core::response::Status,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{REQUEST_TIMEOUT, watch::TimedOut};
use crate::{
    api::{
        self,
        keys::{FIELD_MANAGER, FINALIZER_CANARY_RELEASE, LABEL_CANARY_RESOURCE},
    },
    decide::{canary::SUFFIX, patch, patch::merge_patch},
    graph::{
        effects::{Context, within},
        project::{Projected, project, set_template},
        subject::Subject,
    },
    intent::{BackendWrite, CanaryGoal, HubKind, HubWrite, Notice},
    view::{ObjectKey, Pod as PodView, RouteKind, Workload},
    workloads::{WorkloadKind, canary, template_hash},
};

/// A write.
#[derive(Clone, Debug)]
pub(crate) enum Request {
    /// To one of our objects.
    Hub(HubWrite),
    /// A merge patch of a workload, guarded by the resourceVersion in it; with the template of an earlier revision laid
    /// over it, if one is named.
    Workload { kind: WorkloadKind, key: ObjectKey, patch: Value, restore: Option<String> },
    /// Makes a workload's canary, or brings it up to date.
    Canary { kind: WorkloadKind, key: ObjectKey, canary: CanaryGoal },
    /// Deletes a canary, our finalizer first, if it is still this one.
    Discard(Arc<Workload>),
    /// Deletes a pod, if it is still as it was.
    DeletePod(Arc<PodView>),
    /// A merge patch of a Deployment's ReplicaSet, guarded by the resourceVersion in it.
    ReplicaSet { subject: Subject, key: ObjectKey, patch: Value },
    /// A JSON Patch of a route, with tests of what was read.
    Route { kind: RouteKind, key: ObjectKey, patch: Value },
    /// To a fork of a backend, or a canary Ingress; `subject` shows it.
    Backend { subject: Subject, write: BackendWrite },
    /// An event about one of our objects.
    Notice(Notice),
}

impl Request {
    /// The watch that shows what is written.
    pub(crate) fn subject(&self) -> Option<Subject> {
        match self {
            Self::Hub(write) => Some(write.target().0.into()),
            Self::Discard(workload) => Some(Subject::Workloads { kind: workload.kind }),
            Self::Workload { kind, .. } | Self::Canary { kind, .. } => Some(Subject::Workloads { kind: *kind }),
            Self::ReplicaSet { subject, .. } => Some(subject.clone()),
            Self::Route { kind, key, .. } => Some(Subject::Routes { kind: *kind, namespace: key.namespace.clone() }),
            Self::Backend { subject, .. } => Some(subject.clone()),
            // Which watch shows the pod is its workload's to know.
            Self::DeletePod(_) | Self::Notice(_) => None,
        }
    }
}

/// What came of a write.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    /// It landed, and this is the object now.
    Done(Projected),
    /// The object is gone, as asked.
    Deleted { key: ObjectKey, uid: String },
    /// It landed, and there is no more to say.
    Noted,
    /// It was decided on an old version; this is the object as it is.
    Conflict(Option<Projected>),
    /// There is no such object.
    NotFound(String),
    /// The API server finds it wrong.
    Invalid(String),
    /// We may not.
    Forbidden(String),
    /// No answer, or none that says what happened: it may have landed.
    Unreachable(String),
}

impl Outcome {
    /// Whether the write landed, and if not, why.
    pub(crate) fn error(&self) -> Option<String> {
        match self {
            Self::Done(_) | Self::Deleted { .. } | Self::Noted => None,
            Self::Conflict(_) => Some("the object was changed meanwhile".to_owned()),
            Self::NotFound(message)
            | Self::Invalid(message)
            | Self::Forbidden(message)
            | Self::Unreachable(message) => Some(message.clone()),
        }
    }
}

/// Whether an error is an answer of a server that works.
pub(super) fn is_answer(error: &kube::Error) -> bool {
    match error {
        kube::Error::Api(status) => status.code < 500 && status.code != 429,
        // Something came back, though nothing we can read.
        kube::Error::SerdeError(_) => true,
        _ => false,
    }
}

/// Performs `request` and waits for its answer, no longer than the limit for each of its requests.
pub(super) async fn perform(context: &Context, client: &Client, cluster: &str, request: &Request) -> Outcome {
    let writer = Writer { context, client, cluster };
    match request {
        Request::Hub(HubWrite::Patch { kind, key, patch }) => writer.patch(&(*kind).into(), key, patch, false).await,
        Request::Hub(HubWrite::PatchStatus { kind, key, patch }) => {
            writer.patch(&(*kind).into(), key, patch, true).await
        }
        Request::Hub(HubWrite::Create { kind, key, object }) => writer.create(*kind, key, object).await,
        Request::Hub(HubWrite::Delete { kind, key, uid, resource_version }) => {
            writer.delete(&(*kind).into(), key, uid, resource_version).await
        }
        Request::Workload { kind, key, patch, restore } => {
            let subject = Subject::Workloads { kind: *kind };
            match restore {
                None => writer.patch(&subject, key, patch, false).await,
                Some(revision) => writer.restore(&subject, key, patch, revision).await,
            }
        }
        Request::Canary { kind, key, canary } => writer.canary(*kind, key, canary).await,
        Request::Discard(workload) => writer.discard(workload).await,
        Request::DeletePod(pod) => writer.delete_pod(pod).await,
        Request::ReplicaSet { subject, key, patch } => writer.patch(subject, key, patch, false).await,
        Request::Route { kind, key, patch } => writer.route(*kind, key, patch).await,
        Request::Backend { subject, write } => writer.backend(subject, write).await,
        Request::Notice(notice) => writer.record(notice).await,
    }
}

struct Writer<'a> {
    context: &'a Context,
    client: &'a Client,
    cluster: &'a str,
}

impl Writer<'_> {
    async fn patch(&self, subject: &Subject, key: &ObjectKey, patch: &Value, status: bool) -> Outcome {
        let api = subject.namespaced(self.client.clone(), &key.namespace);
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let patch = Patch::Merge(patch);
        let answer = if status {
            self.limit(api.patch_status(&key.name, &params, &patch)).await
        } else {
            self.limit(api.patch(&key.name, &params, &patch)).await
        };
        match answer {
            Ok(object) => self.done(subject, object),
            Err(Failure::Conflict) => self.conflict(subject, key).await,
            Err(failure) => failure.into(),
        }
    }

    /// Patches the workload with the template of an earlier revision beside what `patch` says. The template is laid over
    /// the one that is there now, whole, so that nothing of the newer one stays.
    async fn restore(&self, subject: &Subject, key: &ObjectKey, patch: &Value, revision: &str) -> Outcome {
        let api = subject.namespaced(self.client.clone(), &key.namespace);
        let workload = match self.limit(api.get(&key.name)).await {
            Ok(workload) => workload,
            Err(failure) => return failure.into(),
        };
        let (holder, stable) = match subject {
            Subject::Workloads { kind: WorkloadKind::Deployment } => {
                ("replicaset", self.replica_set(&workload, key, revision).await)
            }
            _ => ("controllerrevision", self.controller_revision(key, revision).await),
        };
        match stable {
            Ok(stable) => match with_template(patch, &workload.data, &stable) {
                Ok(patch) => self.patch(subject, key, &patch, false).await,
                Err(why) => Outcome::Invalid(format!("{holder} {}/{revision}: {why}", key.namespace)),
            },
            Err(Failure::NotFound(_)) => {
                // Whoever puts the template back finds the workload parked at least.
                if patch.get("spec").is_some()
                    && let Outcome::Conflict(current) = self.patch(subject, key, patch, false).await
                {
                    return Outcome::Conflict(current);
                }
                Outcome::Invalid(format!(
                    "{holder} {}/{revision}, which holds the stable template, is gone: put that template back yourself",
                    key.namespace
                ))
            }
            Err(failure) => failure.into(),
        }
    }

    async fn controller_revision(&self, key: &ObjectKey, revision: &str) -> Result<Value, Failure> {
        let revisions: Api<ControllerRevision> = Api::namespaced(self.client.clone(), &key.namespace);
        let found = self.limit(revisions.get(revision)).await?;
        let template = found.data.as_ref().and_then(|data| data.0.pointer("/spec/template"));
        Ok(template.cloned().unwrap_or(Value::Null))
    }

    /// The template of the Deployment's ReplicaSet whose template has that hash.
    async fn replica_set(&self, workload: &DynamicObject, key: &ObjectKey, hash: &str) -> Result<Value, Failure> {
        let selector = String::new();
        let subject = Subject::ReplicaSets { namespace: key.namespace.clone(), selector };
        let sets =
            self.limit(subject.namespaced(self.client.clone(), &key.namespace).list(&ListParams::default())).await?;
        let own = sets.items.into_iter().filter(|set| controller_uid(&set.metadata) == workload.metadata.uid);
        let mut templates = own.map(|set| set_template(&set));
        templates.find(|template| template_hash(template) == hash).ok_or(Failure::NotFound(hash.to_owned()))
    }

    /// Copies the workload as it is now. A copy that is there already is changed into the one that is wanted.
    async fn canary(&self, kind: WorkloadKind, key: &ObjectKey, goal: &CanaryGoal) -> Outcome {
        let subject = Subject::Workloads { kind };
        let api = subject.namespaced(self.client.clone(), &key.namespace);
        let name = format!("{}{SUFFIX}", key.name);
        let workload = match self.limit(api.get(&key.name)).await {
            Ok(workload) => json!(workload),
            Err(failure) => return failure.into(),
        };
        let wanted = canary::copy(kind, &workload, &name, goal);
        let copy = match self.limit(api.get(&name)).await {
            Ok(copy) => copy,
            Err(Failure::NotFound(_)) => return self.create_copy(&subject, key, &wanted).await,
            Err(failure) => return failure.into(),
        };
        if !copy.labels().contains_key(LABEL_CANARY_RESOURCE) {
            let noun = kind.noun();
            return Outcome::Invalid(format!("{noun} {}/{name} exists and is no canary: rename it", key.namespace));
        }
        match canary::refresh(&json!(copy), &wanted) {
            None => self.done(&subject, copy),
            Some(patch) => {
                let key = ObjectKey { namespace: key.namespace.clone(), name };
                self.patch(&subject, &key, &patch, false).await
            }
        }
    }

    async fn create_copy(&self, subject: &Subject, key: &ObjectKey, copy: &Value) -> Outcome {
        let object: DynamicObject = match serde_json::from_value(copy.clone()) {
            Ok(object) => object,
            Err(error) => return Outcome::Invalid(format!("the canary of {key} is no object: {error}")),
        };
        let api = subject.namespaced(self.client.clone(), &key.namespace);
        let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        match self.limit(api.create(&params, &object)).await {
            Ok(object) => self.done(subject, object),
            Err(failure) => failure.into(),
        }
    }

    async fn discard(&self, workload: &Workload) -> Outcome {
        let subject = Subject::Workloads { kind: workload.kind };
        let (key, uid) = (&workload.key, &workload.uid);
        let api = subject.namespaced(self.client.clone(), &key.namespace);
        let gone = || Outcome::Deleted { key: key.clone(), uid: uid.clone() };
        let mut copy = match self.limit(api.get(&key.name)).await {
            Ok(copy) if copy.metadata.uid.as_ref() == Some(uid) => copy,
            Ok(_) | Err(Failure::NotFound(_)) => return gone(),
            Err(failure) => return failure.into(),
        };
        let mut finalizers = copy.metadata.finalizers.clone().unwrap_or_default();
        let before = finalizers.len();
        finalizers.retain(|finalizer| finalizer != FINALIZER_CANARY_RELEASE);
        if finalizers.len() < before {
            let version = copy.metadata.resource_version.as_deref().unwrap_or_default();
            let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
            let patch = patch::finalizers(version, &finalizers);
            copy = match self.limit(api.patch(&key.name, &params, &Patch::Merge(patch))).await {
                Ok(copy) => copy,
                Err(Failure::NotFound(_)) => return gone(),
                Err(Failure::Conflict) => return self.conflict(&subject, key).await,
                Err(failure) => return failure.into(),
            };
        }
        if copy.metadata.deletion_timestamp.is_some() {
            return self.done(&subject, copy);
        }
        // It stays until its pods are gone: they have the labels that the user's own backend selects.
        let preconditions = Preconditions { uid: Some(uid.clone()), resource_version: None };
        let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::foreground() };
        match self.limit(api.delete(&key.name, &params)).await {
            Ok(answer) => answer.either(|object| self.done(&subject, object), |_| gone()),
            Err(Failure::NotFound(_) | Failure::Conflict) => gone(),
            Err(failure) => failure.into(),
        }
    }

    async fn delete_pod(&self, pod: &PodView) -> Outcome {
        let (uid, resource_version) = (Some(pod.uid.clone()), Some(pod.resource_version.clone()));
        let preconditions = Preconditions { uid, resource_version };
        let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
        let api: Api<Pod> = Api::namespaced(self.client.clone(), &pod.key.namespace);
        match self.limit(api.delete(&pod.key.name, &params)).await {
            // A pod that has changed may serve by now, and its watch will tell.
            Ok(_) | Err(Failure::NotFound(_) | Failure::Conflict) => Outcome::Noted,
            Err(failure) => failure.into(),
        }
    }

    /// What exists already under our deterministic name is this object, if it has the same controller.
    async fn create(&self, kind: HubKind, key: &ObjectKey, object: &Value) -> Outcome {
        self.create_as(&Subject::from(kind), &kind.kind().to_ascii_lowercase(), key, object).await
    }

    async fn create_as(&self, subject: &Subject, noun: &str, key: &ObjectKey, object: &Value) -> Outcome {
        let object: DynamicObject = match serde_json::from_value(object.clone()) {
            Ok(object) => object,
            Err(error) => return Outcome::Invalid(format!("{noun} {key} is no object: {error}")),
        };
        let owner = controller_uid(&object.metadata);
        let api = subject.namespaced(self.client.clone(), &key.namespace);
        let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        match self.limit(api.create(&params, &object)).await {
            Ok(object) => self.done(subject, object),
            Err(Failure::Conflict) => match self.limit(api.get(&key.name)).await {
                Ok(current) if owner.is_some() && controller_uid(&current.metadata) == owner => {
                    self.done(subject, current)
                }
                Ok(_) => {
                    Outcome::Invalid(format!("{noun} {key} exists and has another controller; delete or rename it"))
                }
                Err(failure) => failure.into(),
            },
            Err(failure) => failure.into(),
        }
    }

    /// What a test of the patch refuses is a conflict like any other, though the API server calls it unprocessable.
    async fn route(&self, kind: RouteKind, key: &ObjectKey, patch: &Value) -> Outcome {
        let subject = Subject::Routes { kind, namespace: key.namespace.clone() };
        let api = subject.namespaced(self.client.clone(), &key.namespace);
        let operations = match serde_json::from_value(patch.clone()) {
            Ok(operations) => operations,
            Err(error) => return Outcome::Invalid(format!("the patch of {key} is no JSON Patch: {error}")),
        };
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let patch: Patch<()> = Patch::Json(operations);
        let invalid = match self.limit(api.patch(&key.name, &params, &patch)).await {
            Ok(object) => return self.done(&subject, object),
            Err(Failure::Conflict) => return self.conflict(&subject, key).await,
            Err(Failure::Invalid(message)) => message,
            Err(failure) => return failure.into(),
        };
        match self.limit(api.get(&key.name)).await {
            Ok(current) if !tests(&patch, current.metadata.resource_version.as_deref()) => {
                Outcome::Conflict(project(self.cluster, &subject, current).ok())
            }
            Ok(_) => Outcome::Invalid(invalid),
            Err(failure) => failure.into(),
        }
    }

    async fn backend(&self, subject: &Subject, write: &BackendWrite) -> Outcome {
        match write {
            BackendWrite::Create { key, object } => {
                self.create_as(subject, &subject.resource().kind.to_ascii_lowercase(), key, object).await
            }
            BackendWrite::Patch { key, patch } => self.patch(subject, key, patch, false).await,
            BackendWrite::Delete { key, uid, resource_version } => {
                self.delete(subject, key, uid, resource_version).await
            }
        }
    }

    async fn delete(&self, subject: &Subject, key: &ObjectKey, uid: &str, resource_version: &str) -> Outcome {
        let preconditions =
            Preconditions { uid: Some(uid.to_owned()), resource_version: Some(resource_version.to_owned()) };
        let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
        let api = subject.namespaced(self.client.clone(), &key.namespace);
        let gone = || Outcome::Deleted { key: key.clone(), uid: uid.to_owned() };
        match self.limit(api.delete(&key.name, &params)).await {
            // An object that comes back has finalizers to wait for.
            Ok(answer) => answer.either(|object| self.done(subject, object), |_| gone()),
            Err(Failure::NotFound(_)) => gone(),
            Err(Failure::Conflict) => self.conflict(subject, key).await,
            Err(failure) => failure.into(),
        }
    }

    /// An event with a name made from what it says, so that saying it twice records it once.
    async fn record(&self, notice: &Notice) -> Outcome {
        let api: Api<Event> = Api::namespaced(self.client.clone(), &notice.key.namespace);
        let event = event(notice, Time(self.context.now()));
        match self.limit(api.create(&PostParams::default(), &event)).await {
            Ok(_) | Err(Failure::Conflict) => Outcome::Noted,
            Err(failure) => {
                tracing::debug!(cluster = self.cluster, object = %notice.key, ?failure, "event could not be recorded");
                failure.into()
            }
        }
    }

    /// After a conflict the object is read, so that the next decision is taken on what it is now.
    async fn conflict(&self, subject: &Subject, key: &ObjectKey) -> Outcome {
        let api = subject.namespaced(self.client.clone(), &key.namespace);
        match self.limit(api.get(&key.name)).await {
            Ok(object) => Outcome::Conflict(project(self.cluster, subject, object).ok()),
            Err(Failure::Unreachable(message)) => Outcome::Unreachable(message),
            Err(_) => Outcome::Conflict(None),
        }
    }

    fn done(&self, subject: &Subject, object: DynamicObject) -> Outcome {
        project(self.cluster, subject, object).map_or(Outcome::Noted, Outcome::Done)
    }

    async fn limit<T>(&self, work: impl Future<Output = kube::Result<T>>) -> Result<T, Failure> {
        match within(&self.context.clock(), REQUEST_TIMEOUT, work).await {
            Some(result) => result.map_err(Failure::from),
            None => Err(Failure::Unreachable(TimedOut.to_string())),
        }
    }
}

/// Why a request failed.
#[derive(Debug)]
enum Failure {
    Conflict,
    NotFound(String),
    Invalid(String),
    Forbidden(String),
    Unreachable(String),
}

impl From<kube::Error> for Failure {
    fn from(error: kube::Error) -> Self {
        let kube::Error::Api(status) = &error else { return Self::Unreachable(error.to_string()) };
        let message = message(status);
        match status.code {
            409 => Self::Conflict,
            404 => Self::NotFound(message),
            401 | 403 => Self::Forbidden(message),
            429 | 500.. | 0 => Self::Unreachable(message),
            _ => Self::Invalid(message),
        }
    }
}

impl From<Failure> for Outcome {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Conflict => Self::Conflict(None),
            Failure::NotFound(message) => Self::NotFound(message),
            Failure::Invalid(message) => Self::Invalid(message),
            Failure::Forbidden(message) => Self::Forbidden(message),
            Failure::Unreachable(message) => Self::Unreachable(message),
        }
    }
}

fn message(status: &Status) -> String {
    if status.message.is_empty() { format!("{} {}", status.code, status.reason) } else { status.message.clone() }
}

fn controller_uid(meta: &ObjectMeta) -> Option<String> {
    let owners = meta.owner_references.as_deref().unwrap_or_default();
    owners.iter().find(|owner| owner.controller == Some(true)).map(|owner| owner.uid.clone())
}

/// Whether the patch tests for this version.
fn tests(patch: &Patch<()>, version: Option<&str>) -> bool {
    let Patch::Json(operations) = patch else { return false };
    operations.iter().any(|operation| match operation {
        json_patch::PatchOperation::Test(test) => {
            test.path == "/metadata/resourceVersion" && test.value.as_str() == version
        }
        _ => false,
    })
}

fn event(notice: &Notice, now: Time) -> Event {
    let Notice { kind, key, uid, warning, reason, message } = notice;
    Event {
        metadata: ObjectMeta {
            name: Some(format!("{}.{}", key.name, digest(&[uid, reason, message]))),
            namespace: Some(key.namespace.clone()),
            ..ObjectMeta::default()
        },
        involved_object: ObjectReference {
            api_version: Some(api::API_VERSION.to_owned()),
            kind: Some(kind.kind().to_owned()),
            namespace: Some(key.namespace.clone()),
            name: Some(key.name.clone()),
            uid: Some(uid.clone()),
            ..ObjectReference::default()
        },
        type_: Some(if *warning { "Warning" } else { "Normal" }.to_owned()),
        reason: Some(reason.clone()),
        message: Some(message.clone()),
        source: Some(EventSource { component: Some(FIELD_MANAGER.to_owned()), host: None }),
        reporting_component: Some(FIELD_MANAGER.to_owned()),
        first_timestamp: Some(now.clone()),
        last_timestamp: Some(now),
        count: Some(1),
        ..Event::default()
    }
}

/// The merge patch that gives a workload the template of a revision beside what `patch` says.
fn with_template(patch: &Value, workload: &Value, stable: &Value) -> Result<Value, &'static str> {
    let template = stable.as_object();
    let mut template = template.ok_or("has no data.spec.template: put the stable template back yourself")?.clone();
    // Controllers write down how the template is to be laid over another one.
    template.remove("$patch");
    let change = merge_patch(&workload["spec"]["template"], &Value::Object(template));
    let mut patch = patch.clone();
    if let Some(change) = change {
        json_merge(&mut patch, &json!({ "spec": { "template": change } }));
    }
    Ok(patch)
}

/// Puts what is new into a patch. Nulls are instructions here and stay.
fn json_merge(patch: &mut Value, more: &Value) {
    match (patch, more) {
        (Value::Object(patch), Value::Object(more)) => {
            for (key, value) in more {
                json_merge(patch.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (patch, more) => *patch = more.clone(),
    }
}

/// Sixteen hexadecimal digits that differ where the parts differ.
fn digest(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_le_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().iter().take(8).fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

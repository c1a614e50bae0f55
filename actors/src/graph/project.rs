//! From an API object to the small value the graph keeps of it. Pure.

mod multicluster;
mod traffic;

use std::sync::Arc;

use k8s_openapi::{
    api::{apps::v1 as apps, core::v1 as core},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{ResourceExt, api::DynamicObject};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::subject::Subject;
use crate::{
    api::{BackendRouting, Rollout, RolloutRun, RolloutStrategy, ScaleRun, TrafficTopology, keys},
    view::{Backend, Endpoints, Export, Import, ObjectKey, Pod, ReplicaSet, Route, Workload},
    workloads::{ReadError, template_hash},
};

/// An object as the graph keeps it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Projected {
    Rollout(Arc<Rollout>),
    RolloutRun(Arc<RolloutRun>),
    RolloutStrategy(Arc<RolloutStrategy>),
    ScaleRun(Arc<ScaleRun>),
    TrafficTopology(Arc<TrafficTopology>),
    BackendRouting(Arc<BackendRouting>),
    Workload(Arc<Workload>),
    Pod(Arc<Pod>),
    ReplicaSet(Arc<ReplicaSet>),
    Route(Arc<Route>),
    Backend(Arc<Backend>),
    Endpoints(Arc<Endpoints>),
    Export(Arc<Export>),
    Import(Arc<Import>),
}

impl Projected {
    /// Its namespace and name, uid, and resourceVersion.
    pub(crate) fn identity(&self) -> (ObjectKey, String, String) {
        let of = |meta: &ObjectMeta| {
            (key(meta), meta.uid.clone().unwrap_or_default(), meta.resource_version.clone().unwrap_or_default())
        };
        match self {
            Self::Rollout(object) => of(&object.metadata),
            Self::RolloutRun(object) => of(&object.metadata),
            Self::RolloutStrategy(object) => of(&object.metadata),
            Self::ScaleRun(object) => of(&object.metadata),
            Self::TrafficTopology(object) => of(&object.metadata),
            Self::BackendRouting(object) => of(&object.metadata),
            Self::Workload(object) => (object.key.clone(), object.uid.clone(), object.resource_version.clone()),
            Self::ReplicaSet(object) => (object.key.clone(), object.uid.clone(), object.resource_version.clone()),
            Self::Pod(object) => (object.key.clone(), object.uid.clone(), object.resource_version.clone()),
            Self::Route(object) => (object.key.clone(), object.uid.clone(), object.resource_version.clone()),
            Self::Backend(object) => (object.key.clone(), object.uid.clone(), object.resource_version.clone()),
            Self::Endpoints(object) => (object.key.clone(), object.uid.clone(), object.resource_version.clone()),
            Self::Export(object) => (object.key.clone(), object.uid.clone(), object.resource_version.clone()),
            Self::Import(object) => (object.key.clone(), object.uid.clone(), object.resource_version.clone()),
        }
    }

    /// Whether this is an earlier state of the very object that `known` shows, as far as versions are numbers.
    pub(crate) fn precedes(&self, known: &Self) -> bool {
        let ((_, uid, version), (_, known_uid, known_version)) = (self.identity(), known.identity());
        let numbers = (version.parse::<u64>(), known_version.parse::<u64>());
        uid == known_uid && matches!(numbers, (Ok(version), Ok(known)) if version < known)
    }
}

/// Why an object cannot be read. The rest of its kind still can.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProjectError {
    #[error("it does not parse as {kind}: {source}; correct the field, or update the CRD that let it in")]
    Parse { kind: String, source: serde_json::Error },
    #[error(transparent)]
    Workload(#[from] ReadError),
}

/// Reads `object`, which a watch of `subject` in `cluster` has shown.
pub(crate) fn project(cluster: &str, subject: &Subject, object: DynamicObject) -> Result<Projected, ProjectError> {
    Ok(match subject {
        Subject::Rollouts => Projected::Rollout(Arc::new(parse(subject, object)?)),
        Subject::RolloutRuns => Projected::RolloutRun(Arc::new(parse(subject, object)?)),
        Subject::RolloutStrategies => Projected::RolloutStrategy(Arc::new(parse(subject, object)?)),
        Subject::ScaleRuns => Projected::ScaleRun(Arc::new(parse(subject, object)?)),
        Subject::TrafficTopologies => Projected::TrafficTopology(Arc::new(parse(subject, object)?)),
        Subject::BackendRoutings => Projected::BackendRouting(Arc::new(parse(subject, object)?)),
        Subject::Workloads { kind } => Projected::Workload(Arc::new(kind.read(cluster, &object)?)),
        Subject::Pods { .. } => Projected::Pod(Arc::new(pod(&parse(subject, object)?))),
        Subject::ReplicaSets { .. } => {
            let template = set_template(&object);
            Projected::ReplicaSet(Arc::new(replica_set(&template, &parse(subject, object)?)))
        }
        Subject::Routes { kind, .. } => Projected::Route(Arc::new(traffic::route(*kind, &object))),
        Subject::Services { .. } | Subject::InferencePools { .. } => {
            Projected::Backend(Arc::new(traffic::backend(&subject.resource(), &object)))
        }
        Subject::EndpointSlices { .. } => Projected::Endpoints(Arc::new(traffic::endpoints(&parse(subject, object)?))),
        Subject::ServiceExports { .. } => Projected::Export(Arc::new(multicluster::export(&object))),
        Subject::ServiceImports { .. } => Projected::Import(Arc::new(multicluster::import(&object))),
    })
}

/// Namespace and name of an object.
pub(crate) fn key(meta: &ObjectMeta) -> ObjectKey {
    ObjectKey { namespace: meta.namespace.clone().unwrap_or_default(), name: meta.name.clone().unwrap_or_default() }
}

fn parse<K: DeserializeOwned>(subject: &Subject, object: DynamicObject) -> Result<K, ProjectError> {
    serde_json::to_value(object)
        .and_then(serde_json::from_value)
        .map_err(|source| ProjectError::Parse { kind: subject.resource().kind, source })
}

/// A ReplicaSet's template as its Deployment has it, which is without one label. As it was sent: what a typed binding makes
/// of it could be another one.
pub(crate) fn set_template(set: &DynamicObject) -> Value {
    let mut template = set.data["spec"]["template"].clone();
    if let Some(labels) = template.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
        labels.remove(keys::LABEL_POD_TEMPLATE_HASH);
    }
    template
}

fn replica_set(template: &Value, set: &apps::ReplicaSet) -> ReplicaSet {
    let (spec, status) = (set.spec.clone().unwrap_or_default(), set.status.clone().unwrap_or_default());
    let told = set.annotations().get(keys::ANNOTATION_DESIRED_REPLICAS);
    ReplicaSet {
        key: key(&set.metadata),
        uid: set.uid().unwrap_or_default(),
        resource_version: set.resource_version().unwrap_or_default(),
        owner_uid: controller_uid(&set.metadata),
        template_hash: template_hash(template),
        replicas: spec.replicas.unwrap_or(1),
        available: status.available_replicas.unwrap_or(0),
        min_ready_seconds: spec.min_ready_seconds.unwrap_or(0),
        observed: status.observed_generation >= set.metadata.generation,
        told_desired: told.and_then(|text| text.parse().ok()),
    }
}

fn controller_uid(meta: &ObjectMeta) -> String {
    let owner = meta.owner_references.iter().flatten().find(|owner| owner.controller == Some(true));
    owner.map(|owner| owner.uid.clone()).unwrap_or_default()
}

fn pod(pod: &core::Pod) -> Pod {
    let status = pod.status.clone().unwrap_or_default();
    let ready = status.conditions.iter().flatten().find(|condition| condition.type_ == "Ready");
    let since =
        ready.filter(|condition| condition.status == "True").and_then(|ready| ready.last_transition_time.as_ref());
    Pod {
        key: key(&pod.metadata),
        uid: pod.uid().unwrap_or_default(),
        resource_version: pod.resource_version().unwrap_or_default(),
        owner_uid: controller_uid(&pod.metadata),
        revision: pod.labels().get(keys::LABEL_CONTROLLER_REVISION_HASH).cloned().unwrap_or_default(),
        template_label: pod.labels().get(keys::LABEL_POD_TEMPLATE_HASH).cloned(),
        ready_since: since.map(|time| time.0),
        terminating: pod.metadata.deletion_timestamp.is_some(),
        trouble: trouble(&status),
    }
}

/// Why the pod failed as a whole, or the first reason why a container waits, other than the two every healthy pod starts
/// with.
fn trouble(status: &core::PodStatus) -> Option<String> {
    if status.phase.as_deref() == Some("Failed") {
        return Some(status.reason.clone().unwrap_or_else(|| "Failed".to_owned()));
    }
    let containers = status.init_container_statuses.iter().chain(&status.container_statuses).flatten();
    let mut reasons = containers.filter_map(|container| container.state.as_ref()?.waiting.as_ref()?.reason.clone());
    reasons.find(|reason| reason != "ContainerCreating" && reason != "PodInitializing")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::workloads::WorkloadKind;

    const STATEFULSETS: Subject = Subject::Workloads { kind: WorkloadKind::StatefulSet };

    fn read(subject: &Subject, object: Value) -> Result<Projected, ProjectError> {
        project("east", subject, serde_json::from_value(object).unwrap())
    }

    fn statefulset(spec: &Value, metadata: &Value) -> Arc<Workload> {
        let mut object = json!({
            "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"namespace": "ns", "name": "web"},
            "spec": {"selector": {"matchLabels": {"app": "web"}}, "serviceName": "web", "template": {}},
        });
        json_patch::merge(&mut object, &json!({"spec": spec, "metadata": metadata}));
        match read(&STATEFULSETS, object).unwrap() {
            Projected::Workload(workload) => workload,
            other => panic!("{other:?} is no workload"),
        }
    }

    #[test]
    fn absent_fields_mean_what_the_api_says() {
        let workload = statefulset(&json!({}), &json!({}));
        assert_eq!((workload.desired, workload.partition, workload.min_ready_seconds), (1, 0, 0));
        assert_eq!((workload.update_strategy.clone(), workload.rollout.clone()), (Value::Null, None));
        assert_eq!(workload.pod_selector, "app=web");
    }

    #[test]
    fn strategy_is_kept_as_it_stands() {
        let strategy = json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 3, "maxUnavailable": "20%"}});
        let workload = statefulset(&json!({"updateStrategy": strategy.clone(), "replicas": 5}), &json!({}));
        assert_eq!((workload.partition, workload.desired), (3, 5));
        assert_eq!(workload.update_strategy, strategy);
    }

    #[test]
    fn annotations_are_read_and_bad_ones_kept_as_text() {
        let annotations = |info: &str| {
            json!({"annotations": {
                keys::ANNOTATION_NAME: "app", keys::ANNOTATION_RECORDED_STRATEGY: "{}", keys::ANNOTATION_PROGRESSING_INFO: info,
            }})
        };
        let workload = statefulset(&json!({}), &annotations(r#"{"kind":"Rollout","rollout":"app","rolloutID":"run"}"#));
        assert_eq!(workload.rollout.as_deref(), Some("app"));
        assert_eq!(workload.recorded_strategy.as_deref(), Some("{}"));
        assert_eq!(workload.progressing.as_ref().unwrap().as_ref().unwrap().rollout_id, "run");
        let workload = statefulset(&json!({}), &annotations("nonsense"));
        assert_eq!(workload.progressing, Some(Err("nonsense".to_owned())));
    }

    #[test]
    fn the_newest_owner_of_the_strategy_is_named() {
        let entry = |manager: &str, time: &str, fields: Value| json!({"manager": manager, "operation": "Update", "apiVersion": "apps/v1", "time": time, "fieldsType": "FieldsV1", "fieldsV1": fields});
        let ours = json!({"f:spec": {"f:updateStrategy": {"f:rollingUpdate": {"f:partition": {}}}}});
        let other = json!({"f:spec": {"f:replicas": {}}});
        let cases = [
            (vec![], None),
            (vec![entry("hpa", "2026-01-03T00:00:00Z", other.clone())], None),
            (
                vec![
                    entry("slipway", "2026-01-01T00:00:00Z", ours.clone()),
                    entry("argo", "2026-01-02T00:00:00Z", ours.clone()),
                    entry("hpa", "2026-01-03T00:00:00Z", other),
                ],
                Some("argo"),
            ),
        ];
        for (entries, expected) in cases {
            let workload = statefulset(&json!({}), &json!({"managedFields": entries}));
            assert_eq!(workload.strategy_manager.as_deref(), expected);
        }
    }

    #[test]
    fn pods_show_readiness_owner_and_trouble() {
        let waiting = |reason: &str| {
            json!({"containerStatuses": [{
                "name": "c", "image": "i", "imageID": "", "ready": false, "restartCount": 0, "state": {"waiting": {"reason": reason}},
            }]})
        };
        let ready = |status: &str| {
            json!({"conditions": [
                {"type": "Ready", "status": status, "lastTransitionTime": "2026-01-01T00:00:00Z"},
            ]})
        };
        let since = "2026-01-01T00:00:00Z".parse().ok();
        let cases = [
            (json!({}), None, None),
            (ready("True"), since, None),
            (ready("False"), None, None),
            (waiting("ContainerCreating"), None, None),
            (waiting("PodInitializing"), None, None),
            (waiting("ImagePullBackOff"), None, Some("ImagePullBackOff".to_owned())),
        ];
        let pods = Subject::Pods { namespace: "ns".to_owned(), selector: "app=web".to_owned() };
        for (status, ready_since, trouble) in cases {
            let object = json!({"apiVersion": "v1", "kind": "Pod", "status": status, "metadata": {
                "namespace": "ns", "name": "web-0", "labels": {"controller-revision-hash": "web-1"},
                "ownerReferences": [
                    {"apiVersion": "v1", "kind": "Node", "name": "n", "uid": "other"},
                    {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "web", "uid": "set", "controller": true},
                ],
            }});
            let Projected::Pod(pod) = read(&pods, object).unwrap() else { panic!("no pod") };
            assert_eq!((pod.ready_since, pod.trouble.clone()), (ready_since, trouble));
            assert_eq!((pod.owner_uid.as_str(), pod.revision.as_str()), ("set", "web-1"));
        }
    }

    #[test]
    fn what_does_not_parse_names_the_kind() {
        let object = json!({"metadata": {"name": "web"}, "spec": {"replicas": "many"}});
        let error = read(&STATEFULSETS, object).unwrap_err().to_string();
        assert!(error.contains("StatefulSet"), "{error}");
    }

    #[test]
    fn an_earlier_state_of_the_same_object_is_told_by_its_version() {
        let run = |uid: &str, version: &str| {
            let object = json!({"metadata": {"name": "a", "uid": uid, "resourceVersion": version}});
            Projected::RolloutRun(Arc::new(serde_json::from_value(object).unwrap()))
        };
        assert!(run("u", "9").precedes(&run("u", "10")));
        for (object, known) in [
            (("u", "10"), ("u", "10")),
            (("u", "11"), ("u", "10")),
            (("v", "9"), ("u", "10")),
            (("u", "x"), ("u", "10")),
        ] {
            assert!(!run(object.0, object.1).precedes(&run(known.0, known.1)), "{object:?} {known:?}");
        }
    }
}

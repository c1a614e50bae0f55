//! What the real server fills in where a built-in object says nothing.

mod autoscaling;
mod batch;
mod cluster;
mod pod;

pub(crate) use pod::quality_of_service;
use serde_json::{Map, Value, json};

use crate::{
    object::{self, default, field_mut, map_mut},
    store::GroupResource,
};

const REVISION_HISTORY_LIMIT: i64 = 10;
const PROGRESS_DEADLINE_SECONDS: i64 = 600;
const AFFINITY_SECONDS: i64 = 10_800;

/// Adds what admission gives a new object. The writer does not own it.
pub fn admit(resource: &GroupResource, object: &mut Value) {
    match (&*resource.group, &*resource.plural) {
        ("", "pods") => pod::admit(object),
        ("", "events") => event(map_mut(object)),
        _ => {}
    }
}

/// Adds what admission gives an object with each update. The writer does not own it.
pub fn admit_update(resource: &GroupResource, old: &Value, new: &mut Value) {
    if (&*resource.group, &*resource.plural) == ("", "pods") {
        pod::admit_update(old, new);
    }
}

/// Fills in the defaults of a built-in object.
pub fn apply(resource: &GroupResource, object: &mut Value) {
    match (&*resource.group, &*resource.plural) {
        ("apps", "statefulsets") => stateful_set(object),
        ("apps", "deployments") => deployment(object),
        ("apps", "replicasets") => {
            let spec = field_mut(object, "spec");
            default(spec, "replicas", 1);
            pod::template(spec);
        }
        ("apps", "daemonsets") => daemon_set(object),
        ("batch", "jobs") => batch::job(object),
        ("batch", "cronjobs") => batch::cron_job(object),
        ("autoscaling", "horizontalpodautoscalers") => autoscaling::autoscaler(object),
        ("networking.k8s.io", "networkpolicies") => cluster::network_policy(object),
        ("networking.k8s.io", "ingressclasses") => cluster::ingress_class(object),
        ("rbac.authorization.k8s.io", "rolebindings" | "clusterrolebindings") => cluster::binding(object),
        ("scheduling.k8s.io", "priorityclasses") => cluster::priority_class(object),
        ("storage.k8s.io", "storageclasses") => cluster::storage_class(object),
        ("", "persistentvolumes") => cluster::volume(object),
        ("", "persistentvolumeclaims") => cluster::claim(object),
        ("", "replicationcontrollers") => replication_controller(object),
        ("", "pods") => pod::pod(object),
        ("", "services") => service(object),
        ("discovery.k8s.io", "endpointslices") => endpoint_slice(map_mut(object)),
        ("", "secrets") => default(map_mut(object), "type", "Opaque"),
        ("", "namespaces") => {
            let name = object::name(object).to_owned();
            let labels = map_mut(object::meta_mut(object).entry("labels").or_insert(Value::Null));
            labels.insert("kubernetes.io/metadata.name".to_owned(), name.into());
        }
        ("apiextensions.k8s.io", "customresourcedefinitions") => definition(object),
        _ => {}
    }
}

fn stateful_set(object: &mut Value) {
    let spec = field_mut(object, "spec");
    default(spec, "podManagementPolicy", "OrderedReady");
    default(spec, "replicas", 1);
    default(spec, "revisionHistoryLimit", REVISION_HISTORY_LIMIT);
    default(spec, "serviceName", "");
    let strategy = map_mut(spec.entry("updateStrategy").or_insert(Value::Null));
    // Who names the strategy says all of it.
    if strategy.get("type").is_none_or(|kind| kind.is_null() || kind == "") {
        strategy.insert("type".to_owned(), "RollingUpdate".into());
        default(strategy, "rollingUpdate", json!({}));
    }
    if let Some(Value::Object(rolling)) = strategy.get_mut("rollingUpdate") {
        // Its feature is off in a server that nobody configured.
        rolling.shift_remove("maxUnavailable");
        default(rolling, "partition", 0);
    }
    let retention = map_mut(spec.entry("persistentVolumeClaimRetentionPolicy").or_insert(Value::Null));
    default(retention, "whenDeleted", "Retain");
    default(retention, "whenScaled", "Retain");
    pod::template(spec);
    for claim in spec.get_mut("volumeClaimTemplates").and_then(Value::as_array_mut).into_iter().flatten() {
        default(map_mut(claim), "apiVersion", "v1");
        default(map_mut(claim), "kind", "PersistentVolumeClaim");
        default(field_mut(claim, "spec"), "volumeMode", "Filesystem");
        claim["status"] = json!({ "phase": "Pending" });
    }
}

/// Its selector and its own labels are those of its pods, unless it says otherwise.
fn replication_controller(object: &mut Value) {
    let spec = field_mut(object, "spec");
    default(spec, "replicas", 1);
    pod::template(spec);
    let labels = spec.get("template").and_then(|template| template.pointer("/metadata/labels")).cloned();
    if let Some(labels) = labels {
        default(spec, "selector", labels.clone());
        default(object::meta_mut(object), "labels", labels);
    }
}

fn daemon_set(object: &mut Value) {
    let spec = field_mut(object, "spec");
    default(spec, "revisionHistoryLimit", REVISION_HISTORY_LIMIT);
    let strategy = map_mut(spec.entry("updateStrategy").or_insert(Value::Null));
    default(strategy, "type", "RollingUpdate");
    if strategy["type"] == "RollingUpdate" {
        let rolling = map_mut(strategy.entry("rollingUpdate").or_insert(Value::Null));
        default(rolling, "maxUnavailable", 1);
        default(rolling, "maxSurge", 0);
    }
    pod::template(spec);
}

/// These three are written also where there is nothing to say.
fn event(event: &mut Map<String, Value>) {
    default(event, "source", json!({}));
    for field in ["firstTimestamp", "lastTimestamp"] {
        event.entry(field).or_insert(Value::Null);
    }
}

fn definition(definition: &mut Value) {
    let kind = object::text(definition, &["spec", "names", "kind"]).to_owned();
    let spec = field_mut(definition, "spec");
    let names = map_mut(spec.entry("names").or_insert(Value::Null));
    if !kind.is_empty() {
        default(names, "listKind", format!("{kind}List"));
    }
    default(names, "singular", kind.to_lowercase());
    default(spec, "conversion", json!({ "strategy": "None" }));
}

fn deployment(object: &mut Value) {
    let spec = field_mut(object, "spec");
    default(spec, "replicas", 1);
    default(spec, "revisionHistoryLimit", REVISION_HISTORY_LIMIT);
    default(spec, "progressDeadlineSeconds", PROGRESS_DEADLINE_SECONDS);
    let strategy = map_mut(spec.entry("strategy").or_insert(Value::Null));
    default(strategy, "type", "RollingUpdate");
    if strategy["type"] == "RollingUpdate" {
        let rolling = map_mut(strategy.entry("rollingUpdate").or_insert(Value::Null));
        default(rolling, "maxUnavailable", "25%");
        default(rolling, "maxSurge", "25%");
    }
    pod::template(spec);
}

/// Both lists are written also where there is nothing in them.
fn endpoint_slice(slice: &mut Map<String, Value>) {
    for field in ["endpoints", "ports"] {
        let list = slice.entry(field).or_insert(Value::Null);
        if list.as_array().is_some_and(Vec::is_empty) {
            *list = Value::Null;
        }
    }
    ports(slice);
    let items = |slice: &mut Map<String, Value>, field: &str, set: fn(&mut Map<String, Value>)| {
        let items = slice.get_mut(field).and_then(Value::as_array_mut);
        items.into_iter().flatten().for_each(|item| set(map_mut(item)));
    };
    items(slice, "ports", |port| default(port, "name", ""));
    items(slice, "endpoints", |endpoint| default(endpoint, "conditions", json!({})));
}

fn service(object: &mut Value) {
    let spec = field_mut(object, "spec");
    default(spec, "type", "ClusterIP");
    default(spec, "sessionAffinity", "None");
    affinity(spec);
    let kind = spec["type"].as_str().unwrap_or_default().to_owned();
    if kind != "ExternalName" {
        default(spec, "internalTrafficPolicy", "Cluster");
    }
    let external = spec.get("externalIPs").and_then(Value::as_array).is_some_and(|list| !list.is_empty());
    if matches!(&*kind, "NodePort" | "LoadBalancer") || (kind == "ClusterIP" && external) {
        default(spec, "externalTrafficPolicy", "Cluster");
    }
    if kind == "LoadBalancer" {
        default(spec, "allocateLoadBalancerNodePorts", true);
    }
    ports(spec);
    for port in spec.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
        let port = map_mut(port);
        let number = port.get("port").cloned().unwrap_or_default();
        if port.get("targetPort").is_none_or(|target| target.is_null() || *target == 0 || *target == "") {
            port.insert("targetPort".to_owned(), number);
        }
    }
    let points = object.pointer_mut("/status/loadBalancer/ingress").and_then(Value::as_array_mut);
    let points = points.filter(|_| kind == "LoadBalancer").into_iter().flatten();
    for point in points.filter(|point| point["ip"].as_str().is_some_and(|ip| !ip.is_empty())) {
        default(map_mut(point), "ipMode", "VIP");
    }
}

/// Who is to meet the same pod again does so for three hours.
fn affinity(spec: &mut Map<String, Value>) {
    let seconds =
        || spec.get("sessionAffinityConfig")?.get("clientIP")?.get("timeoutSeconds").filter(|it| !it.is_null());
    match spec["sessionAffinity"].as_str() {
        Some("None") => {
            spec.shift_remove("sessionAffinityConfig");
        }
        Some("ClientIP") if seconds().is_none() => {
            let config = json!({ "clientIP": { "timeoutSeconds": AFFINITY_SECONDS } });
            spec.insert("sessionAffinityConfig".to_owned(), config);
        }
        _ => {}
    }
}

/// Ports speak TCP unless they say otherwise.
fn ports(spec: &mut Map<String, Value>) {
    for port in spec.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
        default(map_mut(port), "protocol", "TCP");
    }
}

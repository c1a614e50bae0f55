//! The columns of each kind and what stands in them.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Heading, jsonpath};
use crate::{
    object::{self, at, text},
    server::Target,
};

/// Columns of a built-in kind after its name: heading, type, priority.
type Columns = &'static [(&'static str, &'static str, i64)];

const POD: Columns = &[
    ("Ready", "string", 0),
    ("Status", "string", 0),
    ("Restarts", "string", 0),
    ("Age", "string", 0),
    ("IP", "string", 1),
    ("Node", "string", 1),
    ("Nominated Node", "string", 1),
    ("Readiness Gates", "string", 1),
];
const STATEFUL_SET: Columns =
    &[("Ready", "string", 0), ("Age", "string", 0), ("Containers", "string", 1), ("Images", "string", 1)];
const DEPLOYMENT: Columns = &[
    ("Ready", "string", 0),
    ("Up-to-date", "string", 0),
    ("Available", "string", 0),
    ("Age", "string", 0),
    ("Containers", "string", 1),
    ("Images", "string", 1),
    ("Selector", "string", 1),
];
const REPLICA_SET: Columns = &[
    ("Desired", "integer", 0),
    ("Current", "integer", 0),
    ("Ready", "integer", 0),
    ("Age", "string", 0),
    ("Containers", "string", 1),
    ("Images", "string", 1),
    ("Selector", "string", 1),
];
const NAMESPACE: Columns = &[("Status", "string", 0), ("Age", "string", 0)];
const CONFIG_MAP: Columns = &[("Data", "string", 0), ("Age", "string", 0)];
const SECRET: Columns = &[("Type", "string", 0), ("Data", "string", 0), ("Age", "string", 0)];
const SERVICE: Columns = &[
    ("Type", "string", 0),
    ("Cluster-IP", "string", 0),
    ("External-IP", "string", 0),
    ("Port(s)", "string", 0),
    ("Age", "string", 0),
    ("Selector", "string", 1),
];
const NODE: Columns =
    &[("Status", "string", 0), ("Roles", "string", 0), ("Age", "string", 0), ("Version", "string", 0)];
const REVISION: Columns = &[("Controller", "string", 0), ("Revision", "string", 0), ("Age", "string", 0)];
const LEASE: Columns = &[("Holder", "string", 0), ("Age", "string", 0)];
const DEFINITION: Columns = &[("Created At", "date", 0)];
const EVENT: Columns = &[
    ("Last Seen", "string", 0),
    ("Type", "string", 0),
    ("Reason", "string", 0),
    ("Object", "string", 0),
    ("Subobject", "string", 1),
    ("Source", "string", 1),
    ("Message", "string", 0),
    ("First Seen", "string", 1),
    ("Count", "string", 1),
    ("Name", "string", 1),
];
const AGE_ONLY: Columns = &[("Age", "date", 0)];

fn builtin(target: &Target) -> Columns {
    match &*target.resource.resource.plural {
        "pods" => POD,
        "statefulsets" => STATEFUL_SET,
        "deployments" => DEPLOYMENT,
        "replicasets" => REPLICA_SET,
        "namespaces" => NAMESPACE,
        "configmaps" => CONFIG_MAP,
        "secrets" => SECRET,
        "services" => SERVICE,
        "nodes" => NODE,
        "controllerrevisions" => REVISION,
        "leases" => LEASE,
        "customresourcedefinitions" => DEFINITION,
        "events" => EVENT,
        _ => AGE_ONLY,
    }
}

pub(super) fn headings(target: &Target) -> Vec<Heading> {
    let heading = |name: &str, kind: &str, priority: i64| Heading {
        name: name.to_owned(),
        kind: kind.to_owned(),
        format: String::new(),
        description: String::new(),
        priority,
    };
    let name = Heading { format: "name".to_owned(), ..heading("Name", "string", 0) };
    if !target.resource.custom {
        let columns = builtin(target);
        let rest = columns.iter().map(|(name, kind, priority)| heading(name, kind, *priority));
        // Events carry their name last, and for `-o wide` only.
        let leading = if columns == EVENT { None } else { Some(name) };
        return leading.into_iter().chain(rest).collect();
    }
    let columns = &target.version().columns;
    let mut headings = vec![name];
    if columns.is_empty() {
        headings.push(heading("Age", "date", 0));
    }
    headings.extend(columns.iter().map(|column| Heading {
        name: column.name.clone(),
        kind: column.kind.clone(),
        format: column.format.clone(),
        description: if column.description.is_empty() {
            format!("Custom resource definition column (in JSONPath format): {}", column.path)
        } else {
            column.description.clone()
        },
        priority: column.priority,
    }));
    headings
}

pub(super) fn cells(target: &Target, object: &Value, now: Timestamp) -> Vec<Value> {
    let name = json!(object::name(object));
    if target.resource.custom {
        let columns = &target.version().columns;
        let mut cells = vec![name];
        if columns.is_empty() {
            cells.push(since(object, now));
        }
        cells.extend(columns.iter().map(|column| jsonpath::cell(object, &column.path, &column.kind, now)));
        return cells;
    }
    let rest = match &*target.resource.resource.plural {
        "pods" => pod(object, now),
        "statefulsets" => {
            vec![ready(object), since(object, now), containers(object, "name"), containers(object, "image")]
        }
        "deployments" => vec![
            ready(object),
            count(object, "updatedReplicas").to_string().into(),
            count(object, "availableReplicas").to_string().into(),
            since(object, now),
            containers(object, "name"),
            containers(object, "image"),
            selector(object, "/spec/selector/matchLabels"),
        ],
        "replicasets" => vec![
            desired(object).into(),
            count(object, "replicas").into(),
            count(object, "readyReplicas").into(),
            since(object, now),
            containers(object, "name"),
            containers(object, "image"),
            selector(object, "/spec/selector/matchLabels"),
        ],
        "namespaces" => vec![text(object, &["status", "phase"]).into(), since(object, now)],
        "configmaps" => {
            vec![(size(object, "data") + size(object, "binaryData")).into(), since(object, now)]
        }
        "secrets" => vec![text(object, &["type"]).into(), size(object, "data").into(), since(object, now)],
        "services" => service(object, now),
        "nodes" => node(object, now),
        "controllerrevisions" => revision(object, now),
        "leases" => vec![text(object, &["spec", "holderIdentity"]).into(), since(object, now)],
        "customresourcedefinitions" => vec![text(object, &["metadata", "creationTimestamp"]).into()],
        "events" => return event(object, now),
        _ => vec![since(object, now)],
    };
    std::iter::once(name).chain(rest).collect()
}

/// How long ago, in the two units that matter, as kubectl's users know it.
pub(super) fn age(now: Timestamp, then: Timestamp) -> String {
    let seconds = now.as_second() - then.as_second();
    let two = |big: i64, unit: &str, small: i64, small_unit: &str| {
        if small == 0 { format!("{big}{unit}") } else { format!("{big}{unit}{small}{small_unit}") }
    };
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        ..-1 => "<invalid>".to_owned(),
        -1..0 => "0s".to_owned(),
        0..120 => format!("{seconds}s"),
        120..600 => two(minutes, "m", seconds % 60, "s"),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => two(hours, "h", minutes % 60, "m"),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => two(days, "d", hours % 24, "h"),
        691_200..63_072_000 => format!("{days}d"),
        63_072_000..252_288_000 => two(days / 365, "y", days % 365, "d"),
        _ => format!("{}y", days / 365),
    }
}

fn ago(text: &str, now: Timestamp) -> Value {
    text.parse().map_or_else(|_| "<unknown>".into(), |then| age(now, then).into())
}

fn since(object: &Value, now: Timestamp) -> Value {
    ago(text(object, &["metadata", "creationTimestamp"]), now)
}

fn count(object: &Value, field: &str) -> i64 {
    at(object, &["status", field]).and_then(Value::as_i64).unwrap_or_default()
}

fn desired(object: &Value) -> i64 {
    at(object, &["spec", "replicas"]).and_then(Value::as_i64).unwrap_or_default()
}

fn ready(object: &Value) -> Value {
    format!("{}/{}", count(object, "readyReplicas"), desired(object)).into()
}

fn size(object: &Value, field: &str) -> usize {
    object.get(field).and_then(Value::as_object).map_or(0, serde_json::Map::len)
}

fn containers(object: &Value, field: &str) -> Value {
    let list = object.pointer("/spec/template/spec/containers").and_then(Value::as_array);
    let values: Vec<&str> = list.into_iter().flatten().map(|container| text(container, &[field])).collect();
    values.join(",").into()
}

fn selector(object: &Value, pointer: &str) -> Value {
    let labels = object.pointer(pointer).and_then(Value::as_object);
    let mut pairs: Vec<String> = labels
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    pairs.sort();
    if pairs.is_empty() { "<none>".into() } else { pairs.join(",").into() }
}

fn or_none(text: &str) -> Value {
    if text.is_empty() { "<none>".into() } else { text.into() }
}

fn pod(pod: &Value, now: Timestamp) -> Vec<Value> {
    let total = at(pod, &["spec", "containers"]).and_then(Value::as_array).map_or(0, Vec::len);
    let statuses = at(pod, &["status", "containerStatuses"]).and_then(Value::as_array);
    let (mut ready, mut restarts) = (0, 0);
    let mut reason = text(pod, &["status", "reason"]);
    if reason.is_empty() {
        reason = text(pod, &["status", "phase"]);
    }
    for status in statuses.into_iter().flatten() {
        restarts += status.get("restartCount").and_then(Value::as_i64).unwrap_or_default();
        let is_ready = status.get("ready").and_then(Value::as_bool).unwrap_or_default();
        ready += i64::from(is_ready && at(status, &["state", "running"]).is_some());
        for state in ["waiting", "terminated"] {
            let why = text(status, &["state", state, "reason"]);
            if !why.is_empty() {
                reason = why;
            }
        }
    }
    if object::is_deleting(pod) {
        reason = if text(pod, &["status", "reason"]) == "NodeLost" { "Unknown" } else { "Terminating" };
    }
    let gates = at(pod, &["spec", "readinessGates"]).and_then(Value::as_array).map_or(0, Vec::len);
    let gates = if gates == 0 { "<none>".into() } else { format!("0/{gates}").into() };
    vec![
        format!("{ready}/{total}").into(),
        reason.into(),
        restarts.to_string().into(),
        since(pod, now),
        or_none(text(pod, &["status", "podIP"])),
        or_none(text(pod, &["spec", "nodeName"])),
        or_none(text(pod, &["status", "nominatedNodeName"])),
        gates,
    ]
}

fn service(service: &Value, now: Timestamp) -> Vec<Value> {
    let ports = at(service, &["spec", "ports"]).and_then(Value::as_array);
    let ports: Vec<String> = ports
        .into_iter()
        .flatten()
        .map(|port| {
            let number = port.get("port").and_then(Value::as_i64).unwrap_or_default();
            format!("{number}/{}", text(port, &["protocol"]))
        })
        .collect();
    vec![
        text(service, &["spec", "type"]).into(),
        or_none(text(service, &["spec", "clusterIP"])),
        "<none>".into(),
        or_none(&ports.join(",")),
        since(service, now),
        selector(service, "/spec/selector"),
    ]
}

fn node(node: &Value, now: Timestamp) -> Vec<Value> {
    let conditions = at(node, &["status", "conditions"]).and_then(Value::as_array);
    let ready = conditions.into_iter().flatten().find(|condition| text(condition, &["type"]) == "Ready");
    let status = match ready.map(|condition| text(condition, &["status"])) {
        Some("True") => "Ready",
        Some(_) => "NotReady",
        None => "Unknown",
    };
    let version = text(node, &["status", "nodeInfo", "kubeletVersion"]);
    vec![status.into(), "<none>".into(), since(node, now), version.into()]
}

fn revision(revision: &Value, now: Timestamp) -> Vec<Value> {
    let owners = object::meta(revision, "ownerReferences").and_then(Value::as_array);
    let controller = owners
        .into_iter()
        .flatten()
        .find(|owner| owner.get("controller").and_then(Value::as_bool).unwrap_or_default())
        .map_or_else(
            || "<none>".to_owned(),
            |owner| {
                let group = text(owner, &["apiVersion"]).split_once('/').map_or("", |(group, _)| group);
                format!("{}.{group}/{}", text(owner, &["kind"]).to_lowercase(), text(owner, &["name"]))
            },
        );
    let number = revision.get("revision").and_then(Value::as_i64).unwrap_or_default();
    vec![controller.into(), number.into(), since(revision, now)]
}

fn event(event: &Value, now: Timestamp) -> Vec<Value> {
    let first_of =
        |paths: &[&[&str]]| paths.iter().map(|path| text(event, path)).find(|t| !t.is_empty()).unwrap_or_default();
    let last = first_of(&[&["series", "lastObservedTime"], &["lastTimestamp"], &["eventTime"]]);
    let first = first_of(&[&["firstTimestamp"], &["eventTime"]]);
    let object = |field: &str| text(event, &["involvedObject", field]);
    let target = if object("name").is_empty() {
        object("kind").to_lowercase()
    } else {
        format!("{}/{}", object("kind").to_lowercase(), object("name"))
    };
    let component = first_of(&[&["source", "component"], &["reportingComponent"]]);
    let host = first_of(&[&["source", "host"], &["reportingInstance"]]);
    let source = if host.is_empty() { component.to_owned() } else { format!("{component}, {host}") };
    let count = at(event, &["series", "count"]).or_else(|| event.get("count")).and_then(Value::as_i64).unwrap_or(1);
    vec![
        ago(last, now),
        text(event, &["type"]).into(),
        text(event, &["reason"]).into(),
        target.into(),
        object("fieldPath").into(),
        source.into(),
        text(event, &["message"]).trim().into(),
        ago(first, now),
        count.max(1).to_string().into(),
        object::name(event).into(),
    ]
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn ages_read_as_kubectl_prints_them() {
        let then: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let day = 86_400;
        for (seconds, expected) in [
            (-5, "<invalid>"),
            (-1, "0s"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (125, "2m5s"),
            (600, "10m"),
            (10_800, "3h"),
            (11_000, "3h3m"),
            (30_000, "8h"),
            (2 * day, "2d"),
            (3 * day + 7200, "3d2h"),
            (9 * day, "9d"),
            (800 * day, "2y70d"),
            (3000 * day, "8y"),
        ] {
            let now = then.checked_add(SignedDuration::from_secs(seconds)).unwrap();
            assert_eq!(age(now, then), expected, "{seconds}");
        }
    }

    #[test]
    fn a_pod_shows_what_keeps_it() {
        let now = "2026-01-01T00:00:05Z".parse().unwrap();
        let base = json!({
            "metadata": { "name": "p", "creationTimestamp": "2026-01-01T00:00:00Z" },
            "spec": { "containers": [{}, {}], "nodeName": "n1" },
            "status": { "phase": "Running", "podIP": "10.0.0.1", "containerStatuses": [
                { "ready": true, "restartCount": 1, "state": { "running": {} } },
                { "ready": false, "restartCount": 2, "state": { "waiting": { "reason": "CrashLoopBackOff" } } }
            ] }
        });
        let cells = pod(&base, now);
        assert_eq!(cells[..5], ["1/2", "CrashLoopBackOff", "3", "5s", "10.0.0.1"].map(Value::from));
        let mut deleted = base;
        deleted["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:30Z");
        assert_eq!(pod(&deleted, now)[1], "Terminating");
    }
}

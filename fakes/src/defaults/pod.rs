//! Defaults of pods and pod templates. A StatefulSet's revision hashes the defaulted template, so they must be exact.

use serde_json::{Map, Value, json};

use super::ports;
use crate::object::{self, default, field_mut, map_mut};

const GRACE_PERIOD_SECONDS: i64 = 30;
const DEFAULT_FILE_MODE: i64 = 0o644;
const TOKEN_EXPIRATION_SECONDS: i64 = 3600;
const TOLERATION_SECONDS: i64 = 300;
/// Where images are that say no place.
const DEFAULT_PATH: &str = "library/";
const MAX_IMAGE_PATH: usize = 255;
/// A name of so many hexadecimal digits would be taken for a digest.
const DIGEST_LENGTH: usize = 64;

pub(super) fn template(spec: &mut Map<String, Value>) {
    let template = spec.entry("template").or_insert(Value::Null);
    if !template.is_null() {
        pod_spec(field_mut(template, "spec"));
    }
}

pub(super) fn pod(pod: &mut Value) {
    let spec = field_mut(pod, "spec");
    pod_spec(spec);
    default(spec, "enableServiceLinks", true);
    for container in spec.get_mut("containers").and_then(Value::as_array_mut).into_iter().flatten() {
        requests_from_limits(container);
    }
    if let Some(Value::Object(status)) = map_mut(pod).get_mut("status") {
        addresses(status);
    }
}

/// The one address is the first of all; those who know of one only have the say.
fn addresses(status: &mut Map<String, Value>) {
    let first = status.get("podIPs").and_then(|all| all.pointer("/0/ip")).cloned();
    match status.get("podIP").filter(|ip| !ip.is_null() && *ip != "").cloned() {
        Some(ip) if first.as_ref() != Some(&ip) => {
            status.insert("podIPs".to_owned(), json!([{ "ip": ip }]));
        }
        None if first.is_some() => {
            status.insert("podIP".to_owned(), first.unwrap_or_default());
        }
        _ => {}
    }
}

/// Adds priority, the two tolerations every pod gets, and the class of service.
pub(super) fn admit(pod: &mut Value) {
    let spec = field_mut(pod, "spec");
    default(spec, "priority", 0);
    default(spec, "preemptionPolicy", "PreemptLowerPriority");
    tolerate(spec);
}

/// A pod keeps its priority, and is tolerant again of nodes that are not ready.
pub(super) fn admit_update(old: &Value, new: &mut Value) {
    let spec = field_mut(new, "spec");
    for field in ["priority", "preemptionPolicy"] {
        if let Some(value) = object::at(old, &["spec", field]) {
            default(spec, field, value.clone());
        }
    }
    tolerate(spec);
}

fn tolerate(spec: &mut Map<String, Value>) {
    let tolerations = spec.entry("tolerations").or_insert_with(|| json!([]));
    let Some(list) = tolerations.as_array_mut() else { return };
    for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
        let covered = |toleration: &Value| {
            let effect = object::text(toleration, &["effect"]);
            (toleration.get("key").is_none_or(|k| k == key)) && (effect.is_empty() || effect == "NoExecute")
        };
        if !list.iter().any(covered) {
            list.push(json!({
                "key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": TOLERATION_SECONDS
            }));
        }
    }
}

fn requests_from_limits(container: &mut Value) {
    let Some(limits) = object::at(container, &["resources", "limits"]).and_then(Value::as_object).cloned() else {
        return;
    };
    let resources = field_mut(container, "resources");
    let requests = map_mut(resources.entry("requests").or_insert(Value::Null));
    for (name, limit) in limits {
        default(requests, &name, limit);
    }
}

/// How well a pod is kept when its node runs short, by what its containers ask for.
pub(crate) fn quality_of_service(spec: &Value) -> &'static str {
    let containers = || spec.get("containers").and_then(Value::as_array).into_iter().flatten();
    let part =
        |container: &Value, part: &str, resource: &str| object::at(container, &["resources", part, resource]).cloned();
    let mut any = false;
    let mut guaranteed = true;
    for container in containers() {
        for resource in ["cpu", "memory"] {
            let (request, limit) = (part(container, "requests", resource), part(container, "limits", resource));
            any |= request.is_some() || limit.is_some();
            guaranteed &= limit.is_some() && (request.is_none() || request == limit);
        }
    }
    match (any, guaranteed) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}

fn pod_spec(spec: &mut Map<String, Value>) {
    default(spec, "restartPolicy", "Always");
    default(spec, "terminationGracePeriodSeconds", GRACE_PERIOD_SECONDS);
    default(spec, "dnsPolicy", "ClusterFirst");
    default(spec, "securityContext", json!({}));
    default(spec, "schedulerName", "default-scheduler");
    // The old name of the field follows the new one.
    for (from, to) in [("serviceAccountName", "serviceAccount"), ("serviceAccount", "serviceAccountName")] {
        if let Some(name) = spec.get(from).cloned() {
            default(spec, to, name);
        }
    }
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        for item in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            container(map_mut(item));
        }
    }
    for item in spec.get_mut("volumes").and_then(Value::as_array_mut).into_iter().flatten() {
        volume(map_mut(item));
    }
}

fn container(container: &mut Map<String, Value>) {
    default(container, "resources", json!({}));
    default(container, "terminationMessagePath", "/dev/termination-log");
    default(container, "terminationMessagePolicy", "File");
    let image = container.get("image").and_then(Value::as_str).unwrap_or_default();
    let policy = if is_latest(image) { "Always" } else { "IfNotPresent" };
    default(container, "imagePullPolicy", policy);
    ports(container);
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(Value::Object(probe)) = container.get_mut(name) {
            self::probe(probe);
        }
    }
    for variable in container.get_mut("env").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(Value::Object(reference)) = variable.pointer_mut("/valueFrom/fieldRef") {
            default(reference, "apiVersion", "v1");
        }
    }
    for hook in ["/postStart", "/preStop"] {
        let lifecycle = container.get_mut("lifecycle");
        if let Some(Value::Object(get)) = lifecycle.and_then(|l| l.pointer_mut(&format!("{hook}/httpGet"))) {
            http_get(get);
        }
    }
}

/// An image without tag and digest, or with the tag `latest`. What is no reference to an image is none of the latest.
fn is_latest(image: &str) -> bool {
    if image.contains('@') {
        return false;
    }
    let (name, tag) = match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, tag),
        _ => (image, "latest"),
    };
    let (domain, path) = match name.split_once('/') {
        Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => (first, rest),
        _ => ("", name),
    };
    let fits = domain.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']'));
    let is_digest = image.len() == DIGEST_LENGTH && image.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'));
    let is_long = path.len() + if path.contains('/') { 0 } else { DEFAULT_PATH.len() } > MAX_IMAGE_PATH;
    tag == "latest" && fits && path.split('/').all(is_component) && !is_digest && !is_long
}

/// A part of an image's path: lower-case words, between them a dot, one or two underscores, or dashes.
fn is_component(part: &str) -> bool {
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let separators = part.split(word).filter(|separator| !separator.is_empty());
    part.starts_with(word)
        && part.ends_with(word)
        && separators.into_iter().all(|it| matches!(it, "." | "_" | "__") || it.chars().all(|c| c == '-'))
}

fn probe(probe: &mut Map<String, Value>) {
    default(probe, "timeoutSeconds", 1);
    default(probe, "periodSeconds", 10);
    default(probe, "successThreshold", 1);
    default(probe, "failureThreshold", 3);
    if let Some(Value::Object(get)) = probe.get_mut("httpGet") {
        http_get(get);
    }
    if let Some(Value::Object(grpc)) = probe.get_mut("grpc") {
        default(grpc, "service", "");
    }
}

fn http_get(get: &mut Map<String, Value>) {
    default(get, "path", "/");
    default(get, "scheme", "HTTP");
}

fn volume(volume: &mut Map<String, Value>) {
    if volume.len() <= 1 {
        volume.insert("emptyDir".to_owned(), json!({}));
    }
    for source in ["configMap", "secret", "downwardAPI", "projected"] {
        if let Some(Value::Object(source)) = volume.get_mut(source) {
            default(source, "defaultMode", DEFAULT_FILE_MODE);
        }
    }
    if let Some(Value::Object(path)) = volume.get_mut("hostPath") {
        default(path, "type", "");
    }
    let sources = volume.get_mut("projected").and_then(|projected| projected.get_mut("sources"));
    for source in sources.and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(Value::Object(token)) = source.get_mut("serviceAccountToken") {
            default(token, "expirationSeconds", TOKEN_EXPIRATION_SECONDS);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_without_a_version_are_always_pulled() {
        for (image, latest) in [
            ("web", true),
            ("web:latest", true),
            ("web:1.0", false),
            ("localhost:5000/web", true),
            ("localhost:5000/web:1", false),
            ("web@sha256:00", false),
            ("registry.example.com/a_b/c--d", true),
            ("", false),
            ("A_b", false),
            ("a b", false),
            ("-a", false),
            ("\u{fc}", false),
            (&"a".repeat(63), true),
            (&"a".repeat(64), false),
            (&"a".repeat(248), false),
        ] {
            assert_eq!(is_latest(image), latest, "{image}");
        }
    }
}

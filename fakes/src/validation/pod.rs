//! Pods, and their spec in a template.

mod tolerations;
mod update;

use serde_json::{Value, json};

use super::{container, given, items, not_negative, one_of, text, words};
use crate::{names, schema::Cause};

const POLICIES: [&str; 3] = ["Always", "OnFailure", "Never"];
const DNS_POLICIES: [&str; 4] = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];

/// Checks a pod that is no template.
pub(super) fn check(pod: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
    let pod_spec = pod.get("spec").unwrap_or(&Value::Null);
    spec(pod_spec, "spec", &[], causes);
    for list in ["containers", "initContainers"] {
        for (index, container) in items(pod_spec, list).iter().enumerate() {
            container::image(container, &format!("spec.{list}[{index}]"), causes);
        }
    }
    match old {
        Some(old) => update::check(pod_spec, old.get("spec").unwrap_or(&Value::Null), causes),
        None if !items(pod_spec, "ephemeralContainers").is_empty() => {
            causes.push(Cause::forbidden("spec.ephemeralContainers", "cannot be set on create"));
        }
        None => {}
    }
}

/// Checks the spec; `claims` are volumes that come from elsewhere.
pub(super) fn spec(spec: &Value, path: &str, claims: &[&str], causes: &mut Vec<Cause>) {
    let mut volumes = volumes(spec, path, causes);
    volumes.extend(claims);
    let containers = items(spec, "containers");
    if containers.is_empty() {
        causes.push(Cause::required(&format!("{path}.containers"), ""));
    }
    let mut names = Vec::new();
    container::check_all(spec, "containers", path, &volumes, &mut names, causes);
    container::check_all(spec, "initContainers", path, &volumes, &mut names, causes);
    one_of(spec, "restartPolicy", path, &POLICIES, causes);
    one_of(spec, "dnsPolicy", path, &DNS_POLICIES, causes);
    if let Some(seconds) = given(spec, "activeDeadlineSeconds")
        && !seconds.as_i64().is_some_and(|seconds| (1..=i64::from(i32::MAX)).contains(&seconds))
    {
        let rule = "must be between 1 and 2147483647, inclusive";
        causes.push(Cause::invalid(&format!("{path}.activeDeadlineSeconds"), seconds, rule));
    }
    for field in ["serviceAccountName", "nodeName"] {
        words::subdomain(text(spec, field), &format!("{path}.{field}"), causes);
    }
    for field in ["hostname", "subdomain"] {
        let name = text(spec, field);
        if !name.is_empty() {
            words::label(name, &format!("{path}.{field}"), causes);
        }
    }
    names::check_labels(spec.get("nodeSelector"), &format!("{path}.nodeSelector"), causes);
    tolerations::check(items(spec, "tolerations"), &format!("{path}.tolerations"), causes);
}

/// Checks the volumes and returns the names of those that can be mounted.
fn volumes<'a>(spec: &'a Value, path: &str, causes: &mut Vec<Cause>) -> Vec<&'a str> {
    let mut names = Vec::new();
    for (index, volume) in items(spec, "volumes").iter().enumerate() {
        let path = format!("{path}.volumes[{index}]");
        let before = causes.len();
        source(volume, &path, causes);
        let name = text(volume, "name");
        if name.is_empty() {
            causes.push(Cause::required(&format!("{path}.name"), ""));
        } else {
            words::label(name, &format!("{path}.name"), causes);
        }
        if names.contains(&name) {
            causes.push(Cause::duplicate(&format!("{path}.name"), &json!(name)));
        }
        if causes.len() == before {
            names.push(name);
        }
    }
    names
}

fn source(volume: &Value, path: &str, causes: &mut Vec<Cause>) {
    let kinds = volume.as_object().into_iter().flatten();
    let mut kinds = kinds.filter(|(name, value)| *name != "name" && !value.is_null()).map(|(name, _)| name.as_str());
    let Some(first) = kinds.next() else {
        causes.push(Cause::required(path, "must specify a volume type"));
        return;
    };
    for other in kinds {
        causes.push(Cause::forbidden(&format!("{path}.{other}"), "may not specify more than 1 volume type"));
    }
    let wanted = match first {
        "configMap" => "name",
        "secret" => "secretName",
        "hostPath" => "path",
        "persistentVolumeClaim" => "claimName",
        _ => return,
    };
    if volume.get(first).is_some_and(|source| text(source, wanted).is_empty()) {
        causes.push(Cause::required(&format!("{path}.{first}.{wanted}"), ""));
    }
}

/// A grace period or a delay is not negative.
pub(super) fn delays(probe: &Value, path: &str, causes: &mut Vec<Cause>) {
    for field in ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"] {
        let mut found = Vec::new();
        not_negative(probe, field, &mut found);
        causes.extend(found.into_iter().map(|cause| Cause { field: format!("{path}.{field}"), ..cause }));
    }
}

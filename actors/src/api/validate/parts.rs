//! Checks of what several kinds contain.

use std::collections::BTreeSet;
use std::fmt::Display;

use super::{Errors, labels};
use crate::api::intorpercent::{self, IntOrPercent};
use crate::api::policy::{
    ClusterFailureType, Policies, ProgressDeadlinePolicy, RouteDriftPolicy, TemplateChangePolicy,
};
use crate::api::shared::{
    MetadataPatch, ObjectTypeRef, ResourceMatch, RolloutWebhook, TolerationStrategy, TrafficStrategy,
    WebhookClientConfig, WorkloadRef,
};
use crate::api::{CrossClusterObjectNameReference, HookType, IntOrString};

/// How a certificate in PEM begins.
const PEM: &[u8] = b"-----BEGIN CERTIFICATE-----";

/// Checks a count of pods.
pub(super) fn count(errors: &mut Errors, path: impl Display, value: &IntOrString) {
    if let Err(why) = intorpercent::parse(value) {
        errors.add(path, why);
    }
}

/// Checks the window of a step: nothing moves through one of no pods.
pub(super) fn window(errors: &mut Errors, path: &str, window: Option<&IntOrString>) {
    let Some(window) = window else { return };
    let path = format!("{path}.replicaSlidingWindow");
    match intorpercent::parse(window) {
        Ok(IntOrPercent::Int(0) | IntOrPercent::Percent(0)) => {
            errors.add(path, "is a window of no pods, so none would ever move; write 1 or more, or remove it");
        }
        Ok(_) => {}
        Err(why) => errors.add(path, why),
    }
}

/// Checks a reference to workloads.
pub(super) fn workloads(errors: &mut Errors, path: &str, found: &WorkloadRef) {
    if found.kind.is_empty() {
        errors.add(format_args!("{path}.kind"), "is empty; write the kind of the workloads, such as StatefulSet");
    }
    required_match(errors, &format!("{path}.match"), &found.match_);
}

/// Checks the kind of a run's targets.
pub(super) fn target_type(errors: &mut Errors, found: Option<&ObjectTypeRef>) {
    match found {
        None => errors.add("spec.targetType", "is absent; write the apiVersion and kind of the targets"),
        Some(found) if found.kind.is_empty() => {
            errors.add("spec.targetType.kind", "is empty; write the kind of the targets, such as StatefulSet");
        }
        Some(_) => {}
    }
}

/// Checks the targets of one step: their names are there, and no two are the same.
pub(super) fn target_names(errors: &mut Errors, path: &str, targets: &[CrossClusterObjectNameReference]) {
    if targets.is_empty() {
        errors.add(format_args!("{path}.targets"), "has no target; write at least one workload");
    }
    let mut names = BTreeSet::new();
    for (index, target) in targets.iter().enumerate() {
        let path = format!("{path}.targets[{index}]");
        if target.name.is_empty() {
            errors.add(format_args!("{path}.name"), "is empty; write the name of a workload");
        }
        if !names.insert(target) {
            errors.add(path, format_args!("{target} is in this step already; remove one of the two"));
        }
    }
}

/// Checks a list of names of objects.
pub(super) fn references(errors: &mut Errors, path: &str, kind: &str, names: &[String]) {
    for (index, name) in names.iter().enumerate() {
        let path = format!("{path}[{index}]");
        if !labels::is_object_name(name) {
            errors.add(path, format_args!("found {name:?}, expected the name of a {kind} in the same namespace"));
        } else if names[..index].contains(name) {
            errors.add(path, format_args!("{name:?} is in this list already; remove one of the two"));
        }
    }
}

/// Checks a match that must select something.
fn required_match(errors: &mut Errors, path: &str, found: &ResourceMatch) {
    if found.selector.is_none() && found.names.is_empty() {
        errors.add(path, "selects nothing; write a selector, or names with at least one entry");
    }
    if let Some(selector) = &found.selector {
        labels::selector(errors, &format!("{path}.selector"), selector);
    }
    for (index, name) in found.names.iter().enumerate() {
        if name.name.is_empty() {
            errors.add(format_args!("{path}.names[{index}].name"), "is empty; write the name of a workload");
        }
    }
}

/// Checks the match of a step or a target: absent, or a match that selects something.
pub(super) fn match_targets(errors: &mut Errors, path: &str, found: Option<&ResourceMatch>) {
    if let Some(found) = found {
        required_match(errors, &format!("{path}.matchTargets"), found);
    }
}

/// Checks the traffic of a step.
pub(super) fn traffic(errors: &mut Errors, path: &str, traffic: Option<&TrafficStrategy>) {
    requests(errors, &format!("{path}.traffic"), traffic);
}

/// Checks which requests go to the new version.
pub(super) fn requests(errors: &mut Errors, path: &str, traffic: Option<&TrafficStrategy>) {
    let Some(http) = traffic.and_then(|traffic| traffic.http.as_ref()) else { return };
    let path = format!("{path}.http");
    if http.mirror.as_ref().is_some_and(|mirror| mirror.percent.is_some() && mirror.fraction.is_some()) {
        errors.add(format_args!("{path}.mirror.fraction"), "stands beside percent; keep one and remove the other");
    }
    let Some(weight) = http.weight else { return };
    if !(0..=100).contains(&weight) {
        errors.add(format_args!("{path}.weight"), format_args!("found {weight}, expected 0 to 100"));
    }
    if !http.matches.is_empty() {
        errors.add(format_args!("{path}.matches"), "stands beside weight; keep one and remove the other");
    }
    if http.stable_traffic.is_some() {
        errors.add(format_args!("{path}.stableTraffic"), "stands beside weight; keep one and remove the other");
    }
}

/// Checks the requests that copies get before they take over.
pub(super) fn preview(errors: &mut Errors, path: &str, traffic: Option<&TrafficStrategy>) {
    requests(errors, path, traffic);
    let Some(http) = traffic.and_then(|traffic| traffic.http.as_ref()) else { return };
    if http.weight.is_some() {
        let message = "is a share of all requests, and a preview is of some; write matches or mirror instead";
        errors.add(format_args!("{path}.http.weight"), message);
    }
    if http.stable_traffic.is_some() {
        let message = "leaves the rest to both versions, and a preview is of some requests; write matches instead";
        errors.add(format_args!("{path}.http.stableTraffic"), message);
    }
}

/// Checks labels and annotations for pods.
pub(super) fn template_patch(errors: &mut Errors, path: &str, metadata: Option<&MetadataPatch>) {
    let Some(metadata) = metadata else { return };
    for (label, value) in &metadata.labels {
        labels::key(errors, &format!("{path}.labels"), label);
        labels::label_value(errors, &format!("{path}.labels[{label}]"), value);
    }
    for annotation in metadata.annotations.keys() {
        labels::key(errors, &format!("{path}.annotations"), annotation);
    }
}

/// Checks how much failure is accepted.
pub(super) fn toleration(errors: &mut Errors, path: &str, toleration: &TolerationStrategy) {
    let thresholds = [
        ("workloadTotalFailureThreshold", &toleration.workload_total_failure_threshold),
        ("taskFailureThreshold", &toleration.task_failure_threshold),
    ];
    for (field, threshold) in thresholds {
        if let Some(threshold) = threshold {
            count(errors, format_args!("{path}.{field}"), threshold);
        }
    }
    not_below(errors, &format!("{path}.initialDelaySeconds"), toleration.initial_delay_seconds, 0);
}

/// Checks what happens when things do not go as planned.
pub(super) fn policies(errors: &mut Errors, path: &str, policies: Option<&Policies>) {
    let Some(policies) = policies else { return };
    not_below(errors, &format!("{path}.progressDeadlineSeconds"), policies.progress_deadline_seconds, 1);
    if let ProgressDeadlinePolicy::Unknown(found) = &policies.progress_deadline_policy {
        let message = format_args!("found {found:?}, expected Pause or Rollback");
        errors.add(format_args!("{path}.progressDeadlinePolicy"), message);
    }
    if let TemplateChangePolicy::Unknown(found) = &policies.template_change_policy {
        let message = format_args!("found {found:?}, expected Absorb or Restart");
        errors.add(format_args!("{path}.templateChangePolicy"), message);
    }
    if let RouteDriftPolicy::Unknown(found) = &policies.route_drift_policy {
        let message = format_args!("found {found:?}, expected Repair, Pause or Cancel");
        errors.add(format_args!("{path}.routeDriftPolicy"), message);
    }
    let Some(failure) = &policies.cluster_failure_policy else { return };
    let path = format!("{path}.clusterFailurePolicy");
    if let ClusterFailureType::Unknown(found) = &failure.type_ {
        errors.add(format_args!("{path}.type"), format_args!("found {found:?}, expected Hold or Skip"));
    }
    if let Some(Err(why)) = failure.max_clusters.as_ref().map(intorpercent::parse) {
        errors.add(format_args!("{path}.maxClusters"), clusters(&why));
    }
    not_below(errors, &format!("{path}.gracePeriodSeconds"), failure.grace_period_seconds, 0);
}

fn clusters(why: &intorpercent::ParseError) -> String {
    format!("found {}, expected a number of clusters from 0, or a percentage, such as \"30%\"", why.found)
}

/// Checks a number that has a lower bound.
fn not_below(errors: &mut Errors, path: &str, found: Option<i32>, least: i32) {
    if let Some(found) = found.filter(|found| *found < least) {
        errors.add(path, format_args!("found {found}, expected a number from {least}; correct it or remove it"));
    }
}

/// Checks the hooks.
pub(super) fn webhooks(errors: &mut Errors, path: &str, webhooks: &[RolloutWebhook]) {
    let mut names = BTreeSet::new();
    for (index, webhook) in webhooks.iter().enumerate() {
        let path = format!("{path}[{index}]");
        if !names.insert(&webhook.name) {
            let name = &webhook.name;
            errors.add(format_args!("{path}.name"), format_args!("{name:?} is taken; give every hook its own name"));
        }
        hook_types(errors, &path, &webhook.hook_types);
        if !matches!(webhook.failure_policy.as_str(), "" | "Fail" | "Ignore") {
            let found = &webhook.failure_policy;
            errors.add(format_args!("{path}.failurePolicy"), format_args!("found {found:?}, expected Fail or Ignore"));
        }
        not_below(errors, &format!("{path}.failureThreshold"), webhook.failure_threshold, 1);
        not_below(errors, &format!("{path}.deadlineSeconds"), webhook.deadline_seconds, 1);
        if !webhook.provider.is_empty() {
            let found = &webhook.provider;
            let message = format_args!("found {found:?}, but no provider is built in; write clientConfig.url instead");
            errors.add(format_args!("{path}.provider"), message);
        }
        client_config(errors, &format!("{path}.clientConfig"), &webhook.client_config);
    }
}

fn hook_types(errors: &mut Errors, path: &str, types: &[String]) {
    let known = HookType::ALL.map(HookType::as_str);
    let expected = known.join(", ");
    if types.is_empty() {
        let message = format_args!("is empty, so the hook would never be asked; write at least one of {expected}");
        errors.add(format_args!("{path}.hookTypes"), message);
    }
    for (index, found) in types.iter().enumerate().filter(|(_, found)| !known.contains(&found.as_str())) {
        let message = format_args!("found {found:?}, expected one of {expected}");
        errors.add(format_args!("{path}.hookTypes[{index}]"), message);
    }
}

fn client_config(errors: &mut Errors, path: &str, config: &WebhookClientConfig) {
    url(errors, &format!("{path}.url"), config);
    let bundle = config.ca_bundle.as_ref().map(|bundle| bundle.0.as_slice()).unwrap_or_default();
    if !bundle.is_empty() && !bundle.windows(PEM.len()).any(|window| window == PEM) {
        let message = "holds no certificate; write certificates in PEM, encoded as base64, or remove it";
        errors.add(format_args!("{path}.caBundle"), message);
    }
    not_below(errors, &format!("{path}.timeoutSeconds"), config.timeout_seconds, 0);
    not_below(errors, &format!("{path}.periodSeconds"), config.period_seconds, 0);
}

fn url(errors: &mut Errors, path: &str, config: &WebhookClientConfig) {
    let found = &config.url;
    let rest = found.strip_prefix("https://").or_else(|| found.strip_prefix("http://"));
    let authority = rest.map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
    let host = authority.map(|authority| authority.rsplit_once('@').map_or(authority, |(_, host)| host));
    let expected = "expected http:// or https://, a host and a path, such as https://hooks.example.com/before";
    if host.is_none_or(|host| host.is_empty() || host.starts_with(':') || found.contains(char::is_whitespace)) {
        errors.add(path, format_args!("found {found:?}, {expected}"));
    } else if found.contains(['?', '#']) || authority.is_some_and(|authority| authority.contains('@')) {
        errors.add(path, format_args!("found {found:?} with user, query or fragment; remove them"));
    }
}

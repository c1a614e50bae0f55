//! Checks of what several kinds contain.

use std::collections::BTreeSet;
use std::fmt::Display;

use super::{Errors, labels};
use crate::api::shared::{
    MetadataPatch, ResourceMatch, RolloutWebhook, TolerationStrategy, TrafficStrategy, WebhookClientConfig,
};
use crate::api::{IntOrString, intorpercent};

/// Checks a count of pods.
pub(super) fn count(errors: &mut Errors, path: impl Display, value: &IntOrString) {
    if let Err(why) = intorpercent::parse(value) {
        errors.add(path, why);
    }
}

/// Checks a match that must select something.
pub(super) fn required_match(errors: &mut Errors, path: &str, found: &ResourceMatch) {
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
    let Some(http) = traffic.and_then(|traffic| traffic.http.as_ref()) else { return };
    let Some(weight) = http.weight else { return };
    let path = format!("{path}.traffic.http");
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
        if webhook.hook_types.is_empty() {
            let types = "PreCanaryStepHook, PostCanaryStepHook, PreBatchStepHook or PostBatchStepHook";
            errors.add(format_args!("{path}.hookTypes"), format_args!("is empty; write at least one of {types}"));
        }
        if !matches!(webhook.failure_policy.as_str(), "" | "Fail" | "Ignore") {
            let found = &webhook.failure_policy;
            errors.add(format_args!("{path}.failurePolicy"), format_args!("found {found:?}, expected Fail or Ignore"));
        }
        url(errors, &format!("{path}.clientConfig.url"), &webhook.client_config);
    }
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

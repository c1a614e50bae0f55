//! Webhook configurations.

use serde_json::{Value, json};

use super::{given, list, one_of, parts};
use crate::{
    object::text,
    schema::Cause,
    server::{admission::review::VERSIONS, metadata},
};

const SIDE_EFFECTS: [&str; 2] = ["None", "NoneOnDryRun"];
const MAX_TIMEOUT_S: i64 = 30;
const FORM: &str = "; desired format: https://host[/path]";

/// What a configuration of either kind has wrong.
pub(super) fn validate(configuration: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
    let mut names: Vec<&str> = Vec::new();
    let old = old.map(|old| list(old, "webhooks")).unwrap_or_default();
    let webhooks = list(configuration, "webhooks");
    let conditions = |webhooks: &[Value]| -> Vec<Value> {
        webhooks.iter().map(|it| given(it, "matchConditions").cloned().unwrap_or_default()).collect()
    };
    let unchanged = !old.is_empty() && conditions(webhooks) == conditions(old);
    for (index, webhook) in webhooks.iter().enumerate() {
        let at = format!("webhooks[{index}]");
        let name = text(webhook, &["name"]);
        one(webhook, &at, causes);
        if !unchanged {
            parts::conditions(webhook, &[], &format!("{at}.matchConditions"), causes);
        }
        versions(webhook, &format!("{at}.admissionReviewVersions"), causes);
        if !name.is_empty() && names.contains(&name) {
            causes.push(Cause::duplicate(&format!("{at}.name"), &json!(name)));
        }
        names.push(name);
    }
}

fn one(webhook: &Value, at: &str, causes: &mut Vec<Cause>) {
    full_name(webhook, at, causes);
    for (index, rule) in list(webhook, "rules").iter().enumerate() {
        parts::rule(rule, &format!("{at}.rules[{index}]"), causes);
    }
    one_of(webhook, "failurePolicy", &parts::FAILURE_POLICIES, at, causes);
    one_of(webhook, "matchPolicy", &parts::MATCH_POLICIES, at, causes);
    if given(webhook, "sideEffects").is_none() {
        let why = format!("must specify one of {}", SIDE_EFFECTS.join(", "));
        causes.push(Cause::required(&format!("{at}.sideEffects"), &why));
    }
    one_of(webhook, "sideEffects", &SIDE_EFFECTS, at, causes);
    if let Some(seconds) = given(webhook, "timeoutSeconds")
        && !seconds.as_i64().is_some_and(|seconds| (1..=MAX_TIMEOUT_S).contains(&seconds))
    {
        let why = "the timeout value must be between 1 and 30 seconds";
        causes.push(Cause::invalid(&format!("{at}.timeoutSeconds"), seconds, why));
    }
    parts::selector(webhook, "namespaceSelector", at, causes);
    parts::selector(webhook, "objectSelector", at, causes);
    one_of(webhook, "reinvocationPolicy", &parts::REINVOCATION_POLICIES, at, causes);
    client(webhook.get("clientConfig").unwrap_or(&Value::Null), &format!("{at}.clientConfig"), causes);
}

fn full_name(webhook: &Value, at: &str, causes: &mut Vec<Cause>) {
    let (name, at) = (text(webhook, &["name"]), format!("{at}.name"));
    if name.is_empty() {
        causes.push(Cause::required(&at, ""));
    } else if !metadata::is_subdomain(name) {
        causes.push(Cause::invalid(&at, &json!(name), metadata::SUBDOMAIN_RULE));
    } else if name.split('.').count() < 3 {
        let why = "should be a domain with at least three segments separated by dots";
        causes.push(Cause::invalid(&at, &json!(name), why));
    }
}

fn client(config: &Value, at: &str, causes: &mut Vec<Cause>) {
    match (given(config, "url"), given(config, "service")) {
        (None, None) | (Some(_), Some(_)) => {
            causes.push(Cause::required(at, "exactly one of url or service is required"));
        }
        (Some(url), None) => check_url(url.as_str().unwrap_or_default(), &format!("{at}.url"), causes),
        (None, Some(service)) => check_service(service, &format!("{at}.service"), causes),
    }
}

fn check_url(url: &str, at: &str, causes: &mut Vec<Cause>) {
    let mut wrong = |value: &str, why: &str| causes.push(Cause::invalid(at, &json!(value), why));
    let (before, fragment) = url.split_once('#').unwrap_or((url, ""));
    let (before, query) = before.split_once('?').unwrap_or((before, ""));
    let (scheme, rest) = before.split_once("://").unwrap_or(("", before));
    let authority = if scheme.is_empty() { "" } else { rest.split('/').next().unwrap_or_default() };
    let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    if scheme != "https" {
        wrong(scheme, &format!("'https' is the only allowed URL scheme{FORM}"));
    }
    if host.is_empty() {
        wrong(host, &format!("host must be specified{FORM}"));
    }
    if !user.is_empty() {
        wrong(user, "user information is not permitted in the URL");
    }
    if !fragment.is_empty() {
        wrong(fragment, "fragments are not permitted in the URL");
    }
    if !query.is_empty() {
        wrong(query, "query parameters are not permitted in the URL");
    }
}

fn check_service(service: &Value, at: &str, causes: &mut Vec<Cause>) {
    // The real server hands namespace and name over in the wrong order.
    for (field, told) in [("namespace", "name"), ("name", "namespace")] {
        if text(service, &[field]).is_empty() {
            causes.push(Cause::required(&format!("{at}.{told}"), ""));
        }
    }
    if let Some(port) = given(service, "port")
        && !port.as_i64().is_some_and(|port| (1..=65_535).contains(&port))
    {
        let why = "port is not valid: must be between 1 and 65535, inclusive";
        causes.push(Cause::invalid(&format!("{at}.port"), port, why));
    }
    let path = text(service, &["path"]);
    let mut wrong = |why: &str| causes.push(Cause::invalid(&format!("{at}.path"), &json!(path), why));
    match path {
        "" | "/" => return,
        "//" => return wrong("segment[0] may not be empty"),
        _ => {}
    }
    if !path.starts_with('/') {
        wrong("must start with a '/'");
    }
    let segments = path.get(1..).unwrap_or_default();
    for (index, segment) in segments.strip_suffix('/').unwrap_or(segments).split('/').enumerate() {
        if segment.is_empty() {
            wrong(&format!("segment[{index}] may not be empty"));
        } else if !metadata::is_subdomain(segment) {
            wrong(&format!("segment[{index}]: {}", metadata::SUBDOMAIN_RULE));
        }
    }
}

fn versions(webhook: &Value, at: &str, causes: &mut Vec<Cause>) {
    let all = list(webhook, "admissionReviewVersions");
    let known = VERSIONS.join(", ");
    if all.is_empty() {
        return causes.push(Cause::required(at, &format!("must specify one of {known}")));
    }
    for (index, version) in all.iter().enumerate() {
        let at = format!("{at}[{index}]");
        if all.iter().take(index).any(|before| before == version) {
            causes.push(Cause::invalid(&at, version, "duplicate version"));
        } else if !metadata::is_service_name(version.as_str().unwrap_or_default()) {
            causes.push(Cause::invalid(&at, version, metadata::SERVICE_RULE));
        }
    }
    if !all.iter().any(|version| version.as_str().is_some_and(|it| VERSIONS.contains(&it))) {
        causes.push(Cause::invalid(at, &json!(all), &format!("must include at least one of {known}")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_https_and_nothing_more() {
        for (url, wrong) in [
            ("https://host/path", 0),
            ("https://127.0.0.1:8443", 0),
            ("http://host", 1),
            ("https://", 1),
            ("host/path", 2),
            ("https://a:b@host?x=y#z", 3),
            ("", 2),
        ] {
            let mut causes = Vec::new();
            check_url(url, "url", &mut causes);
            assert_eq!(causes.len(), wrong, "{url}: {causes:?}");
        }
    }
}

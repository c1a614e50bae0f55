//! Services.

mod addresses;
mod ports;
mod traffic;

use serde_json::{Value, json};

pub(crate) use self::addresses::cluster_ips;
pub(super) use self::traffic::balancer;
use super::{given, items, one_of, text, words};
use crate::{
    names,
    object::{at, strings},
    schema::Cause,
};

const TYPES: [&str; 4] = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
const AFFINITIES: [&str; 2] = ["ClientIP", "None"];
const MAX_AFFINITY_SECONDS: i64 = 86_400;

pub(super) fn check(object: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
    let spec = object.get("spec").unwrap_or(&Value::Null);
    let before = old.map(|old| old.get("spec").unwrap_or(&Value::Null));
    if let Some(before) = before {
        addresses::moved(spec, before, causes);
        traffic::changed(spec, before, causes);
    }
    if items(spec, "ports").is_empty() && !is_headless(spec) && kind(spec) != "ExternalName" {
        causes.push(Cause::required("spec.ports", ""));
    }
    by_type(spec, causes);
    ports::check(spec, causes);
    names::check_labels(spec.get("selector"), "spec.selector", causes);
    affinity(spec, causes);
    cluster_ips(spec, before, causes);
    external_ips(spec, before, causes);
    one_of(spec, "type", "spec", &TYPES, causes);
    traffic::check(spec, causes);
}

fn kind(spec: &Value) -> &str {
    text(spec, "type")
}

/// It has no address, but those of its pods.
fn is_headless(spec: &Value) -> bool {
    strings(spec.get("clusterIPs")) == ["None"]
}

fn by_type(spec: &Value, causes: &mut Vec<Cause>) {
    match kind(spec) {
        kind @ ("LoadBalancer" | "NodePort") if is_headless(spec) => {
            let rule = format!("may not be set to 'None' for {kind} services");
            causes.push(Cause::invalid("spec.clusterIPs[0]", &json!("None"), &rule));
        }
        "ExternalName" => {
            for field in ["clusterIPs", "ipFamilies"] {
                if !items(spec, field).is_empty() {
                    causes.push(Cause::forbidden(&format!("spec.{field}"), "may not be set for ExternalName services"));
                }
            }
            if given(spec, "ipFamilyPolicy").is_some() {
                causes.push(Cause::forbidden("spec.ipFamilyPolicy", "may not be set for ExternalName services"));
            }
            match text(spec, "externalName").trim_end_matches('.') {
                "" => causes.push(Cause::required("spec.externalName", "")),
                name => words::subdomain(name, "spec.externalName", causes),
            }
        }
        _ => {}
    }
}

fn affinity(spec: &Value, causes: &mut Vec<Cause>) {
    const PATH: &str = "spec.sessionAffinityConfig";
    one_of(spec, "sessionAffinity", "spec", &AFFINITIES, causes);
    let config = given(spec, "sessionAffinityConfig");
    let seconds = config.and_then(|config| at(config, &["clientIP", "timeoutSeconds"])).and_then(Value::as_i64);
    match text(spec, "sessionAffinity") {
        "None" if config.is_some() => {
            causes.push(Cause::forbidden(PATH, "must not be set when session affinity is None"));
        }
        "ClientIP" if seconds.is_some_and(|it| !(1..=MAX_AFFINITY_SECONDS).contains(&it)) => {
            let rule = format!("must be greater than 0 and less than {MAX_AFFINITY_SECONDS}");
            causes.push(Cause::invalid(&format!("{PATH}.clientIP.timeoutSeconds"), &json!(seconds), &rule));
        }
        _ => {}
    }
}

fn external_ips(spec: &Value, before: Option<&Value>, causes: &mut Vec<Cause>) {
    let known = before.map(|before| strings(before.get("externalIPs"))).unwrap_or_default();
    for (index, text) in strings(spec.get("externalIPs")).into_iter().enumerate() {
        let path = format!("spec.externalIPs[{index}]");
        if words::ip(text, &path, &known, causes) {
            addresses::ordinary(text, &path, causes);
        }
    }
}

//! The CRDs against upstream's schema facts, and against the committed files.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::Value;
use slipway_actors::api::crd;
use slipway_actors::api::intorpercent::PATTERN;

/// Facts about upstream's CRDs: a line per path, `PATH key=value …`, or `PATH = OTHER` for the facts below another path.
const UPSTREAM: &str = include_str!("upstream-schema.txt");

/// What Slipway adds: paths, and everything below them.
const ADDITIONS: &[(&str, &str)] = &[
    ("rollouts.status.behindClusters", "a cluster that was gone is caught up with"),
    ("rollouts.status.canceledRevisions", "a cancelled set of revisions is not started again by itself"),
    ("rollouts.status.command", "a command takes effect exactly once"),
    ("rollouts.status.oneTimeStrategy", "a one-time strategy takes effect exactly once"),
    ("rollouts.status.trigger", "a trigger takes effect exactly once"),
    ("rollouts.status.triggerCount", "a repeated create of a run is the same create"),
    ("rolloutruns.spec.policies", "what happens when things do not go as planned is for the user to say"),
    ("rolloutruns.spec.rollback", "what a run did can be taken back after its end"),
    ("rolloutruns.status.stableRevisions", "a rollback knows what it returns to"),
    ("rolloutruns.status.rollback", "a rollback goes on where it was"),
    ("rolloutruns.status.restarts", "a hook that is asked again after a restart is another question"),
    ("rolloutruns.status.command", "a command takes effect exactly once"),
    ("rolloutruns.status.progress", "a progress deadline outlives the operator that began to count"),
    ("rolloutruns.status.routeDrifts", "each drift of a route is acted on exactly once"),
    ("rolloutruns.status.skippedClusters", "a cluster that is gone need not hold the others"),
    ("rolloutruns.spec.webhooks[].deadlineSeconds", "a hook that is never done is not waited for without end"),
    ("rolloutruns.status.waits", "every wait has a typed reason"),
    ("rolloutruns.status.webhooks", "hooks are asked before and after a run as a whole, too"),
    ("scaleruns.status.command", "a command takes effect exactly once"),
    ("scaleruns.status.waits", "every wait has a typed reason"),
    ("traffictopologies.spec.drainSeconds", "accepted is not yet programmed in any data plane"),
    ("traffictopologies.spec.gatewayCluster", "traffic over several clusters enters in one of them"),
    ("backendroutings.spec.clusters", "a backend of several clusters is forked in each"),
    ("backendroutings.spec.forkedBackends.canary.clusters", "a revision is not called the same in every cluster"),
    ("backendroutings.spec.forkedBackends.stable.clusters", "a revision is not called the same in every cluster"),
    ("backendroutings.status.clusters", "a wait names the cluster that has the rest wait"),
    ("backendroutings.spec.drainSeconds", "accepted is not yet programmed in any data plane"),
    ("backendroutings.status.backends.origin.readyTime", "one type for all three"),
    ("backendroutings.status.backends.stable.readyTime", "endpoints in the API are not yet endpoints in a data plane"),
    ("backendroutings.status.backends.canary.readyTime", "endpoints in the API are not yet endpoints in a data plane"),
    (
        "backendroutings.spec.forwarding.http.canary.mirror",
        "a new version can be tried without anybody getting its answers",
    ),
    ("rolloutruns.spec.canary.traffic.http.mirror", "a new version can be tried without anybody getting its answers"),
    (
        "rolloutruns.spec.batch.batches[].traffic.http.mirror",
        "a new version can be tried without anybody getting its answers",
    ),
    (
        "rolloutstrategies.canaryV2.traffic.http.mirror",
        "a new version can be tried without anybody getting its answers",
    ),
    (
        "rolloutstrategies.batch.batches[].traffic.http.mirror",
        "a new version can be tried without anybody getting its answers",
    ),
    (
        "rolloutstrategies.batchV2.batches[].traffic.http.mirror",
        "a new version can be tried without anybody getting its answers",
    ),
    ("rolloutstrategies.canary.traffic.http.mirror", "a new version can be tried without anybody getting its answers"),
    ("backendroutings.status.routes[].acceptance", "since when a route is accepted outlives the operator that saw it"),
    ("rolloutstrategies.blueGreen", "a whole copy takes over all requests before the workloads follow"),
    ("rolloutruns.spec.canary.blueGreen", "a whole copy takes over all requests before the workloads follow"),
    ("rolloutruns.status.canaryStatus.switchTime", "how long the old version is kept outlives the operator"),
    ("rolloutruns.status.batchStatus.records[].switchTime", "one type for canary and batches"),
    ("backendroutings.spec.planned", "what a later step could not have is told before anything is written"),
    ("backendroutings.spec.routeDriftPolicy", "whether our part of a route is put back is for the user to say"),
    ("backendroutings.spec.routeRepairTime", "a run that goes on has its routes repaired"),
    ("backendroutings.status.routes[].laid", "a drift is noticed by an operator that was away when it came"),
    ("backendroutings.status.routes[].drift", "a run can act on what somebody else made of a route"),
    ("rolloutstrategies.policies", "what happens when things do not go as planned is for the user to say"),
    ("rolloutstrategies.webhooks[].deadlineSeconds", "a hook that is never done is not waited for without end"),
    ("scaleruns.spec.webhooks[].deadlineSeconds", "a hook that is never done is not waited for without end"),
    ("rolloutstrategies.spec", "declared to be refused, where upstream prunes it and runs an empty strategy"),
];

/// What Slipway says otherwise.
const DEVIATIONS: &[(&str, &str, &str)] = &[
    (
        "scaleruns#column1",
        r#"jsonPath=".status.batches.currentBatchIndex" name="Batch Index" type="string""#,
        "upstream's path names no field",
    ),
    (
        "scaleruns#column2",
        r#"jsonPath=".status.batches.currentBatchState" name="Batch State" type="string""#,
        "upstream's path names no field",
    ),
];

/// Where Slipway bounds what upstream leaves to its webhook, too deep in lists for a CEL rule.
const BOUNDS: &[(&str, &str, &str)] = &[
    ("rolloutruns.spec.batch.batches[].targets[].name", "minLength", "1"),
    ("rolloutruns.spec.canary.targets[].name", "minLength", "1"),
    ("scaleruns.spec.batch.batches[].targets[].name", "minLength", "1"),
    ("scaleruns.spec.batch.batches[].targets[].replicas", "minimum", "0"),
    ("scaleruns.spec.rollback.batches[].targets[].name", "minLength", "1"),
    ("scaleruns.spec.rollback.batches[].targets[].replicas", "minimum", "0"),
];

/// Where Slipway has CEL rules; upstream has none.
const RULES: &[(&str, usize)] = &[
    ("backendroutings.spec", 1),
    ("backendroutings.spec.backend", 1),
    ("backendroutings.spec.forwarding.http", 1),
    ("backendroutings.spec.trafficType", 1),
    ("rolloutruns", 2),
    ("rolloutruns.spec", 6),
    ("rolloutruns.spec.batch.batches[].targets", 1),
    ("rolloutruns.spec.batch.batches[].traffic.http", 2),
    ("rolloutruns.spec.canary.podTemplateMetadataPatch", 1),
    ("rolloutruns.spec.canary.targets", 1),
    ("rolloutruns.spec.canary.traffic.http", 2),
    ("rolloutruns.spec.webhooks[]", 2),
    ("rolloutruns.spec.webhooks[].failurePolicy", 1),
    ("rollouts.spec", 2),
    ("rollouts.spec.historyLimit", 1),
    ("rollouts.spec.triggerPolicy", 1),
    ("rollouts.spec.workloadRef.match", 1),
    ("rolloutstrategies", 4),
    ("rolloutstrategies.blueGreen.preview.http", 2),
    ("rolloutstrategies.blueGreen.preview.http.mirror", 1),
    ("rolloutstrategies.blueGreen.targets", 1),
    ("rolloutstrategies.batch.batches[].traffic.http", 2),
    ("rolloutstrategies.batchV2.batches[].targets", 1),
    ("rolloutstrategies.batchV2.batches[].traffic.http", 2),
    ("rolloutstrategies.canary.traffic.http", 2),
    ("rolloutstrategies.canaryV2.targets", 1),
    ("rolloutstrategies.canaryV2.traffic.http", 2),
    ("rolloutstrategies.spec", 1),
    ("rolloutstrategies.webhooks[]", 2),
    ("rolloutstrategies.webhooks[].failurePolicy", 1),
    ("scaleruns.spec", 3),
    ("scaleruns.spec.batch.batches[].targets", 1),
    ("scaleruns.spec.rollback.batches[].targets", 1),
    ("scaleruns.spec.webhooks[]", 2),
    ("scaleruns.spec.webhooks[].failurePolicy", 1),
    ("traffictopologies.spec.backend", 1),
    ("traffictopologies.spec.routes[]", 1),
    ("traffictopologies.spec.trafficType", 1),
    ("traffictopologies.spec.workloadRef.match", 1),
    ("backendroutings.spec.forwarding.http.canary.mirror", 1),
    ("rolloutruns.spec.batch.batches[].traffic.http.mirror", 1),
    ("rolloutruns.spec.canary.traffic.http.mirror", 1),
    ("rolloutstrategies.batch.batches[].traffic.http.mirror", 1),
    ("rolloutstrategies.batchV2.batches[].traffic.http.mirror", 1),
    ("rolloutstrategies.canary.traffic.http.mirror", 1),
    ("rolloutstrategies.canaryV2.traffic.http.mirror", 1),
];

/// What a node of a schema contains that is not a fact about the node itself.
const NOT_FACTS: &[&str] =
    &["additionalProperties", "anyOf", "description", "items", "properties", "x-kubernetes-validations"];

type Facts = BTreeMap<String, String>;

#[test]
fn crds_say_what_upstream_says() {
    let (ours, rules) = our_facts();
    let mut expected = upstream_facts();
    for (path, facts, _) in DEVIATIONS {
        let upstream = expected.insert((*path).to_owned(), (*facts).to_owned());
        assert_ne!(upstream.as_deref(), Some(*facts), "{path} deviates no more: drop it from the list");
    }
    for (path, key, value) in BOUNDS {
        let facts = expected.get_mut(*path).unwrap();
        let mut words: Vec<String> = facts.split(' ').map(str::to_owned).collect();
        words.push(format!("{key}={value}"));
        words.sort();
        *facts = words.join(" ");
    }
    let added = |path: &str| {
        ADDITIONS.iter().any(|(prefix, _)| {
            path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[', '{']))
        })
    };
    for (path, _) in ADDITIONS {
        assert!(ours.contains_key(*path), "{path} is added no more: drop it from the list");
        assert!(!expected.contains_key(*path), "{path} is upstream's: drop it from the list");
    }

    let paths: BTreeSet<&String> = ours.keys().chain(expected.keys()).filter(|path| !added(path)).collect();
    let differences: Vec<String> = paths
        .into_iter()
        .filter(|path| ours.get(*path) != expected.get(*path))
        .map(|path| format!("{path}\n  upstream: {:?}\n  ours:     {:?}", expected.get(path), ours.get(path)))
        .collect();
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));

    let expected_rules: BTreeMap<String, usize> = RULES.iter().map(|(path, n)| ((*path).to_owned(), *n)).collect();
    assert_eq!(rules, expected_rules);
}

#[test]
fn every_field_is_described() {
    fn check(path: &str, schema: &Value, missing: &mut Vec<String>) {
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            let path = format!("{path}.{name}");
            if field["description"].as_str().is_none_or(str::is_empty) && name != "metadata" {
                missing.push(path.clone());
            }
            check(&path, field, missing);
        }
        if schema["items"].is_object() {
            check(&format!("{path}[]"), &schema["items"], missing);
        }
    }
    let mut missing = Vec::new();
    for crd in crd::all() {
        let crd = serde_json::to_value(&crd).unwrap();
        check(plural(&crd), &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"], &mut missing);
    }
    assert!(missing.is_empty(), "without description: {missing:#?}");
}

#[test]
fn committed_files_are_current() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../operator/deploy/crds");
    let remedy = "run `cargo run -p slipway -- crds --dir operator/deploy/crds`";
    let files = crd::yaml().unwrap();
    for (file, yaml) in &files {
        let committed = std::fs::read_to_string(folder.join(file)).unwrap_or_default();
        assert!(committed == *yaml, "operator/deploy/crds/{file} differs from what the types say: {remedy}");
    }
    let names: BTreeSet<String> = files.into_iter().map(|(file, _)| file).collect();
    let found: BTreeSet<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("rollout.kusionstack.io_"))
        .collect();
    assert_eq!(found, names, "operator/deploy/crds holds other files than the kinds have: {remedy}");
}

#[test]
fn yaml_says_the_same_as_the_values() {
    for (crd, (file, yaml)) in crd::all().into_iter().zip(crd::yaml().unwrap()) {
        let read: CustomResourceDefinition = serde_saphyr::from_str(&yaml).unwrap();
        assert_eq!(read, crd, "{file}");
    }
}

fn upstream_facts() -> Facts {
    let mut facts = Facts::new();
    for line in UPSTREAM.lines() {
        let (path, rest) = line.split_once(' ').unwrap_or((line, ""));
        let Some(other) = rest.strip_prefix("= ") else {
            facts.insert(path.to_owned(), rest.to_owned());
            continue;
        };
        let copies: Vec<(String, String)> = facts
            .iter()
            .filter_map(|(known, value)| Some((known.strip_prefix(other)?, value)))
            .filter(|(below, _)| below.is_empty() || below.starts_with(['.', '[', '{']))
            .map(|(below, value)| (format!("{path}{below}"), value.clone()))
            .collect();
        assert!(!copies.is_empty(), "{line}: nothing is known of {other}");
        facts.extend(copies);
    }
    facts
}

/// The facts about our CRDs, and the number of CEL rules by path.
fn our_facts() -> (Facts, BTreeMap<String, usize>) {
    let (mut facts, mut rules) = (Facts::new(), BTreeMap::new());
    for crd in crd::all() {
        let crd = serde_json::to_value(&crd).unwrap();
        let (spec, version, plural) = (&crd["spec"], &crd["spec"]["versions"][0], plural(&crd));
        assert_eq!(crd["metadata"]["name"], format!("{plural}.{}", spec["group"].as_str().unwrap()));
        let names = pick(&spec["names"], &["kind", "listKind", "shortNames", "singular"]);
        facts.insert(format!("{plural}#names"), names);
        let status = version["subresources"]["status"].is_object();
        let facts_of_version = format!(
            "group={} name={} scope={} served={} status={status} storage={}",
            spec["group"], version["name"], spec["scope"], version["served"], version["storage"]
        );
        facts.insert(format!("{plural}#version"), facts_of_version);
        for (index, column) in version["additionalPrinterColumns"].as_array().into_iter().flatten().enumerate() {
            facts.insert(format!("{plural}#column{index}"), pick(column, &["format", "jsonPath", "name", "type"]));
        }
        flatten(plural, &version["schema"]["openAPIV3Schema"], &mut facts, &mut rules);
    }
    (facts, rules)
}

fn plural(crd: &Value) -> &str {
    crd["spec"]["names"]["plural"].as_str().unwrap()
}

fn pick(value: &Value, keys: &[&str]) -> String {
    let facts: Vec<String> = keys.iter().filter_map(|key| Some(format!("{key}={}", value.get(key)?))).collect();
    facts.join(" ")
}

fn flatten(path: &str, schema: &Value, facts: &mut Facts, rules: &mut BTreeMap<String, usize>) {
    let node: BTreeMap<&String, &Value> = schema.as_object().unwrap().iter().collect();
    let own: Vec<String> = node
        .iter()
        .filter(|(key, _)| !NOT_FACTS.contains(&key.as_str()))
        .filter(|(key, value)| !is_bound_on_count(schema, key, value))
        .map(|(key, value)| format!("{key}={}", fact(value)))
        .collect();
    facts.insert(path.to_owned(), own.join(" "));
    if let Some(found) = schema["x-kubernetes-validations"].as_array() {
        rules.insert(path.to_owned(), found.len());
    }
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        flatten(&format!("{path}.{name}"), field, facts, rules);
    }
    for (key, suffix) in [("items", "[]"), ("additionalProperties", "{}")] {
        if schema[key].is_object() {
            flatten(&format!("{path}{suffix}"), &schema[key], facts, rules);
        }
    }
}

/// A fact as upstream's YAML writes it: bounds are floats in the type.
fn fact(value: &Value) -> String {
    let text = value.to_string();
    if value.is_f64() { text.trim_end_matches(".0").to_owned() } else { text }
}

/// Counts that are a number or a share are bounded here; upstream has a webhook for some of them, and for some nothing.
fn is_bound_on_count(schema: &Value, key: &str, value: &Value) -> bool {
    if schema["x-kubernetes-int-or-string"] != true {
        return false;
    }
    let types = serde_json::json!([{ "type": "integer" }, { "type": "string" }]);
    assert_eq!(schema["anyOf"], types);
    (key == "minimum" && value.as_f64() == Some(0.0)) || (key == "pattern" && value == PATTERN)
}

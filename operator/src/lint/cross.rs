//! What objects say of each other. What is not among the files may be in the cluster, so these are warnings.

use serde::de::DeserializeOwned;
use slipway_actors::{
    api::{ResourceMatch, Rollout, RolloutStrategy},
    decide::select,
};

use super::{Finding, Severity, document::Document};

/// Everything that does not fit together.
pub(super) fn check(documents: &[Document]) -> Vec<Finding> {
    let mut findings = twice(documents);
    for document in documents.iter().filter(|document| document.is_ours() && document.kind() == "Rollout") {
        // What cannot be read is told elsewhere.
        let Some(rollout) = read::<Rollout>(document) else { continue };
        let mut warn = |text| findings.push(warning(document, text));
        let spec = &rollout.spec;
        warn_missing(documents, document, "spec.strategyRef", "RolloutStrategy", &spec.strategy_ref, &mut warn);
        for (index, name) in spec.traffic_topology_refs.iter().enumerate() {
            let path = format!("spec.trafficTopologyRefs[{index}]");
            warn_missing(documents, document, &path, "TrafficTopology", name, &mut warn);
        }
        let workloads = workloads(documents, document, &rollout);
        let Some(reference) = spec.workload_ref.as_ref().filter(|_| !workloads.is_empty()) else { continue };
        let selected: Vec<_> = workloads.into_iter().filter(|workload| selects(&reference.match_, workload)).collect();
        if selected.is_empty() {
            warn(format!("spec.workloadRef.match: selects no {} among these files", reference.kind));
            continue;
        }
        let strategy = named(documents, document, "RolloutStrategy", &spec.strategy_ref);
        if let Some((strategy_document, strategy)) = strategy.and_then(|it| Some((it, read::<RolloutStrategy>(it)?))) {
            for (path, found) in matches(&strategy) {
                if !selected.iter().any(|workload| selects(found, workload)) {
                    let text = format!("{path}: selects none of the workloads of Rollout {}", document.name());
                    findings.push(warning(strategy_document, text));
                }
            }
        }
    }
    findings
}

fn warning(document: &Document, text: String) -> Finding {
    Finding { place: document.place.clone(), severity: Severity::Warning, text }
}

fn read<K: DeserializeOwned>(document: &Document) -> Option<K> {
    serde_json::from_value(document.object.clone()).ok()
}

/// Objects of ours that stand there a second time.
fn twice(documents: &[Document]) -> Vec<Finding> {
    let ours: Vec<_> = documents.iter().filter(|document| document.is_ours() && !document.name().is_empty()).collect();
    let key = |document: &Document| [document.kind(), document.namespace(), document.name()].map(str::to_owned);
    let again = ours.iter().enumerate().filter_map(|(index, document)| {
        let first = ours[..index].iter().find(|other| key(other) == key(document))?;
        Some(warning(document, format!("metadata.name: is taken already at {}", first.place)))
    });
    again.collect()
}

/// Whether two manifests end up in one namespace: one without any is applied to where the other is.
fn together(one: &Document, other: &Document) -> bool {
    one.namespace().is_empty() || other.namespace().is_empty() || one.namespace() == other.namespace()
}

fn named<'a>(documents: &'a [Document], from: &Document, kind: &str, name: &str) -> Option<&'a Document> {
    documents.iter().find(|document| {
        document.is_ours() && document.kind() == kind && document.name() == name && together(document, from)
    })
}

/// Warns of a reference to a kind of which these files hold others.
fn warn_missing(
    documents: &[Document],
    from: &Document,
    path: &str,
    kind: &str,
    name: &str,
    warn: &mut impl FnMut(String),
) {
    let others: Vec<&str> = documents
        .iter()
        .filter(|document| document.is_ours() && document.kind() == kind && together(document, from))
        .map(Document::name)
        .collect();
    if !name.is_empty() && !others.is_empty() && !others.contains(&name) {
        warn(format!("{path}: {kind} {name} is not among these files, which hold {}", others.join(", ")));
    }
}

/// The objects among which a Rollout selects.
fn workloads<'a>(documents: &'a [Document], from: &Document, rollout: &Rollout) -> Vec<&'a Document> {
    let Some(reference) = &rollout.spec.workload_ref else { return Vec::new() };
    let is_kind = |it: &&Document| it.kind() == reference.kind && it.api_version() == reference.api_version;
    documents.iter().filter(is_kind).filter(|document| together(document, from)).collect()
}

/// Manifests do not say which cluster they are for, so any will do.
fn selects(found: &ResourceMatch, workload: &Document) -> bool {
    let labels = workload.object["metadata"]["labels"].as_object().into_iter().flatten();
    let labels = labels.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect();
    select::matches_object(found, "", workload.name(), &labels)
}

/// Every match of a strategy, with its path.
fn matches(strategy: &RolloutStrategy) -> Vec<(String, &ResourceMatch)> {
    let mut all = Vec::new();
    let batches = strategy.batch.iter().flat_map(|batch| &batch.batches).enumerate();
    all.extend(batches.map(|(index, step)| (format!("batch.batches[{index}]"), step.match_targets.as_ref())));
    all.extend(strategy.canary.iter().map(|canary| ("canary".to_owned(), canary.match_targets.as_ref())));
    for (index, step) in strategy.batch_v2.iter().flat_map(|batch| &batch.batches).enumerate() {
        let targets = step.targets.iter().enumerate();
        all.extend(
            targets
                .map(|(target, it)| (format!("batchV2.batches[{index}].targets[{target}]"), it.match_targets.as_ref())),
        );
    }
    for (index, target) in strategy.canary_v2.iter().flat_map(|canary| &canary.targets).enumerate() {
        all.push((format!("canaryV2.targets[{index}]"), target.match_targets.as_ref()));
    }
    for (index, target) in strategy.blue_green.iter().flat_map(|copies| &copies.targets).enumerate() {
        all.push((format!("blueGreen.targets[{index}]"), target.match_targets.as_ref()));
    }
    all.into_iter().filter_map(|(path, found)| Some((format!("{path}.matchTargets"), found?))).collect()
}

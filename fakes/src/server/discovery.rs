//! Discovery: which groups, versions and resources there are, in the aggregated and in the old form.

use std::sync::Arc;

use http::{Response, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{
    ApiServer, GIT_VERSION,
    http::{ApiBody, Incoming, json as respond, not_served, typed},
};
use crate::registry::{ResourceType, Version, ranked_versions};

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

pub(super) fn version() -> Value {
    let numbers = GIT_VERSION.trim_start_matches('v');
    let mut parts = numbers.split('.');
    json!({
        "major": parts.next().unwrap_or_default(),
        "minor": parts.next().unwrap_or_default(),
        "emulationMajor": "1",
        "emulationMinor": "36",
        "minCompatibilityMajor": "1",
        "minCompatibilityMinor": "35",
        "gitVersion": GIT_VERSION,
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "gc",
        "platform": "linux/amd64",
    })
}

fn wants_aggregated(incoming: &Incoming<'_>) -> bool {
    let accept = incoming.accept();
    accept
        .split(',')
        .any(|range| range.contains("as=APIGroupDiscoveryList") && range.contains("v=v2;") | range.ends_with("v=v2"))
        || accept.contains("v=v2;as=APIGroupDiscoveryList")
}

impl ApiServer {
    pub(super) fn discover_core(&self, incoming: &Incoming<'_>) -> Response<ApiBody> {
        if wants_aggregated(incoming) {
            let resources = self.registry(|registry| registry.group(""));
            return aggregated(&[group_discovery("", &resources)]);
        }
        respond(
            StatusCode::OK,
            &json!({
                "kind": "APIVersions",
                "versions": ["v1"],
                "serverAddressByClientCIDRs": [{ "clientCIDR": "0.0.0.0/0", "serverAddress": "127.0.0.1" }],
            }),
        )
    }

    pub(super) fn discover_groups(&self, incoming: &Incoming<'_>) -> Response<ApiBody> {
        let combined = wants_aggregated(incoming);
        let groups: Vec<Value> = self.registry(|registry| {
            let groups = registry.groups().filter(|(group, _)| !group.is_empty());
            groups.map(|(name, all)| if combined { group_discovery(name, &all) } else { group(name, &all) }).collect()
        });
        if combined {
            return aggregated(&groups);
        }
        respond(StatusCode::OK, &json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": groups }))
    }

    pub(super) fn discover_group(&self, name: &str) -> Response<ApiBody> {
        let resources = self.registry(|registry| registry.group(name));
        if resources.is_empty() || name.is_empty() {
            return not_served();
        }
        let mut found = group(name, &resources);
        found["kind"] = json!("APIGroup");
        found["apiVersion"] = json!("v1");
        respond(StatusCode::OK, &found)
    }

    pub(super) fn discover_resources(&self, group: &str, version: &str) -> Response<ApiBody> {
        let resources = self.registry(|registry| registry.group(group));
        let served: Vec<_> = resources.iter().filter_map(|r| r.served(version).map(|version| (r, version))).collect();
        if served.is_empty() {
            return not_served();
        }
        let list: Vec<Value> = served.iter().flat_map(|(resource, version)| old_resources(resource, version)).collect();
        let group_version = served[0].0.api_version(version);
        let list = json!({
            "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": list
        });
        respond(StatusCode::OK, &list)
    }
}

fn aggregated(groups: &[Value]) -> Response<ApiBody> {
    let list = json!({
        "kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": groups
    });
    typed(AGGREGATED, &list)
}

fn group(name: &str, resources: &[Arc<ResourceType>]) -> Value {
    let versions: Vec<Value> = ranked_versions(resources)
        .into_iter()
        .map(|version| json!({ "groupVersion": format!("{name}/{version}"), "version": version }))
        .collect();
    let preferred = versions.first().cloned().unwrap_or_default();
    json!({ "name": name, "versions": versions, "preferredVersion": preferred })
}

fn group_discovery(name: &str, resources: &[Arc<ResourceType>]) -> Value {
    let versions: Vec<Value> = ranked_versions(resources)
        .into_iter()
        .map(|version| {
            let served = resources.iter().filter_map(|r| r.served(&version).map(|version| (r, version)));
            let list: Vec<Value> = served.map(|(resource, version)| new_resource(resource, version)).collect();
            json!({ "version": version, "resources": list, "freshness": "Current" })
        })
        .collect();
    let metadata = if name.is_empty() { json!({}) } else { json!({ "name": name }) };
    json!({ "metadata": metadata, "versions": versions })
}

const CUSTOM_VERBS: [&str; 8] = ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"];
const SUBRESOURCE_VERBS: [&str; 3] = ["get", "patch", "update"];

/// A subresource with the group, version and kind of what requests to it carry.
struct Subresource<'a> {
    name: &'a str,
    kind: [&'a str; 3],
    verbs: &'a [&'a str],
}

fn verbs(version: &Version) -> &[&'static str] {
    version.builtin.map_or(&CUSTOM_VERBS, |builtin| &builtin.verbs)
}

fn subresources<'a>(resource: &'a ResourceType, version: &'a Version) -> Vec<Subresource<'a>> {
    if let Some(builtin) = version.builtin {
        let known = builtin.subresources.iter();
        return known
            .map(|sub| Subresource { name: sub.name, kind: [sub.group, sub.version, sub.kind], verbs: &sub.verbs })
            .collect();
    }
    let own = [&*resource.resource.group, &version.name, &resource.kind];
    let sub = |name, kind| Subresource { name, kind, verbs: &SUBRESOURCE_VERBS };
    let scale = version.scale.as_ref().map(|_| sub("scale", ["autoscaling", "v1", "Scale"]));
    scale.into_iter().chain(version.status.then(|| sub("status", own))).collect()
}

/// Identifies the version objects are stored in, for tools that migrate them.
fn storage_version_hash(resource: &ResourceType, version: &Version) -> Value {
    if let Some(builtin) = version.builtin {
        return builtin.hash.map_or(Value::Null, Value::from);
    }
    let version = resource.storage_version().map_or("", |version| &version.name);
    let named = format!("{}/{version}/{}", resource.resource.group, resource.kind);
    let digest = Sha256::digest(named.as_bytes());
    json!(k8s_openapi::ByteString(digest[..8].to_vec()))
}

/// The kind of the objects of a resource.
fn own_kind<'a>(resource: &'a ResourceType, version: &'a Version) -> [&'a str; 3] {
    [&*resource.resource.group, &version.name, &resource.kind]
}

fn new_resource(resource: &ResourceType, version: &Version) -> Value {
    let kind = |[group, version, kind]: [&str; 3]| json!({ "group": group, "version": version, "kind": kind });
    let subresources: Vec<Value> = subresources(resource, version)
        .into_iter()
        .map(|sub| json!({ "subresource": sub.name, "responseKind": kind(sub.kind), "verbs": sub.verbs }))
        .collect();
    let mut entry = json!({
        "resource": &*resource.resource.plural,
        // Built-in resources leave out the group and version that they are found under.
        "responseKind": kind(version.builtin.map_or(own_kind(resource, version), |own| ["", "", own.kind])),
        "scope": if resource.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": resource.singular,
        "verbs": verbs(version),
    });
    if !resource.short_names.is_empty() {
        entry["shortNames"] = json!(resource.short_names);
    }
    if !resource.categories.is_empty() {
        entry["categories"] = json!(resource.categories);
    }
    if !subresources.is_empty() {
        entry["subresources"] = json!(subresources);
    }
    entry
}

fn old_resources(resource: &ResourceType, version: &Version) -> Vec<Value> {
    let plural = &*resource.resource.plural;
    let mut main = json!({
        "name": plural,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": verbs(version),
    });
    if !resource.short_names.is_empty() {
        main["shortNames"] = json!(resource.short_names);
    }
    if !resource.categories.is_empty() {
        main["categories"] = json!(resource.categories);
    }
    let hash = storage_version_hash(resource, version);
    if !hash.is_null() {
        main["storageVersionHash"] = hash;
    }
    let own = own_kind(resource, version);
    let sub = |sub: Subresource<'_>| {
        let [group, version, kind] = sub.kind;
        let mut entry = json!({
            "name": format!("{plural}/{}", sub.name), "singularName": "", "namespaced": resource.namespaced,
            "kind": kind, "verbs": sub.verbs
        });
        if !version.is_empty() && [group, version] != own[..2] {
            entry["group"] = json!(group);
            entry["version"] = json!(version);
        }
        entry
    };
    let mut entries = vec![main];
    entries.extend(subresources(resource, version).into_iter().map(sub));
    entries
}

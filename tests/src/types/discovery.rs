//! The resources, as discovery lists them.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::get;

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// A resource in one version.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Resource {
    pub(super) group: String,
    pub(super) version: String,
    #[serde(rename = "resource")]
    plural: String,
    pub(super) kind: String,
    singular: String,
    namespaced: bool,
    verbs: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    short_names: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    categories: Vec<String>,
    /// Identifies the version its objects are stored in.
    #[serde(skip_serializing_if = "Option::is_none")]
    hash: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) subresources: Vec<Subresource>,
}

#[derive(Debug, Serialize)]
pub(super) struct Subresource {
    name: String,
    pub(super) group: String,
    pub(super) version: String,
    pub(super) kind: String,
    verbs: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Discovered {
    #[serde(rename = "resource")]
    plural: String,
    response_kind: Kind,
    scope: String,
    singular_resource: String,
    verbs: Vec<String>,
    #[serde(default)]
    short_names: Vec<String>,
    #[serde(default)]
    categories: Vec<String>,
    #[serde(default)]
    subresources: Vec<DiscoveredSubresource>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct DiscoveredSubresource {
    #[serde(rename = "subresource")]
    name: String,
    response_kind: Kind,
    verbs: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Kind {
    #[serde(default)]
    group: String,
    version: String,
    #[serde(rename = "kind")]
    name: String,
}

/// All of them, in the order of the API server.
pub(super) async fn resources(client: &kube::Client) -> Result<Vec<Resource>> {
    let mut resources = Vec::new();
    for root in ["/api", "/apis"] {
        let document = get(client, root, AGGREGATED).await?;
        for group in document["items"].as_array().into_iter().flatten() {
            let name = group.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
            for version in group["versions"].as_array().into_iter().flatten() {
                version_of(client, root, name, version, &mut resources).await?;
            }
        }
    }
    Ok(resources)
}

async fn version_of(
    client: &kube::Client,
    root: &str,
    group: &str,
    document: &Value,
    resources: &mut Vec<Resource>,
) -> Result<()> {
    let version = document["version"].as_str().context("a version has no name")?;
    let path = [root, group, version].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/");
    let old = get(client, &path, "application/json").await?;
    let hashes: BTreeMap<&str, &str> = old["resources"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|resource| Some((resource["name"].as_str()?, resource["storageVersionHash"].as_str()?)))
        .collect();
    for resource in document["resources"].as_array().into_iter().flatten() {
        let found = Discovered::deserialize(resource).with_context(|| format!("`{path}` lists {resource}"))?;
        let hash = hashes.get(found.plural.as_str()).map(|&hash| hash.to_owned());
        resources.push(Resource {
            group: group.to_owned(),
            version: version.to_owned(),
            kind: found.response_kind.name,
            singular: found.singular_resource,
            namespaced: found.scope == "Namespaced",
            verbs: found.verbs,
            short_names: found.short_names,
            categories: found.categories,
            hash,
            subresources: found.subresources.into_iter().map(subresource).collect(),
            plural: found.plural,
        });
    }
    Ok(())
}

fn subresource(found: DiscoveredSubresource) -> Subresource {
    let Kind { group, version, name: kind } = found.response_kind;
    Subresource { name: found.name, group, version, kind, verbs: found.verbs }
}

/// One line each.
pub(super) fn text(resources: &[Resource]) -> Result<String> {
    let lines: Vec<String> = resources.iter().map(serde_json::to_string).collect::<Result<_, _>>()?;
    Ok(format!("[\n{}\n]\n", lines.join(",\n")))
}

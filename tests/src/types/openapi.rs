//! The schemas of all documents of OpenAPI v3.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;

use super::get;

/// A schema, as far as it is of interest.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Model {
    #[serde(default)]
    pub(super) properties: BTreeMap<String, Model>,
    #[serde(default)]
    pub(super) required: Vec<String>,
    pub(super) default: Option<Value>,
    #[serde(rename = "enum")]
    pub(super) choices: Option<Vec<Value>>,
    pub(super) items: Option<Box<Model>>,
    /// A schema or a flag.
    #[serde(rename = "additionalProperties")]
    pub(super) values: Option<Value>,
    #[serde(rename = "x-kubernetes-list-type")]
    pub(super) list: Option<String>,
    #[serde(rename = "x-kubernetes-list-map-keys")]
    pub(super) keys: Option<Vec<String>>,
    #[serde(rename = "x-kubernetes-map-type")]
    pub(super) map: Option<String>,
    #[serde(rename = "x-kubernetes-unions")]
    pub(super) unions: Option<Value>,
}

/// The schemas by their names.
pub(super) async fn models(client: &kube::Client) -> Result<BTreeMap<String, Model>> {
    let index = get(client, "/openapi/v3", "application/json").await?;
    let mut models = BTreeMap::new();
    for (path, entry) in index["paths"].as_object().context("OpenAPI v3 has no index")? {
        let url = entry["serverRelativeURL"].as_str().with_context(|| format!("`{path}` has no URL"))?;
        let document = get(client, url, "application/json").await?;
        let schemas = document.pointer("/components/schemas").and_then(Value::as_object);
        for (name, schema) in schemas.into_iter().flatten() {
            let model = Model::deserialize(schema).with_context(|| format!("schema `{name}` is not understood"))?;
            models.insert(name.clone(), model);
        }
    }
    Ok(models)
}

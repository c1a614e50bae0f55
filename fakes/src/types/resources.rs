//! The built-in resources, as a real API server's discovery lists them.

use std::sync::LazyLock;

use serde::Deserialize;

const DATA: &str = include_str!("resources.json");

/// A resource in one version.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Resource {
    pub(crate) group: &'static str,
    pub(crate) version: &'static str,
    #[serde(rename = "resource")]
    pub(crate) plural: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) singular: &'static str,
    pub(crate) namespaced: bool,
    #[serde(borrow)]
    pub(crate) verbs: Vec<&'static str>,
    #[serde(borrow, default)]
    pub(crate) short_names: Vec<&'static str>,
    #[serde(borrow, default)]
    pub(crate) categories: Vec<&'static str>,
    /// Identifies the version its objects are stored in, for tools that migrate them.
    #[serde(borrow)]
    pub(crate) hash: Option<&'static str>,
    #[serde(default)]
    pub(crate) subresources: Vec<Subresource>,
}

/// A subresource with the kind that requests to it carry.
#[derive(Debug, Deserialize)]
pub(crate) struct Subresource {
    pub(crate) name: &'static str,
    pub(crate) group: &'static str,
    pub(crate) version: &'static str,
    pub(crate) kind: &'static str,
    #[serde(borrow)]
    pub(crate) verbs: Vec<&'static str>,
}

impl Resource {
    /// Whether it has the subresource.
    pub(crate) fn has(&self, subresource: &str) -> bool {
        self.subresources.iter().any(|known| known.name == subresource)
    }
}

/// All of them, groups and versions in the order of the API server.
pub(crate) fn resources() -> &'static [Resource] {
    static RESOURCES: LazyLock<Vec<Resource>> = LazyLock::new(|| serde_json::from_str(DATA).unwrap_or_default());
    &RESOURCES
}

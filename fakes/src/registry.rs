//! Which resources are served: the built-in ones and those of installed `CustomResourceDefinitions`.

mod builtin;
mod custom;

use std::{collections::BTreeMap, sync::Arc};

use crate::{schema::Schema, store::GroupResource, types};

pub(crate) use custom::{
    add_stored_version, check_definition, establish, is_established, parse_definition, terminate, unknown_formats,
};

/// One resource, in all its versions.
#[derive(Clone, Debug)]
pub struct ResourceType {
    /// Group and plural, as URLs carry them.
    pub resource: GroupResource,
    /// Where its objects are stored: the same, but for `events.k8s.io`, which shares the core group's events.
    pub stored_as: GroupResource,
    /// Kind of one object.
    pub kind: String,
    /// Kind of a list.
    pub list_kind: String,
    /// Singular name.
    pub singular: String,
    /// Short names.
    pub short_names: Vec<String>,
    /// Categories, such as `all`.
    pub categories: Vec<String>,
    /// Whether objects live in namespaces.
    pub namespaced: bool,
    /// Whether it comes from a `CustomResourceDefinition`.
    pub custom: bool,
    /// Versions; the first is the preferred one.
    pub versions: Vec<Version>,
    pub(crate) traits: Traits,
}

/// One version of a resource.
#[derive(Clone, Debug, Default)]
pub struct Version {
    /// Name, such as `v1`.
    pub name: String,
    /// Whether requests may name it.
    pub served: bool,
    /// Whether objects are stored in it.
    pub storage: bool,
    /// Whether it has a status subresource.
    pub status: bool,
    /// Its scale subresource.
    pub scale: Option<Scale>,
    /// Its structural schema, for custom resources.
    pub schema: Option<Arc<Schema>>,
    /// What its users are told when it is deprecated.
    pub deprecation: Option<String>,
    /// The schema as it was installed, for `OpenAPI`.
    pub raw_schema: Option<serde_json::Value>,
    /// Its printer columns, for custom resources.
    pub columns: Vec<Column>,
    /// Fields that field selectors may name beside name and namespace.
    pub selectable: Vec<String>,
    /// What discovery says of it, for built-in resources.
    pub(crate) builtin: Option<&'static types::Resource>,
    /// The type of its objects, for built-in resources.
    pub(crate) ty: Option<&'static types::Type>,
}

/// Where the scale subresource finds its numbers, as dotted paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scale {
    /// Desired replicas.
    pub spec_replicas: String,
    /// Observed replicas.
    pub status_replicas: String,
    /// The selector as text, if there is one.
    pub selector: Option<String>,
}

/// A printer column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Heading.
    pub name: String,
    /// Type, such as `date`.
    pub kind: String,
    /// Format, often empty.
    pub format: String,
    /// Description.
    pub description: String,
    /// Columns above zero are shown by `-o wide` only.
    pub priority: i64,
    /// `JSONPath` of the value.
    pub path: String,
}

/// How writes of a resource are treated.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts about a resource, not states")]
pub(crate) struct Traits {
    /// Changes of more than metadata and status count in `metadata.generation`.
    pub(crate) generation: bool,
    /// An update without resourceVersion is let through.
    pub(crate) unconditional_update: bool,
    /// An update of a missing object creates it.
    pub(crate) create_on_update: bool,
    /// A deletion answers with the object rather than with a Status.
    pub(crate) returns_deleted: bool,
    /// Every object there is was held to the schema there is.
    pub(crate) settled: bool,
    /// Objects may be stored that are not what the schema there is would make of them.
    pub(crate) reworked: bool,
}

impl ResourceType {
    /// The version objects are stored in.
    pub fn storage_version(&self) -> Option<&Version> {
        self.versions.iter().find(|version| version.storage)
    }

    /// A served version by name.
    pub fn served(&self, name: &str) -> Option<&Version> {
        self.versions.iter().find(|version| version.served && version.name == name)
    }

    /// `group/version`, or the version alone in the core group.
    pub fn api_version(&self, version: &str) -> String {
        if self.resource.group.is_empty() { version.to_owned() } else { format!("{}/{version}", self.resource.group) }
    }
}

/// All served resources: the built-in ones, and those that were installed by group and plural.
#[derive(Debug)]
pub(crate) struct Registry {
    installed: BTreeMap<String, BTreeMap<String, Arc<ResourceType>>>,
}

impl Registry {
    pub(crate) fn builtin() -> Self {
        Self { installed: BTreeMap::new() }
    }

    pub(crate) fn install(&mut self, resource: Arc<ResourceType>) {
        let (group, plural) = (resource.resource.group.to_string(), resource.resource.plural.to_string());
        self.installed.entry(group).or_default().insert(plural, resource);
    }

    pub(crate) fn uninstall(&mut self, resource: &GroupResource) {
        if let Some(resources) = self.installed.get_mut(&*resource.group) {
            resources.remove(&*resource.plural);
            if resources.is_empty() {
                self.installed.remove(&*resource.group);
            }
        }
    }

    pub(crate) fn find(&self, group: &str, plural: &str) -> Option<Arc<ResourceType>> {
        let builtin = builtin::groups().get(group).and_then(|resources| resources.get(plural));
        builtin.or_else(|| self.installed.get(group)?.get(plural)).cloned()
    }

    /// The resource of a kind.
    pub(crate) fn of_kind(&self, group: &str, kind: &str) -> Option<Arc<ResourceType>> {
        self.group(group).into_iter().find(|resource| resource.kind == kind)
    }

    /// Resources of a group; none when the group is not served.
    pub(crate) fn group(&self, group: &str) -> Vec<Arc<ResourceType>> {
        let builtin = builtin::groups().get(group).into_iter().flat_map(BTreeMap::values);
        builtin.chain(self.installed.get(group).into_iter().flat_map(BTreeMap::values)).cloned().collect()
    }

    /// The groups in the order of discovery: built-in ones first.
    pub(crate) fn groups(&self) -> impl Iterator<Item = (&str, Vec<Arc<ResourceType>>)> {
        let installed = self.installed.keys().map(String::as_str);
        let installed = installed.filter(|group| !builtin::groups().contains_key(*group));
        let builtin = builtin::order().map(|group| -> &str { group });
        builtin.chain(installed).map(|group| (group, self.group(group)))
    }

    pub(crate) fn all(&self) -> Vec<Arc<ResourceType>> {
        self.groups().flat_map(|(_, resources)| resources).collect()
    }
}

/// Served versions of a group, preferred first, as Kubernetes ranks them.
pub(crate) fn ranked_versions(resources: &[Arc<ResourceType>]) -> Vec<String> {
    let mut versions: Vec<String> = Vec::new();
    for version in resources.iter().flat_map(|resource| &resource.versions).filter(|version| version.served) {
        if !versions.contains(&version.name) {
            versions.push(version.name.clone());
        }
    }
    versions.sort_by(|a, b| rank(b).cmp(&rank(a)).then_with(|| a.cmp(b)));
    versions
}

/// GA before beta before alpha, higher numbers first; other names come last, in the order of their letters.
pub(crate) fn rank(version: &str) -> (u8, u64, u64) {
    let Some(rest) = version.strip_prefix('v') else { return (0, 0, 0) };
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (major, stage) = rest.split_at(digits);
    let Ok(major) = major.parse() else { return (0, 0, 0) };
    for (rank, name) in [(2, "beta"), (1, "alpha")] {
        if let Some(minor) = stage.strip_prefix(name).and_then(|minor| minor.parse().ok()) {
            return (rank, major, minor);
        }
    }
    if stage.is_empty() { (3, major, 0) } else { (0, 0, 0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_rank_as_kubernetes_documents() {
        let mut versions = ["foo1", "v1alpha1", "v2", "v11beta2", "v10", "v1", "foo10", "v3beta1", "v12alpha1"];
        versions.sort_by(|a, b| rank(b).cmp(&rank(a)).then_with(|| a.cmp(b)));
        let documented = ["v10", "v2", "v1", "v11beta2", "v3beta1", "v12alpha1", "v1alpha1", "foo1", "foo10"];
        assert_eq!(versions, documented);
    }
}

//! Resources that a `CustomResourceDefinition` defines.

mod definition;
mod names;
mod parts;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::{Value, json};

pub(crate) use names::{establish, terminate};

use super::{Column, ResourceType, Scale, Traits, Version, rank};
use crate::{
    object::{self, at, strings, text},
    schema::{Cause, Schema},
    store::GroupResource,
};

/// What definitions were read into, by their whole spec. Compiling a schema's patterns and rules takes milliseconds, and
/// a process may start thousands of clusters with the same definitions; what is read depends on nothing else.
static PARSED: Mutex<BTreeMap<String, Arc<ResourceType>>> = Mutex::new(BTreeMap::new());
/// Definitions remembered at most. No test or simulation installs more kinds; a fuzzer may.
const MAX_PARSED: usize = 1_000;

/// Reads a definition into the resource it serves; none if it is none.
pub(crate) fn parse_definition(definition: &Value) -> Option<Arc<ResourceType>> {
    read(definition).ok()
}

/// The causes for which a definition is refused; `old` is the one it replaces.
pub(crate) fn check_definition(definition: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut causes = Vec::new();
    if old.is_none() {
        definition::name(definition, &mut causes);
    }
    if let Err(mut found) = read(definition) {
        causes.append(&mut found);
    }
    if let Some(old) = old {
        definition::immutable(definition, old, &mut causes);
    }
    definition::check(definition, old, &mut causes);
    causes
}

fn read(definition: &Value) -> Result<Arc<ResourceType>, Vec<Cause>> {
    let spec = definition.get("spec").unwrap_or(&Value::Null);
    let text = spec.to_string();
    let parsed = || PARSED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = parsed().get(&text) {
        return Ok(known.clone());
    }
    let schemas = definition::read(spec)?;
    let resource = Arc::new(resource(definition, schemas));
    let mut parsed = parsed();
    if parsed.len() >= MAX_PARSED {
        parsed.clear();
    }
    parsed.insert(text, resource.clone());
    Ok(resource)
}

fn resource(definition: &Value, schemas: Vec<Schema>) -> ResourceType {
    let spec = definition.get("spec").unwrap_or(&Value::Null);
    let (group, plural) = (text(spec, &["group"]), text(spec, &["names", "plural"]));
    let kind = text(spec, &["names", "kind"]);
    let read = versions(definition).iter().zip(schemas);
    let deprecation = |item: &Value| deprecation(definition, item, &format!("{group}/"));
    let mut versions: Vec<Version> = read.map(|(item, schema)| version(item, schema, deprecation(item))).collect();
    versions.sort_by(|a, b| rank(&b.name).cmp(&rank(&a.name)).then_with(|| a.name.cmp(&b.name)));
    let has_one_schema = versions.windows(2).all(|pair| pair[0].raw_schema == pair[1].raw_schema);
    let resource = GroupResource::new(group, plural);
    let names = |field| strings(at(spec, &["names", field])).into_iter().map(str::to_owned).collect();
    ResourceType {
        stored_as: resource.clone(),
        resource,
        kind: kind.to_owned(),
        list_kind: text(spec, &["names", "listKind"]).to_owned(),
        singular: text(spec, &["names", "singular"]).to_owned(),
        short_names: names("shortNames"),
        categories: names("categories"),
        namespaced: text(spec, &["scope"]) == "Namespaced",
        custom: true,
        versions,
        traits: Traits { generation: true, settled: has_one_schema, ..Traits::default() },
    }
}

fn versions(definition: &Value) -> &[Value] {
    at(definition, &["spec", "versions"]).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn flag(value: &Value, field: &str) -> bool {
    value.get(field).and_then(Value::as_bool).unwrap_or_default()
}

/// Whether objects of a definition are served.
pub(crate) fn is_established(definition: &Value) -> bool {
    let conditions = at(definition, &["status", "conditions"]).and_then(Value::as_array);
    conditions
        .into_iter()
        .flatten()
        .any(|condition| text(condition, &["type"]) == "Established" && text(condition, &["status"]) == "True")
}

/// What users of a version are told when it is deprecated.
fn deprecation(definition: &Value, version: &Value, group: &str) -> Option<String> {
    if !flag(version, "deprecated") {
        return None;
    }
    if let Some(own) = version.get("deprecationWarning").and_then(Value::as_str) {
        return Some(own.to_owned());
    }
    let (name, kind) = (text(version, &["name"]), text(definition, &["spec", "names", "kind"]));
    let newer = versions(definition).iter().filter(|other| flag(other, "served") && !flag(other, "deprecated"));
    let newer = newer.map(|other| text(other, &["name"])).filter(|other| rank(other) > rank(name));
    let better = newer.max_by_key(|other| rank(other)).map(|other| format!("; use {group}{other} {kind}"));
    Some(format!("{group}{name} {kind} is deprecated{}", better.unwrap_or_default()))
}

fn version(item: &Value, schema: Schema, deprecation: Option<String>) -> Version {
    let name = text(item, &["name"]);
    let raw = at(item, &["schema", "openAPIV3Schema"]);
    let columns = item.get("additionalPrinterColumns").and_then(Value::as_array);
    let selectable = item.get("selectableFields").and_then(Value::as_array);
    Version {
        name: name.to_owned(),
        served: flag(item, "served"),
        storage: flag(item, "storage"),
        status: at(item, &["subresources", "status"]).is_some_and(Value::is_object),
        scale: at(item, &["subresources", "scale"]).filter(|scale| scale.is_object()).map(scale),
        schema: Some(Arc::new(schema)),
        raw_schema: raw.cloned(),
        deprecation,
        columns: columns.into_iter().flatten().map(column).collect(),
        selectable: selectable
            .into_iter()
            .flatten()
            .map(|field| text(field, &["jsonPath"]).trim_start_matches('.').to_owned())
            .collect(),
        builtin: None,
        ty: None,
    }
}

fn scale(scale: &Value) -> Scale {
    let path = |field: &str| text(scale, &[field]).trim_start_matches('.').to_owned();
    let selector = path("labelSelectorPath");
    Scale {
        spec_replicas: path("specReplicasPath"),
        status_replicas: path("statusReplicasPath"),
        selector: (!selector.is_empty()).then_some(selector),
    }
}

fn column(column: &Value) -> Column {
    let field = |name: &str| text(column, &[name]).to_owned();
    Column {
        name: field("name"),
        kind: field("type"),
        format: field("format"),
        description: field("description"),
        priority: column.get("priority").and_then(Value::as_i64).unwrap_or_default(),
        path: field("jsonPath"),
    }
}

/// Warnings of formats that nobody checks, but for those that were there before.
pub(crate) fn unknown_formats(definition: &Value, old: Option<&Value>) -> Vec<String> {
    let formats = |definition: &Value| -> Vec<String> {
        let schemas = versions(definition).iter().filter_map(|version| at(version, &["schema", "openAPIV3Schema"]));
        let mut found: Vec<String> = schemas.flat_map(crate::schema::unknown_formats).collect();
        found.dedup();
        found
    };
    let known = old.map(formats).unwrap_or_default();
    let new = formats(definition).into_iter().filter(|format| !known.contains(format));
    new.map(|format| format!("unrecognized format {format:?}")).collect()
}

/// Lists the storage version of a definition among those that objects may be stored in.
pub(crate) fn add_stored_version(definition: &mut Value) {
    let name =
        versions(definition).iter().find(|version| flag(version, "storage")).and_then(|version| version.get("name"));
    let Some(name) = name.cloned() else { return };
    let listed = object::field_mut(definition, "status").entry("storedVersions").or_insert_with(|| json!([]));
    if let Some(listed) = listed.as_array_mut().filter(|listed| !listed.contains(&name)) {
        listed.push(name);
    }
}

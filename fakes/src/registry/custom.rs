//! Resources that a `CustomResourceDefinition` defines.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::{Value, json};

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

/// Reads a definition into the resource it serves.
pub(crate) fn parse_definition(definition: &Value) -> Result<Arc<ResourceType>, Vec<Cause>> {
    check_name(definition)?;
    let text = definition.get("spec").unwrap_or(&Value::Null).to_string();
    let parsed = || PARSED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = parsed().get(&text) {
        return Ok(known.clone());
    }
    let resource = Arc::new(read(definition)?);
    let mut parsed = parsed();
    if parsed.len() >= MAX_PARSED {
        parsed.clear();
    }
    parsed.insert(text, resource.clone());
    Ok(resource)
}

fn check_name(definition: &Value) -> Result<(), Vec<Cause>> {
    let plural = text(definition, &["spec", "names", "plural"]);
    let group = text(definition, &["spec", "group"]);
    if plural.is_empty() || group.is_empty() || object::name(definition) == format!("{plural}.{group}") {
        return Ok(());
    }
    let name = json!(object::name(definition));
    Err(vec![Cause::invalid("metadata.name", &name, "must be spec.names.plural+\".\"+spec.group")])
}

fn read(definition: &Value) -> Result<ResourceType, Vec<Cause>> {
    let spec = definition.get("spec").unwrap_or(&Value::Null);
    let mut causes = Vec::new();
    let (group, plural) = (text(spec, &["group"]), text(spec, &["names", "plural"]));
    for (value, field) in [
        (group, "spec.group"),
        (text(spec, &["scope"]), "spec.scope"),
        (plural, "spec.names.plural"),
        (text(spec, &["names", "kind"]), "spec.names.kind"),
    ] {
        if value.is_empty() {
            causes.push(Cause::required(field, ""));
        }
    }
    let mut versions = Vec::new();
    let items = spec.get("versions").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    // One schema for all versions is told by another path: the server keeps it in one place.
    let one = items.windows(2).all(|pair| pair[0].get("schema") == pair[1].get("schema"));
    for (index, item) in items.iter().enumerate() {
        let field = if one { "spec.validation".to_owned() } else { format!("spec.versions[{index}].schema") };
        match version(item, &field) {
            Ok(version) => versions.push(version),
            Err(found) => causes.extend(found),
        }
    }
    let storage = versions.iter().filter(|version| version.storage).count();
    if storage != 1 && causes.is_empty() {
        let shown = items.iter().map(shown).collect();
        causes.push(Cause::invalid("spec.versions", &shown, "must have exactly one version marked as storage version"));
        if storage == 0 {
            let why = "must have at least one stored version";
            causes.push(Cause::invalid("status.storedVersions", &Value::Null, why));
        }
    }
    if !causes.is_empty() {
        return Err(causes);
    }
    versions.sort_by(|a, b| rank(&b.name).cmp(&rank(&a.name)).then_with(|| a.name.cmp(&b.name)));
    let resource = GroupResource::new(group, plural);
    let names = |field| strings(at(spec, &["names", field])).into_iter().map(str::to_owned).collect();
    Ok(ResourceType {
        stored_as: resource.clone(),
        resource,
        kind: text(spec, &["names", "kind"]).to_owned(),
        list_kind: text(spec, &["names", "listKind"]).to_owned(),
        singular: text(spec, &["names", "singular"]).to_owned(),
        short_names: names("shortNames"),
        categories: names("categories"),
        namespaced: text(spec, &["scope"]) == "Namespaced",
        custom: true,
        versions,
        traits: Traits { generation: true, ..Traits::default() },
    })
}

/// A version as the server shows it in a refusal: its own struct, by field.
fn shown(version: &Value) -> Value {
    let flag = |name: &str| version.get(name).and_then(Value::as_bool).unwrap_or_default();
    json!({
        "Name": text(version, &["name"]), "Served": flag("served"), "Storage": flag("storage"),
        "Deprecated": flag("deprecated"), "DeprecationWarning": null, "Schema": null, "Subresources": null,
        "AdditionalPrinterColumns": null, "SelectableFields": null
    })
}

fn version(item: &Value, field: &str) -> Result<Version, Vec<Cause>> {
    let raw = at(item, &["schema", "openAPIV3Schema"]);
    let Some(raw) = raw else {
        return Err(vec![Cause::required(&format!("{field}.openAPIV3Schema"), "schemas are required")]);
    };
    let schema = Schema::parse(raw, &format!("{field}.openAPIV3Schema"))?;
    let flag = |name: &str| item.get(name).and_then(Value::as_bool).unwrap_or_default();
    let columns = item.get("additionalPrinterColumns").and_then(Value::as_array);
    let selectable = item.get("selectableFields").and_then(Value::as_array);
    Ok(Version {
        name: text(item, &["name"]).to_owned(),
        served: flag("served"),
        storage: flag("storage"),
        status: at(item, &["subresources", "status"]).is_some(),
        scale: at(item, &["subresources", "scale"]).map(scale),
        schema: Some(Arc::new(schema)),
        rules: raw.to_string().contains("\"x-kubernetes-validations\""),
        raw_schema: Some(raw.clone()),
        columns: columns.into_iter().flatten().map(column).collect(),
        selectable: selectable
            .into_iter()
            .flatten()
            .map(|field| text(field, &["jsonPath"]).trim_start_matches('.').to_owned())
            .collect(),
        builtin: None,
        ty: None,
    })
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

/// The versions a definition stores, as `status.storedVersions` lists them.
pub(crate) fn stored_versions(definition: &Value) -> Vec<Value> {
    let versions = at(definition, &["spec", "versions"]).and_then(Value::as_array);
    versions
        .into_iter()
        .flatten()
        .filter(|version| version.get("storage").and_then(Value::as_bool).unwrap_or_default())
        .filter_map(|version| version.get("name").cloned())
        .collect()
}

/// Says in the status that a definition is served.
pub(crate) fn establish(definition: &mut Value, now: &str) {
    let stored = stored_versions(definition);
    let accepted = at(definition, &["spec", "names"]).cloned().unwrap_or_default();
    let condition = |kind: &str, reason: &str, message: &str| json!({ "type": kind, "status": "True", "lastTransitionTime": now, "reason": reason, "message": message });
    let status = object::field_mut(definition, "status");
    object::default(
        status,
        "conditions",
        json!([
            condition("NamesAccepted", "NoConflicts", "no conflicts found"),
            condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
        ]),
    );
    status.insert("acceptedNames".to_owned(), accepted);
    let versions = status.entry("storedVersions").or_insert_with(|| json!([]));
    if let Some(versions) = versions.as_array_mut() {
        for name in stored {
            if !versions.contains(&name) {
                versions.push(name);
            }
        }
    }
}

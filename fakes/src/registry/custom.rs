//! Resources that a `CustomResourceDefinition` defines.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Column, ResourceType, Scale, Traits, Version, rank};
use crate::{
    object::{self, at, strings, text},
    schema::{Cause, Schema},
    store::GroupResource,
};

/// Reads a definition into the resource it serves.
pub(crate) fn parse_definition(definition: &Value) -> Result<ResourceType, Vec<Cause>> {
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
    if object::name(definition) != format!("{plural}.{group}") {
        let name = json!(object::name(definition));
        causes.push(Cause::invalid("metadata.name", &name, "must be spec.names.plural+\".\"+spec.group"));
    }
    let mut versions = Vec::new();
    for (index, item) in spec.get("versions").and_then(Value::as_array).into_iter().flatten().enumerate() {
        match version(item, &format!("spec.versions[{index}]")) {
            Ok(version) => versions.push(version),
            Err(found) => causes.extend(found),
        }
    }
    let storage = versions.iter().filter(|version| version.storage).count();
    if storage != 1 && causes.is_empty() {
        let shown = spec.get("versions").unwrap_or(&Value::Null);
        causes.push(Cause::invalid("spec.versions", shown, "must have exactly one version marked as storage version"));
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

fn version(item: &Value, field: &str) -> Result<Version, Vec<Cause>> {
    let raw = at(item, &["schema", "openAPIV3Schema"]);
    let Some(raw) = raw else {
        return Err(vec![Cause::required(&format!("{field}.schema.openAPIV3Schema"), "schemas are required")]);
    };
    let schema = Schema::parse(raw, &format!("{field}.schema.openAPIV3Schema"))?;
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
        raw_schema: Some(raw.clone()),
        columns: columns.into_iter().flatten().map(column).collect(),
        selectable: selectable
            .into_iter()
            .flatten()
            .map(|field| text(field, &["jsonPath"]).trim_start_matches('.').to_owned())
            .collect(),
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

/// Fills in what the API server itself decides about a definition: default names and the status that says it is served.
pub(crate) fn accept_names(definition: &mut Value, now: &str) {
    let kind = text(definition, &["spec", "names", "kind"]).to_owned();
    let spec = object::field_mut(definition, "spec");
    let names = object::map_mut(spec.entry("names").or_insert(Value::Null));
    object::default(names, "listKind", format!("{kind}List"));
    object::default(names, "singular", kind.to_lowercase());
    let accepted = names.clone();
    object::default(spec, "conversion", json!({ "strategy": "None" }));
    let stored: Vec<Value> = spec
        .get("versions")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter(|version| version.get("storage").and_then(Value::as_bool).unwrap_or_default())
        .filter_map(|version| version.get("name").cloned())
        .collect();
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
    status.insert("acceptedNames".to_owned(), Value::Object(accepted));
    let versions = status.entry("storedVersions").or_insert_with(|| json!([]));
    if let Some(versions) = versions.as_array_mut() {
        for name in stored {
            if !versions.contains(&name) {
                versions.push(name);
            }
        }
    }
}

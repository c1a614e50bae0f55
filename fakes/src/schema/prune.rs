//! Pruning of unknown fields and defaulting of missing ones.

use serde_json::Value;

use super::{Additional, Schema, embedded};

const META_FIELDS: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// Whether a field is one that every resource has.
pub(super) fn is_meta(name: &str) -> bool {
    META_FIELDS.contains(&name)
}

impl Schema {
    /// Brings a resource into the form that is kept: without fields that its schema and its metadata do not know.
    ///
    /// Returns the paths of the dropped fields in the order in which they are told. Fails in kube-apiserver's words where
    /// metadata is of the wrong type.
    pub(crate) fn decode(&self, resource: &mut Value) -> Result<Vec<String>, String> {
        let mut unknown = Vec::new();
        if let Some(metadata) = resource.get_mut("metadata") {
            unknown = embedded::coerce_metadata(metadata)?;
            for field in &mut unknown {
                field.insert_str(0, "metadata.");
            }
        }
        unknown.append(&mut self.prune(resource));
        let mut inside = Vec::new();
        embedded::coerce(self, resource, "", &mut inside).map_err(|cause| cause.to_string())?;
        inside.sort();
        unknown.append(&mut inside);
        Ok(unknown)
    }

    /// Drops every field the schema does not know from a resource, and nulls that mean nothing.
    ///
    /// Returns the paths of the dropped fields, sorted, as a strict client wants them reported.
    pub fn prune(&self, resource: &mut Value) -> Vec<String> {
        let mut pruned = Pruned::default();
        pruned.node(resource, Some(self), true);
        pruned.paths.sort();
        drop_nulls(resource, self);
        pruned.paths
    }

    /// Fills in the defaults of missing fields, wherever the object around them is there.
    pub fn set_defaults(&self, resource: &mut Value) {
        if !self.inside.defaults {
            return;
        }
        match resource {
            Value::Object(map) => {
                for (name, child) in &self.properties {
                    let Some(default) = &child.default else { continue };
                    if map.get(name).is_none_or(|value| value.is_null() && !child.nullable) {
                        map.insert(name.clone(), default.clone());
                    }
                }
                for (name, value) in map.iter_mut() {
                    let Some(child) = self.field(name) else { continue };
                    child.default_null(value);
                    child.set_defaults(value);
                }
            }
            Value::Array(list) => {
                let Some(items) = self.items() else { return };
                for value in list {
                    items.default_null(value);
                    items.set_defaults(value);
                }
            }
            _ => {}
        }
    }

    fn default_null(&self, value: &mut Value) {
        if let (true, false, Some(default)) = (value.is_null(), self.nullable, &self.default) {
            *value = default.clone();
        }
    }
}

#[derive(Default)]
struct Pruned {
    at: String,
    paths: Vec<String>,
}

impl Pruned {
    fn node(&mut self, value: &mut Value, schema: Option<&Schema>, is_root: bool) {
        let keep = schema.is_some_and(|schema| schema.preserve_unknown);
        let is_resource = is_root || schema.is_some_and(|schema| schema.embedded);
        match value {
            Value::Object(map) => {
                let mut unknown = Vec::new();
                for (name, child) in map.iter_mut() {
                    if is_resource && is_meta(name) {
                        continue;
                    }
                    match known(schema, name) {
                        Known::Field(schema) => self.below_field(name, child, schema),
                        Known::No if !keep => unknown.push(name.clone()),
                        Known::No => {}
                    }
                }
                for name in unknown {
                    map.shift_remove(&name);
                    self.record(&name);
                }
            }
            Value::Array(list) => {
                let items = schema.and_then(Schema::items);
                if keep && items.is_none() {
                    return;
                }
                for (i, child) in list.iter_mut().enumerate() {
                    self.below(&format!("[{i}]"), |this| this.node(child, items, false));
                }
            }
            _ => {}
        }
    }

    fn below_field(&mut self, name: &str, child: &mut Value, schema: Option<&Schema>) {
        if !child.is_object() && !child.is_array() {
            return;
        }
        let step = if self.at.is_empty() { name.to_owned() } else { format!(".{name}") };
        self.below(&step, |this| this.node(child, schema, false));
    }

    fn below(&mut self, step: &str, walk: impl FnOnce(&mut Self)) {
        let before = self.at.len();
        self.at.push_str(step);
        walk(self);
        self.at.truncate(before);
    }

    fn record(&mut self, name: &str) {
        let dot = if self.at.is_empty() { "" } else { "." };
        self.paths.push(format!("{}{dot}{name}", self.at));
    }
}

enum Known<'a> {
    Field(Option<&'a Schema>),
    No,
}

fn known<'a>(schema: Option<&'a Schema>, name: &str) -> Known<'a> {
    let Some(schema) = schema else { return Known::No };
    if let Some(child) = schema.properties.get(name) {
        return Known::Field(Some(child));
    }
    match &schema.additional {
        Some(Additional::Schema(child)) => Known::Field(Some(child)),
        Some(Additional::Any) => Known::Field(None),
        Some(Additional::Forbidden) | None => Known::No,
    }
}

/// A null for a field that may not be null and has no default counts as not sent.
fn drop_nulls(value: &mut Value, schema: &Schema) {
    match value {
        Value::Object(map) => {
            map.retain(|name, child| {
                let Some(schema) = schema.field(name) else { return true };
                !child.is_null() || schema.nullable || schema.default.is_some()
            });
            for (name, child) in map.iter_mut() {
                if let Some(schema) = schema.field(name) {
                    drop_nulls(child, schema);
                }
            }
        }
        Value::Array(list) => {
            if let Some(schema) = schema.items() {
                for child in list {
                    drop_nulls(child, schema);
                }
            }
        }
        _ => {}
    }
}

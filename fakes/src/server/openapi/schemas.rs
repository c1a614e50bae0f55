//! The schemas of a document: those of the built-in types, and those that definitions bring.

use serde_json::{Map, Value, json};

use super::{descriptions, group_version_kind};
use crate::{
    registry::{ResourceType, Version},
    types::{self, Field, Omit, Other, Shape, Type},
};

/// Adds what a resource is made of.
pub(super) fn add(resource: &ResourceType, version: &Version, name: &str, schemas: &mut Map<String, Value>) {
    let Some(ty) = version.ty else {
        add_type(types::object_meta(), schemas);
        schemas.insert(name.to_owned(), custom(resource, version));
        return;
    };
    add_type(ty, schemas);
    if let Some(list) = types::kind(&resource.api_version(&version.name), &resource.list_kind) {
        add_type(list, schemas);
    }
    if version.builtin.is_some_and(|builtin| builtin.verbs.contains(&"delete")) {
        add_delete_options(resource, version, schemas);
    }
}

/// Every group and version has options of its own for deletions, all of one type.
fn add_delete_options(resource: &ResourceType, version: &Version, schemas: &mut Map<String, Value>) {
    let Some(options) = types::kind("v1", "DeleteOptions") else { return };
    add_type(options, schemas);
    let kinds = options.model.and_then(|model| schemas.get_mut(model)?.get_mut("x-kubernetes-group-version-kind"));
    let own = json!({ "group": &*resource.resource.group, "version": version.name, "kind": "DeleteOptions" });
    if let Some(Value::Array(kinds)) = kinds
        && !kinds.contains(&own)
    {
        kinds.push(own);
    }
}

fn add_type(ty: &'static Type, schemas: &mut Map<String, Value>) {
    let Some(model) = ty.model else { return add_parts(ty, schemas) };
    if schemas.contains_key(model) {
        return;
    }
    schemas.insert(model.to_owned(), Value::Null);
    let schema = model_schema(ty, model);
    schemas.insert(model.to_owned(), schema);
    add_parts(ty, schemas);
}

fn add_parts(ty: &'static Type, schemas: &mut Map<String, Value>) {
    match &ty.shape {
        Shape::Struct(fields) => fields.fields.iter().for_each(|field| add_type(field.ty.get(), schemas)),
        Shape::List { item, .. } => add_type(item.get(), schemas),
        Shape::Map { value, .. } => add_type(value.get(), schemas),
        _ => {}
    }
}

/// The schema of a type that has one of its own.
fn model_schema(ty: &'static Type, model: &str) -> Value {
    let described = descriptions::of(model);
    let mut schema = match &ty.shape {
        Shape::Struct(fields) => {
            let mut schema = json!({ "type": "object" });
            let properties: Map<String, Value> = fields
                .fields
                .iter()
                .map(|field| {
                    let mut property = property(field);
                    let description =
                        described.and_then(|d| d.pointer(&format!("/properties/{}/description", field.name)));
                    if let Some(description) = description {
                        property["description"] = description.clone();
                    }
                    (field.name.to_owned(), property)
                })
                .collect();
            if !properties.is_empty() {
                schema["properties"] = properties.into();
            }
            let required: Vec<&str> =
                fields.fields.iter().filter(|field| field.required).map(|field| field.name).collect();
            if !required.is_empty() {
                schema["required"] = json!(required);
            }
            if let Some(map_type) = fields.map_type {
                schema["x-kubernetes-map-type"] = map_type.into();
            }
            if let Some(unions) = &fields.unions {
                schema["x-kubernetes-unions"] = unions.clone();
            }
            schema
        }
        Shape::Quantity => json!({ "oneOf": [{ "type": "string" }, { "type": "number" }] }),
        Shape::Time { .. } => json!({ "type": "string", "format": "date-time" }),
        Shape::IntOrString => {
            json!({ "format": "int-or-string", "oneOf": [{ "type": "integer" }, { "type": "string" }] })
        }
        Shape::Raw if ty.short_name() != "JSON" => json!({ "type": "object" }),
        _ => json!({}),
    };
    if let Some(description) = described.and_then(|d| d.get("description")) {
        schema["description"] = description.clone();
    }
    if !ty.kinds.is_empty() {
        schema["x-kubernetes-group-version-kind"] = ty.kinds.iter().map(|kind| kind_of(kind)).collect();
    }
    schema
}

/// A kind told as `group/version/kind`.
fn kind_of(kind: &str) -> Value {
    let mut parts = kind.rsplitn(3, '/');
    let (kind, version) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    json!({ "group": parts.next().unwrap_or_default(), "version": version, "kind": kind })
}

fn property(field: &Field) -> Value {
    let ty = field.ty.get();
    let mut schema = value(ty);
    if let Some(reference) = schema.get("$ref").cloned() {
        schema = json!({ "allOf": [{ "$ref": reference }] });
    }
    if let Some(default) = default_of(field, ty) {
        schema["default"] = default;
    }
    let told = field.told;
    let mut extend = |name: &str, said: Option<Value>| {
        if let Some(said) = said {
            schema[format!("x-kubernetes-{name}")] = said;
        }
    };
    extend("list-type", told.list_type.map(Value::from));
    if let Shape::List { list: types::ListType::Map(keys), .. } = &ty.shape {
        extend("list-map-keys", told.list_type.map(|_| json!(keys)));
    }
    extend("map-type", told.map_type.map(Value::from));
    extend("patch-strategy", (!told.patch_strategy.is_empty()).then(|| told.patch_strategy.into()));
    extend("patch-merge-key", field.patch.key.map(Value::from));
    schema
}

/// What is never left out defaults to its zero value.
fn default_of(field: &Field, ty: &Type) -> Option<Value> {
    if let Some(default) = &field.default {
        return Some(default.clone());
    }
    if field.pointer {
        return None;
    }
    match &ty.shape {
        Shape::Struct(_) => Some(json!({})),
        Shape::Text(_) | Shape::Flag | Shape::Int(_) | Shape::Float if field.omit == Omit::Never => {
            Some(types::zero(ty))
        }
        _ => None,
    }
}

/// The schema of a value, by reference where its type has one of its own.
fn value(ty: &'static Type) -> Value {
    if let Some(model) = ty.model {
        return json!({ "$ref": format!("#/components/schemas/{model}") });
    }
    match &ty.shape {
        Shape::Text(choices) if choices.is_empty() => json!({ "type": "string" }),
        Shape::Text(choices) => json!({ "type": "string", "enum": choices }),
        Shape::Flag => json!({ "type": "boolean" }),
        Shape::Int(bits) => json!({ "type": "integer", "format": format!("int{bits}") }),
        Shape::Float => json!({ "type": "number", "format": "double" }),
        Shape::Bytes => json!({ "type": "string", "format": "byte" }),
        Shape::List { item, .. } => json!({ "type": "array", "items": part(item.get()) }),
        Shape::Map { value, .. } => json!({ "type": "object", "additionalProperties": part(value.get()) }),
        Shape::SchemaOr(_, Other::Flag) => json!({}),
        _ => json!({ "type": "object" }),
    }
}

/// An item of a list or a value of a map.
fn part(ty: &'static Type) -> Value {
    let mut schema = value(ty);
    match &ty.shape {
        Shape::Struct(_) => json!({ "allOf": [schema], "default": {} }),
        Shape::Text(_) | Shape::Flag | Shape::Int(_) | Shape::Float => {
            schema["default"] = types::zero(ty);
            schema
        }
        _ => schema,
    }
}

/// The schema of a custom resource, with what every object has.
fn custom(resource: &ResourceType, version: &Version) -> Value {
    let mut schema = version.raw_schema.clone().unwrap_or_else(|| json!({ "type": "object" }));
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        let known = types::kind("v1", "ConfigMap").and_then(|ty| Some(model_schema(ty, ty.model?)));
        for name in ["apiVersion", "kind", "metadata"] {
            if let Some(common) = known.as_ref().and_then(|known| known["properties"].get(name)) {
                let mut common = common.clone();
                crate::object::map_mut(&mut common).shift_remove("default");
                properties.insert(name.to_owned(), common);
            }
        }
    }
    schema["x-kubernetes-group-version-kind"] = json!([group_version_kind(resource, version)]);
    schema
}

//! Whether a definition may be installed, and why not.

use serde_json::{Value, json};

use super::parts;
use crate::{
    names,
    object::{self, at, meta, same, text},
    schema::{Cause, Schema},
};

/// The schemas of the versions in their order.
pub(super) type Schemas = Vec<Schema>;

const APPROVAL: &str = "api-approved.kubernetes.io";

/// The causes for which the whole definition is refused, its schemas apart.
pub(super) fn check(definition: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
    stored(definition, causes);
    approval(definition, old, causes);
    if at(definition, &["spec", "preserveUnknownFields"]) == Some(&json!(true)) {
        let detail = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema \
                      instead";
        causes.push(Cause::invalid("spec.preserveUnknownFields", &json!(true), detail));
    }
}

/// The name is made of the names in the spec.
pub(super) fn name(definition: &Value, causes: &mut Vec<Cause>) {
    let spec = definition.get("spec").unwrap_or(&Value::Null);
    let (plural, group) = (text(spec, &["names", "plural"]), text(spec, &["group"]));
    if object::name(definition) != format!("{plural}.{group}") {
        let detail = "must be spec.names.plural+\".\"+spec.group";
        causes.push(Cause::invalid("metadata.name", &json!(object::name(definition)), detail));
    }
}

/// What an update may not change.
pub(super) fn immutable(definition: &Value, old: &Value, causes: &mut Vec<Cause>) {
    let mut fields: Vec<&[&str]> = Vec::new();
    if super::is_established(old) {
        fields.extend([&["spec", "scope"][..], &["spec", "names", "kind"]]);
    }
    fields.extend([&["spec", "group"][..], &["spec", "names", "plural"]]);
    for path in fields {
        let (old, new) = (at(old, path), at(definition, path));
        if !same(old, new) {
            causes.push(Cause::invalid(&path.join("."), new.unwrap_or(&Value::Null), "field is immutable"));
        }
    }
}

fn stored(definition: &Value, causes: &mut Vec<Cause>) {
    let field = "status.storedVersions";
    let listed = at(definition, &["status", "storedVersions"]).unwrap_or(&Value::Null);
    let names = listed.as_array().map(Vec::as_slice).unwrap_or_default();
    if names.is_empty() {
        causes.push(Cause::invalid(field, &Value::Null, "must have at least one stored version"));
        return;
    }
    let versions = super::versions(definition);
    for version in versions.iter().filter(|version| super::flag(version, "storage")) {
        let name = text(version, &["name"]);
        if !names.iter().any(|listed| listed == name) {
            causes.push(Cause::invalid(field, listed, &format!("must have the storage version {name}")));
        }
    }
    for (i, name) in names.iter().enumerate() {
        if versions.iter().any(|version| version.get("name") == Some(name)) {
            continue;
        }
        let told = name.as_str().unwrap_or_default();
        let detail = format!(
            "missing from spec.versions; {told} was previously a storage version, and must remain in spec.versions until \
             a storage migration ensures no data remains persisted in {told} and removes {told} from \
             status.storedVersions"
        );
        causes.push(Cause::invalid(&format!("{field}[{i}]"), name, &detail));
    }
}

/// Groups of the community want to see that they were approved of.
fn approval(definition: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
    let group = text(definition, &["spec", "group"]);
    let is_protected = ["k8s.io", "kubernetes.io"]
        .into_iter()
        .any(|owned| group.strip_suffix(owned).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')));
    let annotation = |definition: &Value| {
        let annotation = meta(definition, "annotations").and_then(|annotations| annotations.get(APPROVAL));
        annotation.and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let own = annotation(definition);
    let is_url = own.split_once("://").is_some_and(|(scheme, rest)| !scheme.is_empty() && !rest.is_empty());
    let is_known = old.is_some_and(|old| annotation(old).is_empty() == own.is_empty());
    if !is_protected || is_known || is_url || own.starts_with("unapproved") {
        return;
    }
    let field = format!("metadata.annotations[{APPROVAL}]");
    let see = "see https://github.com/kubernetes/enhancements/pull/1111";
    causes.push(if own.is_empty() {
        let detail = format!("protected groups must have approval annotation \"{APPROVAL}\", {see}");
        Cause::required(&field, &detail)
    } else {
        let detail = format!(
            "protected groups must have approval annotation \"{APPROVAL}\" with either a URL or a reason starting with \
             \"unapproved\", {see}"
        );
        Cause::invalid(&field, &json!(own), &detail)
    });
}

/// Reads the spec of a definition: the schemas of its versions, or why it is refused.
pub(super) fn read(spec: &Value) -> Result<Schemas, Vec<Cause>> {
    let mut causes = Vec::new();
    let group = text(spec, &["group"]);
    if group.is_empty() {
        causes.push(Cause::required("spec.group", ""));
    } else if let Some(why) = names::wrong_subdomain(group) {
        causes.push(Cause::invalid("spec.group", &json!(group), &why));
    } else if !group.contains('.') {
        causes.push(Cause::invalid("spec.group", &json!(group), "should be a domain with at least one dot"));
    }
    one_of(text(spec, &["scope"]), &["Cluster", "Namespaced"], "spec.scope", &mut causes);
    let schemas = Versions::new(spec).read(&mut causes);
    spec_names(spec, &mut causes);
    parts::conversion(spec, &mut causes);
    if causes.is_empty() { Ok(schemas) } else { Err(causes) }
}

pub(super) fn one_of(value: &str, known: &[&str], field: &str, causes: &mut Vec<Cause>) {
    if value.is_empty() {
        causes.push(Cause::required(field, ""));
    } else if !known.contains(&value) {
        let known: Vec<String> = known.iter().map(|&known| known.to_owned()).collect();
        causes.push(Cause::not_supported(field, &json!(value), &known));
    }
}

fn spec_names(spec: &Value, causes: &mut Vec<Cause>) {
    let own = |field: &str| text(spec, &["names", field]);
    for field in ["plural", "singular", "kind", "listKind"].into_iter().filter(|field| own(field).is_empty()) {
        causes.push(Cause::required(&format!("spec.names.{field}"), ""));
    }
    let mut check = |field: &str, name: &str, wrong: Option<String>| {
        if let Some(why) = wrong.filter(|_| !name.is_empty()) {
            causes.push(Cause::invalid(&format!("spec.names.{field}"), &json!(name), &why));
        }
    };
    for field in ["plural", "singular"] {
        check(field, own(field), names::wrong_dns_1035(own(field)));
    }
    for field in ["kind", "listKind"] {
        check(field, own(field), names::wrong_kind(own(field)));
    }
    for list in ["shortNames", "categories"] {
        for (i, name) in object::strings(at(spec, &["names", list])).into_iter().enumerate() {
            check(&format!("{list}[{i}]"), name, names::wrong_dns_1035(name));
        }
    }
    if !own("kind").is_empty() && own("kind") == own("listKind") {
        let detail = "kind and listKind may not be the same";
        causes.push(Cause::invalid("spec.names.listKind", &json!(own("listKind")), detail));
    }
}

/// The versions of a definition. What is the same in all of them is told as being in one place, where kube-apiserver
/// keeps it.
struct Versions<'a> {
    list: Option<&'a [Value]>,
}

impl<'a> Versions<'a> {
    fn new(spec: &'a Value) -> Self {
        Self { list: spec.get("versions").and_then(Value::as_array).map(Vec::as_slice) }
    }

    fn all(&self) -> &'a [Value] {
        self.list.unwrap_or_default()
    }

    fn is_shared(&self, key: &str) -> bool {
        self.all().windows(2).all(|pair| same(pair[0].get(key), pair[1].get(key)))
    }

    fn read(&self, causes: &mut Vec<Cause>) -> Schemas {
        self.missing_schemas(causes);
        let mut schemas = Vec::new();
        let shared_schema = self.is_shared("schema");
        for (i, version) in self.all().iter().enumerate() {
            let field = format!("spec.versions[{i}]");
            let name = text(version, &["name"]);
            if let Some(why) = names::wrong_dns_1035(name) {
                causes.push(Cause::invalid(&format!("{field}.name"), &json!(name), &why));
            }
            parts::deprecation(version, &field, causes);
            if !shared_schema {
                let has_status = !at(version, &["subresources", "status"]).is_none_or(Value::is_null);
                schemas.extend(schema(version, &format!("{field}.schema"), has_status, causes));
            }
            self.parts(version, &field, false, schemas.last(), causes);
        }
        self.names_and_storage(causes);
        if let Some(first) = self.all().first().filter(|_| shared_schema) {
            let has_status = |version: &Value| !at(version, &["subresources", "status"]).is_none_or(Value::is_null);
            let has_status = self.all().iter().any(has_status);
            let schema_of = |causes: &mut _| schema(first, "spec.validation", has_status, causes);
            schemas.extend(schema_of(causes));
            // One schema is read once per version: reading is cheap beside compiling, which is remembered.
            schemas.extend(self.all().iter().skip(1).filter_map(|_| schema_of(&mut Vec::new())));
        }
        if let Some(first) = self.all().first() {
            self.parts(first, "spec", true, schemas.first(), causes);
        }
        schemas
    }

    fn missing_schemas(&self, causes: &mut Vec<Cause>) {
        for (i, version) in self.all().iter().enumerate() {
            if at(version, &["schema", "openAPIV3Schema"]).is_none_or(Value::is_null) {
                causes.push(Cause::required(&format!("spec.versions[{i}].schema.openAPIV3Schema"), ""));
            }
        }
    }

    /// Checks those parts that are shared by all versions, or those that are not.
    fn parts(&self, version: &Value, field: &str, shared: bool, schema: Option<&Schema>, causes: &mut Vec<Cause>) {
        if self.is_shared("subresources") == shared {
            parts::subresources(version, field, causes);
        }
        if self.is_shared("additionalPrinterColumns") == shared {
            parts::columns(version, field, causes);
        }
        if self.is_shared("selectableFields") == shared {
            parts::selectable(version, field, schema, causes);
        }
    }

    fn names_and_storage(&self, causes: &mut Vec<Cause>) {
        let shown = || self.list.map_or(Value::Null, |list| list.iter().map(shown).collect());
        let mut invalid = |detail: &str| causes.push(Cause::invalid("spec.versions", &shown(), detail));
        let names: Vec<&str> = self.all().iter().map(|version| text(version, &["name"])).collect();
        if names.iter().enumerate().any(|(i, name)| names[..i].contains(name)) {
            invalid("must contain unique version names");
        }
        if self.all().iter().filter(|version| super::flag(version, "storage")).count() != 1 {
            invalid("must have exactly one version marked as storage version");
        }
        if let Some(why) = names.first().and_then(|name| names::wrong_dns_1035(name)) {
            causes.push(Cause::invalid("spec.version", &json!(names[0]), &why));
        }
    }
}

fn schema(version: &Value, field: &str, has_status: bool, causes: &mut Vec<Cause>) -> Option<Schema> {
    let raw = at(version, &["schema", "openAPIV3Schema"]).filter(|schema| !schema.is_null())?;
    let field = format!("{field}.openAPIV3Schema");
    if has_status {
        parts::root_beside_status(raw, &field, causes);
    }
    if super::flag(raw, "nullable") {
        causes.push(Cause::forbidden(&format!("{field}.nullable"), "nullable cannot be true at the root"));
    }
    Schema::parse(raw, &field).map_err(|mut found| causes.append(&mut found)).ok()
}

/// A version as the server shows it in a refusal: its own struct, by field.
fn shown(version: &Value) -> Value {
    let flag = |name: &str| super::flag(version, name);
    json!({
        "Name": text(version, &["name"]), "Served": flag("served"), "Storage": flag("storage"),
        "Deprecated": flag("deprecated"), "DeprecationWarning": null, "Schema": null, "Subresources": null,
        "AdditionalPrinterColumns": null, "SelectableFields": null
    })
}

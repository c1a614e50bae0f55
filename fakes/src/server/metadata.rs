//! Metadata: what the server stamps, what it keeps, what it refuses.

use serde_json::{Value, json};

use super::{Target, WriteOptions};
use crate::{
    object::{self, map_mut, meta, meta_mut, set_meta, strings},
    schema::Cause,
    store::Store,
};

/// Fields only the server writes.
const SYSTEM_FIELDS: [&str; 5] =
    ["uid", "creationTimestamp", "generation", "deletionTimestamp", "deletionGracePeriodSeconds"];

/// The longest prefix of a generated name.
const MAX_GENERATED_PREFIX: usize = 58;
const MAX_ANNOTATIONS_BYTES: usize = 256 * 1024;
const CHECKS_OF_AN_UPDATE: usize = 4;
const MAX_SUBDOMAIN: usize = 253;
const MAX_LABEL: usize = 63;

pub(super) const SUBDOMAIN_RULE: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or \
    '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL_RULE: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must \
    start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
pub(super) const SERVICE_RULE: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an \
    alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for \
    validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const KEY_RULE: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with \
    an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
    '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const VALUE_RULE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', \
    and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for \
    validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

/// Takes out of a new object what only the server says, and has it say what it is.
pub(super) fn prepare_create(object: &mut Value, target: &Target) {
    // A patch may have left nothing but some fields; a stored object always says what it is.
    let version = target.resource.storage_version().map_or("v1", |version| &version.name);
    let api_version = if target.resource.stored_as.group.is_empty() {
        version.to_owned()
    } else {
        target.resource.api_version(version)
    };
    let fields = map_mut(object);
    fields.insert("apiVersion".to_owned(), api_version.into());
    fields.insert("kind".to_owned(), target.resource.kind.clone().into());
    let metadata = meta_mut(object);
    for field in SYSTEM_FIELDS.iter().filter(|field| **field != "generation") {
        metadata.shift_remove(*field);
    }
    metadata.shift_remove("resourceVersion");
    metadata.shift_remove("selfLink");
    if !target.resource.namespaced {
        metadata.shift_remove("namespace");
    }
    drop_empty(object);
}

/// Stamps a new object: name from generateName, uid, time of creation.
pub(super) fn identify(object: &mut Value, store: &Store) {
    let metadata = meta_mut(object);
    let text = |field: &str| metadata.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (name, prefix) = (text("name"), text("generateName"));
    if name.is_empty() && !prefix.is_empty() {
        let prefix: String = prefix.chars().take(MAX_GENERATED_PREFIX).collect();
        metadata.insert("name".to_owned(), format!("{prefix}{}", store.suffix()).into());
    }
    metadata.insert("uid".to_owned(), store.uid().into());
    metadata.insert("creationTimestamp".to_owned(), store.clock().stamp().into());
}

/// Keeps what a writer cannot change.
pub(super) fn carry_over(old: &Value, new: &mut Value) {
    for field in ["apiVersion", "kind"] {
        if let Some(value) = old.get(field) {
            map_mut(new).insert(field.to_owned(), value.clone());
        }
    }
    for field in SYSTEM_FIELDS {
        set_meta(new, field, meta(old, field).cloned());
    }
    set_meta(new, "name", meta(old, "name").cloned());
    set_meta(new, "namespace", meta(old, "namespace").cloned());
    set_meta(new, "resourceVersion", meta(old, "resourceVersion").cloned());
    set_meta(new, "selfLink", None);
    drop_empty(new);
}

/// Empty maps and lists in metadata are left out, as the server leaves them out.
fn drop_empty(object: &mut Value) {
    meta_mut(object).retain(|_, value| match value {
        Value::Null => false,
        Value::Object(map) => !map.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::String(text) => !text.is_empty(),
        _ => true,
    });
}

pub(super) fn validate(object: &Value, old: Option<&Value>, target: &Target) -> Vec<Cause> {
    let mut causes = Vec::new();
    if old.is_none() {
        validate_name(object, target, &mut causes);
    }
    for (key, value) in meta(object, "labels").and_then(Value::as_object).into_iter().flatten() {
        validate_label(key, value, &mut causes);
    }
    let mut size = 0;
    for (key, value) in meta(object, "annotations").and_then(Value::as_object).into_iter().flatten() {
        if let Some(why) = wrong_key(&key.to_lowercase()) {
            causes.push(Cause::invalid("metadata.annotations", &json!(key), &why));
        }
        size += key.len() + value.as_str().unwrap_or_default().len();
    }
    if size > MAX_ANNOTATIONS_BYTES {
        causes.push(Cause::too_long("metadata.annotations", MAX_ANNOTATIONS_BYTES as u64));
    }
    validate_owners(object, &mut causes);
    for finalizer in object::finalizers(object) {
        if let Some(why) = wrong_key(finalizer) {
            causes.push(Cause::invalid("metadata.finalizers", &json!(finalizer), &why));
        }
    }
    // The real server looks at the metadata of an update from several places, and each tells what it finds.
    if old.is_some() {
        causes = std::iter::repeat_n(causes, CHECKS_OF_AN_UPDATE).flatten().collect();
    }
    if let Some(old) = old.filter(|old| object::is_deleting(old)) {
        let known = object::finalizers(old);
        let added: Vec<&str> = object::finalizers(object).into_iter().filter(|name| !known.contains(name)).collect();
        if !added.is_empty() {
            let added: Vec<String> = added.iter().map(|name| format!("{name:?}")).collect();
            let cause = Cause::forbidden(
                "metadata.finalizers",
                &format!(
                    "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                    added.join(", ")
                ),
            );
            causes.extend([cause.clone(), cause]);
        }
    }
    causes
}

/// Warns of what is let through but unwise.
pub(super) fn warn(object: &Value, old: Option<&Value>, options: &WriteOptions) {
    let known = old.map(object::finalizers).unwrap_or_default();
    let standard = ["orphan", "foregroundDeletion", "kubernetes"];
    for finalizer in object::finalizers(object) {
        if !finalizer.contains('/') && !standard.contains(&finalizer) && !known.contains(&finalizer) {
            options.warnings.push(format!(
                "metadata.finalizers: {finalizer:?}: prefer a domain-qualified finalizer name to avoid accidental \
                 conflicts with other finalizer writers"
            ));
        }
    }
}

fn validate_name(object: &Value, target: &Target, causes: &mut Vec<Cause>) {
    let name = object::name(object);
    if name.is_empty() {
        causes.push(Cause::required("metadata.name", "name or generateName is required"));
        return;
    }
    let plural = &*target.resource.resource.plural;
    let builtin = !target.resource.custom;
    let (limit, rule, fits): (usize, &str, fn(&str) -> bool) = match plural {
        "namespaces" if builtin => (MAX_LABEL, LABEL_RULE, is_label),
        "services" if builtin => (MAX_LABEL, SERVICE_RULE, is_service_name),
        _ => (MAX_SUBDOMAIN, SUBDOMAIN_RULE, is_subdomain),
    };
    if name.len() > limit {
        causes.push(Cause::invalid("metadata.name", &json!(name), &format!("must be no more than {limit} bytes")));
    }
    if !fits(name) {
        let has_dots = rule == LABEL_RULE && is_subdomain(name);
        let rule = if has_dots { "must not contain dots" } else { rule };
        causes.push(Cause::invalid("metadata.name", &json!(name), rule));
    }
}

fn validate_label(key: &str, value: &Value, causes: &mut Vec<Cause>) {
    if let Some(why) = wrong_key(key) {
        causes.push(Cause::invalid("metadata.labels", &json!(key), &why));
    }
    let text = value.as_str().unwrap_or_default();
    if text.len() > MAX_LABEL {
        causes.push(Cause::invalid("metadata.labels", value, "must be no more than 63 bytes"));
    }
    if !text.is_empty() && !is_name_part(text) {
        causes.push(Cause::invalid("metadata.labels", value, VALUE_RULE));
    }
}

fn validate_owners(object: &Value, causes: &mut Vec<Cause>) {
    let mut controller: Option<String> = None;
    let owners = meta(object, "ownerReferences").and_then(Value::as_array);
    for (index, owner) in owners.into_iter().flatten().enumerate() {
        let field = format!("metadata.ownerReferences[{index}]");
        for part in ["apiVersion", "kind", "name", "uid"] {
            if object::text(owner, &[part]).is_empty() {
                causes.push(Cause::invalid(&format!("{field}.{part}"), &json!(""), "must not be empty"));
            }
        }
        if owner.get("controller").and_then(Value::as_bool).unwrap_or_default() {
            let name = format!("{}/{}", object::text(owner, &["kind"]), object::text(owner, &["name"]));
            if let Some(first) = &controller {
                let why = format!(
                    "Only one reference can have Controller set to true. Found \"true\" in references for {first} and {name}"
                );
                let all = owners.into_iter().flatten().map(shown_owner).collect();
                causes.push(Cause::invalid("metadata.ownerReferences", &all, &why));
            }
            controller = controller.or(Some(name));
        }
    }
}

/// An owner with its fields in the order the server shows them.
fn shown_owner(owner: &Value) -> Value {
    let fields = ["apiVersion", "kind", "name", "uid", "controller", "blockOwnerDeletion"];
    fields.iter().filter_map(|&field| Some((field.to_owned(), owner.get(field)?.clone()))).collect()
}

/// Why a key of labels is none.
pub(crate) fn wrong_label_key(key: &str) -> Option<String> {
    wrong_key(key)
}

pub(super) fn wrong_key(key: &str) -> Option<String> {
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    if name.contains('/') {
        return Some(
            "a qualified name must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
             alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
             '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. \
             'example.com/MyName')"
                .to_owned(),
        );
    }
    match prefix {
        Some("") => return Some("prefix part must be non-empty".to_owned()),
        Some(prefix) if !is_subdomain(prefix) => return Some(format!("prefix part {SUBDOMAIN_RULE}")),
        _ => {}
    }
    if name.is_empty() {
        Some("name part must be non-empty".to_owned())
    } else if name.len() > MAX_LABEL {
        Some("name part must be no more than 63 bytes".to_owned())
    } else if is_name_part(name) {
        None
    } else {
        Some(KEY_RULE.to_owned())
    }
}

fn is_name_part(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    framed(text, char::is_ascii_alphanumeric) && text.chars().all(inner)
}

fn is_label(text: &str) -> bool {
    let lower = |c: &char| c.is_ascii_lowercase() || c.is_ascii_digit();
    framed(text, lower) && text.chars().all(|c| lower(&c) || c == '-')
}

pub(super) fn is_service_name(text: &str) -> bool {
    is_label(text) && text.starts_with(|c: char| c.is_ascii_lowercase())
}

pub(super) fn is_subdomain(text: &str) -> bool {
    text.split('.').all(is_label)
}

/// The first and the last character are of the kind asked for.
fn framed(text: &str, fits: impl Fn(&char) -> bool) -> bool {
    text.chars().next().is_some_and(|c| fits(&c)) && text.chars().next_back().is_some_and(|c| fits(&c))
}

/// The values of a list in metadata.
pub(super) fn finalizers_value(finalizers: &[String]) -> Option<Value> {
    (!finalizers.is_empty()).then(|| json!(finalizers))
}

/// The finalizers as owned strings.
pub(super) fn finalizers_owned(object: &Value) -> Vec<String> {
    strings(meta(object, "finalizers")).into_iter().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_keys_follow_the_dns_rules() {
        for (name, fits) in
            [("web-0", true), ("a.b", true), ("0", true), ("", false), ("Web", false), ("-a", false), ("a..b", false)]
        {
            assert_eq!(is_subdomain(name), fits, "{name}");
        }
        for (name, fits) in [("web", true), ("0web", false), ("web.x", false), ("web-", false)] {
            assert_eq!(is_service_name(name), fits, "{name}");
        }
        for (key, fits) in [
            ("app", true),
            ("example.com/app", true),
            ("App_1.x", true),
            ("/app", false),
            ("Example.com/app", false),
            ("a/b/c", false),
            ("", false),
            ("-app", false),
        ] {
            assert_eq!(wrong_key(key).is_none(), fits, "{key}");
        }
    }
}

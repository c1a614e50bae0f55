//! Built-in objects held against their types: what does not fit is refused, what is not known is dropped.

use k8s_openapi::api::{
    apps::v1::{ControllerRevision, Deployment, ReplicaSet, StatefulSet},
    coordination::v1::Lease,
    core::v1::{ConfigMap, Event, Namespace, Node, Pod, Secret, Service, ServiceAccount},
    discovery::v1::EndpointSlice,
    policy::v1::PodDisruptionBudget,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{FieldValidation, Target, WriteOptions};
use crate::{object, schema::Cause, status::Status};

/// What a writer sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// The whole object.
    Object,
    /// A change of it.
    Patch,
    /// A configuration, applied on the server's side.
    Applied,
}

/// Reads an object by its type and back.
type RoundTrip = fn(&Value) -> Result<Value, serde_json::Error>;

fn round_trip<T: DeserializeOwned + Serialize>(object: &Value) -> Result<Value, serde_json::Error> {
    serde_json::to_value(T::deserialize(object)?)
}

fn kind(target: &Target) -> Option<RoundTrip> {
    if target.resource.custom {
        return None;
    }
    Some(match &*target.resource.resource.plural {
        "configmaps" => round_trip::<ConfigMap>,
        "controllerrevisions" => round_trip::<ControllerRevision>,
        "deployments" => round_trip::<Deployment>,
        "endpointslices" => round_trip::<EndpointSlice>,
        "events" => round_trip::<Event>,
        "leases" => round_trip::<Lease>,
        "namespaces" => round_trip::<Namespace>,
        "nodes" => round_trip::<Node>,
        "poddisruptionbudgets" => round_trip::<PodDisruptionBudget>,
        "pods" => round_trip::<Pod>,
        "replicasets" => round_trip::<ReplicaSet>,
        "secrets" => round_trip::<Secret>,
        "serviceaccounts" => round_trip::<ServiceAccount>,
        "services" => round_trip::<Service>,
        "statefulsets" => round_trip::<StatefulSet>,
        _ => return None,
    })
}

/// Refuses an object that is not of its type, and drops fields its type does not know.
pub(super) fn check(
    object: &mut Value,
    target: &Target,
    options: &WriteOptions,
    written: Written,
) -> Result<(), Status> {
    let Some(round_trip) = kind(target).filter(|_| options.check_types) else { return Ok(()) };
    let known = round_trip(object).map_err(|error| mistyped(&error.to_string(), object, target, written))?;
    let mut unknown = Vec::new();
    drop_unknown(object, &known, "", &mut unknown);
    tell_unknown(&unknown, target, options, written)
}

/// Warns of unknown fields, or refuses them when asked to.
pub(super) fn tell_unknown(
    unknown: &[String],
    target: &Target,
    options: &WriteOptions,
    written: Written,
) -> Result<(), Status> {
    let told: Vec<String> = unknown.iter().map(|field| format!("unknown field {field:?}")).collect();
    match options.field_validation {
        _ if told.is_empty() => Ok(()),
        FieldValidation::Ignore => Ok(()),
        FieldValidation::Warn => {
            for warning in told {
                options.warnings.push(warning);
            }
            Ok(())
        }
        FieldValidation::Strict => {
            let why = format!("strict decoding error: {}", told.join(", "));
            Err(mistyped(&why, &Value::Null, target, written))
        }
    }
}

fn mistyped(why: &str, object: &Value, target: &Target, written: Written) -> Status {
    let (kind, version) = (&target.resource.kind, &target.version().name);
    if written == Written::Patch && !target.resource.custom {
        let cause = Cause::invalid("patch", &json!(""), why);
        return target.invalid(object::name(object), &[cause]);
    }
    Status::bad_request(format!("{kind} in version {version:?} cannot be handled as a {kind}: {why}"))
}

fn drop_unknown(object: &mut Value, known: &Value, path: &str, unknown: &mut Vec<String>) {
    match (object, known) {
        (Value::Object(fields), Value::Object(known)) => fields.retain(|field, value| {
            let path = if path.is_empty() { field.clone() } else { format!("{path}.{field}") };
            match known.get(field) {
                Some(known) => {
                    drop_unknown(value, known, &path, unknown);
                    true
                }
                // Null and absent are one to a type.
                None if value.is_null() => true,
                None => {
                    unknown.push(path);
                    false
                }
            }
        }),
        (Value::Array(items), Value::Array(known)) => {
            for (index, (item, known)) in items.iter_mut().zip(known).enumerate() {
                drop_unknown(item, known, &format!("{path}[{index}]"), unknown);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_fields_are_dropped_and_named() {
        let mut set = json!({
            "metadata": { "name": "a" }, "extra": 1,
            "spec": {
                "replicas": 1, "selector": {}, "serviceName": null,
                "template": { "spec": { "containers": [{ "name": "a" }, { "name": "b", "imgae": "x" }] } }
            }
        });
        let known = round_trip::<StatefulSet>(&set).unwrap();
        let mut unknown = Vec::new();
        drop_unknown(&mut set, &known, "", &mut unknown);
        assert_eq!(unknown, ["extra", "spec.template.spec.containers[1].imgae"]);
        assert_eq!(set["spec"]["template"]["spec"]["containers"][1], json!({ "name": "b" }));
        assert!(round_trip::<StatefulSet>(&json!({ "spec": { "replicas": "ten" } })).is_err());
    }
}

//! The Rust types against the CRDs: what the schema allows is read and comes back unchanged.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use slipway_actors::api::{
    BackendRouting, Rollout, RolloutRun, RolloutStrategy, ScaleRun, TrafficTopology, crd, keys::ProgressingInfo,
};

/// A path from the root of an object down to a field.
type Path = Vec<Step>;

#[derive(Clone, Debug)]
enum Step {
    Field(String),
    First,
}

#[test]
fn objects_with_every_field_come_back_unchanged() {
    for (crd, schema) in definitions() {
        let object = sample(&crd, &schema);
        assert_eq!(round_trip(&crd, object.clone()).unwrap(), object, "{}", crd.spec.names.kind);
    }
}

#[test]
fn objects_without_an_optional_field_are_read() {
    for (crd, schema) in definitions() {
        let mut optional = Vec::new();
        optional_fields(&schema, &mut Path::new(), &mut optional);
        assert!(optional.len() > 10, "{optional:?}");
        for path in optional {
            let mut object = sample(&crd, &schema);
            remove(&mut object, &path);
            let once = round_trip(&crd, object).unwrap_or_else(|error| panic!("without {path:?}: {error}"));
            assert_eq!(round_trip(&crd, once.clone()).unwrap(), once, "without {path:?}");
        }
    }
}

#[test]
fn progressing_info_is_upstreams() {
    let cases = [
        r#"{"kind":"Rollout","rollout":"web","rolloutID":"web-1","canary":{}}"#,
        r#"{"kind":"Rollout","rollout":"web","rolloutID":"web-1","batch":{"currentBatchIndex":2}}"#,
        r#"{"kind":"RollingScale","rolloutID":"more","batch":{"currentBatchIndex":0}}"#,
    ];
    for text in cases {
        let info: ProgressingInfo = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&info).unwrap(), text);
    }
}

fn definitions() -> impl Iterator<Item = (CustomResourceDefinition, Value)> {
    crd::all().into_iter().map(|crd| {
        let mut schema = serde_json::to_value(&crd.spec.versions[0].schema).unwrap()["openAPIV3Schema"].take();
        let fields = schema["properties"].as_object_mut().unwrap();
        for of_every_object in ["apiVersion", "kind", "metadata"] {
            fields.remove(of_every_object);
        }
        if crd.spec.names.kind == "RolloutStrategy" {
            fields.remove("spec");
        }
        (crd, schema)
    })
}

fn round_trip(crd: &CustomResourceDefinition, object: Value) -> serde_json::Result<Value> {
    fn through<T: DeserializeOwned + Serialize>(object: Value) -> serde_json::Result<Value> {
        serde_json::to_value(serde_json::from_value::<T>(object)?)
    }
    match &*crd.spec.names.kind {
        "BackendRouting" => through::<BackendRouting>(object),
        "Rollout" => through::<Rollout>(object),
        "RolloutRun" => through::<RolloutRun>(object),
        "RolloutStrategy" => through::<RolloutStrategy>(object),
        "ScaleRun" => through::<ScaleRun>(object),
        "TrafficTopology" => through::<TrafficTopology>(object),
        kind => panic!("{kind} has no type here"),
    }
}

/// An object with every field set.
fn sample(crd: &CustomResourceDefinition, schema: &Value) -> Value {
    let mut object = json!({
        "apiVersion": "rollout.kusionstack.io/v1alpha1",
        "kind": crd.spec.names.kind,
        "metadata": {"name": "sample", "namespace": "default"},
    });
    for (name, value) in value_of(schema).as_object().unwrap() {
        object[name] = value.clone();
    }
    object
}

/// A value that the schema allows, other than the default and the zero, so that a lost field is seen.
fn value_of(schema: &Value) -> Value {
    if schema["x-kubernetes-int-or-string"] == true {
        return json!("30%");
    }
    if let Some(choices) = schema["enum"].as_array() {
        return choices.last().unwrap().clone();
    }
    match (schema["type"].as_str().unwrap(), schema["format"].as_str()) {
        ("boolean", _) => json!(true),
        ("integer", _) => json!(7),
        ("string", Some("date-time")) => json!("2026-05-13T10:00:00Z"),
        ("string", Some("byte")) => json!("AQID"),
        ("string", None) => json!("Something"),
        ("array", _) => json!([value_of(&schema["items"])]),
        ("object", _) if schema["additionalProperties"].is_object() => {
            json!({ "key": value_of(&schema["additionalProperties"]) })
        }
        // Nothing is said of what is in it.
        ("object", _) if schema["x-kubernetes-preserve-unknown-fields"] == true => json!({}),
        ("object", _) => {
            let fields = schema["properties"].as_object().unwrap();
            Value::Object(fields.iter().map(|(name, field)| (name.clone(), value_of(field))).collect::<Map<_, _>>())
        }
        other => panic!("no sample for {other:?}"),
    }
}

fn optional_fields(schema: &Value, path: &mut Path, found: &mut Vec<Path>) {
    if schema["items"].is_object() {
        path.push(Step::First);
        optional_fields(&schema["items"], path, found);
        path.pop();
    }
    let required = schema["required"].as_array();
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        path.push(Step::Field(name.clone()));
        if !required.is_some_and(|required| required.iter().any(|required| required == name)) {
            found.push(path.clone());
        }
        optional_fields(field, path, found);
        path.pop();
    }
}

fn remove(object: &mut Value, path: &[Step]) {
    let (Step::Field(name), above) = path.split_last().unwrap() else { panic!("{path:?} ends at no field") };
    let parent = above.iter().fold(object, |value, step| match step {
        Step::Field(name) => &mut value[name],
        Step::First => &mut value[0],
    });
    assert!(parent.as_object_mut().unwrap().remove(name).is_some(), "{path:?} was not there");
}

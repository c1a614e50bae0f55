//! The six CustomResourceDefinitions, made from the types.

mod structural;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceColumnDefinition, CustomResourceDefinition, CustomResourceDefinitionNames,
    CustomResourceDefinitionSpec, CustomResourceDefinitionVersion, CustomResourceSubresourceStatus,
    CustomResourceSubresources, CustomResourceValidation, JSONSchemaProps,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use super::{BackendRouting, GROUP, Rollout, RolloutRun, RolloutStrategy, ScaleRun, TrafficTopology, VERSION};

/// Every definition, by plural name.
pub fn all() -> Vec<CustomResourceDefinition> {
    let [backend_routing, rollout_run, rollout, rollout_strategy, scale_run, traffic_topology] = names();
    vec![
        definition::<BackendRouting>(backend_routing, BACKEND_ROUTING_COLUMNS),
        definition::<RolloutRun>(rollout_run, ROLLOUT_RUN_COLUMNS),
        definition::<Rollout>(rollout, ROLLOUT_COLUMNS),
        definition::<RolloutStrategy>(rollout_strategy, &[]),
        definition::<ScaleRun>(scale_run, SCALE_RUN_COLUMNS),
        definition::<TrafficTopology>(traffic_topology, TRAFFIC_TOPOLOGY_COLUMNS),
    ]
}

/// What every kind is called, by plural name.
pub fn names() -> [CustomResourceDefinitionNames; 6] {
    [
        names_of::<BackendRouting>("bkr"),
        names_of::<RolloutRun>("ror"),
        names_of::<Rollout>("ro"),
        names_of::<RolloutStrategy>("ros"),
        names_of::<ScaleRun>("scr"),
        names_of::<TrafficTopology>("ttopo"),
    ]
}

fn names_of<K: Resource<DynamicType = ()>>(short_name: &str) -> CustomResourceDefinitionNames {
    let kind = K::kind(&()).into_owned();
    CustomResourceDefinitionNames {
        list_kind: Some(format!("{kind}List")),
        singular: Some(kind.to_lowercase()),
        short_names: Some(vec![short_name.to_owned()]),
        kind,
        plural: K::plural(&()).into_owned(),
        ..CustomResourceDefinitionNames::default()
    }
}

/// Every definition as YAML, with the file name it is committed under.
pub fn yaml() -> Result<Vec<(String, String)>, serde_saphyr::ser::Error> {
    all()
        .into_iter()
        .map(|crd| {
            let file = format!("{}_{}.yaml", crd.spec.group, crd.spec.names.plural);
            let mut document = serde_json::to_value(&crd).map_err(|error| error.to_string())?;
            write_whole_numbers(&mut document);
            Ok((file, serde_saphyr::to_string(&document)?))
        })
        .collect()
}

/// Bounds are floats in the type; people write `100`, not `100.0`.
fn write_whole_numbers(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(write_whole_numbers),
        Value::Object(fields) => fields.values_mut().for_each(write_whole_numbers),
        Value::Number(number) => {
            let whole = number.as_f64().filter(|float| number.is_f64() && float.fract() == 0.0);
            if let Some(whole) = whole.and_then(|float| format!("{float:.0}").parse::<i64>().ok()) {
                *number = whole.into();
            }
        }
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

/// Heading and JSON path of a printer column; all but the age are strings.
type Column = (&'static str, &'static str);

const BACKEND_ROUTING_COLUMNS: &[Column] = &[
    ("TYPE", ".spec.trafficType"),
    ("BACKEND", ".spec.backend.name"),
    ("ROUTES", ".spec.routes[*].name"),
    ("STABLE", ".status.backends.stable.name"),
    ("CANARY", ".status.backends.canary.name"),
    AGE,
];
const ROLLOUT_COLUMNS: &[Column] = &[
    ("Available", ".status.conditions[?(@.type=='Available')].status"),
    ("Phase", ".status.phase"),
    ("ID", ".status.rolloutID"),
    AGE,
];
const ROLLOUT_RUN_COLUMNS: &[Column] = &[
    ("OWNER", ".metadata.ownerReferences[0].name"),
    ("Phase", ".status.phase"),
    ("Canary State", ".status.canaryStatus.state"),
    ("Batch Index", ".status.batchStatus.currentBatchIndex"),
    ("Batch State", ".status.batchStatus.currentBatchState"),
    ("Error", ".status.error.code"),
    AGE,
];
/// The data is in `.status.batches`; upstream's columns look elsewhere and stay empty.
const SCALE_RUN_COLUMNS: &[Column] = &[
    ("Phase", ".status.phase"),
    ("Batch Index", ".status.batches.currentBatchIndex"),
    ("Batch State", ".status.batches.currentBatchState"),
    ("Error", ".status.error.code"),
    AGE,
];
const TRAFFIC_TOPOLOGY_COLUMNS: &[Column] = &[
    ("TYPE", ".spec.trafficType"),
    ("SERVICE", ".spec.backend.name"),
    ("Routes", ".spec.routes[*].name"),
    ("BACKEND_ROUTINGS", ".status.topologies[*].backendRoutingName"),
    AGE,
];
const AGE: Column = ("AGE", ".metadata.creationTimestamp");

fn definition<K: JsonSchema>(names: CustomResourceDefinitionNames, columns: &[Column]) -> CustomResourceDefinition {
    let schema = schema::<K>();
    let has_status = schema.properties.as_ref().is_some_and(|fields| fields.contains_key("status"));
    CustomResourceDefinition {
        metadata: ObjectMeta { name: Some(format!("{}.{GROUP}", names.plural)), ..ObjectMeta::default() },
        spec: CustomResourceDefinitionSpec {
            group: GROUP.to_owned(),
            names,
            scope: "Namespaced".to_owned(),
            versions: vec![CustomResourceDefinitionVersion {
                name: VERSION.to_owned(),
                served: true,
                storage: true,
                additional_printer_columns: (!columns.is_empty()).then(|| columns.iter().map(column).collect()),
                subresources: has_status.then(|| CustomResourceSubresources {
                    status: Some(CustomResourceSubresourceStatus(json!({}))),
                    ..CustomResourceSubresources::default()
                }),
                schema: Some(CustomResourceValidation { open_api_v3_schema: Some(schema) }),
                ..CustomResourceDefinitionVersion::default()
            }],
            ..CustomResourceDefinitionSpec::default()
        },
        status: None,
    }
}

fn column(&(name, json_path): &Column) -> CustomResourceColumnDefinition {
    let is_age = name == AGE.0;
    CustomResourceColumnDefinition {
        name: name.to_owned(),
        json_path: json_path.to_owned(),
        type_: if is_age { "date" } else { "string" }.to_owned(),
        format: is_age.then(|| "date-time".to_owned()),
        ..CustomResourceColumnDefinition::default()
    }
}

#[expect(clippy::expect_used, reason = "the schema is a constant of the binary, and a test makes every one")]
fn schema<K: JsonSchema>() -> JSONSchemaProps {
    let settings = SchemaSettings::openapi3().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<K>().to_value();
    structural::restrict(&mut schema);
    structural::add_type_meta(&mut schema);
    serde_json::from_value(schema).expect("a restricted schema is a structural one")
}

//! The scale subresource: the replicas of an object as a `Scale`.

use http::{Method, Response, StatusCode};
use serde_json::{Value, json};

use super::{ApiBody, Incoming, item::read_patch, json as respond_json};
use crate::{
    object::{self, map_mut, meta},
    server::{ApiServer, Patch, Target, patch::apply_operations, write::Changed},
    status::Status,
    store::Key,
};

impl ApiServer {
    pub(super) async fn scale(
        &self,
        incoming: &Incoming<'_>,
        target: &Target,
        key: &Key,
    ) -> Result<Response<ApiBody>, Status> {
        let not_found = || Status::not_found(&target.resource.resource, &key.name);
        match *incoming.method {
            Method::GET => {
                let stored = self.store().get(key).ok_or_else(not_found)?;
                Ok(respond_json(StatusCode::OK, &scale_of(target, &stored.value)))
            }
            Method::PUT | Method::PATCH => {
                let mut options = incoming.write_options()?;
                let patch = match *incoming.method {
                    Method::PUT => None,
                    _ => Some(read_patch(incoming, target, &mut options)?),
                };
                let put = if patch.is_none() { incoming.value()? } else { Value::Null };
                let stored = self.change(target, key, &options, |current| {
                    let mut scale = scale_of(target, &current.value);
                    match &patch {
                        None => scale.clone_from(&put),
                        Some(Patch::Json(operations)) => apply_operations(&mut scale, operations)?,
                        Some(Patch::Merge(merge) | Patch::Strategic(merge) | Patch::Apply(merge)) => {
                            object::merge(&mut scale, merge);
                        }
                    }
                    scaled(target, &current.value, &scale).map(Changed::Patched)
                });
                Ok(respond_json(StatusCode::OK, &scale_of(target, &stored.await?.value)))
            }
            _ => Err(Status::method_not_allowed()),
        }
    }
}

fn path<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(object, |value, part| value.get(part))
}

/// An object's replicas as a `Scale`.
pub(in crate::server) fn scale_of(target: &Target, object: &Value) -> Value {
    let Some(paths) = &target.version().scale else { return Value::Null };
    let mut metadata = json!({});
    for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if let Some(value) = meta(object, field) {
            metadata[field] = value.clone();
        }
    }
    let count = |at: &str| path(object, at).and_then(Value::as_i64).unwrap_or_default();
    let mut spec = json!({});
    if count(&paths.spec_replicas) != 0 {
        spec["replicas"] = count(&paths.spec_replicas).into();
    }
    let mut status = json!({ "replicas": count(&paths.status_replicas) });
    let selector = match &paths.selector {
        Some(at) => path(object, at).and_then(Value::as_str).map(str::to_owned),
        None if target.resource.custom => None,
        None => object.pointer("/spec/selector/matchLabels").and_then(Value::as_object).map(|labels| {
            let mut pairs: Vec<String> =
                labels.iter().map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect();
            pairs.sort();
            pairs.join(",")
        }),
    };
    if let Some(selector) = selector {
        status["selector"] = selector.into();
    }
    json!({ "kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata, "spec": spec, "status": status })
}

/// An object with the replicas of a `Scale`.
pub(in crate::server) fn scaled(target: &Target, object: &Value, scale: &Value) -> Result<Value, Status> {
    let replicas = scale.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or_default();
    if replicas < 0 {
        let shown = json!(replicas);
        let cause = crate::schema::Cause::invalid("spec.replicas", &shown, "must be greater than or equal to 0");
        return Err(Status::invalid("Scale", "autoscaling", object::name(object), &[cause]));
    }
    let mut scaled = object.clone();
    if let Some(version) = meta(scale, "resourceVersion") {
        object::set_meta(&mut scaled, "resourceVersion", Some(version.clone()));
    }
    let Some(paths) = &target.version().scale else { return Ok(scaled) };
    let mut at = &mut scaled;
    for part in paths.spec_replicas.split('.') {
        at = map_mut(at).entry(part).or_insert(Value::Null);
    }
    *at = replicas.into();
    Ok(scaled)
}

//! The scale subresource: the replicas of an object as a `Scale`.

use http::{Method, Response, StatusCode};
use serde_json::{Value, json};

use super::{
    ApiBody, Incoming, Shape,
    item::{read_patch, read_replacement},
    json as respond_json,
};
use crate::{
    apply::{self, ApplyError, Conflict, PathElement, Types},
    object::{self, map_mut, meta},
    registry::Scale,
    schema::Cause,
    selector,
    server::{
        ApiServer, Patch, Target, WriteOptions, managed, metadata, patch::apply_operations, place, typed,
        write::Changed,
    },
    status::Status,
    store::Key,
    types::{self, Reader, Type},
};

impl ApiServer {
    pub(super) async fn scale(
        &self,
        incoming: &Incoming<'_>,
        target: &Target,
        key: &Key,
    ) -> Result<Response<ApiBody>, Status> {
        let Some(paths) = &target.version().scale else { return Err(Status::no_such_resource()) };
        match *incoming.method {
            Method::GET => {
                let form = incoming.form()?;
                let not_found = || Status::not_found(&target.resource.resource, &key.name);
                let stored = self.store().get(key).ok_or_else(not_found)?;
                if form.shape != Shape::Plain {
                    return self.present(incoming, target, StatusCode::OK, &stored);
                }
                check_replicas(target, paths, &stored.value)?;
                let scale = scale_of(target, &stored.value);
                Ok(respond_json(StatusCode::OK, &scale))
            }
            Method::PUT => {
                let (sent, options) = read_replacement(self, incoming, target, key)?;
                let change = |current: &Value| rescaled(target, current, paths, &sent).map(Changed::Replaced);
                self.rescale(target, key, &options, change).await
            }
            Method::PATCH => {
                let (patch, options) = read_patch(self, incoming, target, key)?;
                let change = |current: &Value| self.patched(target, paths, key, current, &patch, &options);
                self.rescale(target, key, &options, change).await
            }
            _ => Err(Status::method_not_allowed()),
        }
    }

    async fn rescale(
        &self,
        target: &Target,
        key: &Key,
        options: &WriteOptions,
        change: impl Fn(&Value) -> Result<Changed, Status> + Sync,
    ) -> Result<Response<ApiBody>, Status> {
        let stored = self.change(target, key, options, |current| change(&current.value)).await?;
        Ok(respond_json(StatusCode::OK, &scale_of(target, &stored.value)))
    }

    fn patched(
        &self,
        target: &Target,
        paths: &Scale,
        key: &Key,
        current: &Value,
        patch: &Patch,
        options: &WriteOptions,
    ) -> Result<Changed, Status> {
        let mut scale = scale_of(target, current);
        object::set_meta(&mut scale, "managedFields", Some(managers_of_replicas(current, paths)));
        let original = scale.clone();
        match patch {
            Patch::Json(operations) => apply_operations(&mut scale, operations)?,
            Patch::Merge(merge) | Patch::Strategic(merge) => object::merge(&mut scale, merge),
            Patch::Apply(applied) => return self.applied(target, paths, key, current, applied, options),
        }
        let shown = patch.shown(&original, || scale.to_string());
        let refused = |why: &str| typed::unreadable(&shown, why);
        if let (Value::Object(fields), false) = (&scale, patch.is_strategic()) {
            place::read_type(fields).map_err(|why| refused(&why))?;
        }
        let reader = if patch.is_strategic() { Reader::Converter } else { Reader::Json };
        if let Some(ty) = scale_type() {
            typed::read_as(&mut scale, ty, reader, options, refused)?;
        }
        place::check_place(&mut scale, key)?;
        rescaled(target, current, paths, &scale).map(Changed::Patched)
    }

    fn applied(
        &self,
        target: &Target,
        paths: &Scale,
        key: &Key,
        current: &Value,
        applied: &Value,
        options: &WriteOptions,
    ) -> Result<Changed, Status> {
        let custom = target.resource.custom;
        let owned = managers_of_replicas(current, paths) != json!([]);
        if custom && !owned {
            return Err(not_converted(
                "failed to create manager for existing fields: failed to convert live object",
                "/",
            ));
        }
        if let Some(misfit) = apply::misfit(applied, &Types::built_in(scale_type(), true)) {
            return Err(Status::new(500, "", misfit));
        }
        let asked = applied.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or_default();
        let found = path(current, &paths.spec_replicas).and_then(Value::as_i64).unwrap_or_default();
        if !owned && asked != found && !options.force {
            return Err(not_owned());
        }
        let mut config = json!({
            "apiVersion": target.api_version(), "kind": target.resource.kind,
            "metadata": { "name": key.name, "namespace": key.namespace }
        });
        set(&mut config, &paths.spec_replicas, asked.into());
        let merged = managed::apply(Some(current), &config, target, options, self.clock());
        let mut merged = merged.map_err(|conflict| of_scale(conflict, target, paths))?;
        if let (Changed::Applied(object), false) = (&mut merged, asked == 0) {
            managed::after_scale(object, target);
        }
        if !custom {
            check_scale(applied, asked, &key.name)?;
        }
        if custom && asked != found {
            return Err(not_converted("failed to convert new object", &format!("{}/{}", key.namespace, key.name)));
        }
        Ok(merged)
    }
}

/// Who manages the replicas of an object, as its scale tells it.
fn managers_of_replicas(object: &Value, paths: &Scale) -> Value {
    let owned = managed::replicas_pointer(paths);
    let entries = meta(object, "managedFields").and_then(Value::as_array).into_iter().flatten();
    let owning = entries.filter(|entry| entry["fieldsV1"].pointer(&owned).is_some());
    let told = owning.map(|entry| {
        let mut entry = entry.clone();
        entry["apiVersion"] = json!("autoscaling/v1");
        entry["fieldsV1"] = json!({ "f:spec": { "f:replicas": {} } });
        entry
    });
    told.collect()
}

/// Whoever applies replicas that nobody owns is in conflict with the one who set them before anything was recorded.
fn not_owned() -> Status {
    let manager = "\"before-first-apply\" with subresource \"scale\" using autoscaling/v1".to_owned();
    let path = ["spec", "replicas"].map(|name| PathElement::Field(name.to_owned())).to_vec();
    Status::from_value(&ApplyError::Conflicts(vec![Conflict { manager, path }]).status())
}

/// The type of a `Scale`.
pub(super) fn scale_type() -> Option<&'static Type> {
    types::kind("autoscaling/v1", "Scale")
}

/// A conflict about an object's replicas as one about a `Scale`'s.
fn of_scale(mut conflict: Status, target: &Target, paths: &Scale) -> Status {
    let told = |text: &str| {
        text.replace(&format!("using {}", target.api_version()), "using autoscaling/v1")
            .replace(&format!(".{}", paths.spec_replicas), ".spec.replicas")
    };
    conflict.message = told(&conflict.message);
    let causes = conflict.details.as_mut().and_then(|details| details.get_mut("causes")).and_then(Value::as_array_mut);
    for cause in causes.into_iter().flatten() {
        for field in ["message", "field"] {
            if let Some(text) = cause.get(field).and_then(Value::as_str) {
                cause[field] = told(text).into();
            }
        }
    }
    conflict
}

/// The real server cannot do it either.
fn not_converted(what: &str, name: &str) -> Status {
    Status::new(
        500,
        "",
        format!(
            "{what} ({name}; autoscaling/v1, Kind=Scale) to proper version: request to convert CR to an invalid \
             group/version: autoscaling/v1"
        ),
    )
}

fn path<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(object, |value, part| value.get(part))
}

fn set(object: &mut Value, path: &str, value: Value) {
    let at = path.split('.').fold(object, |at, part| map_mut(at).entry(part).or_insert(Value::Null));
    *at = value;
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
    let shown = match &paths.selector {
        Some(at) => path(object, at).and_then(Value::as_str).map(str::to_owned),
        None if target.resource.custom => None,
        None => object.pointer("/spec/selector").map(selector::text),
    };
    if let Some(shown) = shown.filter(|selector| !selector.is_empty()) {
        status["selector"] = shown.into();
    }
    json!({ "kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata, "spec": spec, "status": status })
}

/// An object with the replicas of a `Scale`.
pub(in crate::server) fn scaled(target: &Target, object: &Value, scale: &Value) -> Result<Value, Status> {
    let Some(paths) = &target.version().scale else { return Ok(object.clone()) };
    rescaled(target, object, paths, scale)
}

fn rescaled(target: &Target, object: &Value, paths: &Scale, scale: &Value) -> Result<Value, Status> {
    let name = object::name(object);
    let replicas = scale.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or_default();
    let mut scaled = object.clone();
    for field in ["resourceVersion", "uid"] {
        if let Some(value) = meta(scale, field) {
            object::set_meta(&mut scaled, field, Some(value.clone()));
        }
    }
    set(&mut scaled, &paths.spec_replicas, replicas.into());
    // Of custom resources the numbers are looked at when the object is.
    if !target.resource.custom {
        check_scale(scale, replicas, name)?;
    }
    Ok(scaled)
}

fn check_scale(scale: &Value, replicas: i64, name: &str) -> Result<(), Status> {
    let mut causes = metadata::validate_scale(scale);
    if replicas < 0 {
        causes.push(Cause::invalid("spec.replicas", &json!(replicas), "must be greater than or equal to 0"));
    }
    if causes.is_empty() { Ok(()) } else { Err(Status::invalid("Scale", "autoscaling", name, &causes)) }
}

/// An object of a CRD has a scale only when it says how many replicas it wants.
fn check_replicas(target: &Target, paths: &Scale, object: &Value) -> Result<(), Status> {
    if !target.resource.custom || path(object, &paths.spec_replicas).is_some() {
        return Ok(());
    }
    let why = format!("the spec replicas field \".{}\" does not exist", paths.spec_replicas);
    let mut status = Status::new(500, "InternalError", format!("Internal error occurred: {why}"));
    status.details = Some(Box::new(json!({ "causes": [{ "message": why }] })));
    Err(status)
}

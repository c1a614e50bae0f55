//! Binding: a pod gets its node.

use serde_json::{Map, Value, json};

use super::{ApiServer, pod_status};
use crate::{
    object::{self, map_mut, meta_mut, text},
    schema::Cause,
    status::Status,
    store::{GroupResource, Key, WriteError},
};

impl ApiServer {
    /// Carries out a `Binding`: the pod gets its node, and what else the binding brings for its metadata.
    pub(crate) fn bind(&self, key: &Key, binding: &Value, dry_run: bool) -> Result<(), Status> {
        if object::name(binding) != key.name {
            return Err(Status::bad_request("name in URL does not match name in Binding object"));
        }
        check(binding)?;
        loop {
            let pod = self.store().get(key).ok_or_else(|| Status::not_found(&key.resource, &key.name))?;
            check_preconditions(binding, &pod.value, key)?;
            refuse(&pod.value).map_or(Ok(()), |why| {
                let resource = GroupResource::new("", "pods/binding");
                Err(Status::conflict(&resource, &key.name, &why))
            })?;
            if dry_run {
                return Ok(());
            }
            let mut bound = Value::clone(&pod.value);
            assign(&mut bound, binding, &self.clock().stamp());
            match self.store().put(key.clone(), bound, Some(pod.resource_version)) {
                Err(WriteError::Stale) => {}
                Err(_) => return Err(Status::not_found(&key.resource, &key.name)),
                Ok(_) => return Ok(()),
            }
        }
    }
}

fn check(binding: &Value) -> Result<(), Status> {
    let mut causes = Vec::new();
    let kind = text(binding, &["target", "kind"]);
    if !matches!(kind, "" | "Node") {
        let choices = ["Node", "<empty>"].map(str::to_owned);
        causes.push(Cause::not_supported("target.kind", &json!(kind), &choices));
    }
    if text(binding, &["target", "name"]).is_empty() {
        causes.push(Cause::required("target.name", ""));
    }
    let messages: Vec<String> = causes.iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect();
    let message = match messages.as_slice() {
        [] => return Ok(()),
        [one] => one.clone(),
        several => format!("[{}]", several.join(", ")),
    };
    // The real server answers these without making a proper refusal of them.
    Err(Status::new(500, "", message))
}

fn check_preconditions(binding: &Value, pod: &Value, key: &Key) -> Result<(), Status> {
    let mismatch = |what: &str, wanted: &str, found: &str| {
        let path = format!("/registry/pods/{}/{}", key.namespace, key.name);
        let why = format!(
            "StorageError: invalid object, Code: 4, Key: {path}, ResourceVersion: 0, AdditionalErrorMsg: Precondition \
             failed: {what} in precondition: {wanted}, {what} in object meta: {found}"
        );
        Err(Status::conflict(&key.resource, &key.name, &why))
    };
    let (wanted, found) = (object::uid(binding), object::uid(pod));
    if !wanted.is_empty() && wanted != found {
        return mismatch("UID", wanted, found);
    }
    let version = |object| text(object, &["metadata", "resourceVersion"]);
    let (wanted, found) = (version(binding), version(pod));
    if !wanted.is_empty() && wanted != found {
        return mismatch("ResourceVersion", wanted, found);
    }
    Ok(())
}

fn refuse(pod: &Value) -> Option<String> {
    let (name, node) = (object::name(pod), text(pod, &["spec", "nodeName"]));
    if object::is_deleting(pod) {
        Some(format!("pod {name} is being deleted, cannot be assigned to a host"))
    } else if !node.is_empty() {
        Some(format!("pod {name} is already assigned to node {node:?}"))
    } else if object::at(pod, &["spec", "schedulingGates"]).and_then(Value::as_array).is_some_and(|it| !it.is_empty()) {
        Some(format!("pod {name} has non-empty .spec.schedulingGates"))
    } else {
        None
    }
}

fn assign(pod: &mut Value, binding: &Value, now: &str) {
    object::field_mut(pod, "spec").insert("nodeName".to_owned(), text(binding, &["target", "name"]).into());
    object::field_mut(pod, "status").shift_remove("nominatedNodeName");
    for field in ["annotations", "labels"] {
        let added = object::meta(binding, field).and_then(Value::as_object);
        let Some(added) = added.filter(|added| !added.is_empty()) else { continue };
        let found = map_mut(meta_mut(pod).entry(field).or_insert_with(|| Value::Object(Map::new())));
        found.extend(added.iter().map(|(key, value)| (key.clone(), value.clone())));
    }
    pod_status::set_condition(pod, json!({ "type": "PodScheduled", "status": "True" }), now);
}

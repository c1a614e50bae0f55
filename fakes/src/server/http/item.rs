//! Requests that name one object.

use std::fmt::Write as _;

use http::{Method, Response, StatusCode};
use serde_json::{Value, json};

use super::{ApiBody, Incoming, bytes, json as respond_json};
use crate::{
    apply, object,
    server::{
        ApiServer, Deletion, Patch, Subresource, Target, WriteOptions,
        admission::{Attributes, Operation},
        convert,
        options::Shown,
        terminate, typed,
    },
    status::Status,
    store::{GroupResource, Key},
    types::Parsed,
};

/// As much of a body that is no object as its refusal shows.
const MAX_SHOWN_BYTES: usize = 30;

impl ApiServer {
    pub(super) async fn item(
        &self,
        incoming: &Incoming<'_>,
        target: &Target,
        namespace: &str,
        name: &str,
        subresource: &[&str],
    ) -> Result<Response<ApiBody>, Status> {
        let key = Key::new(&target.resource.stored_as, namespace, name);
        let builtin_pod = !target.resource.custom && &*target.resource.resource.plural == "pods";
        let target = match subresource {
            [] => target.clone(),
            ["status"] if target.version().status => target.with(Subresource::Status),
            ["scale"] if target.version().scale.is_some() => {
                return self.scale(incoming, &target.with(Subresource::Scale), &key).await;
            }
            ["binding"] if builtin_pod && incoming.method == Method::POST => {
                let binding = incoming.value()?;
                self.admit_subresource(incoming, &target.with(Subresource::Binding), &key, binding.clone()).await?;
                self.bind(&key, &binding, incoming.write_options()?.dry_run)?;
                return Ok(success(StatusCode::CREATED));
            }
            ["eviction"] if builtin_pod && incoming.method == Method::POST => {
                let (eviction, dry_run) = (incoming.value()?, incoming.write_options()?.dry_run);
                self.admit_subresource(incoming, &target.with(Subresource::Eviction), &key, eviction.clone()).await?;
                self.evict(target, &key, &eviction, dry_run).await?;
                return Ok(success(StatusCode::CREATED));
            }
            ["finalize"] if terminate::is_namespace(target) && incoming.method == Method::PUT => {
                let (sent, _) = read_object(incoming, target)?;
                let finalizers = object::at(&sent, &["spec", "finalizers"]).and_then(Value::as_array);
                let finalizers = finalizers.map_or(&[][..], Vec::as_slice);
                let stored = self.finalize(name, finalizers, object::resource_version(&sent))?;
                return Ok(self.present(incoming, target, StatusCode::OK, &stored));
            }
            ["finalize"] if terminate::is_namespace(target) => return Err(Status::method_not_allowed()),
            [_] if target.resource.custom => return Err(Status::not_found(&target.resource.resource, name)),
            _ => return Err(Status::no_such_resource()),
        };
        match *incoming.method {
            Method::GET if incoming.query.is("watch") => {
                let one = format!("metadata.name={name}");
                self.watch(incoming, &target, Some(namespace), Some(&one))
            }
            Method::GET => {
                let found = self.store().get(&key);
                let stored = found.ok_or_else(|| Status::not_found(&target.resource.resource, name))?;
                Ok(self.present(incoming, &target, StatusCode::OK, &stored))
            }
            Method::PUT => self.put(incoming, &target, &key).await,
            Method::PATCH => {
                let mut options = incoming.write_options()?;
                let patch = read_patch(incoming, &target, &mut options)?;
                let (stored, created) = self.patch_at(&target, &key, &patch, &options).await?;
                let code = if created { StatusCode::CREATED } else { StatusCode::OK };
                Ok(self.present(incoming, &target, code, &stored))
            }
            Method::DELETE if subresource.is_empty() => {
                let deletion = self.delete_at(&target, &key, &incoming.delete_options()?).await?;
                Ok(self.present_deletion(incoming, &target, &key, &deletion))
            }
            _ => Err(Status::method_not_allowed()),
        }
    }

    async fn put(&self, incoming: &Incoming<'_>, target: &Target, key: &Key) -> Result<Response<ApiBody>, Status> {
        let (mut sent, options) = read_object(incoming, target)?;
        let named = object::name(&sent);
        if named.is_empty() {
            object::set_meta(&mut sent, "name", Some(key.name.clone().into()));
        } else if named != key.name {
            let (named, name) = (named, &key.name);
            return Err(Status::bad_request(format!(
                "the name of the object ({named}) does not match the name on the URL ({name})"
            )));
        }
        check_namespace(&mut sent, &key.namespace)?;
        let exists = self.store().get(key).is_some();
        let sent = convert::incoming(target, sent);
        let stored = self.update_at(target, sent, &options).await?;
        let code = if exists { StatusCode::OK } else { StatusCode::CREATED };
        Ok(self.present(incoming, target, code, &stored))
    }

    fn present_deletion(
        &self,
        incoming: &Incoming<'_>,
        target: &Target,
        key: &Key,
        deletion: &Deletion,
    ) -> Response<ApiBody> {
        match deletion {
            Deletion::Pending(stored) => self.present(incoming, target, StatusCode::OK, stored),
            Deletion::Done(stored) if target.resource.traits.returns_deleted => {
                self.present(incoming, target, StatusCode::OK, stored)
            }
            Deletion::Done(stored) => {
                let details = details(&target.resource.resource, &key.name, object::uid(&stored.value));
                let status = json!({
                    "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details
                });
                respond_json(StatusCode::OK, &status)
            }
        }
    }
}

impl ApiServer {
    /// Asks admission about an object that is only sent, never stored.
    async fn admit_subresource(
        &self,
        incoming: &Incoming<'_>,
        target: &Target,
        key: &Key,
        mut sent: Value,
    ) -> Result<(), Status> {
        check_namespace(&mut sent, &key.namespace)?;
        object::set_meta(&mut sent, "name", Some(key.name.clone().into()));
        let options = incoming.write_options()?;
        let request = Attributes::of_write(target, Operation::Create, &sent, None, &options);
        self.mutate_and_judge(&request, Some(sent)).await
    }
}

fn success(code: StatusCode) -> Response<ApiBody> {
    let status = json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201 });
    bytes(code, status.to_string().into())
}

fn details(resource: &GroupResource, name: &str, uid: &str) -> Value {
    let mut details = json!({ "name": name });
    if !resource.group.is_empty() {
        details["group"] = json!(&*resource.group);
    }
    details["kind"] = json!(&*resource.plural);
    details["uid"] = json!(uid);
    details
}

/// The object says it is what the URL says.
fn check_kind(object: &Value, target: &Target) -> Result<(), Status> {
    let (api_version, kind) = (object::text(object, &["apiVersion"]), object::text(object, &["kind"]));
    let (wanted_version, wanted_kind) = (target.api_version(), &target.resource.kind);
    if target.subresource == Subresource::Scale {
        return Ok(());
    }
    // Clients of built-in kinds may leave both out.
    let fits = |found: &str, wanted: &str| found == wanted || (found.is_empty() && !target.resource.custom);
    if fits(api_version, &wanted_version) && fits(kind, wanted_kind) {
        return Ok(());
    }
    if api_version.is_empty() || kind.is_empty() {
        let what = if kind.is_empty() { "Kind" } else { "apiVersion" };
        return Err(Status::bad_request(format!("Object '{what}' is missing in '{object}'")));
    }
    if target.resource.custom && !fits(kind, wanted_kind) {
        let cause = crate::schema::Cause::invalid("kind", &json!(kind), &format!("must be {wanted_kind}"));
        let group = &target.resource.resource.group;
        return Err(Status::invalid(kind, group, object::name(object), &[cause]));
    }
    if fits(kind, wanted_kind) {
        return Err(Status::bad_request(format!(
            "the API version in the data ({api_version}) does not match the expected API version ({wanted_version})"
        )));
    }
    Err(Status::bad_request(format!(
        "{kind} in version {:?} cannot be handled as a {wanted_kind}: the object provided is unrecognized \
         (must be of type {wanted_kind})",
        api_version.rsplit('/').next().unwrap_or_default()
    )))
}

/// The object in a request's body, as its type reads it, and how it is to be written.
pub(super) fn read_object(incoming: &Incoming<'_>, target: &Target) -> Result<(Value, WriteOptions), Status> {
    let mut options = incoming.write_options()?;
    let Parsed { value: mut object, repeated } = incoming.document()?;
    options.repeated = repeated;
    check_object(&object, incoming, target)?;
    check_kind(&object, target)?;
    typed::read(&mut object, target, &options)?;
    Ok((object, options))
}

fn check_object(object: &Value, incoming: &Incoming<'_>, target: &Target) -> Result<(), Status> {
    let what = match object {
        Value::Object(_) => return Ok(()),
        Value::Array(_) => "array",
        Value::String(_) => "string",
        Value::Number(_) => "number",
        Value::Bool(_) => "bool",
        Value::Null => return Err(Status::bad_request("the request has no body; send the object as JSON or YAML")),
    };
    let mut shown = String::new();
    for byte in incoming.body.iter().take(MAX_SHOWN_BYTES) {
        let _ = write!(shown, "{byte:02x}");
    }
    let more = if incoming.body.len() > MAX_SHOWN_BYTES { " ..." } else { "" };
    Err(Status::bad_request(format!(
        "the object provided is unrecognized (must be of type {}): couldn't get version/kind; json parse error: json: \
         cannot unmarshal {what} into Go value of type struct {{ APIVersion string \
         \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" }} ({shown}{more})",
        target.resource.kind
    )))
}

/// The object's namespace is the URL's, or absent and then set.
pub(super) fn check_namespace(object: &mut Value, namespace: &str) -> Result<(), Status> {
    let named = object::namespace(object);
    if named.is_empty() && !namespace.is_empty() {
        object::set_meta(object, "namespace", Some(namespace.into()));
    } else if named != namespace && !namespace.is_empty() {
        return Err(Status::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    Ok(())
}

pub(super) fn read_patch(
    incoming: &Incoming<'_>,
    target: &Target,
    options: &mut WriteOptions,
) -> Result<Patch, Status> {
    let mut body = || {
        let Parsed { value, repeated } = incoming.document()?;
        options.repeated = repeated;
        Ok::<_, Status>(value)
    };
    match incoming.content_type() {
        "application/json-patch+json" => {
            let operations = body()?;
            if !operations.is_array() {
                return Err(Status::bad_request(
                    "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp",
                ));
            }
            serde_json::from_value(operations).map(Patch::Json).map_err(|_| Status::unprocessable())
        }
        "application/merge-patch+json" => body().map(Patch::Merge),
        "application/strategic-merge-patch+json" => {
            let patch = body()?;
            options.patch = Some(Shown(apply::shown(&patch)));
            Ok(Patch::Strategic(patch))
        }
        "application/apply-patch+yaml" => {
            if incoming.query.get("fieldManager").is_none_or(str::is_empty) {
                let cause = crate::schema::Cause::required("fieldManager", "is required for apply patch");
                return Err(Status::invalid("PatchOptions", "meta.k8s.io", "", &[cause]));
            }
            let applied = body()?;
            if object::text(&applied, &["kind"]).is_empty() {
                let api_version = object::text(&applied, &["apiVersion"]);
                let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
                return Err(Status::bad_request(format!("invalid object type: {group}/{version}, Kind=")));
            }
            check_kind(&applied, target)?;
            Ok(Patch::Apply(convert::incoming(target, applied)))
        }
        _ => Err(Status::unsupported_media_type("415: Unsupported Media Type")),
    }
}

//! Requests that name one object.

use http::{Method, Response, StatusCode};
use serde_json::{Value, json};

use super::{ApiBody, Incoming, bytes, decode, delete, json as respond_json, remote};
use crate::{
    object,
    server::{
        ApiServer, Deletion, Patch, Subresource, Target, WriteOptions,
        admission::{Attributes, Operation},
        convert,
        list::parse_revision,
        place, terminate,
    },
    status::Status,
    store::{GroupResource, Key},
};

impl ApiServer {
    pub(super) async fn item(
        &self,
        incoming: &Incoming<'_>,
        target: &Target,
        (namespace, name): (&str, &str),
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
                self.bind(&key, &binding, incoming.write_options("CreateOptions")?.dry_run)?;
                return Ok(success(StatusCode::CREATED));
            }
            ["eviction"] if builtin_pod && incoming.method == Method::POST => {
                let (eviction, dry_run) = (incoming.value()?, incoming.write_options("CreateOptions")?.dry_run);
                self.admit_subresource(incoming, &target.with(Subresource::Eviction), &key, eviction.clone()).await?;
                self.evict(target, &key, &eviction, dry_run).await?;
                return Ok(success(StatusCode::CREATED));
            }
            ["finalize"] if terminate::is_namespace(target) && incoming.method == Method::PUT => {
                let mut options = incoming.write_options("UpdateOptions")?;
                let sent = decode::object(self, incoming, target, &mut options)?;
                let finalizers = object::at(&sent, &["spec", "finalizers"]).and_then(Value::as_array);
                let finalizers = finalizers.map_or(&[][..], Vec::as_slice);
                let stored = self.finalize(name, finalizers, object::resource_version(&sent))?;
                return self.present(incoming, target, StatusCode::OK, &stored);
            }
            ["finalize"] if terminate::is_namespace(target) => return Err(Status::method_not_allowed()),
            [led] if builtin_pod && remote::SUBRESOURCES.contains(led) => {
                return self.remote(incoming, target, &key, led);
            }
            [_] if target.resource.custom => return Err(Status::not_found(&target.resource.resource, name)),
            _ => return Err(Status::no_such_resource()),
        };
        check_path(name)?;
        incoming.check_accept(&target, false)?;
        match *incoming.method {
            Method::GET => {
                incoming.form()?;
                self.check_version(incoming)?;
                let found = self.store().get(&key);
                let stored = found.ok_or_else(|| Status::not_found(&target.resource.resource, name))?;
                self.present(incoming, &target, StatusCode::OK, &stored)
            }
            Method::PUT => self.put(incoming, &target, &key).await,
            Method::PATCH => {
                let (patch, options) = read_patch(self, incoming, &target, &key)?;
                let (stored, created) = self.patch_at(&target, &key, &patch, &options).await?;
                let code = if created { StatusCode::CREATED } else { StatusCode::OK };
                self.present(incoming, &target, code, &stored)
            }
            Method::DELETE if subresource.is_empty() => {
                incoming.form()?;
                let deleting = delete::read(incoming)?;
                let deletion = self.delete_at(&target, &key, &deleting.options).await?;
                self.present_deletion(incoming, &target, &key, &deletion, deleting.cascades)
            }
            _ => Err(method_not_allowed(&target, incoming)),
        }
    }

    /// One object may be asked for no older than a version.
    fn check_version(&self, incoming: &Incoming<'_>) -> Result<(), Status> {
        match incoming.query.get("resourceVersion").filter(|version| !version.is_empty()) {
            Some(version) => self.check_not_future(parse_revision(version)?),
            None => Ok(()),
        }
    }

    async fn put(&self, incoming: &Incoming<'_>, target: &Target, key: &Key) -> Result<Response<ApiBody>, Status> {
        let (sent, options) = read_replacement(self, incoming, target, key)?;
        let exists = self.store().get(key).is_some();
        let sent = convert::incoming(target, sent);
        let stored = self.update_at(target, sent, &options).await?;
        let code = if exists { StatusCode::OK } else { StatusCode::CREATED };
        self.present(incoming, target, code, &stored)
    }

    fn present_deletion(
        &self,
        incoming: &Incoming<'_>,
        target: &Target,
        key: &Key,
        deletion: &Deletion,
        cascades: bool,
    ) -> Result<Response<ApiBody>, Status> {
        // Old clients that ask not to orphan are told that there is more to come.
        let waiting = if cascades { StatusCode::ACCEPTED } else { StatusCode::OK };
        match deletion {
            Deletion::Pending(stored) => self.present(incoming, target, waiting, stored),
            Deletion::Done(stored) if target.resource.traits.returns_deleted => {
                self.present(incoming, target, StatusCode::OK, stored)
            }
            Deletion::Done(stored) => {
                let details = details(&target.resource.resource, &key.name, object::uid(&stored.value));
                let status = json!({
                    "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details
                });
                Ok(respond_json(StatusCode::OK, &status))
            }
        }
    }

    /// Asks admission about an object that is only sent, never stored.
    async fn admit_subresource(
        &self,
        incoming: &Incoming<'_>,
        target: &Target,
        key: &Key,
        mut sent: Value,
    ) -> Result<(), Status> {
        place::check_namespace(&mut sent, &key.namespace)?;
        object::set_meta(&mut sent, "name", Some(key.name.clone().into()));
        let options = incoming.write_options("CreateOptions")?;
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

/// Some names can be of no object.
fn check_path(name: &str) -> Result<(), Status> {
    let why = match name {
        "." | ".." => format!("may not be '{name}'"),
        _ if name.contains('%') => "may not contain '%'".to_owned(),
        _ => return Ok(()),
    };
    Err(Status::bad_request(format!("Name parameter invalid: {name:?}: {why}")))
}

/// Custom resources name what they do not know.
fn method_not_allowed(target: &Target, incoming: &Incoming<'_>) -> Status {
    if !target.resource.custom {
        return Status::method_not_allowed();
    }
    let verb = match *incoming.method {
        Method::DELETE => "delete",
        Method::POST => "create",
        _ => "",
    };
    Status::not_supported(&target.resource.resource, verb)
}

/// What an object is to be replaced by, and how it is to be done.
pub(super) fn read_replacement(
    server: &ApiServer,
    incoming: &Incoming<'_>,
    target: &Target,
    key: &Key,
) -> Result<(Value, WriteOptions), Status> {
    incoming.form()?;
    incoming.check_content_type()?;
    let mut options = incoming.write_options("UpdateOptions")?;
    let mut sent = decode::object(server, incoming, target, &mut options)?;
    let named = object::name(&sent);
    place::check_name(named, key)?;
    place::check_namespace(&mut sent, &key.namespace)?;
    Ok((sent, options))
}

/// A patch and how it is to be done.
pub(super) fn read_patch(
    server: &ApiServer,
    incoming: &Incoming<'_>,
    target: &Target,
    key: &Key,
) -> Result<(Patch, WriteOptions), Status> {
    let kind = PatchKind::read(incoming, target)?;
    incoming.form()?;
    let mut options = incoming.write_options("PatchOptions")?;
    let patch = decode_patch(kind, incoming, target, &mut options);
    // The real server reads a patch when it has found the object.
    let creates = kind == PatchKind::Apply && target.creates_applied();
    if patch.is_err() && !creates && server.store().get(key).is_none() {
        return Err(Status::not_found(&target.resource.resource, &key.name));
    }
    patch.map(|patch| (patch, options))
}

fn decode_patch(
    kind: PatchKind,
    incoming: &Incoming<'_>,
    target: &Target,
    options: &mut WriteOptions,
) -> Result<Patch, Status> {
    match kind {
        PatchKind::Json => decode::operations(incoming, options).map(Patch::Json),
        PatchKind::Merge => decode::merge(incoming, options).map(Patch::Merge),
        PatchKind::Strategic => decode::merge(incoming, options).map(Patch::Strategic),
        PatchKind::Apply => {
            let applied = decode::applied(incoming, target, options)?;
            Ok(Patch::Apply(convert::incoming(target, applied)))
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum PatchKind {
    Json,
    Merge,
    Strategic,
    Apply,
}

impl PatchKind {
    fn read(incoming: &Incoming<'_>, target: &Target) -> Result<Self, Status> {
        match incoming.content_type() {
            "application/json-patch+json" => Ok(Self::Json),
            "application/merge-patch+json" => Ok(Self::Merge),
            "application/strategic-merge-patch+json" if !target.resource.custom => Ok(Self::Strategic),
            "application/apply-patch+yaml" => Ok(Self::Apply),
            _ if target.resource.custom => Err(Status::new(
                415,
                "UnsupportedMediaType",
                "the body of the request was in an unknown format - accepted media types include: \
                 application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml",
            )),
            _ => Err(Status::unsupported_media_type("415: Unsupported Media Type")),
        }
    }
}

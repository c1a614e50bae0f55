//! `OpenAPI`: what `kubectl explain` tells, and what clients validate by.
//!
//! The documents of built-in groups are made once per process, when somebody first asks; those of custom resources are
//! made from their definitions at each request.

mod descriptions;
mod paths;
mod schemas;
mod v2;

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{Arc, LazyLock},
};

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
pub(super) use v2::v2;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha512};

use super::{
    ApiServer, GIT_VERSION,
    http::{ApiBody, Incoming, bytes as respond_bytes, json as respond},
};
use crate::{
    registry::{Registry, ResourceType, Version, ranked_versions},
    status::Status,
};

/// A document with the hash that its URL carries.
#[derive(Clone, Debug)]
struct Document {
    bytes: Bytes,
    hash: String,
}

impl Document {
    fn new(value: &Value) -> Self {
        let bytes = Bytes::from(value.to_string());
        let hash = Sha512::digest(&bytes).iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02X}");
            text
        });
        Self { bytes, hash }
    }
}

impl ApiServer {
    pub(super) fn openapi_index(&self) -> Value {
        let versions: Vec<String> = self.registry(|registry| {
            let groups = registry.groups();
            groups
                .flat_map(|(group, resources)| {
                    let versions = ranked_versions(&resources);
                    versions.into_iter().map(move |version| path_of(group, &version))
                })
                .collect()
        });
        let paths = versions.into_iter().filter_map(|path| {
            let document = self.document(&path)?;
            let url = format!("/openapi/v3/{path}?hash={}", document.hash);
            Some((path, json!({ "serverRelativeURL": url })))
        });
        json!({ "paths": paths.collect::<Map<_, _>>() })
    }

    pub(super) fn openapi_document(
        &self,
        incoming: &Incoming<'_>,
        group: &str,
        version: &str,
    ) -> Result<Response<ApiBody>, Status> {
        let path = path_of(group, version);
        let document = self.document(&path).ok_or_else(Status::no_such_resource)?;
        let asked = incoming.query.get("hash").filter(|hash| !hash.is_empty());
        if asked.is_some_and(|hash| hash != document.hash) {
            let mut moved = respond(StatusCode::MOVED_PERMANENTLY, &Value::Null);
            let url = format!("/openapi/v3/{path}?hash={}", document.hash);
            set(&mut moved, header::LOCATION, &url);
            return Ok(moved);
        }
        let tag = format!("\"{}\"", document.hash);
        let known = incoming.headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
        let mut response = if known {
            respond_bytes(StatusCode::NOT_MODIFIED, Bytes::new())
        } else {
            respond_bytes(StatusCode::OK, document.bytes)
        };
        set(&mut response, header::ETAG, &tag);
        set(&mut response, header::VARY, "Accept");
        if asked.is_some() {
            set(&mut response, header::CACHE_CONTROL, "public, immutable");
        }
        Ok(response)
    }

    fn document(&self, path: &str) -> Option<Document> {
        if let Some(known) = builtin_documents().get(path) {
            return Some(known.clone());
        }
        let (group, version) = path.strip_prefix("apis/")?.split_once('/')?;
        let resources = self.registry(|registry| registry.group(group));
        document(&resources, version).map(|value| Document::new(&value))
    }
}

fn set(response: &mut Response<ApiBody>, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

fn path_of(group: &str, version: &str) -> String {
    if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") }
}

/// Those of groups in which nothing can be installed.
fn builtin_documents() -> &'static BTreeMap<String, Document> {
    static DOCUMENTS: LazyLock<BTreeMap<String, Document>> = LazyLock::new(|| {
        let registry = Registry::builtin();
        let mut documents = BTreeMap::new();
        for (group, resources) in registry.groups() {
            for version in ranked_versions(&resources) {
                let value = document(&resources, &version);
                documents.extend(value.map(|value| (path_of(group, &version), Document::new(&value))));
            }
        }
        documents
    });
    &DOCUMENTS
}

fn document(resources: &[Arc<ResourceType>], version: &str) -> Option<Value> {
    let (mut paths, mut schemas) = (Map::new(), Map::new());
    for resource in resources {
        let Some(version) = resource.served(version) else { continue };
        paths.extend(paths::of(resource, version, &schema_name(resource, version)));
        schemas::add(resource, version, &schema_name(resource, version), &mut schemas);
    }
    (!paths.is_empty()).then(|| {
        json!({
            "openapi": "3.0.0",
            "info": { "title": "Kubernetes", "version": GIT_VERSION },
            "paths": paths,
            "components": { "schemas": schemas },
        })
    })
}

fn schema_name(resource: &ResourceType, version: &Version) -> String {
    if let Some(model) = version.ty.and_then(|ty| ty.model) {
        return model.to_owned();
    }
    let reversed: Vec<&str> = resource.resource.group.split('.').rev().collect();
    format!("{}.{}.{}", reversed.join("."), version.name, resource.kind)
}

fn group_version_kind(resource: &ResourceType, version: &Version) -> Value {
    json!({ "group": &*resource.resource.group, "version": version.name, "kind": resource.kind })
}

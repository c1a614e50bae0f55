//! What the API server passes on to a pod's kubelet: logs, commands, ports. No pod here runs anything.

use http::{Method, Response, StatusCode};
use serde_json::json;

use super::{ApiBody, Incoming};
use crate::{
    object,
    server::{ApiServer, Target},
    status::Status,
    store::Key,
};

/// The subresources of pods that lead to a kubelet.
pub(super) const SUBRESOURCES: [&str; 5] = ["attach", "exec", "log", "portforward", "proxy"];

impl ApiServer {
    pub(super) fn remote(
        &self,
        incoming: &Incoming<'_>,
        target: &Target,
        key: &Key,
        subresource: &str,
    ) -> Result<Response<ApiBody>, Status> {
        if !matches!(*incoming.method, Method::GET | Method::POST)
            || (subresource, incoming.method) == ("log", &Method::POST)
        {
            return Err(Status::method_not_allowed());
        }
        let pod = self.store().get(key).ok_or_else(|| Status::not_found(&target.resource.resource, &key.name))?;
        let node = object::text(&pod.value, &["spec", "nodeName"]);
        if !node.is_empty() {
            let why =
                format!("node {node:?} has no kubelet that could be asked: pods of this cluster run no containers");
            let mut status = Status::new(500, "InternalError", format!("Internal error occurred: {why}"));
            status.details = Some(Box::new(json!({ "causes": [{ "message": why }] })));
            return Err(status);
        }
        if subresource == "log" {
            let mut nothing = Response::new(ApiBody::full(bytes::Bytes::new()));
            *nothing.status_mut() = StatusCode::NO_CONTENT;
            return Ok(nothing);
        }
        Err(Status::bad_request(format!("pod {} does not have a host assigned", key.name)))
    }
}

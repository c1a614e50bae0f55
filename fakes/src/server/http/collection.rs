//! Requests that name no object: create, list, watch, delete all.

use bytes::{BufMut, Bytes, BytesMut};
use http::{Method, Response, StatusCode};
use serde_json::{Value, json};

use super::{ApiBody, Format, Incoming, bytes, item, json as respond_json};
use crate::{
    object,
    server::{ApiServer, Target, convert, list::Page, reviews, table},
    status::Status,
};

impl ApiServer {
    pub(super) async fn collection(
        &self,
        incoming: &Incoming<'_>,
        target: &Target,
        namespace: Option<&str>,
    ) -> Result<Response<ApiBody>, Status> {
        if namespace.is_some() && !target.resource.namespaced {
            return Err(Status::no_such_resource());
        }
        match *incoming.method {
            Method::GET if incoming.query.is("watch") => self.watch(incoming, target, namespace, None),
            Method::GET => {
                let page = self.page(target, namespace, &incoming.query)?;
                Ok(self.present_list(incoming, target, &page))
            }
            Method::POST if target.resource.namespaced == namespace.is_some() => {
                let (mut sent, options) = item::read_object(incoming, target)?;
                if let Some(answer) = reviews::answer(target, &sent) {
                    return Ok(respond_json(StatusCode::CREATED, &answer));
                }
                item::check_namespace(&mut sent, namespace.unwrap_or_default())?;
                let sent = convert::incoming(target, sent);
                let stored = self.create_at(target, sent, &options).await?;
                Ok(self.present(incoming, target, StatusCode::CREATED, &stored))
            }
            Method::DELETE => {
                let options = incoming.delete_options()?;
                let page = self.page(target, namespace, &incoming.query)?;
                for stored in &page.items {
                    match self.delete_at(target, &stored.key, &options).await {
                        Err(status) if status.code != 404 => return Err(status),
                        _ => {}
                    }
                }
                Ok(self.present_list(incoming, target, &page))
            }
            _ => Err(Status::method_not_allowed()),
        }
    }

    fn present_list(&self, incoming: &Incoming<'_>, target: &Target, page: &Page) -> Response<ApiBody> {
        let metadata = page.metadata();
        match incoming.format {
            Format::Plain => bytes(StatusCode::OK, list_bytes(target, page, &metadata)),
            Format::Partial => {
                let items: Vec<Value> = page.items.iter().map(|stored| table::partial(&stored.value)).collect();
                let list = json!({
                    "kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1",
                    "metadata": metadata, "items": items
                });
                respond_json(StatusCode::OK, &list)
            }
            Format::Table => {
                let values: Vec<&Value> = page.items.iter().map(|stored| &*stored.value).collect();
                let mut table = self.table(target, incoming, &values, page.revision);
                table["metadata"] = metadata;
                if table["metadata"]["continue"] == "" {
                    object::map_mut(&mut table["metadata"]).shift_remove("continue");
                }
                respond_json(StatusCode::OK, &table)
            }
        }
    }
}

/// A list put together from the bytes its items are stored with.
fn list_bytes(target: &Target, page: &Page, metadata: &Value) -> Bytes {
    let (kind, api_version) = (&target.resource.list_kind, target.api_version());
    let head = format!(r#"{{"kind":"{kind}","apiVersion":"{api_version}","metadata":{metadata},"items":["#);
    let size: usize = page.items.iter().map(|stored| stored.bytes.len() + 1).sum();
    let mut list = BytesMut::with_capacity(head.len() + size + 2);
    list.put_slice(head.as_bytes());
    // Items of built-in kinds come without their kind, as the real server sends them.
    let own = format!(r#""apiVersion":"{api_version}","kind":"{}","#, target.resource.kind);
    for (index, stored) in page.items.iter().enumerate() {
        if index > 0 {
            list.put_u8(b',');
        }
        if convert::differs(target) {
            list.put_slice(convert::outgoing(target, &stored.value).to_string().as_bytes());
            continue;
        }
        match stored.bytes.get(1..).and_then(|rest| rest.strip_prefix(own.as_bytes())) {
            Some(rest) if !target.resource.custom => {
                list.put_u8(b'{');
                list.put_slice(rest);
            }
            _ => list.put_slice(&stored.bytes),
        }
    }
    list.put_slice(b"]}");
    list.freeze()
}

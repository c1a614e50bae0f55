//! Requests that name no object: create, list, watch, delete all.

use bytes::{BufMut, Bytes, BytesMut};
use http::{Method, Response, StatusCode};
use serde_json::{Value, json};

use super::{
    ApiBody, Form, Incoming, ListOptions, Shape,
    accept::{Media, not_acceptable},
    bytes, decode, delete, json as respond_json,
};
use crate::{
    object,
    server::{
        ApiServer, Target, convert,
        list::{Page, Selection},
        place, reviews, table,
    },
    status::Status,
};

impl ApiServer {
    /// `watch` is what the path says.
    pub(super) async fn collection(
        &self,
        incoming: &Incoming<'_>,
        target: &Target,
        namespace: Option<&str>,
        watch: bool,
    ) -> Result<Response<ApiBody>, Status> {
        match *incoming.method {
            Method::GET => self.list_or_watch(incoming, target, namespace, watch),
            _ if watch => Err(Status::method_not_allowed()),
            Method::POST if target.resource.namespaced == namespace.is_some() => {
                incoming.check_accept(target, false)?;
                incoming.form()?;
                incoming.check_content_type()?;
                let mut options = incoming.write_options("CreateOptions")?;
                let mut sent = decode::object(self, incoming, target, &mut options)?;
                if let Some(answer) = reviews::answer(target, &sent, &self.clock().stamp()) {
                    return Ok(respond_json(StatusCode::CREATED, &answer?));
                }
                place::check_namespace(&mut sent, namespace.unwrap_or_default())?;
                let sent = convert::incoming(target, sent);
                let stored = self.create_at(target, sent, &options).await?;
                self.present(incoming, target, StatusCode::CREATED, &stored)
            }
            Method::DELETE if target.resource.namespaced == namespace.is_some() => {
                self.delete_collection(incoming, target, namespace).await
            }
            Method::PUT | Method::PATCH if target.resource.custom => Err(Status::bad_request("name must be provided")),
            _ => Err(Status::method_not_allowed()),
        }
    }

    fn list_or_watch(
        &self,
        incoming: &Incoming<'_>,
        target: &Target,
        namespace: Option<&str>,
        watch: bool,
    ) -> Result<Response<ApiBody>, Status> {
        incoming.check_accept(target, true)?;
        let form = incoming.form()?;
        let options = ListOptions::read(&incoming.query, watch)?;
        if options.watch {
            let selection = Selection::read(target, &options, None)?;
            return self.begin_watch(incoming, target, namespace, selection, &options);
        }
        let page = self.page(target, namespace, &options)?;
        self.present_list(incoming, target, &form, &page)
    }

    /// Watches one object.
    pub(super) fn watch_one(
        &self,
        incoming: &Incoming<'_>,
        target: &Target,
        (namespace, name): (&str, &str),
        watch: bool,
    ) -> Result<Response<ApiBody>, Status> {
        if incoming.method != Method::GET {
            return Err(Status::method_not_allowed());
        }
        incoming.form()?;
        let options = ListOptions::read(&incoming.query, watch)?;
        let selection = Selection::read(target, &options, Some(name))?;
        let namespace = target.resource.namespaced.then_some(namespace);
        self.begin_watch(incoming, target, namespace, selection, &options)
    }

    fn begin_watch(
        &self,
        incoming: &Incoming<'_>,
        target: &Target,
        namespace: Option<&str>,
        selection: Selection,
        options: &ListOptions,
    ) -> Result<Response<ApiBody>, Status> {
        let form = incoming.form()?;
        if form.media != Media::Json {
            return Err(not_acceptable(true));
        }
        if form.shape == Shape::Table {
            table::check_include(incoming.include())?;
        }
        self.watch(target, namespace, selection, options, (form, incoming.include()))
    }

    async fn delete_collection(
        &self,
        incoming: &Incoming<'_>,
        target: &Target,
        namespace: Option<&str>,
    ) -> Result<Response<ApiBody>, Status> {
        incoming.check_accept(target, false)?;
        let form = incoming.form()?;
        let listed = ListOptions::read(&incoming.query, false)?;
        let deleting = delete::read(incoming)?;
        let page = self.page(target, namespace, &listed)?;
        for stored in &page.items {
            match self.delete_at(target, &stored.key, &deleting.options).await {
                Err(status) if status.code != 404 => return Err(status),
                _ => {}
            }
        }
        self.present_list(incoming, target, &form, &page)
    }

    fn present_list(
        &self,
        incoming: &Incoming<'_>,
        target: &Target,
        form: &Form,
        page: &Page,
    ) -> Result<Response<ApiBody>, Status> {
        let mut metadata = page.metadata();
        if form.shape != Shape::Plain && metadata["continue"] == "" {
            object::map_mut(&mut metadata).shift_remove("continue");
        }
        Ok(match form.shape {
            Shape::Plain => bytes(StatusCode::OK, list_bytes(target, page, &metadata)),
            Shape::Partial => return Err(table::is_list(target)),
            Shape::PartialList => {
                let items: Vec<Value> = page.items.iter().map(|stored| table::partial(&stored.value, form)).collect();
                let list = json!({
                    "kind": "PartialObjectMetadataList", "apiVersion": form.api_version(),
                    "metadata": metadata, "items": if items.is_empty() { Value::Null } else { items.into() }
                });
                respond_json(StatusCode::OK, &list)
            }
            Shape::Table => {
                table::check_include(incoming.include())?;
                let values: Vec<&Value> = page.items.iter().map(|stored| &*stored.value).collect();
                let mut table = self.table(target, (form, incoming.include()), &values, page.revision);
                table["metadata"] = metadata;
                respond_json(StatusCode::OK, &table)
            }
        })
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
    list.put_slice(b"]}\n");
    list.freeze()
}

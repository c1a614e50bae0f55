//! An API server to measure, without controllers, asked in the process.
#![expect(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "a benchmark that cannot be set up has nothing to say"
)]

use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
};

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use slipway_fakes::{
    ApiServer, Clock,
    server::{ApiBody, WriteOptions},
    store::{GroupResource, Key, Stored},
};
use tokio::runtime::Runtime;

pub(crate) const COLLECTION: &str = "/apis/apps/v1/namespaces/default/statefulsets";
const JSON: &str = "application/json";
/// Stands in a body where a number goes that is different every time.
const HOLE: &str = "\u{2205}";

/// A server, and the runtime on which its answers are awaited.
#[derive(Debug)]
pub struct Server {
    runtime: Runtime,
    api: ApiServer,
    turn: u64,
}

/// The events of one watch.
#[derive(Debug)]
pub struct Watcher(ApiBody);

/// A body that is made once, but for the numbers in it.
#[derive(Debug)]
pub struct Form(Vec<String>);

impl Form {
    fn new(body: &Value) -> Self {
        Self(body.to_string().split(HOLE).map(str::to_owned).collect())
    }

    fn fill(&self, numbers: &[u64]) -> Bytes {
        let mut text = String::with_capacity(self.0.iter().map(String::len).sum::<usize>() + numbers.len() * 20);
        for (index, part) in self.0.iter().enumerate() {
            text.push_str(part);
            if let Some(number) = numbers.get(index).filter(|_| index + 1 < self.0.len()) {
                text.push_str(&number.to_string());
            }
        }
        text.into()
    }
}

impl Server {
    /// A server with so many StatefulSets, `web-0` and on.
    pub fn with_objects(count: usize) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let api = ApiServer::new(1, Clock::new("2026-01-01T00:00:00Z".parse().unwrap(), 1));
        let server = Self { runtime, api, turn: 0 };
        for index in 0..count {
            server.create(&format!("web-{index}"));
        }
        server
    }

    /// The bytes of one object.
    pub fn get(&self, name: &str) -> Bytes {
        self.ask(Method::GET, &format!("/{name}"), JSON, Bytes::new())
    }

    /// The bytes of a list.
    pub fn list(&self, query: &str) -> Bytes {
        self.ask(Method::GET, query, JSON, Bytes::new())
    }

    /// The same to a caller who needs no request.
    pub fn look_up(&self, name: &str) -> Arc<Stored> {
        self.api.get(&key(name)).unwrap()
    }

    /// An object as its writer has read it after a first update, so that its managed fields are as they stay.
    pub fn draft(&mut self, name: &str) -> Value {
        let mut object = Value::clone(&self.look_up(name).value);
        object["metadata"]["annotations"] = json!({ "turn": "none" });
        self.replace(name, object);
        Value::clone(&self.look_up(name).value)
    }

    /// What an update of an object sends, with the version and the annotation that changes left open.
    pub fn update_form(&mut self, name: &str) -> Form {
        let mut object = self.draft(name);
        object["metadata"]["annotations"] = json!({ "turn": HOLE });
        object["metadata"]["resourceVersion"] = json!(HOLE);
        Form::new(&object)
    }

    /// Replaces an object at the version that it has, without a request: no JSON is read or written for the writer.
    pub fn replace(&mut self, name: &str, mut draft: Value) -> Arc<Stored> {
        let (key, turn) = (key(name), self.turn());
        draft["metadata"]["annotations"]["turn"] = turn.to_string().into();
        draft["metadata"]["resourceVersion"] = self.api.get(&key).unwrap().resource_version.to_string().into();
        let options = WriteOptions::manager("bench");
        self.runtime.block_on(self.api.update(&key.resource, draft, &options)).unwrap()
    }

    /// Replaces an object at the version that it has.
    pub fn update(&mut self, name: &str, form: &Form) -> Bytes {
        let body = self.update_body(name, form);
        self.ask(Method::PUT, &format!("/{name}"), JSON, body)
    }

    pub(crate) fn update_body(&mut self, name: &str, form: &Form) -> Bytes {
        let version = self.look_up(name).resource_version;
        let turn = self.turn();
        // The stored object has its version before its annotations or after, as it happens to be.
        form.fill(&if form.0[0].ends_with("\"resourceVersion\":\"") { [version, turn] } else { [turn, version] })
    }

    /// Serves over HTTP, on a thread that lives as long as the process.
    pub(crate) fn serve(&self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        listener.set_nonblocking(true).unwrap();
        let api = self.api.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async { api.serve(tokio::net::TcpListener::from_std(listener).unwrap()).await })
        });
        address
    }

    /// Changes one annotation by a patch of this type.
    pub fn patch(&mut self, name: &str, content_type: &str) -> Bytes {
        let turn = self.turn();
        let body = if content_type == "application/json-patch+json" {
            json!([{ "op": "add", "path": "/metadata/labels/turn", "value": turn.to_string() }])
        } else {
            json!({
                "apiVersion": "apps/v1", "kind": "StatefulSet",
                "metadata": { "annotations": { "turn": turn.to_string() } }
            })
        };
        // An applier takes the field over from whoever patched it before.
        let force = if content_type.contains("apply") { "&force=true" } else { "" };
        self.ask(Method::PATCH, &format!("/{name}?fieldManager=bench{force}"), content_type, body.to_string().into())
    }

    /// Creates an object and deletes it.
    pub fn create_and_delete(&mut self) {
        let name = format!("new-{}", self.turn());
        self.create(&name);
        self.ask(Method::DELETE, &format!("/{name}"), JSON, Bytes::new());
    }

    /// A watch from now on.
    pub fn watch(&self) -> Watcher {
        let path = format!("{COLLECTION}?watch=true&resourceVersion={}", self.api.store().revision());
        let request = Request::get(path).body(Bytes::new()).unwrap();
        Watcher(self.runtime.block_on(self.api.handle(request)).into_body())
    }

    /// The next event of a watch.
    pub fn next_event(&self, watcher: &mut Watcher) -> Bytes {
        self.runtime.block_on(watcher.0.frame()).unwrap().unwrap().into_data().unwrap()
    }

    fn turn(&mut self) -> u64 {
        self.turn += 1;
        self.turn
    }

    fn create(&self, name: &str) -> Bytes {
        self.ask(Method::POST, "", JSON, stateful_set(name).to_string().into())
    }

    fn ask(&self, method: Method, rest: &str, content_type: &str, body: Bytes) -> Bytes {
        let request = Request::builder()
            .method(method)
            .uri(format!("{COLLECTION}{rest}"))
            .header("accept", JSON)
            .header("content-type", content_type)
            .header("user-agent", "bench/1")
            .body(body)
            .unwrap();
        self.runtime.block_on(async {
            let response = self.api.handle(request).await;
            let is_success = response.status().is_success();
            let bytes = response.into_body().collect().await.unwrap().to_bytes();
            assert!(is_success, "{}", String::from_utf8_lossy(&bytes));
            bytes
        })
    }
}

fn key(name: &str) -> Key {
    Key::new(&GroupResource::new("apps", "statefulsets"), "default", name)
}

fn stateful_set(name: &str) -> Value {
    let labels = json!({ "app": name });
    json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet",
        "metadata": { "name": name, "labels": labels },
        "spec": {
            "replicas": 0,
            "serviceName": name,
            "selector": { "matchLabels": labels },
            "template": {
                "metadata": { "labels": labels },
                "spec": { "containers": [{ "name": "main", "image": "main:v1" }] },
            },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_measured_does_what_it_says() {
        let mut server = Server::with_objects(3);
        let form = server.update_form("web-1");
        let mut watcher = server.watch();
        for is_request in [true, false] {
            if is_request {
                server.update("web-1", &form);
            } else {
                let draft = Value::clone(&server.look_up("web-1").value);
                server.replace("web-1", draft);
            }
            let event: Value = serde_json::from_slice(&server.next_event(&mut watcher)).unwrap();
            assert_eq!(event["object"]["metadata"]["annotations"]["turn"], server.turn.to_string());
            assert_eq!(event["object"]["metadata"]["managedFields"].as_array().map(Vec::len), Some(1));
        }
        for content_type in
            ["application/merge-patch+json", "application/strategic-merge-patch+json", "application/apply-patch+yaml"]
        {
            let patched: Value = serde_json::from_slice(&server.patch("web-2", content_type)).unwrap();
            assert_eq!(patched["metadata"]["annotations"]["turn"], server.turn.to_string(), "{content_type}");
        }
        let patched: Value = serde_json::from_slice(&server.patch("web-2", "application/json-patch+json")).unwrap();
        assert_eq!(patched["metadata"]["labels"]["turn"], server.turn.to_string());
        server.create_and_delete();
        let list: Value = serde_json::from_slice(&server.list("?labelSelector=app%3Dweb-1")).unwrap();
        assert_eq!(list["items"].as_array().map(Vec::len), Some(1));
    }
}

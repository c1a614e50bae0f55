mod crd;
mod http;
mod objects;
mod watches;

use ::http::{Method, Request, StatusCode};
use bytes::Bytes;
use http_body_util::BodyExt;
use serde_json::json;

use super::*;

const NOW: &str = "2026-01-01T00:00:00Z";

fn server() -> ApiServer {
    ApiServer::new(7, Clock::new(NOW.parse().unwrap(), 1))
}

/// Sends a request whose answer is no stream.
async fn send(server: &ApiServer, method: Method, path: &str, headers: &[(&str, &str)], body: &Value) -> (u16, Value) {
    let mut request = Request::builder().method(method).uri(path).header("user-agent", "test/1");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
    let response = server.handle(request.body(body).unwrap()).await;
    let code = response.status().as_u16();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (code, serde_json::from_slice(&bytes).unwrap_or_else(|_| String::from_utf8_lossy(&bytes).into_owned().into()))
}

async fn get(server: &ApiServer, path: &str) -> (u16, Value) {
    send(server, Method::GET, path, &[], &Value::Null).await
}

async fn post(server: &ApiServer, path: &str, body: Value) -> (u16, Value) {
    send(server, Method::POST, path, &[("content-type", "application/json")], &body).await
}

async fn put(server: &ApiServer, path: &str, body: Value) -> (u16, Value) {
    send(server, Method::PUT, path, &[("content-type", "application/json")], &body).await
}

async fn merge(server: &ApiServer, path: &str, body: Value) -> (u16, Value) {
    send(server, Method::PATCH, path, &[("content-type", "application/merge-patch+json")], &body).await
}

async fn delete(server: &ApiServer, path: &str, body: Value) -> (u16, Value) {
    send(server, Method::DELETE, path, &[], &body).await
}

fn config_map(name: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name }, "data": { "a": "1" } })
}

fn stateful_set(name: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": { "name": name },
        "spec": {
            "serviceName": name, "selector": { "matchLabels": { "app": name } },
            "template": {
                "metadata": { "labels": { "app": name } },
                "spec": { "containers": [{ "name": "main", "image": "web:1" }] }
            }
        }
    })
}

fn message(answer: &(u16, Value)) -> (u16, &str) {
    (answer.0, answer.1["message"].as_str().unwrap_or_default())
}

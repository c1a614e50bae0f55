use std::{sync::Mutex, time::Duration};

use ::http::{Method, Request, Response};
use bytes::Bytes;
use futures::{FutureExt, future::BoxFuture};
use http_body_util::BodyExt;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{Clock, Cluster, ClusterOptions, store::GroupResource};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const GROUP: &str = "/apis/admissionregistration.k8s.io/v1";

/// Answers in the process, by the path of the URL, and remembers who was asked.
#[derive(Debug, Default)]
struct Hooks {
    asked: Mutex<Vec<(String, Value)>>,
    /// What `/fixed` answers.
    fixed: Mutex<Bytes>,
}

impl Hooks {
    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().drain(..).map(|(path, _)| path).collect()
    }

    fn reviews(&self) -> Vec<Value> {
        self.asked.lock().unwrap().drain(..).map(|(_, review)| review).collect()
    }
}

fn path_of(url: &str) -> &str {
    url.trim_start_matches("https://hooks").split('?').next().unwrap()
}

impl Webhooks for Hooks {
    fn call(&self, call: WebhookCall) -> BoxFuture<'static, Result<Response<Bytes>, String>> {
        let review: Value = serde_json::from_slice(&call.body).unwrap();
        let at = path_of(&call.url).to_owned();
        self.asked.lock().unwrap().push((at.clone(), review.clone()));
        let uid = &review["request"]["uid"];
        let object = &review["request"]["object"];
        let label = |name: &str, value: &str| {
            let patch = json!([{ "op": "add", "path": format!("/metadata/labels/{name}"), "value": value }]);
            let patch = k8s_openapi::ByteString(patch.to_string().into_bytes());
            json!({ "uid": uid, "allowed": true, "patch": patch, "patchType": "JSONPatch" })
        };
        let response = match at.as_str() {
            "/hang" => return std::future::pending().boxed(),
            "/late" => {
                let answer = answer(&json!({ "uid": uid, "allowed": false, "status": { "message": "late" } }));
                return async move {
                    tokio::time::sleep(Duration::from_secs(2)).await;
                    Ok(answer)
                }
                .boxed();
            }
            "/fixed" => {
                let mut body = self.fixed.lock().unwrap().clone();
                if let Ok(mut review) = serde_json::from_slice::<Value>(&body)
                    && let Some(response) = review.get_mut("response").and_then(Value::as_object_mut)
                {
                    response.entry("uid").or_insert_with(|| uid.clone());
                    body = Bytes::from(review.to_string());
                }
                return async move { Ok(Response::new(body)) }.boxed();
            }
            "/reset" => return async { Err("read: connection reset by peer".to_owned()) }.boxed(),
            "/deny" => {
                json!({ "uid": uid, "allowed": false, "status": { "code": 418, "reason": "Teapot", "message": "no" } })
            }
            "/count" | "/mark" if object.is_null() => json!({ "uid": uid, "allowed": true }),
            "/count" => label("count", &object["metadata"]["labels"].as_object().unwrap().len().to_string()),
            "/mark" => label("mark", "x"),
            _ => json!({ "uid": uid, "allowed": true, "warnings": ["careful"] }),
        };
        let answer = answer(&response);
        async move { Ok(answer) }.boxed()
    }
}

fn answer(response: &Value) -> Response<Bytes> {
    let review = json!({ "kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "response": response });
    Response::new(Bytes::from(review.to_string()))
}

fn clock() -> Clock {
    Clock::new("2026-01-01T00:00:00Z".parse().unwrap(), 1)
}

fn server() -> (ApiServer, Arc<Hooks>) {
    let hooks = Arc::<Hooks>::default();
    (ApiServer::with_webhooks(1, clock(), hooks.clone()), hooks)
}

async fn send(server: &ApiServer, method: Method, path: &str, body: &Value) -> (u16, Vec<String>, Value) {
    let kind = if method == Method::PATCH { "application/merge-patch+json" } else { "application/json" };
    let request = Request::builder().method(method).uri(path).header("content-type", kind);
    let response = server.handle(request.body(Bytes::from(body.to_string())).unwrap()).await;
    let code = response.status().as_u16();
    let warnings = response.headers().get_all("warning").iter().map(|it| it.to_str().unwrap().to_owned()).collect();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (code, warnings, serde_json::from_slice(&bytes).unwrap())
}

/// Installs webhooks for config maps: each a path, with fields of its own.
async fn install(server: &ApiServer, kind: &str, webhooks: &[(&str, Value)]) {
    let rules =
        json!([{ "operations": ["*"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps", "pods"] }]);
    let webhooks: Vec<Value> = webhooks
        .iter()
        .enumerate()
        .map(|(index, (path, more))| {
            let mut webhook = json!({
                "name": format!("hook{index}.example.com"), "sideEffects": "None", "admissionReviewVersions": ["v1"],
                "clientConfig": { "url": format!("https://hooks/{path}") }, "rules": rules
            });
            crate::object::merge(&mut webhook, more);
            webhook
        })
        .collect();
    let configuration = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": format!("{kind}WebhookConfiguration"),
        "metadata": { "name": "hooks" }, "webhooks": webhooks
    });
    let path = format!("{GROUP}/{}webhookconfigurations", kind.to_lowercase());
    let (code, _, answer) = send(server, Method::POST, &path, &configuration).await;
    assert_eq!(code, 201, "{answer}");
}

fn map(name: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name, "labels": { "a": "b" } } })
}

#[tokio::test(start_paused = true)]
async fn webhooks_are_asked_in_order_and_again_when_overtaken() {
    let (server, hooks) = server();
    let again = json!({ "reinvocationPolicy": "IfNeeded" });
    install(&server, "Mutating", &[("count", again), ("mark", json!({})), ("allow", json!({}))]).await;
    install(&server, "Validating", &[("allow", json!({}))]).await;
    let (code, warnings, created) = send(&server, Method::POST, MAPS, &map("a")).await;
    assert_eq!((code, warnings), (201, vec!["299 - \"careful\"".to_owned()]));
    assert_eq!(created["metadata"]["labels"], json!({ "a": "b", "count": "3", "mark": "x" }));
    assert_eq!(hooks.asked(), ["/count", "/mark", "/allow", "/count", "/allow"]);
    let owned = created["metadata"]["managedFields"][0]["fieldsV1"].to_string();
    assert!(owned.contains("f:a") && !owned.contains("mark"), "{owned}");

    send(&server, Method::DELETE, &format!("{MAPS}/a"), &json!({})).await;
    let reviews = hooks.reviews();
    assert_eq!((reviews.len(), &reviews[0]["request"]["object"]), (4, &Value::Null));
    assert_eq!(reviews[0]["request"]["oldObject"]["metadata"]["labels"]["count"], "3");
}

#[tokio::test(start_paused = true)]
async fn a_webhook_that_hangs_takes_its_time_by_the_clusters_clock() {
    let (server, _) = server();
    install(&server, "Validating", &[("hang", json!({ "timeoutSeconds": 7 }))]).await;
    let before = server.clock().now();
    let (code, _, answer) = send(&server, Method::POST, MAPS, &map("a")).await;
    let message = "Internal error occurred: failed calling webhook \"hook0.example.com\": failed to call webhook: Post \
                   \"https://hooks/hang?timeout=7s\": context deadline exceeded";
    assert_eq!((code, answer["message"].as_str().unwrap()), (500, message));
    assert_eq!(server.clock().now().duration_since(before).as_secs(), 7);
}

#[tokio::test(start_paused = true)]
async fn validating_webhooks_are_asked_at_once_and_the_first_refusal_is_told() {
    let (server, hooks) = server();
    install(&server, "Validating", &[("late", json!({})), ("late", json!({})), ("deny", json!({}))]).await;
    let before = server.clock().now();
    let (code, _, answer) = send(&server, Method::POST, MAPS, &map("a")).await;
    let message = "admission webhook \"hook2.example.com\" denied the request: no";
    assert_eq!((code, &answer["message"], &answer["reason"]), (418, &json!(message), &json!("Teapot")));
    assert_eq!(server.clock().now().duration_since(before).as_secs(), 2);
    assert_eq!(hooks.asked().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn failures_do_not_matter_where_they_are_ignored() {
    let (server, hooks) = server();
    let ignored = |mut more: Value| {
        more["failurePolicy"] = "Ignore".into();
        more
    };
    let service = json!({ "clientConfig": { "url": null, "service": { "name": "s", "namespace": "n" } } });
    install(
        &server,
        "Mutating",
        &[
            ("reset", ignored(json!({}))),
            ("hang", ignored(json!({}))),
            ("x", ignored(service.clone())),
            ("allow", json!({ "objectSelector": { "matchLabels": { "none": "none" } } })),
            ("allow", json!({ "matchConditions": [{ "name": "n", "expression": "object.metadata.name != 'a'" }] })),
        ],
    )
    .await;
    assert_eq!(send(&server, Method::POST, MAPS, &map("a")).await.0, 201);
    assert_eq!(hooks.asked(), ["/reset", "/hang"]);
    install(&server, "Validating", &[("x", service)]).await;
    let (_, _, answer) = send(&server, Method::POST, MAPS, &map("b")).await;
    let told = "Post \"https://s.n.svc:443/?timeout=10s\": service \"s\" not found";
    assert!(answer["message"].as_str().unwrap().ends_with(told), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_asks_only_who_has_no_side_effects_and_stores_nothing() {
    let (server, hooks) = server();
    install(&server, "Validating", &[("allow", json!({}))]).await;
    let (code, _, _) = send(&server, Method::POST, &format!("{MAPS}?dryRun=All"), &map("a")).await;
    assert_eq!((code, hooks.reviews()[0]["request"]["dryRun"].clone()), (201, json!(true)));
    assert_eq!(server.store().list(&GroupResource::new("", "configmaps"), None).len(), 0);
}

#[tokio::test(start_paused = true)]
async fn pods_of_controllers_are_admitted_like_everybodys() {
    let hooks = Arc::<Hooks>::default();
    let options = ClusterOptions { webhooks: Some(hooks.clone()), ..ClusterOptions::new(clock()) };
    let cluster = Cluster::start(options);
    install(cluster.api(), "Mutating", &[("mark", json!({}))]).await;
    let set = json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": { "name": "web" },
        "spec": {
            "selector": { "matchLabels": { "app": "web" } },
            "template": {
                "metadata": { "labels": { "app": "web" } },
                "spec": { "containers": [{ "name": "main", "image": "web:1" }] }
            }
        }
    });
    let sets = "/apis/apps/v1/namespaces/default/statefulsets";
    assert_eq!(send(cluster.api(), Method::POST, sets, &set).await.0, 201);
    tokio::time::sleep(Duration::from_mins(1)).await;
    let pods = cluster.store().list(&GroupResource::new("", "pods"), None);
    assert_eq!(pods[0].value["metadata"]["labels"]["mark"], "x");
    assert_eq!(pods[0].value["status"]["phase"], "Running");
    let by = hooks.reviews()[0]["request"]["userInfo"]["username"].clone();
    assert_eq!(by, "system:kube-controller-manager");
}

/// Any JSON, as a webhook may send it.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[ -~]{0,8}".prop_map(Value::from),
        Just(json!("JSONPatch")),
        Just(json!("W3sib3AiOiJyZW1vdmUiLCJwYXRoIjoiL21ldGFkYXRhIn1d")),
    ];
    leaf.prop_recursive(3, 24, 5, |inner| {
        let name = prop_oneof![
            Just("kind"),
            Just("apiVersion"),
            Just("response"),
            Just("uid"),
            Just("allowed"),
            Just("patch"),
            Just("patchType"),
            Just("status"),
            Just("warnings"),
            Just("code"),
            Just("message"),
            Just("x"),
        ];
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((name, inner), 0..6)
                .prop_map(|fields| fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()),
        ]
    })
}

fn is_answered(body: Bytes) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let (server, hooks) = server();
        install(&server, "Mutating", &[("fixed", json!({}))]).await;
        install(&server, "Validating", &[("fixed", json!({}))]).await;
        *hooks.fixed.lock().unwrap() = body;
        let (code, _, answer) = send(&server, Method::POST, MAPS, &map("a")).await;
        assert!(code == 201 || answer["kind"] == "Status", "{code} {answer}");
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_a_webhook_says_is_answered(response in any_json(), whole in any_json(), bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        is_answered(Bytes::from(bytes));
        is_answered(Bytes::from(whole.to_string()));
        let review = json!({ "kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "response": response });
        is_answered(Bytes::from(review.to_string()));
    }

    #[test]
    fn whatever_a_patch_does_is_answered(patch in any_json(), path in "(/[a-z~0-9-]{0,4}){0,4}", value in any_json()) {
        for patch in [patch, json!([{ "op": "add", "path": path, "value": value }, { "op": "remove", "path": path }])] {
            let mut object = map("a");
            if let Ok(operations) = json_patch::read(patch) {
                let _ = json_patch::apply(&mut object, &operations);
            }
        }
    }

    #[test]
    fn whatever_an_expression_is_it_is_answered(source in "[ -~]{0,24}", object in any_json()) {
        let compiled = scope::Compiled::new(&source);
        let inputs = scope::Inputs {
            object: Some(&object), old: None, request: &Value::Null, params: None, namespace: None
        };
        let _ = scope::within(&inputs, &[], [&compiled], |scope| scope.evaluate(&compiled).map(drop));
    }
}

//! Ingresses.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use slipway_actors::routes::ingress::{canary, canary_patch, lay, subtract};
use slipway_actors::routes::{Forwarding, Rest};
use slipway_tests::control_plane::ControlPlane;

use super::server::Server;
use super::telling::{backend, by_header, weight};

const INGRESSES: &str = "/apis/networking.k8s.io/v1/namespaces/default/ingresses";

#[tokio::test(flavor = "multi_thread")]
async fn every_ingress_is_taken_as_we_write_it() -> Result<()> {
    let plane = ControlPlane::start_alone("ingress").await?;
    let server = Server(plane.client()?);
    let to = |name: &str| json!({ "service": { "name": name, "port": { "number": 80 } } });
    let path = |path: &str, name: &str| json!({ "path": path, "pathType": "Prefix", "backend": to(name) });
    let rules = json!([
        { "host": "a.example", "http": { "paths": [path("/", "web"), path("/api", "api")] } },
        { "host": "b.example" },
        { "http": { "paths": [path("/web", "web")] } },
    ]);
    let table = [
        ("default", json!({ "defaultBackend": to("web") })),
        ("rules", json!({ "rules": rules, "ingressClassName": "nginx" })),
        ("all", json!({ "rules": rules, "defaultBackend": to("web"), "tls": [{ "hosts": ["a.example"] }] })),
    ];
    for (name, spec) in table {
        check(&server, name, &spec).await.with_context(|| name.to_owned())?;
    }
    Ok(())
}

async fn check(server: &Server, name: &str, spec: &Value) -> Result<()> {
    let ingress = json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": { "name": name, "annotations": { "nginx.ingress.kubernetes.io/rewrite-target": "/" } },
        "spec": spec,
    });
    let (backend, path) = (backend("web"), format!("{INGRESSES}/{name}"));
    let users = server.create(INGRESSES, &ingress).await?;
    let laying = lay(&users, &backend, Rest::Stable)?.context("nothing to lay")?;
    let laid = server.patch(&path, "json-patch", &laying).await?;
    ensure!(lay(&laid, &backend, Rest::Stable)?.is_none(), "not known again: {laid:#}");
    ensure!(server.patch(&path, "json-patch", &laying).await.is_err(), "an old patch is taken");

    let wanted = |forwarding: &Forwarding| canary(&laid, &backend, forwarding)?.context("no canary Ingress");
    let first = wanted(&weight(10))?;
    let mut there = server.create(INGRESSES, &first).await?;
    ensure!(canary_patch(&there, &first, &backend)?.is_none(), "not known again: {there:#}");
    for forwarding in [weight(20), by_header(1, &json!([])), weight(0)] {
        let wanted = wanted(&forwarding)?;
        let changes = canary_patch(&there, &wanted, &backend)?.context("nothing to change")?;
        there = server.patch(&format!("{path}-canary"), "merge-patch", &changes).await?;
        ensure!(canary_patch(&there, &wanted, &backend)?.is_none(), "never in step: {there:#}");
    }
    let less = subtract(&laid, &backend).context("nothing to take away")?;
    let now = server.patch(&path, "json-patch", &less).await?;
    ensure!(now["spec"] == users["spec"], "the user had {:#}, and has {:#}", users["spec"], now["spec"]);
    Ok(())
}

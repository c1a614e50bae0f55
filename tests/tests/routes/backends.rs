//! Forks of Services.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use slipway_actors::api::backendrouting::ForkedBackend;
use slipway_actors::backends::{Role, fork, patch};
use slipway_tests::control_plane::ControlPlane;

use super::server::Server;

const SERVICES: &str = "/api/v1/namespaces/default/services";

#[tokio::test(flavor = "multi_thread")]
async fn every_fork_is_taken_as_we_write_it() -> Result<()> {
    let plane = ControlPlane::start_dual_stack("backends").await?;
    let server = Server(plane.client()?);
    let port = json!({ "name": "http", "port": 80, "targetPort": "web", "appProtocol": "kubernetes.io/h2c" });
    let affinity = json!({ "sessionAffinity": "ClientIP",
        "sessionAffinityConfig": { "clientIP": { "timeoutSeconds": 60 } } });
    let table = [
        ("least", json!({}), json!({ "selector": { "app": "other" } })),
        ("headless", json!({ "clusterIP": "None" }), json!({ "publishNotReadyAddresses": true })),
        ("portless", json!({ "clusterIP": "None", "ports": null }), json!({ "ports": [port] })),
        ("node-port", json!({ "type": "NodePort" }), json!({ "type": "ClusterIP" })),
        (
            "node-port-given",
            json!({ "type": "NodePort", "ports": [{ "port": 80, "nodePort": 30080 }] }),
            json!({ "ports": [port] }),
        ),
        (
            "load-balancer",
            json!({ "type": "LoadBalancer", "externalTrafficPolicy": "Local", "loadBalancerClass": "a.example/b" }),
            json!({ "internalTrafficPolicy": "Local" }),
        ),
        ("affine", affinity.clone(), json!({ "sessionAffinity": "None", "sessionAffinityConfig": null })),
        ("affine-later", json!({ "ports": [port] }), affinity),
        ("dual", json!({ "ipFamilyPolicy": "RequireDualStack" }), json!({ "ipFamilyPolicy": "SingleStack" })),
        ("dual-later", json!({}), json!({ "ipFamilyPolicy": "PreferDualStack", "ipFamilies": ["IPv4", "IPv6"] })),
        (
            "six-first",
            json!({ "ipFamilyPolicy": "PreferDualStack", "ipFamilies": ["IPv6", "IPv4"] }),
            json!({ "trafficDistribution": "PreferSameZone" }),
        ),
        (
            "spread",
            json!({ "trafficDistribution": "PreferClose", "externalIPs": ["192.0.2.1"] }),
            json!({ "trafficDistribution": null }),
        ),
    ];
    for (name, spec, change) in table {
        check(&server, name, &spec, &change).await.with_context(|| name.to_owned())?;
    }
    Ok(())
}

async fn check(server: &Server, name: &str, spec: &Value, change: &Value) -> Result<()> {
    let mut service = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": { "name": name, "labels": { "app": name }, "annotations": { "team": "a" } },
        "spec": { "selector": { "app": name, "tier": "front" }, "ports": [{ "port": 80 }] },
    });
    for (key, value) in spec.as_object().context("a spec")? {
        service["spec"][key] = value.clone();
    }
    let mut origin = server.create(SERVICES, &service).await?;
    let mut forks = Vec::new();
    for role in [Role::Stable, Role::Canary] {
        let fork = fork(&origin, &named(name, role), role)?;
        let created = server.create(SERVICES, &fork).await.with_context(|| format!("our fork {fork:#}"))?;
        let changes = patch(&created, &fork);
        ensure!(changes.is_none(), "as it was created it is not in step: {changes:#?} in {created:#}");
        forks.push((role, created));
    }
    let edit = json!({ "spec": change, "metadata": { "labels": { "app": null, "version": "2" } } });
    origin = server.patch(&format!("{SERVICES}/{name}"), "merge-patch", &edit).await?;
    for (role, there) in forks {
        let wanted = fork(&origin, &named(name, role), role)?;
        let changes = patch(&there, &wanted).context("a change that is not followed")?;
        let path = format!("{SERVICES}/{}-{}", name, role.lane());
        let now =
            server.patch(&path, "merge-patch", &changes).await.with_context(|| format!("our patch {changes:#}"))?;
        ensure!(patch(&now, &wanted).is_none(), "never in step: {:#?} in {now:#}", patch(&now, &wanted));
        for field in
            ["ports", "selector", "sessionAffinity", "sessionAffinityConfig", "ipFamilies", "trafficDistribution"]
        {
            ensure!(
                now["spec"].get(field) == wanted["spec"].get(field),
                "{field} is not that of {wanted:#} in {now:#}"
            );
        }
        // A write decided on what was read before the last one fails.
        ensure!(server.patch(&path, "merge-patch", &changes).await.is_err(), "an old patch is taken");
    }
    Ok(())
}

fn named(origin: &str, role: Role) -> ForkedBackend {
    ForkedBackend { name: format!("{origin}-{}", role.lane()), ..ForkedBackend::default() }
}

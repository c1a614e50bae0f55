//! What we write of routes and backends is taken by a real API server with the definitions of the Gateway API, known again
//! as it was stored, and taken away again without a trace.
#![expect(clippy::unwrap_used, reason = "a test may panic, also in its helpers")]

#[path = "routes/backends.rs"]
mod backends;
#[path = "routes/generated.rs"]
mod generated;
#[path = "routes/ingress.rs"]
mod ingress;
#[path = "routes/server.rs"]
mod server;
#[path = "routes/telling.rs"]
mod telling;

use std::io::{self, Write as _};

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};
use slipway_actors::routes::{self, Backend, Forwarding, Kind, is_laid, normal, with, without};
use slipway_tests::control_plane::ControlPlane;

use self::server::Server;

/// Routes at the same time. Most of the time is the API server's.
const AT_ONCE: usize = 16;

/// One route, and what is laid over it, one part after the other.
#[derive(Clone, Debug)]
struct Case {
    name: String,
    kind: Kind,
    rules: Value,
    parts: Vec<(Backend, Forwarding)>,
}

/// What became of a case.
#[derive(Default)]
struct Outcome {
    laid: usize,
    refused: usize,
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_is_taken_as_we_write_it() -> Result<()> {
    let plane = ControlPlane::start_alone("routes").await?;
    let server = Server(plane.client()?);
    for plural in ["httproutes", "grpcroutes"] {
        server.define(plural).await?;
    }
    let telling = telling::cases();
    let generated = generated::cases(Kind::Http, 240)?.into_iter().chain(generated::cases(Kind::Grpc, 80)?);
    let count = telling.len();
    let cases = telling.into_iter().chain(generated);
    let outcomes: Vec<Outcome> =
        stream::iter(cases.map(|case| check(&server, case))).buffered(AT_ONCE).try_collect().await?;
    for case in telling::refused() {
        let (name, users) = (case.name.clone(), case.rules.clone());
        let outcome = check(&server, case).await?;
        ensure!(outcome.laid == 0, "too many {name} are not refused over {users:#}");
    }
    ensure!(outcomes[..count].iter().all(|it| it.refused == 0), "a telling route is refused");
    let laid: usize = outcomes.iter().map(|it| it.laid).sum();
    let refused: usize = outcomes.iter().map(|it| it.refused).sum();
    writeln!(io::stderr(), "routes: {} with {laid} parts laid and {refused} refused", outcomes.len())?;
    ensure!(laid > 200 && refused > 20, "{laid} parts were laid and {refused} refused, so too little is tried");
    Ok(())
}

/// Lays every part over the route, and takes them away in the order they came.
async fn check(server: &Server, case: Case) -> Result<Outcome> {
    let Case { name, kind, rules, parts } = &case;
    let words = || format!("{name}: {parts:?}");
    let plural = if *kind == Kind::Http { "httproutes" } else { "grpcroutes" };
    let group = format!("/apis/gateway.networking.k8s.io/v1/namespaces/default/{plural}");
    let written = if *kind == Kind::Http { "HTTPRoute" } else { "GRPCRoute" };
    let route = json!({
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": written,
        "metadata": { "name": name },
        "spec": { "rules": rules },
    });
    let users = server.create(&group, &route).await.with_context(|| format!("the user's route {rules:#}"))?;
    let path = format!("{group}/{name}");
    let (mut now, mut outcome, mut laid) = (users.clone(), Outcome::default(), Vec::new());
    for (backend, forwarding) in parts {
        let Ok(wanted) = with(*kind, &now["spec"]["rules"], backend, forwarding) else {
            outcome.refused += 1;
            continue;
        };
        now = write(server, &path, &now, &wanted).await.with_context(words)?;
        outcome.laid += 1;
        laid.push((backend, forwarding));
        let stored = &now["spec"]["rules"];
        for (backend, forwarding) in &laid {
            ensure!(is_laid(*kind, stored, backend, forwarding), "{}: not known again in {stored:#}", words());
            let again = with(*kind, stored, backend, forwarding).with_context(words)?;
            ensure!(normal(*kind, &again) == normal(*kind, stored), "{}: another the next time: {again:#}", words());
        }
    }
    for (backend, _) in &laid {
        let less = without(&now["spec"]["rules"], backend);
        now = write(server, &path, &now, &less).await.with_context(words)?;
    }
    let (there, wanted) = (&now["spec"]["rules"], &users["spec"]["rules"]);
    // Where the user left the weight out the server wrote it; so nothing may differ at all.
    ensure!(there == wanted, "{}: the user had {wanted:#}, and has {there:#}", words());
    Ok(outcome)
}

async fn write(server: &Server, path: &str, read: &Value, rules: &Value) -> Result<Value> {
    let version = read["metadata"]["resourceVersion"].as_str().context("no resourceVersion")?;
    let change = routes::patch(&read["spec"]["rules"], rules, version);
    server.patch(path, "json-patch", &change).await.with_context(|| format!("our patch {change:#}"))
}

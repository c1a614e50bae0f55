//! On a real control plane with the Gateway API: requests are split between the revisions of a workload, while the user
//! and others write the same route, the operator is killed, and what asks for the split is taken away in mid-step.

#[path = "traffic_end_to_end/witness.rs"]
mod witness;

use std::time::Duration;

use anyhow::{Context, Result, bail};
use k8s_openapi::api::core::v1::Service;
use kube::{
    Client,
    api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams},
};
use serde_json::{Value, json};
use slipway_actors::decide::PARKED;
use slipway_tests::{
    control_plane::ControlPlane,
    gateway::Gateway,
    kubelet::Kubelet,
    objects::{command, create, images, install_crds, install_gateway_api, of_kind, until, until_gone},
    operator::{self, Operator},
};

use self::witness::Witness;

const API: &str = "rollout.kusionstack.io/v1alpha1";
const GATEWAY_API: &str = "gateway.networking.k8s.io/v1";

/// Two minutes on a busy machine; all of it is only used up by a failure.
const POLLS: usize = 600;
const POLL: Duration = Duration::from_millis(200);

const WORKLOAD: &str = "
apiVersion: apps/v1
kind: StatefulSet
metadata: { name: web, labels: { app: web } }
spec:
  serviceName: web
  replicas: 4
  podManagementPolicy: Parallel
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec:
      containers: [{ name: main, image: 'web:v1' }]
---
apiVersion: v1
kind: Service
metadata: { name: web }
spec: { selector: { app: web }, ports: [{ port: 80 }] }
---
apiVersion: v1
kind: Service
metadata: { name: other }
spec: { selector: { app: other }, ports: [{ port: 80 }] }
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: shop }
spec:
  parentRefs: [{ name: public }]
  hostnames: [shop.example]
  rules:
    - matches: [{ path: { type: PathPrefix, value: /shared } }]
      filters:
        - type: RequestHeaderModifier
          requestHeaderModifier: { set: [{ name: x-shop, value: shared }] }
      backendRefs:
        - { name: web, port: 80, weight: 3 }
        - { name: other, port: 80, weight: 1 }
    - backendRefs: [{ name: web, port: 80 }]
---
apiVersion: rollout.kusionstack.io/v1alpha1
kind: RolloutStrategy
metadata: { name: web }
canary:
  replicas: 1
  traffic: { http: { weight: 20 } }
batch:
  batches:
    - replicas: 50%
      traffic: { http: { weight: 40 } }
    - replicas: 100%
      breakpoint: true
---
apiVersion: rollout.kusionstack.io/v1alpha1
kind: Rollout
metadata: { name: web }
spec:
  strategyRef: web
  trafficTopologyRefs: [web]
  workloadRef:
    apiVersion: apps/v1
    kind: StatefulSet
    match: { names: [{ name: web }] }
";

const TOPOLOGY: &str = "
apiVersion: rollout.kusionstack.io/v1alpha1
kind: TrafficTopology
metadata: { name: web }
spec:
  workloadRef: { apiVersion: apps/v1, kind: StatefulSet, match: { names: [{ name: web }] } }
  trafficType: InCluster
  backend: { name: web }
  routes: [{ name: shop }]
  drainSeconds: 1
";

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_split_and_given_back_whatever_is_taken_away() -> Result<()> {
    let binary = tokio::task::spawn_blocking(operator::binary).await??;
    let plane = ControlPlane::start("hub").await?;
    let client = plane.client()?;
    let _kubelet = Kubelet::start(client.clone());
    install_crds(&client).await?;
    install_gateway_api(&client).await?;
    let _gateway = Gateway::start(client.clone());
    create(&client, WORKLOAD).await?;
    create(&client, TOPOLOGY).await?;
    let world = World::new(client);
    let witness = Witness::start(&world.client);
    until(&world.sets, "web", "v1 is up", |set| set["status"]["availableReplicas"] == 4).await?;
    let start = || Operator::start(&binary, &plane.kubeconfig_path(), "hub", &[]);

    let operator = start()?;
    let parked = |set: &Value| set["spec"]["updateStrategy"]["rollingUpdate"]["partition"] == PARKED;
    until(&world.sets, "web", "it is parked", parked).await?;
    until(&world.routings, "web-ics", "it is ready", is_ready).await?;

    let operator = world.a_rollout_that_others_write_into(operator, start, &witness).await?;
    world.without_its_topology().await?;
    world.by_copies_that_take_over().await?;
    world.without_its_rollout().await?;
    let laid = witness.check().await?;
    assert!(laid >= 8, "only {laid} times a route began to refer to a fork: once to each in four steps and more");
    assert!(operator.terminate()?.success(), "the operator does not stop gracefully on SIGTERM");
    Ok(())
}

/// What the test looks at.
struct World {
    client: Client,
    sets: Api<DynamicObject>,
    routes: Api<DynamicObject>,
    routings: Api<DynamicObject>,
    topologies: Api<DynamicObject>,
    rollouts: Api<DynamicObject>,
    runs: Api<DynamicObject>,
    services: Api<DynamicObject>,
}

impl World {
    fn new(client: Client) -> Self {
        Self {
            sets: of_kind(&client, "apps/v1", "StatefulSet"),
            routes: of_kind(&client, GATEWAY_API, "HTTPRoute"),
            routings: of_kind(&client, API, "BackendRouting"),
            topologies: of_kind(&client, API, "TrafficTopology"),
            rollouts: of_kind(&client, API, "Rollout"),
            runs: of_kind(&client, API, "RolloutRun"),
            services: of_kind(&client, "v1", "Service"),
            client,
        }
    }

    /// From a canary to the end, with the operator killed, and with an edit of the user's and a revert of somebody's
    /// between.
    async fn a_rollout_that_others_write_into(
        &self,
        operator: Operator,
        start: impl Fn() -> Result<Operator>,
        witness: &Witness,
    ) -> Result<Operator> {
        let run = self.paused_with_canary("web:v2").await?;
        let mut wanted = vec![shared(&split(300, 20), 100), rest(&split(100, 20))];
        self.settled(&wanted).await?;

        // The user adds a rule to what is there while nobody watches.
        operator.kill()?;
        let before = self.routes.get("shop").await?;
        let route = rules(&serde_json::to_value(&before)?);
        let new = json!([{ "path": { "type": "PathPrefix", "value": "/new" } }]);
        let added = |references: &Value| json!({ "matches": new, "backendRefs": references });
        let mut edited = route.as_array().context("rules")?.clone();
        edited.push(added(&json!([{ "name": "web", "port": 80 }])));
        self.write("user", &json!(edited)).await?;
        let operator = start()?;
        wanted.push(added(&normal(&split(100, 20))));
        self.settled(&wanted).await?;
        // Who starts sees the route before the forks, and must not take them to be gone.
        witness.has_always_been_split(&before).await?;
        let paused = serde_json::to_value(self.runs.get(&run).await?)?;
        assert_eq!(phase(&paused), "Paused", "{:#}", paused["status"]);

        // Somebody has it all back as the user wrote it, with the user's new rule.
        let users = vec![
            shared(&json!([reference("web", 3)]), 1),
            rest(&json!([reference("web", 1)])),
            added(&json!([reference("web", 1)])),
        ];
        self.write("gitops", &json!(users)).await?;
        self.event("RouteDrifted", "by gitops").await?;
        self.settled(&wanted).await?;

        command(&self.client, "RolloutRun", &run, "continue").await?;
        until_gone(&self.sets, "web-canary").await?;
        until(&self.runs, &run, "it waits at the breakpoint", at_breakpoint).await?;
        let halves = [shared(&split(300, 40), 100), rest(&split(100, 40)), added(&normal(&split(100, 40)))];
        self.settled(&halves).await?;
        assert_eq!(images(&self.client, "app=web").await?, ["web:v1", "web:v1", "web:v2", "web:v2"]);
        command(&self.client, "RolloutRun", &run, "continue").await?;
        self.succeeded(&run, "web:v2").await?;
        self.given_back(&users).await?;
        Ok(operator)
    }

    /// The TrafficTopology goes while a canary waits, and comes back later.
    async fn without_its_topology(&self) -> Result<()> {
        let users = self.users().await?;
        let run = self.paused_with_canary("web:v3").await?;
        self.topologies.delete("web", &DeleteParams::default()).await?;
        until_gone(&self.topologies, "web").await?;
        until_gone(&self.routings, "web-ics").await?;
        self.given_back(&users).await?;
        assert_eq!(images(&self.client, "app=web").await?.len(), 4 + 1, "the canary stays");

        // The canary needs none to be taken away, but the batch after it does.
        command(&self.client, "RolloutRun", &run, "continue").await?;
        let told = |run: &Value| run["status"]["waits"].to_string().contains("traffictopology/web");
        let waiting = until(&self.runs, &run, "it says what it waits for", told).await?;
        assert_eq!(phase(&waiting), "Progressing");
        let told = |rollout: &Value| {
            let conditions = rollout["status"]["conditions"].to_string();
            conditions.contains("spec.trafficTopologyRefs: TrafficTopology default/web not found: create it")
        };
        until(&self.rollouts, "web", "it says what is missing", told).await?;

        create(&self.client, TOPOLOGY).await?;
        until(&self.runs, &run, "it waits at the breakpoint", at_breakpoint).await?;
        command(&self.client, "RolloutRun", &run, "continue").await?;
        self.succeeded(&run, "web:v3").await?;
        self.given_back(&users).await
    }

    /// Blue/green: a whole copy gets all requests, the workload follows, and takes them back.
    async fn by_copies_that_take_over(&self) -> Result<()> {
        let strategies = of_kind(&self.client, API, "RolloutStrategy");
        let before = strategies.get("web").await?.data;
        let write = async |patch: Value| strategies.patch("web", &PatchParams::default(), &Patch::Merge(patch)).await;
        let copies =
            json!({ "targets": [{ "replicas": "100%" }], "preview": { "http": { "mirror": {} } }, "keepSeconds": 10 });
        write(json!({ "canary": null, "blueGreen": copies, "batch": { "batches": [{ "replicas": "100%" }] } })).await?;
        let users = self.users().await?;
        let run = self.paused("web:v4").await?;
        assert_eq!(images(&self.client, "app=web").await?, [["web:v3"; 4], ["web:v4"; 4]].concat());
        let route = serde_json::to_value(self.routes.get("shop").await?)?;
        assert!(rules(&route).to_string().contains("requestMirror"), "{route:#}");

        command(&self.client, "RolloutRun", &run, "continue").await?;
        let added = json!({ "matches": users[2]["matches"], "backendRefs": normal(&split(100, 100)) });
        self.settled(&[shared(&split(300, 100), 100), rest(&split(100, 100)), added]).await?;
        assert_eq!(images(&self.client, "app=web").await?, [["web:v3"; 4], ["web:v4"; 4]].concat());
        self.succeeded(&run, "web:v4").await?;
        self.given_back(&users).await?;
        write(json!({ "blueGreen": null, "canary": before["canary"], "batch": before["batch"] })).await?;
        Ok(())
    }

    /// The Rollout goes while a canary waits.
    async fn without_its_rollout(&self) -> Result<()> {
        let users = self.users().await?;
        let run = self.paused_with_canary("web:v5").await?;
        self.rollouts.delete("web", &DeleteParams::default()).await?;
        until_gone(&self.rollouts, "web").await?;
        until_gone(&self.sets, "web-canary").await?;
        until_gone(&self.runs, &run).await?;
        self.given_back(&users).await?;
        assert_eq!(images(&self.client, "app=web").await?, ["web:v4"; 4]);
        let routing = until(&self.routings, "web-ics", "it is ready", is_ready).await?;
        assert!(routing["spec"]["forkedBackends"].is_null(), "{routing:#}");
        Ok(())
    }

    /// Has a version rolled out up to its canary. Returns the name of the run.
    async fn paused_with_canary(&self, image: &str) -> Result<String> {
        let run = self.paused(image).await?;
        let routing = until(&self.routings, "web-ics", "it is ready", is_ready).await?;
        assert_eq!(routing["spec"]["forwarding"]["http"]["canary"]["weight"], 20, "{routing:#}");
        Ok(run)
    }

    /// Has a version rolled out until the run is paused. Returns its name.
    async fn paused(&self, image: &str) -> Result<String> {
        let before = serde_json::to_value(self.rollouts.get("web").await?)?["status"]["rolloutID"].clone();
        let patch =
            json!({ "spec": { "template": { "spec": { "containers": [{ "name": "main", "image": image }] } } } });
        self.sets.patch("web", &PatchParams::default(), &Patch::Strategic(&patch)).await?;
        let started = |it: &Value| it["status"]["rolloutID"] != before && it["status"]["phase"] == "Progressing";
        let rollout = until(&self.rollouts, "web", "a run starts", started).await?;
        let run = rollout["status"]["rolloutID"].as_str().context("the run has a name")?.to_owned();
        until(&self.runs, &run, "it waits with its canary", |run| phase(run) == "Paused").await?;
        Ok(run)
    }

    /// Waits until the route has these rules, and its BackendRouting says that they are in force.
    async fn settled(&self, wanted: &[Value]) -> Result<()> {
        let wanted = json!(wanted);
        let route = until(&self.routes, "shop", &format!("it is {wanted:#}"), |it| rules(it) == wanted).await?;
        let is_in_force = |routing: &Value| {
            is_ready(routing)
                && routing["status"]["routes"][0]["acceptance"]["generation"] == route["metadata"]["generation"]
        };
        until(&self.routings, "web-ics", "the route is in force", is_in_force).await?;
        Ok(())
    }

    /// Waits until the route is the user's again, and nothing is left of ours.
    async fn given_back(&self, users: &[Value]) -> Result<()> {
        let users = json!(users);
        until(&self.routes, "shop", &format!("it is {users:#}"), |it| rules(it) == users).await?;
        for fork in ["web-stable", "web-canary"] {
            until_gone(&self.services, fork).await?;
        }
        let ours = ListParams::default().labels("rollout.kusionstack.io/canary-resource=true");
        let left = Api::<Service>::default_namespaced(self.client.clone()).list(&ours).await?;
        assert!(left.items.is_empty(), "{left:#?}");
        Ok(())
    }

    async fn succeeded(&self, run: &str, image: &str) -> Result<()> {
        let ended = |run: &Value| ["Succeeded", "Canceled"].contains(&phase(run));
        let run = until(&self.runs, run, "it ends", ended).await?;
        assert_eq!(phase(&run), "Succeeded", "{:#}", run["status"]);
        assert_eq!(images(&self.client, "app=web").await?, [image; 4]);
        let over = |it: &Value| it["status"]["phase"] == "Initialized";
        until(&self.rollouts, "web", "it is ready for the next run", over).await?;
        Ok(())
    }

    async fn users(&self) -> Result<Vec<Value>> {
        let route = serde_json::to_value(self.routes.get("shop").await?)?;
        Ok(rules(&route).as_array().context("rules")?.clone())
    }

    /// Writes the rules as somebody.
    async fn write(&self, manager: &str, rules: &Value) -> Result<()> {
        let params = PatchParams { field_manager: Some(manager.to_owned()), ..PatchParams::default() };
        self.routes.patch("shop", &params, &Patch::Merge(json!({ "spec": { "rules": rules } }))).await?;
        Ok(())
    }

    /// Waits for an event about the BackendRouting.
    async fn event(&self, reason: &str, words: &str) -> Result<()> {
        let events = of_kind(&self.client, "v1", "Event");
        let mut last = Vec::new();
        for _ in 0..POLLS {
            last = events.list(&ListParams::default()).await?.items;
            let says = |event: &DynamicObject| {
                let message = event.data["message"].as_str().unwrap_or_default();
                event.data["reason"] == reason
                    && event.data["involvedObject"]["name"] == "web-ics"
                    && message.contains(words)
            };
            if last.iter().any(says) {
                return Ok(());
            }
            tokio::time::sleep(POLL).await;
        }
        let told: Vec<_> =
            last.iter().map(|event| format!("{}: {}", event.data["reason"], event.data["message"])).collect();
        bail!("waited in vain for event {reason} with `{words}`; there are {told:#?}")
    }
}

/// The rules of a route, without what the server fills in.
fn rules(route: &Value) -> Value {
    normal(&route["spec"]["rules"])
}

/// As a test writes it: no fields with which the server says what they are anyway.
fn normal(value: &Value) -> Value {
    match value {
        Value::Array(values) => Value::Array(values.iter().map(normal).collect()),
        Value::Object(fields) => {
            let is_default = |name: &str, value: &Value| {
                name == "group" && value == ""
                    || name == "kind" && value == "Service"
                    || name == "matches" && *value == json!([{ "path": { "type": "PathPrefix", "value": "/" } }])
            };
            let kept = fields.iter().filter(|(name, value)| !is_default(name, value));
            Value::Object(kept.map(|(name, value)| (name.clone(), normal(value))).collect())
        }
        _ => value.clone(),
    }
}

fn reference(name: &str, weight: i64) -> Value {
    json!({ "name": name, "port": 80, "weight": weight })
}

/// The references to both forks, where the backend had a hundredth of a weight.
fn split(weight: i64, percent: i64) -> Value {
    let canary = weight * percent / 100;
    json!([reference("web-stable", weight - canary), reference("web-canary", canary)])
}

/// The rule that has another backend of the user's.
fn shared(ours: &Value, other: i64) -> Value {
    let mut references = ours.as_array().cloned().unwrap_or_default();
    references.push(reference("other", other));
    json!({
        "matches": [{ "path": { "type": "PathPrefix", "value": "/shared" } }],
        "filters": [{
            "type": "RequestHeaderModifier",
            "requestHeaderModifier": { "set": [{ "name": "x-shop", "value": "shared" }] },
        }],
        "backendRefs": references,
    })
}

/// The rule for every other request.
fn rest(references: &Value) -> Value {
    json!({ "backendRefs": references })
}

fn is_ready(routing: &Value) -> bool {
    let conditions = routing["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let generation = &routing["metadata"]["generation"];
    conditions
        .iter()
        .any(|it| it["type"] == "Ready" && it["status"] == "True" && it["observedGeneration"] == *generation)
}

fn at_breakpoint(run: &Value) -> bool {
    phase(run) == "Paused" && run["status"]["batchStatus"]["currentBatchIndex"] == 1
}

fn phase(run: &Value) -> &str {
    run["status"]["phase"].as_str().unwrap_or_default()
}

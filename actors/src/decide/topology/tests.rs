use serde_json::json;

use super::*;
use crate::{
    decide::fixtures::{self, at, object},
    view::MemberView,
};

fn topology(change: &Value) -> Arc<TrafficTopology> {
    let mut topology = json!({
        "metadata": {
            "name": "web", "namespace": "default", "uid": "t", "resourceVersion": "5", "generation": 1,
            "finalizers": [keys::FINALIZER_TOPOLOGY],
        },
        "spec": {
            "workloadRef": {
                "apiVersion": "apps/v1", "kind": "StatefulSet", "match": { "selector": { "matchLabels": { "app": "demo" } } },
            },
            "trafficType": "InCluster", "backend": { "name": "web" }, "routes": [{ "name": "shop" }],
        },
    });
    json_patch::merge(&mut topology, change);
    object(topology)
}

fn view(workloads: Vec<Workload>) -> TopologyView {
    let members = fixtures::view(workloads).members;
    TopologyView { topology: topology(&json!({})), routings: BTreeMap::new(), errors: BTreeMap::new(), members }
}

/// The BackendRouting of the topology in a cluster, changed.
fn routing(cluster: &str, change: &Value) -> (String, Arc<BackendRouting>) {
    let view = view(vec![]);
    let name = routing_name(&view, cluster);
    let mut routing = json!({
        "metadata": { "name": name, "namespace": "default", "uid": "b", "resourceVersion": "9", "ownerReferences": [owner(&view)] },
        "spec": super::spec(&view.topology, cluster),
    });
    json_patch::merge(&mut routing, change);
    (name, object(routing))
}

/// What is decided, in words.
fn told(view: &TopologyView) -> String {
    let decision = super::topology(view, at(0));
    let words = decision.writes.iter().map(|write| match write {
        HubWrite::Create { key, .. } => format!("create {}", key.name),
        HubWrite::Delete { key, .. } => format!("delete {}", key.name),
        HubWrite::Patch { key, patch, .. } => {
            let mut patch = patch.clone();
            patch["metadata"].as_object_mut().unwrap().remove("resourceVersion");
            format!("patch {}: {patch}", key.name)
        }
        HubWrite::PatchStatus { patch, .. } => {
            let ready = &patch["status"]["conditions"][0];
            let text = |field: &str| ready[field].as_str().unwrap_or_default().to_owned();
            format!("Ready is {} ({}): {}", text("status"), text("reason"), text("message"))
        }
    });
    words.collect::<Vec<_>>().join("; ")
}

#[test]
fn a_topology_leads_to_a_backend_routing_in_each_cluster() {
    let web = |cluster: &str| fixtures::workload(cluster, "web", 3);
    let api = || Workload { ..fixtures::workload("east", "api", 3) };
    let lane = |workload: Workload| Workload { lane: Some(keys::LANE_STABLE.into()), ..workload };
    let with = |workloads: Vec<Workload>, routings: Vec<(String, Arc<BackendRouting>)>| TopologyView {
        routings: routings.into_iter().collect(),
        ..view(workloads)
    };
    let as_is = || routing("east", &json!({}));
    let mut unsure = with(vec![web("east")], vec![as_is(), routing("west", &json!({}))]);
    let unreachable = Health::Unreachable { since: at(0), error: "timed out".into() };
    let west = MemberView { health: unreachable, workloads: BTreeMap::new(), reports: BTreeMap::new() };
    unsure.members.insert("west".into(), west);
    let mut leaving = with(vec![web("east")], vec![as_is()]);
    leaving.topology = topology(&json!({ "metadata": { "deletionTimestamp": "2027-01-15T08:00:00Z" } }));
    let left = TopologyView { routings: BTreeMap::new(), ..leaving.clone() };
    let mut unprotected = view(vec![web("east")]);
    unprotected.topology = topology(&json!({ "metadata": { "finalizers": null } }));
    let mut edited = with(vec![web("east")], vec![as_is()]);
    edited.topology =
        topology(&json!({ "spec": { "routes": [{ "name": "shop" }, { "name": "api" }], "drainSeconds": 5 } }));
    let forks = json!({ "stable": { "name": "web-stable" }, "canary": { "name": "web-canary" } });
    let mut renamed = with(vec![web("east")], vec![routing("east", &json!({ "spec": { "forkedBackends": forks } }))]);
    renamed.topology = topology(&json!({ "spec": { "backend": { "name": "other" } } }));
    let foreign = json!({ "metadata": { "ownerReferences": [{
        "apiVersion": "v1", "kind": "TrafficTopology", "name": "other", "uid": "o", "controller": true,
    }] } });
    let (_, elsewhere) = routing("east", &json!({ "metadata": { "name": "other-ics-east", "ownerReferences": null } }));
    let in_use = with(vec![web("east")], vec![("other-ics-east".into(), elsewhere)]);
    let lines = [
        ("before anything is made", unprotected),
        ("no workload", view(vec![])),
        ("two clusters", view(vec![web("east"), web("west")])),
        ("all is there", with(vec![web("east")], vec![as_is()])),
        ("two workloads", with(vec![web("east"), api()], vec![as_is()])),
        ("two with the lane in their templates", with(vec![lane(web("east")), lane(api())], vec![as_is()])),
        ("a workload that is gone", with(vec![web("east")], vec![as_is(), routing("west", &json!({}))])),
        ("a cluster that does not answer", unsure),
        ("an edit", edited),
        ("another backend while it is forked", renamed),
        (
            "one made by hand",
            with(vec![web("east")], vec![routing("east", &json!({ "metadata": { "ownerReferences": null } }))]),
        ),
        ("another's", with(vec![web("east")], vec![routing("east", &foreign)])),
        ("a backend that is split already", in_use),
        ("a deletion", leaving),
        ("nothing left", left),
    ];
    let lines: Vec<_> = lines.iter().map(|(when, view)| format!("{when}:\n  {}", told(view))).collect();
    insta::assert_snapshot!(lines.join("\n"));
}

/// A topology over several clusters has one BackendRouting, whose routes are where its gateway is.
#[test]
fn a_topology_over_all_clusters_leads_to_one_backend_routing() {
    let web = |cluster: &str| fixtures::workload(cluster, "web", 3);
    let over = |change: Value| {
        let mut spec = json!({ "trafficType": "MultiCluster" });
        json_patch::merge(&mut spec, &change);
        topology(&json!({ "spec": spec }))
    };
    let with = |change: Value, workloads: Vec<Workload>| TopologyView { topology: over(change), ..view(workloads) };
    let created = |view: &TopologyView| match super::topology(view, at(0)).writes.into_iter().next() {
        Some(HubWrite::Create { key, object, .. }) => (key.name, object),
        other => panic!("{other:?}"),
    };
    let both = with(json!({}), vec![web("east"), web("west")]);
    let (name, object) = created(&both);
    let backend = &object["spec"]["backend"];
    assert_eq!(
        (&*name, &backend["kind"], &backend["apiVersion"]),
        ("web-msc", &json!("ServiceImport"), &json!(keys::MULTICLUSTER_API))
    );
    assert_eq!((&object["spec"]["clusters"], &backend["cluster"]), (&json!(["east", "west"]), &Value::Null));
    let entered = with(json!({ "gatewayCluster": "west" }), vec![web("east"), web("west")]);
    let (_, elsewhere) = created(&entered);
    assert_eq!(
        (&elsewhere["spec"]["backend"]["cluster"], &elsewhere["spec"]["routes"][0]["cluster"]),
        (&json!("west"), &json!("west"))
    );

    let made = |mut view: TopologyView| {
        let mut object = object.clone();
        object["metadata"]["uid"] = json!("b");
        view.routings.insert("web-msc".to_owned(), fixtures::object(object));
        view
    };
    let mut known = made(with(json!({}), vec![web("east")]));
    let tied = |cluster: &str| json!({ "workloadRef": { "cluster": cluster, "name": "web" }, "backendRoutingName": "web-msc" });
    Arc::make_mut(&mut known.topology).status =
        Some(serde_json::from_value(json!({ "topologies": [tied("east"), tied("west")] })).unwrap());
    let mut unsure = known.clone();
    let health = Health::Unreachable { since: at(0), error: "timed out".into() };
    unsure.members.insert("west".into(), MemberView { health, workloads: BTreeMap::new(), reports: BTreeMap::new() });
    let kept = made(with(json!({}), vec![web("east"), web("west")]));
    let lines = [
        ("no workload", with(json!({}), vec![])),
        ("all is there", kept),
        ("the west's workload is gone", known),
        ("the west does not answer", unsure),
        ("a gateway nowhere", with(json!({ "gatewayCluster": "north" }), vec![web("east")])),
        ("in each cluster instead", made(with(json!({ "trafficType": "InCluster" }), vec![web("east")]))),
        (
            "an Ingress",
            with(
                json!({ "routes": [{ "apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "name": "shop" }] }),
                vec![],
            ),
        ),
    ];
    let lines: Vec<_> = lines.iter().map(|(when, view)| format!("{when}:\n  {}", told(view))).collect();
    insta::assert_snapshot!(lines.join("\n"));
}

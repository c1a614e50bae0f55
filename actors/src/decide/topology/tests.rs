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

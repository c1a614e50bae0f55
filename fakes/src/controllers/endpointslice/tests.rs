//! What a Service's slices come to, as one table per rule.

use serde_json::{Value, json};

use super::*;

#[expect(clippy::needless_pass_by_value, reason = "so that the cases below read well")]
fn service(spec: Value) -> Value {
    let metadata = json!({"name": "web", "namespace": "shop", "uid": "s", "labels": {"team": "blue"}});
    let mut service = json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec});
    if service["spec"]["ports"].is_null() {
        service["spec"]["ports"] = json!([{"port": 80, "targetPort": 80, "protocol": "TCP"}]);
    }
    if service["spec"]["clusterIP"].is_null() {
        service["spec"]["clusterIP"] = "10.0.1.0".into();
    }
    service
}

fn pod(index: usize) -> Value {
    json!({
        "metadata": {"name": format!("pod-{index:04}"), "namespace": "shop", "uid": format!("p{index}")},
        "spec": {"nodeName": "node-0", "containers": []},
        "status": {
            "phase": "Running", "podIPs": [{"ip": format!("10.244.{}.{}", index / 256, index % 256)}],
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    })
}

struct Case {
    service: Value,
    pods: Vec<Value>,
    slices: Vec<Value>,
}

impl Case {
    fn new(spec: Value, pods: usize) -> Self {
        Self { service: service(spec), pods: (0..pods).map(pod).collect(), slices: Vec::new() }
    }

    fn plan(&self) -> Plan {
        let node = json!({"metadata": {"name": "node-0"}});
        sync(&Observed {
            service: &self.service,
            pods: self.pods.iter().collect(),
            nodes: vec![&node],
            slices: self.slices.iter().collect(),
        })
    }

    /// Carries the plan out and tells it: counts of endpoints created, of endpoints of slices written, and of deletions.
    fn step(&mut self) -> (Vec<usize>, Vec<usize>, usize) {
        let plan = self.plan();
        let count = |slices: &[Value]| slices.iter().map(|slice| object::list(&slice["endpoints"]).len()).collect();
        let told = (count(&plan.create), count(&plan.update), plan.delete.len());
        self.slices.retain(|slice| !plan.delete.iter().any(|name| name == object::name(slice)));
        for slice in plan.update {
            let old = self.slices.iter_mut().find(|old| object::name(old) == object::name(&slice)).unwrap();
            *old = slice;
        }
        for mut slice in plan.create {
            slice["metadata"]["name"] = format!("slice-{}", self.slices.len()).into();
            self.slices.push(slice);
        }
        told
    }
}

#[test]
fn slices_are_filled_to_a_hundred_and_written_as_little_as_possible() {
    let mut case = Case::new(json!({}), 250);
    assert_eq!(case.step(), (vec![100, 100, 50], vec![], 0));
    assert_eq!(case.step(), (vec![], vec![], 0), "nothing changed");
    case.pods.push(pod(250));
    assert_eq!(case.step(), (vec![], vec![51], 0), "the slice with room takes it");
    case.pods.remove(0);
    assert_eq!(case.step(), (vec![], vec![99], 0), "slices are not packed again");
    case.pods.push(pod(251));
    case.pods[0]["status"]["conditions"][0]["status"] = "False".into();
    assert_eq!(case.step(), (vec![], vec![100], 0), "the slice that is written anyway takes it");
    case.pods.clear();
    assert_eq!(case.step(), (vec![], vec![0], 2), "one slice stays, without endpoints");
    assert_eq!(case.step(), (vec![], vec![], 0));
}

#[test]
fn conditions_follow_the_pod() {
    for (ready, deleting, published, expected) in [
        (true, false, false, [true, true, false]),
        (false, false, false, [false, false, false]),
        (true, true, false, [false, true, true]),
        (false, false, true, [true, false, false]),
        (true, true, true, [true, true, true]),
    ] {
        let mut case = Case::new(json!({"publishNotReadyAddresses": published}), 1);
        case.pods[0]["status"]["conditions"][0]["status"] = if ready { "True" } else { "False" }.into();
        if deleting {
            case.pods[0]["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
        }
        let conditions = case.plan().create[0]["endpoints"][0]["conditions"].clone();
        let found = ["ready", "serving", "terminating"].map(|it| conditions[it] == true);
        assert_eq!(found, expected, "ready {ready}, deleting {deleting}, published {published}");
    }
}

#[test]
fn pods_that_cannot_be_reached_are_left_out() {
    let mut case = Case::new(json!({}), 4);
    case.pods[0]["status"]["phase"] = "Succeeded".into();
    case.pods[1]["status"]["podIPs"] = json!([]);
    case.pods[2]["spec"]["nodeName"] = "node-9".into();
    case.pods[3]["status"]["podIPs"] = json!([{"ip": "fd00::1"}]);
    let plan = case.plan();
    assert_eq!(plan.create[0]["endpoints"], Value::Null);
    assert_eq!(plan.strays, ["pod-0002"], "only a missing node is a reason to look again");
}

#[test]
fn a_slice_of_a_service_that_went_before_is_not_taken_over() {
    let mut case = Case::new(json!({}), 1);
    case.step();
    case.service["metadata"]["uid"] = "another".into();
    assert_eq!(case.step(), (vec![1], vec![], 1));
    case.service["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    case.pods.push(pod(1));
    case.slices.clear();
    assert_eq!(case.step(), (vec![], vec![], 0), "nothing is made for a Service that goes");
}

#[test]
fn a_slice_without_a_list_of_endpoints_is_filled() {
    let mut case = Case::new(json!({}), 1);
    case.step();
    case.slices[0]["endpoints"] = Value::Null;
    assert_eq!(case.step(), (vec![], vec![1], 0));
}

#[test]
fn labels_are_the_services_and_our_own() {
    let case = Case::new(json!({"clusterIP": "None"}), 0);
    let expected = json!({
        "team": "blue", HEADLESS_LABEL: "", SERVICE_LABEL: "web", MANAGED_BY_LABEL: MANAGER,
    });
    assert_eq!(case.plan().create[0]["metadata"]["labels"], expected);
}

//! Valid objects of each kind. Fields come and go, and have few values, so that writers meet in them.

use serde_json::{Map, Value, json};

use super::dice::Dice;

pub(super) const LETTERS: [&str; 3] = ["a", "b", "c"];

/// Labels have few values, so that selectors find something.
pub(super) const VALUES: [&str; 2] = ["x", "y"];

/// An object of the fields that are there.
fn object<const N: usize>(fields: [(&str, Option<Value>); N]) -> Value {
    Value::Object(fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect())
}

fn letter(dice: &mut Dice) -> Value {
    dice.pick(&LETTERS).into()
}

fn number(dice: &mut Dice) -> Value {
    json!(dice.below(4))
}

/// Some of a few keys, each with a value.
fn map(dice: &mut Dice, value: fn(&mut Dice) -> Value) -> Value {
    let mut fields = Map::new();
    for key in LETTERS {
        if dice.chance(1, 2) {
            fields.insert(key.to_owned(), value(dice));
        }
    }
    Value::Object(fields)
}

fn list(dice: &mut Dice, keys: &[&str], item: impl Fn(&mut Dice, &str) -> Value) -> Value {
    let chosen: Vec<&str> = keys.iter().copied().filter(|_| dice.chance(1, 2)).collect();
    chosen.into_iter().map(|key| item(dice, key)).collect()
}

fn base64(dice: &mut Dice) -> Value {
    dice.pick(&["YQ==", "YmM=", ""]).into()
}

pub(super) fn metadata(dice: &mut Dice, name: &str) -> Value {
    let zero = "00000000-0000-0000-0000-000000000000";
    let labels = |dice: &mut Dice| {
        object([
            ("app", dice.maybe(3, 4, |dice| dice.pick(&VALUES).into())),
            ("tier", dice.maybe(1, 3, |dice| dice.pick(&VALUES).into())),
        ])
    };
    let owner = |dice: &mut Dice| {
        let controller = dice.maybe(1, 2, |dice| dice.chance(1, 2).into());
        let uid = dice.pick(&["${configmaps-a-uid}", zero]);
        let owner = object([("controller", controller), ("blockOwnerDeletion", dice.maybe(1, 4, |_| true.into()))]);
        let mut owner = owner;
        for (field, value) in [("apiVersion", "v1"), ("kind", "ConfigMap"), ("name", "a"), ("uid", uid)] {
            owner[field] = value.into();
        }
        json!([owner])
    };
    object([
        ("name", Some(name.into())),
        ("labels", dice.maybe(3, 4, labels)),
        ("annotations", dice.maybe(1, 4, |dice| json!({ "note": dice.pick(&LETTERS) }))),
        (
            "finalizers",
            dice.maybe(1, 12, |dice| list(dice, &["example.com/one", "example.com/two"], |_, it| it.into())),
        ),
        ("ownerReferences", dice.maybe(1, 16, owner)),
    ])
}

pub(super) fn config_map(dice: &mut Dice) -> Value {
    object([
        ("data", dice.maybe(4, 5, |dice| map(dice, letter))),
        ("binaryData", dice.maybe(1, 8, |dice| json!({ "bin": base64(dice) }))),
        ("immutable", dice.maybe(1, 10, |dice| dice.chance(1, 2).into())),
    ])
}

pub(super) fn secret(dice: &mut Dice) -> Value {
    let kinds = ["Opaque", "example.com/own", "kubernetes.io/basic-auth"];
    object([
        ("data", dice.maybe(2, 3, |dice| map(dice, base64))),
        ("stringData", dice.maybe(1, 3, |dice| map(dice, letter))),
        ("type", dice.maybe(1, 3, |dice| dice.pick(&kinds).into())),
        ("immutable", dice.maybe(1, 10, |dice| dice.chance(1, 2).into())),
    ])
}

pub(super) fn namespace(_: &mut Dice) -> Value {
    json!({})
}

pub(super) fn lease(dice: &mut Dice) -> Value {
    let spec = object([
        ("holderIdentity", dice.maybe(3, 4, letter)),
        ("leaseDurationSeconds", dice.maybe(3, 4, |dice| json!(1 + dice.below(20)))),
        ("renewTime", dice.maybe(1, 2, |_| "2026-01-01T00:00:00.000000Z".into())),
        ("acquireTime", dice.maybe(1, 3, |_| "2026-01-01T00:00:00.5Z".into())),
        ("leaseTransitions", dice.maybe(1, 2, number)),
    ]);
    json!({ "spec": spec })
}

pub(super) fn budget(dice: &mut Dice) -> Value {
    let amount = |dice: &mut Dice| dice.pick(&[json!(1), json!(0), json!("50%")]);
    let most = dice.chance(1, 2);
    let spec = object([
        ("maxUnavailable", most.then(|| amount(dice))),
        ("minAvailable", (!most).then(|| amount(dice))),
        ("selector", dice.maybe(3, 4, selector)),
        ("unhealthyPodEvictionPolicy", dice.maybe(1, 5, |dice| dice.pick(&["IfHealthyBudget", "AlwaysAllow"]).into())),
    ]);
    json!({ "spec": spec })
}

pub(super) fn budget_status(dice: &mut Dice) -> Value {
    let mut status = json!({ "observedGeneration": dice.below(3) });
    for field in ["currentHealthy", "desiredHealthy", "disruptionsAllowed", "expectedPods"] {
        status[field] = number(dice);
    }
    status
}

pub(super) fn pod(dice: &mut Dice) -> Value {
    json!({ "spec": pod_spec(dice) })
}

pub(super) fn pod_status(dice: &mut Dice) -> Value {
    object([
        ("phase", dice.maybe(2, 3, |dice| dice.pick(&["Pending", "Running", "Succeeded"]).into())),
        ("podIP", dice.maybe(1, 3, |_| "10.9.8.7".into())),
        ("conditions", dice.maybe(2, 3, |dice| conditions(dice, &["Ready", "ContainersReady"]))),
        ("message", dice.maybe(1, 4, letter)),
    ])
}

fn conditions(dice: &mut Dice, types: &[&str]) -> Value {
    list(dice, types, |dice, name| {
        let mut condition = json!({ "type": name, "status": dice.pick(&["True", "False", "Unknown"]) });
        if dice.chance(1, 2) {
            condition["reason"] = "Because".into();
        }
        condition
    })
}

fn pod_spec(dice: &mut Dice) -> Value {
    let second = dice.chance(1, 5);
    let mut containers = vec![container(dice, "a")];
    containers.extend(second.then(|| container(dice, "b")));
    object([
        ("containers", Some(containers.into())),
        ("terminationGracePeriodSeconds", dice.maybe(1, 5, |dice| json!(dice.below(40)))),
        ("nodeName", dice.maybe(1, 6, |_| "node-1".into())),
        ("nodeSelector", dice.maybe(1, 8, |_| json!({ "disk": "fast" }))),
        ("tolerations", dice.maybe(1, 8, |_| json!([{ "key": "k", "operator": "Exists", "effect": "NoSchedule" }]))),
        ("volumes", dice.maybe(1, 6, |_| json!([{ "name": "v", "emptyDir": {} }]))),
    ])
}

fn container(dice: &mut Dice, name: &str) -> Value {
    let env =
        |dice: &mut Dice| list(dice, &["A", "B", "C"], |dice, name| json!({ "name": name, "value": letter(dice) }));
    let ports = |dice: &mut Dice| {
        list(dice, &["http", "dns"], |dice, name| match name {
            "http" => json!({ "name": "http", "containerPort": 8080 }),
            _ => json!({ "containerPort": 53, "protocol": dice.pick(&["UDP", "TCP"]) }),
        })
    };
    let resources = |dice: &mut Dice| {
        object([
            ("requests", dice.maybe(2, 3, |_| json!({ "cpu": "100m", "memory": "64Mi" }))),
            ("limits", dice.maybe(1, 2, |dice| json!({ "cpu": dice.pick(&["1", "500m", "0.5"]), "memory": "64Mi" }))),
        ])
    };
    object([
        ("name", Some(name.into())),
        ("image", Some(dice.pick(&["app:1", "app:2", "registry.example.com/app"]).into())),
        ("args", dice.maybe(1, 5, |dice| json!([letter(dice), "b"]))),
        ("env", dice.maybe(1, 3, env)),
        ("ports", dice.maybe(1, 3, ports)),
        ("resources", dice.maybe(1, 4, resources)),
        ("readinessProbe", dice.maybe(1, 6, |_| json!({ "httpGet": { "path": "/ready", "port": 8080 } }))),
    ])
}

/// The labels of `template` match it, nearly always.
fn selector(dice: &mut Dice) -> Value {
    let app = dice.weighted(&[(19, "x"), (1, "y")]);
    match dice.below(12) {
        0 => json!({ "matchExpressions": [{ "key": "app", "operator": "In", "values": [app] }] }),
        1 => json!({ "matchLabels": { "app": app }, "matchExpressions": [{ "key": "app", "operator": "Exists" }] }),
        _ => json!({ "matchLabels": { "app": app } }),
    }
}

fn template(dice: &mut Dice) -> Value {
    let mut spec = pod_spec(dice);
    if let Some(spec) = spec.as_object_mut() {
        spec.shift_remove("nodeName");
    }
    json!({ "metadata": { "labels": { "app": "x" } }, "spec": spec })
}

/// The fields that the three workload kinds have in common.
fn workload(dice: &mut Dice, own: Value) -> Value {
    let mut spec = object([
        ("replicas", dice.maybe(3, 4, number)),
        ("selector", Some(selector(dice))),
        ("template", Some(template(dice))),
        ("minReadySeconds", dice.maybe(1, 5, number)),
    ]);
    if let (Some(spec), Value::Object(own)) = (spec.as_object_mut(), own) {
        spec.extend(own);
    }
    json!({ "spec": spec })
}

pub(super) fn deployment(dice: &mut Dice) -> Value {
    let strategies = [
        json!({ "type": "Recreate" }),
        json!({ "type": "RollingUpdate" }),
        json!({ "rollingUpdate": { "maxSurge": 1 } }),
        json!({ "type": "RollingUpdate", "rollingUpdate": { "maxSurge": "25%", "maxUnavailable": 0 } }),
    ];
    let own = object([
        ("strategy", dice.maybe(1, 2, |dice| dice.pick(&strategies))),
        ("paused", dice.maybe(1, 5, |dice| dice.chance(1, 2).into())),
        ("revisionHistoryLimit", dice.maybe(1, 5, number)),
        ("progressDeadlineSeconds", dice.maybe(1, 5, |dice| json!(10 + dice.below(3)))),
    ]);
    workload(dice, own)
}

pub(super) fn stateful_set(dice: &mut Dice) -> Value {
    let strategies = [
        json!({ "type": "OnDelete" }),
        json!({ "type": "RollingUpdate" }),
        json!({ "rollingUpdate": { "partition": 2 } }),
        json!({ "type": "RollingUpdate", "rollingUpdate": { "partition": 0 } }),
    ];
    let own = object([
        ("serviceName", dice.maybe(1, 2, letter)),
        ("podManagementPolicy", dice.maybe(1, 3, |dice| dice.pick(&["Parallel", "OrderedReady"]).into())),
        ("updateStrategy", dice.maybe(1, 2, |dice| dice.pick(&strategies))),
        ("revisionHistoryLimit", dice.maybe(1, 5, number)),
    ]);
    workload(dice, own)
}

pub(super) fn replica_set(dice: &mut Dice) -> Value {
    workload(dice, json!({}))
}

pub(super) fn workload_status(dice: &mut Dice) -> Value {
    let replicas = dice.below(4);
    let part = |dice: &mut Dice| dice.maybe(1, 2, |dice| json!(dice.below(replicas + 1)));
    object([
        ("replicas", Some(json!(replicas))),
        ("readyReplicas", part(dice)),
        ("observedGeneration", dice.maybe(1, 2, number)),
        ("conditions", dice.maybe(1, 3, |dice| conditions(dice, &["Available", "Progressing"]))),
    ])
}

pub(super) fn service(dice: &mut Dice) -> Value {
    let ports = |dice: &mut Dice| match dice.below(3) {
        0 => json!([{ "port": 80 }]),
        1 => json!([{ "name": "http", "port": 80, "targetPort": 8080 }]),
        _ => json!([
            { "name": "http", "port": 80, "targetPort": "http" },
            { "name": "dns", "port": 53, "protocol": dice.pick(&["UDP", "TCP"]) },
        ]),
    };
    let spec = match dice.below(10) {
        0 => json!({ "type": "ExternalName", "externalName": "example.com" }),
        1 => json!({ "clusterIP": "None", "selector": { "app": "x" } }),
        _ => object([
            ("ports", Some(ports(dice))),
            ("selector", dice.maybe(3, 4, |dice| json!({ "app": dice.pick(&VALUES) }))),
            (
                "type",
                dice.maybe(1, 3, |dice| {
                    dice.weighted(&[(8, "ClusterIP"), (2, "NodePort"), (1, "LoadBalancer")]).into()
                }),
            ),
            ("sessionAffinity", dice.maybe(1, 6, |dice| dice.pick(&["None", "ClientIP"]).into())),
            ("publishNotReadyAddresses", dice.maybe(1, 8, |_| true.into())),
        ]),
    };
    json!({ "spec": spec })
}

pub(super) fn service_status(dice: &mut Dice) -> Value {
    object([
        ("loadBalancer", dice.maybe(1, 3, |_| json!({ "ingress": [{ "hostname": "lb.example.com" }] }))),
        ("conditions", dice.maybe(1, 2, |dice| conditions(dice, &["Ready"]))),
    ])
}

pub(super) fn gadget(dice: &mut Dice) -> Value {
    let keys = ["a", "b", "c"];
    let part =
        |dice: &mut Dice, name: &str| object([("name", Some(name.into())), ("weight", dice.maybe(1, 2, number))]);
    let spec = object([
        ("size", Some(json!(1 + dice.below(9)))),
        ("limit", dice.maybe(1, 5, |dice| json!(5 + dice.below(9)))),
        ("ratio", dice.maybe(1, 8, |dice| dice.pick(&[json!(1), json!(0.5)]))),
        ("on", dice.maybe(1, 8, |dice| dice.chance(1, 2).into())),
        ("colour", dice.maybe(1, 2, |dice| dice.pick(&["red", "green"]).into())),
        ("code", dice.maybe(1, 4, |dice| dice.pick(&[json!("abc"), json!("z"), Value::Null]))),
        ("anchor", dice.maybe(1, 6, letter)),
        ("amount", dice.maybe(1, 4, |dice| dice.pick(&[json!(3), json!("10%")]))),
        ("free", dice.maybe(1, 4, |dice| json!({ "deep": map(dice, number) }))),
        ("labels", dice.maybe(1, 4, |dice| map(dice, letter))),
        ("parts", dice.maybe(1, 3, |dice| list(dice, &keys, part))),
        ("tags", dice.maybe(1, 4, |dice| list(dice, &keys, |_, it| it.into()))),
        ("atoms", dice.maybe(1, 4, |dice| list(dice, &keys, |_, it| it.into()))),
        (
            "nest",
            dice.maybe(1, 4, |dice| object([("name", dice.maybe(1, 2, letter)), ("depth", dice.maybe(1, 2, number))])),
        ),
    ]);
    json!({ "spec": spec })
}

pub(super) fn gadget_status(dice: &mut Dice) -> Value {
    let one = |dice: &mut Dice, name: &str| json!({ "type": name, "status": dice.pick(&["True", "False"]) });
    object([
        ("phase", dice.maybe(1, 2, letter)),
        ("count", dice.maybe(1, 2, number)),
        ("selector", dice.maybe(1, 4, |_| "app=x".into())),
        ("conditions", dice.maybe(1, 3, |dice| list(dice, &["Ready", "Done"], one))),
    ])
}

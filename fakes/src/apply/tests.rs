use serde_json::{Value, json};

use super::{ApplyError, FieldSet, PathElement, Types, Write, apply, update};
use crate::{schema::Schema, types};

const NOW: &str = "2026-01-02T03:04:05Z";

fn write<'a>(manager: &'a str, subresource: &'a str, api_version: &'a str) -> Write<'a> {
    Write { manager, api_version, subresource, now: NOW }
}

fn by(manager: &str) -> Write<'_> {
    write(manager, "", "apps/v1")
}

fn built_in(kind: &str) -> Types<'static> {
    let version = if kind == "Deployment" { "apps/v1" } else { "v1" };
    Types::built_in(types::kind(version, kind), matches!(kind, "Deployment" | "Service"))
}

/// `manager operation[/subresource]` and its fields, entry by entry.
fn owners(object: &Value) -> Value {
    let entries = object["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    let told = entries.into_iter().map(|entry| {
        let (manager, operation) = (entry["manager"].as_str().unwrap(), entry["operation"].as_str().unwrap());
        let subresource = entry["subresource"].as_str().map(|name| format!("/{name}")).unwrap_or_default();
        (format!("{manager} {operation}{subresource}"), entry["fieldsV1"].clone())
    });
    told.collect()
}

fn deployment() -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "x", "namespace": "d", "uid": "1", "labels": {"app": "x"}},
        "spec": {
            "replicas": 3,
            "selector": {"matchLabels": {"app": "x"}},
            "strategy": {"type": "Recreate"},
            "template": {
                "metadata": {"labels": {"app": "x"}},
                "spec": {"containers": [{"name": "c", "image": "i:1", "resources": {},
                    "ports": [{"containerPort": 80, "protocol": "TCP"}]}]},
            },
        },
        "status": {},
    })
}

#[test]
fn a_created_object_belongs_to_its_creator() {
    let object = update(None, deployment(), &by("a"), &built_in("Deployment"));
    assert_eq!(
        owners(&object),
        json!({"a Update": {
            "f:metadata": {"f:labels": {".": {}, "f:app": {}}},
            "f:spec": {
                "f:replicas": {}, "f:selector": {}, "f:strategy": {"f:type": {}},
                "f:template": {
                    "f:metadata": {"f:labels": {".": {}, "f:app": {}}},
                    "f:spec": {"f:containers": {"k:{\"name\":\"c\"}": {
                        ".": {}, "f:name": {}, "f:image": {}, "f:resources": {},
                        "f:ports": {".": {}, "k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {
                            ".": {}, "f:containerPort": {}, "f:protocol": {},
                        }},
                    }}},
                },
            },
        }})
    );
    assert_eq!(
        object["metadata"]["managedFields"][0]
            .as_object()
            .unwrap()
            .iter()
            .filter(|(key, _)| *key != "fieldsV1")
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect::<Value>(),
        json!({"manager": "a", "operation": "Update", "apiVersion": "apps/v1", "time": NOW, "fieldsType": "FieldsV1"})
    );
}

#[test]
fn who_changes_a_field_gets_it() {
    let types = built_in("Deployment");
    let old = update(None, deployment(), &by("a"), &types);
    let mut new = old.clone();
    new["spec"]["replicas"] = json!(4);
    new["metadata"]["labels"].as_object_mut().unwrap().remove("app");
    new["metadata"]["labels"]["other"] = json!("y");
    let object = update(Some(&old), new, &by("b"), &types);
    let owners = owners(&object);
    assert_eq!(owners["b Update"], json!({"f:metadata": {"f:labels": {"f:other": {}}}, "f:spec": {"f:replicas": {}}}));
    assert_eq!(owners["a Update"]["f:metadata"], json!({"f:labels": {}}));
    assert_eq!(owners["a Update"]["f:spec"].get("f:replicas"), None);

    let unchanged = update(Some(&object), object.clone(), &by("c"), &types);
    assert_eq!(unchanged, object);
}

#[test]
fn status_and_the_rest_have_different_owners() {
    let types = built_in("Deployment");
    let old = update(None, deployment(), &by("a"), &types);
    let mut new = old.clone();
    new["status"] = json!({"replicas": 1, "conditions": [{"type": "Available", "status": "True"}]});
    new["spec"]["replicas"] = json!(9);
    let object = update(Some(&old), new.clone(), &write("m", "status", "apps/v1"), &types);
    assert_eq!(
        owners(&object)["m Update/status"],
        json!({"f:status": {"f:replicas": {}, "f:conditions": {".": {}, "k:{\"type\":\"Available\"}": {
            ".": {}, "f:type": {}, "f:status": {},
        }}}})
    );
    assert_eq!(owners(&update(Some(&old), new, &by("b"), &types))["b Update"], json!({"f:spec": {"f:replicas": {}}}));
}

#[test]
fn a_write_through_scale_leaves_no_time() {
    let types = built_in("Deployment");
    let old = update(None, deployment(), &by("a"), &types);
    let mut new = old.clone();
    new["spec"]["replicas"] = json!(4);
    let object = update(Some(&old), new, &write("hpa", "scale", "apps/v1"), &types);
    assert_eq!(owners(&object)["hpa Update/scale"], json!({"f:spec": {"f:replicas": {}}}));
    let entries = object["metadata"]["managedFields"].as_array().unwrap();
    let times: Vec<Option<&str>> = entries.iter().map(|entry| entry["time"].as_str()).collect();
    assert_eq!(times, [None, Some(NOW)]);
}

#[test]
fn fields_that_are_never_left_out_belong_to_nobody_while_zero() {
    let event = json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "x"}, "reason": "R", "count": 1,
        "source": {}, "eventTime": null, "lastTimestamp": null, "reportingComponent": "", "reportingInstance": ""});
    let object = update(None, event, &write("m", "", "v1"), &built_in("Event"));
    assert_eq!(owners(&object)["m Update"], json!({"f:count": {}, "f:reason": {}}));
}

#[test]
fn managers_can_be_reset() {
    let types = built_in("Deployment");
    let old = update(None, deployment(), &by("a"), &types);
    for sent in [json!([]), json!([{}])] {
        let mut new = old.clone();
        new["metadata"]["managedFields"] = sent;
        let object = update(Some(&old), new, &by("b"), &types);
        assert_eq!(object["metadata"].get("managedFields"), None);
    }
    let mut without = old.clone();
    without["metadata"].as_object_mut().unwrap().remove("managedFields");
    assert_eq!(owners(&update(Some(&old), without, &by("b"), &types)), owners(&old));
}

#[test]
fn only_so_many_updaters_are_kept() {
    let types = built_in("ConfigMap");
    let mut object = json!({"metadata": {"name": "x"}, "data": {}});
    object = update(None, object, &write("m00", "", "v1"), &types);
    object["metadata"]["uid"] = json!("1");
    for i in 0..14 {
        let mut new = object.clone();
        new["data"][format!("k{i}")] = json!("v");
        object = update(Some(&object), new, &write(&format!("m{i:02}"), "", "v1"), &types);
    }
    let owners = owners(&object);
    assert_eq!(owners.as_object().unwrap().len(), 10);
    let ancient: Vec<&String> = owners["ancient-changes Update"]["f:data"].as_object().unwrap().keys().collect();
    assert_eq!(ancient, [".", "f:k0", "f:k1", "f:k2", "f:k3", "f:k4"]);
}

fn config(fields: Value) -> Value {
    let mut config =
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "x", "namespace": "d"}});
    config["spec"] = fields;
    config
}

#[test]
fn applying_creates_and_is_idempotent() {
    let types = built_in("Deployment");
    let config = config(json!({"replicas": 3, "template": {"spec": {"containers": [{"name": "c", "image": "i"}]}}}));
    let created = apply(None, &config, false, &by("a"), &types).unwrap();
    assert_eq!(
        owners(&created),
        json!({"a Apply": {"f:spec": {"f:replicas": {}, "f:template": {"f:spec": {"f:containers": {
            "k:{\"name\":\"c\"}": {".": {}, "f:name": {}, "f:image": {}},
        }}}}}})
    );
    let later = Write { now: "2026-02-02T00:00:00Z", ..by("a") };
    assert_eq!(apply(Some(&created), &config, false, &later, &types).unwrap(), created);
}

#[test]
fn conflicts_name_owner_and_field() {
    let types = built_in("Deployment");
    let live = update(None, deployment(), &by("a"), &types);
    let one = config(json!({"replicas": 5}));
    let status = apply(Some(&live), &one, false, &by("b"), &types).unwrap_err().status();
    assert_eq!(status["message"], r#"Apply failed with 1 conflict: conflict with "a" using apps/v1: .spec.replicas"#);
    assert_eq!(
        status["details"],
        json!({"causes": [{
            "reason": "FieldManagerConflict", "message": "conflict with \"a\" using apps/v1", "field": ".spec.replicas",
        }]})
    );
    let two = config(json!({"replicas": 5, "template": {"spec": {"containers": [{"name": "c", "image": "i:2"}]}}}));
    let status = apply(Some(&live), &two, false, &by("b"), &types).unwrap_err().status();
    assert_eq!(
        status["message"],
        "Apply failed with 2 conflicts: conflicts with \"a\" using apps/v1:\n- .spec.replicas\n\
         - .spec.template.spec.containers[name=\"c\"].image"
    );
    let forced = apply(Some(&live), &two, true, &by("b"), &types).unwrap();
    assert_eq!(forced["spec"]["replicas"], 5);
    assert_eq!(owners(&forced)["a Update"]["f:spec"].get("f:replicas"), None);
    let same = apply(Some(&live), &config(json!({"replicas": 3})), false, &by("b"), &types).unwrap();
    assert_eq!(owners(&same)["b Apply"], json!({"f:spec": {"f:replicas": {}}}));
    assert_eq!(owners(&same)["a Update"]["f:spec"]["f:replicas"], json!({}));
}

#[test]
fn what_is_applied_no_longer_goes() {
    let types = built_in("Deployment");
    let first = config(json!({"paused": true, "replicas": 1, "template": {"metadata": {"annotations": {"k": "v"}},
        "spec": {"containers": [{"name": "c", "image": "i"}, {"name": "d", "image": "i"}]}}}));
    let live = apply(None, &first, false, &by("a"), &types).unwrap();
    let shared = apply(Some(&live), &config(json!({"replicas": 1})), false, &by("b"), &types).unwrap();
    let second = config(json!({"template": {"spec": {"containers": [{"name": "c", "image": "i"}]}}}));
    let object = apply(Some(&shared), &second, false, &by("a"), &types).unwrap();
    assert_eq!(
        object["spec"],
        json!({"replicas": 1, "template": {"spec": {"containers": [{"name": "c", "image": "i"}]}}})
    );
    let nothing = apply(Some(&object), &config(json!({})), false, &by("b"), &types).unwrap();
    assert_eq!(nothing["spec"].get("replicas"), None);
}

#[test]
fn items_keep_the_order_of_live_and_applied() {
    let types = built_in("Deployment");
    let names = |list: &[&str]| -> Value {
        let items: Vec<Value> = list.iter().map(|name| json!({"name": name})).collect();
        config(json!({"template": {"spec": {"containers": items}}}))
    };
    let cases: [(&[&str], &[&str], &[&str]); 4] = [
        (&["a", "b"], &["x", "b"], &["a", "x", "b"]),
        (&["s", "a", "t"], &["t", "s"], &["a", "t", "s"]),
        (&["a"], &["b"], &["a", "b"]),
        (&["a", "b"], &["a", "x"], &["a", "b", "x"]),
    ];
    for (live, applied, expected) in cases {
        let object = apply(Some(&names(live)), &names(applied), true, &by("m"), &types).unwrap();
        assert_eq!(object["spec"], names(expected)["spec"], "{live:?} {applied:?}");
    }
}

#[test]
fn keys_and_sets() {
    let types = built_in("Service");
    let service = |ports: Value, finalizers: Value| {
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x", "finalizers": finalizers},
            "spec": {"ports": ports, "selector": {"app": "x"}}})
    };
    let live =
        apply(None, &service(json!([{"port": 80}]), json!(["a"])), false, &write("a", "", "v1"), &types).unwrap();
    let config = service(json!([{"port": 80, "protocol": "TCP", "name": "n"}]), json!(["b"]));
    let object = apply(Some(&live), &config, false, &write("b", "", "v1"), &types).unwrap();
    assert_eq!(object["spec"]["ports"], json!([{"port": 80, "protocol": "TCP", "name": "n"}]));
    assert_eq!(object["metadata"]["finalizers"], json!(["a", "b"]));
    assert_eq!(
        owners(&object)["b Apply"],
        json!({
            "f:metadata": {"f:finalizers": {"v:\"b\"": {}}},
            "f:spec": {"f:selector": {}, "f:ports": {"k:{\"port\":80,\"protocol\":\"TCP\"}": {
                ".": {}, "f:port": {}, "f:protocol": {}, "f:name": {},
            }}},
        })
    );
    let repeated = service(json!([{"port": 80}, {"port": 80, "protocol": "TCP"}]), json!([]));
    let error = apply(None, &repeated, false, &write("b", "", "v1"), &types).unwrap_err();
    let told = r#"failed to create typed patch object (/x; /v1, Kind=Service): .spec.ports: duplicate entries for key [port=80,protocol="TCP"]"#;
    assert_eq!(error, ApplyError::Invalid(told.to_owned()));
}

#[test]
fn custom_resources_are_typed_by_their_schema() {
    let schema = Schema::parse(
        &json!({"type": "object", "properties": {
            "spec": {"type": "object", "properties": {
                "replicas": {"type": "integer"},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                "items": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
                    "items": {"type": "object", "required": ["name"],
                        "properties": {"name": {"type": "string"}, "v": {"type": "integer"}}}},
                "one": {"type": "object", "x-kubernetes-map-type": "atomic",
                    "properties": {"a": {"type": "string"}}},
            }},
            "status": {"type": "object", "properties": {"phase": {"type": "string"}}},
        }}),
        "schema",
    )
    .unwrap();
    let types = Types::custom(Some(&schema), true);
    let object = json!({"apiVersion": "g/v1", "kind": "K", "metadata": {"name": "x", "annotations": {"a": "b"}},
        "spec": {"replicas": 1, "free": {"x": {"y": [1]}}, "items": [{"name": "n", "v": 1}], "one": {"a": "1"}},
        "status": {"phase": "p"}});
    let items = json!({"k:{\"name\":\"n\"}": {".": {}, "f:name": {}, "f:v": {}}});
    let applied = apply(None, &object, false, &write("m", "", "g/v1"), &types).unwrap();
    assert_eq!(
        owners(&applied)["m Apply"],
        json!({"f:metadata": {"f:annotations": {"f:a": {}}}, "f:spec": {
            "f:replicas": {}, "f:free": {"f:x": {".": {}, "f:y": {}}}, "f:items": items, "f:one": {},
        }})
    );
    for (field, value, expected) in [
        ("unknown", json!(1), ".spec.unknown: field not declared in schema"),
        ("replicas", json!("x"), ".spec.replicas: expected numeric (int or float), got string"),
        (
            "items",
            json!([{"v": 1}]),
            ".spec.items: element 0: associative list with keys has an element that omits all \
            key fields [\"name\"] (and doesn't have default values for any key fields)",
        ),
        (
            "items",
            json!([{"name": 1}]),
            ".spec.items[name=1].name: expected string, got &value.valueUnstructured{Value:1}",
        ),
        ("one", json!([]), ".spec.one: expected map, got &{[]}"),
    ] {
        let mut misfit = object.clone();
        misfit["spec"][field] = value;
        let status = apply(None, &misfit, false, &write("m", "", "g/v1"), &types).unwrap_err().status();
        let expected = format!("failed to create typed patch object (/x; g/v1, Kind=K): {expected}");
        assert_eq!(status["message"], expected);
    }
    let created = update(None, object, &write("m", "", "g/v1"), &types);
    let mut items = items;
    items["."] = json!({});
    assert_eq!(
        owners(&created)["m Update"],
        json!({"f:metadata": {"f:annotations": {".": {}, "f:a": {}}}, "f:spec": {
            ".": {}, "f:replicas": {}, "f:free": {".": {}, "f:x": {".": {}, "f:y": {}}}, "f:items": items, "f:one": {},
        }})
    );
}

#[test]
fn client_side_apply_is_taken_over() {
    let types = built_in("ConfigMap");
    let config =
        |value: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "data": {"k": value}});
    let mut live = config("1");
    live["metadata"]["annotations"] =
        json!({"kubectl.kubernetes.io/last-applied-configuration": config("1").to_string()});
    let live = update(None, live, &write("kubectl-client-side-apply", "", "v1"), &types);
    assert!(apply(Some(&live), &config("2"), false, &write("other", "", "v1"), &types).is_err());
    let object = apply(Some(&live), &config("2"), false, &write("kubectl", "", "v1"), &types).unwrap();
    assert_eq!(owners(&object)["kubectl Apply"], json!({"f:data": {"f:k": {}}}));
}

#[test]
fn objects_nobody_tracked_belong_to_the_past() {
    let types = built_in("ConfigMap");
    let live =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "uid": "1"}, "data": {"k": "1"}});
    let config = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "data": {"l": "2"}});
    assert_eq!(update(Some(&live), live.clone(), &write("m", "", "v1"), &types), live);
    let object = apply(Some(&live), &config, false, &write("m", "", "v1"), &types).unwrap();
    assert_eq!(
        owners(&object),
        json!({"m Apply": {"f:data": {"f:l": {}}}, "before-first-apply Update": {"f:data": {".": {}, "f:k": {}}}})
    );
}

#[test]
fn sets_read_and_write() {
    let text =
        json!({"f:a": {".": {}, "f:b": {}, "k:{\"p\":9}": {"f:c": {}}, "k:{\"p\":80}": {}}, "v:\"x\"": {}, "i:0": {}});
    let set = FieldSet::parse(&text);
    assert_eq!(set.to_json().to_string(), text.to_string());
    let field = |name: &str| PathElement::Field(name.to_owned());
    assert!(set.has(&[field("a")]));
    assert!(!set.has(&[field("a"), PathElement::parse("k:{\"p\":9}").unwrap()]));
    let less = set.clone().difference(&FieldSet::parse(&json!({"f:a": {}})));
    assert!(!less.has(&[field("a")]) && less.has(&[field("a"), field("b")]));
    assert!(set.without(&FieldSet::parse(&json!({"f:a": {}}))).paths().iter().all(|path| path[0] != field("a")));
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    fn labels() -> impl Strategy<Value = Value> {
        proptest::collection::btree_map("[a-c]", "[x-y]", 0..3).prop_map(|map| json!(map))
    }

    fn containers() -> impl Strategy<Value = Value> {
        let env = proptest::collection::btree_map("[e-g]", "[0-2]", 1..3).prop_map(|env| {
            env.into_iter().map(|(name, value)| json!({"name": name, "value": value})).collect::<Value>()
        });
        proptest::collection::btree_map("[p-r]", ("[0-1]", env), 1..3).prop_map(|containers| {
            containers
                .into_iter()
                .map(|(name, (image, env))| json!({"name": name, "image": image, "env": env}))
                .collect::<Value>()
        })
    }

    fn any_config() -> impl Strategy<Value = Value> {
        (labels(), containers(), proptest::option::of(0..3)).prop_map(|(labels, containers, replicas)| {
            let mut config =
                config(json!({"template": {"metadata": {"labels": labels}, "spec": {"containers": containers}}}));
            if let Some(replicas) = replicas {
                config["spec"]["replicas"] = json!(replicas);
            }
            config
        })
    }

    proptest! {
        #[test]
        fn applying_twice_changes_nothing(first in any_config(), second in any_config(), third in any_config()) {
            let types = built_in("Deployment");
            let live = update(None, first, &by("u"), &types);
            let live = apply(Some(&live), &second, true, &by("a"), &types).unwrap();
            let once = apply(Some(&live), &third, true, &by("a"), &types).unwrap();
            let twice = apply(Some(&once), &third, false, &by("a"), &types).unwrap();
            prop_assert_eq!(&once, &twice);
        }

        #[test]
        fn what_is_applied_is_there_and_owned(first in any_config(), second in any_config()) {
            let types = built_in("Deployment");
            let live = update(None, first, &by("u"), &types);
            let object = apply(Some(&live), &second, true, &by("a"), &types).unwrap();
            let again = update(Some(&object), object.clone(), &by("z"), &types);
            prop_assert_eq!(&again, &object);
            // Applying what is there already never conflicts.
            prop_assert!(apply(Some(&object), &second, false, &by("b"), &types).is_ok());
        }

        #[test]
        fn every_update_entry_is_what_a_rebuild_gives(first in any_config(), second in any_config()) {
            let types = built_in("Deployment");
            let mut old = update(None, first, &by("u"), &types);
            old["metadata"]["uid"] = json!("1");
            let mut new = second;
            new["metadata"]["uid"] = json!("1");
            let object = update(Some(&old), new.clone(), &by("v"), &types);
            let fields = |object: &Value| {
                let entries = object["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
                entries.iter().fold(FieldSet::default(), |all, entry| all.union(FieldSet::parse(&entry["fieldsV1"])))
            };
            // Together the managers own exactly what a creator of the new object would.
            let created = update(None, new, &by("w"), &types);
            prop_assert!(fields(&created).is_subset(&fields(&object)));
        }

        #[test]
        fn sets_behave_as_sets(left in any_config(), right in any_config()) {
            let types = built_in("Deployment");
            let set = |config: &Value| super::super::owned::field_set(config, types.root());
            let (left, right) = (set(&left), set(&right));
            prop_assert_eq!(FieldSet::parse(&left.to_json()), left.clone());
            prop_assert_eq!(left.clone().union(right.clone()), right.clone().union(left.clone()));
            prop_assert_eq!(left.clone().difference(&right).union(left.intersection(&right)), left.clone());
            prop_assert!(left.intersection(&right).is_subset(&right));
        }
    }
}

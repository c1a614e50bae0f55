use proptest::prelude::*;

use super::super::ingress::{canary, canary_patch, lay, subtract};
use super::*;

fn to(name: &str) -> Value {
    json!({ "service": { "name": name, "port": { "number": 80 } } })
}

fn leads(path: &str, name: &str) -> Value {
    json!({ "path": path, "pathType": "Prefix", "backend": to(name) })
}

fn ingress(class: &str) -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": { "name": "shop", "namespace": "default", "uid": "u1", "resourceVersion": "5" },
        "spec": {
            "ingressClassName": class,
            "defaultBackend": to("web"),
            "tls": [{ "hosts": ["a.example"], "secretName": "tls" }],
            "rules": [
                { "host": "a.example", "http": { "paths": [leads("/", "web"), leads("/api", "api")] } },
                { "host": "b.example" },
                { "host": "c.example", "http": { "paths": [leads("/api", "api")] } },
            ],
        },
    })
}

fn apply(object: &Value, patch: Option<Value>) -> Value {
    let mut object = object.clone();
    if let Some(patch) = patch {
        json_patch::patch(&mut object, &serde_json::from_value::<json_patch::Patch>(patch).unwrap()).unwrap();
    }
    object
}

#[test]
fn the_rest_goes_to_the_stable_fork_and_back() {
    let users = ingress("nginx");
    let patch = lay(&users, &backend(), Rest::Stable).unwrap();
    insta::assert_json_snapshot!(patch);
    let laid = apply(&users, patch);
    assert_eq!(lay(&laid, &backend(), Rest::Stable), Ok(None));
    assert_eq!(apply(&laid, subtract(&laid, &backend())), users);
    assert_eq!(apply(&laid, lay(&laid, &backend(), Rest::Origin).unwrap()), users);
    assert_eq!(subtract(&users, &backend()), None);
    assert!(lay(&users, &named("other"), Rest::Stable).is_err());
    assert!(canary(&users, &named("other"), &weight(10)).is_err());
}

#[test]
fn the_canary_ingress_has_the_paths_of_its_backend() {
    let users = ingress("nginx");
    let wanted = canary(&users, &backend(), &weight(10)).unwrap().unwrap();
    insta::assert_json_snapshot!(wanted);
    let laid = apply(&users, lay(&users, &backend(), Rest::Stable).unwrap());
    assert_eq!(canary(&laid, &backend(), &weight(10)).unwrap().unwrap(), wanted, "the same once the rest is laid");
    assert_eq!(canary(&users, &backend(), &Forwarding::default()), Ok(None));
}

#[test]
fn a_resource_is_a_backend_too() {
    let pool = Backend { group: "inference.networking.x-k8s.io".into(), kind: "InferencePool".into(), ..named("llm") };
    let mut users = ingress("nginx");
    let resource = |name: &str| json!({ "resource": { "apiGroup": pool.group, "kind": pool.kind, "name": name } });
    users["spec"]["defaultBackend"] = resource("llm");
    let laid = apply(&users, lay(&users, &pool, Rest::Stable).unwrap());
    assert_eq!(laid["spec"]["defaultBackend"], resource("llm-stable"));
    let wanted = canary(&laid, &pool, &weight(10)).unwrap().unwrap();
    assert_eq!(wanted["spec"]["defaultBackend"], resource("llm-canary"));
    assert_eq!(wanted["spec"].get("rules"), None);
    assert_eq!(apply(&laid, subtract(&laid, &pool)), users);
}

/// What is asked for, as a BackendRouting has it.
fn asked(share: Value, filters: Value) -> Forwarding {
    let share = match share {
        Value::Number(percent) => Share::Weight(percent.as_i64().unwrap().try_into().unwrap()),
        matches => Share::Matches(serde_json::from_value(matches).unwrap()),
    };
    let canary = Canary { share, filters: serde_json::from_value(filters).unwrap() };
    Forwarding { canary: Some(canary), ..Forwarding::default() }
}

fn modifier(body: &Value) -> Value {
    json!([{ "type": "RequestHeaderModifier", "requestHeaderModifier": body }])
}

#[test]
fn what_is_said_by_annotations() {
    let one = |name: &str, value: &str| json!({ "name": name, "value": value });
    let cases = [
        ("nginx", asked(json!(10), json!([]))),
        ("nginx", asked(json!([{ "headers": [one("user", "me")] }]), json!([]))),
        ("mse", asked(json!([{ "queryParams": [one("user", "me")] }]), json!([]))),
        (
            "mse",
            asked(
                json!(5),
                modifier(
                    &json!({ "set": [one("a", "1")], "add": [one("b", "2"), one("c", "3")], "remove": ["d", "e"] }),
                ),
            ),
        ),
    ];
    let mut told = String::new();
    for (class, forwarding) in cases {
        let wanted = canary(&ingress(class), &backend(), &forwarding).unwrap().unwrap();
        writeln!(told, "{class} {:#}", wanted["metadata"]["annotations"]).unwrap();
    }
    insta::assert_snapshot!(told);
}

#[test]
fn what_annotations_cannot_say_is_refused() {
    let one = json!({ "name": "a", "value": "b" });
    let regex = json!({ "name": "a", "value": "b.*", "type": "RegularExpression" });
    let headers = |value: Value| asked(json!([{ "headers": value }]), json!([]));
    let cases = [
        ("nginx", asked(json!([{ "path": { "value": "/" } }]), json!([]))),
        ("nginx", headers(json!([one, regex]))),
        ("nginx", headers(json!([regex]))),
        ("nginx", asked(json!([{ "headers": [one] }, { "headers": [one] }]), json!([]))),
        ("nginx", asked(json!([{ "queryParams": [one] }]), json!([]))),
        ("mse", asked(json!([{ "queryParams": [one, one] }]), json!([]))),
        ("mse", asked(json!([{ "headers": [one], "queryParams": [one] }]), json!([]))),
        ("mse", asked(json!([{ "queryParams": [regex] }]), json!([]))),
        ("nginx", asked(json!([]), json!([]))),
        ("nginx", asked(json!([{}]), json!([]))),
        ("nginx", asked(json!(1), modifier(&json!({ "remove": ["a"] })))),
        ("mse", asked(json!(1), json!([{ "type": "URLRewrite", "urlRewrite": { "hostname": "x" } }]))),
        ("nginx", Forwarding { mirror: Some(Mirror::Percent(1)), ..Forwarding::default() }),
        ("nginx", Forwarding { stable: Some(Stable::default()), ..Forwarding::default() }),
    ];
    let told = cases
        .iter()
        .map(|(class, forwarding)| canary(&ingress(class), &backend(), forwarding).unwrap_err().to_string());
    insta::assert_snapshot!(told.collect::<Vec<_>>().join("\n"));
}

#[test]
fn the_canary_ingress_is_kept_in_step() {
    let users = ingress("mse");
    let wanted = |forwarding: &Forwarding| canary(&users, &backend(), forwarding).unwrap().unwrap();
    let before = asked(json!(5), modifier(&json!({ "remove": ["a"] })));
    let mut there = wanted(&before);
    there["metadata"]["resourceVersion"] = json!("6");
    there["metadata"]["annotations"]["somebody"] = json!("else's");
    assert_eq!(canary_patch(&there, &wanted(&before), &backend()), Ok(None));
    there["spec"]["rules"][0]["host"] = json!("changed.example");
    let after = by_match(vec![header("user", "me")]);
    let changes = canary_patch(&there, &wanted(&after), &backend()).unwrap().unwrap();
    insta::assert_json_snapshot!(changes);
    json_patch::merge(&mut there, &changes);
    assert_eq!(canary_patch(&there, &wanted(&after), &backend()), Ok(None));
    assert_eq!(there["metadata"]["annotations"]["somebody"], "else's");
    let taken = canary_patch(&there, &wanted(&after), &named("api")).unwrap_err().to_string();
    insta::assert_snapshot!(taken);
}

proptest! {
    /// The Ingress less our parts is the user's latest, whatever two backends and the user do to it in whatever order.
    #[test]
    fn our_parts_can_be_taken_away_again(events in prop::collection::vec((0..5usize, 0..4usize), 0..20)) {
        let (mut users, mut there) = (ingress("nginx"), ingress("nginx"));
        let backends = [named("web"), named("api")];
        for (event, at) in events {
            let backend = &backends[at % 2];
            match event {
                0 | 1 => {
                    let rest = if event == 0 { Rest::Stable } else { Rest::Origin };
                    if let Ok(patch) = lay(&there, backend, rest) {
                        there = apply(&there, patch);
                    }
                }
                2 => there = apply(&there, subtract(&there, backend)),
                // The user's, of which the last may be a backend of ours.
                event => for object in [&mut there, &mut users] {
                    let rules = object["spec"]["rules"].as_array_mut().unwrap();
                    if event == 3 {
                        let new = leads(&format!("/{at}"), ["web", "other"][at % 2]);
                        rules.insert(at.min(rules.len()), json!({ "host": "new.example", "http": { "paths": [new] } }));
                    } else if rules.len() > 1 {
                        rules.remove(at % rules.len());
                    }
                },
            }
            let [web, api] = &backends;
            let less_web = apply(&there, subtract(&there, web));
            prop_assert_eq!(&apply(&less_web, subtract(&less_web, api)), &users);
        }
    }
}

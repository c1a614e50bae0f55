use std::fmt::Write as _;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn backend() -> Backend {
    Backend {
        kind: "Service".into(),
        namespace: "default".into(),
        origin: "web".into(),
        stable: "web-stable".into(),
        canary: "web-canary".into(),
        ..Backend::default()
    }
}

fn reference(name: &str, weight: i64) -> Value {
    json!({ "kind": "Service", "name": name, "port": 80, "weight": weight })
}

fn path(value: &str) -> Value {
    json!([{ "path": { "type": "PathPrefix", "value": value } }])
}

fn header(name: &str, value: &str) -> HttpRouteMatch {
    serde_json::from_value(json!({ "headers": [{ "name": name, "value": value }] })).unwrap()
}

fn weight(percent: i32) -> Forwarding {
    Forwarding { canary: Some(Canary { share: Share::Weight(percent), filters: Vec::new() }), mirror: None }
}

fn by_match(matches: Vec<HttpRouteMatch>) -> Forwarding {
    Forwarding { canary: Some(Canary { share: Share::Matches(matches), filters: Vec::new() }), mirror: None }
}

/// The rules in short, one a line: name, matches, where to with what weight, filters.
fn short(rules: &Value) -> String {
    let line = |rule: &Value| {
        let list = |key: &str| rule[key].as_array().cloned().unwrap_or_default();
        let matches = list("matches").into_iter().map(|one| {
            let path = one["path"]["value"].as_str().unwrap_or_default().to_owned();
            let headers = one["headers"].as_array().cloned().unwrap_or_default();
            let headers: Vec<_> = headers.iter().map(|h| format!("{}={}", h["name"], h["value"])).collect();
            format!("{path} {}", headers.join(" ")).trim().replace('"', "")
        });
        let refs =
            list("backendRefs").into_iter().map(|one| format!("{}:{}", one["name"], one["weight"]).replace('"', ""));
        let filters = list("filters").into_iter().map(|one| one["type"].as_str().unwrap_or_default().to_owned());
        let parts = [
            rule["name"].as_str().unwrap_or_default().to_owned(),
            matches.collect::<Vec<_>>().join(" | "),
            format!("→ {}", refs.collect::<Vec<_>>().join(" ")),
            filters.collect::<Vec<_>>().join(" "),
        ];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
    };
    rules.as_array().unwrap().iter().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn what_lies_over_a_route() {
    let users = json!([
        { "matches": path("/shop"), "backendRefs": [reference("web", 1)] },
        { "matches": path("/"), "backendRefs": [reference("web", 3), reference("old", 1)] },
        { "matches": path("/admin"), "backendRefs": [reference("admin", 1)] },
    ]);
    let mut told = String::new();
    for (what, forwarding) in [
        ("all to the stable fork", Forwarding::default()),
        ("a tenth", weight(10)),
        ("by header", by_match(vec![header("user", "me")])),
        ("half of them copied", Forwarding { mirror: Some(50), ..Forwarding::default() }),
    ] {
        let rules = with(&users, &backend(), &forwarding).unwrap();
        writeln!(told, "{what}\n{}\n", short(&rules)).unwrap();
        assert_eq!(without(&rules, &backend()), users, "{what}");
    }
    insta::assert_snapshot!(told);
}

#[test]
fn matches_of_both_have_to_fit() {
    let users = json!([
        { "matches": [{ "headers": [{ "name": "Tenant", "value": "a" }] }], "backendRefs": [reference("web", 1)] },
        { "matches": [{ "headers": [{ "name": "Tenant", "value": "b" }] }], "backendRefs": [reference("web", 1)] },
    ]);
    let rules = with(&users, &backend(), &by_match(vec![header("tenant", "b"), header("user", "me")])).unwrap();
    insta::assert_snapshot!(short(&rules), @r"
    Tenant=a → web-stable:1
    Tenant=b → web-stable:1
    0.canary.rollout.kusionstack.io Tenant=a user=me → web-canary:1
    1.canary.rollout.kusionstack.io Tenant=b | Tenant=b user=me → web-canary:1
    ");
    let nobody = with(&json!([users[0]]), &backend(), &by_match(vec![header("tenant", "b")]));
    assert_eq!(nobody, Err(Refusal::NothingMatches));
}

#[test]
fn filters_of_both_apply() {
    let filters = |value: Value| -> Vec<HttpRouteFilter> { serde_json::from_value(value).unwrap() };
    let modifier = |set: Value| json!({ "type": "RequestHeaderModifier", "requestHeaderModifier": { "set": set } });
    let users = json!([{
        "filters": [modifier(json!([{ "name": "A", "value": "1" }, { "name": "B", "value": "1" }]))],
        "backendRefs": [reference("web", 1)],
    }]);
    let ours = filters(json!([modifier(json!([{ "name": "b", "value": "2" }]))]));
    let forwarding = Forwarding {
        canary: Some(Canary { share: Share::Matches(vec![header("user", "me")]), filters: ours }),
        mirror: None,
    };
    let rules = with(&users, &backend(), &forwarding).unwrap();
    let set = json!([{ "name": "A", "value": "1" }, { "name": "b", "value": "2" }]);
    assert_eq!(rules[1]["filters"], json!([modifier(set)]));
    let redirect = json!({ "type": "RequestRedirect", "requestRedirect": { "hostname": "new.example" } });
    let forwarding = Forwarding {
        canary: Some(Canary { share: Share::Matches(vec![header("user", "me")]), filters: filters(json!([redirect])) }),
        mirror: None,
    };
    let rules = with(&users, &backend(), &forwarding).unwrap();
    assert_eq!(rules[1].get("backendRefs"), None, "what is redirected goes to no backend");
    assert_eq!(without(&rules, &backend()), users);
}

#[test]
fn what_cannot_be_written_is_refused_with_counts() {
    let many = |count: usize, rule: Value| Value::Array(vec![rule; count]);
    let rule = json!({ "matches": path("/"), "backendRefs": [reference("web", 1)] });
    let matches = |count: usize| (0..count).map(|n| header("user", &n.to_string())).collect::<Vec<_>>();
    let wide = json!({ "matches": many(13, path("/")[0].clone()), "backendRefs": [reference("web", 1)] });
    let cases = [
        (many(9, rule.clone()), by_match(matches(1)), "18 rules"),
        (many(1, wide.clone()), by_match(matches(5)), "65 matches"),
        (many(4, wide), by_match(matches(2)), "156 matches in all"),
        (json!([{ "backendRefs": many(9, reference("web", 1)) }]), weight(1), "18 backendRefs"),
        (json!([{ "backendRefs": [reference("web", 10_001)] }]), weight(1), "weight is 10001"),
        (json!([{ "backendRefs": [reference("other", 1)] }]), weight(1), "no rule of it refers to Service web"),
    ];
    for (rules, forwarding, expected) in cases {
        let refusal = with(&rules, &backend(), &forwarding).unwrap_err().to_string();
        assert!(refusal.contains(expected), "{refusal}");
    }
}

#[test]
fn another_namespaces_backend_of_the_name_is_left_alone() {
    let mut elsewhere = reference("web", 1);
    elsewhere["namespace"] = json!("elsewhere");
    let users = json!([{ "backendRefs": [elsewhere, reference("web", 1)] }]);
    let rules = with(&users, &backend(), &weight(20)).unwrap();
    assert_eq!(short(&rules), "→ web:100 web-stable:80 web-canary:20");
}

/// What happens to a route.
#[derive(Clone, Debug)]
enum Event {
    /// We lay our part over it, or another one, or take it away.
    Ours(Option<Forwarding>),
    /// The user makes a rule of the user's own, before the rule of that number.
    AddRule(usize, Value),
    RemoveRule(usize),
    SetMatches(usize, Value),
    AddReference(usize, i64),
    /// Somebody applies the whole of the user's manifest again.
    Apply,
}

fn rule() -> impl Strategy<Value = Value> {
    let references = prop::collection::vec((any::<bool>(), 0..5i64), 1..4);
    let named = |(is_backend, weight): (bool, i64)| reference(if is_backend { "web" } else { "other" }, weight);
    (references, 0..3usize).prop_map(move |(references, at)| {
        let references: Vec<_> = references.into_iter().map(named).collect();
        json!({ "matches": path(["/", "/a", "/b"][at]), "backendRefs": references })
    })
}

fn forwarding() -> impl Strategy<Value = Forwarding> {
    prop_oneof![
        Just(Forwarding::default()),
        (0..=100i32).prop_map(weight),
        Just(by_match(vec![header("user", "me")])),
        (1..=100i32).prop_map(|percent| Forwarding { mirror: Some(percent), ..Forwarding::default() }),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => prop::option::of(forwarding()).prop_map(Event::Ours),
        1 => (0..8usize, rule()).prop_map(|(at, rule)| Event::AddRule(at, rule)),
        1 => (0..8usize).prop_map(Event::RemoveRule),
        1 => (0..8usize, 0..3usize).prop_map(|(at, to)| Event::SetMatches(at, path(["/x", "/y", "/"][to]))),
        1 => (0..8usize, 1..99i64).prop_map(|(at, weight)| Event::AddReference(at, weight)),
        1 => Just(Event::Apply),
    ]
}

/// The user's edit, which is the same whether our part lies over the route or not: rules of ours come last.
fn edit(rules: &mut Value, users: usize, event: &Event) {
    let rules = rules.as_array_mut().unwrap();
    match event {
        Event::AddRule(at, rule) => rules.insert((*at).min(users), rule.clone()),
        Event::RemoveRule(at) if users > 1 => drop(rules.remove(at % users)),
        Event::SetMatches(at, matches) if users > 0 => rules[at % users]["matches"] = matches.clone(),
        Event::AddReference(at, weight) if users > 0 => {
            rules[at % users]["backendRefs"].as_array_mut().unwrap().push(reference("more", *weight));
        }
        _ => {}
    }
}

/// Of what a rule sends to the backend, the share that the canary fork gets; and of all it sends, the backend's share.
fn shares(rule: &Value) -> (f64, f64) {
    let sum = |is: &dyn Fn(&str) -> bool| -> f64 {
        let refs = rule["backendRefs"].as_array().unwrap().iter();
        refs.filter(|r| is(r["name"].as_str().unwrap())).map(|r| r["weight"].as_f64().unwrap()).sum()
    };
    let (all, canary) = (sum(&|_| true), sum(&|name| name == "web-canary"));
    let ours = sum(&|name| name.starts_with("web"));
    (if ours == 0.0 { 0.0 } else { canary / ours }, if all == 0.0 { 0.0 } else { ours / all })
}

proptest! {
    /// The route less our part is the user's latest route, whatever we and the user did in whatever order; and no backend's
    /// share of a rule is another for our part.
    #[test]
    fn our_part_can_be_taken_away_again(first in rule(), events in prop::collection::vec(event(), 0..30)) {
        let (mut users, mut route) = (json!([first.clone()]), json!([first]));
        for event in events {
            match &event {
                Event::Ours(forwarding) => {
                    let now = without(&route, &backend());
                    route = match forwarding {
                        None => now,
                        // What is refused is not written.
                        Some(forwarding) => match with(&now, &backend(), forwarding) {
                            Ok(rules) => rules,
                            Err(_) => continue,
                        },
                    };
                    let share = match forwarding.as_ref().and_then(|it| it.canary.as_ref()).map(|it| &it.share) {
                        Some(Share::Weight(percent)) => f64::from(*percent) / 100.0,
                        _ => 0.0,
                    };
                    for (rule, before) in route.as_array().unwrap().iter().zip(users.as_array().unwrap()) {
                        let ((canary, ours), (_, wanted)) = (shares(rule), shares(before));
                        prop_assert!((ours - wanted).abs() < 1e-9, "{rule:#} {before:#}");
                        prop_assert!(ours == 0.0 || (canary - share).abs() < 1e-9, "{rule:#}");
                    }
                }
                Event::Apply => route = users.clone(),
                event => {
                    let count = users.as_array().unwrap().len();
                    edit(&mut route, count, event);
                    edit(&mut users, count, event);
                }
            }
            prop_assert_eq!(&without(&route, &backend()), &users, "{:#}", route);
        }
    }
}

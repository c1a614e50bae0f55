mod clones;
mod ingress;
mod precedence;
mod properties;

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::*;

fn backend() -> Backend {
    named("web")
}

fn named(name: &str) -> Backend {
    Backend {
        kind: "Service".into(),
        namespace: "default".into(),
        origin: name.into(),
        stable: format!("{name}-stable"),
        canary: format!("{name}-canary"),
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
    Forwarding { canary: Some(Canary { share: Share::Weight(percent), filters: Vec::new() }), ..Forwarding::default() }
}

fn by_match(matches: Vec<HttpRouteMatch>) -> Forwarding {
    Forwarding { canary: Some(Canary { share: Share::Matches(matches), filters: Vec::new() }), ..Forwarding::default() }
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
        ("half of them copied", Forwarding { mirror: Some(Mirror::Percent(50)), ..Forwarding::default() }),
        ("a tenth, and the rest where it was", Forwarding { rest: Rest::Origin, ..weight(10) }),
        (
            "by header, and others to the stable fork, and the rest where it was",
            Forwarding {
                rest: Rest::Origin,
                stable: Some(Stable { matches: vec![header("user", "you")], filters: Vec::new() }),
                ..by_match(vec![header("user", "me")])
            },
        ),
    ] {
        let rules = with(Kind::Http, &users, &backend(), &forwarding).unwrap();
        writeln!(told, "{what}\n{}\n", short(&rules)).unwrap();
        assert_eq!(without(&rules, &backend()), users, "{what}");
        assert!(is_laid(Kind::Http, &rules, &backend(), &forwarding), "{what}");
    }
    insta::assert_snapshot!(told);
}

#[test]
fn matches_of_both_have_to_fit() {
    let users = json!([
        { "matches": [{ "headers": [{ "name": "Tenant", "value": "a" }] }], "backendRefs": [reference("web", 1)] },
        { "matches": [{ "headers": [{ "name": "Tenant", "value": "b" }] }], "backendRefs": [reference("web", 1)] },
    ]);
    let rules =
        with(Kind::Http, &users, &backend(), &by_match(vec![header("tenant", "b"), header("user", "me")])).unwrap();
    insta::assert_snapshot!(short(&rules), @r"
    0.web-canary.canary.rollout.kusionstack.io Tenant=a user=me → web-canary:1
    Tenant=a → web-stable:1
    1.web-canary.canary.rollout.kusionstack.io Tenant=b | Tenant=b user=me → web-canary:1
    Tenant=b → web-stable:1
    ");
    let nobody = with(Kind::Http, &json!([users[0]]), &backend(), &by_match(vec![header("tenant", "b")]));
    assert_eq!(nobody, Err(Refusal::NothingMatches { of: "canary" }));
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
        ..Forwarding::default()
    };
    let rules = with(Kind::Http, &users, &backend(), &forwarding).unwrap();
    let set = json!([{ "name": "A", "value": "1" }, { "name": "b", "value": "2" }]);
    assert_eq!(rules[0]["filters"], json!([modifier(set)]));
    let redirect = json!({ "type": "RequestRedirect", "requestRedirect": { "hostname": "new.example" } });
    let forwarding = Forwarding {
        canary: Some(Canary { share: Share::Matches(vec![header("user", "me")]), filters: filters(json!([redirect])) }),
        ..Forwarding::default()
    };
    let rules = with(Kind::Http, &users, &backend(), &forwarding).unwrap();
    assert_eq!(rules[0].get("backendRefs"), None, "what is redirected goes to no backend");
    assert_eq!(without(&rules, &backend()), users);
}

#[test]
fn what_cannot_be_written_is_refused_with_counts() {
    let many = |count: usize, rule: Value| Value::Array(vec![rule; count]);
    let rule = json!({ "matches": path("/"), "backendRefs": [reference("web", 1)] });
    let matches = |count: usize| (0..count).map(|n| header("user", &n.to_string())).collect::<Vec<_>>();
    let wide = json!({ "matches": many(13, path("/")[0].clone()), "backendRefs": [reference("web", 1)] });
    let cases = [
        (many(9, rule.clone()), by_match(matches(1)), "rules would have 18 entries with ours, and may have 16"),
        (many(1, wide.clone()), by_match(matches(5)), "rules[0].matches would have 65"),
        (many(4, wide), by_match(matches(2)), "rules[].matches would have 156"),
        (json!([{ "backendRefs": many(9, reference("web", 1)) }]), weight(1), "rules[0].backendRefs would have 18"),
        (json!([{ "backendRefs": [reference("web", 10_001)] }]), weight(1), "weight is 10001"),
        (json!([{ "backendRefs": [reference("other", 1)] }]), weight(1), "no rule of it refers to Service web"),
    ];
    for (rules, forwarding, expected) in cases {
        let refusal = with(Kind::Http, &rules, &backend(), &forwarding).unwrap_err().to_string();
        assert!(refusal.contains(expected), "{refusal}");
    }
}

#[test]
fn another_namespaces_backend_of_the_name_is_left_alone() {
    let mut elsewhere = reference("web", 1);
    elsewhere["namespace"] = json!("elsewhere");
    let users = json!([{ "backendRefs": [elsewhere, reference("web", 1)] }]);
    let rules = with(Kind::Http, &users, &backend(), &weight(20)).unwrap();
    assert_eq!(short(&rules), "→ web:100 web-stable:80 web-canary:20");
}

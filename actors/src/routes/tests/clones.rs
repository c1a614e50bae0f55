//! How rules of ours are made and known again.

use super::*;

fn filters(value: Value) -> Vec<HttpRouteFilter> {
    serde_json::from_value(value).unwrap()
}

fn rewrite() -> Value {
    json!({ "type": "URLRewrite",
        "urlRewrite": { "path": { "type": "ReplacePrefixMatch", "replacePrefixMatch": "/" } } })
}

fn redirect() -> Value {
    json!({ "type": "RequestRedirect", "requestRedirect": { "hostname": "new.example" } })
}

#[test]
fn redirects_of_two_backends_are_told_apart() {
    let users = json!([
        { "matches": path("/web"), "backendRefs": [reference("web", 1)] },
        { "matches": path("/api"), "backendRefs": [reference("api", 1)] },
    ]);
    let share = Share::Matches(vec![header("user", "me")]);
    let redirected =
        Forwarding { canary: Some(Canary { share, filters: filters(json!([redirect()])) }), ..Forwarding::default() };
    let (web, api) = (named("web"), named("api"));
    let one = with(Kind::Http, &users, &web, &redirected).unwrap();
    let both = with(Kind::Http, &one, &api, &redirected).unwrap();
    assert!(is_laid(Kind::Http, &both, &web, &redirected));
    assert_eq!(without(&both, &api), one);
    assert_eq!(without(&without(&both, &web), &api), users);
    let other_way = with(Kind::Http, &with(Kind::Http, &users, &api, &redirected).unwrap(), &web, &redirected).unwrap();
    assert_eq!(both, other_way, "whichever comes first");
}

#[test]
fn a_rule_of_an_earlier_release_is_known_by_what_it_refers_to() {
    let mut rules = with(
        Kind::Http,
        &json!([{ "matches": path("/"), "backendRefs": [reference("web", 1)] }]),
        &backend(),
        &by_match(vec![header("user", "me")]),
    )
    .unwrap();
    let users = without(&rules, &backend());
    rules[0]["name"] = json!("0.canary.rollout.kusionstack.io");
    assert_eq!(without(&rules, &named("api")), rules, "of another backend");
    assert_eq!(without(&rules, &backend()), users);
    rules[0].as_object_mut().unwrap().remove("backendRefs");
    assert_eq!(without(&rules, &backend()), users, "a redirect");
}

#[test]
fn a_rule_is_known_without_its_name() {
    // As an API server has it that knows no names of rules.
    let users = json!([{ "matches": path("/"), "backendRefs": [reference("web", 2), reference("other", 1)] }]);
    let forwarding = by_match(vec![header("user", "me")]);
    let mut rules = with(Kind::Http, &users, &backend(), &forwarding).unwrap();
    rules[0].as_object_mut().unwrap().remove("name");
    assert!(is_laid(Kind::Http, &rules, &backend(), &forwarding));
    assert_eq!(without(&rules, &backend()), users);
    // But not where a rule was divided, and somebody took the other part away: that rule is the user's.
    let twice = json!([users[0], users[0]]);
    let mut rules = with(Kind::Http, &twice, &backend(), &weight(10)).unwrap();
    rules[1]["backendRefs"].as_array_mut().unwrap().remove(0);
    assert_eq!(short(&without(&rules, &backend())), "/ → web:2 other:1\n/ → other:1");
}

#[test]
fn of_rules_that_match_equally_well_ours_is_the_first() {
    let users = json!([
        { "matches": path("/a"), "backendRefs": [reference("other", 1)] },
        { "matches": path("/a"), "backendRefs": [reference("web", 1)] },
    ]);
    let same = serde_json::from_value(path("/a")[0].clone()).unwrap();
    let rules = with(Kind::Http, &users, &backend(), &by_match(vec![same])).unwrap();
    insta::assert_snapshot!(short(&rules), @r"
    /a → other:1
    0.web-canary.canary.rollout.kusionstack.io /a → web-canary:1
    /a → web-stable:1
    ");
    // With a header it would be taken before the other, whose requests never went to the backend.
    let refusal = with(Kind::Http, &users, &backend(), &by_match(vec![header("user", "me")])).unwrap_err();
    assert_eq!(refusal, Refusal::Overtakes { rule: 0, by: 1, name: "web".into() });
}

#[test]
fn a_prefix_is_replaced_in_a_rule_for_each_match() {
    let users = json!([{ "matches": path("/shop"), "filters": [rewrite()], "backendRefs": [reference("web", 1)] }]);
    let rules =
        with(Kind::Http, &users, &backend(), &by_match(vec![header("user", "me"), header("user", "you")])).unwrap();
    insta::assert_snapshot!(short(&rules), @r"
    0.web-canary.canary.rollout.kusionstack.io /shop user=me → web-canary:1 URLRewrite
    1.web-canary.canary.rollout.kusionstack.io /shop user=you → web-canary:1 URLRewrite
    /shop → web-stable:1 URLRewrite
    ");
    assert_eq!(without(&rules, &backend()), users);
}

#[test]
fn names_are_no_longer_than_may_be() {
    let long = Backend {
        kind: "InferencePool".into(),
        group: "inference.networking.x-k8s.io".into(),
        canary: format!("{}-canary", "l".repeat(246)),
        ..named("llm")
    };
    let short = Backend { canary: "llm-canary".into(), ..long.clone() };
    let reference = json!({ "group": long.group, "kind": long.kind, "name": "llm" });
    for (backend, expected) in
        [(&short, Some("0.llm-canary.inferencepool.canary.rollout.kusionstack.io")), (&long, None)]
    {
        let users = json!([{ "backendRefs": [reference] }]);
        let rules = with(Kind::Http, &users, backend, &by_match(vec![header("user", "me")])).unwrap();
        let name = rules[0]["name"].as_str().unwrap();
        assert!(name.len() <= 253);
        assert!(expected.is_none_or(|expected| name == expected), "{name}");
        assert_eq!(without(&rules, backend), users);
    }
}

#[test]
fn weights_that_somebody_changed_are_found_again() {
    let users = json!([{ "backendRefs": [reference("web", 3), reference("other", 1)] }]);
    for (stable, canary) in [(300, 0), (0, 300), (100, 0), (250, 71), (1, 1)] {
        let mut rules = with(Kind::Http, &users, &backend(), &weight(10)).unwrap();
        rules[0]["backendRefs"][0]["weight"] = json!(stable);
        rules[0]["backendRefs"][1]["weight"] = json!(canary);
        assert!(!is_laid(Kind::Http, &rules, &backend(), &weight(10)));
        let found = without(&rules, &backend());
        assert_eq!(found[0]["backendRefs"][0]["weight"], json!(i64::max(1, (stable + canary + 50) / 100)));
        assert_eq!(found[0]["backendRefs"][1], users[0]["backendRefs"][1]);
    }
}

#[test]
fn a_grpc_route_is_matched_by_method_and_headers() {
    let users = json!([{
        "matches": [{ "method": { "service": "shop.Cart" } }, { "method": { "method": "Ping" } }],
        "backendRefs": [reference("web", 1)],
    }]);
    let forwarding = by_match(vec![header("user", "me")]);
    let rules = with(Kind::Grpc, &users, &backend(), &forwarding).unwrap();
    let ours = json!([{ "name": "user", "value": "me" }]);
    assert_eq!(
        rules[0]["matches"],
        json!([
            { "method": { "service": "shop.Cart" }, "headers": ours },
            { "method": { "method": "Ping" }, "headers": ours },
        ])
    );
    assert!(is_laid(Kind::Grpc, &rules, &backend(), &forwarding));
    assert_eq!(without(&rules, &backend()), users);
}

#[test]
fn what_a_route_has_no_word_for_is_refused() {
    let matches = |value: Value| vec![serde_json::from_value::<HttpRouteMatch>(value).unwrap()];
    let canary = |share: Share, added: Value| Forwarding {
        canary: Some(Canary { share, filters: filters(added) }),
        ..Forwarding::default()
    };
    let filtered = |added: Value| canary(Share::Weight(1), json!([added]));
    let stable =
        |matches| Forwarding { stable: Some(Stable { matches, filters: Vec::new() }), ..Forwarding::default() };
    let half = Fraction { numerator: 3, denominator: Some(2) };
    let mirror = |mirror| Forwarding { mirror: Some(mirror), ..Forwarding::default() };
    let (http, grpc) = (Kind::Http, Kind::Grpc);
    let cases = [
        (grpc, by_match(matches(json!({ "path": { "value": "/x" } })))),
        (grpc, stable(matches(json!({ "queryParams": [{ "name": "a", "value": "b" }] })))),
        (grpc, filtered(redirect())),
        (grpc, filtered(rewrite())),
        (http, by_match(matches(json!({ "path": { "value": "x" } })))),
        (http, by_match(matches(json!({ "path": { "value": "/x/%2fy" } })))),
        (http, by_match(matches(json!({ "path": { "value": "/x/.." } })))),
        (http, by_match(matches(json!({ "path": { "value": "/100%" } })))),
        (http, by_match(Vec::new())),
        (http, stable(Vec::new())),
        (http, filtered(json!({ "type": "RequestRedirect" }))),
        (http, filtered(json!({ "type": "RequestMirror", "requestMirror": { "backendRef": { "name": "x" } } }))),
        (http, filtered(json!({ "type": "URLRewrite", "urlRewrite": { "path": { "type": "ReplaceFullPath" } } }))),
        (http, canary(Share::Weight(1), json!([redirect(), rewrite()]))),
        (http, filtered(rewrite())),
        (http, mirror(Mirror::Percent(101))),
        (http, mirror(Mirror::Fraction(half))),
    ];
    let users = json!([{
        "matches": [path("/a")[0], path("/b")[0]],
        "backendRefs": [reference("web", 1)],
    }]);
    let told = cases.iter().map(|(kind, asked)| with(*kind, &users, &backend(), asked).unwrap_err().to_string());
    insta::assert_snapshot!(told.collect::<Vec<_>>().join("\n"));
}

#[test]
fn two_backends_of_one_rule_are_not_both_matched() {
    let users = json!([{ "backendRefs": [reference("web", 1), reference("api", 1)] }]);
    let (web, api) = (named("web"), named("api"));
    let one = with(Kind::Http, &users, &web, &by_match(vec![header("user", "me")])).unwrap();
    let refusal = with(Kind::Http, &one, &api, &by_match(vec![header("user", "me")])).unwrap_err();
    assert_eq!(refusal, Refusal::Shared { name: "api".into() });
    let both = with(Kind::Http, &one, &api, &weight(20)).unwrap();
    insta::assert_snapshot!(short(&both), @r"
    0.web-canary.canary.rollout.kusionstack.io user=me → web-canary:100 api-stable:80 api-canary:20
    → web-stable:100 api-stable:80 api-canary:20
    ");
    assert_eq!(without(&without(&both, &web), &api), users);
}

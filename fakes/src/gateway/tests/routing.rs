//! What is in force as a value: precedence, weights, filters, errors.

use super::*;

fn get(path: &str) -> Request {
    Request::get("shop.example", path)
}

fn rule(matched: &Value, to: &str) -> Value {
    json!({ "matches": [matched], "backendRefs": [reference(to, 1)] })
}

fn path(kind: &str, value: &str) -> Value {
    json!({ "path": { "type": kind, "value": value } })
}

fn header(name: &str, value: &str) -> Value {
    json!([{ "name": name, "value": value }])
}

const SERVICES: [(&str, usize); 4] = [("a", 1), ("b", 1), ("c", 1), ("d", 1)];

#[test]
fn the_most_specific_match_takes_a_request() {
    let with = |mut matched: Value, key: &str, value: Value| {
        matched[key] = value;
        matched
    };
    let root = || path("PathPrefix", "/");
    let two = json!([{ "name": "a", "value": "1" }, { "name": "b", "value": "1" }]);
    // Each rule wins over those below it.
    for (what, winner, loser) in [
        ("exact path", path("Exact", "/x/y"), with(path("PathPrefix", "/x/y"), "headers", two.clone())),
        ("longest prefix", path("PathPrefix", "/x/y"), with(path("PathPrefix", "/x"), "method", json!("GET"))),
        ("method", with(root(), "method", json!("GET")), with(root(), "headers", two.clone())),
        ("headers", with(root(), "headers", two.clone()), with(root(), "headers", header("a", "1"))),
        ("parameters", with(root(), "queryParams", header("q", "1")), root()),
        ("headers before parameters", with(root(), "headers", header("A", "1")), with(root(), "queryParams", two)),
    ] {
        let request = get("/x/y").header("a", "1").header("B", "1").query("q", "1").query("a", "1").query("b", "1");
        for rules in [json!([rule(&winner, "a"), rule(&loser, "b")]), json!([rule(&loser, "b"), rule(&winner, "a")])] {
            let found = taken(&configuration(&[route("HTTPRoute", "r", &rules)], &SERVICES), &request);
            assert_eq!(found, "a", "{what}");
        }
    }
}

#[test]
fn of_equals_the_oldest_then_the_first_takes_a_request() {
    let all = |name: &str, to: &str| route("HTTPRoute", name, &json!([rule(&path("PathPrefix", "/"), to)]));
    let mut old = all("z", "c");
    old["metadata"]["creationTimestamp"] = "2025-01-01T00:00:00Z".into();
    let found = |routes: &[Value]| taken(&configuration(routes, &SERVICES), &get("/"));
    assert_eq!(found(&[all("b", "b"), all("a", "a"), old]), "c", "the oldest");
    assert_eq!(found(&[all("b", "b"), all("a", "a")]), "a", "by name");
    let rules = json!([rule(&path("PathPrefix", "/"), "d"), rule(&path("PathPrefix", "/"), "a")]);
    assert_eq!(found(&[route("HTTPRoute", "a", &rules)]), "d", "the first rule");
    let mut named = all("z", "c");
    named["spec"]["hostnames"] = json!(["*.example"]);
    let mut exact = all("y", "d");
    exact["spec"]["hostnames"] = json!(["shop.example"]);
    assert_eq!(found(&[all("a", "a"), named.clone()]), "c", "a host before none");
    assert_eq!(found(&[named, exact]), "d", "a whole host before a wildcard");
}

#[test]
fn what_matches() {
    let regular = |value: &str| path("RegularExpression", value);
    let table = [
        (path("PathPrefix", "/abc"), get("/abc/d"), true),
        (path("PathPrefix", "/abc/"), get("/abc"), true),
        (path("PathPrefix", "/abc"), get("/abcd"), false),
        (path("Exact", "/abc"), get("/abc/"), false),
        (regular("/a.*d"), get("/abcd"), true),
        (regular("/a"), get("/abcd"), false),
        (regular("("), get("/abcd"), false),
        (json!({ "headers": header("User", "me") }), get("/").header("uSER", "me"), true),
        (json!({ "headers": header("User", "me") }), get("/").header("user", "you"), false),
        (json!({ "headers": header("User", "me") }), get("/"), false),
        (
            json!({ "headers": [{ "type": "RegularExpression", "name": "v", "value": "[12]" }] }),
            get("/").header("v", "2"),
            true,
        ),
        (json!({ "queryParams": header("Q", "1") }), get("/").query("q", "1"), false),
        (json!({ "method": "POST" }), get("/"), false),
        (json!({}), get("/anything"), true),
    ];
    for (matched, request, fits) in table {
        let configuration = configuration(&[route("HTTPRoute", "r", &json!([rule(&matched, "a")]))], &SERVICES);
        assert_eq!(taken(&configuration, &request) == "a", fits, "{matched} {request:?}");
    }
}

#[test]
fn errors_are_those_of_the_specification() {
    let of = |rule: Value| {
        answer(&configuration(&[route("HTTPRoute", "r", &json!([rule]))], &[("a", 1), ("empty", 0)]), &get("/")).status
    };
    let to = |reference: Value| of(json!({ "backendRefs": [reference] }));
    assert_eq!(to(reference("a", 1)), 200);
    assert_eq!(to(reference("empty", 1)), 503);
    assert_eq!(to(reference("missing", 1)), 500);
    assert_eq!(to(json!({ "name": "a", "port": 81 })), 500, "no such port");
    assert_eq!(to(json!({ "name": "a", "port": 80, "kind": "Bucket" })), 500);
    assert_eq!(to(json!({ "name": "a", "port": 80, "namespace": "other" })), 500, "nothing grants that");
    assert_eq!(of(json!({})), 500, "no backend at all");
    assert_eq!(to(reference("a", 0)), 500, "all weights are zero");
    assert_eq!(of(rule(&path("Exact", "/x"), "a")), 404);
    let unknown = json!({ "filters": [{ "type": "ExtensionRef" }], "backendRefs": [reference("a", 1)] });
    assert_eq!(of(unknown), 500, "what is not known must not be passed by");
}

#[test]
fn weights_divide_requests() {
    let rules = json!([{ "backendRefs": [reference("a", 90), reference("b", 10), reference("c", 0)] }]);
    let configuration = configuration(&[route("HTTPRoute", "r", &rules)], &[("a", 3), ("b", 1), ("c", 1)]);
    let shares = configuration.shares_for(&get("/")).unwrap();
    assert_eq!(configuration.shares(), std::slice::from_ref(&shares));
    let told: Vec<_> =
        shares.backends.iter().map(|it| (it.share, it.pods.iter().map(|(_, share)| *share).collect())).collect();
    let expected: Vec<(u64, Vec<u64>)> =
        vec![(900_000_000, vec![300_000_000; 3]), (100_000_000, vec![100_000_000]), (0, vec![0])];
    assert_eq!(told, expected);

    let mut dice = Dice::new(7, 1);
    let mut counts = BTreeMap::new();
    for _ in 0..10_000 {
        let pod = configuration.route(&get("/"), &mut dice).pod.unwrap();
        *counts.entry(pod.pod.clone()).or_insert(0) += 1;
    }
    assert_eq!(counts.keys().collect::<Vec<_>>(), ["a-0", "a-1", "a-2", "b-0"]);
    assert!((900..1100).contains(&counts["b-0"]), "{counts:?}");
    assert!((2800..3200).contains(&counts["a-1"]), "{counts:?}");
}

#[test]
fn a_share_to_nowhere_is_told() {
    let rules = json!([{ "backendRefs": [reference("a", 1), reference("empty", 1), reference("gone", 2)] }]);
    let configuration = configuration(&[route("HTTPRoute", "r", &rules)], &[("a", 1), ("empty", 0)]);
    let shares = configuration.shares().remove(0);
    let told: Vec<_> = shares.backends.iter().map(|it| (it.state, it.share / 1_000_000)).collect();
    assert_eq!(told, [(State::Serving, 250), (State::Empty, 250), (State::Missing, 500)]);
}

#[test]
fn filters_change_what_a_backend_gets() {
    let forwarded = |matched: Value, filters: Value, request: &Request| {
        let rules = json!([{ "matches": [matched], "filters": filters, "backendRefs": [reference("a", 1)] }]);
        answer(&configuration(&[route("HTTPRoute", "r", &rules)], &SERVICES), request)
    };
    let headers = json!([{ "type": "RequestHeaderModifier", "requestHeaderModifier": {
        "set": header("X", "new"), "add": header("Y", "2"), "remove": ["Z"],
    } }]);
    let request = get("/").header("x", "old").header("y", "1").header("z", "1");
    let expected = get("/").header("x", "new").header("y", "1,2");
    assert_eq!(forwarded(json!({}), headers, &request).forwarded, expected);

    for (replace, expected) in [
        (json!({ "type": "ReplacePrefixMatch", "replacePrefixMatch": "/new" }), "/new/x"),
        (json!({ "type": "ReplacePrefixMatch", "replacePrefixMatch": "/" }), "/x"),
        (json!({ "type": "ReplaceFullPath", "replaceFullPath": "/all" }), "/all"),
    ] {
        let rewrite = json!([{ "type": "URLRewrite", "urlRewrite": { "hostname": "in.example", "path": replace } }]);
        let found = forwarded(path("PathPrefix", "/old"), rewrite, &get("/old/x"));
        assert_eq!(found.forwarded, Request::get("in.example", expected));
        let redirect =
            json!([{ "type": "RequestRedirect", "requestRedirect": { "scheme": "https", "path": replace } }]);
        let found = forwarded(path("PathPrefix", "/old"), redirect, &get("/old/x"));
        assert_eq!((found.status, found.location), (302, Some(format!("https://shop.example{expected}"))));
        assert_eq!(found.backend, None);
    }
}

#[test]
fn copies_are_counted_apart() {
    let copies = |mirror: Value| {
        let filters = json!([{ "type": "RequestMirror", "requestMirror": mirror }]);
        let rules = json!([{ "filters": filters, "backendRefs": [reference("a", 1)] }]);
        let configuration = configuration(&[route("HTTPRoute", "r", &rules)], &[("a", 1), ("b", 1), ("empty", 0)]);
        let mut dice = Dice::new(3, 1);
        let answers = (0..1000).map(|_| configuration.route(&get("/"), &mut dice));
        answers
            .map(|answer| {
                assert_eq!((answer.status, answer.backend.unwrap().name), (200, "a".to_owned()));
                answer.mirrored.len()
            })
            .sum::<usize>()
    };
    let to = reference("b", 1);
    assert_eq!(copies(json!({ "backendRef": to })), 1000);
    assert_eq!(copies(json!({ "backendRef": to, "percent": 0 })), 0);
    assert!((250..350).contains(&copies(json!({ "backendRef": to, "percent": 30 }))));
    assert!(
        (450..550).contains(&copies(json!({ "backendRef": to, "fraction": { "numerator": 2, "denominator": 4 } })))
    );
    assert_eq!(copies(json!({ "backendRef": reference("empty", 1) })), 0, "a copy that nobody takes is no error");
}

#[test]
fn calls_are_taken_by_service_and_method() {
    let method = |value: Value| json!({ "method": value });
    let rules = json!([
        rule(&method(json!({ "method": "Get" })), "a"),
        rule(&method(json!({ "service": "shop.Cart" })), "b"),
        rule(&method(json!({ "service": "shop.Cart", "method": "Get" })), "c"),
        rule(&method(json!({ "type": "RegularExpression", "service": "shop\\..*", "method": "P.t" })), "d"),
    ]);
    let configuration = configuration(&[route("GRPCRoute", "r", &rules)], &SERVICES);
    for (path, expected) in [
        ("/shop.Cart/Get", "c"),
        ("/shop.Cart/Add", "b"),
        ("/other/Get", "a"),
        ("/shop.X/Put", "d"),
        ("/other/Add", "404"),
    ] {
        assert_eq!(taken(&configuration, &get(path)), expected, "{path}");
    }
}

fn ingress(name: &str, to: &str, annotations: &Value) -> Value {
    let backend = json!({ "service": { "name": to, "port": { "number": 80 } } });
    json!({
        "kind": "Ingress",
        "metadata": { "name": name, "namespace": "default", "annotations": annotations },
        "spec": { "rules": [{ "host": "shop.example", "http": { "paths": [
            { "path": "/", "pathType": "Prefix", "backend": backend },
        ] } }] },
    })
}

#[test]
fn a_canary_ingress_takes_its_part_of_another() {
    let with = |annotations: Value| {
        let mut all = json!({ "nginx.ingress.kubernetes.io/canary": "true" });
        all.as_object_mut().unwrap().extend(annotations.as_object().unwrap().clone());
        configuration(&[ingress("web", "a", &json!({})), ingress("web-canary", "b", &all)], &SERVICES)
    };
    let by_value = with(json!({
        "nginx.ingress.kubernetes.io/canary-by-header": "User", "nginx.ingress.kubernetes.io/canary-by-header-value": "me",
    }));
    assert_eq!(taken(&by_value, &get("/").header("user", "me")), "b");
    assert_eq!(taken(&by_value, &get("/").header("user", "always")), "a");
    assert_eq!(taken(&by_value, &get("/")), "a");
    let by_word = with(json!({
        "nginx.ingress.kubernetes.io/canary-by-header": "User", "nginx.ingress.kubernetes.io/canary-weight": "100",
    }));
    assert_eq!(taken(&by_word, &get("/").header("user", "never")), "a");
    assert_eq!(taken(&by_word, &get("/").header("user", "always")), "b");
    assert_eq!(taken(&by_word, &get("/")), "b", "of what is left all by weight");
    let by_query = with(json!({
        "mse.ingress.kubernetes.io/canary-by-query": "user", "mse.ingress.kubernetes.io/canary-by-query-value": "me",
    }));
    assert_eq!(taken(&by_query, &get("/").query("user", "me")), "b");
    assert_eq!(taken(&by_query, &get("/")), "a");
    let by_weight = with(json!({ "nginx.ingress.kubernetes.io/canary-weight": "20" }));
    let shares: Vec<u64> = by_weight.shares().remove(0).backends.iter().map(|it| it.share / 1_000_000).collect();
    assert_eq!(shares, [800, 200]);
    let nowhere = configuration(&[ingress("web", "missing", &json!({}))], &SERVICES);
    assert_eq!(taken(&nowhere, &get("/")), "503");
    let alone = configuration(
        &[ingress("web-canary", "b", &json!({ "nginx.ingress.kubernetes.io/canary": "true" }))],
        &SERVICES,
    );
    assert_eq!(taken(&alone, &get("/")), "404", "a canary of nothing");
}

//! Routes at the edges of what the Gateway API allows.

use serde_json::{Value, json};
use slipway_actors::api::http::{Fraction, HttpRouteFilter, HttpRouteMatch};
use slipway_actors::routes::{Backend, Canary, Forwarding, Kind, Mirror, Rest, Share, Stable};

use super::Case;

pub(crate) fn backend(name: &str) -> Backend {
    Backend {
        group: String::new(),
        kind: "Service".into(),
        namespace: "default".into(),
        origin: name.into(),
        stable: format!("{name}-stable"),
        canary: format!("{name}-canary"),
    }
}

pub(crate) fn weight(percent: i32) -> Forwarding {
    canary(Share::Weight(percent), &json!([]))
}

pub(crate) fn by_header(values: usize, filters: &Value) -> Forwarding {
    let one = |value: usize| json!({ "headers": [{ "name": "user", "value": value.to_string() }] });
    canary(Share::Matches(matches(&(0..values).map(one).collect())), filters)
}

fn canary(share: Share, filters: &Value) -> Forwarding {
    Forwarding { canary: Some(Canary { share, filters: parse(filters) }), ..Forwarding::default() }
}

fn matches(value: &Value) -> Vec<HttpRouteMatch> {
    serde_json::from_value(value.clone()).unwrap()
}

fn parse(filters: &Value) -> Vec<HttpRouteFilter> {
    serde_json::from_value(filters.clone()).unwrap()
}

fn to(name: &str, weight: i64) -> Value {
    json!({ "name": name, "port": 80, "weight": weight })
}

fn rule(path: &str, refs: &Value) -> Value {
    json!({ "matches": [{ "path": { "type": "PathPrefix", "value": path } }], "backendRefs": refs })
}

fn many(count: usize) -> Value {
    (0..count).map(|n| rule(&format!("/{n}"), &json!([to("web", 1)]))).collect()
}

fn wide(count: usize) -> Value {
    let paths: Value = (0..count).map(|n| json!({ "path": { "value": format!("/{n}") } })).collect();
    json!([{ "matches": paths, "backendRefs": [to("web", 1)] }])
}

/// One more than the API server takes of each.
pub(crate) fn refused() -> Vec<Case> {
    let refs = |count: i64| -> Value { (0..count).map(|_| to("web", 1)).collect() };
    let headers = |from: usize, count: usize| -> Value {
        (from..from + count).map(|n| json!({ "name": format!("h{n}"), "value": "v" })).collect()
    };
    let narrow = json!([{ "matches": [{ "headers": headers(0, 16) }], "backendRefs": refs(1) }]);
    let changed = |from: usize| json!([{ "type": "RequestHeaderModifier", "requestHeaderModifier": { "set": headers(from, 9) } }]);
    let mut modified = rule("/", &refs(1));
    modified["filters"] = changed(0);
    let mut filtered = rule("/", &refs(1));
    let copy = json!({ "type": "RequestMirror", "requestMirror": { "backendRef": { "name": "x", "port": 80 } } });
    filtered["filters"] = Value::Array(vec![copy; 16]);
    let both = [wide(60)[0].clone(), wide(5)[0].clone()];
    let table = [
        ("rules", many(9), by_header(1, &json!([]))),
        ("matches of a rule", wide(33), by_header(2, &json!([]))),
        ("matches", json!(both), by_header(1, &json!([]))),
        ("references", json!([rule("/", &refs(9))]), weight(10)),
        ("weight", json!([rule("/", &json!([to("web", 10_001)]))]), weight(10)),
        ("conditions", narrow, by_header(1, &json!([]))),
        ("headers", json!([modified]), by_header(1, &changed(9))),
        ("filters", json!([filtered]), Forwarding { mirror: Some(Mirror::Percent(5)), ..weight(10) }),
    ];
    let case = |(name, rules, part): (&str, Value, Forwarding)| Case {
        name: name.replace(' ', "-"),
        kind: Kind::Http,
        rules,
        parts: vec![(backend("web"), part)],
    };
    table.into_iter().map(case).collect()
}

/// Just what the API server takes of each.
pub(crate) fn cases() -> Vec<Case> {
    let prefix = json!({ "path": { "type": "ReplacePrefixMatch", "replacePrefixMatch": "/" } });
    let rewrite = json!([{ "type": "URLRewrite", "urlRewrite": prefix }]);
    let redirect = json!([{ "type": "RequestRedirect", "requestRedirect": { "hostname": "new.example" } }]);
    let modifier = json!([{ "type": "RequestHeaderModifier",
        "requestHeaderModifier": { "set": [{ "name": "lane", "value": "canary" }], "remove": ["x"] } }]);
    let mut rewritten = rule("/shop", &json!([to("web", 1)]));
    rewritten["filters"] = rewrite.clone();
    let full_refs: Value = (0..8).map(|n| to("web", n * 1250)).collect();
    let mirror = |mirror| Forwarding { mirror: Some(mirror), ..weight(10) };
    let fraction = Fraction { numerator: 1, denominator: Some(1000) };
    let both_stay = Forwarding {
        rest: Rest::Origin,
        stable: Some(Stable {
            matches: matches(&json!([{ "headers": [{ "name": "user", "value": "you" }] }])),
            filters: parse(&modifier),
        }),
        ..by_header(1, &modifier)
    };
    let path = Share::Matches(matches(&json!([{ "path": { "type": "Exact", "value": "/new" } }])));
    let pool = Backend {
        group: "inference.networking.x-k8s.io".into(),
        kind: "InferencePool".into(),
        canary: format!("{}-canary", "l".repeat(246)),
        ..backend("llm")
    };
    let to_pool = json!([{ "group": pool.group, "kind": pool.kind, "name": "llm" }]);
    let shared = json!([to("web", 2), to("api", 1), to("other", 1)]);
    let web = |forwarding: Forwarding| vec![(backend("web"), forwarding)];
    let no_matches = json!([{ "backendRefs": [{ "name": "web", "port": 80 }] }]);
    let method = json!([{ "matches": [{ "method": { "service": "shop.Cart", "method": "Add" } }],
        "backendRefs": [to("web", 1)] }]);
    let table = [
        ("least", Kind::Http, no_matches.clone(), web(weight(10))),
        ("least-matched", Kind::Http, no_matches.clone(), web(by_header(1, &json!([])))),
        ("sixteen-rules", Kind::Http, many(16), web(weight(50))),
        ("sixteen-rules-with-ours", Kind::Http, many(8), web(by_header(1, &json!([])))),
        ("sixteen-references", Kind::Http, json!([rule("/", &full_refs)]), web(weight(99))),
        ("sixty-four-matches", Kind::Http, wide(32), web(by_header(2, &json!([])))),
        ("all-matches", Kind::Http, wide(64), web(by_header(1, &json!([])))),
        (
            "greatest-weight",
            Kind::Http,
            json!([rule("/", &json!([to("web", 10_000), to("other", 0)]))]),
            web(weight(100)),
        ),
        ("prefix-replaced", Kind::Http, json!([rewritten]), web(by_header(3, &json!([])))),
        ("prefix-replaced-by-us", Kind::Http, many(2), web(by_header(3, &rewrite))),
        ("prefix-replaced-in-a-share", Kind::Http, many(1), web(canary(Share::Weight(5), &rewrite))),
        ("redirect", Kind::Http, json!([rewritten]), web(by_header(2, &redirect))),
        ("by-path", Kind::Http, many(2), web(canary(path, &modifier))),
        ("mirror", Kind::Http, many(1), web(mirror(Mirror::Percent(7)))),
        ("mirror-all", Kind::Http, many(1), web(mirror(Mirror::Percent(100)))),
        ("mirror-fraction", Kind::Http, many(1), web(mirror(Mirror::Fraction(fraction.clone())))),
        ("rest-stays", Kind::Http, many(3), web(both_stay.clone())),
        ("pool", Kind::Http, json!([{ "backendRefs": to_pool }]), vec![(pool, by_header(1, &modifier))]),
        (
            "shared-by-weights",
            Kind::Http,
            json!([rule("/", &shared.clone())]),
            vec![(backend("web"), weight(10)), (backend("api"), weight(20))],
        ),
        (
            "shared-and-one-matched",
            Kind::Http,
            json!([rule("/", &shared), rule("/api", &json!([to("api", 1)]))]),
            vec![(backend("web"), both_stay.clone()), (backend("api"), mirror(Mirror::Percent(3)))],
        ),
        ("grpc-least", Kind::Grpc, no_matches.clone(), web(weight(10))),
        ("grpc-least-matched", Kind::Grpc, no_matches, web(both_stay)),
        ("grpc-mirror", Kind::Grpc, method.clone(), web(mirror(Mirror::Fraction(fraction)))),
        ("grpc-method", Kind::Grpc, method, web(by_header(64, &modifier))),
    ];
    table.into_iter().map(|(name, kind, rules, parts)| Case { name: name.into(), kind, rules, parts }).collect()
}

//! Routes and parts by chance, of all that the Gateway API has words for.

use anyhow::{Result, anyhow};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use slipway_actors::api::http::{Fraction, HttpRouteFilter, HttpRouteMatch};
use slipway_actors::routes::{Canary, Forwarding, Kind, Mirror, Rest, Share, Stable};

use super::Case;
use super::telling::backend;

/// So many cases, the same ones for the same seed.
pub(crate) fn cases(kind: Kind, count: usize) -> Result<Vec<Case>> {
    let mut runner = TestRunner::new(Config::default());
    let part = |name| forwarding(kind).prop_map(move |forwarding| (backend(name), forwarding));
    let parts = prop_oneof![2 => part("web").prop_map(|part| vec![part]), 1 => (part("web"), part("api")).prop_map(|(web, api)| vec![web, api])];
    let strategy = (rules(kind), parts);
    (0..count)
        .map(|number| {
            let tree = strategy.new_tree(&mut runner).map_err(|reason| anyhow!("{reason}"))?;
            let (rules, parts) = tree.current();
            let name = format!("generated-{}-{number}", if kind == Kind::Http { "http" } else { "grpc" });
            Ok(Case { name, kind, rules, parts })
        })
        .collect()
}

fn rules(kind: Kind) -> BoxedStrategy<Value> {
    let count = prop_oneof![4 => 1..5usize, 1 => 5..17usize];
    count
        .prop_flat_map(move |count| vec(rule(kind), count))
        .prop_map(|mut rules| {
            for (index, rule) in rules.iter_mut().enumerate() {
                // Names are each rule's own, where there are any.
                if index % 3 == 1 {
                    rule["name"] = json!(format!("users-{index}"));
                }
            }
            Value::Array(rules)
        })
        .boxed()
}

fn rule(kind: Kind) -> impl Strategy<Value = Value> {
    let reference =
        (select(vec!["web", "web", "api", "other"]), option::of(0..12i64), option::weighted(0.1, modifier()));
    let references = vec(reference, 1..5);
    let matches = prop_oneof![6 => vec(users_match(kind), 0..4), 1 => vec(users_match(kind), 4..20)];
    (references, matches, users_filters(kind), option::weighted(0.2, select(vec!["5s", "1m"]))).prop_map(
        move |(references, matches, mut filters, timeout)| {
            let references: Vec<_> = references
                .into_iter()
                .map(|(name, weight, filter)| {
                    object([
                        ("name", Some(json!(name))),
                        ("port", Some(json!(8080))),
                        ("weight", weight.map(Value::from)),
                        ("filters", filter.map(|filter| json!([filter]))),
                    ])
                })
                .collect();
            let is_prefix = |one: &Value| one["path"].is_null() || one["path"]["type"] == "PathPrefix";
            if !(matches.is_empty() || (matches.len() == 1 && is_prefix(&matches[0]))) {
                filters.retain(|filter| filter["type"] != "URLRewrite");
            }
            object([
                ("backendRefs", Some(json!(references))),
                ("matches", some(matches)),
                ("filters", some(filters)),
                ("timeouts", timeout.filter(|_| kind == Kind::Http).map(|timeout| json!({ "request": timeout }))),
            ])
        },
    )
}

fn users_match(kind: Kind) -> BoxedStrategy<Value> {
    let headers = conditions(&["tenant", "User", "x-a", "x-b"]);
    let query = conditions(&["q", "page"]);
    let path = (select(vec!["Exact", "PathPrefix", "RegularExpression"]), select(vec!["/", "/shop", "/a/b-c%20d"]));
    let methods = json!([
        { "service": "shop.Cart" }, { "method": "Add" }, { "type": "RegularExpression", "service": "shop.*" },
    ]);
    let grpc = (option::of(select(methods.as_array().cloned().unwrap())), headers.clone());
    let grpc = grpc.prop_map(|(method, headers)| object([("method", method), ("headers", some(headers))]));
    let http = (option::of(path), headers, query, option::weighted(0.2, select(vec!["GET", "POST"])));
    let http = http.prop_map(|(path, headers, query, method)| {
        object([
            ("path", path.map(|(type_, value)| json!({ "type": type_, "value": value }))),
            ("method", method.map(Value::from)),
            ("headers", some(headers)),
            ("queryParams", some(query)),
        ])
    });
    if kind == Kind::Http { http.boxed() } else { grpc.boxed() }
}

fn conditions(names: &[&'static str]) -> BoxedStrategy<Vec<Value>> {
    let one = (select(vec!["1", "2"]), option::weighted(0.3, select(vec!["Exact", "RegularExpression"])));
    (subsequence(names.to_vec(), 0..names.len()), vec(one, names.len()))
        .prop_map(|(names, rest)| {
            let conditions = names.into_iter().zip(rest).map(|(name, (value, type_))| {
                object([("name", Some(json!(name))), ("value", Some(json!(value))), ("type", type_.map(Value::from))])
            });
            conditions.collect()
        })
        .boxed()
}

fn modifier() -> BoxedStrategy<Value> {
    let names = || subsequence(vec!["a", "B", "c"], 0..3);
    let headers =
        |names: Vec<&str>| names.into_iter().map(|name| json!({ "name": name, "value": "v" })).collect::<Value>();
    (any::<bool>(), names(), names(), names())
        .prop_map(move |(of_request, set, add, remove)| {
            let body = json!({ "set": headers(set), "add": headers(add), "remove": remove });
            if of_request {
                json!({ "type": "RequestHeaderModifier", "requestHeaderModifier": body })
            } else {
                json!({ "type": "ResponseHeaderModifier", "responseHeaderModifier": body })
            }
        })
        .boxed()
}

fn rewrites() -> Vec<Value> {
    let prefix = json!({ "type": "ReplacePrefixMatch", "replacePrefixMatch": "/v2" });
    let full = json!({ "type": "ReplaceFullPath", "replaceFullPath": "/v2" });
    let rewrites = [json!({ "path": prefix }), json!({ "path": full }), json!({ "hostname": "new.example" })];
    rewrites.into_iter().map(|body| json!({ "type": "URLRewrite", "urlRewrite": body })).collect()
}

fn mirror() -> Value {
    json!({ "type": "RequestMirror", "requestMirror": { "backendRef": { "name": "elsewhere", "port": 80 }, "percent": 3 } })
}

fn users_filters(kind: Kind) -> BoxedStrategy<Vec<Value>> {
    let extension =
        json!({ "type": "ExtensionRef", "extensionRef": { "group": "x.example", "kind": "X", "name": "x" } });
    let others = subsequence(vec![mirror(), extension], 0..3);
    let rewrite =
        option::weighted(0.3, select(rewrites())).prop_map(move |rewrite| rewrite.filter(|_| kind == Kind::Http));
    (option::weighted(0.3, modifier()), rewrite, others)
        .prop_map(|(modifier, rewrite, others)| modifier.into_iter().chain(rewrite).chain(others).collect())
        .boxed()
}

fn forwarding(kind: Kind) -> BoxedStrategy<Forwarding> {
    let matches = move || {
        let most = prop_oneof![8 => 1..3usize, 1 => 3..9usize];
        most.prop_flat_map(move |count| vec(ours_match(kind), count))
    };
    let share = prop_oneof![(0..=100i32).prop_map(Share::Weight), matches().prop_map(Share::Matches)];
    let canary = (share, filters(kind)).prop_map(|(share, filters)| Canary { share, filters });
    let stable = (matches(), filters(kind)).prop_map(|(matches, filters)| Stable { matches, filters });
    let fraction = (0..5i32, option::of(5..9i32))
        .prop_map(|(numerator, denominator)| Mirror::Fraction(Fraction { numerator, denominator }));
    let mirror = prop_oneof![(0..=100i32).prop_map(Mirror::Percent), fraction];
    let rest = prop_oneof![Just(Rest::Stable), Just(Rest::Origin)];
    (rest, option::weighted(0.3, stable), option::weighted(0.9, canary), option::weighted(0.3, mirror))
        .prop_map(|(rest, stable, canary, mirror)| Forwarding { rest, stable, canary, mirror })
        .boxed()
}

fn ours_match(kind: Kind) -> BoxedStrategy<HttpRouteMatch> {
    let headers = conditions(&["user", "tenant", "lane"]);
    let of_http = if kind == Kind::Http { 0.2 } else { 0.02 };
    let query = option::weighted(of_http, conditions(&["beta", "q"]));
    let path = option::weighted(of_http, (select(vec!["Exact", "PathPrefix"]), select(vec!["/new", "/", "bad"])));
    (headers, query, path)
        .prop_map(|(headers, query, path)| {
            let one = object([
                ("headers", some(headers)),
                ("queryParams", query.and_then(some)),
                ("path", path.map(|(type_, value)| json!({ "type": type_, "value": value }))),
            ]);
            serde_json::from_value(one).unwrap()
        })
        .boxed()
}

fn filters(kind: Kind) -> BoxedStrategy<Vec<HttpRouteFilter>> {
    let redirect = json!({ "type": "RequestRedirect", "requestRedirect": { "scheme": "https", "statusCode": 301 } });
    let of_http = if kind == Kind::Http { 0.2 } else { 0.02 };
    let way = option::weighted(of_http, select(rewrites().into_iter().chain([redirect]).collect::<Vec<_>>()));
    (option::weighted(0.4, modifier()), way, option::weighted(0.2, Just(mirror())))
        .prop_map(|(modifier, way, mirror)| {
            let filters = modifier.into_iter().chain(way).chain(mirror);
            filters.map(|filter| serde_json::from_value(filter).unwrap()).collect()
        })
        .boxed()
}

/// An object of the fields that are there.
fn object<const COUNT: usize>(fields: [(&str, Option<Value>); COUNT]) -> Value {
    fields.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect()
}

fn some(items: Vec<Value>) -> Option<Value> {
    (!items.is_empty()).then(|| Value::Array(items))
}

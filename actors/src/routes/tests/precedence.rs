//! Where requests go, by the rules of the Gateway API.

use proptest::prelude::*;

use super::*;

/// A request: a path, and headers and parameters with their values.
#[derive(Clone, Debug)]
struct Request {
    path: &'static str,
    method: &'static str,
    headers: Vec<(&'static str, &'static str)>,
    query: Vec<(&'static str, &'static str)>,
}

const NAMES: [&str; 3] = ["user", "tenant", "x"];
const PATHS: [&str; 3] = ["/", "/a", "/a/b"];

/// How specific a match is, if the request matches it.
fn matched(one: &Value, request: &Request) -> Option<(bool, usize, bool, usize, usize)> {
    let path = one["path"]["value"].as_str().unwrap_or("/");
    let is_exact = one["path"]["type"] == "Exact";
    let is_under = path == "/" || request.path == path || request.path.starts_with(&format!("{path}/"));
    let is_method = one["method"].is_null() || one["method"] == request.method;
    if !(is_method && if is_exact { request.path == path } else { is_under }) {
        return None;
    }
    let all = |key: &str, given: &[(&str, &str)]| {
        let wanted = one[key].as_array().cloned().unwrap_or_default();
        let has =
            |wanted: &Value| given.iter().any(|(name, value)| wanted["name"] == *name && wanted["value"] == *value);
        wanted.iter().all(has).then_some(wanted.len())
    };
    let (headers, query) = (all("headers", &request.headers)?, all("queryParams", &request.query)?);
    Some((is_exact, path.len(), one["method"].is_string(), headers, query))
}

/// The rule that a request takes.
fn taken<'a>(rules: &'a Value, request: &Request) -> Option<&'a Value> {
    let best = |rule: &Value| rule["matches"].as_array()?.iter().filter_map(|one| matched(one, request)).max();
    let mut taken = None;
    for rule in rules.as_array().unwrap() {
        let rank = best(rule);
        if rank.is_some() && taken.as_ref().is_none_or(|(most, _)| rank > *most) {
            taken = Some((rank, rule));
        }
    }
    taken.map(|(_, rule)| rule)
}

fn names(rule: &Value) -> Vec<String> {
    rule["backendRefs"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap().to_owned()).collect()
}

fn conditions() -> impl Strategy<Value = Vec<(&'static str, &'static str)>> {
    let values = prop::collection::vec(prop::sample::select(vec!["1", "2"]), NAMES.len());
    (prop::sample::subsequence(NAMES.to_vec(), 0..=2), values)
        .prop_map(|(names, values)| names.into_iter().zip(values).collect())
}

fn told(conditions: &[(&str, &str)]) -> Value {
    conditions.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect()
}

fn users_match() -> impl Strategy<Value = Value> {
    let path = (prop::sample::select(vec!["Exact", "PathPrefix", "PathPrefix"]), prop::sample::select(PATHS.to_vec()));
    let method = prop::option::weighted(0.2, prop::sample::select(vec!["GET", "POST"]));
    (path, conditions(), conditions(), method).prop_map(|((type_, path), headers, query, method)| {
        let mut one =
            json!({ "path": { "type": type_, "value": path }, "headers": told(&headers), "queryParams": told(&query) });
        if let Some(method) = method {
            one["method"] = json!(method);
        }
        one
    })
}

fn users() -> impl Strategy<Value = Value> {
    let to = prop::sample::select(vec![vec!["web"], vec!["other"], vec!["web", "old"]]);
    let rule = (prop::collection::vec(users_match(), 1..3), to).prop_map(|(matches, to)| {
        let refs: Value = to.iter().map(|name| reference(name, 1)).collect();
        json!({ "matches": matches, "backendRefs": refs })
    });
    prop::collection::vec(rule, 1..5).prop_map(Value::Array)
}

fn ours() -> impl Strategy<Value = Vec<HttpRouteMatch>> {
    let one = (conditions(), conditions()).prop_map(|(headers, query)| {
        serde_json::from_value(json!({ "headers": told(&headers), "queryParams": told(&query) })).unwrap()
    });
    prop::collection::vec(one, 1..3)
}

fn request() -> impl Strategy<Value = Request> {
    let all = || {
        prop::collection::vec(prop::sample::select(vec!["1", "2"]), NAMES.len())
            .prop_map(|values| NAMES.into_iter().zip(values).collect())
    };
    (prop::sample::select(PATHS.to_vec()), prop::sample::select(vec!["GET", "POST"]), all(), all())
        .prop_map(|(path, method, headers, query)| Request { path, method, headers, query })
}

proptest! {
    /// A request goes where the user sends it: to the canary fork in place of the backend if it matches, and to no backend
    /// that it did not go to.
    #[test]
    fn a_request_goes_where_it_went(
        users in users(), canary in ours(), requests in prop::collection::vec(request(), 20),
    ) {
        let Ok(rules) = with(Kind::Http, &users, &backend(), &by_match(canary.clone())) else { return Ok(()) };
        for request in requests {
            let wanted = taken(&users, &request).map(|rule| {
                let is_canary = canary.iter().any(|one| matched(&json!(one), &request).is_some());
                let fork = if is_canary { "web-canary" } else { "web-stable" };
                names(rule).into_iter().map(|name| if name == "web" { fork.to_owned() } else { name }).collect::<Vec<_>>()
            });
            prop_assert_eq!(taken(&rules, &request).map(names), wanted, "{:?} {}", request, short(&rules));
        }
    }
}

//! An Ingress, and the canary Ingress beside it, by the annotations of ingress-nginx and of MSE.
//!
//! Of the user's Ingress only the names of backends are changed, one by one, so that nothing else of it is ever written. What
//! goes to the canary fork is said by a second Ingress with the paths that lead to the backend. These annotations know a
//! weight or one header, and what they do not know is refused.

use serde_json::{Map, Value, json};

use super::{Backend, Canary, Forwarding, Refusal, Rest, Share, list};
use crate::api::http::{HttpHeader, HttpRouteFilter, HttpRouteMatch};
use crate::api::keys;

const CANARY: &str = "nginx.ingress.kubernetes.io/canary";
const BY_HEADER: &str = "nginx.ingress.kubernetes.io/canary-by-header";
const BY_HEADER_VALUE: &str = "nginx.ingress.kubernetes.io/canary-by-header-value";
const WEIGHT: &str = "nginx.ingress.kubernetes.io/canary-weight";
const BY_QUERY: &str = "mse.ingress.kubernetes.io/canary-by-query";
const BY_QUERY_VALUE: &str = "mse.ingress.kubernetes.io/canary-by-query-value";
const UPDATE: &str = "mse.ingress.kubernetes.io/request-header-control-update";
const ADD: &str = "mse.ingress.kubernetes.io/request-header-control-add";
const REMOVE: &str = "mse.ingress.kubernetes.io/request-header-control-remove";

/// The annotations of a canary Ingress that are ours. All others are whoever's put them there.
const OURS: [&str; 9] = [CANARY, BY_HEADER, BY_HEADER_VALUE, WEIGHT, BY_QUERY, BY_QUERY_VALUE, UPDATE, ADD, REMOVE];

/// What the name of a canary Ingress ends in.
const CANARY_NAME: &str = "-canary";

/// The older way to say `spec.ingressClassName`.
const CLASS: &str = "kubernetes.io/ingress.class";
const MSE: &str = "mse";

/// The JSON Patch that sends the rest of the requests where they are to go; none if they go there.
///
/// It fails if the Ingress has changed meanwhile.
pub fn lay(ingress: &Value, backend: &Backend, rest: Rest) -> Result<Option<Value>, Refusal> {
    is_referenced(ingress, backend)?;
    Ok(match rest {
        Rest::Stable => rename(ingress, backend, &backend.origin, &backend.stable),
        Rest::Origin => subtract(ingress, backend),
    })
}

/// The JSON Patch that takes our part of the user's Ingress away; none if there is none.
pub fn subtract(ingress: &Value, backend: &Backend) -> Option<Value> {
    rename(ingress, backend, &backend.stable, &backend.origin)
}

/// The canary Ingress as it is to be created; none if nothing goes to the canary fork.
pub fn canary(ingress: &Value, backend: &Backend, forwarding: &Forwarding) -> Result<Option<Value>, Refusal> {
    is_referenced(ingress, backend)?;
    let annotations = annotations(ingress, forwarding)?;
    if annotations.is_empty() {
        return Ok(None);
    }
    let metadata = &ingress["metadata"];
    Ok(Some(json!({
        "apiVersion": ingress["apiVersion"],
        "kind": ingress["kind"],
        "metadata": {
            "name": canary_name(ingress),
            "namespace": metadata["namespace"],
            "labels": { keys::LABEL_CANARY_RESOURCE: "true" },
            "annotations": annotations,
            "ownerReferences": [{
                "apiVersion": ingress["apiVersion"],
                "kind": ingress["kind"],
                "name": metadata["name"],
                "uid": metadata["uid"],
            }],
        },
        "spec": canary_spec(&ingress["spec"], backend),
    })))
}

/// Name of the canary Ingress of an Ingress.
pub fn canary_name(ingress: &Value) -> String {
    format!("{}{CANARY_NAME}", ingress["metadata"]["name"].as_str().unwrap_or_default())
}

/// Whether an Ingress is the canary Ingress for this backend, rather than somebody's own or another backend's.
pub fn is_canary_of(ingress: &Value, backend: &Backend) -> bool {
    ingress["metadata"]["labels"][keys::LABEL_CANARY_RESOURCE] == "true"
        && places(&ingress["spec"]).iter().any(|place| place.is(backend, &backend.canary))
}

/// Whether an Ingress may be the canary of another of that name, or take the place of that one.
pub fn may_be_canary(ingress: &Value, of: &str) -> bool {
    let has_name = || ingress["metadata"]["name"].as_str().and_then(|name| name.strip_suffix(CANARY_NAME)) == Some(of);
    ingress["metadata"]["annotations"][CANARY] == "true" || has_name()
}

/// Refuses what somebody's own Ingress is in the way of: one that has the name of the canary Ingress, or is a canary for a
/// path of the backend's. Nothing that is not ours is written, and of two canaries for a path nginx takes one.
pub fn is_free(ingress: &Value, backend: &Backend, canaries: &[Value]) -> Result<(), Refusal> {
    let name = canary_name(ingress);
    for other in canaries.iter().filter(|other| !is_canary_of(other, backend)) {
        let others = || other["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        if others() == name {
            return Err(Refusal::Taken { name });
        }
        let names = [&backend.origin, &backend.stable];
        let own = paths(&ingress["spec"], |value| names.iter().any(|name| refers(value, backend, name)));
        let theirs = paths(&other["spec"], |_| true);
        if let Some((host, path, _)) = own.into_iter().find(|path| theirs.contains(path)) {
            return Err(Refusal::Occupied { name: others(), path: format!("{host}{path}") });
        }
    }
    Ok(())
}

/// Host, path and type of the paths that lead to a backend as described. The default backend has all hosts and paths.
fn paths(spec: &Value, leads: impl Fn(&Value) -> bool) -> Vec<(&str, &str, &str)> {
    fn text(value: &Value) -> &str {
        value.as_str().unwrap_or_default()
    }
    let of_rules = list(&spec["rules"]).iter().flat_map(|rule| {
        let paths = list(&rule["http"]["paths"]).iter();
        paths.map(move |path| ((text(&rule["host"]), text(&path["path"]), text(&path["pathType"])), &path["backend"]))
    });
    let default = spec.get("defaultBackend").map(|backend| (("", "/", "Prefix"), backend));
    of_rules.chain(default).filter(|(_, backend)| leads(backend)).map(|(path, _)| path).collect()
}

/// What an Ingress says of the requests that it takes as a canary.
pub fn said(ingress: &Value) -> Value {
    let annotations = &ingress["metadata"]["annotations"];
    let said = OURS.iter().chain(&[CLASS]).filter_map(|key| Some(((*key).to_owned(), annotations.get(key)?.clone())));
    json!({ "annotations": said.collect::<Map<_, _>>(), "spec": ingress["spec"] })
}

/// Whether a canary Ingress leaves nothing to the one that it is beside.
pub fn takes_all(canary: &Value) -> bool {
    let annotations = &canary["metadata"]["annotations"];
    annotations[CANARY] == "true" && annotations[WEIGHT] == "100" && annotations[BY_HEADER].is_null()
}

/// The JSON Merge Patch that brings a canary Ingress in step with what is wanted; none if it is. Of its metadata only our
/// annotations and our label are touched. One that is not ours is refused.
pub fn canary_patch(existing: &Value, wanted: &Value, backend: &Backend) -> Result<Option<Value>, Refusal> {
    if !is_canary_of(existing, backend) {
        return Err(Refusal::Taken { name: wanted["metadata"]["name"].as_str().unwrap_or_default().to_owned() });
    }
    let (known, asked) = (&existing["metadata"]["annotations"], &wanted["metadata"]["annotations"]);
    let annotations = changes(known, asked, OURS.iter().chain(&[CLASS]).copied());
    let fields = ["ingressClassName", "defaultBackend", "tls", "rules"];
    let spec = changes(&existing["spec"], &wanted["spec"], fields);
    if annotations.is_empty() && spec.is_empty() {
        return Ok(None);
    }
    Ok(Some(json!({
        "metadata": { "resourceVersion": existing["metadata"]["resourceVersion"], "annotations": annotations },
        "spec": spec,
    })))
}

fn is_referenced(ingress: &Value, backend: &Backend) -> Result<(), Refusal> {
    let names = [&backend.origin, &backend.stable];
    if places(&ingress["spec"]).iter().any(|place| names.iter().any(|name| place.is(backend, name))) {
        return Ok(());
    }
    Err(Refusal::Unreferenced { kind: backend.kind.clone(), name: backend.origin.clone() })
}

/// Of these keys, those that differ; null where one is to go.
fn changes<'a>(known: &Value, wanted: &Value, keys: impl IntoIterator<Item = &'a str>) -> Map<String, Value> {
    let differs = keys
        .into_iter()
        .filter(|key| known.get(key).unwrap_or(&Value::Null) != wanted.get(key).unwrap_or(&Value::Null));
    differs.map(|key| (key.to_owned(), wanted.get(key).cloned().unwrap_or_default())).collect()
}

/// Where an Ingress says a backend: its JSON Pointer within the spec, and what stands there.
struct Place<'a> {
    pointer: String,
    backend: &'a Value,
}

impl Place<'_> {
    fn is(&self, backend: &Backend, name: &str) -> bool {
        refers(self.backend, backend, name)
    }
}

fn places(spec: &Value) -> Vec<Place<'_>> {
    let default = spec.get("defaultBackend").map(|backend| Place { pointer: "/defaultBackend".to_owned(), backend });
    let of_paths = list(&spec["rules"]).iter().enumerate().flat_map(|(rule, value)| {
        // A rule may have no `http`: then all requests to its host go to the default backend.
        list(&value["http"]["paths"]).iter().enumerate().map(move |(path, value)| Place {
            pointer: format!("/rules/{rule}/http/paths/{path}/backend"),
            backend: &value["backend"],
        })
    });
    default.into_iter().chain(of_paths).collect()
}

/// The part of a backend that has its name: a Service stands in `service`, all others in `resource`.
fn part(backend: &Backend) -> &'static str {
    if backend.group.is_empty() && backend.kind == "Service" { "service" } else { "resource" }
}

fn refers(value: &Value, backend: &Backend, name: &str) -> bool {
    let part = &value[part(backend)];
    let is_kind = || part["kind"] == backend.kind && part["apiGroup"].as_str().unwrap_or_default() == backend.group;
    part["name"] == name && (self::part(backend) == "service" || is_kind())
}

fn rename(ingress: &Value, backend: &Backend, from: &str, to: &str) -> Option<Value> {
    let found: Vec<_> = places(&ingress["spec"]).into_iter().filter(|place| place.is(backend, from)).collect();
    if found.is_empty() {
        return None;
    }
    let version = &ingress["metadata"]["resourceVersion"];
    let mut steps = vec![json!({ "op": "test", "path": "/metadata/resourceVersion", "value": version })];
    for place in found {
        let path = format!("/spec{}/{}/name", place.pointer, part(backend));
        steps.push(json!({ "op": "test", "path": path, "value": from }));
        steps.push(json!({ "op": "replace", "path": path, "value": to }));
    }
    Some(Value::Array(steps))
}

/// What leads to the backend, to the canary fork instead. Other backends' paths stay out of it: they have no canary here.
fn canary_spec(spec: &Value, backend: &Backend) -> Value {
    let is_ours = |value: &Value| refers(value, backend, &backend.origin) || refers(value, backend, &backend.stable);
    let renamed = |value: &Value| {
        let mut value = value.clone();
        value[part(backend)]["name"] = json!(backend.canary);
        value
    };
    let mut canary = spec.clone();
    if let Some(fields) = canary.as_object_mut() {
        match spec.get("defaultBackend").filter(|value| is_ours(value)) {
            Some(default) => drop(fields.insert("defaultBackend".to_owned(), renamed(default))),
            None => drop(fields.remove("defaultBackend")),
        }
        let rules = list(&spec["rules"]).iter().filter_map(|rule| {
            let paths = list(&rule["http"]["paths"]).iter().filter(|path| is_ours(&path["backend"]));
            let paths = paths.map(|path| {
                let mut path = path.clone();
                path["backend"] = renamed(&path["backend"]);
                path
            });
            let paths = paths.collect::<Vec<_>>();
            (!paths.is_empty()).then(|| {
                let mut rule = rule.clone();
                rule["http"]["paths"] = Value::Array(paths);
                rule
            })
        });
        let rules = rules.collect::<Vec<_>>();
        fields.remove("rules");
        if !rules.is_empty() {
            fields.insert("rules".to_owned(), Value::Array(rules));
        }
    }
    canary
}

/// What says which requests go to the canary fork; nothing if none do.
fn annotations(ingress: &Value, forwarding: &Forwarding) -> Result<Map<String, Value>, Refusal> {
    let class = &ingress["metadata"]["annotations"][CLASS];
    let is_mse = ingress["spec"]["ingressClassName"] == MSE || class == MSE;
    if forwarding.stable.is_some() {
        return unsupported("stable".into(), "take stableTraffic out, or use an HTTPRoute");
    }
    if forwarding.mirror.is_some() {
        return unsupported("mirror".into(), "take the mirror out, or use an HTTPRoute");
    }
    let mut said = Map::new();
    let Some(Canary { share, filters }) = &forwarding.canary else { return Ok(said) };
    let mut say = |key: &str, value: &str| drop(said.insert(key.to_owned(), json!(value)));
    say(CANARY, "true");
    match share {
        Share::Weight(percent) => say(WEIGHT, &percent.clamp(&0, &100).to_string()),
        Share::Matches(matches) => matched(matches, is_mse, &mut say)?,
    }
    filtered(filters, is_mse, &mut say)?;
    if let Some(class) = class.as_str() {
        // Without it no controller would see the canary Ingress.
        say(CLASS, class);
    }
    Ok(said)
}

fn matched(matches: &[HttpRouteMatch], is_mse: bool, say: &mut impl FnMut(&str, &str)) -> Result<(), Refusal> {
    const OTHER: &str = "match by one header, or use a weight, or an HTTPRoute";
    let field = |part: &str| format!("canary.matches[0].{part}");
    let [one] = matches else {
        return match matches {
            [] => Err(Refusal::NoMatches { of: "canary" }),
            _ => unsupported("canary.matches[1]".into(), OTHER),
        };
    };
    if one.path.is_some() {
        return unsupported(field("path"), OTHER);
    }
    if !one.query_params.is_empty() && (!is_mse || !one.headers.is_empty()) {
        return unsupported(field("queryParams"), OTHER);
    }
    for (count, part) in [(one.headers.len(), "headers[1]"), (one.query_params.len(), "queryParams[1]")] {
        if count > 1 {
            return unsupported(field(part), OTHER);
        }
    }
    let is_exact = |type_: &Option<String>| type_.as_deref().is_none_or(|type_| type_ == "Exact");
    match (one.headers.first(), one.query_params.first()) {
        (Some(header), _) if !is_exact(&header.type_) => return unsupported(field("headers[0].type"), OTHER),
        (_, Some(query)) if !is_exact(&query.type_) => return unsupported(field("queryParams[0].type"), OTHER),
        (Some(header), _) => {
            say(BY_HEADER, &header.name);
            say(BY_HEADER_VALUE, &header.value);
        }
        (None, Some(query)) => {
            say(BY_QUERY, &query.name);
            say(BY_QUERY_VALUE, &query.value);
        }
        (None, None) => return Err(Refusal::NoMatches { of: "canary" }),
    }
    Ok(())
}

fn filtered(filters: &[HttpRouteFilter], is_mse: bool, say: &mut impl FnMut(&str, &str)) -> Result<(), Refusal> {
    for (index, filter) in filters.iter().enumerate() {
        let modifier = filter.request_header_modifier.as_ref();
        let (true, 0, Some(modifier)) = (is_mse, index, modifier) else {
            return unsupported(format!("canary.filters[{index}]"), "take the filter out, or use an HTTPRoute");
        };
        for (key, headers) in [(UPDATE, &modifier.set), (ADD, &modifier.add)] {
            if !headers.is_empty() {
                say(key, &told(headers));
            }
        }
        if !modifier.remove.is_empty() {
            say(REMOVE, &modifier.remove.join(","));
        }
    }
    Ok(())
}

/// One header stands in the line, several below each other.
fn told(headers: &[HttpHeader]) -> String {
    let lines: Vec<_> = headers.iter().map(|header| format!("{} {}", header.name, header.value)).collect();
    if let [one] = lines.as_slice() { one.clone() } else { format!("|\n{}", lines.join("\n")) }
}

fn unsupported<T>(field: String, remedy: &'static str) -> Result<T, Refusal> {
    Err(Refusal::Unsupported { field, kind: "an Ingress", remedy })
}

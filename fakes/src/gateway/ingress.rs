//! Rules of Ingresses, with the canary annotations of ingress-nginx and, by query parameters, of MSE.
//!
//! A canary Ingress has no rules of its own: it takes requests of another Ingress's rules for the same host and path. By
//! header or query parameter it takes all that have the value, and by weight its share of what is left. One whose Service
//! has no ready endpoints takes them, too: ingress-nginx would pass it by, but not everybody who reads the annotations.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::backend::Reference;
use super::matching::{Match, Path, Text};
use super::rule::{RouteId, Rule, Weighted};
use crate::controllers::object::{self, annotation, list};

const NGINX: &str = "nginx.ingress.kubernetes.io/";
const MSE: &str = "mse.ingress.kubernetes.io/";

/// A path of an Ingress with what is behind it.
struct Entry {
    host: String,
    path_type: String,
    path: String,
    to: Reference,
}

/// The rules of all Ingresses, by the ones that have them. What a canary takes from a rule is a rule of its own, or a
/// weight in that rule.
pub(super) fn rules(ingresses: &[&Value]) -> BTreeMap<RouteId, Vec<Rule>> {
    let (canaries, primaries): (Vec<&Value>, Vec<&Value>) = ingresses.iter().partition(|it| is_canary(it));
    let mut all: BTreeMap<RouteId, Vec<Rule>> = BTreeMap::new();
    for ingress in &primaries {
        for (index, entry) in entries(ingress).into_iter().enumerate() {
            let canary = canaries.iter().find_map(|canary| {
                let near = object::namespace(canary) == object::namespace(ingress);
                let other = entries(canary).into_iter().find(|other| {
                    (&other.host, &other.path, &other.path_type) == (&entry.host, &entry.path, &entry.path_type)
                });
                other.filter(|_| near).map(|other| (*canary, other.to))
            });
            for rule in rules_of(ingress, index, &entry, canary) {
                all.entry(rule.route.clone()).or_default().push(rule);
            }
        }
    }
    all
}

fn rules_of(ingress: &Value, index: usize, entry: &Entry, canary: Option<(&Value, Reference)>) -> Vec<Rule> {
    let mut rule = rule(ingress, index, entry, Weighted::plain(entry.to.clone(), 1));
    let Some((canary, to)) = canary else { return vec![rule] };
    let by_header = annotation(canary, &format!("{NGINX}canary-by-header"));
    let header_value = annotation(canary, &format!("{NGINX}canary-by-header-value"));
    let by_query = annotation(canary, &format!("{MSE}canary-by-query"));
    let query_value = annotation(canary, &format!("{MSE}canary-by-query-value"));
    let taking = |matched: Match, to: &Reference| Rule {
        matches: vec![matched],
        ..self::rule(canary, index, entry, Weighted::plain(to.clone(), 1))
    };
    let by = |name: &str, value: &str, is_header: bool| {
        let part = (if is_header { name.to_ascii_lowercase() } else { name.to_owned() }, Text::Exact(value.to_owned()));
        let (headers, query) = if is_header { (vec![part], Vec::new()) } else { (Vec::new(), vec![part]) };
        Match { headers, query, ..rule.matches.first().cloned().unwrap_or_default() }
    };
    let mut rules = Vec::new();
    for (name, value, is_header) in [(by_header, header_value, true), (by_query, query_value, false)] {
        let Some(name) = name else { continue };
        rules.push(taking(by(name, value.unwrap_or("always"), is_header), &to));
        if value.is_none() {
            // Without a value of its own the two words say it.
            rules.push(taking(by(name, "never", is_header), &entry.to));
        }
    }
    let number = |key: &str| annotation(canary, &format!("{NGINX}{key}")).and_then(|text| text.parse::<u64>().ok());
    let total = number("canary-weight-total").filter(|total| *total > 0).unwrap_or(100);
    if let Some(weight) = number("canary-weight") {
        let weight = weight.min(total);
        rule.backends = vec![Weighted::plain(entry.to.clone(), total - weight), Weighted::plain(to, weight)];
    }
    rules.push(rule);
    rules
}

fn rule(ingress: &Value, index: usize, entry: &Entry, to: Weighted) -> Rule {
    let path =
        if entry.path_type == "Exact" { Path::Exact(entry.path.clone()) } else { Path::Prefix(entry.path.clone()) };
    Rule {
        route: RouteId::new("Ingress", object::namespace(ingress), object::name(ingress)),
        created: ingress["metadata"]["creationTimestamp"].as_str().unwrap_or_default().to_owned(),
        index,
        name: String::new(),
        hosts: if entry.host.is_empty() { Vec::new() } else { vec![entry.host.clone()] },
        matches: vec![Match { path, ..Match::default() }],
        filters: Vec::new(),
        backends: vec![to],
    }
}

/// All paths, and the default backend as what is for every host and path.
fn entries(ingress: &Value) -> Vec<Entry> {
    let mut all = Vec::new();
    for rule in list(&ingress["spec"]["rules"]) {
        let host = rule["host"].as_str().unwrap_or_default().to_ascii_lowercase();
        for path in list(&rule["http"]["paths"]) {
            all.push(Entry {
                host: host.clone(),
                path_type: path["pathType"].as_str().unwrap_or("Prefix").to_owned(),
                path: path["path"].as_str().unwrap_or("/").to_owned(),
                to: reference(&path["backend"], object::namespace(ingress)),
            });
        }
    }
    let default = &ingress["spec"]["defaultBackend"];
    if default.is_object() {
        let to = reference(default, object::namespace(ingress));
        all.push(Entry { host: String::new(), path_type: "Prefix".to_owned(), path: "/".to_owned(), to });
    }
    all
}

/// A Service by name. A port that is named is taken to be there.
fn reference(backend: &Value, namespace: &str) -> Reference {
    let resource = &backend["resource"];
    if resource.is_object() {
        let group = resource["apiGroup"].as_str().unwrap_or_default();
        let value = json!({ "group": group, "kind": resource["kind"], "name": resource["name"] });
        return Reference::read(&value, namespace);
    }
    let service = &backend["service"];
    Reference::read(&json!({ "name": service["name"], "port": service["port"]["number"] }), namespace)
}

fn is_canary(ingress: &Value) -> bool {
    annotation(ingress, &format!("{NGINX}canary")) == Some("true")
}

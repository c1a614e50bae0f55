use serde_json::{Value, json};

use super::*;

mod live;
mod routing;

/// A route of the namespace `default` with these rules.
fn route(kind: &str, name: &str, rules: &Value) -> Value {
    json!({
        "kind": kind,
        "metadata": { "name": name, "namespace": "default", "creationTimestamp": "2026-01-01T00:00:00Z" },
        "spec": { "parentRefs": [{ "name": "public" }], "rules": rules },
    })
}

/// What is in force with these HTTPRoutes and, for each Service, so many pods.
fn configuration(routes: &[Value], services: &[(&str, usize)]) -> Configuration {
    let mut configuration = Configuration::default();
    for route in routes {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let id = RouteId::new(&text(&route["kind"]), "default", &text(&route["metadata"]["name"]));
        configuration.set_route(&id, Some(route));
    }
    for (name, pods) in services {
        let pod = |number| Endpoint { pod: format!("{name}-{number}"), ..Endpoint::default() };
        let endpoints = (0..*pods).map(|number| Arc::new(pod(number))).collect();
        let backend = Backend { ports: [80].into(), endpoints };
        configuration.set_backend(&BackendId::new("Service", "default", name), Some(backend));
    }
    configuration
}

fn reference(name: &str, weight: u64) -> Value {
    json!({ "name": name, "port": 80, "weight": weight })
}

fn answer(configuration: &Configuration, request: &Request) -> Answer {
    configuration.route(request, &mut Dice::new(1, 1))
}

/// The name of the backend that takes a request, or the status.
fn taken(configuration: &Configuration, request: &Request) -> String {
    let answer = answer(configuration, request);
    match answer.backend {
        Some(backend) if answer.status == 200 => backend.name,
        _ => answer.status.to_string(),
    }
}

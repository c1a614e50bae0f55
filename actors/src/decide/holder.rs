//! Which of several BackendRoutings has a backend that they all name.
//!
//! Two TrafficTopologies may name one backend at the same moment, and neither sees the other's BackendRouting before it
//! has made its own. Then one has it and the other waits, and all who look at them agree which: the one that is forked
//! already, else the older one, else the first by name.

use std::{collections::BTreeMap, sync::Arc};

use crate::api::{BackendRouting, CrossClusterObjectReference};

/// The BackendRouting that has a backend, if any names it.
pub fn of<'a>(
    routings: &'a BTreeMap<String, Arc<BackendRouting>>,
    backend: &CrossClusterObjectReference,
) -> Option<&'a Arc<BackendRouting>> {
    let rivals = routings.values().filter(|routing| routing.spec.backend == *backend);
    rivals.min_by_key(|routing| {
        let meta = &routing.metadata;
        let is_forked = routing.spec.forked_backends.is_some();
        (!is_forked, meta.creation_timestamp.as_ref().map(|time| time.0), meta.name.clone())
    })
}

/// The name of another BackendRouting that has the backend of this one.
pub fn other(routings: &BTreeMap<String, Arc<BackendRouting>>, routing: &BackendRouting) -> Option<String> {
    let name = of(routings, &routing.spec.backend)?.metadata.name.clone();
    name.filter(|name| Some(name) != routing.metadata.name.as_ref())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::decide::fixtures::object;

    #[test]
    fn one_of_several_has_the_backend() {
        let routing = |name: &str, second: i64, backend: &str, forked: bool| {
            let forks = forked.then(|| json!({ "stable": { "name": "s" }, "canary": { "name": "c" } }));
            let created = format!("2027-01-15T08:00:0{second}Z");
            let routing = object::<BackendRouting>(json!({
                "metadata": { "name": name, "creationTimestamp": created },
                "spec": { "trafficType": "InCluster", "forkedBackends": forks, "backend": { "kind": "Service", "name": backend } },
            }));
            (name.to_owned(), routing)
        };
        let cases = [
            (vec![routing("b", 1, "web", false)], Some("b")),
            (vec![routing("b", 1, "web", false), routing("a", 1, "api", true)], Some("b")),
            (vec![routing("b", 1, "web", false), routing("a", 2, "web", false)], Some("b")),
            (vec![routing("b", 1, "web", false), routing("a", 1, "web", false)], Some("a")),
            (vec![routing("b", 2, "web", true), routing("a", 1, "web", false)], Some("b")),
            (vec![routing("b", 2, "web", true), routing("a", 1, "web", true)], Some("a")),
            (vec![routing("a", 1, "api", false)], None),
        ];
        let backend = CrossClusterObjectReference { kind: "Service".into(), name: "web".into(), ..Default::default() };
        for (routings, expected) in cases {
            let routings = routings.into_iter().collect();
            let found = of(&routings, &backend).and_then(|routing| routing.metadata.name.clone());
            assert_eq!(found.as_deref(), expected);
        }
    }
}

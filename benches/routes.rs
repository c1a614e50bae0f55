//! Laying our part over routes, knowing it again and taking it away, as at every change of a route.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot be set up has nothing to say")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use serde_json::{Value, json};
use slipway_actors::routes::{Backend, Canary, Forwarding, Kind, Share, is_laid, with, without};

/// The most rules a route may have, and the most of which each can be told apart by matches: then half are ours.
const RULES: usize = 16;
const MATCHED_RULES: usize = 8;

/// Routes of a large cluster, each with the rules of a usual one.
const ROUTES: usize = 1000;
const USUAL_RULES: usize = 3;

fn routes(criterion: &mut Criterion) {
    let weight = forwarding(Share::Weight(10));
    let header = json!([{ "headers": [{ "name": "user", "value": "me" }] }]);
    let matches = forwarding(Share::Matches(serde_json::from_value(header).unwrap()));
    for (name, count, forwarding) in [("weight", RULES, &weight), ("matches", MATCHED_RULES, &matches)] {
        let mut group = criterion.benchmark_group(format!("route of {RULES} rules by {name}"));
        let backend = backend("web");
        let users = rules("web", count);
        let laid = with(Kind::Http, &users, &backend, forwarding).unwrap();
        group.bench_function("lay", |bencher| {
            bencher.iter(|| with(Kind::Http, black_box(&users), &backend, forwarding).unwrap());
        });
        group.bench_function("subtract", |bencher| bencher.iter(|| without(black_box(&laid), &backend)));
        group.bench_function("is laid", |bencher| {
            bencher.iter(|| assert!(is_laid(Kind::Http, black_box(&laid), &backend, forwarding)));
        });
        group.finish();
    }

    let all: Vec<(Backend, Value)> = (0..ROUTES)
        .map(|number| {
            let name = format!("web-{number}");
            (backend(&name), rules(&name, USUAL_RULES))
        })
        .collect();
    let mut group = criterion.benchmark_group(format!("{ROUTES} routes of {USUAL_RULES} rules"));
    group.sample_size(20);
    group.bench_function("lay and subtract", |bencher| {
        bencher.iter(|| {
            for (backend, users) in black_box(&all) {
                let laid = with(Kind::Http, users, backend, &weight).unwrap();
                assert_eq!(without(&laid, backend), *users);
            }
        });
    });
    group.finish();
}

fn forwarding(share: Share) -> Forwarding {
    Forwarding { canary: Some(Canary { share, filters: Vec::new() }), ..Forwarding::default() }
}

fn backend(name: &str) -> Backend {
    Backend {
        kind: "Service".to_owned(),
        namespace: "default".to_owned(),
        origin: name.to_owned(),
        stable: format!("{name}-stable"),
        canary: format!("{name}-canary"),
        ..Backend::default()
    }
}

/// Rules as the API server gives them.
fn rules(name: &str, count: usize) -> Value {
    let rule = |number: usize| {
        json!({
            "matches": [{ "path": { "type": "PathPrefix", "value": format!("/{number}") } }],
            "backendRefs": [
                { "group": "", "kind": "Service", "name": name, "port": 80, "weight": 3 },
                { "group": "", "kind": "Service", "name": "other", "port": 80, "weight": 1 },
            ],
        })
    };
    (0..count).map(rule).collect()
}

criterion_group!(benches, routes);
criterion_main!(benches);

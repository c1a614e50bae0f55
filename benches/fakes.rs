//! The fake API server's operations by verb, through a kube client, on a server with a hundred StatefulSets.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot be set up has nothing to say")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use futures::{Stream, StreamExt};
use k8s_openapi::api::apps::v1::StatefulSet;
use kube::{
    Api,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams},
};
use serde_json::json;
use slipway_fakes::{Clock, Cluster, ClusterOptions};
use tokio::runtime::Runtime;

/// StatefulSets on the server.
const OBJECTS: usize = 100;

fn stateful_set(name: &str) -> StatefulSet {
    let labels = json!({ "app": name });
    serde_json::from_value(json!({
        "metadata": { "name": name, "labels": labels },
        "spec": {
            "replicas": 0,
            "serviceName": name,
            "selector": { "matchLabels": labels },
            "template": {
                "metadata": { "labels": labels },
                "spec": { "containers": [{ "name": "main", "image": "main:v1" }] },
            },
        },
    }))
    .unwrap()
}

fn server() -> (Runtime, Api<StatefulSet>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let api = runtime.block_on(async {
        let clock = Clock::new("2026-01-01T00:00:00Z".parse().unwrap(), 1);
        let cluster = Cluster::start(ClusterOptions::new(clock));
        let api: Api<StatefulSet> = Api::namespaced(cluster.client(), "default");
        for index in 0..OBJECTS {
            api.create(&PostParams::default(), &stateful_set(&format!("web-{index}"))).await.unwrap();
        }
        api
    });
    (runtime, api)
}

fn reads(criterion: &mut Criterion) {
    let (runtime, api) = server();
    let mut group = criterion.benchmark_group("fake API server");
    group.bench_function("get", |bencher| {
        bencher.iter(|| black_box(runtime.block_on(api.get("web-50")).unwrap()));
    });
    group.bench_function("list 100", |bencher| {
        bencher.iter(|| black_box(runtime.block_on(api.list(&ListParams::default())).unwrap()));
    });
    group.finish();
}

fn writes(criterion: &mut Criterion) {
    let (runtime, api) = server();
    let mut group = criterion.benchmark_group("fake API server");
    let mut count = 0;
    let mut next = || {
        count += 1;
        count
    };
    group.bench_function("create and delete", |bencher| {
        bencher.iter(|| {
            runtime.block_on(async {
                let name = format!("new-{}", next());
                api.create(&PostParams::default(), &stateful_set(&name)).await.unwrap();
                api.delete(&name, &DeleteParams::default()).await.unwrap();
            });
        });
    });
    let mut current = runtime.block_on(api.get("web-1")).unwrap();
    group.bench_function("update", |bencher| {
        bencher.iter(|| {
            current.metadata.annotations = Some([("turn".to_owned(), next().to_string())].into());
            current = runtime.block_on(replaced(&api, &current));
        });
    });
    group.bench_function("merge patch", |bencher| {
        bencher.iter(|| {
            let patch = json!({ "metadata": { "annotations": { "turn": next().to_string() } } });
            runtime.block_on(api.patch("web-2", &PatchParams::default(), &Patch::Merge(patch))).unwrap()
        });
    });
    group.bench_function("apply", |bencher| {
        bencher.iter(|| {
            let patch = json!({
                "apiVersion": "apps/v1",
                "kind": "StatefulSet",
                "metadata": { "annotations": { "turn": next().to_string() } },
            });
            runtime.block_on(api.patch("web-3", &PatchParams::apply("bench"), &Patch::Apply(patch))).unwrap()
        });
    });
    group.finish();
}

/// Replaces an object, on top of what the controllers made of it meanwhile.
async fn replaced(api: &Api<StatefulSet>, object: &StatefulSet) -> StatefulSet {
    let mut object = object.clone();
    loop {
        match api.replace("web-1", &PostParams::default(), &object).await {
            Ok(replaced) => return replaced,
            Err(_) => object.metadata.resource_version = api.get("web-1").await.unwrap().metadata.resource_version,
        }
    }
}

fn watches(criterion: &mut Criterion) {
    let (runtime, api) = server();
    let mut group = criterion.benchmark_group("fake API server");
    let mut turn = 0;
    let mut events = runtime.block_on(async {
        let version = api.list(&ListParams::default()).await.unwrap().metadata.resource_version.unwrap();
        api.watch(&WatchParams::default(), &version).await.unwrap().boxed()
    });
    group.bench_function("merge patch and its watch event", |bencher| {
        bencher.iter(|| {
            turn += 1;
            runtime.block_on(async {
                let patch = json!({ "metadata": { "annotations": { "turn": turn.to_string() } } });
                api.patch("web-4", &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
                seen(&mut events, &turn.to_string()).await;
            });
        });
    });
    group.finish();
}

/// Waits for the event that shows the turn.
async fn seen(events: &mut (impl Stream<Item = kube::Result<WatchEvent<StatefulSet>>> + Unpin), turn: &str) {
    while let Some(event) = events.next().await {
        let WatchEvent::Modified(object) = event.unwrap() else { continue };
        let annotations = object.metadata.annotations.unwrap_or_default();
        if annotations.get("turn").is_some_and(|it| it == turn) {
            return;
        }
    }
}

criterion_group!(benches, reads, writes, watches);
criterion_main!(benches);

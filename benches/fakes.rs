//! The fake API server's operations by verb, asked as a client in the process asks: one request, answered whole.
//!
//! Objects are StatefulSets of 1.6 kB, as they are stored. Every group has the number of objects or of watchers in its
//! name, so that one run shows what a cost depends on.

use std::hint::black_box;

use criterion::{
    BatchSize, BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main,
    measurement::WallTime,
};
use slipway_benches::{
    loopback::Connection,
    server::{Server, Watcher},
};

/// Objects on the server when their number is not what is measured.
const OBJECTS: usize = 100;
/// Objects on the server, from few to more than any cluster has of one kind.
const SIZES: [usize; 4] = [100, 1_000, 10_000, 100_000];
const WATCHERS: [usize; 4] = [0, 1, 10, 1_000];

fn verbs(criterion: &mut Criterion) {
    let mut server = Server::with_objects(OBJECTS);
    let mut group = criterion.benchmark_group("verbs");
    group.throughput(Throughput::Elements(1));
    group.bench_function("get", |bencher| bencher.iter(|| black_box(server.get("web-50"))));
    let form = server.update_form("web-1");
    group.bench_function("update", |bencher| bencher.iter(|| server.update("web-1", &form)));
    in_process(&mut group, &mut server);
    for (name, content_type) in [
        ("merge patch", "application/merge-patch+json"),
        ("strategic merge patch", "application/strategic-merge-patch+json"),
        ("JSON patch", "application/json-patch+json"),
        ("apply", "application/apply-patch+yaml"),
    ] {
        group.bench_function(name, |bencher| bencher.iter(|| server.patch("web-2", content_type)));
    }
    group.bench_function("create and delete", |bencher| bencher.iter(|| server.create_and_delete()));
    group.finish();
}

/// The same without requests, as controllers and tests in the process ask.
fn in_process(group: &mut BenchmarkGroup<'_, WallTime>, server: &mut Server) {
    group.bench_function("get in process", |bencher| bencher.iter(|| black_box(server.look_up("web-50"))));
    let draft = server.draft("web-3");
    let mut watcher = server.watch();
    group.bench_function("update in process and its event", |bencher| {
        bencher.iter_batched(
            || draft.clone(),
            |draft| {
                server.replace("web-3", draft);
                server.next_event(&mut watcher)
            },
            BatchSize::SmallInput,
        );
    });
}

/// Over a connection of this machine, one request after the other.
fn loopback(criterion: &mut Criterion) {
    let mut server = Server::with_objects(OBJECTS);
    let form = server.update_form("web-1");
    let mut connection = Connection::to(server);
    let mut group = criterion.benchmark_group("loopback");
    group.throughput(Throughput::Elements(1));
    group.bench_function("get", |bencher| bencher.iter(|| black_box(connection.get("web-50"))));
    group.bench_function("update", |bencher| bencher.iter(|| black_box(connection.update("web-1", &form))));
    group.finish();
}

fn by_objects(criterion: &mut Criterion) {
    for size in SIZES {
        let mut server = Server::with_objects(size);
        let form = server.update_form("web-1");
        let mut group = criterion.benchmark_group("by objects");
        group.sample_size(20);
        group.throughput(Throughput::Elements(1));
        group.bench_function(BenchmarkId::new("get", size), |bencher| bencher.iter(|| black_box(server.get("web-50"))));
        group
            .bench_function(BenchmarkId::new("update", size), |bencher| bencher.iter(|| server.update("web-1", &form)));
        group.bench_function(BenchmarkId::new("page of 100", size), |bencher| {
            bencher.iter(|| black_box(server.list("?limit=100")));
        });
        group.finish();
    }
}

fn by_watchers(criterion: &mut Criterion) {
    for count in WATCHERS {
        let mut server = Server::with_objects(OBJECTS);
        let form = server.update_form("web-1");
        let mut watchers: Vec<Watcher> = (0..count).map(|_| server.watch()).collect();
        let mut group = criterion.benchmark_group("by watchers");
        group.sample_size(20);
        group.throughput(Throughput::Elements(1));
        group.bench_function(BenchmarkId::new("update and its events", count), |bencher| {
            bencher.iter(|| {
                server.update("web-1", &form);
                for watcher in &mut watchers {
                    black_box(server.next_event(watcher));
                }
            });
        });
        group.finish();
    }
}

/// A list beside writing out the bytes that it consists of.
fn lists(criterion: &mut Criterion) {
    for size in [100, 10_000] {
        let server = Server::with_objects(size);
        let whole = server.list("");
        let mut group = criterion.benchmark_group("lists");
        group.sample_size(20);
        group.throughput(Throughput::Bytes(whole.len() as u64));
        group.bench_function(BenchmarkId::new("list", size), |bencher| bencher.iter(|| black_box(server.list(""))));
        group.bench_function(BenchmarkId::new("its bytes written out", size), |bencher| {
            bencher.iter(|| {
                let mut copy = Vec::new();
                for piece in whole.chunks(whole.len() / size) {
                    copy.extend_from_slice(black_box(piece));
                }
                black_box(copy)
            });
        });
        group.bench_function(BenchmarkId::new("list by a label that one has", size), |bencher| {
            bencher.iter(|| black_box(server.list("?labelSelector=app%3Dweb-50")));
        });
        group.finish();
    }
}

criterion_group!(benches, verbs, loopback, by_watchers, lists, by_objects);
criterion_main!(benches);

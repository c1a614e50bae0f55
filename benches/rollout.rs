//! One seeded rollout of 30 pods in three clusters, start to end, in virtual time.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot be set up has nothing to say")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};

/// The one run that is measured.
const SEED: u64 = 1;

fn rollouts(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("rollout of 30 pods in 3 clusters");
    group.sample_size(10);
    for (name, faults) in [("without faults", false), ("with faults", true)] {
        let scenario = slipway_benches::scenario(faults).unwrap();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let outcome = slipway_sim::run(black_box(&scenario), SEED);
                assert!(outcome.ok, "{}", outcome.timeline);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, rollouts);
criterion_main!(benches);

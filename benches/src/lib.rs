//! What the benchmarks run on.

pub mod loopback;
pub mod server;

use slipway_sim::{Scenario, ScenarioError};

/// Clusters of the application.
const CLUSTERS: [&str; 3] = ["east", "north", "west"];
/// Its workloads in each cluster, of five pods each.
const WORKLOADS: [&str; 2] = ["backend", "frontend"];

/// Faults of many kinds, each now and then.
const FAULTS: &str = "
faults:
  until: 3m
  lost-request: 1/100
  lost-response: 1/100
  conflict: 1/50
  unavailable: 1/100
  dropped-watch: 1/20
  crash: 1/100
";

/// A rollout of 30 pods in three clusters through three batches and a breakpoint, without or with faults.
pub fn scenario(faults: bool) -> Result<Scenario, ScenarioError> {
    let clusters = CLUSTERS.map(|it| format!("  - name: {it}\n")).concat();
    let line = |cluster, name| format!("    - {{cluster: {cluster}, name: {name}, replicas: 5, image: '{name}:v1'}}\n");
    let workloads = CLUSTERS.map(|cluster| WORKLOADS.map(|name| line(cluster, name)).concat()).concat();
    let text = format!(
        "
description: Thirty pods in three clusters move to a new version.
clusters:
{clusters}application:
  name: storefront
  workloads:
{workloads}  strategy:
    batch:
      batches:
        - replicas: 1
        - {{replicas: 3, replicaSlidingWindow: 1, breakpoint: true}}
        - replicas: 100%
timeline:
  - after: 30s
    do: {{set-image: {{image: 'it:v2'}}}}
  - when: {{phase: Paused}}
    after: 10s
    do: {{command: continue}}
expect:
  run: {{phase: Succeeded}}
{}",
        if faults { FAULTS } else { "" }
    );
    Scenario::parse("bench", &text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rollouts_come_to_their_end() {
        for faults in [false, true] {
            let outcome = slipway_sim::run(&scenario(faults).unwrap(), 1);
            assert!(outcome.ok, "{}", outcome.timeline);
        }
    }
}

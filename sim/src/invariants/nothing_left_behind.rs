//! What a run put on objects goes with it.

use super::{About, Ending, Invariant};
use crate::facts::{Facts, Origin, RunFacts};

/// After the end of a run its canary is gone, its workloads carry no `progressing-info`, its Deployments have the user's
/// own strategy, minReadySeconds and deadline again, no fork of a backend is left and no part of ours in a route, and no
/// command on Rollout or run; after
/// the Rollout is gone, or a run made by hand has ended, its workloads carry nothing of ours, but for the record of the
/// user's strategy where an update is pending; and with a Rollout its runs are gone.
pub(super) struct NothingLeftBehind;

impl Invariant for NothingLeftBehind {
    fn about(&self) -> About {
        About {
            name: "nothing_left_behind",
            sentence: "nothing a run put on objects stays after its end, nothing of ours after the Rollout's",
            reference: "DESIGN section 5, nothing left behind",
            live: true,
        }
    }

    fn finish(&mut self, facts: &Facts, ending: &Ending) -> Option<String> {
        if !ending.rested {
            // It did not come to the end, which is a breach of its own.
            return None;
        }
        let active = facts.runs.iter().any(|run| !run.gone && !run.ended());
        // Only a run made by hand goes on without a Rollout.
        let rollouts_gone = facts.rollouts.values().all(|rollout| rollout.gone);
        let began = !facts.rollouts.is_empty() || !facts.runs.is_empty();
        requests(facts).or_else(|| if began && rollouts_gone && !active { after_rollout(facts) } else { None }).or_else(
            || {
                if active {
                    None
                } else {
                    progressing(facts).or_else(|| canary(facts)).or_else(|| lent(facts)).or_else(|| traffic(facts))
                }
            },
        )
    }
}

fn canary(facts: &Facts) -> Option<String> {
    let (id, _) = facts.workloads.iter().find(|(_, workload)| workload.is_copy())?;
    Some(format!("canary {id} is still there"))
}

fn traffic(facts: &Facts) -> Option<String> {
    let routes = facts.routes.iter().filter(|(_, route)| !route.gone);
    let left = routes.filter_map(|(id, route)| Some(format!("{} {id} still has {}", route.kind, route.ours.first()?)));
    let fork = facts.forks.iter().find(|(_, there)| **there);
    left.chain(fork.map(|(id, _)| format!("{} {id} is still there", id.kind))).next()
}

fn lent(facts: &Facts) -> Option<String> {
    facts.workloads.iter().find_map(|(id, workload)| {
        let left = workload.deployment.as_ref()?.not_put_back(workload.pending())?;
        Some(format!("{id} has not got back the user's spec.{left}"))
    })
}

fn requests(facts: &Facts) -> Option<String> {
    let rollouts = facts.rollouts.values().filter(|r| !r.gone).map(|r| ("Rollout", &r.name, &r.requests));
    let runs = facts.runs.iter().filter(|r| !r.gone).map(|r| (r.kind(), &r.name, &r.requests));
    let (kind, name, left) = rollouts.chain(runs).find(|(_, _, requests)| !requests.is_empty())?;
    Some(format!("{kind} {name} still carries {}", left.join(", ")))
}

fn progressing(facts: &Facts) -> Option<String> {
    facts.workloads.iter().find_map(|(id, workload)| {
        let left = workload.ours.iter().find(|key| key.ends_with("/progressing-info"))?;
        Some(format!("{id} still carries {left}"))
    })
}

fn after_rollout(facts: &Facts) -> Option<String> {
    let left = facts.workloads.iter().find_map(|(id, workload)| {
        let kept = |key: &&String| workload.pending() && key.ends_with("/update-strategy");
        let left = workload.ours.iter().find(|key| !kept(key))?;
        Some(format!("{id} still carries {left}, but nothing rolls it out any more"))
    });
    let run = |run: &&RunFacts| !run.gone && run.origin == Origin::Rollout;
    left.or_else(|| facts.runs.iter().find(run).map(|run| format!("run {} outlived its Rollout", run.name)))
}

//! Never more requests for the new version than the step gives it.

use std::collections::BTreeMap;

use slipway_fakes::gateway::{BackendId, RuleShares, WHOLE};

use super::{About, Invariant};
use crate::facts::Facts;

/// What rounding shares down can be off by: a part for each pod.
const ROUNDING: u64 = WHOLE / 1_000_000;

/// Looks at what gateways have in force, whenever that changes, and never at requests: of what a rule gives to the forks of
/// one backend, pods of the new version get no more than the steps begun so far allow. A rule that matches what the step
/// matches is for them alone. A rule that names the users' own backend divides requests as pods are, which no step limits.
pub(super) struct TrafficShare;

/// What the forks of one backend get of a rule, in parts of [`WHOLE`].
#[derive(Default)]
struct Forks {
    all: u64,
    /// By the name of the run that answers for them, with what it allows.
    new: BTreeMap<String, (u64, u64)>,
}

impl Invariant for TrafficShare {
    fn about(&self) -> About {
        About {
            name: "traffic_share",
            sentence: "the share of traffic on pods of the new version never exceeds the step's, read from weights in force",
            reference: "DESIGN section 5, exposure ceiling",
            live: false,
        }
    }

    fn programmed(&mut self, facts: &Facts, cluster: &str) -> Option<String> {
        let rules = &facts.gateways.get(cluster)?.rules;
        rules.iter().filter(|rule| !facts.is_for_matches(cluster, rule)).find_map(|rule| {
            let (backend, forks) = of_rule(facts, cluster, rule).into_iter().find(|(_, forks)| forks.exceeded())?;
            let (run, (new, allowed)) = forks.new.iter().max_by_key(|(_, (new, _))| *new)?;
            let (place, percent) =
                (format!("{cluster}/{} rules[{}]", rule.route.name, rule.index), percent(*new, forks.all));
            Some(format!(
                "{place} gives {percent} of {backend}'s requests to the new version, run {run} allows {allowed}%"
            ))
        })
    }
}

/// What a rule gives to forks, by what they are forks of.
fn of_rule(facts: &Facts, cluster: &str, rule: &RuleShares) -> BTreeMap<BackendId, Forks> {
    let mut all: BTreeMap<BackendId, Forks> = BTreeMap::new();
    for share in &rule.backends {
        let origin = facts.origin(cluster, &share.backend);
        if origin == share.backend {
            continue;
        }
        let forks = all.entry(origin).or_default();
        forks.all += share.share;
        for (pod, part) in &share.pods {
            let Some(run) = facts.exposing(pod) else { continue };
            let Some(allowed) = run.traffic_allowed() else { continue };
            forks.new.entry(run.name.clone()).or_insert((0, allowed)).0 += part;
        }
    }
    all
}

impl Forks {
    fn exceeded(&self) -> bool {
        let exceeds = |(new, allowed): &(u64, u64)| new.saturating_mul(100) > allowed * self.all + ROUNDING * 100;
        self.new.values().any(exceeds)
    }
}

fn percent(part: u64, all: u64) -> String {
    format!("{}%", part.saturating_mul(100).checked_div(all).unwrap_or_default())
}

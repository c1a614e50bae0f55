//! No request is lost between two writes.

use slipway_fakes::gateway::State;

use super::{About, Invariant};
use crate::facts::{Change, Delta, Facts, Verb};

/// Looks at what gateways have in force, whenever that changes or a pod goes: no rule gives a share of its requests to a
/// fork that is not there or has no pod that serves, while the backend that it is a fork of has one. Pods that are gone do
/// not serve, though a gateway may still think so. Such a request is answered 500 or
/// 503, and would have been served without us. It is told from the weights, whoever sends requests or not.
pub(super) struct NoLostRequest;

impl Invariant for NoLostRequest {
    fn about(&self) -> About {
        About {
            name: "no_lost_request",
            sentence: "no gateway gives requests to a fork without ready endpoints while the users' backend has some",
            reference: "DESIGN section 3, order of writes",
            live: false,
        }
    }

    fn observe(&mut self, facts: &Facts, _: &Delta, change: &Change<'_>) -> Option<String> {
        if change.plural != "pods" || change.verb != Verb::Delete {
            return None;
        }
        facts.gateways.keys().find_map(|cluster| lost(facts, cluster))
    }

    fn programmed(&mut self, facts: &Facts, cluster: &str) -> Option<String> {
        lost(facts, cluster)
    }
}

fn lost(facts: &Facts, cluster: &str) -> Option<String> {
    facts.gateways.get(cluster)?.rules.iter().find_map(|rule| {
        let (share, origin) = facts.lost(cluster, rule)?;
        let (place, weight) = (format!("{cluster}/{} rules[{}]", rule.route.name, rule.index), share.weight);
        let state =
            if share.state == State::Serving { "gone with its pods".to_owned() } else { share.state.to_string() };
        Some(format!("{place} gives weight {weight} to {}, which is {state}, while {origin} serves", share.backend))
    })
}

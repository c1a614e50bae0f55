//! No request is lost between two writes.

use super::{About, Invariant};
use crate::facts::Facts;

/// Looks at what gateways have in force, whenever that changes: no rule gives a share of its requests to a fork that is
/// not there or has no pod that serves, while the backend that it is a fork of has one. Such a request is answered 500 or
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

    fn programmed(&mut self, facts: &Facts, cluster: &str) -> Option<String> {
        facts.gateways.get(cluster)?.rules.iter().find_map(|rule| {
            let (share, origin) = facts.lost(cluster, rule)?;
            let (place, weight) = (format!("{cluster}/{} rules[{}]", rule.route.name, rule.index), share.weight);
            Some(format!(
                "{place} gives weight {weight} to {}, which is {}, while {origin} serves",
                share.backend, share.state
            ))
        })
    }
}

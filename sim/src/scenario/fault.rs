//! Faults, at random and scripted.

use serde::Deserialize;

use super::{Ratio, Span, Time};
use crate::random::{Concern, Dice};

/// Faults that strike at random, each as a ratio, until a point in time.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Swarm {
    /// When the last of them strikes. Required as soon as there is one.
    pub until: Option<Time>,
    /// Whether each seed also draws which of the kinds are on, and how hard.
    pub swarm: bool,
    /// Of all requests: never reaches the API server; the caller gets an error.
    pub lost_request: Ratio,
    /// Of all requests: answered, but the answer is lost; a write has landed.
    pub lost_response: Ratio,
    /// Of all updates: answered with 409 in place of the API server.
    pub conflict: Ratio,
    /// Of all requests: answered with 429 and Retry-After.
    pub throttled: Ratio,
    /// Of all requests: answered with 500.
    pub server_error: Ratio,
    /// Of all requests: answered with 503.
    pub unavailable: Ratio,
    /// Of all watches: end within a minute without a word.
    pub dropped_watch: Ratio,
    /// Of all watches: answered with 410.
    pub expired_watch: Ratio,
    /// Of all requests: from here on the cluster is unreachable for five to thirty seconds.
    pub unreachable: Ratio,
    /// Of all writes: the operator crashes before or after this one lands.
    pub crash: Ratio,
}

impl Swarm {
    /// Every ratio with its name.
    pub fn ratios(&self) -> [(&'static str, Ratio); 10] {
        [
            ("lost-request", self.lost_request),
            ("lost-response", self.lost_response),
            ("conflict", self.conflict),
            ("throttled", self.throttled),
            ("server-error", self.server_error),
            ("unavailable", self.unavailable),
            ("dropped-watch", self.dropped_watch),
            ("expired-watch", self.expired_watch),
            ("unreachable", self.unreachable),
            ("crash", self.crash),
        ]
    }

    /// What a seed makes of it: with `swarm`, every kind is off for half of the seeds, and on at one to four quarters
    /// of its ratio for the others.
    #[must_use]
    pub fn drawn(&self, seed: u64) -> Self {
        let mut drawn = self.clone();
        if !self.swarm {
            return drawn;
        }
        let mut dice = Dice::new(seed, Concern::Swarm, 0);
        for ratio in [
            &mut drawn.lost_request,
            &mut drawn.lost_response,
            &mut drawn.conflict,
            &mut drawn.throttled,
            &mut drawn.server_error,
            &mut drawn.unavailable,
            &mut drawn.dropped_watch,
            &mut drawn.expired_watch,
            &mut drawn.unreachable,
            &mut drawn.crash,
        ] {
            let (on, quarters) = (dice.below(2) == 1, 1 + dice.below(4));
            let quarters = u32::try_from(quarters).unwrap_or(4);
            *ratio = if on {
                Ratio { hits: ratio.hits.saturating_mul(quarters), of: ratio.of.saturating_mul(4) }
            } else {
                Ratio::NEVER
            };
        }
        drawn
    }
}

/// A fault at a point of the timeline.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Strike {
    /// A cluster cannot be reached for a while, and its watches end.
    Unreachable(Unreachable),
    /// All watches of a cluster end without a word. Without a cluster, everywhere.
    DropWatches(Where),
    /// All watches of a cluster end, and what they missed is compacted away: they are answered with 410.
    ExpireWatches(Where),
    /// The next writes get lost on the way.
    LoseRequests(NextFault),
    /// The next writes land, but their answers get lost.
    LoseResponses(NextFault),
    /// The next updates are answered with 409 in place of the API server.
    Conflict(NextFault),
    /// The next requests are answered with this status.
    Answer(NextAnswer),
    /// A pod loses its readiness.
    LoseReadiness(super::ObjectRef),
}

/// A cluster, or all of them.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Where {
    /// The cluster; `hub` for the hub, absent for all.
    pub cluster: Option<String>,
}

/// A cluster that cannot be reached.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Unreachable {
    /// The cluster; `hub` for the hub.
    pub cluster: String,
    /// For how long.
    #[serde(rename = "for")]
    pub lasts: Time,
    /// What becomes of requests meanwhile.
    #[serde(default)]
    pub requests: Hang,
}

/// What becomes of requests to a cluster that cannot be reached.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Hang {
    /// They fail at once.
    #[default]
    Fail,
    /// They get no answer until it is over, and fail then.
    Hang,
}

/// A fault that strikes the next so many requests.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct NextFault {
    /// The cluster; `hub` for the hub.
    pub cluster: String,
    /// How many requests.
    #[serde(default = "once")]
    pub times: u32,
}

/// An answer in place of the API server's for the next so many requests.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct NextAnswer {
    /// The cluster; `hub` for the hub.
    pub cluster: String,
    /// The HTTP status: 429, 500 or 503.
    pub status: u16,
    /// How many requests.
    #[serde(default = "once")]
    pub times: u32,
}

const fn once() -> u32 {
    1
}

/// How long a drawn window of unreachability lasts.
pub const UNREACHABLE_FOR: Span = Span::millis(5_000, 30_000);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_swarm_draws_which_faults_are_on() {
        let ratio = Ratio { hits: 1, of: 10 };
        let swarm = Swarm { swarm: true, lost_request: ratio, crash: ratio, ..Swarm::default() };
        let drawn: Vec<_> = (0..100).map(|seed| swarm.drawn(seed)).collect();
        let on = drawn.iter().filter(|s| s.crash.hits > 0).count();
        assert!((20..80).contains(&on), "{on} of 100 seeds crash");
        assert!(drawn.iter().all(|s| s.conflict.hits == 0), "what is off stays off");
        assert!(drawn.iter().all(|s| s.crash.hits * 10 <= s.crash.of), "nothing gets harder than stated");
    }
}

//! What becomes of a request: drawn when it is sent, all dice every time, so that one kind of fault does not shift the
//! others.

use std::time::Duration;

use tokio::time::Instant;

use super::{Wanted, Wire};
use crate::{
    coverage::Situation,
    random::{Concern, Dice},
    scenario::{Ratio, Span, Swarm, UNREACHABLE_FOR},
};

/// The faults of one wire.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Time on the wire, each way.
    pub(crate) latency: Span,
    /// Faults at random, as drawn for this seed.
    pub(crate) swarm: Swarm,
    /// When the last of them strikes.
    pub(crate) until: Instant,
}

/// One stream per concern.
pub(super) struct Dices {
    latency: Dice,
    loss: Dice,
    refusal: Dice,
    watch: Dice,
    partition: Dice,
}

impl Dices {
    pub(super) fn new(seed: u64, lane: u32) -> Self {
        let dice = |concern| Dice::new(seed, concern, lane);
        Self {
            latency: dice(Concern::Latency),
            loss: dice(Concern::Loss),
            refusal: dice(Concern::Refusal),
            watch: dice(Concern::Watch),
            partition: dice(Concern::Partition),
        }
    }
}

/// What becomes of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fate {
    pub(super) there: Duration,
    pub(super) back: Duration,
    pub(super) lost_request: bool,
    pub(super) lost_response: bool,
    /// Answered with this status in place of the API server.
    pub(super) answered: Option<u16>,
    /// A watch answered with 410.
    pub(super) expired: bool,
    /// A watch that ends after so long.
    pub(super) ends: Option<Duration>,
    /// The cluster is out of reach from here on for so long.
    pub(super) dark: Option<Duration>,
}

/// How long a dropped watch lasts.
const WATCH_LASTS: Span = Span::millis(0, 60_000);

impl Wire {
    /// Draws the fate of a request; scripted faults come first.
    pub(super) fn fate(&self, wanted: &Wanted) -> Fate {
        let swarm = &self.plan.swarm;
        let on = Instant::now() < self.plan.until;
        let update = matches!(wanted.verb, "PUT" | "PATCH");
        let mut state = self.lock();
        let dices = &mut state.dices;
        let [there, back] = [(); 2].map(|()| dices.latency.within(self.plan.latency));
        let hit = |dice: &mut Dice, ratio: Ratio| dice.hits(ratio) && on;
        let mut fate = Fate {
            there,
            back,
            lost_request: hit(&mut dices.loss, swarm.lost_request),
            lost_response: hit(&mut dices.loss, swarm.lost_response),
            ..Fate::default()
        };
        let refusals =
            [(409, swarm.conflict), (429, swarm.throttled), (500, swarm.server_error), (503, swarm.unavailable)];
        for (status, ratio) in refusals {
            let strikes = hit(&mut dices.refusal, ratio) && (update || status != 409);
            fate.answered = fate.answered.or(strikes.then_some(status));
        }
        let (drops, lasts) = (hit(&mut dices.watch, swarm.dropped_watch), dices.watch.within(WATCH_LASTS));
        fate.ends = drops.then_some(lasts);
        fate.expired = hit(&mut dices.watch, swarm.expired_watch);
        let (dark, lasts) = (hit(&mut dices.partition, swarm.unreachable), dices.partition.within(UNREACHABLE_FOR));
        fate.dark = dark.then_some(lasts);
        if wanted.write {
            fate.lost_request |= take(&mut state.lose_requests);
            fate.lost_response |= take(&mut state.lose_responses);
        }
        if update && take(&mut state.conflicts) {
            fate.answered = Some(409);
        }
        if !wanted.watch && !state.answers.is_empty() {
            fate.answered = Some(state.answers.remove(0));
        }
        fate.expired |= wanted.watch && take(&mut state.expire);
        fate
    }

    /// Time on the wire for one watch event.
    pub(super) fn delay(&self) -> Duration {
        self.lock().dices.latency.within(self.plan.latency)
    }

    pub(super) fn watch_dropped(&self) {
        self.recorder.trace(&format!("- fault {}: a watch is dropped", self.cluster));
        self.recorder.hit(Situation::WatchDropped);
    }
}

fn take(count: &mut u32) -> bool {
    let some = *count > 0;
    *count = count.saturating_sub(1);
    some
}

//! What must hold at every write, whatever happens.
//!
//! One invariant per file. Each is checked on the facts after every write of any cluster, and looks only at what the
//! write touched.

mod capacity_floor;
mod exposure_ceiling;
mod finished;
mod monotone;
mod no_alarm;
mod no_lost_request;
mod no_step_past_breakpoint;
mod no_step_past_hook;
mod nothing_left_behind;
mod one_key_per_hook;
mod silence_at_rest;
mod traffic_share;
mod users_route_untouched;

use std::{collections::BTreeMap, fmt, time::Duration};

use crate::facts::{Change, Delta, Facts};

/// What an invariant is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct About {
    /// Its name.
    pub name: &'static str,
    /// What holds, in a sentence.
    pub sentence: &'static str,
    /// Where it is defined.
    pub reference: &'static str,
    /// Whether it can also be observed on live clusters, where watches lag behind.
    pub live: bool,
}

/// What is known once the run is over.
#[derive(Clone, Debug, Default)]
pub struct Ending {
    /// What the scenario expected and did not come true within the budget.
    pub unmet: Vec<String>,
    /// The budget, for messages.
    pub budget: String,
    /// Writes that the operator sent while it should have been at rest.
    pub writes_at_rest: Vec<String>,
    /// Whether the rest was watched at all: it begins with the end.
    pub rested: bool,
    /// Panics nobody injected, and log entries of level ERROR.
    pub alarms: Vec<String>,
}

/// Something that must hold.
pub trait Invariant: Send {
    /// What it is.
    fn about(&self) -> About;

    /// Looks at what a write touched. Answers what is wrong.
    fn observe(&mut self, facts: &Facts, delta: &Delta, change: &Change<'_>) -> Option<String> {
        let _ = (facts, delta, change);
        None
    }

    /// Looks at what the gateway of a cluster has in force, after it changed. Answers what is wrong.
    fn programmed(&mut self, facts: &Facts, cluster: &str) -> Option<String> {
        let _ = (facts, cluster);
        None
    }

    /// Looks at the end of the run.
    fn finish(&mut self, facts: &Facts, ending: &Ending) -> Option<String> {
        let _ = (facts, ending);
        None
    }
}

/// Fresh invariants of traffic. They say something where there is a gateway.
pub fn of_traffic() -> Vec<Box<dyn Invariant>> {
    vec![
        Box::new(no_lost_request::NoLostRequest),
        Box::new(traffic_share::TrafficShare),
        Box::new(users_route_untouched::UsersRouteUntouched),
    ]
}

/// Fresh invariants, all of them but those of traffic.
pub fn all() -> Vec<Box<dyn Invariant>> {
    vec![
        Box::new(exposure_ceiling::ExposureCeiling),
        Box::new(capacity_floor::CapacityFloor),
        Box::new(no_step_past_breakpoint::NoStepPastBreakpoint),
        Box::new(no_step_past_hook::NoStepPastHook),
        Box::new(one_key_per_hook::OneKeyPerHook),
        Box::new(monotone::Monotone),
        Box::new(finished::Finished),
        Box::new(silence_at_rest::SilenceAtRest),
        Box::new(nothing_left_behind::NothingLeftBehind),
        Box::new(no_alarm::NoAlarm),
    ]
}

/// Looks an invariant up. The error says which ones there are.
pub fn find(name: &str) -> Result<About, String> {
    let all: Vec<_> = all().iter().chain(&of_traffic()).map(|invariant| invariant.about()).collect();
    all.iter().find(|about| about.name == name).copied().ok_or_else(|| {
        let names: Vec<_> = all.iter().map(|about| about.name).collect();
        format!("unknown invariant `{name}`: use one of {}", names.join(", "))
    })
}

/// How an invariant fared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The invariant.
    pub about: About,
    /// The outcome.
    pub outcome: VerdictOutcome,
}

/// The outcome of a verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VerdictOutcome {
    /// It held.
    Held,
    /// The scenario excepts it, for this reason.
    Excepted(String),
    /// It broke.
    Broken {
        /// When, for the first time.
        at: Duration,
        /// What was wrong.
        breach: String,
    },
}

impl Verdict {
    /// Whether the invariant broke.
    pub fn broken(&self) -> bool {
        matches!(self.outcome, VerdictOutcome::Broken { .. })
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.outcome {
            VerdictOutcome::Held => write!(f, "held    {}", self.about.name),
            VerdictOutcome::Excepted(reason) => write!(f, "off     {}: {reason}", self.about.name),
            VerdictOutcome::Broken { at, breach } => {
                write!(f, "BROKEN  {} at {}: {breach}", self.about.name, crate::trace::seconds(*at))?;
                write!(f, "\n        must hold: {} ({})", self.about.sentence, self.about.reference)
            }
        }
    }
}

/// All invariants with what they found: the first breach of each counts.
pub struct Jury {
    invariants: Vec<Box<dyn Invariant>>,
    breaches: BTreeMap<&'static str, (Duration, String)>,
    except: BTreeMap<String, String>,
}

impl Jury {
    /// All invariants but the excepted ones.
    pub fn new(except: &BTreeMap<String, String>) -> Self {
        Self { invariants: all(), breaches: BTreeMap::new(), except: except.clone() }
    }

    /// The same with the invariants of traffic.
    #[must_use]
    pub fn with_traffic(mut self) -> Self {
        self.invariants.extend(of_traffic());
        self
    }

    /// Checks what a gateway has in force. Answers the breaches that are new.
    pub fn programmed(&mut self, facts: &Facts, cluster: &str, now: Duration) -> Vec<(&'static str, String)> {
        let found = self
            .invariants
            .iter_mut()
            .filter_map(|invariant| Some((invariant.about().name, invariant.programmed(facts, cluster)?)));
        let found: Vec<_> = found.collect();
        self.note(now, found)
    }

    /// Checks a write. Answers the breaches that are new.
    pub fn observe(&mut self, facts: &Facts, delta: &Delta, change: &Change<'_>) -> Vec<(&'static str, String)> {
        let found = self
            .invariants
            .iter_mut()
            .filter_map(|invariant| Some((invariant.about().name, invariant.observe(facts, delta, change)?)));
        let found: Vec<_> = found.collect();
        self.note(facts.now, found)
    }

    /// Checks the end. Answers the breaches that are new.
    pub fn finish(&mut self, facts: &Facts, ending: &Ending, now: Duration) -> Vec<(&'static str, String)> {
        let found = self
            .invariants
            .iter_mut()
            .filter_map(|invariant| Some((invariant.about().name, invariant.finish(facts, ending)?)));
        let found: Vec<_> = found.collect();
        self.note(now, found)
    }

    fn note(&mut self, at: Duration, found: Vec<(&'static str, String)>) -> Vec<(&'static str, String)> {
        let mut new = Vec::new();
        for (name, breach) in found {
            if self.except.contains_key(name) || self.breaches.contains_key(name) {
                continue;
            }
            self.breaches.insert(name, (at, breach.clone()));
            new.push((name, breach));
        }
        new
    }

    /// How each invariant fared.
    pub fn verdicts(&self) -> Vec<Verdict> {
        let outcome = |name: &str| match (self.breaches.get(name), self.except.get(name)) {
            (_, Some(reason)) => VerdictOutcome::Excepted(reason.clone()),
            (Some((at, breach)), None) => VerdictOutcome::Broken { at: *at, breach: breach.clone() },
            (None, None) => VerdictOutcome::Held,
        };
        let verdict = |about: About| Verdict { about, outcome: outcome(about.name) };
        self.invariants.iter().map(|invariant| verdict(invariant.about())).collect()
    }
}

#[cfg(test)]
mod tests;

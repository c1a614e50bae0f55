//! Takes in every write and every fault, in order: facts, invariants, trace, timeline and coverage.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use slipway_fakes::gateway::{Configuration, Programmed, RuleShares};
use slipway_fakes::store::{Event, EventType};
use tokio::{sync::Notify, time::Instant};

use crate::{
    coverage::{Coverage, Situation},
    facts::{Change, Delta, Facts, HookId, InForce, Said, Species, Verb, Who},
    invariants::{Ending, Jury, Verdict},
    story::{self, Story},
    trace::{Trace, digest},
};

/// A shared recorder of one run.
#[derive(Clone)]
pub(crate) struct Recorder {
    inner: Arc<Mutex<Inner>>,
    /// Rung after every write, for those who wait for a condition.
    pub(crate) bell: Arc<Notify>,
    start: Instant,
}

struct Inner {
    facts: Facts,
    jury: Jury,
    trace: Trace,
    story: Story,
    coverage: Coverage,
    /// Writes sent by the operator, and since when it should send none.
    writes: u32,
    resting: bool,
    writes_at_rest: Vec<String>,
}

/// What a recorder has in the end.
pub(crate) struct Record {
    pub(crate) facts: Facts,
    pub(crate) trace: Trace,
    pub(crate) story: Story,
    pub(crate) coverage: Coverage,
    pub(crate) verdicts: Vec<Verdict>,
    pub(crate) writes: u32,
}

impl Recorder {
    pub(crate) fn new(jury: Jury) -> Self {
        let inner = Inner {
            facts: Facts::default(),
            jury,
            trace: Trace::default(),
            story: Story::default(),
            coverage: Coverage::default(),
            writes: 0,
            resting: false,
            writes_at_rest: Vec::new(),
        };
        Self { inner: Arc::new(Mutex::new(inner)), bell: Arc::default(), start: Instant::now() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Virtual time since the start.
    pub(crate) fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// Reads the facts.
    pub(crate) fn facts<T>(&self, read: impl FnOnce(&Facts) -> T) -> T {
        read(&self.lock().facts)
    }

    /// Waits until the facts say so.
    pub(crate) async fn until(&self, is: impl Fn(&Facts) -> bool) {
        loop {
            let rung = self.bell.notified();
            let mut rung = std::pin::pin!(rung);
            // Enabled before the look, so that no write falls between the two.
            rung.as_mut().enable();
            if self.facts(&is) {
                return;
            }
            rung.await;
        }
    }

    /// A write of a store.
    pub(crate) fn write(&self, cluster: &str, who: Who, event: &Event) {
        let key = event.key();
        let verb = match event.kind {
            EventType::Added => Verb::Create,
            EventType::Modified => Verb::Update,
            EventType::Deleted => Verb::Delete,
        };
        let change = Change {
            at: self.now(),
            cluster,
            who,
            verb,
            plural: &key.resource.plural,
            namespace: &key.namespace,
            name: &key.name,
            old: event.old.as_ref().map(|old| &*old.value),
            new: &event.new.value,
        };
        let mut inner = self.lock();
        inner.trace_write(&change, &event.new.bytes);
        inner.take_in(&change);
        drop(inner);
        self.bell.notify_waiters();
    }

    /// A gateway has something else in force.
    pub(crate) fn programmed(&self, cluster: &str, configuration: &Configuration, what: &Programmed) {
        let at = self.now();
        let mut inner = self.lock();
        let Inner { facts, jury, story, trace, coverage, .. } = &mut *inner;
        facts.programmed(cluster, configuration);
        trace.line(at, &format!("- gateway {cluster} {}", programmed(facts, cluster, configuration, what)));
        if let Programmed::Route(id) = what {
            story.line(at, "gateway", &format!("{cluster}/{}: in force", id.name));
        }
        if facts.gateways.get(cluster).is_some_and(InForce::is_divided) {
            coverage.hit(Situation::TrafficDivided);
        }
        if facts.gateways.get(cluster).is_some_and(InForce::is_switched) {
            coverage.hit(Situation::TrafficSwitched);
        }
        for (name, breach) in jury.programmed(facts, cluster, at) {
            broken(trace, story, at, name, &breach);
        }
        drop(inner);
        self.bell.notify_waiters();
    }

    /// Something the operator, a user or a fault did that is no write.
    pub(crate) fn tell(&self, actor: &str, text: &str) {
        let at = self.now();
        let mut inner = self.lock();
        inner.trace.line(at, &format!("- {actor} {text}"));
        inner.story.line(at, actor, text);
    }

    /// The same for the trace alone.
    pub(crate) fn trace(&self, text: &str) {
        let at = self.now();
        self.lock().trace.line(at, text);
    }

    /// A hook was asked, and says or does something. Answering is no write, but at rest nobody asks.
    pub(crate) fn asked(&self, id: HookId, key: &str, said: Said, words: &str) {
        let at = self.now();
        let mut inner = self.lock();
        inner.trace.line(at, &format!("- hook {} {id} key={key} {words}", id.run));
        inner.story.line(at, "hook", &format!("{id} {words}"));
        inner.coverage.hit(Situation::HookAsked);
        if inner.resting {
            inner.writes_at_rest.push(format!("hook {id}"));
        }
        inner.facts.asked(id, key, said);
    }

    /// Counts a situation.
    pub(crate) fn hit(&self, situation: Situation) {
        self.lock().coverage.hit(situation);
    }

    /// How often a situation was reached.
    pub(crate) fn reached(&self, situation: Situation) -> u64 {
        self.lock().coverage.of(situation)
    }

    /// Counts a situation if the facts say so.
    pub(crate) fn hit_if(&self, situation: Situation, is: impl FnOnce(&Facts) -> bool) {
        let mut inner = self.lock();
        if is(&inner.facts) {
            inner.coverage.hit(situation);
        }
    }

    /// A write request that the operator sent, whatever becomes of it. Answers how many that makes.
    pub(crate) fn sent(&self, what: &str) -> u32 {
        let mut inner = self.lock();
        inner.writes += 1;
        if inner.resting {
            inner.writes_at_rest.push(what.to_owned());
        }
        inner.writes
    }

    /// From now on the operator has nothing to do.
    pub(crate) fn rest(&self) {
        self.lock().resting = true;
    }

    /// Judges the end and gives everything out.
    pub(crate) fn finish(&self, mut ending: Ending) -> Record {
        let at = self.now();
        let mut inner = self.lock();
        ending.writes_at_rest = std::mem::take(&mut inner.writes_at_rest);
        let Inner { facts, jury, story, trace, .. } = &mut *inner;
        for (name, breach) in jury.finish(facts, &ending, at) {
            broken(trace, story, at, name, &breach);
        }
        Record {
            facts: inner.facts.clone(),
            trace: inner.trace.clone(),
            story: inner.story.clone(),
            coverage: inner.coverage.clone(),
            verdicts: inner.jury.verdicts(),
            writes: inner.writes,
        }
    }
}

/// What is in force now, for the trace.
fn programmed(facts: &Facts, cluster: &str, configuration: &Configuration, what: &Programmed) -> String {
    match what {
        Programmed::Backend(id) => match configuration.backend(id) {
            Some(backend) => {
                let pods: Vec<_> = backend.endpoints.iter().map(|it| format!("{}/{}", it.cluster, it.pod)).collect();
                format!("{id}: {}", pods.join(" "))
            }
            None => format!("{id}: gone"),
        },
        Programmed::Route(id) => {
            let rules = facts.gateways.get(cluster).map(|it| &*it.rules).unwrap_or_default();
            let shares = |rule: &RuleShares| {
                rule.backends
                    .iter()
                    .map(|it| format!("{} {}", it.backend.name, it.weight))
                    .collect::<Vec<_>>()
                    .join(" ")
            };
            let own: Vec<_> = rules.iter().filter(|rule| rule.route == *id).map(shares).collect();
            format!("{id}: {}", own.join(" | "))
        }
    }
}

fn broken(trace: &mut Trace, story: &mut Story, at: Duration, name: &str, breach: &str) {
    trace.line(at, &format!("! {name} {breach}"));
    story.line(at, "BROKEN", &format!("{name}: {breach}"));
}

impl Inner {
    fn take_in(&mut self, change: &Change<'_>) {
        let delta = self.facts.apply(change);
        self.story.tell(&self.facts, &delta, change);
        if matches!(delta, Delta::Other) && change.who == Who::User && change.plural != "events" {
            let line = story::object_line(change.verb, change.cluster, change.plural, change.name);
            self.story.line(change.at, "user", &line);
        }
        self.cover(&delta, change);
        for (name, breach) in self.jury.observe(&self.facts, &delta, change) {
            broken(&mut self.trace, &mut self.story, change.at, name, &breach);
        }
    }

    fn trace_write(&mut self, change: &Change<'_>, bytes: &[u8]) {
        let verb = match change.verb {
            Verb::Create => "create",
            Verb::Update => "update",
            Verb::Delete => "delete",
        };
        let (cluster, who) = (change.cluster, change.who);
        let (plural, name, digest) = (change.plural, change.name, digest(bytes));
        let essence = essence(change);
        self.trace.line(change.at, &format!("{cluster} {who} {verb} {plural}/{name}{essence} ~{digest:08x}"));
    }

    fn cover(&mut self, delta: &Delta, change: &Change<'_>) {
        for situation in situations(&self.facts, delta, change) {
            self.coverage.hit(situation);
        }
    }
}

/// The part of an object that a reader of the trace looks for.
fn essence(change: &Change<'_>) -> String {
    let (spec, status) = (&change.new["spec"], &change.new["status"]);
    if let Some(species) = Species::of(change.plural, change.new) {
        return format!(
            " partition={} replicas={} updated={} ready={}",
            species.partition(change.new),
            spec["replicas"],
            status["updatedReplicas"],
            status["readyReplicas"]
        );
    }
    match change.plural {
        "rolloutruns" => {
            let batch = &status["batchStatus"];
            format!(
                " phase={} batch={} state={}",
                status["phase"], batch["currentBatchIndex"], batch["currentBatchState"]
            )
        }
        "rollouts" => format!(" phase={}", status["phase"]),
        "pods" => format!(" revision={}", change.new["metadata"]["labels"]["controller-revision-hash"]),
        _ => String::new(),
    }
}

fn situations(facts: &Facts, delta: &Delta, change: &Change<'_>) -> Vec<Situation> {
    let mut reached = Vec::new();
    match delta {
        Delta::Run { index, before: Some(before) } => {
            let run = &facts.runs[*index];
            let came = |is: bool, was: bool, situation| (is && !was).then_some(situation);
            let paused = run.phase == "Paused";
            let skipped = |run: &crate::facts::RunFacts| run.batches.iter().filter(|b| b.state == "Skipped").count();
            reached.extend(came(run.at_breakpoint(), before.at_breakpoint(), Situation::PausedAtBreakpoint));
            reached.extend(came(paused && !run.at_breakpoint(), before.phase == "Paused", Situation::PausedInBatch));
            reached.extend(came(run.error.is_some(), before.error.is_some(), Situation::RunError));
            reached.extend(came(run.phase == "Canceled", before.phase == "Canceled", Situation::RunCanceled));
            reached.extend(came(skipped(run) > skipped(before), false, Situation::BatchSkipped));
        }
        Delta::Workload { id, before: Some(before) } => {
            let Some(after) = facts.workloads.get(id) else { return reached };
            let foreign = change.who != Who::Operator && facts.active_run(id).is_some();
            reached.extend((foreign && before.desired != after.desired).then_some(Situation::ScaledInRun));
            reached.extend((foreign && before.image != after.image).then_some(Situation::TemplateChangedInRun));
        }
        Delta::Pod { id, pod, before, taken_down } => {
            let Some(workload) = facts.workloads.get(id) else { return reached };
            let pod = workload.pods.get(pod);
            let fresh = before.is_none();
            let foreign =
                |pod: &crate::facts::PodFacts| pod.foreign && workload.pending() && pod.revision == workload.updated;
            let troubled = before.as_ref().is_some_and(|before| before.trouble.is_some());
            reached.extend((fresh && pod.is_some_and(foreign)).then_some(Situation::ForeignExposure));
            reached.extend((!troubled && pod.is_some_and(|pod| pod.trouble.is_some())).then_some(Situation::BadImage));
            if *taken_down {
                reached.push(Situation::PodsDown);
                let elsewhere =
                    facts.workloads.iter().any(|(other, w)| other.cluster != id.cluster && !w.down.is_empty());
                reached.extend(elsewhere.then_some(Situation::SeveralClustersMoving));
            }
        }
        Delta::Rollout { name, before: Some(before) } => {
            let deleted = facts.rollouts[name].deleting && !before.deleting;
            let active = facts.runs.iter().any(|run| !run.gone && !run.ended());
            reached.extend((deleted && active).then_some(Situation::RolloutDeletedInRun));
        }
        _ => {}
    }
    reached
}

//! Runs a scenario with a seed.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{Arc, Mutex},
    time::Duration,
};

use slipway_fakes::{Clock, hooks::Endpoints};
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use crate::{
    alarms::Alarms,
    coverage::{self, Coverage},
    expectation,
    hooks::Hooks,
    invariants::{Ending, Jury, Verdict},
    link::{Blow, Plan, Trap, Wire},
    operator::{Operator, Order, orders},
    random::{Concern, Dice},
    recorder::{Record, Recorder},
    rogue,
    sabotage::Sabotage,
    scenario::{HUB, Scenario},
    site::Site,
    story,
    timeline::Timeline,
    traffic,
};

/// When the simulation begins, as its clusters' clocks show it.
const EPOCH: &str = "2026-01-01T00:00:00Z";

/// How long what is expected must stay true before the rest begins: what is left to write is written meanwhile.
const SETTLE: Duration = Duration::from_secs(30);

/// Bytes of stack for a run's thread: futures of debug builds are large.
const STACK: usize = 16 << 20;

/// What a run is given beyond scenario and seed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// What befalls the operator at its so manieth write, counted from 1.
    pub blow_at: Option<(u32, Blow)>,
    /// A deliberate defect.
    pub sabotage: Option<Sabotage>,
}

/// What came out of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What happened, one line per event.
    pub trace: Vec<String>,
    /// SHA-256 over the trace.
    pub hash: String,
    /// The timeline as text, with the final table, the verdicts, and a replay command when something broke.
    pub timeline: String,
    /// How each invariant fared.
    pub verdicts: Vec<Verdict>,
    /// Whether all of them held.
    pub ok: bool,
    /// Which situations were reached.
    pub coverage: Coverage,
    /// How many writes the operator sent.
    pub writes: u32,
}

impl Outcome {
    /// The names of the invariants that broke.
    pub fn broken(&self) -> Vec<&'static str> {
        self.verdicts.iter().filter(|verdict| verdict.broken()).map(|verdict| verdict.about.name).collect()
    }
}

/// Runs a scenario with a seed: the same two give the same outcome, byte for byte.
pub fn run(scenario: &Scenario, seed: u64) -> Outcome {
    run_with(scenario, seed, Options::default())
}

/// The same with options.
pub fn run_with(scenario: &Scenario, seed: u64, options: Options) -> Outcome {
    let owned = scenario.clone();
    // A thread of its own: what std and tokio keep per thread is then fresh for every run.
    let thread = std::thread::Builder::new().stack_size(STACK).spawn(move || simulate(&owned, seed, options));
    let result = thread
        .map_err(|error| error.to_string())
        .and_then(|thread| thread.join().map_err(|_| "the simulator itself panicked".to_owned())?);
    result.unwrap_or_else(|error| wreck(scenario, seed, options, &error))
}

fn simulate(scenario: &Scenario, seed: u64, options: Options) -> Result<Outcome, String> {
    let alarms = Alarms::default();
    let _listening = alarms.listen();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .map_err(|error| format!("no runtime: {error}"))?;
    let (record, clients) = runtime.block_on(live(scenario, seed, options, &alarms))?;
    // Tasks still around are dropped with the runtime, before the listener.
    drop(runtime);
    Ok(outcome(scenario, seed, options, record, &clients))
}

/// Lives through a scenario: what was recorded, and what clients tell.
async fn live(scenario: &Scenario, seed: u64, options: Options, alarms: &Alarms) -> Result<(Record, String), String> {
    let start = Instant::now();
    let recorder = Recorder::new(jury(scenario, &scenario.except));
    let swarm = scenario.faults.drawn(seed);
    let faults_end = start + swarm.until.unwrap_or_default().0;
    let clock = Clock::new(EPOCH.parse().map_err(|error| format!("no epoch: {error}"))?, 1);
    let plan = |latency| Plan { latency, swarm: swarm.clone(), until: faults_end };

    let hub = (HUB, scenario.hub.latency);
    let members = scenario.clusters.iter().map(|c| (c.name.as_str(), c.latency));
    let mut sites = Vec::new();
    for (lane, (name, latency)) in (0..).zip(std::iter::once(hub).chain(members)) {
        let seed_of_site = Dice::new(seed, Concern::Cluster, lane).any();
        let site = Site::start(name, seed_of_site, &clock, scenario, &recorder);
        sites.push((site, Arc::new(Wire::new(name, recorder.clone(), plan(latency), seed, lane))));
    }
    for crd in slipway_actors::api::crd::all() {
        let definition = serde_json::to_value(&crd).map_err(|error| error.to_string())?;
        sites[0].0.api().install_crd(definition).await.map_err(|status| format!("a CRD is refused: {status:?}"))?;
    }
    let clients = traffic::begin(scenario, &sites, &recorder, seed);
    let by_name: BTreeMap<_, _> = sites.iter().map(|(s, w)| (s.name.clone(), (s.clone(), w.clone()))).collect();

    let endpoints = Endpoints::new(clock.clone(), Dice::new(seed, Concern::Hook, 1).any());
    for (name, answers) in &scenario.hooks {
        endpoints.program(name, answers.iter().map(Into::into));
    }
    let hooks = Hooks::new(endpoints, recorder.clone(), plan(scenario.hub.latency), seed, options.sabotage);
    let hooks = Arc::new(hooks);
    let dice = Dice::new(seed, Concern::Crash, 0);
    let trap = Trap { armed: options.blow_at, ratio: swarm.crash, until: faults_end, dice };
    let trap = Arc::new(Mutex::new(trap));
    let away = Arc::new(Mutex::new(None));
    let (order, received) = orders();
    let operator = Operator {
        seed,
        clock,
        recorder: recorder.clone(),
        sites,
        hooks: hooks.clone(),
        trap: trap.clone(),
        sabotage: options.sabotage,
        away: away.clone(),
    };
    let timeline = Timeline {
        scenario,
        sites: &by_name,
        hooks: &hooks.endpoints,
        recorder: &recorder,
        orders: &order,
        trap: &trap,
        away: &away,
        start,
    };
    timeline.prepare().await;
    let operator = tokio::spawn(operator.live(order.clone(), received));
    if let Some(sabotage) = options.sabotage {
        tokio::spawn(rogue::act(sabotage, by_name.clone(), recorder.clone()));
    }

    let mut ending = until_the_end(scenario, &timeline, faults_end).await;
    if ending.unmet.is_empty() {
        recorder.rest();
        sleep(scenario.rest.0).await;
        ending.rested = true;
        ending.unmet = recorder.facts(|facts| expectation::unmet(&scenario.expect, facts));
        ending.unmet.extend(unreached(scenario, &recorder));
        ending.unmet.extend(traffic::unmet(&scenario.expect, &clients));
    }
    // The operator may have died of its own accord; that is told in the alarms.
    let _ = order.send(Order::Stop);
    let _ = operator.await;
    ending.alarms = alarms.all();
    for line in traffic::counts(&clients) {
        recorder.trace(&line);
    }
    Ok((recorder.finish(ending), story::clients(&clients)))
}

/// Plays the timeline, waits for the end of faults, and then until what is expected is true and stays so.
async fn until_the_end(scenario: &Scenario, timeline: &Timeline<'_>, faults_end: Instant) -> Ending {
    let recorder = timeline.recorder;
    let deadline = timeline.start + scenario.until.0;
    let come_true = async {
        timeline.play().await;
        sleep_until(faults_end).await;
        loop {
            recorder.until(|facts| expectation::unmet(&scenario.expect, facts).is_empty()).await;
            sleep(SETTLE).await;
            if recorder.facts(|facts| expectation::unmet(&scenario.expect, facts)).is_empty() {
                break;
            }
        }
    };
    let in_time = timeout_at(deadline, come_true).await.is_ok();
    let mut unmet = Vec::new();
    if !in_time {
        unmet = recorder.facts(|facts| expectation::unmet(&scenario.expect, facts));
        if unmet.is_empty() {
            unmet.push("the timeline is not through".to_owned());
        }
    }
    Ending { unmet, budget: scenario.until.to_string(), ..Ending::default() }
}

/// The invariants of a scenario.
fn jury(scenario: &Scenario, except: &BTreeMap<String, String>) -> Jury {
    let jury = Jury::new(except);
    if scenario.has_traffic() { jury.with_traffic() } else { jury }
}

fn unreached(scenario: &Scenario, recorder: &Recorder) -> Vec<String> {
    let wanted = scenario.expect.reached.iter().filter_map(|name| coverage::find(name).ok());
    let missed = wanted.filter(|situation| recorder.reached(*situation) == 0);
    missed.map(|situation| format!("never reached: {}", situation.name())).collect()
}

fn outcome(scenario: &Scenario, seed: u64, options: Options, record: Record, clients: &str) -> Outcome {
    let ok = !record.verdicts.iter().any(Verdict::broken);
    let mut timeline = format!("{}\n\n{}", scenario.description.trim(), record.story.text());
    // Writing to a string does not fail.
    let _ = write!(timeline, "\n{}\n{clients}{}", story::table(&record.facts), story::verdicts(&record.verdicts));
    if !ok {
        timeline += &replay(scenario, seed, options);
    }
    let (hash, writes) = (record.trace.hash(), record.writes);
    let trace = record.trace.lines().to_vec();
    Outcome { trace, hash, timeline, verdicts: record.verdicts, ok, coverage: record.coverage, writes }
}

/// The one command that shows the same again.
fn replay(scenario: &Scenario, seed: u64, options: Options) -> String {
    let blow = match options.blow_at {
        Some((write, Blow::CrashAfter)) => format!(" --crash-after-write {write}"),
        Some((write, Blow::CrashBefore)) => format!(" --crash-before-write {write}"),
        Some((write, Blow::LoseAnswer)) => format!(" --lose-answer-of-write {write}"),
        None => String::new(),
    };
    format!("\nreplay: slipway simulate {} --seed {seed}{blow}\n", scenario.file)
}

/// The outcome of a run that came to no end at all.
fn wreck(scenario: &Scenario, seed: u64, options: Options, error: &str) -> Outcome {
    let ending = Ending { alarms: vec![error.to_owned()], ..Ending::default() };
    let mut jury = jury(scenario, &BTreeMap::new());
    jury.finish(&crate::facts::Facts::default(), &ending, Duration::ZERO);
    let verdicts = jury.verdicts();
    let timeline =
        format!("{}\n\n{}{}", scenario.description.trim(), story::verdicts(&verdicts), replay(scenario, seed, options));
    Outcome {
        trace: Vec::new(),
        hash: String::new(),
        timeline,
        verdicts,
        ok: false,
        coverage: Coverage::default(),
        writes: 0,
    }
}

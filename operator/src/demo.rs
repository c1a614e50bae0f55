//! `slipway demo`: a rollout over three clusters, all in this process.

mod application;
mod clusters;
mod hooks;
mod keep;
mod observe;
mod script;
mod stage;
mod summary;
mod traffic;

use std::{sync::Arc, time::Duration};

use slipway_actors::{graph, world::World};

use self::{
    application::Play,
    clusters::Clusters,
    hooks::InProcess,
    keep::Kept,
    observe::Observer,
    script::{Act, Script},
    stage::Stage,
    summary::Tally,
    traffic::Traffic,
};
use crate::{clock::Paced, failure::Failure, output, signals::Signals, view::build};

/// How often the tree is redrawn and the keyboard asked, in wall time.
const FRAME: Duration = Duration::from_millis(100);
/// Decides the clusters' uids, generated names, delays, and which pods answer.
const SEED: u64 = 4;

/// Watch a rollout over three clusters, all in this process.
///
/// Starts a hub and the member clusters east, north and west, brings up an application of two StatefulSets in each,
/// changes its image from v1 to v2, and shows the rollout going through three batches and a breakpoint, with a canary
/// first, or back again from a version that breaks; and meanwhile which version answers the requests that keep coming in,
/// and that none fails. Time in the clusters runs faster than yours, so that it is over within about a minute. Nothing
/// outside this process is touched.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 it ended as it should and no request failed, 1 otherwise, 130 interrupted before the end.\n\
    The tree needs a terminal; otherwise, with NO_COLOR or with --plain, it prints one line per change.\n\
    Keys in the tree: c continue, p pause, b rollback, x cancel, q quit."
)]
pub(crate) struct Args {
    /// What to show
    #[arg(value_enum, default_value_t)]
    play: Play,
    /// Serve the four API servers on loopback until Ctrl-C, for kubectl
    #[arg(long)]
    keep: bool,
    /// Print one line per change instead of a live tree
    #[arg(long)]
    plain: bool,
    /// How many times faster than yours time runs in the clusters [default: 3, with --keep 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    speed: Option<u32>,
}

/// Plays it.
pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(play(args));
    runtime.shutdown_background();
    outcome
}

async fn play(args: &Args) -> Result<(), Failure> {
    let mut signals = Signals::listen()?;
    // kubectl reckons ages by its own clock, so with it the clusters' time is everybody's.
    let speed = args.speed.unwrap_or(if args.keep { 1 } else { 3 });
    let clusters = Clusters::start(SEED, speed).await?;
    let kept = if args.keep { Some(Kept::serve(&clusters).await?) } else { None };
    let graph = graph::start(World {
        hub: clusters.counted_hub(),
        members: clusters.counted_members(),
        clock: Arc::new(Paced(clusters.clock.clone())),
        http: Arc::new(InProcess::new(&clusters.clock, application::endpoints())),
        seed: SEED,
        class: String::new(),
    })
    .await
    .map_err(|error| Failure::Broke(error.to_string()))?;
    let mut demo = Demo {
        observer: Observer::start(&clusters),
        traffic: Traffic::start(&clusters, SEED),
        stage: Stage::open(args.plain, kept.as_ref().map(Kept::hint))?,
        play: args.play,
        script: Script::new(args.play, args.keep, speed),
        tally: Tally::default(),
        clusters,
        speed,
    };
    let outcome = demo.play(&mut signals, kept.as_ref()).await;
    demo.stage.close();
    graph.stop().await;
    outcome
}

struct Demo {
    play: Play,
    clusters: Clusters,
    observer: Observer,
    traffic: Traffic,
    stage: Stage,
    script: Script,
    tally: Tally,
    speed: u32,
}

impl Demo {
    async fn play(&mut self, signals: &mut Signals, kept: Option<&Kept>) -> Result<(), Failure> {
        self.introduce(kept)?;
        application::create(&self.clusters, self.play, self.speed).await?;
        self.until(signals, Until::Over).await?;
        self.stage.close();
        let (text, outcome) = self.summary();
        output::write(&text)?;
        if let Some(kept) = kept {
            output::write(&kept.farewell())?;
            match self.until(signals, Until::Asked).await {
                Err(Failure::Interrupted) => {}
                other => return other,
            }
        }
        outcome
    }

    fn introduce(&mut self, kept: Option<&Kept>) -> Result<(), Failure> {
        let lines = format!(
            "A hub and the clusters east, north and west; a second of yours is {} of theirs.",
            crate::view::lines::counted(usize::try_from(self.speed).unwrap_or_default(), "second")
        );
        self.stage.print(&lines)?;
        kept.map_or(Ok(()), |it| self.stage.print(&it.welcome()))
    }

    /// Shows what happens and acts by the script until the end that is asked for.
    async fn until(&mut self, signals: &mut Signals, end: Until) -> Result<(), Failure> {
        let since = self.clusters.epoch;
        let mut frames = tokio::time::interval(FRAME);
        loop {
            let now = self.clusters.clock.now();
            self.observer.observed.requests = self.traffic.requests();
            let view = build::view(&self.observer.observed, since, now);
            self.tally.see(&self.observer);
            if let Some(view) = view.as_ref().filter(|_| self.observer.sees_all()) {
                self.stage.show(view)?;
                match self.script.next(view, self.observer.is_parked(), now) {
                    Some(Act::End) if end == Until::Over => return Ok(()),
                    Some(act) => self.act(&act).await?,
                    None => {}
                }
            }
            tokio::select! {
                biased;
                _ = signals.next() => return Err(Failure::Interrupted),
                seen = self.observer.next() => seen?,
                _ = frames.tick() => self.frame().await?,
            }
        }
    }

    async fn frame(&mut self) -> Result<(), Failure> {
        self.stage.draw()?;
        for key in self.stage.keys()? {
            match key {
                'q' => return Err(Failure::Interrupted),
                'c' => application::command(&self.clusters, "continue").await?,
                'p' => application::command(&self.clusters, "pause").await?,
                'b' => application::command(&self.clusters, "rollback").await?,
                'x' => application::command(&self.clusters, "cancel").await?,
                _ => {}
            }
        }
        Ok(())
    }

    async fn act(&mut self, act: &Act) -> Result<(), Failure> {
        match act {
            Act::Say(text) => self.stage.say(text),
            Act::NewVersion(text) => {
                self.stage.say(text)?;
                self.tally.begin(self.clusters.clock.now());
                application::update(&self.clusters).await
            }
            Act::Command(command, text) => {
                self.stage.say(text)?;
                application::command(&self.clusters, command).await
            }
            Act::Break(text) => {
                application::break_version(&self.clusters);
                self.stage.say(text)
            }
            Act::GiveUp(why) => Err(Failure::Broke(why.clone())),
            Act::End => Ok(()),
        }
    }

    /// The summary, and whether it tells of success.
    fn summary(&self) -> (String, Result<(), Failure>) {
        let summary = self.tally.summary(&self.observer, &self.clusters, self.play, self.speed);
        let outcome = match &summary.shortfall {
            None => Ok(()),
            Some(why) => Err(Failure::Broke(why.clone())),
        };
        (summary.text, outcome)
    }
}

/// Which end is waited for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    /// The rollout's.
    Over,
    /// The user's word.
    Asked,
}

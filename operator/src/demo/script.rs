//! What the demo does by itself, and when: a new version once all is quiet, `continue` at a breakpoint and after a canary,
//! a version that breaks in mid-run.

use jiff::{SignedDuration, Timestamp};

use super::application::{self, Play};
use crate::view::{State, View};

/// Time to look at the old version, in the clusters' time.
const AT_REST: SignedDuration = SignedDuration::from_secs(5);
/// Time to look at the breakpoint.
const AT_BREAKPOINT: SignedDuration = SignedDuration::from_secs(12);
/// The same when the user may give the command.
const AT_BREAKPOINT_KEPT: SignedDuration = SignedDuration::from_secs(60);
/// Time to look at a batch that gets nowhere.
const BROKEN: SignedDuration = SignedDuration::from_secs(15);
/// Time to look at the end.
const AT_END: SignedDuration = SignedDuration::from_secs(6);
/// A rollout that takes longer than this of the user's time is stuck: the machine is no faster for clocks that are.
const LIMIT: SignedDuration = SignedDuration::from_mins(5);

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// Say something.
    Say(String),
    /// Change the image, and say so.
    NewVersion(String),
    /// Give a command, and say so.
    Command(&'static str, String),
    /// The new version starts no more.
    Break(String),
    /// Stop waiting.
    GiveUp(String),
    /// The rollout is over.
    End,
}

/// Where the demo is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scene {
    /// The old version comes up.
    Rise,
    /// It stands.
    Rest(Timestamp),
    /// The new version is under way.
    Rolling,
    /// The run stands at a breakpoint.
    Breakpoint(Timestamp),
    /// It was told to continue.
    Continued,
    /// New pods fail, since then.
    Broken(Timestamp),
    /// It was told to roll back.
    Returning,
    /// The run has ended.
    Over(Timestamp),
}

/// The demo's own doings.
pub(crate) struct Script {
    play: Play,
    scene: Scene,
    kept: bool,
    began: Option<Timestamp>,
    limit: SignedDuration,
}

impl Script {
    /// A script from the start. `kept` leaves the user more time at the breakpoint. A second of the user's is `speed` in the
    /// clusters.
    pub(crate) fn new(play: Play, kept: bool, speed: u32) -> Self {
        let limit = LIMIT * i32::try_from(speed).unwrap_or(i32::MAX);
        Self { play, scene: Scene::Rise, kept, began: None, limit }
    }

    /// What to do now, if anything.
    pub(crate) fn next(&mut self, view: &View, parked: bool, now: Timestamp) -> Option<Act> {
        let began = *self.began.get_or_insert(now);
        match self.scene {
            Scene::Rise if parked && is_whole(view) => {
                self.scene = Scene::Rest(now + AT_REST);
                Some(Act::Say("v1 is up everywhere, and the rollout watches over it".to_owned()))
            }
            Scene::Rest(until) if now >= until => {
                self.scene = Scene::Rolling;
                Some(Act::NewVersion("the image changes to v2 in every cluster; no pod moves by that".to_owned()))
            }
            Scene::Rolling if at_breakpoint(view) => Some(self.reach_breakpoint(now)),
            Scene::Rolling if self.play == Play::Rollback && in_second_batch(view) => {
                self.scene = Scene::Broken(now + BROKEN);
                Some(Act::Break("from here on pods of v2 do not start any more".to_owned()))
            }
            Scene::Broken(until) if now >= until && !is_rolling_back(view) => {
                self.scene = Scene::Returning;
                Some(Act::Command("rollback", command("rollback")))
            }
            Scene::Rolling | Scene::Returning | Scene::Broken(_)
                if view.run.as_ref().is_some_and(crate::view::Run::is_over) =>
            {
                self.scene = Scene::Over(now + AT_END);
                None
            }
            Scene::Breakpoint(_) | Scene::Continued if !at_breakpoint(view) => {
                self.scene = Scene::Rolling;
                None
            }
            Scene::Breakpoint(until) if now >= until => {
                self.scene = Scene::Continued;
                Some(Act::Command("continue", command("continue")))
            }
            Scene::Over(until) if now >= until => Some(Act::End),
            Scene::Rise | Scene::Rolling | Scene::Continued | Scene::Returning
                if !self.kept && now.duration_since(began) > self.limit =>
            {
                Some(give_up(view, self.limit))
            }
            _ => None,
        }
    }

    fn reach_breakpoint(&mut self, now: Timestamp) -> Act {
        let pause = if self.kept { AT_BREAKPOINT_KEPT } else { AT_BREAKPOINT };
        self.scene = Scene::Breakpoint(now + pause);
        Act::Say(format!("the demo continues by itself in {} seconds", pause.as_secs()))
    }
}

fn is_whole(view: &View) -> bool {
    let workloads = || view.clusters.iter().flat_map(|it| &it.workloads);
    workloads().next().is_some() && workloads().all(|it| it.available >= it.desired && it.updated >= it.desired)
}

fn command(command: &str) -> String {
    format!("the demo gives the command: {}", application::command_line(command))
}

/// Whether the second batch moves pods.
fn in_second_batch(view: &View) -> bool {
    view.run.as_ref().and_then(|it| it.batches.get(1)).is_some_and(|it| it.state == State::Running)
}

fn is_rolling_back(view: &View) -> bool {
    view.run.as_ref().is_some_and(|it| it.rolling_back)
}

/// Whether the run stands with its canary, or before a batch that has not begun, because it was told to by its plan.
fn at_breakpoint(view: &View) -> bool {
    let Some(run) = view.run.as_ref().filter(|it| it.phase == "Paused") else { return false };
    if run.canary.as_ref().is_some_and(|it| it.state == State::Paused) {
        return true;
    }
    run.batches.get(run.current).is_some_and(|it| it.breakpoint && it.state == State::Paused && it.took.is_none())
}

fn give_up(view: &View, limit: SignedDuration) -> Act {
    let waits: Vec<&str> = view.waits.iter().map(|it| it.what.as_str()).collect();
    let waits = if waits.is_empty() { "nothing it would name".to_owned() } else { waits.join("; ") };
    let minutes = limit.as_mins();
    Act::GiveUp(format!(
        "rollout {}/{}: not at its end after {minutes} minutes; it waits for {waits}",
        view.namespace, view.name
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::samples;

    /// The acts over a sequence of (second, view, parked).
    fn acts(kept: bool, moments: &[(i64, View, bool)]) -> Vec<Act> {
        let mut script = Script::new(Play::Batches, kept, 3);
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        moments.iter().filter_map(|(second, view, parked)| script.next(view, *parked, at(*second))).collect()
    }

    fn v1() -> View {
        let mut view = samples::at_rest();
        for workload in view.clusters.iter_mut().flat_map(|it| &mut it.workloads) {
            workload.updated = 5;
        }
        view
    }

    fn breakpoint() -> View {
        let mut view = samples::at_breakpoint();
        view.run.as_mut().unwrap().batches[1].took = None;
        view
    }

    fn kinds(acts: &[Act]) -> Vec<&'static str> {
        let kind = |act: &Act| match act {
            Act::Say(_) => "say",
            Act::NewVersion(_) => "new version",
            Act::Command(command, _) => command,
            Act::Break(_) => "break",
            Act::GiveUp(_) => "give up",
            Act::End => "end",
        };
        acts.iter().map(kind).collect()
    }

    #[test]
    fn the_demo_rolls_out_and_continues_by_itself() {
        let moments = [
            (0, v1(), false),
            (10, v1(), true),
            (12, v1(), true),
            (16, v1(), true),
            (20, samples::running(), false),
            (30, breakpoint(), false),
            (35, breakpoint(), false),
            (45, breakpoint(), false),
            (46, breakpoint(), false),
            (50, samples::over(), false),
            (60, samples::over(), false),
            (70, samples::over(), false),
        ];
        assert_eq!(kinds(&acts(false, &moments)), ["say", "new version", "say", "continue", "end"]);
    }

    #[test]
    fn a_version_that_breaks_is_taken_back() {
        let second = || {
            let mut view = samples::running();
            let run = view.run.as_mut().unwrap();
            (run.batches[0].state, run.batches[1].state, run.current) = (State::Done, State::Running, 1);
            view
        };
        let mut over = samples::over();
        over.run.as_mut().unwrap().rolling_back = true;
        let moments =
            [(0, v1()), (6, v1()), (20, second()), (30, second()), (36, second()), (40, over.clone()), (50, over)];
        let mut script = Script::new(Play::Rollback, false, 3);
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        let acts: Vec<_> = moments.iter().filter_map(|(second, view)| script.next(view, true, at(*second))).collect();
        assert_eq!(kinds(&acts), ["say", "new version", "break", "rollback", "end"]);
    }

    #[test]
    fn a_user_who_continues_is_not_overtaken() {
        let moments = [
            (0, v1(), true),
            (6, v1(), true),
            (30, breakpoint(), false),
            (80, breakpoint(), false),
            (85, samples::running(), false),
            (200, samples::running(), false),
            (9_000, samples::running(), false),
        ];
        assert_eq!(kinds(&acts(true, &moments)), ["say", "new version", "say"]);
    }

    #[test]
    fn a_rollout_that_is_stuck_ends_the_demo() {
        let moments =
            [(0, v1(), true), (6, v1(), true), (20, samples::running(), false), (2_000, samples::running(), false)];
        let acts = acts(false, &moments);
        let Some(Act::GiveUp(why)) = acts.last() else { panic!("{acts:?}") };
        assert!(why.contains("shop/storefront") && why.contains("0 of 1 updated pods available"), "{why}");
    }
}

use serde_json::{Value, json};

use super::*;
use crate::facts::{
    Verb, Who,
    tests::{Told, pod, run, set, waiting},
};

mod traffic;

/// Tells a write to the facts and the jury; answers what broke.
fn tell(told: &mut Told, jury: &mut Jury, who: Who, plural: &str, name: &str, new: &Value) -> Vec<&'static str> {
    let verb = if new.is_null() { Verb::Delete } else { Verb::Update };
    let (delta, new, old) = told.write(who, plural, name, new);
    let change = Change {
        at: told.facts.now,
        cluster: "east",
        who,
        verb,
        plural,
        namespace: "default",
        name,
        old: old.as_ref(),
        new: &new,
    };
    jury.observe(&told.facts, &delta, &change).into_iter().map(|(name, _)| name).collect()
}

fn broken(writes: &[(Who, &str, &str, Value)]) -> Vec<&'static str> {
    let (mut told, mut jury) = (waiting(), Jury::new(&BTreeMap::new()));
    writes.iter().flat_map(|(who, plural, name, new)| tell(&mut told, &mut jury, *who, plural, name, new)).collect()
}

const SETS: &str = "statefulsets";
const RUNS: &str = "rolloutruns";

/// Lowers the partition and replaces the pods from it upwards.
fn roll(partition: i32, count: i32) -> Vec<(Who, &'static str, &'static str, Value)> {
    let mut writes = vec![(Who::Operator, SETS, "web", set(5, partition, "v2", "v1", "v2"))];
    for ordinal in (5 - count..5).rev() {
        let name = ["web-0", "web-1", "web-2", "web-3", "web-4"][usize::try_from(ordinal).unwrap()];
        writes.push((Who::Cluster, "pods", name, Value::Null));
        writes.push((Who::Cluster, "pods", name, pod(&format!("b{ordinal}"), "v2", true)));
    }
    writes
}

#[test]
fn a_batch_within_its_count_is_fine() {
    let mut writes = vec![(Who::Operator, RUNS, "web-1", run(0, "Running", "Progressing"))];
    writes.extend(roll(4, 1));
    assert!(broken(&writes).is_empty(), "{:?}", broken(&writes));
}

#[test]
fn one_pod_too_many_breaks_the_ceiling() {
    let mut writes = vec![(Who::Operator, RUNS, "web-1", run(0, "Running", "Progressing"))];
    writes.extend(roll(3, 2));
    assert_eq!(broken(&writes), ["exposure_ceiling"]);
    assert_eq!(broken(&roll(4, 1)), ["capacity_floor", "exposure_ceiling"], "nothing has begun");
}

#[test]
fn pods_of_a_foreign_write_break_nothing() {
    let mut writes = vec![(Who::Operator, RUNS, "web-1", run(0, "Running", "Progressing"))];
    writes.extend(
        roll(3, 2)
            .into_iter()
            .map(|(who, plural, name, new)| (if who == Who::Operator { Who::User } else { who }, plural, name, new)),
    );
    assert!(broken(&writes).is_empty());
}

#[test]
fn two_pods_down_in_a_window_of_one_break_the_floor() {
    let mut writes = vec![
        (Who::Operator, RUNS, "web-1", run(2, "Running", "Progressing")),
        (Who::Operator, SETS, "web", set(5, 3, "v2", "v1", "v2")),
    ];
    // Batches two and three were begun without stopping at the breakpoint: not what is looked at here.
    for name in ["web-4", "web-3"] {
        writes.push((Who::Cluster, "pods", name, Value::Null));
    }
    assert!(broken(&writes).contains(&"capacity_floor"));
    writes.pop();
    assert!(!broken(&writes).contains(&"capacity_floor"));
}

#[test]
fn a_breakpoint_asks_for_a_continue_of_its_own() {
    let running = (Who::Operator, RUNS, "web-1", run(1, "Running", "Progressing"));
    assert_eq!(broken(std::slice::from_ref(&running)), ["no_step_past_breakpoint"]);
    for (index, phase, allowed) in [(1, "Paused", true), (0, "Paused", false)] {
        let mut commanded = run(index, "Pending", phase);
        commanded["metadata"]["annotations"] = json!({"rollout.kusionstack.io/manual-command": "continue"});
        let paused = (Who::Operator, RUNS, "web-1", run(index, "Pending", phase));
        let broken = broken(&[paused, (Who::User, RUNS, "web-1", commanded), running.clone()]);
        assert_eq!(broken.is_empty(), allowed, "continue at batch {}", index + 1);
    }
}

#[test]
fn steps_do_not_go_back() {
    let ahead = run(0, "PostBatchStepHook", "Progressing");
    for (next, fine) in [
        (run(0, "Succeeded", "Progressing"), true),
        (run(1, "", "Progressing"), true),
        (run(0, "Running", "Progressing"), false),
    ] {
        let broken = broken(&[(Who::Operator, RUNS, "web-1", ahead.clone()), (Who::Operator, RUNS, "web-1", next)]);
        assert_eq!(!broken.contains(&"monotone"), fine);
    }
    let back = [(1, "Progressing"), (0, "Progressing")]
        .map(|(index, phase)| (Who::Operator, RUNS, "web-1", run(index, "", phase)));
    assert_eq!(broken(&back), ["monotone"]);
    let left = ["Canceled", "Progressing"].map(|phase| (Who::Operator, RUNS, "web-1", run(0, "", phase)));
    assert_eq!(broken(&left), ["monotone"]);
}

#[test]
fn the_end_is_judged() {
    let fine = Ending { rested: true, ..Ending::default() };
    let alarms = vec!["panic: a bug".to_owned()];
    for (ending, broken) in [
        (fine.clone(), None),
        (Ending { unmet: vec!["the run's phase".into()], ..fine.clone() }, Some("finished")),
        (Ending { writes_at_rest: vec!["hub: PATCH".into()], ..fine.clone() }, Some("silence_at_rest")),
        (Ending { alarms, ..fine.clone() }, Some("no_alarm")),
    ] {
        let mut jury = Jury::new(&BTreeMap::new());
        let found = jury.finish(&Facts::default(), &ending, Duration::ZERO);
        assert_eq!(found.first().map(|(name, _)| *name), broken);
    }
}

#[test]
fn what_is_left_behind_is_found() {
    let mut told = waiting();
    let ending = Ending { rested: true, ..Ending::default() };
    let judge = |told: &Told| Jury::new(&BTreeMap::new()).finish(&told.facts, &ending, Duration::ZERO);
    let with = |annotations: Value| {
        let mut set = set(5, i32::MAX, "v2", "v1", "v2");
        set["metadata"]["annotations"] = annotations;
        set
    };
    let progressing = with(json!({"rollout.kusionstack.io/progressing-info": "{}"}));
    told.write(Who::Operator, SETS, "web", &progressing);
    told.write(Who::User, "rollouts", "web", &json!({"metadata": {"name": "web"}}));
    assert!(judge(&told).is_empty(), "the run is active");
    told.write(Who::Operator, RUNS, "web-1", &run(0, "", "Canceled"));
    assert_eq!(judge(&told)[0].0, "nothing_left_behind");
    told.write(Who::Operator, SETS, "web", &with(json!({"rollout.kusionstack.io/name": "web"})));
    assert!(judge(&told).is_empty(), "the Rollout is still there");
    told.write(Who::Cluster, "rollouts", "web", &Value::Null);
    assert_eq!(judge(&told)[0].0, "nothing_left_behind");
    told.write(Who::Operator, SETS, "web", &with(json!({"slipway.rollout.kusionstack.io/update-strategy": "{}"})));
    told.write(Who::Cluster, RUNS, "web-1", &Value::Null);
    assert!(judge(&told).is_empty(), "an update is pending: the record stays");
}

#[test]
fn a_run_made_by_hand_gives_back_what_it_took_and_may_stay() {
    let mut told = waiting();
    let ending = Ending { rested: true, ..Ending::default() };
    let judge = |told: &Told| Jury::new(&BTreeMap::new()).finish(&told.facts, &ending, Duration::ZERO);
    told.write(Who::Cluster, RUNS, "web-1", &Value::Null);
    let mut by_hand = run(0, "", "Canceled");
    by_hand["metadata"]["ownerReferences"] = Value::Null;
    told.write(Who::User, RUNS, "by-hand", &by_hand);
    let mut set = set(5, i32::MAX, "v2", "v1", "v2");
    told.write(Who::Operator, SETS, "web", &set);
    assert!(judge(&told).is_empty());
    set["metadata"]["annotations"] = json!({"rollout.kusionstack.io/name": "rolloutrun/by-hand"});
    told.write(Who::Operator, SETS, "web", &set);
    assert_eq!(judge(&told)[0].0, "nothing_left_behind");
}

#[test]
fn an_excepted_invariant_says_why() {
    let except = BTreeMap::from([("finished".to_owned(), "it is meant to hang".to_owned())]);
    let mut jury = Jury::new(&except);
    let ending = Ending { unmet: vec!["x".into()], ..Ending::default() };
    assert!(jury.finish(&Facts::default(), &ending, Duration::ZERO).is_empty());
    let text: Vec<String> = jury.verdicts().iter().map(ToString::to_string).collect();
    assert!(text.contains(&"off     finished: it is meant to hang".to_owned()), "{text:?}");
}

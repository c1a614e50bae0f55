//! Views for tests: the demo's application at the moments worth looking at.

use super::{Batch, Cluster, Requests, Run, State, View, Wait, Workload};

const COMMAND: &str =
    "kubectl annotate ro storefront -n shop rollout.kusionstack.io/manual-command=continue --overwrite";

fn workload(name: &str, state: State, updated: i32, updated_available: i32, goal: Option<i32>) -> Workload {
    let available = 5 - (updated - updated_available);
    Workload { name: name.into(), state, desired: 5, updated, updated_available, available, goal }
}

fn clusters(state: State, updated: i32, updated_available: i32, goal: Option<i32>) -> Vec<Cluster> {
    ["east", "north", "west"]
        .map(|name| Cluster {
            name: name.into(),
            workloads: ["backend", "frontend"].map(|it| workload(it, state, updated, updated_available, goal)).into(),
            requests: Some(requests(updated)),
        })
        .into()
}

/// A tenth of them with the first pod, half with three, all with five.
fn requests(updated: i32) -> Requests {
    let (shares, answered): (&[_], &[_]) = match updated {
        0 => (&[("v1", 100)], &[("v1", 120)]),
        1 | 2 => (&[("v1", 90), ("v2", 10)], &[("v1", 380), ("v2", 20)]),
        _ => (&[("v2", 100)], &[("v1", 1_234), ("v2", 567)]),
    };
    let all = |of: &[(&str, u64)]| of.iter().map(|(version, count)| ((*version).to_owned(), *count)).collect();
    Requests { shares: all(shares), answered: all(answered), errors: 0 }
}

fn batches(states: [State; 3]) -> Vec<Batch> {
    let plans = [("1 pod", None, Some("10%")), ("3 pods", Some("1"), Some("50%")), ("100%", None, None)];
    let batch = |(state, (goal, window, traffic)): (State, (&str, Option<&str>, Option<&str>))| Batch {
        state,
        goal: goal.into(),
        window: window.map(Into::into),
        traffic: traffic.map(Into::into),
        breakpoint: window.is_some(),
        took: (state != State::Pending).then_some(9),
    };
    states.into_iter().zip(plans).map(batch).collect()
}

fn view(elapsed: i64, clusters: Vec<Cluster>, run: Option<Run>) -> View {
    let phase = run.as_ref().map_or("Initialized", |it| if it.is_over() { "Initialized" } else { "Progressing" });
    View {
        namespace: "shop".into(),
        name: "storefront".into(),
        phase: phase.into(),
        elapsed,
        run,
        clusters,
        waits: Vec::new(),
    }
}

fn run(phase: &str, current: usize, states: [State; 3]) -> Run {
    Run {
        name: "storefront-x7k2p".into(),
        phase: phase.into(),
        canary: None,
        blue_green: false,
        rolling_back: false,
        hooks: Vec::new(),
        batches: batches(states),
        current,
        took: 14,
        error: None,
    }
}

fn wait(what: &str, unblock: Option<&str>) -> Wait {
    Wait { what: what.into(), unblock: unblock.map(Into::into) }
}

/// Before any run.
pub(crate) fn at_rest() -> View {
    let mut view = view(3, clusters(State::Done, 0, 0, None), None);
    view.waits = vec![wait("every workload is up to date", None)];
    view
}

/// A pod of the first batch is not available yet in one cluster.
pub(crate) fn running() -> View {
    let mut view = view(
        12,
        clusters(State::Done, 1, 1, Some(1)),
        Some(run("Progressing", 0, [State::Running, State::Pending, State::Pending])),
    );
    view.clusters[1].workloads[1] = workload("frontend", State::Running, 1, 0, Some(1));
    view.waits = vec![wait("north statefulset/frontend: 0 of 1 updated pods available", None)];
    view
}

/// The second batch's breakpoint.
pub(crate) fn at_breakpoint() -> View {
    let mut view = view(
        21,
        clusters(State::Paused, 1, 1, Some(3)),
        Some(run("Paused", 1, [State::Done, State::Paused, State::Pending])),
    );
    view.waits = vec![wait("rolloutrun/storefront-x7k2p paused at the breakpoint of batch 2", Some(COMMAND))];
    view
}

/// A workload of the second batch has disappeared.
pub(crate) fn failed() -> View {
    let mut view = view(
        33,
        clusters(State::Running, 2, 2, Some(3)),
        Some(run("Progressing", 1, [State::Done, State::Failed, State::Pending])),
    );
    view.clusters[2].workloads[0].state = State::Failed;
    if let Some(run) = &mut view.run {
        run.error = Some("WorkloadNotFound: west statefulset/backend is gone; create it again and retry".into());
    }
    view.waits =
        vec![wait("rolloutrun/storefront-x7k2p stopped with WorkloadNotFound", Some("kubectl annotate … retry"))];
    view
}

/// The end.
pub(crate) fn over() -> View {
    let mut view = view(64, clusters(State::Done, 5, 5, Some(5)), Some(run("Succeeded", 2, [State::Done; 3])));
    view.phase = "Initialized".into();
    view
}

/// All of them, in order.
pub(crate) fn story() -> Vec<View> {
    vec![at_rest(), running(), at_breakpoint(), failed(), over()]
}

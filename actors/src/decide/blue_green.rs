//! Blue/green: a canary whose copies take over all requests, and go once the workloads have followed.
//!
//! | state of the canary  | requests go to                            | until                                            |
//! |----------------------|-------------------------------------------|--------------------------------------------------|
//! | `Running`            | the old version, then the preview as well | copies are available, and the preview in force    |
//! | `PostCanaryStepHook` | the same                                  | its hooks are done                                |
//! | `Switching`, paused  | the same                                  | `continue`                                        |
//! | `Switching`          | the copies                                | that is in force                                  |
//! | `Switched`           | the copies                                | the old version has been kept for its time        |
//! | `Succeeded`          | the copies, while batches move workloads  | the last batch is done; then back, and copies go  |
//!
//! Until the first batch begins the old version serves as it did, so that a rollback or a cancel returns all requests to
//! it with one write to each route.

use jiff::{SignedDuration, Timestamp};

use super::{
    batch, canary, condition,
    run::{self, error},
};
use crate::{
    api::{CodeReasonMessage, RolloutRun, RolloutRunStatus, StepState, rolloutrun::RolloutRunBlueGreen},
    intent::Wait,
    view::{RolloutView, Workload},
};

/// For how long the old version is kept, unless the run says otherwise.
const KEEP_SECONDS: i32 = 30;

fn asked(run: &RolloutRun) -> Option<&RolloutRunBlueGreen> {
    run.spec.canary.as_ref()?.blue_green.as_ref()
}

/// Whether the copies of the run's canary are to take over.
pub fn is_asked(run: &RolloutRun) -> bool {
    asked(run).is_some()
}

/// Whether the copies have taken over, and not given up since.
pub fn has_taken_over(run: &RolloutRun, status: &RolloutRunStatus) -> bool {
    is_asked(run) && status.canary_status.as_ref().is_some_and(|canary| canary.switch_time.is_some())
}

/// Notes that the copies have all requests.
pub fn take_over(status: &mut RolloutRunStatus, now: Timestamp) {
    status.canary_status.get_or_insert_default().switch_time = Some(condition::time(now));
}

/// Ends the time in which the old version is kept.
pub fn keep_no_longer(status: &mut RolloutRunStatus, now: Timestamp) {
    let record = status.canary_status.get_or_insert_default();
    record.state = StepState::Succeeded;
    record.finish_time = Some(condition::time(now));
}

/// Until when the old version is kept as it is.
pub fn kept_until(run: &RolloutRun, status: &RolloutRunStatus) -> Option<Timestamp> {
    let since = status.canary_status.as_ref()?.switch_time.as_ref()?.0;
    let seconds = asked(run)?.keep_seconds.unwrap_or(KEEP_SECONDS).max(0);
    // One more, because records are in whole ones.
    since.checked_add(SignedDuration::from_secs(i64::from(seconds) + 1)).ok()
}

/// When the old version will have been kept for long enough, if the run waits for that.
pub fn due(run: &RolloutRun, status: &RolloutRunStatus, now: Timestamp) -> Option<Timestamp> {
    canary::is_in(status, &StepState::Switched).then(|| kept_until(run, status))?.filter(|until| *until > now)
}

/// Whether the copies are to be there behind their step: until the batches are done, one way or the other.
pub fn carries_batches(run: &RolloutRun, status: &RolloutRunStatus) -> bool {
    has_taken_over(run, status) && canary::finished(run, status) && !run::has_done_all(run, status)
}

/// Whether a batch has been allowed to move pods.
pub fn has_moved(status: &RolloutRunStatus) -> bool {
    let Some(batch) = &status.batch_status else { return false };
    batch.current_batch_index > 0 || run::releases_pods(&batch.current_batch_state) || status.rollback.is_some()
}

/// Whether a workload's pods are all of one version, so that requests may go to them alone.
pub fn is_whole(workload: &Workload) -> bool {
    workload.stable_revision == workload.updated_revision
}

/// What keeps the copies from serving as they did when they took over.
pub fn waits(view: &RolloutView, run: &RolloutRun) -> Vec<Wait> {
    let targets = run.spec.canary.iter().flat_map(|canary| &canary.targets);
    let workloads = targets.filter_map(|target| batch::find(view, run, target));
    let unfit = workloads.filter_map(|workload| {
        let Some(copy) = canary::find(view, workload) else {
            return Some(batch::wait(workload, "its copy, which has all requests, to be there".to_owned()));
        };
        let available = copy.updated_replicas.min(copy.available);
        let condition = || format!("{available} of {} pods available, which have all requests", copy.desired);
        (copy.deleting || available < copy.desired).then(|| batch::wait(copy, condition()))
    });
    unfit.collect()
}

/// Why workloads must not follow the copies: they would become something that nobody has tried.
pub fn outdated(view: &RolloutView, run: &RolloutRun) -> Option<CodeReasonMessage> {
    let targets = run.spec.canary.iter().flat_map(|canary| &canary.targets);
    let mut pairs = targets.filter_map(|target| {
        let workload = batch::find(view, run, target)?;
        Some((workload, canary::find(view, workload)?))
    });
    let is_another = |copy: &Workload, workload: &Workload| {
        copy.copied_template.as_ref().is_some_and(|copied| *copied != workload.template_hash)
    };
    let (workload, copy) = pairs.find(|(workload, copy)| is_another(copy, workload))?;
    let message = format!(
        "{}: its template is another than that of {}, which has all requests: put that template back and retry, or roll \
         back, or cancel and begin anew",
        batch::place(workload),
        copy.key.name,
    );
    Some(error("Error", "TemplateChanged", message))
}

/// What a run waits for while the old version is kept.
pub fn keeps(run: &RolloutRun, until: Timestamp) -> Wait {
    Wait {
        cluster: String::new(),
        object: run::object(run),
        condition: format!("the old version is kept until {}", condition::time(until).0),
        unblock: Some(run::annotate(run, super::command::Command::ForceSkip)),
    }
}

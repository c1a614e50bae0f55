//! Upstream's condition list: one entry a type, the latest changed at the end.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::Condition;

/// Sets a condition. Nothing happens when status, reason and message are as they were; otherwise the entry moves to
/// the end, and its transition time is kept if its status is.
pub fn set(
    conditions: &mut Vec<Condition>,
    kind: &str,
    status: bool,
    reason: &str,
    message: impl Into<String>,
    now: Timestamp,
) {
    let (status, message) = (if status { "True" } else { "False" }, message.into());
    let position = conditions.iter().position(|condition| condition.type_ == kind);
    let previous = position.map(|position| conditions.remove(position));
    if let (Some(position), Some(previous)) = (position, &previous)
        && previous.status == status
        && previous.reason == reason
        && previous.message == message
    {
        conditions.insert(position, previous.clone());
        return;
    }
    let kept = previous.filter(|previous| previous.status == status).and_then(|previous| previous.last_transition_time);
    conditions.push(Condition {
        type_: kind.to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message,
        last_update_time: Some(time(now)),
        last_transition_time: kept.or_else(|| Some(time(now))),
    });
}

/// The condition of a type.
pub fn get<'a>(conditions: &'a [Condition], kind: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == kind)
}

/// Whether the condition of a type has this status and reason.
pub fn is(conditions: &[Condition], kind: &str, status: bool, reason: &str) -> bool {
    get(conditions, kind).is_some_and(|condition| {
        condition.status == if status { "True" } else { "False" } && condition.reason == reason
    })
}

/// A time as the API keeps it: whole seconds, so that what is written and what is read back are equal.
pub fn time(now: Timestamp) -> Time {
    Time(Timestamp::from_second(now.as_second()).unwrap_or(now))
}

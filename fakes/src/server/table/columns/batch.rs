//! Jobs and what starts them.

use jiff::Timestamp;
use serde_json::Value;

use super::row::{NONE, Row, UNSET, or};
use super::workload::{CONTAINERS, IMAGES, SELECTOR};
use super::{AGE, Column, flag, integer, text, wide};
use crate::server::table::age;

pub(super) const JOBS: &[Column] = &[
    text("Status", status),
    text("Completions", completions),
    text("Duration", duration),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

pub(super) const CRON_JOBS: &[Column] = &[
    text("Schedule", |row| row.text("/spec/schedule").into()),
    text("Timezone", |row| row.text_or("/spec/timeZone", NONE)),
    flag("Suspend", suspend),
    integer("Active", |row| row.count("/status/active").into()),
    text("Last Schedule", last_schedule),
    AGE,
    wide("Containers", |row| row.each("/spec/jobTemplate/spec/template/spec/containers", "name").join(",").into()),
    wide("Images", |row| row.each("/spec/jobTemplate/spec/template/spec/containers", "image").join(",").into()),
    wide("Selector", |row| or(&row.selector("/spec/jobTemplate/spec/selector"), NONE)),
];

fn status(row: &Row<'_>) -> Value {
    let first = ["Complete", "Failed"].into_iter().find(|kind| row.holds(kind));
    let terminating = row.is_deleting().then_some("Terminating");
    let later = ["Suspended", "FailureTarget", "SuccessCriteriaMet"].into_iter().find(|kind| row.holds(kind));
    first.or(terminating).or(later).unwrap_or("Running").into()
}

fn completions(row: &Row<'_>) -> Value {
    let succeeded = row.int("/status/succeeded");
    match (row.at("/spec/completions").as_i64(), row.int("/spec/parallelism")) {
        (Some(wanted), _) => format!("{succeeded}/{wanted}"),
        (None, parallel @ 2..) => format!("{succeeded}/1 of {parallel}"),
        (None, _) => format!("{succeeded}/1"),
    }
    .into()
}

fn duration(row: &Row<'_>) -> Value {
    let time = |pointer: &str| row.text(pointer).parse::<Timestamp>().ok();
    let end = time("/status/completionTime").unwrap_or(row.now);
    time("/status/startTime").map_or_else(|| "".into(), |start| age::age(end, start).into())
}

fn last_schedule(row: &Row<'_>) -> Value {
    if row.has("/status/lastScheduleTime") { row.ago("/status/lastScheduleTime") } else { NONE.into() }
}

fn suspend(row: &Row<'_>) -> Value {
    match row.at("/spec/suspend").as_bool() {
        Some(true) => "True".into(),
        Some(false) => "False".into(),
        None => UNSET.into(),
    }
}

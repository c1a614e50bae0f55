//! Manual commands: which has what effect in which state, exactly once.
//!
//! A command is an annotation, but its effect is in status, and the two are separate writes. So one guarded write moves
//! the annotation to one of ours with an id; status records that id together with the effect; then ours goes. A crash
//! in between neither loses a command nor repeats it: a repeated `continue` would run through the next breakpoint.

use std::fmt;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{condition::time, patch};
use crate::{
    api::{CommandStatus, RolloutRunPhase, RolloutRunStatus, keys},
    view::ObjectKey,
};

/// A command taken from its annotation and not finished yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// Unique among the commands of one object: the version of the object that carried the command.
    pub id: String,
    /// What was asked for, word for word.
    pub command: String,
    /// The field manager that set the annotation, where it is known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub by: String,
    /// When it was taken.
    pub time: Timestamp,
}

/// The commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Release no further pod until `continue`.
    Pause,
    /// Go on from a pause.
    Continue,
    /// Try again what stopped with an error.
    Retry,
    /// Give up the batch that stopped with an error and go to the next.
    Skip,
    /// Give up the current batch, error or not.
    ForceSkip,
    /// End the run; pods stay as they are.
    Cancel,
    /// Return every target to its stable revision, batch by batch.
    Rollback,
}

impl Command {
    /// Every spelling, in the order in which documentation lists them.
    pub const NAMES: [(&'static str, Self); 8] = [
        ("pause", Self::Pause),
        ("continue", Self::Continue),
        ("resume", Self::Continue),
        ("retry", Self::Retry),
        ("skip", Self::Skip),
        ("force-skip-current-batch", Self::ForceSkip),
        ("cancel", Self::Cancel),
        ("rollback", Self::Rollback),
    ];

    /// The command of that spelling.
    pub fn parse(text: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(name, _)| *name == text.trim()).map(|(_, command)| *command)
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::NAMES.iter().find(|(_, command)| command == self).map_or("", |(name, _)| name);
        f.write_str(name)
    }
}

/// What a run looks like to a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Situation {
    /// Where it stands.
    pub at: Standing,
    /// Whether it is on its way back to the stable revision.
    pub rolling_back: bool,
}

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The run has ended.
    Completed,
    /// A cancel is under way.
    Canceling,
    /// Paused by a command or a breakpoint, perhaps with an error behind it.
    Paused {
        /// Whether it had stopped with an error before.
        error: bool,
    },
    /// Stopped with an error.
    Stopped,
    /// In a step.
    Running,
}

impl Situation {
    /// Reads the situation off a run's status.
    pub fn of(status: &RolloutRunStatus) -> Self {
        Self::at(&status.phase, status.error.is_some(), status.rollback.is_some())
    }

    /// The situation of a run in that phase.
    pub fn at(phase: &RolloutRunPhase, error: bool, rolling_back: bool) -> Self {
        let at = match phase {
            RolloutRunPhase::Succeeded | RolloutRunPhase::Canceled => Standing::Completed,
            RolloutRunPhase::Canceling => Standing::Canceling,
            RolloutRunPhase::Pausing | RolloutRunPhase::Paused => Standing::Paused { error },
            _ if error => Standing::Stopped,
            _ => Standing::Running,
        };
        Self { at, rolling_back }
    }
}

/// What a command does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Phase becomes Paused.
    Pause,
    /// Phase becomes Progressing.
    Continue,
    /// The error is cleared, and the step is tried again.
    ClearError,
    /// The current batch is marked Skipped; the run goes on behind it.
    SkipBatch,
    /// Phase becomes Canceling.
    Cancel,
    /// The run turns round: the batches are undone, from the current one to the first.
    RollBack,
}

/// The table of commands: what each does in each situation, or why it does nothing.
pub fn effect(command: Command, now: Situation) -> Result<Effect, &'static str> {
    use Command::{Cancel, Continue, ForceSkip, Pause, Retry, Rollback, Skip};
    use Standing::{Canceling, Completed, Paused, Stopped};
    match (command, now.at) {
        (Rollback, Completed) => {
            Err("the run has ended; given to the Rollout, it starts a run that takes this one back")
        }
        (_, Completed) => Err("the run has ended"),
        (Rollback, _) if now.rolling_back => Err("the run is being rolled back already"),
        (Rollback, _) => Ok(Effect::RollBack),
        (Cancel, Canceling) => Err("the run is being canceled already"),
        (_, Canceling) => Err("the run is being canceled"),
        (Cancel, _) => Ok(Effect::Cancel),
        (ForceSkip, _) => Ok(Effect::SkipBatch),
        (Pause, Paused { .. }) => Err("the run is paused already"),
        (Pause, _) => Ok(Effect::Pause),
        (Continue, Paused { .. }) => Ok(Effect::Continue),
        (Continue, _) => Err("the run is not paused"),
        (Retry, Stopped | Paused { error: true }) => Ok(Effect::ClearError),
        (Skip, Stopped | Paused { error: true }) => Ok(Effect::SkipBatch),
        (Retry, _) => Err("the run has not stopped with an error"),
        (Skip, _) => Err("the run has not stopped with an error; force-skip-current-batch gives up a healthy batch"),
    }
}

/// The command or trigger that was taken from this object and is not finished yet. A text that is not ours to parse
/// counts as none, and the next command replaces it.
pub fn pending(meta: &ObjectMeta, annotation: &str) -> Option<Pending> {
    serde_json::from_str(annotation_value(meta, annotation)?).ok()
}

/// The patch that takes a user's annotation and keeps it as a pending one of ours.
pub fn take(meta: &ObjectMeta, from: &str, to: &str, now: Timestamp) -> Option<Value> {
    let command = annotation_value(meta, from)?.to_owned();
    let resource_version = meta.resource_version.as_deref().unwrap_or_default();
    let by = annotation_manager(meta, from).unwrap_or_default();
    let taken = Pending { id: resource_version.to_owned(), command, by, time: time(now).0 };
    let text = serde_json::to_string(&taken).unwrap_or_default();
    Some(patch::annotations(resource_version, [(from, None), (to, Some(text))]))
}

/// The shell command that gives an object a command.
pub fn line(resource: &str, key: &ObjectKey, command: Command) -> String {
    format!(
        "kubectl annotate --overwrite -n {} {resource} {} {}={command}",
        key.namespace,
        key.name,
        keys::ANNOTATION_MANUAL_COMMAND
    )
}

/// The id that a command given to a Rollout bears at its run.
pub fn handed_down(id: &str) -> String {
    format!("rollout-{id}")
}

/// The acknowledgement of a command in status.
pub fn acknowledge(pending: &Pending, outcome: Result<String, String>, now: Timestamp) -> CommandStatus {
    let (effect, message) = match outcome {
        Ok(message) => ("Accepted", message),
        Err(message) => ("Refused", message),
    };
    CommandStatus {
        id: pending.id.clone(),
        command: pending.command.clone(),
        by: pending.by.clone(),
        time: Some(time(now)),
        effect: effect.to_owned(),
        message,
    }
}

/// The sentence for a word that is no command.
pub fn unknown(text: &str) -> String {
    let names: Vec<_> = Command::NAMES.iter().map(|(name, _)| *name).collect();
    format!("annotation {}: expected one of {}, found {text:?}", keys::ANNOTATION_MANUAL_COMMAND, names.join(", "))
}

/// The value of an annotation.
pub fn annotation_value<'a>(meta: &'a ObjectMeta, annotation: &str) -> Option<&'a str> {
    meta.annotations.as_ref()?.get(annotation).map(String::as_str)
}

/// The field manager that owns an annotation; the latest where several do.
fn annotation_manager(meta: &ObjectMeta, annotation: &str) -> Option<String> {
    let field = format!("f:{annotation}");
    let owns = |entry: &&ManagedFieldsEntry| {
        entry.fields_v1.as_ref().is_some_and(|fields| fields.0["f:metadata"]["f:annotations"].get(&field).is_some())
    };
    let entries = meta.managed_fields.iter().flatten().filter(owns);
    entries.max_by_key(|entry| entry.time.as_ref().map(|time| time.0)).and_then(|entry| entry.manager.clone())
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    const STANDINGS: [Standing; 6] = [
        Standing::Running,
        Standing::Paused { error: false },
        Standing::Stopped,
        Standing::Paused { error: true },
        Standing::Canceling,
        Standing::Completed,
    ];

    fn situations() -> impl Iterator<Item = Situation> {
        let both = |at| [false, true].map(|rolling_back| Situation { at, rolling_back });
        STANDINGS.into_iter().flat_map(both)
    }

    fn show(outcome: Result<Effect, &str>) -> String {
        outcome.map_or_else(|why| format!("- ({why})"), |effect| format!("{effect:?}"))
    }

    fn name(situation: Situation) -> String {
        format!("{:?}{}", situation.at, if situation.rolling_back { ", rolling back" } else { "" })
    }

    #[test]
    fn the_table_of_commands() {
        let mut table = String::new();
        for situation in situations() {
            for (word, command) in Command::NAMES {
                writeln!(table, "{:38} {word:25} {}", name(situation), show(effect(command, situation))).unwrap();
            }
        }
        insta::assert_snapshot!(table);
    }

    /// What a run looks like after an effect.
    fn after(situation: Situation, effect: Effect) -> Situation {
        let error = matches!(situation.at, Standing::Stopped | Standing::Paused { error: true });
        let paused = matches!(situation.at, Standing::Paused { .. });
        let at = match effect {
            Effect::Pause => Standing::Paused { error },
            Effect::Continue if error => Standing::Stopped,
            Effect::ClearError | Effect::SkipBatch if paused => Standing::Paused { error: false },
            Effect::Continue | Effect::ClearError | Effect::SkipBatch | Effect::RollBack => Standing::Running,
            Effect::Cancel => Standing::Canceling,
        };
        Situation { at, rolling_back: situation.rolling_back || effect == Effect::RollBack }
    }

    /// Two commands take effect one after the other: the table says which of the two decides where the run goes.
    #[test]
    fn the_table_of_pairs() {
        let mut table = String::new();
        let names = || Command::NAMES.into_iter().filter(|(word, _)| *word != "resume");
        for situation in situations().filter(|situation| situation.at != Standing::Completed) {
            for (first_word, first) in names() {
                for (second_word, second) in names().filter(|(word, _)| *word != first_word) {
                    let first = effect(first, situation);
                    let between = first.map_or(situation, |effect| after(situation, effect));
                    let second = effect(second, between);
                    let end = second.map_or(between, |effect| after(between, effect));
                    let winner = match (first, second) {
                        (_, Ok(_)) => second_word,
                        (Ok(_), Err(_)) => first_word,
                        (Err(_), Err(_)) => "neither",
                    };
                    writeln!(
                        table,
                        "{:36} {first_word:25} then {second_word:25} → {:36} ({winner})",
                        name(situation),
                        name(end)
                    )
                    .unwrap();
                }
            }
        }
        insta::assert_snapshot!(table);
    }

    /// What is being canceled or has ended never goes forward again, and what is rolled back stays rolled back.
    #[test]
    fn no_command_turns_a_cancel_or_a_rollback_round() {
        for situation in situations() {
            for (_, command) in Command::NAMES {
                let Ok(effect) = effect(command, situation) else { continue };
                let end = after(situation, effect);
                assert!(end.rolling_back || !situation.rolling_back, "{situation:?} {command}");
                let canceled = situation.at == Standing::Canceling;
                assert!(!canceled || end.rolling_back, "{situation:?} {command}");
            }
        }
    }

    #[test]
    fn a_word_that_is_no_command_is_named() {
        assert_eq!(Command::parse(" pause "), Some(Command::Pause));
        assert_eq!(Command::parse("Pause"), None);
        assert!(unknown("stop").contains("found \"stop\""));
    }
}

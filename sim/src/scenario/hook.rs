//! The endpoints of hooks: how they answer, one turn after the other.

use serde::Deserialize;
use slipway_fakes::hooks::{Behaviour, Turn};

use super::Time;

/// Some answers in a row.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Answers {
    /// What the endpoint answers.
    pub answer: Answer,
    /// How often, before the next line; for good when absent.
    pub times: Option<u32>,
    /// How long it takes each time.
    #[serde(default)]
    pub after: Time,
}

/// What an endpoint answers.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// `OK`.
    Ok,
    /// `Processing`.
    Processing,
    /// `Error`.
    Error,
    /// `Error` or `Processing`, as the seed has it.
    Flapping,
    /// This HTTP status.
    Status(u16),
    /// Nothing, ever.
    Hang,
    /// The connection is broken off.
    Reset,
    /// A text that is no JSON.
    NotJson,
    /// A document of another kind.
    WrongDocument,
    /// More than anybody wants to read.
    Huge,
}

/// An endpoint that answers otherwise from now on.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SetHook {
    /// The endpoint.
    pub name: String,
    /// Its answers.
    pub answers: Vec<Answers>,
}

impl From<&Answers> for Turn {
    fn from(answers: &Answers) -> Self {
        let behaviour = match answers.answer {
            Answer::Ok => Behaviour::Ok,
            Answer::Processing => Behaviour::Processing,
            Answer::Error => Behaviour::Error,
            Answer::Flapping => Behaviour::Flapping,
            Answer::Status(status) => Behaviour::Status(status),
            Answer::Hang => Behaviour::Hang,
            Answer::Reset => Behaviour::Reset,
            Answer::NotJson => Behaviour::NotJson,
            Answer::WrongDocument => Behaviour::WrongDocument,
            Answer::Huge => Behaviour::Huge,
        };
        Self { behaviour, times: answers.times, after: answers.after.0 }
    }
}

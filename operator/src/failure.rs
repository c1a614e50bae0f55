//! How a command ends when it does not end well.

use std::{io, process::ExitCode};

/// Why a command ended early. Each kind has its exit code.
#[derive(Debug)]
pub(crate) enum Failure {
    /// What was tried did not work out: exit code 1.
    Broke(String),
    /// What was asked for makes no sense, and nothing was done: exit code 2.
    BadInput(String),
    /// The user ended it before its end: exit code 130, as a shell would say.
    Interrupted,
    /// Nobody reads the output any more: silent, exit code 0.
    Unread,
}

impl Failure {
    /// Says it on standard error and gives the exit code.
    pub(crate) fn report(self) -> ExitCode {
        match self {
            Self::Broke(message) => said(&message, 1),
            Self::BadInput(message) => said(&message, 2),
            Self::Interrupted => ExitCode::from(130),
            Self::Unread => ExitCode::SUCCESS,
        }
    }
}

fn said(message: &str, code: u8) -> ExitCode {
    use io::Write;
    // Standard error may be closed; there is nowhere left to say so.
    let _ = writeln!(io::stderr(), "error: {message}");
    ExitCode::from(code)
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Unread,
            _ => Self::Broke(error.to_string()),
        }
    }
}

impl From<kube::Error> for Failure {
    fn from(error: kube::Error) -> Self {
        Self::Broke(chain(&error))
    }
}

/// An error with its causes, each said once.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = error.to_string();
        if !text.contains(&message) {
            text = format!("{text}: {message}");
        }
        cause = error.source();
    }
    text
}

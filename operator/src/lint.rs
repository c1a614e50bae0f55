//! `slipway lint`: finds what is wrong with manifests before a cluster does.

mod cross;
mod document;
mod server;

use std::path::PathBuf;

use slipway_actors::{api::GROUP, decide::admission};

use self::{
    document::{Document, Place},
    server::Server,
};
use crate::{failure::Failure, output};

/// Check manifests of Rollouts and their like without a cluster.
///
/// Says what the API server, the webhook and the operator would say, and what a name refers to that is not there. Objects
/// of other kinds are looked at only as what a Rollout selects.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 nothing is wrong (there may be warnings), 1 something is, 2 a file cannot be read."
)]
pub(crate) struct Args {
    /// Manifests in YAML or JSON, directories of them, or - for standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

/// Something to say about one document.
struct Finding {
    place: Place,
    severity: Severity,
    /// Field and remedy.
    text: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Severity {
    Error,
    Warning,
}

/// Checks the files.
pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let mut documents = Vec::new();
    for file in &args.files {
        documents.extend(document::read(file).map_err(Failure::BadInput)?);
    }
    let ours: Vec<&Document> = documents.iter().filter(|document| document.is_ours()).collect();
    let mut findings = Vec::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let server = Server::start().await?;
        for document in &ours {
            findings.extend(check(&server, document).await?);
        }
        Ok::<_, Failure>(())
    })?;
    findings.extend(cross::check(&documents));
    // By document, and within one as they were found.
    findings.sort_by(|one, other| one.place.cmp(&other.place));
    report(&findings, ours.len())
}

/// What is wrong with one document by itself.
async fn check(server: &Server, document: &Document) -> Result<Vec<Finding>, Failure> {
    let finding = |severity, text: String| Finding { place: document.place.clone(), severity, text };
    let errors = match admission::check(None, &document.object) {
        Ok(errors) => errors,
        Err(error) => return Ok(vec![finding(Severity::Error, error.to_string())]),
    };
    let answer = server.create(document).await?;
    // The same mistake is told once, in our words.
    let told = |field: &str| {
        let around = |one: &str, other: &str| {
            other.strip_prefix(one).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        errors.iter().any(|error| around(field, &error.path) || around(&error.path, field))
    };
    let refused = answer.causes.into_iter().filter(|cause| !told(&cause.path)).map(|cause| cause.to_string());
    let mut findings: Vec<_> = errors
        .iter()
        .map(ToString::to_string)
        .chain(refused.collect::<Vec<_>>())
        .map(|text| finding(Severity::Error, text))
        .collect();
    let unknown = |warning: &String| !warning.contains("\"spec\"") || document.kind() != "RolloutStrategy";
    let warnings = answer.warnings.into_iter().filter(unknown).chain(admission::warnings(&document.object));
    findings.extend(warnings.map(|text| finding(Severity::Warning, text)));
    Ok(findings)
}

fn report(findings: &[Finding], checked: usize) -> Result<(), Failure> {
    for Finding { place, severity, text } in findings {
        let severity = if *severity == Severity::Warning { "warning: " } else { "" };
        output::line(&format!("{place}: {severity}{text}"))?;
    }
    let count = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let summary = format!(
        "{} of {GROUP} checked: {}, {}",
        counted(checked, "object"),
        counted(errors, "error"),
        counted(warnings, "warning")
    );
    if errors > 0 { Err(Failure::Broke(summary)) } else { output::line(&summary) }
}

fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

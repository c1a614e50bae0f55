//! The page that says what was compared and what remains different.

use std::path::PathBuf;

use anyhow::Result;

use crate::foreign;

use super::{Accepted, Census, RANDOM_SCRIPTS, generate, scripts};

const HEAD: &str = "<!-- Generated: cargo run -p slipway-tests --bin differences -->

# What the fake API server answers otherwise

The same requests go to a real kube-apiserver and to the fake, and the whole answers are compared: code, warnings and
body, or the events of a watch. What cannot be the same in two runs (uids, resource versions, times, generated names,
allocated addresses) becomes a numbered placeholder first, so that which of them are equal is compared as well.
";

const MISSING: &str = "## What is not built

Nothing compares these, since nothing asks for them yet.

- Rules of what is rarely written: affinity and its terms, security contexts, Ingress, NetworkPolicy, RBAC, CronJob
  schedules, dockercfg in Secrets, ranges of load balancers, templates of claims.
- Limits: the cost of CEL rules is not estimated, and an object may be larger than etcd takes.
- CEL in CRDs: `optMap`, `optFlatMap` and macros of two variables.
- OpenAPI v2 has no schemas; kubectl 1.36 reads v3.
- Nobody expires Events, nobody taints nodes, and no kubelet runs containers: logs, exec, attach, port-forward and debug are
  refused with a reason.
- Admission documents of bindings, evictions and scales have no managedFields.
";

/// Where the page is kept.
pub fn page_path() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "..", "fakes", "DIFFERENCES.md"].iter().collect()
}

/// The page as it should be.
pub fn page() -> Result<String> {
    let accepted = Accepted::read()?;
    let written = census(scripts(&[])?.iter());
    let random = census((1..=RANDOM_SCRIPTS).map(generate).collect::<Vec<_>>().iter());
    let kubectl: Vec<foreign::Accepted> = foreign::read("kubectl-differences.yaml")?;
    Ok([HEAD.to_owned(), remaining(&accepted), of_kubectl(&kubectl), MISSING.to_owned(), compared(&written, &random)]
        .join("\n"))
}

fn census<'a>(scripts: impl Iterator<Item = &'a super::Script>) -> Census {
    let mut census = Census::default();
    scripts.for_each(|script| census.count(script, None));
    census
}

fn compared(written: &Census, random: &Census) -> String {
    let section = |title: &str, what: &str, census: &Census| {
        let (scripts, requests) = (census.scripts(), census.requests(|_| true));
        format!("## {title}\n\n{what}: {scripts} scripts with {requests} requests.\n\n{}", census.table())
    };
    [
        section(
            "Written scripts",
            "`tests/conformance/*.yaml`, with the real server's answers recorded beside them",
            written,
        ),
        section(
            "Random scripts",
            "Drawn from seeds by `tests/src/conformance/random`, run on both servers side by side",
            random,
        ),
    ]
    .join("\n")
}

fn of_kubectl(accepted: &[foreign::Accepted]) -> String {
    let rows = accepted.iter().map(|it| format!("| `{}` | {} |\n", it.run.replace('|', "\\|"), it.reason));
    format!(
        "## What kubectl prints otherwise\n\nFrom `tests/foreign/kubectl-differences.yaml`; all other commands of \
         `tests/foreign/kubectl.yaml` print the same.\n\n| command | why |\n|---|---|\n{}",
        rows.collect::<String>()
    )
}

fn remaining(accepted: &[Accepted]) -> String {
    let places = |it: &Accepted| {
        let mut scripts: Vec<String> = it.places.iter().map(|place| format!("`{}`", place.script)).collect();
        scripts.dedup();
        scripts.join(", ")
    };
    let rows = accepted.iter().map(|it| format!("| {} | {} | {} |\n", it.difference, it.reason, places(it)));
    format!(
        "## Differences that remain\n\nFrom `tests/conformance/differences.yaml`. One that no longer shows fails the tests.\n\n\
         | difference | why | in scripts |\n|---|---|---|\n{}",
        rows.collect::<String>()
    )
}

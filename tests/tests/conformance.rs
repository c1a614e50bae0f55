//! The same requests get the same answers from a real API server and from the fake.
//!
//! Both are held against the recorded answers: the real one, which shows that they are not stale, and the fake, whose
//! differences have to be listed in `conformance/differences.yaml`. `CONFORMANCE_SCRIPTS=a,b` runs only some scripts.

use std::collections::BTreeSet;
use std::env;
use std::io::{self, Write as _};

use anyhow::{Result, bail};
use futures::{StreamExt, stream};
use kube::Client;
use slipway_fakes::controllers::{self, ControllerOptions};
use slipway_fakes::kubelet::{Kubelet as FakeKubelet, KubeletOptions};
use slipway_fakes::{ApiServer, Clock};
use slipway_tests::conformance::{Accepted, Difference, Script, compare, judge, recorded, run, scripts};
use slipway_tests::control_plane::ControlPlane;
use slipway_tests::kubelet::Kubelet;

/// Pods of this image never become ready, on both arms.
const BAD_IMAGE: &str = "app:bad";

#[tokio::test(flavor = "multi_thread")]
async fn the_recorded_answers_are_what_a_real_api_server_says() -> Result<()> {
    let scripts = selected()?;
    let plane = ControlPlane::start("real").await?;
    plane.compact().await?;
    let client = plane.client()?;
    let _kubelet = Kubelet::with_bad_images(plane.client()?, BTreeSet::from([BAD_IMAGE.to_owned()]));
    let client = &client;
    let found: Vec<Result<Vec<Difference>>> = stream::iter(&scripts)
        .map(|script| async move { differences(client, script).await })
        .buffer_unordered(scripts.len().max(1))
        .collect()
        .await;
    report(
        "a real API server",
        &scripts,
        found,
        &[],
        "if the answers are right, record them with `cargo run -p slipway-tests --bin record-answers`",
    )
}

#[test]
fn the_fake_answers_as_recorded() -> Result<()> {
    let scripts = selected()?;
    let found = scripts.iter().map(ask_fake).collect();
    report(
        "the fake",
        &scripts,
        found,
        &Accepted::read()?,
        "mend the fake, or list the difference with its reason in `differences.yaml`",
    )
}

/// Runs a script in virtual time, against a fake cluster of its own.
fn ask_fake(script: &Script) -> Result<Vec<Difference>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    runtime.block_on(async {
        let api = ApiServer::new(1, Clock::new("2026-01-01T00:00:00Z".parse()?, 1));
        // As on the real arm, so that there are revisions that are forgotten.
        api.store().compact(api.store().revision());
        let options = KubeletOptions {
            node: None,
            bad_images: BTreeSet::from([BAD_IMAGE.to_owned()]),
            ..KubeletOptions::default()
        };
        tokio::spawn(FakeKubelet::new(&api, options, 1).run());
        tokio::spawn(controllers::run(api.clone(), ControllerOptions::default(), 1));
        differences(&api.client(), script).await
    })
}

async fn differences(client: &Client, script: &Script) -> Result<Vec<Difference>> {
    compare(&script.name, &recorded(script)?, &run(client, script).await?)
}

fn selected() -> Result<Vec<Script>> {
    let names = env::var("CONFORMANCE_SCRIPTS").unwrap_or_default();
    let names: Vec<String> = names.split(',').filter(|it| !it.is_empty()).map(str::to_owned).collect();
    let scripts = scripts(&names)?;
    if scripts.is_empty() {
        bail!("no script of {names:?}: `CONFORMANCE_SCRIPTS` takes names of files in `tests/conformance`");
    }
    Ok(scripts)
}

/// Fails with every difference that is not accepted, and with every entry that accepts nothing; else tells the counts.
fn report(
    arm: &str,
    scripts: &[Script],
    found: Vec<Result<Vec<Difference>>>,
    accepted: &[Accepted],
    remedy: &str,
) -> Result<()> {
    let mut problems = Vec::new();
    let mut differences = Vec::new();
    for result in found {
        match result {
            Ok(found) => differences.extend(found),
            Err(error) => problems.push(format!("{error:#}")),
        }
    }
    let places = differences.len();
    let (left, idle) = judge(differences, accepted);
    problems.extend(left.iter().map(ToString::to_string));
    if env::var_os("CONFORMANCE_SCRIPTS").is_none() {
        problems.extend(idle.iter().map(|it| {
            format!("{} / {} / {}: listed as a difference, but there is none: remove it", it.script, it.step, it.path)
        }));
    }
    if !problems.is_empty() {
        bail!("{} problems; {remedy}\n{}", problems.len(), problems.join("\n"));
    }
    let steps: usize = scripts.iter().map(|script| script.steps.len()).sum();
    let entries = accepted.len() - idle.len();
    // Not `println!`, which the test harness keeps to itself when all is well.
    writeln!(
        io::stderr(),
        "conformance of {arm}: {} scripts, {steps} steps, {places} accepted differences by {entries} entries",
        scripts.len()
    )?;
    Ok(())
}

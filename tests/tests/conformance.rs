//! The same requests get the same answers from a real API server and from the fake.
//!
//! Both are held against the recorded answers: the real one, which shows that they are not stale, and the fake, whose
//! differences have to be listed in `conformance/differences.yaml`. `CONFORMANCE_SCRIPTS=a,b` runs only some scripts.

use std::env;
use std::io::{self, Write as _};

use anyhow::{Context, Result, bail, ensure};
use slipway_tests::conformance::{
    Accepted, Difference, Place, RANDOM, Script, Transcript, compare, judge, on_fake, on_real, page, page_path,
    recorded, scripts,
};

#[tokio::test(flavor = "multi_thread")]
async fn the_recorded_answers_are_what_a_real_api_server_says() -> Result<()> {
    let scripts = selected()?;
    let transcripts = on_real(&scripts).await?;
    report(
        "a real API server",
        &scripts,
        transcripts,
        &[],
        "if the answers are right, record them with `cargo run -p slipway-tests --bin record-answers`",
    )
}

#[test]
fn the_fake_answers_as_recorded() -> Result<()> {
    let scripts = selected()?;
    let transcripts = scripts.iter().map(on_fake).collect();
    report(
        "the fake",
        &scripts,
        transcripts,
        &Accepted::read()?,
        "mend the fake, or list the difference with its reason in `differences.yaml`",
    )
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
    transcripts: Vec<Result<Transcript>>,
    accepted: &[Accepted],
    remedy: &str,
) -> Result<()> {
    let mut problems = Vec::new();
    let mut differences = Vec::new();
    for (script, transcript) in scripts.iter().zip(transcripts) {
        match held_against_the_record(script, transcript) {
            Ok(found) => differences.extend(found),
            Err(error) => problems.push(format!("{error:#}")),
        }
    }
    let places = differences.len();
    let (left, idle) = judge(differences, accepted);
    problems.extend(left.iter().map(ToString::to_string));
    if env::var_os("CONFORMANCE_SCRIPTS").is_none() {
        // Places that the random scripts alone get to are their test's affair.
        let idle = idle.iter().filter(|place| !place.script.starts_with(RANDOM));
        problems.extend(idle.map(|it| format!("{}: listed as a difference, but there is none: remove it", name(it))));
    }
    if !problems.is_empty() {
        bail!("{} problems; {remedy}\n{}", problems.len(), problems.join("\n"));
    }
    let steps: usize = scripts.iter().map(|script| script.steps.len()).sum();
    // Not `println!`, which the test harness keeps to itself when all is well.
    writeln!(
        io::stderr(),
        "conformance of {arm}: {} scripts, {steps} steps, {places} accepted differences for {} reasons",
        scripts.len(),
        accepted.len()
    )?;
    Ok(())
}

#[test]
fn the_page_of_differences_is_up_to_date() -> Result<()> {
    let path = page_path();
    let kept = std::fs::read_to_string(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
    ensure!(kept == page()?, "write it again: cargo run -p slipway-tests --bin differences");
    Ok(())
}

fn held_against_the_record(script: &Script, transcript: Result<Transcript>) -> Result<Vec<Difference>> {
    compare(&script.name, &recorded(script)?, &transcript?)
}

fn name(place: &Place) -> String {
    format!("{} / {} / {}", place.script, place.step.as_deref().unwrap_or("*"), place.path)
}

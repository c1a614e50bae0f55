//! Random requests get the same answers from a real API server and from the fake.
//!
//! `RANDOM_SCRIPTS=n` runs so many seeds, from 1 on; `RANDOM_SEED=n,m` runs these. Every difference has to be listed in
//! `conformance/differences.yaml`; others are shrunk and printed, one of each sort, as a script to add to the suite.

use std::collections::BTreeMap;
use std::env;
use std::io::{self, Write as _};

use anyhow::{Context, Result, bail};
use futures::{StreamExt, stream};
use slipway_tests::conformance::{
    Accepted, Census, Difference, RANDOM, RANDOM_SCRIPTS, Real, Script, Transcript, compare, generate, judge, on_fake,
    shrink,
};

/// Seeds that differed once and are drawn by no usual run.
const KEPT: [u64; 3] = [2760, 3033, 4585];

/// Scripts at the same time. Most of a script's time is the real server's.
const AT_ONCE: usize = 48;

/// Scripts that run on two real servers.
const TWICE: u64 = 200;

/// Sorts of differences that are shrunk, and the attempts for each. The rest is told by its seeds.
const SHRUNK: usize = 12;
const ATTEMPTS: usize = 150;

/// How often a script that differs is tried again, and what its name ends in then.
const TRIES: usize = 3;
const AGAIN: &str = "-again";

/// What a script showed.
struct Outcome {
    script: Script,
    transcript: Transcript,
    /// All that differs at the first step where something does.
    differences: Vec<Difference>,
}

#[tokio::test(flavor = "multi_thread")]
async fn random_requests_are_answered_alike() -> Result<()> {
    let accepted = Accepted::read()?;
    let real = Real::start(true).await?;
    let (real, accepted) = (&real, &accepted);
    let outcomes: Vec<Result<Outcome>> = stream::iter(seeds()?)
        .map(|seed| async move { both(real, generate(seed), accepted).await })
        .buffered(AT_ONCE)
        .collect()
        .await;
    let (outcomes, errors): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
    let outcomes: Vec<Outcome> = outcomes.into_iter().filter_map(Result::ok).collect();
    let mut census = Census::default();
    for it in &outcomes {
        census.count(&it.script, Some(&it.transcript));
    }
    writeln!(io::stderr(), "random conformance: {census}")?;
    let failed = still_different(real, &outcomes, accepted).await?;
    let sorts = sorts(&failed, accepted);
    let mut problems = idle(&outcomes, accepted);
    problems.extend(errors.into_iter().filter_map(Result::err).map(|error| format!("{error:#}")));
    for (index, (sort, failed)) in sorts.iter().enumerate() {
        let seeds: Vec<&str> = failed.iter().map(|it| seed(it)).collect();
        problems.push(format!("{} scripts differ in {sort}: seeds {}", failed.len(), seeds.join(", ")));
        let first = failed.iter().min_by_key(|it| place(it)).context("no script of this sort")?;
        problems.push(if index < shrunk()? { smallest(real, first, sort, accepted).await? } else { told(first)? });
    }
    if !problems.is_empty() {
        bail!("{} problems\n{}", problems.len(), problems.join("\n"));
    }
    Ok(())
}

/// Scripts ask for nothing that depends on chance or on time: two real servers answer alike.
#[tokio::test(flavor = "multi_thread")]
async fn two_real_api_servers_answer_alike() -> Result<()> {
    let (one, other) = futures::try_join!(Real::start(true), Real::start(true))?;
    let (one, other) = (&one, &other);
    let differences: Vec<Result<Vec<Difference>>> =
        stream::iter(1..=TWICE).map(|seed| twice(one, other, generate(seed))).buffered(AT_ONCE).collect().await;
    let differences = differences.into_iter().collect::<Result<Vec<_>>>()?.concat();
    let texts: Vec<String> = differences.iter().map(ToString::to_string).collect();
    if texts.is_empty() { Ok(()) } else { bail!("two real servers differ\n{}", texts.join("\n")) }
}

/// What differs between two servers, each time that a script is tried.
async fn twice(one: &Real, other: &Real, mut script: Script) -> Result<Vec<Difference>> {
    let mut differences = Vec::new();
    for _ in 0..=TRIES {
        let (first, second) = futures::try_join!(one.run(&script), other.run(&script))?;
        differences = compare(&script.name, &first, &second)?;
        if differences.is_empty() {
            break;
        }
        script.name += AGAIN;
    }
    Ok(differences)
}

/// The outcomes that differ. Each is tried again some times: the real server decides a few things by chance, such as which
/// of two faults it tells, and what differs once in a while is no difference of the fake's.
async fn still_different(real: &Real, outcomes: &[Outcome], accepted: &[Accepted]) -> Result<Vec<Outcome>> {
    let different = outcomes.iter().filter(|it| sort(it, accepted).is_some());
    let mut scripts: Vec<Script> = different.map(|it| it.script.clone()).collect();
    let (some, all) = (scripts.len(), outcomes.len());
    writeln!(io::stderr(), "random conformance: {some} of {all} scripts differ at first")?;
    let mut left = Vec::new();
    for _ in 0..TRIES {
        let again = stream::iter(scripts).map(|script| async move {
            let script = Script { name: format!("{}{AGAIN}", script.name), ..script };
            both(real, script, accepted).await
        });
        let again: Vec<Result<Outcome>> = again.buffered(AT_ONCE).collect().await;
        let again = again.into_iter().collect::<Result<Vec<_>>>()?;
        left = again.into_iter().filter(|it| sort(it, accepted).is_some()).collect();
        scripts = left.iter().map(|it| it.script.clone()).collect();
    }
    Ok(left)
}

fn seed(outcome: &Outcome) -> &str {
    outcome.script.name.trim_start_matches(RANDOM).trim_end_matches(AGAIN)
}

fn seeds() -> Result<Vec<u64>> {
    let numbers = |name: &str| {
        let text = env::var(name).ok();
        let numbers = text.map(|it| it.split(',').map(str::parse).collect::<Result<Vec<u64>, _>>());
        numbers.transpose().with_context(|| format!("{name} is no number"))
    };
    let scripts = numbers("RANDOM_SCRIPTS")?.and_then(|it| it.first().copied()).unwrap_or(RANDOM_SCRIPTS);
    Ok(numbers("RANDOM_SEED")?.unwrap_or_else(|| (1..=scripts).chain(KEPT).collect()))
}

fn shrunk() -> Result<usize> {
    env::var("RANDOM_SHRUNK").map_or(Ok(SHRUNK), |it| it.parse().context("RANDOM_SHRUNK is no number"))
}

/// Runs a script on both arms.
async fn both(real: &Real, script: Script, accepted: &[Accepted]) -> Result<Outcome> {
    let fake = {
        let script = script.clone();
        tokio::task::spawn_blocking(move || on_fake(&script))
    };
    let transcript = real.run(&script).await?;
    let fake = fake.await?.with_context(|| format!("the fake, {}", script.name))?;
    let found = compare(&script.name, &transcript, &fake)?;
    // What is accepted does not hide what comes after it; what is not does, because later answers follow from it.
    let (left, _) = judge(found.clone(), accepted);
    let first = left.first().map(|it| it.step.clone());
    let differences = found.into_iter().filter(|it| first.as_ref().is_none_or(|first| it.step == *first)).collect();
    Ok(Outcome { script, transcript, differences })
}

/// Which sort of difference it is: the request, and where and how the answers differ.
fn sort(outcome: &Outcome, accepted: &[Accepted]) -> Option<String> {
    let (left, _) = judge(outcome.differences.clone(), accepted);
    let first = left.iter().find(|it| it.path == "body.message").or(left.first())?;
    let step = outcome.script.steps.iter().find(|it| it.step == first.step)?;
    let verb = step.request.split(' ').next().unwrap_or_default();
    let path: String = first.path.chars().filter(|it| !it.is_ascii_digit()).collect();
    let shape = |value: &Option<serde_json::Value>| {
        let text = value.as_ref().map_or_else(|| "nothing".to_owned(), ToString::to_string);
        text.chars().filter(|it| !it.is_ascii_digit()).take(70).collect::<String>()
    };
    Some(format!("{verb} {path} real {} other {}", shape(&first.real), shape(&first.other)))
}

/// The failed scripts by sort, the most frequent first.
fn sorts<'a>(outcomes: &'a [Outcome], accepted: &[Accepted]) -> Vec<(String, Vec<&'a Outcome>)> {
    let mut sorts: BTreeMap<String, Vec<&Outcome>> = BTreeMap::new();
    for outcome in outcomes {
        if let Some(sort) = sort(outcome, accepted) {
            sorts.entry(sort).or_default().push(outcome);
        }
    }
    let mut sorts: Vec<_> = sorts.into_iter().collect();
    sorts.sort_by_key(|(_, failed)| std::cmp::Reverse(failed.len()));
    sorts
}

/// The index of the step that differs.
fn place(outcome: &Outcome) -> usize {
    let first = outcome.differences.first().map(|it| &it.step);
    outcome.script.steps.iter().position(|it| Some(&it.step) == first).unwrap_or_default()
}

/// Places listed for random scripts where nothing differs. Only a whole run can tell.
fn idle(outcomes: &[Outcome], accepted: &[Accepted]) -> Vec<String> {
    if env::var_os("RANDOM_SCRIPTS").is_some() || env::var_os("RANDOM_SEED").is_some() {
        return Vec::new();
    }
    let all = outcomes.iter().flat_map(|it| it.differences.clone()).collect();
    let (_, idle) = judge(all, accepted);
    let random = idle.iter().filter(|it| it.script.starts_with(RANDOM));
    random
        .map(|it| format!("{} / {}: listed as a difference, but there is none: remove it", it.script, it.path))
        .collect()
}

/// The smallest script that differs in the same way, ready for the suite.
async fn smallest(real: &Real, outcome: &Outcome, sort: &str, accepted: &[Accepted]) -> Result<String> {
    let seed = seed(outcome).to_owned();
    let mut script = outcome.script.clone();
    script.steps.truncate(place(outcome) + 1);
    let attempt = std::sync::atomic::AtomicUsize::new(0);
    let again = async |script: &Script| {
        let number = attempt.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let script = Script { name: format!("{RANDOM}{seed}-{number}"), ..script.clone() };
        both(real, script, accepted).await
    };
    let small = shrink(script, ATTEMPTS, async |script| {
        again(script).await.is_ok_and(|it| self::sort(&it, accepted).as_deref() == Some(sort))
    })
    .await;
    let outcome = again(&small).await?;
    Ok(format!(
        "# RANDOM_SEED={seed} cargo test -p slipway-tests --test random\n{}\n{}",
        serde_saphyr::to_string(&small)?,
        told(&outcome)?
    ))
}

/// The request that is answered otherwise, and how.
fn told(outcome: &Outcome) -> Result<String> {
    let request = outcome.script.steps.get(place(outcome)).map(serde_json::to_string).transpose()?;
    // Where one arm refuses, the rest of the bodies has nothing in common.
    let refused = outcome.differences.iter().any(|it| it.path == "status");
    let told = |it: &&Difference| !refused || ["status", "body.message"].contains(&it.path.as_str());
    let differences: Vec<String> = outcome.differences.iter().filter(told).map(ToString::to_string).collect();
    Ok(format!("{}\n{}", request.unwrap_or_default(), differences.join("\n")))
}

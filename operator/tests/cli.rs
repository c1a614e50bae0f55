//! The command line as a user meets it: help, output, exit codes, and one clear error for whatever is wrong.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    io::{BufRead, BufReader, Read},
    path::PathBuf,
    process::{Command, Output, Stdio},
    sync::{Mutex, PoisonError},
};

/// A command that depends on nothing of the machine it runs on.
fn slipway(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_slipway"));
    command.args(args).env_clear().env("HOME", env!("CARGO_TARGET_TMPDIR")).stdin(Stdio::null());
    command
}

fn run(args: &[&str]) -> Output {
    slipway(args).output().unwrap()
}

/// Runs the demo. Demos keep real time, in which gateways are late by what the machine is busy with, so one goes at a time.
fn demo(args: &[&str]) -> Output {
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    run(&[&["demo"], args, &["--plain", "--speed", "20"]].concat())
}

fn file(name: &str, text: &str) -> String {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// A kubeconfig with contexts `hub` and `east` at an address where nobody listens.
fn kubeconfig(name: &str) -> String {
    let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    file(
        name,
        &format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: hub\n\
             clusters:\n- name: hub\n  cluster: {{server: 'http://127.0.0.1:{port}'}}\n\
             contexts:\n- name: hub\n  context: {{cluster: hub, user: me}}\n\
             - name: east\n  context: {{cluster: hub, user: me}}\n\
             - name: stray\n  context: {{cluster: nowhere, user: me}}\n\
             users:\n- name: me\n  user: {{}}\n"
        ),
    )
}

/// Runs and expects the exit code and every part of the error, which is one line or clap's own form.
fn refused(args: &[&str], code: i32, parts: &[&str]) {
    let output = run(args);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{args:?}: {error}");
    assert!(error.starts_with("error: "), "{args:?}: {error}");
    for part in parts {
        assert!(error.contains(part), "{args:?}: {part:?} is not in: {error}");
    }
}

#[test]
fn help_is_worth_reading() {
    for (name, args) in [
        ("help", &["--help"] as &[&str]),
        ("help_demo", &["demo", "--help"]),
        ("help_operator", &["operator", "--help"]),
        ("help_simulate", &["simulate", "--help"]),
        ("help_crds", &["crds", "--help"]),
        ("help_lint", &["lint", "--help"]),
        ("help_policy", &["policy", "--help"]),
        ("help_webhook", &["webhook", "--help"]),
        ("help_webhook_serve", &["webhook", "serve", "--help"]),
        ("help_webhook_configuration", &["webhook", "configuration", "--help"]),
    ] {
        let output = run(args);
        assert!(output.status.success());
        insta::assert_snapshot!(name, String::from_utf8(output.stdout).unwrap());
    }
}

#[test]
fn bad_usage_is_exit_code_2() {
    for args in [
        &["launch"] as &[&str],
        &["operator", "--hubb", "x"],
        &["crds", "extra"],
        &["demo", "--speed", "0"],
        &["simulate"],
        &["simulate", "x.yaml", "--seed", "-1"],
        &["simulate", "x.yaml", "--seed", "1", "--seeds", "0..2"],
        &["simulate", "x.yaml", "--seeds", "2..2"],
        &["simulate", "x.yaml", "--jobs", "2"],
        &["webhook"],
        &["webhook", "serve"],
        &["webhook", "serve", "--certificate", "x"],
        &["webhook", "configuration"],
    ] {
        assert_eq!(run(args).status.code(), Some(2), "{args:?}");
    }
}

#[test]
fn a_bad_operator_setup_is_refused() {
    let config = kubeconfig("setup.yaml");
    let good = |rest: &[&'static str]| [&["operator", "--kubeconfig", &*config] as &[&str], rest].concat().join(" ");
    let malformed = file("malformed.yaml", "apiVersion: v1\nclusters: [");
    let listed = file("listed.yaml", "- just\n- a list\n");
    let headless = file("headless.yaml", "apiVersion: v1\nkind: Config\n");
    let missing = format!("{}/missing.yaml", env!("CARGO_TARGET_TMPDIR"));
    for (line, parts) in [
        (format!("operator --kubeconfig {malformed}"), &["malformed.yaml", "kubectl config view --raw"] as &[&str]),
        (format!("operator --kubeconfig {listed}"), &["listed.yaml", "kubectl config view --raw"]),
        (format!("operator --kubeconfig {missing}"), &["missing.yaml", "No such file"]),
        (format!("operator --kubeconfig {headless}"), &["headless.yaml", "current-context", "--hub CONTEXT"]),
        (good(&["--hub", "moon"]), &["--hub", "\"moon\"", "setup.yaml", "hub, east, stray"]),
        (good(&["--hub", "stray"]), &["setup.yaml", "\"stray\"", "nowhere"]),
        (good(&["--member", "east=moon"]), &["--member east", "\"moon\"", "hub, east, stray"]),
        (good(&["--member", "a=east", "--member", "a=hub"]), &["--member a", "appears twice", "its own name"]),
        (good(&["--member", "a=east", "--member", "b=east"]), &["--member b", "already member a"]),
        (good(&["--member", "a=east", "--member", "b=hub"]), &["--member b", "http://127.0.0.1", "already member a"]),
        (good(&["--member", "East=east"]), &["--member", "\"East\"", "no DNS label"]),
        (good(&["--member", "east"]), &["--member", "name=context"]),
        ("operator".to_owned(), &["kubeconfig", "--kubeconfig FILE"]),
    ] {
        refused(&line.split(' ').collect::<Vec<_>>(), 2, parts);
    }
}

#[test]
fn an_unreachable_hub_is_named_by_its_address() {
    let config = kubeconfig("unreachable.yaml");
    refused(&["operator", "--kubeconfig", &config], 1, &["hub http://127.0.0.1:", "cannot be reached", "refused"]);
}

const SCENARIO: &str = "
description: One workload moves in two batches.
application:
  name: web
  workloads: [{name: web, replicas: 3, image: 'web:v1'}]
  strategy: {batch: {batches: [{replicas: 1}, {replicas: 100%}]}}
timeline:
  - {after: 20s, do: {set-image: {image: 'web:v2'}}}
expect:
  run: {phase: Succeeded}
";

#[test]
fn a_bad_scenario_is_refused() {
    let missing = format!("{}/nowhere.yaml", env!("CARGO_TARGET_TMPDIR"));
    refused(&["simulate", &missing], 2, &["nowhere.yaml", "cannot be read"]);
    for (name, from, to, parts) in [
        ("unknown.yaml", "timeline:", "time-line:", &["time-line"] as &[&str]),
        ("negative.yaml", "after: 20s", "after: -20s", &["timeline[0].after", "-20s"]),
        ("syntax.yaml", "[{name: web", "[{name: web, [", &["no YAML"]),
        ("member.yaml", "{name: web, rep", "{cluster: mars, name: web, rep", &["application.workloads[0]", "mars"]),
    ] {
        let path = file(name, &SCENARIO.replacen(from, to, 1));
        refused(&["simulate", &path], 2, &[&[name], parts].concat());
    }
}

#[test]
fn a_scenario_is_played_the_same_in_every_process() {
    let path = file("good.yaml", SCENARIO);
    let (one, other) = (run(&["simulate", &path, "--seed", "3"]), run(&["simulate", &path, "--seed", "3"]));
    let text = String::from_utf8(one.stdout).unwrap();
    assert_eq!(one.status.code(), Some(0), "{text}");
    assert!(text.contains("batch 2 of 2") && text.contains("seed 3, "), "{text}");
    assert_eq!(text, String::from_utf8(other.stdout).unwrap());
    let traced = String::from_utf8(run(&["simulate", &path, "--seed", "3", "--trace"]).stdout).unwrap();
    assert!(traced.len() > text.len() && traced.ends_with(&text), "{traced}");

    let drill = run(&["simulate", &path, "--seeds", "0..3", "--jobs", "2"]);
    assert_eq!(drill.status.code(), Some(0));
    assert!(String::from_utf8(drill.stdout).unwrap().contains("3 runs, 0 broken"));
}

#[test]
fn a_broken_invariant_is_exit_code_1_with_a_replay() {
    let path = file("broken.yaml", &SCENARIO.replace("Succeeded", "Canceled"));
    let output = run(&["simulate", &path, "--seed", "5"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    let replay = text.lines().filter(|it| it.contains(&format!("slipway simulate {path} --seed 5")));
    assert_eq!(replay.count(), 1, "{text}");
    assert_eq!(run(&["simulate", &path, "--seeds", "0..2"]).status.code(), Some(1));
}

#[test]
fn the_demo_runs_to_its_end() {
    let output = demo(&[]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    for part in [
        "rollout shop/storefront: 6 workloads in 3 clusters",
        "batch 2/3 paused at its breakpoint",
        "the demo gives the command: kubectl annotate ro storefront",
        "batch 3/3 done",
        "requests  v1 90%  v2 10%",
        "requests  v1 50%  v2 50%",
        " by v2, none failed",
        "All 30 pods are on v2",
    ] {
        assert!(text.contains(part), "{part:?} is not in:\n{text}");
    }
    for cluster in ["east ", "north", "west "] {
        for workload in ["backend ", "frontend"] {
            let row = format!("{cluster}    {workload}  0           5 ");
            assert!(text.contains(&row), "{row:?} is not in:\n{text}");
        }
    }
    let (_, table) = text.split_once("ANSWERED BY V1  ANSWERED BY V2  ERRORS\n").unwrap();
    let rows: Vec<Vec<&str>> = table.lines().take(3).map(|it| it.split_whitespace().collect()).collect();
    for (row, cluster) in rows.iter().zip(["east", "north", "west"]) {
        let [name, old, new, errors] = row[..] else { panic!("{row:?} is no row of:\n{text}") };
        assert!(name == cluster && old != "0" && new != "0" && errors == "0", "{text}");
    }
}

#[test]
fn the_demos_canary_gets_a_share_of_the_requests() {
    let output = demo(&["canary"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    for cluster in ["east ", "north", "west "] {
        let share = format!("{cluster}  requests  v1 80%  v2 20%");
        assert!(text.contains(&share), "{share:?} is not in:\n{text}");
    }
    assert!(text.contains(" by v2, none failed"), "{text}");
}

#[test]
fn the_demos_copies_take_over_all_requests() {
    let output = demo(&["blue-green"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    let (before, after) = text.split_once("batch 1/2 running").unwrap();
    for cluster in ["east ", "north", "west "] {
        let share = format!("{cluster}  requests  v2 100%");
        assert!(before.contains(&share), "{share:?} is not before the first batch in:\n{text}");
        assert!(!after.contains(&format!("{cluster}  requests  v1")), "{text}");
    }
    assert!(text.contains(" by v2, none failed"), "{text}");
}

#[test]
fn crds_are_yaml_of_six_kinds() {
    let output = run(&["crds"]);
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let documents: Vec<serde_json::Value> = serde_saphyr::from_multiple(&text).unwrap();
    let names: Vec<&str> = documents.iter().map(|it| it["spec"]["names"]["plural"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        ["backendroutings", "rolloutruns", "rollouts", "rolloutstrategies", "scaleruns", "traffictopologies"]
    );

    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("crds");
    let output = run(&["crds", "--dir", dir.to_str().unwrap()]);
    assert!(output.status.success());
    let files: Vec<String> = String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
    let together: Vec<String> = files.iter().map(|it| std::fs::read_to_string(it).unwrap()).collect();
    assert_eq!(together.join("---\n"), text);
    refused(&["crds", "--dir", "/dev/null/crds"], 2, &["--dir", "/dev/null/crds"]);
}

#[test]
fn a_bad_webhook_setup_is_refused() {
    let junk = file("junk.pem", "junk");
    for (line, parts) in [
        (format!("webhook serve --certificate {junk} --key {junk}"), &["junk.pem", "PEM"] as &[&str]),
        ("webhook serve --certificate nowhere --key nowhere".to_owned(), &["nowhere"]),
        ("webhook serve --self-signed /dev/null/x".to_owned(), &["--self-signed", "/dev/null/x"]),
        ("webhook configuration --service webhook".to_owned(), &["--service webhook", "namespace/name"]),
        ("webhook configuration --url http://x".to_owned(), &["--url", "https://"]),
        ("webhook configuration --url https://x --ca-bundle nowhere".to_owned(), &["--ca-bundle nowhere"]),
    ] {
        refused(&line.split(' ').collect::<Vec<_>>(), 2, parts);
    }
}

#[test]
fn the_webhook_is_configured_for_six_kinds() {
    let bundle = file("ca.pem", "a certificate");
    let output = run(&["webhook", "configuration", "--service", "slipway/webhook", "--ca-bundle", &bundle]);
    insta::assert_snapshot!("webhook_configuration", String::from_utf8(output.stdout).unwrap());
}

#[test]
fn policies_are_yaml() {
    let text = String::from_utf8(run(&["policy"]).stdout).unwrap();
    let documents: Vec<serde_json::Value> = serde_saphyr::from_multiple(&text).unwrap();
    let of = |kind: &str| documents.iter().filter(|it| it["kind"] == kind).collect::<Vec<_>>();
    let (policies, bindings) = (of("MutatingAdmissionPolicy"), of("MutatingAdmissionPolicyBinding"));
    assert_eq!((policies.len(), bindings.len()), (documents.len() / 2, documents.len() / 2));
    for (policy, binding) in policies.iter().zip(bindings) {
        assert_eq!(policy["metadata"]["name"], binding["spec"]["policyName"]);
        assert_eq!(policy["spec"]["failurePolicy"], "Ignore", "a policy must never block a write");
    }
}

#[test]
fn a_reader_that_leaves_is_no_panic() {
    let mut child = slipway(&["crds"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = String::new();
    BufReader::with_capacity(16, child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert!(child.wait().unwrap().success());
    let mut error = String::new();
    child.stderr.take().unwrap().read_to_string(&mut error).unwrap();
    assert_eq!(error, "");
}

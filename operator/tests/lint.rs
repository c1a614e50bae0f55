//! `slipway lint` as a user meets it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

/// Runs it in a directory of these files, and gives exit code and everything printed.
fn lint(files: &[(&str, &str)], args: &[&str], stdin: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).unwrap();
        fs::write(path, text).unwrap();
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_slipway"));
    command.arg("lint").args(args).current_dir(dir.path()).env_clear();
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let (out, error) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    format!("{out}{error}exit code {}", output.status.code().unwrap())
}

const ROLLOUT: &str = "
apiVersion: rollout.kusionstack.io/v1alpha1
kind: Rollout
metadata: {name: shop, namespace: shop}
spec:
  strategyRef: shop
  workloadRef: {apiVersion: apps/v1, kind: StatefulSet, match: {selector: {matchLabels: {app: shop}}}}
";
const STRATEGY: &str = "
apiVersion: rollout.kusionstack.io/v1alpha1
kind: RolloutStrategy
metadata: {name: shop, namespace: shop}
batch: {batches: [{replicas: 1}, {replicas: 100%}]}
";
const WORKLOAD: &str = "
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: web, labels: {app: shop}}
";

#[test]
fn good_manifests() {
    let together = [ROLLOUT, STRATEGY, WORKLOAD].join("---");
    insta::assert_snapshot!(lint(&[("shop.yaml", &together)], &["shop.yaml"], ""), @"
    2 objects of rollout.kusionstack.io checked: 0 errors, 0 warnings
    exit code 0
    ");
    insta::assert_snapshot!(lint(&[], &["-"], &together), @"
    2 objects of rollout.kusionstack.io checked: 0 errors, 0 warnings
    exit code 0
    ");
}

#[test]
fn one_line_for_everything_that_is_wrong() {
    let strategy = "
apiVersion: rollout.kusionstack.io/v1alpha1
kind: RolloutStrategy
metadata: {name: shop}
batch: {batches: [{replicas: ten}, {replicas: 100%, replicaSlidingWindow: 0}]}
canary: {replicas: 1, traffic: {http: {weight: 200, filters: [{type: Magic}]}}}
webhooks: [{name: ask, hookTypes: [PreBatchStepHook], clientConfig: {url: hooks}, failureTreshold: 3}]
---
apiVersion: rollout.kusionstack.io/v1alpha1
kind: RolloutStrategy
metadata: {name: nested}
spec: {batch: {batches: [{replicas: 1}]}}
";
    let list = r#"{"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "rollout.kusionstack.io/v1alpha1", "kind": "RolloutRun", "metadata": {"name": "run"}, "spec": {}},
        {"apiVersion": "rollout.kusionstack.io/v1", "kind": "Rollout", "metadata": {"name": "other"}},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "Whatever"}}
    ]}"#;
    let files = [("a/strategies.yaml", strategy), ("list.json", list), ("notes.txt", "not: [looked at")];
    insta::assert_snapshot!(lint(&files, &["."], ""));
}

#[test]
fn what_does_not_fit_together_is_warned_of() {
    let rollout = ROLLOUT.replace("strategyRef: shop", "strategyRef: shopp");
    let strategy = STRATEGY.replace("{replicas: 1}", "{replicas: 1, matchTargets: {names: [{name: api}]}}");
    let other = WORKLOAD.replace("app: shop", "app: other");
    let cases = [
        ("no such strategy", [rollout.as_str(), STRATEGY, WORKLOAD].join("---")),
        ("a step for nothing", [ROLLOUT, &strategy, WORKLOAD].join("---")),
        ("no such workload", [ROLLOUT, STRATEGY, &other].join("---")),
        ("twice", [ROLLOUT, ROLLOUT].join("---")),
        ("alone", ROLLOUT.to_owned()),
    ];
    let told: Vec<_> = cases.iter().map(|(what, text)| format!("# {what}\n{}", lint(&[], &["-"], text))).collect();
    insta::assert_snapshot!(told.join("\n\n"));
}

#[test]
fn what_cannot_be_read_is_exit_code_2() {
    let files = [("bad.yaml", "kind: [Rollout"), ("text.yaml", "just text"), ("kindless.yaml", "a: 1")];
    let told: Vec<_> =
        ["bad.yaml", "text.yaml", "kindless.yaml", "missing.yaml"].map(|it| lint(&files, &[it], "")).into();
    insta::assert_snapshot!(told.join("\n\n"));
    assert!(lint(&[], &[], "").ends_with("exit code 2"));
}

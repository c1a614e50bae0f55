//! The operator as its own process, against fake clusters served on loopback.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "operator/hooks.rs"]
mod hooks;
#[path = "../src/endpoints/tests/server.rs"]
mod server;
#[path = "operator/setup.rs"]
mod setup;

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Child,
};

use self::setup::Setup;

/// Waits until the operator has said that it works, asks it to stop, and gives its exit code and its whole log.
async fn stopped(mut operator: Child, signal: Signal) -> (Option<i32>, String) {
    let mut lines = BufReader::new(operator.stderr.take().unwrap()).lines();
    let (mut log, mut asked) = (String::new(), false);
    while let Some(line) = lines.next_line().await.unwrap() {
        if line.contains("the operator starts") && !asked {
            kill(Pid::from_raw(i32::try_from(operator.id().unwrap()).unwrap()), signal).unwrap();
            asked = true;
        }
        log = log + &line + "\n";
    }
    (operator.wait().await.unwrap().code(), log)
}

#[tokio::test]
async fn it_works_on_hub_and_member_and_stops_when_asked() {
    let setup = Setup::start().await;
    setup.create_rollout(json!({})).await;
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let operator = setup.operator(&["--hub", "hub", "--member", "east=east", "--log-format", "json"]);
        setup.controlled().await;
        let (code, log) = stopped(operator, signal).await;
        assert_eq!(code, Some(0), "{signal}: {log}");
        for line in log.lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            assert_ne!(line["level"], "ERROR", "{line}");
        }
        assert!(log.contains(signal.as_str()), "{log}");
    }
}

#[tokio::test]
async fn a_hub_without_the_api_says_what_to_install() {
    let setup = Setup::start().await;
    let output = setup.operator(&["--hub", "east"]).wait_with_output().await.unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    for part in ["error: hub http://127.0.0.1", "rolloutruns.rollout.kusionstack.io", "slipway crds | kubectl"] {
        assert!(error.contains(part), "{part:?} is not in: {error}");
    }
}

#[tokio::test]
async fn an_unreachable_member_does_not_keep_the_others_from_working() {
    let setup = Setup::start().await;
    setup.create_rollout(json!({})).await;
    let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let mut config: Value = serde_json::from_str(&std::fs::read_to_string(&setup.kubeconfig).unwrap()).unwrap();
    let gone = json!({ "name": "gone", "cluster": { "server": format!("http://127.0.0.1:{port}") } });
    config["clusters"].as_array_mut().unwrap().push(gone);
    let context = json!({ "name": "gone", "context": { "cluster": "gone", "user": "me" } });
    config["contexts"].as_array_mut().unwrap().push(context);
    std::fs::write(&setup.kubeconfig, config.to_string()).unwrap();

    let operator = setup.operator(&["--member", "east=east", "--member", "gone=gone"]);
    setup.controlled().await;
    let (code, log) = stopped(operator, Signal::SIGTERM).await;
    assert_eq!(code, Some(0), "{log}");
}

//! Whatever a client sends to a fake API server, it is answered: without a panic, without waiting, and a refusal is a
//! well-formed Status.
//!
//! `FUZZ_CASES=n` sets how many cases each test runs, each a script of about a dozen requests. A case that fails is
//! shrunk by proptest and kept in `fuzz/proptest-regressions.txt`; requests worth keeping are in `fuzz/corpus`.
#![expect(clippy::unwrap_used, reason = "a test may panic, also in its helpers")]

use std::env;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, FileFailurePersistence, TestRunner};
use serde_json::{Value, json};
use slipway_tests::conformance::{generate, run};
use slipway_tests::fuzz::{Mangled, Message, Mutation, api_server, corpus, mutate_json, send};

/// Cases of each test when nobody says otherwise.
const CASES: u32 = 1500;

/// Requests of a script's preparation, which are left alone.
const PREPARATION: usize = 4;

/// An answer that takes so long is taken for one that never comes.
const HANG: Duration = Duration::from_mins(2);

type Note = Arc<Mutex<Message>>;

/// Runs cases in a thread of their own, and tells the request that it hangs in.
fn watched(cases: impl FnOnce(Note) + Send + 'static) {
    let note = Note::default();
    let (done, finished) = channel();
    let thread = {
        let note = note.clone();
        std::thread::Builder::new().stack_size(8 << 20).spawn(move || {
            cases(note);
            let _ = done.send(());
        })
    };
    let thread = thread.unwrap();
    let mut last = String::new();
    loop {
        match finished.recv_timeout(HANG) {
            Ok(()) => break,
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                let now = note.lock().unwrap().to_string();
                assert_ne!(now, last, "no answer in {HANG:?}");
                last = now;
            }
        }
    }
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

fn runner() -> TestRunner {
    let cases = env::var("FUZZ_CASES").map_or(CASES, |it| it.parse().unwrap());
    let kept = FileFailurePersistence::Direct(concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/proptest-regressions.txt"));
    TestRunner::new(Config { cases, failure_persistence: Some(Box::new(kept)), ..Config::default() })
}

fn mutations(most: usize) -> impl Strategy<Value = Vec<Mutation>> {
    vec(any::<(u8, u16, u16)>().prop_map(|(part, at, with)| Mutation { part, at, with }), 0..=most)
}

fn in_virtual_time(future: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(future);
}

/// Scripts of random requests, some of them changed on their way.
#[test]
fn changed_requests() {
    watched(|note| {
        let strategy = (0..10_000_u64, vec(mutations(2), 0..18));
        let outcome = runner().run(&strategy, |(seed, changes)| {
            let untouched = std::iter::repeat_n(Vec::new(), PREPARATION);
            let mangled = Mangled::new(untouched.chain(changes), note.clone());
            // A changed watch may end in silence, and a changed answer may not be what a step keeps: all the same here.
            in_virtual_time(async { drop(run(&mangled.client(), &generate(seed)).await) });
            Ok(())
        });
        outcome.unwrap();
    });
}

/// CRDs with anything in them, and objects of those that are taken.
#[test]
fn changed_definitions() {
    let definitions = definitions();
    watched(move |note| {
        let strategy = (0..definitions.len(), vec(any::<u64>(), 0..6), vec(any::<u64>(), 0..6));
        let outcome = runner().run(&strategy, |(index, changes, objects)| {
            let mut definition = definitions[index].clone();
            for seed in changes {
                mutate_json(&mut definition, seed);
            }
            let api = api_server();
            let post = |url: &str, body: &Value| {
                let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
                let body = body.to_string().into_bytes();
                let message = Message { method: "POST".to_owned(), url: url.to_owned(), headers, body };
                send(&api, &message, &note);
            };
            post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", &definition);
            for seed in objects {
                let (url, mut object) = instance(&definition, seed);
                mutate_json(&mut object, seed);
                post(&url, &object);
            }
            Ok(())
        });
        outcome.unwrap();
    });
}

/// Bytes in every place.
#[test]
fn any_bytes() {
    watched(|note| {
        let message = ("[A-Z]{1,7}", "/[ -~]{0,60}", vec(("[a-z-]{1,16}", "[ -~]{0,40}"), 0..3), any::<Vec<u8>>());
        let outcome = runner().run(&message, |(method, url, headers, body)| {
            send(&api_server(), &Message { method, url, headers, body }, &note);
            Ok(())
        });
        outcome.unwrap();
    });
}

/// What was kept, as it is and changed.
#[test]
fn the_corpus() {
    let kept = corpus().unwrap();
    assert!(!kept.is_empty(), "the corpus is gone");
    watched(move |note| {
        let api = api_server();
        for (_, message) in &kept {
            send(&api, message, &note);
        }
        let outcome = runner().run(&(0..kept.len(), mutations(4)), |(index, changes)| {
            let mut message = kept[index].1.clone();
            for change in changes {
                change.apply(&mut message);
            }
            send(&api_server(), &message, &note);
            Ok(())
        });
        outcome.unwrap();
    });
}

/// The CRDs that the tests and the operator install.
fn definitions() -> Vec<Value> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let folders = ["tests/conformance/install", "operator/deploy/crds"];
    let mut paths: Vec<_> = folders
        .iter()
        .flat_map(|folder| std::fs::read_dir(format!("{root}/{folder}")).unwrap())
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let text = |path| std::fs::read_to_string(path).unwrap().replace("${script}", "fuzz");
    paths.iter().map(|path| serde_saphyr::from_str(&text(path)).unwrap()).collect()
}

/// An object that a definition may be for, and where it is sent.
fn instance(definition: &Value, seed: u64) -> (String, Value) {
    let text = |pointer: &str| definition.pointer(pointer).and_then(Value::as_str).unwrap_or("none").to_owned();
    let (group, version) = (text("/spec/group"), text("/spec/versions/0/name"));
    let url = format!("/apis/{group}/{version}/namespaces/default/{}", text("/spec/names/plural"));
    let spec = generate(seed % 5000).steps.into_iter().find_map(|step| step.body?.get("spec").cloned());
    let mut object = json!({ "apiVersion": format!("{group}/{version}"), "kind": text("/spec/names/kind") });
    object["metadata"] = json!({ "name": "a" });
    object["spec"] = spec.unwrap_or_else(|| json!({ "size": 1 }));
    (url.chars().filter(char::is_ascii_graphic).collect(), object)
}

//! Makes a failing script smaller while it fails in the same way.

use std::collections::BTreeMap;

use serde_json::Value;

use super::spoil::{pointers, remove};
use super::world::tidy;
use crate::conformance::{Script, Step};

/// Shrinks a script by trying simpler ones, as long as `fails` says they fail as it did and `attempts` last.
///
/// Its last step is the one that fails. Steps before it go first, then parts of requests.
pub async fn shrink(script: Script, mut attempts: usize, fails: impl AsyncFn(&Script) -> bool) -> Script {
    let mut smallest = script;
    let mut progress = true;
    while progress {
        progress = false;
        for shrinks in [without_steps, with_simpler_steps] {
            let mut next = 0;
            while let Some(candidate) = shrinks(&smallest, next) {
                if attempts == 0 {
                    return smallest;
                }
                attempts -= 1;
                if fails(&candidate).await {
                    smallest = candidate;
                    progress = true;
                } else {
                    next += 1;
                }
            }
        }
    }
    smallest
}

/// The script without some steps: the n-th way, larger pieces first.
fn without_steps(script: &Script, n: usize) -> Option<Script> {
    let before = script.steps.len().checked_sub(1)?;
    let mut size = before.div_ceil(2);
    let mut n = n;
    while size > 0 {
        let pieces = before.div_ceil(size);
        if n < pieces {
            let mut smaller = script.clone();
            smaller.steps.drain(n * size..((n + 1) * size).min(before));
            return Some(tidied(smaller));
        }
        n -= pieces;
        size /= 2;
    }
    None
}

/// The script with one step simpler: the n-th way.
fn with_simpler_steps(script: &Script, n: usize) -> Option<Script> {
    let mut n = n;
    for (index, step) in script.steps.iter().enumerate() {
        let mut ways = simpler(step);
        if n < ways.len() {
            let mut smaller = script.clone();
            smaller.steps[index] = ways.swap_remove(n);
            return Some(tidied(smaller));
        }
        n -= ways.len();
    }
    None
}

fn tidied(mut script: Script) -> Script {
    tidy(&mut script.steps);
    let used = super::world::used(&script.steps);
    script.variables.retain(|name, _| used.contains(name));
    if !script.steps.iter().any(|step| step.request.contains("shared.example.com")) {
        script.install.clear();
    }
    script
}

/// The step without its headers, without a parameter, or without a part of its body.
fn simpler(step: &Step) -> Vec<Step> {
    let mut ways = Vec::new();
    if !step.headers.is_empty() {
        ways.push(Step { headers: BTreeMap::new(), ..step.clone() });
    }
    if let Some((path, query)) = step.request.split_once('?') {
        let parameters: Vec<&str> = query.split('&').collect();
        for index in 0..parameters.len() {
            let mut parameters = parameters.clone();
            // Without a limit of time a watch would wait for ever.
            if !parameters.remove(index).starts_with("timeoutSeconds") {
                let query = if parameters.is_empty() { String::new() } else { format!("?{}", parameters.join("&")) };
                ways.push(Step { request: format!("{path}{query}"), ..step.clone() });
            }
        }
    }
    for pointer in step.body.as_ref().map(pointers).unwrap_or_default() {
        let mut body = step.body.clone().unwrap_or(Value::Null);
        remove(&mut body, &pointer);
        ways.push(Step { body: Some(body), ..step.clone() });
    }
    ways
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn script() -> Script {
        let step = |name: &str, body: Value| Step {
            step: name.to_owned(),
            request: format!("PUT /{name}?a=1&b=2"),
            body: Some(body),
            ..Step::default()
        };
        let steps = (1..=9).map(|n| step(&n.to_string(), json!({ "x": n, "y": [n, { "z": n }] }))).collect();
        Script {
            name: "s".to_owned(),
            about: String::new(),
            install: Vec::new(),
            alone: true,
            variables: BTreeMap::new(),
            steps,
        }
    }

    #[tokio::test]
    async fn what_the_failure_needs_stays_and_the_rest_goes() {
        let has = |script: &Script, step: &str, pointer: &str| {
            let found = script.steps.iter().find(|it| it.step == step);
            found.and_then(|it| it.body.as_ref()).is_some_and(|body| body.pointer(pointer).is_some())
        };
        let small = shrink(script(), 1000, async |script| {
            has(script, "3", "/y/1/z") && has(script, "9", "/x") && script.steps[0].request.contains("b=2")
        })
        .await;
        let steps: Vec<Value> = small.steps.iter().map(|it| serde_json::to_value(it).unwrap()).collect();
        let expected = json!([
            { "step": "3", "do": "PUT /3?b=2", "with": { "y": [3, { "z": 3 }] } },
            { "step": "9", "do": "PUT /9", "with": { "x": 9 } },
        ]);
        assert_eq!(json!(steps)[1], expected[1]);
        assert_eq!(json!(steps)[0]["do"], expected[0]["do"]);
        assert_eq!(small.steps.len(), 2);
    }

    #[tokio::test]
    async fn attempts_are_counted() {
        assert_eq!(shrink(script(), 3, async |_| true).await.steps.len(), 2);
    }
}

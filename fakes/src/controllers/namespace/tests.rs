//! The conditions of a namespace that is going.

use serde_json::{Value, json};

use super::conditions::Findings;
use super::*;

fn words(status: &Value) -> Vec<String> {
    let conditions = object::list(&status["conditions"]).iter();
    conditions.map(|it| format!("{} {}", it["status"].as_str().unwrap(), it["reason"].as_str().unwrap())).collect()
}

#[test]
fn conditions_tell_what_is_left_and_change_only_with_it() {
    let now = "2026-01-01T00:00:00Z".parse().unwrap();
    let mut status = json!({"phase": "Terminating"});
    let mut findings = Findings::default();
    let left = |objects, finalizers: &[(&str, usize)]| Left {
        objects,
        finalizers: finalizers.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect(),
        estimate: 0,
    };
    findings.add(&GroupResource::new("apps", "deployments"), left(2, &[("b", 1), ("a", 2)]));
    findings.add(&GroupResource::new("", "configmaps"), left(1, &[("a", 1)]));
    findings.add(&GroupResource::new("", "secrets"), left(0, &[]));
    findings.tell_what_is_left();
    assert!(findings.write_conditions(&mut status, now));
    assert_eq!(
        words(&status),
        [
            "False ResourcesDiscovered",
            "False ParsedGroupVersions",
            "False ContentDeleted",
            "True SomeResourcesRemain",
            "True SomeFinalizersRemain"
        ]
    );
    assert_eq!(
        [&status["conditions"][3]["message"], &status["conditions"][4]["message"]],
        [
            "Some resources are remaining: configmaps. has 1 resource instances, deployments.apps has 2 resource instances",
            "Some content in the namespace has finalizers remaining: a in 3 resource instances, b in 1 resource instances",
        ]
    );
    assert!(!findings.write_conditions(&mut status, now), "said already");

    let mut findings = Findings::default();
    findings.fail("it is stuck".to_owned());
    assert!(findings.write_conditions(&mut status, now));
    assert_eq!(
        words(&status)[2..],
        ["True ContentDeletionFailed", "False ContentRemoved", "False ContentHasNoFinalizers"]
    );
    let message = &status["conditions"][2]["message"];
    assert_eq!(message, "Failed to delete all resource types, 1 remaining: it is stuck");
}

//! What a request says beside its body: the query, the client's name, the object's version.

use serde_json::{Value, json};

use super::dice::Dice;
use super::kinds::Kind;
use crate::conformance::Step;

/// What variables an object's answers are kept in.
pub(super) fn variable(kind: &Kind, name: &str, what: &str) -> String {
    format!("{}-{name}-{what}", kind.plural)
}

/// `${x}` for a variable.
pub(super) fn reference(kind: &Kind, name: &str, what: &str) -> String {
    format!("${{{}}}", variable(kind, name, what))
}

/// A step that sends a request.
pub(super) fn step(words: &str, request: String, body: Option<Value>) -> Step {
    Step { step: words.to_owned(), request, body, ..Step::default() }
}

/// Keeps version and uid of an answered object for later steps.
pub(super) fn keep(step: &mut Step, kind: &Kind, name: &str, created: bool) {
    step.keep.insert(variable(kind, name, "rv"), "metadata.resourceVersion".to_owned());
    step.keep.insert(variable(kind, name, "uid"), "metadata.uid".to_owned());
    if created {
        step.keep.insert(variable(kind, name, "old"), "metadata.resourceVersion".to_owned());
    }
}

/// Which version of an object a request says it is about, in words and as sent.
pub(super) fn version(dice: &mut Dice, kind: &Kind, name: &str) -> (&'static str, Option<Value>) {
    let text = |what| Some(reference(kind, name, what).into());
    match dice.weighted(&[(6, 0), (2, 1), (4, 2), (1, 3), (1, 4)]) {
        0 => ("its fresh version", text("rv")),
        1 => ("an old version", text("old")),
        2 => ("no version", None),
        3 => ("version zero", Some("0".into())),
        _ => ("no proper version", Some(dice.pick(&[json!("x"), json!("-1"), json!(7), json!("")]))),
    }
}

/// A path with its query.
pub(super) fn with_query(path: &str, query: &[String]) -> String {
    if query.is_empty() { path.to_owned() } else { format!("{path}?{}", query.join("&")) }
}

/// The options of a write. Whether it is only a trial is told apart.
pub(super) fn of_write(dice: &mut Dice) -> (Vec<String>, bool) {
    let mut query = Vec::new();
    let dry = dice.chance(1, 12);
    if dry {
        query.push(format!("dryRun={}", dice.weighted(&[(9, "All"), (1, "Some")])));
    }
    if dice.chance(1, 4) {
        query.push(format!("fieldManager={}", dice.pick(&["one", "two"])));
    }
    if dice.chance(1, 4) {
        let validations = [(6, "Strict"), (4, "Warn"), (4, "Ignore"), (1, "Lax")];
        query.push(format!("fieldValidation={}", dice.weighted(&validations)));
    }
    (query, dry)
}

/// The options of an apply: it has to say who applies.
pub(super) fn of_apply(dice: &mut Dice) -> (Vec<String>, bool) {
    let (mut query, dry) = of_write(dice);
    query.retain(|it| !it.starts_with("fieldManager"));
    if !dice.chance(1, 20) {
        query.push(format!("fieldManager={}", dice.pick(&["one", "two", "three"])));
    }
    if dice.chance(1, 4) {
        query.push(format!("force={}", dice.weighted(&[(6, "true"), (1, "false"), (1, "maybe")])));
    }
    (query, dry)
}

/// Some requests come from another client.
pub(super) fn client(dice: &mut Dice, step: &mut Step) {
    if dice.chance(1, 4) {
        step.headers.insert("user-agent".to_owned(), dice.pick(&["alpha/1.0", "beta"]).to_owned());
    }
}

/// The options of a deletion, mostly none.
pub(super) fn of_delete(dice: &mut Dice, kind: &Kind, name: &str) -> (Vec<String>, Option<Value>) {
    let mut query = Vec::new();
    let mut body = json!({});
    if dice.chance(1, 10) {
        query.push("dryRun=All".to_owned());
    }
    if dice.chance(1, 4) {
        let policies = ["Background", "Foreground", "Orphan", "Sometimes"];
        let policy = dice.weighted(&[(4, policies[0]), (4, policies[1]), (3, policies[2]), (1, policies[3])]);
        if dice.chance(1, 2) {
            query.push(format!("propagationPolicy={policy}"));
        } else {
            body["propagationPolicy"] = policy.into();
        }
    }
    if dice.chance(1, 5) {
        body["gracePeriodSeconds"] = dice.pick(&[json!(0), json!(1), json!(30), json!(-1)]);
    }
    if dice.chance(1, 4) {
        let uid = reference(kind, name, "uid");
        let wrong = "11111111-1111-1111-1111-111111111111";
        let (_, version) = version(dice, kind, name);
        let mut preconditions = json!({});
        if let Some(version) = version.filter(Value::is_string).filter(|_| dice.chance(1, 2)) {
            preconditions["resourceVersion"] = version;
        } else {
            preconditions["uid"] = dice.weighted(&[(3, uid.as_str()), (1, wrong)]).into();
        }
        body["preconditions"] = preconditions;
    }
    let some = body.as_object().is_some_and(|fields| !fields.is_empty());
    if some {
        body["apiVersion"] = "v1".into();
        body["kind"] = "DeleteOptions".into();
    }
    (query, some.then_some(body))
}

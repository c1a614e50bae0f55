//! Questions about who may do what: objects that are answered and never stored. Everybody may do everything here.

use serde_json::{Value, json};

use super::Target;
use crate::{
    object::{self, map_mut},
    schema::Cause,
    status::Status,
};

/// The answer to a review; none if the resource is no review.
pub(super) fn answer(target: &Target, review: &Value, now: &str) -> Option<Result<Value, Status>> {
    if target.resource.custom {
        return None;
    }
    let all = json!(["*"]);
    let status = match target.resource.kind.as_str() {
        "SelfSubjectAccessReview" | "SubjectAccessReview" | "LocalSubjectAccessReview" => json!({ "allowed": true }),
        "SelfSubjectReview" => {
            json!({ "userInfo": { "username": "admin", "uid": "admin", "groups": ["system:masters", "system:authenticated"] } })
        }
        "SelfSubjectRulesReview" => json!({
            "resourceRules": [{ "verbs": all, "apiGroups": all, "resources": all }],
            "nonResourceRules": [{ "verbs": all, "nonResourceURLs": all }],
            "incomplete": false,
        }),
        "TokenReview" => json!({ "user": {}, "error": "tokens mean nothing to this server" }),
        _ => return None,
    };
    if let Err(refused) = check(review, &target.resource.resource.group, &target.resource.kind) {
        return Some(Err(refused));
    }
    let mut answer = review.clone();
    let fields = map_mut(&mut answer);
    fields.insert("apiVersion".to_owned(), target.api_version().into());
    fields.insert("kind".to_owned(), target.resource.kind.clone().into());
    fields.insert("status".to_owned(), status);
    // The one review that is dated.
    if target.resource.kind == "SelfSubjectReview" {
        object::set_meta(&mut answer, "creationTimestamp", Some(now.into()));
    }
    Some(Ok(answer))
}

fn check(review: &Value, group: &str, kind: &str) -> Result<(), Status> {
    let set = |field: &str| review.get("spec").and_then(|spec| spec.get(field)).is_some_and(|value| !value.is_null());
    let both = (set("resourceAttributes"), set("nonResourceAttributes"));
    let cause = match (kind, both) {
        ("SelfSubjectAccessReview" | "SubjectAccessReview" | "LocalSubjectAccessReview", (false, false)) => {
            let why = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
            Cause::invalid("spec.resourceAttributes", &Value::Null, why)
        }
        ("SelfSubjectAccessReview" | "SubjectAccessReview" | "LocalSubjectAccessReview", (true, true)) => {
            let why = "cannot be specified in combination with resourceAttributes";
            let text = |field: &str| object::text(review, &["spec", "nonResourceAttributes", field]).to_owned();
            let shown = json!({ "Path": text("path"), "Verb": text("verb") });
            Cause::invalid("spec.nonResourceAttributes", &shown, why)
        }
        ("TokenReview", _) if object::text(review, &["spec", "token"]).is_empty() => {
            return Err(Status::bad_request("token is required for TokenReview in authentication"));
        }
        _ => return Ok(()),
    };
    // The real server leaves the kind out here.
    let mut refused = Status::invalid("", group, "", &[cause]);
    refused.details.as_mut().and_then(|details| details.as_object_mut()?.shift_remove("kind"));
    Err(refused)
}

//! Questions about who may do what: objects that are answered and never stored. Everybody may do everything here.

use serde_json::{Value, json};

use super::Target;
use crate::object::map_mut;

/// The answer to a review; none if the resource is no review.
pub(super) fn answer(target: &Target, review: &Value) -> Option<Value> {
    if target.resource.custom {
        return None;
    }
    let all = json!(["*"]);
    let status = match target.resource.kind.as_str() {
        "SelfSubjectAccessReview" | "SubjectAccessReview" | "LocalSubjectAccessReview" => json!({ "allowed": true }),
        "SelfSubjectReview" => json!({ "userInfo": { "username": "admin", "groups": ["system:masters"] } }),
        "SelfSubjectRulesReview" => json!({
            "resourceRules": [{ "verbs": all, "apiGroups": all, "resources": all }],
            "nonResourceRules": [{ "verbs": all, "nonResourceURLs": all }],
            "incomplete": false,
        }),
        "TokenReview" => json!({ "user": {}, "error": "tokens mean nothing to this server" }),
        _ => return None,
    };
    let mut answer = review.clone();
    let fields = map_mut(&mut answer);
    fields.insert("apiVersion".to_owned(), target.api_version().into());
    fields.insert("kind".to_owned(), target.resource.kind.clone().into());
    fields.insert("status".to_owned(), status);
    Some(answer)
}

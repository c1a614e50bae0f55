//! Policies and their bindings.

use serde_json::{Value, json};

use super::{given, list, not_one_of, one_of, parts, typing::Frame};
use crate::{cel::RESERVED, object::text, schema::Cause, server::metadata};

const REASONS: [&str; 3] = ["Forbidden", "Invalid", "RequestEntityTooLarge"];
const ACTIONS: [&str; 3] = ["Audit", "Deny", "Warn"];
const PATCH_TYPES: [&str; 2] = ["ApplyConfiguration", "JSONPatch"];
const NOT_FOUND_ACTIONS: [&str; 2] = ["Deny", "Allow"];
const MAX_AUDIT_ANNOTATIONS: usize = 20;

/// What the expressions of a policy may name.
struct Names<'a> {
    plain: Vec<&'static str>,
    with_authorizer: Vec<&'static str>,
    variables: Vec<&'a str>,
}

impl<'a> Names<'a> {
    fn of(spec: &'a Value) -> Self {
        let params = params(spec);
        Self {
            plain: parts::names_with(params),
            with_authorizer: [parts::names_with(&["authorizer"]), params.to_vec()].concat(),
            variables: list(spec, "variables").iter().map(|it| text(it, &["name"])).collect(),
        }
    }

    fn frame(&self, wanted: &'static str) -> Frame<'_> {
        let variables = (!self.variables.is_empty()).then_some(&*self.variables);
        let names = if wanted == "string" { &self.plain } else { &self.with_authorizer };
        Frame { names, variables, wanted }
    }
}

fn params(spec: &Value) -> &'static [&'static str] {
    if given(spec, "paramKind").is_some() { &["params"] } else { &[] }
}

/// What a validating policy has wrong.
pub(super) fn validating(policy: &Value, spec: &Value, unchanged: bool, causes: &mut Vec<Cause>) {
    let known = Names::of(spec);
    common(spec, unchanged, causes);
    variables(spec, &known, causes);
    let (validations, annotations) = (list(spec, "validations"), list(spec, "auditAnnotations"));
    if validations.is_empty() && annotations.is_empty() {
        let why = "validations or auditAnnotations must contain at least one item";
        causes.extend(["spec.validations", "spec.auditAnnotations"].map(|at| Cause::required(at, why)));
    }
    for (index, it) in validations.iter().enumerate() {
        validation(it, &known, &format!("spec.validations[{index}]"), causes);
    }
    if annotations.len() > MAX_AUDIT_ANNOTATIONS {
        let why = format!("must not have more than {MAX_AUDIT_ANNOTATIONS} auditAnnotations");
        causes.push(Cause::invalid("spec.auditAnnotations", &json!(annotations), &why));
    }
    let mut keys: Vec<&str> = Vec::new();
    for (index, it) in annotations.iter().enumerate() {
        let (at, key) = (format!("spec.auditAnnotations[{index}]"), text(it, &["key"]));
        let name = format!("{}/{key}", crate::object::name(policy));
        if let Some(why) = metadata::wrong_key(&name) {
            causes.push(Cause::invalid(&format!("{at}.key"), &json!(name), &why));
        }
        match text(it, &["valueExpression"]).trim() {
            "" => causes.push(Cause::required(&format!("{at}.valueExpression"), "valueExpression is not specified")),
            source => parts::expression(source, &known.frame(""), &format!("{at}.valueExpression"), causes),
        }
        if keys.contains(&key) {
            causes.push(Cause::duplicate(&format!("{at}.key"), &json!(key)));
        }
        keys.push(key);
    }
}

/// What a mutating policy has wrong.
pub(super) fn mutating(spec: &Value, unchanged: bool, causes: &mut Vec<Cause>) {
    let known = Names::of(spec);
    let mut found = Vec::new();
    common(spec, unchanged, &mut found);
    let conditions = found.iter().position(|cause| cause.field.starts_with("spec.matchConditions"));
    let conditions = found.split_off(conditions.unwrap_or(found.len()));
    causes.append(&mut found);
    if let Some(constraints) = given(spec, "matchConstraints") {
        parts::mutating_operations(constraints, "spec.matchConstraints", causes);
    }
    causes.extend(conditions);
    variables(spec, &known, causes);
    let mutations = list(spec, "mutations");
    if mutations.is_empty() {
        causes.push(Cause::required("spec.mutations", "mutations must contain at least one item"));
    }
    for (index, it) in mutations.iter().enumerate() {
        mutation(it, &known, &format!("spec.mutations[{index}]"), causes);
    }
    if text(spec, &["reinvocationPolicy"]).is_empty() {
        causes.push(Cause::required("spec.reinvocationPolicy", ""));
    } else {
        one_of(spec, "reinvocationPolicy", &parts::REINVOCATION_POLICIES, "spec", causes);
    }
}

fn common(spec: &Value, unchanged: bool, causes: &mut Vec<Cause>) {
    one_of(spec, "failurePolicy", &parts::FAILURE_POLICIES, "spec", causes);
    if let Some(kind) = given(spec, "paramKind") {
        param_kind(kind, causes);
    }
    match given(spec, "matchConstraints") {
        None => causes.push(Cause::required("spec.matchConstraints", "")),
        Some(constraints) => {
            parts::match_resources(constraints, "spec.matchConstraints", causes);
            if list(constraints, "resourceRules").is_empty() {
                causes.push(Cause::required("spec.matchConstraints.resourceRules", ""));
            }
        }
    }
    if !unchanged {
        parts::conditions(spec, params(spec), "spec.matchConditions", causes);
    }
}

fn param_kind(kind: &Value, causes: &mut Vec<Cause>) {
    let (api_version, name) = (text(kind, &["apiVersion"]), text(kind, &["kind"]));
    let at = "spec.paramKind.apiVersion";
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    if api_version.is_empty() {
        causes.push(Cause::required(at, ""));
    } else if version.contains('/') {
        let why = format!("unexpected GroupVersion string: {api_version}");
        causes.push(Cause::invalid(at, &json!(api_version), &why));
    } else {
        if !group.is_empty() && !metadata::is_subdomain(group) {
            causes.push(Cause::invalid(at, &json!(group), metadata::SUBDOMAIN_RULE));
        }
        if version.is_empty() {
            causes.push(Cause::invalid(at, &json!(api_version), "version must be specified"));
        } else if !metadata::is_service_name(version) {
            causes.push(Cause::invalid(at, &json!(version), metadata::SERVICE_RULE));
        }
    }
    if name.is_empty() {
        causes.push(Cause::required("spec.paramKind.kind", ""));
    } else if !metadata::is_service_name(&name.to_lowercase()) {
        let why = format!("may have mixed case, but should otherwise match: {}", metadata::SERVICE_RULE);
        causes.push(Cause::invalid("spec.paramKind.kind", &json!(name), &why));
    }
}

fn variables(spec: &Value, known: &Names<'_>, causes: &mut Vec<Cause>) {
    for (index, variable) in list(spec, "variables").iter().enumerate() {
        let (at, name) = (format!("spec.variables[{index}]"), text(variable, &["name"]));
        let part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let is_identifier = name.chars().all(part) && !name.starts_with(|c: char| c.is_ascii_digit());
        if name.trim().is_empty() {
            causes.push(Cause::required(&format!("{at}.name"), "name is not specified"));
        } else if !is_identifier || RESERVED.contains(&name) {
            causes.push(Cause::invalid(&format!("{at}.name"), &json!(name), "must be a valid CEL identifier"));
        }
        let before = known.variables.get(..index).unwrap_or_default();
        let frame = Frame { variables: Some(before), ..known.frame("") };
        written(variable, "expression is not specified", &frame, &at, causes);
    }
}

/// An expression that has to be there and to compile.
fn written(of: &Value, missing: &str, frame: &Frame<'_>, at: &str, causes: &mut Vec<Cause>) {
    let (source, at) = (text(of, &["expression"]), format!("{at}.expression"));
    if source.trim().is_empty() {
        causes.push(Cause::required(&at, missing));
    } else {
        parts::expression(source, frame, &at, causes);
    }
}

fn validation(validation: &Value, known: &Names<'_>, at: &str, causes: &mut Vec<Cause>) {
    written(validation, "expression is not specified", &known.frame("bool"), at, causes);
    let field = |name: &str| (text(validation, &[name]), format!("{at}.{name}"));
    let (source, source_at) = field("messageExpression");
    if !source.is_empty() && source.trim().is_empty() {
        causes.push(Cause::invalid(&source_at, &json!(source), "must be non-empty if specified"));
    } else if !source.is_empty() {
        parts::expression(source, &known.frame("string"), &source_at, causes);
    }
    let (message, message_at) = field("message");
    if !message.is_empty() && message.trim().is_empty() {
        causes.push(Cause::invalid(&message_at, &json!(message), "must be non-empty if specified"));
    } else if message.trim().contains(['\n', '\r']) {
        causes.push(Cause::invalid(&message_at, &json!(message), "must not contain line breaks"));
    }
    one_of(validation, "reason", &REASONS, at, causes);
}

fn mutation(mutation: &Value, known: &Names<'_>, at: &str, causes: &mut Vec<Cause>) {
    let patch_type = text(mutation, &["patchType"]);
    let (own, other) = match patch_type {
        "" => return causes.push(Cause::required(&format!("{at}.patchType"), "")),
        "JSONPatch" => ("jsonPatch", "applyConfiguration"),
        "ApplyConfiguration" => ("applyConfiguration", "jsonPatch"),
        other => return causes.push(not_one_of(&format!("{at}.patchType"), &json!(other), &PATCH_TYPES)),
    };
    match given(mutation, own) {
        None => {
            let why = format!("must be specified when patchType is {patch_type}");
            causes.push(Cause::required(&format!("{at}.{own}"), &why));
        }
        Some(patch) => match text(patch, &["expression"]).trim() {
            "" => causes.push(Cause::required(&format!("{at}.{own}.expression"), "")),
            source => parts::expression(source, &known.frame(""), &format!("{at}.{own}.expression"), causes),
        },
    }
    if given(mutation, other).is_some() {
        let why = format!("must not be specified when patchType is {patch_type}");
        causes.push(Cause::invalid(&format!("{at}.{other}"), &json!(format!("{{{other}}}")), &why));
    }
}

/// What the binding of a validating policy has wrong.
pub(super) fn validating_binding(spec: &Value, causes: &mut Vec<Cause>) {
    binding(spec, causes);
    let (actions, at) = (list(spec, "validationActions"), "spec.validationActions");
    for (index, action) in actions.iter().enumerate() {
        let at = format!("{at}[{index}]");
        if !action.as_str().is_some_and(|it| ACTIONS.contains(&it)) {
            causes.push(not_one_of(&at, action, &ACTIONS));
        }
        if actions.iter().take(index).any(|before| before == action) {
            causes.push(Cause::duplicate(&at, action));
        }
    }
    let has = |action: &str| actions.iter().any(|it| it == action);
    if has("Deny") && has("Warn") {
        let why = "must not contain both Deny and Warn (repeating the same validation failure information in the API \
                   response and headers serves no purpose)";
        causes.push(Cause::invalid(at, &json!(actions), why));
    }
    if actions.is_empty() {
        causes.push(Cause::required(at, "at least one validation action is required"));
    }
}

/// What the binding of a mutating policy has wrong.
pub(super) fn mutating_binding(spec: &Value, causes: &mut Vec<Cause>) {
    binding(spec, causes);
    if let Some(resources) = given(spec, "matchResources") {
        parts::mutating_operations(resources, "spec.matchResources", causes);
    }
}

fn binding(spec: &Value, causes: &mut Vec<Cause>) {
    let policy = text(spec, &["policyName"]);
    if policy.is_empty() {
        causes.push(Cause::required("spec.policyName", ""));
    } else if !metadata::is_subdomain(policy) {
        causes.push(Cause::invalid("spec.policyName", &json!(policy), metadata::SUBDOMAIN_RULE));
    }
    if let Some(param_ref) = given(spec, "paramRef") {
        check_param_ref(param_ref, "spec.paramRef", causes);
    }
    if let Some(resources) = given(spec, "matchResources") {
        parts::match_resources(resources, "spec.matchResources", causes);
    }
}

fn check_param_ref(param_ref: &Value, at: &str, causes: &mut Vec<Cause>) {
    let (name, selects) = (text(param_ref, &["name"]), given(param_ref, "selector").is_some());
    let both = "name and selector are mutually exclusive";
    if !name.is_empty() {
        if let Some(why) = parts::wrong_segment(name) {
            causes.push(Cause::invalid(&format!("{at}.name"), &json!(name), &why));
        }
        if selects {
            causes.push(Cause::forbidden(&format!("{at}.name"), both));
        }
    }
    parts::selector(param_ref, "selector", at, causes);
    match (name.is_empty(), selects) {
        (false, true) => causes.push(Cause::forbidden(&format!("{at}.selector"), both)),
        (true, false) => causes.push(Cause::required(at, "one of name or selector must be specified")),
        _ => {}
    }
    if text(param_ref, &["parameterNotFoundAction"]).is_empty() {
        causes.push(Cause::required(&format!("{at}.parameterNotFoundAction"), ""));
    } else {
        one_of(param_ref, "parameterNotFoundAction", &NOT_FOUND_ACTIONS, at, causes);
    }
}

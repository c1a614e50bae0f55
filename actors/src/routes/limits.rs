//! What the API server would refuse, found before anything is written: the limits of the Gateway API's definitions, and
//! what they check of filters and paths.

use serde_json::Value;

use super::{Canary, Forwarding, Kind, Mirror, Refusal, Share, list};
use crate::api::http::{HttpPathMatch, HttpRouteFilter, HttpRouteMatch};

const RULES: usize = 16;
const MATCHES_OF_RULE: usize = 64;
const MATCHES: usize = 128;
/// Of references of a rule, filters of either, conditions of a match and headers of a filter.
const OTHERS: usize = 16;

/// Whether the rules, ours among them, are within the limits.
pub(super) fn are_kept(rules: &[Value]) -> Result<(), Refusal> {
    const FEWER: &str = "use fewer matches, or a weight instead of matches, or split the route";
    at_most(RULES, "rules", rules.len(), FEWER)?;
    for (index, rule) in rules.iter().enumerate() {
        let at = format!("rules[{index}]");
        let matches = list(&rule["matches"]);
        at_most(MATCHES_OF_RULE, format!("{at}.matches"), matches.len(), FEWER)?;
        for (number, one) in matches.iter().enumerate() {
            for part in ["headers", "queryParams"] {
                let field = format!("{at}.matches[{number}].{part}");
                at_most(OTHERS, field, list(&one[part]).len(), "use fewer conditions")?;
            }
        }
        let references = list(&rule["backendRefs"]);
        let remedy = "use matches instead of a weight, or split the rule";
        at_most(OTHERS, format!("{at}.backendRefs"), references.len(), remedy)?;
        filters_are_kept(&at, rule)?;
        for (number, reference) in references.iter().enumerate() {
            filters_are_kept(&format!("{at}.backendRefs[{number}]"), reference)?;
        }
        if replaces_prefix(rule) && !has_one_prefix(matches) {
            return Err(Refusal::Prefix { rule: index, found: matches.len() });
        }
    }
    at_most(MATCHES, "rules[].matches", rules.iter().map(|rule| list(&rule["matches"]).len()).sum(), FEWER)
}

fn filters_are_kept(at: &str, object: &Value) -> Result<(), Refusal> {
    let filters = list(&object["filters"]);
    at_most(OTHERS, format!("{at}.filters"), filters.len(), "use fewer filters")?;
    for (index, filter) in filters.iter().enumerate() {
        for modifier in ["requestHeaderModifier", "responseHeaderModifier"] {
            for what in ["set", "add", "remove"] {
                let field = format!("{at}.filters[{index}].{modifier}.{what}");
                at_most(OTHERS, field, list(&filter[modifier][what]).len(), "change fewer headers")?;
            }
        }
    }
    Ok(())
}

fn at_most(most: usize, field: impl Into<String>, found: usize, remedy: &'static str) -> Result<(), Refusal> {
    if found > most { Err(Refusal::TooMany { field: field.into(), found, most, remedy }) } else { Ok(()) }
}

/// Whether a filter of a rule or of its references replaces the prefix that was matched.
pub(super) fn replaces_prefix(rule: &Value) -> bool {
    let of_references = list(&rule["backendRefs"]).iter().flat_map(|reference| list(&reference["filters"]));
    list(&rule["filters"]).iter().chain(of_references).any(|filter| {
        ["urlRewrite", "requestRedirect"].iter().any(|body| filter[body]["path"]["type"] == "ReplacePrefixMatch")
    })
}

fn has_one_prefix(matches: &[Value]) -> bool {
    // Where nothing is said everything below / is meant.
    matches.is_empty()
        || (matches.len() == 1 && matches[0]["path"]["type"].as_str().unwrap_or("PathPrefix") == "PathPrefix")
}

/// Whether a kind of route has words for what is asked for, and the API server would take them.
pub(super) fn can_be_said(kind: Kind, forwarding: &Forwarding) -> Result<(), Refusal> {
    if let Some(Canary { share, filters }) = &forwarding.canary {
        if let Share::Matches(matches) = share {
            matches_can_be_said(kind, "canary", matches)?;
        }
        filters_can_be_said(kind, "canary", filters)?;
    }
    if let Some(stable) = &forwarding.stable {
        matches_can_be_said(kind, "stable", &stable.matches)?;
        filters_can_be_said(kind, "stable", &stable.filters)?;
    }
    match &forwarding.mirror {
        Some(Mirror::Percent(percent)) if !(0..=100).contains(percent) => {
            Err(Refusal::Invalid { field: "mirror.percent".into(), problem: "is not between 0 and 100" })
        }
        Some(Mirror::Fraction(fraction)) if fraction.numerator > fraction.denominator.unwrap_or(100) => {
            Err(Refusal::Invalid { field: "mirror.fraction".into(), problem: "is more than the whole" })
        }
        _ => Ok(()),
    }
}

fn matches_can_be_said(kind: Kind, of: &str, matches: &[HttpRouteMatch]) -> Result<(), Refusal> {
    const REMEDY: &str = "match by headers, or use a weight";
    for (index, one) in matches.iter().enumerate() {
        let at = format!("{of}.matches[{index}]");
        let has = [("path", one.path.is_some()), ("queryParams", !one.query_params.is_empty())];
        if let (Kind::Grpc, Some((part, _))) = (kind, has.into_iter().find(|(_, has)| *has)) {
            return Err(Refusal::Unsupported { field: format!("{at}.{part}"), kind: "a GRPCRoute", remedy: REMEDY });
        }
        if let Some(problem) = one.path.as_ref().and_then(path_problem) {
            return Err(Refusal::Invalid { field: format!("{at}.path.value"), problem });
        }
    }
    Ok(())
}

fn path_problem(path: &HttpPathMatch) -> Option<&'static str> {
    let value = path.value.as_deref().unwrap_or("/");
    let is_valid = |c: char| c.is_ascii_alphanumeric() || "-/._~!$&'()*+,;=:@%".contains(c);
    let forbidden = ["//", "/./", "/../", "%2f", "%2F"];
    match path.type_.as_deref() {
        Some("RegularExpression") => None,
        _ if !value.starts_with('/') => Some("does not start with /"),
        _ if forbidden.iter().any(|part| value.contains(part)) => Some("contains //, /./, /../ or an encoded /"),
        _ if value.ends_with("/.") || value.ends_with("/..") => Some("ends with /. or /.."),
        _ if !value.chars().all(is_valid) || !escapes_are_whole(value) => {
            Some("has characters that a path cannot have")
        }
        _ => None,
    }
}

fn escapes_are_whole(value: &str) -> bool {
    value.split('%').skip(1).all(|rest| rest.chars().take(2).filter(char::is_ascii_hexdigit).count() == 2)
}

fn filters_can_be_said(kind: Kind, of: &str, filters: &[HttpRouteFilter]) -> Result<(), Refusal> {
    for (index, filter) in filters.iter().enumerate() {
        let at = format!("{of}.filters[{index}]");
        if kind == Kind::Grpc && matches!(filter.type_.as_str(), "RequestRedirect" | "URLRewrite") {
            let remedy = "take the filter out, or use an HTTPRoute";
            return Err(Refusal::Unsupported { field: at, kind: "a GRPCRoute", remedy });
        }
        if let Some(problem) = filter_problem(filter) {
            return Err(Refusal::Invalid { field: at, problem });
        }
    }
    let has = |type_: &str| filters.iter().any(|filter| filter.type_ == type_);
    let twice = ["RequestRedirect", "URLRewrite"]
        .iter()
        .any(|type_| filters.iter().filter(|filter| filter.type_ == **type_).count() > 1);
    if twice || (has("RequestRedirect") && has("URLRewrite")) {
        return Err(Refusal::Invalid {
            field: format!("{of}.filters"),
            problem: "has more than one redirect or rewrite",
        });
    }
    Ok(())
}

fn filter_problem(filter: &HttpRouteFilter) -> Option<&'static str> {
    let bodies = [
        ("RequestHeaderModifier", filter.request_header_modifier.is_some()),
        ("ResponseHeaderModifier", filter.response_header_modifier.is_some()),
        ("RequestMirror", filter.request_mirror.is_some()),
        ("RequestRedirect", filter.request_redirect.is_some()),
        ("URLRewrite", filter.url_rewrite.is_some()),
        ("ExtensionRef", filter.extension_ref.is_some()),
    ];
    if bodies.iter().any(|(type_, is_there)| *is_there != (filter.type_ == *type_)) {
        return Some("has not just what its type says");
    }
    if let Some(mirror) = &filter.request_mirror {
        let to = &mirror.backend_ref;
        let is_service = to.group.as_deref().unwrap_or_default().is_empty()
            && to.kind.as_deref().is_none_or(|kind| kind == "Service");
        if is_service && to.port.is_none() {
            return Some("mirrors to a Service without a port");
        }
        if mirror.percent.is_some() && mirror.fraction.is_some() {
            return Some("has both a percentage and a fraction");
        }
        if mirror.fraction.as_ref().is_some_and(|it| it.numerator > it.denominator.unwrap_or(100)) {
            return Some("has a fraction of more than the whole");
        }
    }
    let redirected = filter.request_redirect.as_ref().and_then(|it| it.path.as_ref());
    let path = filter.url_rewrite.as_ref().and_then(|it| it.path.as_ref()).or(redirected)?;
    let has = (path.replace_full_path.is_some(), path.replace_prefix_match.is_some());
    let wanted = if path.type_ == "ReplaceFullPath" { (true, false) } else { (false, true) };
    (has != wanted).then_some("replaces a path by something else than its type says")
}

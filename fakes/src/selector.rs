//! Label and field selectors as URLs and objects carry them.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::object;

/// A label selector.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelSelector(Vec<Requirement>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Requirement {
    key: String,
    operator: Operator,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Operator {
    In(BTreeSet<String>),
    NotIn(BTreeSet<String>),
    Exists,
    DoesNotExist,
    GreaterThan(i64),
    LessThan(i64),
}

impl LabelSelector {
    /// Reads a selector as `labelSelector=` carries it: `a=b,c!=d,e in (f,g),h notin (i),j,!k`.
    pub fn parse(text: &str) -> Result<Self, String> {
        split_outside_parentheses(text)
            .into_iter()
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .map(requirement)
            .collect::<Result<_, _>>()
            .map(Self)
            .map_err(|why| format!("unable to parse requirement: {why}"))
    }

    /// Reads a selector as objects carry it: `matchLabels` and `matchExpressions`.
    pub fn from_object(selector: &Value) -> Result<Self, String> {
        let mut requirements = Vec::new();
        for (key, value) in selector.get("matchLabels").and_then(Value::as_object).into_iter().flatten() {
            let value = value.as_str().unwrap_or_default().to_owned();
            requirements.push(Requirement { key: key.clone(), operator: Operator::In(BTreeSet::from([value])) });
        }
        for expression in selector.get("matchExpressions").and_then(Value::as_array).into_iter().flatten() {
            let values = object::strings(expression.get("values")).into_iter().map(str::to_owned).collect();
            let operator = match object::text(expression, &["operator"]) {
                "In" => Operator::In(values),
                "NotIn" => Operator::NotIn(values),
                "Exists" => Operator::Exists,
                "DoesNotExist" => Operator::DoesNotExist,
                other => return Err(format!("{other:?} is not a valid label selector operator")),
            };
            requirements.push(Requirement { key: object::text(expression, &["key"]).to_owned(), operator });
        }
        Ok(Self(requirements))
    }

    /// Whether it selects everything.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether an object's labels satisfy every requirement.
    pub fn matches(&self, object: &Value) -> bool {
        let labels = object::meta(object, "labels");
        self.0.iter().all(|r| r.matches(labels.and_then(|labels| labels.get(&r.key)).and_then(Value::as_str)))
    }
}

impl Requirement {
    fn matches(&self, label: Option<&str>) -> bool {
        let number = || label.and_then(|label| label.parse::<i64>().ok());
        match &self.operator {
            Operator::In(values) => label.is_some_and(|label| values.contains(label)),
            Operator::NotIn(values) => label.is_none_or(|label| !values.contains(label)),
            Operator::Exists => label.is_some(),
            Operator::DoesNotExist => label.is_none(),
            Operator::GreaterThan(bound) => number().is_some_and(|n| n > *bound),
            Operator::LessThan(bound) => number().is_some_and(|n| n < *bound),
        }
    }
}

fn split_outside_parentheses(text: &str) -> Vec<&str> {
    let mut depth = 0_usize;
    text.split(move |c| {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    })
    .collect()
}

fn requirement(text: &str) -> Result<Requirement, String> {
    let single = |value: &str| BTreeSet::from([value.trim().to_owned()]);
    let (key, operator) = if let Some(key) = text.strip_prefix('!') {
        (key, Operator::DoesNotExist)
    } else if let Some((key, value)) = text.split_once("!=") {
        (key, Operator::NotIn(single(value)))
    } else if let Some((key, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
        (key, Operator::In(single(value)))
    } else if let Some((key, bound)) = text.split_once('>') {
        (key, Operator::GreaterThan(integer(bound)?))
    } else if let Some((key, bound)) = text.split_once('<') {
        (key, Operator::LessThan(integer(bound)?))
    } else {
        set_based(text)?
    };
    let key = key.trim();
    if let Some((_, found)) = key.split_once(char::is_whitespace) {
        let found = found.split_whitespace().next().unwrap_or_default();
        return Err(format!("found '{found}', expected: in, notin, =, ==, !=, gt, lt"));
    }
    if key.is_empty() {
        return Err(format!("found {text:?}, expected: a label key and an operator"));
    }
    Ok(Requirement { key: key.to_owned(), operator })
}

fn set_based(text: &str) -> Result<(&str, Operator), String> {
    let Some((head, values)) = text.split_once('(') else { return Ok((text, Operator::Exists)) };
    let Some(values) = values.trim_end().strip_suffix(')') else {
        return Err(format!("found {text:?}, expected: ',' or ')'"));
    };
    let values = values.split(',').map(|value| value.trim().to_owned()).collect();
    let head = head.trim_end();
    if let Some(key) = head.strip_suffix(" notin") {
        Ok((key, Operator::NotIn(values)))
    } else if let Some(key) = head.strip_suffix(" in") {
        Ok((key, Operator::In(values)))
    } else {
        Err(format!("found {head:?}, expected: in, notin, =, ==, !=, gt, lt"))
    }
}

fn integer(text: &str) -> Result<i64, String> {
    text.trim().parse().map_err(|_| format!("for 'Gt', 'Lt' operators, the value must be an integer: {text:?}"))
}

/// A field selector.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSelector(Vec<(String, String, bool)>);

impl FieldSelector {
    /// Reads a selector as `fieldSelector=` carries it.
    pub fn parse(text: &str) -> Result<Self, String> {
        text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(field).collect::<Result<_, _>>().map(Self)
    }

    /// The fields asked for.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(field, _, _)| field.as_str())
    }

    /// The name asked for, when the selector names one.
    pub fn exact_name(&self) -> Option<&str> {
        self.0.iter().find(|(field, _, equal)| *equal && field == "metadata.name").map(|(_, value, _)| value.as_str())
    }

    /// Whether an object's fields are as asked for.
    pub fn matches(&self, object: &Value) -> bool {
        self.0.iter().all(|(field, wanted, equal)| {
            let value = field.split('.').try_fold(object, |value, part| value.get(part));
            let found = match value {
                Some(Value::String(text)) => text == wanted,
                Some(Value::Null) | None => wanted.is_empty(),
                Some(Value::Bool(value)) => wanted.parse() == Ok(*value),
                Some(Value::Number(number)) => wanted.parse().ok().as_ref() == Some(number),
                Some(_) => false,
            };
            found == *equal
        })
    }
}

fn field(text: &str) -> Result<(String, String, bool), String> {
    let (field, value, equal) = if let Some((field, value)) = text.split_once("!=") {
        (field, value, false)
    } else if let Some((field, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
        (field, value, true)
    } else {
        return Err(format!("invalid selector: '{text}'; can't understand '{text}'"));
    };
    Ok((field.trim().to_owned(), value.trim().to_owned(), equal))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn label_selectors_select_as_kubectl_users_expect() {
        let pod = json!({ "metadata": { "labels": { "app": "web", "tier": "front", "rank": "3" } } });
        let table = [
            ("", true),
            ("app=web", true),
            ("app==web,tier=front", true),
            ("app=web,tier=back", false),
            ("app!=web", false),
            ("missing!=x", true),
            ("app in (api, web)", true),
            ("app in (api)", false),
            ("app notin (api,web),tier", false),
            ("missing notin (a)", true),
            ("tier", true),
            ("!tier", false),
            ("!missing", true),
            ("rank>2,rank<4", true),
            ("rank>3", false),
        ];
        for (selector, expected) in table {
            assert_eq!(LabelSelector::parse(selector).unwrap().matches(&pod), expected, "{selector}");
        }
        for selector in ["app in web", "app in (web", "=web", "a b", "rank>high"] {
            assert!(LabelSelector::parse(selector).is_err(), "{selector}");
        }
    }

    #[test]
    fn object_selectors_combine_labels_and_expressions() {
        let pod = json!({ "metadata": { "labels": { "app": "web" } } });
        let table = [
            (json!({}), true),
            (json!({ "matchLabels": { "app": "web" } }), true),
            (json!({ "matchExpressions": [{ "key": "app", "operator": "NotIn", "values": ["web"] }] }), false),
            (json!({ "matchExpressions": [{ "key": "x", "operator": "DoesNotExist" }] }), true),
        ];
        for (selector, expected) in table {
            assert_eq!(LabelSelector::from_object(&selector).unwrap().matches(&pod), expected, "{selector}");
        }
        assert!(LabelSelector::from_object(&json!({ "matchExpressions": [{ "operator": "Like" }] })).is_err());
    }

    #[test]
    fn field_selectors_compare_strings_and_treat_absent_as_empty() {
        let pod = json!({ "metadata": { "name": "a" }, "spec": {}, "status": { "phase": "Running" } });
        let table = [
            ("metadata.name=a", true),
            ("metadata.name!=a", false),
            ("status.phase==Running,spec.nodeName=", true),
            ("spec.nodeName!=", false),
        ];
        for (selector, expected) in table {
            assert_eq!(FieldSelector::parse(selector).unwrap().matches(&pod), expected, "{selector}");
        }
        assert!(FieldSelector::parse("metadata.name").is_err());
    }
}

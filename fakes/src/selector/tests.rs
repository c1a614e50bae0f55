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
    for selector in ["app in web", "app in (web", "=web", "a b", "rank>high", "!", "a,", "a in (", "\u{e9}=<"] {
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

#[test]
fn values_of_field_selectors_escape() {
    let pod = json!({ "metadata": { "name": "a,b=c\\" } });
    assert!(FieldSelector::parse(r"metadata.name=a\,b\=c\\").unwrap().matches(&pod));
    for selector in [r"a=b\c", r"a=\", "a=b=c"] {
        assert!(FieldSelector::parse(selector).is_err(), "{selector}");
    }
}

use serde_json::{Value, json};

use super::{Cause, Findings, Schema, invalid_status};

fn schema(spec: &Value) -> Schema {
    let root = json!({
        "type": "object",
        "properties": { "spec": spec, "status": {"type": "object", "properties": {"phase": {"type": "string"}}} },
    });
    Schema::parse(&root, "schema").unwrap()
}

fn object(properties: &Value) -> Value {
    json!({"type": "object", "properties": properties})
}

fn told(causes: &[Cause]) -> Vec<String> {
    causes.iter().map(|cause| format!("{} | {} | {}", cause.reason, cause.field, cause.message)).collect()
}

fn resource(spec: &Value) -> Value {
    json!({"apiVersion": "g/v1", "kind": "K", "metadata": {"name": "x"}, "spec": spec})
}

#[track_caller]
fn check(property: &Value, value: &Value, expected: &[&str]) {
    let schema = schema(&object(&json!({ "x": property })));
    assert_eq!(told(&schema.validate(&resource(&json!({ "x": value })), None)), expected);
}

#[test]
fn types() {
    check(
        &json!({"type": "integer", "format": "int32"}),
        &json!("three"),
        &[
            r#"FieldValueTypeInvalid | spec.x | Invalid value: "string": spec.x in body must be of type integer: "string""#,
        ],
    );
    check(
        &json!({"type": "integer", "format": "int32"}),
        &json!(3_000_000_000_i64),
        &[
            r#"FieldValueInvalid | <nil> | Invalid value: "": Checked value must be of type integer with format int32 in spec.x"#,
        ],
    );
    check(
        &json!({"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}]}),
        &json!(true),
        &[
            r#"FieldValueTypeInvalid | spec.x | Invalid value: "boolean": spec.x in body must be of type integer,string: "boolean""#,
            r#"FieldValueInvalid | <nil> | Invalid value: "": "spec.x" must validate at least one schema (anyOf)"#,
            r#"FieldValueTypeInvalid | spec.x | Invalid value: "boolean": spec.x in body must be of type integer: "boolean""#,
        ],
    );
    check(&json!({"type": "number"}), &json!(1), &[]);
    check(&json!({"type": "integer"}), &json!(1.0), &[]);
    check(&json!({"type": "string", "nullable": true}), &json!(null), &[]);
    check(
        &json!({"type": "string", "format": "date-time"}),
        &json!("yesterday"),
        &[
            r#"FieldValueTypeInvalid | spec.x | Invalid value: "yesterday": spec.x in body must be of type date-time: "yesterday""#,
        ],
    );
    check(&json!({"type": "string", "format": "date-time"}), &json!("2026-01-02T03:04:05Z"), &[]);
    check(&json!({"type": "string", "format": "date-time"}), &json!("2026-01-02T03:04:05.123456+02:00"), &[]);
}

#[test]
fn formats() {
    let cases = [
        ("hostname", "localhost", true),
        ("hostname", "a.b", false),
        ("hostname", "a.example", true),
        ("ipv4", "1.2.3", false),
        ("cidr", "10.0.0.0/33", false),
        ("byte", "YQ==", true),
        ("byte", "YQ", false),
        ("duration", "1h30m", true),
        ("duration", "5 days", true),
        ("duration", "10", false),
        ("date", "2020-1-1", false),
        ("date-time", "2020-01-01T24:00:00Z", false),
        ("uuid", "00000000-0000-0000-0000-000000000000", true),
        ("unknown", "anything", true),
    ];
    for (format, value, valid) in cases {
        let schema = schema(&object(&json!({"x": {"type": "string", "format": format}})));
        let found = schema.validate(&resource(&json!({"x": value})), None);
        assert_eq!(found.is_empty(), valid, "{format} {value}");
    }
}

#[test]
fn bounds() {
    check(
        &json!({"type": "integer", "minimum": 1}),
        &json!(0),
        &["FieldValueInvalid | spec.x | Invalid value: 0: spec.x in body should be greater than or equal to 1"],
    );
    check(&json!({"type": "number", "minimum": 0.5}), &json!(0), &[]);
    check(
        &json!({"type": "number", "minimum": 0.5}),
        &json!(0.25),
        &["FieldValueInvalid | spec.x | Invalid value: 0.25: spec.x in body should be greater than or equal to 0.5"],
    );
    check(
        &json!({"type": "integer", "maximum": 5, "exclusiveMaximum": true}),
        &json!(5),
        &["FieldValueInvalid | spec.x | Invalid value: 5: spec.x in body should be less than 5"],
    );
    check(
        &json!({"type": "string", "maxLength": 3}),
        &json!("four"),
        &["FieldValueTooLong | spec.x | Too long: may not be more than 3 bytes"],
    );
    check(
        &json!({"type": "string", "minLength": 1}),
        &json!(""),
        &[r#"FieldValueInvalid | spec.x | Invalid value: "": spec.x in body should be at least 1 chars long"#],
    );
    check(
        &json!({"type": "string", "pattern": "^[a-z]+$"}),
        &json!("A"),
        &["FieldValueInvalid | spec.x | Invalid value: \"A\": spec.x in body should match '^[a-z]+$'"],
    );
    check(
        &json!({"type": "array", "items": {"type": "integer"}, "maxItems": 1}),
        &json!([1, 2]),
        &["FieldValueTooMany | spec.x | Too many: 2: must have at most 1 item"],
    );
    check(
        &json!({"type": "array", "items": {"type": "integer"}, "minItems": 1}),
        &json!([]),
        &["FieldValueInvalid | spec.x | Invalid value: 0: spec.x in body should have at least 1 items"],
    );
    check(
        &json!({"type": "object", "minProperties": 1, "additionalProperties": {"type": "string"}}),
        &json!({}),
        &["FieldValueInvalid | spec.x | Invalid value: 0: spec.x in body should have at least 1 properties"],
    );
    check(
        &json!({"type": "string", "enum": ["a", "b"]}),
        &json!("c"),
        &[r#"FieldValueNotSupported | spec.x | Unsupported value: "c": supported values: "a", "b""#],
    );
    check(
        &json!({"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}),
        &json!({}),
        &["FieldValueRequired | spec.x.name | Required value"],
    );
}

#[test]
fn junctors() {
    let property = json!({
        "type": "object",
        "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
        "oneOf": [{"required": ["a"]}, {"required": ["b"]}],
    });
    check(&property, &json!({"a": "1"}), &[]);
    check(
        &property,
        &json!({"a": "1", "b": "2"}),
        &[
            r#"FieldValueInvalid | <nil> | Invalid value: "": "spec.x" must validate one and only one schema (oneOf). Found 2 valid alternatives"#,
        ],
    );
    check(
        &json!({"type": "string", "not": {"enum": ["x"]}}),
        &json!("x"),
        &[r#"FieldValueInvalid | <nil> | Invalid value: "": "spec.x" must not validate the schema (not)"#],
    );
}

#[test]
fn keyed_lists() {
    let mut item = object(&json!({"name": {"type": "string"}, "v": {"type": "integer"}}));
    item["required"] = json!(["name"]);
    let map = json!({
        "type": "array", "items": item, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
    });
    check(
        &map,
        &json!([{"name": "a", "v": 1}, {"name": "a", "v": 2}]),
        &[r#"FieldValueDuplicate | spec.x[1] | Duplicate value: {"name":"a"}"#],
    );
    let set = json!({"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"});
    check(&set, &json!(["a", "b", "a"]), &[r#"FieldValueDuplicate | spec.x[2] | Duplicate value: "a""#]);
}

#[test]
fn ratcheting_forgives_what_did_not_change() {
    let schema = schema(&object(&json!({"a": {"type": "integer", "minimum": 1}, "b": {"type": "string"}})));
    let (old, new) = (resource(&json!({"a": 0, "b": "x"})), resource(&json!({"a": 0, "b": "y"})));
    assert_eq!(told(&schema.validate(&new, Some(&old))), [] as [&str; 0]);
    assert_eq!(schema.validate(&new, None).len(), 1);
}

#[test]
fn rules() {
    let spec = json!({
        "type": "object",
        "properties": {"replicas": {"type": "integer"}, "name": {"type": "string", "x-kubernetes-validations": [
            {"rule": "self == oldSelf", "message": "name is immutable", "reason": "FieldValueForbidden"},
        ]}},
        "x-kubernetes-validations": [
            {"rule": "self.replicas <= 5", "messageExpression": "'at most 5, not ' + string(self.replicas)"},
            {"rule": "!has(self.name) || self.name != 'bad'", "fieldPath": ".name"},
        ],
    });
    let schema = schema(&spec);
    let old = resource(&json!({"replicas": 3, "name": "a"}));
    assert_eq!(told(&schema.validate(&old, None)), [] as [&str; 0]);
    assert_eq!(
        told(&schema.validate(&resource(&json!({"replicas": 6, "name": "bad"})), Some(&old))),
        [
            "FieldValueInvalid | spec | Invalid value: at most 5, not 6",
            "FieldValueInvalid | spec.name | Invalid value: failed rule: !has(self.name) || self.name != 'bad'",
            "FieldValueForbidden | spec.name | Forbidden: name is immutable",
        ]
    );
    assert_eq!(
        told(&schema.validate(&resource(&json!({"replicas": "x"})), None)).last().unwrap(),
        "FieldValueInvalid | <nil> | Invalid value: null: some validation rules were not checked because the object was \
         invalid; correct the existing errors to complete validation"
    );
}

#[test]
fn rules_that_cannot_be_evaluated() {
    let cases = [
        ("type(self.x) == string", &[][..]),
        (
            "1 / size(self.list) > 0",
            &[
                r#"FieldValueInvalid | spec | Invalid value: "object": division by zero evaluating rule: 1 / size(self.list) > 0"#,
            ][..],
        ),
        (
            "self.missing == 1",
            &[
                r#"FieldValueInvalid | spec | Invalid value: "object": no such key: missing evaluating rule: self.missing == 1"#,
            ][..],
        ),
        (
            "size(self.texts) == 1",
            &[
                r#"FieldValueInvalid | spec | Invalid value: "object": no such key: texts evaluating rule: size(self.texts) == 1"#,
            ][..],
        ),
    ];
    for (rule, expected) in cases {
        let mut spec = object(&json!({
            "x": {"x-kubernetes-int-or-string": true},
            "missing": {"type": "integer"},
            "texts": {"type": "array", "items": {"type": "string"}},
            "list": {"type": "array", "items": {"type": "string"}},
        }));
        spec["x-kubernetes-validations"] = json!([{"rule": rule}]);
        let found = schema(&spec).validate(&resource(&json!({"x": "1", "list": []})), None);
        assert_eq!(told(&found), expected);
    }
}

#[test]
fn other_causes_keep_rules_from_running() {
    let mut spec = object(&json!({"x": {"type": "integer"}}));
    spec["x-kubernetes-validations"] = json!([{"rule": "self.x > 1"}]);
    let causes = vec![Cause::required("metadata.name", "name or generateName is required")];
    let mut findings = Findings { causes, ..Findings::default() };
    schema(&spec).validate_after(&mut findings, &resource(&json!({"x": 1})), None);
    let causes = findings.causes;
    assert_eq!(causes.len(), 2);
    assert!(causes[1].message.starts_with("Invalid value: null: some validation rules were not checked"));
}

#[test]
fn what_was_broken_before_is_a_warning() {
    let rule = json!([{"rule": "self > 1"}]);
    let mut spec = object(&json!({"x": {"type": "integer"}, "y": {"type": "integer"}}));
    spec["properties"]["x"]["x-kubernetes-validations"] = rule;
    let (old, new) = (resource(&json!({"x": 1, "y": 1})), resource(&json!({"x": 1, "y": 2})));
    for (trusts_old, warnings) in [(false, vec!["spec.x: Invalid value: 1: failed rule: self > 1"]), (true, vec![])] {
        let mut findings = Findings { trusts_old, ..Findings::default() };
        schema(&spec).validate_after(&mut findings, &new, Some(&old));
        assert_eq!((findings.causes, findings.warnings), (vec![], warnings.into_iter().map(str::to_owned).collect()));
    }
}

#[test]
fn optional_old_self() {
    let rule = json!([{"rule": "!oldSelf.hasValue() || self >= oldSelf.value()", "optionalOldSelf": true}]);
    let schema = schema(&object(&json!({"x": {"type": "integer", "x-kubernetes-validations": rule}})));
    let (two, one) = (resource(&json!({"x": 2})), resource(&json!({"x": 1})));
    assert_eq!(schema.validate(&two, None), []);
    assert_eq!(schema.validate(&two, Some(&one)), []);
    assert_eq!(
        told(&schema.validate(&one, Some(&two))),
        ["FieldValueInvalid | spec.x | Invalid value: 1: failed rule: !oldSelf.hasValue() || self >= oldSelf.value()",]
    );
}

#[test]
fn pruning() {
    let schema = schema(&object(&json!({
        "a": {"type": "string"},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
        "list": {"type": "array", "items": object(&json!({"a": {"type": "string"}}))},
        "map": {"type": "object", "additionalProperties": object(&json!({"a": {"type": "string"}}))},
    })));
    let mut value = resource(&json!({
        "a": "1", "b": 2, "free": {"x": {"y": 1}}, "list": [{"a": "1", "z": 1}], "map": {"k": {"z": 1}}, "none": null,
    }));
    value["metadata"]["labels"] = json!({"l": "1"});
    value["extra"] = json!(1);
    let pruned = schema.prune(&mut value);
    assert_eq!(pruned, ["extra", "spec.b", "spec.list[0].z", "spec.map.k.z", "spec.none"]);
    let mut expected = resource(&json!({"a": "1", "free": {"x": {"y": 1}}, "list": [{"a": "1"}], "map": {"k": {}}}));
    expected["metadata"]["labels"] = json!({"l": "1"});
    assert_eq!(value, expected);
    assert_eq!(schema.prune(&mut value), [] as [&str; 0]);
}

#[test]
fn defaulting() {
    let schema = schema(&object(&json!({
        "n": {"type": "integer", "default": 1},
        "nullable": {"type": "integer", "default": 1, "nullable": true},
        "inner": {"type": "object", "properties": {"d": {"type": "string", "default": "x"}}},
        "whole": {"type": "object", "default": {}, "properties": {"d": {"type": "string", "default": "x"}}},
    })));
    let cases = [
        (json!({}), json!({"n": 1, "nullable": 1, "whole": {"d": "x"}})),
        (
            json!({"n": null, "nullable": null, "inner": {}}),
            json!({"n": 1, "nullable": null, "inner": {"d": "x"}, "whole": {"d": "x"}}),
        ),
        (json!({"n": 2, "whole": {"d": "y"}}), json!({"n": 2, "nullable": 1, "whole": {"d": "y"}})),
    ];
    for (spec, expected) in cases {
        let mut value = resource(&spec);
        schema.set_defaults(&mut value);
        assert_eq!(value, resource(&expected));
    }
    let mut bare = json!({"metadata": {}});
    schema.set_defaults(&mut bare);
    assert_eq!(bare, json!({"metadata": {}}));
}

#[test]
fn schemas_that_are_not_structural() {
    let parse = |schema: Value| told(&Schema::parse(&schema, "s").unwrap_err());
    assert_eq!(parse(json!({})), ["FieldValueRequired | s.type | Required value: must not be empty at the root"]);
    assert_eq!(
        parse(json!({"type": "object", "properties": {"a": {"anyOf": [{"type": "string"}]}}})),
        [
            "FieldValueForbidden | s.properties[a].anyOf[0].type | Forbidden: must be empty to be structural",
            "FieldValueRequired | s.properties[a].type | Required value: must not be empty for specified object fields",
        ]
    );
    let rule = json!({"type": "object", "x-kubernetes-validations": [{"rule": "self =="}]});
    let told = parse(rule).remove(0);
    let expected = r#"FieldValueInvalid | s.x-kubernetes-validations[0].rule | Invalid value: {"Rule":"self ==","Message":"","MessageExpression":"","Reason":null,"FieldPath":"","OptionalOldSelf":null}: compilation failed: "#;
    assert!(told.starts_with(expected), "{told}");
}

#[test]
fn status_of_an_invalid_object() {
    let causes = [Cause::required("spec.a", ""), Cause::too_many("spec.b", 2, 1)];
    let status = invalid_status("Rollout", "g.io", "x", &causes[..1]);
    assert_eq!(status["message"], r#"Rollout.g.io "x" is invalid: spec.a: Required value"#);
    assert_eq!(
        status["details"],
        json!({"name": "x", "group": "g.io", "kind": "Rollout", "causes": [
            {"reason": "FieldValueRequired", "message": "Required value", "field": "spec.a"},
        ]})
    );
    assert_eq!(
        invalid_status("Pod", "", "x", &causes)["message"],
        r#"Pod "x" is invalid: [spec.a: Required value, spec.b: Too many: 2: must have at most 1 item]"#
    );
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(json!(null)),
            any::<bool>().prop_map(Value::from),
            (0..3).prop_map(Value::from),
            "[a-c]".prop_map(Value::from)
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                proptest::collection::btree_map("[abfmn]|free|list", inner, 0..4).prop_map(|map| json!(map)),
            ]
        })
    }

    fn any_schema() -> Schema {
        schema(&object(&json!({
            "a": {"type": "string", "default": "x"},
            "n": {"type": "integer", "nullable": true},
            "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true, "default": {}},
            "m": {"type": "object", "additionalProperties": object(&json!({"a": {"type": "string", "default": "y"}}))},
            "list": {"type": "array", "items": object(&json!({"b": {"type": "integer", "minimum": 1}}))},
        })))
    }

    proptest! {
        #[test]
        fn pruning_and_defaulting_settle_at_once(spec in value()) {
            let schema = any_schema();
            let mut once = resource(&spec);
            schema.prune(&mut once);
            schema.set_defaults(&mut once);
            let mut twice = once.clone();
            prop_assert!(schema.prune(&mut twice).is_empty());
            schema.set_defaults(&mut twice);
            prop_assert_eq!(&twice, &once);
        }

        #[test]
        fn an_update_that_changes_nothing_is_valid(spec in value()) {
            let object = resource(&spec);
            prop_assert_eq!(any_schema().validate(&object, Some(&object)), []);
        }
    }
}

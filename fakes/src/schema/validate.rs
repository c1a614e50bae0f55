//! Validation of a value against a [`Schema`].

use serde_json::{Map, Number, Value};

use super::{Additional, Cause, Checks, Kind, ListType, Schema, cause::NO_FIELD, cel, embedded, formats, go};

/// What validation found.
#[derive(Debug, Default)]
pub struct Findings {
    /// Why the object is invalid; nothing if it is valid.
    pub causes: Vec<Cause>,
    /// What is wrong and was so before, which is tolerated.
    pub warnings: Vec<String>,
    /// Whether the object as it was is known to keep every rule: then rules are not asked again about what did not
    /// change.
    pub trusts_old: bool,
}

impl Schema {
    /// The causes for which an object is invalid; none if it is valid.
    ///
    /// With `old` the object is an update: what did not change is not held against it, and transition rules run.
    pub fn validate(&self, object: &Value, old: Option<&Value>) -> Vec<Cause> {
        let mut findings = Findings::default();
        self.validate_after(&mut findings, object, old);
        findings.causes
    }

    /// Like [`Schema::validate`], after other checks that found causes: grave ones keep the rules from being run.
    pub fn validate_after(&self, findings: &mut Findings, object: &Value, old: Option<&Value>) {
        findings.causes.append(&mut self.check_at("", object, old));
        embedded::check(self, object, &mut findings.causes);
        self.check_whole(findings, object, old);
    }

    /// Like [`Schema::validate_after`], for a write to the status subresource: rules run on the whole object, but of its
    /// fields only the status is looked at.
    pub fn validate_status_after(&self, findings: &mut Findings, object: &Value, old: Option<&Value>) {
        if let (Some(schema), Some(status)) = (self.properties.get("status"), object.get("status")) {
            let old = old.and_then(|old| old.get("status"));
            findings.causes.append(&mut schema.check_at("status", status, old));
        }
        self.check_whole(findings, object, old);
    }

    /// The causes for which a value is invalid, but for rules and lists; `prefix` is its path.
    pub(super) fn check_at(&self, prefix: &str, value: &Value, old: Option<&Value>) -> Vec<Cause> {
        let mut at = Path { prefix, text: String::new() };
        let mut report = Report::default();
        self.check(value, old, &mut at, &mut report);
        report.causes
    }

    fn check_whole(&self, findings: &mut Findings, object: &Value, old: Option<&Value>) {
        const BLOCKING: [&str; 5] = [
            "FieldValueNotSupported",
            "FieldValueRequired",
            "FieldValueTooLong",
            "FieldValueTooMany",
            "FieldValueTypeInvalid",
        ];
        if self.inside.keyed_lists && old.is_none_or(|old| old != object && self.duplicates(old).is_empty()) {
            findings.causes.append(&mut self.duplicates(object));
        }
        if !self.inside.rules {
            return;
        }
        if findings.causes.iter().any(|cause| BLOCKING.contains(&cause.reason)) {
            let detail = "some validation rules were not checked because the object was invalid; \
                          correct the existing errors to complete validation";
            findings.causes.push(Cause::invalid(NO_FIELD, &Value::Null, detail));
        } else {
            cel::evaluate(self, object, old, "", findings);
        }
    }

    fn check(&self, value: &Value, old: Option<&Value>, at: &mut Path<'_>, report: &mut Report) {
        if old.is_none_or(|old| old != value) {
            self.check_changed(value, old, at, report);
        }
    }

    fn check_changed(&self, value: &Value, old: Option<&Value>, at: &mut Path<'_>, report: &mut Report) {
        self.check_type(value, at, report);
        if value.is_null() {
            self.checks.check_choices(value, at, report);
            return;
        }
        self.checks.check_junctors(value, old, at, report);
        match value {
            Value::String(text) => self.check_string(text, value, at, report),
            Value::Number(number) => self.check_number(number, value, at, report),
            Value::Array(list) => self.check_list(list, old, at, report),
            _ => {}
        }
        self.checks.check_choices(value, at, report);
        if let Value::Object(map) = value {
            self.check_object(map, old, at, report);
        }
        report.matches += 1;
    }

    fn check_type(&self, value: &Value, at: &Path<'_>, report: &mut Report) {
        let (found, found_format) = json_type(value);
        let fail = |expected: &str, found: &str| {
            let detail = format!("{} in body must be of type {expected}: {}", at.text, go::quote(found));
            Cause::type_invalid(&at.field(), &Value::from(found), &detail)
        };
        let expected = self.kind.map(Kind::names).unwrap_or_default();
        if value.is_null() {
            if self.kind.is_some() && !self.nullable {
                report.add(fail(expected, "null"));
            }
            return;
        }
        let fits = self.kind.is_some_and(|kind| kind.takes(value));
        if let Some(format) = &self.format {
            let is_scalar = !value.is_string() && !value.is_array();
            if is_scalar && !fits && found_format != format {
                return report.add(fail(format, found_format));
            }
            if !is_scalar && !matches!(self.kind, Some(Kind::Integer | Kind::Number)) {
                return;
            }
        }
        if self.kind.is_some() && !fits {
            return report.add(fail(expected, found));
        }
        report.matches += 1;
    }

    fn check_string(&self, text: &str, value: &Value, at: &Path<'_>, report: &mut Report) {
        let checks = &self.checks;
        let length = || u64::try_from(text.chars().count()).unwrap_or(u64::MAX);
        if let Some(limit) = checks.max_length.filter(|limit| length() > *limit) {
            report.add(Cause::too_long(&at.field(), limit));
        } else if let Some(limit) = checks.min_length.filter(|limit| length() < *limit) {
            report.invalid(at, value, &format!("should be at least {limit} chars long"));
        } else if let Some(pattern) = checks.pattern.as_ref().filter(|pattern| !pattern.regex.is_match(text)) {
            report.invalid(at, value, &format!("should match '{}'", pattern.source));
        }
        let Some(format) = self.format.as_deref().filter(|format| !formats::matches(format, text)) else { return };
        let detail = format!("{} in body must be of type {format}: {}", at.text, go::quote(text));
        report.add(Cause::type_invalid(&at.field(), value, &detail));
    }

    fn check_number(&self, number: &Number, value: &Value, at: &Path<'_>, report: &mut Report) {
        if self.kind == Some(Kind::Integer) && !fits_integer(number, self.format.as_deref()) {
            let format = match &self.format {
                Some(format) => format!("with format {format}"),
                None => "(default format)".to_owned(),
            };
            report.general(at, &format!("Checked value must be of type integer {format} in {}", at.text));
        }
        let checks = &self.checks;
        if let Some(factor) = checks.multiple_of.as_ref().filter(|factor| !is_multiple(number, factor)) {
            report.invalid(at, value, &format!("should be a multiple of {}", go::number_text(factor)));
        }
        if let Some(limit) = &checks.minimum {
            let order = compare_to_bound(number, limit);
            if order.is_lt() || (checks.exclusive_minimum && order.is_eq()) {
                let or_equal = if checks.exclusive_minimum { "" } else { "or equal to " };
                report.invalid(at, value, &format!("should be greater than {or_equal}{}", bound_text(number, limit)));
            }
        }
        if let Some(limit) = &checks.maximum {
            let order = compare_to_bound(number, limit);
            if order.is_gt() || (checks.exclusive_maximum && order.is_eq()) {
                let or_equal = if checks.exclusive_maximum { "" } else { "or equal to " };
                report.invalid(at, value, &format!("should be less than {or_equal}{}", bound_text(number, limit)));
            }
        }
    }

    fn check_list(&self, list: &[Value], old: Option<&Value>, at: &mut Path<'_>, report: &mut Report) {
        if let Some(items) = self.items() {
            let old = old.and_then(Value::as_array);
            for (i, item) in list.iter().enumerate() {
                let old = old.and_then(|old| self.counterpart(item, old));
                at.below(&format!("[{i}]"), |at| items.check(item, old, at, report));
            }
        }
        if let Some(limit) = self.checks.min_items.filter(|limit| count(list.len()) < *limit) {
            report.invalid(at, &Value::from(list.len()), &format!("should have at least {limit} items"));
        }
        if let Some(limit) = self.checks.max_items.filter(|limit| count(list.len()) > *limit) {
            report.add(Cause::too_many(&at.field(), list.len(), limit));
        }
    }

    /// The item of the old list with the same keys: only map lists have counterparts.
    pub(super) fn counterpart<'a>(&self, item: &Value, old: &'a [Value]) -> Option<&'a Value> {
        let ListType::Map(keys) = &self.list else { return None };
        old.iter().find(|old| old.is_object() && keys.iter().all(|key| old.get(key) == item.get(key)))
    }

    fn check_object(&self, map: &Map<String, Value>, old: Option<&Value>, at: &mut Path<'_>, report: &mut Report) {
        let checks = &self.checks;
        if let Some(limit) = checks.min_properties.filter(|limit| count(map.len()) < *limit) {
            report.invalid(at, &Value::from(map.len()), &format!("should have at least {limit} properties"));
        }
        if let Some(limit) = checks.max_properties.filter(|limit| count(map.len()) > *limit) {
            report.add(Cause::too_many(&at.field(), map.len(), limit));
        }
        for (name, value) in map {
            if let Some(schema) = self.field(name) {
                let old = old.and_then(|old| old.get(name));
                let step = if at.text.is_empty() { name.clone() } else { format!(".{name}") };
                at.below(&step, |at| schema.check(value, old, at, report));
            } else if matches!(self.additional, Some(Additional::Forbidden)) {
                let detail = format!("{}.{name} in body is a forbidden property", at.text);
                report.add(Cause::invalid(&at.field(), &Value::from(name.as_str()), &detail));
            }
        }
        for name in checks.required.iter().filter(|name| !map.contains_key(*name)) {
            let step = format!(".{name}");
            at.below(&step, |at| report.add(Cause::required(&at.field(), "")));
        }
    }
}

impl Checks {
    fn check_choices(&self, value: &Value, at: &Path<'_>, report: &mut Report) {
        // A null is in no enumeration, even if one names it.
        let is_chosen = |choice: &Value| !value.is_null() && same(choice, value);
        if self.choices.is_empty() || self.choices.iter().any(is_chosen) {
            return;
        }
        let choices: Vec<String> = self.choices.iter().map(choice_text).collect();
        report.add(Cause::not_supported(&at.field(), value, &choices));
    }

    fn check_junctors(&self, value: &Value, old: Option<&Value>, at: &mut Path<'_>, report: &mut Report) {
        if self.any_of.is_empty() && self.one_of.is_empty() && self.all_of.is_empty() && self.not.is_none() {
            return;
        }
        let quoted = go::quote(&at.text);
        let mut run = |branch: &Schema| {
            let mut report = Report::default();
            branch.check_changed(value, old, at, &mut report);
            report
        };
        if !self.any_of.is_empty() {
            let (valid, best) = alternatives(self.any_of.iter().map(&mut run));
            if valid == 0 {
                report.general(at, &format!("{quoted} must validate at least one schema (anyOf)"));
                report.merge(best);
            }
        }
        let mut run = |branch: &Schema| {
            let mut report = Report::default();
            branch.check_changed(value, old, at, &mut report);
            report
        };
        if !self.one_of.is_empty() {
            let (valid, best) = alternatives(self.one_of.iter().map(&mut run));
            if valid != 1 {
                let found = if valid == 0 {
                    "Found none valid".to_owned()
                } else {
                    format!("Found {valid} valid alternatives")
                };
                report.general(at, &format!("{quoted} must validate one and only one schema (oneOf). {found}"));
                report.merge(best.filter(|_| valid == 0));
            }
        }
        let mut failed = 0;
        for branch in &self.all_of {
            let mut nested = Report::default();
            branch.check_changed(value, old, at, &mut nested);
            failed += usize::from(!nested.causes.is_empty());
            report.merge(Some(nested));
        }
        if failed > 0 {
            let none = if failed == self.all_of.len() { ". None validated" } else { "" };
            report.general(at, &format!("{quoted} must validate all the schemas (allOf){none}"));
        }
        if let Some(not) = &self.not {
            let mut nested = Report::default();
            not.check_changed(value, old, at, &mut nested);
            if nested.causes.is_empty() {
                report.general(at, &format!("{quoted} must not validate the schema (not)"));
            }
        }
    }
}

/// How many alternatives are valid, and the invalid one that came furthest.
fn alternatives(reports: impl Iterator<Item = Report>) -> (usize, Option<Report>) {
    let mut valid = 0;
    let mut best: Option<Report> = None;
    for report in reports {
        if report.causes.is_empty() {
            valid += 1;
        } else if best.as_ref().is_none_or(|best| report.matches > best.matches) {
            best = Some(report);
        }
    }
    (valid, best)
}

/// The path of the value being checked.
struct Path<'a> {
    /// The field all paths start from: `status` for the status subresource.
    prefix: &'a str,
    text: String,
}

impl Path<'_> {
    fn field(&self) -> String {
        let text = self.text.trim_start_matches('.');
        match (self.prefix, text) {
            ("", "") => NO_FIELD.to_owned(),
            ("", text) => text.to_owned(),
            (prefix, "") => prefix.to_owned(),
            (prefix, text) => format!("{prefix}.{text}"),
        }
    }

    fn below(&mut self, step: &str, walk: impl FnOnce(&mut Self)) {
        let before = self.text.len();
        self.text.push_str(step);
        walk(self);
        self.text.truncate(before);
    }
}

#[derive(Default)]
struct Report {
    causes: Vec<Cause>,
    /// How many checks held: the measure by which the best of several alternatives is told.
    matches: usize,
}

impl Report {
    fn add(&mut self, cause: Cause) {
        if !self.causes.contains(&cause) {
            self.causes.push(cause);
        }
    }

    fn invalid(&mut self, at: &Path<'_>, value: &Value, detail: &str) {
        self.add(Cause::invalid(&at.field(), value, &format!("{} in body {detail}", at.text)));
    }

    /// A cause that kube-apiserver does not attach to a field.
    fn general(&mut self, at: &Path<'_>, detail: &str) {
        let field = if at.prefix.is_empty() { NO_FIELD } else { at.prefix };
        self.add(Cause::invalid(field, &Value::from(""), detail));
    }

    fn merge(&mut self, other: Option<Self>) {
        let Some(other) = other else { return };
        self.matches += other.matches;
        other.causes.into_iter().for_each(|cause| self.add(cause));
    }
}

impl Kind {
    pub(super) fn names(self) -> &'static str {
        match self {
            Self::Object => "object",
            Self::Array => "array",
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::IntOrString => "integer,string",
        }
    }

    fn takes(self, value: &Value) -> bool {
        match self {
            Self::Object => value.is_object(),
            Self::Array => value.is_array(),
            Self::String => value.is_string(),
            Self::Integer => is_integer(value),
            Self::Number => value.is_number(),
            Self::Boolean => value.is_boolean(),
            Self::IntOrString => value.is_string() || is_integer(value),
        }
    }
}

fn is_integer(value: &Value) -> bool {
    // Go reads what 64 bits do not hold as a float, and takes a float for an integer only where it is exact.
    const MAX_EXACT: f64 = 9_007_199_254_740_991.0;
    value.is_i64() || value.as_f64().is_some_and(|float| float.fract() == 0.0 && float.abs() <= MAX_EXACT)
}

fn json_type(value: &Value) -> (&'static str, &'static str) {
    match value {
        Value::Null => ("null", ""),
        Value::Bool(_) => ("boolean", ""),
        Value::Number(number) if !number.is_i64() => ("number", "float64"),
        Value::Number(_) => ("integer", "int64"),
        Value::String(_) => ("string", ""),
        Value::Array(_) => ("array", ""),
        Value::Object(_) => ("object", ""),
    }
}

fn fits_integer(number: &Number, format: Option<&str>) -> bool {
    match number.as_i64() {
        Some(integer) => format != Some("int32") || i32::try_from(integer).is_ok(),
        None => number.as_f64().is_some_and(|float| number.is_f64() && float.fract() == 0.0),
    }
}

fn is_multiple(number: &Number, factor: &Number) -> bool {
    match (number.as_i64(), factor.as_i64()) {
        (Some(number), Some(factor)) => factor != 0 && number % factor == 0,
        _ => match (number.as_f64(), factor.as_f64()) {
            (Some(number), Some(factor)) => (number / factor).fract() == 0.0,
            _ => false,
        },
    }
}

fn compare(left: &Number, right: &Number) -> std::cmp::Ordering {
    match (left.as_i64(), right.as_i64()) {
        (Some(left), Some(right)) => left.cmp(&right),
        _ => left.as_f64().partial_cmp(&right.as_f64()).unwrap_or(std::cmp::Ordering::Equal),
    }
}

/// An integer is compared with the whole part of its bound.
fn compare_to_bound(number: &Number, limit: &Number) -> std::cmp::Ordering {
    match limit.as_f64().filter(|_| limit.is_f64()).zip(number.as_f64().filter(|_| !number.is_f64())) {
        Some((limit, number)) => number.total_cmp(&limit.trunc()),
        None => compare(number, limit),
    }
}

/// A bound of an integer is printed as an integer.
fn bound_text(number: &Number, limit: &Number) -> String {
    match limit.as_f64().filter(|_| !number.is_f64() && limit.is_f64()) {
        Some(float) => format!("{:.0}", float.trunc()),
        None => go::number_text(limit),
    }
}

fn same(choice: &Value, value: &Value) -> bool {
    match (choice, value) {
        (Value::Number(choice), Value::Number(value)) => compare(choice, value).is_eq(),
        _ => choice == value,
    }
}

fn choice_text(choice: &Value) -> String {
    choice.as_str().map_or_else(|| go::printed(choice), str::to_owned)
}

fn count(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

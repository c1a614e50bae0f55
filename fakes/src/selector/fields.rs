//! Field selectors: fields that are equal or unequal to a text.

use serde_json::Value;

/// A field selector.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSelector(Vec<Term>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Term {
    field: String,
    value: String,
    equal: bool,
}

impl FieldSelector {
    /// Reads a selector as `fieldSelector=` carries it: `a=b,c!=d`. In values `\` escapes itself, `,` and `=`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = split(text);
        // The real server names the first fault in this order.
        parts.sort_unstable();
        parts
            .into_iter()
            .filter(|part| !part.is_empty())
            .map(|part| term(part, text))
            // Nothing is asked of nothing.
            .filter(|term| term.as_ref().is_err() || term.as_ref().is_ok_and(|term| !term.is_empty()))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Selects by one field.
    pub fn exactly(field: &str, value: &str) -> Self {
        Self(vec![Term { field: field.to_owned(), value: value.to_owned(), equal: true }])
    }

    /// Puts the names under which objects keep the fields in place of those asked for.
    pub(crate) fn rename(&mut self, name: impl Fn(&str) -> Result<&str, String>) -> Result<(), String> {
        for term in &mut self.0 {
            term.field = name(&term.field)?.to_owned();
        }
        Ok(())
    }

    /// Whether it selects everything.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value a field has to have, when the selector says one.
    pub fn exact(&self, field: &str) -> Option<&str> {
        self.0.iter().find(|term| term.equal && term.field == field).map(|term| term.value.as_str())
    }

    /// Whether an object's fields are as asked for.
    pub fn matches(&self, object: &Value) -> bool {
        self.0.iter().all(|term| {
            let value = term.field.split('.').try_fold(object, |value, part| value.get(part));
            let wanted = &term.value;
            let found = match value {
                Some(Value::String(text)) => text == wanted,
                // Absent is empty, and a truth value that is absent is false.
                Some(Value::Null) | None => wanted.is_empty() || (wanted == "false" && is_truth_value(&term.field)),
                Some(Value::Bool(value)) => wanted.parse() == Ok(*value),
                Some(Value::Number(number)) => *wanted == number.to_string(),
                Some(_) => false,
            };
            found == term.equal
        })
    }
}

impl Term {
    fn is_empty(&self) -> bool {
        self.field.is_empty() && self.value.is_empty()
    }
}

/// Fields of built-in kinds that select by `true` and `false`.
fn is_truth_value(field: &str) -> bool {
    matches!(field, "spec.hostNetwork" | "spec.unschedulable")
}

fn split(text: &str) -> Vec<&str> {
    let mut escaped = false;
    text.split(move |c| {
        let separates = c == ',' && !escaped;
        escaped = c == '\\' && !escaped;
        separates
    })
    .collect()
}

fn term(part: &str, whole: &str) -> Result<Term, String> {
    let found = part.char_indices().find_map(|(at, _)| {
        let rest = part.get(at..)?;
        let operator = ["!=", "==", "="].into_iter().find(|operator| rest.starts_with(operator))?;
        Some((part.get(..at)?, operator, rest.strip_prefix(operator)?))
    });
    let Some((field, operator, value)) = found else {
        return Err(format!("invalid selector: '{whole}'; can't understand '{part}'"));
    };
    Ok(Term { field: field.to_owned(), value: unescape(value)?, equal: operator != "!=" })
}

fn unescape(value: &str) -> Result<String, String> {
    let mut plain = String::new();
    let mut characters = value.chars();
    while let Some(c) = characters.next() {
        match c {
            '\\' => match characters.next() {
                Some(escaped @ ('\\' | ',' | '=')) => plain.push(escaped),
                other => {
                    let sequence: String = ['\\'].into_iter().chain(other).collect();
                    return Err(format!("invalid field selector: invalid escape sequence: {sequence}"));
                }
            },
            '=' => {
                return Err(format!("invalid field selector: unescaped character in value: {}", u32::from(c)));
            }
            other => plain.push(other),
        }
    }
    Ok(plain)
}

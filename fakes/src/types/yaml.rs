//! YAML, with the keys that are there twice.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::{Spanned, options::DuplicateKeyPolicy};

use super::{Parsed, Repeated};

/// Reads the first document; what follows is not looked at.
pub(crate) fn parse(yaml: &[u8]) -> Result<Parsed, String> {
    let text = String::from_utf8_lossy(yaml);
    let options = serde_saphyr::options! { duplicate_keys: DuplicateKeyPolicy::LastWins };
    let documents = serde_saphyr::from_multiple_with_options::<Node>(&text, options);
    let first = documents.map_err(|error| error.to_string())?.into_iter().next().unwrap_or_default();
    Ok(Parsed { value: first.value, repeated: Repeated::Lines(first.repeated) })
}

/// A value, and what is said of the keys that it has twice. The last one counts.
#[derive(Default)]
struct Node {
    value: Value,
    repeated: Vec<String>,
}

impl From<Value> for Node {
    fn from(value: Value) -> Self {
        Self { value, repeated: Vec::new() }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any YAML value that JSON has too")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Value::from(value).into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Value::from(value).into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Value::from(value).into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number).into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Value::from(value).into())
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::default())
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::default())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let (mut list, mut repeated) = (Vec::new(), Vec::new());
        while let Some(item) = items.next_element::<Node>()? {
            list.push(item.value);
            repeated.extend(item.repeated);
        }
        Ok(Node { value: list.into(), repeated })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        let (mut map, mut repeated) = (Map::new(), Vec::new());
        while let Some((key, value)) = entries.next_entry::<Node, Spanned<Node>>()? {
            repeated.extend(value.value.repeated);
            // Numbers and words such as `true` are keys too; JSON has them as text.
            let (name, shown) = match key.value {
                Value::String(text) => (text.clone(), format!("{text:?}")),
                Value::Array(_) | Value::Object(_) => return Err(A::Error::custom("a key is no scalar")),
                other => (other.to_string(), other.to_string()),
            };
            if map.insert(name, value.value.value).is_some() {
                repeated.push(format!("line {}: key {shown} already set in map", value.referenced.line()));
            }
        }
        Ok(Node { value: map.into(), repeated })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn repeated_keys_are_named_with_their_lines_and_the_last_one_counts() {
        let parsed = parse(b"a: 1\nb: [{c: 1.5, c: x}, ~, true]\na:\n  d: -2\n---\nno: more\n").unwrap();
        assert_eq!(parsed.value, json!({ "a": { "d": -2 }, "b": [{ "c": "x" }, null, true] }));
        let told = ["line 2: key \"c\" already set in map", "line 4: key \"a\" already set in map"];
        assert_eq!(parsed.repeated.warnings(), told);
        assert_eq!(parsed.repeated.errors(), [format!("yaml: unmarshal errors:\n  {}\n  {}", told[0], told[1])]);
        assert!(parse(b"a: b: c").is_err());
        assert_eq!(parse(b"").unwrap().value, Value::Null);
    }
}

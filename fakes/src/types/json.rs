//! JSON, with the fields that are there twice.

use std::{cell::RefCell, fmt};

use serde::de::{Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value, map::Entry};

use super::{
    Parsed, Repeated,
    path::{Path, Step},
};

/// As many repeated fields as are told.
const MAX_REPEATED: usize = 100;

/// Reads a document.
pub(crate) fn parse(bytes: &[u8]) -> serde_json::Result<Parsed> {
    let repeated = RefCell::default();
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = Seed { at: Path::ROOT, repeated: &repeated }.deserialize(&mut reader)?;
    reader.end()?;
    Ok(Parsed { value, repeated: Repeated::Fields(repeated.into_inner()) })
}

#[derive(Clone, Copy)]
struct Seed<'a> {
    at: Path<'a>,
    repeated: &'a RefCell<Vec<String>>,
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any valid JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) =
            items.next_element_seed(Seed { at: self.at.then(Step::Index(list.len())), repeated: self.repeated })?
        {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<Key>()? {
            let entry = map.entry(key.0);
            let at = self.at.then(Step::Key(entry.key()));
            if matches!(entry, Entry::Occupied(_)) {
                let mut repeated = self.repeated.borrow_mut();
                let path = at.text();
                if repeated.len() < MAX_REPEATED && !repeated.contains(&path) {
                    repeated.push(path);
                }
            }
            let value = entries.next_value_seed(Seed { at, repeated: self.repeated })?;
            match entry {
                Entry::Vacant(vacant) => *vacant.insert(Value::Null) = value,
                Entry::Occupied(mut occupied) => *occupied.get_mut() = value,
            }
        }
        Ok(Value::Object(map))
    }
}

struct Key(String);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Key)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn repeated_fields_are_named_and_the_last_one_counts() {
        let parsed = parse(br#"{"a":1,"b":[{"c":1,"c":2}],"a":{"x":null}}"#).unwrap();
        assert_eq!(parsed.value, json!({ "a": { "x": null }, "b": [{ "c": 2 }] }));
        assert_eq!(parsed.repeated.warnings(), [r#"duplicate field "b[0].c""#, r#"duplicate field "a""#]);
        assert!(parse(b"{} x").is_err());
    }
}

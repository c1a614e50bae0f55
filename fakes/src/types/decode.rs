//! An object as Go reads it into its type and writes it again.
//!
//! What does not fit is refused in the words of Go's decoder. Unknown fields are dropped and told. What Go leaves out
//! when it is empty is left out, what it always writes is written, quantities and times come in their canonical form.

use serde_json::{Map, Value, json};

use super::{
    Field, Omit, Other, Shape, Struct, Type, TypeId,
    path::{Path, Step},
    quantity, time,
};

/// Who reads the object, and so how its errors are worded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Reader {
    /// Go's decoder of JSON.
    #[default]
    Json,
    /// The converter from untyped maps, which strategic merge patches go through.
    Converter,
}

/// What a walk found.
#[derive(Debug, Default)]
pub(crate) struct Decoded {
    /// The first thing that does not fit.
    pub(crate) error: Option<String>,
    /// The fields that the type does not have, in the order of the object.
    pub(crate) unknown: Vec<String>,
    /// An error that ends the walk, and counts more than one that does not.
    fatal: bool,
    reader: Reader,
}

/// Reads an object into its type, and leaves it as the type writes it.
pub(crate) fn decode(object: &mut Value, ty: &'static Type, reader: Reader) -> Decoded {
    let mut decoded = Decoded { reader, ..Decoded::default() };
    decoded.value(object, ty, &Path::ROOT);
    decoded
}

impl Decoded {
    /// Something of another kind than the type wants. The first one is told.
    fn mismatch(&mut self, value: &Value, ty: &Type, at: &Path<'_>) {
        if self.error.is_some() {
            return;
        }
        self.error = Some(match (self.reader, &ty.shape, value) {
            (Reader::Converter, ..) => unconvertible(value, ty),
            (_, Shape::Int(_), Value::Number(number)) => mismatch(&format!("number {number}"), &ty.go, at),
            _ => mismatch(word(value), &ty.go, at),
        });
    }

    /// An error of a type that reads its own JSON ends the walk.
    fn end(&mut self, error: String) {
        if !self.fatal {
            self.fatal = true;
            self.error = Some(error);
        }
    }

    fn value(&mut self, value: &mut Value, ty: &'static Type, at: &Path<'_>) {
        match (&ty.shape, &mut *value) {
            (_, _) if self.fatal => {}
            (Shape::Raw, _) => {}
            (_, Value::Null) => *value = zero(ty),
            (Shape::Struct(fields), Value::Object(map)) => self.fields(map, ty, fields, at),
            (Shape::Map { value: item, .. }, Value::Object(map)) => {
                for (key, value) in map {
                    self.value(value, item.get(), &at.then(Step::Key(key)));
                }
            }
            (Shape::List { item, .. }, Value::Array(list)) => {
                for (index, value) in list.iter_mut().enumerate() {
                    self.value(value, item.get(), &at.then(Step::Index(index)));
                }
            }
            (Shape::Quantity, _) => self.quantity(value),
            (Shape::Time { micro }, _) => self.time(value, *micro, at),
            (Shape::IntOrString, _) => self.int_or_string(value, at),
            (Shape::SchemaOr(schema, other), _) => self.schema_or(value, *schema, *other, at),
            (Shape::Text(_), Value::String(_)) | (Shape::Flag, Value::Bool(_)) | (Shape::Float, Value::Number(_)) => {}
            // The converter cuts off what is too much.
            (Shape::Int(32), Value::Number(number)) if self.reader == Reader::Converter && is_whole(number) => {
                *value = wrapped(number).into();
            }
            (Shape::Int(bits), Value::Number(number)) => {
                let fits = number.as_i64().is_some_and(|n| *bits == 64 || i32::try_from(n).is_ok());
                if !fits {
                    self.mismatch(value, ty, at);
                }
            }
            (Shape::Bytes, Value::Array(_)) if self.reader == Reader::Json => self.bytes(value, at),
            (Shape::Bytes, Value::Array(list)) if list.iter().any(Value::is_string) => {
                self.error.get_or_insert_with(|| "unrecognized type: uint8".to_owned());
            }
            (Shape::Bytes, Value::String(text)) => {
                if let Some(place) = corrupt(text) {
                    let error = format!("illegal base64 data at input byte {place}");
                    self.error.get_or_insert(match self.reader {
                        Reader::Json => error,
                        Reader::Converter => format!("error decoding from json: {error}"),
                    });
                }
            }
            _ => self.mismatch(value, ty, at),
        }
    }

    fn fields(&mut self, map: &mut Map<String, Value>, ty: &'static Type, fields: &'static Struct, at: &Path<'_>) {
        map.retain(|name, value| {
            let Some(field) = fields.field(name) else {
                self.unknown.push(at.then(Step::Key(name)).text());
                return false;
            };
            let of = field.ty.get();
            if value.is_null() && (field.pointer || is_nil(of)) {
                return field.omit == Omit::Never;
            }
            self.value(value, of, &at.then(Step::Field(ty, field)));
            !is_left_out(value, field, of)
        });
        // Order is that of the request; what it lacks comes last.
        for name in &fields.always {
            if !map.contains_key(*name)
                && let Some(field) = fields.field(name)
            {
                map.insert((*name).to_owned(), zero_of(field));
            }
        }
    }

    /// Bytes may come as numbers.
    fn bytes(&mut self, value: &mut Value, at: &Path<'_>) {
        let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
        let mut bytes = Vec::with_capacity(items.len());
        for item in items {
            match item.as_u64().and_then(|number| u8::try_from(number).ok()) {
                Some(byte) => bytes.push(byte),
                None if item.is_null() => bytes.push(0),
                None => {
                    let found = if item.is_number() { format!("number {item}") } else { word(item).to_owned() };
                    self.error.get_or_insert_with(|| mismatch(&found, "uint8", at));
                    return;
                }
            }
        }
        *value = json!(k8s_openapi::ByteString(bytes));
    }

    /// A mismatch found by a type that reads its own JSON; only Go's decoder knows where that is.
    fn custom(&self, found: &str, ty: &str, at: &Path<'_>) -> String {
        let at = if self.reader == Reader::Json { at } else { &Path::ROOT };
        mismatch(found, ty, at)
    }

    fn quantity(&mut self, value: &mut Value) {
        let text = match &*value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        match quantity::canonical(text.trim()) {
            Ok(canonical) => *value = canonical.into(),
            Err(error) => self.end(error.to_owned()),
        }
    }

    fn time(&mut self, value: &mut Value, micro: bool, at: &Path<'_>) {
        let Value::String(text) = &*value else {
            let error = self.custom(word(value), "string", at);
            self.end(error);
            return;
        };
        match time::canonical(text, micro) {
            Ok(canonical) => *value = canonical.into(),
            Err(error) => self.end(error),
        }
    }

    fn int_or_string(&mut self, value: &Value, at: &Path<'_>) {
        match value {
            Value::String(_) => {}
            Value::Number(number) if number.as_i64().is_some_and(|n| i32::try_from(n).is_ok()) => {}
            other => {
                let found = if other.is_number() { format!("number {other}") } else { word(other).to_owned() };
                let error = self.custom(&found, "int32", at);
                self.end(error);
            }
        }
    }

    fn schema_or(&mut self, value: &mut Value, schema: TypeId, other: Other, at: &Path<'_>) {
        match (&mut *value, other) {
            (Value::Object(_), _) => {
                // It is read by a decoder of its own, which knows neither where it is nor of unknown fields.
                let inner = decode(value, schema.get(), Reader::Json);
                if let Some(error) = inner.error {
                    self.end(error);
                }
            }
            (Value::Array(schemas), Other::Schemas) => {
                for value in schemas {
                    let inner = decode(value, schema.get(), Reader::Json);
                    if let Some(error) = inner.error {
                        self.end(error);
                    }
                }
            }
            (Value::Bool(_), Other::Flag) => {}
            (Value::Array(names), Other::Strings) if names.iter().all(Value::is_string) => {}
            (_, Other::Flag) => self.end("boolean or JSON schema expected".to_owned()),
            (found, _) => {
                let error = self.custom(word(found), &schema.get().go, at);
                self.end(error);
            }
        }
    }
}

fn is_whole(number: &serde_json::Number) -> bool {
    number.as_i64().is_some() || number.as_f64().is_some_and(|float| float.fract() == 0.0)
}

/// The lowest 32 bits.
fn wrapped(number: &serde_json::Number) -> i32 {
    let bytes = number.as_i64().unwrap_or_default().to_le_bytes();
    i32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

fn mismatch(found: &str, ty: &str, at: &Path<'_>) -> String {
    match at.go() {
        Some(field) => format!("json: cannot unmarshal {found} into Go struct field {field} of type {ty}"),
        None => format!("json: cannot unmarshal {found} into Go value of type {ty}"),
    }
}

fn unconvertible(value: &Value, ty: &Type) -> String {
    let found = match value {
        Value::Object(_) => "map",
        Value::Array(_) => "slice",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int64",
        other => word(other),
    };
    match (&ty.shape, found) {
        (Shape::Struct(_), _) => format!("cannot restore struct from: {found}"),
        (Shape::Map { .. }, _) => format!("cannot restore map from {found}"),
        (Shape::List { .. } | Shape::Bytes, _) => format!("cannot restore slice from {found}"),
        (Shape::Text(_), "int64") | (Shape::Int(_), "float64" | "int64") => {
            format!("cannot convert {found} to {}", ty.go)
        }
        (Shape::Text(_), _) => "unrecognized type: string".to_owned(),
        (Shape::Int(bits), _) => format!("unrecognized type: int{bits}"),
        _ => format!("unrecognized type: {}", ty.go),
    }
}

/// A kind of JSON, as Go's decoder calls it.
pub(crate) fn word(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Types whose zero value is nil.
fn is_nil(ty: &Type) -> bool {
    matches!(ty.shape, Shape::Map { .. } | Shape::List { .. } | Shape::Bytes)
}

fn is_left_out(value: &Value, field: &Field, ty: &Type) -> bool {
    match field.omit {
        Omit::Never => false,
        _ if field.pointer => value.is_null(),
        Omit::Zero => *value == zero(ty),
        Omit::Empty => match &ty.shape {
            Shape::Map { .. } => value.as_object().is_some_and(Map::is_empty) || value.is_null(),
            Shape::List { .. } => value.as_array().is_some_and(Vec::is_empty) || value.is_null(),
            Shape::Text(_) | Shape::Bytes => value.as_str().is_none_or(str::is_empty),
            Shape::Flag => value == false,
            Shape::Int(_) => value.as_i64() == Some(0),
            Shape::Float => value.as_f64() == Some(0.0),
            Shape::Struct(_)
            | Shape::Quantity
            | Shape::Time { .. }
            | Shape::IntOrString
            | Shape::Raw
            | Shape::SchemaOr(..) => false,
        },
    }
}

fn zero_of(field: &Field) -> Value {
    if field.pointer { Value::Null } else { zero(field.ty.get()) }
}

/// What Go writes for a value of the type that nothing was read into.
pub(crate) fn zero(ty: &Type) -> Value {
    match &ty.shape {
        Shape::Struct(fields) => {
            let always = fields.always.iter().filter_map(|name| fields.field(name));
            Value::Object(always.map(|field| (field.name.to_owned(), zero_of(field))).collect())
        }
        Shape::Text(_) => "".into(),
        Shape::Flag => false.into(),
        Shape::Int(_) | Shape::IntOrString => 0.into(),
        Shape::Float => 0.into(),
        Shape::Quantity => "0".into(),
        Shape::Map { .. }
        | Shape::List { .. }
        | Shape::Bytes
        | Shape::Time { .. }
        | Shape::Raw
        | Shape::SchemaOr(..) => Value::Null,
    }
}

/// The place of the first byte that is no base64.
fn corrupt(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let data = bytes.iter().take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/')).count();
    let padding = bytes.get(data..)?.iter().take_while(|byte| **byte == b'=').count();
    let wanted = (4 - data % 4) % 4;
    if data + padding == bytes.len() && padding == wanted && wanted != 3 {
        return None;
    }
    if data < bytes.len() && data % 4 >= 2 && padding > 0 {
        return Some((data + padding.min(wanted)).min(bytes.len()));
    }
    Some(if data == bytes.len() { data - data % 4 } else { data })
}

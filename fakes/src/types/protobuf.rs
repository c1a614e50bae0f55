//! Bodies in protobuf, as kubectl's typed commands send them, read into JSON by the tables of the types.

use k8s_openapi::ByteString;
use serde_json::{Map, Value, json};

use super::{Other, Shape, Struct, Type, TypeId, kind};

/// How Kubernetes' protobuf bodies start.
pub(crate) const MAGIC: &[u8] = b"k8s\0";

/// Messages within messages at most; schemas are the only ones that go deep.
const MAX_DEPTH: usize = 100;

const MALFORMED: &str = "the body is not the protobuf of its type";

/// One field of a message.
enum Part<'a> {
    Number(u64),
    Fixed(u64),
    Bytes(&'a [u8]),
}

type Result<T> = std::result::Result<T, String>;

/// Reads a body, which says itself of which kind it is.
pub(crate) fn read(body: &[u8]) -> Result<Value> {
    let body = body.strip_prefix(MAGIC).ok_or(MALFORMED)?;
    let (mut api_version, mut kind_name, mut raw): (String, String, &[u8]) = (String::new(), String::new(), &[]);
    for part in parts(body) {
        match part? {
            (1, Part::Bytes(meta)) => {
                for part in parts(meta) {
                    match part? {
                        (1, Part::Bytes(bytes)) => api_version = text(bytes)?,
                        (2, Part::Bytes(bytes)) => kind_name = text(bytes)?,
                        _ => {}
                    }
                }
            }
            (2, Part::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    let of = kind(&api_version, &kind_name).or_else(|| kind("v1", &kind_name));
    let fields = of.and_then(Type::as_struct);
    let fields = fields.ok_or_else(|| format!("no kind {kind_name:?} is registered for version {api_version:?}"))?;
    let mut object = Map::from_iter([
        ("apiVersion".to_owned(), api_version.clone().into()),
        ("kind".to_owned(), kind_name.clone().into()),
    ]);
    message(raw, fields, &[], 0, &mut object)?;
    Ok(Value::Object(object))
}

fn message(bytes: &[u8], fields: &Struct, prefix: &[u32], depth: usize, object: &mut Map<String, Value>) -> Result<()> {
    if depth > MAX_DEPTH {
        return Err(MALFORMED.to_owned());
    }
    for part in parts(bytes) {
        let (number, part) = part?;
        let path = [prefix, &[number]].concat();
        if let Some(field) = fields.fields.iter().find(|field| field.number == path) {
            put(object, field.name, field.ty.get(), &part, depth)?;
        } else if let Part::Bytes(inlined) = part
            && fields.fields.iter().any(|field| field.number.starts_with(&path))
        {
            message(inlined, fields, &path, depth + 1, object)?;
        }
    }
    Ok(())
}

/// Lists and maps come item by item, other fields at once.
fn put(object: &mut Map<String, Value>, name: &str, ty: &Type, part: &Part<'_>, depth: usize) -> Result<()> {
    match &ty.shape {
        Shape::List { item, .. } if !is_wrapped(ty) => {
            let list = object.entry(name).or_insert_with(|| json!([]));
            if let Some(list) = list.as_array_mut() {
                list.push(value(item.get(), part, depth)?);
            }
        }
        Shape::Map { value: item, .. } => {
            let Part::Bytes(entry) = part else { return Err(MALFORMED.to_owned()) };
            let (mut key, mut item_value) = (String::new(), super::decode::zero(item.get()));
            for part in parts(entry) {
                match part? {
                    (1, Part::Bytes(bytes)) => key = text(bytes)?,
                    (2, part) => item_value = value(item.get(), &part, depth)?,
                    _ => {}
                }
            }
            let map = object.entry(name).or_insert_with(|| json!({}));
            if let Some(map) = map.as_object_mut() {
                map.insert(key, item_value);
            }
        }
        _ => {
            object.insert(name.to_owned(), value(ty, part, depth)?);
        }
    }
    Ok(())
}

/// A list with a name of its own is a message around its items.
fn is_wrapped(ty: &Type) -> bool {
    !ty.go.starts_with("[]")
}

fn value(ty: &Type, part: &Part<'_>, depth: usize) -> Result<Value> {
    Ok(match (&ty.shape, part) {
        (Shape::Text(_), Part::Bytes(bytes)) => text(bytes)?.into(),
        (Shape::Flag, Part::Number(number)) => (*number != 0).into(),
        (Shape::Int(_), Part::Number(number)) => number.cast_signed().into(),
        (Shape::Float, Part::Fixed(bits)) => json!(f64::from_bits(*bits)),
        (Shape::Bytes, Part::Bytes(bytes)) => json!(ByteString(bytes.to_vec())),
        (Shape::Struct(fields), Part::Bytes(bytes)) => {
            let mut object = Map::new();
            message(bytes, fields, &[], depth + 1, &mut object)?;
            Value::Object(object)
        }
        (Shape::List { item, .. }, Part::Bytes(bytes)) => {
            let items = parts(bytes).map(|part| value(item.get(), &part?.1, depth));
            Value::Array(items.collect::<Result<_>>()?)
        }
        (Shape::Quantity, Part::Bytes(bytes)) => match parts(bytes).next().transpose()? {
            Some((1, Part::Bytes(quantity))) => text(quantity)?.into(),
            _ => "0".into(),
        },
        (Shape::Time { .. }, Part::Bytes(bytes)) => time(bytes)?,
        (Shape::IntOrString, Part::Bytes(bytes)) => int_or_string(bytes)?,
        (Shape::Raw, Part::Bytes(bytes)) => match parts(bytes).next().transpose()? {
            Some((1, Part::Bytes(raw))) if !raw.is_empty() => {
                serde_json::from_slice(raw).map_err(|_| MALFORMED.to_owned())?
            }
            _ => Value::Null,
        },
        (Shape::SchemaOr(schema, other), Part::Bytes(bytes)) => schema_or(*schema, *other, bytes, depth)?,
        _ => return Err(MALFORMED.to_owned()),
    })
}

fn time(bytes: &[u8]) -> Result<Value> {
    let (mut seconds, mut nanos) = (0, 0);
    for part in parts(bytes) {
        match part? {
            (1, Part::Number(number)) => seconds = number.cast_signed(),
            (2, Part::Number(number)) => nanos = number.cast_signed(),
            _ => {}
        }
    }
    if (seconds, nanos) == (0, 0) {
        return Ok(Value::Null);
    }
    let nanos = i32::try_from(nanos).map_err(|_| MALFORMED)?;
    let time = jiff::Timestamp::new(seconds, nanos).map_err(|_| MALFORMED)?;
    // To the microsecond, which is as fine as any type is.
    Ok(format!("{time:.6}").into())
}

fn int_or_string(bytes: &[u8]) -> Result<Value> {
    let (mut is_text, mut number, mut string) = (false, 0, String::new());
    for part in parts(bytes) {
        match part? {
            (1, Part::Number(kind)) => is_text = kind == 1,
            (2, Part::Number(value)) => number = value.cast_signed(),
            (3, Part::Bytes(bytes)) => string = text(bytes)?,
            _ => {}
        }
    }
    Ok(if is_text { string.into() } else { number.into() })
}

fn schema_or(schema: TypeId, other: Other, bytes: &[u8], depth: usize) -> Result<Value> {
    let mut list = Vec::new();
    for part in parts(bytes) {
        match (part?, other) {
            ((1, Part::Number(0)), Other::Flag) => return Ok(false.into()),
            ((2, part), Other::Flag) => return value(schema.get(), &part, depth),
            ((1, part), Other::Schemas | Other::Strings) => return value(schema.get(), &part, depth),
            ((2, part), Other::Schemas) => list.push(value(schema.get(), &part, depth)?),
            ((2, Part::Bytes(name)), Other::Strings) => list.push(text(name)?.into()),
            _ => {}
        }
    }
    Ok(if other == Other::Flag { true.into() } else { list.into() })
}

fn text(bytes: &[u8]) -> Result<String> {
    String::from_utf8(bytes.to_vec()).map_err(|_| MALFORMED.to_owned())
}

/// The fields of a message.
fn parts(mut bytes: &[u8]) -> impl Iterator<Item = Result<(u32, Part<'_>)>> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let part = next(&mut bytes);
        if part.is_none() {
            bytes = &[];
        }
        Some(part.ok_or_else(|| MALFORMED.to_owned()))
    })
}

fn next<'a>(bytes: &mut &'a [u8]) -> Option<(u32, Part<'a>)> {
    let tag = varint(bytes)?;
    let number = u32::try_from(tag >> 3).ok()?;
    let part = match tag & 7 {
        0 => Part::Number(varint(bytes)?),
        1 => Part::Fixed(u64::from_le_bytes(take(bytes, 8)?.try_into().ok()?)),
        2 => {
            let length = usize::try_from(varint(bytes)?).ok()?;
            Part::Bytes(take(bytes, length)?)
        }
        5 => Part::Fixed(u64::from(u32::from_le_bytes(take(bytes, 4)?.try_into().ok()?))),
        _ => return None,
    };
    Some((number, part))
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = *take(bytes, 1)?.first()?;
        number |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(number: u8, content: &[u8]) -> Vec<u8> {
        let mut field = vec![number << 3 | 2, u8::try_from(content.len()).unwrap()];
        field.extend(content);
        field
    }

    fn body(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
        let meta = [bytes(1, api_version.as_bytes()), bytes(2, kind.as_bytes())].concat();
        [MAGIC.to_vec(), bytes(1, &meta), bytes(2, raw)].concat()
    }

    #[test]
    fn messages_are_read_by_the_numbers_of_their_fields() {
        let port =
            [bytes(1, b"http"), vec![3 << 3, 80], bytes(4, &[bytes(3, b"web"), vec![1 << 3, 1]].concat())].concat();
        let entry = [bytes(1, b"app"), bytes(2, b"x")].concat();
        let service = [bytes(1, &bytes(1, b"a")), bytes(2, &[bytes(1, &port), bytes(2, &entry)].concat())].concat();
        assert_eq!(
            read(&body("v1", "Service", &service)),
            Ok(json!({
                "apiVersion": "v1", "kind": "Service", "metadata": { "name": "a" },
                "spec": { "ports": [{ "name": "http", "port": 80, "targetPort": "web" }], "selector": { "app": "x" } },
            }))
        );
        // The source of a volume is inlined, and so a message of its own.
        let volume = [bytes(1, b"v"), bytes(2, &bytes(2, &bytes(1, b"Memory")))].concat();
        let pod = bytes(2, &bytes(1, &volume));
        let read = read(&body("v1", "Pod", &pod)).unwrap();
        assert_eq!(read["spec"]["volumes"], json!([{ "name": "v", "emptyDir": { "medium": "Memory" } }]));
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for raw in [&[0xff][..], &[0x0a, 0x7f], &[0x0a, 1, 0xff], &[0x0b], &[0x08, 1]] {
            assert!(read(&body("v1", "ConfigMap", raw)).is_err(), "{raw:?}");
        }
        assert!(read(b"k8s\0\xff").is_err());
        assert!(read(&body("v1", "Nothing", &[])).is_err());
    }
}

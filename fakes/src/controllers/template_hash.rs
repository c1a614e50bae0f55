//! The hash by which Kubernetes names a pod template, and with it the template's ReplicaSet.
//!
//! It is taken over the template as Go prints the struct: every field in the order of its type's definition, also those
//! that are not set, and the types of both. `types.txt` holds that layout; `go run ./template-types` in the tests' Go
//! module prints it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::LazyLock;

use serde_json::Value;

use super::revision::safely_encoded;

/// The type that is hashed.
const TEMPLATE: &str = "v1.PodTemplateSpec";
/// More digits than these are kept as a number of any size, whose layout is not known here.
const MOST_DIGITS: usize = 18;

static LAYOUT: LazyLock<Layout> = LazyLock::new(|| Layout::parse(include_str!("template_hash/types.txt")));

/// What a name in `types.txt` stands for.
enum Kind {
    /// A struct's fields.
    Struct(Vec<Field>),
    /// Another type under a name of its own.
    Alias(&'static str),
    /// A type with a form of its own in JSON.
    Special,
}

struct Field {
    name: &'static str,
    /// The name in JSON; none for a struct whose fields stand among those around it.
    json: Option<&'static str>,
    kind: &'static str,
}

struct Layout(BTreeMap<&'static str, Kind>);

/// The hash of a template. The count, when there is one, leads to another hash of the same template.
pub(crate) fn hash(template: &Value, collision_count: Option<i32>) -> String {
    let mut text = format!("({TEMPLATE})");
    LAYOUT.print(&mut text, TEMPLATE, template);
    let mut bytes = text.into_bytes();
    if let Some(count) = collision_count {
        bytes.extend(count.to_le_bytes());
        bytes.extend([0; 4]);
    }
    let sum = bytes.iter().fold(2_166_136_261_u32, |sum, byte| (sum ^ u32::from(*byte)).wrapping_mul(16_777_619));
    safely_encoded(sum)
}

impl Layout {
    fn parse(text: &'static str) -> Self {
        let mut kinds = BTreeMap::new();
        let mut last = None;
        for line in text.lines() {
            let words: Vec<&'static str> = line.split_whitespace().collect();
            match (line.starts_with(' '), &words[..]) {
                (true, &[name, json, kind]) => {
                    let json = (json != ".").then_some(json);
                    if let Some(Kind::Struct(fields)) = last.and_then(|last| kinds.get_mut(last)) {
                        fields.push(Field { name, json, kind });
                    }
                }
                (false, &[name, "struct"]) => {
                    last = Some(name);
                    kinds.insert(name, Kind::Struct(Vec::new()));
                }
                (false, &[name, "special"]) => drop(kinds.insert(name, Kind::Special)),
                (false, &[name, "=", kind]) => drop(kinds.insert(name, Kind::Alias(kind))),
                _ => debug_assert!(false, "{line}"),
            }
        }
        Self(kinds)
    }

    /// Prints a value without its type. Nothing tells an empty list or map from none once a template was stored.
    fn print(&self, out: &mut String, kind: &'static str, value: &Value) {
        if let Some(kind) = kind.strip_prefix('*') {
            if value.is_null() { out.push_str("<nil>") } else { self.print(out, kind, value) }
        } else if let Some(kind) = kind.strip_prefix("[]") {
            match value.as_array().filter(|items| !items.is_empty()) {
                None => out.push_str("<nil>"),
                Some(items) => between(out, ['[', ']'], items, |out, item| self.print(out, kind, item)),
            }
        } else if let Some((_, kind)) = kind.strip_prefix("map[").and_then(|kind| kind.split_once(']')) {
            let Some(entries) = value.as_object().filter(|entries| !entries.is_empty()) else {
                return out.push_str("<nil>");
            };
            let entries: BTreeMap<_, _> = entries.iter().collect();
            out.push_str("map");
            between(out, ['[', ']'], entries, |out, (key, value)| {
                out.extend([key.as_str(), ":"]);
                self.print(out, kind, value);
            });
        } else {
            self.print_named(out, kind, value);
        }
    }

    fn print_named(&self, out: &mut String, kind: &'static str, value: &Value) {
        match (self.0.get(kind), kind) {
            (Some(Kind::Struct(fields)), _) => between(out, ['{', '}'], fields, |out, field| {
                out.extend([field.name, ":(", field.kind, ")"]);
                let value = field.json.map_or(value, |name| &value[name]);
                self.print(out, field.kind, value);
            }),
            (Some(Kind::Alias(kind)), _) => self.print(out, kind, value),
            (Some(Kind::Special), _) => print_special(out, kind, value),
            (None, "string") => out.push_str(value.as_str().unwrap_or_default()),
            (None, "bool") => out.push_str(if value == true { "true" } else { "false" }),
            (None, _) => write_number(out, value.as_i64().unwrap_or_default()),
        }
    }
}

/// Items with blanks between them, in brackets.
fn between<T>(
    out: &mut String,
    brackets: [char; 2],
    items: impl IntoIterator<Item = T>,
    mut print: impl FnMut(&mut String, T),
) {
    out.push(brackets[0]);
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            out.push(' ');
        }
        print(out, item);
    }
    out.push(brackets[1]);
}

fn write_number(out: &mut String, number: i64) {
    let _infallible = write!(out, "{number}");
}

fn print_special(out: &mut String, kind: &str, value: &Value) {
    match kind {
        "intstr.IntOrString" => {
            let (number, text) = (value.as_i64().unwrap_or_default(), value.as_str().unwrap_or_default());
            let kind = i32::from(value.is_string());
            let _infallible = write!(out, "{{Type:(intstr.Type){kind} IntVal:(int32){number} StrVal:(string){text}}}");
        }
        "resource.Quantity" => {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            out.push_str(&quantity(&text));
        }
        // A template's metadata carries neither times nor managed fields.
        "v1.Time" => out.push_str("{Time:(time.Time){wall:(uint64)0 ext:(int64)0 loc:(*time.Location)<nil>}}"),
        _ => out.push_str("{Raw:([]uint8)<nil>}"),
    }
}

/// A quantity in its canonical form, as Go keeps it: a number, its power of ten, and the text where it is kept for later.
fn quantity(text: &str) -> String {
    let digits = text.find(|it: char| !it.is_ascii_digit() && it != '-').unwrap_or(text.len());
    let (number, suffix) = text.split_at(digits);
    let (format, scale, factor) = match suffix {
        "Ki" => ("BinarySI", 0, 1_i64 << 10),
        "Mi" => ("BinarySI", 0, 1 << 20),
        "Gi" => ("BinarySI", 0, 1 << 30),
        "Ti" => ("BinarySI", 0, 1 << 40),
        "Pi" => ("BinarySI", 0, 1 << 50),
        "Ei" => ("BinarySI", 0, 1 << 60),
        _ => match suffix.strip_prefix('e').and_then(|exponent| exponent.parse().ok()) {
            Some(exponent) => ("DecimalExponent", exponent, 1),
            None => ("DecimalSI", power_of_ten(suffix), 1),
        },
    };
    let value = Some(number).filter(|number| number.len() <= MOST_DIGITS).and_then(|number| number.parse().ok());
    let value: i64 = value.unwrap_or_default();
    let kept = match format {
        _ if text == "0" => true,
        "BinarySI" => value & 7 != 0,
        _ => scale % 3 == 0 && !number.ends_with("000") && value != 0,
    };
    let (value, kept) = (value.saturating_mul(factor), if kept { text } else { "" });
    format!(
        "{{i:(resource.int64Amount){{value:(int64){value} scale:(resource.Scale){scale}}} \
         d:(resource.infDecAmount){{Dec:(*inf.Dec)<nil>}} s:(string){kept} Format:(resource.Format){format}}}"
    )
}

fn power_of_ten(suffix: &str) -> i32 {
    match suffix {
        "n" => -9,
        "u" => -6,
        "m" => -3,
        "k" => 3,
        "M" => 6,
        "G" => 9,
        "T" => 12,
        "P" => 15,
        "E" => 18,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Templates as an API server 1.36 serves them, by the hashes that kube-controller-manager gave them.
    #[test]
    fn hashes_equal_recorded_ones() {
        let named: BTreeMap<String, Value> = serde_json::from_str(include_str!("template_hash/named.json")).unwrap();
        for (name, template) in named {
            assert_eq!(hash(&template, None), name, "{template}");
            assert_ne!(hash(&template, Some(0)), name);
        }
    }

    #[test]
    fn quantities_are_printed_as_go_keeps_them() {
        let check = |text: &str, value: i64, scale: i32, kept: &str, format: &str| {
            let amount = format!("{{value:(int64){value} scale:(resource.Scale){scale}}}");
            let expected = format!(
                "{{i:(resource.int64Amount){amount} d:(resource.infDecAmount){{Dec:(*inf.Dec)<nil>}} \
                 s:(string){kept} Format:(resource.Format){format}}}"
            );
            assert_eq!(quantity(text), expected);
        };
        check("0", 0, 0, "0", "DecimalSI");
        check("250m", 250, -3, "250m", "DecimalSI");
        check("2k", 2, 3, "2k", "DecimalSI");
        check("1000", 1000, 0, "", "DecimalSI");
        check("-5", -5, 0, "-5", "DecimalSI");
        check("12e6", 12, 6, "12e6", "DecimalExponent");
        check("8Mi", 8 << 20, 0, "", "BinarySI");
        check("12Mi", 12 << 20, 0, "12Mi", "BinarySI");
        check("513Mi", 513 << 20, 0, "513Mi", "BinarySI");
    }

    #[test]
    fn numbers_or_texts_are_printed_with_their_kind() {
        let print = |value: Value| {
            let mut text = String::new();
            print_special(&mut text, "intstr.IntOrString", &value);
            text
        };
        assert_eq!(print(80.into()), "{Type:(intstr.Type)0 IntVal:(int32)80 StrVal:(string)}");
        assert_eq!(print("http".into()), "{Type:(intstr.Type)1 IntVal:(int32)0 StrVal:(string)http}");
    }
}

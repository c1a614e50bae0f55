//! The functions and operators that expressions may call: a table in `signatures.txt`.

use std::{collections::BTreeMap, sync::LazyLock};

use super::types::Type;

/// One way to call a function.
#[derive(Debug)]
pub(super) struct Signature {
    /// Whether the first argument stands before a dot.
    pub(super) is_member: bool,
    pub(super) arguments: Vec<Type>,
    pub(super) result: Type,
}

/// Prefixes of functions that are no receivers.
const NAMESPACES: [&str; 6] = ["sets", "ip", "format", "optional", "strings", "lists"];

static SIGNATURES: LazyLock<BTreeMap<String, Vec<Signature>>> = LazyLock::new(|| {
    let mut table: BTreeMap<String, Vec<Signature>> = BTreeMap::new();
    for (name, signature) in include_str!("signatures.txt").lines().filter_map(parse) {
        table.entry(name).or_default().push(signature);
    }
    // The table has `<` and `+`; what has the same operands is not written out.
    for name in ["_<=_", "_>_", "_>=_"] {
        let same = include_str!("signatures.txt").lines().filter(|line| line.starts_with("_<_"));
        table.insert(name.to_owned(), same.filter_map(parse).map(|(_, signature)| signature).collect());
    }
    table
});

/// The ways to call a function; none if there is no such function.
pub(super) fn of(name: &str) -> Option<&'static [Signature]> {
    SIGNATURES.get(name).map(Vec::as_slice)
}

/// `receiver.name(argument, argument) result`.
fn parse(line: &str) -> Option<(String, Signature)> {
    let (head, rest) = line.split_once('(')?;
    let (arguments, result) = rest.rsplit_once(") ")?;
    let arguments = || split(arguments).into_iter().filter_map(term);
    let result = term(result)?;
    match head.rsplit_once('.').filter(|(receiver, _)| !NAMESPACES.contains(receiver)) {
        Some((receiver, name)) => {
            let arguments = std::iter::once(term(receiver)?).chain(arguments()).collect();
            Some((name.to_owned(), Signature { is_member: true, arguments, result }))
        }
        None => Some((head.to_owned(), Signature { is_member: false, arguments: arguments().collect(), result })),
    }
}

/// `name`, `name<term, term>`, or a capital letter for a parameter.
fn term(text: &str) -> Option<Type> {
    let text = text.trim();
    let Some((name, rest)) = text.split_once('<') else {
        let mut chars = text.chars();
        return match (text, chars.next(), chars.next()) {
            ("", ..) => None,
            ("dyn", ..) => Some(Type::Dyn),
            ("type", ..) => Some(Type::Metatype),
            (_, Some(letter), None) if letter.is_ascii_uppercase() => Some(Type::Parameter(letter)),
            _ => Some(Type::named(text)),
        };
    };
    let mut inner = split(rest.strip_suffix('>')?).into_iter().map(term);
    let first = inner.next()??;
    Some(match name {
        "list" => Type::list(first),
        "map" => Type::map(first, inner.next()??),
        _ => Type::optional(first),
    })
}

/// Splits at the commas that are not inside of angle brackets.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0_usize, 0);
    for (i, c) in text.char_indices() {
        match c {
            '<' => depth += 1,
            '>' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(&text[start..i]);
                start = i + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_table_is_read() {
        for line in include_str!("signatures.txt").lines() {
            let (name, signature) = parse(line).unwrap_or_else(|| panic!("`{line}` is no signature"));
            assert!(line.contains(&format!("{name}(")), "{line}");
            let written = line.matches(['(', ',']).count()
                - line.matches("()").count()
                - line.matches("<A, B>").count()
                - line.matches("map<string, list").count();
            assert_eq!(signature.arguments.len(), written + usize::from(signature.is_member), "{line}");
        }
    }

    #[test]
    fn terms() {
        assert_eq!(term("optional<map<A, list<int>>>").unwrap().to_string(), "optional_type(map(A, list(int)))");
    }
}

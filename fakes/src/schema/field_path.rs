//! Paths from a schema to a part of it, as `fieldPath` and `selectableFields` write them.

use std::fmt::Write as _;

use super::{Additional, Schema};

/// The path as causes write it, and the schema it leads to.
///
/// Steps are `.name` and, where allowed, `['name']`.
pub(crate) fn resolve<'a>(path: &str, schema: &'a Schema, with_brackets: bool) -> Result<(String, &'a Schema), String> {
    let mut resolved = String::new();
    let mut schema = schema;
    let mut tokens = Tokens { rest: path };
    while let Some(token) = tokens.next() {
        let name = match token {
            "[" if !with_brackets => return Err("array notation is not allowed".to_owned()),
            "[" => quoted(tokens.next().ok_or("unexpected end of JSON path")?)?,
            "." => tokens.next().ok_or("unexpected end of JSON path")?.to_owned(),
            other => return Err(format!("expected [ or . but got: {other}")),
        };
        if !schema.properties.is_empty() {
            let dot = if resolved.is_empty() { "" } else { "." };
            let _ = write!(resolved, "{dot}{name}");
            schema = schema.properties.get(&name).ok_or("does not refer to a valid field")?;
        } else if let Some(Additional::Schema(values)) = &schema.additional {
            let _ = write!(resolved, "[{name}]");
            schema = values;
        } else {
            return Err("does not refer to a valid field".to_owned());
        }
        if token == "[" {
            match tokens.next().ok_or("unexpected end of JSON path")? {
                "]" => {}
                other => return Err(format!("expected ] but got {other}")),
            }
        }
    }
    Ok((resolved, schema))
}

/// `.`, `[`, `]`, and what stands between them; quotes keep those inside.
struct Tokens<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Tokens<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        if self.rest.is_empty() {
            return None;
        }
        let end = if self.rest.starts_with('\'') {
            let mut escaped = false;
            let end = self.rest.char_indices().skip(1).find(|(_, c)| {
                let ends = *c == '\'' && !escaped;
                escaped = *c == '\\';
                ends
            });
            end.map_or(self.rest.len(), |(i, _)| i + 1)
        } else {
            match self.rest.find(['.', '[', ']']) {
                Some(0) => 1,
                Some(end) => end,
                None => self.rest.len(),
            }
        };
        let (token, rest) = self.rest.split_at(end);
        self.rest = rest;
        Some(token)
    }
}

/// The text inside of single quotes, with its escapes resolved.
fn quoted(token: &str) -> Result<String, String> {
    let inner = token.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
    let inner = inner.ok_or_else(|| format!("expected single quoted string but got {token}"))?;
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        out.push(match chars.next() {
            Some('a') => '\u{7}',
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('v') => '\u{b}',
            Some(same @ ('\'' | '\\')) => same,
            other => return Err(format!("invalid string literal: invalid escape char \\{}", other.unwrap_or(' '))),
        });
    }
    Ok(out)
}

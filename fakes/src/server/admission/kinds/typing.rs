//! What can be told of an expression's types without checking all of them: names that nobody declared, and results that
//! are surely of another type than the one that is wanted.

use kube_cel::cel::{
    common::ast::{CallExpr, Expr, IdedExpr, operators},
    parser::Expression,
};

use crate::cel::{TYPES, children, type_of_literal};

/// Names that stand before the functions of a library, and types that no value is of.
const KNOWN: [&str; 13] = [
    "type",
    "dyn",
    "google",
    "optional",
    "sets",
    "math",
    "format",
    "jsonpatch",
    "ip",
    "cidr",
    "base64",
    "strings",
    "lists",
];
const GIVES_BOOL: [&str; 10] = [
    operators::LOGICAL_AND,
    operators::LOGICAL_OR,
    operators::LOGICAL_NOT,
    operators::EQUALS,
    operators::NOT_EQUALS,
    operators::LESS,
    operators::LESS_EQUALS,
    operators::GREATER,
    operators::GREATER_EQUALS,
    operators::IN,
];
const GIVES_BOOL_ON_TEXT: [&str; 4] = ["startsWith", "endsWith", "matches", "allowed"];

/// What an expression may name, and what it has to come to.
#[derive(Clone, Copy)]
pub(super) struct Frame<'a> {
    pub(super) names: &'a [&'a str],
    /// The composed variables, where there are any.
    pub(super) variables: Option<&'a [&'a str]>,
    /// The type of the result; nothing where any will do.
    pub(super) wanted: &'a str,
}

/// What is wrong with an expression that parses.
pub(super) fn mistake(source: &str, expression: &Expression, frame: &Frame<'_>) -> Option<String> {
    if let Some(told) = undeclared(source, expression, frame, &mut Vec::new()) {
        return Some(format!("compilation failed: {told}"));
    }
    let found = output(expression)?;
    let fits = frame.wanted.is_empty() || found == frame.wanted;
    (!fits).then(|| format!("must evaluate to {} but got {found}", frame.wanted))
}

fn undeclared<'e>(source: &str, node: &'e IdedExpr, frame: &Frame<'_>, bound: &mut Vec<&'e str>) -> Option<String> {
    match &node.expr {
        Expr::Ident(name) if name == "variables" && frame.variables.is_some() => None,
        Expr::Ident(name) => {
            let known =
                name.starts_with('@') || [&TYPES[..], &KNOWN[..], frame.names, bound].concat().contains(&name.as_str());
            let why = format!("undeclared reference to '{name}' (in container '')");
            (!known).then(|| placed(source, position(source, name), &why))
        }
        Expr::Select(select) if matches!(&select.operand.expr, Expr::Ident(name) if name == "variables") => {
            let variables = frame.variables.unwrap_or_default();
            if frame.variables.is_none() || variables.contains(&select.field.as_str()) {
                return undeclared(source, &select.operand, frame, bound);
            }
            let at = source.find(&format!("variables.{}", select.field)).map_or(0, |at| at + "variables".len());
            Some(placed(source, at, &format!("undefined field '{}'", select.field)))
        }
        Expr::Comprehension(it) => {
            let outside = [&it.iter_range, &it.accu_init];
            if let Some(told) = outside.into_iter().find_map(|part| undeclared(source, part, frame, bound)) {
                return Some(told);
            }
            let before = bound.len();
            bound.extend([it.iter_var.as_str(), it.accu_var.as_str()]);
            bound.extend(it.iter_var2.as_deref());
            let inside = [&it.loop_cond, &it.loop_step, &it.result];
            let told = inside.into_iter().find_map(|part| undeclared(source, part, frame, bound));
            bound.truncate(before);
            told
        }
        _ => children(node).into_iter().find_map(|child| undeclared(source, child, frame, bound)),
    }
}

/// Where a name first stands by itself.
fn position(source: &str, name: &str) -> usize {
    let part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let alone = |at: &usize| {
        let before = source.get(..*at).and_then(|before| before.chars().next_back());
        let after = source.get(at + name.len()..).and_then(|after| after.chars().next());
        !part(before) && before != Some('.') && !part(after)
    };
    source.match_indices(name).map(|(at, _)| at).find(alone).unwrap_or_default()
}

/// A message with its line and column, and the line it is about.
fn placed(source: &str, at: usize, why: &str) -> String {
    let before = source.get(..at).unwrap_or_default();
    let line = before.matches('\n').count();
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count();
    let text = source.split('\n').nth(line).unwrap_or_default();
    format!("ERROR: <input>:{}:{}: {why}\n | {text}\n | {}^", line + 1, column + 1, ".".repeat(column))
}

/// The type of a result, where it is sure.
fn output(node: &IdedExpr) -> Option<&'static str> {
    match &node.expr {
        Expr::Literal(literal) => Some(type_of_literal(literal)),
        Expr::Ident(name) => ["object", "oldObject", "params"].contains(&name.as_str()).then_some("dyn"),
        Expr::Select(select) if select.test => Some("bool"),
        Expr::Select(select) => output(&select.operand).filter(|of| *of == "dyn"),
        Expr::Call(call) => output_of_call(call),
        _ => None,
    }
}

fn output_of_call(call: &CallExpr) -> Option<&'static str> {
    let name = call.func_name.as_str();
    let args: Vec<Option<&str>> = call.args.iter().map(output).collect();
    match (name, args.as_slice()) {
        (operators::INDEX, [of, _]) => of.filter(|of| *of == "dyn").map(|_| "dyn"),
        (operators::CONDITIONAL, [_, Some(left), Some(right)]) if left == right => output(call.args.get(1)?),
        (operators::ADD, [Some("dyn"), Some(known)] | [Some(known), Some("dyn")]) if *known != "dyn" => {
            call.args.iter().find_map(|arg| output(arg).filter(|it| *it != "dyn"))
        }
        (operators::ADD, [Some(left), Some(right)]) if left == right => output(call.args.first()?),
        ("size", _) => Some("int"),
        (name, _) if GIVES_BOOL.contains(&name) => Some("bool"),
        (name, _) if GIVES_BOOL_ON_TEXT.contains(&name) && call.target.is_some() => Some("bool"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(source: &str, wanted: &str) -> Option<String> {
        let frame = Frame { names: &["object", "request"], variables: Some(&["a"]), wanted };
        mistake(source, &crate::cel::parse(source).unwrap(), &frame)
    }

    #[test]
    fn names_that_nobody_declared_are_told_with_their_place() {
        let told = |what: &str, source: &str, column: usize| {
            let dots = ".".repeat(column - 1);
            format!("compilation failed: ERROR: <input>:1:{column}: {what}\n | {source}\n | {dots}^")
        };
        let unknown = |name: &str| format!("undeclared reference to '{name}' (in container '')");
        for (source, what, column) in [
            ("foo > 1", unknown("foo"), 1),
            ("[1, 2].all(x, y > x)", unknown("y"), 15),
            ("params.a == 1", unknown("params"), 1),
            ("variables.b == 1", "undefined field 'b'".to_owned(), 10),
        ] {
            assert_eq!(check(source, "bool"), Some(told(&what, source, column)), "{source}");
        }
        for source in [
            "object.a == variables.a",
            "[1].exists(x, x > 0)",
            "optional.of(1).optMap(v, v).hasValue()",
            "math.greatest(1, 2) > 1",
            "type(object) == string",
            "{'a': 1}.all(k, k == 'a')",
        ] {
            assert_eq!(check(source, "bool"), None, "{source}");
        }
    }

    #[test]
    fn results_that_are_surely_of_another_type_are_told() {
        for (source, wanted, found) in [
            ("object.a", "bool", "dyn"),
            ("1", "bool", "int"),
            ("object.a + 1", "bool", "int"),
            ("object.a", "string", "dyn"),
            ("size(object.a)", "string", "int"),
            ("true ? 'a' : 'b'", "bool", "string"),
        ] {
            assert_eq!(check(source, wanted), Some(format!("must evaluate to {wanted} but got {found}")), "{source}");
        }
        for source in ["!object", "has(object.a)", "variables.a", "object.a.startsWith('x')", "object.a == 1"] {
            assert_eq!(check(source, "bool"), None, "{source}");
        }
    }
}

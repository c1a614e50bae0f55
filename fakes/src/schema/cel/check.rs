//! Checks the types of an expression before anybody evaluates it.
//!
//! What the checker cannot tell is taken to be right: a rule that is refused is refused by kube-apiserver, too.

use std::collections::BTreeMap;

use kube_cel::cel::{
    common::ast::{
        CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedEntryExpr, IdedExpr, LiteralValue, SelectExpr, operators,
    },
    parser::Expression,
};

use super::{signatures, types::Type};
use crate::{cel::type_of_literal, schema::pattern};

/// Names of types, as expressions may write them.
const TYPE_NAMES: [&str; 12] =
    ["bool", "bytes", "double", "dyn", "int", "list", "map", "null_type", "string", "type", "uint", "optional_type"];
/// Macros that the parser leaves as calls.
const UNKNOWN_MACROS: [&str; 5] = ["optMap", "optFlatMap", "transformList", "transformMap", "transformMapEntry"];

/// The type of an expression over variables, or what is wrong with it.
pub(super) fn check(expression: &Expression, variables: &[(&str, Type)]) -> Result<Type, String> {
    let scope = variables.iter().map(|(name, kind)| ((*name).to_owned(), kind.clone())).collect();
    Checker { scope }.type_of(expression)
}

struct Checker {
    scope: Vec<(String, Type)>,
}

impl Checker {
    fn type_of(&mut self, expression: &IdedExpr) -> Result<Type, String> {
        match &expression.expr {
            Expr::Literal(literal) => Ok(literal_type(literal)),
            Expr::Ident(name) => self.ident(name),
            Expr::Select(select) => self.select(select),
            Expr::Call(call) => self.call(call),
            Expr::List(list) => {
                let items = list.elements.iter().map(|item| self.type_of(item)).collect::<Result<Vec<_>, _>>()?;
                Ok(Type::list(if list.optional_indices.is_empty() { common(items)? } else { Type::Dyn }))
            }
            Expr::Map(map) => self.map(&map.entries),
            Expr::Comprehension(comprehension) => self.comprehension(comprehension),
            Expr::Struct(object) => Err(format!("undeclared reference to '{}' (in container '')", object.type_name)),
            Expr::Unspecified => Ok(Type::Dyn),
        }
    }

    fn find(&self, name: &str) -> Option<&Type> {
        self.scope.iter().rev().find(|(known, _)| known == name).map(|(_, kind)| kind)
    }

    fn ident(&self, name: &str) -> Result<Type, String> {
        match self.find(name) {
            Some(kind) => Ok(kind.clone()),
            None if TYPE_NAMES.contains(&name) => Ok(Type::Metatype),
            None => Err(format!("undeclared reference to '{name}' (in container '')")),
        }
    }

    fn select(&mut self, select: &SelectExpr) -> Result<Type, String> {
        if let Some("google.protobuf" | "kubernetes" | "net") = path(&select.operand).as_deref()
            && self.find("google").is_none()
        {
            return Ok(Type::Metatype);
        }
        let kind = field(&self.type_of(&select.operand)?, &select.field)?;
        Ok(if select.test { Type::named("bool") } else { kind })
    }

    fn map(&mut self, entries: &[IdedEntryExpr]) -> Result<Type, String> {
        let (mut keys, mut values) = (Vec::new(), Vec::new());
        for entry in entries {
            let EntryExpr::MapEntry(entry) = &entry.expr else { continue };
            keys.push(self.type_of(&entry.key)?);
            values.push(if entry.optional { Type::Dyn } else { self.type_of(&entry.value)? });
        }
        Ok(Type::map(common(keys)?, common(values)?))
    }

    fn call(&mut self, call: &CallExpr) -> Result<Type, String> {
        let name = call.func_name.as_str();
        if let (operators::OPT_SELECT, [operand, name]) = (name, call.args.as_slice()) {
            let Expr::Literal(LiteralValue::String(name)) = &name.expr else { return Ok(Type::Dyn) };
            let kind = field(&self.type_of(operand)?, name.inner())?;
            return Ok(if matches!(kind, Type::Optional(_)) { kind } else { Type::optional(kind) });
        }
        if UNKNOWN_MACROS.contains(&name) || (call.args.len() > 2 && ["all", "exists", "existsOne"].contains(&name)) {
            return Ok(Type::Dyn);
        }
        check_literals(call)?;
        let prefix = call.target.as_deref().and_then(path).filter(|prefix| self.find(prefix).is_none());
        let qualified = prefix.map(|prefix| format!("{prefix}.{name}"));
        let found = qualified.as_deref().and_then(|qualified| Some((qualified, signatures::of(qualified)?)));
        let (name, known, target) = if let Some((qualified, known)) = found {
            (qualified, known, None)
        } else {
            let undeclared = || format!("undeclared reference to '{name}' (in container '')");
            (name, signatures::of(name).ok_or_else(undeclared)?, call.target.as_deref())
        };
        let arguments = target.into_iter().chain(&call.args);
        let arguments = arguments.map(|argument| self.type_of(argument)).collect::<Result<Vec<_>, _>>()?;
        overload(known, target.is_some(), &arguments).ok_or_else(|| {
            format!("found no matching overload for '{name}' applied to '{}'", told(&arguments, target.is_some()))
        })
    }

    fn comprehension(&mut self, comprehension: &ComprehensionExpr) -> Result<Type, String> {
        let item = match self.type_of(&comprehension.iter_range)? {
            Type::List(items) => Type::clone(&items),
            Type::Map(keys, _) => Type::clone(&keys),
            Type::Dyn | Type::Parameter(_) => Type::Dyn,
            other => {
                return Err(format!(
                    "expression of type '{other}' cannot be range of a comprehension (must be list, map, or dynamic)"
                ));
            }
        };
        let depth = self.scope.len();
        self.scope.push((comprehension.iter_var.clone(), item));
        let result = self.fold(comprehension);
        self.scope.truncate(depth);
        result
    }

    fn fold(&mut self, comprehension: &ComprehensionExpr) -> Result<Type, String> {
        let mut accumulated = self.type_of(&comprehension.accu_init)?;
        if accumulated == Type::list(Type::Dyn)
            && let Some(item) = appended(&comprehension.loop_step)
        {
            accumulated = self.type_of(item)?;
        }
        self.scope.push((comprehension.accu_var.clone(), accumulated));
        self.type_of(&comprehension.loop_cond)?;
        self.type_of(&comprehension.loop_step)?;
        self.type_of(&comprehension.result)
    }
}

/// The list that a step of `map` or `filter` appends.
fn appended(step: &IdedExpr) -> Option<&IdedExpr> {
    let Expr::Call(call) = &step.expr else { return None };
    match (call.func_name.as_str(), call.args.as_slice()) {
        (operators::ADD, [_, item]) => Some(item),
        (operators::CONDITIONAL, [_, step, _]) => appended(step),
        _ => None,
    }
}

fn literal_type(literal: &LiteralValue) -> Type {
    Type::named(type_of_literal(literal))
}

/// `a.b.c` as a text.
fn path(expression: &IdedExpr) -> Option<String> {
    match &expression.expr {
        Expr::Ident(name) => Some(name.clone()),
        Expr::Select(select) if !select.test => Some(format!("{}.{}", path(&select.operand)?, select.field)),
        _ => None,
    }
}

fn field(object: &Type, name: &str) -> Result<Type, String> {
    match object {
        Type::Dyn | Type::Parameter(_) => Ok(Type::Dyn),
        Type::Map(_, value) => Ok(Type::clone(value)),
        Type::Optional(of) => field(of, name).map(Type::optional),
        Type::Object(fields) => fields.get(name).cloned().ok_or_else(|| format!("undefined field '{name}'")),
        other => Err(format!("type '{other}' does not support field selection")),
    }
}

/// The type that the items of a literal have in common.
fn common(types: Vec<Type>) -> Result<Type, String> {
    let mut types = types.into_iter();
    let Some(first) = types.next() else { return Ok(Type::Dyn) };
    for other in types {
        if !fits(&first, &other, &mut BTreeMap::new()) {
            return Err(format!("expected type '{first}' but found '{other}'"));
        }
    }
    Ok(first)
}

/// Patterns that are written out have to be some.
fn check_literals(call: &CallExpr) -> Result<(), String> {
    let ("matches", [.., written]) = (call.func_name.as_str(), call.args.as_slice()) else { return Ok(()) };
    match &written.expr {
        Expr::Literal(LiteralValue::String(text)) if pattern::compile(text.inner()).is_err() => {
            Err("invalid matches argument".to_owned())
        }
        _ => Ok(()),
    }
}

fn told(arguments: &[Type], has_target: bool) -> String {
    let mut texts = arguments.iter().map(ToString::to_string);
    let target = if has_target { texts.next().map(|target| format!("{target}.")) } else { None };
    format!("{}({})", target.unwrap_or_default(), texts.collect::<Vec<_>>().join(", "))
}

/// The result of a call; none if no way to call the function fits.
fn overload(known: &[signatures::Signature], is_member: bool, arguments: &[Type]) -> Option<Type> {
    let mut results: Vec<Type> = Vec::new();
    for signature in known {
        if signature.is_member != is_member || signature.arguments.len() != arguments.len() {
            continue;
        }
        let mut bound = BTreeMap::new();
        let mut pairs = signature.arguments.iter().zip(arguments);
        if pairs.all(|(wanted, given)| fits(wanted, given, &mut bound)) {
            let result = resolve(&signature.result, &bound);
            if !results.contains(&result) {
                results.push(result);
            }
        }
    }
    if results.len() > 1 { Some(Type::Dyn) } else { results.pop() }
}

/// Whether a value of the given type may stand where one of the wanted type does.
fn fits(wanted: &Type, given: &Type, bound: &mut BTreeMap<char, Type>) -> bool {
    match (wanted, given) {
        (Type::Parameter(name), _) => match bound.get(name).cloned() {
            None | Some(Type::Dyn) => {
                bound.insert(*name, given.clone());
                true
            }
            Some(known) => fits(&known, given, bound) || fits(given, &known, bound),
        },
        (Type::Dyn, _) | (_, Type::Dyn | Type::Parameter(_)) => true,
        (Type::Named(wanted), Type::Named(given)) => {
            let nullable = |name: &str| name.contains('.');
            wanted == given
                || (**wanted == *"number" && ["int", "uint", "double"].contains(&&**given))
                || (**given == *"null_type" && nullable(wanted))
        }
        (Type::Object(_) | Type::Optional(_), given) if given.is("null_type") => true,
        (Type::List(wanted), Type::List(given)) | (Type::Optional(wanted), Type::Optional(given)) => {
            fits(wanted, given, bound)
        }
        (Type::Map(key, value), Type::Map(given_key, given_value)) => {
            fits(key, given_key, bound) && fits(value, given_value, bound)
        }
        (wanted, given) => wanted == given,
    }
}

fn resolve(result: &Type, bound: &BTreeMap<char, Type>) -> Type {
    match result {
        Type::Parameter(name) => bound.get(name).cloned().unwrap_or(Type::Dyn),
        Type::List(items) => Type::list(resolve(items, bound)),
        Type::Map(key, value) => Type::map(resolve(key, bound), resolve(value, bound)),
        Type::Optional(of) => Type::optional(resolve(of, bound)),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::schema::{Schema, cel::program::Program};

    fn found(rule: &str) -> String {
        let schema = json!({"type": "object", "properties": {
            "n": {"type": "integer"}, "s": {"type": "string"}, "l": {"type": "array", "items": {"type": "integer"}},
            "m": {"type": "object", "additionalProperties": {"type": "string"}}, "t": {"type": "string", "format": "date-time"},
            "x": {"x-kubernetes-int-or-string": true}, "o": {"type": "object", "properties": {"a": {"type": "string"}}},
        }});
        let kind = Type::of(&Schema::parse(&schema, "schema").unwrap(), true).unwrap();
        let program = Program::read(rule).unwrap();
        match check(program.expression(), &[("self", kind.clone()), ("oldSelf", kind)]) {
            Ok(kind) => kind.to_string(),
            Err(error) => error,
        }
    }

    #[test]
    fn types_are_told_and_misfits_refused() {
        for (rule, expected) in [
            ("self.n > 1 && self.n < 1.5", "bool"),
            ("self.l.map(i, i * 2)", "list(int)"),
            ("self.l.filter(i, i > 2)", "list(int)"),
            ("self.m.all(k, self.m[k].startsWith(k))", "bool"),
            ("self.t - timestamp('2020-01-01T00:00:00Z')", "google.protobuf.Duration"),
            ("self.x == 1 || self.x == 'a'", "bool"),
            ("has(self.o.a) ? self.o.a : 'b'", "string"),
            ("self.?o.?a.orValue('b')", "string"),
            ("quantity('1').add(1).isGreaterThan(quantity('2'))", "bool"),
            ("sets.contains(self.l, [1])", "bool"),
            ("type(self.x) == int", "bool"),
            ("self.metadata.name", "string"),
            ("self.none", "undefined field 'none'"),
            ("self.o.b", "undefined field 'b'"),
            ("self.n.a", "type 'int' does not support field selection"),
            ("self.n == 'a'", "found no matching overload for '_==_' applied to '(int, string)'"),
            ("self.n.startsWith('a')", "found no matching overload for 'startsWith' applied to 'int.(string)'"),
            ("self.l.exists(i, i.matches('a'))", "found no matching overload for 'matches' applied to 'int.(string)'"),
            (
                "self.n.all(i, true)",
                "expression of type 'int' cannot be range of a comprehension (must be list, map, or dynamic)",
            ),
            ("[1, 'a']", "expected type 'int' but found 'string'"),
            ("self.s.matches('(')", "invalid matches argument"),
            ("nothing(1)", "undeclared reference to 'nothing' (in container '')"),
            ("other", "undeclared reference to 'other' (in container '')"),
        ] {
            assert_eq!(found(rule), expected, "{rule}");
        }
    }
}

//! CEL expressions, read and brought into the form the crate's interpreter carries.
//!
//! The parser knows more than the interpreter: a typed literal such as `Object{}` parses and then cannot be evaluated, and
//! optional field selection stumbles over an absent field. Both have an equal in what can be evaluated, so the tree is
//! rewritten once, when an expression is compiled.

use std::{collections::BTreeMap, collections::HashMap, sync::Arc};

use kube_cel::cel::{
    Context, ExecutionError, ResolveResult, Value,
    common::ast::{
        CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedEntryExpr, IdedExpr, ListExpr, LiteralValue, MapEntryExpr,
        MapExpr, operators,
    },
    extractors::Arguments,
    objects::{Key, Map},
    parser::{Expression, Parser},
};
use serde_json::Value as Json;

/// The entry of a map that says which type of literal it was written as. No field of an object can have this name.
pub(crate) const TYPE_OF_LITERAL: &str = "\u{0}type";

/// Fails as a field does that is not there.
const NO_SUCH_KEY: &str = "@no_such_key";

/// Words that nothing may be called by: the literals, `in`, and what later versions of CEL may need.
pub(crate) const RESERVED: [&str; 21] = [
    "true",
    "false",
    "null",
    "in",
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];

/// The names of types, as `type(x) == string` compares them.
pub(crate) const TYPES: [&str; 11] = [
    "int",
    "uint",
    "double",
    "bool",
    "string",
    "bytes",
    "list",
    "map",
    "null_type",
    "google.protobuf.Timestamp",
    "google.protobuf.Duration",
];

/// The name of the type of a literal.
pub(crate) fn type_of_literal(literal: &LiteralValue) -> &'static str {
    match literal {
        LiteralValue::Boolean(_) => "bool",
        LiteralValue::Bytes(_) => "bytes",
        LiteralValue::Double(_) => "double",
        LiteralValue::Int(_) => "int",
        LiteralValue::Null => "null_type",
        LiteralValue::String(_) => "string",
        LiteralValue::UInt(_) => "uint",
    }
}

/// Reads an expression. What is wrong with it is told as kube-apiserver tells it.
pub(crate) fn parse(source: &str) -> Result<Expression, String> {
    let parsed = Parser::new().enable_optional_syntax(true).parse(source);
    let mut expression = parsed.map_err(|errors| errors.to_string().replace("\n| ", "\n | "))?;
    rewrite(&mut expression);
    Ok(expression)
}

/// Walks over a tree and changes every node, the leaves first.
pub(crate) fn visit(node: &mut IdedExpr, change: &mut impl FnMut(&mut Expr)) {
    match &mut node.expr {
        Expr::Call(call) => {
            for child in call.target.iter_mut().map(|target| &mut **target).chain(&mut call.args) {
                visit(child, change);
            }
        }
        Expr::Comprehension(it) => {
            let parts = [&mut it.iter_range, &mut it.accu_init, &mut it.loop_cond, &mut it.loop_step, &mut it.result];
            for child in parts {
                visit(child, change);
            }
        }
        Expr::List(list) => list.elements.iter_mut().for_each(|child| visit(child, change)),
        Expr::Map(map) => visit_entries(&mut map.entries, change),
        Expr::Struct(literal) => visit_entries(&mut literal.entries, change),
        Expr::Select(select) => visit(&mut select.operand, change),
        Expr::Ident(_) | Expr::Literal(_) | Expr::Unspecified => {}
    }
    change(&mut node.expr);
}

/// The nodes right below one.
pub(crate) fn children(node: &IdedExpr) -> Vec<&IdedExpr> {
    match &node.expr {
        Expr::Call(call) => call.target.iter().map(|target| &**target).chain(&call.args).collect(),
        Expr::Comprehension(it) => {
            vec![&it.iter_range, &it.accu_init, &it.loop_cond, &it.loop_step, &it.result]
        }
        Expr::List(list) => list.elements.iter().collect(),
        Expr::Map(map) => map.entries.iter().flat_map(values).collect(),
        Expr::Struct(literal) => literal.entries.iter().flat_map(values).collect(),
        Expr::Select(select) => vec![&select.operand],
        Expr::Ident(_) | Expr::Literal(_) | Expr::Unspecified => Vec::new(),
    }
}

fn values(entry: &IdedEntryExpr) -> Vec<&IdedExpr> {
    match &entry.expr {
        EntryExpr::StructField(field) => vec![&field.value],
        EntryExpr::MapEntry(entry) => vec![&entry.key, &entry.value],
    }
}

fn visit_entries(entries: &mut [IdedEntryExpr], change: &mut impl FnMut(&mut Expr)) {
    for entry in entries {
        match &mut entry.expr {
            EntryExpr::StructField(field) => visit(&mut field.value, change),
            EntryExpr::MapEntry(entry) => {
                visit(&mut entry.key, change);
                visit(&mut entry.value, change);
            }
        }
    }
}

fn rewrite(expression: &mut IdedExpr) {
    visit(expression, &mut |expr| {
        *expr = match std::mem::take(expr) {
            Expr::Struct(literal) => {
                let of_type = entry(TYPE_OF_LITERAL, string(&literal.type_name), false);
                let fields = literal.entries.into_iter().filter_map(|it| match it.expr {
                    EntryExpr::StructField(field) => Some(entry(&field.field, field.value, field.optional)),
                    EntryExpr::MapEntry(_) => None,
                });
                Expr::Map(MapExpr { entries: std::iter::once(of_type).chain(fields).collect() })
            }
            Expr::Call(call) => rewrite_call(call),
            Expr::Unspecified => Expr::Literal(LiteralValue::Null),
            other => other,
        }
    });
}

fn rewrite_call(mut call: CallExpr) -> Expr {
    if call.func_name == operators::OPT_SELECT {
        operators::OPT_INDEX.clone_into(&mut call.func_name);
    }
    if call.func_name == "string" && call.target.is_none() {
        return string_of(call);
    }
    let flat = match (call.func_name.as_str(), call.args.len()) {
        ("optMap", 2) => false,
        ("optFlatMap", 2) => true,
        _ => return Expr::Call(call),
    };
    let (Some(target), Some(body), Some(Expr::Ident(variable))) =
        (call.target.take(), call.args.pop(), call.args.pop().map(|it| it.expr))
    else {
        return Expr::Literal(LiteralValue::Null);
    };
    // x.optMap(v, f(v)) is x.hasValue() ? optional.of(f(x.value())) : optional.none()
    let optional = |name: &str, args| call_of(Some(node(Expr::Ident("optional".to_owned()))), name, args);
    let bound = node(Expr::Comprehension(Box::new(ComprehensionExpr {
        iter_range: node(Expr::List(ListExpr::default())),
        iter_var: "@unused".to_owned(),
        iter_var2: None,
        accu_var: variable,
        accu_init: call_of(Some((*target).clone()), "value", Vec::new()),
        loop_cond: node(Expr::Literal(LiteralValue::Boolean(false.into()))),
        loop_step: node(Expr::Literal(LiteralValue::Null)),
        result: body,
    })));
    let some = if flat { bound } else { optional("of", vec![bound]) };
    let has_value = call_of(Some(*target), "hasValue", Vec::new());
    call_of(None, operators::CONDITIONAL, vec![has_value, some, optional("none", Vec::new())]).expr
}

/// `string(x)`, of booleans too.
fn string_of(call: CallExpr) -> Expr {
    let Some(argument) = call.args.first().cloned() else { return Expr::Call(call) };
    let is = |flag: bool| {
        let flag = node(Expr::Literal(LiteralValue::Boolean(flag.into())));
        call_of(None, operators::EQUALS, vec![argument.clone(), flag])
    };
    let or_else = |flag: bool, other: IdedExpr| {
        call_of(None, operators::CONDITIONAL, vec![is(flag), string(if flag { "true" } else { "false" }), other])
    };
    or_else(true, or_else(false, node(Expr::Call(call)))).expr
}

/// A field of a variable that may be null: of null there is no field, where the interpreter makes one up.
pub(crate) fn unless_null(select: Expr) -> Expr {
    let Expr::Select(of) = &select else { return select };
    let null = node(Expr::Literal(LiteralValue::Null));
    let is_null = call_of(None, operators::EQUALS, vec![(*of.operand).clone(), null]);
    let missing = call_of(None, NO_SUCH_KEY, vec![string(&of.field)]);
    call_of(None, operators::CONDITIONAL, vec![is_null, missing, node(select)]).expr
}

/// Adds the functions that rewritten expressions call.
pub(crate) fn add_functions(context: &mut Context<'static>) {
    context.add_function(NO_SUCH_KEY, |Arguments(arguments): Arguments| -> ResolveResult {
        match arguments.first() {
            Some(Value::String(key)) => Err(ExecutionError::NoSuchKey(key.clone())),
            _ => Err(ExecutionError::NoSuchOverload),
        }
    });
}

fn node(expr: Expr) -> IdedExpr {
    IdedExpr { id: 0, expr }
}

fn string(text: &str) -> IdedExpr {
    node(Expr::Literal(LiteralValue::String(text.into())))
}

fn call_of(target: Option<IdedExpr>, name: &str, args: Vec<IdedExpr>) -> IdedExpr {
    node(Expr::Call(CallExpr { func_name: name.to_owned(), target: target.map(Box::new), args }))
}

fn entry(key: &str, value: IdedExpr, optional: bool) -> IdedEntryExpr {
    IdedEntryExpr { id: 0, expr: EntryExpr::MapEntry(MapEntryExpr { key: string(key), value, optional }) }
}

/// A value as an expression without a schema sees it.
pub(crate) fn from_json(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(flag) => Value::Bool(*flag),
        Json::Number(number) => match number.as_i64() {
            Some(integer) => Value::Int(integer),
            None => Value::Float(number.as_f64().unwrap_or_default()),
        },
        Json::String(text) => Value::String(Arc::new(text.clone())),
        Json::Array(items) => Value::List(Arc::new(items.iter().map(from_json).collect())),
        Json::Object(fields) => {
            let fields: HashMap<Key, Value> =
                fields.iter().map(|(name, value)| (Key::String(Arc::new(name.clone())), from_json(value))).collect();
            Value::Map(Map { map: Arc::new(fields) })
        }
    }
}

/// A result as JSON. Fields come in the order of their names, since a map in CEL has none.
pub(crate) fn to_json(value: &Value) -> Result<Json, String> {
    Ok(match value {
        Value::Null => Json::Null,
        Value::Bool(flag) => (*flag).into(),
        Value::Int(integer) => (*integer).into(),
        Value::UInt(integer) => (*integer).into(),
        // A whole number in a double is written as Go writes it: without a fraction.
        Value::Float(float) => match format!("{float:.0}").parse::<i64>() {
            Ok(whole) if float.fract() == 0.0 => whole.into(),
            _ => (*float).into(),
        },
        Value::String(text) => text.as_str().into(),
        Value::Bytes(bytes) => serde_json::json!(k8s_openapi::ByteString(bytes.to_vec())),
        Value::List(items) => Json::Array(items.iter().map(to_json).collect::<Result<_, _>>()?),
        Value::Map(map) => {
            let fields: BTreeMap<String, &Value> =
                map.map.iter().map(|(key, value)| (key.to_string(), value)).collect();
            let fields = fields.into_iter().map(|(name, value)| Ok((name, to_json(value)?)));
            Json::Object(fields.collect::<Result<_, String>>()?)
        }
        other => return Err(format!("unsupported type: {}", other.type_of())),
    })
}

/// What went wrong when an expression was evaluated, in the words of cel-go.
pub(crate) fn told(error: &ExecutionError) -> String {
    match error {
        ExecutionError::NoSuchKey(key) => format!("no such key: {key}"),
        ExecutionError::DivisionByZero(_) => "division by zero".to_owned(),
        ExecutionError::RemainderByZero(_) => "modulus by zero".to_owned(),
        ExecutionError::Overflow(..) => "integer overflow".to_owned(),
        ExecutionError::IndexOutOfBounds(Value::Int(index)) => format!("index out of bounds: {index}"),
        ExecutionError::UndeclaredReference(name) => format!("no such attribute(s): {name}"),
        ExecutionError::FunctionError { message, .. } => message.clone(),
        ExecutionError::NoSuchOverload
        | ExecutionError::ValuesNotComparable(..)
        | ExecutionError::UnsupportedBinaryOperator(..)
        | ExecutionError::UnsupportedUnaryOperator(..)
        | ExecutionError::UnexpectedType { .. }
        | ExecutionError::UnsupportedTargetType { .. } => "no such overload".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use kube_cel::KubeCelExt;
    use serde_json::json;

    use super::*;

    fn evaluate(source: &str, object: &Json) -> Result<Json, String> {
        let expression = parse(source)?;
        let mut scope = Context::default().with_all();
        scope.add_variable_from_value("object", from_json(object));
        to_json(&Value::resolve(&expression, &scope).map_err(|error| told(&error))?)
    }

    #[test]
    fn what_only_parses_is_brought_into_what_evaluates() {
        let object = json!({ "spec": { "replicas": 3, "namespace": "x" }, "labels": { "a-b": "c" } });
        let table = [
            ("object.spec.replicas + 1", Ok(json!(4))),
            ("object.spec.namespace", Ok(json!("x"))),
            ("object.labels['a-b']", Ok(json!("c"))),
            ("object.?status.?phase.orValue('none')", Ok(json!("none"))),
            ("object.?spec.?replicas.orValue(0)", Ok(json!(3))),
            ("object.?spec.?replicas.optMap(n, n * 2).orValue(0)", Ok(json!(6))),
            ("object.?nothing.optMap(n, n * 2).orValue(0)", Ok(json!(0))),
            ("object.?spec.optFlatMap(s, s.?replicas).orValue(0)", Ok(json!(3))),
            (
                "Object{spec: Object.spec{replicas: object.spec.replicas}}",
                Ok(json!({
                    TYPE_OF_LITERAL: "Object", "spec": { TYPE_OF_LITERAL: "Object.spec", "replicas": 3 }
                })),
            ),
            ("string(true) + string(1)", Ok(json!("true1"))),
            ("[1.0, 1.5, true, null]", Ok(json!([1, 1.5, true, null]))),
            ("object.status.phase", Err("no such key: status".to_owned())),
            ("object.spec.replicas / 0", Err("division by zero".to_owned())),
            ("object.spec + 1", Err("no such overload".to_owned())),
        ];
        for (source, expected) in table {
            assert_eq!(evaluate(source, &object), expected, "{source}");
        }
    }

    #[test]
    fn a_mistake_is_told_with_its_place() {
        let error = parse("object.spec.replicas <").unwrap_err();
        assert!(error.starts_with("ERROR: <input>:1:23: Syntax error: mismatched input '<EOF>'"), "{error}");
        assert!(error.ends_with("\n | object.spec.replicas <\n | ......................^"), "{error}");
    }
}

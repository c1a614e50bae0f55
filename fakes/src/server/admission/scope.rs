//! What the expressions of policies and match conditions see, and how they are evaluated.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use kube_cel::cel::{
    Context, ExecutionError, Value,
    common::ast::Expr,
    context::VariableResolver,
    parser::{Expression, ExpressionReferences},
};
use serde_json::Value as Json;

use super::authorizer;
use crate::{cel, schema};

/// How a composed variable is called once its expression is compiled: `variables.x` is one name.
const COMPOSED: &str = "variables";
/// The authorizer that asks about what the request is about: one name, too.
const REQUEST_RESOURCE: &str = "authorizer.requestResource";

/// What is null in some requests: a deletion has no object, a creation no old one.
const MAY_BE_NULL: [&str; 4] = ["object", "oldObject", "params", "namespaceObject"];

thread_local! {
    /// The functions of CEL and Kubernetes, and those that ask what somebody may do.
    static FUNCTIONS: Context<'static> = {
        let mut functions = schema::cel_functions();
        authorizer::add_functions(&mut functions);
        cel::add_functions(&mut functions);
        functions
    };
}

/// An expression as it was written, and compiled.
#[derive(Debug, Clone)]
pub(super) struct Compiled {
    pub(super) source: String,
    expression: Result<Expression, String>,
}

impl Compiled {
    pub(super) fn new(source: &str) -> Self {
        let expression = cel::parse(source).map(|mut expression| {
            cel::visit(&mut expression, &mut compose);
            expression
        });
        Self { source: source.to_owned(), expression }
    }

    fn references(&self) -> Option<ExpressionReferences<'_>> {
        self.expression.as_ref().ok().map(Expression::references)
    }
}

/// Makes one name of `variables.x`, so that it is looked up, and evaluated, only when it is needed.
fn compose(expr: &mut Expr) {
    let Expr::Select(select) = expr else { return };
    let Expr::Ident(operand) = &select.operand.expr else { return };
    let name = format!("{operand}.{}", select.field);
    if (operand == COMPOSED && !select.test) || name == REQUEST_RESOURCE {
        *expr = Expr::Ident(name);
    } else if MAY_BE_NULL.contains(&operand.as_str()) && !select.test {
        *expr = cel::unless_null(std::mem::take(expr));
    }
}

/// The values an expression may name.
#[derive(Clone, Copy)]
pub(super) struct Inputs<'a> {
    pub(super) object: Option<&'a Json>,
    pub(super) old: Option<&'a Json>,
    pub(super) request: &'a Json,
    pub(super) params: Option<&'a Json>,
    pub(super) namespace: Option<&'a Json>,
}

/// Variables with names, each of which may use those before it.
pub(super) type Variables = [(String, Compiled)];

/// A place to evaluate expressions in.
pub(super) struct Scope<'a> {
    root: &'a Context<'a>,
    composed: &'a Variables,
    /// What composed variables have come to.
    known: Mutex<BTreeMap<usize, Result<Value, String>>>,
}

/// Evaluates expressions of one policy on the same values. Only those values are made that some expression names.
pub(super) fn within<'e, T>(
    inputs: &Inputs<'_>,
    composed: &'e Variables,
    expressions: impl IntoIterator<Item = &'e Compiled>,
    run: impl FnOnce(&Scope<'_>) -> T,
) -> T {
    let all: Vec<_> = expressions.into_iter().chain(composed.iter().map(|(_, it)| it)).collect();
    let references: Vec<_> = all.iter().filter_map(|it| it.references()).collect();
    FUNCTIONS.with(|functions| {
        let mut root = functions.new_inner_scope();
        let values = [
            ("object", inputs.object),
            ("oldObject", inputs.old),
            ("request", Some(inputs.request)),
            ("params", inputs.params),
            ("namespaceObject", inputs.namespace),
        ];
        for (name, value) in values {
            if references.iter().any(|it| it.has_variable(name)) {
                root.add_variable_from_value(name, value.map_or(Value::Null, cel::from_json));
            }
        }
        root.add_variable_from_value("authorizer", authorizer::of_requester());
        root.add_variable_from_value(REQUEST_RESOURCE, authorizer::of_requester());
        run(&Scope { root: &root, composed, known: Mutex::default() })
    })
}

impl Scope<'_> {
    /// The value of an expression, or why there is none.
    pub(super) fn evaluate(&self, compiled: &Compiled) -> Result<Value, String> {
        let expression = compiled.expression.as_ref().map_err(|why| format!("compilation error: {why}"))?;
        let found = self.resolve(expression, self.composed.len());
        found.map_err(|why| format!("expression '{}' resulted in error: {why}", compiled.source))
    }

    /// Evaluates with the first `visible` of the composed variables.
    fn resolve(&self, expression: &Expression, visible: usize) -> Result<Value, String> {
        let composed = Composed { scope: self, visible };
        let mut scope = self.root.new_inner_scope();
        scope.set_variable_resolver(&composed);
        Value::resolve(expression, &scope).map_err(|error| self.told(&error))
    }

    fn told(&self, error: &ExecutionError) -> String {
        if let ExecutionError::UndeclaredReference(name) = error
            && let Some((name, index)) = self.composed_name(name, self.composed.len())
            && let Some(Err(why)) = self.known().get(&index)
        {
            return format!("composited variable {name:?} fails to evaluate: {why}");
        }
        cel::told(error)
    }

    fn composed_name<'n>(&self, name: &'n str, visible: usize) -> Option<(&'n str, usize)> {
        let name = name.strip_prefix(COMPOSED)?.strip_prefix('.')?;
        let index = self.composed.iter().take(visible).rposition(|(known, _)| known == name)?;
        Some((name, index))
    }

    fn known(&self) -> std::sync::MutexGuard<'_, BTreeMap<usize, Result<Value, String>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks composed variables up, and evaluates each at most once.
struct Composed<'a> {
    scope: &'a Scope<'a>,
    visible: usize,
}

impl VariableResolver for Composed<'_> {
    fn resolve(&self, variable: &str) -> Option<Value> {
        let (_, index) = self.scope.composed_name(variable, self.visible)?;
        if let Some(known) = self.scope.known().get(&index) {
            return known.clone().ok();
        }
        let expression = self.scope.composed.get(index)?.1.expression.as_ref();
        let found = expression.map_err(String::clone).and_then(|it| self.scope.resolve(it, index));
        self.scope.known().insert(index, found.clone());
        found.ok()
    }
}

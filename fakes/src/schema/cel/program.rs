//! Expressions, read once per process.
//!
//! Definitions repeat the same rule at many places, and tests install the same definitions many times; reading one takes
//! as long as evaluating it a thousand times.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use kube_cel::cel::{
    Context, ResolveResult,
    common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, operators},
    parser::{Expression, Parser},
};

use super::functions;

/// An expression that could be read.
#[derive(Debug)]
pub(in crate::schema) struct Program {
    expression: Expression,
    /// The same, as it is evaluated.
    executable: Expression,
    /// Whether it asks for the value before an update.
    pub(super) uses_old: bool,
}

/// Expressions remembered at most: a fuzzer makes many.
const MAX_REMEMBERED: usize = 10_000;

/// What could be read, or why not, by source.
type Known = BTreeMap<String, Result<Arc<Program>, Arc<str>>>;

static READ: Mutex<Known> = Mutex::new(BTreeMap::new());

impl Program {
    /// Reads an expression, or says why it is none.
    pub(in crate::schema) fn read(source: &str) -> Result<Arc<Self>, Arc<str>> {
        let read = || READ.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = read().get(source) {
            return known.clone();
        }
        let program = Parser::new().enable_optional_syntax(true).parse(source);
        let program = match program {
            Ok(expression) => {
                let uses_old = expression.references().has_variable("oldSelf");
                let mut executable = expression.clone();
                visit(&mut executable, &mut receive);
                Ok(Arc::new(Self { expression, executable, uses_old }))
            }
            Err(errors) => Err(errors.to_string().replace("\n| ", "\n | ").into()),
        };
        let mut read = read();
        if read.len() >= MAX_REMEMBERED {
            read.clear();
        }
        read.insert(source.to_owned(), program.clone());
        program
    }

    pub(super) fn expression(&self) -> &Expression {
        &self.expression
    }

    pub(super) fn evaluate(&self, scope: &Context<'_>) -> ResolveResult {
        scope.resolve(&self.executable).or_else(|_| scope.resolve(&self.careful()))
    }

    /// The expression with operators that tell the first of two errors, where the evaluator tells the second.
    fn careful(&self) -> Expression {
        let mut careful = self.executable.clone();
        visit(&mut careful, &mut |call| match call.func_name.as_str() {
            operators::LOGICAL_OR => functions::OR.clone_into(&mut call.func_name),
            operators::LOGICAL_AND => functions::AND.clone_into(&mut call.func_name),
            _ => {}
        });
        careful
    }
}

/// Functions that may as well be called on their first argument.
const RECEIVING: [&str; 6] = ["size", "string", "int", "uint", "double", "matches"];

/// Calls a function on its first argument: the evaluator tells what is wrong with a receiver, but not with an argument.
fn receive(call: &mut CallExpr) {
    if call.target.is_none() && !call.args.is_empty() && RECEIVING.contains(&call.func_name.as_str()) {
        call.target = Some(Box::new(call.args.remove(0)));
    }
}

/// Changes every call of an expression, innermost first.
fn visit(expression: &mut IdedExpr, change: &mut impl FnMut(&mut CallExpr)) {
    match &mut expression.expr {
        Expr::Call(call) => {
            call.args.iter_mut().chain(call.target.as_deref_mut()).for_each(|part| visit(part, change));
            change(call);
        }
        Expr::Select(select) => visit(&mut select.operand, change),
        Expr::List(list) => list.elements.iter_mut().for_each(|part| visit(part, change)),
        Expr::Map(map) => {
            for entry in &mut map.entries {
                if let EntryExpr::MapEntry(entry) = &mut entry.expr {
                    visit(&mut entry.key, change);
                    visit(&mut entry.value, change);
                }
            }
        }
        Expr::Comprehension(parts) => {
            let parts = &mut **parts;
            for part in [
                &mut parts.iter_range,
                &mut parts.accu_init,
                &mut parts.loop_cond,
                &mut parts.loop_step,
                &mut parts.result,
            ] {
                visit(part, change);
            }
        }
        Expr::Ident(_) | Expr::Literal(_) | Expr::Struct(_) | Expr::Unspecified => {}
    }
}

//! The columns of each kind and what stands in them.

mod access;
mod admission;
mod autoscaler;
mod batch;
mod data;
mod event;
mod kinds;
mod network;
mod node;
mod pod;
mod row;
mod storage;
mod workload;

use jiff::Timestamp;
use serde_json::{Value, json};

use self::row::Row;
use super::{Heading, jsonpath};
use crate::{
    object,
    server::{Subresource, Target},
};

/// What stands in a cell.
type Cell = fn(&Row<'_>) -> Value;

/// A column of a built-in kind.
struct Column {
    name: &'static str,
    kind: &'static str,
    /// Shown with `-o wide` only.
    wide: bool,
    cell: Cell,
}

const fn column(kind: &'static str, name: &'static str, cell: Cell) -> Column {
    Column { name, kind, wide: false, cell }
}

const fn text(name: &'static str, cell: Cell) -> Column {
    column("string", name, cell)
}

const fn integer(name: &'static str, cell: Cell) -> Column {
    column("integer", name, cell)
}

const fn flag(name: &'static str, cell: Cell) -> Column {
    column("boolean", name, cell)
}

const fn wide(name: &'static str, cell: Cell) -> Column {
    Column { wide: true, ..text(name, cell) }
}

const AGE: Column = text("Age", age);

fn age(row: &Row<'_>) -> Value {
    row.age()
}

pub(super) fn headings(target: &Target) -> Vec<Heading> {
    let is_scale = target.subresource == Subresource::Scale;
    let name = heading(&text("Name", |_| Value::Null), if is_scale { "" } else { "name" });
    if target.resource.custom {
        return std::iter::once(name).chain(custom_headings(target)).collect();
    }
    let columns = kinds::columns(target);
    // Events carry their name last, and for `-o wide` only.
    let leading = if kinds::is_named(columns) { None } else { Some(name) };
    leading.into_iter().chain(columns.iter().map(|column| heading(column, kinds::format(column)))).collect()
}

fn heading(column: &Column, format: &str) -> Heading {
    Heading {
        name: column.name.to_owned(),
        kind: column.kind.to_owned(),
        format: format.to_owned(),
        description: String::new(),
        priority: column.wide.into(),
    }
}

fn custom_headings(target: &Target) -> Vec<Heading> {
    let columns = &target.version().columns;
    if columns.is_empty() {
        return vec![heading(&column("date", "Age", age), "")];
    }
    let headings = columns.iter().map(|column| Heading {
        name: column.name.clone(),
        kind: column.kind.clone(),
        format: column.format.clone(),
        description: if column.description.is_empty() {
            format!("Custom resource definition column (in JSONPath format): {}", column.path)
        } else {
            column.description.clone()
        },
        priority: column.priority,
    });
    headings.collect()
}

pub(super) fn cells(target: &Target, object: &Value, now: Timestamp) -> Vec<Value> {
    let row = Row { object, now };
    if target.resource.custom {
        let columns = &target.version().columns;
        let mut cells = vec![json!(object::name(object))];
        if columns.is_empty() {
            cells.push(row.age());
        }
        cells.extend(columns.iter().map(|column| jsonpath::cell(object, &column.path, &column.kind, now)));
        return cells;
    }
    let columns = kinds::columns(target);
    let leading = (!kinds::is_named(columns)).then(|| kinds::name(target, &row));
    leading.into_iter().chain(columns.iter().map(|column| (column.cell)(&row))).collect()
}

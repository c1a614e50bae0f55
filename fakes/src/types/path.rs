//! Where a walk through an object is.

use std::fmt::Write as _;

use super::{Field, Type};

/// The way from the root to a value, step by step backwards.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Step<'a> {
    Root,
    /// A field of a struct.
    Field(&'static Type, &'static Field),
    /// A key of a map, or a field that is not known.
    Key(&'a str),
    Index(usize),
}

impl<'a> Path<'a> {
    pub(crate) const ROOT: Self = Path { parent: None, step: Step::Root };

    pub(crate) fn then(&'a self, step: Step<'a>) -> Self {
        Path { parent: Some(self), step }
    }

    /// The steps from the root.
    fn steps(&self) -> Vec<Step<'a>> {
        let mut steps: Vec<Step<'a>> = std::iter::successors(Some(self), |path| path.parent).map(|p| p.step).collect();
        steps.reverse();
        steps
    }

    /// As errors about unknown fields tell it: `spec.containers[0].name`.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for step in self.steps() {
            let name = match step {
                Step::Root => continue,
                Step::Field(_, field) => field.name,
                Step::Key(name) => name,
                Step::Index(index) => {
                    let _ = write!(text, "[{index}]");
                    continue;
                }
            };
            if !text.is_empty() {
                text.push('.');
            }
            text.push_str(name);
        }
        text
    }

    /// As Go's decoder tells it: the innermost struct, and the fields on the way, `PodSpec.spec.containers`.
    pub(crate) fn go(&self) -> Option<String> {
        let mut owner = None;
        let mut fields = Vec::new();
        for step in self.steps() {
            if let Step::Field(ty, field) = step {
                owner = Some(ty.short_name());
                fields.extend(field.inlined.iter().copied());
                fields.push(field.name);
            }
        }
        owner.map(|owner| format!("{owner}.{}", fields.join(".")))
    }
}

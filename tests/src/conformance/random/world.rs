//! What the generator knows while it writes a script: which objects are probably there.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::bodies::LETTERS;
use super::dice::Dice;
use super::kinds::{KINDS, Kind};
use crate::conformance::{Script, Step};

/// Concerns, each with a stream of choices of its own.
#[derive(Debug)]
pub(super) struct Streams {
    /// What a step does, to what.
    pub(super) plan: Dice,
    /// What objects look like.
    pub(super) bodies: Dice,
    /// What is wrong with a request.
    pub(super) faults: Dice,
    /// Options beside the body.
    pub(super) options: Dice,
}

/// A script in the making.
#[derive(Debug)]
pub(super) struct World {
    pub(super) dice: Streams,
    /// The kinds of this script: few, so that requests meet.
    kinds: Vec<&'static Kind>,
    /// The last body sent of each object that is probably there.
    objects: BTreeMap<(&'static str, String), Value>,
    steps: Vec<Step>,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let mut plan = Dice::new(seed, 0);
        let weights: Vec<(usize, &'static Kind)> = KINDS.iter().map(|kind| (kind.weight, kind)).collect();
        let kinds = (0..=plan.below(3)).map(|_| plan.weighted(&weights)).collect();
        let [bodies, faults, options] = [1, 2, 3].map(|stream| Dice::new(seed, stream));
        Self { dice: Streams { plan, bodies, faults, options }, kinds, objects: BTreeMap::new(), steps: Vec::new() }
    }

    pub(super) fn kind(&mut self) -> &'static Kind {
        self.dice.plan.pick(&self.kinds)
    }

    /// A name; mostly of an object that is there, or of none, as is asked for.
    pub(super) fn name(&mut self, kind: &Kind, there: bool) -> String {
        let (is, is_not): (Vec<&str>, Vec<&str>) =
            LETTERS.iter().partition(|name| self.objects.contains_key(&(kind.plural, (**name).to_owned())));
        let (wanted, others) = if there { (is, is_not) } else { (is_not, is) };
        let unwanted = self.dice.plan.chance(1, 10);
        let from = if wanted.is_empty() || (unwanted && !others.is_empty()) { others } else { wanted };
        self.dice.plan.pick(&from).to_owned()
    }

    pub(super) fn object(&self, kind: &Kind, name: &str) -> Option<Value> {
        self.objects.get(&(kind.plural, name.to_owned())).cloned()
    }

    pub(super) fn learn(&mut self, kind: &Kind, name: &str, body: Value) {
        self.objects.insert((kind.plural, name.to_owned()), body);
    }

    pub(super) fn forget(&mut self, kind: &Kind, name: &str) {
        self.objects.remove(&(kind.plural, name.to_owned()));
    }

    pub(super) fn forget_all(&mut self, kind: &Kind) {
        self.objects.retain(|(plural, _), _| *plural != kind.plural);
    }

    pub(super) fn steps(&self) -> usize {
        self.steps.len()
    }

    /// Adds a step. Steps are numbered, because their words have to differ.
    pub(super) fn push(&mut self, step: Step) {
        let words = format!("{}: {}", self.steps.len() + 1, step.step.trim_end());
        self.steps.push(Step { step: words, ..step });
    }

    /// The script, with a value for each variable that is used, and without what is kept for nobody.
    pub(super) fn script(mut self, seed: u64) -> Script {
        tidy(&mut self.steps);
        let variables = used(&self.steps).into_iter().map(|name| (name.clone(), initial(&name).into())).collect();
        let custom = self.kinds.iter().any(|kind| kind.custom());
        Script {
            name: format!("{}{seed}", super::RANDOM),
            about: format!("Seed {seed} of the random scripts."),
            install: if custom { vec!["gadget".to_owned()] } else { Vec::new() },
            alone: true,
            variables,
            steps: self.steps,
        }
    }
}

/// Forgets what steps keep for nobody.
pub(super) fn tidy(steps: &mut [Step]) {
    let used = used(steps);
    for step in steps {
        step.keep.retain(|name, _| used.contains(name));
    }
}

/// The variables that steps use, but for the namespace.
pub(super) fn used(steps: &[Step]) -> BTreeSet<String> {
    let texts = steps.iter().flat_map(|step| [Some(step.request.clone()), step.body.as_ref().map(Value::to_string)]);
    let mut found = BTreeSet::new();
    for text in texts.flatten() {
        found.extend(text.split("${").skip(1).filter_map(|rest| Some(rest.split_once('}')?.0.to_owned())));
    }
    for given in ["ns", "start"] {
        found.remove(given);
    }
    found
}

/// What a variable is before anything was kept in it.
fn initial(name: &str) -> &'static str {
    match name.rsplit('-').next() {
        Some("uid") => "00000000-0000-0000-0000-000000000000",
        Some("continue") => "none",
        // A watch from there tells of everything. Whether version 1 is too old depends on how the server started.
        _ => "${start}",
    }
}

//! The slices of one set of ports: as few writes as possible bring them to the endpoints that are wanted.

use serde_json::{Map, Value};

use super::{Plan, endpoint, labels, new_slice, ports, without_reserved};
use crate::controllers::object;

/// The most endpoints of a slice, as kube-controller-manager has it by default.
const MAX_ENDPOINTS: usize = 100;

/// What there is and what there should be for one set of ports.
#[derive(Default)]
pub(super) struct Group<'a> {
    ports: Vec<Value>,
    existing: Vec<&'a Value>,
    /// Some pod serves these ports.
    pub(super) desired: bool,
    pub(super) endpoints: Vec<Value>,
}

/// A slice on its way to what it has to be.
struct Draft {
    slice: Value,
    changed: bool,
}

impl<'a> Group<'a> {
    /// The groups that slices exist for.
    pub(super) fn of_existing(slices: &[&'a Value]) -> Vec<Self> {
        let mut groups = Vec::new();
        for slice in slices {
            Self::with_ports(&mut groups, object::list(&slice["ports"]).to_vec()).existing.push(slice);
        }
        groups
    }

    /// The group of these ports, made when it is not there.
    pub(super) fn with_ports(groups: &mut Vec<Self>, ports: Vec<Value>) -> &mut Self {
        let index = groups.iter().position(|group| group.ports == ports).unwrap_or_else(|| {
            groups.push(Self { ports, ..Self::default() });
            groups.len() - 1
        });
        &mut groups[index]
    }

    /// Adds this group's writes.
    pub(super) fn plan(self, service: &Value, address_type: &str, plan: &mut Plan) {
        if !self.desired {
            plan.delete.extend(self.existing.iter().map(|slice| object::name(slice).to_owned()));
            return;
        }
        let mut left = self.endpoints;
        let labels = labels(service);
        let mut drafts = Vec::new();
        for slice in self.existing {
            match keep(slice, service, &labels, &mut left) {
                Some(draft) => drafts.push(draft),
                None => plan.delete.push(object::name(slice).to_owned()),
            }
        }
        fill_changed(&mut drafts, &mut left);
        while !left.is_empty() {
            if let Some(draft) = best_fit(&mut drafts, left.len()) {
                draft.changed = true;
                fill(&mut draft.slice, &mut left);
            } else {
                let mut slice = new_slice(service, address_type, &ports::value(&self.ports));
                fill(&mut slice, &mut left);
                plan.create.push(slice);
            }
        }
        plan.update.extend(drafts.into_iter().filter(|draft| draft.changed).map(|draft| draft.slice));
    }
}

/// What stays of a slice: endpoints that are still wanted, as they are now. None when nothing does.
fn keep(slice: &Value, service: &Value, labels: &Map<String, Value>, left: &mut Vec<Value>) -> Option<Draft> {
    let before = object::list(&slice["endpoints"]);
    let mut endpoints = Vec::new();
    let mut updated = false;
    for old in before {
        if let Some(index) = left.iter().position(|wanted| endpoint::same(wanted, old)) {
            let wanted = left.remove(index);
            updated |= !endpoint::unchanged(&wanted, old);
            endpoints.push(wanted);
        }
    }
    updated |= endpoints.len() != before.len();
    if updated && endpoints.is_empty() {
        return None;
    }
    let changed = updated || without_reserved(slice) != without_reserved(service);
    let mut slice = slice.clone();
    if changed {
        slice["metadata"]["labels"] = labels.clone().into();
    }
    if updated {
        slice["endpoints"] = endpoints.into();
    }
    Some(Draft { slice, changed })
}

/// Slices that are written anyway take what is left, the fullest first.
fn fill_changed(drafts: &mut [Draft], left: &mut Vec<Value>) {
    let mut changed: Vec<&mut Draft> = drafts.iter_mut().filter(|draft| draft.changed).collect();
    changed.sort_by_key(|draft| std::cmp::Reverse(count(&draft.slice)));
    for draft in changed {
        fill(&mut draft.slice, left);
    }
}

/// The unchanged slice that would be fullest with all that is left.
fn best_fit(drafts: &mut [Draft], left: usize) -> Option<&mut Draft> {
    let fits =
        |draft: &&mut Draft| !draft.changed && left < MAX_ENDPOINTS && count(&draft.slice) + left <= MAX_ENDPOINTS;
    drafts.iter_mut().filter(fits).max_by_key(|draft| count(&draft.slice))
}

fn fill(slice: &mut Value, left: &mut Vec<Value>) {
    let room = MAX_ENDPOINTS.saturating_sub(count(slice)).min(left.len());
    let endpoints = object::list(&slice["endpoints"]).iter().cloned().chain(left.drain(..room)).collect();
    slice["endpoints"] = endpoints;
}

fn count(slice: &Value) -> usize {
    object::list(&slice["endpoints"]).len()
}

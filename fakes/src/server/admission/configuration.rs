//! What is configured, compiled. Kept beside the objects it comes from, so that a write need not read them.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    mutating,
    policies::{Binding, Policy},
    validating,
    webhooks::Webhook,
};
use crate::store::{GroupResource, Stored};

const GROUP: &str = "admissionregistration.k8s.io";

type ByName<T> = BTreeMap<String, Arc<T>>;

/// All webhooks, policies and bindings, by name.
#[derive(Debug, Default, Clone)]
pub(super) struct Configuration {
    mutating_webhooks: ByName<Vec<Webhook>>,
    validating_webhooks: ByName<Vec<Webhook>>,
    pub(super) mutating_policies: ByName<Policy>,
    pub(super) mutating_bindings: ByName<Binding>,
    pub(super) validating_policies: ByName<Policy>,
    pub(super) validating_bindings: ByName<Binding>,
}

/// Whether a resource holds admission configuration.
pub(super) fn is_part(resource: &GroupResource) -> bool {
    &*resource.group == GROUP
}

impl Configuration {
    pub(super) fn is_empty(&self) -> bool {
        !self.mutates() && !self.validates()
    }

    pub(super) fn mutates(&self) -> bool {
        !self.mutating_webhooks.is_empty() || !self.mutating_bindings.is_empty()
    }

    pub(super) fn validates(&self) -> bool {
        !self.validating_webhooks.is_empty() || !self.validating_bindings.is_empty()
    }

    pub(super) fn mutating_webhooks(&self) -> impl Iterator<Item = &Webhook> {
        self.mutating_webhooks.values().flat_map(|webhooks| webhooks.iter())
    }

    pub(super) fn validating_webhooks(&self) -> impl Iterator<Item = &Webhook> {
        self.validating_webhooks.values().flat_map(|webhooks| webhooks.iter())
    }

    /// The same with one object written or removed.
    pub(super) fn with(&self, stored: &Stored, removed: bool) -> Self {
        let mut new = self.clone();
        let (name, value) = (&stored.key.name, &*stored.value);
        match &*stored.key.resource.plural {
            "mutatingwebhookconfigurations" => {
                put(&mut new.mutating_webhooks, name, removed, || Webhook::of_configuration(value));
            }
            "validatingwebhookconfigurations" => {
                put(&mut new.validating_webhooks, name, removed, || Webhook::of_configuration(value));
            }
            "mutatingadmissionpolicies" => {
                put(&mut new.mutating_policies, name, removed, || Policy::read(value, &mutating::expressions(value)));
            }
            "validatingadmissionpolicies" => put(&mut new.validating_policies, name, removed, || {
                Policy::read(value, &validating::expressions(value))
            }),
            "mutatingadmissionpolicybindings" => {
                put(&mut new.mutating_bindings, name, removed, || Binding::read(value));
            }
            "validatingadmissionpolicybindings" => {
                put(&mut new.validating_bindings, name, removed, || Binding::read(value));
            }
            _ => {}
        }
        new
    }
}

fn put<T>(map: &mut ByName<T>, name: &str, removed: bool, read: impl FnOnce() -> T) {
    if removed {
        map.remove(name);
    } else {
        map.insert(name.to_owned(), Arc::new(read()));
    }
}

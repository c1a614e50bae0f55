//! Where the forks of a backend are: in its own cluster, or in each of several that export it.

use std::{collections::BTreeMap, sync::Arc};

use super::Case;
use crate::{
    api::backendrouting::{ForkedBackend, ForkedBackends},
    backends::Role,
    view::{Backend, Export, Health, MemberBackends},
};

/// Of a cluster on record about which nothing has been told yet.
static NOT_SEEN: MemberBackends = MemberBackends {
    health: Some(Health::Syncing),
    backends: BTreeMap::new(),
    ready: BTreeMap::new(),
    exports: None,
    errors: BTreeMap::new(),
};

/// One cluster that forks are in.
pub(super) struct Site<'a> {
    /// Its name, if it is one of several.
    pub(super) member: Option<&'a str>,
    /// Whether absence means anything; absent if the cluster is no member.
    pub(super) health: Option<&'a Health>,
    pub(super) backends: &'a BTreeMap<String, Arc<Backend>>,
    pub(super) ready: &'a BTreeMap<String, usize>,
    /// Where the kind is served.
    pub(super) exports: Option<&'a BTreeMap<String, Arc<Export>>>,
}

impl<'a> Site<'a> {
    /// The cluster of that name, one of several.
    pub(super) fn of_member(case: &'a Case<'a>, name: &'a str) -> Self {
        let MemberBackends { health, backends, ready, exports, .. } = case.view.members.get(name).unwrap_or(&NOT_SEEN);
        Self { member: Some(name), health: health.as_ref(), backends, ready, exports: exports.as_ref() }
    }

    /// All that forks may be in, because they are on record.
    pub(super) fn all(case: &'a Case<'a>) -> Vec<Self> {
        if case.is_multi() {
            return case.stored.clusters.iter().map(|known| Self::of_member(case, &known.name)).collect();
        }
        let (backends, ready) = (&case.view.backends, &case.view.ready);
        vec![Self { member: None, health: case.view.health.as_ref(), backends, ready, exports: None }]
    }

    pub(super) fn is_in_sight(&self) -> bool {
        self.health == Some(&Health::Ready)
    }

    /// What is asked of a fork here; nothing where it is not to be made here, or nowhere.
    pub(super) fn asked(&self, case: &Case<'_>, role: Role) -> Option<ForkedBackend> {
        let fork = asked(case, role)?;
        let Some(member) = self.member else { return Some(fork.clone()) };
        let here = fork.clusters.iter().find(|cluster| cluster.name == member)?;
        let mut selector = fork.extra_label_selector.clone();
        selector.extend(here.extra_label_selector.clone());
        Some(ForkedBackend { name: fork.name.clone(), extra_label_selector: selector, clusters: Vec::new() })
    }

    /// The ServiceExport of that name.
    pub(super) fn export(&self, name: &str) -> Option<&'a Arc<Export>> {
        self.exports?.get(name)
    }

    /// The kind of what is forked here.
    pub(super) fn kind(&self, case: &'a Case<'_>) -> &'a str {
        if self.member.is_some() { "Service" } else { &case.view.routing.spec.backend.kind }
    }
}

/// What is asked of a fork.
fn asked<'a>(case: &'a Case<'_>, role: Role) -> Option<&'a ForkedBackend> {
    let ForkedBackends { stable, canary } =
        case.view.routing.spec.forked_backends.as_ref().filter(|_| case.is_forked())?;
    Some(if role == Role::Stable { stable } else { canary })
}

/// The clusters that a fork has to serve in; of a backend of one cluster that one.
pub(super) fn needed<'a>(case: &'a Case<'a>, role: Role) -> Vec<Site<'a>> {
    if !case.is_multi() {
        return Site::all(case);
    }
    let clusters = asked(case, role).map(|fork| &*fork.clusters).unwrap_or_default();
    clusters.iter().map(|cluster| Site::of_member(case, &cluster.name)).collect()
}

/// Whether nothing that a fork depends on is out of sight.
pub(super) fn are_in_sight(case: &Case<'_>, role: Role) -> bool {
    case.view.health == Some(Health::Ready) && needed(case, role).iter().all(Site::is_in_sight)
}

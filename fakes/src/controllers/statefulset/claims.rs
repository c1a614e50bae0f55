//! The claims of a set's pods: which there have to be, and who owns them. What a claim's owner goes, it goes with.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::pod::Pod;
use super::spec::Spec;
use super::{Action, KIND};
use crate::controllers::object;

/// The claims that are there, and what the set wants of them.
pub(super) struct Claims<'a> {
    spec: &'a Spec<'a>,
    found: BTreeMap<&'a str, &'a Value>,
}

/// Who may own a claim, as its references name it.
struct Owner<'a> {
    api_version: &'a str,
    kind: &'static str,
    name: &'a str,
    /// Empty for a pod that is still to be created.
    uid: &'a str,
    /// True when the claim has to go with it.
    wanted: bool,
}

/// Something about the claims has to happen first.
pub(super) struct NotYet;

impl<'a> Claims<'a> {
    pub(super) fn new(spec: &'a Spec<'a>, found: &[&'a Value]) -> Self {
        Self { spec, found: found.iter().map(|claim| (object::name(claim), *claim)).collect() }
    }

    /// What a pod needs before it can be created, and who owns the claims that are there already.
    pub(super) fn before(&self, pod: &Value, ordinal: i32) -> Result<Vec<Action>, NotYet> {
        let name = object::name(pod);
        let old = |claim: &Value| {
            let mut owners = object::owners(claim).iter();
            self.spec.claims.with_pod && owners.any(|owner| owner["kind"] == "Pod" && owner["name"] == name)
        };
        if self.of(ordinal).any(old) {
            return Err(NotYet);
        }
        let mut actions = self.missing(ordinal)?;
        actions.extend(self.owned(name, "", ordinal, true));
        Ok(actions)
    }

    /// Claims that a pod waits for because they are not there. Those that are being deleted have to be gone first.
    pub(super) fn missing(&self, ordinal: i32) -> Result<Vec<Action>, NotYet> {
        if self.of(ordinal).any(object::is_deleting) {
            return Err(NotYet);
        }
        let wanted = claims(self.spec, ordinal);
        Ok(wanted.filter(|claim| !self.found.contains_key(object::name(claim))).map(Action::CreateClaim).collect())
    }

    /// Claims of a pod that have to be written, because others own them than the set's policy says.
    pub(super) fn of_pod(&self, pod: &Pod<'_>, in_range: bool) -> impl Iterator<Item = Action> {
        pod.ordinal
            .into_iter()
            .flat_map(move |ordinal| self.owned(pod.name, object::uid(pod.object), ordinal, in_range))
    }

    fn owned(&self, pod: &str, uid: &str, ordinal: i32, in_range: bool) -> Vec<Action> {
        let with_pod = self.spec.claims.with_pod && !in_range;
        let owners = [
            Owner {
                api_version: self.spec.set["apiVersion"].as_str().unwrap_or_default(),
                kind: KIND,
                name: self.spec.name,
                uid: object::uid(self.spec.set),
                wanted: self.spec.claims.with_set && !with_pod,
            },
            Owner { api_version: "v1", kind: "Pod", name: pod, uid, wanted: with_pod },
        ];
        let policy = self.spec.claims.with_set || self.spec.claims.with_pod;
        self.of(ordinal).filter_map(|claim| reown(claim, &owners, policy)).map(Action::UpdateClaim).collect()
    }

    /// A pod's claims that are there.
    fn of(&self, ordinal: i32) -> impl Iterator<Item = &'a Value> {
        let templates = object::list(&self.spec.set["spec"]["volumeClaimTemplates"]).iter();
        templates.filter_map(move |template| self.found.get(claim_name(self.spec, template, ordinal).as_str()).copied())
    }
}

impl Owner<'_> {
    fn is_named_by(&self, reference: &Value) -> bool {
        let named = [&reference["apiVersion"], &reference["kind"], &reference["name"]];
        named == [self.api_version, self.kind, self.name]
    }

    fn owns(&self, claim: &Value) -> bool {
        object::owners(claim).iter().any(|reference| reference["uid"] == self.uid)
    }

    fn reference(&self) -> Value {
        json!({
            "apiVersion": self.api_version,
            "kind": self.kind,
            "name": self.name,
            "uid": self.uid,
            "controller": true,
            "blockOwnerDeletion": true,
        })
    }
}

/// The claim with the owners it has to have, when it has others. Claims of an earlier set or pod of the same name are left
/// alone, and so are those that another controller looks after.
fn reown(claim: &Value, owners: &[Owner<'_>], policy: bool) -> Option<Value> {
    let references = object::owners(claim);
    let is_ours = |reference: &Value| owners.iter().any(|owner| owner.is_named_by(reference));
    let is_earlier =
        |reference: &Value| owners.iter().any(|owner| owner.is_named_by(reference) && reference["uid"] != owner.uid);
    if references.iter().any(is_earlier) {
        return None;
    }
    let is_foreign = |reference: &Value| policy && reference["controller"] == true && !is_ours(reference);
    let foreign = references.iter().any(is_foreign);
    let owned = |owner: &Owner<'_>| owner.owns(claim);
    let weak = |owner: &Owner<'_>| {
        references.iter().any(|reference| reference["uid"] == owner.uid && reference["controller"] != true)
    };
    let fits = if foreign {
        !owners.iter().any(owned)
    } else {
        owners.iter().all(|owner| owned(owner) == owner.wanted && !weak(owner))
    };
    if fits {
        return None;
    }
    let mut kept: Vec<Value> = references.iter().filter(|reference| !is_ours(reference)).cloned().collect();
    kept.extend(owners.iter().filter(|owner| owner.wanted && !foreign).map(Owner::reference));
    let mut claim = claim.clone();
    claim["metadata"]["ownerReferences"] = kept.into();
    Some(claim)
}

/// The claims of one pod, as they are created.
fn claims<'a>(spec: &'a Spec<'_>, ordinal: i32) -> impl Iterator<Item = Value> + 'a {
    let labels = spec.set["spec"]["selector"]["matchLabels"].as_object();
    object::list(&spec.set["spec"]["volumeClaimTemplates"]).iter().map(move |template| {
        let mut claim = template.clone();
        claim["apiVersion"] = "v1".into();
        claim["kind"] = "PersistentVolumeClaim".into();
        claim["metadata"]["name"] = claim_name(spec, template, ordinal).into();
        claim["metadata"]["namespace"] = object::namespace(spec.set).into();
        for (key, value) in labels.into_iter().flatten() {
            claim["metadata"]["labels"][key] = value.clone();
        }
        claim
    })
}

/// The name of a pod's claim.
pub(super) fn claim_name(spec: &Spec<'_>, template: &Value, ordinal: i32) -> String {
    format!("{}-{}-{ordinal}", object::name(template), spec.name)
}

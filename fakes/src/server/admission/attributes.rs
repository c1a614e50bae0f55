//! A write as admission sees it: who does what to what.

use serde_json::{Value, json};

use super::shown;
use crate::{
    object,
    server::{DeleteOptions, Propagation, Subresource, Target, WriteOptions, options::Warnings},
    status::Status,
    store::Stored,
};

/// What is done to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Create,
    Update,
    Delete,
}

impl Operation {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Create => "CREATE",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
        }
    }

    fn options_kind(self) -> &'static str {
        match self {
            Self::Create => "CreateOptions",
            Self::Update => "UpdateOptions",
            Self::Delete => "DeleteOptions",
        }
    }
}

/// A group, a version, and a kind or a resource of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Versioned {
    pub(super) group: String,
    pub(super) version: String,
    pub(super) name: String,
}

impl Versioned {
    fn new(group: &str, version: &str, name: &str) -> Self {
        Self { group: group.to_owned(), version: version.to_owned(), name: name.to_owned() }
    }

    pub(super) fn as_kind(&self) -> Value {
        json!({ "group": self.group, "version": self.version, "kind": self.name })
    }

    pub(super) fn as_resource(&self) -> Value {
        json!({ "group": self.group, "version": self.version, "resource": self.name })
    }
}

/// What a request says of itself, beside its object.
pub(crate) struct Attributes<'a> {
    pub(super) target: &'a Target,
    pub(super) operation: Operation,
    /// As the request names it: nothing yet when the name is to be generated.
    pub(super) name: String,
    /// A namespace lies in itself.
    pub(super) namespace: String,
    /// The object before, as it is stored.
    pub(super) old: Option<&'a Value>,
    pub(super) options: Value,
    pub(super) dry_run: bool,
    pub(super) user: Value,
    warnings: Warnings,
}

impl<'a> Attributes<'a> {
    /// A create or an update of an object as it is sent.
    pub(in crate::server) fn of_write(
        target: &'a Target,
        operation: Operation,
        object: &Value,
        old: Option<&'a Value>,
        options: &WriteOptions,
    ) -> Self {
        let mut given = options.given.clone();
        if options.dry_run {
            given.push(("dryRun", json!(["All"])));
        }
        let named = old.unwrap_or(object);
        let mut attributes = Self {
            target,
            operation,
            name: object::name(named).to_owned(),
            namespace: object::namespace(named).to_owned(),
            old,
            options: options_document(operation, given),
            dry_run: options.dry_run,
            user: user(if options.check_types { "" } else { &options.field_manager }),
            warnings: options.warnings.clone(),
        };
        if attributes.is_namespace() {
            attributes.namespace.clone_from(&attributes.name);
        }
        attributes
    }

    /// A deletion; pods are told how long they get to end.
    pub(in crate::server) fn of_deletion(
        target: &'a Target,
        current: &'a Stored,
        options: &DeleteOptions,
        grace: Option<i64>,
    ) -> Self {
        let namespaces = !target.resource.custom && &*target.resource.resource.plural == "namespaces";
        let uid = options.uid.clone().or_else(|| namespaces.then(|| object::uid(&current.value).to_owned()));
        let mut preconditions = json!({});
        for (field, value) in [("uid", uid), ("resourceVersion", options.resource_version.clone())] {
            if let Some(value) = value {
                preconditions[field] = value.into();
            }
        }
        let policy = options.propagation.map(|policy| match policy {
            Propagation::Background => "Background",
            Propagation::Foreground => "Foreground",
            Propagation::Orphan => "Orphan",
        });
        let dry_run = if options.dry_run { json!(["All"]) } else { Value::Null };
        let given = vec![
            ("gracePeriodSeconds", json!(options.grace_period_seconds.or(grace))),
            ("preconditions", preconditions),
            ("propagationPolicy", json!(policy)),
            ("dryRun", dry_run),
        ];
        let namespace = if namespaces { &current.key.name } else { &current.key.namespace };
        Self {
            target,
            operation: Operation::Delete,
            name: current.key.name.clone(),
            namespace: namespace.clone(),
            old: Some(&current.value),
            options: options_document(Operation::Delete, given),
            dry_run: options.dry_run,
            user: user(&options.manager),
            warnings: options.warnings.clone(),
        }
    }

    /// Learns the name that was generated for a new object.
    pub(in crate::server) fn generated(&mut self, object: &Value) {
        if self.name.is_empty() {
            object::name(object).clone_into(&mut self.name);
        }
    }

    pub(in crate::server) fn target(&self) -> &'a Target {
        self.target
    }

    /// The object before, as it looks in a version.
    pub(super) fn old_in(&self, target: &Target) -> Option<Value> {
        self.old.map(|old| shown(target, old))
    }

    /// Tells the writer something although the write may succeed.
    pub(super) fn warn(&self, warnings: &[String]) {
        for warning in warnings {
            self.warnings.push(warning.clone());
        }
    }

    pub(super) fn resource(&self) -> Versioned {
        let resource = &self.target.resource.resource;
        Versioned::new(&resource.group, &self.target.version().name, &resource.plural)
    }

    pub(super) fn kind(&self) -> Versioned {
        kind_of(self.target)
    }

    pub(super) fn subresource(&self) -> &'static str {
        self.target.subresource.name()
    }

    /// Whether the request writes a namespace itself.
    pub(super) fn is_namespace(&self) -> bool {
        let resource = &self.target.resource.resource;
        resource.group.is_empty() && &*resource.plural == "namespaces"
    }

    /// The other versions in which the same objects are served, each with how they look there.
    pub(super) fn equivalents(&self) -> impl Iterator<Item = Target> + use<'a> {
        let target = self.target;
        let versions = target.resource.versions.iter().enumerate();
        let others = versions.filter(|(index, version)| version.served && *index != target.version);
        others.map(|(version, _)| Target { version, ..target.clone() })
    }

    /// 403, as admission refuses.
    pub(super) fn forbidden(&self, object: Option<&Value>, why: &str) -> Status {
        let text = |field| object.map(|object| object::text(object, &["metadata", field])).unwrap_or_default();
        let names = [self.name.as_str(), text("name"), text("generateName"), "Unknown"];
        let name = names.into_iter().find(|name| !name.is_empty()).unwrap_or_default();
        Status::forbidden(&self.target.resource.resource, name, why)
    }
}

/// The options of an operation as a document.
fn options_document(operation: Operation, given: Vec<(&'static str, Value)>) -> Value {
    let mut options = json!({ "kind": operation.options_kind(), "apiVersion": "meta.k8s.io/v1" });
    for (name, value) in given {
        if !object::same(Some(&value), None) {
            options[name] = value;
        }
    }
    options
}

/// Who asks: a component of the cluster by its manager's name, or whoever reaches the server, who may do everything.
fn user(manager: &str) -> Value {
    match manager {
        "kube-apiserver" => json!({ "username": "system:apiserver", "groups": ["system:masters"] }),
        "kube-controller-manager" => {
            json!({ "username": "system:kube-controller-manager", "groups": ["system:authenticated"] })
        }
        "kubelet" => json!({ "username": "system:node", "groups": ["system:nodes", "system:authenticated"] }),
        _ => json!({ "username": "admin", "uid": "admin", "groups": ["system:masters", "system:authenticated"] }),
    }
}

/// The kind a request speaks of: of some subresources it is another than the object's.
pub(super) fn kind_of(target: &Target) -> Versioned {
    match target.subresource {
        Subresource::Scale => Versioned::new("autoscaling", "v1", "Scale"),
        Subresource::Binding => Versioned::new("", "v1", "Binding"),
        Subresource::Eviction => Versioned::new("policy", "v1", "Eviction"),
        Subresource::None | Subresource::Status => {
            let group = &target.resource.resource.group;
            Versioned::new(group, &target.version().name, &target.resource.kind)
        }
    }
}

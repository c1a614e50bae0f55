//! Whether a webhook or a policy concerns a request: rules, scopes and selectors.

use serde_json::Value;

use super::attributes::{Attributes, Versioned};
use crate::{
    object::{strings, text},
    selector::LabelSelector,
    server::Target,
    status::Status,
    store::{GroupResource, Store},
};

/// One rule: operations on resources.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    operations: Vec<String>,
    groups: Vec<String>,
    versions: Vec<String>,
    resources: Vec<String>,
    scope: String,
    /// Names of single objects; none are all.
    names: Vec<String>,
}

/// Rules and selectors, read once.
#[derive(Debug, Clone)]
pub(super) struct Matcher {
    rules: Vec<Rule>,
    excluded: Vec<Rule>,
    /// Without any rule everything is meant.
    all_without_rules: bool,
    equivalent: bool,
    namespaces: LabelSelector,
    objects: LabelSelector,
}

fn owned(list: Option<&Value>) -> Vec<String> {
    strings(list).into_iter().map(str::to_owned).collect()
}

impl Rule {
    fn read(rule: &Value) -> Self {
        Self {
            operations: owned(rule.get("operations")),
            groups: owned(rule.get("apiGroups")),
            versions: owned(rule.get("apiVersions")),
            resources: owned(rule.get("resources")),
            scope: text(rule, &["scope"]).to_owned(),
            names: owned(rule.get("resourceNames")),
        }
    }

    fn read_all(list: Option<&Value>) -> Vec<Self> {
        list.and_then(Value::as_array).into_iter().flatten().map(Self::read).collect()
    }

    fn matches(&self, request: &Attributes<'_>, resource: &Versioned) -> bool {
        let any = |list: &[String], wanted: &str| list.iter().any(|it| it == "*" || it == wanted);
        let cluster_scoped = request.is_namespace() || request.namespace.is_empty();
        let in_scope = match self.scope.as_str() {
            "" | "*" => true,
            "Namespaced" => !cluster_scoped,
            "Cluster" => cluster_scoped,
            _ => false,
        };
        let concerns = |pattern: &String| {
            let (wanted, subresource) = pattern.split_once('/').unwrap_or((pattern, ""));
            (wanted == "*" || wanted == resource.name) && (subresource == "*" || subresource == request.subresource())
        };
        in_scope
            && any(&self.operations, request.operation.name())
            && any(&self.groups, &resource.group)
            && any(&self.versions, &resource.version)
            && self.resources.iter().any(concerns)
            && (self.names.is_empty() || self.names.contains(&request.name))
    }
}

impl Matcher {
    /// Reads what a webhook says.
    pub(super) fn of_webhook(webhook: &Value) -> Self {
        Self { rules: Rule::read_all(webhook.get("rules")), ..Self::selectors(webhook) }
    }

    /// Reads `matchConstraints` or `matchResources`.
    pub(super) fn of_policy(constraints: &Value) -> Self {
        Self {
            rules: Rule::read_all(constraints.get("resourceRules")),
            excluded: Rule::read_all(constraints.get("excludeResourceRules")),
            ..Self::selectors(constraints)
        }
    }

    /// Reads a binding's `matchResources`: without rules all that the policy means.
    pub(super) fn of_resources(resources: &Value) -> Self {
        let all_without_rules = resources.get("resourceRules").and_then(Value::as_array).is_none_or(Vec::is_empty);
        Self { all_without_rules, ..Self::of_policy(resources) }
    }

    fn selectors(from: &Value) -> Self {
        // What does not parse was refused when it was written.
        let selector = |field: &str| from.get(field).and_then(|it| LabelSelector::from_object(it).ok());
        Self {
            rules: Vec::new(),
            excluded: Vec::new(),
            all_without_rules: false,
            equivalent: text(from, &["matchPolicy"]) != "Exact",
            namespaces: selector("namespaceSelector").unwrap_or_default(),
            objects: selector("objectSelector").unwrap_or_default(),
        }
    }

    /// The target in the version that a rule asks for; none when nothing here concerns the request.
    pub(super) fn matches(
        &self,
        request: &Attributes<'_>,
        object: Option<&Value>,
        store: &Store,
    ) -> Result<Option<Target>, Status> {
        let in_namespace = self.selects_namespace(request, object, store);
        if matches!(in_namespace, Ok(false)) || !self.selects_object(request, object) {
            return Ok(None);
        }
        if self.find(&self.excluded, request).is_some() {
            return Ok(None);
        }
        let found = if self.rules.is_empty() && self.all_without_rules {
            Some(request.target.clone())
        } else {
            self.find(&self.rules, request)
        };
        let Some(found) = found else { return Ok(None) };
        in_namespace.map(|_| Some(found))
    }

    fn find(&self, rules: &[Rule], request: &Attributes<'_>) -> Option<Target> {
        let resource = request.resource();
        if rules.iter().any(|rule| rule.matches(request, &resource)) {
            return Some(request.target.clone());
        }
        let others: Vec<Target> = if self.equivalent { request.equivalents().collect() } else { Vec::new() };
        rules
            .iter()
            .find_map(|rule| {
                others.iter().find(|other| {
                    let version = other.version().name.clone();
                    rule.matches(request, &Versioned { version, ..resource.clone() })
                })
            })
            .cloned()
    }

    fn selects_namespace(
        &self,
        request: &Attributes<'_>,
        object: Option<&Value>,
        store: &Store,
    ) -> Result<bool, Status> {
        if self.namespaces.is_empty() || (request.namespace.is_empty() && !request.is_namespace()) {
            return Ok(true);
        }
        let written = object.filter(|_| request.is_namespace() && request.subresource().is_empty());
        if let Some(namespace) = written {
            return Ok(self.namespaces.matches(namespace));
        }
        let namespaces = GroupResource::new("", "namespaces");
        let found = store.find(&namespaces, "", &request.namespace);
        let namespace = found.ok_or_else(|| Status::not_found(&namespaces, &request.namespace))?;
        Ok(self.namespaces.matches(&namespace.value))
    }

    fn selects_object(&self, request: &Attributes<'_>, object: Option<&Value>) -> bool {
        self.objects.is_empty() || object.into_iter().chain(request.old).any(|it| self.objects.matches(it))
    }
}

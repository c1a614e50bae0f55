//! Policies and their bindings, and the parameters that bindings bring.

use serde_json::Value;

use super::{Chain, Object, attributes::Attributes, conditions::Conditions, rules::Matcher, scope::Compiled};
use crate::{
    object::text,
    selector::LabelSelector,
    server::{ApiServer, Target},
    status::Status,
    store::Key,
};

/// What policies of both kinds have.
#[derive(Debug)]
pub(super) struct Policy {
    pub(super) name: String,
    matcher: Matcher,
    pub(super) conditions: Conditions,
    pub(super) variables: Vec<(String, Compiled)>,
    pub(super) may_fail: bool,
    param_kind: Option<(String, String)>,
    /// What it does: validates, or mutates.
    pub(super) spec: Value,
    pub(super) expressions: Vec<Compiled>,
}

/// Puts a policy in force.
#[derive(Debug)]
pub(super) struct Binding {
    pub(super) name: String,
    pub(super) policy: String,
    matcher: Option<Matcher>,
    param_ref: Option<Value>,
    pub(super) actions: Vec<String>,
}

/// A policy that concerns a request, through a binding, with a parameter.
pub(super) struct Invocation<'a> {
    pub(super) policy: &'a Policy,
    pub(super) binding: &'a Binding,
    pub(super) param: Option<Value>,
    pub(super) target: Target,
}

/// What keeps a policy from being evaluated.
pub(super) struct Misfit<'a> {
    pub(super) policy: &'a Policy,
    pub(super) binding: Option<&'a Binding>,
    pub(super) why: String,
}

impl Policy {
    /// Reads a policy; `expressions` are where its own expressions are.
    pub(super) fn read(policy: &Value, expressions: &[&str]) -> Self {
        let spec = policy.get("spec").cloned().unwrap_or_default();
        let may_fail = text(&spec, &["failurePolicy"]) == "Ignore";
        let list = |field: &str| spec.get(field).and_then(Value::as_array).cloned().unwrap_or_default();
        let variable = |it: Value| (text(&it, &["name"]).to_owned(), Compiled::new(text(&it, &["expression"])));
        let variables = list("variables").into_iter().map(variable).collect();
        let param_kind = spec.get("paramKind").filter(|kind| kind.is_object());
        Self {
            name: text(policy, &["metadata", "name"]).to_owned(),
            matcher: Matcher::of_policy(spec.get("matchConstraints").unwrap_or(&Value::Null)),
            conditions: Conditions::read(&spec, may_fail),
            variables,
            may_fail,
            param_kind: param_kind
                .map(|kind| (text(kind, &["apiVersion"]).to_owned(), text(kind, &["kind"]).to_owned())),
            expressions: expressions.iter().map(|source| Compiled::new(source)).collect(),
            spec,
        }
    }
}

impl Binding {
    pub(super) fn read(binding: &Value) -> Self {
        let spec = binding.get("spec").unwrap_or(&Value::Null);
        let part = |field: &str| spec.get(field).filter(|part| part.is_object());
        Self {
            name: text(binding, &["metadata", "name"]).to_owned(),
            policy: text(spec, &["policyName"]).to_owned(),
            matcher: part("matchResources").map(Matcher::of_resources),
            param_ref: part("paramRef").cloned(),
            actions: crate::object::strings(spec.get("validationActions")).into_iter().map(str::to_owned).collect(),
        }
    }
}

impl ApiServer {
    /// Every policy that concerns a request, by each of its bindings and with each of their parameters.
    pub(super) fn invocations<'a>(
        &self,
        policies: impl Iterator<Item = (&'a Policy, Vec<&'a Binding>)>,
        request: &Attributes<'_>,
        object: &Object<'_>,
    ) -> (Vec<Invocation<'a>>, Vec<Misfit<'a>>) {
        let shown = object.shown(request.target);
        let (mut found, mut misfits) = (Vec::new(), Vec::new());
        for (policy, bindings) in policies {
            let target = match policy.matcher.matches(request, shown.as_ref(), self.store()) {
                Ok(Some(target)) => target,
                Ok(None) => continue,
                Err(status) => {
                    misfits.push(Misfit { policy, binding: None, why: status.message });
                    continue;
                }
            };
            let params = match self.param_resource(policy) {
                Ok(params) => params,
                Err(why) => {
                    misfits.push(Misfit { policy, binding: None, why });
                    continue;
                }
            };
            for binding in bindings {
                let in_force = match &binding.matcher {
                    None => Ok(true),
                    Some(matcher) => {
                        matcher.matches(request, shown.as_ref(), self.store()).map(|target| target.is_some())
                    }
                };
                let found_params = match in_force {
                    Ok(false) => continue,
                    Ok(true) => self.params(params.as_ref(), binding, request),
                    Err(status) => Err(status.message),
                };
                match found_params {
                    Ok(params) => found.extend(params.into_iter().map(|param| Invocation {
                        policy,
                        binding,
                        param,
                        target: target.clone(),
                    })),
                    Err(why) => misfits.push(Misfit { policy, binding: Some(binding), why }),
                }
            }
        }
        (found, misfits)
    }

    fn param_resource(&self, policy: &Policy) -> Result<Option<Target>, String> {
        let Some((api_version, kind)) = &policy.param_kind else { return Ok(None) };
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let resources = self.resources();
        let mut of_kind = resources.iter().filter(|it| *it.resource.group == *group && it.kind == *kind);
        let found = of_kind.find_map(|it| self.target(group, version, &it.resource.plural));
        found
            .map(Some)
            .ok_or_else(|| format!("failed to find resource referenced by paramKind: '{group}/{version}, Kind={kind}'"))
    }

    /// The parameters a binding brings: one that is nothing where it needs none.
    fn params(
        &self,
        resource: Option<&Target>,
        binding: &Binding,
        request: &Attributes<'_>,
    ) -> Result<Vec<Option<Value>>, String> {
        let (Some(target), Some(param_ref)) = (resource, &binding.param_ref) else { return Ok(vec![None]) };
        let (name, own) = (text(param_ref, &["name"]), text(param_ref, &["namespace"]));
        let namespace = match (target.resource.namespaced, own) {
            (false, "") => "",
            (false, _) => {
                return Err("paramRef.namespace must not be provided for a cluster-scoped `paramKind`".to_owned());
            }
            (true, "") if request.namespace.is_empty() => {
                let why = "cannot use namespaced paramRef in policy binding that matches cluster-scoped resources";
                return Err(why.to_owned());
            }
            (true, "") => &request.namespace,
            (true, own) => own,
        };
        let stored_as = &target.resource.stored_as;
        let found = if name.is_empty() {
            let selector = param_ref.get("selector").ok_or("one of name or selector must be provided")?;
            let selector = LabelSelector::from_object(selector)?;
            let all = self.store().list(stored_as, target.resource.namespaced.then_some(namespace));
            all.into_iter().filter(|it| selector.matches(&it.value)).collect()
        } else {
            Vec::from_iter(self.store().get(&Key::new(stored_as, namespace, name)))
        };
        if found.is_empty() && text(param_ref, &["parameterNotFoundAction"]) == "Deny" {
            return Err("no params found for policy binding with `Deny` parameterNotFoundAction".to_owned());
        }
        Ok(found.into_iter().map(|it| Some(super::shown(target, &it.value))).collect())
    }

    /// The namespace of a request as expressions see it.
    pub(super) fn namespace_object(&self, request: &Attributes<'_>) -> Result<Option<Value>, Status> {
        if request.namespace.is_empty() || request.is_namespace() {
            return Ok(None);
        }
        let namespaces = crate::store::GroupResource::new("", "namespaces");
        let found = self.store().find(&namespaces, "", &request.namespace);
        let found = found.ok_or_else(|| Status::not_found(&namespaces, &request.namespace))?;
        let mut shown = Value::clone(&found.value);
        let fields = crate::object::map_mut(&mut shown);
        for typed in ["apiVersion", "kind"] {
            fields.shift_remove(typed);
        }
        for hidden in ["managedFields", "ownerReferences", "selfLink"] {
            crate::object::set_meta(&mut shown, hidden, None);
        }
        Ok(Some(shown))
    }
}

impl Chain {
    /// Validating policies with their bindings, by name.
    pub(super) fn validating_policies(&self) -> impl Iterator<Item = (&Policy, Vec<&Binding>)> {
        let configuration = &self.configuration;
        bound(&configuration.validating_policies, &configuration.validating_bindings)
    }

    /// Mutating policies with their bindings, by name.
    pub(super) fn mutating_policies(&self) -> impl Iterator<Item = (&Policy, Vec<&Binding>)> {
        let configuration = &self.configuration;
        bound(&configuration.mutating_policies, &configuration.mutating_bindings)
    }
}

type ByName<T> = std::collections::BTreeMap<String, std::sync::Arc<T>>;

fn bound<'a>(
    policies: &'a ByName<Policy>,
    bindings: &'a ByName<Binding>,
) -> impl Iterator<Item = (&'a Policy, Vec<&'a Binding>)> {
    policies.values().map(|policy| {
        let own = bindings.values().filter(|binding| binding.policy == policy.name);
        (&**policy, own.map(|binding| &**binding).collect())
    })
}

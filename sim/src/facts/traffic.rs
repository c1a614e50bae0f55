//! What carries traffic: routes, forks of backends, and what gateways have in force.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use slipway_fakes::gateway::{BackendId, BackendShare, Configuration, Endpoint, RouteId, RuleShares};

use super::route::is_ours;
use super::{
    Change, Delta, Facts, OURS, PodFacts, RunFacts, Switch, Verb, WorkloadFacts, WorkloadId, int, route, text,
};

/// An object that carries traffic, by its place.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectId {
    /// The cluster.
    pub cluster: String,
    /// The kind.
    pub kind: String,
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl std::fmt::Display for ObjectId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.cluster, self.name)
    }
}

/// What a gateway has in force.
#[derive(Clone, Debug, Default)]
pub struct InForce {
    /// How its rules divide requests.
    pub rules: Vec<RuleShares>,
    /// The pods behind each backend that it knows.
    pods: BTreeMap<BackendId, Vec<Arc<Endpoint>>>,
}

impl InForce {
    /// Whether a rule divides its requests between forks of one backend.
    pub fn is_divided(&self) -> bool {
        let shares = |rule: &RuleShares, ending: &str| {
            rule.backends.iter().any(|it| it.share > 0 && it.backend.name.ends_with(ending))
        };
        self.rules.iter().any(|rule| shares(rule, "-stable") && shares(rule, "-canary"))
    }

    /// Whether every rule that sends requests to forks sends them to copies alone.
    pub fn is_switched(&self) -> bool {
        let of_forks =
            |it: &&BackendShare| it.backend.name.ends_with("-canary") || it.backend.name.ends_with("-stable");
        let mut all =
            self.rules.iter().flat_map(|rule| &rule.backends).filter(|it| it.share > 0).filter(of_forks).peekable();
        all.peek().is_some() && all.all(|it| it.backend.name.ends_with("-canary"))
    }
}

/// What a step says of traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrafficFacts {
    /// The share of requests for the new version, in percent, among those that match none of its matches; none when it
    /// does not say.
    pub percent: Option<u64>,
}

impl TrafficFacts {
    /// Reads `traffic` of a step. What matches goes elsewhere than what is left, and without a weight nothing of that is
    /// for the new version. Where matches of the stable one are given, what is left is.
    pub(super) fn read(step: &Value) -> Option<Self> {
        let http = &step["traffic"]["http"];
        let weight = http["weight"].as_i64().map(|_| u64::try_from(int(&http["weight"])).unwrap_or_default());
        let percent = if http["stableTraffic"].is_object() { None } else { Some(weight.unwrap_or_default()) };
        http.is_object().then_some(Self { percent })
    }
}

/// The kind of a route or a backend by its resource.
fn kind(plural: &str) -> Option<&'static str> {
    Some(match plural {
        "httproutes" => "HTTPRoute",
        "grpcroutes" => "GRPCRoute",
        "ingresses" => "Ingress",
        "services" => "Service",
        "serviceimports" => "ServiceImport",
        "serviceexports" => "ServiceExport",
        "inferencepools" => "InferencePool",
        _ => return None,
    })
}

impl Facts {
    /// Takes in a write of what carries traffic.
    pub(super) fn network(&mut self, change: &Change<'_>) -> Delta {
        let Some(kind) = kind(change.plural) else { return Delta::Other };
        let (cluster, namespace) = (change.cluster.to_owned(), change.namespace.to_owned());
        let id = ObjectId { cluster, kind: kind.to_owned(), namespace, name: change.name.to_owned() };
        if change.new["metadata"]["labels"][format!("{OURS}canary-resource")] == "true" {
            let there = change.verb != Verb::Delete;
            let was_there = self.forks.insert(id.clone(), there);
            let says = if kind == "Ingress" { route::of_canary(change.new) } else { String::new() };
            let said = self.says.insert(id.clone(), says.clone());
            let is_news = was_there != Some(there) || said.as_ref() != Some(&says);
            return if is_news { Delta::Fork { id, there, says } } else { Delta::Other };
        }
        if !matches!(kind, "HTTPRoute" | "GRPCRoute" | "Ingress") {
            return Delta::Other;
        }
        let before = self.routes.remove(&id);
        let mut route = before.clone().unwrap_or_default();
        let is_fork = |kind: &str, name: &str| self.is_fork(&id.cluster, &id.namespace, kind, name);
        route.update(change, kind, &is_fork);
        self.routes.insert(id.clone(), route);
        Delta::Route { id, before: before.map(Box::new) }
    }

    /// Whether something is or was a fork of a backend.
    pub fn is_fork(&self, cluster: &str, namespace: &str, kind: &str, name: &str) -> bool {
        if kind == "ServiceImport" {
            // What imports a fork has its name alone; its cluster's labels stay there.
            let is_it = |id: &ObjectId| (&*id.kind, &*id.namespace, &*id.name) == ("ServiceExport", namespace, name);
            return self.forks.keys().any(is_it);
        }
        let [cluster, namespace, kind, name] = [cluster, namespace, kind, name].map(str::to_owned);
        self.forks.contains_key(&ObjectId { cluster, kind, namespace, name })
    }

    /// Takes in what a gateway has in force.
    pub fn programmed(&mut self, cluster: &str, configuration: &Configuration) {
        let backends = configuration.backends().cloned();
        let pods = backends.map(|id| {
            let pods = configuration.backend(&id).map(|backend| backend.endpoints.clone()).unwrap_or_default();
            (id, pods)
        });
        let in_force = InForce { pods: pods.collect(), rules: configuration.shares() };
        self.gateways.insert(cluster.to_owned(), in_force);
    }

    /// Takes in that a pod is gone, which gateways may not know yet.
    pub(super) fn pod_gone(&mut self, change: &Change<'_>) {
        if !self.gateways.is_empty() && change.verb == Verb::Delete {
            self.gone.insert((change.cluster.to_owned(), text(&change.new["metadata"]["uid"])));
        }
    }

    /// A rule's share that leads to nowhere, although the backend that the users named has a pod that serves.
    pub fn lost<'a>(&self, cluster: &str, rule: &'a RuleShares) -> Option<(&'a BackendShare, BackendId)> {
        let gateway = self.gateways.get(cluster)?;
        let is_there = |pod: &Endpoint| !self.gone.contains(&(pod.cluster.clone(), pod.uid.clone()));
        let is_lost = |it: &&BackendShare| it.share > 0 && !it.pods.iter().any(|(pod, _)| is_there(pod));
        let serves =
            |backend: &BackendId| gateway.pods.get(backend).is_some_and(|pods| pods.iter().any(|pod| is_there(pod)));
        let lost = rule.backends.iter().filter(|_| !rule.redirects).filter(is_lost);
        lost.map(|it| (it, self.origin(cluster, &it.backend)))
            .find(|(it, origin)| *origin != it.backend && serves(origin))
    }

    /// What a backend is a fork of; itself where it is none.
    pub fn origin(&self, cluster: &str, backend: &BackendId) -> BackendId {
        if self.is_fork(cluster, &backend.namespace, &backend.kind, &backend.name) {
            return BackendId::new(&backend.kind, &backend.namespace, route::origin(&backend.name));
        }
        backend.clone()
    }

    /// Whether a rule is for requests that match what a step asks for: it is ours, or of a canary Ingress.
    pub fn is_for_matches(&self, cluster: &str, rule: &RuleShares) -> bool {
        let RouteId { kind, namespace, name } = &rule.route;
        is_ours(&rule.name) || self.is_fork(cluster, namespace, kind, name)
    }

    /// The run that moves a pod's workload, if the pod is of the new version, and not because of a foreign write.
    pub fn exposing(&self, pod: &Endpoint) -> Option<&RunFacts> {
        let is_it = |(id, workload): &(&WorkloadId, &WorkloadFacts)| {
            let is_moved =
                |known: &PodFacts| workload.pending() && known.revision == workload.updated && !known.foreign;
            let known = workload.pods.get(&pod.pod).filter(|known| known.uid == pod.uid);
            let is_new = known.is_some_and(|known| workload.is_copy() || is_moved(known));
            id.cluster == pod.cluster && id.namespace == pod.namespace && is_new
        };
        let (id, workload) = self.workloads.iter().find(is_it)?;
        let name = id.name.strip_suffix("-canary").filter(|_| workload.is_copy()).unwrap_or(&id.name).to_owned();
        self.active_run(&WorkloadId { name, ..id.clone() })
    }
}

impl RunFacts {
    /// The largest share of requests, in percent, that its steps so far allow for pods of the new version, of those that
    /// match none of their matches; none when the current step does not limit it. What an earlier step allowed may still
    /// be in force.
    pub fn traffic_allowed(&self) -> Option<u64> {
        if self.blue_green {
            // What matches a preview goes elsewhere than the rest, of which nothing is for the copies before the switch.
            return (self.switch == Switch::Not).then_some(0);
        }
        let states = ["Running", "PostCanaryStepHook", "ResourceRecycling", "Succeeded"];
        let canary = states.contains(&self.canary_state.as_str()).then_some(&self.canary_traffic);
        let batches = self.batches.iter().filter(|batch| batch.begun).map(|batch| &batch.traffic);
        let begun: Vec<&Option<TrafficFacts>> = canary.into_iter().chain(batches).collect();
        let Some(current) = begun.last() else { return Some(0) };
        current.and_then(|current| current.percent)?;
        begun.into_iter().flatten().filter_map(|traffic| traffic.percent).max()
    }
}

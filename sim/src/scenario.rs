//! Scenarios: what a YAML file in `scenarios/` says.
//!
//! A scenario names clusters, the objects in them, what users do when, which faults strike, and what must be true in
//! the end. The words are kubectl's and Kubernetes'; no Rust is needed to write one.

mod application;
mod check;
mod expect;
mod fault;
mod gateway;
mod hook;
mod kind;
mod quantity;
mod timeline;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::Path,
};

use serde::Deserialize;
use serde_json::Value;

pub(crate) use self::gateway::delay;
pub use self::{
    application::{Application, Workload, WorkloadKind},
    expect::{Expect, ExpectClient, ExpectRun, ExpectWorkload},
    fault::{Hang, NextAnswer, NextFault, Strike, Swarm, UNREACHABLE_FOR, Unreachable, Where},
    gateway::{Client, Gateway},
    hook::{Answer, Answers, SetHook},
    kind::{Crds, Kind},
    quantity::{Ratio, Span, Time},
    timeline::{
        Action, Annotate, Carrier, Command, CommandOn, Condition, Crash, ImageIn, Injure, Install, ObjectRef, Patch,
        Restart, Scale, SetGateway, SetImage, Step,
    },
};

/// The hub's name in scenarios, traces and timelines.
pub const HUB: &str = "hub";

/// A whole scenario.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Scenario {
    /// The file it was read from, for messages and the replay command.
    #[serde(skip)]
    pub file: String,
    /// What the scenario shows, in prose.
    pub description: String,
    /// The hub, where Rollouts and their runs are.
    #[serde(default)]
    pub hub: Hub,
    /// The member clusters. Without any the hub is its own member.
    #[serde(default)]
    pub clusters: Vec<Cluster>,
    /// One application in the compact form.
    pub application: Option<Application>,
    /// Further objects, there from the start.
    #[serde(default)]
    pub objects: Vec<Object>,
    /// Whether the member clusters have the optional admission policies that park workloads.
    #[serde(default)]
    pub policies: bool,
    /// Images whose pods never become ready.
    #[serde(default)]
    pub bad_images: Vec<String>,
    /// The endpoints of hooks, by host name, with their answers: `http://gate/` is the hook `gate`.
    #[serde(default)]
    pub hooks: BTreeMap<String, Vec<Answers>>,
    /// Clients that send requests all the time.
    #[serde(default)]
    pub clients: Vec<Client>,
    /// What users do and which faults are scripted, in order.
    #[serde(default)]
    pub timeline: Vec<Step>,
    /// Faults that strike at random.
    #[serde(default)]
    pub faults: Swarm,
    /// What must be true in the end.
    #[serde(default)]
    pub expect: Expect,
    /// Invariants that do not hold here, each with the reason.
    #[serde(default)]
    pub except: BTreeMap<String, String>,
    /// The most virtual time the scenario may take from its start to its expectation, pauses of the timeline included.
    #[serde(default = "default_until")]
    pub until: Time,
    /// How long the operator is watched at rest after the end.
    #[serde(default = "default_rest")]
    pub rest: Time,
    /// Seeds that failed once. They are run with every test.
    #[serde(default)]
    pub seeds: Vec<u64>,
}

/// The hub's own settings.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Hub {
    /// Time on the wire between operator and hub, each way.
    #[serde(default = "default_latency")]
    pub latency: Span,
    /// Its gateway, if it has one.
    pub gateway: Option<Gateway>,
}

impl Default for Hub {
    fn default() -> Self {
        Self { latency: default_latency(), gateway: None }
    }
}

/// A member cluster.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Cluster {
    /// Its name, as run targets give it.
    pub name: String,
    /// Time on the wire between operator and cluster, each way.
    #[serde(default = "default_latency")]
    pub latency: Span,
    /// How long a pod takes from its creation until it is ready.
    #[serde(default = "default_ready")]
    pub pods_ready_after: Span,
    /// How long a pod goes on serving once it is asked to end; where there is a gateway longer than that is late, as a
    /// `preStop` hook would have it.
    pub pods_stop_after: Option<Span>,
    /// Its gateway, if it has one.
    pub gateway: Option<Gateway>,
}

/// An object that is there from the start.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Object {
    /// The cluster it is in; the hub when absent.
    pub cluster: Option<String>,
    /// The manifest, as for `kubectl apply`.
    pub manifest: Value,
}

/// How long a pod behind a gateway goes on serving once it is asked to end: longer than the gateway is late by itself.
const DRAINED: Span = Span::millis(3000, 6000);

const fn default_latency() -> Span {
    Span::millis(2, 20)
}

const fn default_ready() -> Span {
    Span::millis(1000, 3000)
}

const fn default_until() -> Time {
    Time::secs(1800)
}

const fn default_rest() -> Time {
    Time::secs(300)
}

/// Why a scenario cannot be run: file, field, what is wrong and what to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScenarioError {
    /// The file.
    pub file: String,
    /// The path of the field; empty when the file as a whole is meant.
    pub field: String,
    /// What is wrong and what to write instead.
    pub problem: String,
}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.file)?;
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        f.write_str(&self.problem)
    }
}

impl std::error::Error for ScenarioError {}

impl Scenario {
    /// Reads a scenario from a file.
    pub fn read(path: &Path) -> Result<Self, ScenarioError> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| ScenarioError {
            file: file.clone(),
            field: String::new(),
            problem: format!("cannot be read: {error}; give the path of a scenario such as scenarios/quick-start.yaml"),
        })?;
        Self::parse(&file, &text)
    }

    /// Reads a scenario from text. `file` is what messages and the replay command call it.
    pub fn parse(file: &str, text: &str) -> Result<Self, ScenarioError> {
        let fail = |field: String, problem: String| ScenarioError { file: file.to_owned(), field, problem };
        let value: Value = serde_saphyr::from_str(text)
            .map_err(|error| fail(String::new(), format!("is no YAML document: {}", error.without_snippet())))?;
        let mut scenario: Self = serde_path_to_error::deserialize(value).map_err(|error| {
            let field = error.path().to_string();
            let field = if field == "." { String::new() } else { field };
            fail(field, remedy(&error.into_inner().to_string()))
        })?;
        file.clone_into(&mut scenario.file);
        check::check(&scenario).map_err(|(field, problem)| fail(field, problem))?;
        Ok(scenario)
    }

    /// The clusters workloads are in, by the name manifests give them: the hub is its own member when there is no
    /// other.
    pub fn member_names(&self) -> Vec<&str> {
        if self.clusters.is_empty() { vec![""] } else { self.clusters.iter().map(|c| c.name.as_str()).collect() }
    }

    /// The kind of a workload of the application, as `cluster/name`. What the application does not have is a StatefulSet.
    pub fn kind_of(&self, workload: &str) -> WorkloadKind {
        let all = self.application.iter().flat_map(|application| &application.workloads);
        let found =
            all.into_iter().find(|it| format!("{}/{}", cluster_name(it.cluster.as_deref()), it.name) == workload);
        found.map_or(WorkloadKind::default(), |found| found.kind)
    }

    /// The definitions that a cluster needs for the objects it has at the start, and for those of its network that users
    /// create later. A gateway comes with those of the routes it serves, and of what is imported for them.
    pub fn crds(&self, cluster: &str) -> BTreeSet<Crds> {
        let here = self.manifests().into_iter().filter(|(at, _)| at == cluster);
        let at_start = here.filter_map(|(_, manifest)| Kind::of(&manifest).ok()?.crds());
        let created = self.timeline.iter().filter_map(|step| match &step.action {
            Action::Create(object) if cluster_name(object.cluster.as_deref()) == cluster => Some(&object.manifest),
            _ => None,
        });
        let later = created.filter_map(|manifest| Kind::of(manifest).ok()?.crds()).filter(|crds| crds.is_network());
        let gateway = self.gateway(cluster).map(|_| Crds::GatewayApi);
        let imports = gateway.filter(|_| self.is_clusterset()).map(|_| Crds::Multicluster);
        at_start.chain(later).chain(gateway).chain(imports).collect()
    }

    /// The gateway of a cluster.
    pub fn gateway(&self, cluster: &str) -> Option<&Gateway> {
        if cluster == HUB {
            return self.hub.gateway.as_ref();
        }
        self.clusters.iter().find(|it| it.name == cluster)?.gateway.as_ref()
    }

    /// How long pods of a cluster take until they are ready, and until they end if the scenario says that.
    pub(crate) fn pods(&self, cluster: &str) -> (Span, Option<Span>) {
        let found = self.clusters.iter().find(|it| it.name == cluster);
        let drained = (self.gateway(cluster).is_some() || self.is_clusterset()).then_some(DRAINED);
        let stop = found.and_then(|found| found.pods_stop_after).or(drained);
        (found.map_or(default_ready(), |found| found.pods_ready_after), stop)
    }

    /// Whether clusters export Services to each other.
    pub fn is_clusterset(&self) -> bool {
        self.objects.iter().any(|object| object.manifest["kind"] == "ServiceExport")
    }

    /// Whether there is traffic to look after.
    pub fn has_traffic(&self) -> bool {
        self.hub.gateway.is_some() || self.clusters.iter().any(|cluster| cluster.gateway.is_some())
    }

    /// The hub's objects at the start, then the members', each with its cluster; the hub is `HUB`.
    pub fn manifests(&self) -> Vec<(String, Value)> {
        let mut all = Vec::new();
        if let Some(application) = &self.application {
            all.extend(application.manifests());
        }
        if self.policies {
            let members = self.member_names().into_iter().map(|name| cluster_name(Some(name)));
            all.extend(members.flat_map(|name| policies().map(move |policy| (name.clone(), policy))));
        }
        all.extend(self.objects.iter().map(|o| (cluster_name(o.cluster.as_deref()), o.manifest.clone())));
        all
    }
}

/// The cluster a scenario means: without a name, the hub.
pub(crate) fn cluster_name(name: Option<&str>) -> String {
    name.filter(|name| !name.is_empty()).unwrap_or(HUB).to_owned()
}

/// The optional admission policies, as they are deployed.
#[expect(clippy::expect_used, reason = "the file is a constant of the binary, and a scenario reads it")]
fn policies() -> impl Iterator<Item = Value> {
    let text = include_str!("../../operator/deploy/policy/parking.yaml");
    serde_saphyr::from_multiple::<Value>(text).expect("the policies are YAML").into_iter()
}

/// Serde's message with what to do about it.
fn remedy(message: &str) -> String {
    if message.starts_with("unknown field") || message.starts_with("unknown variant") {
        format!("{message}; correct or remove it")
    } else if message.starts_with("missing field") {
        format!("{message}; add it")
    } else {
        message.to_owned()
    }
}

#[cfg(test)]
mod tests;

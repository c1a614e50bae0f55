//! Takes the steps of a scenario's timeline, in order, each at its time.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde_json::{Value, json};
use slipway_fakes::hooks::Endpoints;
use tokio::{
    sync::mpsc::UnboundedSender,
    time::{Instant, sleep, sleep_until},
};

use crate::{
    coverage::Situation,
    expectation,
    facts::{Facts, OURS, RunFacts, Who},
    link::{Blow, Trap, Wire},
    operator::{Order, victim},
    recorder::Recorder,
    scenario::{
        Action, Carrier, CommandOn, Crash, Crds, HUB, ImageIn, Kind, ObjectRef, Scenario, SetImage, Step, Strike,
        cluster_name,
    },
    site::{Patch, Site},
};

/// How long a pod that loses its readiness stays unready.
const UNREADY_FOR: Duration = Duration::from_secs(10);

/// The hand of users and fate.
pub(crate) struct Timeline<'a> {
    pub(crate) scenario: &'a Scenario,
    pub(crate) sites: &'a BTreeMap<String, (Site, Arc<Wire>)>,
    pub(crate) hooks: &'a Endpoints,
    pub(crate) recorder: &'a Recorder,
    pub(crate) orders: &'a UnboundedSender<Order>,
    pub(crate) trap: &'a Mutex<Trap>,
    pub(crate) away: &'a Mutex<Option<Duration>>,
    pub(crate) start: Instant,
}

impl Timeline<'_> {
    /// Creates what is there from the start.
    pub(crate) async fn prepare(&self) {
        for cluster in self.sites.keys() {
            for crds in self.scenario.crds(cluster) {
                if let Err(error) = self.install(cluster, crds).await {
                    self.recorder.tell("user", &format!("is refused: {error}"));
                }
            }
        }
        for (cluster, manifest) in self.scenario.manifests() {
            self.create(&cluster, &manifest).await;
        }
    }

    /// Takes all steps.
    pub(crate) async fn play(&self) {
        for step in &self.scenario.timeline {
            self.wait_for(step).await;
            if let Err(error) = self.act(&step.action).await {
                self.recorder.tell("user", &format!("is refused: {error}"));
            }
        }
    }

    async fn wait_for(&self, step: &Step) {
        if let Some(at) = step.at {
            sleep_until(self.start + at.0).await;
        }
        if let Some(condition) = &step.when {
            self.recorder.until(|facts| expectation::holds(condition, facts)).await;
        }
        if let Some(after) = step.after {
            sleep(after.0).await;
        }
    }

    async fn act(&self, action: &Action) -> Result<(), String> {
        match action {
            Action::SetImage(set) => self.set_image(set).await,
            Action::Scale(scale) => {
                let (cluster, name) = scale.workload.split_once('/').unwrap_or((HUB, &scale.workload));
                let body = json!({"spec": {"replicas": scale.replicas}});
                let kind = self.scenario.kind_of(&scale.workload).name();
                self.patch(cluster, kind, &format!("{name}/scale"), Patch::Merge, &body).await
            }
            Action::Command(CommandOn::Run(command)) => self.command(command.word(), Carrier::Run).await,
            Action::Command(CommandOn::Stated { give, on }) => self.command(give.word(), *on).await,
            Action::Trigger(value) => {
                let name = self.rollout()?;
                self.recorder.tell("user", &format!("triggers rollout {name}"));
                self.annotate(HUB, "Rollout", &name, &json!({format!("{OURS}trigger"): value})).await
            }
            Action::Annotate(a) => {
                let cluster = cluster_name(a.cluster.as_deref());
                self.annotate(&cluster, &a.kind, &self.name(&a.name)?, &json!(a.annotations)).await
            }
            Action::Patch(p) => {
                let (cluster, name) = (cluster_name(p.cluster.as_deref()), self.name(&p.name)?);
                let by = p.manager.as_ref().map(|manager| format!(", as {manager}")).unwrap_or_default();
                self.recorder.tell("user", &format!("{cluster}: patches {} {name} with {}{by}", p.kind, p.patch));
                let (site, kind) = (self.site(&cluster)?, Kind::find(&p.kind)?);
                let manager = p.manager.as_deref();
                site.patch_as(manager, Who::User, kind, &name, Patch::Merge, &p.patch).await.map(|_| ())
            }
            Action::InstallCrds(install) => {
                let cluster = cluster_name(install.cluster.as_deref());
                self.recorder.tell("user", &format!("{cluster}: installs the CRDs of {}", install.of.word()));
                self.install(&cluster, install.of).await
            }
            Action::Create(object) => {
                self.create(&cluster_name(object.cluster.as_deref()), &object.manifest).await;
                Ok(())
            }
            Action::Delete(object) => self.delete(object).await,
            Action::MarkBadImage(image) => {
                self.mark(image, "does not start any more", |site, image| site.cluster.kubelet().mark_bad(image))
            }
            Action::MarkGoodImage(image) => {
                self.mark(image, "starts again", |site, image| site.cluster.kubelet().mark_good(image))
            }
            Action::SetHook(set) => {
                self.recorder.tell("hook", &format!("{} answers otherwise from now on", set.name));
                self.hooks.program(&set.name, set.answers.iter().map(Into::into));
                Ok(())
            }
            Action::SetGateway(set) => {
                let cluster = cluster_name(set.cluster.as_deref());
                self.recorder.tell("gateway", &format!("{cluster}: is as late as {}", set.gateway));
                self.site(&cluster)?.cluster.gateway().ok_or("no gateway")?.set(set.gateway.options());
                Ok(())
            }
            Action::Fault(strike) => self.fault(strike),
            Action::CrashOperator(crash) => self.crash(crash),
            Action::RestartOperator(restart) => self.order(Order::Restart(restart.after.map(|after| after.0))),
            Action::InjureActor(order) => {
                self.recorder.tell("fault", &format!("{} of actor {}", order.injury, order.actor));
                let (path, injury) = victim(order)?;
                self.order(Order::Injure(path, injury))
            }
        }
    }

    async fn set_image(&self, set: &SetImage) -> Result<(), String> {
        let all = self.scenario.application.iter().flat_map(|application| &application.workloads);
        let all = all.map(|workload| format!("{}/{}", cluster_name(workload.cluster.as_deref()), workload.name));
        let workloads = if set.workloads.is_empty() { all.collect() } else { set.workloads.clone() };
        for workload in &workloads {
            let kind = self.scenario.kind_of(workload);
            let body = json!([{"op": "replace", "path": kind.image_path(), "value": set.image}]);
            let (cluster, name) = workload.split_once('/').unwrap_or((HUB, workload));
            self.patch(cluster, kind.name(), name, Patch::Json, &body).await?;
        }
        Ok(())
    }

    async fn command(&self, word: &str, on: Carrier) -> Result<(), String> {
        let (kind, name) = match on {
            Carrier::Run => (self.kind_of_newest(), self.name("newest")?),
            Carrier::Rollout => ("Rollout", self.rollout()?),
        };
        self.recorder.tell("user", &format!("gives {} {name} the command {word}", kind.to_lowercase()));
        self.recorder.hit(Situation::CommandGiven);
        self.annotate(HUB, kind, &name, &json!({format!("{OURS}manual-command"): word})).await
    }

    fn kind_of_newest(&self) -> &'static str {
        self.recorder.facts(|facts| facts.newest_run().map_or("RolloutRun", RunFacts::kind))
    }

    async fn annotate(&self, cluster: &str, kind: &str, name: &str, annotations: &Value) -> Result<(), String> {
        self.patch(cluster, kind, name, Patch::Merge, &json!({"metadata": {"annotations": annotations}})).await
    }

    async fn patch(&self, cluster: &str, kind: &str, name: &str, patch: Patch, body: &Value) -> Result<(), String> {
        self.site(cluster)?.patch(Who::User, Kind::find(kind)?, name, patch, body).await.map(|_| ())
    }

    async fn create(&self, cluster: &str, manifest: &Value) {
        if let Err(error) = self.put(cluster, manifest).await {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let (kind, name) = (text(&manifest["kind"]), text(&manifest["metadata"]["name"]));
            self.recorder.tell("user", &format!("{cluster}: {kind} {name} is refused: {error}"));
        }
    }

    /// Creates an object as a manifest has it: its owner is found by kind and name, and a status of an object of ours is
    /// stored too, as whoever wrote it before would have.
    async fn put(&self, cluster: &str, manifest: &Value) -> Result<(), String> {
        let site = self.site(cluster)?;
        let mut object = manifest.clone();
        let status = object.as_object_mut().and_then(|object| object.remove("status"));
        for owner in object["metadata"]["ownerReferences"].as_array_mut().into_iter().flatten() {
            if owner["uid"].is_null() {
                owner["uid"] =
                    site.get(Kind::of(owner)?, owner["name"].as_str().unwrap_or_default()).await?["metadata"]["uid"]
                        .take();
            }
        }
        let name = site.create(&object).await?["metadata"]["name"].take();
        let Some(status) = status else { return Ok(()) };
        let name = format!("{}/status", name.as_str().unwrap_or_default());
        let body = json!({ "status": status });
        site.patch(Who::User, Kind::of(manifest)?, &name, Patch::Merge, &body).await.map(|_| ())
    }

    async fn install(&self, cluster: &str, crds: Crds) -> Result<(), String> {
        for definition in crds.all() {
            let installed = self.site(cluster)?.api().install_crd(definition.clone()).await;
            installed.map_err(|status| status.message)?;
        }
        Ok(())
    }

    async fn delete(&self, object: &ObjectRef) -> Result<(), String> {
        let (cluster, name) = (cluster_name(object.cluster.as_deref()), self.name(&object.name)?);
        self.site(&cluster)?.delete(Who::User, Kind::find(&object.kind)?, &name).await.map(|_| ())
    }

    fn fault(&self, strike: &Strike) -> Result<(), String> {
        let everywhere = |cluster: &Option<String>| match cluster {
            Some(name) => vec![name.clone()],
            None => self.sites.keys().cloned().collect(),
        };
        let clusters = match strike {
            Strike::Unreachable(dark) => vec![dark.cluster.clone()],
            Strike::DropWatches(at) | Strike::ExpireWatches(at) => {
                let clusters = everywhere(&at.cluster);
                let how =
                    if matches!(strike, Strike::DropWatches(_)) { "are dropped" } else { "are dropped and expire" };
                self.recorder.tell("fault", &format!("watches of {} {how}", clusters.join(", ")));
                clusters
            }
            Strike::LoseRequests(next) | Strike::LoseResponses(next) | Strike::Conflict(next) => {
                vec![next.cluster.clone()]
            }
            Strike::Answer(next) => vec![next.cluster.clone()],
            Strike::LoseReadiness(pod) => {
                let cluster = cluster_name(pod.cluster.as_deref());
                self.site(&cluster)?.cluster.kubelet().lose_readiness("default", &pod.name, UNREADY_FOR);
                return Ok(());
            }
        };
        for cluster in clusters {
            let (_, wire) = self.sites.get(&cluster).ok_or_else(|| format!("no cluster {cluster}"))?;
            wire.strike(strike);
        }
        Ok(())
    }

    fn crash(&self, crash: &Crash) -> Result<(), String> {
        let away = crash.restart_after.map(|after| after.0);
        let Some(write) = crash.at_write else { return self.order(Order::Crash(away)) };
        *self.away.lock().unwrap_or_else(PoisonError::into_inner) = away;
        self.trap.lock().unwrap_or_else(PoisonError::into_inner).armed =
            Some((write, if crash.landed { Blow::CrashAfter } else { Blow::CrashBefore }));
        Ok(())
    }

    fn order(&self, order: Order) -> Result<(), String> {
        self.orders.send(order).map_err(|_| "the operator has stopped for good".to_owned())
    }

    fn site(&self, cluster: &str) -> Result<&Site, String> {
        self.sites.get(cluster).map(|(site, _)| site).ok_or_else(|| format!("no cluster {cluster}"))
    }

    fn mark(&self, image: &ImageIn, what: &str, act: impl Fn(&Site, &str)) -> Result<(), String> {
        let (image, cluster) = match image {
            ImageIn::Everywhere(image) => (image, None),
            ImageIn::Cluster { image, cluster } => (image, Some(cluster)),
        };
        let place = cluster.map(|cluster| format!(" in {cluster}")).unwrap_or_default();
        self.recorder.tell("cluster", &format!("image {image} {what}{place}"));
        match cluster {
            Some(cluster) => act(self.site(cluster)?, image),
            None => self.sites.values().for_each(|(site, _)| act(site, image)),
        }
        Ok(())
    }

    /// The name of an object; `newest` is the newest run.
    fn name(&self, name: &str) -> Result<String, String> {
        if name != "newest" {
            return Ok(name.to_owned());
        }
        let newest = |facts: &Facts| facts.newest_run().map(|run| run.name.clone());
        self.recorder.facts(newest).ok_or_else(|| "there is no run yet".to_owned())
    }

    fn rollout(&self) -> Result<String, String> {
        let name = |facts: &Facts| facts.rollouts.keys().next_back().cloned();
        self.recorder.facts(name).ok_or_else(|| "there is no rollout".to_owned())
    }
}

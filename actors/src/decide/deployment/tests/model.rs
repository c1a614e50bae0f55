//! A Deployment with its controllers, which act between any two looks.

use serde_json::{Value, json};

use super::{super::*, template};
use crate::{
    decide::{WorkloadWrite, fixtures, workload},
    intent::WorkloadGoal,
    view::ObjectKey,
    workloads::{WorkloadKind, template_hash},
};

/// A ReplicaSet of the model, with its pods.
#[derive(Clone, Debug)]
pub(super) struct Set {
    pub(super) hash: String,
    pub(super) replicas: i32,
    pub(super) min_ready: i32,
    pub(super) told: i32,
    pub(super) told_max: i32,
    pub(super) starting: i32,
    pub(super) ready: i32,
    pub(super) available: i32,
    pub(super) observed: bool,
}

/// A Deployment with its controllers, as kube-controller-manager's.
#[derive(Clone, Debug)]
pub(super) struct Model {
    pub(super) object: Value,
    pub(super) sets: Vec<Set>,
    /// The sets as the operator last saw them.
    pub(super) seen: Vec<Set>,
}

impl Model {
    pub(super) fn new(replicas: i32, surge: i32, unavailable: i32) -> Self {
        let template = json!({"metadata": {"labels": {"app": "web"}}, "spec": {"image": "v1"}});
        let set = Set {
            hash: template_hash(&template),
            replicas,
            min_ready: 0,
            told: replicas,
            told_max: replicas + surge,
            starting: 0,
            ready: replicas,
            available: replicas,
            observed: true,
        };
        let object = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"namespace": "default", "name": "web", "uid": "u", "resourceVersion": "1", "generation": 1},
            "spec": {
                "replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": template,
                "progressDeadlineSeconds": 600,
                "strategy": {"type": "RollingUpdate",
                    "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}},
            },
        });
        let mut model = Self { object, sets: vec![set.clone()], seen: vec![set] };
        model.sync();
        model
    }

    pub(super) fn spec(&self, path: &str) -> i32 {
        self.object.pointer(&format!("/spec{path}")).and_then(Value::as_i64).unwrap_or(0).try_into().unwrap()
    }

    pub(super) fn hash(&self) -> String {
        template_hash(&self.object["spec"]["template"])
    }

    pub(super) fn new_set(&self) -> Option<usize> {
        self.sets.iter().position(|set| set.hash == self.hash())
    }

    pub(super) fn new_replicas(&self) -> i32 {
        self.new_set().map_or(0, |index| self.sets[index].replicas)
    }

    pub(super) fn total(&self) -> i32 {
        self.sets.iter().map(|set| set.replicas).sum()
    }

    pub(super) fn ready(&self) -> i32 {
        self.sets.iter().map(|set| set.ready).sum()
    }

    pub(super) fn max(&self) -> i32 {
        self.spec("/replicas") + self.spec("/strategy/rollingUpdate/maxSurge")
    }

    pub(super) fn resize(&mut self, index: usize, replicas: i32) {
        let (told, told_max) = (self.spec("/replicas"), self.max());
        let set = &mut self.sets[index];
        (set.replicas, set.told, set.told_max, set.observed) = (replicas, told, told_max, false);
    }

    /// One pass of the Deployment's controller.
    pub(super) fn sync(&mut self) {
        let min_ready = self.spec("/minReadySeconds");
        if let Some(index) = self.new_set()
            && self.sets[index].min_ready != min_ready
        {
            self.sets[index].min_ready = min_ready;
            self.sets[index].observed = false;
        }
        let replicas = self.spec("/replicas");
        let is_scaled = self.sets.iter().any(|set| set.replicas > 0 && set.told != replicas);
        if self.object["spec"]["paused"] == json!(true) || is_scaled {
            self.scale();
        } else {
            self.roll();
        }
        let updated = self.new_set().map_or(0, |index| self.sets[index].starting + self.sets[index].ready);
        let all: i32 = self.sets.iter().map(|set| set.starting + set.ready).sum();
        self.object["status"] = json!({
            "observedGeneration": self.object["metadata"]["generation"], "replicas": all, "updatedReplicas": updated,
        });
    }

    pub(super) fn scale(&mut self) {
        let active: Vec<usize> = (0..self.sets.len()).filter(|index| self.sets[*index].replicas > 0).collect();
        let replicas = self.spec("/replicas");
        if active.len() <= 1 {
            let only = active.first().copied().or(self.new_set()).unwrap_or(self.sets.len() - 1);
            if self.sets[only].replicas != replicas {
                self.resize(only, replicas);
            }
            return;
        }
        let allowed = if replicas > 0 { self.max() } else { 0 };
        let change = allowed - self.total();
        let mut order = active;
        order.sort_by_key(|index| std::cmp::Reverse(self.sets[*index].replicas));
        let (mut added, mut sizes) = (0, Vec::new());
        for index in order {
            let set = &self.sets[index];
            let wanted = if change == added || replicas == 0 {
                if replicas == 0 { -set.replicas } else { 0 }
            } else {
                let exact = f64::from(set.replicas) * f64::from(allowed) / f64::from(set.told_max.max(1));
                #[expect(clippy::cast_possible_truncation, reason = "sizes of a handful of pods")]
                let share = exact.round() as i32 - set.replicas;
                if change > 0 { share.clamp(0, change - added) } else { share.clamp(change - added, 0) }
            };
            added += wanted;
            sizes.push((index, set.replicas + wanted));
        }
        sizes[0].1 = (sizes[0].1 + change - added).max(0);
        for (index, size) in sizes {
            self.resize(index, size);
        }
    }

    pub(super) fn roll(&mut self) {
        let (replicas, min_ready) = (self.spec("/replicas"), self.spec("/minReadySeconds"));
        let index = self.new_set().unwrap_or_else(|| {
            let (hash, told, told_max) = (self.hash(), replicas, self.max());
            let set = Set {
                hash,
                replicas: 0,
                min_ready,
                told,
                told_max,
                starting: 0,
                ready: 0,
                available: 0,
                observed: true,
            };
            self.sets.push(set);
            self.sets.len() - 1
        });
        let new = self.sets[index].replicas;
        let wanted = if new > replicas { replicas } else { new + (self.max() - self.total()).clamp(0, replicas - new) };
        if wanted != new {
            return self.resize(index, wanted);
        }
        let least = replicas - self.spec("/strategy/rollingUpdate/maxUnavailable");
        let hidden = self.sets[index].replicas - self.sets[index].available;
        let mut spare = self.total() - least - hidden;
        if spare <= 0 {
            return;
        }
        let old: Vec<usize> = (0..self.sets.len()).filter(|other| *other != index).collect();
        for &index in &old {
            let broken = (self.sets[index].replicas - self.sets[index].available).min(spare);
            if broken < 0 {
                // Its status is of before: the real one gives up, too, and comes again.
                return;
            }
            if broken > 0 {
                spare -= broken;
                self.resize(index, self.sets[index].replicas - broken);
            }
        }
        let mut spare = self.sets.iter().map(|set| set.available).sum::<i32>() - least;
        for index in old {
            let taken = self.sets[index].replicas.clamp(0, spare.max(0));
            if taken > 0 {
                spare -= taken;
                self.resize(index, self.sets[index].replicas - taken);
            }
        }
    }

    /// One pass of the ReplicaSets' controller.
    pub(super) fn sync_set(&mut self, index: usize) {
        let set = &mut self.sets[index];
        let surplus = set.starting + set.ready - set.replicas;
        if surplus < 0 {
            set.starting -= surplus;
        } else {
            let starting = surplus.min(set.starting);
            set.starting -= starting;
            set.ready -= surplus - starting;
        }
        set.available = if set.min_ready == HIDDEN { 0 } else { set.ready };
        set.observed = true;
    }

    pub(super) fn start_pod(&mut self, index: usize) {
        let set = &mut self.sets[index];
        if set.starting > 0 {
            (set.starting, set.ready) = (set.starting - 1, set.ready + 1);
        }
    }

    /// What happens anyway, by chance.
    pub(super) fn happen(&mut self, chance: u8) {
        let index = usize::from(chance / 4) % self.sets.len();
        match chance % 4 {
            0 => self.sync(),
            1 => self.sync_set(index),
            2 => self.start_pod(index),
            _ => self.seen.clone_from(&self.sets),
        }
    }

    pub(super) fn happen_all(&mut self) {
        self.sync();
        for index in 0..self.sets.len() {
            self.sync_set(index);
            self.start_pod(index);
        }
        self.seen.clone_from(&self.sets);
    }

    /// A write of anybody's.
    pub(super) fn patch(&mut self, patch: &Value) {
        json_patch::merge(&mut self.object, patch);
        if patch.get("spec").is_some() {
            let generation = self.object["metadata"]["generation"].as_i64().unwrap();
            self.object["metadata"]["generation"] = json!(generation + 1);
        }
    }

    pub(super) fn read(&self) -> Workload {
        WorkloadKind::Deployment.read("east", &serde_json::from_value(self.object.clone()).unwrap()).unwrap()
    }

    /// One look of the operator's, and its write. Says whether it wrote.
    pub(super) fn look(&mut self, goal: &WorkloadGoal) -> bool {
        let set = |set: &Set| {
            Arc::new(ReplicaSet {
                key: ObjectKey { namespace: "default".into(), name: set.hash.clone() },
                uid: set.hash.clone(),
                resource_version: "1".into(),
                owner_uid: "u".into(),
                template_hash: set.hash.clone(),
                replicas: set.replicas,
                available: set.available,
                min_ready_seconds: set.min_ready,
                observed: set.observed,
                told_desired: Some(set.told),
            })
        };
        let sets: Vec<_> = self.seen.iter().map(set).collect();
        let pods: Vec<_> = self
            .seen
            .iter()
            .flat_map(|set| {
                let ready = (0..set.ready).map(|n| fixtures::pod(&format!("r{n}"), &set.hash, Some(0)));
                ready.chain((0..set.starting).map(|n| fixtures::pod(&format!("s{n}"), &set.hash, None)))
            })
            .collect();
        let step = workload(goal, &self.read(), None, Some(&pods), Some(&sets), fixtures::at(0));
        let (patch, restore) = match step.write {
            Some(WorkloadWrite::ReplicaSet(key, patch)) => {
                let set = self.sets.iter_mut().find(|set| set.hash == key.name).unwrap();
                let told = &patch["metadata"]["annotations"][keys::ANNOTATION_DESIRED_REPLICAS];
                set.told = told.as_str().unwrap().parse().unwrap();
                return true;
            }
            Some(WorkloadWrite::Patch { patch, restore }) => (patch, restore),
            None => return false,
            other => panic!("{other:?}"),
        };
        if let Some(hash) = restore {
            assert_eq!(hash, template_hash(&Model::new(1, 1, 0).object["spec"]["template"]));
            self.patch(&template("v1"));
        }
        self.patch(&patch);
        true
    }

    pub(super) fn seen_available(&self) -> i32 {
        let hash = self.hash();
        self.sets.iter().find(|set| set.hash == hash).map_or(0, |set| set.ready)
    }
}

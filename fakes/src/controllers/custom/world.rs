//! A namespace of custom workloads with a kubelet that acts at once, for tests of their decisions.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Action, Observed, Plan, Workload};
use crate::clock::stamp;
use crate::controllers::{object, pod};

/// Objects by kind and name.
pub(crate) struct World {
    pub(crate) objects: BTreeMap<(String, String), Value>,
    pub(crate) now: Timestamp,
    made: usize,
}

/// One sync of every object of a kind; says whether anything was written.
pub(crate) type Sync = fn(&mut World) -> bool;

/// A template of pods labelled `app: web`.
pub(crate) fn template(image: &str) -> Value {
    json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "main", "image": image}]}})
}

impl World {
    pub(crate) fn new() -> Self {
        Self { objects: BTreeMap::new(), now: "2026-01-01T00:00:00Z".parse().unwrap(), made: 0 }
    }

    /// Creates an object as the API server would.
    pub(crate) fn create(&mut self, mut object: Value) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        self.made += 1;
        let metadata = &mut object["metadata"];
        if metadata["name"].is_null() {
            metadata["name"] = format!("{}{:03}", text(&metadata["generateName"]), self.made).into();
        }
        metadata["uid"] = format!("uid-{}", self.made).into();
        metadata["namespace"] = "shop".into();
        metadata["generation"] = 1.into();
        metadata["creationTimestamp"] = stamp(self.now).into();
        if object["kind"] == "Pod" {
            object["status"] = json!({"phase": "Pending"});
        }
        let key = (text(&object["kind"]), text(&object["metadata"]["name"]));
        assert_eq!(self.objects.insert(key, object), None);
    }

    pub(crate) fn get(&self, kind: &str, name: &str) -> &Value {
        &self.objects[&(kind.to_owned(), name.to_owned())]
    }

    /// Changes what an object is to be.
    pub(crate) fn edit(&mut self, kind: &str, name: &str, change: impl FnOnce(&mut Value)) -> &mut Self {
        let object = self.objects.get_mut(&(kind.to_owned(), name.to_owned())).unwrap();
        change(&mut object["spec"]);
        object["metadata"]["generation"] = (object::generation(object) + 1).into();
        self
    }

    pub(crate) fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.objects.iter().filter(move |((found, _), _)| found == kind).map(|(_, object)| object)
    }

    pub(crate) fn pods(&self) -> impl Iterator<Item = &Value> {
        self.of_kind("Pod")
    }

    pub(crate) fn plan<W: Workload>(&self, object: &Value) -> Plan {
        let related = W::related();
        let is_related = |object: &&Value| {
            let plural = format!("{}s", object["kind"].as_str().unwrap().to_lowercase());
            related.iter().any(|resource| *resource.plural == *plural)
        };
        W::sync(&Observed {
            object,
            pods: self.pods().collect(),
            revisions: self.of_kind("ControllerRevision").collect(),
            related: self.objects.values().filter(is_related).collect(),
            now: self.now,
        })
    }

    /// One sync of every object of a kind; says whether anything was written.
    pub(crate) fn sync<W: Workload>(&mut self) -> bool {
        let is_own = |object: &&Value| object["kind"].as_str().unwrap().to_lowercase() == W::NAME;
        let own: Vec<Value> = self.objects.values().filter(is_own).cloned().collect();
        own.iter().filter(|object| self.carry_out(object, self.plan::<W>(object))).count() > 0
    }

    fn carry_out(&mut self, object: &Value, plan: Plan) -> bool {
        let key = |object: &Value| (object["kind"].as_str().unwrap().to_owned(), object::name(object).to_owned());
        let wrote = !plan.actions.is_empty() || plan.status != object["status"];
        for action in plan.actions {
            match action {
                Action::Create(object) => self.create(object),
                Action::Update(object) => drop(self.objects.insert(key(&object), object)),
                Action::DeleteRevision(name) => drop(self.objects.remove(&("ControllerRevision".to_owned(), name))),
                Action::DeletePod(name) => self.delete(&name),
            }
        }
        self.objects.get_mut(&key(object)).unwrap()["status"] = plan.status;
        wrote
    }

    /// Asks for the end of a pod.
    pub(crate) fn delete(&mut self, pod: &str) {
        let stamp = stamp(self.now);
        let pod = self.objects.get_mut(&("Pod".to_owned(), pod.to_owned())).unwrap();
        pod["metadata"]["deletionTimestamp"] = stamp.into();
    }

    /// Ends terminating pods and makes pods ready whose image is not bad.
    pub(crate) fn kubelet(&mut self) -> bool {
        let before = self.objects.clone();
        self.objects.retain(|_, object| !object::is_deleting(object));
        let stamp = stamp(self.now);
        let is_new = |object: &&mut Value| object["kind"] == "Pod" && !pod::is_ready(object);
        for pod in self.objects.values_mut().filter(is_new) {
            let good = pod["spec"]["containers"][0]["image"] != "bad";
            let ready =
                json!({"type": "Ready", "status": if good { "True" } else { "False" }, "lastTransitionTime": stamp});
            pod["status"] = json!({"phase": "Running", "conditions": [ready]});
        }
        before != self.objects
    }

    /// Alternates controllers and kubelet until none of them writes.
    pub(crate) fn rest(&mut self, syncs: &[Sync]) -> &mut Self {
        for _ in 0..1000 {
            let wrote = syncs.iter().filter(|sync| sync(self)).count() > 0;
            if !(self.kubelet() || wrote) {
                return self;
            }
        }
        panic!("it never came to rest: {}", self.describe());
    }

    /// The images of all pods, `!` behind those that are not ready, `-` behind those that go.
    pub(crate) fn describe(&self) -> String {
        let pod = |pod: &Value| {
            let image = pod["spec"]["containers"][0]["image"].as_str().unwrap();
            let state = match (object::is_deleting(pod), pod::is_ready(pod)) {
                (true, _) => "-",
                (false, false) => "!",
                (false, true) => "",
            };
            format!("{image}{state}")
        };
        let mut pods: Vec<String> = self.pods().map(pod).collect();
        pods.sort();
        pods.join(" ")
    }

    /// Numbers in an object's status, those that are left out as zero.
    pub(crate) fn counts<const N: usize>(&self, kind: &str, name: &str, fields: [&str; N]) -> [i64; N] {
        fields.map(|field| self.get(kind, name)["status"][field].as_i64().unwrap_or(0))
    }

    /// The image of the template of the revision that a status names.
    pub(crate) fn image_of(&self, kind: &str, name: &str, field: &str) -> String {
        let revision = self.get(kind, name)["status"][field].as_str().unwrap();
        let template = crate::controllers::revision::template(self.get("ControllerRevision", revision));
        template["spec"]["containers"][0]["image"].as_str().unwrap().to_owned()
    }
}

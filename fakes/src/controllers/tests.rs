//! Controllers and kubelets against the API server, in virtual time.

mod custom;
mod platform;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::*;
use crate::Clock;
use crate::kubelet::{Kubelet, KubeletOptions};
use crate::server::{DeleteOptions, Propagation, WriteOptions};
use crate::store::{GroupResource, Key, Stored};

struct Cluster {
    api: ApiServer,
    kubelet: Kubelet,
    tasks: [JoinHandle<()>; 2],
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

fn resource(plural: &str) -> GroupResource {
    let apps = ["statefulsets", "controllerrevisions", "deployments", "replicasets"];
    let group = if apps.contains(&plural) { "apps" } else { "" };
    GroupResource::new(group, plural)
}

fn key(plural: &str, name: &str) -> Key {
    Key::new(&resource(plural), "default", name)
}

fn web(policy: &str, replicas: i32, partition: i32) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {
            "replicas": replicas, "podManagementPolicy": policy, "serviceName": "web",
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "main", "image": "v1"}], "terminationGracePeriodSeconds": 30},
            },
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": partition}},
        },
    })
}

impl Cluster {
    fn new(seed: u64, options: KubeletOptions) -> Self {
        let api = ApiServer::new(seed, Clock::new("2026-01-01T00:00:00Z".parse().unwrap(), 1));
        let kubelet = Kubelet::new(&api, options, seed);
        let tasks =
            [tokio::spawn(run(api.clone(), ControllerOptions::default(), seed)), tokio::spawn(kubelet.clone().run())];
        Self { api, kubelet, tasks }
    }

    async fn create(&self, plural: &str, object: Value) -> Arc<Stored> {
        self.api.create(&resource(plural), object, &WriteOptions::manager("test")).await.unwrap()
    }

    async fn edit(&self, plural: &str, name: &str, change: impl Fn(&mut Value)) {
        let mut object = Value::clone(&self.get(plural, name).unwrap());
        change(&mut object);
        self.api.update(&resource(plural), object, &WriteOptions::manager("test")).await.unwrap();
    }

    fn get(&self, plural: &str, name: &str) -> Option<Arc<Value>> {
        self.api.store().get(&key(plural, name)).map(|stored| Arc::new(Value::clone(&stored.value)))
    }

    async fn delete(&self, plural: &str, name: &str, propagation: Propagation) {
        let options = DeleteOptions { propagation: Some(propagation), ..DeleteOptions::default() };
        self.api.delete(&key(plural, name), &options).await.unwrap();
    }

    /// Lets time go on until a minute passes without a write.
    async fn rest(&self) {
        for _ in 0..1000 {
            let before = self.api.store().revision();
            tokio::time::sleep(Duration::from_mins(1)).await;
            if self.api.store().revision() == before {
                return;
            }
        }
        panic!("the cluster never came to rest");
    }

    fn list(&self, plural: &str) -> Vec<Arc<Value>> {
        let found = self.api.store().list(&resource(plural), Some("default"));
        found.iter().map(|stored| Arc::new(Value::clone(&stored.value))).collect()
    }

    /// `ordinal=image` of every pod, `!` when it is not ready.
    fn pods(&self) -> String {
        let pod = |pod: &Arc<Value>| {
            let ready = object::condition(pod, "Ready").is_some_and(|condition| condition["status"] == "True");
            let name = object::name(pod).trim_start_matches("web-");
            let image = pod["spec"]["containers"][0]["image"].as_str().unwrap();
            format!("{name}={image}{}", if ready { "" } else { "!" })
        };
        self.list("pods").iter().map(pod).collect::<Vec<_>>().join(" ")
    }

    fn counts(&self) -> [i64; 5] {
        let set = self.get("statefulsets", "web").unwrap();
        ["replicas", "readyReplicas", "availableReplicas", "currentReplicas", "updatedReplicas"]
            .map(|field| set["status"][field].as_i64().unwrap_or(0))
    }
}

fn image(image: &str) -> impl Fn(&mut Value) {
    move |set| set["spec"]["template"]["spec"]["containers"][0]["image"] = image.into()
}

fn partition(partition: i32) -> impl Fn(&mut Value) {
    move |set| set["spec"]["updateStrategy"]["rollingUpdate"]["partition"] = partition.into()
}

#[tokio::test(start_paused = true)]
async fn a_set_comes_up_rolls_by_partition_and_rests() {
    for node in [None, Some("node-0".to_owned())] {
        for policy in ["OrderedReady", "Parallel"] {
            let cluster = Cluster::new(7, KubeletOptions { node: node.clone(), ..KubeletOptions::default() });
            cluster.create("statefulsets", web(policy, 3, i32::MAX)).await;
            cluster.rest().await;
            assert_eq!((cluster.pods().as_str(), cluster.counts()), ("0=v1 1=v1 2=v1", [3; 5]));
            cluster.edit("statefulsets", "web", image("v2")).await;
            cluster.rest().await;
            assert_eq!((cluster.pods().as_str(), cluster.counts()), ("0=v1 1=v1 2=v1", [3, 3, 3, 3, 0]));
            cluster.edit("statefulsets", "web", partition(1)).await;
            cluster.rest().await;
            assert_eq!((cluster.pods().as_str(), cluster.counts()), ("0=v1 1=v2 2=v2", [3, 3, 3, 1, 2]));
            cluster.edit("statefulsets", "web", partition(0)).await;
            cluster.rest().await;
            let set = cluster.get("statefulsets", "web").unwrap();
            assert_eq!((cluster.pods().as_str(), cluster.counts()), ("0=v2 1=v2 2=v2", [3; 5]));
            assert_eq!(set["status"]["currentRevision"], set["status"]["updateRevision"]);
            assert_eq!(set["status"]["observedGeneration"], set["metadata"]["generation"]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_scheduled_pod_ends_gracefully_and_an_unscheduled_one_at_once() {
    for (node, gone_at_once) in [(None, true), (Some("node-0".to_owned()), false)] {
        let cluster = Cluster::new(1, KubeletOptions { node, ..KubeletOptions::default() });
        cluster.create("statefulsets", web("OrderedReady", 1, 0)).await;
        cluster.rest().await;
        cluster.delete("pods", "web-0", Propagation::Background).await;
        let left = cluster.get("pods", "web-0");
        assert_eq!(left.is_none(), gone_at_once);
        assert!(left.is_none_or(|pod| object::is_deleting(&pod)));
        cluster.rest().await;
        assert_eq!(cluster.pods(), "0=v1");
    }
}

#[tokio::test(start_paused = true)]
async fn a_short_grace_period_cuts_the_stop_delay() {
    let options = KubeletOptions { stop: Delay::between(60_000, 60_000), ..KubeletOptions::default() };
    let cluster = Cluster::new(1, options);
    cluster.create("statefulsets", web("OrderedReady", 1, 0)).await;
    cluster.rest().await;
    cluster.delete("pods", "web-0", Propagation::Background).await;
    let uid = |cluster: &Cluster| object::uid(&cluster.get("pods", "web-0").unwrap()).to_owned();
    let before = uid(&cluster);
    tokio::time::sleep(Duration::from_secs(29)).await;
    assert_eq!(uid(&cluster), before);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_ne!(uid(&cluster), before);
}

#[tokio::test(start_paused = true)]
async fn bad_images_never_get_ready_until_they_are_good() {
    let options = KubeletOptions { bad_images: ["v2".to_owned()].into(), ..KubeletOptions::default() };
    let cluster = Cluster::new(3, options);
    cluster.create("statefulsets", web("OrderedReady", 3, 0)).await;
    cluster.rest().await;
    cluster.kubelet.mark_bad("v1");
    cluster.rest().await;
    assert_eq!(cluster.pods(), "0=v1 1=v1 2=v1", "containers that run need no image");
    cluster.edit("statefulsets", "web", image("v2")).await;
    cluster.rest().await;
    assert_eq!(cluster.pods(), "0=v1 1=v1 2=v2!");
    let pod = cluster.get("pods", "web-2").unwrap();
    assert_eq!(pod["status"]["phase"], "Pending");
    assert_eq!(pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"], "ImagePullBackOff");

    cluster.kubelet.mark_good("v2");
    cluster.rest().await;
    assert_eq!(cluster.pods(), "0=v2 1=v2 2=v2");
    cluster.kubelet.mark_crashing("v2");
    cluster.rest().await;
    assert_eq!(cluster.pods(), "0=v2! 1=v2! 2=v2!");
    let pod = cluster.get("pods", "web-0").unwrap();
    assert_eq!(pod["status"]["phase"], "Running");
    assert_eq!(pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"], "CrashLoopBackOff");
    assert_eq!(pod["status"]["containerStatuses"][0]["restartCount"], 1);
}

#[tokio::test(start_paused = true)]
async fn readiness_is_lost_and_comes_back() {
    let cluster = Cluster::new(5, KubeletOptions::default());
    cluster.create("statefulsets", web("OrderedReady", 2, 0)).await;
    cluster.rest().await;
    cluster.kubelet.lose_readiness("default", "web-1", Duration::from_secs(30));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!((cluster.pods().as_str(), cluster.counts()), ("0=v1 1=v1!", [2, 1, 1, 2, 2]));
    tokio::time::sleep(Duration::from_secs(28)).await;
    assert_eq!(cluster.pods(), "0=v1 1=v1!");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!((cluster.pods().as_str(), cluster.counts()), ("0=v1 1=v1", [2; 5]));
    let ready = object::condition(&cluster.get("pods", "web-1").unwrap(), "Ready").cloned().unwrap();
    assert_ne!(ready, object::condition(&cluster.get("pods", "web-0").unwrap(), "Ready").cloned().unwrap());
}

#[tokio::test(start_paused = true)]
async fn deleting_a_set() {
    for propagation in [Propagation::Background, Propagation::Foreground, Propagation::Orphan] {
        let cluster = Cluster::new(2, KubeletOptions::default());
        let first = cluster.create("statefulsets", web("OrderedReady", 2, 0)).await;
        cluster.rest().await;
        cluster.delete("statefulsets", "web", propagation).await;
        assert_eq!(cluster.get("statefulsets", "web").is_none(), propagation == Propagation::Background);
        cluster.rest().await;
        assert_eq!(cluster.get("statefulsets", "web"), None, "{propagation:?}");
        if propagation != Propagation::Orphan {
            assert_eq!((cluster.pods(), cluster.list("controllerrevisions")), (String::new(), vec![]));
            continue;
        }
        let pods = cluster.list("pods");
        assert!(pods.len() == 2 && pods.iter().all(|pod| object::owners(pod).is_empty()));

        // A new set of the same name takes over what the old one left.
        let second = cluster.create("statefulsets", web("OrderedReady", 2, 0)).await;
        cluster.rest().await;
        let uids =
            |objects: &[Arc<Value>]| objects.iter().map(|object| object::uid(object).to_owned()).collect::<Vec<_>>();
        assert_eq!(uids(&cluster.list("pods")), uids(&pods));
        assert_ne!(object::uid(&first.value), object::uid(&second.value));
        let owner = Some(object::uid(&second.value));
        let dependents = [cluster.list("pods"), cluster.list("controllerrevisions")].concat();
        assert!(dependents.len() == 3 && dependents.iter().all(|object| object::controller_uid(object) == owner));
    }
}

fn api(replicas: i32, strategy: &Value) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "api", "namespace": "default"},
        "spec": {
            "replicas": replicas, "strategy": strategy, "progressDeadlineSeconds": 30,
            "selector": {"matchLabels": {"app": "api"}},
            "template": {
                "metadata": {"labels": {"app": "api"}},
                "spec": {"containers": [{"name": "main", "image": "v1"}]},
            },
        },
    })
}

impl Cluster {
    /// `image=ready/pods` of every ReplicaSet, the larger images first.
    fn sets(&self) -> String {
        let sets = self.list("replicasets");
        let mut sets: Vec<_> = sets
            .iter()
            .map(|set| {
                let image = set["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap();
                let count = |field: &str| set["status"][field].as_i64().unwrap_or(0);
                format!("{image}={}/{}", count("readyReplicas"), count("replicas"))
            })
            .collect();
        sets.sort();
        sets.join(" ")
    }

    fn reason(&self, kind: &str) -> String {
        let deployment = self.get("deployments", "api").unwrap();
        let condition = object::condition(&deployment, kind).map(|condition| &condition["reason"]);
        condition.and_then(Value::as_str).unwrap_or_default().to_owned()
    }
}

#[tokio::test(start_paused = true)]
async fn a_deployment_comes_up_rolls_and_goes_back() {
    for node in [None, Some("node-0".to_owned())] {
        for strategy in [json!({"type": "Recreate"}), json!({"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}})] {
            let cluster = Cluster::new(7, KubeletOptions { node: node.clone(), ..KubeletOptions::default() });
            cluster.create("deployments", api(3, &strategy)).await;
            cluster.rest().await;
            assert_eq!(cluster.sets(), "v1=3/3");
            for (image, sets) in [("v2", "v1=0/0 v2=3/3"), ("v1", "v1=3/3 v2=0/0")] {
                cluster.edit("deployments", "api", self::image(image)).await;
                cluster.rest().await;
                assert_eq!(
                    (cluster.sets().as_str(), cluster.reason("Progressing").as_str()),
                    (sets, "NewReplicaSetAvailable")
                );
            }
            cluster.delete("deployments", "api", Propagation::Foreground).await;
            cluster.rest().await;
            assert_eq!((cluster.list("replicasets").len(), cluster.list("pods").len()), (0, 0));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_roll_that_does_not_get_ahead_says_so_at_its_deadline() {
    let options = KubeletOptions { bad_images: ["v2".to_owned()].into(), ..KubeletOptions::default() };
    let cluster = Cluster::new(3, options);
    cluster.create("deployments", api(4, &json!({}))).await;
    cluster.rest().await;
    cluster.edit("deployments", "api", image("v2")).await;
    tokio::time::sleep(Duration::from_secs(28)).await;
    assert_eq!(
        (cluster.sets().as_str(), cluster.reason("Progressing").as_str()),
        ("v1=3/3 v2=0/2", "ReplicaSetUpdated")
    );
    cluster.rest().await;
    assert_eq!(cluster.reason("Progressing"), "ProgressDeadlineExceeded");
    cluster.kubelet.mark_good("v2");
    cluster.rest().await;
    assert_eq!(
        (cluster.sets().as_str(), cluster.reason("Progressing").as_str()),
        ("v1=0/0 v2=4/4", "NewReplicaSetAvailable")
    );
}

#[tokio::test(start_paused = true)]
async fn pods_that_are_refused_are_told_of_until_they_are_not() {
    let cluster = Cluster::new(3, KubeletOptions::default());
    let mut set = api(0, &Value::Null);
    set["kind"] = "ReplicaSet".into();
    set["spec"].as_object_mut().unwrap().retain(|field, _| field != "strategy" && field != "progressDeadlineSeconds");
    cluster.create("replicasets", set).await;
    cluster.rest().await;
    let change = |replicas: i32, containers: Value| {
        let stored = cluster.api.store().get(&key("replicasets", "api")).unwrap();
        let mut set = Value::clone(&stored.value);
        set["spec"]["replicas"] = replicas.into();
        set["spec"]["template"]["spec"]["containers"] = containers;
        cluster.api.store().put(stored.key.clone(), set, None).unwrap();
    };
    let failure = || object::condition(&cluster.get("replicasets", "api").unwrap(), "ReplicaFailure").cloned();
    // Past the API server, which would refuse such a template.
    change(5, json!([]));
    tokio::time::sleep(Duration::from_secs(5)).await;
    let told = failure().unwrap();
    assert_eq!((&told["reason"], &told["status"]), (&json!("FailedCreate"), &json!("True")));
    assert!(told["message"].as_str().unwrap().contains("spec.containers: Required value"), "{told}");
    change(5, json!([{"name": "main", "image": "v1"}]));
    cluster.rest().await;
    assert_eq!((cluster.sets().as_str(), failure()), ("v1=5/5", None));
}

#[tokio::test(start_paused = true)]
async fn an_object_of_an_owner_that_never_was_goes() {
    let cluster = Cluster::new(4, KubeletOptions::default());
    let owner = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "ghost", "uid": "never-was"});
    for (name, owners) in [("lost", json!([owner])), ("free", json!([]))] {
        let metadata = json!({"name": name, "namespace": "default", "ownerReferences": owners});
        cluster.create("configmaps", json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})).await;
    }
    cluster.rest().await;
    let names: Vec<_> = cluster.list("configmaps").iter().map(|object| object::name(object).to_owned()).collect();
    assert_eq!(names, ["free"]);
}

#[tokio::test(start_paused = true)]
async fn the_seed_decides_everything() {
    async fn history(seed: u64) -> Vec<String> {
        let cluster = Cluster::new(seed, KubeletOptions::default());
        cluster.create("statefulsets", web("Parallel", 4, 0)).await;
        cluster.rest().await;
        cluster.edit("statefulsets", "web", image("v2")).await;
        cluster.kubelet.lose_readiness("default", "web-1", Duration::from_secs(9));
        cluster.rest().await;
        cluster.delete("statefulsets", "web", Propagation::Foreground).await;
        cluster.rest().await;
        let events = cluster.api.store().events_since(0, &resource("pods")).unwrap();
        events.iter().map(|event| format!("{:?} {}", event.kind, String::from_utf8_lossy(&event.new.bytes))).collect()
    }
    let once = history(11).await;
    assert!(once.len() > 20);
    assert_eq!(once, history(11).await);
    assert_ne!(once, history(12).await);
}

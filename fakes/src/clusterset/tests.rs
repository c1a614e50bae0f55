use std::time::Duration;

use super::*;
use crate::cluster::{Cluster, ClusterOptions};
use crate::server::WriteOptions;
use crate::store::Key as Place;
use crate::{Clock, crds};

const GROUP: &str = "multicluster.x-k8s.io";
const OPTIONS: ClusterSetOptions =
    ClusterSetOptions { imports: Delay::between(2000, 2000), exports: Delay::between(500, 500) };

fn start(name: &str) -> Cluster {
    let clock = Clock::new("2026-01-01T00:00:00Z".parse().unwrap(), 1);
    Cluster::start(ClusterOptions { name: name.to_owned(), ..ClusterOptions::new(clock) })
}

async fn create(cluster: &Cluster, group: &str, plural: &str, object: Value) {
    cluster.api().create(&GroupResource::new(group, plural), object, &WriteOptions::manager("test")).await.unwrap();
}

async fn delete(cluster: &Cluster, plural: &str) {
    let key = Place::new(&GroupResource::new(GROUP, plural), "default", "web");
    cluster.api().delete(&key, &DeleteOptions::default()).await.unwrap();
}

fn service(port: u16) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": { "name": "web", "namespace": "default" },
        "spec": { "selector": { "app": "web" }, "ports": [{ "name": "http", "port": port, "targetPort": 8080 }] },
    })
}

fn export() -> Value {
    json!({ "apiVersion": API, "kind": "ServiceExport", "metadata": { "name": "web", "namespace": "default" } })
}

/// The import of a cluster: its ports and the clusters that export.
fn import(cluster: &Cluster) -> Option<(Value, Vec<String>)> {
    let stored = cluster.store().find(&GroupResource::new(GROUP, "serviceimports"), "default", "web")?;
    let clusters = list(&stored.value["status"]["clusters"]).iter();
    let clusters = clusters.map(|it| it["cluster"].as_str().unwrap().to_owned()).collect();
    Some((stored.value["spec"]["ports"][0].clone(), clusters))
}

fn valid(cluster: &Cluster) -> String {
    let stored = cluster.store().find(&GroupResource::new(GROUP, "serviceexports"), "default", "web").unwrap();
    let condition = &stored.value["status"]["conditions"][0];
    format!("{} {}", condition["status"].as_str().unwrap_or("?"), condition["reason"].as_str().unwrap_or("?"))
}

#[tokio::test(start_paused = true)]
async fn what_some_export_all_import() {
    let (hub, east, west) = (start("hub"), start("east"), start("west"));
    for definition in
        [&hub, &east, &west].iter().flat_map(|cluster| crds::multicluster().iter().map(move |crd| (cluster, crd)))
    {
        definition.0.api().install_crd(definition.1.clone()).await.unwrap();
    }
    let all = [("hub", hub.api()), ("east", east.api()), ("west", west.api())];
    tokio::spawn(ClusterSet::new(all, OPTIONS, 1).unwrap().run());
    create(&east, "", "services", service(80)).await;
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert_eq!(import(&hub), None, "a Service that nobody exports");

    create(&east, GROUP, "serviceexports", export()).await;
    create(&west, GROUP, "serviceexports", export()).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!((valid(&east), valid(&west)), ("True Valid".into(), "False NoService".into()));
    assert_eq!(import(&hub), None, "it takes its time");
    tokio::time::sleep(Duration::from_secs(2)).await;
    let port = json!({ "name": "http", "protocol": "TCP", "port": 80 });
    assert_eq!(import(&hub), Some((port.clone(), vec!["east".into()])));
    assert_eq!(import(&west), import(&hub));

    create(&west, "", "services", service(80)).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(valid(&west), "True Valid");
    assert_eq!(import(&hub), Some((port.clone(), vec!["east".into(), "west".into()])));
    let revision = hub.store().revision();
    tokio::time::sleep(Duration::from_mins(10)).await;
    assert_eq!(hub.store().revision(), revision, "what was said once is not said again");

    delete(&hub, "serviceimports").await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(import(&hub).is_some(), "it is made anew");
    delete(&east, "serviceexports").await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(import(&hub), Some((port, vec!["west".into()])));
    delete(&west, "serviceexports").await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(import(&hub), None);
}

#[tokio::test(start_paused = true)]
async fn what_somebody_made_is_left_alone() {
    let hub = start("hub");
    for crd in crds::multicluster() {
        hub.api().install_crd(crd.clone()).await.unwrap();
    }
    tokio::spawn(ClusterSet::new([("hub", hub.api())], OPTIONS, 1).unwrap().run());
    let spec = json!({ "type": "ClusterSetIP", "ports": [{ "port": 443 }] });
    let metadata = json!({ "name": "web", "namespace": "default" });
    let theirs = json!({ "apiVersion": API, "kind": "ServiceImport", "metadata": metadata, "spec": spec });
    create(&hub, GROUP, "serviceimports", theirs).await;
    create(&hub, "", "services", service(80)).await;
    create(&hub, GROUP, "serviceexports", export()).await;
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert_eq!(import(&hub), Some((json!({ "protocol": "TCP", "port": 443 }), vec![])));
    delete(&hub, "serviceexports").await;
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert!(import(&hub).is_some());
}

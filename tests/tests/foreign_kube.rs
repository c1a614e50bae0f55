//! kube-rs' own watcher, reflector, `Controller`, finalizer and leases, against the fake as it is served and against a real
//! API server: the same expectations hold for both.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use futures::{Stream, StreamExt, TryStreamExt, pin_mut};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{Api, DeleteParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::runtime::controller::{Action, Controller};
use kube::runtime::finalizer::{Event as Finalizing, finalizer};
use kube::runtime::{WatchStreamExt, reflector, watcher};
use kube::{Client, Resource, ResourceExt};
use serde_json::json;
use slipway_fakes::{Clock, Cluster, ClusterOptions};
use slipway_tests::control_plane::ControlPlane;
use tokio::net::TcpListener;

/// Nothing here takes this long, unless it never comes.
const PATIENCE: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(50);

#[tokio::test(flavor = "multi_thread")]
async fn kube_works_with_the_fake() -> Result<()> {
    #[expect(clippy::disallowed_methods, reason = "the clients under test wait in real time")]
    let cluster = Cluster::start(ClusterOptions::new(Clock::new(jiff::Timestamp::now(), 1)));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let mut config = kube::Config::new(format!("http://{}", listener.local_addr()?).parse()?);
    config.default_retry = false;
    let _served = cluster.api().serve(listener);
    everything(&Client::try_from(config)?).await
}

#[tokio::test(flavor = "multi_thread")]
async fn kube_works_with_a_real_api_server() -> Result<()> {
    let plane = ControlPlane::start("real").await?;
    everything(&plane.client()?).await
}

async fn everything(client: &Client) -> Result<()> {
    for (name, config) in
        [("listed", watcher::Config::default()), ("streamed", watcher::Config::default().streaming_lists())]
    {
        soon(name, a_watcher_follows(client, name, config.clone().labels(&format!("test={name}")))).await?;
        soon(name, a_reflector_holds_what_is_there(client, &format!("{name}-store"), config)).await?;
    }
    soon("controller", a_controller_keeps_what_it_owns(client)).await?;
    soon("lease", a_lease_has_one_holder(client)).await
}

async fn soon(what: &str, work: impl Future<Output = Result<()>>) -> Result<()> {
    tokio::time::timeout(PATIENCE, work)
        .await
        .with_context(|| format!("{what} never ends"))?
        .with_context(|| what.to_owned())
}

fn map(name: &str, test: &str) -> ConfigMap {
    ConfigMap {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            labels: Some(BTreeMap::from([("test".to_owned(), test.to_owned())])),
            ..ObjectMeta::default()
        },
        ..ConfigMap::default()
    }
}

/// The next event of a watcher in a few words.
async fn next(stream: &mut (impl Stream<Item = watcher::Result<watcher::Event<ConfigMap>>> + Unpin)) -> Result<String> {
    let event = stream.try_next().await?.context("the watcher ended")?;
    Ok(match event {
        watcher::Event::Init => "init".to_owned(),
        watcher::Event::InitApply(map) => format!("there {}", map.name_any()),
        watcher::Event::InitDone => "done".to_owned(),
        watcher::Event::Apply(map) => format!("set {}", map.name_any()),
        watcher::Event::Delete(map) => format!("gone {}", map.name_any()),
    })
}

async fn a_watcher_follows(client: &Client, test: &str, config: watcher::Config) -> Result<()> {
    let maps: Api<ConfigMap> = Api::default_namespaced(client.clone());
    let (a, b, c) = (format!("{test}-a"), format!("{test}-b"), format!("{test}-c"));
    for name in [&b, &a] {
        maps.create(&PostParams::default(), &map(name, test)).await?;
    }
    let stream = watcher(maps.clone(), config);
    pin_mut!(stream);
    let mut first = next(&mut stream).await?;
    if first == "init" {
        // A list has a beginning; a stream just begins.
        first = next(&mut stream).await?;
    }
    ensure!(first == format!("there {a}"), "{first}, not there {a}");
    for expected in [format!("there {b}"), "done".to_owned()] {
        let seen = next(&mut stream).await?;
        ensure!(seen == expected, "{seen}, not {expected}");
    }
    maps.create(&PostParams::default(), &map(&c, test)).await?;
    let leave = json!({ "metadata": { "labels": { "test": "other" } } });
    maps.patch(&a, &PatchParams::default(), &Patch::Merge(leave)).await?;
    maps.patch(&b, &PatchParams::default(), &Patch::Merge(json!({ "data": { "k": "v" } }))).await?;
    maps.delete(&c, &DeleteParams::default()).await?;
    for expected in [format!("set {c}"), format!("gone {a}"), format!("set {b}"), format!("gone {c}")] {
        let seen = next(&mut stream).await?;
        ensure!(seen == expected, "{seen}, not {expected}");
    }
    Ok(())
}

async fn a_reflector_holds_what_is_there(client: &Client, test: &str, config: watcher::Config) -> Result<()> {
    let maps: Api<ConfigMap> = Api::default_namespaced(client.clone());
    maps.create(&PostParams::default(), &map(&format!("{test}-a"), test)).await?;
    let (store, writer) = reflector::store();
    let stream = watcher(maps.clone(), config.labels(&format!("test={test}"))).reflect(writer).applied_objects();
    let follow = tokio::spawn(stream.for_each(|_| std::future::ready(())));
    store.wait_until_ready().await?;
    ensure!(store.len() == 1, "{} at first", store.len());
    maps.create(&PostParams::default(), &map(&format!("{test}-b"), test)).await?;
    while store.len() < 2 {
        tokio::time::sleep(POLL).await;
    }
    maps.delete(&format!("{test}-a"), &DeleteParams::default()).await?;
    while store.len() > 1 {
        tokio::time::sleep(POLL).await;
    }
    ensure!(store.state()[0].name_any() == format!("{test}-b"), "the wrong one is left");
    follow.abort();
    Ok(())
}

const FINALIZER: &str = "example.com/clean-up";

/// A controller that gives every config map with a label a secret, and takes note when it cleaned up.
async fn a_controller_keeps_what_it_owns(client: &Client) -> Result<()> {
    let maps: Api<ConfigMap> = Api::default_namespaced(client.clone());
    let secrets: Api<Secret> = Api::default_namespaced(client.clone());
    let selected = watcher::Config::default().labels("test=controller");
    let controller = Controller::new(maps.clone(), selected)
        .owns(secrets.clone(), watcher::Config::default())
        .run(reconcile, |_, _, _| Action::requeue(POLL), Arc::new(client.clone()))
        .for_each(|_| std::future::ready(()));
    let controller = tokio::spawn(controller);
    maps.create(&PostParams::default(), &map("owner", "controller")).await?;
    let first = until("the secret is there", || async { Ok(secrets.get_opt("owned").await?) }).await?;
    ensure!(maps.get("owner").await?.finalizers() == [FINALIZER], "no finalizer");
    secrets.delete("owned", &DeleteParams::default()).await?;
    until("the secret is there again", || async {
        Ok(secrets.get_opt("owned").await?.filter(|second| second.uid() != first.uid()))
    })
    .await?;
    maps.delete("owner", &DeleteParams::default()).await?;
    until("the owner is gone", || async { Ok(if maps.get_opt("owner").await?.is_none() { Some(()) } else { None }) })
        .await?;
    ensure!(maps.get_opt("cleaned-up").await?.is_some(), "gone before it was cleaned up");
    controller.abort();
    Ok(())
}

async fn reconcile(
    owner: Arc<ConfigMap>,
    client: Arc<Client>,
) -> Result<Action, Box<kube::runtime::finalizer::Error<kube::Error>>> {
    let maps: Api<ConfigMap> = Api::default_namespaced((*client).clone());
    let secrets: Api<Secret> = Api::default_namespaced((*client).clone());
    finalizer(&maps, FINALIZER, owner, async |event| {
        match event {
            Finalizing::Apply(owner) => {
                let secret = json!({
                    "apiVersion": "v1", "kind": "Secret",
                    "metadata": { "name": "owned", "ownerReferences": [owner.controller_owner_ref(&())] }
                });
                secrets.patch("owned", &PatchParams::apply("controller"), &Patch::Apply(secret)).await?;
            }
            Finalizing::Cleanup(_) => {
                maps.create(&PostParams::default(), &map("cleaned-up", "other")).await?;
            }
        }
        Ok(Action::await_change())
    })
    .await
    .map_err(Box::new)
}

async fn until<T, F: Future<Output = Result<Option<T>>>>(what: &str, look: impl Fn() -> F) -> Result<T> {
    for _ in 0..PATIENCE.as_millis() / POLL.as_millis() {
        if let Some(found) = look().await? {
            return Ok(found);
        }
        tokio::time::sleep(POLL).await;
    }
    bail!("never: {what}")
}

async fn a_lease_has_one_holder(client: &Client) -> Result<()> {
    let leases: Api<Lease> = Api::default_namespaced(client.clone());
    let lease = json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": { "name": "leader" },
        "spec": { "holderIdentity": "first", "leaseDurationSeconds": 15, "renewTime": "2026-01-01T00:00:00.000001Z" }
    });
    let lease: Lease = serde_json::from_value(lease)?;
    let held = leases.create(&PostParams::default(), &lease).await?;
    let taken = leases.create(&PostParams::default(), &lease).await;
    ensure!(matches!(&taken, Err(kube::Error::Api(status)) if status.is_already_exists()), "{taken:?}");
    let take = |lease: &Lease, name: &str| {
        let mut lease = lease.clone();
        lease.spec.get_or_insert_default().holder_identity = Some(name.to_owned());
        lease
    };
    let won = leases.replace("leader", &PostParams::default(), &take(&held, "second")).await?;
    let lost = leases.replace("leader", &PostParams::default(), &take(&held, "third")).await;
    ensure!(matches!(&lost, Err(kube::Error::Api(status)) if status.is_conflict()), "{lost:?}");
    let spec = won.spec.context("the lease has no spec")?;
    ensure!(spec.holder_identity.as_deref() == Some("second"), "{spec:?}");
    let renewed = serde_json::to_value(&spec)?["renewTime"].clone();
    ensure!(renewed == "2026-01-01T00:00:00.000001Z", "the microseconds are gone: {renewed}");
    Ok(())
}

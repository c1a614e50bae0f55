//! A rogue that writes in the operator's name, for the defects that no change on the wire can show.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde_json::json;
use tokio::time::sleep;

use crate::{
    facts::{Facts, Who, has_begun},
    link::Wire,
    recorder::Recorder,
    sabotage::Sabotage,
    scenario::{HUB, Kind},
    site::{Patch, Site},
};

/// Does its deed once its moment has come.
pub(crate) async fn act(sabotage: Sabotage, sites: BTreeMap<String, (Site, Arc<Wire>)>, recorder: Recorder) {
    match sabotage {
        Sabotage::PodsDeleted => delete_pods(&sites, &recorder).await,
        Sabotage::BatchSetBack => set_back(&sites, &recorder).await,
        Sabotage::WritesAtRest => write_on(&sites, &recorder).await,
        Sabotage::AnnotationLeft => leave(&sites, &recorder).await,
        Sabotage::ErrorLogged => tracing::error!("a defect"),
        Sabotage::Panic => panic!("a defect"),
        Sabotage::PartitionTooLow
        | Sabotage::UnavailableTooHigh
        | Sabotage::CanaryTooLarge
        | Sabotage::BreakpointIgnored
        | Sabotage::HookIgnored
        | Sabotage::HookKeyChanged
        | Sabotage::ShareTooHigh
        | Sabotage::ShareTooEarly
        | Sabotage::RuleDropped
        | Sabotage::WritesSwallowed => {}
    }
}

async fn delete_pods(sites: &BTreeMap<String, (Site, Arc<Wire>)>, recorder: &Recorder) {
    recorder.until(|facts| facts.newest_run().is_some_and(|run| has_begun(&run.state))).await;
    let pods = |facts: &Facts| {
        let serving =
            facts.workloads.iter().find(|(_, workload)| workload.pods.values().filter(|p| p.ready()).count() > 2);
        serving.map(|(id, workload)| (id.cluster.clone(), workload.pods.keys().take(3).cloned().collect::<Vec<_>>()))
    };
    let Some((cluster, pods)) = recorder.facts(pods) else { return };
    let (Some((site, _)), Ok(kind)) = (sites.get(&cluster), Kind::find("Pod")) else { return };
    for pod in pods {
        recorder.trace(&format!("- rogue deletes {pod}: {:?}", site.delete(Who::Operator, kind, &pod).await.err()));
    }
}

async fn set_back(sites: &BTreeMap<String, (Site, Arc<Wire>)>, recorder: &Recorder) {
    recorder.until(|facts| facts.newest_run().is_some_and(|run| run.index > 0)).await;
    let Some(name) = recorder.facts(|facts| facts.newest_run().map(|run| run.name.clone())) else { return };
    let body = json!({"status": {"batchStatus": {"currentBatchIndex": 0}}});
    patch_hub(sites, "RolloutRun", &format!("{name}/status"), &body, recorder).await;
}

async fn leave(sites: &BTreeMap<String, (Site, Arc<Wire>)>, recorder: &Recorder) {
    recorder.until(|facts| facts.rollouts.values().any(|rollout| rollout.gone)).await;
    let workload = recorder.facts(|facts| facts.workloads.keys().next().cloned());
    let Some((id, (site, _))) = workload.and_then(|id| sites.get(&id.cluster).map(|site| (id, site))) else { return };
    let Ok(kind) = Kind::find("StatefulSet") else { return };
    let body = json!({"metadata": {"annotations": {"rollout.kusionstack.io/name": "gone"}}});
    let result = site.patch(Who::Operator, kind, &id.name, Patch::Merge, &body).await;
    recorder.trace(&format!("- rogue patches {id}: {:?}", result.err()));
}

async fn write_on(sites: &BTreeMap<String, (Site, Arc<Wire>)>, recorder: &Recorder) {
    let Some(name) = recorder.facts(|facts| facts.rollouts.keys().next().cloned()) else { return };
    for count in 0_u32.. {
        sleep(Duration::from_secs(10)).await;
        recorder.sent("hub: PATCH rollouts by the rogue");
        let body = json!({"metadata": {"annotations": {"example.com/count": count.to_string()}}});
        patch_hub(sites, "Rollout", &name, &body, recorder).await;
    }
}

async fn patch_hub(
    sites: &BTreeMap<String, (Site, Arc<Wire>)>,
    kind: &str,
    name: &str,
    body: &serde_json::Value,
    recorder: &Recorder,
) {
    let (Some((hub, _)), Ok(kind)) = (sites.get(HUB), Kind::find(kind)) else { return };
    let result = hub.patch(Who::Operator, kind, name, Patch::Merge, body).await;
    recorder.trace(&format!("- rogue patches {name}: {:?}", result.err()));
}

//! What a type cannot say: names that must exist, values that must be given together.

use serde_json::Value;

use super::{Action, HUB, ImageIn, Kind, ObjectRef, Scenario, Step, Strike, Time, cluster_name};
use crate::{coverage, invariants, operator};

type Problem = (String, String);

/// Finds the first problem of a scenario that parsed.
pub(super) fn check(scenario: &Scenario) -> Result<(), Problem> {
    names(scenario)?;
    objects(scenario)?;
    clients(scenario)?;
    for (index, step) in scenario.timeline.iter().enumerate() {
        let field = format!("timeline[{index}]");
        step_waits(&field, step)?;
        action(scenario, &format!("{field}.do"), &step.action)?;
        if let Some(workload) = step.when.as_ref().and_then(|when| when.workload.as_ref()) {
            known_workload(scenario, &format!("{field}.when.workload"), workload)?;
        }
    }
    ends(scenario)
}

fn names(scenario: &Scenario) -> Result<(), Problem> {
    let mut seen = std::collections::BTreeSet::new();
    for (index, cluster) in scenario.clusters.iter().enumerate() {
        let field = format!("clusters[{index}].name");
        if cluster.name == HUB || cluster.name.is_empty() || cluster.name.contains('/') {
            return fail(
                &field,
                format!("`{}` cannot name a member: choose a name without `/` that is not `hub`", cluster.name),
            );
        }
        if !seen.insert(&cluster.name) {
            return fail(&field, format!("`{}` is there twice: give every cluster a name of its own", cluster.name));
        }
    }
    Ok(())
}

fn objects(scenario: &Scenario) -> Result<(), Problem> {
    if let Some(application) = &scenario.application {
        for (index, workload) in application.workloads.iter().enumerate() {
            known_cluster(scenario, &format!("application.workloads[{index}].cluster"), workload.cluster.as_deref())?;
        }
        if !application.strategy.is_object() {
            return fail("application.strategy", "is no map: write the fields of a RolloutStrategy, such as `batch:`");
        }
        if !(application.rollout.is_object() || application.rollout.is_null()) {
            return fail(
                "application.rollout",
                "is no map: write fields of a Rollout's spec, such as `triggerPolicy:`",
            );
        }
    }
    for (index, object) in scenario.objects.iter().enumerate() {
        known_cluster(scenario, &format!("objects[{index}].cluster"), object.cluster.as_deref())?;
        manifest(&format!("objects[{index}].manifest"), &object.manifest)?;
    }
    Ok(())
}

fn clients(scenario: &Scenario) -> Result<(), Problem> {
    let mut seen = std::collections::BTreeSet::new();
    for (index, client) in scenario.clients.iter().enumerate() {
        let field = format!("clients[{index}]");
        known_gateway(scenario, &field, client.cluster.as_deref())?;
        if !seen.insert(&client.name) {
            return fail(&field, format!("`{}` is there twice: give every client a name of its own", client.name));
        }
        if client.every == Time::default() {
            return fail(&format!("{field}.every"), "leaves no time between requests: write for example `200ms`");
        }
    }
    Ok(())
}

/// The cluster that something names has a gateway.
fn known_gateway(scenario: &Scenario, field: &str, cluster: Option<&str>) -> Result<(), Problem> {
    let field = format!("{field}.cluster");
    known_cluster(scenario, &field, cluster)?;
    let cluster = cluster_name(cluster);
    if scenario.gateway(&cluster).is_some() {
        return Ok(());
    }
    fail(&field, format!("{cluster} has no gateway: give it `gateway: {{}}`"))
}

fn step_waits(field: &str, step: &Step) -> Result<(), Problem> {
    if step.at.is_none() && step.when.is_none() && step.after.is_none() {
        return fail(field, "has no time: write `at:`, `after:` or `when:`");
    }
    if step.at.is_some() && step.after.is_some() {
        return fail(field, "has both `at` and `after`: keep one");
    }
    Ok(())
}

fn action(scenario: &Scenario, field: &str, action: &Action) -> Result<(), Problem> {
    match action {
        Action::SetImage(set) if set.workloads.is_empty() && scenario.application.is_none() => {
            fail(&format!("{field}.set-image.workloads"), "names no workload: write for example `[east/web]`")
        }
        Action::SetImage(set) => {
            set.workloads.iter().try_for_each(|w| known_workload(scenario, &format!("{field}.set-image.workloads"), w))
        }
        Action::Scale(scale) => known_workload(scenario, &format!("{field}.scale.workload"), &scale.workload),
        Action::Annotate(a) => {
            kind(&format!("{field}.annotate.kind"), &a.kind)?;
            known_cluster(scenario, &format!("{field}.annotate.cluster"), a.cluster.as_deref())
        }
        Action::Patch(p) => {
            kind(&format!("{field}.patch.kind"), &p.kind)?;
            known_cluster(scenario, &format!("{field}.patch.cluster"), p.cluster.as_deref())
        }
        Action::InstallCrds(install) => {
            known_cluster(scenario, &format!("{field}.install-crds.cluster"), install.cluster.as_deref())
        }
        Action::Create(object) => {
            known_cluster(scenario, &format!("{field}.create.cluster"), object.cluster.as_deref())?;
            manifest(&format!("{field}.create.manifest"), &object.manifest)
        }
        Action::Delete(object) => known_object(scenario, &format!("{field}.delete"), object),
        Action::Fault(strike) => fault(scenario, &format!("{field}.fault"), strike),
        Action::SetHook(set) => known_hook(scenario, &format!("{field}.set-hook.name"), &set.name),
        Action::SetGateway(set) => known_gateway(scenario, &format!("{field}.set-gateway"), set.cluster.as_deref()),
        Action::InjureActor(injure) => {
            operator::victim(injure).map(|_| ()).map_err(|problem| (format!("{field}.injure-actor"), problem))
        }
        Action::MarkBadImage(image) | Action::MarkGoodImage(image) => match image {
            ImageIn::Everywhere(_) => Ok(()),
            ImageIn::Cluster { cluster, .. } => known_cluster(scenario, &format!("{field}.cluster"), Some(cluster)),
        },
        Action::Command(_) | Action::Trigger(_) | Action::CrashOperator(_) | Action::RestartOperator(_) => Ok(()),
    }
}

fn fault(scenario: &Scenario, field: &str, strike: &Strike) -> Result<(), Problem> {
    match strike {
        Strike::Unreachable(u) => known_cluster(scenario, &format!("{field}.unreachable.cluster"), Some(&u.cluster)),
        Strike::DropWatches(at) | Strike::ExpireWatches(at) => {
            known_cluster(scenario, &format!("{field}.cluster"), at.cluster.as_deref())
        }
        Strike::LoseRequests(next) | Strike::LoseResponses(next) | Strike::Conflict(next) => {
            known_cluster(scenario, &format!("{field}.cluster"), Some(&next.cluster))
        }
        Strike::Answer(next) if ![429, 500, 503].contains(&next.status) => fail(
            &format!("{field}.answer.status"),
            format!("{} cannot be answered: write 429, 500 or 503", next.status),
        ),
        Strike::Answer(next) => known_cluster(scenario, &format!("{field}.answer.cluster"), Some(&next.cluster)),
        Strike::LoseReadiness(pod) => known_object(scenario, &format!("{field}.lose-readiness"), pod),
    }
}

fn ends(scenario: &Scenario) -> Result<(), Problem> {
    let swarm = &scenario.faults;
    let first = swarm.ratios().into_iter().find(|(_, ratio)| ratio.hits > 0);
    match (first, swarm.until) {
        (Some((name, _)), None) => {
            return fail(
                "faults.until",
                format!("is missing, but `{name}` strikes: say when faults stop, for example `2m`"),
            );
        }
        (_, Some(until)) if until >= scenario.until => {
            return fail("faults.until", "must be before `until`, so that there is time to recover");
        }
        _ => {}
    }
    if scenario.until == Time::default() {
        return fail("until", "leaves no time: write for example `30m`");
    }
    for workload in scenario.expect.workloads.keys() {
        known_workload(scenario, &format!("expect.workloads.{workload}"), workload)?;
    }
    for name in scenario.expect.clients.keys() {
        if !scenario.clients.iter().any(|client| client.name == *name) {
            return fail(&format!("expect.clients.{name}"), "is no client: name one of `clients`");
        }
    }
    for name in &scenario.expect.reached {
        coverage::find(name).map_err(|problem| ("expect.reached".to_owned(), problem))?;
    }
    for name in scenario.except.keys() {
        invariants::find(name).map_err(|problem| (format!("except.{name}"), problem))?;
    }
    Ok(())
}

fn manifest(field: &str, manifest: &Value) -> Result<(), Problem> {
    Kind::of(manifest).map_err(|problem| (field.to_owned(), problem))?;
    match manifest["metadata"]["name"].as_str() {
        Some(_) => Ok(()),
        None => fail(field, "has no metadata.name: name the object"),
    }
}

fn kind(field: &str, name: &str) -> Result<(), Problem> {
    Kind::find(name).map(|_| ()).map_err(|problem| (field.to_owned(), problem))
}

fn known_object(scenario: &Scenario, field: &str, object: &ObjectRef) -> Result<(), Problem> {
    kind(&format!("{field}.kind"), &object.kind)?;
    known_cluster(scenario, &format!("{field}.cluster"), object.cluster.as_deref())
}

fn known_cluster(scenario: &Scenario, field: &str, name: Option<&str>) -> Result<(), Problem> {
    let Some(name) = name.filter(|name| *name != HUB) else { return Ok(()) };
    if scenario.clusters.iter().any(|cluster| cluster.name == name) {
        return Ok(());
    }
    let known: Vec<_> = std::iter::once(HUB).chain(scenario.clusters.iter().map(|c| c.name.as_str())).collect();
    fail(field, format!("unknown cluster `{name}`: use one of {}, or add it under `clusters`", known.join(", ")))
}

fn known_hook(scenario: &Scenario, field: &str, name: &str) -> Result<(), Problem> {
    if scenario.hooks.contains_key(name) {
        return Ok(());
    }
    let known: Vec<_> = scenario.hooks.keys().map(String::as_str).collect();
    fail(field, format!("unknown hook `{name}`: use one of {}, or add it under `hooks`", known.join(", ")))
}

fn known_workload(scenario: &Scenario, field: &str, text: &str) -> Result<(), Problem> {
    let Some((cluster, name)) = text.split_once('/') else {
        return fail(field, format!("`{text}` is no workload: write cluster/name, for example `east/web`"));
    };
    known_cluster(scenario, field, Some(cluster))?;
    let exists = scenario.manifests().iter().any(|(at, object)| at == cluster && object["metadata"]["name"] == name);
    if exists {
        Ok(())
    } else {
        fail(field, format!("there is no workload `{text}` at the start: check cluster and name"))
    }
}

fn fail<T>(field: &str, problem: impl Into<String>) -> Result<T, Problem> {
    Err((field.to_owned(), problem.into()))
}

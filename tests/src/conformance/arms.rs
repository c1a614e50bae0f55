//! The two API servers that scripts are run on.

use std::collections::BTreeSet;

use anyhow::Result;
use futures::{StreamExt, stream};
use kube::Client;
use slipway_fakes::controllers::{self, ControllerOptions};
use slipway_fakes::kubelet::{Kubelet as FakeKubelet, KubeletOptions};
use slipway_fakes::{ApiServer, Clock};

use super::run::run;
use super::script::{Script, Transcript};
use crate::control_plane::ControlPlane;
use crate::kubelet::Kubelet;

/// Pods of this image never become ready, on both arms.
const BAD_IMAGE: &str = "app:bad";

/// A real control plane. Scripts share it, each in a namespace of its own.
pub struct Real {
    client: Client,
    /// Listed before the servers it talks to, so that it ends first.
    _kubelet: Option<Kubelet>,
    _plane: ControlPlane,
}

impl Real {
    /// Starts one; `alone`, without controllers and kubelet.
    pub async fn start(alone: bool) -> Result<Self> {
        let plane = if alone { ControlPlane::start_alone("alone").await? } else { ControlPlane::start("real").await? };
        // So that there are revisions that are forgotten.
        plane.compact().await?;
        let bad_images = BTreeSet::from([BAD_IMAGE.to_owned()]);
        let kubelet = (!alone).then(|| Ok::<_, anyhow::Error>(Kubelet::with_bad_images(plane.client()?, bad_images)));
        Ok(Self { client: plane.client()?, _kubelet: kubelet.transpose()?, _plane: plane })
    }

    /// Runs a script.
    pub async fn run(&self, script: &Script) -> Result<Transcript> {
        run(&self.client, script).await
    }
}

/// Runs scripts at the same time, on the real control planes that they need. What became of each is in their order.
pub async fn on_real(scripts: &[Script]) -> Result<Vec<Result<Transcript>>> {
    let needs = |alone| scripts.iter().any(|script| script.alone == alone);
    let start = async |alone| if needs(alone) { Real::start(alone).await.map(Some) } else { Ok(None) };
    let (alone, together) = (start(true).await?, start(false).await?);
    let (alone, together) = (&alone, &together);
    let runs = stream::iter(scripts).map(|script| async move {
        match if script.alone { alone } else { together } {
            Some(real) => real.run(script).await,
            None => anyhow::bail!("no control plane for script `{}`", script.name),
        }
    });
    Ok(runs.buffered(scripts.len().max(1)).collect().await)
}

/// Runs a script in virtual time, on a fake cluster of its own.
pub fn on_fake(script: &Script) -> Result<Transcript> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    runtime.block_on(async {
        let api = ApiServer::new(1, Clock::new("2026-01-01T00:00:00Z".parse()?, 1));
        // As on the real arm, so that there are revisions that are forgotten.
        api.store().compact(api.store().revision());
        if !script.alone {
            let bad_images = BTreeSet::from([BAD_IMAGE.to_owned()]);
            let options = KubeletOptions { bad_images, ..KubeletOptions::default() };
            tokio::spawn(FakeKubelet::new(&api, options, 1).run());
            tokio::spawn(controllers::run(api.clone(), ControllerOptions::default(), 1));
        }
        run(&api.client(), script).await
    })
}

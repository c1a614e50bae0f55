//! The demo's hooks: endpoints in this process, so that it needs no network.

use futures::future::BoxFuture;
use slipway_actors::world::{Http, HttpAnswer, HttpCall};
use slipway_fakes::{
    Clock,
    hooks::{Endpoints, Turn},
};

/// The seed of what endpoints draw.
const SEED: u64 = 1;

/// The way to them.
pub(crate) struct InProcess(Endpoints);

impl InProcess {
    /// Endpoints by host name, each with its answers.
    pub(crate) fn new(clock: &Clock, endpoints: impl IntoIterator<Item = (&'static str, Vec<Turn>)>) -> Self {
        let all = Endpoints::new(clock.clone(), SEED);
        for (host, turns) in endpoints {
            all.program(host, turns);
        }
        Self(all)
    }
}

impl Http for InProcess {
    fn post(&self, call: HttpCall) -> BoxFuture<'static, Result<HttpAnswer, String>> {
        let endpoints = self.0.clone();
        Box::pin(async move {
            let turn = endpoints.take_in(&call.url)?;
            let (status, body) = endpoints.answer(&turn, &call.body).await?;
            Ok(HttpAnswer { status, body })
        })
    }
}

//! Clients: somebody who sends requests, one after the other, and counts what becomes of them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::backend::Endpoint;
use super::configuration::Answer;
use super::dice::Dice;
use super::request::Request;
use super::{Gateway, lock};

/// The stream that a client draws from.
const CONCERN: u64 = 0x6777_0004;

/// How a client behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientOptions {
    /// What it sends.
    pub request: Request,
    /// How long it waits before each request.
    pub interval: Duration,
}

impl ClientOptions {
    /// Ten requests a second.
    pub fn new(request: Request) -> Self {
        Self { request, interval: Duration::from_millis(100) }
    }
}

/// What became of requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Answers by HTTP status.
    pub statuses: BTreeMap<u16, u64>,
    /// Requests that pods answered.
    pub pods: BTreeMap<Arc<Endpoint>, u64>,
    /// Copies that pods got beside that.
    pub mirrored: BTreeMap<Arc<Endpoint>, u64>,
}

impl Counts {
    /// All requests.
    pub fn requests(&self) -> u64 {
        self.statuses.values().sum()
    }

    /// Answers of this status or above.
    pub fn errors(&self, from: u16) -> u64 {
        self.statuses.range(from..).map(|(_, count)| count).sum()
    }

    /// Answered requests by the value that pods have for a label; empty for those without it.
    pub fn by_label(&self, label: &str) -> BTreeMap<String, u64> {
        by(&self.pods, |pod| pod.labels.get(label).cloned().unwrap_or_default())
    }

    /// Answered requests by the pods' image.
    pub fn by_image(&self) -> BTreeMap<String, u64> {
        by(&self.pods, |pod| pod.image.clone())
    }

    /// Copies by the pods' image.
    pub fn mirrored_by_image(&self) -> BTreeMap<String, u64> {
        by(&self.mirrored, |pod| pod.image.clone())
    }

    fn count(&mut self, answer: &Answer) {
        *self.statuses.entry(answer.status).or_default() += 1;
        if let Some(pod) = &answer.pod {
            *self.pods.entry(pod.clone()).or_default() += 1;
        }
        for (_, pod) in &answer.mirrored {
            *self.mirrored.entry(pod.clone()).or_default() += 1;
        }
    }
}

fn by(pods: &BTreeMap<Arc<Endpoint>, u64>, key: impl Fn(&Endpoint) -> String) -> BTreeMap<String, u64> {
    let mut sums = BTreeMap::new();
    for (pod, count) in pods {
        *sums.entry(key(pod)).or_default() += count;
    }
    sums
}

/// A client of one gateway. Clones share their counts.
#[derive(Clone, Debug)]
pub struct Client {
    gateway: Gateway,
    options: ClientOptions,
    seed: u64,
    counts: Arc<Mutex<Counts>>,
}

impl Client {
    /// A client that has sent nothing yet. It sends while [`Client::run`] is polled.
    pub fn new(gateway: &Gateway, options: ClientOptions, seed: u64) -> Self {
        Self { gateway: gateway.clone(), options, seed, counts: Arc::default() }
    }

    /// What became of its requests so far.
    pub fn counts(&self) -> Counts {
        lock(&self.counts).clone()
    }

    /// Sends requests until the task is dropped.
    pub async fn run(self) {
        let mut dice = Dice::new(self.seed, CONCERN);
        let clock = self.gateway.shared.api.clock().clone();
        // A client without a pause would never let virtual time move on.
        let interval = self.options.interval.max(Duration::from_millis(1));
        loop {
            clock.sleep(interval).await;
            let mut answer = self.gateway.configuration().route(&self.options.request, &mut dice);
            if answer.pod.as_ref().is_some_and(|pod| !self.gateway.is_there(pod)) {
                (answer.status, answer.pod) = (503, None);
            }
            answer.mirrored.retain(|(_, pod)| self.gateway.is_there(pod));
            lock(&self.counts).count(&answer);
        }
    }
}

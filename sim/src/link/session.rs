//! One life of the operator, as the network sees it.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use bytes::Bytes;
use http::Request;
use kube::client::Body;
use tokio::sync::mpsc::UnboundedSender;
use tower::BoxError;

use super::{Wanted, Wire};
use crate::{
    coverage::Situation,
    operator::Order,
    random::Dice,
    recorder::Recorder,
    sabotage::{Sabotage, Tampered},
    scenario::Ratio,
};

/// What makes the operator crash at a write. Outlives incarnations.
pub(crate) struct Trap {
    /// At the so manieth write from now on, before or after it lands.
    pub(crate) armed: Option<(u32, bool)>,
    /// At any write.
    pub(crate) ratio: Ratio,
    /// When random crashes end.
    pub(crate) until: tokio::time::Instant,
    /// What they are drawn from.
    pub(crate) dice: Dice,
}

impl Trap {
    /// Whether the operator crashes at this write, and then whether the write lands.
    fn springs(&mut self) -> Option<bool> {
        let (hit, landed) = (self.dice.hits(self.ratio), self.dice.below(2) == 1);
        if hit && tokio::time::Instant::now() < self.until {
            return Some(landed);
        }
        let (left, landed) = self.armed?;
        self.armed = (left > 1).then_some((left.saturating_sub(1), landed));
        (left <= 1).then_some(landed)
    }
}

/// One life of the operator.
pub(crate) struct Session {
    open: AtomicBool,
    wires: Vec<Arc<Wire>>,
    recorder: Recorder,
    trap: Arc<Mutex<Trap>>,
    crashed: UnboundedSender<Order>,
    sabotage: Option<Sabotage>,
}

impl Session {
    pub(crate) fn new(
        wires: Vec<Arc<Wire>>,
        recorder: Recorder,
        trap: Arc<Mutex<Trap>>,
        crashed: UnboundedSender<Order>,
        sabotage: Option<Sabotage>,
    ) -> Self {
        Self { open: AtomicBool::new(true), wires, recorder, trap, crashed, sabotage }
    }

    /// Whether the operator lives.
    pub(crate) fn open(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }

    /// Lets nothing through any more, and ends all watches.
    pub(crate) fn close(&self) {
        self.open.store(false, Ordering::Relaxed);
        self.wires.iter().for_each(|wire| wire.cut());
    }

    /// Counts a write that is about to reach the API server. Answers whether the operator crashes at it, and then
    /// whether it lands.
    pub(super) fn at_write(&self, cluster: &str, wanted: &Wanted) -> Option<bool> {
        self.recorder.sent(&format!("{cluster}: {wanted}"));
        self.trap.lock().unwrap_or_else(PoisonError::into_inner).springs()
    }

    /// The operator dies here and now.
    pub(super) fn crash(&self, cluster: &str, wanted: &Wanted, landed: bool) {
        let (when, situation) = if landed {
            ("right after", Situation::CrashAfterWrite)
        } else {
            ("right before", Situation::CrashBeforeWrite)
        };
        self.recorder.tell("operator", &format!("crashes {when} {cluster}: {wanted} lands"));
        self.recorder.hit(situation);
        let place = match (wanted.plural.as_str(), wanted.verb) {
            ("rolloutruns", "POST") => Some(Situation::CrashAtRunCreation),
            ("rolloutruns", _) if wanted.status => Some(Situation::CrashAtRunStatus),
            ("statefulsets" | "deployments" | "clonesets" | "collasets" | "poddecorations", _) => {
                Some(Situation::CrashAtPartition)
            }
            _ => None,
        };
        if let Some(place) = place {
            self.recorder.hit(place);
        }
        self.close();
        // Nobody listening means that the run is over.
        let _ = self.crashed.send(Order::Bury);
    }

    /// What an operator with a defect sends instead.
    pub(super) async fn tamper(&self, request: Request<Body>, wanted: &Wanted) -> Result<Request<Body>, BoxError> {
        let Some(sabotage) = self.sabotage.filter(|_| wanted.write) else { return Ok(request) };
        let (parts, body) = request.into_parts();
        let bytes: Bytes = body.collect_bytes().await?;
        match sabotage.tamper(wanted, &bytes) {
            Tampered::Swallowed => Err("the write is swallowed".into()),
            Tampered::Changed(bytes) => Ok(Request::from_parts(parts, Body::from(bytes))),
            Tampered::Not => Ok(Request::from_parts(parts, Body::from(bytes))),
        }
    }
}

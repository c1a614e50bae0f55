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

/// What befalls the operator at a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blow {
    /// It crashes before the write lands.
    CrashBefore,
    /// It crashes once the write has landed.
    CrashAfter,
    /// The write lands, and the answer is lost.
    LoseAnswer,
}

/// What waits for the operator at its writes. Outlives incarnations.
pub(crate) struct Trap {
    /// At the so manieth write from now on.
    pub(crate) armed: Option<(u32, Blow)>,
    /// A crash at any write.
    pub(crate) ratio: Ratio,
    /// When random crashes end.
    pub(crate) until: tokio::time::Instant,
    /// What they are drawn from.
    pub(crate) dice: Dice,
}

impl Trap {
    /// What befalls the operator at this write.
    fn springs(&mut self) -> Option<Blow> {
        let (hit, landed) = (self.dice.hits(self.ratio), self.dice.below(2) == 1);
        if hit && tokio::time::Instant::now() < self.until {
            return Some(if landed { Blow::CrashAfter } else { Blow::CrashBefore });
        }
        let (left, blow) = self.armed?;
        self.armed = (left > 1).then_some((left.saturating_sub(1), blow));
        (left <= 1).then_some(blow)
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

    /// Counts a write that is about to reach the API server. Answers what befalls the operator at it.
    pub(super) fn at_write(&self, cluster: &str, wanted: &Wanted) -> Option<Blow> {
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
            ("httproutes" | "grpcroutes" | "ingresses", _) => Some(Situation::CrashAtRoute),
            ("services" | "serviceimports" | "inferencepools", _) => Some(Situation::CrashAtFork),
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

//! The wire between the operator and one API server: it takes time, and it fails as the plan says.
//!
//! One [`Wire`] per cluster lasts for the whole run; each incarnation of the operator has a [`Session`] and one
//! [`Link`] per wire. A request that reached the API server is completed by it in a task of its own: what the caller
//! does meanwhile, being killed included, does not matter to it. After a crash nothing of the old session reaches an
//! API server any more.

mod answer;
mod fate;
mod request;
mod session;
mod watch;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures::{FutureExt, future::BoxFuture};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, combinators::UnsyncBoxBody};
use kube::client::Body;
use tokio::{
    sync::Notify,
    time::{Instant, sleep, sleep_until},
};
use tower::{BoxError, Service, ServiceExt};

pub use self::session::Blow;
use self::{fate::Dices, watch::WatchBody};
pub(crate) use self::{
    fate::Plan,
    request::Wanted,
    session::{Session, Trap},
};
use crate::{
    coverage::Situation,
    facts::Who,
    marker::Marker,
    recorder::Recorder,
    scenario::{Hang, Strike},
};

/// An answer on its way to the operator.
pub(crate) type Answer = Response<UnsyncBoxBody<Bytes, BoxError>>;

/// The network to one cluster.
pub(crate) struct Wire {
    /// The cluster.
    pub(crate) cluster: String,
    recorder: Recorder,
    plan: Plan,
    state: Mutex<State>,
    /// Wakes watches to their end, in the order they began: tokio's own watch channel wakes in random order.
    cut: Arc<Notify>,
    /// Watches that stand.
    watches: Arc<AtomicU32>,
}

struct State {
    dices: Dices,
    dark: Option<(Instant, Hang)>,
    lose_requests: u32,
    lose_responses: u32,
    conflicts: u32,
    answers: Vec<u16>,
    expire: u32,
}

impl Wire {
    /// A wire that works. `lane` tells clusters apart in what is drawn.
    pub(crate) fn new(cluster: &str, recorder: Recorder, plan: Plan, seed: u64, lane: u32) -> Self {
        let state = State {
            dices: Dices::new(seed, lane),
            dark: None,
            lose_requests: 0,
            lose_responses: 0,
            conflicts: 0,
            answers: Vec::new(),
            expire: 0,
        };
        Self {
            cluster: cluster.to_owned(),
            recorder,
            plan,
            state: Mutex::new(state),
            cut: Arc::default(),
            watches: Arc::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends all watches without a word.
    pub(crate) fn cut(&self) {
        self.cut.notify_waiters();
    }

    /// Nothing passes for a while, and watches end.
    pub(crate) fn darken(&self, lasts: Duration, requests: Hang) {
        let cluster = &self.cluster;
        let until = Instant::now() + lasts;
        let mut state = self.lock();
        if state.dark.is_some_and(|(already, _)| already >= until) {
            return;
        }
        state.dark = Some((until, requests));
        drop(state);
        self.recorder.tell("fault", &format!("{cluster} cannot be reached for {}", crate::trace::seconds(lasts)));
        if cluster == crate::scenario::HUB {
            self.recorder.hit(Situation::UnreachableHub);
        }
        self.recorder.hit_if(Situation::UnreachableInBatch, crate::facts::Facts::in_batch);
        self.cut();
    }

    fn dark(&self) -> Option<(Instant, Hang)> {
        self.lock().dark.filter(|(until, _)| *until > Instant::now())
    }

    /// A scripted fault strikes here.
    pub(crate) fn strike(&self, strike: &Strike) {
        let mut state = self.lock();
        match strike {
            Strike::Unreachable(dark) => {
                drop(state);
                self.darken(dark.lasts.0, dark.requests);
            }
            Strike::DropWatches(_) => {
                drop(state);
                self.recorder.hit(Situation::WatchDropped);
                self.cut();
            }
            Strike::ExpireWatches(_) => {
                // As many as stand: each watch finds out once when it comes back.
                state.expire = self.watches.load(Ordering::Relaxed);
                drop(state);
                self.cut();
            }
            Strike::LoseRequests(next) => state.lose_requests += next.times,
            Strike::LoseResponses(next) => state.lose_responses += next.times,
            Strike::Conflict(next) => state.conflicts += next.times,
            Strike::Answer(next) => state.answers.extend((0..next.times).map(|_| next.status)),
            Strike::LoseReadiness(_) => {}
        }
    }
}

/// The operator's way to one API server: a tower service over `S`.
pub(crate) struct Link<S> {
    wire: Arc<Wire>,
    session: Arc<Session>,
    marker: Marker,
    api: S,
}

impl<S: Clone> Clone for Link<S> {
    fn clone(&self) -> Self {
        Self {
            wire: self.wire.clone(),
            session: self.session.clone(),
            marker: self.marker.clone(),
            api: self.api.clone(),
        }
    }
}

impl<S> Link<S> {
    pub(crate) fn new(wire: Arc<Wire>, session: Arc<Session>, marker: Marker, api: S) -> Self {
        Self { wire, session, marker, api }
    }
}

impl<S, B> Service<Request<Body>> for Link<S>
where
    S: Service<Request<Body>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Answer;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Answer, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        // A task of its own: what is on its way arrives, whether or not somebody still waits for the answer.
        let task = tokio::spawn(self.clone().carry(request));
        async move { task.await.map_err(BoxError::from)? }.boxed()
    }
}

impl<S, B> Link<S>
where
    S: Service<Request<Body>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    async fn carry(self, request: Request<Body>) -> Result<Answer, BoxError> {
        let wanted = Wanted::of(&request);
        let fate = self.wire.fate(&wanted);
        self.wire.recorder.trace(&format!("{} operator sends {wanted}", self.wire.cluster));
        if let Some(lasts) = fate.dark {
            self.wire.darken(lasts, Hang::Fail);
        }
        sleep(fate.there).await;
        self.passes().await?;
        if fate.lost_request {
            self.tell(&wanted, "is lost on its way");
            self.wire.recorder.hit(Situation::LostRequest);
            return Err("connection reset by peer".into());
        }
        if let Some(status) = fate.answered {
            self.refuse(&wanted, status);
            sleep(fate.back).await;
            return Ok(answer::status(status, &wanted.name));
        }
        if wanted.watch && fate.expired {
            self.tell(&wanted, "is answered with 410: expired");
            self.wire.recorder.hit(Situation::WatchExpired);
            sleep(fate.back).await;
            return Ok(answer::expired_watch());
        }
        let answer = self.ask(request, &wanted).await?;
        if fate.lost_response {
            self.tell_lost(&wanted, answer.status());
            sleep(fate.back).await;
            return Err("connection reset by peer".into());
        }
        if wanted.watch {
            // Its frames take their own time.
            return Ok(self.stream(answer, fate.ends));
        }
        sleep(fate.back).await;
        self.passes().await?;
        Ok(answer)
    }

    /// Errors when nothing passes right now.
    async fn passes(&self) -> Result<(), BoxError> {
        if let Some((until, requests)) = self.wire.dark() {
            if requests == Hang::Hang {
                sleep_until(until).await;
            }
            return Err(format!("cluster {} cannot be reached", self.wire.cluster).into());
        }
        if self.session.open() { Ok(()) } else { Err("the operator is gone".into()) }
    }

    /// Has the API server do it. From here on it is done, unless the operator crashes just before.
    async fn ask(&self, request: Request<Body>, wanted: &Wanted) -> Result<Answer, BoxError> {
        let blow = if wanted.write { self.session.at_write(&self.wire.cluster, wanted) } else { None };
        if blow == Some(Blow::CrashBefore) {
            self.session.crash(&self.wire.cluster, wanted, false);
            return Err("the operator is gone".into());
        }
        let request = self.session.tamper(request, wanted).await?;
        let api = self.api.clone();
        let answer = self.marker.during(Who::Operator, api.oneshot(request)).await.map_err(Into::into)?;
        let (status, cluster) = (answer.status(), &self.wire.cluster);
        if wanted.write || wanted.watch || !status.is_success() {
            self.wire.recorder.trace(&format!("{cluster} operator asks {wanted} = {}", status.as_u16()));
        }
        if status == StatusCode::CONFLICT {
            self.wire.recorder.hit(Situation::RealConflict);
        }
        if blow == Some(Blow::CrashAfter) {
            self.session.crash(cluster, wanted, true);
            return Err("the operator is gone".into());
        }
        if blow == Some(Blow::LoseAnswer) {
            self.tell_lost(wanted, status);
            return Err("connection reset by peer".into());
        }
        Ok(answer.map(|body| body.map_err(Into::into).boxed_unsync()))
    }

    fn stream(&self, answer: Answer, ends: Option<Duration>) -> Answer {
        let wire = self.wire.clone();
        let cut = self.wire.cut.clone().notified_owned();
        answer.map(|body| WatchBody::new(body, wire, cut, ends).boxed_unsync())
    }

    fn tell(&self, wanted: &Wanted, what: &str) {
        let cluster = &self.wire.cluster;
        if wanted.write || wanted.watch {
            self.wire.recorder.tell("fault", &format!("{cluster}: {wanted} {what}"));
        } else {
            self.wire.recorder.trace(&format!("- fault {cluster}: {wanted} {what}"));
        }
    }

    fn refuse(&self, wanted: &Wanted, status: u16) {
        self.tell(wanted, &format!("is answered with {status} by the network"));
        self.wire.recorder.hit(match status {
            409 => Situation::InjectedConflict,
            429 => Situation::Throttled,
            500 => Situation::ServerError,
            _ => Situation::Unavailable,
        });
    }

    fn tell_lost(&self, wanted: &Wanted, status: StatusCode) {
        self.tell(wanted, &format!("is answered with {}, but the answer is lost", status.as_u16()));
        self.lost(wanted);
    }

    fn lost(&self, wanted: &Wanted) {
        self.wire.recorder.hit(match wanted {
            Wanted { write: false, .. } => Situation::LostRead,
            Wanted { verb: "POST", .. } => Situation::LostCreateAnswer,
            Wanted { status: true, .. } => Situation::LostStatusAnswer,
            _ => Situation::LostWorkloadAnswer,
        });
    }
}

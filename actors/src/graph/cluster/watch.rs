//! One watch, kept up for as long as somebody is interested.
//!
//! `kube`'s watcher lists and follows; around it are our own limits and our own pauses, both by the graph's clock.
//! After an error it is begun anew, with a list: that is one read more than a resumed watch, and in exchange a watch
//! that stands always stands on a list that came back, whatever happened to the server's history meanwhile.

use std::{
    collections::BTreeMap,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::{Stream, StreamExt};
use jiff::Timestamp;
use kube::{
    Client, ResourceExt,
    api::DynamicObject,
    client::Body,
    runtime::watcher::{self, Event, watcher},
};

use super::{REQUEST_TIMEOUT, write::is_answer};
use crate::{
    graph::{
        backoff::Backoff,
        effects::{Context, caught, within},
        inbox::Inbox,
        project::{self, Projected},
        subject::Subject,
    },
    view::ObjectKey,
};

/// How long one watch request lasts, and with five seconds more how long a connection that died in silence is trusted.
/// Beginning a watch anew is one cheap request; a minute costs a fleet one request per watch and minute.
const WATCH_TIMEOUT_S: u32 = 60;
/// Objects per page of a list: client-go's own number.
const PAGE_SIZE: u32 = 500;
/// The first pause after an error.
const RETRY_FIRST: Duration = Duration::from_secs(1);
/// The longest pause after errors.
const RETRY_CAP: Duration = Duration::from_secs(30);
/// The pauses while a kind is not served: somebody has to install a CRD first.
const NOT_SERVED_PAUSE: Duration = Duration::from_mins(1);
/// The least time between two beginnings of one watch. A server, or something before it, that ends every watch at once
/// would otherwise be asked again without a pause, because the watcher takes such an end for an ordinary one.
const WATCH_PAUSE: Duration = Duration::from_secs(1);
/// A watch that stood this long was a good one: its next error is a first one.
const GOOD_AFTER_S: i64 = 30;

/// What a watch has seen since the cluster's actor last looked. A list replaces everything before it.
#[derive(Default)]
pub(super) struct Intake {
    pub(super) list: Option<List>,
    pub(super) changes: BTreeMap<ObjectKey, Seen>,
    /// How the watch is doing, if that is news: well once its list is complete.
    pub(super) standing: Option<Result<(), Trouble>>,
}

/// A whole list.
pub(super) struct List {
    /// When it was asked for.
    pub(super) since: Timestamp,
    pub(super) objects: BTreeMap<ObjectKey, Seen>,
}

/// An object as a watch shows it.
pub(super) enum Seen {
    Object(Projected),
    Unreadable,
    Gone { version: String },
}

/// Why a watch does not stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// No answer, or one that says the server cannot answer now.
    Unanswered(String),
    /// The server does not know the kind.
    NotServed,
    /// The server answers, and refuses.
    Refused(String),
}

/// What keeps one watch up.
pub(super) struct Follow {
    context: Context,
    cluster: String,
    subject: Subject,
    client: Client,
    intake: Inbox<Subject, Intake>,
    retry: Backoff,
    not_served: Backoff,
}

impl Follow {
    pub(super) fn new(
        context: &Context,
        cluster: &str,
        subject: Subject,
        client: Client,
        intake: Inbox<Subject, Intake>,
    ) -> Self {
        let what = format!("watch {cluster} {subject}");
        Self {
            context: context.clone(),
            cluster: cluster.to_owned(),
            client: limited(client, context),
            subject,
            intake,
            retry: context.backoff(&what, RETRY_FIRST, RETRY_CAP),
            not_served: context.backoff(&what, NOT_SERVED_PAUSE, NOT_SERVED_PAUSE),
        }
    }

    /// Lists and watches until it is dropped.
    pub(super) async fn run(mut self) {
        let clock = self.context.clock();
        loop {
            let began = self.context.now();
            let trouble = caught("watch", self.follow()).await;
            let trouble = trouble.unwrap_or_else(|| Some(Trouble::Unanswered("the watch panicked".to_owned())));
            if self.context.now().duration_since(began).as_secs() >= GOOD_AFTER_S {
                self.retry.reset();
            }
            let delay = match &trouble {
                Some(Trouble::NotServed) => self.not_served.next_delay(),
                _ => self.retry.next_delay(),
            };
            tracing::debug!(cluster = self.cluster, object = %self.subject, ?trouble, ?delay, "watch ended");
            if let Some(trouble) = trouble {
                self.intake.update(self.subject.clone(), |intake| intake.standing = Some(Err(trouble)));
            }
            clock.sleep(delay).await;
        }
    }

    /// Lists and watches until an error; without trouble if all that happened is that the history was too short.
    async fn follow(&self) -> Option<Trouble> {
        let mut config = watcher::Config::default().timeout(WATCH_TIMEOUT_S).page_size(PAGE_SIZE);
        if let Some(selector) = self.subject.selector() {
            config = config.labels(selector);
        }
        let mut events = pin!(watcher(self.subject.scope(self.client.clone()), config));
        let mut list: Option<List> = None;
        loop {
            let event = match self.next(&mut events, list.is_some()).await? {
                Ok(event) => event,
                Err(trouble) => return trouble,
            };
            match event {
                Event::Init => list = Some(List { since: self.context.now(), objects: BTreeMap::new() }),
                Event::InitApply(object) => {
                    if let Some(list) = &mut list {
                        list.objects.insert(project::key(&object.metadata), self.see(object));
                    }
                }
                Event::InitDone => {
                    let list = list.take();
                    self.intake.update(self.subject.clone(), |intake| {
                        *intake = Intake { list, changes: BTreeMap::new(), standing: Some(Ok(())) };
                    });
                }
                Event::Apply(object) => self.change(project::key(&object.metadata), self.see(object)),
                Event::Delete(object) => {
                    let version = object.resource_version().unwrap_or_default();
                    self.change(project::key(&object.metadata), Seen::Gone { version });
                }
            }
        }
    }

    /// The next event. While a list is on its way each page has a limit: nothing else would notice a lost one.
    async fn next(
        &self,
        events: &mut (impl Stream<Item = watcher::Result<Event<DynamicObject>>> + Unpin),
        listing: bool,
    ) -> Option<Result<Event<DynamicObject>, Option<Trouble>>> {
        let event = if listing {
            match within(&self.context.clock(), REQUEST_TIMEOUT, events.next()).await {
                Some(event) => event,
                None => return Some(Err(Some(Trouble::Unanswered(TimedOut.to_string())))),
            }
        } else {
            events.next().await
        };
        event.map(|event| event.map_err(|error| classify(&error)))
    }

    fn change(&self, key: ObjectKey, seen: Seen) {
        self.intake.update(self.subject.clone(), |intake| {
            intake.changes.insert(key, seen);
        });
    }

    fn see(&self, object: DynamicObject) -> Seen {
        let key = project::key(&object.metadata);
        match project::project(&self.cluster, &self.subject, object) {
            Ok(object) => Seen::Object(object),
            Err(error) => {
                let (cluster, subject) = (&self.cluster, &self.subject);
                tracing::warn!(cluster, object = %key, kind = %subject, %error, "object cannot be read and is left alone");
                Seen::Unreadable
            }
        }
    }
}

/// Sorts an error of the watcher by what it says about the server.
fn classify(error: &watcher::Error) -> Option<Trouble> {
    use watcher::Error::{InitialListFailed, NoResourceVersion, WatchError, WatchFailed, WatchStartFailed};
    match error {
        InitialListFailed(kube::Error::Api(status))
        | WatchStartFailed(kube::Error::Api(status))
        | WatchError(status) => match status.code {
            404 => Some(Trouble::NotServed),
            410 => None,
            429 | 500.. | 0 => Some(Trouble::Unanswered(error.to_string())),
            _ => Some(Trouble::Refused(error.to_string())),
        },
        NoResourceVersion => Some(Trouble::Refused(error.to_string())),
        InitialListFailed(source) | WatchStartFailed(source) | WatchFailed(source) if is_answer(source) => {
            Some(Trouble::Refused(error.to_string()))
        }
        _ => Some(Trouble::Unanswered(error.to_string())),
    }
}

/// No answer came within the limit.
#[derive(Debug, thiserror::Error)]
#[error("no answer within {} s", REQUEST_TIMEOUT.as_secs())]
pub(super) struct TimedOut;

/// A client whose requests fail if no answer begins within the limit, and whose watches do not begin all too often: the
/// watcher has no limit of its own for either.
fn limited(client: Client, context: &Context) -> Client {
    let (context, namespace) = (context.clone(), client.default_namespace().to_owned());
    let next_watch = Arc::new(Mutex::new(Timestamp::MIN));
    let service = tower::service_fn(move |request: http::Request<Body>| {
        let (client, clock, next_watch) = (client.clone(), context.clock(), next_watch.clone());
        async move {
            if request.uri().query().is_some_and(|query| query.contains("watch=true")) {
                let pause = reserve(&next_watch, clock.now());
                if !pause.is_zero() {
                    clock.sleep(pause).await;
                }
            }
            match within(&clock, REQUEST_TIMEOUT, client.send(request)).await {
                Some(response) => response.map_err(tower::BoxError::from),
                None => Err(tower::BoxError::from(TimedOut)),
            }
        }
    });
    Client::new(service, namespace)
}

/// How long to wait before the next watch may begin.
fn reserve(next: &Mutex<Timestamp>, now: Timestamp) -> Duration {
    let mut next = next.lock().unwrap_or_else(PoisonError::into_inner);
    let begin = now.max(*next);
    *next = begin.saturating_add(WATCH_PAUSE).unwrap_or(begin);
    Duration::try_from(begin.duration_since(now)).unwrap_or_default()
}

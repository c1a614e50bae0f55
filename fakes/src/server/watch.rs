//! Watches: the changes after a revision, as a stream that ends by its time.

use std::{collections::VecDeque, time::Duration};

use bytes::{BufMut, Bytes, BytesMut};
use futures::{FutureExt, Stream, future::BoxFuture, stream};
use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::{
    ApiServer, FIRST_REVISION, Target, convert,
    http::{ApiBody, Form, ListOptions, Shape},
    list::{Selection, parse_revision},
    table,
};
use crate::{
    object,
    status::Status,
    store::{Event, EventType, Gone, Stored, Subscription},
};

/// How often a quiet watch tells how far it is.
const BOOKMARK_INTERVAL: Duration = Duration::from_mins(1);
/// The last bookmark comes this long before a watch ends.
const BOOKMARK_BEFORE_END: Duration = Duration::from_secs(2);
/// How long a watch lives that asks for no time. The real server draws between 30 and 60 minutes.
const DEFAULT_TIMEOUT_SECONDS: u64 = 45 * 60;

struct Watch {
    server: ApiServer,
    target: Target,
    namespace: Option<String>,
    selection: Selection,
    form: Form,
    include: String,
    /// Column definitions come with the first table only.
    headed: bool,
    revision: u64,
    changed: Subscription,
    ready: VecDeque<Bytes>,
    ended: bool,
    bookmarks: bool,
    /// From the last bookmark to the end.
    left: Duration,
    bookmark: BoxFuture<'static, ()>,
    deadline: BoxFuture<'static, ()>,
}

impl ApiServer {
    pub(super) fn watch(
        &self,
        target: &Target,
        namespace: Option<&str>,
        selection: Selection,
        options: &ListOptions,
        (form, include): (Form, &str),
    ) -> Result<Response<ApiBody>, Status> {
        let timeout = options.timeout_seconds.and_then(|seconds| u64::try_from(seconds).ok()).filter(|it| *it > 0);
        let timeout = Duration::from_secs(timeout.unwrap_or(DEFAULT_TIMEOUT_SECONDS));
        let mut watch = Watch {
            server: self.clone(),
            target: target.clone(),
            namespace: namespace.map(str::to_owned),
            selection,
            form,
            include: include.to_owned(),
            headed: false,
            revision: 0,
            // Before the first look at the changes, so that none falls in between.
            changed: self.store().subscribe_to(&target.resource.stored_as),
            ready: VecDeque::new(),
            ended: false,
            bookmarks: options.bookmarks,
            left: timeout,
            bookmark: futures::future::pending().boxed(),
            deadline: sleep(self, timeout),
        };
        watch.await_bookmark();
        let asked = options.version.as_str();
        let from = if asked.is_empty() { 0 } else { parse_revision(asked)? };
        watch.begin(from, options.initial_events);
        let mut response = Response::new(ApiBody::stream(watch.into_stream()));
        *response.status_mut() = StatusCode::OK;
        let json = http::HeaderValue::from_static("application/json");
        response.headers_mut().insert(http::header::CONTENT_TYPE, json);
        Ok(response)
    }
}

/// Starts to count when it is first polled, in the reader's runtime.
fn sleep(server: &ApiServer, duration: Duration) -> BoxFuture<'static, ()> {
    let clock = server.clock().clone();
    async move { clock.sleep(duration).await }.boxed()
}

impl Watch {
    fn into_stream(self) -> impl Stream<Item = Bytes> + Send {
        stream::unfold(self, |mut watch| async move {
            let next = watch.next().await?;
            Some((next, watch))
        })
    }

    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(ready) = self.ready.pop_front() {
                return Some(ready);
            }
            if self.ended {
                return None;
            }
            self.take_changes();
            if !self.ready.is_empty() {
                continue;
            }
            tokio::select! {
                biased;
                _ = self.changed.changed() => {}
                () = &mut self.deadline => self.ended = true,
                () = &mut self.bookmark, if self.bookmarks => {
                    self.take_changes();
                    self.send_bookmark(false);
                    self.await_bookmark();
                }
            }
        }
    }

    /// Begins with what is there, or after a revision; zero is whichever is the present one.
    fn begin(&mut self, from: u64, initial_events: Option<bool>) {
        self.revision = from;
        match initial_events {
            Some(true) => match self.server.check_not_future(from) {
                Ok(()) => {
                    self.send_present_state();
                    if self.bookmarks {
                        self.send_bookmark(true);
                    }
                }
                Err(status) => self.end(&status),
            },
            None if from == 0 => self.send_present_state(),
            Some(false) if from == 0 => self.revision = self.server.store().revision(),
            _ if from < FIRST_REVISION => self.expire(Gone { asked: from, oldest: FIRST_REVISION }),
            _ => {}
        }
    }

    fn send_present_state(&mut self) {
        let stored_as = self.target.resource.stored_as.clone();
        let (items, revision) = self.server.store().snapshot(&stored_as, self.namespace.as_deref());
        self.revision = revision;
        for stored in items {
            if self.selection.matches(&stored.value) {
                self.send(EventType::Added, &stored);
            }
        }
    }

    fn take_changes(&mut self) {
        match self.server.store().changes(self.revision, &self.target.resource.stored_as) {
            Ok((events, revision)) => {
                // A watch may be for what is still to come.
                self.revision = self.revision.max(revision);
                for event in &events {
                    self.take(event);
                }
            }
            Err(gone) => self.expire(gone),
        }
    }

    fn expire(&mut self, gone: Gone) {
        self.end(&Status::expired(gone.to_string()));
    }

    fn end(&mut self, status: &Status) {
        self.ready.push_back(frame("ERROR", &status.to_bytes()));
        self.ended = true;
    }

    /// A change into or out of the selection is an addition or a removal to this watcher.
    fn take(&mut self, event: &Event) {
        if self.namespace.as_ref().is_some_and(|namespace| *namespace != event.key().namespace) {
            return;
        }
        let old = event.old.as_ref().filter(|old| self.selection.matches(&old.value));
        let new = event.kind != EventType::Deleted && self.selection.matches(&event.new.value);
        match (old, new) {
            (None, true) => self.send(EventType::Added, &event.new),
            (Some(_), true) => self.send(EventType::Modified, &event.new),
            (Some(_), false) if event.kind == EventType::Deleted => self.send(EventType::Deleted, &event.new),
            (Some(old), false) => {
                let mut value = Value::clone(&old.value);
                object::set_meta(&mut value, "resourceVersion", Some(event.resource_version.to_string().into()));
                let left = Stored::unsaved(old.key.clone(), value);
                self.send(EventType::Deleted, &left);
            }
            (None, false) => {}
        }
    }

    fn send(&mut self, kind: EventType, stored: &Stored) {
        let framed = match self.form.shape {
            Shape::Plain if !convert::differs(&self.target) => stored.event(kind),
            Shape::Plain => changed(kind, &convert::outgoing(&self.target, &stored.value)),
            Shape::Partial | Shape::PartialList => changed(kind, &table::partial(&stored.value, &self.form)),
            Shape::Table => {
                let include = self.include.clone();
                changed(kind, &self.row(&stored.value, &include))
            }
        };
        self.ready.push_back(framed);
    }

    /// One object as a table.
    fn row(&mut self, object: &Value, include: &str) -> Value {
        let revision = object::resource_version(object).unwrap_or_default();
        let mut table = self.server.table(&self.target, (&self.form, include), &[object], revision);
        if std::mem::replace(&mut self.headed, true) {
            table["columnDefinitions"] = Value::Null;
        }
        table
    }

    /// The next bookmark comes after the interval, or shortly before the end.
    fn await_bookmark(&mut self) {
        let wait = BOOKMARK_INTERVAL.min(self.left.saturating_sub(BOOKMARK_BEFORE_END));
        self.left = self.left.saturating_sub(wait);
        self.bookmark = if wait.is_zero() { futures::future::pending().boxed() } else { sleep(&self.server, wait) };
    }

    fn send_bookmark(&mut self, initial: bool) {
        let mut metadata = json!({ "resourceVersion": self.revision.to_string() });
        if initial {
            metadata["annotations"] = json!({ "k8s.io/initial-events-end": "true" });
        }
        let (kind, api_version) = (&self.target.resource.kind, self.target.api_version());
        let mark = json!({ "kind": kind, "apiVersion": api_version, "metadata": metadata });
        let mark = match self.form.shape {
            Shape::Plain => mark,
            Shape::Partial | Shape::PartialList => table::partial(&mark, &self.form),
            // The mark of the end is never left out.
            Shape::Table if initial => self.row(&mark, ""),
            Shape::Table => {
                let include = self.include.clone();
                self.row(&mark, &include)
            }
        };
        self.ready.push_back(frame("BOOKMARK", mark.to_string().as_bytes()));
    }
}

fn changed(kind: EventType, object: &Value) -> Bytes {
    let kind = match kind {
        EventType::Added => "ADDED",
        EventType::Modified => "MODIFIED",
        EventType::Deleted => "DELETED",
    };
    frame(kind, object.to_string().as_bytes())
}

fn frame(kind: &str, object: &[u8]) -> Bytes {
    let mut framed = BytesMut::with_capacity(object.len() + kind.len() + 24);
    framed.put_slice(b"{\"type\":\"");
    framed.put_slice(kind.as_bytes());
    framed.put_slice(b"\",\"object\":");
    framed.put_slice(object);
    framed.put_slice(b"}\n");
    framed.freeze()
}

//! An API server just large enough to test the plumbing: objects, lists, watches, patches, and a few ways to fail.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use bytes::Bytes;
use futures::{StreamExt, channel::mpsc, future::pending};
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use kube::{Client, client::Body};
use serde_json::{Value, json};

type Answer = Response<BoxBody<Bytes, Infallible>>;
type Event = Result<http_body::Frame<Bytes>, Infallible>;

/// A handle to the server.
#[derive(Clone, Default)]
pub(super) struct Server {
    state: Arc<Mutex<State>>,
}

/// How the server answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Mode {
    #[default]
    Well,
    /// Connections fail.
    Down,
    /// Requests get no answer.
    Hanging,
    /// Watches end as soon as they have begun.
    Hasty,
}

/// When an answer arrives.
enum Delivery {
    AtOnce,
    Late,
    Lost,
}

/// How late a late answer is: long enough for a watch to overtake it, and within the limit of a request.
const LATE: Duration = Duration::from_secs(5);

/// Plural, namespace and name.
type Id = (String, String, String);

#[derive(Default)]
struct State {
    version: u64,
    objects: BTreeMap<Id, Value>,
    /// Version, plural, type and object.
    history: Vec<(u64, String, &'static str, Value)>,
    watchers: Vec<(String, mpsc::UnboundedSender<Event>)>,
    mode: Mode,
    /// Plurals that are refused, with code and reason.
    refused: BTreeMap<String, (u16, &'static str)>,
    /// How many writes are yet to land without an answer.
    lost_answers: usize,
    /// How many writes are yet to land with an answer that comes late.
    late_answers: usize,
    /// A user's edit that comes just before our next patch of that object.
    interference: Option<(Id, Value)>,
    log: Vec<String>,
}

/// What the server held at one moment.
pub(super) struct Backup {
    version: u64,
    objects: BTreeMap<Id, Value>,
}

impl Server {
    /// A client of this server.
    pub(super) fn client(&self) -> Client {
        let server = self.clone();
        let service = tower::service_fn(move |request| {
            let server = server.clone();
            async move { server.serve(request).await }
        });
        Client::new(service, "default")
    }

    /// Puts an object, as a user would.
    pub(super) fn put(&self, plural: &str, object: Value) {
        let mut state = self.lock();
        let id = id(plural, &object);
        let object = match state.objects.get(&id) {
            Some(old) => merged(old, &object),
            None => object,
        };
        state.store(id, object);
    }

    /// Deletes an object, as a user would.
    pub(super) fn delete(&self, plural: &str, name: &str) {
        let id = (plural.to_owned(), "ns".to_owned(), name.to_owned());
        self.lock().remove(&id);
    }

    pub(super) fn get(&self, plural: &str, name: &str) -> Option<Value> {
        self.lock().objects.get(&(plural.to_owned(), "ns".to_owned(), name.to_owned())).cloned()
    }

    /// Changes how the server answers; unless it is well, its watches break.
    pub(super) fn set_mode(&self, mode: Mode) {
        let mut state = self.lock();
        state.mode = mode;
        if matches!(mode, Mode::Down | Mode::Hasty) {
            state.watchers.clear();
        }
    }

    /// Refuses every request for a kind, or none any more.
    pub(super) fn set_refused(&self, plural: &str, refusal: Option<(u16, &'static str)>) {
        let mut state = self.lock();
        match refusal {
            Some(refusal) => state.refused.insert(plural.to_owned(), refusal),
            None => state.refused.remove(plural),
        };
    }

    /// Lets the next write land and its answer get lost.
    pub(super) fn lose_next_answer(&self) {
        self.lock().lost_answers += 1;
    }

    /// Lets the next write land at once and its answer come [`LATE`].
    pub(super) fn delay_next_answer(&self) {
        self.lock().late_answers += 1;
    }

    /// Lets a user edit an object just before our next patch of it.
    pub(super) fn interfere(&self, plural: &str, edit: Value) {
        let id = id(plural, &edit);
        self.lock().interference = Some((id, edit));
    }

    pub(super) fn backup(&self) -> Backup {
        let state = self.lock();
        Backup { version: state.version, objects: state.objects.clone() }
    }

    /// Puts everything back as it was, versions included, with a restart of the server.
    pub(super) fn restore(&self, backup: Backup) {
        let mut state = self.lock();
        state.version = backup.version;
        state.objects = backup.objects;
        state.history.clear();
        for (_, watcher) in std::mem::take(&mut state.watchers) {
            let gone = json!({"type": "ERROR", "object": status(410, "Expired")});
            let _ = watcher.unbounded_send(Ok(http_body::Frame::data(line(&gone))));
        }
    }

    /// Requests since the last call, as `METHOD plural/name`; lists and watches by plural.
    pub(super) fn take_log(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().log)
    }

    async fn serve(&self, request: Request<Body>) -> Result<Answer, tower::BoxError> {
        match self.mode() {
            Mode::Well | Mode::Hasty => {}
            Mode::Down => return Err("connection refused".into()),
            Mode::Hanging => return pending().await,
        }
        let (head, body) = request.into_parts();
        let body = body.collect_bytes().await?;
        let body: Value = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body)? };
        let path = Path::parse(head.uri.path());
        let query: BTreeMap<String, String> = head.uri.query().map(parse_query).unwrap_or_default();
        let (answer, delivery) = self.answer(&head.method, &path, &query, &body);
        match delivery {
            Delivery::Lost => pending().await,
            Delivery::Late => tokio::time::sleep(LATE).await,
            Delivery::AtOnce => {}
        }
        Ok(answer)
    }

    fn answer(
        &self,
        method: &Method,
        path: &Path,
        query: &BTreeMap<String, String>,
        body: &Value,
    ) -> (Answer, Delivery) {
        let mut state = self.lock();
        let verb = if query.contains_key("watch") { "WATCH" } else { method.as_str() };
        state.log.push(format!("{verb} {path}"));
        if let Some((code, reason)) = state.refused.get(&path.plural) {
            return (refusal(*code, reason), Delivery::AtOnce);
        }
        let is_write = *method != Method::GET;
        let answer = match (method.as_str(), &path.name) {
            ("GET", None) if query.contains_key("watch") => state.watch(path, query),
            ("GET", None) => state.list(path, query),
            ("GET", Some(_)) => state.objects.get(&path.id()).map_or_else(|| refusal(404, "NotFound"), answer),
            ("POST", None) => state.create(path, body),
            ("PATCH", Some(_)) => state.patch(path, body),
            ("DELETE", Some(_)) => {
                state.remove(&path.id()).map_or_else(|| refusal(404, "NotFound"), |()| answer(&status(200, "")))
            }
            _ => refusal(405, "MethodNotAllowed"),
        };
        (answer, if is_write { state.delivery() } else { Delivery::AtOnce })
    }

    fn mode(&self) -> Mode {
        self.lock().mode
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl State {
    /// What becomes of the answer to a write.
    fn delivery(&mut self) -> Delivery {
        if self.lost_answers > 0 {
            self.lost_answers -= 1;
            return Delivery::Lost;
        }
        if self.late_answers > 0 {
            self.late_answers -= 1;
            return Delivery::Late;
        }
        Delivery::AtOnce
    }

    fn list(&self, path: &Path, query: &BTreeMap<String, String>) -> Answer {
        let items: Vec<&Value> = self
            .objects
            .iter()
            .filter(|(id, object)| path.covers(id, object, query))
            .map(|(_, object)| object)
            .collect();
        answer(&json!({"metadata": {"resourceVersion": self.version.to_string()}, "items": items}))
    }

    fn watch(&mut self, path: &Path, query: &BTreeMap<String, String>) -> Answer {
        let since: u64 = query["resourceVersion"].parse().unwrap();
        let (sender, events) = mpsc::unbounded();
        for (version, plural, kind, object) in &self.history {
            if *version > since && *plural == path.plural {
                send(&sender, kind, object);
            }
        }
        if self.mode == Mode::Well {
            self.watchers.push((path.plural.clone(), sender));
        }
        let (path, query) = (path.clone(), query.clone());
        let matching = events.filter(move |event: &Event| {
            let data = event.as_ref().ok().and_then(http_body::Frame::data_ref);
            let event: Value = data.map(|data| serde_json::from_slice(data).unwrap()).unwrap_or_default();
            let object = &event["object"];
            let is_wanted = object["kind"] == "Status" || path.covers(&id(&path.plural, object), object, &query);
            futures::future::ready(is_wanted)
        });
        Response::new(BodyExt::boxed(StreamBody::new(SyncStream(Mutex::new(matching)))))
    }

    fn create(&mut self, path: &Path, body: &Value) -> Answer {
        let mut object = body.clone();
        object["metadata"]["namespace"] = json!(path.namespace);
        let id = id(&path.plural, &object);
        if self.objects.contains_key(&id) {
            return refusal(409, "AlreadyExists");
        }
        answer(&self.store(id, object))
    }

    fn patch(&mut self, path: &Path, body: &Value) -> Answer {
        if self.interference.as_ref().is_some_and(|(id, _)| *id == path.id())
            && let Some((id, edit)) = self.interference.take()
        {
            let edited = merged(&self.objects[&id], &edit);
            self.store(id, edited);
        }
        let Some(old) = self.objects.get(&path.id()) else { return refusal(404, "NotFound") };
        let wanted = body.pointer("/metadata/resourceVersion");
        if wanted.is_some_and(|version| *version != old["metadata"]["resourceVersion"]) {
            return refusal(409, "Conflict");
        }
        let new = merged(old, body);
        if new == *old { answer(old) } else { answer(&self.store(path.id(), new)) }
    }

    fn store(&mut self, id: Id, mut object: Value) -> Value {
        self.version += 1;
        let kind = if self.objects.contains_key(&id) { "MODIFIED" } else { "ADDED" };
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        if object["metadata"]["uid"].is_null() {
            object["metadata"]["uid"] = json!(format!("uid-{}", self.version));
        }
        self.tell(&id.0, kind, &object);
        self.objects.insert(id, object.clone());
        object
    }

    fn remove(&mut self, id: &Id) -> Option<()> {
        let mut object = self.objects.remove(id)?;
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.tell(&id.0, "DELETED", &object);
        Some(())
    }

    fn tell(&mut self, plural: &str, kind: &'static str, object: &Value) {
        self.history.push((self.version, plural.to_owned(), kind, object.clone()));
        for (watched, sender) in &self.watchers {
            if watched == plural {
                send(sender, kind, object);
            }
        }
    }
}

#[derive(Clone)]
struct Path {
    plural: String,
    namespace: Option<String>,
    name: Option<String>,
}

impl Path {
    fn parse(path: &str) -> Self {
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let rest = if parts[0] == "api" { &parts[2..] } else { parts.get(3..).unwrap_or_default() };
        let text = |index: usize| rest.get(index).map(|part| (*part).to_owned());
        if rest.first() == Some(&"namespaces") {
            Self { namespace: text(1), plural: text(2).unwrap_or_default(), name: text(3) }
        } else {
            Self { namespace: None, plural: text(0).unwrap_or_default(), name: text(1) }
        }
    }

    fn id(&self) -> Id {
        (self.plural.clone(), self.namespace.clone().unwrap_or_default(), self.name.clone().unwrap_or_default())
    }

    fn covers(&self, id: &Id, object: &Value, query: &BTreeMap<String, String>) -> bool {
        let selected = query.get("labelSelector").is_none_or(|selector| {
            let (label, value) = selector.split_once('=').unwrap();
            object["metadata"]["labels"][label] == value
        });
        id.0 == self.plural && self.namespace.as_ref().is_none_or(|namespace| *namespace == id.1) && selected
    }
}

impl std::fmt::Display for Path {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.plural, self.name.as_ref().map(|name| format!("/{name}")).unwrap_or_default())
    }
}

/// Makes a stream `Sync`, as a boxed body has to be.
struct SyncStream<S>(Mutex<S>);

impl<S: futures::Stream + Unpin> futures::Stream for SyncStream<S> {
    type Item = S::Item;

    fn poll_next(
        self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        std::pin::Pin::new(&mut *self.0.lock().unwrap()).poll_next(context)
    }
}

fn merged(old: &Value, patch: &Value) -> Value {
    let mut new = old.clone();
    json_patch::merge(&mut new, patch);
    new["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"].clone();
    new
}

fn id(plural: &str, object: &Value) -> Id {
    let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
    (plural.to_owned(), text("namespace"), text("name"))
}

fn parse_query(query: &str) -> BTreeMap<String, String> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.replace("%3D", "="))).collect()
}

fn send(sender: &mpsc::UnboundedSender<Event>, kind: &str, object: &Value) {
    let _ = sender.unbounded_send(Ok(http_body::Frame::data(line(&json!({"type": kind, "object": object})))));
}

fn line(value: &Value) -> Bytes {
    Bytes::from(format!("{value}\n"))
}

fn answer(value: &Value) -> Answer {
    Response::new(Full::new(line(value)).boxed())
}

fn refusal(code: u16, reason: &str) -> Answer {
    let mut answer = answer(&status(code, reason));
    *answer.status_mut() = http::StatusCode::from_u16(code).unwrap();
    answer
}

fn status(code: u16, reason: &str) -> Value {
    let outcome = if code < 400 { "Success" } else { "Failure" };
    json!({"kind": "Status", "apiVersion": "v1", "status": outcome, "code": code, "reason": reason, "message": reason})
}

//! Runs a script against an API server behind a `kube::Client`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures::{AsyncBufReadExt, StreamExt, TryStreamExt};
use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt;
use kube::Client;
use kube::client::Body;
use serde_json::{Map, Value, json};

use super::moves::project;
use super::normalise::Normaliser;
use super::script::{Answer, Script, Step, Transcript};
use crate::gateway_api;

/// A repeated request gives up after POLL × POLLS: a minute, of wall time or of virtual time.
const POLL: Duration = Duration::from_millis(100);
const POLLS: usize = 600;

/// How long a watch may stay silent.
const SILENCE: Duration = Duration::from_secs(10);

/// What hyper says when a server gives up in the middle of a request, as kube-apiserver does when a handler panics.
const BROKEN: &str = "connection closed before message completed";

/// Without a field manager in the request, the API server takes what stands before the `/` here.
const USER_AGENT: &str = "conformance/1.0 (test)";

/// Letters in `${long}`: more than the API server sends uncompressed, if it may.
const LONG: usize = 150_000;
/// Letters in `${huge}`: more than the API server takes as a body.
const HUGE: usize = 3_200_000;

/// Runs a script and returns the normalised answers.
pub async fn run(client: &Client, script: &Script) -> Result<Transcript> {
    let namespace = format!("conformance-{}", script.name);
    let variables = BTreeMap::from([
        ("ns".to_owned(), Value::from(namespace.clone())),
        ("script".to_owned(), Value::from(script.name.clone())),
        ("long".to_owned(), Value::from("a".repeat(LONG))),
        ("huge".to_owned(), Value::from("a".repeat(HUGE))),
    ]);
    let mut runner = Runner {
        client,
        variables,
        optional: script.variables.keys().cloned().collect(),
        normaliser: Normaliser::default(),
    };
    runner.prepare(script, &namespace).await.with_context(|| format!("script `{}`", script.name))?;
    let mut transcript = Vec::new();
    for step in &script.steps {
        let answer = runner.step(step).await;
        transcript.push(answer.with_context(|| format!("script `{}`, step `{}`", script.name, step.step))?);
    }
    Ok(transcript)
}

struct Runner<'a> {
    client: &'a Client,
    variables: BTreeMap<String, Value>,
    /// Variables that a step may fail to keep.
    optional: BTreeSet<String>,
    normaliser: Normaliser,
}

/// An answer as it came.
struct Raw {
    status: u16,
    warnings: Vec<String>,
    headers: HeaderMap,
    text: String,
    body: Value,
}

impl Raw {
    fn broken() -> Self {
        Self {
            status: 0,
            warnings: Vec::new(),
            headers: HeaderMap::new(),
            text: String::new(),
            body: Value::from("no answer: the connection is closed"),
        }
    }
}

/// A request's body.
#[derive(Clone, Copy)]
enum Sent<'a> {
    Json(&'a Value),
    Text(&'a str),
}

impl Runner<'_> {
    async fn prepare(&mut self, script: &Script, namespace: &str) -> Result<()> {
        let body = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": namespace } });
        let created = self.must("POST", "/api/v1/namespaces", Some(Sent::Json(&body))).await?;
        self.variables.insert("start".to_owned(), created.body["metadata"]["resourceVersion"].clone());
        for (name, value) in &script.variables {
            let value = substitute(value, &self.variables)?;
            self.variables.insert(name.clone(), value);
        }
        for name in &script.install {
            for path in files(name)? {
                let text = fs::read_to_string(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
                let definition = substitute(&serde_saphyr::from_str(&text)?, &self.variables)?;
                self.install(&definition).await.with_context(|| format!("`{}`", path.display()))?;
            }
        }
        Ok(())
    }

    /// Installs a CRD, which the server must have nothing against, and waits until its objects are served.
    /// A shared one may be there already.
    async fn install(&self, definition: &Value) -> Result<()> {
        let text = |path: &str| get(definition, path).and_then(|it| Some(it.as_str()?.to_owned())).unwrap_or_default();
        let objects =
            format!("/apis/{}/{}/{}", text("spec.group"), text("spec.versions.0.name"), text("spec.names.plural"));
        let shared = !text("spec.group").contains(self.variables["script"].as_str().unwrap_or_default());
        if shared && self.is_served(&objects).await? {
            return Ok(());
        }
        let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
        let raw = read(self.send("POST", path, Some(Sent::Json(definition)), &BTreeMap::new()).await?).await?;
        if raw.status >= 300 && !(shared && raw.body["reason"] == "AlreadyExists") {
            bail!("`POST {path}` is answered with {}: {}", raw.status, raw.body);
        }
        if !raw.warnings.is_empty() {
            bail!("the API server warns: {}", raw.warnings.join("; "));
        }
        for _ in 0..POLLS {
            if self.is_served(&objects).await? {
                return Ok(());
            }
            tokio::time::sleep(POLL).await;
        }
        bail!("`{objects}` is not served")
    }

    async fn is_served(&self, path: &str) -> Result<bool> {
        Ok(self.send("GET", &format!("{path}?limit=1"), None, &BTreeMap::new()).await?.status().is_success())
    }

    async fn must(&self, verb: &str, path: &str, body: Option<Sent<'_>>) -> Result<Raw> {
        let raw = read(self.send(verb, path, body, &BTreeMap::new()).await?).await?;
        if raw.status >= 300 {
            bail!("`{verb} {path}` is answered with {}: {}", raw.status, raw.body);
        }
        Ok(raw)
    }

    async fn step(&mut self, step: &Step) -> Result<Answer> {
        let (verb, path, body) = self.fill_in(&step.request, step.body.as_ref())?;
        let text = step.text.as_deref().map(|text| substitute_text(text, &self.variables)).transpose()?;
        let text = text.as_ref().and_then(Value::as_str).map(Sent::Text);
        let mut raw = match self.answer(step, &verb, &path, text.or(body.as_ref().map(Sent::Json))).await {
            Err(error) if format!("{error:#}").contains(BROKEN) => Raw::broken(),
            answer => answer?,
        };
        if step.as_text {
            raw.body = Value::from(std::mem::take(&mut raw.text));
        }
        if let Some(moves) = &step.moves {
            raw.body = project(moves, &substitute(&moves.before, &self.variables)?, &raw.body);
        }
        self.keep_only(step, &mut raw.body)?;
        for (variable, path) in &step.keep {
            match get(&raw.body, path) {
                Some(value) => self.variables.insert(variable.clone(), value),
                None if self.optional.contains(variable) => continue,
                None => bail!("`{path}` is not in the answer {}", raw.body),
            };
        }
        let body = self.normaliser.normalise(&raw.body);
        let body = if step.show.is_empty() { body } else { show(&body, &step.show) };
        let header = |name: &String| (name.clone(), raw.headers.get(name).map_or(Value::Null, header_text));
        let headers = step.answer_headers.iter().map(header).collect();
        Ok(Answer { step: step.step.clone(), status: raw.status, warnings: raw.warnings, headers, body })
    }

    /// Verb, path and body with their variables replaced.
    fn fill_in(&self, request: &str, body: Option<&Value>) -> Result<(String, String, Option<Value>)> {
        let request = substitute(&Value::from(request), &self.variables)?;
        let (verb, path) =
            request.as_str().and_then(|it| it.split_once(' ')).context("`do` needs a verb and a path")?;
        let body = body.map(|body| substitute(body, &self.variables)).transpose()?;
        Ok((verb.to_owned(), path.to_owned(), body))
    }

    fn keep_only(&self, step: &Step, body: &mut Value) -> Result<()> {
        for (list, wanted) in &step.only {
            let wanted: Vec<(&String, Value)> = wanted
                .iter()
                .map(|(path, value)| Ok((path, substitute(value, &self.variables)?)))
                .collect::<Result<_>>()?;
            let items = body.pointer_mut(&format!("/{}", list.replace('.', "/"))).and_then(Value::as_array_mut);
            let items = items.with_context(|| format!("the answer has no list `{list}`"))?;
            items.retain(|item| wanted.iter().all(|(path, value)| get(item, path).as_ref() == Some(value)));
        }
        Ok(())
    }

    async fn answer(&self, step: &Step, verb: &str, path: &str, body: Option<Sent<'_>>) -> Result<Raw> {
        if verb == "WATCH" {
            let separator = if path.contains('?') { '&' } else { '?' };
            let path = format!("{path}{separator}watch=true");
            let response = self.send("GET", &path, None, &step.headers).await?;
            for request in &step.meanwhile {
                let (verb, path, body) = self.fill_in(&request.request, request.body.as_ref())?;
                self.must(&verb, &path, body.as_ref().map(Sent::Json)).await?;
            }
            return read_events(response, step.events).await;
        }
        let mut raw = read(self.send(verb, path, body, &step.headers).await?).await?;
        for _ in 0..POLLS {
            let has_all = step.until.iter().all(|(path, value)| get(&raw.body, path).unwrap_or_default() == *value);
            if has_all && !is_begun_anew(&raw) {
                return Ok(raw);
            }
            tokio::time::sleep(POLL).await;
            raw = read(self.send(verb, path, body, &step.headers).await?).await?;
        }
        bail!("the answer never gets to {:?}: {}", step.until, raw.body)
    }

    async fn send(
        &self,
        verb: &str,
        path: &str,
        body: Option<Sent<'_>>,
        headers: &BTreeMap<String, String>,
    ) -> Result<Response<Body>> {
        let (method, content_type) = match verb {
            "JSON-PATCH" => ("PATCH", "application/json-patch+json"),
            "MERGE-PATCH" => ("PATCH", "application/merge-patch+json"),
            "STRATEGIC-PATCH" => ("PATCH", "application/strategic-merge-patch+json"),
            "APPLY" => ("PATCH", "application/apply-patch+yaml"),
            method => (method, "application/json"),
        };
        let mut usual = BTreeMap::from([("accept", "application/json"), ("user-agent", USER_AGENT)]);
        if body.is_some() {
            usual.insert("content-type", content_type);
        }
        usual.extend(headers.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let request = usual
            .into_iter()
            .fold(Request::builder().method(method).uri(path), |it, (name, value)| it.header(name, value));
        let body = match body {
            Some(Sent::Json(body)) => serde_json::to_vec(body)?,
            Some(Sent::Text(body)) => body.as_bytes().to_vec(),
            None => Vec::new(),
        };
        Ok(self.client.send(request.body(Body::from(body))?).await?)
    }
}

/// The files of an entry of `install`.
fn files(name: &str) -> Result<Vec<PathBuf>> {
    if let Some(plural) = name.strip_prefix("gateway-api/") {
        return Ok(vec![gateway_api::definition(plural)?]);
    }
    if !name.contains('/') {
        return Ok(vec![Path::new(super::FOLDER).join("install").join(format!("{name}.yaml"))]);
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name);
    let entries = fs::read_dir(&folder).with_context(|| format!("cannot read folder `{}`", folder.display()))?;
    let mut paths: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    paths.retain(|path| path.extension().is_some_and(|it| it == "yaml"));
    paths.sort();
    Ok(paths)
}

async fn read(response: Response<Body>) -> Result<Raw> {
    let status = response.status().as_u16();
    let warnings = warnings(response.headers());
    let headers = response.headers().clone();
    let body = tokio::time::timeout(SILENCE, response.into_body().collect()).await;
    let bytes = body.context("the answer does not end")??.to_bytes();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let is_yaml = headers.get(http::header::CONTENT_TYPE).is_some_and(|it| it.as_bytes().ends_with(b"/yaml"));
    let body = if is_yaml { serde_saphyr::from_str(&text).ok() } else { serde_json::from_slice(&bytes).ok() };
    // A path that nobody serves is answered in plain text.
    let body = body.unwrap_or_else(|| Value::from(text.clone()));
    Ok(Raw { status, warnings, headers, text, body })
}

/// Whether a server takes nothing for the moment, because it begins the storage of a resource anew whose definition has
/// changed: it says so by chance, and every client asks again.
fn is_begun_anew(raw: &Raw) -> bool {
    let message = raw.body["message"].as_str().unwrap_or_default();
    raw.status == 429 && message.contains("storage is (re)initializing")
}

async fn read_events(response: Response<Body>, limit: Option<usize>) -> Result<Raw> {
    let status = response.status().as_u16();
    if status >= 300 {
        return read(response).await;
    }
    let headers = response.headers().clone();
    let stream = response.into_body().into_data_stream().map_err(std::io::Error::other);
    let mut lines = Box::pin(stream.into_async_read()).lines();
    let mut events = Vec::new();
    while limit.is_none_or(|limit| events.len() < limit) {
        let line = tokio::time::timeout(SILENCE, lines.next()).await;
        let Some(line) = line.with_context(|| format!("the watch is silent after {}", Value::from(events.clone())))?
        else {
            break;
        };
        events.push(serde_json::from_str(&line?)?);
    }
    Ok(Raw { status, warnings: Vec::new(), headers, text: String::new(), body: Value::Array(events) })
}

fn header_text(value: &http::HeaderValue) -> Value {
    Value::from(String::from_utf8_lossy(value.as_bytes()))
}

/// The text of `299 - "text"`.
fn warnings(headers: &HeaderMap) -> Vec<String> {
    let texts = headers.get_all(http::header::WARNING).iter().filter_map(|value| value.to_str().ok());
    let quoted = texts.filter_map(|text| text.strip_prefix("299 - \"")?.strip_suffix('"'));
    quoted.map(|text| text.replace("\\\"", "\"")).collect()
}

/// Replaces variables: a string that is one variable becomes its value, else its text goes in.
fn substitute(value: &Value, variables: &BTreeMap<String, Value>) -> Result<Value> {
    Ok(match value {
        Value::String(text) => substitute_text(text, variables)?,
        Value::Array(items) => items.iter().map(|item| substitute(item, variables)).collect::<Result<_>>()?,
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| {
                let name = substitute_text(name, variables)?.as_str().unwrap_or_default().to_owned();
                Ok((name, substitute(value, variables)?))
            });
            Value::Object(fields.collect::<Result<Map<_, _>>>()?)
        }
        other => other.clone(),
    })
}

fn substitute_text(text: &str, variables: &BTreeMap<String, Value>) -> Result<Value> {
    let Some((before, rest)) = text.split_once("${") else { return Ok(text.into()) };
    let (name, after) = rest.split_once('}').with_context(|| format!("`{text}`: `${{` without `}}`"))?;
    let value = variables.get(name).with_context(|| format!("`{text}`: no step kept `{name}`"))?;
    if before.is_empty() && after.is_empty() {
        return Ok(value.clone());
    }
    let plain = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let after = substitute_text(after, variables)?;
    Ok(format!("{before}{plain}{}", after.as_str().map_or_else(|| after.to_string(), str::to_owned)).into())
}

/// The value at a dotted path; a number indexes a list, and `*` collects from all its items. A dot in a name is `\.`.
pub(super) fn get(value: &Value, path: &str) -> Option<Value> {
    let escaped = path.replace("\\.", "\u{0}");
    let names: Vec<String> = escaped.split('.').map(|name| name.replace('\u{0}', ".")).collect();
    walk(value, &names)
}

fn walk(value: &Value, names: &[String]) -> Option<Value> {
    let Some((name, rest)) = names.split_first() else { return Some(value.clone()) };
    match value {
        Value::Array(items) if name == "*" => {
            Some(items.iter().map(|item| walk(item, rest).unwrap_or_default()).collect())
        }
        Value::Array(items) => walk(items.get(name.parse::<usize>().ok()?)?, rest),
        Value::Object(fields) => walk(fields.get(name)?, rest),
        _ => None,
    }
}

fn show(body: &Value, paths: &[String]) -> Value {
    let shown = paths.iter().map(|path| (path.clone(), get(body, path).unwrap_or_default()));
    Value::Object(shown.collect())
}

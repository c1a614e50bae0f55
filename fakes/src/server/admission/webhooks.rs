//! Webhooks: those that change an object, one after the other, and those that judge it, all at once.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use futures::future;
use serde_json::Value;

use super::{
    Chain, Object,
    attributes::Attributes,
    call::{Client, body_of},
    conditions::Conditions,
    reinvoke::Round,
    review::{self, Answer},
    rules::Matcher,
    scope::Inputs,
};
use crate::{
    object::{strings, text},
    server::{ApiServer, Target},
    status::Status,
};

/// One webhook of a configuration.
#[derive(Debug)]
pub(super) struct Webhook {
    name: String,
    /// Configuration, name and how many of the name came before: what tells it from all others.
    pub(super) id: String,
    matcher: Matcher,
    conditions: Conditions,
    client: Client,
    may_fail: bool,
    side_effects: Option<String>,
    versions: Vec<String>,
    reinvoke: bool,
}

/// Why a webhook did not let a request through.
enum Failure {
    /// It said no.
    Refused(Status),
    /// It could not be asked, or its answer makes no sense.
    Call(String),
}

impl Webhook {
    /// Reads the webhooks of a configuration.
    pub(super) fn of_configuration(configuration: &Value) -> Vec<Self> {
        let of = text(configuration, &["metadata", "name"]);
        let list = configuration.get("webhooks").and_then(Value::as_array);
        let mut names: Vec<&str> = Vec::new();
        let webhooks = list.into_iter().flatten().map(|webhook| {
            let name = text(webhook, &["name"]);
            let before = names.iter().filter(|known| **known == name).count();
            names.push(name);
            Self::read(webhook, format!("{of}/{name}/{before}"))
        });
        webhooks.collect()
    }

    fn read(webhook: &Value, id: String) -> Self {
        let may_fail = text(webhook, &["failurePolicy"]) == "Ignore";
        Self {
            name: text(webhook, &["name"]).to_owned(),
            id,
            matcher: Matcher::of_webhook(webhook),
            conditions: Conditions::read(webhook, may_fail),
            client: Client::of_webhook(webhook),
            may_fail,
            side_effects: webhook.get("sideEffects").and_then(Value::as_str).map(str::to_owned),
            versions: strings(webhook.get("admissionReviewVersions")).into_iter().map(str::to_owned).collect(),
            reinvoke: text(webhook, &["reinvocationPolicy"]) == "IfNeeded",
        }
    }

    /// The version in which the webhook wants to see the request; none when it does not.
    fn concerns(
        &self,
        api: &ApiServer,
        request: &Attributes<'_>,
        object: &Object<'_>,
    ) -> Result<Option<Target>, Status> {
        let shown = object.shown(request.target);
        let Some(target) = self.matcher.matches(request, shown.as_ref(), api.store())? else { return Ok(None) };
        if self.conditions.is_empty() {
            return Ok(Some(target));
        }
        let document = Value::Object(review::request(request, &target));
        let (object, old) = (object.shown(&target), request.old_in(&target));
        let inputs =
            Inputs { object: object.as_ref(), old: old.as_ref(), request: &document, params: None, namespace: None };
        match self.conditions.hold(&inputs, &[]) {
            Ok(true) => Ok(Some(target)),
            Ok(false) => Ok(None),
            Err(why) => Err(Status::forbidden(&request.target.resource.resource, &request.name, &why)),
        }
    }

    async fn ask(
        &self,
        api: &ApiServer,
        request: &Attributes<'_>,
        object: Option<&Value>,
        target: &Target,
        mutating: bool,
    ) -> Result<Answer, Failure> {
        if request.dry_run {
            let Some(effects) = &self.side_effects else {
                return Err(Failure::Call("Webhook SideEffects is nil".to_owned()));
            };
            if !matches!(effects.as_str(), "None" | "NoneOnDryRun") {
                let why = format!("admission webhook {:?} does not support dry run", self.name);
                return Err(Failure::Refused(Status::bad_request(why)));
            }
        }
        let known = |version: &&String| review::VERSIONS.contains(&version.as_str());
        let Some(version) = self.versions.iter().find(known) else {
            let why = "could not create admission objects: webhook does not accept known AdmissionReview versions (v1, \
                       v1beta1)";
            return Err(Failure::Call(why.to_owned()));
        };
        let uid = api.review_uid();
        let old = request.old_in(target);
        let question = review::question(version, &uid, review::request(request, target), object, old.as_ref());
        let failed = |why: String| Failure::Call(format!("failed to call webhook: {why}"));
        let body = self.body(api, question).await.map_err(failed)?;
        let answer = review::read(&body, version, &uid, mutating).map_err(failed)?;
        let answer = answer.map_err(|why| Failure::Call(format!("received invalid webhook response: {why}")))?;
        request.warn(&answer.warnings);
        if answer.allowed { Ok(answer) } else { Err(Failure::Refused(self.refusal(answer.result))) }
    }

    async fn body(&self, api: &ApiServer, question: Bytes) -> Result<Bytes, String> {
        body_of(self.client.call(question, api.webhooks(), api.clock()).await?)
    }

    /// What the client is told when the webhook says no.
    fn refusal(&self, result: Option<Value>) -> Status {
        let result = result.unwrap_or_default();
        let by = format!("admission webhook {:?} denied the request", self.name);
        let message = match (text(&result, &["message"]), text(&result, &["reason"])) {
            ("", "") => format!("{by} without explanation"),
            ("", reason) => format!("{by}: {reason}"),
            (message, _) => format!("{by}: {message}"),
        };
        let code = result.get("code").and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok());
        let mut status = Status::new(code.filter(|code| *code >= 400).unwrap_or(400), "", message);
        status.reason = text(&result, &["reason"]).to_owned().into();
        status.details = result.get("details").filter(|details| details.is_object()).cloned().map(Box::new);
        status
    }

    /// A failure as the client is told of it; none when it does not matter.
    fn told(&self, failure: Failure) -> Option<Status> {
        match failure {
            Failure::Refused(status) => Some(status),
            Failure::Call(_) if self.may_fail => None,
            Failure::Call(why) => Some(Status::internal(&format!("failed calling webhook {:?}: {why}", self.name))),
        }
    }
}

impl ApiServer {
    /// Has every webhook that concerns the request change the object, in the order of their names.
    pub(super) async fn call_mutating(
        &self,
        chain: &Chain,
        request: &Attributes<'_>,
        object: &mut Object<'_>,
        round: &mut Round<String>,
    ) -> Result<(), Status> {
        round.begin(object.value());
        for webhook in chain.configuration.mutating_webhooks() {
            let Some(target) = webhook.concerns(self, request, object)? else { continue };
            if !round.runs(&webhook.id) {
                continue;
            }
            let shown = object.shown(&target);
            let changed = match webhook.ask(self, request, shown.as_ref(), &target, true).await {
                Ok(answer) => webhook.patch(object, &target, &answer),
                Err(failure) => Err(failure),
            };
            let changed = match changed {
                Ok(changed) => changed,
                Err(failure) => match webhook.told(failure) {
                    Some(status) => return Err(status),
                    None => false,
                },
            };
            round.ran(webhook.id.clone(), webhook.reinvoke, changed);
        }
        round.end(object.value());
        Ok(())
    }

    /// Asks every webhook that concerns the request at once. The first that says no is heard, after all have answered.
    pub(super) async fn call_validating(
        &self,
        chain: &Chain,
        request: &Attributes<'_>,
        object: &Object<'_>,
    ) -> Result<(), Status> {
        let mut asked = Vec::new();
        for webhook in chain.configuration.validating_webhooks() {
            if let Some(target) = webhook.concerns(self, request, object)? {
                asked.push((webhook, object.shown(&target), target));
            }
        }
        let refused: Mutex<Vec<Status>> = Mutex::default();
        let calls = asked.iter().map(|(webhook, shown, target)| async {
            if let Err(failure) = webhook.ask(self, request, shown.as_ref(), target, false).await {
                refused.lock().unwrap_or_else(PoisonError::into_inner).extend(webhook.told(failure));
            }
        });
        future::join_all(calls).await;
        let refused = refused.into_inner().unwrap_or_else(PoisonError::into_inner);
        refused.into_iter().next().map_or(Ok(()), Err)
    }
}

impl Webhook {
    /// Applies what a webhook wants changed; whether anything is.
    fn patch(&self, object: &mut Object<'_>, target: &Target, answer: &Answer) -> Result<bool, Failure> {
        if answer.patch.is_empty() {
            return Ok(false);
        }
        let operations = super::json_patch::decode(&answer.patch)
            .map_err(|why| Failure::Call(format!("received undecodable patch in webhook response: {why}")))?;
        if operations.is_empty() {
            return Ok(false);
        }
        let refused = |why: String| Failure::Refused(Status::internal(&why));
        let Some(mut patched) = object.shown(target) else {
            let why = format!(
                "admission webhook {:?} attempted to modify the object, which is not supported for this operation",
                self.name
            );
            return Err(refused(why));
        };
        if answer.patch_type != "JSONPatch" {
            return Err(Failure::Call(format!("unsupported patch type {:?}", answer.patch_type)));
        }
        super::json_patch::apply(&mut patched, &operations).map_err(refused)?;
        object.replace(target, patched).map_err(refused)
    }
}

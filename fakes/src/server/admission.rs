//! Admission: what is configured to change, judge and refuse writes before they are stored.
//!
//! The order is the real server's. Mutating policies, then mutating webhooks, and both again where one changed what
//! another had seen; then the object is made complete and validated; then validating policies and validating webhooks.
//! While nothing is configured a write passes by without a look at its object, and never waits.

mod attributes;
mod authorizer;
mod call;
mod conditions;
mod configuration;
mod https;
mod json_patch;
mod kinds;
mod literal;
mod mutating;
mod policies;
mod reinvoke;
mod review;
mod rules;
mod scope;
mod validating;
mod webhooks;

use std::sync::{Arc, PoisonError, RwLock};

use serde_json::Value;

pub use self::call::{WebhookCall, Webhooks};
pub(super) use self::{
    attributes::{Attributes, Operation},
    https::Https,
    kinds::{prepare_create, set_defaults, validate},
};
use self::{configuration::Configuration, reinvoke::Round};
use super::{ApiServer, Subresource, Target, convert, http, write};
use crate::{defaults, status::Status, store::Stored};

/// Everything that is configured, and how webhooks are reached.
#[derive(Debug)]
pub(super) struct Admission {
    configuration: RwLock<Arc<Configuration>>,
    webhooks: Arc<dyn Webhooks>,
}

/// What is configured at the time of a write.
pub(super) struct Chain {
    configuration: Arc<Configuration>,
}

/// The object of a write as it is stored, or will be; of a deletion there is none.
pub(super) struct Object<'a> {
    stored: Option<Value>,
    target: &'a Target,
}

impl Admission {
    pub(super) fn new(webhooks: Arc<dyn Webhooks>) -> Self {
        Self { configuration: RwLock::default(), webhooks }
    }

    fn configuration(&self) -> Arc<Configuration> {
        self.configuration.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl<'a> Object<'a> {
    pub(super) fn new(target: &'a Target, stored: Option<Value>) -> Self {
        Self { stored, target }
    }

    pub(super) fn into_value(self) -> Option<Value> {
        self.stored
    }

    fn value(&self) -> Option<&Value> {
        self.stored.as_ref()
    }

    /// The object as it looks in a version.
    fn shown(&self, target: &Target) -> Option<Value> {
        self.stored.as_ref().map(|stored| shown(target, stored))
    }

    /// Takes in what somebody made of the object as it was shown; whether that changes anything.
    fn replace(&mut self, target: &Target, shown: Value) -> Result<bool, String> {
        let new = match (target.subresource, &self.stored) {
            (Subresource::Scale, Some(stored)) => {
                http::scaled(target, stored, &shown).map_err(|status| status.message)?
            }
            (Subresource::Binding | Subresource::Eviction, _) => shown,
            _ => read_again(self.target, convert::incoming(target, shown))?,
        };
        let changed = self.stored.as_ref() != Some(&new);
        self.stored = Some(new);
        Ok(changed)
    }
}

/// A stored object as it looks in the version and subresource of a request.
fn shown(target: &Target, stored: &Value) -> Value {
    match target.subresource {
        Subresource::Scale => http::scale_of(target, stored),
        Subresource::Binding | Subresource::Eviction => stored.clone(),
        _ if convert::differs(target) => convert::outgoing(target, stored),
        _ => stored.clone(),
    }
}

impl ApiServer {
    /// What is configured for writes to a resource; none when there is nothing. The configuration itself is exempt: else
    /// nobody could take back one that refuses everything.
    pub(super) fn chain(&self, target: &Target) -> Option<Chain> {
        let configuration = self.inner.admission.configuration();
        let exempt = configuration.is_empty() || configuration::is_part(&target.resource.resource);
        (!exempt).then_some(Chain { configuration })
    }

    fn webhooks(&self) -> &Arc<dyn Webhooks> {
        &self.inner.admission.webhooks
    }

    /// The uid of a review, from a stream of its own, so that webhooks shift no other uid.
    fn review_uid(&self) -> String {
        self.store().review_uid()
    }

    /// Learns of a part of the configuration that was written or removed.
    pub(super) fn configure(&self, stored: &Stored, removed: bool) {
        if !configuration::is_part(&stored.key.resource) {
            return;
        }
        let mut configuration = self.inner.admission.configuration.write().unwrap_or_else(PoisonError::into_inner);
        *configuration = Arc::new(configuration.with(stored, removed));
    }

    /// Has the object of a write changed by whoever is configured to change it.
    pub(super) async fn mutate(
        &self,
        chain: &Chain,
        request: &Attributes<'_>,
        object: Option<Value>,
    ) -> Result<Option<Value>, Status> {
        let mut object = Object::new(request.target, object);
        if !chain.configuration.mutates() {
            return Ok(object.into_value());
        }
        let (mut policies, mut webhooks) = (Round::first(), Round::first());
        loop {
            // There is no object to change in a deletion, so policies are not asked about it.
            if request.operation != Operation::Delete {
                self.apply_policies(chain, request, &mut object, &mut policies)?;
            }
            self.call_mutating(chain, request, &mut object, &mut webhooks).await?;
            if policies.is_second() || !(policies.due || webhooks.due) {
                return Ok(object.into_value());
            }
            policies.repeat();
            webhooks.repeat();
            if let (Operation::Create, Some(stored)) = (request.operation, &mut object.stored) {
                defaults::admit(&request.target.resource.stored_as, stored);
            }
        }
    }

    /// Has the complete object of a write judged.
    pub(super) async fn judge(
        &self,
        chain: &Chain,
        request: &Attributes<'_>,
        object: Option<&Value>,
    ) -> Result<(), Status> {
        if !chain.configuration.validates() {
            return Ok(());
        }
        let object = Object::new(request.target, object.cloned());
        self.check_policies(chain, request, &object)?;
        self.call_validating(chain, request, &object).await
    }

    /// Both, where the object is only looked at: a deletion, or a subresource that is no part of the object.
    pub(super) async fn mutate_and_judge(&self, request: &Attributes<'_>, object: Option<Value>) -> Result<(), Status> {
        let Some(chain) = self.chain(request.target) else { return Ok(()) };
        let object = self.mutate(&chain, request, object).await?;
        self.judge(&chain, request, object.as_ref()).await
    }
}

/// Reads what somebody made of an object: types and defaults are as of an object that is sent.
fn read_again(target: &Target, mut object: Value) -> Result<Value, String> {
    write::read_again(&mut object, target).map_err(|status| {
        let prefix = " cannot be handled as a ";
        let told = status.message.split_once(prefix).and_then(|(_, rest)| rest.split_once(": "));
        told.map_or(status.message.clone(), |(_, why)| why.to_owned())
    })?;
    Ok(object)
}

#[cfg(test)]
mod tests;

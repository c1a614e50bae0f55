//! Events, as the controllers of kube-controller-manager record them.
//!
//! What happens again is counted on the Event that is there; of what differs in words only, much is told as one; and who
//! tells too much about one object is not listened to for a while. The Events come with the writes they tell of, and
//! nothing waits for them or fails with them.

mod correlator;

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use self::correlator::{Correlator, Record};
use super::object;
use crate::clock::stamp;
use crate::server::{ApiServer, Patch, WriteOptions};
use crate::store::{GroupResource, Key};

/// The longest name of an object.
const LONGEST_NAME: usize = 253;

/// Something that happened to an object.
#[derive(Debug)]
pub(crate) struct Notice {
    kind: &'static str,
    reason: &'static str,
    message: String,
}

impl Notice {
    /// Something that is as it should be.
    pub(crate) fn normal(reason: &'static str, message: String) -> Self {
        Self { kind: "Normal", reason, message }
    }

    /// Something that is not.
    pub(crate) fn warning(reason: &'static str, message: String) -> Self {
        Self { kind: "Warning", reason, message }
    }
}

/// One controller's voice.
#[derive(Debug, Clone)]
pub(crate) struct Recorder {
    api: ApiServer,
    component: &'static str,
    correlator: Arc<Mutex<Correlator>>,
}

impl Recorder {
    pub(crate) fn new(api: &ApiServer, component: &'static str) -> Self {
        Self { api: api.clone(), component, correlator: Arc::default() }
    }

    /// Writes what happened, or counts it on the Event that tells of it already.
    pub(crate) async fn record(&self, about: &Value, notice: &Notice, options: &WriteOptions) {
        let now = self.api.clock().now();
        let event = self.event(about, notice, &stamp(now));
        let record = self.correlator.lock().unwrap_or_else(PoisonError::into_inner).correlate(event, now);
        let events = GroupResource::new("", "events");
        // An Event that cannot be written is lost: in a namespace that ends, or under a name that is taken.
        match record {
            None => {}
            Some(Record::New(event)) => drop(self.api.create(&events, event, options).await),
            Some(Record::Again(event)) => {
                let key = Key::new(&events, object::namespace(&event), object::name(&event));
                let patch = json!({
                    "count": event["count"], "lastTimestamp": event["lastTimestamp"], "message": event["message"],
                });
                if self.api.patch(&key, &Patch::Strategic(patch), options).await.is_err_and(|it| it.code == 404) {
                    drop(self.api.create(&events, event, options).await);
                }
            }
        }
    }

    fn event(&self, about: &Value, notice: &Notice, now: &str) -> Value {
        let namespace = match object::namespace(about) {
            "" => "default",
            namespace => namespace,
        };
        let mut involved = json!({
            "kind": about["kind"],
            "name": object::name(about),
            "uid": object::uid(about),
            "apiVersion": about["apiVersion"],
            "resourceVersion": about["metadata"]["resourceVersion"],
        });
        if !object::namespace(about).is_empty() {
            involved["namespace"] = namespace.into();
        }
        let name: String = object::name(about).chars().take(LONGEST_NAME - ".".len() - 16).collect();
        json!({
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": { "name": format!("{name}.{:016x}", self.moment()), "namespace": namespace },
            "involvedObject": involved,
            "reason": notice.reason,
            "message": notice.message,
            "source": { "component": self.component },
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
            "type": notice.kind,
            "eventTime": null,
            "reportingComponent": self.component,
            "reportingInstance": "",
        })
    }

    /// Nanoseconds, of which no two are the same.
    fn moment(&self) -> i128 {
        let now = self.api.clock().now().as_nanosecond();
        self.correlator.lock().unwrap_or_else(PoisonError::into_inner).moment(now)
    }
}

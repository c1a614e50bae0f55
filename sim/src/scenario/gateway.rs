//! Gateways of clusters, and clients that send requests to them.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use slipway_fakes::{
    Delay, GatewayOptions,
    gateway::{ClientOptions, Request},
};

use super::{Span, Time};

/// A gateway, with how late it is. What is not said is as the fake has it: seconds at most.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Gateway {
    /// From a change of a route until it is in force.
    pub routes_after: Option<Span>,
    /// From a change of a backend or its endpoints until it is in force.
    pub endpoints_after: Option<Span>,
    /// From a change of a route until its status answers it.
    pub status_after: Option<Span>,
}

impl Gateway {
    /// As the fake is told.
    pub fn options(&self) -> GatewayOptions {
        let default = GatewayOptions::default();
        let delay = |span: Option<Span>, default: Delay| span.map_or(default, delay);
        GatewayOptions {
            routes: delay(self.routes_after, default.routes),
            endpoints: delay(self.endpoints_after, default.endpoints),
            status: delay(self.status_after, default.status),
        }
    }
}

impl fmt::Display for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let GatewayOptions { routes, endpoints, status } = self.options();
        let [routes, endpoints, status] = [routes, endpoints, status].map(|delay| match (delay.min_ms, delay.max_ms) {
            (low, high) if low == high => Time::millis(low).to_string(),
            (low, high) => format!("{}..{}", Time::millis(low), Time::millis(high)),
        });
        write!(f, "{routes} with routes, {endpoints} with endpoints and {status} with status")
    }
}

/// A span as the fakes have it.
pub(crate) fn delay(span: Span) -> Delay {
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    Delay::between(millis(span.low), millis(span.high))
}

/// Somebody who sends the same request again and again.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Client {
    /// Its name.
    pub name: String,
    /// The cluster whose gateway it asks; the hub when absent.
    pub cluster: Option<String>,
    /// The host it asks for.
    pub host: String,
    /// The path; of a call in gRPC `/service/method`.
    #[serde(default = "root")]
    pub path: String,
    /// The method.
    #[serde(default = "get")]
    pub method: String,
    /// Headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Query parameters.
    #[serde(default)]
    pub query: BTreeMap<String, String>,
    /// How long it waits before each request.
    #[serde(default = "every")]
    pub every: Time,
    /// When it begins: once there is something to answer it.
    #[serde(default = "from")]
    pub from: Time,
}

impl Client {
    /// As the fake is told.
    pub fn options(&self) -> ClientOptions {
        let request = Request { method: self.method.clone(), ..Request::get(&self.host, &self.path) };
        let request = self.headers.iter().fold(request, |request, (name, value)| request.header(name, value));
        let request = self.query.iter().fold(request, |request, (name, value)| request.query(name, value));
        ClientOptions { request, interval: self.every.0 }
    }
}

fn root() -> String {
    "/".to_owned()
}

fn get() -> String {
    "GET".to_owned()
}

const fn from() -> Time {
    Time::secs(10)
}

const fn every() -> Time {
    Time::millis(200)
}

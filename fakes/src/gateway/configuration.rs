//! What a data plane has programmed, and what becomes of requests by it. Nothing here waits, draws or looks elsewhere.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use super::backend::{Backend, BackendId, Endpoint, Reference};
use super::dice::Dice;
use super::filter::Filter;
use super::ingress;
use super::matching::Match;
use super::request::Request;
use super::rule::{self, RouteId, Rule, Weighted};

/// Routes and backends as they are in force.
#[derive(Clone, Debug, Default)]
pub struct Configuration {
    routes: BTreeMap<RouteId, Arc<[Rule]>>,
    /// Ingresses as they are: one can be the canary of another.
    ingresses: BTreeMap<RouteId, Arc<Value>>,
    backends: BTreeMap<BackendId, Arc<Backend>>,
}

/// What became of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The route and the number of its rule that took the request.
    pub rule: Option<(RouteId, usize)>,
    /// The backend that was drawn.
    pub backend: Option<BackendId>,
    /// The pod that answered.
    pub pod: Option<Arc<Endpoint>>,
    /// The request as the pod got it.
    pub forwarded: Request,
    /// Where a redirect leads.
    pub location: Option<String>,
    /// Where copies of the request went.
    pub mirrored: Vec<(BackendId, Arc<Endpoint>)>,
}

/// What stands behind a reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Pods that are ready.
    Serving,
    /// No pod that is ready: requests are answered 503.
    Empty,
    /// No such backend, or a wrong reference: requests are answered 500.
    Missing,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Serving => "serving",
            Self::Empty => "empty",
            Self::Missing => "missing",
        })
    }
}

/// How a rule divides its requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleShares {
    /// The route.
    pub route: RouteId,
    /// The place of the rule in it.
    pub index: usize,
    /// The rule's name; empty without one.
    pub name: String,
    /// What its backends get, in the order of the references.
    pub backends: Vec<BackendShare>,
    /// Whether it sends nothing to backends, but answers with a redirect.
    pub redirects: bool,
}

/// What a backend gets of a rule's requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendShare {
    /// The backend.
    pub backend: BackendId,
    /// Its weight.
    pub weight: u64,
    /// Its share in parts of [`WHOLE`], rounded down.
    pub share: u64,
    /// What stands behind it.
    pub state: State,
    /// What each of its pods gets, in parts of [`WHOLE`], rounded down.
    pub pods: Vec<(Arc<Endpoint>, u64)>,
}

/// All requests of a rule: shares are parts of it.
pub const WHOLE: u64 = 1_000_000_000;

impl Configuration {
    /// Programs a route, or takes it away. One that is not attached to a gateway is to be taken away.
    pub fn set_route(&mut self, id: &RouteId, route: Option<&Value>) {
        if id.kind == "Ingress" {
            match route {
                Some(route) => drop(self.ingresses.insert(id.clone(), Arc::new(route.clone()))),
                None => drop(self.ingresses.remove(id)),
            }
            self.routes.retain(|known, _| known.kind != "Ingress");
            let all: Vec<&Value> = self.ingresses.values().map(|it| &**it).collect();
            self.routes.extend(ingress::rules(&all).into_iter().map(|(id, rules)| (id, rules.into())));
            return;
        }
        match route {
            Some(route) => drop(self.routes.insert(id.clone(), rule::of_route(&id.kind, route).into())),
            None => drop(self.routes.remove(id)),
        }
    }

    /// Programs a backend, or takes it away. Says whether that changed anything.
    pub fn set_backend(&mut self, id: &BackendId, backend: Option<Backend>) -> bool {
        if self.backends.get(id).map(|known| &**known) == backend.as_ref() {
            return false;
        }
        match backend {
            Some(backend) => drop(self.backends.insert(id.clone(), Arc::new(backend))),
            None => drop(self.backends.remove(id)),
        }
        true
    }

    /// A backend.
    pub fn backend(&self, id: &BackendId) -> Option<&Backend> {
        self.backends.get(id).map(|backend| &**backend)
    }

    /// The routes in force.
    pub fn routes(&self) -> impl Iterator<Item = &RouteId> {
        self.routes.keys()
    }

    /// The backends that are known.
    pub fn backends(&self) -> impl Iterator<Item = &BackendId> {
        self.backends.keys()
    }

    /// Answers a request.
    pub fn route(&self, request: &Request, dice: &mut Dice) -> Answer {
        let mut answer = Answer { status: 404, forwarded: request.clone(), ..Answer::default() };
        let Some((rule, matched)) = self.best(request) else { return answer };
        answer.rule = Some((rule.route.clone(), rule.index));
        let prefix = matched.prefix();
        if !self.pass(&rule.filters, prefix, &mut answer, dice) {
            return answer;
        }
        let Some(drawn) = draw(&rule.backends, dice) else {
            answer.status = 500;
            return answer;
        };
        answer.backend = Some(drawn.to.to.clone());
        if !self.pass(&drawn.filters, prefix, &mut answer, dice) {
            return answer;
        }
        answer.status = match self.stand(&drawn.to) {
            // For Ingresses there is no rule, and this is what ingress-nginx does.
            State::Missing if rule.route.kind == "Ingress" => 503,
            State::Missing => 500,
            State::Empty => 503,
            State::Serving => 200,
        };
        if answer.status == 200 {
            answer.pod = self.pod(&drawn.to.to, dice);
        }
        answer
    }

    /// How every rule divides its requests.
    pub fn shares(&self) -> Vec<RuleShares> {
        self.rules().map(|rule| self.shares_of(rule)).collect()
    }

    /// How the rule divides its requests that takes such a one; none when no rule does.
    pub fn shares_for(&self, request: &Request) -> Option<RuleShares> {
        self.best(request).map(|(rule, _)| self.shares_of(rule))
    }

    fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.routes.values().flat_map(|rules| rules.iter())
    }

    /// The rule that takes a request and its match: the most specific one, then the oldest route, then the first by name,
    /// then the first rule of the route.
    fn best(&self, request: &Request) -> Option<(&Rule, &Match)> {
        let fitting = self.rules().flat_map(|rule| {
            rule.matches.iter().filter_map(move |it| {
                let specificity = it.fits(&rule.hosts, request)?;
                let place = (&rule.created, &rule.route.namespace, &rule.route.name, rule.index);
                Some(((specificity, Reverse(place)), (rule, it)))
            })
        });
        // Of two matches of one rule either will do.
        fitting.max_by(|(a, _), (b, _)| a.cmp(b)).map(|(_, found)| found)
    }

    /// Has a request pass filters. False when it goes no further.
    fn pass(&self, filters: &[Filter], prefix: &str, answer: &mut Answer, dice: &mut Dice) -> bool {
        for filter in filters {
            if let Filter::Mirror { to, hits, of } = filter
                && dice.below(u64::from(*of)) < u64::from(*hits)
                && self.stand(to) == State::Serving
                && let Some(pod) = self.pod(&to.to, dice)
            {
                answer.mirrored.push((to.to.clone(), pod));
            }
            if matches!(filter, Filter::Unknown) {
                answer.status = 500;
                return false;
            }
            if let Some((status, location)) = filter.location(&answer.forwarded, prefix) {
                answer.status = status;
                answer.location = Some(location);
                return false;
            }
            filter.apply(&mut answer.forwarded, prefix);
        }
        true
    }

    fn stand(&self, reference: &Reference) -> State {
        let backend = self.backend(&reference.to);
        match backend {
            Some(backend) if reference.resolves(Some(backend)) => {
                if backend.endpoints.is_empty() {
                    State::Empty
                } else {
                    State::Serving
                }
            }
            _ => State::Missing,
        }
    }

    fn pod(&self, id: &BackendId, dice: &mut Dice) -> Option<Arc<Endpoint>> {
        let endpoints = &self.backend(id)?.endpoints;
        let drawn = dice.below(u64::try_from(endpoints.len()).unwrap_or_default());
        endpoints.get(usize::try_from(drawn).unwrap_or_default()).cloned()
    }

    fn shares_of(&self, rule: &Rule) -> RuleShares {
        let total = rule.backends.iter().map(|it| it.weight).sum::<u64>().max(1);
        let backends = rule.backends.iter().map(|it| {
            let pods = self.backend(&it.to.to).map(|backend| &*backend.endpoints).unwrap_or_default();
            let each = |pod: &Arc<Endpoint>| (pod.clone(), part(it.weight, total * pods.len() as u64));
            let state = self.stand(&it.to);
            BackendShare {
                backend: it.to.to.clone(),
                weight: it.weight,
                share: part(it.weight, total),
                state,
                pods: if state == State::Serving { pods.iter().map(each).collect() } else { Vec::new() },
            }
        });
        RuleShares {
            route: rule.route.clone(),
            index: rule.index,
            name: rule.name.clone(),
            backends: backends.collect(),
            redirects: rule.filters.iter().any(|filter| matches!(filter, Filter::Redirect { .. })),
        }
    }
}

/// Draws by weights; none when all of them are zero.
fn draw<'a>(backends: &'a [Weighted], dice: &mut Dice) -> Option<&'a Weighted> {
    let total: u64 = backends.iter().map(|it| it.weight).sum();
    let mut left = dice.below(total);
    backends.iter().find(|it| {
        let is_it = left < it.weight;
        left = left.saturating_sub(it.weight);
        is_it
    })
}

/// So many of a total, in parts of [`WHOLE`].
fn part(weight: u64, total: u64) -> u64 {
    let part = u128::from(weight) * u128::from(WHOLE) / u128::from(total.max(1));
    u64::try_from(part).unwrap_or(WHOLE)
}

//! The operator under test, one life after the other.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::future::BoxFuture;
use jiff::Timestamp;
use slipway_actors::{
    graph::{self, ActorPath, Graph, Injury},
    view::ObjectKey,
    world::{Clock, Member, World},
};
use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    time::sleep,
};

use crate::{
    coverage::Situation,
    facts::Facts,
    hooks::{Hooks, WayToHooks},
    link::{Link, Session, Trap, Wire},
    random::{Concern, Dice},
    recorder::Recorder,
    sabotage::Sabotage,
    scenario::{HUB, Injure, Span},
    site::Site,
};

/// How long a crashed operator stays away, unless it is said.
const AWAY: Span = Span::millis(500, 15_000);

/// The graph's clock: the clusters' own.
struct VirtualClock(slipway_fakes::Clock);

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        self.0.now()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let clock = self.0.clone();
        Box::pin(async move { clock.sleep(duration).await })
    }
}

/// What is to be done with the operator.
pub(crate) enum Order {
    /// Its session was closed at a write: bury it, and start another one.
    Bury,
    /// It crashes now and comes back after so long.
    Crash(Option<Duration>),
    /// It is stopped in good order and comes back after so long.
    Restart(Option<Duration>),
    /// One of its actors is hurt.
    Injure(ActorPath, Injury),
    /// It is stopped for good.
    Stop,
}

/// Everything one life after the other needs.
pub(crate) struct Operator {
    pub(crate) seed: u64,
    pub(crate) clock: slipway_fakes::Clock,
    pub(crate) recorder: Recorder,
    /// The hub first, then the members.
    pub(crate) sites: Vec<(Site, Arc<Wire>)>,
    pub(crate) hooks: Arc<Hooks>,
    pub(crate) trap: Arc<Mutex<Trap>>,
    pub(crate) sabotage: Option<Sabotage>,
    /// The delay after the next crash, if it is said.
    pub(crate) away: Arc<Mutex<Option<Duration>>>,
}

impl Operator {
    /// Lives until it is stopped for good.
    pub(crate) async fn live(self, orders: UnboundedSender<Order>, mut received: UnboundedReceiver<Order>) {
        let mut dice = Dice::new(self.seed, Concern::Crash, 1);
        let mut life = 0;
        loop {
            let session = Arc::new(self.session(&orders));
            let mut graph = match graph::start(self.world(&session, life)).await {
                Ok(graph) => graph,
                Err(error) => {
                    tracing::error!(%error, "the operator does not start");
                    return;
                }
            };
            life += 1;
            let away = loop {
                let order = tokio::select! {
                    biased;
                    order = received.recv() => order.unwrap_or(Order::Stop),
                    () = graph.ended() => {
                        self.recorder.tell("operator", "ends by itself");
                        Order::Bury
                    }
                };
                match self.obey(order, graph, &session).await {
                    Life::On(same) => graph = same,
                    Life::Ended(away) => break away,
                    Life::Over => return,
                }
            };
            let drawn = dice.within(AWAY);
            sleep(away.unwrap_or(drawn)).await;
            self.recorder.tell("operator", "starts again");
        }
    }

    async fn obey(&self, order: Order, graph: Graph, session: &Session) -> Life {
        match order {
            Order::Injure(path, injury) => {
                self.recorder.hit(Situation::ActorInjured);
                graph.inject(path, injury);
                Life::On(graph)
            }
            Order::Crash(away) => {
                self.recorder.tell("operator", "crashes");
                session.close();
                self.crashed();
                graph.kill().await;
                Life::Ended(away)
            }
            Order::Bury => {
                session.close();
                self.crashed();
                graph.kill().await;
                Life::Ended(self.away.lock().unwrap_or_else(PoisonError::into_inner).take())
            }
            Order::Restart(away) => {
                self.recorder.tell("operator", "is stopped in good order");
                graph.stop().await;
                session.close();
                Life::Ended(away)
            }
            Order::Stop => {
                graph.stop().await;
                session.close();
                Life::Over
            }
        }
    }

    fn crashed(&self) {
        self.recorder.hit_if(Situation::CrashInBatch, Facts::in_batch);
        self.recorder.hit_if(Situation::CrashInHook, Facts::in_hook);
        self.recorder.hit_if(Situation::CrashAtBreakpoint, |facts| {
            facts.newest_run().is_some_and(crate::facts::RunFacts::at_breakpoint)
        });
    }

    fn session(&self, orders: &UnboundedSender<Order>) -> Session {
        let wires = self.sites.iter().map(|(_, wire)| wire.clone()).collect();
        Session::new(wires, self.recorder.clone(), self.trap.clone(), orders.clone(), self.sabotage)
    }

    fn world(&self, session: &Arc<Session>, life: u32) -> World {
        let client = |(site, wire): &(Site, Arc<Wire>)| {
            let link = Link::new(wire.clone(), session.clone(), site.marker.clone(), site.api());
            (site.name.clone(), kube::Client::new(link, "default"))
        };
        let mut clients = self.sites.iter().map(client);
        let (_, hub) = clients.next().unwrap_or_else(|| unreachable!("there is always a hub"));
        let members = clients.map(|(name, client)| Member { name, client }).collect();
        let seed = Dice::new(self.seed, Concern::Operator, life).any();
        let http = Arc::new(WayToHooks { hooks: self.hooks.clone(), session: session.clone() });
        World { hub, members, clock: Arc::new(VirtualClock(self.clock.clone())), http, seed, class: String::new() }
    }
}

/// What becomes of a life.
enum Life {
    On(Graph),
    Ended(Option<Duration>),
    Over,
}

/// A way to give orders.
pub(crate) fn orders() -> (UnboundedSender<Order>, UnboundedReceiver<Order>) {
    unbounded_channel()
}

/// The actor a scenario means.
pub(crate) fn victim(order: &Injure) -> Result<(ActorPath, Injury), String> {
    let key = |name: &str| ObjectKey { namespace: "default".to_owned(), name: name.to_owned() };
    let cluster = |name: &str| if name == HUB { String::new() } else { name.to_owned() };
    let parts: Vec<&str> = order.actor.split('/').collect();
    let path = match parts[..] {
        ["cluster", name] => ActorPath::Cluster(cluster(name)),
        ["rollout", name] => ActorPath::Rollout(key(name)),
        ["workload", rollout, at, name] => ActorPath::Workload(key(rollout), cluster(at), name.to_owned()),
        ["topology", name] => ActorPath::Topology(key(name)),
        ["routing", name] => ActorPath::Routing(key(name)),
        ["route", routing, at, name] => ActorPath::Route(key(routing), cluster(at), name.to_owned()),
        _ => {
            return Err(format!(
                "unknown actor `{}`: write cluster/NAME, rollout/NAME or workload/ROLLOUT/CLUSTER/NAME",
                order.actor
            ));
        }
    };
    let injury = match order.injury.as_str() {
        "panic" => Injury::Panic,
        "stop" => Injury::Stop,
        other => return Err(format!("unknown injury `{other}`: write panic or stop")),
    };
    Ok((path, injury))
}

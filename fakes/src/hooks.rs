//! Programmable HTTP endpoints, such as a deployment tool asks before it goes on.
//!
//! An endpoint is a host name with a list of turns. It answers a document with the same document, `status.code` filled in,
//! or misbehaves in one of the ways endpoints do. Time is the clock's, and what is drawn comes from the seed.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use serde_json::{Value, json};

use crate::{
    Clock,
    delay::{Delay, Delays},
};

/// The stream of random numbers of endpoints.
const CONCERN: u64 = 0x686f_6f6b;

/// How long the answer is that is too long.
const HUGE: usize = 8 << 20;

/// What an endpoint does when it is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// Answers `OK`.
    Ok,
    /// Answers `Processing`.
    Processing,
    /// Answers `Error`.
    Error,
    /// Answers `Error` or `Processing`, as the seed has it.
    Flapping,
    /// Answers with this HTTP status.
    Status(u16),
    /// Takes the question and never answers.
    Hang,
    /// Breaks the connection off.
    Reset,
    /// Answers a text that is no JSON.
    NotJson,
    /// Answers a document of another kind.
    WrongDocument,
    /// Answers more than anybody wants to read.
    Huge,
}

/// Some answers in a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// What the endpoint does.
    pub behaviour: Behaviour,
    /// How often, before the next turn; absent means for good.
    pub times: Option<u32>,
    /// How long it takes each time.
    pub after: Duration,
}

impl From<Behaviour> for Turn {
    fn from(behaviour: Behaviour) -> Self {
        Self { behaviour, times: None, after: Duration::ZERO }
    }
}

/// All endpoints, by host.
#[derive(Clone)]
pub struct Endpoints {
    clock: Clock,
    state: Arc<Mutex<State>>,
}

struct State {
    endpoints: BTreeMap<String, VecDeque<Turn>>,
    delays: Delays,
}

impl Endpoints {
    /// No endpoints yet.
    pub fn new(clock: Clock, seed: u64) -> Self {
        let state = State { endpoints: BTreeMap::new(), delays: Delays::new(seed, CONCERN) };
        Self { clock, state: Arc::new(Mutex::new(state)) }
    }

    /// Sets what the endpoint at `host` does from now on. After the last turn it goes on with that.
    pub fn program(&self, host: &str, turns: impl IntoIterator<Item = Turn>) {
        self.lock().endpoints.insert(host.to_owned(), turns.into_iter().collect());
    }

    /// Takes a question in and says what the endpoint will do with it, or that there is no endpoint. This is the moment at
    /// which it has been asked, whoever waits for the answer.
    pub fn take_in(&self, url: &str) -> Result<Turn, String> {
        let host = host(url);
        let state = &mut *self.lock();
        let turns = state.endpoints.get_mut(host).ok_or_else(|| format!("lookup {host}: no such host"))?;
        let Some(turn) = turns.front_mut() else { return Ok(Behaviour::Ok.into()) };
        let mut now = turn.clone();
        if now.behaviour == Behaviour::Flapping {
            let failing = state.delays.draw(Delay::between(0, 1)).is_zero();
            now.behaviour = if failing { Behaviour::Error } else { Behaviour::Processing };
        }
        if let Some(times) = &mut turn.times {
            *times = times.saturating_sub(1);
            if *times == 0 && turns.len() > 1 {
                turns.pop_front();
            }
        }
        Ok(now)
    }

    /// Does what [`Endpoints::take_in`] said: the HTTP status and body, or what goes wrong on the wire.
    pub async fn answer(&self, turn: &Turn, question: &[u8]) -> Result<(u16, Bytes), String> {
        self.clock.sleep(turn.after).await;
        let say = |code: &str, message: &str| {
            let mut document: Value = serde_json::from_slice(question).unwrap_or_else(|_| json!({}));
            document["status"] = json!({ "code": code, "reason": code, "message": message });
            Ok((200, Bytes::from(document.to_string())))
        };
        match turn.behaviour {
            Behaviour::Ok => say("OK", ""),
            Behaviour::Processing | Behaviour::Flapping => say("Processing", "not done yet"),
            Behaviour::Error => say("Error", "the check failed"),
            Behaviour::Status(status) => Ok((status, Bytes::from_static(b"upstream connect error"))),
            Behaviour::Hang => std::future::pending().await,
            Behaviour::Reset => Err("connection reset by peer".to_owned()),
            Behaviour::NotJson => Ok((200, Bytes::from_static(b"<html>it works!</html>"))),
            Behaviour::WrongDocument => Ok((200, Bytes::from_static(br#"{"kind":"Status","status":"Success"}"#))),
            Behaviour::Huge => Ok((200, Bytes::from(vec![b' '; HUGE]))),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The host of a URL, without the port.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority.split(':').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoints(seed: u64) -> Endpoints {
        Endpoints::new(Clock::new("2026-01-01T00:00:00Z".parse().unwrap(), 1), seed)
    }

    fn behaviours(endpoints: &Endpoints, times: usize) -> Vec<Behaviour> {
        (0..times).map(|_| endpoints.take_in("http://gate:8080/before?x").unwrap().behaviour).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn turns_follow_each_other_and_the_last_stays() {
        let endpoints = endpoints(1);
        assert_eq!(endpoints.take_in("https://gate/"), Err("lookup gate: no such host".to_owned()));
        let twice = Turn { times: Some(2), ..Behaviour::Processing.into() };
        endpoints.program("gate", [twice, Behaviour::Ok.into()]);
        let [processing, ok] = [Behaviour::Processing, Behaviour::Ok];
        assert_eq!(behaviours(&endpoints, 4), [processing.clone(), processing, ok.clone(), ok]);
    }

    #[tokio::test(start_paused = true)]
    async fn flapping_follows_the_seed() {
        let drawn = |seed| {
            let endpoints = endpoints(seed);
            endpoints.program("gate", [Behaviour::Flapping.into()]);
            behaviours(&endpoints, 40)
        };
        assert_eq!(drawn(1), drawn(1));
        assert_ne!(drawn(1), drawn(2));
        for behaviour in [Behaviour::Error, Behaviour::Processing] {
            assert!(drawn(1).contains(&behaviour), "{behaviour:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_question_comes_back_with_a_status() {
        let endpoints = endpoints(1);
        let slow = Turn { after: Duration::from_secs(8), ..Behaviour::Error.into() };
        let before = tokio::time::Instant::now();
        let (status, body) = endpoints.answer(&slow, br#"{"spec":{"hookType":"x"}}"#).await.unwrap();
        assert_eq!((status, before.elapsed()), (200, Duration::from_secs(8)));
        let document: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(document["spec"], json!({ "hookType": "x" }));
        assert_eq!(document["status"]["code"], "Error");
    }
}

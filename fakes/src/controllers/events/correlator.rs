//! What becomes of an Event: it is new, it happened before, or it is one too many.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

/// So many Events that differ in words only are told one by one.
const MOST_ALIKE: usize = 10;
/// After such a pause they are told one by one again.
const ALIKE_WITHIN: SignedDuration = SignedDuration::from_mins(10);
/// A source may say so much about an object at once,
const MOST_AT_ONCE: i128 = 25;
/// and one thing more after each such time.
const ONE_MORE_AFTER: SignedDuration = SignedDuration::from_mins(5);
/// Things remembered of each sort; the first of them are forgotten.
const MOST_REMEMBERED: usize = 4096;

/// What to write.
#[derive(Debug, PartialEq)]
pub(super) enum Record {
    /// An Event that is not there yet.
    New(Value),
    /// An Event that is there, as it is from now on.
    Again(Value),
}

/// What was told so far.
#[derive(Debug, Default)]
pub(super) struct Correlator {
    /// Events that are there, by what makes them the same.
    told: BTreeMap<Vec<String>, Value>,
    /// The words of Events that are alike but for them, and when the last of them came.
    alike: BTreeMap<Vec<String>, (Timestamp, BTreeSet<String>)>,
    /// When a source's allowance to tell of an object is, or was, full.
    full_at: BTreeMap<Vec<String>, Timestamp>,
    last_moment: i128,
}

impl Correlator {
    /// A moment that is later than any before.
    pub(super) fn moment(&mut self, now: i128) -> i128 {
        self.last_moment = now.max(self.last_moment + 1);
        self.last_moment
    }

    pub(super) fn correlate(&mut self, mut event: Value, now: Timestamp) -> Option<Record> {
        let group = key(&event, &["type", "reason"]);
        let same = if self.is_one_of_many(&group, &event, now) {
            let message = format!("(combined from similar events): {}", event["message"].as_str().unwrap_or_default());
            event["message"] = message.into();
            group
        } else {
            key(&event, &["type", "reason", "message"])
        };
        let again = self.told.get(&same).map(|told| (told["count"].as_i64().unwrap_or(1), told.clone()));
        if let Some((count, told)) = &again {
            for field in ["metadata", "firstTimestamp"] {
                event[field] = told[field].clone();
            }
            event["count"] = count.saturating_add(1).into();
        }
        remember(&mut self.told, same, event.clone());
        if !self.is_allowed(&event, now) {
            return None;
        }
        Some(if again.is_some() { Record::Again(event) } else { Record::New(event) })
    }

    fn is_one_of_many(&mut self, group: &[String], event: &Value, now: Timestamp) -> bool {
        let known = self.alike.remove(group).filter(|(last, _)| now.duration_since(*last) <= ALIKE_WITHIN);
        let mut words = known.map(|(_, words)| words).unwrap_or_default();
        words.insert(event["message"].as_str().unwrap_or_default().to_owned());
        let many = words.len() >= MOST_ALIKE;
        if many {
            words.pop_first();
        }
        remember(&mut self.alike, group.to_vec(), (now, words));
        many
    }

    /// Takes from the source's allowance, if there is anything left of it.
    fn is_allowed(&mut self, event: &Value, now: Timestamp) -> bool {
        let source = key(event, &["type"]);
        let full_at = self.full_at.get(&source).copied().unwrap_or(now).max(now);
        let after = full_at.saturating_add(ONE_MORE_AFTER).unwrap_or(Timestamp::MAX);
        let allowed = after.duration_since(now).as_nanos() <= MOST_AT_ONCE * ONE_MORE_AFTER.as_nanos();
        if allowed {
            remember(&mut self.full_at, source, after);
        }
        allowed
    }
}

/// The object that an Event tells of, and some fields of the Event.
fn key(event: &Value, fields: &[&str]) -> Vec<String> {
    let involved = &event["involvedObject"];
    let object = ["kind", "namespace", "name", "uid", "apiVersion"].into_iter().map(|field| &involved[field]);
    let fields = fields.iter().map(|field| &event[*field]);
    object.chain(fields).map(|value| value.as_str().unwrap_or_default().to_owned()).collect()
}

fn remember<T>(all: &mut BTreeMap<Vec<String>, T>, key: Vec<String>, value: T) {
    all.insert(key, value);
    if all.len() > MOST_REMEMBERED {
        all.pop_first();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::controllers::object;

    fn event(name: &str, message: &str) -> Value {
        json!({
            "metadata": { "name": name }, "type": "Normal", "reason": "A", "message": message, "count": 1,
            "involvedObject": { "kind": "Pod", "name": "p" },
        })
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_000_000_000 + seconds).unwrap()
    }

    #[test]
    fn what_happens_again_is_counted() {
        let mut correlator = Correlator::default();
        assert!(matches!(correlator.correlate(event("a", "x"), at(0)), Some(Record::New(_))));
        let Some(Record::Again(again)) = correlator.correlate(event("b", "x"), at(1)) else { panic!("it is new") };
        assert_eq!((&again["count"], object::name(&again)), (&json!(2), "a"));
        assert!(matches!(correlator.correlate(event("c", "y"), at(1)), Some(Record::New(_))));
    }

    #[test]
    fn what_is_alike_becomes_one() {
        let mut correlator = Correlator::default();
        let mut tell = |n: usize, at| correlator.correlate(event(&n.to_string(), &format!("m{n}")), at);
        assert!((0..9).all(|n| matches!(tell(n, at(0)), Some(Record::New(_)))));
        let Some(Record::New(many)) = tell(9, at(1)) else { panic!("the tenth is no Event of its own") };
        assert_eq!(many["message"], "(combined from similar events): m9");
        let Some(Record::Again(more)) = tell(10, at(2)) else { panic!("the eleventh does not count with the tenth") };
        assert_eq!((object::name(&more), &more["count"]), ("9", &json!(2)));
        let Some(Record::New(later)) = tell(11, at(700)) else { panic!("it is not forgotten") };
        assert_eq!(later["message"], "m11");
    }

    #[test]
    fn who_says_too_much_is_not_heard() {
        let mut correlator = Correlator::default();
        let mut heard = |at| correlator.correlate(event("a", "x"), at).is_some();
        assert_eq!((0..30).filter(|_| heard(at(0))).count(), 25);
        assert!(!heard(at(299)));
        assert!(heard(at(300)));
        assert!(!heard(at(300)));
    }

    #[test]
    fn no_moment_comes_twice() {
        let mut correlator = Correlator::default();
        assert_eq!([5, 5, 9, 3].map(|now| correlator.moment(now)), [5, 6, 9, 10]);
    }
}

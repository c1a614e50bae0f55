use serde_json::json;

use super::*;

fn store() -> Store {
    Store::new(7, Clock::new("2026-01-01T00:00:00Z".parse().unwrap(), 1))
}

fn pods() -> GroupResource {
    GroupResource::new("", "pods")
}

fn pod(name: &str) -> (Key, Value) {
    (Key::new(&pods(), "default", name), json!({ "metadata": { "name": name } }))
}

fn names(list: &[Arc<Stored>]) -> Vec<&str> {
    list.iter().map(|stored| stored.key.name.as_str()).collect()
}

#[tokio::test(start_paused = true)]
async fn writes_follow_one_sequence_and_hold_their_preconditions() {
    let store = store();
    let (key, value) = pod("a");
    let first = store.insert(key.clone(), value.clone()).unwrap();
    assert_eq!(first.value["metadata"]["resourceVersion"], first.resource_version.to_string());
    assert_eq!(serde_json::from_slice::<Value>(&first.bytes).unwrap(), *first.value);
    assert_eq!(store.insert(key.clone(), value.clone()).unwrap_err(), WriteError::Exists);

    let second = store.put(key.clone(), value.clone(), Some(first.resource_version)).unwrap();
    assert_eq!(second.resource_version, first.resource_version + 1);
    let stale = Some(first.resource_version);
    assert_eq!(store.put(key.clone(), value, stale).unwrap_err(), WriteError::Stale);
    assert_eq!(store.remove(&key, stale).unwrap_err(), WriteError::Stale);

    let removed = store.remove(&key, None).unwrap();
    assert_eq!(removed.resource_version, second.resource_version + 1);
    assert_eq!(store.remove(&key, None).unwrap_err(), WriteError::Missing);
    let kinds: Vec<_> = store.events_since(1, &pods()).unwrap().iter().map(|event| event.kind).collect();
    assert_eq!(kinds, [EventType::Added, EventType::Modified, EventType::Deleted]);
}

#[tokio::test(start_paused = true)]
async fn an_earlier_list_is_rebuilt_until_the_log_is_compacted() {
    let store = store();
    for name in ["a", "b", "c"] {
        let (key, value) = pod(name);
        store.insert(key, value).unwrap();
    }
    let then = store.revision();
    store.remove(&pod("b").0, None).unwrap();
    let (key, value) = pod("d");
    store.insert(key, value).unwrap();
    assert_eq!(names(&store.list(&pods(), Some("default"))), ["a", "c", "d"]);
    let past = |namespace, start| {
        let range = Range { resource: &pods(), namespace, start };
        let read = store.read_at(&range, then, |objects| objects.map(|stored| stored.key.name.clone()).collect());
        read.map(|names: Vec<String>| names.concat())
    };
    assert_eq!(past(Some("default"), ""), Ok("abc".to_owned()));
    assert_eq!(past(None, "default/b"), Ok("bc".to_owned()));
    assert_eq!(past(None, "default/b\0"), Ok("c".to_owned()));
    assert_eq!(past(Some("defaul"), ""), Ok(String::new()));
    assert!(store.list(&pods(), Some("other")).is_empty());

    store.compact(store.revision());
    let gone = past(None, "").unwrap_err();
    assert_eq!(gone, Gone { asked: then, oldest: store.revision() });
    assert_eq!(store.events_since(store.revision(), &pods()).unwrap().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn changes_are_told_as_they_were_however_old_they_are() {
    let store = store();
    let (key, mut value) = pod("a");
    store.insert(key.clone(), value.clone()).unwrap();
    for turn in 1..200 {
        value["turn"] = turn.into();
        store.put(key.clone(), value.clone(), None).unwrap();
    }
    let events = store.events_since(1, &pods()).unwrap();
    assert_eq!(events.len(), 200);
    for (turn, event) in events.iter().enumerate().skip(1) {
        assert_eq!(event.new.value["turn"], turn);
        let before = event.old.as_ref().map(|old| &old.value["turn"]);
        assert_eq!(before, Some(&if turn == 1 { Value::Null } else { (turn - 1).into() }));
        assert_eq!(event.new.event(event.kind), format!("{{\"type\":\"MODIFIED\",\"object\":{}}}\n", *event.new.value));
        let again = event.new.event(EventType::Added);
        assert_eq!(serde_json::from_slice::<Value>(&again).unwrap()["object"], *event.new.value);
    }
}

#[tokio::test(start_paused = true)]
async fn subscribers_and_observers_hear_of_a_write() {
    let store = store();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (log, reader) = (seen.clone(), store.clone());
    store.observe(Box::new(move |event| {
        let found = reader.get(event.key()).is_some();
        log.lock().unwrap().push((event.kind, found));
    }));
    let mut all = store.subscribe();
    let mut other = store.subscribe_to(&GroupResource::new("", "secrets"));
    let (key, value) = pod("a");
    store.insert(key.clone(), value).unwrap();
    store.remove(&key, None).unwrap();
    assert_eq!(all.changed().await, store.revision());
    let quiet = tokio::time::timeout(std::time::Duration::from_secs(1), other.changed()).await;
    assert!(quiet.is_err(), "a write of pods is no news of secrets");
    assert_eq!(*seen.lock().unwrap(), [(EventType::Added, true), (EventType::Deleted, false)]);
}

#[test]
fn a_seed_decides_uids_and_suffixes() {
    let draw = |seed| {
        let store = Store::new(seed, Clock::new("2026-01-01T00:00:00Z".parse().unwrap(), 1));
        (store.uid(), store.suffix())
    };
    assert_eq!(draw(1), draw(1));
    assert_ne!(draw(1), draw(2));
    let (uid, suffix) = draw(1);
    assert_eq!((uid.len(), uid.as_bytes()[14], suffix.len()), (36, b'4', 5));
}

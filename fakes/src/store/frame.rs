//! An object's bytes inside the event that tells of it, so that readers and watchers share one buffer.

use bytes::Bytes;
use serde_json::Value;

use super::EventType;

const TAIL: &[u8] = b"}\n";
/// What an object may grow by, without its buffer being moved while it is written.
const ROOM: usize = 512;

fn head(kind: EventType) -> &'static [u8] {
    match kind {
        EventType::Added => b"{\"type\":\"ADDED\",\"object\":",
        EventType::Modified => b"{\"type\":\"MODIFIED\",\"object\":",
        EventType::Deleted => b"{\"type\":\"DELETED\",\"object\":",
    }
}

/// The event of this kind, and the object in it. `size` is about as much as the object takes.
pub(super) fn write(kind: EventType, object: &Value, size: usize) -> (Bytes, Bytes) {
    let head = head(kind);
    let mut buffer = Vec::with_capacity(head.len() + size + ROOM);
    buffer.extend_from_slice(head);
    // Nothing in a `Value` fails to be written, and a buffer takes all.
    let _ = serde_json::to_writer(&mut buffer, object);
    buffer.extend_from_slice(TAIL);
    let event = Bytes::from(buffer.into_boxed_slice());
    let object = event.slice(head.len()..event.len() - TAIL.len());
    (event, object)
}

/// The same object in an event of another kind.
pub(super) fn again(kind: EventType, written: &Bytes, object: &Bytes) -> Bytes {
    let head = head(kind);
    if written.starts_with(head) { written.clone() } else { [head, object, TAIL].concat().into() }
}

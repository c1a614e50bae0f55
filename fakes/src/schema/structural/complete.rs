//! What a junctor speaks of must be there outside of it, too.

use serde_json::{Map, Value};

use super::{Cause, array, fields};

type Node<'a> = (Option<&'a Map<String, Value>>, &'a str);

/// One cause for every field or list of items that only a junctor at the root names.
pub(super) fn check(root: &Map<String, Value>, at: &str, causes: &mut Vec<Cause>) {
    junctors((root, at), (Some(root), at), causes);
}

fn junctors((map, at): (&Map<String, Value>, &str), spine: Node<'_>, causes: &mut Vec<Cause>) {
    if let Some(not) = map.get("not").and_then(Value::as_object) {
        nested((not, &format!("{at}.not")), spine, causes);
    }
    for key in ["allOf", "anyOf", "oneOf"] {
        for (i, branch) in array(map, key).iter().enumerate() {
            let Some(branch) = branch.as_object() else { continue };
            nested((branch, &format!("{at}.{key}[{i}]")), spine, causes);
        }
    }
}

fn nested((map, at): (&Map<String, Value>, &str), spine: Node<'_>, causes: &mut Vec<Cause>) {
    let (Some(known), spine_at) = spine else {
        causes.push(Cause::required(spine.1, &format!("because it is defined in {at}")));
        return;
    };
    junctors((map, at), spine, causes);
    if let Some(items) = map.get("items").and_then(Value::as_object) {
        let known = known.get("items").and_then(Value::as_object);
        nested((items, &format!("{at}.items")), (known, &format!("{spine_at}.items")), causes);
    }
    for (name, child) in fields(map) {
        let known = known.get("properties").and_then(|fields| fields.get(name)).and_then(Value::as_object);
        let (at, spine_at) = (format!("{at}.properties[{name}]"), format!("{spine_at}.properties[{name}]"));
        nested((child, &at), (known, &spine_at), causes);
    }
}

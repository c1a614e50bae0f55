//! Which objects belong to this instance of the operator, where several share a hub.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::api::keys;

/// Whether an object is this instance's: with a class, those that carry it in their label; without, those without it.
pub fn serves(class: &str, meta: &ObjectMeta) -> bool {
    let label = meta.labels.as_ref().and_then(|labels| labels.get(keys::LABEL_ROLLOUT_CLASS));
    label.map_or("", String::as_str) == class
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_object_is_one_instances() {
        let labelled = |class: Option<&str>| {
            let labels = class.map(|class| [(keys::LABEL_ROLLOUT_CLASS.to_owned(), class.to_owned())].into());
            ObjectMeta { labels, ..ObjectMeta::default() }
        };
        for (class, label, expected) in [
            ("", None, true),
            ("", Some(""), true),
            ("", Some("blue"), false),
            ("blue", None, false),
            ("blue", Some("blue"), true),
            ("blue", Some("green"), false),
        ] {
            assert_eq!(serves(class, &labelled(label)), expected, "{class:?} {label:?}");
        }
    }
}

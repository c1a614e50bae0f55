//! HorizontalPodAutoscalers of `autoscaling/v1`, which know of nothing but the use of CPU.

use serde_json::{Value, json};

use crate::object::field_mut;

/// The field of the old version, the list of the new one, and the part of its items that has the number.
const FIELDS: [(&str, &str, &str, &str); 2] = [
    ("spec", "targetCPUUtilizationPercentage", "metrics", "target"),
    ("status", "currentCPUUtilizationPercentage", "currentMetrics", "current"),
];

pub(super) fn from_v1(object: &mut Value) {
    for (part, old, new, place) in FIELDS {
        let fields = field_mut(object, part);
        let Some(percent) = fields.shift_remove(old) else { continue };
        let mut target = json!({ "averageUtilization": percent });
        if place == "target" {
            target["type"] = json!("Utilization");
        }
        let metric = json!({ "type": "Resource", "resource": { "name": "cpu", place: target } });
        fields.insert(new.to_owned(), json!([metric]));
    }
}

pub(super) fn to_v1(object: &mut Value) {
    for (part, old, new, place) in FIELDS {
        let fields = field_mut(object, part);
        let metrics = fields.shift_remove(new);
        if let Some(percent) = metrics.and_then(|metrics| cpu(&metrics, place)) {
            fields.insert(old.to_owned(), percent);
        }
        for only_new in ["behavior", "conditions"] {
            fields.shift_remove(only_new);
        }
    }
    let status = field_mut(object, "status");
    for count in ["currentReplicas", "desiredReplicas"] {
        crate::object::default(status, count, 0);
    }
}

fn cpu(metrics: &Value, place: &str) -> Option<Value> {
    let resources = metrics.as_array()?.iter().filter_map(|metric| metric.get("resource"));
    let mut cpu = resources.filter(|resource| resource["name"] == "cpu");
    cpu.find_map(|resource| resource.get(place)?.get("averageUtilization").cloned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_use_of_cpu_goes_both_ways() {
        let old = json!({ "spec": { "maxReplicas": 3, "targetCPUUtilizationPercentage": 70 } });
        let mut object = old.clone();
        from_v1(&mut object);
        let metric = &object["spec"]["metrics"][0];
        assert_eq!(metric["resource"]["target"], json!({ "type": "Utilization", "averageUtilization": 70 }));
        to_v1(&mut object);
        assert_eq!(object["spec"], old["spec"]);
        assert_eq!(object["status"], json!({ "currentReplicas": 0, "desiredReplicas": 0 }));
    }
}

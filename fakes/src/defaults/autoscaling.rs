//! Defaults of HorizontalPodAutoscalers.

use serde_json::{Map, Value, json};

use crate::object::{default, field_mut};

pub(super) fn autoscaler(object: &mut Value) {
    let spec = field_mut(object, "spec");
    default(spec, "minReplicas", 1);
    if spec.get("metrics").and_then(Value::as_array).is_none_or(Vec::is_empty) {
        let target = json!({ "type": "Utilization", "averageUtilization": 80 });
        let metric = json!({ "type": "Resource", "resource": { "name": "cpu", "target": target } });
        spec.insert("metrics".to_owned(), json!([metric]));
    }
    let Some(Value::Object(behavior)) = spec.get_mut("behavior") else { return };
    let percent = json!({ "type": "Percent", "value": 100, "periodSeconds": 15 });
    let pods = json!({ "type": "Pods", "value": 4, "periodSeconds": 15 });
    default(rules(behavior, "scaleUp", json!([pods, percent])), "stabilizationWindowSeconds", 0);
    rules(behavior, "scaleDown", json!([percent]));
}

fn rules<'a>(behavior: &'a mut Map<String, Value>, direction: &str, policies: Value) -> &'a mut Map<String, Value> {
    let rules = crate::object::map_mut(behavior.entry(direction).or_insert(Value::Null));
    default(rules, "selectPolicy", "Max");
    default(rules, "policies", policies);
    rules
}

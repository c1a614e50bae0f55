//! The address families of a Service in a cluster that has IPv4 only.

use serde_json::{Value, json};

use super::{addresses, needs_address};
use crate::{
    object::{self, at, default, field_mut, text},
    schema::Cause,
    validation::cluster_ips,
};

const SINGLE: &str = "SingleStack";
const REQUIRE_DUAL: &str = "RequireDualStack";

/// Fills in policy and families where the writer says nothing, and refuses what the cluster does not have.
pub(super) fn fill_in(old: Option<&Value>, service: &mut Value) -> Result<(), Vec<Cause>> {
    if !needs_address(service) {
        return Ok(());
    }
    let selector = at(service, &["spec", "selector"]).and_then(Value::as_object);
    let is_headless = text(service, &["spec", "clusterIP"]) == "None";
    let is_external = is_headless && selector.is_none_or(serde_json::Map::is_empty);
    let policy = old.map_or("", |old| text(old, &["spec", "ipFamilyPolicy"])).to_owned();
    let policy = match policy.as_str() {
        "" if is_external => REQUIRE_DUAL,
        "" => SINGLE,
        policy => policy,
    };
    default(field_mut(service, "spec"), "ipFamilyPolicy", policy);

    let mut causes = Vec::new();
    let spec = |service: &Value| service.get("spec").cloned().unwrap_or_default();
    cluster_ips(&spec(service), old.map(spec).as_ref(), &mut causes);
    if !causes.is_empty() {
        return Err(causes);
    }
    causes.extend(single_means_one(old, service));
    causes.extend(infer(service));
    if !causes.is_empty() {
        return Err(causes);
    }
    let policy = text(service, &["spec", "ipFamilyPolicy"]).to_owned();
    let mut families = families(service);
    if is_external {
        // Its endpoints are made elsewhere, and may be of a family that the cluster does not have.
        if families.is_empty() {
            families.push("IPv4".to_owned());
        }
        if families.len() < 2 && policy != SINGLE {
            families.push(if families == ["IPv4"] { "IPv6" } else { "IPv4" }.to_owned());
        }
    } else {
        refuse_missing(&policy, &families)?;
        if families.is_empty() {
            families.push("IPv4".to_owned());
        }
    }
    field_mut(service, "spec").insert("ipFamilies".to_owned(), json!(families));
    Ok(())
}

/// A single stack has one address and one family; an update that goes back to it drops the second.
fn single_means_one(old: Option<&Value>, service: &mut Value) -> Vec<Cause> {
    if text(service, &["spec", "ipFamilyPolicy"]) != SINGLE {
        return Vec::new();
    }
    let mut causes = Vec::new();
    for (field, what) in [("clusterIPs", "cluster IPs"), ("ipFamilies", "IP families")] {
        let list = object::strings(at(service, &["spec", field]));
        if list.len() < 2 {
            continue;
        }
        let same = old.is_some_and(|old| object::same(at(old, &["spec", field]), at(service, &["spec", field])));
        if same {
            let first = json!([list[0]]);
            field_mut(service, "spec").insert(field.to_owned(), first);
        } else {
            let why = format!("must be 'RequireDualStack' or 'PreferDualStack' when multiple {what} are specified");
            causes.push(Cause::invalid("spec.ipFamilyPolicy", &json!(SINGLE), &why));
        }
    }
    causes
}

/// The family of an address that was asked for.
fn infer(service: &mut Value) -> Vec<Cause> {
    let mut families = families(service);
    let asked = addresses(service);
    let mut causes = Vec::new();
    for (index, address) in asked.iter().enumerate().skip(families.len()) {
        match (*address, address.contains(':')) {
            ("None", _) => break,
            (_, true) => {
                let why = "IPv6 is not configured on this cluster";
                causes.push(Cause::invalid(&format!("spec.clusterIPs[{index}]"), &json!(asked), why));
            }
            (_, false) => families.push("IPv4".to_owned()),
        }
    }
    if !families.is_empty() {
        field_mut(service, "spec").insert("ipFamilies".to_owned(), json!(families));
    }
    causes
}

fn refuse_missing(policy: &str, families: &[String]) -> Result<(), Vec<Cause>> {
    let mut causes = Vec::new();
    if policy == REQUIRE_DUAL {
        let why = "this cluster is not configured for dual-stack services";
        causes.push(Cause::invalid("spec.ipFamilyPolicy", &json!(policy), why));
    }
    for (index, family) in families.iter().enumerate().filter(|(_, family)| *family != "IPv4") {
        let field = format!("spec.ipFamilies[{index}]");
        causes.push(Cause::invalid(&field, &json!(family), "not configured on this cluster"));
    }
    if causes.is_empty() { Ok(()) } else { Err(causes) }
}

fn families(service: &Value) -> Vec<String> {
    object::strings(at(service, &["spec", "ipFamilies"])).into_iter().map(str::to_owned).collect()
}

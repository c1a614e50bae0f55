//! The addresses of a Service and their families.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::{is_headless, kind};
use crate::{
    object::{at, strings},
    schema::Cause,
    validation::{given, one_of, text, words},
};

const FAMILIES: [&str; 2] = ["IPv4", "IPv6"];
const POLICIES: [&str; 3] = ["PreferDualStack", "RequireDualStack", "SingleStack"];
const IPS: &str = "spec.clusterIPs";

/// Checks the cluster's addresses and what goes with them; `before` is the spec that an update would replace.
pub(crate) fn cluster_ips(spec: &Value, before: Option<&Value>, causes: &mut Vec<Cause>) {
    if kind(spec) == "ExternalName" {
        return;
    }
    let addresses = strings(spec.get("clusterIPs"));
    paired(text(spec, "clusterIP"), &addresses, causes);
    families(&strings(spec.get("ipFamilies")), causes);
    one_of(spec, "ipFamilyPolicy", "spec", &POLICIES, causes);
    if each(&addresses, before, causes) {
        together(spec, &addresses, causes);
    }
}

fn paired(single: &str, addresses: &[&str], causes: &mut Vec<Cause>) {
    match addresses.first() {
        None if !single.is_empty() => causes.push(Cause::required(IPS, "")),
        Some(_) if single.is_empty() => {
            causes.push(Cause::invalid(IPS, &json!(addresses), "must be empty when `clusterIP` is not specified"));
        }
        Some(&first) if first != single => {
            causes.push(Cause::invalid(IPS, &json!(addresses), "first value must match `clusterIP`"));
        }
        _ => {}
    }
}

fn families(families: &[&str], causes: &mut Vec<Cause>) {
    for (index, family) in families.iter().enumerate() {
        let path = format!("spec.ipFamilies[{index}]");
        if !FAMILIES.contains(family) {
            causes.push(Cause::not_supported(&path, &json!(family), &FAMILIES.map(str::to_owned)));
        }
        if families.iter().take(index).any(|other| other == family) {
            causes.push(Cause::duplicate(&path, &json!(family)));
        }
    }
}

/// Whether all of them are addresses, or the one is none at all.
fn each(addresses: &[&str], before: Option<&Value>, causes: &mut Vec<Cause>) -> bool {
    let known = before.map(|before| strings(before.get("clusterIPs"))).unwrap_or_default();
    let mut fit = true;
    for (index, address) in addresses.iter().enumerate() {
        if index > 0 || *address != "None" {
            fit &= words::ip(address, &format!("{IPS}[{index}]"), &known, causes);
        } else if addresses.len() > 1 {
            fit = false;
            causes.push(Cause::invalid(IPS, &json!(addresses), "'None' must be the first and only value"));
        }
    }
    if addresses.len() > 2 {
        causes.push(Cause::invalid(IPS, &json!(addresses), "may only hold up to 2 values"));
    }
    fit
}

fn together(spec: &Value, addresses: &[&str], causes: &mut Vec<Cause>) {
    let is_v6 = |address: &str| words::parse_ip(address).is_some_and(|it| it.is_ipv6());
    let sixes = addresses.iter().filter(|address| is_v6(address)).count();
    if addresses.len() > 1 && (sixes == 0 || sixes == addresses.len()) {
        let rule = "may specify no more than one IP for each IP family";
        causes.push(Cause::invalid(IPS, &json!(addresses), rule));
    }
    if is_headless(spec) {
        return;
    }
    for (index, (address, family)) in addresses.iter().zip(strings(spec.get("ipFamilies"))).enumerate() {
        let differs = match family {
            "IPv4" => is_v6(address),
            "IPv6" => !is_v6(address),
            _ => false,
        };
        if differs {
            let rule = format!("expected an {family} value as indicated by `ipFamilies[{index}]`");
            causes.push(Cause::invalid(&format!("{IPS}[{index}]"), &json!(address), &rule));
        }
    }
}

/// The first address and the first family stay, once they are there.
pub(super) fn moved(spec: &Value, before: &Value, causes: &mut Vec<Cause>) {
    if [spec, before].into_iter().any(|spec| kind(spec) == "ExternalName") {
        return;
    }
    let (headless, was_headless) = (is_headless(spec), is_headless(before));
    if !headless || !was_headless {
        moved_addresses(spec, before, causes);
    }
    if !headless && !was_headless {
        moved_families(spec, before, causes);
    }
}

fn moved_addresses(spec: &Value, before: &Value, causes: &mut Vec<Cause>) {
    let [old, new] = [before, spec].map(|spec| strings(spec.get("clusterIPs")));
    let shown = || at(spec, &["clusterIPs"]).cloned().unwrap_or_default();
    let at_index = |index: usize| format!("{IPS}[{index}]");
    if old.len() == new.len() {
        for (index, _) in old.iter().zip(&new).enumerate().filter(|(_, (old, new))| old != new) {
            causes.push(Cause::invalid(&at_index(index), &shown(), "may not change once set"));
        }
        return;
    }
    if new.is_empty() {
        causes.push(Cause::invalid(&at_index(0), &shown(), "primary clusterIP can not be unset"));
    } else if old.first().is_some_and(|first| new.first() != Some(first)) {
        causes.push(Cause::invalid(&at_index(0), &shown(), "may not change once set"));
    }
    if new.len() == 1 && old.len() > 1 {
        released(spec, "clusterIP", causes);
    }
}

fn moved_families(spec: &Value, before: &Value, causes: &mut Vec<Cause>) {
    const PATH: &str = "spec.ipFamilies[0]";
    let [old, new] = [before, spec].map(|spec| strings(spec.get("ipFamilies")));
    let shown = |field: &str| spec.get(field).cloned().unwrap_or_default();
    if old.len() == new.len() {
        for _ in old.iter().zip(&new).filter(|(old, new)| old != new) {
            causes.push(Cause::invalid(PATH, &shown("ipFamilies"), "may not change once set"));
        }
        return;
    }
    if !old.is_empty() && !new.is_empty() && old.first() != new.first() {
        causes.push(Cause::invalid(PATH, &shown("clusterIPs"), "may not change once set"));
    }
    if new.len() == 1 && old.len() > 1 {
        released(spec, "ipFamily", causes);
    }
}

fn released(spec: &Value, what: &str, causes: &mut Vec<Cause>) {
    let policy = given(spec, "ipFamilyPolicy").cloned().unwrap_or_default();
    if policy != "SingleStack" {
        let rule = format!("must be set to 'SingleStack' when releasing the secondary {what}");
        causes.push(Cause::invalid("spec.ipFamilyPolicy", &policy, &rule));
    }
}

/// An address that others can reach.
pub(super) fn ordinary(text: &str, path: &str, causes: &mut Vec<Cause>) {
    let Some(address) = words::parse_ip(text) else { return };
    let (link_local, link_local_multicast) = match address {
        IpAddr::V4(it) => (it.is_link_local(), it.octets().starts_with(&[224, 0, 0])),
        IpAddr::V6(it) => (it.is_unicast_link_local(), it.segments()[0] & 0xff0f == 0xff02),
    };
    let mut refuse = |is_wrong: bool, rule: &str| {
        if is_wrong {
            causes.push(Cause::invalid(path, &json!(text), rule));
        }
    };
    refuse(address.is_unspecified(), &format!("may not be unspecified ({text})"));
    refuse(address.is_loopback(), "may not be in the loopback range (127.0.0.0/8, ::1/128)");
    refuse(link_local, "may not be in the link-local range (169.254.0.0/16, fe80::/10)");
    refuse(link_local_multicast, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)");
}

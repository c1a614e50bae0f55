//! What the API server gives a Service: cluster addresses, address families, node ports.
//!
//! The cluster has one family, IPv4. Addresses and ports come in their order rather than at random.

mod families;
mod pool;

use std::{
    collections::BTreeSet,
    net::Ipv4Addr,
    sync::{Mutex, PoisonError},
};

use serde_json::{Value, json};

use self::pool::{Pool, Refused};
use super::{ApiServer, Target};
use crate::{
    names,
    object::{self, at, field_mut, map_mut, text},
    schema::Cause,
    status::Status,
};

/// A dry run counts node ports from here.
const LAST_OF_NO_PORT: u32 = 32_768;

/// Addresses and ports that Services hold.
#[derive(Debug)]
pub(super) struct Pools(Mutex<[Pool; 2]>);

impl Default for Pools {
    fn default() -> Self {
        Self(Mutex::new([Pool::addresses(), Pool::ports()]))
    }
}

/// What a Service holds of the pools.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Held {
    addresses: BTreeSet<u32>,
    ports: BTreeSet<u32>,
}

/// What a write takes from the pools. It goes back when the write does not happen.
#[derive(Debug)]
pub(super) struct Allocation<'a> {
    pools: &'a Pools,
    taken: Held,
    /// Goes back when the write happens.
    released: Held,
    /// Nothing is taken indeed.
    dry_run: bool,
}

impl Allocation<'_> {
    /// The write happened.
    pub(super) fn keep(mut self) {
        self.taken = std::mem::take(&mut self.released);
    }
}

impl Drop for Allocation<'_> {
    fn drop(&mut self) {
        if !self.dry_run {
            self.pools.release(&self.taken);
        }
    }
}

impl Pools {
    fn with<T>(&self, use_them: impl FnOnce(&mut Pool, &mut Pool) -> T) -> T {
        let mut pools = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let [addresses, ports] = &mut *pools;
        use_them(addresses, ports)
    }

    fn release(&self, held: &Held) {
        if *held != Held::default() {
            self.with(|addresses, ports| {
                held.addresses.iter().for_each(|it| addresses.release(*it));
                held.ports.iter().for_each(|it| ports.release(*it));
            });
        }
    }
}

impl ApiServer {
    /// Gives a Service that is written what it needs and does not have. Other objects need nothing.
    pub(super) fn allocate<'a>(
        &'a self,
        target: &Target,
        old: Option<&Value>,
        new: &mut Value,
        dry_run: bool,
    ) -> Result<Option<Allocation<'a>>, Status> {
        if !is_service(target) || target.subresource != super::Subresource::None {
            return Ok(None);
        }
        if let Some(old) = old {
            keep_allocated(old, new);
        }
        pair_addresses(old, new);
        families::fill_in(old, new).map_err(|causes| target.invalid(object::name(new), &causes))?;
        let before = old.map(held).unwrap_or_default();
        let mut allocation =
            Allocation { pools: &self.inner.services, taken: Held::default(), released: Held::default(), dry_run };
        allocation.take_addresses(old, new).map_err(|cause| target.invalid(object::name(new), &[cause]))?;
        allocation
            .take_ports(old.is_none(), &before, new)
            .map_err(|cause| target.invalid(object::name(new), &[cause]))?;
        match old {
            Some(old) => drop_unneeded(old, new),
            None if !needs_address(new) => drop(field_mut(new, "spec").shift_remove("internalTrafficPolicy")),
            None => {}
        }
        let after = held(new);
        allocation.released.addresses = &before.addresses - &after.addresses;
        allocation.released.ports = &before.ports - &after.ports;
        Ok(Some(allocation))
    }

    /// Takes back what a Service held that is gone.
    pub(super) fn release_service(&self, service: &Value) {
        self.inner.services.release(&held(service));
    }
}

impl Allocation<'_> {
    fn take_addresses(&mut self, old: Option<&Value>, service: &mut Value) -> Result<(), Cause> {
        let has_one = old.is_some_and(needs_address);
        if has_one || !needs_address(service) || addresses(service) == ["None"] {
            return Ok(());
        }
        let mut asked: Vec<String> = addresses(service).into_iter().map(str::to_owned).collect();
        if asked.is_empty() {
            asked.push(String::new());
        }
        let first = asked.first().map_or("", String::as_str);
        let number = first.parse::<Ipv4Addr>().ok().map(Ipv4Addr::to_bits);
        let refused = |why: &str| {
            let of = if first.is_empty() { String::new() } else { format!(" {first}") };
            Cause::invalid("spec.clusterIPs", &json!(asked), &format!("failed to allocate IP{of}: {why}"))
        };
        let given = self.take_address(number).map_err(|why| {
            refused(match why {
                Refused::Taken => "provided IP is already allocated",
                Refused::OutOfRange => "the provided network does not match the current range",
                Refused::Full => "range is full",
            })
        })?;
        let address = Ipv4Addr::from_bits(given).to_string();
        if let Some(why) = wrong_parent(object::name(service)).filter(|_| !self.dry_run) {
            return Err(refused(&format!("IPAddress.networking.k8s.io {address:?} is invalid: {why}")));
        }
        let spec = field_mut(service, "spec");
        spec.insert("clusterIP".to_owned(), address.as_str().into());
        spec.insert("clusterIPs".to_owned(), json!([address]));
        Ok(())
    }

    fn take_address(&mut self, asked: Option<u32>) -> Result<u32, Refused> {
        if self.dry_run {
            return self.pools.with(|pool, _| pool.offer(asked));
        }
        let given = self.pools.with(|pool, _| match asked {
            Some(number) => pool.take(number),
            None => pool.take_next(),
        })?;
        self.taken.addresses.insert(given);
        Ok(given)
    }

    /// Ports of one number share a node port in a new Service.
    fn take_ports(&mut self, is_new: bool, before: &Held, service: &mut Value) -> Result<(), Cause> {
        let mut ports = ports(service).to_vec();
        if matches!(service_type(service), "NodePort" | "LoadBalancer") {
            let all = needs_node_ports(service);
            for index in 0..ports.len() {
                if node_port(&ports[index]).is_none() && !all {
                    continue;
                }
                let shared = ports.iter().find_map(|it| {
                    let same = it.get("port") == ports[index].get("port") && it != &ports[index];
                    node_port(it).filter(|_| same && is_new)
                });
                let asked = node_port(&ports[index]).or(shared);
                let field = format!("spec.ports[{index}].nodePort");
                let given = self.take_port(before, asked, &field)?;
                map_mut(&mut ports[index]).insert("nodePort".to_owned(), given.into());
            }
            field_mut(service, "spec").insert("ports".to_owned(), ports.into());
        }
        if needs_health_check(service) {
            let asked = at(service, &["spec", "healthCheckNodePort"]).and_then(as_port);
            let given = self.take_port(before, asked, "spec.healthCheckNodePort")?;
            field_mut(service, "spec").insert("healthCheckNodePort".to_owned(), given.into());
        }
        Ok(())
    }

    fn take_port(&mut self, before: &Held, asked: Option<u32>, field: &str) -> Result<u32, Cause> {
        if let Some(port) = asked.filter(|port| before.ports.contains(port) || self.taken.ports.contains(port)) {
            return Ok(port);
        }
        let (dry_run, last) = (self.dry_run, self.taken.ports.last().copied());
        let given = self.pools.with(|_, pool| match asked {
            Some(port) if dry_run && pool.has(port) => Err(Refused::Taken),
            Some(port) if dry_run => Ok(port),
            None if dry_run => Ok(last.unwrap_or(LAST_OF_NO_PORT) + 1),
            Some(port) => pool.take(port),
            None => pool.take_next(),
        });
        let given = given.map_err(|why| {
            let why = match why {
                Refused::Taken => "provided port is already allocated",
                Refused::OutOfRange => {
                    "provided port is not in the valid range. The range of valid ports is 30000-32767"
                }
                Refused::Full => "range is full",
            };
            Cause::invalid(field, &json!(asked), why)
        })?;
        self.taken.ports.insert(given);
        Ok(given)
    }
}

/// What is wrong with a name that the record of an address has to refer to.
fn wrong_parent(name: &str) -> Option<String> {
    const PATH: &str = "spec.parentRef.name";
    if name.is_empty() {
        return Some(format!("{PATH}: Required value"));
    }
    let mut causes = Vec::new();
    names::check_segment(name, PATH, &mut causes);
    let causes: Vec<String> = causes.iter().map(ToString::to_string).collect();
    match causes.as_slice() {
        [] => None,
        [one] => Some(one.clone()),
        several => Some(format!("[{}]", several.join(", "))),
    }
}

/// An update that leaves out what the server gave keeps it.
fn keep_allocated(old: &Value, new: &mut Value) {
    let keep = |new: &mut Value, field: &str| {
        let absent =
            at(new, &["spec", field]).is_none_or(|value| matches!(value, Value::Null) || value == "" || value == 0);
        if let Some(value) = at(old, &["spec", field]).filter(|_| absent) {
            field_mut(new, "spec").insert(field.to_owned(), value.clone());
        }
    };
    if needs_address(old) && needs_address(new) {
        keep(new, "clusterIP");
        keep(new, "clusterIPs");
    }
    if needs_node_ports(old) && needs_node_ports(new) {
        keep_node_ports(old, new);
    }
    if needs_health_check(old) && needs_health_check(new) {
        keep(new, "healthCheckNodePort");
    }
}

/// Ports are matched by name. A node port that another port uses by now is not kept.
fn keep_node_ports(old: &Value, new: &mut Value) {
    let used: BTreeSet<u32> = ports(new).iter().filter_map(node_port).collect();
    let known: Vec<(&str, u32)> =
        ports(old).iter().filter_map(|port| Some((text(port, &["name"]), node_port(port)?))).collect();
    let Some(ports) = field_mut(new, "spec").get_mut("ports").and_then(Value::as_array_mut) else { return };
    for port in ports.iter_mut().filter(|port| node_port(port).is_none()) {
        let found = known.iter().rev().find(|(name, _)| *name == text(port, &["name"]));
        if let Some((_, number)) = found.filter(|(_, number)| !used.contains(number)) {
            map_mut(port).insert("nodePort".to_owned(), (*number).into());
        }
    }
}

/// Clients may set one of `clusterIP` and `clusterIPs`; both say the same in the end.
fn pair_addresses(old: Option<&Value>, new: &mut Value) {
    let single = text(new, &["spec", "clusterIP"]).to_owned();
    let many: Vec<String> = addresses(new).into_iter().map(str::to_owned).collect();
    let spec = field_mut(new, "spec");
    let Some(old) = old else {
        if !single.is_empty() && many.is_empty() {
            spec.insert("clusterIPs".to_owned(), json!([single]));
        }
        return;
    };
    let unchanged = addresses(old) == many;
    let before = text(old, &["spec", "clusterIP"]);
    if before == single {
        if !addresses(old).is_empty() && many.is_empty() {
            spec.insert("clusterIPs".to_owned(), json!(addresses(old)));
        }
    } else if single.is_empty() {
        if unchanged {
            spec.shift_remove("clusterIPs");
        }
    } else if unchanged {
        spec.insert("clusterIPs".to_owned(), json!([single]));
    }
}

/// A change of type takes away what the new type has no use for, unless the writer touched it as well.
fn drop_unneeded(old: &Value, new: &mut Value) {
    let remove = |new: &mut Value, fields: &[&str]| {
        let spec = field_mut(new, "spec");
        for field in fields {
            spec.shift_remove(*field);
        }
    };
    let same = |new: &Value, field: &str| object::same(at(old, &["spec", field]), at(new, &["spec", field]));
    if !needs_address(new) {
        remove(new, &["internalTrafficPolicy"]);
    }
    if needs_address(old) && !needs_address(new) {
        if same(new, "clusterIP") && same(new, "clusterIPs") {
            remove(new, &["clusterIP", "clusterIPs"]);
        }
        for field in ["ipFamilies", "ipFamilyPolicy"] {
            if same(new, field) {
                remove(new, &[field]);
            }
        }
    }
    let numbers = |service: &Value| -> BTreeSet<u32> { ports(service).iter().filter_map(node_port).collect() };
    if needs_node_ports(old) && !needs_node_ports(new) && numbers(old) == numbers(new) {
        let list = field_mut(new, "spec").get_mut("ports").and_then(Value::as_array_mut);
        list.into_iter().flatten().for_each(|port| drop(map_mut(port).shift_remove("nodePort")));
    }
    if needs_health_check(old) && !needs_health_check(new) && same(new, "healthCheckNodePort") {
        remove(new, &["healthCheckNodePort"]);
    }
    let is_balancer = |service: &Value| text(service, &["spec", "type"]) == "LoadBalancer";
    if is_balancer(old) && !is_balancer(new) {
        for field in ["allocateLoadBalancerNodePorts", "loadBalancerClass"] {
            if same(new, field) {
                remove(new, &[field]);
            }
        }
    }
    if is_reachable(old) && !is_reachable(new) && same(new, "externalTrafficPolicy") {
        remove(new, &["externalTrafficPolicy"]);
    }
    if !is_balancer(new) {
        field_mut(new, "status").insert("loadBalancer".to_owned(), json!({}));
    }
}

fn held(service: &Value) -> Held {
    let numbers = addresses(service).into_iter().filter_map(|it| it.parse::<Ipv4Addr>().ok()).map(Ipv4Addr::to_bits);
    let health = at(service, &["spec", "healthCheckNodePort"]).and_then(as_port);
    Held { addresses: numbers.collect(), ports: ports(service).iter().filter_map(node_port).chain(health).collect() }
}

fn addresses(service: &Value) -> Vec<&str> {
    object::strings(at(service, &["spec", "clusterIPs"]))
}

fn ports(service: &Value) -> &[Value] {
    at(service, &["spec", "ports"]).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn node_port(port: &Value) -> Option<u32> {
    port.get("nodePort").and_then(as_port)
}

fn as_port(value: &Value) -> Option<u32> {
    value.as_u64().and_then(|port| u32::try_from(port).ok()).filter(|port| *port > 0)
}

fn service_type(service: &Value) -> &str {
    text(service, &["spec", "type"])
}

fn needs_address(service: &Value) -> bool {
    service_type(service) != "ExternalName"
}

fn needs_node_ports(service: &Value) -> bool {
    let asked_not_to = at(service, &["spec", "allocateLoadBalancerNodePorts"]) == Some(&Value::Bool(false));
    match service_type(service) {
        "NodePort" => true,
        "LoadBalancer" => !asked_not_to,
        _ => false,
    }
}

fn needs_health_check(service: &Value) -> bool {
    service_type(service) == "LoadBalancer" && text(service, &["spec", "externalTrafficPolicy"]) == "Local"
}

/// From outside the cluster.
fn is_reachable(service: &Value) -> bool {
    let external = object::strings(at(service, &["spec", "externalIPs"]));
    matches!(service_type(service), "NodePort" | "LoadBalancer")
        || (service_type(service) == "ClusterIP" && !external.is_empty())
}

pub(super) fn is_service(target: &Target) -> bool {
    let resource = &target.resource.resource;
    resource.group.is_empty() && &*resource.plural == "services"
}

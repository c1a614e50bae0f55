//! Volumes, claims and drivers.

use serde_json::Value;

use super::row::{NONE, Row, UNSET, or};
use super::{AGE, Column, flag, integer, text, wide};
use crate::object::strings;

const CLASS: &str = "/metadata/annotations/volume.beta.kubernetes.io~1storage-class";

pub(super) const CLASSES: &[Column] = &[
    text("Provisioner", |row| row.text("/provisioner").into()),
    text("ReclaimPolicy", |row| row.text_or("/reclaimPolicy", "Delete")),
    text("VolumeBindingMode", |row| row.text_or("/volumeBindingMode", "Immediate")),
    text("AllowVolumeExpansion", |row| row.flag("/allowVolumeExpansion").into()),
    AGE,
];

pub(super) const ATTRIBUTES: &[Column] = &[text("DriverName", |row| row.text("/driverName").into()), AGE];

pub(super) const ATTACHMENTS: &[Column] = &[
    text("Attacher", |row| row.text("/spec/attacher").into()),
    text("PV", |row| row.text("/spec/source/persistentVolumeName").into()),
    text("Node", |row| row.text("/spec/nodeName").into()),
    flag("Attached", |row| row.flag("/status/attached").into()),
    AGE,
];

pub(super) const DRIVERS_OF_NODES: &[Column] = &[integer("Drivers", |row| row.count("/spec/drivers").into()), AGE];

pub(super) const DEVICE_CLAIMS: &[Column] = &[text("State", claim_state), AGE];

pub(super) const DEVICES: &[Column] = &[
    text("Node", |row| row.text("/spec/nodeName").into()),
    text("Driver", |row| row.text("/spec/driver").into()),
    text("Pool", |row| row.text("/spec/pool/name").into()),
    AGE,
];

pub(super) const VOLUMES: &[Column] = &[
    text("Capacity", |row| row.text_or("/spec/capacity/storage", "0")),
    text("Access Modes", |row| modes(row, "/spec/accessModes")),
    text("Reclaim Policy", |row| row.text("/spec/persistentVolumeReclaimPolicy").into()),
    text("Status", phase),
    text("Claim", claim),
    text("StorageClass", class),
    text("VolumeAttributesClass", |row| row.text_or("/spec/volumeAttributesClassName", UNSET)),
    text("Reason", |row| row.text("/status/reason").into()),
    AGE,
    wide("VolumeMode", |row| row.text_or("/spec/volumeMode", UNSET)),
];

pub(super) const CLAIMS: &[Column] = &[
    text("Status", phase),
    text("Volume", |row| row.text("/spec/volumeName").into()),
    text("Capacity", claim_capacity),
    text("Access Modes", claim_modes),
    text("StorageClass", class),
    text("VolumeAttributesClass", |row| row.text_or("/spec/volumeAttributesClassName", UNSET)),
    AGE,
    wide("VolumeMode", |row| row.text_or("/spec/volumeMode", UNSET)),
];

pub(super) const DRIVERS: &[Column] = &[
    flag("AttachRequired", |row| row.at("/spec/attachRequired").as_bool().unwrap_or(true).into()),
    flag("PodInfoOnMount", |row| row.flag("/spec/podInfoOnMount").into()),
    flag("StorageCapacity", |row| row.flag("/spec/storageCapacity").into()),
    text("TokenRequests", audiences),
    flag("RequiresRepublish", |row| row.flag("/spec/requiresRepublish").into()),
    text("Modes", lifecycle),
    AGE,
];

fn phase(row: &Row<'_>) -> Value {
    if row.is_deleting() { "Terminating".into() } else { row.text("/status/phase").into() }
}

fn claim(row: &Row<'_>) -> Value {
    if !row.has("/spec/claimRef") {
        return "".into();
    }
    format!("{}/{}", row.text("/spec/claimRef/namespace"), row.text("/spec/claimRef/name")).into()
}

fn class(row: &Row<'_>) -> Value {
    row.at(CLASS).as_str().unwrap_or_else(|| row.text("/spec/storageClassName")).into()
}

/// What a claim got, once it has a volume.
fn claim_capacity(row: &Row<'_>) -> Value {
    if row.text("/spec/volumeName").is_empty() { "".into() } else { row.text_or("/status/capacity/storage", "0") }
}

fn claim_modes(row: &Row<'_>) -> Value {
    if row.text("/spec/volumeName").is_empty() { "".into() } else { modes(row, "/status/accessModes") }
}

fn modes(row: &Row<'_>, pointer: &str) -> Value {
    let modes = strings(row.object.pointer(pointer));
    let known =
        [("ReadWriteOnce", "RWO"), ("ReadOnlyMany", "ROX"), ("ReadWriteMany", "RWX"), ("ReadWriteOncePod", "RWOP")];
    let shown = known.into_iter().filter(|(mode, _)| modes.contains(mode)).map(|(_, short)| short);
    shown.collect::<Vec<_>>().join(",").into()
}

fn audiences(row: &Row<'_>) -> Value {
    if row.has("/spec/tokenRequests") {
        row.each("/spec/tokenRequests", "audience").join(",").into()
    } else {
        UNSET.into()
    }
}

fn lifecycle(row: &Row<'_>) -> Value {
    or(&strings(row.object.pointer("/spec/volumeLifecycleModes")).join(","), NONE)
}

/// What became of a claim for devices.
fn claim_state(row: &Row<'_>) -> Value {
    let mut states = Vec::new();
    if row.is_deleting() {
        states.push("deleted");
    }
    if row.has("/status/allocation") {
        states.push("allocated");
        if !row.list("/status/reservedFor").is_empty() {
            states.push("reserved");
        }
    } else if !row.is_deleting() {
        states.push("pending");
    }
    states.join(",").into()
}

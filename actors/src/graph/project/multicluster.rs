//! ServiceExports and ServiceImports.

use kube::{ResourceExt, api::DynamicObject};

use super::key;
use crate::{
    api::keys,
    view::{Export, Import},
};

pub(super) fn export(export: &DynamicObject) -> Export {
    let conditions = export.data["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let invalid = conditions.iter().find(|condition| condition["type"] == "Valid" && condition["status"] == "False");
    let text = |field: &str| invalid.and_then(|condition| condition[field].as_str()).unwrap_or_default();
    Export {
        key: key(&export.metadata),
        uid: export.uid().unwrap_or_default(),
        resource_version: export.resource_version().unwrap_or_default(),
        deleting: export.metadata.deletion_timestamp.is_some(),
        is_fork: export.labels().get(keys::LABEL_CANARY_RESOURCE).is_some_and(|value| value == "true"),
        invalid: invalid.map(|_| format!("{}: {}", text("reason"), text("message"))),
    }
}

pub(super) fn import(import: &DynamicObject) -> Import {
    Import {
        key: key(&import.metadata),
        uid: import.uid().unwrap_or_default(),
        resource_version: import.resource_version().unwrap_or_default(),
        deleting: import.metadata.deletion_timestamp.is_some(),
    }
}

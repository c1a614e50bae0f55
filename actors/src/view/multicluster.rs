//! What is known of a backend that several clusters export.

use std::{collections::BTreeMap, sync::Arc};

use super::{Backend, Health, ObjectKey};

/// What one member has of it.
#[derive(Clone, Debug, Default)]
pub struct MemberBackends {
    /// Whether absence means anything; absent if the cluster is no member.
    pub health: Option<Health>,
    /// The Services of the namespace, by name.
    pub backends: BTreeMap<String, Arc<Backend>>,
    /// Endpoints that are ready, by name of the Service.
    pub ready: BTreeMap<String, usize>,
    /// The ServiceExports of the namespace, by name; absent where the kind is not served.
    pub exports: Option<BTreeMap<String, Arc<Export>>>,
    /// The last error of a write, by kind and name of its object, until one succeeds.
    pub errors: BTreeMap<String, String>,
}

/// A ServiceExport.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// Namespace and name.
    pub key: ObjectKey,
    /// Its uid.
    pub uid: String,
    /// The version every write decided on this value must carry.
    pub resource_version: String,
    /// Whether it carries a deletion timestamp.
    pub deleting: bool,
    /// Whether it is one of a fork.
    pub is_fork: bool,
    /// Why its condition `Valid` is false, if it is.
    pub invalid: Option<String>,
}

/// A ServiceImport, as far as it has to be told from its absence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// Namespace and name.
    pub key: ObjectKey,
    /// Its uid.
    pub uid: String,
    /// Its resourceVersion.
    pub resource_version: String,
    /// Whether it carries a deletion timestamp.
    pub deleting: bool,
}

//! The controllers of kube-controller-manager that a cluster's workloads need.
//!
//! Each has a pure part, which decides from objects alone, and a shell, which carries decisions out.

pub(crate) mod object;
pub mod revision;
pub mod statefulset;

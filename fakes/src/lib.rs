//! An in-process Kubernetes: API server, workload controllers, kubelet.

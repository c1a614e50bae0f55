//! Kubeconfigs of control planes: one each, or several as contexts of one.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use kube::config::{AuthInfo, Cluster, Context as KubeContext, Kubeconfig, NamedAuthInfo, NamedCluster, NamedContext};

use super::ControlPlane;

/// One kubeconfig with a context per control plane; the first is the current one.
pub fn merge<'a>(planes: impl IntoIterator<Item = &'a ControlPlane>) -> Kubeconfig {
    let mut merged = Kubeconfig::default();
    for plane in planes {
        let one = for_plane(plane);
        merged.clusters.extend(one.clusters);
        merged.auth_infos.extend(one.auth_infos);
        merged.contexts.extend(one.contexts);
        merged.current_context = merged.current_context.or(one.current_context);
        merged.api_version = one.api_version;
        merged.kind = one.kind;
    }
    merged
}

/// A kubeconfig as YAML.
pub fn to_yaml(kubeconfig: &Kubeconfig) -> Result<String> {
    Ok(serde_saphyr::to_string(kubeconfig)?)
}

/// Writes a kubeconfig to a file.
pub fn write(kubeconfig: &Kubeconfig, path: &Path) -> Result<()> {
    fs::write(path, to_yaml(kubeconfig)?).with_context(|| format!("cannot write `{}`", path.display()))
}

pub(super) fn for_plane(plane: &ControlPlane) -> Kubeconfig {
    let name = plane.name().to_owned();
    Kubeconfig {
        api_version: Some("v1".to_owned()),
        kind: Some("Config".to_owned()),
        current_context: Some(name.clone()),
        clusters: vec![NamedCluster {
            name: name.clone(),
            cluster: Some(Cluster {
                server: Some(plane.url().to_owned()),
                certificate_authority_data: Some(base64(plane.ca())),
                ..Cluster::default()
            }),
            other: BTreeMap::new(),
        }],
        auth_infos: vec![NamedAuthInfo {
            name: name.clone(),
            auth_info: Some(AuthInfo { token: Some(plane.token().to_owned().into()), ..AuthInfo::default() }),
            other: BTreeMap::new(),
        }],
        contexts: vec![NamedContext {
            name: name.clone(),
            context: Some(KubeContext { cluster: name.clone(), user: Some(name), ..KubeContext::default() }),
            other: BTreeMap::new(),
        }],
        ..Kubeconfig::default()
    }
}

/// Kubernetes' own wrapper for bytes knows base64.
fn base64(pem: &str) -> String {
    let bytes = k8s_openapi::ByteString(pem.as_bytes().to_vec());
    serde_json::to_value(bytes).ok().and_then(|value| Some(value.as_str()?.to_owned())).unwrap_or_default()
}

//! CRDs of workloads that Kubernetes does not have, with the fields that their controllers here know.

use std::sync::LazyLock;

use serde_json::Value;

static KRUISE: LazyLock<Vec<Value>> = LazyLock::new(|| {
    parse(&[
        include_str!("../crds/apps.kruise.io_clonesets.yaml"),
        include_str!("../crds/apps.kruise.io_statefulsets.yaml"),
    ])
});
static KUSIONSTACK: LazyLock<Vec<Value>> = LazyLock::new(|| {
    parse(&[
        include_str!("../crds/apps.kusionstack.io_collasets.yaml"),
        include_str!("../crds/apps.kusionstack.io_poddecorations.yaml"),
        include_str!("../crds/apps.kusionstack.io_resourcecontexts.yaml"),
    ])
});

/// OpenKruise's CloneSet and Advanced StatefulSet.
pub fn kruise() -> &'static [Value] {
    &KRUISE
}

/// KusionStack's CollaSet and PodDecoration, and the ResourceContext a CollaSet keeps its pods' identities in.
pub fn kusionstack() -> &'static [Value] {
    &KUSIONSTACK
}

fn parse(texts: &[&str]) -> Vec<Value> {
    texts.iter().filter_map(|text| serde_saphyr::from_str(text).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ApiServer, Clock};

    #[tokio::test(start_paused = true)]
    async fn all_of_them_are_served() {
        let api = ApiServer::new(1, Clock::new("2026-01-01T00:00:00Z".parse().unwrap(), 1));
        for definition in kruise().iter().chain(kusionstack()) {
            api.install_crd(definition.clone()).await.unwrap();
        }
        let served: Vec<_> =
            api.resources().iter().filter(|resource| resource.custom).map(|it| it.kind.clone()).collect();
        assert_eq!(served, ["CloneSet", "StatefulSet", "CollaSet", "PodDecoration", "ResourceContext"]);
    }
}

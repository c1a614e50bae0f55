//! `--keep`: the demo's API servers on loopback, for kubectl.

use std::{fmt::Write, path::PathBuf};

use tempfile::TempDir;
use tokio::net::TcpListener;

use super::{
    application,
    clusters::{Clusters, HUB},
};
use crate::failure::Failure;

/// The served clusters, with a kubeconfig that goes when this does.
pub(crate) struct Kept {
    _dir: TempDir,
    path: PathBuf,
}

impl Kept {
    /// Serves every cluster on a free port of loopback.
    pub(crate) async fn serve(clusters: &Clusters) -> Result<Self, Failure> {
        let mut addresses = Vec::new();
        let members = clusters.members.iter().map(|(name, it)| (name.as_str(), it));
        for (name, cluster) in [(HUB, &clusters.hub)].into_iter().chain(members) {
            let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
            addresses.push((name, format!("http://{}", listener.local_addr()?)));
            cluster.api().serve(listener);
        }
        let dir = tempfile::Builder::new().prefix("slipway-demo-").tempdir()?;
        let path = dir.path().join("kubeconfig");
        tokio::fs::write(&path, kubeconfig(&addresses)).await?;
        Ok(Self { _dir: dir, path })
    }

    /// What to say at the start.
    pub(crate) fn welcome(&self) -> String {
        let mut text = format!("The API servers listen on loopback. In another shell:\n  {}\n", self.export());
        for command in commands() {
            let _ = writeln!(text, "  {command}");
        }
        text.trim_end().to_owned()
    }

    /// What to say once the rollout is over.
    pub(crate) fn farewell(&self) -> String {
        format!("\n{}\nCtrl-C ends it.\n\n", self.welcome())
    }

    /// What to say below the tree.
    pub(crate) fn hint(&self) -> String {
        format!(" {}", self.export())
    }

    fn export(&self) -> String {
        format!("export KUBECONFIG={}", self.path.display())
    }
}

/// Three commands worth trying.
fn commands() -> [String; 3] {
    [
        "kubectl get ro,ror -A".to_owned(),
        format!("kubectl --context east get statefulsets,pods -n {} -w", application::NAMESPACE),
        format!("{}   # or continue, cancel", application::command_line("pause")),
    ]
}

fn kubeconfig(addresses: &[(&str, String)]) -> String {
    let (mut clusters, mut contexts) = (String::new(), String::new());
    for (name, address) in addresses {
        let _ = write!(clusters, "- name: {name}\n  cluster:\n    server: {address}\n");
        let _ = write!(contexts, "- name: {name}\n  context:\n    cluster: {name}\n    user: demo\n");
    }
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: {HUB}\nclusters:\n{clusters}contexts:\n{contexts}users:\n\
         - name: demo\n  user: {{}}\n"
    )
}

#[cfg(test)]
mod tests {
    use kube::config::Kubeconfig;

    use super::*;

    #[test]
    fn the_kubeconfig_is_one() {
        let addresses = [("hub", "http://127.0.0.1:1".to_owned()), ("east", "http://127.0.0.1:2".to_owned())];
        let config = Kubeconfig::from_yaml(&kubeconfig(&addresses)).unwrap();
        assert_eq!(config.current_context.as_deref(), Some("hub"));
        assert_eq!(config.contexts.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["hub", "east"]);
        let server = config.clusters[1].cluster.as_ref().unwrap().server.as_deref();
        assert_eq!(server, Some("http://127.0.0.1:2"));
    }
}

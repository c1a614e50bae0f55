//! Serves one cluster on loopback, for a try with `kubectl`:
//! `cargo run -p slipway-fakes --example serve -- 8001 > /tmp/kubeconfig`.
//!
//! Further arguments name files with `CustomResourceDefinitions` to install.

use std::io::Error;

use serde_json::Value;
use slipway_fakes::{Clock, Cluster, ClusterOptions};

#[tokio::main]
async fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let port = arguments.next().unwrap_or_else(|| "8001".to_owned());
    #[expect(clippy::disallowed_methods, reason = "a try by hand runs in real time")]
    let now = jiff::Timestamp::now();
    let cluster = Cluster::start(ClusterOptions::new(Clock::new(now, 1)));
    for file in arguments {
        let text = std::fs::read_to_string(&file)?;
        for document in serde_saphyr::from_multiple::<Value>(&text).map_err(Error::other)? {
            cluster.api().install_crd(document).await.map_err(Error::other)?;
        }
    }
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    let address = listener.local_addr()?;
    println!(
        "apiVersion: v1\nkind: Config\ncurrent-context: fake\nclusters:\n- name: fake\n  cluster:\n    server: \
         http://{address}\ncontexts:\n- name: fake\n  context:\n    cluster: fake\n    user: \"\"\n"
    );
    cluster.api().serve(listener).await.map_err(Error::other)
}

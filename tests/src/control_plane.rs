//! A real Kubernetes control plane for a test: etcd, kube-apiserver and kube-controller-manager on loopback.
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! let plane = slipway_tests::control_plane::ControlPlane::start("hub").await?;
//! let version = plane.client()?.apiserver_version().await?;
//! # Ok(()) }
//! ```

mod binaries;
mod kubeconfig;
mod server;

use std::ffi::OsString;
use std::fs;
use std::io::Read;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use kube::config::{Config, KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};
use tempfile::TempDir;

pub use binaries::Binaries;
pub use kubeconfig::{merge, to_yaml, write};
use server::Server;

/// The controllers that run: few, so that a start is quick and nothing else writes.
const CONTROLLERS: [&str; 8] = [
    "statefulset",
    "deployment",
    "replicaset",
    "garbage-collector",
    "namespace",
    "endpointslice",
    "disruption",
    "horizontal-pod-autoscaler",
];

/// Which addresses Services get.
const SERVICE_ADDRESSES: &str = "10.0.0.0/16";

/// Another process may take a port between its choice and its use.
const ATTEMPTS: usize = 5;

/// How often a starting server is asked whether it is ready.
const POLL: Duration = Duration::from_millis(100);

/// Polls until a start counts as failed: a minute, for a machine that is busy with a build.
const POLLS: usize = 600;

/// A running control plane. Its servers end, and its data goes, when it is dropped and when this process ends in any way.
#[derive(Debug)]
pub struct ControlPlane {
    name: String,
    url: String,
    token: String,
    ca: String,
    etcd_url: String,
    binaries: Binaries,
    /// Listed before the folder, so that they end before it goes; clients first.
    servers: Vec<Server>,
    folder: TempDir,
}

impl ControlPlane {
    /// Starts a control plane and waits until it is ready. The name becomes its context in kubeconfigs.
    pub async fn start(name: &str) -> Result<Self> {
        Self::start_with(name, true, SERVICE_ADDRESSES).await
    }

    /// Starts etcd and the API server alone: nothing but the test writes.
    pub async fn start_alone(name: &str) -> Result<Self> {
        Self::start_with(name, false, SERVICE_ADDRESSES).await
    }

    /// Starts etcd and an API server alone that gives Services addresses of both families.
    pub async fn start_dual_stack(name: &str) -> Result<Self> {
        Self::start_with(name, false, "10.0.0.0/16,fd00::/112").await
    }

    async fn start_with(name: &str, controllers: bool, service_addresses: &str) -> Result<Self> {
        let binaries = tokio::task::spawn_blocking(Binaries::find).await??;
        let mut attempt = 1;
        loop {
            match Self::start_once(name, &binaries, controllers, service_addresses).await {
                Err(error) if attempt < ATTEMPTS && format!("{error:#}").contains("address already in use") => {
                    attempt += 1;
                }
                result => return result.with_context(|| format!("control plane `{name}` does not start")),
            }
        }
    }

    /// The name given at the start.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The API server's base URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A bearer token of a user in group `system:masters`.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The certificate authority of the API server, in PEM.
    pub fn ca(&self) -> &str {
        &self.ca
    }

    /// The certificate the API server made for itself, with its authority, and its key, in PEM.
    pub fn certificate(&self) -> Result<(String, String)> {
        let read = |name: &str| {
            let path = self.certificates().join(name);
            fs::read_to_string(&path).with_context(|| format!("cannot read `{}`", path.display()))
        };
        Ok((read("apiserver.crt")?, read("apiserver.key")?))
    }

    /// etcd's client URL, also of its JSON gateway.
    pub fn etcd_url(&self) -> &str {
        &self.etcd_url
    }

    /// A kubeconfig with one context, called like the control plane.
    pub fn kubeconfig(&self) -> Kubeconfig {
        kubeconfig::for_plane(self)
    }

    /// The file that holds [`Self::kubeconfig`].
    pub fn kubeconfig_path(&self) -> PathBuf {
        kubeconfig_in(self.folder.path())
    }

    /// Process ids of the servers by name.
    pub fn processes(&self) -> impl Iterator<Item = (&'static str, u32)> + '_ {
        self.servers.iter().map(|server| (server.name(), server.pid()))
    }

    /// A `kubectl` that talks to this control plane.
    pub fn kubectl(&self) -> Command {
        let mut command = Command::new(self.binaries.path("kubectl"));
        command.env("KUBECONFIG", self.kubeconfig_path());
        command
    }

    /// A client without retries: a test wants to see every answer.
    pub fn client(&self) -> Result<kube::Client> {
        client(self.kubeconfig())
    }

    /// Makes etcd forget what was before, as the API server does in the course of minutes.
    pub async fn compact(&self) -> Result<()> {
        let mut config = Config::new(self.etcd_url.parse()?);
        config.default_retry = false;
        let etcd = kube::Client::try_from(config)?;
        let ask = async |path: &str, body: Value| -> Result<Value> {
            let request = http::Request::post(path).body(serde_json::to_vec(&body)?)?;
            etcd.request(request).await.with_context(|| format!("etcd does not answer `{path}`"))
        };
        let now = ask("/v3/kv/range", json!({ "key": "AA==" })).await?;
        let revision = now.pointer("/header/revision").context("etcd's answer names no revision")?;
        ask("/v3/kv/compaction", json!({ "revision": revision })).await?;
        Ok(())
    }

    async fn start_once(name: &str, binaries: &Binaries, controllers: bool, service_addresses: &str) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("slipway-control-plane-").tempdir()?;
        let ports = Ports::choose()?;
        let mut plane = Self {
            name: name.to_owned(),
            url: format!("https://127.0.0.1:{}", ports.api),
            token: random_token()?,
            ca: String::new(),
            etcd_url: format!("http://127.0.0.1:{}", ports.etcd),
            binaries: binaries.clone(),
            servers: Vec::new(),
            folder,
        };
        plane.run("etcd", plane.etcd_args(&ports))?;
        plane.wait_for_port(ports.etcd).await?;
        plane.write_token_file()?;
        plane.run("kube-apiserver", plane.apiserver_args(&ports, service_addresses))?;
        plane.wait_for_port(ports.api).await?;
        plane.ca = certificate_authority(&plane.certificates().join("apiserver.crt"))?;
        kubeconfig::write(&plane.kubeconfig(), &plane.kubeconfig_path())?;
        plane.wait_until_ready().await?;
        if controllers {
            plane.run("kube-controller-manager", plane.controller_manager_args(&ports))?;
            plane.wait_for_port(ports.controllers).await?;
        }
        Ok(plane)
    }

    /// Clients are kept in front of the servers they use: the first is dropped first.
    fn run(&mut self, name: &'static str, args: Vec<OsString>) -> Result<()> {
        let server = Server::start(name, &self.binaries.path(name), self.folder.path(), args)?;
        self.servers.insert(0, server);
        Ok(())
    }

    fn etcd_args(&self, ports: &Ports) -> Vec<OsString> {
        let peer = format!("http://127.0.0.1:{}", ports.etcd_peer);
        Flags::default()
            .set("data-dir", self.folder.path().join("etcd/data"))
            .set("listen-client-urls", &self.etcd_url)
            .set("advertise-client-urls", &self.etcd_url)
            .set("listen-peer-urls", &peer)
            .set("initial-advertise-peer-urls", &peer)
            .set("initial-cluster", format!("default={peer}"))
            .set("unsafe-no-fsync", "true")
            .into()
    }

    fn apiserver_args(&self, ports: &Ports, service_addresses: &str) -> Vec<OsString> {
        let certificates = self.certificates();
        Flags::default()
            .set("bind-address", "127.0.0.1")
            .set("advertise-address", "127.0.0.1")
            .set("secure-port", ports.api.to_string())
            .set("cert-dir", &certificates)
            .set("etcd-servers", &self.etcd_url)
            .set("token-auth-file", self.token_file())
            .set("authorization-mode", "RBAC")
            .set("service-account-issuer", &self.url)
            // The RSA key the server makes for its own certificate serves here as well.
            .set("service-account-signing-key-file", certificates.join("apiserver.key"))
            .set("service-account-key-file", certificates.join("apiserver.key"))
            .set("service-cluster-ip-range", service_addresses)
            // Pods need no service account, and nobody would create one.
            .set("disable-admission-plugins", "ServiceAccount")
            .into()
    }

    fn controller_manager_args(&self, ports: &Ports) -> Vec<OsString> {
        let kubeconfig = self.kubeconfig_path();
        let controllers: Vec<String> = CONTROLLERS.iter().map(|name| format!("{name}-controller")).collect();
        Flags::default()
            .set("kubeconfig", &kubeconfig)
            .set("authentication-kubeconfig", &kubeconfig)
            .set("authorization-kubeconfig", &kubeconfig)
            .set("bind-address", "127.0.0.1")
            .set("secure-port", ports.controllers.to_string())
            .set("cert-dir", self.folder.path().join("kube-controller-manager/certificates"))
            .set("controllers", controllers.join(","))
            .set("leader-elect", "false")
            .set("horizontal-pod-autoscaler-sync-period", "1s")
            .set("kube-api-qps", "1000")
            .set("kube-api-burst", "2000")
            .into()
    }

    fn certificates(&self) -> PathBuf {
        self.folder.path().join("kube-apiserver/certificates")
    }

    fn token_file(&self) -> PathBuf {
        self.folder.path().join("kube-apiserver/tokens.csv")
    }

    fn write_token_file(&self) -> Result<()> {
        let path = self.token_file();
        fs::create_dir_all(path.parent().context("the token file has no folder")?)?;
        fs::write(&path, format!("{},admin,admin,\"system:masters\"\n", self.token))?;
        Ok(())
    }

    async fn wait_for_port(&mut self, port: u16) -> Result<()> {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        self.wait_until(async || TcpStream::connect(address).is_ok()).await
    }

    async fn wait_until_ready(&mut self) -> Result<()> {
        let client = self.client()?;
        let get = async |path: &str| match http::Request::get(path).body(Vec::new()) {
            Ok(request) => client.request_text(request).await.ok(),
            Err(_) => None,
        };
        // The server says that it is ready before it has made the namespaces that each server has.
        self.wait_until(async || {
            get("/readyz").await.as_deref() == Some("ok") && get("/api/v1/namespaces/default").await.is_some()
        })
        .await
    }

    /// Waits for a condition while every server runs.
    async fn wait_until(&mut self, condition: impl AsyncFn() -> bool) -> Result<()> {
        for _ in 0..POLLS {
            for server in &mut self.servers {
                server.check_running()?;
            }
            if condition().await {
                return Ok(());
            }
            tokio::time::sleep(POLL).await;
        }
        let Some(server) = self.servers.first() else { bail!("no server was started") };
        bail!("{} is not ready after {:?}: {}", server.name(), POLL * 600, server.log_tail());
    }
}

/// A client for the current context of a kubeconfig, without retries.
pub fn client(kubeconfig: Kubeconfig) -> Result<kube::Client> {
    let mut config =
        futures::executor::block_on(Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()))?;
    config.default_retry = false;
    Ok(kube::Client::try_from(config)?)
}

fn kubeconfig_in(folder: &Path) -> PathBuf {
    // In a server's own folder, which goes with the server even when this process is killed.
    folder.join("kube-apiserver/kubeconfig")
}

struct Ports {
    etcd: u16,
    etcd_peer: u16,
    api: u16,
    controllers: u16,
}

impl Ports {
    /// Four ports that were free a moment ago, all different because all are held until the last is known.
    fn choose() -> Result<Self> {
        let listeners = (0..4).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<Vec<_>, _>>()?;
        let ports = listeners.iter().map(|it| Ok(it.local_addr()?.port())).collect::<Result<Vec<_>>>()?;
        let [etcd, etcd_peer, api, controllers] = ports[..] else { bail!("four ports were asked for") };
        Ok(Self { etcd, etcd_peer, api, controllers })
    }
}

/// A command line of `--name=value` flags.
#[derive(Default)]
struct Flags(Vec<OsString>);

impl Flags {
    fn set(mut self, name: &str, value: impl Into<OsString>) -> Self {
        let mut flag = OsString::from(format!("--{name}="));
        flag.push(value.into());
        self.0.push(flag);
        self
    }
}

impl From<Flags> for Vec<OsString> {
    fn from(flags: Flags) -> Self {
        flags.0
    }
}

fn random_token() -> Result<String> {
    let mut bytes = [0_u8; 16];
    fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(hex(&bytes))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// The API server writes its certificate followed by the authority that signed it.
fn certificate_authority(path: &Path) -> Result<String> {
    let chain = fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    let begin = chain.rfind("-----BEGIN CERTIFICATE-----").context("the API server's certificate is not in PEM")?;
    Ok(chain[begin..].to_owned())
}

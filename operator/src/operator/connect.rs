//! From kubeconfig contexts to clients, with one clear error for whatever is wrong.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use slipway_actors::{
    api::{API_VERSION, GROUP},
    world::Member,
};

use super::member::MemberArg;
use crate::failure::{Failure, chain};

/// How long new definitions may take to be established: a second or two on an API server at rest.
const ESTABLISH_TRIES: u32 = 10;
const ESTABLISH_PAUSE: Duration = Duration::from_millis(500);

/// How long the hub may take to answer at the start.
const HUB_LIMIT: Duration = Duration::from_secs(10);
/// How long any connection may take to stand.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// The plurals of the six kinds.
const PLURALS: [&str; 6] =
    ["backendroutings", "rolloutruns", "rollouts", "rolloutstrategies", "scaleruns", "traffictopologies"];

/// The clusters of an operator.
pub(crate) struct Clusters {
    /// The hub.
    pub hub: Client,
    /// Its address, for people.
    pub hub_url: String,
    /// The members, in order of name.
    pub members: Vec<Member>,
}

/// Makes clients for the hub and its members, and makes sure that the hub can be one.
pub(crate) async fn connect(
    file: Option<&Path>,
    hub: Option<&str>,
    members: &[MemberArg],
) -> Result<Clusters, Failure> {
    let (hub, configs) = configs(file, hub, members).await?;
    let hub_url = hub.cluster_url.to_string();
    let hub = client(hub, "hub")?;
    check_hub(&hub, &hub_url).await?;
    let mut members = Vec::new();
    for (name, config) in configs {
        members.push(Member { client: client(config, &name)?, name });
    }
    members.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(Clusters { hub, hub_url, members })
}

async fn configs(
    file: Option<&Path>,
    hub: Option<&str>,
    members: &[MemberArg],
) -> Result<(Config, Vec<(String, Config)>), Failure> {
    let Some(source) = Source::find(file)? else {
        let Ok(config) = Config::incluster() else {
            return Err(Failure::BadInput(
                "kubeconfig: there is none, and this is no pod; give --kubeconfig FILE or set KUBECONFIG".to_owned(),
            ));
        };
        if hub.is_some() || !members.is_empty() {
            return Err(Failure::BadInput("--hub and --member name contexts, which need --kubeconfig FILE".to_owned()));
        }
        return Ok((config, Vec::new()));
    };
    let hub = source.config(hub, "--hub").await?;
    let mut configs: Vec<(String, Config)> = Vec::new();
    for member in members {
        let config = source.config(Some(&member.context), &format!("--member {}", member.name)).await?;
        if let Some((other, _)) = configs.iter().find(|it| it.1.cluster_url == config.cluster_url) {
            return Err(Failure::BadInput(format!(
                "--member {}: {} is already member {other}; every workload would be taken for two: name each cluster \
                 once",
                member.name, config.cluster_url
            )));
        }
        configs.push((member.name.clone(), config));
    }
    Ok((hub, configs))
}

/// A kubeconfig and where it was found.
struct Source {
    kubeconfig: Kubeconfig,
    place: String,
}

impl Source {
    fn find(file: Option<&Path>) -> Result<Option<Self>, Failure> {
        if let Some(path) = file {
            return Self::read(path).map(Some);
        }
        if let Some(paths) = std::env::var_os("KUBECONFIG").filter(|it| !it.is_empty()) {
            let place = format!("KUBECONFIG={}", paths.display());
            let found = Kubeconfig::from_env().map_err(|error| malformed(&place, &error))?;
            return match found {
                Some(kubeconfig) => Ok(Some(Self { kubeconfig, place })),
                None => Err(Failure::BadInput(format!("{place}: no such file; name one that exists, or unset it"))),
            };
        }
        let default = std::env::home_dir().map(|home| home.join(".kube").join("config"));
        default.filter(|it: &PathBuf| it.exists()).map(|it| Self::read(&it)).transpose()
    }

    fn read(path: &Path) -> Result<Self, Failure> {
        let place = format!("kubeconfig {}", path.display());
        let kubeconfig = Kubeconfig::read_from(path).map_err(|error| malformed(&place, &error))?;
        Ok(Self { kubeconfig, place })
    }

    /// The configuration of a context, or of the current one. `asked_by` is the flag that names it.
    async fn config(&self, context: Option<&str>, asked_by: &str) -> Result<Config, Failure> {
        let Some(name) = context.or(self.kubeconfig.current_context.as_deref()).filter(|it| !it.is_empty()) else {
            return Err(Failure::BadInput(format!(
                "{}: current-context is not set; give --hub CONTEXT ({})",
                self.place,
                self.contexts()
            )));
        };
        if !self.kubeconfig.contexts.iter().any(|it| it.name == name) {
            return Err(Failure::BadInput(format!(
                "{asked_by}: context {name:?} is not in {}; {}",
                self.place,
                self.contexts()
            )));
        }
        let options = KubeConfigOptions { context: Some(name.to_owned()), ..KubeConfigOptions::default() };
        let config = Config::from_custom_kubeconfig(self.kubeconfig.clone(), &options).await;
        config.map_err(|error| {
            Failure::BadInput(format!(
                "{}: context {name:?} cannot be used: {}; see `kubectl config view --context {name} --minify`",
                self.place,
                chain(&error)
            ))
        })
    }

    fn contexts(&self) -> String {
        let names: Vec<&str> = self.kubeconfig.contexts.iter().map(|it| it.name.as_str()).collect();
        if names.is_empty() { "it has no contexts".to_owned() } else { format!("it has {}", names.join(", ")) }
    }
}

fn malformed(place: &str, error: &dyn std::error::Error) -> Failure {
    Failure::BadInput(format!("{place}: {}; write it anew with `kubectl config view --raw`", chain(error)))
}

fn client(mut config: Config, name: &str) -> Result<Client, Failure> {
    // The graph decides itself what is tried again, and when.
    config.default_retry = false;
    config.connect_timeout = Some(CONNECT_LIMIT);
    let url = config.cluster_url.clone();
    Client::try_from(config)
        .map_err(|error| Failure::BadInput(format!("{name} at {url}: no client can be made: {}", chain(&error))))
}

/// Whether the hub answers and serves the six kinds. Definitions that were installed a moment ago are given time to be
/// established.
async fn check_hub(hub: &Client, url: &str) -> Result<(), Failure> {
    let mut missing = Vec::new();
    for _ in 0..ESTABLISH_TRIES {
        missing = not_served(hub, url).await?;
        if missing.is_empty() {
            return Ok(());
        }
        tokio::time::sleep(ESTABLISH_PAUSE).await;
    }
    Err(Failure::Broke(format!(
        "hub {url}: does not serve {}; install them with: slipway crds | kubectl apply -f -",
        missing.join(", ")
    )))
}

/// Those of the six kinds that the hub does not serve.
async fn not_served(hub: &Client, url: &str) -> Result<Vec<String>, Failure> {
    let asked = tokio::time::timeout(HUB_LIMIT, hub.list_api_group_resources(API_VERSION)).await;
    let served: Vec<String> = match asked {
        Err(_) => return Err(unreachable(url, &format!("no answer within {} seconds", HUB_LIMIT.as_secs()))),
        Ok(Ok(list)) => list.resources.into_iter().map(|it| it.name).collect(),
        Ok(Err(kube::Error::Api(status))) if status.code == 404 => Vec::new(),
        Ok(Err(kube::Error::Api(status))) => {
            return Err(Failure::Broke(format!(
                "hub {url}: refuses to say what it serves: {} ({}); check the context's credentials",
                status.message, status.code
            )));
        }
        Ok(Err(error)) => return Err(unreachable(url, &chain(&error))),
    };
    let missing = PLURALS.iter().filter(|it| !served.contains(&(**it).to_owned()));
    Ok(missing.map(|it| format!("{it}.{GROUP}")).collect())
}

fn unreachable(url: &str, why: &str) -> Failure {
    Failure::Broke(format!("hub {url}: cannot be reached: {why}; check the address and that the cluster is up"))
}

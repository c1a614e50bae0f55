//! What tells an API server to ask the webhook.

use std::{fs, path::PathBuf};

use clap::ValueEnum;
use k8s_openapi::ByteString;
use serde_json::{Value, json};
use slipway_actors::api::{GROUP, VERSION, crd};

use super::server::PATH;
use crate::failure::Failure;

/// Name of the configuration: upstream's, so that one takes the place of the other.
const NAME: &str = "kusionstack-rollout-validating";
/// How long the API server waits for an answer: checks take milliseconds, and a user waits for it.
const TIMEOUT_SECONDS: i32 = 5;

/// Print the ValidatingWebhookConfiguration as YAML.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  slipway webhook configuration --service slipway/webhook --ca-bundle ca.crt | kubectl apply -f -"
)]
pub(super) struct Args {
    /// The Service in front of the webhook
    #[arg(long, value_name = "NAMESPACE/NAME", required_unless_present = "url")]
    service: Option<String>,
    /// Port of the Service
    #[arg(long, value_name = "PORT", default_value_t = 443, requires = "service")]
    port: u16,
    /// The webhook's address, for one outside the cluster
    #[arg(long, value_name = "URL", conflicts_with = "service")]
    url: Option<String>,
    /// The authority of the webhook's certificate, in PEM; otherwise another controller must fill it in
    #[arg(long, value_name = "FILE")]
    ca_bundle: Option<PathBuf>,
    /// What happens to an object while the webhook does not answer
    #[arg(long, value_enum, default_value = "ignore")]
    failure_policy: FailurePolicy,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FailurePolicy {
    /// It is stored; the controller checks it again and says so in its conditions
    Ignore,
    /// It is refused, as upstream has it
    Fail,
}

/// The configuration.
pub(super) fn yaml(args: &Args) -> Result<String, Failure> {
    let ca_bundle = args.ca_bundle.as_ref().map(fs::read).transpose().map_err(|error| {
        let path = args.ca_bundle.clone().unwrap_or_default();
        Failure::BadInput(format!("--ca-bundle {}: {error}; name a file with certificates in PEM", path.display()))
    })?;
    let webhooks = crd::names()
        .iter()
        .map(|names| {
            let (singular, plural) = (names.singular.clone().unwrap_or_default(), &names.plural);
            let mut client_config = client_config(args, &format!("{PATH}{singular}"))?;
            if let Some(ca_bundle) = &ca_bundle {
                client_config["caBundle"] = json!(ByteString(ca_bundle.clone()));
            }
            Ok(json!({
                "name": format!("{singular}.validating.{GROUP}"),
                "clientConfig": client_config,
                "rules": [{
                    "operations": ["CREATE", "UPDATE"],
                    "apiGroups": [GROUP],
                    "apiVersions": [VERSION],
                    "resources": [plural],
                    "scope": "Namespaced",
                }],
                "failurePolicy": match args.failure_policy {
                    FailurePolicy::Ignore => "Ignore",
                    FailurePolicy::Fail => "Fail",
                },
                "matchPolicy": "Equivalent",
                "sideEffects": "None",
                "timeoutSeconds": TIMEOUT_SECONDS,
                "admissionReviewVersions": ["v1"],
            }))
        })
        .collect::<Result<Vec<Value>, Failure>>()?;
    let configuration = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": { "name": NAME },
        "webhooks": webhooks,
    });
    serde_saphyr::to_string(&configuration).map_err(|error| Failure::Broke(format!("the configuration: {error}")))
}

fn client_config(args: &Args, path: &str) -> Result<Value, Failure> {
    if let Some(url) = &args.url {
        let url = url.trim_end_matches('/');
        if !url.starts_with("https://") {
            return Err(Failure::BadInput(format!("--url {url}: an API server asks over https:// alone")));
        }
        return Ok(json!({ "url": format!("{url}{path}") }));
    }
    let service = args.service.as_deref().unwrap_or_default();
    match service.split_once('/') {
        Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() => {
            Ok(json!({ "service": { "namespace": namespace, "name": name, "path": path, "port": args.port } }))
        }
        _ => Err(Failure::BadInput(format!("--service {service}: expected namespace/name, such as slipway/webhook"))),
    }
}

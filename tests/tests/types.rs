//! The fake's data about built-in types is what a real API server says now, and so is what the fake makes of it.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use http::Request;
use kube::Client;
use serde_json::{Map, Value};
use slipway_fakes::{ApiServer, Clock};
use slipway_tests::{control_plane::ControlPlane, types};

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

#[tokio::test(flavor = "multi_thread")]
async fn the_recorded_types_are_those_of_a_real_api_server() -> Result<()> {
    let plane = ControlPlane::start("real").await?;
    for recorded in types::record(&plane.client()?).await? {
        let kept = recorded.kept()?;
        let first = kept.lines().zip(recorded.content.lines()).find(|(kept, now)| kept != now);
        if kept != recorded.content {
            bail!(
                "`{}` is stale, first at {first:?}: record it with `cargo run -p slipway-tests --bin record-types`",
                recorded.path().display()
            );
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fake_tells_what_a_real_api_server_tells() -> Result<()> {
    let plane = ControlPlane::start("real").await?;
    let real = plane.client()?;
    let fake = ApiServer::new(1, Clock::new("2026-01-01T00:00:00Z".parse()?, 1)).client();
    for path in ["/api", "/apis"] {
        let (real, fake) = (get(&real, path, AGGREGATED).await?, get(&fake, path, AGGREGATED).await?);
        assert_eq!(fake["items"], real["items"], "aggregated discovery at {path}");
    }
    let (told, wanted) = (documents(&fake).await?, documents(&real).await?);
    let mut differ = Vec::new();
    assert!(told.len() > 20, "{:?}", told.keys());
    for (path, url) in told {
        let of = wanted.get(&path).with_context(|| format!("no document `{path}`"))?;
        let resources = path.replace("apis/", "/apis/").replace("api/", "/api/");
        let (old, known) = (get(&fake, &resources, "*/*").await?, get(&real, &resources, "*/*").await?);
        assert_eq!(old["resources"], known["resources"], "{resources}");
        let (told, wanted) = (schemas(&fake, &url).await?, schemas(&real, of).await?);
        for (name, schema) in told {
            if Some(&schema) != wanted.get(&name) {
                differ.push(format!("{name} in {path}:\n  {schema}\n  {}", wanted.get(&name).unwrap_or(&Value::Null)));
            }
        }
    }
    assert!(differ.is_empty(), "{} schemas differ:\n{}", differ.len(), differ.join("\n"));
    Ok(())
}

async fn get(client: &Client, path: &str, accept: &str) -> Result<Value> {
    let request = Request::get(path).header(http::header::ACCEPT, accept).body(Vec::new())?;
    client.request(request).await.with_context(|| format!("cannot read `{path}`"))
}

/// The URLs of the documents of OpenAPI v3.
async fn documents(client: &Client) -> Result<BTreeMap<String, String>> {
    let index = get(client, "/openapi/v3", "application/json").await?;
    let paths = index["paths"].as_object().context("no paths")?;
    let url = |entry: &Value| entry["serverRelativeURL"].as_str().unwrap_or_default().to_owned();
    Ok(paths.iter().map(|(path, entry)| (path.clone(), url(entry))).collect())
}

async fn schemas(client: &Client, url: &str) -> Result<Map<String, Value>> {
    let mut document = get(client, url, "application/json").await?;
    let mut schemas = document["components"]["schemas"].take();
    without_descriptions(&mut schemas);
    schemas.as_object().cloned().context("no schemas")
}

/// Sentences are for people.
fn without_descriptions(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            map.retain(|name, value| name != "description" || !value.is_string());
            map.values_mut().for_each(without_descriptions);
            if let Some(Value::Array(required)) = map.get_mut("required") {
                required.sort_by_key(ToString::to_string);
            }
            if let Some(Value::Array(one)) = map.get("allOf").cloned()
                && map.len() == 1
                && let [reference] = one.as_slice()
            {
                *schema = reference.clone();
            }
        }
        Value::Array(list) => list.iter_mut().for_each(without_descriptions),
        _ => {}
    }
}

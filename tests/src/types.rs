//! What a real API server says about its built-in types, as the data that the fake is made of.
//!
//! Discovery names the resources; OpenAPI says how lists and maps merge, what is required, which values there are and
//! what is filled in; Go's types say how a field is written as JSON and as protobuf. Sentences are left out.

mod discovery;
mod go;
mod merge;
mod openapi;

use std::{fs, path::PathBuf};

use anyhow::{Context, Result};
use http::Request;
use serde_json::Value;

/// Where the data is kept, from the folder of this package.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../fakes/src/types");

/// A file of data with its content.
#[derive(Debug)]
pub struct Recorded {
    /// Its name.
    pub file: &'static str,
    /// What the API server says now.
    pub content: String,
}

impl Recorded {
    /// Where it is kept.
    pub fn path(&self) -> PathBuf {
        PathBuf::from(FOLDER).join(self.file)
    }

    /// What was recorded last.
    pub fn kept(&self) -> Result<String> {
        fs::read_to_string(self.path()).with_context(|| format!("cannot read `{}`", self.path().display()))
    }
}

/// Asks a real API server.
pub async fn record(client: &kube::Client) -> Result<[Recorded; 2]> {
    let resources = discovery::resources(client).await?;
    let models = openapi::models(client).await?;
    let go = tokio::task::spawn_blocking(go::Types::read).await??;
    Ok([
        Recorded { file: "types.json", content: merge::types(&resources, &models, &go)? },
        Recorded { file: "resources.json", content: discovery::text(&resources)? },
    ])
}

async fn get(client: &kube::Client, path: &str, accept: &str) -> Result<Value> {
    let request = Request::get(path).header(http::header::ACCEPT, accept).body(Vec::new())?;
    client.request(request).await.with_context(|| format!("cannot read `{path}`"))
}

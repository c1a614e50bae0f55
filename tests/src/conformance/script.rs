//! The format of scripts and of their answers.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::moves::Moves;

/// Requests in order, in a namespace of their own.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// The file's name without its extension.
    #[serde(skip)]
    pub name: String,
    /// What the script shows.
    pub about: String,
    /// CRDs that are there before the first step: files of `install/`, without extension; a folder from the workspace's
    /// root, such as `operator/deploy/crds`, for all files in it; or `gateway-api/` and a plural. One whose group does not
    /// name the script is shared.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub install: Vec<String>,
    /// The API server is alone: no controller and no kubelet writes anything.
    #[serde(default, skip_serializing_if = "is_false")]
    pub alone: bool,
    /// Variables with values before any step kept one. A step may fail to keep these.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, Value>,
    /// The requests.
    pub steps: Vec<Step>,
}

/// One request. In its strings `${ns}` is the namespace, `${script}` the script's name, `${start}` the
/// resource version before the first step, `${long}` and `${huge}` many letters, and `${x}` what a step kept as `x`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// What happens, in a few words.
    pub step: String,
    /// Verb and path: a method of HTTP such as `GET`, or `JSON-PATCH`, `MERGE-PATCH`, `STRATEGIC-PATCH`, `APPLY` or `WATCH`.
    #[serde(rename = "do")]
    pub request: String,
    /// The body; one that is null is a body.
    #[serde(rename = "with", default, deserialize_with = "some", skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
    /// The body as it is sent, where it is no JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Headers that replace the usual ones.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Variables for later steps, each with its path in the answer.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub keep: BTreeMap<String, String>,
    /// Paths with values: the request is repeated until the answer has them all.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub until: BTreeMap<String, Value>,
    /// Requests that are sent once a watch stands.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub meanwhile: Vec<Request>,
    /// A watch ends after so many events, else when the server closes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events: Option<usize>,
    /// What a watch's events are reduced to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moves: Option<Moves>,
    /// Lists of the answer, each with the paths and values that an item has to have to be compared.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub only: BTreeMap<String, BTreeMap<String, Value>>,
    /// Paths to compare, else the whole answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub show: Vec<String>,
    /// Whether the answer's body is compared as text, blanks and all.
    #[serde(default, rename = "as-text", skip_serializing_if = "std::ops::Not::not")]
    pub as_text: bool,
    /// Headers of the answer to compare.
    #[serde(default, rename = "answer-headers", skip_serializing_if = "Vec::is_empty")]
    pub answer_headers: Vec<String>,
}

/// A request whose answer has only to be a success.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Verb and path, as in a step.
    #[serde(rename = "do")]
    pub request: String,
    /// The body.
    #[serde(rename = "with", skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
}

/// The normalised answers to a script.
pub type Transcript = Vec<Answer>;

/// The normalised answer to one step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The step's words.
    pub step: String,
    /// The HTTP status code.
    pub status: u16,
    /// `Warning` headers, without code and agent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// The headers that are compared; one that is missing is null.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, Value>,
    /// The body, or the events of a watch.
    pub body: Value,
}

impl Script {
    /// Reads a script file.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("cannot read script `{}`", path.display()))?;
        let mut script: Self =
            serde_saphyr::from_str(&text).with_context(|| format!("script `{}` is malformed", path.display()))?;
        script.name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let mut names = BTreeSet::new();
        if let Some(twice) = script.steps.iter().find(|step| !names.insert(&step.step)) {
            bail!("script `{}`: step `{}` appears twice: give it another name", script.name, twice.step);
        }
        Ok(script)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde asks for")]
fn is_false(value: &bool) -> bool {
    !value
}

fn some<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

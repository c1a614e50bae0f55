//! From files to the objects in them.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

use serde_json::Value;
use slipway_actors::api::GROUP;

/// Endings of the files of a directory that are read.
const ENDINGS: [&str; 3] = ["yaml", "yml", "json"];

/// Where an object stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    file: String,
    /// Counted from 1.
    document: usize,
    /// Of a list, counted from 1.
    item: Option<usize>,
    object: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: document {}", self.file, self.document)?;
        if let Some(item) = self.item {
            write!(f, ", item {item}")?;
        }
        write!(f, ": {}", self.object)
    }
}

/// An object with its place.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) place: Place,
    pub(super) object: Value,
}

impl Document {
    /// Whether it is of Slipway's group, in any version.
    pub(super) fn is_ours(&self) -> bool {
        self.api_version().split('/').next() == Some(GROUP)
    }

    pub(super) fn api_version(&self) -> &str {
        self.object["apiVersion"].as_str().unwrap_or_default()
    }

    pub(super) fn kind(&self) -> &str {
        self.object["kind"].as_str().unwrap_or_default()
    }

    pub(super) fn name(&self) -> &str {
        self.object["metadata"]["name"].as_str().unwrap_or_default()
    }

    /// Empty where the manifest leaves it to whoever applies it.
    pub(super) fn namespace(&self) -> &str {
        self.object["metadata"]["namespace"].as_str().unwrap_or_default()
    }
}

/// The objects of a file, of a directory, or with `-` of standard input.
pub(super) fn read(path: &Path) -> Result<Vec<Document>, String> {
    if path == Path::new("-") {
        let text =
            io::read_to_string(io::stdin()).map_err(|error| format!("standard input cannot be read: {error}"))?;
        return parse("standard input", &text);
    }
    let unreadable = |path: &Path, error: io::Error| format!("{} cannot be read: {error}", path.display());
    if !path.is_dir() {
        let text = fs::read_to_string(path).map_err(|error| unreadable(path, error))?;
        return parse(&path.display().to_string(), &text);
    }
    let entries = fs::read_dir(path).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let mut paths: Vec<PathBuf> =
        entries.map_err(|error| unreadable(path, error))?.into_iter().map(|entry| entry.path()).collect();
    paths.sort();
    // A link to a directory may lead back here.
    let is_folder = |path: &Path| path.is_dir() && !path.is_symlink();
    let has_ending =
        |path: &Path| path.is_file() && path.extension().is_some_and(|it| ENDINGS.iter().any(|e| it == *e));
    let is_manifest = |path: &&PathBuf| is_folder(path) || has_ending(path);
    let documents: Result<Vec<_>, _> = paths.iter().filter(is_manifest).map(|path| read(path)).collect();
    Ok(documents?.into_iter().flatten().collect())
}

fn parse(file: &str, text: &str) -> Result<Vec<Document>, String> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text).map_err(|error| {
        // What follows the first line is the text itself.
        let error = error.to_string();
        let why = error.lines().next().unwrap_or_default().trim_start_matches("error: ");
        format!("{file} is neither YAML nor JSON: {why}; correct it and check it again")
    })?;
    let mut objects = Vec::new();
    for (index, document) in documents.into_iter().enumerate() {
        let items = match document {
            Value::Null => continue,
            Value::Array(items) => Some(items),
            Value::Object(mut fields) if is_list(&fields) => fields["items"].as_array_mut().map(std::mem::take),
            object => {
                objects.push(placed(file, index, None, object));
                continue;
            }
        };
        let items = items.into_iter().flatten().enumerate();
        objects.extend(items.map(|(item, object)| placed(file, index, Some(item + 1), object)));
    }
    match objects.iter().find(|document| !document.object["kind"].is_string()) {
        Some(document) => Err(format!("{} has no kind, so it is no object of Kubernetes'", document.place)),
        None => Ok(objects),
    }
}

fn is_list(fields: &serde_json::Map<String, Value>) -> bool {
    fields.get("kind").and_then(Value::as_str).is_some_and(|kind| kind.ends_with("List"))
        && fields.get("items").is_some_and(Value::is_array)
}

fn placed(file: &str, index: usize, item: Option<usize>, object: Value) -> Document {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (kind, name) = (text(&object["kind"]), text(&object["metadata"]["name"]));
    let object_name = match text(&object["metadata"]["namespace"]) {
        _ if kind.is_empty() => "the document".to_owned(),
        _ if name.is_empty() => kind,
        namespace if namespace.is_empty() => format!("{kind} {name}"),
        namespace => format!("{kind} {namespace}/{name}"),
    };
    Document { place: Place { file: file.to_owned(), document: index + 1, item, object: object_name }, object }
}

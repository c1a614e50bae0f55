//! `slipway crds`: the API's definitions.

use std::{fs, path::PathBuf};

use slipway_actors::api::crd;

use crate::{failure::Failure, output};

/// Print the CustomResourceDefinitions of all six kinds as YAML.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  slipway crds | kubectl apply -f -")]
pub(crate) struct Args {
    /// Write one file per kind into this directory instead
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Prints or writes them.
pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let definitions = crd::yaml().map_err(|error| Failure::Broke(format!("crds: {error}")))?;
    let Some(dir) = &args.dir else {
        let documents: Vec<String> = definitions.into_iter().map(|(_, yaml)| yaml).collect();
        return output::write(&documents.join("---\n"));
    };
    fs::create_dir_all(dir)
        .map_err(|error| Failure::BadInput(format!("--dir {}: {error}; name a directory", dir.display())))?;
    for (name, yaml) in definitions {
        let path = dir.join(name);
        fs::write(&path, yaml).map_err(|error| {
            Failure::BadInput(format!("--dir {}: cannot write: {error}; name one you may write to", path.display()))
        })?;
        output::line(&path.display().to_string())?;
    }
    Ok(())
}

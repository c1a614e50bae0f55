//! Writes the page about what the fake API server answers otherwise than a real one.

use std::fs;

use anyhow::{Context, Result};
use slipway_tests::conformance::{page, page_path};

fn main() -> Result<()> {
    let path = page_path();
    fs::write(&path, page()?).with_context(|| format!("cannot write `{}`", path.display()))
}

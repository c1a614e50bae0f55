//! Standard output, without a panic when its reader is gone.

use std::io::{self, Write};

use crate::failure::Failure;

/// Prints a line.
pub(crate) fn line(text: &str) -> Result<(), Failure> {
    write(&format!("{text}\n"))
}

/// Prints a text as it is.
pub(crate) fn write(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where the programs under test and those of the tests are.

use std::io;
use std::path::{Path, PathBuf};

/// Directory of the built `stockade` and `stockade-helper`: `STOCKADE_BUILD_DIR`, or the
/// workspace's `target/release`.
#[must_use]
pub fn product_directory() -> PathBuf {
    match std::env::var_os("STOCKADE_BUILD_DIR") {
        Some(directory) => PathBuf::from(directory),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/release"),
    }
}

/// Directory of `suite`, `probe`, `intruder` and `attacker`: that of the running suite.
///
/// # Errors
/// If the path of the running program cannot be found out.
pub fn tool_directory() -> io::Result<PathBuf> {
    let own = std::env::current_exe()?;
    own.parent().map(Path::to_owned).ok_or_else(|| io::Error::other("the suite has no directory"))
}

/// `name` in `directory`, if it is there.
///
/// # Errors
/// A message that says what to build.
pub fn find(directory: &Path, name: &str) -> io::Result<PathBuf> {
    let path = directory.join(name);
    if path.is_file() {
        return Ok(path);
    }
    Err(io::Error::other(format!(
        "{} is missing: build it (tests/run does), or set STOCKADE_BUILD_DIR",
        path.display()
    )))
}

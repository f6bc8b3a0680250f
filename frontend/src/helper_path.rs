// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where the helper is.

use std::path::{Path, PathBuf};

/// Where packages install the helper; `STOCKADE_HELPER_PATH` at build time changes it.
pub const INSTALLED: &str = match option_env!("STOCKADE_HELPER_PATH") {
    Some(path) => path,
    None => "/usr/libexec/stockade/stockade-helper",
};

/// The variable that names another helper, for tests and for trying one out. It is ignored where
/// the frontend itself runs with privilege that its caller lacks (`AT_SECURE`).
pub const VARIABLE: &str = "STOCKADE_HELPER";

/// There is no helper.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot find the helper at {}\nit is not installed there, or may not be read\ninstall the package stockade-helper, or name a helper in STOCKADE_HELPER",
    crate::message::shown(path)
)]
pub struct HelperError {
    path: PathBuf,
}

/// The helper to start.
///
/// # Errors
/// If there is no file at that place.
pub fn find() -> Result<PathBuf, HelperError> {
    let named = std::env::var_os(VARIABLE).filter(|name| !name.is_empty());
    let path = match named {
        Some(name) if !has_privilege() => PathBuf::from(name),
        _ => Path::new(INSTALLED).to_owned(),
    };
    match rustix::fs::access(&path, rustix::fs::Access::EXISTS) {
        Ok(()) => Ok(path),
        Err(_) => Err(HelperError { path }),
    }
}

/// Whether this process has more rights than its caller: ids that differ, or capabilities of a file
/// (what the kernel sums up as `AT_SECURE`, `getauxval(3)`).
fn has_privilege() -> bool {
    use rustix::process::{getegid, geteuid, getgid, getuid};
    let held = rustix::thread::capabilities(None).map(|sets| sets.permitted);
    let capable = held.map_or(true, |held| !held.is_empty());
    getuid() != geteuid() || getgid() != getegid() || (capable && !getuid().is_root())
}

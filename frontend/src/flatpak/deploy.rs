// SPDX-License-Identifier: MIT OR Apache-2.0
//! One version of an application or runtime as it lies in an installation (R4-R7).

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use super::installation::Installation;
use super::reference::Reference;
use crate::keyfile::KeyFile;

/// A deployed version, opened once: what is read and mounted comes from this directory, whatever its
/// path leads to later.
#[derive(Debug)]
pub struct Deploy {
    /// What it is a version of.
    pub reference: Reference,
    /// Which version: 64 hexadecimal digits.
    pub commit: String,
    /// Where it is installed.
    pub installation: Installation,
    /// Its directory on the host, for messages and `.flatpak-info`.
    pub path: PathBuf,
    /// The same directory, `O_PATH`.
    pub directory: OwnedFd,
    /// What it says of itself.
    pub metadata: KeyFile,
}

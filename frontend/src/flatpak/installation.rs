// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where applications are installed (R1-R3).

use std::path::PathBuf;

/// Whose installation it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The user's own.
    User,
    /// One of the system, by its id; the default one is called `default`.
    System(String),
}

/// A directory with applications and runtimes. It need not exist: then it is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installation {
    /// Whose it is.
    pub owner: Owner,
    /// Where it is.
    pub path: PathBuf,
    /// What people call it, if it is configured.
    pub display_name: Option<String>,
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which installations the user means: `--user`, `--system`, `--installation=NAME` (R3).

use crate::message::shown;

/// Some installations; where nothing is named, all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// The user's own.
    pub user: bool,
    /// The default one of the system.
    pub system: bool,
    /// Those of the system with these ids; `default` is the default one.
    pub named: Vec<String>,
}

impl Selection {
    /// Whether nothing is named.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        !self.user && !self.system && self.named.is_empty()
    }
}

/// A name that no installation has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "cannot find the installation {}\n\
     it is not described in /etc/flatpak/installations.d\n\
     use --user, --system, or a name from there",
    shown(id)
)]
pub struct SelectionError {
    /// As given.
    pub id: String,
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! The ways a helper is installed.

use std::fmt;

/// How the helper under test is installed, and so where its rights come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// With file capabilities.
    FileCaps,
    /// Setuid root.
    Setuid,
    /// Without any privilege.
    Unprivileged,
}

impl Mode {
    /// All of them, in the order they run.
    pub const ALL: &'static [Self] = &[Self::FileCaps, Self::Setuid, Self::Unprivileged];
    /// Those in which the helper has privilege.
    pub const PRIVILEGED: &'static [Self] = &[Self::FileCaps, Self::Setuid];
    /// The one in which it has none.
    pub const UNPRIVILEGED: &'static [Self] = &[Self::Unprivileged];

    /// The name in test names, options and directories.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::FileCaps => "file-caps",
            Self::Setuid => "setuid",
            Self::Unprivileged => "unprivileged",
        }
    }

    /// The mode of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|mode| mode.name() == name)
    }

    /// Whether the helper has privilege.
    #[must_use]
    pub fn is_privileged(self) -> bool {
        self != Self::Unprivileged
    }

    /// What the helper should find out about itself.
    #[must_use]
    pub fn announced(self) -> stockade_protocol::event::Mode {
        use stockade_protocol::event::Mode as Announced;
        match self {
            Self::FileCaps => Announced::FileCapabilities,
            Self::Setuid => Announced::SetuidRoot,
            Self::Unprivileged => Announced::Unprivileged,
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

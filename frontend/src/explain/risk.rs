// SPDX-License-Identifier: MIT OR Apache-2.0
//! How much a grant takes away from a sandbox.

use serde::Serialize;

/// A level, worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Risk {
    /// Whoever has it can do what the user can do: run programs outside, or change what runs there.
    NoSandbox,
    /// It gives away secrets, or things that cannot be undone.
    High,
    /// It gives away something of the user's, or widens what can be attacked.
    #[serde(rename = "some")]
    Medium,
    /// What nearly every program needs, or what is the sandbox's own.
    #[serde(rename = "little")]
    Low,
}

impl Risk {
    /// Every level, worst first.
    pub const ALL: [Self; 4] = [Self::NoSandbox, Self::High, Self::Medium, Self::Low];

    /// What people read.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::NoSandbox => "no sandbox",
            Self::High => "high risk",
            Self::Medium => "some risk",
            Self::Low => "little risk",
        }
    }

    /// What the level means, as a heading for grants that have it.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::NoSandbox => "each of these alone is as good as no sandbox",
            Self::High => "these give away secrets, or harm that cannot be undone",
            Self::Medium => "these give away something of yours, or widen what can be attacked",
            Self::Low => "nearly every program needs these",
        }
    }

    /// A mark that does without colour.
    #[must_use]
    pub const fn mark(self) -> &'static str {
        match self {
            Self::NoSandbox => "!!!",
            Self::High => "!!",
            Self::Medium => "!",
            Self::Low => "·",
        }
    }

    /// The verdict on a sandbox whose worst grant is this.
    #[must_use]
    pub const fn verdict(self) -> &'static str {
        match self {
            Self::NoSandbox => "no sandbox: it can leave whenever it wants to",
            Self::High => "a sandbox with wide holes: it cannot leave, but it reaches your secrets",
            Self::Medium => "a sandbox: it cannot leave, and it reaches some things of yours",
            Self::Low => "a tight sandbox: it reaches next to nothing of yours",
        }
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! The buses that there are.

/// Which bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The user's session.
    Session,
    /// The system.
    System,
    /// What screen readers use.
    Accessibility,
}

impl Kind {
    /// Every bus.
    pub const ALL: [Self; 3] = [Self::Session, Self::System, Self::Accessibility];

    /// What people read.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Session => "session bus",
            Self::System => "system bus",
            Self::Accessibility => "accessibility bus",
        }
    }

    /// The variable that says where it is (R157).
    #[must_use]
    pub const fn variable(self) -> &'static str {
        match self {
            Self::Session => "DBUS_SESSION_BUS_ADDRESS",
            Self::System => "DBUS_SYSTEM_BUS_ADDRESS",
            Self::Accessibility => "AT_SPI_BUS_ADDRESS",
        }
    }
}

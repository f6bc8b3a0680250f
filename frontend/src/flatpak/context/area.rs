// SPDX-License-Identifier: MIT OR Apache-2.0
//! The four lists of permissions that have names (R37).

use crate::permission::{Device, Feature, Share, Socket, WordError};

/// The descriptor of a Wayland connection that the caller made.
pub const INHERIT_WAYLAND_SOCKET: &str = "inherit-wayland-socket";
/// Shared memory that all instances of an application share.
pub const PER_APP_DEV_SHM: &str = "per-app-dev-shm";

/// Sockets that `exec` does not have.
const MORE_SOCKETS: [&str; 1] = [INHERIT_WAYLAND_SOCKET];
/// Features that `exec` does not have.
const MORE_FEATURES: [&str; 1] = [PER_APP_DEV_SHM];

/// A list of permissions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Area {
    /// Parts of the system.
    Shares,
    /// Services.
    Sockets,
    /// Devices.
    Devices,
    /// System calls and the like.
    Features,
}

impl Area {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Shares, Self::Sockets, Self::Devices, Self::Features];

    /// Its key in `[Context]`.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Shares => "shared",
            Self::Sockets => "sockets",
            Self::Devices => "devices",
            Self::Features => "features",
        }
    }

    /// The option that grants, without the dashes; with `-if` behind it, the one that grants on a
    /// condition.
    #[must_use]
    pub const fn grant_option(self) -> &'static str {
        match self {
            Self::Shares => "share",
            Self::Sockets => "socket",
            Self::Devices => "device",
            Self::Features => "allow",
        }
    }

    /// The option that takes back.
    #[must_use]
    pub const fn deny_option(self) -> &'static str {
        match self {
            Self::Shares => "unshare",
            Self::Sockets => "nosocket",
            Self::Devices => "nodevice",
            Self::Features => "disallow",
        }
    }

    /// The names that mean something.
    #[must_use]
    pub fn words(self) -> Vec<&'static str> {
        match self {
            Self::Shares => Share::ALL.iter().map(|share| share.word()).collect(),
            Self::Sockets => {
                Socket::ALL.iter().map(|socket| socket.word()).chain(MORE_SOCKETS).collect()
            }
            Self::Devices => Device::ALL.iter().map(|device| device.word()).collect(),
            Self::Features => {
                Feature::ALL.iter().map(|feature| feature.word()).chain(MORE_FEATURES).collect()
            }
        }
    }

    /// Checks a name that was typed (R38).
    ///
    /// # Errors
    /// [`WordError::Unknown`], with the names there are.
    pub fn check(self, word: &str) -> Result<&str, WordError> {
        let kind = match self {
            Self::Shares => "part of the system to share",
            Self::Sockets => "socket",
            Self::Devices => "device",
            Self::Features => "feature",
        };
        let words = self.words();
        if words.contains(&word) {
            return Ok(word);
        }
        Err(WordError::Unknown { word: word.into(), kind, valid: words.join(", ") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r37_every_name_is_known() {
        let words = |area: Area| area.words().len();
        assert_eq!(Area::ALL.map(words), [2, 11, 6, 5]);
        for area in Area::ALL {
            assert!(area.words().iter().all(|word| area.check(word) == Ok(*word)));
        }
    }

    #[test]
    fn r38_names_that_are_typed_must_be_known() {
        let error = Area::Sockets.check("x12").unwrap_err().to_string();
        assert!(error.contains("'x12'") && error.contains("inherit-wayland-socket"), "{error}");
        assert!(Area::Shares.check("").is_err());
    }
}

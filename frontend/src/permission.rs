// SPDX-License-Identifier: MIT OR Apache-2.0
//! The permissions of a sandbox, in Flatpak's vocabulary (R37, R38).
//!
//! Words become values of small types here and nowhere else. Changes apply in the order of the
//! options: a later one takes back an earlier one.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};

use crate::filesystem::token::{Access, Place};
use crate::flatpak::context::bus::{BusName, BusPolicies, BusPolicy};
use crate::message::shown;

/// A word that is no value of its kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WordError {
    /// It is not known.
    #[error("cannot use '{}' as a {kind}\nit is not one\nuse one of: {valid}", shown(word))]
    Unknown {
        /// As given.
        word: OsString,
        /// What was expected.
        kind: &'static str,
        /// What would be right, separated by commas.
        valid: String,
    },
}

/// Declares the values of one kind with their words.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $kind:literal,
        { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// Every value.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The word for it.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }

            /// The value that a word stands for.
            ///
            /// # Errors
            /// [`WordError::Unknown`], with the words there are (R38).
            pub fn parse(word: &OsStr) -> Result<Self, WordError> {
                Self::ALL.iter().copied().find(|value| word == value.word()).ok_or_else(|| {
                    let words: Vec<_> = Self::ALL.iter().map(|value| value.word()).collect();
                    WordError::Unknown { word: word.into(), kind: $kind, valid: words.join(", ") }
                })
            }
        }
    };
}

words! {
    /// A part of the host that is shared as it is.
    Share, "part of the system to share", {
        /// The network, abstract sockets included.
        Network = "network",
        /// System V IPC and POSIX message queues.
        Ipc = "ipc",
    }
}

words! {
    /// A service that is reached through a socket.
    Socket, "socket", {
        /// The X server: whoever reaches it sees every window and every key.
        X11 = "x11",
        /// The Wayland compositor.
        Wayland = "wayland",
        /// The sound server, and sound devices.
        Pulseaudio = "pulseaudio",
        /// The X server where there is no Wayland compositor.
        FallbackX11 = "fallback-x11",
        /// The SSH agent.
        SshAuth = "ssh-auth",
        /// Smart cards.
        Pcsc = "pcsc",
        /// Printing.
        Cups = "cups",
        /// The GnuPG agent.
        GpgAgent = "gpg-agent",
        /// The whole session bus.
        SessionBus = "session-bus",
        /// The whole system bus.
        SystemBus = "system-bus",
    }
}

words! {
    /// Devices below `/dev`.
    Device, "device", {
        /// Graphics.
        Dri = "dri",
        /// Virtual machines.
        Kvm = "kvm",
        /// The host's shared memory.
        Shm = "shm",
        /// Keyboards, mice, game controllers, raw.
        Input = "input",
        /// USB devices, raw.
        Usb = "usb",
        /// Everything in `/dev`.
        All = "all",
    }
}

words! {
    /// Something that the system call filter refuses otherwise.
    Feature, "feature", {
        /// Debuggers and profilers.
        Devel = "devel",
        /// Programs for the 32-bit variant of this machine.
        Multiarch = "multiarch",
        /// Bluetooth sockets.
        Bluetooth = "bluetooth",
        /// CAN bus sockets.
        Canbus = "canbus",
    }
}

/// Everything a sandbox may reach beyond the private minimum.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permissions {
    /// Shared parts of the system.
    pub shares: BTreeSet<Share>,
    /// Sockets.
    pub sockets: BTreeSet<Socket>,
    /// Devices.
    pub devices: BTreeSet<Device>,
    /// Features.
    pub features: BTreeSet<Feature>,
    /// Files and directories.
    pub filesystems: BTreeMap<Place, Access>,
    /// Paths below the home that are kept, relative to it; the empty path is the whole home.
    pub persist: BTreeSet<String>,
    /// Variables that are set, or unset where there is no value.
    pub environment: BTreeMap<OsString, Option<OsString>>,
    /// Names on the session bus, with what may be done with them.
    pub session_names: BusPolicies,
    /// Names on the system bus.
    pub system_names: BusPolicies,
}

/// One step from one set of permissions to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// `--share`, `--unshare`.
    Share(Share, bool),
    /// `--socket`, `--nosocket`.
    Socket(Socket, bool),
    /// `--device`, `--nodevice`.
    Device(Device, bool),
    /// `--allow`, `--disallow`.
    Feature(Feature, bool),
    /// `--filesystem`.
    Filesystem(Place, Access),
    /// `--nofilesystem`: takes back the same place only (R48).
    NoFilesystem(Place),
    /// `--nofilesystem=host:reset`: takes back every place.
    ResetFilesystems,
    /// `--persist`.
    Persist(String),
    /// `--env`, `--unset-env`.
    Variable(OsString, Option<OsString>),
    /// `--own-name`, `--talk-name`, `--no-talk-name`.
    SessionName(BusName, BusPolicy),
    /// The same of the system bus.
    SystemName(BusName, BusPolicy),
}

impl Permissions {
    /// Applies one change.
    pub fn apply(&mut self, change: Change) {
        fn put<T: Ord>(set: &mut BTreeSet<T>, value: T, granted: bool) {
            if granted {
                set.insert(value);
            } else {
                set.remove(&value);
            }
        }
        match change {
            Change::Share(share, granted) => put(&mut self.shares, share, granted),
            Change::Socket(socket, granted) => {
                put(&mut self.sockets, socket, granted);
                // R43: without X11 there is none to fall back to.
                if socket == Socket::X11 && !granted {
                    self.sockets.remove(&Socket::FallbackX11);
                }
            }
            Change::Device(device, granted) => put(&mut self.devices, device, granted),
            Change::Feature(feature, granted) => put(&mut self.features, feature, granted),
            Change::Filesystem(place, access) => {
                self.filesystems.insert(place, access);
            }
            Change::NoFilesystem(place) => {
                self.filesystems.remove(&place);
            }
            Change::ResetFilesystems => self.filesystems.clear(),
            Change::Persist(path) => {
                self.persist.insert(path);
            }
            Change::Variable(name, value) => {
                self.environment.insert(name, value);
            }
            Change::SessionName(name, policy) => self.session_names.set(name, policy),
            Change::SystemName(name, policy) => self.system_names.set(name, policy),
        }
    }

    /// Whether the network is shared.
    #[must_use]
    pub fn network(&self) -> bool {
        self.shares.contains(&Share::Network)
    }

    /// Whether the home is granted by name, which leaves nothing to persist (R60).
    #[must_use]
    pub fn home_access(&self) -> bool {
        let home = Place::Home(String::new());
        self.filesystems.contains_key(&Place::Host) || self.filesystems.contains_key(&home)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn r37_words_and_values_belong_together() {
        for socket in Socket::ALL {
            assert_eq!(Socket::parse(OsStr::new(socket.word())), Ok(*socket));
        }
        assert_eq!(Share::ALL.len(), 2);
        assert_eq!(Device::parse(OsStr::new("dri")), Ok(Device::Dri));
        assert_eq!(Feature::parse(OsStr::new("canbus")), Ok(Feature::Canbus));
    }

    #[test]
    fn r38_unknown_words_are_answered_with_the_valid_ones() {
        let error = Device::parse(OsStr::new("gpu")).unwrap_err().to_string();
        assert!(error.contains("dri, kvm, shm, input, usb, all"), "{error}");
        let error = Share::parse(OsStr::new("net\x1b")).unwrap_err().to_string();
        assert!(error.contains("network, ipc") && !error.contains('\x1b'), "{error}");
    }

    #[test]
    fn r47_the_last_policy_for_a_name_counts() {
        let name = BusName::new("a.b").unwrap();
        let mut permissions = Permissions::default();
        for policy in [BusPolicy::Own, BusPolicy::Talk] {
            permissions.apply(Change::SessionName(name.clone(), policy));
        }
        assert_eq!(
            permissions.session_names.granted().collect::<Vec<_>>(),
            [(&name, BusPolicy::Talk)]
        );
        permissions.apply(Change::SessionName(name, BusPolicy::None));
        assert_eq!(permissions.session_names.granted().count(), 0);
        assert_eq!(permissions.system_names, BusPolicies::default());
    }

    #[test]
    fn r43_taking_x11_back_takes_the_fallback_back() {
        let mut permissions = Permissions::default();
        permissions.apply(Change::Socket(Socket::FallbackX11, true));
        permissions.apply(Change::Socket(Socket::Wayland, true));
        permissions.apply(Change::Socket(Socket::X11, false));
        assert_eq!(permissions.sockets, [Socket::Wayland].into());
    }

    #[test]
    fn r48_only_the_same_place_is_taken_back() {
        let narrow = Place::Config("app".into());
        let home = Place::Home(String::new());
        let mut permissions = Permissions::default();
        permissions.apply(Change::Filesystem(home.clone(), Access::ReadWrite));
        permissions.apply(Change::Filesystem(narrow.clone(), Access::ReadOnly));
        permissions.apply(Change::NoFilesystem(home));
        assert!(!permissions.home_access());
        assert_eq!(permissions.filesystems, [(narrow, Access::ReadOnly)].into());
        permissions.apply(Change::ResetFilesystems);
        assert!(permissions.filesystems.is_empty());
    }

    proptest! {
        /// T71: of all changes to one value the last one counts.
        #[test]
        fn t71_the_last_word_counts(changes in prop::collection::vec((0_usize..6, any::<bool>()), 0..40)) {
            let mut permissions = Permissions::default();
            let mut reference = [false; 6];
            for (index, granted) in changes {
                permissions.apply(Change::Device(Device::ALL[index], granted));
                reference[index] = granted;
            }
            for (device, granted) in Device::ALL.iter().zip(reference) {
                prop_assert_eq!(permissions.devices.contains(device), granted);
            }
        }
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! What an application may do: the permissions of its metadata, of overrides and of the command line,
//! as layers that are put above each other (R27-R32, R37-R53).
//!
//! A layer may grant, take back, or say nothing, and is kept as it is written. Only
//! [`Context::resolve`] makes of all layers together what a sandbox gets. Everything in a context is
//! text that can be written to a key file and read again as it is.

pub mod area;
pub mod bus;
pub mod condition;
pub mod filesystems;
pub mod generic;
pub mod grants;
mod options;
mod read;
mod resolve;
mod subset;
#[cfg(test)]
mod tests;
pub mod usb;
mod write;

use std::collections::{BTreeMap, BTreeSet};

use crate::keyfile;
use crate::message::is_hidden;

pub use read::ContextError;
pub use resolve::Resolved;
pub use write::shown_lines;

use area::Area;
use bus::{BusName, BusPolicies};
use filesystems::Filesystems;
use generic::GenericPolicies;
use grants::{Grants, Permission};
use usb::Usb;

/// The socket for X11.
const X11: &str = "x11";
/// The socket that stands for X11 where there is no Wayland (R44).
pub const FALLBACK_X11: &str = "fallback-x11";

/// The feature that a sandbox within the sandbox keeps (R50).
const MULTIARCH: &str = "multiarch";

/// How a context is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As a layer, to be put above others.
    Stored,
    /// As what came of all layers: what is taken back vanishes (R52).
    Flattened,
}

/// A layer of permissions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// Shared parts of the system.
    pub shares: Grants,
    /// Sockets.
    pub sockets: Grants,
    /// Devices.
    pub devices: Grants,
    /// Features.
    pub features: Grants,
    /// Places.
    pub filesystems: Filesystems,
    /// Paths below the home that are kept, as in [`crate::permission::Permissions::persist`].
    pub persist: BTreeSet<String>,
    /// Variables that are set, or unset where there is no value. See [`can_be_variable`].
    pub environment: BTreeMap<String, Option<String>>,
    /// Names on the session bus.
    pub session_bus: BusPolicies,
    /// Names on the system bus.
    pub system_bus: BusPolicies,
    /// Names to own on the accessibility bus. Only the command line has any (R29).
    pub accessibility_bus: BTreeSet<BusName>,
    /// Policies of other programs.
    pub policies: GenericPolicies,
    /// USB devices.
    pub usb: Usb,
}

/// Whether a text can be the name of a variable in a context: one that could not be written as a key
/// would be read as something else (R30). Applications choose such names for their sub-sandboxes.
#[must_use]
pub fn can_be_variable(name: &str) -> bool {
    keyfile::can_be_key(name) && !name.contains(is_hidden)
}

impl Context {
    /// A list of permissions.
    #[must_use]
    pub fn grants(&self, area: Area) -> &Grants {
        match area {
            Area::Shares => &self.shares,
            Area::Sockets => &self.sockets,
            Area::Devices => &self.devices,
            Area::Features => &self.features,
        }
    }

    /// A list of permissions, to change it.
    pub fn grants_mut(&mut self, area: Area) -> &mut Grants {
        match area {
            Area::Shares => &mut self.shares,
            Area::Sockets => &mut self.sockets,
            Area::Devices => &mut self.devices,
            Area::Features => &mut self.features,
        }
    }

    /// Takes a permission back, as the options do.
    pub fn deny(&mut self, area: Area, name: &str) {
        self.grants_mut(area).deny(name);
        // Whoever takes X11 back does not want it by another name either.
        let falls_back = self.sockets.get(FALLBACK_X11).is_some_and(Permission::is_allowed);
        if area == Area::Sockets && name == X11 && falls_back {
            self.sockets.forget(FALLBACK_X11);
        }
    }

    /// Puts a layer above this one (R43, R47, R48).
    pub fn merge(&mut self, upper: &Self) {
        if upper.sockets.resets(X11) {
            self.sockets.forget(FALLBACK_X11);
        }
        for area in Area::ALL {
            self.grants_mut(area).merge(upper.grants(area));
        }
        self.filesystems.merge(&upper.filesystems);
        self.persist.extend(upper.persist.iter().cloned());
        let variables = upper.environment.iter().map(|(name, value)| (name.clone(), value.clone()));
        self.environment.extend(variables);
        self.session_bus.merge(&upper.session_bus);
        self.system_bus.merge(&upper.system_bus);
        self.accessibility_bus.extend(upper.accessibility_bus.iter().cloned());
        self.policies.merge(&upper.policies);
        self.usb.merge(&upper.usb);
    }

    /// What is left of this in `--sandbox` (R50): the environment, what the application needs to run
    /// at all, and which USB devices are hidden from it.
    #[must_use]
    pub fn sandboxed(mut self) -> Self {
        self.features.keep_only(MULTIARCH);
        Self {
            features: self.features,
            environment: self.environment,
            usb: Usb { hidden: self.usb.hidden, ..Usb::default() },
            ..Self::default()
        }
    }

    /// What counts of this as a runtime's: its environment (R45).
    #[must_use]
    pub fn without_permissions(self) -> Self {
        Self { environment: self.environment, ..Self::default() }
    }
}

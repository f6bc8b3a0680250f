// SPDX-License-Identifier: MIT OR Apache-2.0
//! From all layers together to what a sandbox gets.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};

use super::area::{INHERIT_WAYLAND_SOCKET, PER_APP_DEV_SHM};
use super::bus::{BusName, BusPolicies};
use super::condition::{Condition, Conditions};
use super::grants::{Grants, Permission};
use super::usb::Usb;
use super::{Context, FALLBACK_X11, X11};
use crate::permission::{Device, Feature, Permissions, Share, Socket, WordError};

/// What a sandbox gets, with nothing left to decide.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolved {
    /// What `exec` knows too. X11 is among the sockets only if it is really given, the fallback
    /// never is.
    pub permissions: Permissions,
    /// The caller's Wayland connection.
    pub inherit_wayland_socket: bool,
    /// Shared memory for all instances of the application.
    pub per_app_dev_shm: bool,
    /// Names to own on the accessibility bus.
    pub accessibility_names: BTreeSet<BusName>,
    /// USB devices, which the portal goes by.
    pub usb: Usb,
}

impl Context {
    /// What a sandbox gets in such a session (R40, R44). Names that are not known get it nothing.
    #[must_use]
    pub fn resolve(&self, conditions: &Conditions) -> Resolved {
        let socket = |name: &str| self.sockets.is_granted(name, conditions);
        let mut sockets = known(&self.sockets, conditions, Socket::parse);
        sockets.remove(&Socket::FallbackX11);
        if self.effective_x11().is_granted(conditions) {
            sockets.insert(Socket::X11);
        } else {
            sockets.remove(&Socket::X11);
        }
        let places = self.filesystems.granted();
        let value = |text: &String| OsString::from(text);
        let variables = self.environment.iter();
        let permissions = Permissions {
            shares: known(&self.shares, conditions, Share::parse),
            sockets,
            devices: known(&self.devices, conditions, Device::parse),
            features: known(&self.features, conditions, Feature::parse),
            filesystems: places.map(|(place, access)| (place.clone(), access)).collect(),
            persist: self.persist.clone(),
            environment: variables.map(|(k, v)| (value(k), v.as_ref().map(value))).collect(),
            session_names: granted(&self.session_bus),
            system_names: granted(&self.system_bus),
        };
        Resolved {
            permissions,
            inherit_wayland_socket: socket(INHERIT_WAYLAND_SOCKET),
            per_app_dev_shm: self.features.is_granted(PER_APP_DEV_SHM, conditions),
            accessibility_names: self.accessibility_bus.clone(),
            usb: self.usb.clone(),
        }
    }

    /// X11 with what `fallback-x11` makes of it: one more condition, in place of a grant without any
    /// (R44).
    pub(super) fn effective_x11(&self) -> Permission {
        let mut x11 = self.sockets.get(X11).cloned().unwrap_or_default();
        if self.sockets.get(FALLBACK_X11).is_some_and(Permission::is_allowed) {
            x11.allow_if(Condition::without_wayland());
        }
        x11
    }
}

/// What is granted of a list, as far as it is known.
fn known<T: Ord>(
    grants: &Grants,
    conditions: &Conditions,
    parse: impl Fn(&OsStr) -> Result<T, WordError>,
) -> BTreeSet<T> {
    let granted = grants.iter().filter(|(_, permission)| permission.is_granted(conditions));
    granted.filter_map(|(name, _)| parse(OsStr::new(name)).ok()).collect()
}

fn granted(policies: &BusPolicies) -> BusPolicies {
    let mut kept = BusPolicies::default();
    for (name, policy) in policies.granted() {
        kept.set(name.clone(), policy);
    }
    kept
}

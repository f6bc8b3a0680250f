// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether one context asks for more than another (T71): an update that does is not installed without
//! asking (R251).

use super::area::Area;
use super::condition::Conditions;
use super::filesystems::Filesystems;
use super::grants::Permission;
use super::{Context, FALLBACK_X11, X11};
use crate::filesystem::token::{Access, Place};

impl Context {
    /// Whether this grants nothing that the other one does not grant, whatever the session. Where
    /// that cannot be told for certain, the answer is no.
    ///
    /// The environment and what is kept below the home do not count: both are the application's own.
    #[must_use]
    pub fn is_subset_of(&self, other: &Self) -> bool {
        Area::ALL.into_iter().all(|area| self.is_area_subset_of(other, area))
            && covers(&other.filesystems, &self.filesystems)
            && self.session_bus.is_subset_of(&other.session_bus)
            && self.system_bus.is_subset_of(&other.system_bus)
            && self.accessibility_bus.is_subset(&other.accessibility_bus)
            && self.policies.is_subset_of(&other.policies)
            && self.usb.is_subset_of(&other.usb)
    }

    fn is_area_subset_of(&self, other: &Self, area: Area) -> bool {
        let nothing = Permission::default();
        let sockets = area == Area::Sockets;
        let names = self.grants(area).iter();
        // What the fallback grants is X11.
        let plain = |name: &str| !(sockets && [X11, FALLBACK_X11].contains(&name));
        names.filter(|(name, _)| plain(name)).all(|(name, permission)| {
            is_weaker(permission, other.grants(area).get(name).unwrap_or(&nothing))
        }) && (!sockets || is_weaker(&self.effective_x11(), &other.effective_x11()))
    }
}

/// Whether a permission is granted only where the other one is. A condition that is not known may be
/// met by the next version of this program, so it has to be among those of the other one.
fn is_weaker(permission: &Permission, other: &Permission) -> bool {
    let in_every_session = Conditions::ALL
        .iter()
        .all(|session| !permission.is_granted(session) || other.is_granted(session));
    let mut unknown = permission.conditions().filter(|condition| !condition.is_known());
    let known_there = unknown.all(|condition| other.conditions().any(|there| there == condition));
    in_every_session && (known_there || other.is_allowed())
}

/// Whether every place is granted there at least as here.
fn covers(most: &Filesystems, places: &Filesystems) -> bool {
    places.granted().all(|(place, access)| {
        let mut there = most.granted();
        there.any(|(known, most)| place_covers(known, place) && weight(most) >= weight(access))
    })
}

/// A place covers itself only, not what lies below it: naming a place makes visible what is hidden in
/// a broader one (R65), and follows a symlink that the application may have put there (R67).
fn place_covers(place: &Place, other: &Place) -> bool {
    let part_of_host = match other {
        Place::HostOs | Place::HostEtc => true,
        Place::Home(below) => below.is_empty(),
        Place::Host
        | Place::HostRoot
        | Place::Path(_)
        | Place::UserDirectory(..)
        | Place::Data(_)
        | Place::Config(_)
        | Place::Cache(_)
        | Place::Runtime(_) => false,
    };
    place == other || *place == Place::Host && part_of_host
}

/// R56.
fn weight(access: Access) -> u8 {
    match access {
        Access::ReadOnly => 0,
        Access::ReadWrite | Access::Create => 1,
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sub-sandboxes: applications that start parts of themselves in sandboxes of their own, as browsers do,
//! through the service `org.freedesktop.portal.Flatpak` (R244-R252).
//!
//! The service is hostile ground: its callers are applications, and what it starts runs outside of
//! their sandboxes first. It takes nothing from a caller but words for the command, variables for its
//! environment and descriptors, and a child never gets more than its caller has.

pub mod bits;
pub mod exposed;
#[cfg(feature = "session")]
pub mod monitor;
#[cfg(feature = "session")]
pub mod options;
#[cfg(feature = "session")]
pub mod order;
pub mod parent;
pub mod request;
#[cfg(feature = "session")]
pub mod serve;
#[cfg(feature = "session")]
pub mod service;
pub mod words;

/// The name on the session bus, which is that of the interface too.
pub const NAME: &str = "org.freedesktop.portal.Flatpak";

/// The object.
pub const OBJECT: &str = "/org/freedesktop/portal/Flatpak";

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which namespaces a sandbox shares with the host (R162).

use stockade_protocol::request::Demand;

use super::context::Resolved;
use crate::permission::Share;
use crate::sandbox::Sandbox;

/// Shares what every application shares, and what this one may.
pub fn share(resolved: &Resolved, sandbox: &mut Sandbox) {
    let namespaces = &mut sandbox.request.namespaces;
    namespaces.uts = Demand::Share;
    namespaces.cgroup = Demand::Share;
    for share in &resolved.permissions.shares {
        match share {
            Share::Network => namespaces.net = Demand::Share,
            Share::Ipc => namespaces.ipc = Demand::Share,
        }
    }
}

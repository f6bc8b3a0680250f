// SPDX-License-Identifier: MIT OR Apache-2.0
//! How names are resolved, and what the machine is called (R109, R110, R115).

use std::path::Path;

use rustix::fs::FileType;
use stockade_protocol::request::Demand;

use super::{Host, show};
use crate::sandbox::{Sandbox, SandboxError};

/// Files of the host's `/etc`.
const FILES: [&str; 4] = ["resolv.conf", "host.conf", "hosts", "gai.conf"];

/// Where the session helper's copies appear.
const MONITOR: &str = "/run/host/monitor";

/// Adds the files: the session helper's copies, which follow the host's, or else the host's own as
/// they are now.
pub(super) fn prepare(host: &Host<'_>, sandbox: &mut Sandbox) -> Result<(), SandboxError> {
    // R115: the names of the host and its domain are the host's.
    sandbox.request.namespaces.uts = Demand::Share;
    if let Some(session) = host.session {
        session.monitor.bind(Path::new(MONITOR), sandbox)?;
    }
    for name in FILES {
        let destination = Path::new("/etc").join(name);
        if host.session.is_some() {
            sandbox.symlink(&Path::new(MONITOR).join(name), &destination)?;
        } else {
            let source = host.root.join("etc").join(name);
            show(&source, FileType::RegularFile, &format!("/etc/{name}"), sandbox)?;
        }
    }
    Ok(())
}

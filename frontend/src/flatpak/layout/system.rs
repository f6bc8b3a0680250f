// SPDX-License-Identifier: MIT OR Apache-2.0
//! The kernel's file systems, empty directories, and what the sandbox says about itself and the
//! host (R82-R84, R98, R102).

use std::path::Path;

use rustix::fs::FileType;
use stockade_protocol::request::Operation;

use super::{Host, add_file, show};
use crate::runtime;
use crate::sandbox::{Sandbox, SandboxError, place};

/// Through which processes inside are joined later (R250, R259).
const USER_NAMESPACE: &str = "/run/.userns";

/// By this, programs know that the rules of Flatpak hold here.
const CONTAINER_MANAGER: &str = "flatpak\n";

/// Adds what comes before everything else.
pub(super) fn prepare(host: &Host<'_>, sandbox: &mut Sandbox) -> Result<(), SandboxError> {
    sandbox.push(Operation::Proc { destination: place(Path::new("/proc"))?, protect: true });
    for path in ["/tmp", "/var/tmp", "/run/host"] {
        sandbox.directory(Path::new(path), 0o755)?;
    }
    sandbox.directory(&host.caller.sandbox_runtime_directory(), 0o700)?;
    sandbox.symlink(Path::new("../run"), Path::new("/var/run"))?;
    sandbox.symlink(Path::new("/etc/timezone"), Path::new("/var/db/zoneinfo"))?;
    // Where the helper has privilege the sandbox is in the caller's own user namespace, there is
    // nothing to join, and the file is not made.
    let destination = place(Path::new(USER_NAMESPACE))?;
    sandbox.push(Operation::UserNamespace { destination });
    runtime::show_sys(sandbox)
}

/// Adds the descriptions.
pub(super) fn describe(host: &Host<'_>, sandbox: &mut Sandbox) -> Result<(), SandboxError> {
    for path in ["etc/os-release", "usr/lib/os-release"] {
        let source = host.root.join(path);
        if show(&source, FileType::RegularFile, "/run/host/os-release", sandbox)? {
            break;
        }
    }
    add_file("/run/host/container-manager", CONTAINER_MANAGER, sandbox)
}

/// Adds links to the sources that debuggers look for (R102). In a build these are places of its own.
pub(super) fn link_sources(sandbox: &mut Sandbox) -> Result<(), SandboxError> {
    for (target, path) in
        [("/app/lib/debug/source", "/run/build"), ("/usr/lib/debug/source", "/run/build-runtime")]
    {
        sandbox.symlink(Path::new(target), Path::new(path))?;
    }
    Ok(())
}

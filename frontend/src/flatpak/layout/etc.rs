// SPDX-License-Identifier: MIT OR Apache-2.0
//! `/etc`: the runtime's, entry by entry, with the user's own account and the machine's identity
//! (R106-R108).

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::FileType;
use rustix::io::Errno;
use stockade_protocol::request::Access;

use super::{Host, add_file, show};
use crate::flatpak::tree::{Entry, Tree};
use crate::sandbox::{Sandbox, SandboxError};

/// What is not taken from the runtime, because it speaks of the user or of the host.
const NOT_RUNTIME: [&str; 10] = [
    "passwd",
    "group",
    "machine-id",
    "resolv.conf",
    "host.conf",
    "hosts",
    "gai.conf",
    "localtime",
    "timezone",
    "pkcs11",
];

/// Adds `/etc`, without the entries of the runtime that are in `without`.
pub(super) fn prepare(
    usr: &Tree,
    host: &Host<'_>,
    without: &[&str],
    sandbox: &mut Sandbox,
) -> Result<(), SandboxError> {
    sandbox.directory(Path::new("/etc"), 0o755)?;
    match usr.directory("etc") {
        Ok(etc) => add_runtime(&etc, without, sandbox)?,
        // No runtime has to have one.
        Err(Errno::NOENT) => {}
        Err(errno) => return Err(SandboxError::Open { path: usr.path().join("etc"), errno }),
    }
    add_file("/etc/passwd", host.account.passwd(), sandbox)?;
    add_file("/etc/group", host.account.group(), sandbox)?;
    for path in ["etc/machine-id", "var/lib/dbus/machine-id"] {
        if show(&host.root.join(path), FileType::RegularFile, "/etc/machine-id", sandbox)? {
            break;
        }
    }
    Ok(())
}

/// R106.
fn add_runtime(etc: &Tree, without: &[&str], sandbox: &mut Sandbox) -> Result<(), SandboxError> {
    for name in etc.names()? {
        let text = OsStr::from_bytes(name.as_bytes());
        if NOT_RUNTIME.iter().chain(without).any(|other| text == *other) {
            continue;
        }
        let destination = Path::new("/etc").join(text);
        match etc.entry(&name)? {
            Some(Entry::Symlink(target)) => sandbox.symlink(&target, &destination)?,
            Some(Entry::Object(object)) => {
                let source = etc.path().join(text);
                sandbox.bind_object(object, source, &destination, Access::ReadOnly)?;
            }
            None => {}
        }
    }
    Ok(())
}

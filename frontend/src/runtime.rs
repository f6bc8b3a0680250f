// SPDX-License-Identifier: MIT OR Apache-2.0
//! The host as the runtime of a sandbox: its programs and settings read-only, everything else new.
//!
//! The sandbox's root is a private tmpfs, so `/tmp`, `/run` and `/var` are plain directories on it:
//! empty, writable, gone with the sandbox, and cheaper than mounts of their own.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, CWD};
use stockade_protocol::request::{Access, Operation};

use crate::caller::Caller;
use crate::filesystem::export::Exports;
use crate::filesystem::locate::locate;
use crate::sandbox::{Sandbox, SandboxError, open_path, place};

/// Directories of the host that hold its programs and settings, where they exist. The stores of
/// Nix and Guix are what `/usr` is elsewhere; the sockets beside them stay out (T54).
const SYSTEM: [&str; 5] = ["/usr", "/etc", "/opt", "/nix/store", "/gnu/store"];

/// The same, but often symlinks into `/usr`.
const LINKED: [&str; 6] = ["/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"];

/// Symlinks to a whole system in a store.
const PROFILE: &str = "/run/current-system";

/// All that is shown of `/sys` (R84).
const SYS: [&str; 5] = ["/sys/block", "/sys/bus", "/sys/class", "/sys/dev", "/sys/devices"];

/// Everyone may write, only the owner may delete.
const SHARED: u32 = 0o1777;

/// Builds the runtime and gives the collection that exports are added to.
///
/// # Errors
/// [`SandboxError`].
pub fn prepare(
    caller: &Caller,
    network: bool,
    sandbox: &mut Sandbox,
) -> Result<Exports, SandboxError> {
    let shown = show_system(sandbox)?;

    sandbox.push(Operation::Proc { destination: place(Path::new("/proc"))?, protect: true });
    show_sys(sandbox)?;

    for path in ["/tmp", "/var/tmp"] {
        sandbox.directory(Path::new(path), SHARED)?;
    }
    sandbox.directory(Path::new("/var/cache"), 0o755)?;
    sandbox.directory(&caller.sandbox_runtime_directory(), 0o700)?;

    let mut exports = Exports::over(shown);
    exports.symlink("/var/run".into(), "../run".into());
    if let Ok(target) = std::fs::read_link(PROFILE) {
        exports.symlink(PROFILE.into(), target);
    }
    if network {
        show_resolver(&mut exports)?;
    }
    Ok(exports)
}

/// Shows the programs and settings of the host, and gives the directories that they are in.
///
/// # Errors
/// [`SandboxError`].
pub fn show_system(sandbox: &mut Sandbox) -> Result<Vec<&'static Path>, SandboxError> {
    let mut shown = Vec::new();
    for path in SYSTEM {
        if let Some(object) = open_existing(Path::new(path))? {
            sandbox.bind_descriptor(object, Path::new(path), Path::new(path), Access::ReadOnly)?;
            shown.push(Path::new(path));
        }
    }
    for path in LINKED {
        if let Ok(target) = std::fs::read_link(path) {
            sandbox.symlink(&target, Path::new(path))?;
        } else if let Some(object) = open_existing(Path::new(path))? {
            sandbox.bind_descriptor(object, Path::new(path), Path::new(path), Access::ReadOnly)?;
            shown.push(Path::new(path));
        }
    }
    Ok(shown)
}

/// Shows what everyone may know of the machine, where the caller may (R84).
///
/// # Errors
/// [`SandboxError`].
pub fn show_sys(sandbox: &mut Sandbox) -> Result<(), SandboxError> {
    for path in SYS {
        let path = Path::new(path);
        let wanted = rustix::fs::Access::READ_OK.union(rustix::fs::Access::EXEC_OK);
        if rustix::fs::accessat(CWD, path, wanted, AtFlags::empty()).is_ok() {
            sandbox.bind(path, path, Access::ReadOnly)?;
        }
    }
    Ok(())
}

/// `/etc/resolv.conf` is usually a symlink to what the network manager keeps below `/run`; without
/// that file no name is resolved.
fn show_resolver(exports: &mut Exports) -> Result<(), SandboxError> {
    use crate::filesystem::token::Access;
    let Ok(located) = locate(Path::new("/etc/resolv.conf")) else {
        return Ok(());
    };
    if let Some(object) = located.object.filter(|_| !located.links.is_empty()) {
        let seen = SYSTEM.iter().chain(&LINKED).any(|system| located.path.starts_with(system));
        if !seen {
            exports.show(object, &located.path, located.path.clone(), Access::ReadOnly)?;
        }
        for link in located.links {
            exports.symlink(link.path, link.target);
        }
    }
    Ok(())
}

/// Opens an object for binding; one that is not there is none.
fn open_existing(path: &Path) -> Result<Option<OwnedFd>, SandboxError> {
    match open_path(path) {
        Ok(object) => Ok(Some(object)),
        Err(SandboxError::Open { errno: rustix::io::Errno::NOENT, .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::tests::caller;

    #[test]
    fn the_system_is_read_only_and_the_rest_is_new() {
        let mut sandbox = Sandbox::new();
        prepare(&caller(Path::new("/home/a"), &[]), false, &mut sandbox).unwrap();
        let mut system = 0;
        for operation in &sandbox.request.operations {
            if let Operation::Bind(bind) = operation {
                assert_eq!(bind.access, Access::ReadOnly);
                let path = bind.destination.path.as_c_str().to_str().unwrap();
                assert!(!path.starts_with("/home") && !path.starts_with("/var"), "{path}");
                system += usize::from(path == "/usr" || path == "/etc");
            }
        }
        assert_eq!(system, 2);
    }
}

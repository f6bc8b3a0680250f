// SPDX-License-Identifier: MIT OR Apache-2.0
//! `/dev` of a sandbox (R180-R185).
//!
//! A device node is bound as it is; nobody gets a right on it that the user lacks.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use stockade_protocol::request::{Access, Operation};

use crate::permission::Device;
use crate::sandbox::{Sandbox, SandboxError, open_path, place};

/// Graphics (R181); NVIDIA's numbered nodes come on top.
const GRAPHICS: [&str; 10] = [
    "/dev/dri",
    "/dev/udmabuf",
    "/dev/mali",
    "/dev/mali0",
    "/dev/umplock",
    "/dev/nvidiactl",
    "/dev/nvidia-modeset",
    "/dev/nvidia-uvm",
    "/dev/nvidia-uvm-tools",
    "/dev/kfd",
];

/// `/dev/nvidia0` to `/dev/nvidia19`.
const NVIDIA: u32 = 20;

/// Where the host keeps shared memory.
const SHARED_MEMORY: &str = "/dev/shm";

/// Builds `/dev` with the terminal `console`, if there is one.
///
/// # Errors
/// [`SandboxError`].
pub fn prepare(
    devices: &BTreeSet<Device>,
    console: Option<OwnedFd>,
    sandbox: &mut Sandbox,
) -> Result<(), SandboxError> {
    let shared_memory = devices.contains(&Device::Shm);
    if devices.contains(&Device::All) {
        return everything(shared_memory, sandbox);
    }

    let console = console.map(|terminal| sandbox.add_descriptor(terminal)).transpose()?;
    sandbox.push(Operation::Devices { destination: place(Path::new("/dev"))?, console });
    bind("/dev/ntsync", sandbox)?;
    for device in devices {
        match device {
            Device::Dri => graphics(sandbox)?,
            Device::Kvm => bind("/dev/kvm", sandbox)?,
            Device::Input => bind("/dev/input", sandbox)?,
            Device::Usb => bind("/dev/bus/usb", sandbox)?,
            // R183: wherever a symlink leads, it appears where programs expect it.
            Device::Shm => bind(SHARED_MEMORY, sandbox)?,
            Device::All => {}
        }
    }
    Ok(())
}

/// R184.
fn everything(shared_memory: bool, sandbox: &mut Sandbox) -> Result<(), SandboxError> {
    sandbox.bind(Path::new("/dev"), Path::new("/dev"), Access::Device)?;
    match place_of(Path::new(SHARED_MEMORY)) {
        // Without a symlink it came with /dev.
        Some(place) if shared_memory && place == Path::new(SHARED_MEMORY) => Ok(()),
        Some(place) if shared_memory => bind(&place, sandbox),
        Some(place) => sandbox.tmpfs(&place, 0o1777),
        None => Ok(()),
    }
}

/// Where the host's shared memory has to be, if it has any: a symlink of the host is in view with the
/// rest of its `/dev`, and must lead to the same place inside.
fn place_of(shared_memory: &Path) -> Option<PathBuf> {
    let place = std::fs::canonicalize(shared_memory).ok()?;
    place.is_dir().then_some(place)
}

fn graphics(sandbox: &mut Sandbox) -> Result<(), SandboxError> {
    for path in GRAPHICS {
        bind(path, sandbox)?;
    }
    // Without the control node there is none of the others.
    if Path::new("/dev/nvidiactl").exists() {
        for number in 0..NVIDIA {
            bind(PathBuf::from(format!("/dev/nvidia{number}")), sandbox)?;
        }
    }
    Ok(())
}

/// Binds a device or a directory of devices, if it exists.
///
/// # Errors
/// [`SandboxError`].
pub fn bind(path: impl AsRef<Path>, sandbox: &mut Sandbox) -> Result<(), SandboxError> {
    let path = path.as_ref();
    match open_path(path) {
        Ok(object) => sandbox.bind_descriptor(object, path, path, Access::Device),
        Err(_) => Ok(()),
    }
}

#[cfg(test)]
#[expect(clippy::wildcard_enum_match_arm, reason = "tests look for one kind of operation")]
mod tests {
    use super::*;
    use crate::filesystem::locate::tests::Scratch;

    fn prepared(devices: &[Device]) -> Vec<Operation> {
        let mut sandbox = Sandbox::new();
        prepare(&devices.iter().copied().collect(), None, &mut sandbox).unwrap();
        sandbox.request.operations
    }

    fn bound(operations: &[Operation], path: &str) -> bool {
        operations.iter().any(|operation| match operation {
            Operation::Bind(bind) => {
                bind.destination.path.as_bytes() == path.as_bytes() && bind.access == Access::Device
            }
            _ => false,
        })
    }

    #[test]
    fn r180_the_default_is_private() {
        let operations = prepared(&[]);
        assert!(matches!(operations.first(), Some(Operation::Devices { console: None, .. })));
        assert!(operations.len() <= 2);
    }

    #[test]
    fn r183_shm_is_the_hosts() {
        assert!(bound(&prepared(&[Device::Shm]), SHARED_MEMORY));
    }

    #[test]
    fn r184_shared_memory_is_provided_where_a_symlink_leads() {
        let scratch = Scratch::new();
        let run = scratch.directory("run/shm");
        let dev = scratch.directory("dev");
        assert_eq!(place_of(&dev.join("shm")), None);
        for target in [Path::new("../run/shm"), run.as_path()] {
            std::os::unix::fs::symlink(target, dev.join("shm")).unwrap();
            assert_eq!(place_of(&dev.join("shm")).as_ref(), Some(&run));
            std::fs::remove_file(dev.join("shm")).unwrap();
        }
        let own = scratch.directory("dev/shm");
        assert_eq!(place_of(&own), Some(own));
    }

    #[test]
    fn r184_all_is_the_hosts_dev_without_its_shared_memory() {
        let operations = prepared(&[Device::All]);
        assert!(bound(&operations, "/dev"));
        assert!(matches!(operations.last(), Some(Operation::Tmpfs { mode: 0o1777, .. })));
        assert!(!matches!(
            prepared(&[Device::All, Device::Shm]).last(),
            Some(Operation::Tmpfs { .. })
        ));
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the instances of one application share outside of its data (R144).

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use stockade_protocol::request::Access;

use super::{InstanceError, Instances, REFERENCE, file, lock};
use crate::flatpak::reference::Id;
use crate::sandbox::{Sandbox, SandboxError, sandbox_path};

/// Where init of each instance finds the lock (R101).
const INSIDE: &str = "/run/flatpak/per-app-dirs-ref";

/// The directory of shared temporary files.
pub(super) const TEMPORARY: &str = "tmp";

/// The shared directory of an application, `$XDG_RUNTIME_DIR/.flatpak/ID`. It is not cleaned up as long
/// as the value lives or init of a sandbox that it was mounted in.
#[derive(Debug)]
pub struct ApplicationDirectory {
    pub(super) id: Id,
    pub(super) path: PathBuf,
    pub(super) directory: OwnedFd,
    pub(super) uid: u32,
    /// Keeps a read lock.
    reference: OwnedFd,
    tmp: OwnedFd,
    runtime: OwnedFd,
}

impl ApplicationDirectory {
    /// Opens that of an application, made if it is missing. Waits while somebody cleans it up.
    ///
    /// # Errors
    /// [`InstanceError`].
    pub fn create(instances: &Instances, id: &Id) -> Result<Self, InstanceError> {
        let path = instances.path.join(id.as_str());
        let failed = |name: &str| {
            let path = if name.is_empty() { path.clone() } else { path.join(name) };
            move |errno| InstanceError::File { verb: "make", path, errno }
        };
        let directory =
            file::make_directory(&instances.directory, id.as_str(), 0o700).map_err(failed(""))?;
        let reference = file::make_lock(&directory, REFERENCE, 0o600).map_err(failed(REFERENCE))?;
        // From here on nobody removes what is below.
        lock::shared(&reference).map_err(failed(REFERENCE))?;
        let make = |name: &str| file::make_directory(&directory, name, 0o700).map_err(failed(name));
        let (tmp, runtime) = (make(TEMPORARY)?, make("xdg-run")?);
        let (id, uid) = (id.clone(), instances.uid);
        Ok(Self { id, path, directory, uid, reference, tmp, runtime })
    }

    /// The temporary directory of all instances, for `/tmp` (R96), with its path on the host.
    ///
    /// # Errors
    /// [`SandboxError`].
    pub fn temporary(&self) -> Result<(OwnedFd, PathBuf), SandboxError> {
        given(&self.tmp, self.path.join(TEMPORARY))
    }

    /// The runtime directory of all instances, for `/run/user/UID` (R93), with its path on the host.
    ///
    /// # Errors
    /// [`SandboxError`].
    pub fn runtime(&self) -> Result<(OwnedFd, PathBuf), SandboxError> {
        given(&self.runtime, self.path.join("xdg-run"))
    }

    /// Has init of the sandbox hold the lock (R101).
    ///
    /// # Errors
    /// [`SandboxError`].
    pub fn mount(&self, sandbox: &mut Sandbox) -> Result<(), SandboxError> {
        let (copy, name) = given(&self.reference, self.path.join(REFERENCE))?;
        let inside = Path::new(INSIDE);
        sandbox.bind_descriptor(copy, &name, inside, Access::ReadOnly)?;
        sandbox.request.supervision.locks.push(sandbox_path(inside)?);
        Ok(())
    }

    pub(super) fn failed(&self, verb: &'static str, name: &str, errno: Errno) -> InstanceError {
        InstanceError::File { verb, path: self.path.join(name), errno }
    }
}

fn given(descriptor: &OwnedFd, path: PathBuf) -> Result<(OwnedFd, PathBuf), SandboxError> {
    match file::path_only(descriptor) {
        Ok(descriptor) => Ok((descriptor, path)),
        Err(errno) => Err(SandboxError::Open { path, errno }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::owner;
    use super::*;
    use crate::filesystem::locate::tests::Scratch;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use stockade_protocol::request::Operation;

    fn id() -> Id {
        Id::new("org.example.App").unwrap()
    }

    #[test]
    fn r144_instances_share_a_directory() {
        let scratch = Scratch::new();
        let instances = Instances::create(&owner(&scratch)).unwrap();
        let (one, other) = (
            ApplicationDirectory::create(&instances, &id()).unwrap(),
            ApplicationDirectory::create(&instances, &id()).unwrap(),
        );
        let place = scratch.join("run/.flatpak/org.example.App");
        assert_eq!(one.temporary().unwrap().1, place.join("tmp"));
        assert_eq!(other.runtime().unwrap().1, place.join("xdg-run"));
        let mode = |name| fs::metadata(place.join(name)).unwrap().permissions().mode() & 0o7777;
        assert_eq!(["", "tmp", "xdg-run", ".ref"].map(mode), [0o700, 0o700, 0o700, 0o600]);
        let reference = file::make_lock(&one.directory, REFERENCE, 0o600).unwrap();
        drop(one);
        assert!(lock::is_held(&reference).unwrap());
        drop(other);
        assert!(!lock::is_held(&reference).unwrap());
    }

    #[test]
    fn r128_what_is_no_directory_is_not_used() {
        for name in ["", "tmp", "xdg-run", ".ref"] {
            let scratch = Scratch::new();
            let instances = Instances::create(&owner(&scratch)).unwrap();
            let place = scratch.join("run/.flatpak/org.example.App");
            if !name.is_empty() {
                fs::create_dir(&place).unwrap();
            }
            symlink(
                scratch.directory("elsewhere"),
                place.join(name).components().collect::<PathBuf>(),
            )
            .unwrap();
            let error = ApplicationDirectory::create(&instances, &id()).unwrap_err();
            assert!(matches!(error, InstanceError::File { .. }), "{name}: {error}");
            assert_eq!(fs::read_dir(scratch.join("elsewhere")).unwrap().count(), 0, "{name}");
        }
    }

    #[test]
    fn r101_init_holds_the_lock() {
        let scratch = Scratch::new();
        let instances = Instances::create(&owner(&scratch)).unwrap();
        let directory = ApplicationDirectory::create(&instances, &id()).unwrap();
        let mut sandbox = Sandbox::new();
        directory.mount(&mut sandbox).unwrap();
        let [Operation::Bind(bind)] = sandbox.request.operations.as_slice() else { panic!() };
        assert_eq!(bind.destination.path.as_bytes(), INSIDE.as_bytes());
        assert_eq!(bind.access, Access::ReadOnly);
        assert_eq!(sandbox.request.supervision.locks[0].as_bytes(), INSIDE.as_bytes());
        // What is sent does not keep the lock.
        drop(directory);
        let reference =
            file::make_lock(&instances.directory, "org.example.App/.ref", 0o600).unwrap();
        assert!(!lock::is_held(&reference).unwrap());
    }
}

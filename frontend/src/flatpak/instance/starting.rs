// SPDX-License-Identifier: MIT OR Apache-2.0
//! An instance that is about to run: what it says about itself, and what its sandbox sees of it
//! (R94, R95, R99, R141-R143).

use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use stockade_protocol::event::NamespaceId;
use stockade_protocol::request::{Access, Content, Operation};

use super::{INFO, InstanceError, InstanceId, PID, REFERENCE, SANDBOX_INFO, file};
use crate::bwrap::status;
use crate::caller::Caller;
use crate::sandbox::{Sandbox, SandboxError, place, sandbox_path};

/// The file of the launcher's environment.
pub(super) const ENVIRONMENT: &str = "run-environ";

/// Where the sandbox sees its instances (R94).
const INSIDE: &str = "/run/flatpak/.flatpak";

/// Where an application sees what it is (R95).
pub const INFO_INSIDE: &str = "/.flatpak-info";

/// An instance that is about to run (R141).
#[derive(Debug)]
pub struct Instance {
    pub(super) id: InstanceId,
    pub(super) path: PathBuf,
    pub(super) directory: OwnedFd,
    pub(super) private: OwnedFd,
    /// Keeps a read lock.
    pub(super) _reference: OwnedFd,
}

impl Instance {
    /// Its number.
    #[must_use]
    pub fn id(&self) -> InstanceId {
        self.id
    }

    /// Its directory on the host.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn put(&self, name: &str, bytes: &[u8]) -> Result<(), InstanceError> {
        file::create(&self.directory, name, 0o644, bytes).map_err(|errno| self.failed(name, errno))
    }

    fn failed(&self, name: &str, errno: Errno) -> InstanceError {
        InstanceError::File { verb: "write", path: self.path.join(name), errno }
    }

    /// Writes what it is, the same bytes as in the sandbox (R242). Once.
    ///
    /// # Errors
    /// [`InstanceError`].
    pub fn write_info(&self, info: &[u8]) -> Result<(), InstanceError> {
        self.put(INFO, info)
    }

    /// Writes the environment of the launcher, which the sandbox never sees (R99). Once.
    ///
    /// # Errors
    /// [`InstanceError`].
    pub fn write_environment(&self, caller: &Caller) -> Result<(), InstanceError> {
        let mut bytes = Vec::new();
        for (name, value) in &caller.environment {
            for part in [name.as_bytes(), b"=", value.as_bytes(), b"\0"] {
                bytes.extend_from_slice(part);
            }
        }
        file::create(&self.private, ENVIRONMENT, 0o400, &bytes).map_err(|errno| {
            let path = self.path.with_file_name(self.id.private()).join(ENVIRONMENT);
            InstanceError::File { verb: "write", path, errno }
        })
    }

    /// Writes the process outside that stands for it: from here on it counts as running (R257). Once.
    ///
    /// # Errors
    /// [`InstanceError`].
    pub fn write_pid(&self, pid: u32) -> Result<(), InstanceError> {
        self.put(PID, pid.to_string().as_bytes())
    }

    /// Writes which process is pid 1 of the sandbox and which namespaces were made (R142), in one piece.
    /// `init` is its number outside. Once.
    ///
    /// # Errors
    /// [`InstanceError`].
    pub fn write_started(
        &self,
        init: u32,
        namespaces: &[NamespaceId],
    ) -> Result<(), InstanceError> {
        let text = status::info(init, namespaces);
        file::fill(&self.directory, SANDBOX_INFO, text.as_bytes())
            .map_err(|errno| self.failed(SANDBOX_INFO, errno))
    }

    /// Shows its directory to the sandbox, and has init there hold its lock (R94).
    ///
    /// # Errors
    /// [`SandboxError`].
    pub fn mount(&self, sandbox: &mut Sandbox) -> Result<(), SandboxError> {
        let inside = Path::new(INSIDE).join(self.id.to_string());
        let directory = file::path_only(&self.directory)
            .map_err(|errno| SandboxError::Open { path: self.path.clone(), errno })?;
        sandbox.bind_descriptor(directory, &self.path, &inside, Access::ReadOnly)?;
        sandbox.request.supervision.locks.push(sandbox_path(&inside.join(REFERENCE))?);
        Ok(())
    }
}

/// Shows the sandbox what it is: a file of its root, and the same bytes over it for good (R95). Whoever
/// looks at the root of a sandbox whose mounts are just going still finds the truth.
///
/// # Errors
/// [`SandboxError`].
pub fn mount_info(info: &[u8], sandbox: &mut Sandbox) -> Result<(), SandboxError> {
    let path = Path::new(INFO_INSIDE);
    sandbox.file(path, 0o600, info.to_vec())?;
    let (destination, content) = (place(path)?, Content::Bytes(info.to_vec()));
    sandbox.push(Operation::Data { destination, mode: 0o600, content, writable: false });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::Instances;
    use super::super::tests::{mode, owner};
    use super::*;
    use crate::filesystem::locate::tests::Scratch;
    use std::fs;
    use stockade_protocol::event::Namespace;

    #[test]
    fn r141_r143_an_instance_has_its_files() {
        let scratch = Scratch::new();
        let caller = owner(&scratch);
        let made = Instances::create(&caller).unwrap().allocate().unwrap();
        assert_eq!(fs::read(made.path().join("bwrapinfo.json")).unwrap(), b"");
        made.write_info(b"[Application]\n").unwrap();
        made.write_environment(&caller).unwrap();
        made.write_pid(42).unwrap();
        let kinds = [(Namespace::Mount, 7), (Namespace::User, 8), (Namespace::Pid, 9)];
        made.write_started(43, &kinds.map(|(kind, inode)| NamespaceId { kind, inode })).unwrap();

        let private = made.path().with_file_name(format!("{}-private", made.id()));
        assert_eq!((mode(made.path()), mode(&private)), (0o755, 0o700));
        assert_eq!(mode(&made.path().join(".ref")), 0o644);
        assert_eq!(mode(&private.join("run-environ")), 0o400);
        assert_eq!(fs::read(made.path().join("info")).unwrap(), b"[Application]\n");
        assert_eq!(fs::read(made.path().join("pid")).unwrap(), b"42");
        let environment = fs::read_to_string(private.join("run-environ")).unwrap();
        let runtime = scratch.join("run");
        assert_eq!(environment, format!("XDG_RUNTIME_DIR={}\0A=b\0", runtime.display()));
        // R142.
        let written = fs::read(made.path().join("bwrapinfo.json")).unwrap();
        let written: serde_json::Value = serde_json::from_slice(&written).unwrap();
        let expected =
            serde_json::json!({ "child-pid": 43, "mnt-namespace": 7, "pid-namespace": 9 });
        assert_eq!(written, expected);
        assert!(made.write_pid(44).is_err());
    }

    #[test]
    fn r94_r95_the_sandbox_sees_its_instance_and_holds_it() {
        let scratch = Scratch::new();
        let made = Instances::create(&owner(&scratch)).unwrap().allocate().unwrap();
        let mut sandbox = Sandbox::new();
        mount_info(b"what it is", &mut sandbox).unwrap();
        made.mount(&mut sandbox).unwrap();
        let [Operation::File { content, mode: 0o600, .. }, data, Operation::Bind(bind)] =
            sandbox.request.operations.as_slice()
        else {
            panic!("{:?}", sandbox.request.operations);
        };
        let Operation::Data { destination, content: over, writable: false, .. } = data else {
            panic!("{data:?}");
        };
        assert_eq!(destination.path.as_bytes(), b"/.flatpak-info");
        assert_eq!((content, over), (&Content::Bytes(b"what it is".to_vec()), content));
        let inside = format!("/run/flatpak/.flatpak/{}", made.id());
        assert_eq!(bind.destination.path.as_bytes(), inside.as_bytes());
        assert_eq!(bind.access, Access::ReadOnly);
        let flags = rustix::fs::fcntl_getfl(&sandbox.descriptors()[0]).unwrap();
        assert!(flags.contains(rustix::fs::OFlags::PATH));
        let locks = &sandbox.request.supervision.locks;
        assert_eq!(locks.len(), 1);
        assert_eq!(locks[0].as_bytes(), format!("{inside}/.ref").as_bytes());
    }
}
